//! Appending to the log: one lock, one write and one `fdatasync` a batch.
//!
//! At every instant the full tiles below the live file's start and the live file are the whole log. Only
//! [`Audit::rewrite`] moves that border: it makes the tiles durable first, then puts a new live file in the place of
//! the old one, all at once.

use std::io;
use std::ops::{Deref, Range};
use std::sync::Arc;

use raincoat_os::{AppendFile, PrivateDir, new_ulid};
use raincoat_types::Clock;

use crate::compact::CompactRange;
use crate::entry::{About, Entry, Producer};
use crate::fresh::{bundle_of, clean, create, fill, fresh_live, full_tiles};
use crate::hash::Hash;
use crate::head::{Apart, HeadFile};
use crate::live::{Ending, Kind, PREAMBLE, Preamble, Record, SUSPECT_AT, Start, push_frame, records_from};
use crate::note::Checkpoint;
use crate::reader::{AuditKeys, AuditReader, Keys, LIVE, Snapshot, range_of};
use crate::tile::{LEVELS, Level, TILE_WIDTH, TilePath, edge_of, encode_hashes};
use crate::{AuditError, Event};

/// The published tree head of tlog-tiles.
pub(crate) const CHECKPOINT: &str = "checkpoint";

/// The file that whoever writes has locked.
pub(crate) const LOCK: &str = "lock";

/// Entries that no tree head covers, at most: they cannot leave the live file for a tile, and that file is read whole.
const UNSIGNED_MOST: u64 = 4 * TILE_WIDTH;
/// Bytes that one write carries; a longer batch takes several, each durable on its own.
const BATCH_BYTES: usize = 16 << 20;

/// Entries that a command which has no time for it leaves unpublished.
const UNPUBLISHED_MOST: u64 = 16 * TILE_WIDTH;

/// The log, open to append. It reads like an [`AuditReader`].
///
/// Several processes may have one log open. Each takes the lock to append and first reads what the others wrote.
pub struct Audit {
    reader: AuditReader,
    head: HeadFile,
    clock: Arc<dyn Clock>,
    producer: Producer,
    tail: Tail,
    /// The note of the newest tree head, if this process signed it.
    newest: Option<String>,
    /// Publishing failed in its middle: what it wrote may not be on the disk, even where it reads back.
    half_published: bool,
    poisoned: bool,
}

/// What must be known of the live file to append to it.
struct Tail {
    file: AppendFile,
    generation: [u8; 16],
    capacity: u64,
    /// Where the next frame goes.
    end: u64,
    /// Entries in full tiles.
    start: u64,
    /// The tree of all entries.
    range: CompactRange,
    /// Entries that the last tree head covers.
    signed: u64,
}

impl Deref for Audit {
    type Target = AuditReader;
    fn deref(&self) -> &AuditReader {
        &self.reader
    }
}

