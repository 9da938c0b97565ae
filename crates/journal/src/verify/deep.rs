//! Putting stored contents together again and hashing them, several at once: the chunks may all be what was written, and
//! still not be the file that was recorded.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};

use raincoat_os::{AppendFile, PrivateDir};
use raincoat_types::{ChunkId, Content, Digest, FileContent, Image, Intent, Ulid};

use super::{Together, VerifyReport, short};
use crate::facts::Loc;
use crate::format::{Header, Kind, decode, open_record};
use crate::pack::Unpacker;
use crate::survey::images;
use crate::writer::file_name;
use crate::{Journal, JournalError, JournalKeys, lists};

/// Contents that wait to be hashed, for each thread that does it.
const WAITING: usize = 16;
/// Segments that a reader keeps open.
const FILES: usize = 8;
/// Bytes that are read of a record at first: of a small one, all.
const FIRST: usize = 4096;

/// A content that is to be hashed, and its bytes.
type Job = (FileContent, u64);

impl Journal {
    /// Puts contents together from their chunks and hashes them, holes as zeroes.
    pub(super) fn hash_again(&self, all: &Together, report: &mut VerifyReport) -> Result<(), JournalError> {
        let wrong = self.wrong_contents(all, report)?;
        if wrong.is_empty() {
            return Ok(());
        }
        let mut records = Records::of(self);
        for (op, at) in &all.ops {
            let mut needed = None;
            each_stored(&mut records, all, *at, &mut |file, _, is_needed| {
                if wrong.contains(&file.digest) {
                    needed = Some(needed.unwrap_or(false) | is_needed);
                }
            });
            let costs = match needed {
                None => continue,
                Some(true) => {
                    report.lost_ops.push(*op);
                    format!("operation `{op}` cannot give back what was there")
                }
                Some(false) => format!("what operation `{op}` put there cannot be shown again"),
            };
            let what = "a stored content is not the one whose digest was recorded";
            report.problem(at.segment, at.offset, 0, what, &costs);
        }
        Ok(())
    }

    /// The digests whose contents are others.
    fn wrong_contents(&self, all: &Together, report: &mut VerifyReport) -> Result<HashSet<Digest>, JournalError> {
        let workers = std::thread::available_parallelism().map_or(1, |n| n.get());
        let wrong = Mutex::new(HashSet::new());
        let (jobs, inbox) = sync_channel::<Job>(WAITING * workers);
        let inbox = Arc::new(Mutex::new(inbox));
        let shared = Records::of(self);
        let set_wrong = |digest: Digest| {
            if let Ok(mut wrong) = wrong.lock() {
                wrong.insert(digest);
            }
        };
        std::thread::scope(|scope| {
            let hashing: Vec<_> = (0..workers)
                .map(|_| {
                    let mut records = shared.beside();
                    let (inbox, set_wrong) = (Arc::clone(&inbox), &set_wrong);
                    scope.spawn(move || records.hash(all, &inbox, set_wrong))
                })
                .collect();
            drop(inbox);
            let mut records = shared.beside();
            let mut sent: HashSet<Digest> = HashSet::new();
            for at in all.ops.values() {
                each_stored(&mut records, all, *at, &mut |file, image, _| {
                    if !sent.insert(file.digest) {
                        return;
                    }
                    match all.whole(file, image.meta.size) {
                        Some(digest) if digest == file.digest => {}
                        Some(_) => set_wrong(file.digest),
                        // Where every thread died, that is told below.
                        None => drop(jobs.send((file.clone(), image.meta.size))),
                    }
                });
            }
            drop(jobs);
            report.contents += sent.len() as u64;
            let died = |_| io::Error::other("a thread that hashes contents died");
            hashing
                .into_iter()
                .try_for_each(|thread| thread.join().map_err(died))
                .map_err(JournalError::io("read a segment"))
        })?;
        Ok(wrong.into_inner().unwrap_or_default())
    }
}

impl Together {
    /// The digest of a content that is one small piece, all of it.
    fn whole(&self, file: &FileContent, size: u64) -> Option<Digest> {
        let [piece] = file.chunks.as_slice() else { return None };
        (piece.offset == 0 && u64::from(piece.len) == size).then(|| self.digests.get(&short(&piece.id)).copied())?
    }
}

