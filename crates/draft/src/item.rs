//! What a draft changed, name by name.

use raincoat_os::Stat;
use raincoat_os::overlay::Node;
use raincoat_types::{Digest, FileKind, RelPath, Seen, Timestamp, Xattr};
use serde::{Deserialize, Serialize};

/// Everything that a draft changed.
///
/// Items stand in an order in which they can be applied one by one to the granted folders:
/// 1. [`ItemKind::Deleted`], children before their folder. What stands beneath a folder that became something else is
///    among them.
/// 2. Everything else, a folder before what lies in it; but names that are one inode with another name of the draft
///    ([`Item::links`]) come after all others, because the group's leader must be there to link to.
///
/// A folder's own mode, times and attributes ([`Item::kind`] `Created` or `Modified` with [`Version::is_dir`]) are to
/// be set when all items are applied, in the reverse order of the items: each change within a folder moves its times,
/// and a read-only mode would be in the way.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Scan {
    /// What changed.
    pub items: Vec<Item>,
    /// Inodes with several names in the draft.
    pub groups: Vec<LinkGroup>,
    /// What could not be looked at: nothing of it is among the items.
    pub troubles: Vec<Trouble>,
    /// There were more items than the limit; the rest was not looked at, and a commit of all is not possible.
    pub cut: bool,
    /// Files that the draft holds and that are as they were.
    pub(crate) untouched: Vec<Untouched>,
}

/// A file that was copied into the draft and not changed there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Untouched {
    pub(crate) folder: usize,
    pub(crate) path: RelPath,
    /// What the folder has.
    pub(crate) before: Stat,
    /// Last change of the draft's copy.
    pub(crate) changed: Timestamp,
}

/// One name that is not in the draft what it is in the folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Which granted folder, counted from 0.
    pub folder: usize,
    /// The path in it.
    pub path: RelPath,
    /// What happened to it.
    pub kind: ItemKind,
    /// What the folder has there now.
    pub before: Option<Version>,
    /// What the draft has there.
    pub after: Option<Version>,
    /// The inode has more names: in the draft, in the folder, or in both.
    pub links: Option<Links>,
    /// It changed underneath since the draft was made from it.
    pub drift: Option<Drift>,
    /// The program could not see what stands in the folder: a secret name, hidden from it. A commit of everything
    /// leaves it out.
    pub masked: bool,
}

/// What happened to a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ItemKind {
    /// There was nothing.
    Created,
    /// The same kind of file, changed.
    Modified {
        /// The bytes, or a symlink's target. Until digests are known ([`crate::Draft::digest`]) this says `true` where
        /// the times differ.
        content: bool,
        /// Mode, owner, times, extended attributes, or which names share the inode.
        meta: bool,
    },
    /// It is gone.
    Deleted,
    /// Another kind of file stands there.
    TypeChanged,
    /// The draft has a FIFO, socket or device there, which cannot be committed. It is never opened.
    Special(Node),
}

/// A file of one side, as it was when it was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Version {
    /// What `statx` tells.
    pub stat: Stat,
    /// Extended attributes as the program saw them: the overlay's own are not among them.
    pub xattrs: Vec<Xattr>,
    /// Where a symlink points to, as written in it.
    pub target: Option<Vec<u8>>,
    /// BLAKE3 of a regular file's content, where it was read.
    pub digest: Option<Digest>,
}

/// The names of an item's inode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Links {
    /// Its group in [`Scan::groups`], if it has several names in the draft.
    pub group: Option<usize>,
    /// Names of the draft's inode.
    pub draft_names: u64,
    /// Names of the folder's inode.
    pub folder_names: u64,
    /// The draft's file is known to be a new state of the folder's very inode, so that all its names change with it.
    /// (An overlay in a user namespace cannot know: its copies have one name each.)
    pub same_inode: bool,
}

/// Names in a draft that are one inode.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkGroup {
    /// Which granted folder.
    pub folder: usize,
    /// The name to link the others to: one that the folder has already, if there is one. It need not be an item: its
    /// content and metadata may be the folder's.
    pub leader: RelPath,
    /// All of them that were found, the leader among them, sorted.
    pub names: Vec<RelPath>,
}

/// How a name changed underneath.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Drift {
    /// The file in the folder was changed since.
    Changed,
    /// Another file stands there than the one that the draft was made from.
    Replaced,
    /// There was nothing when the draft was made, and there is now.
    Appeared,
    /// The file that the draft was made from is gone.
    Gone,
    /// A folder on the way to it is another one.
    FolderReplaced,
}

/// Something in a draft that could not be looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// Which granted folder.
    pub folder: usize,
    /// Where; of a path that is too long, its beginning.
    pub path: RelPath,
    /// Why, in words.
    pub why: String,
}

impl Version {
    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.stat.kind == FileKind::Dir
    }

    /// As other rooms speak of it.
    pub fn seen(&self) -> Seen {
        Seen {
            kind: self.stat.kind,
            identity: self.stat.identity,
            size: self.stat.size,
            mtime: self.stat.mtime,
            ctime: self.stat.ctime,
            digest: self.digest,
        }
    }

    /// Whether mode, owner, times and extended attributes are the same. (Not access times: looking changes them.)
    pub fn same_meta(&self, other: &Version) -> bool {
        // A symlink's mode means nothing.
        let mode = self.stat.kind == FileKind::Symlink || self.stat.mode == other.stat.mode;
        mode && (self.stat.uid, self.stat.gid) == (other.stat.uid, other.stat.gid)
            && self.stat.mtime == other.stat.mtime
            && self.xattrs == other.xattrs
    }
}

impl Item {
    /// The kind of file that it is in the draft, or was in the folder where the draft has none.
    pub fn file_kind(&self) -> FileKind {
        self.after.as_ref().or(self.before.as_ref()).map_or(FileKind::Special, |version| version.stat.kind)
    }

    /// Whether a commit can take it at all.
    pub fn can_be_committed(&self) -> bool {
        !matches!(self.kind, ItemKind::Special(_))
    }
}
