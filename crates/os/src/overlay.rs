//! What drafts need of the system: names listed with their kinds, kinds told finely, extended attributes without
//! opening, whiteouts, file handles, mounts, and flags that keep files from being removed.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use raincoat_types::{Timestamp, Xattr};
use rustix::fs::{self, AtFlags, FileType, IFlags, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::Errno;
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::state::{self, Stat};
use crate::{fault, fd_path};

/// Bytes of attribute names that are looked at; the kernel's own bound (`XATTR_LIST_MAX`).
const MAX_NAMES: usize = 64 << 10;
/// Bytes of one attribute's value; the kernel's own bound (`XATTR_SIZE_MAX`).
const MAX_VALUE: usize = 64 << 10;

const STRICT: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV)
    .union(ResolveFlags::NO_SYMLINKS);

/// What a special file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Node {
    /// A file, directory or symlink: no special file.
    Plain,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device: major and minor number.
    Char(u32, u32),
    /// A block device: major and minor number.
    Block(u32, u32),
    /// What this system knows and we do not.
    Unknown,
}

/// A name in a folder, as listing tells it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Listed {
    /// The name.
    pub name: Vec<u8>,
    /// Whether it is a directory; `None` where the file system does not say.
    pub is_dir: Option<bool>,
}

/// A file handle as `name_to_handle_at(2)` gives it: it stays the same while the inode lives, under whatever name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileHandle {
    /// The file system's own type of handle.
    pub kind: u8,
    /// Its bytes, at most 128.
    pub bytes: Vec<u8>,
}

/// A look at a name in a folder, with what sort of special file it is; `None` where nothing is. Nothing is opened or
/// followed.
///
/// # Errors
/// The system's error.
pub fn look_at(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<Option<(Stat, Node)>> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::EMPTY_PATH;
    let stat = match fs::statx(parent, name, flags, StatxFlags::BASIC_STATS | StatxFlags::BTIME) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let node = match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::RegularFile | FileType::Directory | FileType::Symlink => Node::Plain,
        FileType::Fifo => Node::Fifo,
        FileType::Socket => Node::Socket,
        FileType::CharacterDevice => Node::Char(stat.stx_rdev_major, stat.stx_rdev_minor),
        FileType::BlockDevice => Node::Block(stat.stx_rdev_major, stat.stx_rdev_minor),
        _ => Node::Unknown,
    };
    Ok(Some((state::convert(&stat), node)))
}

/// Holds a folder by its path beneath another (`O_PATH`): no symlink, no other file system on the way. An empty path
/// is the folder itself.
///
/// # Errors
/// The system's error.
pub fn folder_at(from: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    let path = if path.is_empty() { b".".as_slice() } else { path };
    open_dir(from, path, OFlags::PATH)
}

/// Opens a folder by its path beneath another to list it: no symlink, no other file system on the way. An empty path
/// is the folder itself.
///
/// # Errors
/// The system's error.
pub fn folder_to_list(from: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    let path = if path.is_empty() { b".".as_slice() } else { path };
    match open_dir(from, path, OFlags::RDONLY | OFlags::NOATIME) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => open_dir(from, path, OFlags::RDONLY),
        other => other,
    }
}

fn open_dir(from: BorrowedFd<'_>, path: &[u8], how: OFlags) -> io::Result<OwnedFd> {
    let flags = how | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for _ in 0..8 {
        match fs::openat2(from, path, flags, Mode::empty(), STRICT) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
    Err(Errno::AGAIN.into())
}

/// Up to `max` of the names in a folder that was opened to be listed, in the file system's order, from its first name
/// on at each call.
///
/// # Errors
/// The system's error.
pub fn list_some(dir: BorrowedFd<'_>, max: usize) -> io::Result<Vec<Listed>> {
    let mut names = Vec::new();
    for entry in fs::Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        if names.len() >= max {
            break;
        }
        let is_dir = match entry.file_type() {
            FileType::Unknown => None,
            kind => Some(kind == FileType::Directory),
        };
        names.push(Listed { name: name.to_vec(), is_dir });
    }
    Ok(names)
}

