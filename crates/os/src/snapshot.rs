//! What a tree is, read independently of everything that changes trees: two snapshots prove that undo gave back each
//! byte and each attribute, or say in words what it did not.
//!
//! Nothing here is shared with the code under proof but the system calls. A snapshot follows no symlink, opens no
//! FIFO, socket or device, changes nothing, and leaves access times alone where the system allows (`O_NOATIME`, for
//! the owner and for root).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use raincoat_types::{Digest, Timestamp, Xattr, display_bytes};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags, SeekFrom, Statx, StatxFlags};
use rustix::io::Errno;

/// Bytes read at a time while hashing.
const READ_SIZE: usize = 256 * 1024;
/// `openat2` takes paths shorter than this (`PATH_MAX`); deeper directories are reached in several steps.
const STEP_MAX: usize = 4000;

/// A tree as it was when [`Snapshot::take`] read it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    entries: BTreeMap<Vec<u8>, Entry>,
}

/// One file of a snapshot, of whatever kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
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
    /// Last read. Recorded for who wants it; never compared, for looking at a tree changes it.
    pub atime: Timestamp,
    /// BLAKE3 of the bytes, holes read as zeroes; `None` for all but regular files, and for one that this user may not
    /// read ([`Snapshot::unreadable`]).
    pub digest: Option<Digest>,
    /// Where the file has data, as (start, end) in bytes, ascending; between them are holes. Empty where the digest is
    /// `None`.
    pub extents: Vec<(u64, u64)>,
    /// Where a symlink points to, as written in it.
    pub target: Option<Vec<u8>>,
    /// Extended attributes with POSIX ACLs (`system.posix_acl_access`), sorted by name.
    pub xattrs: Vec<Xattr>,
    /// How many names the inode has, in this tree and outside; 1 for a directory (its link count means nothing).
    pub nlink: u64,
    /// The first path, in byte order, of those in this tree that share the inode; its own where no other does. Which
    /// inode it is is not kept.
    pub first_name: Vec<u8>,
    /// Major and minor number of a device; zeroes for everything else.
    pub device: (u32, u32),
}

/// The kind of a file, finer than [`raincoat_types::FileKind`] so that a FIFO is not a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// What this system knows and we do not.
    Unknown,
}

/// One way in which a later snapshot is not what an earlier one was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Path beneath the root of the snapshot; empty for the root itself.
    pub path: Vec<u8>,
    /// What differs.
    pub what: Aspect,
    /// How it was, in words.
    pub was: String,
    /// How it is, in words.
    pub is: String,
}

/// What two snapshots are compared by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Aspect {
    /// Whether the path exists.
    Existence,
    /// Kind of file.
    Kind,
    /// Permission bits.
    Mode,
    /// Owner or group.
    Owner,
    /// Size in bytes.
    Size,
    /// The bytes.
    Content,
    /// Where a sparse file has data.
    Holes,
    /// Where a symlink points to.
    Target,
    /// Modification time.
    ModificationTime,
    /// Extended attributes, ACLs among them.
    Xattrs,
    /// Which names share an inode.
    HardLinks,
    /// Device numbers.
    Device,
}

