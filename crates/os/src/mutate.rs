//! The calls that change a user's files, each on a name in an open folder. Only `effects` uses them. Every one passes
//! a [`fault::point`], so that tests can die or fail at each.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use raincoat_types::{FileKind, Identity, Meta, Timestamp, Xattr};
use rustix::fs::{self, AtFlags, Gid, Mode, OFlags, RenameFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::{beneath, fault};

/// A new, empty file of mode 0600 under a free name, to read and write.
///
/// # Errors
/// `AlreadyExists`, or the system's error.
pub fn create_file(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    fault::point("openat creat")?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDWR;
    Ok(fs::openat(parent, name, flags, Mode::from_raw_mode(0o600))?)
}

/// A new file without a name in this folder's file system; it vanishes with its descriptor unless it is given one.
///
/// # Errors
/// `Unsupported` where the file system has no `O_TMPFILE`, or the system's error.
pub fn create_unnamed(parent: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    fault::point("openat tmpfile")?;
    let flags = OFlags::TMPFILE | OFlags::CLOEXEC | OFlags::RDWR;
    Ok(fs::openat(parent, c".", flags, Mode::from_raw_mode(0o600))?)
}

/// Gives a file made by [`create_unnamed`] a free name.
///
/// # Errors
/// `AlreadyExists`, or the system's error.
pub fn name_unnamed(file: BorrowedFd<'_>, parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    fault::point("linkat")?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(fs::linkat(fs::CWD, path.as_str(), parent, name, AtFlags::SYMLINK_FOLLOW)?)
}

/// Has the kernel begin to write `len` bytes of a file to the disk, all from `offset` on where `len` is 0, and does not
/// wait. Nothing is durable by it: a sync that follows finds less to do, and says what went wrong.
pub fn begin_writing(file: BorrowedFd<'_>, offset: u64, len: u64) {
    let (Ok(offset), Ok(len)) = (i64::try_from(offset), i64::try_from(len)) else { return };
    // SAFETY: a plain system call on a descriptor that lives through it; no memory is passed.
    let _ = unsafe { libc::sync_file_range(file.as_raw_fd(), offset, len, libc::SYNC_FILE_RANGE_WRITE) };
}

/// Opens the regular file under a name to read and write it, if it is that very inode.
///
/// # Errors
/// The system's error; `StaleNetworkFileHandle` where another file has taken its place.
pub fn open_file_for_writing(parent: BorrowedFd<'_>, name: &[u8], identity: &Identity) -> io::Result<OwnedFd> {
    let held = beneath::hold_file(parent, name, FileKind::File, identity)?;
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(beneath::open_held(held.as_fd(), flags)?)
}

/// Writes all of `bytes` at `offset`.
///
/// # Errors
/// The system's error; part of it may be written.
pub fn write_all_at(fd: BorrowedFd<'_>, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    fault::point("pwrite")?;
    while !bytes.is_empty() {
        match rustix::io::pwrite(fd, bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(done) => {
                bytes = bytes.get(done..).unwrap_or_default();
                offset += done as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Cuts or grows a file; growth is a hole.
///
/// # Errors
/// The system's error.
pub fn set_len(fd: BorrowedFd<'_>, len: u64) -> io::Result<()> {
    fault::point("ftruncate")?;
    Ok(fs::ftruncate(fd, len)?)
}

/// A new directory of mode 0700.
///
/// # Errors
/// `AlreadyExists`, or the system's error.
pub fn make_dir(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    fault::point("mkdirat")?;
    Ok(fs::mkdirat(parent, name, Mode::from_raw_mode(0o700))?)
}

/// A new symlink.
///
/// # Errors
/// `AlreadyExists`, or the system's error.
pub fn make_symlink(parent: BorrowedFd<'_>, name: &[u8], target: &[u8]) -> io::Result<()> {
    fault::point("symlinkat")?;
    Ok(fs::symlinkat(target, parent, name)?)
}

/// One more name for a file; the name must be free. Symlinks are linked themselves, not followed.
///
/// # Errors
/// `AlreadyExists`, or the system's error.
pub fn link(from: BorrowedFd<'_>, old: &[u8], to: BorrowedFd<'_>, new: &[u8]) -> io::Result<()> {
    fault::point("linkat")?;
    Ok(fs::linkat(from, old, to, new, AtFlags::empty())?)
}

/// Another name for a file or directory; the new name must be free.
///
/// # Errors
/// `AlreadyExists`; `CrossesDevices` where the two lie on different file systems; or the system's error.
pub fn rename_new(from: BorrowedFd<'_>, old: &[u8], to: BorrowedFd<'_>, new: &[u8]) -> io::Result<()> {
    fault::point("renameat2 noreplace")?;
    Ok(fs::renameat_with(from, old, to, new, RenameFlags::NOREPLACE)?)
}

/// Swaps two names of one folder, all at once.
///
/// # Errors
/// `NotFound` where one is missing; `InvalidInput` where the file system cannot swap; or the system's error.
pub fn exchange(parent: BorrowedFd<'_>, one: &[u8], other: &[u8]) -> io::Result<()> {
    fault::point("renameat2 exchange")?;
    Ok(fs::renameat_with(parent, one, parent, other, RenameFlags::EXCHANGE)?)
}

/// Swaps two names of two folders on one mount, all at once.
///
/// # Errors
/// As [`exchange`]; `CrossesDevices` where the folders are on different mounts.
pub fn exchange_between(from: BorrowedFd<'_>, one: &[u8], to: BorrowedFd<'_>, other: &[u8]) -> io::Result<()> {
    fault::point("renameat2 exchange")?;
    Ok(fs::renameat_with(from, one, to, other, RenameFlags::EXCHANGE)?)
}

/// Takes extended attributes away from what a descriptor leads to (an `O_PATH` one will do). One that is not there is
/// no error.
///
/// # Errors
/// The system's error.
pub fn remove_xattrs<'a>(fd: BorrowedFd<'_>, names: impl IntoIterator<Item = &'a [u8]>) -> io::Result<()> {
    fault::point("removexattr")?;
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    for name in names {
        match fs::removexattr(path.as_str(), name) {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Takes a file's or symlink's name away.
///
/// # Errors
/// The system's error.
pub fn unlink(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    fault::point("unlinkat")?;
    Ok(fs::unlinkat(parent, name, AtFlags::empty())?)
}

/// Takes an empty directory away.
///
/// # Errors
/// `DirectoryNotEmpty`, or the system's error.
pub fn remove_dir(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    fault::point("unlinkat dir")?;
    Ok(fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

/// Makes a file durable: content and metadata.
///
/// # Errors
/// The system's error, which is final (see `AppendFile::sync`).
pub fn sync_file(fd: BorrowedFd<'_>) -> io::Result<()> {
    fault::point("fsync")?;
    Ok(fs::fsync(fd)?)
}

/// Makes a directory's entries durable, given any descriptor of it (an `O_PATH` one is opened anew).
///
/// # Errors
/// The system's error, which is final.
pub fn sync_dir(dir: BorrowedFd<'_>) -> io::Result<()> {
    fault::point("fsync dir")?;
    let fd = fs::openat(dir, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(fs::fsync(fd)?)
}

/// Makes everything on the file system of this directory durable: cheaper than many single calls.
///
/// # Errors
/// The system's error, which is final.
pub fn sync_file_system(dir: BorrowedFd<'_>) -> io::Result<()> {
    fault::point("syncfs")?;
    let fd = fs::openat(dir, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(fs::syncfs(fd)?)
}

/// Gives a name in a folder this metadata. See [`set_meta_of`].
///
/// # Errors
/// As [`set_meta_of`].
pub fn set_meta(parent: BorrowedFd<'_>, name: &[u8], meta: &Meta) -> io::Result<()> {
    set_meta_of(hold(parent, name)?.as_fd(), meta)
}

/// Holds what stands under a name, without opening it: an `O_PATH` descriptor, of a symlink itself. An empty name is
/// the folder.
///
/// # Errors
/// The system's error.
pub fn hold(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    if name.is_empty() {
        return parent.try_clone_to_owned();
    }
    Ok(fs::openat(parent, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?)
}

/// Gives what a descriptor leads to (an `O_PATH` one will do) this metadata: owner, then extended attributes, then mode
/// (which both may alter), then times. Only what differs is set.
///
/// # Errors
/// The system's error. An owner that this user may not give is an error only if it differs from what is there.
pub fn set_meta_of(fd: BorrowedFd<'_>, meta: &Meta) -> io::Result<()> {
    fault::point("set metadata")?;
    let now = crate::state::stat_fd(fd)?;
    if (now.uid, now.gid) != (meta.uid, meta.gid) {
        let owner = (now.uid != meta.uid).then(|| Uid::from_raw(meta.uid));
        let group = (now.gid != meta.gid).then(|| Gid::from_raw(meta.gid));
        fs::chownat(fd, c"", owner, group, AtFlags::EMPTY_PATH)?;
    }
    let by_path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let xattrs = crate::state::xattrs_of(fd)?;
    let altered = (now.uid, now.gid) != (meta.uid, meta.gid) || xattrs != meta.xattrs;
    if xattrs != meta.xattrs {
        // Of a file that its owner may not write, the owner may not set attributes either; the mode comes right below.
        if meta.kind != FileKind::Symlink && now.mode & 0o200 == 0 {
            set_mode(fd, &by_path, now.mode | 0o200)?;
        }
        set_xattrs(&by_path, &xattrs, &meta.xattrs)?;
    }
    let mode = if altered { crate::state::stat_fd(fd)?.mode } else { now.mode };
    if meta.kind != FileKind::Symlink && mode != meta.mode {
        set_mode(fd, &by_path, meta.mode)?;
    }
    set_times_of(fd, meta.mtime, meta.atime)
}

/// An `O_PATH` descriptor is not one to set a mode by; its path is.
fn set_mode(fd: BorrowedFd<'_>, by_path: &str, mode: u32) -> io::Result<()> {
    let mode = Mode::from_raw_mode(mode);
    match fs::fchmod(fd, mode) {
        Err(Errno::BADF) => Ok(fs::chmod(by_path, mode)?),
        other => Ok(other?),
    }
}

/// Sets modification and access time of what a descriptor leads to; a symlink's own.
///
/// # Errors
/// The system's error.
pub fn set_times_of(fd: BorrowedFd<'_>, mtime: Timestamp, atime: Timestamp) -> io::Result<()> {
    fault::point("utimensat")?;
    let spec = |t: Timestamp| Timespec { tv_sec: t.secs, tv_nsec: t.nanos.into() };
    let times = Timestamps { last_access: spec(atime), last_modification: spec(mtime) };
    // An empty path follows nothing; the flag says so to the effects thread's filter, which cannot read the path.
    Ok(fs::utimensat(fd, c"", &times, AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Copies `len` bytes at `offset` from one file to the same place in another, in the kernel, sharing blocks where the
/// file system can.
///
/// # Errors
/// The system's error.
pub fn copy_range(from: BorrowedFd<'_>, to: BorrowedFd<'_>, offset: u64, len: u64) -> io::Result<()> {
    fault::point("copy_file_range")?;
    let (mut at_from, mut at_to, mut left) = (offset, offset, len);
    let mut buffer = Vec::new();
    while left > 0 {
        let want = usize::try_from(left.min(1 << 30)).unwrap_or(1 << 30);
        match fs::copy_file_range(from, Some(&mut at_from), to, Some(&mut at_to), want) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(done) => left -= done as u64,
            Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => {
                buffer.resize(1 << 20, 0);
                let part = usize::try_from(left.min(1 << 20)).unwrap_or(0);
                let part = buffer.get_mut(..part).unwrap_or_default();
                if crate::state::read_at(from, part, at_from)? != part.len() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                write_all_at(to, part, at_to)?;
                at_from += part.len() as u64;
                at_to += part.len() as u64;
                left -= part.len() as u64;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Keeps every other process from opening the file while it is written in place (a write lease, `fcntl(2)`): openers
/// wait. Given up with the descriptor.
///
/// # Errors
/// `WouldBlock` where somebody has it open now; `Unsupported` where the file system has no leases or the file is not
/// ours.
pub fn hold_alone(fd: BorrowedFd<'_>) -> io::Result<()> {
    lease(fd, libc::F_WRLCK)
}

/// Makes sure that nobody has the file open to write to it (a read lease, got and given up at once). `fd` is open for
/// reading only.
///
/// # Errors
/// As [`hold_alone`].
pub fn nobody_writes(fd: BorrowedFd<'_>) -> io::Result<()> {
    lease(fd, libc::F_RDLCK)?;
    lease(fd, libc::F_UNLCK)
}

fn lease(fd: BorrowedFd<'_>, kind: libc::c_int) -> io::Result<()> {
    // SAFETY: plain fcntl calls on a descriptor that lives through them; no memory is passed.
    let result = unsafe {
        // Who waits is announced by a signal; SIGURG is ignored unless somebody asks for it, SIGIO would end us.
        libc::fcntl(fd.as_raw_fd(), F_SETSIG, libc::SIGURG);
        libc::fcntl(fd.as_raw_fd(), libc::F_SETLEASE, kind)
    };
    if result == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN) => Err(io::ErrorKind::WouldBlock.into()),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, error)),
    }
}

/// The user and group that this process acts as.
pub fn me() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

/// The umask that the user's shell gave us, before hardening set a stricter one: what new files of theirs get.
pub fn user_umask() -> u32 {
    USERS_UMASK.load(Ordering::Relaxed)
}

pub(crate) fn remember_umask(mask: u32) {
    USERS_UMASK.store(mask & 0o777, Ordering::Relaxed);
}

/// 022 until [`crate::harden::harden_process`] has seen the real one.
static USERS_UMASK: AtomicU32 = AtomicU32::new(0o022);

/// `F_SETSIG` of `linux/fcntl.h`, which the `libc` crate leaves out.
const F_SETSIG: libc::c_int = 10;

fn set_xattrs(path: &str, now: &[Xattr], wanted: &[Xattr]) -> io::Result<()> {
    for xattr in wanted {
        if !now.contains(xattr) {
            fs::setxattr(path, xattr.name.as_slice(), &xattr.value, XattrFlags::empty())?;
        }
    }
    for xattr in now {
        if !wanted.iter().any(|w| w.name == xattr.name) {
            match fs::removexattr(path, xattr.name.as_slice()) {
                Ok(()) | Err(Errno::NODATA) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}
