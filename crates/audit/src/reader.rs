//! Reading the log, without the writer's lock: entries, heads, proofs.

use std::ops::{Range, RangeBounds};
use std::sync::Arc;

use raincoat_os::PrivateDir;
use raincoat_seal::SealKey;
use raincoat_types::Secret;

use crate::compact::CompactRange;
use crate::entry::{Scratch, Sealer};
use crate::hash::{Hash, leaf_hash, root_of};
use crate::live::{Ending, Kind, Live, MAX_LIVE, Record};
use crate::memory::Memories;
use crate::minimum::Minimum;
use crate::note::{Checkpoint, Signer, Verifier};
use crate::proof::{self, Nodes};
use crate::store::{Folders, Store};
use crate::subjects::SlotView;
use crate::tile::{Level, TILE_WIDTH, TilePath, decode_entries, decode_hashes};
use crate::{AuditError, Entry};

pub(crate) const LIVE: &str = "live.log";

/// How often a reader looks again when it met a writer in the middle of a write.
const TRIES: usize = 5;

/// The keys of a log.
#[derive(Debug)]
pub struct AuditKeys {
    /// Seals entries.
    pub payload: SealKey,
    /// The seed of the Ed25519 key that signs tree heads (RFC 8032).
    pub signing_seed: Secret<[u8; 32]>,
}

/// The log as it can be read by whoever has its keys, whether it is sound or not.
pub struct AuditReader {
    pub(crate) dir: PrivateDir,
    pub(crate) head_dir: PrivateDir,
    pub(crate) keys: Arc<Keys>,
    pub(crate) memories: Memories,
}

/// Entries in their order, each with its index.
pub struct Entries {
    snapshot: Snapshot,
    keys: Arc<Keys>,
    rest: Range<u64>,
    bundle: Option<Bundle>,
    slots: SlotView,
    scratch: Scratch,
}

/// A full bundle, taken apart.
struct Bundle {
    number: u64,
    entries: Vec<Vec<u8>>,
}

pub(crate) struct Keys {
    pub(crate) payload: SealKey,
    pub(crate) sealer: Sealer,
    pub(crate) signer: Signer,
    pub(crate) origin: String,
}

/// The log at one moment: the live file's bytes, and the full tiles before them, which never change.
pub(crate) struct Snapshot {
    pub(crate) store: Store,
    pub(crate) bytes: Vec<u8>,
    pub(crate) live: Live,
    /// Positions of the entries in `live.records`.
    entries: Vec<usize>,
}

impl AuditReader {
    /// A reader of the log in `dir`, whose newest head is kept apart in `head_dir`. Nothing is read yet, so that a
    /// damaged log can be verified too.
    ///
    /// # Errors
    /// [`AuditError::Origin`].
    pub fn open(
        dir: PrivateDir,
        head_dir: PrivateDir,
        keys: AuditKeys,
        origin: &str,
    ) -> Result<AuditReader, AuditError> {
        AuditReader::open_with(dir, head_dir, keys, origin, Memories::default())
    }

    /// The same, held against more memories when it is verified.
    ///
    /// # Errors
    /// [`AuditError::Origin`].
    pub fn open_with(
        dir: PrivateDir,
        head_dir: PrivateDir,
        keys: AuditKeys,
        origin: &str,
        memories: Memories,
    ) -> Result<AuditReader, AuditError> {
        Ok(AuditReader { dir, head_dir, keys: Arc::new(Keys::new(keys, origin)?), memories })
    }

    /// The entries in `range`, oldest first; what was pruned or lies beyond the log's end is left out. Entries that were appended
    /// lazily are among them.
    ///
    /// # Errors
    /// [`AuditError`] where the live file cannot be read; each entry may bring its own error later.
    pub fn entries(&self, range: impl RangeBounds<u64>) -> Result<Entries, AuditError> {
        let snapshot = self.snapshot()?;
        let size = snapshot.size();
        let from = match range.start_bound() {
            std::ops::Bound::Included(at) => *at,
            std::ops::Bound::Excluded(at) => at.saturating_add(1),
            std::ops::Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            std::ops::Bound::Included(at) => at.saturating_add(1),
            std::ops::Bound::Excluded(at) => *at,
            std::ops::Bound::Unbounded => size,
        };
        let from = from.max(self.minimum()?.index);
        // After the entries: each slot that one of them names was there before it.
        let slots = self.slots()?;
        let (rest, keys) = (from..to.min(size), Arc::clone(&self.keys));
        Ok(Entries { snapshot, keys, rest, bundle: None, slots, scratch: Scratch::default() })
    }