impl Snapshot {
    /// Reads the tree at `root`, the root itself included. The tree must hold still meanwhile.
    ///
    /// # Errors
    /// The system's error, with the path it was about; an error too where a file changed while it was read. A file
    /// whose content may not be read by this user is no error: see [`Snapshot::unreadable`].
    pub fn take(root: &Path) -> io::Result<Snapshot> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = fs::open(root, flags, Mode::empty()).map_err(|error| about(&[], error.into()))?;
        let mut reader = Reader { entries: BTreeMap::new(), inodes: HashMap::new(), buffer: vec![0; READ_SIZE] };
        reader.add(Vec::new(), &root)?;
        let mut pending = vec![Vec::new()];
        while let Some(path) = pending.pop() {
            reader.add_children(&root, &path, &mut pending).map_err(|error| about(&path, error))?;
        }
        Ok(Snapshot { entries: reader.finish() })
    }

    /// Every entry by its path beneath the root; the root itself has the empty path.
    pub fn entries(&self) -> &BTreeMap<Vec<u8>, Entry> {
        &self.entries
    }

    /// How many files, of whatever kind, lie beneath the root.
    pub fn count(&self) -> usize {
        self.entries.len().saturating_sub(1)
    }

    /// Bytes of content in all regular files, holes counted, an inode with several names counted once.
    pub fn bytes(&self) -> u64 {
        let files =
            self.entries.iter().filter(|(path, entry)| entry.kind == EntryKind::File && entry.first_name == **path);
        files.map(|(_, entry)| entry.size).sum()
    }

    /// Paths of the regular files whose content this user may not read, and which are therefore compared by everything
    /// but their content.
    pub fn unreadable(&self) -> impl Iterator<Item = &[u8]> {
        let files = self.entries.iter().filter(|(_, entry)| entry.kind == EntryKind::File && entry.digest.is_none());
        files.map(|(path, _)| path.as_slice())
    }

    /// In what `later` differs from this snapshot, by path; empty where the tree is what it was.
    pub fn differences(&self, later: &Snapshot) -> Vec<Difference> {
        let mut out = Vec::new();
        for path in self.entries.keys().chain(later.entries.keys()).collect::<BTreeSet<_>>() {
            let mut differ = |what: Aspect, was: String, is: String| {
                out.push(Difference { path: path.clone(), what, was, is });
            };
            match (self.entries.get(path), later.entries.get(path)) {
                (Some(was), Some(is)) => compare(was, is, &mut differ),
                (Some(was), None) => differ(Aspect::Existence, was.kind.to_string(), "missing".to_owned()),
                (None, Some(is)) => differ(Aspect::Existence, "missing".to_owned(), is.kind.to_string()),
                (None, None) => {}
            }
        }
        out
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { ".".to_owned() } else { display_bytes(&self.path) };
        write!(f, "`{path}`: {} was {}, is {}", self.what, self.was, self.is)
    }
}

impl fmt::Display for Aspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Aspect::Existence => "the path",
            Aspect::Kind => "the kind",
            Aspect::Mode => "the mode",
            Aspect::Owner => "the owner",
            Aspect::Size => "the size",
            Aspect::Content => "the content",
            Aspect::Holes => "where the data lies",
            Aspect::Target => "the link's target",
            Aspect::ModificationTime => "the modification time",
            Aspect::Xattrs => "the extended attributes",
            Aspect::HardLinks => "the inode's names",
            Aspect::Device => "the device",
        })
    }
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EntryKind::File => "a file",
            EntryKind::Dir => "a directory",
            EntryKind::Symlink => "a symlink",
            EntryKind::Fifo => "a FIFO",
            EntryKind::Socket => "a socket",
            EntryKind::CharDevice => "a character device",
            EntryKind::BlockDevice => "a block device",
            EntryKind::Unknown => "of an unknown kind",
        })
    }
}

fn compare(was: &Entry, is: &Entry, differ: &mut impl FnMut(Aspect, String, String)) {
    let mut aspect = |what: Aspect, was: String, is: String| {
        if was != is {
            differ(what, was, is);
        }
    };
    if was.kind != is.kind {
        // Size, content and target of two kinds have nothing to do with each other.
        aspect(Aspect::Kind, was.kind.to_string(), is.kind.to_string());
    } else {
        let same_bytes = was.digest == is.digest;
        if was.size != is.size {
            aspect(Aspect::Size, format!("{} bytes", was.size), format!("{} bytes", is.size));
        }
        if !same_bytes {
            aspect(Aspect::Content, digest_words(was), digest_words(is));
        }
        if same_bytes && was.extents != is.extents {
            aspect(Aspect::Holes, extent_words(&was.extents), extent_words(&is.extents));
        }
        if was.target != is.target {
            aspect(Aspect::Target, target_words(was), target_words(is));
        }
        if was.device != is.device {
            let words = |(major, minor): (u32, u32)| format!("{major}:{minor}");
            aspect(Aspect::Device, words(was.device), words(is.device));
        }
    }
    if was.mode != is.mode {
        aspect(Aspect::Mode, format!("{:04o}", was.mode), format!("{:04o}", is.mode));
    }
    if (was.uid, was.gid) != (is.uid, is.gid) {
        aspect(Aspect::Owner, format!("{}:{}", was.uid, was.gid), format!("{}:{}", is.uid, is.gid));
    }
    if was.mtime != is.mtime {
        let words = |time: Timestamp| format!("{}.{:09}", time.secs, time.nanos);
        aspect(Aspect::ModificationTime, words(was.mtime), words(is.mtime));
    }
    if was.xattrs != is.xattrs {
        aspect(Aspect::Xattrs, xattr_words(&was.xattrs), xattr_words(&is.xattrs));
    }
    if was.first_name != is.first_name || was.nlink != is.nlink {
        aspect(Aspect::HardLinks, link_words(was), link_words(is));
    }
}

