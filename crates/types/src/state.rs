//! What a file is: kind, metadata, content by digest.

use serde::{Deserialize, Serialize};

use crate::Digest;

/// The kind of a file, as `stat` tells it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A FIFO, socket or device: seen and listed, never opened, never changed.
    Special,
}

/// A point in time as the file system keeps it: seconds and nanoseconds since 1970-01-01 UTC; seconds may be negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Timestamp {
    /// Whole seconds since 1970-01-01T00:00:00Z.
    pub secs: i64,
    /// Nanoseconds within the second, 0 to 999,999,999.
    pub nanos: u32,
}

/// One extended attribute, its name with the namespace (`user.x`, `system.posix_acl_access`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Xattr {
    /// Name, namespace included.
    #[serde(with = "serde_bytes")]
    pub name: Vec<u8>,
    /// Value, any bytes.
    #[serde(with = "serde_bytes")]
    pub value: Vec<u8>,
}

/// Which inode this is. Birth time tells a reused inode number from the same file; 0 where the file system keeps none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Identity {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Birth time.
    pub born: Timestamp,
}

/// A file as it was seen at one moment, so that it can be told whether somebody has changed it since.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// Kind.
    pub kind: FileKind,
    /// Which inode.
    pub identity: Identity,
    /// Bytes of content; 0 for a directory.
    pub size: u64,
    /// Last change of content.
    pub mtime: Timestamp,
    /// Last change of anything.
    pub ctime: Timestamp,
    /// The content's digest, where it was read.
    pub digest: Option<Digest>,
}

/// Everything about a file but its content.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Meta {
    /// Kind.
    pub kind: FileKind,
    /// Permission bits with set-uid, set-gid and sticky (`0o7777`).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes of content; for a symlink the length of its target; 0 for a directory (its size means nothing).
    pub size: u64,
    /// Last change of content.
    pub mtime: Timestamp,
    /// Last read, as coarse as the mount keeps it.
    pub atime: Timestamp,
    /// Number of names (hard links) of this inode; 1 for a directory (its link count means nothing).
    pub nlink: u64,
    /// Which inode.
    pub identity: Identity,
    /// Extended attributes with ACLs, sorted by name.
    pub xattrs: Vec<Xattr>,
}

impl Meta {
    /// Whether `other` is the same in everything that undo gives back: not the identity, link count or access time.
    pub fn same_as(&self, other: &Meta) -> bool {
        self.kind == other.kind
            && self.mode == other.mode
            && (self.uid, self.gid) == (other.uid, other.gid)
            && self.size == other.size
            && self.mtime == other.mtime
            && self.xattrs == other.xattrs
    }
}

/// The address of a sealed chunk in the store: BLAKE3 keyed with the store's own key, so that it tells an outsider
/// nothing about the content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ChunkId(pub [u8; 32]);

/// A piece of a file's content in the store. Where no chunk covers a range, the file has a hole there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Chunk {
    /// Where in the file it starts, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub len: u32,
    /// Where the store has it.
    pub id: ChunkId,
}

/// A whole file's content in the store, and its digest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileContent {
    /// BLAKE3 of the bytes, holes read as zeroes.
    pub digest: Digest,
    /// Where the bytes are in the store; empty also where only the digest is remembered.
    pub chunks: Vec<Chunk>,
    /// Whether the store holds the bytes. (An empty file is stored with no chunk at all.)
    pub stored: bool,
}
