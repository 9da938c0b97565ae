//! Primitive changes: what an effect comes down to on disk, what the journal keeps, and what undo turns round.
//!
//! Every file effect is a list of these. Each is atomic on disk (or recovered to be so), each says the state before
//! and after, and each has an inverse that is again one of these.

use serde::{Deserialize, Serialize};

use crate::{Actor, Digest, FileContent, GrantId, Meta, OpId, RunId, Spot, Timestamp};

/// A file at one moment: metadata and content.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Image {
    /// Everything but the content.
    pub meta: Meta,
    /// The content.
    pub content: Content,
}

/// What a file holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Content {
    /// A regular file's bytes.
    File(FileContent),
    /// A directory: its entries are files of their own.
    Dir,
    /// A symlink's target, as it stands in the link.
    Symlink(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A FIFO, socket or device: nothing of it is kept.
    Special,
}

/// One primitive change. `before` is what undo gives back; `after` is what undo expects to find.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Change {
    /// A file, directory or symlink where nothing was.
    Create {
        /// Where.
        at: Spot,
        /// What is to be there. Its identity and times are those wished for; the outcome has the real ones.
        after: Image,
    },
    /// Another content or metadata under the same name.
    Replace {
        /// Where.
        at: Spot,
        /// What was there.
        before: Image,
        /// What is to be there.
        after: Image,
        /// Written into the same inode, because it has other names; else swapped with `RENAME_EXCHANGE`.
        in_place: bool,
    },
    /// A file, symlink or empty directory taken away.
    Remove {
        /// Where.
        at: Spot,
        /// What was there.
        before: Image,
    },
    /// The same inode under another name; the new name was free.
    Move {
        /// From where.
        from: Spot,
        /// To where.
        to: Spot,
        /// What moves.
        image: Image,
    },
    /// One more name for an inode that has one (only undo makes these, to give hard links back).
    Link {
        /// A name that the inode has.
        existing: Spot,
        /// The name it gets.
        at: Spot,
        /// What the inode is.
        image: Image,
    },
    /// Metadata only, the content untouched.
    SetMeta {
        /// Where.
        at: Spot,
        /// What it was.
        before: Meta,
        /// What it is to be.
        after: Meta,
    },
}

/// The verb of a change, for tables and the log.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ChangeKind {
    /// See [`Change::Create`].
    Create,
    /// See [`Change::Replace`].
    Replace,
    /// See [`Change::Remove`].
    Remove,
    /// See [`Change::Move`].
    Move,
    /// See [`Change::Link`].
    Link,
    /// See [`Change::SetMeta`].
    SetMeta,
}

/// A directory's times around a change, so that undo can give them back where nobody has touched it since.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DirTimes {
    /// The directory.
    pub at: Spot,
    /// Its modification time.
    pub mtime: Timestamp,
    /// Its access time.
    pub atime: Timestamp,
}

/// What is durable in the journal before a change touches a user's file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Intent {
    /// The operation.
    pub op: OpId,
    /// When, by the keeper's clock.
    pub at: Timestamp,
    /// The change.
    pub change: Change,
    /// The temporary name beside the target, if the change uses one, so that recovery can find it.
    pub temp: Option<Spot>,
    /// Times of the directories whose entries the change alters, before it.
    pub dirs: Vec<DirTimes>,
    /// The operation that this one takes back, if it is part of an undo.
    pub undoes: Option<OpId>,
}

/// How an operation came out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum OpResult {
    /// Done and checked.
    Done {
        /// What is there now (the new place for a move); `None` where nothing is.
        after: Option<Image>,
        /// Times of the altered directories afterwards.
        dirs: Vec<DirTimes>,
    },
    /// Not done: the files are as they were. Why, in words.
    NotDone(String),
    /// Interrupted, and rolled back by recovery: the files are as they were.
    RolledBack(String),
}

/// An operation as the journal remembers it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OpRecord {
    /// What was meant.
    pub intent: Intent,
    /// What came of it; `None` while it is pending (the keeper is at it, or died at it).
    pub result: Option<OpResult>,
}

/// How a run begins in the journal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RunHeader {
    /// The run.
    pub run: RunId,
    /// When it began.
    pub at: Timestamp,
    /// Who acts.
    pub actor: Actor,
    /// What was asked, in the asker's words.
    pub goal: String,
    /// What sort of run.
    pub kind: RunKind,
    /// The folders it started with: grant, absolute path for people, and which directory that was.
    pub roots: Vec<Root>,
}

/// A granted folder as a run saw it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Root {
    /// The grant.
    pub grant: GrantId,
    /// Absolute path, as bytes. For people and for re-opening; checked against the identity when re-opened.
    #[serde(with = "serde_bytes")]
    pub path: Vec<u8>,
    /// Device and inode of the folder.
    pub identity: crate::Identity,
}

/// What sort of run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RunKind {
    /// An agent or a recipe at work.
    Task,
    /// An undo of these operations (all of one run where the list is empty but for its id).
    Undo {
        /// The run that is taken back.
        of: RunId,
        /// Only these operations; empty for all.
        ops: Vec<u32>,
    },
    /// A program at work in a draft: it changes nothing of the user's.
    Program,
    /// A draft, or part of one, put in the place of what it was made from. All of it or nothing.
    Commit {
        /// The program's run.
        of: RunId,
    },
    /// Files put back as they were at an earlier time.
    Restore,
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum RunStatus {
    /// Still going, or its keeper died and nobody has looked since.
    Open,
    /// Came to its end.
    Done,
    /// Stopped by a person at an operation's edge.
    Stopped,
    /// Ended with an error.
    Failed,
    /// Its keeper died; recovery settled what was pending.
    Interrupted,
}

/// What the journal keeps of a run's end.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RunEnd {
    /// The run.
    pub run: RunId,
    /// When.
    pub at: Timestamp,
    /// How.
    pub status: RunStatus,
    /// In words, for the person.
    pub summary: String,
}

impl Change {
    /// The verb.
    pub fn kind(&self) -> ChangeKind {
        match self {
            Change::Create { .. } => ChangeKind::Create,
            Change::Replace { .. } => ChangeKind::Replace,
            Change::Remove { .. } => ChangeKind::Remove,
            Change::Move { .. } => ChangeKind::Move,
            Change::Link { .. } => ChangeKind::Link,
            Change::SetMeta { .. } => ChangeKind::SetMeta,
        }
    }

    /// The places whose content or name it alters.
    pub fn spots(&self) -> Vec<&Spot> {
        match self {
            Change::Create { at, .. }
            | Change::Replace { at, .. }
            | Change::Remove { at, .. }
            | Change::Link { at, .. }
            | Change::SetMeta { at, .. } => vec![at],
            Change::Move { from, to, .. } => vec![from, to],
        }
    }

    /// What was there before (under the old name, for a move); `None` where nothing was.
    pub fn before(&self) -> Option<&Image> {
        match self {
            Change::Replace { before, .. } | Change::Remove { before, .. } => Some(before),
            Change::Move { image, .. } => Some(image),
            Change::Create { .. } | Change::Link { .. } | Change::SetMeta { .. } => None,
        }
    }
}

impl Image {
    /// The digest of a regular file's content.
    pub fn digest(&self) -> Option<Digest> {
        match &self.content {
            Content::File(file) => Some(file.digest),
            _ => None,
        }
    }
}
