//! Proofs, many of one log: its end is read once, and again whenever it has changed; of the tiles above the entries
//! those that were used last are kept. Each proof is checked against the signed root before it is given away, so that
//! nothing that is kept needs to be believed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use raincoat_os::PrivateDir;

use crate::AuditError;
use crate::hash::{Hash, node_hash};
use crate::live::{Ending, PREAMBLE};
use crate::minimum::Minimum;
use crate::note::Checkpoint;
use crate::proof::{self, Nodes};
use crate::reader::{AuditReader, Keys, LIVE, Snapshot};
use crate::store::Folders;
use crate::tile::{LEVELS, TILE_WIDTH};

/// Tiles above the entries that are kept: a log of ten million entries has 153 of them.
const KEPT: usize = 256;

/// Folders of a thousand tiles each that are kept open: a log of ten million entries has 40.
const FOLDERS: usize = 64;

/// Bytes on either side of the records' end that are looked at to see whether the log is still the same: a frame's
/// header.
const AROUND: usize = 8;

/// Makes proofs of one log, against its newest signed head.
///
/// The first proof, and the next one after the log has grown, cost a reading of the live file. All others read one
/// tile.
pub struct Prover {
    dir: PrivateDir,
    keys: Arc<Keys>,
    pub(crate) now: Now,
    kept: RefCell<Kept>,
}

/// The proof that an entry is in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InclusionProof {
    /// Which entry.
    pub index: u64,
    /// Its leaf hash.
    pub leaf: Hash,
    /// The hashes that lead to the root.
    pub path: Vec<Hash>,
    /// The tree head that they lead to.
    pub head: Checkpoint,
    /// That head as a signed note, for others.
    pub note: String,
}

/// The log at one moment.
pub(crate) struct Now {
    pub(crate) snapshot: Snapshot,
    pub(crate) head: Checkpoint,
    pub(crate) note: String,
    /// By level and number: every tile that is not on the disk yet, or not full.
    newest: BTreeMap<(u8, u64), Subtree>,
}

/// Full tiles of earlier proofs.
#[derive(Default)]
struct Kept {
    /// The last one with hashes of entries. There are too many of them to be met again, but by the entries beside.
    lowest: Option<(u64, Subtree)>,
    /// By level and number, with when each was last used.
    upper: BTreeMap<(u8, u64), (u64, Subtree)>,
    used: u64,
    /// Folders of tiles, open: each is looked for by name from the log's own folder on.
    folders: Folders,
}

/// A tile with all nodes above its hashes, as far as they are full: by height, from left to right.
struct Subtree(Vec<Vec<Hash>>);

impl AuditReader {
    /// Makes many proofs for less than [`AuditReader::prove_inclusion`] takes for each.
    ///
    /// # Errors
    /// As [`AuditReader::head`].
    pub fn prover(&self) -> Result<Prover, AuditError> {
        let dir = self.dir.try_clone().map_err(AuditError::io("read the audit log"))?;
        let now = Now::load(&dir, &self.keys)?;
        Ok(Prover { dir, keys: Arc::clone(&self.keys), now, kept: RefCell::default() })
    }
}

impl Prover {
    /// The proof that entry `index` is in the log, against its newest head.
    ///
    /// # Errors
    /// [`AuditError::NotFound`] where that head does not cover it; [`AuditError::Pruned`];
    /// [`AuditError::Damaged`] where a tile cannot be read or does not lead to the signed root.
    pub fn prove_inclusion(&mut self, index: u64) -> Result<InclusionProof, AuditError> {
        self.refresh()?;
        let head = self.now.head.clone();
        if index >= head.size {
            return Err(AuditError::NotFound(index));
        }
        if index < Minimum::read(&self.dir, &self.keys)?.index {
            return Err(AuditError::Pruned(index));
        }
        let (leaf, path) = self.path(index, &head)?;
        Ok(InclusionProof { index, leaf, path, head, note: self.now.note.clone() })
    }

    /// An entry's leaf hash and the hashes that lead from it to a head that the log contains.
    pub(crate) fn path(&self, index: u64, head: &Checkpoint) -> Result<(Hash, Vec<Hash>), AuditError> {
        let from_disk = self.kept.borrow().is_empty();
        match self.try_path(index, head) {
            // What is kept may be of a log that another was put in the place of since, or of a tile mended since.
            Err(_) if !from_disk => {
                *self.kept.borrow_mut() = Kept::default();
                self.try_path(index, head)
            }
            proved => proved,
        }
    }

    fn try_path(&self, index: u64, head: &Checkpoint) -> Result<(Hash, Vec<Hash>), AuditError> {
        let (leaf, path) = (self.node(0, index)?, proof::inclusion(self, index, head.size)?);
        if !proof::check_inclusion(&leaf, index, head.size, &path, &head.root) {
            return Err(AuditError::Damaged(format!("entry {index} does not lead to the log's signed root")));
        }
        Ok((leaf, path))
    }

