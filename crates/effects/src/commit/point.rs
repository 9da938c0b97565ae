//! The commit point: what recovery needs beside the intents to carry a commit through or take it back. It stands in the
//! journal as a note of the commit's run, behind all of its intents.

use raincoat_types::{Identity, RelPath, Timestamp};
use serde::{Deserialize, Serialize};

/// The form of what follows.
const VERSION: u32 = 1;

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Point {
    version: u32,
    /// Where the draft lies, in the order of the run's folders.
    pub(super) sources: Vec<Option<Lying>>,
    /// The draft goes on after this commit.
    pub(super) stays: bool,
    /// What each operation does, in order.
    pub(super) deeds: Vec<Deed>,
    /// Folders whose entries the commit alters, as they were.
    pub(super) dirs: Vec<Touched>,
}

/// Where one folder's part of a draft lies.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lying {
    /// Its upper directory, absolute.
    pub upper: Vec<u8>,
    /// Which directory that is.
    pub upper_identity: Identity,
    /// Its staging directory, absolute.
    pub stage: Vec<u8>,
    /// Which directory that is.
    pub stage_identity: Identity,
    /// The program had ended.
    pub ended: bool,
}

/// What an operation of a commit does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Deed {
    /// A new file comes to a free name.
    Bring(Lies),
    /// A new file and the old one change places.
    Swap(Lies),
    /// The old file goes to the holding directory, under this number.
    Take(u64),
    /// New content is written into a file with other names.
    Write,
    /// A folder that nothing may be put into is opened, before anything else in it.
    Open,
    /// New metadata, after everything else.
    Meta,
}

/// Where something lies in the draft.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Lies {
    /// At the same path in the upper directory.
    Upper,
    /// In the staging directory, as the caller put it there under this number.
    Staged(u64),
    /// In the holding directory, as this commit put it there under this number.
    Held(u64),
}

/// A folder whose entries a commit alters.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Touched {
    /// Which of the run's folders it lies in.
    pub(super) folder: u32,
    /// Its path.
    pub(super) path: RelPath,
    /// Which directory it is.
    pub(super) identity: Identity,
    /// Its times before.
    pub(super) before: (Timestamp, Timestamp),
    /// Its times after, where the draft has it.
    pub(super) after: Option<(Timestamp, Timestamp)>,
}

impl Point {
    pub(super) fn new(sources: Vec<Option<Lying>>, stays: bool, deeds: Vec<Deed>, dirs: Vec<Touched>) -> Point {
        Point { version: VERSION, sources, stays, deeds, dirs }
    }

    /// Reads one; `None` where the bytes are none of this version's.
    pub fn read(bytes: &[u8]) -> Option<Point> {
        postcard::from_bytes(bytes).ok().filter(|point: &Point| point.version == VERSION)
    }

    pub(super) fn write(&self) -> Result<Vec<u8>, String> {
        postcard::to_stdvec(self).map_err(|e| e.to_string())
    }

    /// Where the draft lies, in the order of the run's folders.
    pub fn sources(&self) -> &[Option<Lying>] {
        &self.sources
    }

    /// Whether the draft goes on after this commit.
    pub fn stays(&self) -> bool {
        self.stays
    }
}
