//! What may be proposed: reading, changing files, asking a model, running a program.

use serde::{Deserialize, Serialize};

use crate::{Actor, Digest, Meta, RawPath, RunId, Seen};

/// A proposal: a typed action by a named actor within a run. Nothing more than a wish.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Proposal<A> {
    /// Who wishes it.
    pub actor: Actor,
    /// Within which run.
    pub run: RunId,
    /// What is wished.
    pub action: A,
}

/// Any action, as it comes over the socket from a worker.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Action {
    /// Look at files.
    Read(FileRead),
    /// Change files.
    Change(FileChange),
    /// Send a request to a model.
    Model(ModelRequest),
}

/// A place as an agent names it: one of the run's folders (by position, from 0) and a path within it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Place {
    /// Which of the run's folders.
    pub root: u16,
    /// The path within it; empty for the folder itself.
    pub path: RawPath,
}

/// Looking.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum FileRead {
    /// The entries of a directory, down to a depth (1: itself only), at most `limits.list_entries`, in name order.
    List {
        /// Which directory.
        at: Place,
        /// How many levels down.
        depth: u32,
        /// Skip this many entries first (paging).
        skip: u64,
    },
    /// One file's metadata.
    Stat {
        /// Which file.
        at: Place,
    },
    /// Bytes of a file, at most `limits.read_window`.
    Read {
        /// Which file.
        at: Place,
        /// From this byte.
        offset: u64,
        /// This many bytes at most.
        len: u32,
    },
    /// The digest of a file's whole content.
    Hash {
        /// Which file.
        at: Place,
    },
    /// Lines that match a regular expression, in a file or below a directory.
    Search {
        /// Where.
        at: Place,
        /// A regular expression in the syntax of the `regex` crate.
        pattern: String,
        /// Only files whose path beneath `at` matches this glob.
        glob: Option<String>,
        /// Upper and lower case alike.
        ignore_case: bool,
    },
}

/// What a write expects to find, so that it overwrites nothing unseen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Expect {
    /// Nothing is there.
    Absent,
    /// A file with this content.
    Digest(Digest),
    /// Whatever is there (a recipe or a person said replace; its before-image is kept as always).
    Anything,
}

/// Container formats for archive and extract.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ArchiveFormat {
    /// ZIP with deflate.
    Zip,
    /// POSIX tar, gzip-compressed.
    TarGz,
    /// POSIX tar.
    Tar,
}

/// Changing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum FileChange {
    /// A whole file's content.
    Write {
        /// Which file; parent folders must exist.
        at: Place,
        /// The bytes.
        #[serde(with = "serde_bytes")]
        content: Vec<u8>,
        /// What must be there now.
        expect: Expect,
    },
    /// An exact replacement of text within a file. `old` must occur exactly once, or at least once with `all`.
    Edit {
        /// Which file.
        at: Place,
        /// The bytes to find.
        #[serde(with = "serde_bytes")]
        old: Vec<u8>,
        /// The bytes to put there.
        #[serde(with = "serde_bytes")]
        new: Vec<u8>,
        /// Every occurrence, not just one.
        all: bool,
        /// The digest of the file as the proposer saw it.
        expect: Digest,
    },
    /// A directory; its parents too where `parents` is set.
    Mkdir {
        /// Which directory.
        at: Place,
        /// Make missing parents; an existing directory is fine then.
        parents: bool,
    },
    /// Another name for a file or a directory.
    Move {
        /// From.
        from: Place,
        /// To: the full new name, not the folder it goes into.
        to: Place,
        /// Put it in the place of an existing file.
        replace: bool,
    },
    /// A copy of a file, symlink or directory tree, metadata included.
    Copy {
        /// From.
        from: Place,
        /// To: the full new name.
        to: Place,
        /// Put it in the place of an existing file.
        replace: bool,
    },
    /// A file or symlink, an empty directory, or with `recursive` a whole tree.
    Delete {
        /// What.
        at: Place,
        /// With everything in it.
        recursive: bool,
    },
    /// An archive made of files and trees of one folder of the run. The archive must not exist. Entries are named from
    /// the deepest folder that all of them lie in.
    Archive {
        /// What goes in.
        from: Vec<Place>,
        /// The archive.
        to: Place,
        /// Its format.
        format: ArchiveFormat,
    },
    /// An archive's entries, into a directory that must not exist. Entries that would land outside it refuse the whole.
    Extract {
        /// The archive (format by its first bytes).
        from: Place,
        /// The directory to make.
        to: Place,
    },
    /// Take back one recorded operation. Only the person's own undo proposes it.
    Revert {
        /// Which operation.
        op: crate::OpId,
        /// What becomes of what somebody made since.
        drift: OnDrift,
        /// Where its places are by now, as later moves left them; empty where they are as recorded.
        at: Vec<crate::Spot>,
    },
    /// Give a directory the times it had. Only undo proposes it, as the last step.
    RestoreTimes {
        /// The directory, its times as they must be now, and as they are to be.
        now: crate::DirTimes,
        /// See `now`.
        then: crate::DirTimes,
    },
    /// Make one name of a folder what it is in a draft. Only a commit proposes it, and the person stands behind it.
    Adopt {
        /// Which name. What a draft holds is named exactly: no symlink is followed.
        at: Place,
        /// What comes there.
        take: Take,
        /// What must stand there now.
        expect: Expected,
        /// What was seen of the draft's file when it was reviewed: it must be that still.
        new: Option<Box<Seen>>,
        /// Metadata to give it, where not the draft's own.
        meta: Option<Box<Meta>>,
        /// The person named this very path, although its name is one that starts programs or judges agents.
        named: bool,
    },
    /// Put back what was at a place at an earlier time. Only the person's own restore proposes it.
    Restore {
        /// The place. What stands there goes into the journal first.
        at: crate::Spot,
        /// What comes there.
        bring: Bring,
    },
}