    /// The last `count` entries, oldest first.
    ///
    /// # Errors
    /// As [`AuditReader::entries`].
    pub fn tail(&self, count: u64) -> Result<Entries, AuditError> {
        let mut all = self.entries(..)?;
        all.rest.start = all.rest.start.max(all.rest.end.saturating_sub(count));
        Ok(all)
    }

    /// The newest signed tree head in the log, its signature checked.
    ///
    /// # Errors
    /// [`AuditError`] where there is no log or the head is not ours.
    pub fn head(&self) -> Result<Checkpoint, AuditError> {
        self.snapshot()?.head(self.verifier()).map(|(head, _)| head)
    }

    /// How many entries stand after the newest head: those that were not worth a wait for the disk.
    ///
    /// # Errors
    /// As [`AuditReader::entries`].
    pub fn unsigned(&self) -> Result<u64, AuditError> {
        let snapshot = self.snapshot()?;
        Ok(snapshot.size().saturating_sub(snapshot.last_note().1))
    }

    /// Who checks this log's heads; its `vkey()` is what other people's verifiers take.
    pub fn verifier(&self) -> &Verifier {
        self.keys.signer.verifier()
    }

    /// The slots of subjects' keys as they are now.
    pub(crate) fn slots(&self) -> Result<SlotView, AuditError> {
        SlotView::load(&self.dir, &self.keys.payload, &self.keys.origin)
    }

    /// From where on the log has its entries.
    pub(crate) fn minimum(&self) -> Result<Minimum, AuditError> {
        Minimum::read(&self.dir, &self.keys)
    }

    /// The log as it is now.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, AuditError> {
        Snapshot::settled(&self.dir)
    }
}

impl Iterator for Entries {
    type Item = Result<(u64, Entry), AuditError>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.rest.next()?;
        Some(self.read(index).map(|(_, entry)| (index, entry)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.rest.end.saturating_sub(self.rest.start)).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}

impl Entries {
    /// The number after the last of them.
    pub fn end(&self) -> u64 {
        self.rest.end
    }

    /// As `next`, with the entry's leaf hash.
    pub fn next_with_leaf(&mut self) -> Option<Result<(u64, Hash, Entry), AuditError>> {
        let index = self.rest.next()?;
        Some(self.read(index).map(|(leaf, entry)| (index, leaf, entry)))
    }

    fn read(&mut self, index: u64) -> Result<(Hash, Entry), AuditError> {
        let Entries { snapshot, keys, bundle, slots, scratch, .. } = self;
        let sealed = sealed(snapshot, bundle, index)?;
        Ok((leaf_hash(sealed), keys.sealer.open(index, sealed, slots, scratch)?))
    }
}

/// An entry's sealed bytes, from the live file or from its bundle, which is kept for the next.
fn sealed<'a>(snapshot: &'a Snapshot, bundle: &'a mut Option<Bundle>, index: u64) -> Result<&'a [u8], AuditError> {
    if index >= snapshot.live.start.size {
        return snapshot.live_entry(index).ok_or(AuditError::NotFound(index));
    }
    let number = index / TILE_WIDTH;
    let damaged = || AuditError::Damaged(format!("the bundle that holds entry {index} is not whole"));
    if bundle.as_ref().is_none_or(|held| held.number != number) {
        let bytes = snapshot.tile(TilePath::full(Level::Entries, number))?;
        let entries = decode_entries(&bytes).ok_or_else(damaged)?.into_iter().map(<[u8]>::to_vec).collect();
        *bundle = Some(Bundle { number, entries });
    }
    let at = usize::try_from(index % TILE_WIDTH).unwrap_or_default();
    let entry = bundle.as_ref().and_then(|bundle| bundle.entries.get(at));
    entry.map(Vec::as_slice).ok_or_else(damaged)
}

impl Keys {
    pub(crate) fn new(keys: AuditKeys, origin: &str) -> Result<Keys, AuditError> {
        let signer = Signer::new(origin, &keys.signing_seed).ok_or_else(|| AuditError::Origin(origin.to_owned()))?;
        let sealer = Sealer::new(keys.payload.clone(), origin);
        Ok(Keys { payload: keys.payload, sealer, signer, origin: origin.to_owned() })
    }
}

impl Snapshot {
    /// The log as it is now. A writer met in the middle of a write is given time to end it.
    pub(crate) fn settled(dir: &PrivateDir) -> Result<Snapshot, AuditError> {
        let mut tries = TRIES;
        loop {
            let found = Snapshot::load(dir)?;
            tries -= 1;
            if found.live.ending == Ending::Clean || tries == 0 {
                return Ok(found);
            }
            std::thread::yield_now();
        }
    }

