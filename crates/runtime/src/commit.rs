//! Committing a draft, or part of one: a run of its own, the person's, all of it or nothing. It can be taken back like
//! any other.

use std::path::PathBuf;

use raincoat_types::{Expected, Meta, RelPath, RunId, RunStatus, Seen, Take};

/// What is to be committed.
#[derive(Clone, Debug)]
pub struct CommitAsk {
    /// The program's run.
    pub of: RunId,
    /// What was asked, in words.
    pub goal: String,
    /// The folders, as the program's run recorded them.
    pub roots: Vec<raincoat_types::Root>,
    /// Where the draft's part for each folder lies, in their order.
    pub sources: Vec<DraftSource>,
    /// What is to be adopted, in an order in which it can be: a folder before what is made in it, and after what goes
    /// from it.
    pub items: Vec<Adoption>,
    /// Paths with protected names that the person named, each with its folder's number.
    pub dangerous: Vec<(usize, RelPath)>,
    /// The draft goes on after this commit (only a part of it is committed): what comes out of the folders is then
    /// cleared out of the draft.
    pub stays: bool,
}

/// Where one folder's part of a draft lies. Whether its files can be moved from there, or must be copied, is found out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DraftSource {
    /// The overlay's upper directory.
    pub upper: PathBuf,
    /// A private directory for prepared contents, and for what comes out of the folder.
    pub stage: PathBuf,
    /// The program has ended.
    pub ended: bool,
}

/// One name that is to be as in the draft.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Adoption {
    /// The folder's number.
    pub folder: usize,
    /// The path beneath it.
    pub path: RelPath,
    /// What comes there.
    pub take: Take,
    /// What must stand there now.
    pub expect: Expected,
    /// What was seen of the draft's file when it was reviewed.
    pub new: Option<Seen>,
    /// Metadata to give it, where not the draft's own.
    pub meta: Option<Meta>,
}

/// What came of a commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommitReport {
    /// The commit's own run: undo takes it back.
    pub run: RunId,
    /// Changes made; 0 where nothing was committed.
    pub changes: u32,
    /// Paths that were left out, and why. The rest was committed without them.
    pub refused: Vec<(String, String)>,
    /// Paths that somebody changed meanwhile, and how. Nothing was committed then.
    pub conflicts: Vec<(String, String)>,
    /// How the run ended.
    pub status: RunStatus,
    /// In words, for the person.
    pub summary: String,
}
