//! What is remembered of a draft besides its files.

use raincoat_types::{Root, RunId, Timestamp};
use serde::{Deserialize, Serialize};

/// A draft as it is remembered, sealed, in `draft.bin`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The program's run.
    pub run: RunId,
    /// The command and its arguments.
    pub command: Vec<Vec<u8>>,
    /// The profile's name, if it ran with one.
    pub profile: Option<String>,
    /// When it began.
    pub began: Timestamp,
    /// The granted folders, in the order of their numbers.
    pub folders: Vec<RecordedFolder>,
    /// Where it stands.
    pub state: State,
}

/// A granted folder of a draft.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RecordedFolder {
    /// Grant, absolute path and identity of the folder.
    pub root: Root,
    /// Where the draft's part for this folder lies.
    pub place: Place,
    /// A change time on the folder's own file system from when the draft began: what the folder's file system stamps
    /// with this or later was changed underneath.
    pub since: Timestamp,
}

/// Where a folder's part of a draft lies: the directory that holds `upper`, `work` and `mask`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Place {
    /// Its absolute path, as bytes.
    #[serde(with = "serde_bytes")]
    pub path: Vec<u8>,
    /// It is on the folder's own file system: a commit can rename instead of copy.
    pub same_file_system: bool,
}

/// Where a draft stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum State {
    /// The program runs, or its keeper died before it could say how it ended.
    Running,
    /// The program ended: its exit code, or 128 and the signal's number.
    Ended {
        /// When.
        at: Timestamp,
        /// The exit code.
        code: i32,
    },
}