impl Audit {
    /// Opens the log in `dir`, making it where there is none. `head_dir` should lie elsewhere: the newest tree head is
    /// kept there. `origin` is the log's name, such as `raincoat.local/<id of the store>`; it must never change.
    ///
    /// # Errors
    /// [`AuditError::RolledBack`], [`AuditError::Forked`], [`AuditError::WrongKey`], [`AuditError::HeadDamaged`] and
    /// [`AuditError::Damaged`] where the log is not what it was when last written: [`AuditReader::verify`] says more.
    /// [`AuditError::Io`] and [`AuditError::Full`] where the disk says no.
    pub fn open(
        dir: PrivateDir,
        head_dir: PrivateDir,
        keys: AuditKeys,
        origin: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Audit, AuditError> {
        let opening = AuditError::io("open the audit log");
        let keys = Arc::new(Keys::new(keys, origin)?);
        let id = new_ulid(clock.as_ref()).map_err(&opening)?;
        let lock = dir.lock(LOCK).map_err(&opening)?;
        let apart = match Apart::read(&head_dir, keys.signer.verifier())? {
            Apart::Missing => None,
            Apart::Head(head) => Some(head),
            Apart::OtherKey => return Err(AuditError::WrongKey("the tree head kept apart")),
            Apart::Damaged(why) => return Err(AuditError::HeadDamaged(why.to_string())),
        };
        if dir.open_file(LIVE).map_err(&opening)?.is_none() {
            create(&dir, &keys, apart.as_ref())?;
        }
        clean(&dir).map_err(&opening)?;
        let snapshot = Snapshot::load(&dir)?;
        let tail = Tail::load(&dir, &keys, &snapshot, apart.as_ref().map(|head| (head.size, head.root)))?;
        let head = HeadFile::new(head_dir.try_clone().map_err(&opening)?);
        let reader = AuditReader { dir, head_dir, keys };
        let producer = Producer { id, seq: 0 };
        let mut audit =
            Audit { reader, head, clock, producer, tail, newest: None, half_published: false, poisoned: false };
        audit.settle(&snapshot)?;
        drop(lock);
        if apart.is_none() {
            if audit.tail.range.size() > 0 {
                let layer = "audit head kept apart".to_owned();
                let why = "there was none: a log cut or rolled back before this entry would go unseen".to_owned();
                audit.append(&About::NOTHING, &[Event::ProtectionMissing { layer, why }])?;
            } else {
                audit.keep_head()?;
            }
        }
        Ok(audit)
    }

    /// Appends events and makes them durable: when this returns `Ok`, they outlast a power cut, and so does
    /// everything appended lazily before. Gives their indices.
    ///
    /// # Errors
    /// [`AuditError::Full`] and [`AuditError::Io`]: the log is sound and can be tried again, and the events may or may
    /// not be in it. [`AuditError::Poisoned`]: nothing more is taken by this handle. [`AuditError::HeadNotKept`]: the
    /// events are durable. The others as [`Audit::open`], where somebody changed the log meanwhile.
    pub fn append(&mut self, about: &About, events: &[Event]) -> Result<Range<u64>, AuditError> {
        self.write(about, events, true)
    }

    /// Appends events that become durable with the next [`Audit::append`] or [`Audit::checkpoint`] of any process.
    /// They outlast the process at once, but not a power cut.
    ///
    /// # Errors
    /// As [`Audit::append`].
    pub fn append_lazy(&mut self, about: &About, events: &[Event]) -> Result<Range<u64>, AuditError> {
        self.write(about, events, false)
    }

    /// Makes everything durable and publishes it: partial tiles and the signed `checkpoint`, so that the directory is
    /// a whole tlog-tiles log for any verifier. Worth calling at a command's end, not after each entry.
    ///
    /// # Errors
    /// As [`Audit::append`].
    pub fn checkpoint(&mut self) -> Result<Checkpoint, AuditError> {
        self.write(&About::NOTHING, &[], true)?;
        let _lock = self.lock()?;
        self.catch_up()?;
        if self.tail.range.size() - self.tail.start >= TILE_WIDTH {
            self.rewrite(0)?;
        }
        let snapshot = Snapshot::load(&self.reader.dir)?;
        let (head, note) = snapshot.head(self.verifier())?;
        let published = self.publish(&snapshot, head.size, note);
        self.half_published = published.is_err();
        published.map_err(|error| self.failed("publish the audit log", error))?;
        Ok(head)
    }

    /// Which process this is in the log, and how many entries it has written under that name.
    pub fn producer(&self) -> Producer {
        self.producer
    }

    /// Publishes and closes.
    ///
    /// # Errors
    /// As [`Audit::checkpoint`].
    pub fn close(mut self) -> Result<Checkpoint, AuditError> {
        self.checkpoint()
    }

    /// Closes with everything durable, and publishes only where [`UNPUBLISHED_MOST`] entries wait for it: publishing is
    /// some thirty waits for the disk, and our own readers do not need it.
    ///
    /// # Errors
    /// As [`Audit::checkpoint`].
    pub fn leave(mut self) -> Result<(), AuditError> {
        self.write(&About::NOTHING, &[], true)?;
        if self.tail.range.size() - self.tail.start >= UNPUBLISHED_MOST {
            self.checkpoint()?;
        }
        Ok(())
    }

    fn write(&mut self, about: &About, events: &[Event], durable: bool) -> Result<Range<u64>, AuditError> {
        let _lock = self.lock()?;
        self.newest = None;
        self.catch_up()?;
        let first = self.tail.range.size();
        let durable = durable || first.saturating_sub(self.tail.signed) + events.len() as u64 > UNSIGNED_MOST;
        let mut rest = events;
        loop {
            rest = self.write_some(about, rest, durable)?;
            if rest.is_empty() {
                break;
            }
        }
        let last = self.tail.range.size();
        if durable {
            self.keep_head()?;
        }
        Ok(first..last)
    }

    /// Writes as many of the events as one write takes, and gives the others back.
    fn write_some<'a>(&mut self, about: &About, events: &'a [Event], durable: bool) -> Result<&'a [Event], AuditError> {
        let mut range = self.tail.range.clone();
        let mut producer = self.producer;
        let mut batch = Vec::new();
        let mut rest = events.iter();
        while batch.len() < BATCH_BYTES
            && let Some(event) = rest.next()
        {
            producer.seq += 1;
            let (run, actor, event) = (about.run, about.actor.clone(), event.clone());
            let entry = Entry { at: self.clock.now(), run, actor, producer, event };
            let sealed = self.reader.keys.sealer.seal(range.size(), entry)?;
            range.push(0, push_frame(&mut batch, Kind::Entry, &sealed));
        }
        let sign = durable && self.tail.signed < range.size();
        if sign {
            let note = self.reader.keys.sign(range.size(), range.root());
            push_frame(&mut batch, Kind::Head, note.as_bytes());
            self.newest = Some(note);
        }
        if self.tail.end + batch.len() as u64 > self.tail.capacity {
            self.rewrite(batch.len())?;
        }
        if let Err(error) = self.tail.file.write_all_at(&batch, self.tail.end) {
            // Some of these entries may stand in the file, and be taken over by the next to write. Numbering them
            // again would look like a forgery, so this process goes on under another name.
            match new_ulid(self.clock.as_ref()) {
                Ok(id) => self.producer = Producer { id, seq: 0 },
                Err(_) => self.poison(),
            }
            return Err(AuditError::io("write to the audit log")(error));
        }
        if durable && self.tail.file.sync().is_err() {
            self.poison();
            return Err(AuditError::Poisoned);
        }
        self.tail.end += batch.len() as u64;
        if sign {
            self.tail.signed = range.size();
        }
        self.tail.range = range;
        self.producer = producer;
        Ok(rest.as_slice())
    }

    fn lock(&self) -> Result<raincoat_os::FileLock, AuditError> {
        if self.poisoned {
            return Err(AuditError::Poisoned);
        }
        self.reader.dir.lock(LOCK).map_err(AuditError::io("lock the audit log"))
    }

    /// Takes in what other processes wrote since. Needs the lock.
    fn catch_up(&mut self) -> Result<(), AuditError> {
        let reading = AuditError::io("read the audit log");
        let missing = || AuditError::Damaged(format!("`{LIVE}` is missing"));
        let file = self.reader.dir.open_file(LIVE).map_err(&reading)?.ok_or_else(missing)?;
        let mut first = [0; PREAMBLE];
        file.read_exact_at(&mut first, 0).map_err(&reading)?;
        let same = Preamble::parse(&first)
            .is_some_and(|preamble| preamble.generation == self.tail.generation && !preamble.suspect);
        if !same {
            let snapshot = Snapshot::load(&self.reader.dir)?;
            let known = (self.tail.range.size(), self.tail.range.root());
            self.tail = Tail::load(&self.reader.dir, &self.reader.keys, &snapshot, Some(known))?;
            return self.settle(&snapshot);
        }
        let mut next = [0; 8];
        let got = file.read_at(&mut next, self.tail.end).map_err(&reading)?;
        if got == 0 || next == [0; 8] {
            return Ok(());
        }
        let len = file.len().map_err(&reading)?.saturating_sub(self.tail.end);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
        file.read_exact_at(&mut bytes, self.tail.end).map_err(&reading)?;
        let (records, end, ending) = records_from(&bytes, 0);
        self.tail.absorb(&self.reader.keys, &bytes, &records)?;
        self.tail.end += end as u64;
        self.tail.capacity = file.len().map_err(&reading)?;
        if let Ending::Torn { heads_after } = ending {
            refuse_damage(heads_after)?;
            self.rewrite(0)?;
        }
        Ok(())
    }

    /// Writes the live file anew where its end was cut off or its bytes may not be on the disk.
    fn settle(&mut self, snapshot: &Snapshot) -> Result<(), AuditError> {
        if let Ending::Torn { heads_after } = snapshot.live.ending {
            refuse_damage(heads_after)?;
        } else if !snapshot.live.preamble.suspect {
            return Ok(());
        }
        self.rewrite(0)
    }

    /// Puts full tiles on disk and a new live file, with what is left and room for `room` bytes, in the old one's
    /// place. Whatever is no whole record at the old file's end is left behind. Needs the lock.
    fn rewrite(&mut self, room: usize) -> Result<(), AuditError> {
        if self.tail.file.sync().is_err() {
            self.poison();
            return Err(AuditError::Poisoned);
        }
        let snapshot = Snapshot::load(&self.reader.dir)?;
        if snapshot.range_at(self.tail.range.size()).root() != self.tail.range.root() {
            return Err(AuditError::Damaged(format!("`{LIVE}` does not read back as it was written")));
        }
        let old = self.tail.generation;
        let done = self.try_rewrite(&snapshot, room);
        if let Err(error) = done {
            let in_place = Snapshot::load(&self.reader.dir).is_ok_and(|now| now.live.preamble.generation == old);
            let error = self.failed("make room in the audit log", error);
            if !in_place {
                // Which of the two files a power cut would leave is not known.
                self.poison();
                return Err(AuditError::Poisoned);
            }
            return Err(error);
        }
        let known = (self.tail.range.size(), self.tail.range.root());
        let fresh = Snapshot::load(&self.reader.dir)?;
        self.tail = Tail::load(&self.reader.dir, &self.reader.keys, &fresh, Some(known))?;
        for index in snapshot.live.start.size / TILE_WIDTH..self.tail.start / TILE_WIDTH {
            // Only tidiness: partial files of a full tile may stay.
            let _ = fresh.store.remove_partials(Level::Entries, index);
            for level in 0..LEVELS {
                let within = index >> (8 * u32::from(level));
                if (index + 1).is_multiple_of(1 << (8 * u32::from(level))) {
                    let _ = fresh.store.remove_partials(Level::Hashes(level), within);
                }
            }
        }
        Ok(())
    }

    fn try_rewrite(&self, snapshot: &Snapshot, room: usize) -> io::Result<()> {
        let signed = self.tail.signed.max(snapshot.live.start.size);
        let (files, start_size, edge) = full_tiles(snapshot, signed)?;
        snapshot.store.write_all(&files, false)?;
        drop(files);

        let range = range_of(&edge);
        let note = self.reader.keys.sign(start_size, range.root());
        let mut bytes = fresh_live(Start { size: start_size, edge, note })?;
        let from = match snapshot.record(start_size) {
            Some(record) => record.at,
            None => snapshot.live.end,
        };
        bytes.extend_from_slice(snapshot.bytes.get(from..snapshot.live.end).unwrap_or_default());
        fill(&mut bytes, room);
        self.reader.dir.replace(LIVE, &bytes)
    }

    fn publish(&self, snapshot: &Snapshot, size: u64, note: &str) -> io::Result<()> {
        // With cosignatures it is still the same head.
        let published = self.reader.dir.read(CHECKPOINT, 1 << 16)?;
        if published.is_some_and(|published| self.verifier().open(&published) == self.verifier().open(note.as_bytes()))
        {
            return Ok(());
        }
        let mut files = Vec::new();
        let (index, width) = edge_of(size, 0);
        if width > 0 {
            let (bundle, leaves) = bundle_of(snapshot, index * TILE_WIDTH..size)?;
            files.push((TilePath { level: Level::Entries, index, width }, bundle));
            files.push((TilePath { level: Level::Hashes(0), index, width }, encode_hashes(&leaves)));
        }
        for (level, row) in (1..).zip(&snapshot.live.start.edge).filter(|(_, row)| !row.is_empty()) {
            let (index, width) = edge_of(size, level);
            files.push((TilePath { level: Level::Hashes(level), index, width }, encode_hashes(row)));
        }
        snapshot.store.write_all(&files, !self.half_published)?;
        self.reader.dir.replace(CHECKPOINT, note.as_bytes())
    }

    fn keep_head(&mut self) -> Result<(), AuditError> {
        let signed = self.newest.take();
        let note = signed.unwrap_or_else(|| self.reader.keys.sign(self.tail.range.size(), self.tail.range.root()));
        self.head.put(&note).map_err(AuditError::HeadNotKept)
    }

    /// A full disk leaves all as it was; any other failure of a write or sync is final.
    fn failed(&mut self, what: &'static str, error: io::Error) -> AuditError {
        match AuditError::io(what)(error) {
            AuditError::Full => AuditError::Full,
            _ => {
                self.poison();
                AuditError::Poisoned
            }
        }
    }

    /// Takes nothing more, and leaves word in the live file that its bytes may not be on the disk.
    fn poison(&mut self) {
        self.poisoned = true;
        if let Ok(Some(file)) = self.reader.dir.open_file(LIVE) {
            // If this fails too there is nobody left to tell.
            let _ = file.write_all_at(&[1], SUSPECT_AT);
        }
    }
}

