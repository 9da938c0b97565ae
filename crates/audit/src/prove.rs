//! What a log shows to others: proof files, and what it sends to a witness.

use crate::hash::Hash;
use crate::note::{Checkpoint, MAX_NOTE};
use crate::proof;
use crate::proof_file::ProofFile;
use crate::reader::AuditReader;
use crate::tile::{Level, TILE_WIDTH, TilePath, decode_entries};
use crate::witness::submission;
use crate::{AuditError, leaf_hash};

/// How this log stands to a tree head that somebody remembers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It contains it.
    Contains,
    /// It has fewer entries, this many: its end was cut off, or it was rolled back.
    Shorter(u64),
    /// Its entries up to there are others: it was rewritten.
    Other,
}

/// A request to a witness, and what it is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ToWitness {
    /// The request's body.
    pub body: String,
    /// The tree head that is sent.
    pub head: Checkpoint,
    /// Its note.
    pub note: String,
}

impl AuditReader {
    /// The bytes of an entry as they stand in the log and lead to its leaf hash.
    ///
    /// # Errors
    /// [`AuditError::NotFound`], or where it cannot be read.
    pub fn sealed(&self, index: u64) -> Result<Vec<u8>, AuditError> {
        let snapshot = self.snapshot()?;
        if let Some(sealed) = snapshot.live_entry(index) {
            return Ok(sealed.to_vec());
        }
        if index >= snapshot.size() {
            return Err(AuditError::NotFound(index));
        }
        let bundle = snapshot.tile(TilePath::full(Level::Entries, index / TILE_WIDTH))?;
        let at = usize::try_from(index % TILE_WIDTH).unwrap_or_default();
        let entry = decode_entries(&bundle).and_then(|entries| entries.get(at).map(|entry| entry.to_vec()));
        entry.ok_or_else(|| AuditError::Damaged(format!("the bundle that holds entry {index} is not whole")))
    }

    /// The proof that entry `index` is in the log, against a checkpoint of ours: the newest one, or `note`, an older one
    /// that others have signed too.
    ///
    /// # Errors
    /// [`AuditError::NotFound`] where the checkpoint does not cover the entry; [`AuditError::Forked`] where the log is not
    /// the one that `note` is of; else where something cannot be read.
    pub fn prove(&self, index: u64, note: Option<&str>, extra: Option<Vec<u8>>) -> Result<ProofFile, AuditError> {
        let snapshot = self.snapshot()?;
        let (newest, newest_note) = snapshot.head(self.verifier())?;
        let (head, note) = match note {
            None => (newest, newest_note),
            Some(note) => {
                let foreign = |why| AuditError::Damaged(format!("a cosigned checkpoint cannot be believed: {why}"));
                let head = self.verifier().open(note.as_bytes()).map_err(foreign)?;
                if head.size > newest.size {
                    return Err(AuditError::RolledBack {
                        log: newest.size,
                        head: head.size,
                        memory: "a witness".to_owned(),
                    });
                }
                (head, note)
            }
        };
        if index >= head.size {
            return Err(AuditError::NotFound(index));
        }
        if snapshot.root_at(head.size)? != head.root {
            return Err(AuditError::Forked { size: head.size, memory: "a witness".to_owned() });
        }
        let path = proof::inclusion(&snapshot, index, head.size)?;
        let leaf = leaf_hash(&self.sealed(index)?);
        if !proof::check_inclusion(&leaf, index, head.size, &path, &head.root) {
            return Err(AuditError::Damaged(format!("entry {index} does not lead to the log's signed root")));
        }
        Ok(ProofFile { extra, index, path, note: note.to_owned() })
    }

    /// The request by which a witness that knows the first `old` entries is told of the newest tree head.
    ///
    /// # Errors
    /// [`AuditError::NotFound`] where the log has fewer entries; else where something cannot be read.
    pub fn to_witness(&self, old: u64) -> Result<ToWitness, AuditError> {
        let snapshot = self.snapshot()?;
        let (head, note) = snapshot.head(self.verifier())?;
        if old > head.size {
            return Err(AuditError::NotFound(old));
        }
        let path: Vec<Hash> = proof::consistency(&snapshot, old, head.size)?;
        let body = submission(old, &path, note);
        Ok(ToWitness { body, head, note: note.to_owned() })
    }

    /// Holds the log against a tree head that somebody remembers.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub fn standing(&self, head: &Checkpoint) -> Result<Standing, AuditError> {
        let snapshot = self.snapshot()?;
        if snapshot.size() < head.size {
            return Ok(Standing::Shorter(snapshot.size()));
        }
        Ok(if snapshot.root_at(head.size)? == head.root { Standing::Contains } else { Standing::Other })
    }

    /// Publishes the newest checkpoint with other people's signatures on it, where `note` is of what is published now.
    /// Gives `false` where something else is.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn publish_cosigned(&self, note: &str) -> Result<bool, AuditError> {
        let publishing = AuditError::io("publish the cosigned checkpoint");
        let _lock = self.dir.lock(crate::log::LOCK).map_err(&publishing)?;
        let published = self.dir.read(crate::log::CHECKPOINT, MAX_NOTE as u64).map_err(&publishing)?;
        let head = self.verifier().open(note.as_bytes()).ok();
        let same = published.as_deref().and_then(|published| self.verifier().open(published).ok());
        if head.is_none() || head != same {
            return Ok(false);
        }
        self.dir.replace(crate::log::CHECKPOINT, note.as_bytes()).map_err(publishing)?;
        Ok(true)
    }
}
