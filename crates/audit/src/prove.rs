//! What a log shows to others: proof files, and what it sends to a witness.

use crate::hash::Hash;
use crate::note::{Checkpoint, MAX_NOTE};
use crate::proof;
use crate::proof_file::ProofFile;
use crate::prover::{InclusionProof, Now};
use crate::reader::AuditReader;
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

/// What remembers a head, in the words of an error.
const COSIGNED: &str = "the cosigned checkpoint";

impl AuditReader {
    /// The bytes of an entry as they stand in the log and lead to its leaf hash.
    ///
    /// # Errors
    /// [`AuditError::NotFound`], or where it cannot be read.
    pub fn sealed(&self, index: u64) -> Result<Vec<u8>, AuditError> {
        self.snapshot()?.sealed(index)
    }

    /// The proof that entry `index` is in the log, against its newest head. [`AuditReader::prover`] makes many.
    ///
    /// # Errors
    /// As [`Prover::prove_inclusion`](crate::Prover::prove_inclusion).
    pub fn prove_inclusion(&self, index: u64) -> Result<InclusionProof, AuditError> {
        self.prover()?.prove_inclusion(index)
    }

    /// The proof that the tree of the first `old` entries is the start of the newest one.
    ///
    /// # Errors
    /// [`AuditError::NotFound`] where the log has fewer entries; [`AuditError::Damaged`] where a tile cannot be read.
    pub fn prove_consistency(&self, old: u64) -> Result<(Vec<Hash>, Checkpoint), AuditError> {
        let prover = self.prover()?;
        Ok((prover.consistency(old)?, prover.now.head))
    }

    /// The proof that entry `index` is in the log, against a checkpoint of ours: the newest one, or `note`, an older one
    /// that others have signed too.
    ///
    /// # Errors
    /// [`AuditError::NotFound`] where the checkpoint does not cover the entry; [`AuditError::Forked`] where the log is not
    /// the one that `note` is of; else where something cannot be read.
    pub fn prove(&self, index: u64, note: Option<&str>, extra: Option<Vec<u8>>) -> Result<ProofFile, AuditError> {
        let prover = self.prover()?;
        let Now { head: newest, note: newest_note, snapshot, .. } = &prover.now;
        let (head, note) = match note {
            None => (newest.clone(), newest_note.as_str()),
            Some(note) => {
                let foreign = |why| AuditError::Damaged(format!("a cosigned checkpoint cannot be believed: {why}"));
                let head = self.verifier().open(note.as_bytes()).map_err(foreign)?;
                if head.size > newest.size {
                    return Err(AuditError::RolledBack {
                        log: newest.size,
                        head: head.size,
                        memory: COSIGNED.to_owned(),
                    });
                }
                (head, note)
            }
        };
        if index >= head.size {
            return Err(AuditError::NotFound(index));
        }
        if proof::root(&prover, head.size)? != head.root {
            return Err(AuditError::Forked { size: head.size, memory: COSIGNED.to_owned() });
        }
        let (leaf, path) = prover.path(index, &head)?;
        if leaf_hash(&snapshot.sealed(index)?) != leaf {
            return Err(AuditError::Damaged(format!("entry {index} is not the one in the tree")));
        }
        Ok(ProofFile { extra, index, path, note: note.to_owned() })
    }

    /// The request by which a witness that knows the first `old` entries is told of the newest tree head.
    ///
    /// # Errors
    /// [`AuditError::NotFound`] where the log has fewer entries; else where something cannot be read.
    pub fn to_witness(&self, old: u64) -> Result<ToWitness, AuditError> {
        let prover = self.prover()?;
        let body = submission(old, &prover.consistency(old)?, &prover.now.note);
        let Now { head, note, .. } = prover.now;
        Ok(ToWitness { body, head, note })
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