impl Tail {
    /// Reads the live file's state, and holds the log against a tree head that it must contain.
    fn load(
        dir: &PrivateDir,
        keys: &Keys,
        snapshot: &Snapshot,
        known: Option<(u64, Hash)>,
    ) -> Result<Tail, AuditError> {
        let reading = AuditError::io("read the audit log");
        let missing = || AuditError::Damaged(format!("`{LIVE}` is missing"));
        let file = dir.open_file(LIVE).map_err(&reading)?.ok_or_else(missing)?;
        let live = &snapshot.live;
        let (head, _) = snapshot.head(keys.signer.verifier())?;
        if let Some((size, _)) = known.filter(|(size, _)| *size > snapshot.size()) {
            return Err(AuditError::RolledBack { log: head.size, head: size });
        }
        let mut tail = Tail {
            capacity: file.len().map_err(&reading)?,
            file,
            generation: live.preamble.generation,
            end: live.end as u64,
            start: live.start.size,
            range: range_of(&live.start.edge),
            signed: live.start.size,
        };
        if tail.range.size() != live.start.size || (head.size == tail.start && head.root != tail.range.root()) {
            return Err(AuditError::Damaged("the tree at its start is not the one that was signed".to_owned()));
        }
        tail.absorb(keys, &snapshot.bytes, &live.records)?;
        match known {
            Some((size, root)) if snapshot.root_at(size)? != root => Err(AuditError::Forked { size }),
            _ => Ok(tail),
        }
    }

