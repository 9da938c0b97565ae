//! What can go wrong with the journal.

use std::io;

use raincoat_seal::SealError;
use raincoat_types::{ChunkId, OpId, RunId, Ulid};

/// An error of the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The system refused something.
    #[error("the journal could not {doing}: {source}; check the disk that holds the store, then run the command again")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// No space is left on the disk that holds the store. Nothing was recorded; what was is whole.
    #[error("the disk that holds the store is full, so nothing more can be backed up; free some space, then try again")]
    Full,
    /// Another process is in the middle of a change.
    #[error("another command is in the middle of a change; try again when it is done")]
    Busy,
    /// A write or a sync failed earlier: the kernel may have thrown our bytes away, so nothing more is taken.
    #[error("the journal takes no more changes since {0}; reading still works; check the disk, then start again")]
    Poisoned(String),
    /// Bytes of the store that were written are not what was written.
    #[error(
        "segment `{segment}` is damaged at byte {offset}: {what}; `raincoat store verify` says what it costs, `raincoat store repair` saves the rest"
    )]
    Corrupt {
        /// The segment.
        segment: Ulid,
        /// Where in it, in bytes.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A segment of a later version of the format.
    #[error(
        "segment `{segment}` was made by a newer raincoat (version {version} of the journal's format); use that one with this store, or update this one"
    )]
    Newer {
        /// The segment.
        segment: Ulid,
        /// The version of its format.
        version: u16,
    },
    /// The index, which is only a cache, failed.
    #[error("the journal's index failed: {0}; delete `index.db` in the store and it is made anew")]
    Index(rusqlite::Error),
    /// Sealing failed.
    #[error("the journal could not seal a record: {0}")]
    Seal(#[from] SealError),
    /// A record cannot be encoded, or is larger than 64 MiB.
    #[error("a record of {0} bytes is too large for the journal; split the change")]
    TooLarge(usize),
    /// No such run.
    #[error("there is no run `{0}`; `raincoat runs` lists them")]
    UnknownRun(RunId),
    /// No run's id begins or ends like that.
    #[error("no run matches `{0}`; `raincoat runs` lists them")]
    NoMatch(String),
    /// The run was pruned: its id, what was asked of it, and by which rule it went.
    #[error(
        "run `{0}` (`{1}`) was pruned from the store ({2}), so what it changed can no longer be taken back; `raincoat audit timeline {0}` still tells what it did"
    )]
    Pruned(RunId, String, String),
    /// Several runs' ids begin or end like that.
    #[error("`{0}` matches {1} runs; give more characters of the id")]
    Ambiguous(String, usize),
    /// No such operation.
    #[error("there is no operation `{0}`; `raincoat show RUN` lists a run's operations")]
    UnknownOp(OpId),
    /// The operation cannot be turned round: it was not done, or is still pending.
    #[error("operation `{0}` changed nothing that could be taken back")]
    NothingToUndo(OpId),
    /// The store has no such chunk.
    #[error("the store does not hold chunk `{}`; `raincoat store verify` says what it costs", hex(.0))]
    UnknownChunk(ChunkId),
    /// A fault in the caller: the run is not open in this process.
    #[error("run `{0}` is not open here (a fault of raincoat's: please report it)")]
    NotOpen(RunId),
    /// A fault in the caller: the run was begun before.
    #[error("run `{0}` was begun before (a fault of raincoat's: please report it)")]
    BegunBefore(RunId),
    /// A fault in the caller: operations are numbered from 1 without gaps.
    #[error("operation `{0}` is out of order (a fault of raincoat's: please report it)")]
    OutOfOrder(OpId),
    /// A fault in the caller: the operation is not pending.
    #[error("operation `{0}` is not pending (a fault of raincoat's: please report it)")]
    NotPending(OpId),
    /// A fault in the caller: a run ends only when all of its operations are settled.
    #[error("run `{0}` has {1} unsettled operations (a fault of raincoat's: please report it)")]
    StillPending(RunId, usize),
    /// A fault in the caller: what the change replaces or removes is not in the store.
    #[error("operation `{0}` would destroy content that is not in the store (a fault of raincoat's: please report it)")]
    NotStored(OpId),
}

impl JournalError {
    /// Says what was being done when the system refused. A full disk is an error of its own.
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> JournalError {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => JournalError::Full,
            _ => JournalError::Io { doing, source },
        }
    }
}

impl From<rusqlite::Error> for JournalError {
    fn from(error: rusqlite::Error) -> JournalError {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => JournalError::Full,
            _ => JournalError::Index(error),
        }
    }
}

fn hex(id: &ChunkId) -> String {
    id.0.iter().map(|b| format!("{b:02x}")).collect()
}