    pub(crate) fn load(dir: &PrivateDir) -> Result<Snapshot, AuditError> {
        let bytes = dir.read(LIVE, MAX_LIVE).map_err(AuditError::io("read the audit log"))?;
        let bytes = bytes.ok_or_else(|| AuditError::Damaged(format!("`{LIVE}` is missing")))?;
        let clone = dir.try_clone().map_err(AuditError::io("read the audit log"))?;
        Snapshot::parse(clone, bytes).ok_or_else(|| AuditError::Damaged(format!("the start of `{LIVE}` is not whole")))
    }

    pub(crate) fn parse(dir: PrivateDir, bytes: Vec<u8>) -> Option<Snapshot> {
        let live = Live::parse(&bytes)?;
        let entries = live.records.iter().enumerate().filter(|(_, record)| record.kind == Kind::Entry);
        let entries = entries.map(|(at, _)| at).collect();
        Some(Snapshot { store: Store::new(dir), bytes, live, entries })
    }

    /// Lets go of whatever stands after the last record, and has room for as many bytes as the file, which are the
    /// system's until they are used.
    pub(crate) fn end_here(&mut self, capacity: usize) {
        self.bytes.truncate(self.live.end);
        self.bytes.shrink_to_fit();
        self.bytes.reserve_exact(capacity.saturating_sub(self.bytes.len()));
    }

    /// Takes in records that were written after the last one. They are of `bytes`, and fill them.
    pub(crate) fn extend(&mut self, bytes: &[u8], records: Vec<Record>) {
        let end = self.live.end;
        for Record { kind, at, body, leaf } in records {
            if kind == Kind::Entry {
                self.entries.push(self.live.records.len());
            }
            self.live.records.push(Record { kind, at: end + at, body: end + body.start..end + body.end, leaf });
        }
        self.bytes.extend_from_slice(bytes);
        self.live.end = self.bytes.len();
    }

    /// Entries in all, signed or not.
    pub(crate) fn size(&self) -> u64 {
        self.live.start.size + self.entries.len() as u64
    }

    /// The sealed bytes of an entry in the live file.
    pub(crate) fn live_entry(&self, index: u64) -> Option<&[u8]> {
        self.bytes.get(self.record(index)?.body.clone())
    }

    /// The sealed bytes of an entry.
    pub(crate) fn sealed(&self, index: u64) -> Result<Vec<u8>, AuditError> {
        let mut bundle = None;
        if index < self.size() {
            Ok(sealed(self, &mut bundle, index)?.to_vec())
        } else {
            Err(AuditError::NotFound(index))
        }
    }

    /// The record of an entry in the live file.
    pub(crate) fn record(&self, index: u64) -> Option<&Record> {
        let at = usize::try_from(index.checked_sub(self.live.start.size)?).ok()?;
        self.live.records.get(*self.entries.get(at)?)
    }

    /// The leaf hashes of the entries in the live file.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = Hash> {
        self.entries.iter().filter_map(|at| self.live.records.get(*at)).map(|record| record.leaf)
    }

    /// The last note in the file, and the number of entries before it.
    pub(crate) fn last_note(&self) -> (&str, u64) {
        let heads = self.live.records.iter().enumerate().rev().find(|(_, record)| record.kind == Kind::Head);
        match heads {
            None => (&self.live.start.note, self.live.start.size),
            Some((at, head)) => {
                let before = self.entries.partition_point(|entry| *entry < at) as u64;
                let note = self.bytes.get(head.body.clone()).and_then(|note| std::str::from_utf8(note).ok());
                (note.unwrap_or_default(), self.live.start.size + before)
            }
        }
    }

    /// The newest signed head, its signature checked, and its note.
    pub(crate) fn head(&self, verifier: &Verifier) -> Result<(Checkpoint, &str), AuditError> {
        use crate::note::{Note, NoteError};
        let (note, size) = self.last_note();
        match verifier.open(note.as_bytes()) {
            Ok(head) if head.size == size => Ok((head, note)),
            Ok(_) => Err(AuditError::Damaged("its newest tree head is of another size than what it holds".to_owned())),
            Err(NoteError::NotSigned) if Note::parse(note.as_bytes()).is_ok() => {
                Err(AuditError::WrongKey("the audit log"))
            }
            Err(why) => Err(AuditError::Damaged(format!("its newest tree head cannot be believed: {why}"))),
        }
    }

    /// The tree of the first `size` entries, which must not be fewer than those in full tiles.
    pub(crate) fn range_at(&self, size: u64) -> CompactRange {
        let mut range = range_of(&self.live.start.edge);
        for leaf in self.leaves().take(usize::try_from(size.saturating_sub(range.size())).unwrap_or(usize::MAX)) {
            range.push(0, leaf);
        }
        range
    }