/// What a restore puts at a place.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Bring {
    /// This file, symlink or folder, its content out of the store. A folder that stands there stays, with what is in it.
    Image(Box<crate::Image>),
    /// What stands there, with this metadata.
    Meta(Box<Meta>),
    /// Nothing: what stands there goes. A folder must be empty by then.
    Nothing,
    /// The file or folder that stands at another place; nothing may stand at this one.
    From(crate::Spot),
    /// A copy of the file, symlink or folder (without what is in it) that stands at another place.
    Copy(crate::Spot),
}

/// What an undo does where somebody has changed a file since.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum OnDrift {
    /// It is left as it is, and that is said.
    #[default]
    Leave,
    /// It is put back as it was; what they made is kept in the journal.
    Overwrite,
    /// What was there before is put beside it, under a name of its own.
    KeepBoth,
    /// Text is merged three ways: what the operation left is the base. What cannot be merged cleanly is left.
    Merge,
}

/// What a commit puts under a name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Take {
    /// What stands at the same path in the draft: moved into the place, or the place of what is there. A folder is
    /// made anew; what is in it is proposed by itself.
    FromDraft,
    /// The content of what stands at the same path in the draft, written into the file that stands there: it has other
    /// names, and changes under each of them.
    Content,
    /// The file of this number in the draft's staging directory, complete with content and metadata.
    Staged(u64),
    /// Nothing: what is there goes. A folder must be empty by then.
    Nothing,
    /// What is there, with the metadata of what stands at the same path in the draft.
    Meta,
}

/// What a commit must find under a name.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Expected {
    /// Nothing.
    Absent,
    /// This file, unchanged. Of a folder only which one it is: its times move with what is put into it.
    Seen(Seen),
}

/// A request to a model's provider: where to, and the bytes. The key is added by the keeper, never seen here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ModelRequest {
    /// The configured provider's name.
    pub provider: String,
    /// Path below the provider's base URL, such as `chat/completions`.
    pub path: String,
    /// The request's body, JSON. Empty for a GET.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
}

/// A program to be run in a draft of its folders.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProgramRun {
    /// The program's name.
    pub program: String,
    /// The hosts that it may reach; none: no network at all.
    pub hosts: Vec<String>,
}

impl FileChange {
    /// The verb, for people and for the log.
    pub fn verb(&self) -> &'static str {
        match self {
            FileChange::Write { .. } => "write",
            FileChange::Edit { .. } => "edit",
            FileChange::Mkdir { .. } => "mkdir",
            FileChange::Move { .. } => "move",
            FileChange::Copy { .. } => "copy",
            FileChange::Delete { .. } => "delete",
            FileChange::Archive { .. } => "archive",
            FileChange::Extract { .. } => "extract",
            FileChange::Revert { .. } => "revert",
            FileChange::RestoreTimes { .. } => "restore-times",
            FileChange::Adopt { .. } => "adopt",
            FileChange::Restore { .. } => "restore",
        }
    }
}

impl FileRead {
    /// The verb, for people and for the log.
    pub fn verb(&self) -> &'static str {
        match self {
            FileRead::List { .. } => "list",
            FileRead::Stat { .. } => "stat",
            FileRead::Read { .. } => "read",
            FileRead::Hash { .. } => "hash",
            FileRead::Search { .. } => "search",
        }
    }

    /// Where it looks.
    pub fn place(&self) -> &Place {
        match self {
            FileRead::List { at, .. }
            | FileRead::Stat { at }
            | FileRead::Read { at, .. }
            | FileRead::Hash { at }
            | FileRead::Search { at, .. } => at,
        }
    }
}
