//! The log's end as its writer holds it: the live file's records, in memory as they were read or written, and the tree of
//! all entries. Here the border between tiles and live file is moved: tiles are made durable first, then a new live file
//! takes the place of the old one, all at once.

use std::io;

use raincoat_os::{AppendFile, PrivateDir};

use crate::compact::CompactRange;
use crate::entry::Scratch;
use crate::fresh::{LIVE_MOST, bundle_of, fill, fresh_live, full_tiles};
use crate::hash::Hash;
use crate::live::{Kind, PREAMBLE, Record, Start};
use crate::log::CHECKPOINT;
use crate::reader::{Keys, LIVE, Snapshot, range_of};
use crate::tile::{Level, TILE_WIDTH, TilePath, edge_of, encode_hashes};
use crate::{Audit, AuditError};

/// Bytes that are read at a time to see that the live file is what was written.
const READ_BACK: usize = 256 << 10;

/// What must be known of the live file to append to it.
pub(crate) struct Tail {
    pub(crate) file: AppendFile,
    pub(crate) capacity: u64,
    /// The live file up to where the next frame goes. Tiles are made of this, once the file has been seen to be the same.
    pub(crate) snapshot: Snapshot,
    /// The tree of all entries.
    pub(crate) range: CompactRange,
    /// Entries that the last tree head covers.
    pub(crate) signed: u64,
    /// This handle made the file.
    made: bool,
}

impl Audit {
    /// Puts full tiles on disk and a new live file, with what is left and room for `room` bytes, in the old one's
    /// place. Whatever is no whole record at the old file's end is left behind. Needs the lock.
    pub(crate) fn rewrite(&mut self, room: usize) -> Result<(), AuditError> {
        if self.tail.file.sync().is_err() {
            self.poison();
            return Err(AuditError::Poisoned);
        }
        if !self.tail.reads_back().map_err(AuditError::io("read the audit log"))? {
            return Err(AuditError::Damaged(format!("`{LIVE}` does not read back as it was written")));
        }
        match self.try_rewrite(room) {
            Ok((tail, filled)) => {
                self.tail = tail;
                // Only tidiness: partial files of a full tile may stay.
                let _ = self.tail.snapshot.store.remove_partials(&filled);
                Ok(())
            }
            Err(error) => {
                let old = self.tail.generation();
                let in_place = Snapshot::load(&self.reader.dir).is_ok_and(|now| now.live.preamble.generation == old);
                let error = self.failed("make room in the audit log", error);
                if in_place {
                    return Err(error);
                }
                // Which of the two files a power cut would leave is not known.
                self.poison();
                Err(AuditError::Poisoned)
            }
        }
    }

    /// Gives the new end of the log, and the tiles and bundles that are full now.
    fn try_rewrite(&self, room: usize) -> io::Result<(Tail, Vec<TilePath>)> {
        let (reader, tail) = (&self.reader, &self.tail);
        let (files, mut bytes) = tail.next(&reader.keys)?;
        let mut snapshot = Snapshot::parse(reader.dir.try_clone()?, bytes.clone())
            .filter(|next| next.size() == tail.range.size() && next.range_at(next.size()) == tail.range)
            .ok_or(io::ErrorKind::InvalidData)?;
        snapshot.store.write_all(&files, false)?;
        // A process that fills its file again and again gets a larger one, so that this comes less often. Those that write
        // little and end open a small one each time.
        let grow = room > 0 && tail.made;
        let least = if grow { tail.capacity.saturating_mul(2).min(LIVE_MOST) } else { 0 };
        fill(&mut bytes, room, least);
        snapshot.end_here(bytes.len());
        reader.dir.replace(LIVE, &bytes)?;
        let file = reader.dir.open_file(LIVE)?.ok_or(io::ErrorKind::NotFound)?;
        let (range, signed) = (tail.range.clone(), tail.signed.max(snapshot.live.start.size));
        let filled = files.into_iter().map(|(tile, _)| tile).collect();
        Ok((Tail { file, capacity: bytes.len() as u64, snapshot, range, signed, made: true }, filled))
    }