    /// The root of the first `size` entries.
    pub(crate) fn root_at(&self, size: u64) -> Result<Hash, AuditError> {
        if size >= self.live.start.size { Ok(self.range_at(size).root()) } else { self.old_root(size) }
    }

    /// The same, where entries before `minimum` were pruned.
    pub(crate) fn root_since(&self, size: u64, minimum: u64) -> Result<Hash, AuditError> {
        if size < minimum { Err(AuditError::Pruned(size)) } else { self.root_at(size) }
    }

    /// The newest entries, up to `count` of them, with their indices.
    pub(crate) fn newest_sealed(&self, count: u64) -> Result<Vec<(u64, Vec<u8>)>, AuditError> {
        let size = self.size();
        let from = size.saturating_sub(count);
        let start = self.live.start.size;
        if start == size && size > 0 {
            let bytes = self.tile(TilePath::full(Level::Entries, (size - 1) / TILE_WIDTH))?;
            let entries = decode_entries(&bytes)
                .ok_or_else(|| AuditError::Damaged("the newest bundle of entries is not whole".to_owned()))?;
            let first = size - TILE_WIDTH;
            let all = (first..).zip(entries).map(|(at, entry)| (at, entry.to_vec()));
            return Ok(all.filter(|(at, _)| *at >= from).collect());
        }
        let entry = |at| self.live_entry(at).map(|sealed| (at, sealed.to_vec()));
        Ok((from.max(start)..size).filter_map(entry).collect())
    }

    fn old_root(&self, size: u64) -> Result<Hash, AuditError> {
        if size == 0 { Ok(CompactRange::new().root()) } else { proof::root(self, size) }
    }

    /// A full tile's or bundle's bytes, which must be there.
    pub(crate) fn tile(&self, tile: TilePath) -> Result<Vec<u8>, AuditError> {
        let read = self.store.read(tile).map_err(AuditError::io("read the audit log"))?;
        read.ok_or_else(|| AuditError::Damaged(format!("`{}` is missing", tile.path())))
    }

    /// The hashes of a full tile on the disk.
    pub(crate) fn full_tile(&self, folders: &mut Folders, level: u8, number: u64) -> Result<Vec<Hash>, AuditError> {
        let tile = TilePath::full(Level::Hashes(level), number);
        let read = self.store.read_in(folders, tile).map_err(AuditError::io("read the audit log"))?;
        let bytes = read.ok_or_else(|| AuditError::Damaged(format!("`{}` is missing", tile.path())))?;
        let hashes = decode_hashes(&bytes).filter(|hashes| hashes.len() as u64 == TILE_WIDTH);
        hashes.ok_or_else(|| AuditError::Damaged(format!("`{}` is not whole", tile.path())))
    }

    /// The hashes of a tile from `from` on, `count` of them.
    pub(crate) fn hashes(&self, level: u8, from: u64, count: u64) -> Result<Vec<Hash>, AuditError> {
        let number = from / TILE_WIDTH;
        let nodes = self.live.start.size.checked_shr(8 * u32::from(level)).unwrap_or(0);
        let edge = (level > 0 && number == nodes / TILE_WIDTH)
            .then(|| self.live.start.edge.get(usize::from(level) - 1))
            .flatten();
        let row = match edge {
            Some(edge) => edge.clone(),
            None => {
                let path = TilePath::full(Level::Hashes(level), number);
                let damaged = || AuditError::Damaged(format!("`{}` is not whole", path.path()));
                decode_hashes(&self.tile(path)?).ok_or_else(damaged)?
            }
        };
        let at = usize::try_from(from % TILE_WIDTH).unwrap_or_default();
        let end = at + usize::try_from(count).unwrap_or_default();
        let damaged = || AuditError::Damaged(format!("tile {number} of level {level} is too short"));
        row.get(at..end).map(<[Hash]>::to_vec).ok_or_else(damaged)
    }
}

/// Of the full tiles only.
impl Nodes for Snapshot {
    type Error = AuditError;

    fn node(&self, height: u32, index: u64) -> Result<Hash, AuditError> {
        let (level, within) = (u8::try_from(height / 8).unwrap_or(u8::MAX), height % 8);
        Ok(root_of(&self.hashes(level, index << within, 1 << within)?))
    }
}

/// The tree that these partial tiles (from level 1 up) are the edge of.
pub(crate) fn range_of(edge: &[Vec<Hash>]) -> CompactRange {
    let mut range = CompactRange::new();
    for (level, row) in edge.iter().enumerate().rev() {
        for hash in row {
            range.push(8 * (level as u32 + 1), *hash);
        }
    }
    range
}