/// The extended attributes of a name in a folder, sorted by name, without opening it or following it. The folder may
/// be held by `O_PATH`; the name is one component, or empty for the folder. Attributes that this process may not read
/// do not show.
///
/// # Errors
/// The system's error.
pub fn xattrs_under(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<Vec<Xattr>> {
    let at = XattrsAt::new(parent, name)?;
    let mut small = [0_u8; 512];
    let mut large = Vec::new();
    let names = match at.list(&mut small) {
        Ok(len) => small.get(..len).unwrap_or_default(),
        Err(Errno::RANGE) => {
            large.resize(MAX_NAMES, 0);
            let len = at.list(&mut large)?;
            large.get(..len).unwrap_or_default()
        }
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut out = Vec::new();
    for name in names.split(|b| *b == 0).filter(|n| !n.is_empty()) {
        if let Some(value) = at.value(name)? {
            out.push(Xattr { name: name.to_vec(), value });
        }
    }
    out.sort();
    Ok(out)
}

/// A name in a folder, whose attributes are read by `listxattrat(2)` and `getxattrat(2)` (kernel 6.13), or else by way of
/// `/proc`, which takes twice as long.
struct XattrsAt<'a> {
    parent: BorrowedFd<'a>,
    name: CString,
}

/// The kernel has no `listxattrat`, or something keeps us from it.
static BY_PROC: AtomicBool = AtomicBool::new(false);

/// The same number on every architecture but one (alpha); the `libc` crate has neither yet.
const SYS_GETXATTRAT: libc::c_long = 464;
const SYS_LISTXATTRAT: libc::c_long = 465;

impl<'a> XattrsAt<'a> {
    fn new(parent: BorrowedFd<'a>, name: &[u8]) -> io::Result<XattrsAt<'a>> {
        let name = if name.is_empty() { b".".as_slice() } else { name };
        Ok(XattrsAt { parent, name: CString::new(name)? })
    }

    fn list(&self, out: &mut [u8]) -> Result<usize, Errno> {
        if !BY_PROC.load(Ordering::Relaxed) {
            // SAFETY: the name ends in a NUL and the buffer has `out.len()` bytes; both live through the call.
            let got = unsafe {
                libc::syscall(
                    SYS_LISTXATTRAT,
                    self.parent.as_raw_fd(),
                    self.name.as_ptr(),
                    libc::AT_SYMLINK_NOFOLLOW,
                    out.as_mut_ptr(),
                    out.len(),
                )
            };
            match counted(got) {
                Err(Errno::NOSYS | Errno::PERM) => BY_PROC.store(true, Ordering::Relaxed),
                other => return other,
            }
        }
        fs::llistxattr(self.by_proc().as_slice(), out)
    }

    fn get(&self, xattr: &[u8], out: &mut [u8]) -> Result<usize, Errno> {
        if BY_PROC.load(Ordering::Relaxed) {
            return fs::lgetxattr(self.by_proc().as_slice(), xattr, out);
        }
        /// `struct xattr_args` of `linux/xattr.h`.
        #[repr(C, align(8))]
        struct Arguments {
            value: u64,
            size: u32,
            flags: u32,
        }
        let xattr = CString::new(xattr).map_err(|_| Errno::INVAL)?;
        let size = u32::try_from(out.len()).map_err(|_| Errno::INVAL)?;
        let arguments = Arguments { value: out.as_mut_ptr().expose_provenance() as u64, size, flags: 0 };
        // SAFETY: both names end in a NUL, the arguments name a buffer of `size` bytes, and all of them live through
        // the call.
        let got = unsafe {
            libc::syscall(
                SYS_GETXATTRAT,
                self.parent.as_raw_fd(),
                self.name.as_ptr(),
                libc::AT_SYMLINK_NOFOLLOW,
                xattr.as_ptr(),
                &raw const arguments,
                size_of::<Arguments>(),
            )
        };
        counted(got)
    }

    /// The value of an attribute; `None` where it is gone since, or not ours to read.
    fn value(&self, xattr: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let mut small = [0_u8; 256];
        match self.get(xattr, &mut small) {
            Ok(len) => return Ok(Some(small.get(..len).unwrap_or_default().to_vec())),
            Err(Errno::RANGE) => {}
            Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::PERM | Errno::ACCESS) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let mut value = vec![0_u8; MAX_VALUE];
        match self.get(xattr, &mut value) {
            Ok(len) => {
                value.truncate(len);
                Ok(Some(value))
            }
            Err(Errno::NODATA) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn by_proc(&self) -> Vec<u8> {
        let mut path = format!("/proc/self/fd/{}/", self.parent.as_raw_fd()).into_bytes();
        path.extend_from_slice(self.name.as_bytes());
        path
    }
}

fn counted(result: libc::c_long) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO))
}

/// The file handle of a name in a folder (empty: of the folder); `None` where the file system has none.
///
/// # Errors
/// The system's error.
pub fn handle_of(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<Option<FileHandle>> {
    #[repr(C)]
    struct Buffer {
        len: libc::c_uint,
        kind: libc::c_int,
        bytes: [u8; 128],
    }
    let name = CString::new(name)?;
    let mut buffer = Buffer { len: 128, kind: 0, bytes: [0; 128] };
    let mut mount: libc::c_int = 0;
    // SAFETY: the buffer has the layout of `struct file_handle` with room for the 128 bytes that `len` names, and it,
    // the name and the mount's number live through the call.
    let result = unsafe {
        libc::name_to_handle_at(
            parent.as_raw_fd(),
            name.as_ptr(),
            std::ptr::from_mut(&mut buffer).cast(),
            &raw mut mount,
            libc::AT_EMPTY_PATH,
        )
    };
    if result != 0 {
        let error = io::Error::last_os_error();
        return match error.raw_os_error() {
            Some(libc::EOPNOTSUPP | libc::EOVERFLOW | libc::ENOSYS) => Ok(None),
            _ => Err(error),
        };
    }
    let Ok(kind) = u8::try_from(buffer.kind) else { return Ok(None) };
    let bytes = buffer.bytes.get(..buffer.len as usize).unwrap_or_default().to_vec();
    Ok(Some(FileHandle { kind, bytes }))
}

/// Which mount a descriptor lies on: files can be renamed within one only. 0 where the kernel does not tell (before
/// 5.8).
///
/// # Errors
/// The system's error.
pub fn mount_of(fd: BorrowedFd<'_>) -> io::Result<u64> {
    let stat = fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    Ok(if stat.stx_mask & StatxFlags::MNT_ID.bits() != 0 { stat.stx_mnt_id } else { 0 })
}

/// A new whiteout: what an overlay takes for a name that does not exist. Any user may make one (kernel 5.8).
///
/// # Errors
/// `AlreadyExists`, or the system's error.
pub fn make_whiteout(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    fault::point("mknodat")?;
    Ok(fs::mknodat(parent, name, FileType::CharacterDevice, Mode::empty(), 0)?)
}

/// Asks the file system to spread this directory's subdirectories over the disk (`chattr +T`), so that files of one do
/// not queue up behind what was deleted in another. Where it cannot, it does not.
pub fn spread_children(dir: BorrowedFd<'_>) {
    if let Ok(flags) = fs::ioctl_getflags(dir)
        && !flags.contains(IFlags::TOPDIR)
    {
        // A wish, not a need.
        let _ = fs::ioctl_setflags(dir, flags | IFlags::TOPDIR);
    }
}

/// Takes the flags away that keep a file or directory from being changed (`chattr -ia`). For who may.
///
/// # Errors
/// The system's error.
pub fn clear_protection(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let name = if name.is_empty() { b".".as_slice() } else { name };
    let kind = match look_at(parent, name)? {
        Some((stat, Node::Plain)) if stat.kind != raincoat_types::FileKind::Symlink => stat.kind,
        _ => return Err(Errno::PERM.into()),
    };
    let extra = if kind == raincoat_types::FileKind::Dir { OFlags::DIRECTORY } else { OFlags::empty() };
    let fd = fs::openat2(parent, name, flags | extra, Mode::empty(), STRICT)?;
    let now = fs::ioctl_getflags(&fd)?;
    Ok(fs::ioctl_setflags(&fd, now - (IFlags::IMMUTABLE | IFlags::APPEND))?)
}

/// Sets the mode of what a descriptor leads to (an `O_PATH` one will do).
///
/// # Errors
/// The system's error.
pub fn set_mode(fd: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
    fault::point("chmod")?;
    Ok(fs::chmod(format!("/proc/self/fd/{}", fd.as_raw_fd()), Mode::from_raw_mode(mode))?)
}

/// Whether a folder is this other one or lies somewhere in it: asked upwards, by `..`, which no symlink leads astray.
///
/// # Errors
/// The system's error.
pub fn lies_within(folder: BorrowedFd<'_>, other: BorrowedFd<'_>) -> io::Result<bool> {
    let wanted = state::stat_fd(other)?.identity;
    let mut at = folder.try_clone_to_owned()?;
    let mut last = state::stat_fd(at.as_fd())?.identity;
    // More levels than a path can name.
    for _ in 0..4096 {
        if last == wanted {
            return Ok(true);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        at = fs::openat(&at, c"..", flags, Mode::empty())?;
        let up = state::stat_fd(at.as_fd())?.identity;
        if up == last {
            return Ok(false);
        }
        last = up;
    }
    Err(Errno::LOOP.into())
}

/// The topmost directory of the mount that a folder lies on, and its path.
///
/// # Errors
/// The system's error.
pub fn mount_top(folder: BorrowedFd<'_>) -> io::Result<(OwnedFd, std::path::PathBuf)> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mount = mount_of(folder)?;
    let mut at = folder.try_clone_to_owned()?;
    let mut here = state::stat_fd(at.as_fd())?;
    for _ in 0..4096 {
        let up = fs::openat(&at, c"..", flags, Mode::empty())?;
        let above = state::stat_fd(up.as_fd())?;
        if here.mount_root || above.identity == here.identity || mount_of(up.as_fd())? != mount {
            break;
        }
        (at, here) = (up, above);
    }
    let path = fd_path(at.as_fd())?;
    Ok((at, path))
}

/// The real-time clock, which can be set, and the seconds and nanoseconds since the machine started, which cannot: read
/// together, as near as a busy machine lets them be.
pub fn clocks() -> (Timestamp, Timestamp) {
    /// Read one after the other without anything in between.
    const NEAR: i64 = 20_000;
    const TRIES: u32 = 16;
    let nanos = |time: &Timespec| time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec);
    let read = || {
        let before = clock_gettime(ClockId::Boottime);
        let real = clock_gettime(ClockId::Realtime);
        let apart = nanos(&clock_gettime(ClockId::Boottime)).saturating_sub(nanos(&before));
        (apart, real, before)
    };
    let mut best = read();
    for _ in 1..TRIES {
        if best.0 < NEAR {
            break;
        }
        let again = read();
        if again.0 < best.0 {
            best = again;
        }
    }
    let (_, real, boot) = best;
    let plain = |now: Timespec| Timestamp { secs: now.tv_sec, nanos: u32::try_from(now.tv_nsec).unwrap_or(0) };
    (plain(real), plain(boot))
}

/// What tells this start of the machine from any other; empty where the system does not say.
pub fn boot_id() -> Vec<u8> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let Ok(fd) = fs::open(c"/proc/sys/kernel/random/boot_id", flags, Mode::empty()) else { return Vec::new() };
    let mut out = [0_u8; 36];
    let got = state::read_at(fd.as_fd(), &mut out, 0).unwrap_or(0);
    out.get(..got).unwrap_or_default().to_vec()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make their trees by path")]
mod tests {
    use super::*;
    use crate::Root;

    #[test]
    fn a_whiteout_is_told_from_what_it_is_not() {
        let home = tempfile::tempdir().unwrap();
        let root = Root::open(home.path()).unwrap();
        make_whiteout(root.as_fd(), b"gone").unwrap();
        std::fs::write(home.path().join("file"), b"x").unwrap();
        assert_eq!(look_at(root.as_fd(), b"gone").unwrap().unwrap().1, Node::Char(0, 0));
        assert_eq!(look_at(root.as_fd(), b"file").unwrap().unwrap().1, Node::Plain);
        assert!(look_at(root.as_fd(), b"nothing").unwrap().is_none());
        let dir = folder_to_list(root.as_fd(), b"").unwrap();
        assert_eq!(list_some(dir.as_fd(), 10).unwrap().len(), 2);
        assert_eq!(list_some(dir.as_fd(), 1).unwrap().len(), 1);
    }

    #[test]
    fn a_handle_names_the_inode_and_not_the_name() {
        let home = tempfile::tempdir().unwrap();
        let root = Root::open(home.path()).unwrap();
        std::fs::write(home.path().join("a"), b"x").unwrap();
        std::fs::hard_link(home.path().join("a"), home.path().join("b")).unwrap();
        std::fs::write(home.path().join("c"), b"x").unwrap();
        let of = |name: &[u8]| handle_of(root.as_fd(), name).unwrap();
        assert_eq!(of(b"a"), of(b"b"));
        assert!(of(b"a").is_none() || of(b"a") != of(b"c"));
    }

    #[test]
    fn what_lies_within_is_found_by_going_up() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("a/b/c")).unwrap();
        std::os::unix::fs::symlink("a/b/c", home.path().join("link")).unwrap();
        let at = |path: &str| Root::open(&home.path().join(path)).unwrap();
        assert!(lies_within(at("a/b/c").as_fd(), at("a").as_fd()).unwrap());
        assert!(lies_within(at("link").as_fd(), at("a/b").as_fd()).unwrap());
        assert!(!lies_within(at("a").as_fd(), at("a/b").as_fd()).unwrap());
        assert_eq!(mount_of(at("a").as_fd()).unwrap(), mount_of(at("a/b").as_fd()).unwrap());
        let (top, _) = mount_top(at("a/b").as_fd()).unwrap();
        assert!(lies_within(at("a/b").as_fd(), top.as_fd()).unwrap());
        assert!(!boot_id().is_empty());
    }

    #[test]
    fn attributes_are_read_without_opening_and_the_same_either_way() {
        let home = tempfile::tempdir().unwrap();
        let root = Root::open(home.path()).unwrap();
        std::fs::write(home.path().join("a"), b"x").unwrap();
        crate::scratch::set_xattr(&home.path().join("a"), "user.one", &[7; 1000]).unwrap();
        crate::scratch::set_xattr(&home.path().join("a"), "user.two", b"").unwrap();
        crate::scratch::set_xattr(home.path(), "user.three", b"3").unwrap();
        std::os::unix::fs::symlink("a", home.path().join("l")).unwrap();
        let folder = folder_at(root.as_fd(), b"").unwrap();
        for by_proc in [false, true] {
            BY_PROC.store(by_proc, Ordering::Relaxed);
            for name in [b"a".as_slice(), b"", b"l"] {
                let found = xattrs_under(folder.as_fd(), name).unwrap();
                assert_eq!(found, state::xattrs_at(root.as_fd(), name).unwrap());
                assert_eq!(found.is_empty(), name == b"l");
            }
            assert!(xattrs_under(folder.as_fd(), b"none").is_err());
        }
        BY_PROC.store(false, Ordering::Relaxed);
    }
}
