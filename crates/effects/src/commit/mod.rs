//! Committing a draft: many changes, all of them or none. Everything is checked and sealed first, then one point is
//! made durable from which the commit is carried through whatever happens, then each path is swapped, then all of it is
//! made durable.

use raincoat_os::Root;
use raincoat_types::{Failure, FailureKind, Spot};

/// One folder's part of a draft, open.
#[derive(Debug)]
pub struct Source {
    /// The directory that holds what the program changed, at the same paths as in the folder (an overlay's upper
    /// layer).
    pub upper: Root,
    /// A private directory of ours on the same file system: prepared contents lie there under numbers, and what the
    /// commit takes out of the folder is put there.
    pub stage: Root,
    /// The program has ended, so that its files can be moved; else they are copied.
    pub ended: bool,
}

/// What a commit works with.
#[derive(Debug)]
pub struct Begin {
    /// The parts of the draft, in the order of the run's folders; `None` where a folder has none, or where it is gone.
    pub sources: Vec<Option<Source>>,
    /// The draft goes on after this commit: what came out of the folder is cleared out of it.
    pub stays: bool,
}

/// What came of a commit.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// Operations made, each undoable. 0 where nothing was committed.
    pub changes: u32,
    /// Paths that somebody changed meanwhile, in words. Nothing was committed then.
    pub conflicts: Vec<(Spot, String)>,
    /// What else kept the commit from being made. Nothing was committed then, or (`Broken`) the next start carries it
    /// through or takes it back.
    pub failure: Option<Failure>,
}

/// An adoption outside a commit.
pub(crate) fn not_a_commit() -> Failure {
    Failure::new(FailureKind::Invalid, "only the commit of a draft may do this; see `raincoat commit`")
}