    /// Writes the partial tiles of the first `size` entries, and the note of their head. Needs the lock.
    pub(crate) fn publish(&self, size: u64, note: &str) -> io::Result<()> {
        let snapshot = &self.tail.snapshot;
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
}

impl Tail {
    /// Reads the live file's state, and holds the log against a tree head that it must contain.
    pub(crate) fn load(
        dir: &PrivateDir,
        keys: &Keys,
        mut snapshot: Snapshot,
        known: Option<(u64, Hash)>,
    ) -> Result<Tail, AuditError> {
        let reading = AuditError::io("read the audit log");
        let missing = || AuditError::Damaged(format!("`{LIVE}` is missing"));
        let file = dir.open_file(LIVE).map_err(&reading)?.ok_or_else(missing)?;
        let (head, _) = snapshot.head(keys.signer.verifier())?;
        let memory = || "this process".to_owned();
        if let Some((size, _)) = known.filter(|(size, _)| *size > snapshot.size()) {
            return Err(AuditError::RolledBack { log: head.size, head: size, memory: memory() });
        }
        let capacity = file.len().map_err(&reading)?;
        snapshot.end_here(usize::try_from(capacity).unwrap_or_default());
        let start = snapshot.live.start.size;
        let range = range_of(&snapshot.live.start.edge);
        let mut tail = Tail { file, capacity, snapshot, range, signed: start, made: false };
        if tail.range.size() != start || (head.size == start && head.root != tail.range.root()) {
            return Err(AuditError::Damaged("the tree at its start is not the one that was signed".to_owned()));
        }
        let (range, signed) = tail.after(keys, &tail.snapshot.bytes, &tail.snapshot.live.records)?;
        (tail.range, tail.signed) = (range, signed);
        match known {
            Some((size, root)) if tail.snapshot.root_at(size)? != root => {
                Err(AuditError::Forked { size, memory: memory() })
            }
            _ => Ok(tail),
        }
    }

    pub(crate) fn generation(&self) -> [u8; 16] {
        self.snapshot.live.preamble.generation
    }

    /// Entries in full tiles.
    pub(crate) fn start(&self) -> u64 {
        self.snapshot.live.start.size
    }

    /// Where the next frame goes.
    pub(crate) fn end(&self) -> u64 {
        self.snapshot.live.end as u64
    }

    /// Takes in records that another process wrote after these.
    pub(crate) fn absorb(&mut self, keys: &Keys, bytes: &[u8], records: Vec<Record>) -> Result<(), AuditError> {
        (self.range, self.signed) = self.after(keys, bytes, &records)?;
        self.snapshot.extend(bytes, records);
        Ok(())
    }

    /// The tree and how much of it is signed after these records: the last tree head must be ours and of this tree;
    /// entries after it must be ours.
    fn after(&self, keys: &Keys, bytes: &[u8], records: &[Record]) -> Result<(CompactRange, u64), AuditError> {
        let damaged = |why: String| Err(AuditError::Damaged(why));
        let mut signed = self.signed;
        let body = |record: &Record| bytes.get(record.body.clone()).unwrap_or_default();
        let last_head = records.iter().rposition(|record| record.kind == Kind::Head);
        let mut range = self.range.clone();
        let mut scratch = Scratch::default();
        for (at, record) in records.iter().enumerate() {
            match record.kind {
                Kind::Entry => {
                    let unsigned = last_head.is_none_or(|head| at > head);
                    if unsigned && keys.sealer.outer(range.size(), body(record), &mut scratch).is_err() {
                        return damaged(format!("entry {} is not signed and not ours", range.size()));
                    }
                    range.push(0, record.leaf);
                }
                Kind::Head if Some(at) == last_head => {
                    let head = keys.signer.verifier().open(body(record));
                    if !head.is_ok_and(|head| head.size == range.size() && head.root == range.root()) {
                        return damaged(format!("its {} entries are not those that were signed", range.size()));
                    }
                    signed = range.size();
                }
                Kind::Head | Kind::Start => {}
            }
        }
        Ok((range, signed))
    }

    /// Whether the file is still what this process read or wrote of it.
    fn reads_back(&self) -> io::Result<bool> {
        let mut read = vec![0; READ_BACK];
        let mut at = PREAMBLE;
        for written in self.snapshot.bytes.get(PREAMBLE..).unwrap_or_default().chunks(READ_BACK) {
            let got = self.file.read_at(read.get_mut(..written.len()).unwrap_or_default(), at as u64)?;
            if read.get(..got) != Some(written) {
                return Ok(false);
            }
            at += got;
        }
        Ok(true)
    }

    /// The tiles and bundles that the signed entries fill, and a live file that begins after them.
    #[expect(clippy::type_complexity, reason = "one caller, which takes it apart at once")]
    fn next(&self, keys: &Keys) -> io::Result<(Vec<(TilePath, Vec<u8>)>, Vec<u8>)> {
        let snapshot = &self.snapshot;
        let (files, size, edge) = full_tiles(snapshot, self.signed.max(self.start()))?;
        let note = keys.sign(size, range_of(&edge).root());
        let mut bytes = fresh_live(Start { size, edge, note })?;
        let from = snapshot.record(size).map_or(snapshot.live.end, |record| record.at);
        bytes.extend_from_slice(snapshot.bytes.get(from..snapshot.live.end).unwrap_or_default());
        Ok((files, bytes))
    }
}