    /// The hashes that prove that the first `old` entries are the start of the newest head's tree.
    pub(crate) fn consistency(&self, old: u64) -> Result<Vec<Hash>, AuditError> {
        let size = self.now.head.size;
        if old > size { Err(AuditError::NotFound(old)) } else { proof::consistency(self, old, size) }
    }

    /// Reads the log's end again where it is no longer what it was.
    fn refresh(&mut self) -> Result<(), AuditError> {
        if !self.is_current().map_err(AuditError::io("read the audit log"))? {
            self.now = Now::load(&self.dir, &self.keys)?;
        }
        Ok(())
    }

    /// Whether the live file is the same one and ends where it did.
    fn is_current(&self) -> io::Result<bool> {
        let Snapshot { bytes, live, .. } = &self.now.snapshot;
        let Some(file) = self.dir.open_file(LIVE)? else { return Ok(false) };
        let (mut preamble, mut around) = ([0; PREAMBLE], [0; 2 * AROUND]);
        file.read_at(&mut preamble, 0)?;
        let before = live.end.saturating_sub(AROUND);
        file.read_at(&mut around, before as u64)?;
        let (last, next) = around.split_at(AROUND);
        let same = bytes.starts_with(&preamble) && bytes.get(before..live.end) == Some(last);
        Ok(same && next == [0; AROUND] && live.ending == Ending::Clean)
    }
}

impl Nodes for Prover {
    type Error = AuditError;

    fn node(&self, height: u32, index: u64) -> Result<Hash, AuditError> {
        let (level, within) = (u8::try_from(height / 8).unwrap_or(u8::MAX), height % 8);
        let (number, at) = (index >> (8 - within), index % (TILE_WIDTH >> within));
        let found = match self.now.newest.get(&(level, number)) {
            Some(newest) => newest.node(within, at),
            None => self.kept.borrow_mut().get(&self.now.snapshot, level, number)?.node(within, at),
        };
        found.ok_or_else(|| AuditError::NotFound(index << height))
    }
}

impl Now {
    fn load(dir: &PrivateDir, keys: &Keys) -> Result<Now, AuditError> {
        let snapshot = Snapshot::settled(dir)?;
        let (head, note) = snapshot.head(keys.signer.verifier())?;
        Ok(Now { head, note: note.to_owned(), newest: newest(&snapshot), snapshot })
    }
}

/// The tiles, whole or not, that the entries of the live file are in, from the lowest level up.
fn newest(snapshot: &Snapshot) -> BTreeMap<(u8, u64), Subtree> {
    let mut newest = BTreeMap::new();
    let mut row: Vec<Hash> = snapshot.leaves().collect();
    let mut edges = snapshot.live.start.edge.iter();
    for level in 0..LEVELS {
        let first = (snapshot.live.start.size >> (8 * u32::from(level))) / TILE_WIDTH;
        let mut above: Vec<Hash> = edges.next().cloned().unwrap_or_default();
        for (number, hashes) in (first..).zip(row.chunks(TILE_WIDTH as usize)) {
            let subtree = Subtree::new(hashes);
            above.extend(subtree.node(8, 0));
            newest.insert((level, number), subtree);
        }
        row = above;
    }
    newest
}

impl Kept {
    fn is_empty(&self) -> bool {
        self.lowest.is_none() && self.upper.is_empty() && self.folders.is_empty()
    }

    /// A full tile, read where it is not kept.
    fn get(&mut self, snapshot: &Snapshot, level: u8, number: u64) -> Result<&Subtree, AuditError> {
        self.used += 1;
        let key = (level, number);
        if level == 0 {
            let held = match self.lowest.take().filter(|(held, _)| *held == number) {
                Some(held) => held,
                None => (number, self.read(snapshot, key)?),
            };
            return Ok(&self.lowest.insert(held).1);
        }
        if !self.upper.contains_key(&key) {
            if self.upper.len() >= KEPT {
                let oldest = self.upper.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key);
                oldest.map(|oldest| self.upper.remove(&oldest));
            }
            let read = self.read(snapshot, key)?;
            self.upper.insert(key, (self.used, read));
        }
        let (used, subtree) = self.upper.get_mut(&key).ok_or(AuditError::NotFound(number))?;
        *used = self.used;
        Ok(subtree)
    }

    fn read(&mut self, snapshot: &Snapshot, (level, number): (u8, u64)) -> Result<Subtree, AuditError> {
        if self.folders.len() >= FOLDERS {
            self.folders.clear();
        }
        let hashes = snapshot.full_tile(&mut self.folders, level, number)?;
        Ok(Subtree::new(&hashes))
    }
}

impl Subtree {
    fn new(hashes: &[Hash]) -> Subtree {
        let mut rows = vec![hashes.to_vec()];
        while let Some(row) = rows.last().filter(|row| row.len() > 1) {
            let (pairs, _) = row.as_chunks::<2>();
            rows.push(pairs.iter().map(|[left, right]| node_hash(left, right)).collect());
        }
        Subtree(rows)
    }

    fn node(&self, height: u32, index: u64) -> Option<Hash> {
        self.0.get(height as usize)?.get(usize::try_from(index).ok()?).copied()
    }
}