fn digest_words(entry: &Entry) -> String {
    entry.digest.as_ref().map_or_else(
        || "unreadable".to_owned(),
        |digest| digest.0.iter().fold("blake3 ".to_owned(), |text, byte| text + &format!("{byte:02x}")),
    )
}

fn extent_words(extents: &[(u64, u64)]) -> String {
    if extents.is_empty() {
        return "nowhere".to_owned();
    }
    extents.iter().map(|(start, end)| format!("{start}-{end}")).collect::<Vec<_>>().join(", ")
}

fn target_words(entry: &Entry) -> String {
    entry.target.as_ref().map_or_else(|| "none".to_owned(), |target| format!("`{}`", display_bytes(target)))
}

fn xattr_words(xattrs: &[Xattr]) -> String {
    if xattrs.is_empty() {
        return "none".to_owned();
    }
    let word = |xattr: &Xattr| {
        let value = xattr.value.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        format!("{}=0x{value}", display_bytes(&xattr.name))
    };
    xattrs.iter().map(word).collect::<Vec<_>>().join(", ")
}

fn link_words(entry: &Entry) -> String {
    format!("{}, the first here `{}`", entry.nlink, display_bytes(&entry.first_name))
}

struct Reader {
    entries: BTreeMap<Vec<u8>, Entry>,
    /// Paths by inode, of all inodes with more than one name.
    inodes: HashMap<(u64, u64), Vec<Vec<u8>>>,
    buffer: Vec<u8>,
}

impl Reader {
    fn add_children(&mut self, root: &OwnedFd, path: &[u8], pending: &mut Vec<Vec<u8>>) -> io::Result<()> {
        let dir = reopen(&open_beneath(root, path)?, OFlags::DIRECTORY)?;
        // A second descriptor: the one that lists is owned by the listing.
        for entry in fs::Dir::new(dir.try_clone()?)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let mut child = path.to_vec();
            if !child.is_empty() {
                child.push(b'/');
            }
            child.extend_from_slice(name.to_bytes());
            let fd = fs::openat(&dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
                .map_err(|error| about(&child, error.into()))?;
            if self.add(child.clone(), &fd)? == EntryKind::Dir {
                pending.push(child);
            }
        }
        Ok(())
    }

    /// Reads one file through its `O_PATH` descriptor, which opens nothing.
    fn add(&mut self, path: Vec<u8>, fd: &OwnedFd) -> io::Result<EntryKind> {
        let (entry, inode) = read_entry(&path, fd, &mut self.buffer).map_err(|error| about(&path, error))?;
        let kind = entry.kind;
        if entry.nlink > 1 {
            self.inodes.entry(inode).or_default().push(path.clone());
        }
        self.entries.insert(path, entry);
        Ok(kind)
    }

    fn finish(mut self) -> BTreeMap<Vec<u8>, Entry> {
        for paths in self.inodes.into_values() {
            let Some(first) = paths.iter().min().cloned() else { continue };
            for path in paths {
                if let Some(entry) = self.entries.get_mut(&path) {
                    entry.first_name.clone_from(&first);
                }
            }
        }
        self.entries
    }
}

