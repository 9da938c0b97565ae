//! What was taken out of the store on purpose, as its segments remember it: so that a missing run or segment can be
//! told from a stolen one.

use raincoat_types::{OpId, RunId, Timestamp, Ulid};
use serde::{Deserialize, Serialize};

use crate::format::Tag;

/// Body of [`crate::format::Kind::Dropped`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Dropped {
    /// When.
    pub(crate) at: Timestamp,
    /// By which rule, in words.
    pub(crate) rule: String,
    /// Runs whose operations can no longer be taken back.
    pub(crate) runs: Vec<PrunedRun>,
    /// Segments whose files go: what is still needed of them stands in other segments.
    pub(crate) segments: Vec<DroppedSegment>,
    /// Segments, named in an earlier record, whose files are gone by now.
    pub(crate) gone: Vec<Ulid>,
    /// Operations that damage took, in part or whole, and that a repair found nothing more of.
    pub(crate) lost: Vec<OpId>,
}

/// A run that was pruned: what is left of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PrunedRun {
    /// The run.
    pub run: RunId,
    /// When it began.
    pub began: Timestamp,
    /// What was asked of it, cut at 200 characters.
    pub goal: String,
    /// Operations that it had.
    pub ops: u32,
}

/// A segment whose file was taken away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct DroppedSegment {
    /// Its name.
    pub(crate) id: Ulid,
    /// The tag of its last record: what the segment after it says of its predecessor. Zeroes where it could not be read.
    pub(crate) last: Tag,
    /// It was damaged: its file is kept beside, under another name, until the person says otherwise.
    pub(crate) damaged: bool,
}

/// When and by which rule a run was pruned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pruning {
    /// What is left of the run.
    pub run: PrunedRun,
    /// When it was pruned.
    pub at: Timestamp,
    /// By which rule, in words.
    pub rule: String,
}
