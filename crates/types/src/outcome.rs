//! What came of a proposal, as its proposer is told.

use serde::{Deserialize, Serialize};

use crate::{Digest, FileKind, Meta, OpId, RelPath};

/// What came of a proposal.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// What was found.
    Read(ReadDone),
    /// What was changed.
    Change(ChangeDone),
    /// The model's reply has ended; its bytes came before, as chunks.
    Model {
        /// HTTP status.
        status: u16,
    },
    /// The gate or a person said no.
    Refused(Refusal),
    /// It was tried and did not happen; the files are as they were but for what `done` lists.
    Failed(Failure),
}

/// What was found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum ReadDone {
    /// Entries of a directory.
    List {
        /// In name order, a directory before what is in it.
        entries: Vec<DirEntry>,
        /// More follow: ask again with `skip` grown by this page's length.
        more: bool,
    },
    /// One file.
    Stat(DirEntry),
    /// Bytes.
    Bytes {
        /// From the offset that was asked for.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
        /// The whole file's size.
        size: u64,
        /// The whole file's digest where it was read whole.
        digest: Option<Digest>,
    },
    /// A digest.
    Hash(Digest),
    /// Matches.
    Search {
        /// In path order.
        matches: Vec<Match>,
        /// The limit was reached: there are more.
        more: bool,
    },
}

/// A file in a listing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DirEntry {
    /// Path beneath the run's folder (canonical).
    pub path: RelPath,
    /// Metadata. Extended attributes are left out of listings.
    pub meta: Meta,
    /// A symlink's target.
    pub target: Option<Vec<u8>>,
}

/// A line that matched.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Match {
    /// Path beneath the run's folder.
    pub path: RelPath,
    /// Line number, from 1.
    pub line: u64,
    /// The line, cut at `limits.search_line` bytes.
    #[serde(with = "serde_bytes")]
    pub text: Vec<u8>,
}

/// What was changed.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ChangeDone {
    /// The operations it took, each of them undoable; empty where nothing needed doing.
    pub ops: Vec<OpId>,
}

/// A no, with its reason.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// The rule that refused, by a short stable name such as `no-grant` or `protected-name`.
    pub rule: String,
    /// In words, with what would change the answer.
    pub message: String,
}

/// A failure, with what to do next.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// What sort.
    pub kind: FailureKind,
    /// What, where, and what to do next.
    pub message: String,
    /// Operations that had been done before it failed; they stay undoable.
    pub done: Vec<OpId>,
}

/// Whose fault it is and what can be done (HABITS 15).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum FailureKind {
    /// No such file.
    NotFound,
    /// Something is there already.
    Exists,
    /// Not the kind of file that this needs.
    WrongKind,
    /// The file is not as the proposal expected: someone changed it.
    Changed,
    /// The system says no (permission, read-only file system).
    Denied,
    /// No space or quota left.
    Full,
    /// Too large, too deep, too many, too long.
    Limit,
    /// The path leaves the granted folder.
    Outside,
    /// Bad input: a pattern, an archive, a name.
    Invalid,
    /// The network or the provider.
    Network,
    /// The disk or the store failed: nothing more is changed in this run.
    Broken,
    /// Stopped by the person.
    Stopped,
}

impl DirEntry {
    /// Shorthand for the kind.
    pub fn kind(&self) -> FileKind {
        self.meta.kind
    }
}

impl Failure {
    /// A failure that left nothing done.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Failure {
        Failure { kind, message: message.into(), done: Vec::new() }
    }
}