fn read_entry(path: &[u8], fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<(Entry, (u64, u64))> {
    let stat = statx(fd)?;
    let kind = match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Dir,
        FileType::Symlink => EntryKind::Symlink,
        FileType::Fifo => EntryKind::Fifo,
        FileType::Socket => EntryKind::Socket,
        FileType::CharacterDevice => EntryKind::CharDevice,
        FileType::BlockDevice => EntryKind::BlockDevice,
        _ => EntryKind::Unknown,
    };
    let mut entry = Entry {
        kind,
        mode: u32::from(stat.stx_mode) & 0o7777,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        size: if kind == EntryKind::Dir { 0 } else { stat.stx_size },
        mtime: Timestamp { secs: stat.stx_mtime.tv_sec, nanos: stat.stx_mtime.tv_nsec },
        atime: Timestamp { secs: stat.stx_atime.tv_sec, nanos: stat.stx_atime.tv_nsec },
        digest: None,
        extents: Vec::new(),
        target: None,
        xattrs: xattrs(fd)?,
        nlink: if kind == EntryKind::Dir { 1 } else { stat.stx_nlink.into() },
        first_name: path.to_vec(),
        device: (stat.stx_rdev_major, stat.stx_rdev_minor),
    };
    match kind {
        EntryKind::Symlink => entry.target = Some(fs::readlinkat(fd, c"", Vec::new())?.into_bytes()),
        EntryKind::File => match reopen(fd, OFlags::empty()) {
            Ok(file) => {
                entry.extents = extents(&file, stat.stx_size)?;
                entry.digest = Some(hash(&file, stat.stx_size, buffer)?);
                let after = statx(fd)?;
                let of = |stat: &Statx| (stat.stx_size, stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec);
                if of(&stat) != of(&after) {
                    return Err(io::Error::other("the file changed while it was read; let it rest and try again"));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        },
        _ => {}
    }
    let device = (u64::from(stat.stx_dev_major) << 32) | u64::from(stat.stx_dev_minor);
    Ok((entry, (device, stat.stx_ino)))
}

fn statx(fd: &OwnedFd) -> io::Result<Statx> {
    Ok(fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?)
}

/// Opens a directory beneath `root` that was found there, however deep it lies.
fn open_beneath(root: &OwnedFd, path: &[u8]) -> io::Result<OwnedFd> {
    let open = |dir: BorrowedFd<'_>, step: &[u8]| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let step = if step.is_empty() { b".".as_slice() } else { step };
        fs::openat2(dir, step, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
    };
    let mut dir = root.try_clone()?;
    let mut rest = path;
    while rest.len() > STEP_MAX {
        let Some(cut) = rest.iter().take(STEP_MAX).rposition(|byte| *byte == b'/') else { break };
        let (step, tail) = rest.split_at(cut);
        dir = open(dir.as_fd(), step)?;
        rest = tail.strip_prefix(b"/").unwrap_or(tail);
    }
    Ok(open(dir.as_fd(), rest)?)
}

/// Opens for reading what an `O_PATH` descriptor stands for, through `/proc/self/fd`: the same inode whatever has become
/// of its name.
fn reopen(fd: &OwnedFd, flags: OFlags) -> io::Result<OwnedFd> {
    let path = proc_path(fd);
    let flags = flags | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match fs::open(&path, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => Ok(fs::open(&path, flags, Mode::empty())?),
        other => Ok(other?),
    }
}

fn proc_path(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

fn extents(file: &OwnedFd, size: u64) -> io::Result<Vec<(u64, u64)>> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match fs::seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break,
            // A file system that knows no holes has data everywhere.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(vec![(0, size)]),
            Err(error) => return Err(error.into()),
        };
        let end = fs::seek(file, SeekFrom::Hole(start))?;
        out.push((start, end.min(size)));
        at = end;
    }
    Ok(out)
}

fn hash(file: &OwnedFd, size: u64, buffer: &mut [u8]) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    while at < size {
        match rustix::io::pread(file, &mut *buffer, at) {
            Ok(0) => break,
            Ok(got) => {
                hasher.update(buffer.get(..got).unwrap_or_default());
                at += got as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Digest(*hasher.finalize().as_bytes()))
}

/// Extended attributes by way of `/proc/self/fd`, which also serves symlinks and files that may not be opened.
fn xattrs(fd: &OwnedFd) -> io::Result<Vec<Xattr>> {
    let path = proc_path(fd);
    let list = match growing(|buffer| fs::listxattr(&path, buffer)) {
        Ok(list) => list,
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut out = Vec::new();
    for name in list.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let value = growing(|buffer| fs::getxattr(&path, name, buffer))?;
        out.push(Xattr { name: name.to_vec(), value });
    }
    out.sort();
    Ok(out)
}

/// Calls with larger and larger buffers until the answer fits. The kernel's limit on both lists and values is 64 KiB.
fn growing(mut call: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut small = [0_u8; 256];
    match call(&mut small) {
        Ok(got) => return Ok(small.get(..got).unwrap_or_default().to_vec()),
        Err(Errno::RANGE) => {}
        Err(error) => return Err(error),
    }
    let mut large = vec![0; 64 * 1024];
    let got = call(&mut large)?;
    large.truncate(got);
    Ok(large)
}

fn about(path: &[u8], error: io::Error) -> io::Error {
    // The innermost path is the one that matters; it is added once.
    if error.get_ref().is_some_and(|inner| inner.is::<About>()) {
        return error;
    }
    let path = if path.is_empty() { ".".to_owned() } else { display_bytes(path) };
    io::Error::new(error.kind(), About { path, error })
}

#[derive(Debug, thiserror::Error)]
#[error("cannot read `{path}`: {error}")]
struct About {
    path: String,
    error: io::Error,
}

#[cfg(test)]
mod tests;
