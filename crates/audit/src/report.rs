//! What verification says.

use crate::hash::Hash;

/// Problems that a report lists; of more it only says how many.
const LISTED: usize = 1000;

/// What `verify` found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VerifyReport {
    /// Entries in the log.
    pub entries: u64,
    /// Of these, how many the newest tree head covers.
    pub signed: u64,
    /// The root of those, as computed.
    pub root: Option<Hash>,
    /// Entries before this one were pruned.
    pub pruned: u64,
    /// Entries that are erased.
    pub erased: u64,
    /// Every payload was opened, not only the outer parts.
    pub deep: bool,
    /// What the log was held against.
    pub checked: Vec<String>,
    /// What is wrong, in the order it was found; at most 1,000.
    pub problems: Vec<Problem>,
    /// How many more problems there are.
    pub more: u64,
    /// What is worth knowing and not wrong.
    pub notes: Vec<String>,
    /// What could not be checked here.
    pub unchecked: Vec<String>,
}

/// Something wrong with the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// What sort.
    pub kind: ProblemKind,
    /// The entry it concerns, where it is one.
    pub entry: Option<u64>,
    /// In words.
    pub text: String,
}

/// The sorts of problems.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ProblemKind {
    /// An entry, tile or note is not what it was.
    Changed,
    /// An entry or a file is missing.
    Dropped,
    /// Entries stand in another order.
    Reordered,
    /// Something is there that does not belong.
    Added,
    /// An entry stands there twice.
    Duplicated,
    /// The log ends before a tree head that was signed.
    Truncated,
    /// The log has other entries than a tree head that was signed says.
    Rewritten,
    /// Signed with another key.
    WrongKey,
    /// A signature is false.
    BadSignature,
    /// A process's own numbering has a gap.
    Gap,
    /// The disk could not read it.
    Unreadable,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }

    pub(crate) fn problem(&mut self, kind: ProblemKind, entry: Option<u64>, text: impl Into<String>) {
        if self.problems.len() < LISTED {
            self.problems.push(Problem { kind, entry, text: text.into() });
        } else {
            self.more += 1;
        }
    }
}
