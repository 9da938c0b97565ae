//! What a file is now: `statx`, extended attributes, data and holes.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use raincoat_types::{FileKind, Identity, Meta, Timestamp, Xattr};
use rustix::fs::{self, AtFlags, SeekFrom, StatxAttributes, StatxFlags};
use rustix::io::Errno;

/// What `statx(2)` tells, as this house speaks of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stat {
    /// Kind.
    pub kind: FileKind,
    /// Permission bits, `0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes; 0 for a directory.
    pub size: u64,
    /// Last change of content.
    pub mtime: Timestamp,
    /// Last read.
    pub atime: Timestamp,
    /// Last change of anything; nobody can set it, so it tells that somebody was here.
    pub ctime: Timestamp,
    /// Names of the inode; 1 for a directory.
    pub nlink: u64,
    /// Which inode.
    pub identity: Identity,
    /// It is the root of a mount.
    pub mount_root: bool,
}

impl Stat {
    /// With extended attributes, a [`Meta`].
    pub fn with_xattrs(&self, xattrs: Vec<Xattr>) -> Meta {
        Meta {
            kind: self.kind,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            size: self.size,
            mtime: self.mtime,
            atime: self.atime,
            nlink: self.nlink,
            identity: self.identity,
            xattrs,
        }
    }

    /// Whether nobody has changed the file between this look and `later`: same inode, size, times.
    pub fn untouched(&self, later: &Stat) -> bool {
        self.identity == later.identity
            && self.size == later.size
            && self.mtime == later.mtime
            && self.ctime == later.ctime
            && self.kind == later.kind
    }
}

/// A look at a name in a folder; `None` where nothing is. Symlinks are not followed. An empty name is the folder.
///
/// # Errors
/// The system's error.
pub fn stat_at(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<Option<Stat>> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::EMPTY_PATH;
    match fs::statx(parent, name, flags, WANTED) {
        Ok(stat) => Ok(Some(convert(&stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A look at what a descriptor leads to.
///
/// # Errors
/// The system's error.
pub fn stat_fd(fd: BorrowedFd<'_>) -> io::Result<Stat> {
    Ok(convert(&fs::statx(fd, c"", AtFlags::EMPTY_PATH, WANTED)?))
}

/// The number of the mount that a descriptor is on: names can move between two folders only within one.
///
/// # Errors
/// The system's error.
pub fn mount_of(fd: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?.stx_mnt_id)
}

/// The extended attributes of a name in a folder, sorted by name. None where the file system has none. Attributes
/// that this process may not read (`trusted.*`, `security.*` of others) do not show.
///
/// # Errors
/// The system's error.
pub fn xattrs_at(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<Vec<Xattr>> {
    let flags = fs::OFlags::PATH | fs::OFlags::NOFOLLOW | fs::OFlags::CLOEXEC;
    let fd = if name.is_empty() {
        parent.try_clone_to_owned()?
    } else {
        fs::openat(parent, name, flags, fs::Mode::empty())?
    };
    xattrs_of(std::os::fd::AsFd::as_fd(&fd))
}

/// The extended attributes of what a descriptor leads to (an `O_PATH` one will do), sorted by name.
///
/// # Errors
/// The system's error.
pub fn xattrs_of(fd: BorrowedFd<'_>) -> io::Result<Vec<Xattr>> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let mut list = vec![0_u8; 1024];
    let len = loop {
        // An `O_PATH` descriptor is not one to ask by.
        let listed = match fs::flistxattr(fd, &mut list) {
            Err(Errno::BADF) => fs::listxattr(path.as_str(), &mut list),
            other => other,
        };
        match listed {
            Ok(len) => break len,
            Err(Errno::RANGE) => list.resize(list.len() * 4, 0),
            Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
    };
    let mut out = Vec::new();
    for name in list.get(..len).unwrap_or_default().split(|b| *b == 0).filter(|n| !n.is_empty()) {
        let mut value = vec![0_u8; 256];
        let got = loop {
            match fs::getxattr(path.as_str(), name, &mut value) {
                Ok(got) => break Some(got),
                Err(Errno::RANGE) if value.len() < 65536 => value.resize(65536, 0),
                // Gone since, or not ours to read.
                Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::PERM | Errno::ACCESS) => break None,
                Err(error) => return Err(error.into()),
            }
        };
        if let Some(got) = got {
            value.truncate(got);
            out.push(Xattr { name: name.to_vec(), value });
        }
    }
    out.sort();
    Ok(out)
}

/// Whether an open file (not an `O_PATH` descriptor) has no extended attribute at all: in one call.
///
/// # Errors
/// The system's error.
pub fn has_no_xattrs(fd: BorrowedFd<'_>) -> io::Result<bool> {
    // Room for some, for an empty buffer would ask for the length that is needed.
    let mut some = [0_u8; 64];
    match fs::flistxattr(fd, &mut some) {
        Ok(len) => Ok(len == 0),
        Err(Errno::OPNOTSUPP) => Ok(true),
        Err(Errno::RANGE) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The next stretch of data at or after `from`: start and end, in bytes. `None` where only a hole is left.
///
/// # Errors
/// The system's error.
pub fn next_data(fd: BorrowedFd<'_>, from: u64, size: u64) -> io::Result<Option<(u64, u64)>> {
    if from >= size {
        return Ok(None);
    }
    let start = match fs::seek(fd, SeekFrom::Data(from)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        // A file system that does not know holes: all of it is data.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some((from, size))),
        Err(error) => return Err(error.into()),
    };
    let end = match fs::seek(fd, SeekFrom::Hole(start)) {
        Ok(end) => end,
        // It became shorter between the two.
        Err(Errno::NXIO) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok((start < size).then_some((start, end.min(size))))
}

/// Reads up to `out.len()` bytes at `offset`; fewer only at the file's end.
///
/// # Errors
/// The system's error.
pub fn read_at(fd: BorrowedFd<'_>, out: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut got = 0;
    while got < out.len() {
        match rustix::io::pread(fd, out.get_mut(got..).unwrap_or_default(), offset + got as u64) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(got)
}

const WANTED: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::BTIME);

pub(crate) fn convert(stat: &fs::Statx) -> Stat {
    let kind = match fs::FileType::from_raw_mode(stat.stx_mode.into()) {
        fs::FileType::RegularFile => FileKind::File,
        fs::FileType::Directory => FileKind::Dir,
        fs::FileType::Symlink => FileKind::Symlink,
        _ => FileKind::Special,
    };
    let time = |t: fs::StatxTimestamp| Timestamp { secs: t.tv_sec, nanos: t.tv_nsec };
    let born = if stat.stx_mask & StatxFlags::BTIME.bits() != 0 { time(stat.stx_btime) } else { Timestamp::default() };
    Stat {
        kind,
        mode: u32::from(stat.stx_mode) & 0o7777,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        size: if kind == FileKind::Dir { 0 } else { stat.stx_size },
        mtime: time(stat.stx_mtime),
        atime: time(stat.stx_atime),
        ctime: time(stat.stx_ctime),
        nlink: if kind == FileKind::Dir { 1 } else { stat.stx_nlink.into() },
        identity: Identity { dev: fs::makedev(stat.stx_dev_major, stat.stx_dev_minor), ino: stat.stx_ino, born },
        mount_root: stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
    }
}
