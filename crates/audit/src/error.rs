//! What can go wrong with the log, sorted by what the person can do about it.

use std::io;

/// Why the log could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The system failed a call. The log is as it was.
    #[error("could not {what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// The system's words.
        source: io::Error,
    },
    /// The disk is full. The log is as it was, and takes entries again once there is room.
    #[error("the disk is full: the audit log takes no entry until there is room (free some space and try again)")]
    Full,
    /// The disk failed to make something durable. This handle takes nothing more; the next one to open the log
    /// rewrites what can be read into a fresh file first.
    #[error(
        "the disk failed while the audit log was being made durable; nothing more is logged by this process \
         (check the disk, then start again)"
    )]
    Poisoned,
    /// The entries are durable, but the tree head kept apart could not be replaced.
    #[error(
        "the entries are in the audit log, but the tree head kept apart could not be written: {0} (check that place)"
    )]
    HeadNotKept(io::Error),
    /// The log ends before the tree head kept apart.
    #[error(
        "the audit log ends at entry {log}, but {memory} says that it had {head}: its tail was cut off or it was rolled \
         back to an older copy (run `audit verify`; after a restore of your own, `audit accept`)"
    )]
    RolledBack {
        /// Signed entries in the log.
        log: u64,
        /// Entries it had once.
        head: u64,
        /// Who remembers that.
        memory: String,
    },
    /// The log's start is not what it was when the known tree head was made.
    #[error(
        "the audit log was rewritten: its first {size} entries are not those that {memory} knows (run `audit verify`; \
         after a restore of your own, `audit accept`)"
    )]
    Forked {
        /// The size at which both trees should be the same.
        size: u64,
        /// Who remembers another tree.
        memory: String,
    },
    /// The log, or the tree head kept apart, is signed with another key than ours.
    #[error("{0} is signed with another key than this store's (run `audit verify`; was another store restored here?)")]
    WrongKey(&'static str),
    /// A tree head kept apart cannot be read: which, and why.
    #[error("{0} is damaged: {1} (run `audit verify`, and if that finds nothing else `audit accept`)")]
    HeadDamaged(&'static str, String),
    /// The log is damaged where it was durable.
    #[error("the audit log is damaged: {0} (run `audit verify`)")]
    Damaged(String),
    /// The log's name cannot be one.
    #[error("`{0}` cannot name a log: 1 to {max} characters, none of them a space, control character or `+`", max = crate::note::MAX_ORIGIN)]
    Origin(String),
    /// Sealing or coding failed.
    #[error("an entry could not be sealed or read: {0}")]
    Seal(String),
    /// The key of one of an entry's subjects is missing or damaged, and was never erased.
    #[error(
        "entry {entry} cannot be read: the key in slot {slot} of `subjects` is missing or damaged (run `audit verify`)"
    )]
    KeyLost {
        /// The entry.
        entry: u64,
        /// The slot.
        slot: u32,
    },
    /// The entry was thrown away when its time was over.
    #[error("entry {0} was pruned: proofs of it that were made before stay valid (see `audit retention`)")]
    Pruned(u64),
    /// A legal hold stands in the way.
    #[error("hold {hold} stands on it (`{because}`): release it first, with `audit retention release {hold}`")]
    Held {
        /// The hold's number.
        hold: u32,
        /// Why it was placed.
        because: String,
    },
    /// Nothing in the log is about this subject.
    #[error("nothing in the audit log is about `{0}`, or it was erased already")]
    NoSubject(String),
    /// No such entry.
    #[error("there is no entry {0} in the audit log (see `audit tail`)")]
    NotFound(u64),
}

impl AuditError {
    /// Wraps the system's error; a full disk or quota has a kind of its own.
    pub(crate) fn io(what: &'static str) -> impl Fn(io::Error) -> AuditError {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => AuditError::Full,
            _ => AuditError::Io { what, source },
        }
    }
}