/// The stored file contents that an operation names, their chunk lists whole, and whether it is the one that it has to
/// give back. What is lost of them was told before.
fn each_stored(records: &mut Records<'_>, all: &Together, at: Loc, each: &mut dyn FnMut(&FileContent, &Image, bool)) {
    let Some((Kind::Intent, body)) = records.body_at(at) else { return };
    let Some(intent) = decode::<Intent>(&body) else { return };
    let needed = intent.change.before().cloned();
    images(&intent.change, &mut |image| {
        let Content::File(file) = &image.content else { return };
        let mut file = file.clone();
        let read = &mut |id: ChunkId| {
            records.body_at(*all.chunks.get(&short(&id)).ok_or(())?).map(|(_, bytes)| bytes).ok_or(())
        };
        if file.stored && lists::unfold(&mut file, read) == Ok(Some(())) && all.holds(&file) {
            each(&file, image, Some(image) == needed.as_ref());
        }
    });
}

/// Records read one by one, wherever they lie.
pub(super) struct Records<'j> {
    keys: &'j JournalKeys,
    segments: &'j PrivateDir,
    held: &'j HashMap<Ulid, Arc<AppendFile>>,
    open: Vec<(Ulid, Arc<AppendFile>)>,
    unpacker: Unpacker,
    bytes: Vec<u8>,
}

impl<'j> Records<'j> {
    pub(super) fn of(journal: &'j Journal) -> Records<'j> {
        Records::new(&journal.keys, &journal.segments, &journal.held)
    }

    fn new(keys: &'j JournalKeys, segments: &'j PrivateDir, held: &'j HashMap<Ulid, Arc<AppendFile>>) -> Records<'j> {
        Records { keys, segments, held, open: Vec::new(), unpacker: Unpacker::default(), bytes: Vec::new() }
    }

    /// Another reader of the same.
    fn beside(&self) -> Records<'j> {
        Records::new(self.keys, self.segments, self.held)
    }

    /// A segment's file; `None` where there is none.
    pub(super) fn file(&mut self, id: Ulid) -> io::Result<Option<Arc<AppendFile>>> {
        if let Some(file) = self.held.get(&id) {
            return Ok(Some(Arc::clone(file)));
        }
        if let Some((_, file)) = self.open.iter().find(|(held, _)| *held == id) {
            return Ok(Some(Arc::clone(file)));
        }
        let Some(file) = self.segments.open_file(&file_name(id))?.map(Arc::new) else { return Ok(None) };
        if self.open.len() >= FILES {
            self.open.remove(0);
        }
        self.open.push((id, Arc::clone(&file)));
        Ok(Some(file))
    }

    /// A record's kind and body; `None` where it is not what was written.
    pub(super) fn body_at(&mut self, at: Loc) -> Option<(Kind, Vec<u8>)> {
        let file = self.file(at.segment).ok()??;
        self.bytes.resize(FIRST, 0);
        let got = file.read_at(&mut self.bytes, at.offset).ok()?;
        self.bytes.truncate(got);
        let header = Header::read(self.keys, at.segment, &self.bytes)?;
        let span = usize::try_from(header.span()).ok()?;
        if span > got {
            self.bytes.resize(span, 0);
            file.read_exact_at(self.bytes.get_mut(got..)?, at.offset + got as u64).ok()?;
        }
        let record = self.bytes.get(..span)?;
        Some((header.kind, open_record(self.keys, at.segment, at.offset, record, &mut self.unpacker)?))
    }

    /// Hashes contents until there are no more, and notes the digests that are not theirs.
    fn hash(&mut self, all: &Together, inbox: &Mutex<Receiver<Job>>, set_wrong: &dyn Fn(Digest)) {
        loop {
            // Held only for the moment of taking one.
            let Ok((file, size)) = inbox.lock().map_or(Err(()), |inbox| inbox.recv().map_err(drop)) else { return };
            if self.digest_of(&file, size, all) != Some(file.digest) {
                set_wrong(file.digest);
            }
        }
    }

    fn digest_of(&mut self, file: &FileContent, size: u64, all: &Together) -> Option<Digest> {
        static ZEROES: [u8; 65_536] = [0; 65_536];
        let mut hasher = blake3::Hasher::new();
        let mut at = 0_u64;
        let skip = |hasher: &mut blake3::Hasher, mut gap: u64| {
            while gap > 0 {
                let part = gap.min(ZEROES.len() as u64);
                hasher.update(ZEROES.get(..usize::try_from(part).unwrap_or(0)).unwrap_or_default());
                gap -= part;
            }
        };
        for chunk in &file.chunks {
            skip(&mut hasher, chunk.offset.checked_sub(at)?);
            let (_, bytes) = self.body_at(*all.chunks.get(&short(&chunk.id))?)?;
            if bytes.len() as u64 != u64::from(chunk.len) {
                return None;
            }
            hasher.update(&bytes);
            at = chunk.offset + bytes.len() as u64;
        }
        skip(&mut hasher, size.checked_sub(at)?);
        Some(Digest(*hasher.finalize().as_bytes()))
    }
}