    /// Takes records in: the last tree head must be ours and of this tree; entries after it must be ours.
    fn absorb(&mut self, keys: &Keys, bytes: &[u8], records: &[Record]) -> Result<(), AuditError> {
        let damaged = |why: String| Err(AuditError::Damaged(why));
        let body = |record: &Record| bytes.get(record.body.clone()).unwrap_or_default();
        let last_head = records.iter().rposition(|record| record.kind == Kind::Head);
        let mut range = self.range.clone();
        for (at, record) in records.iter().enumerate() {
            match record.kind {
                Kind::Entry => {
                    if last_head.is_none_or(|head| at > head) && keys.sealer.open(range.size(), body(record)).is_err() {
                        return damaged(format!("entry {} is not signed and not ours", range.size()));
                    }
                    range.push(0, record.leaf);
                }
                Kind::Head if Some(at) == last_head => {
                    let head = keys.signer.verifier().open(body(record));
                    if !head.is_ok_and(|head| head.size == range.size() && head.root == range.root()) {
                        return damaged(format!("its {} entries are not those that were signed", range.size()));
                    }
                    self.signed = range.size();
                }
                Kind::Head | Kind::Start => {}
            }
        }
        self.range = range;
        Ok(())
    }
}

impl Keys {
    /// The signed note of a tree head.
    pub(crate) fn sign(&self, size: u64, root: Hash) -> String {
        self.signer.sign(&Checkpoint { origin: self.origin.clone(), size, root }.text())
    }
}

fn refuse_damage(heads_after: usize) -> Result<(), AuditError> {
    if heads_after > 1 {
        return Err(AuditError::Damaged(format!("`{LIVE}` has bytes in its middle that are no record")));
    }
    Ok(())
}
