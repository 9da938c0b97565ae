//! Who waits for an answer: what its call's arguments point to, by its own memory, descriptors and working directory.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, open, openat2, stat};
use rustix::io::Errno;

/// A thread whose call waits. It may end, and its number be given to another, at any time: what is read here counts
/// only if the call still waits afterwards, which every method checks.
#[derive(Debug)]
pub(crate) struct Caller<'s> {
    listener: &'s OwnedFd,
    id: u64,
    thread: u32,
}

/// The longest path that the kernel takes, with the zero at its end.
const PATH_MAX: usize = libc::PATH_MAX as usize;

/// A directory and a name in it that is not followed, as a call means them.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The directory, for paths only.
    pub dir: OwnedFd,
    /// The last part of the path, without slashes; not empty, `.` or `..`.
    pub name: Vec<u8>,
    /// A slash followed, so that it must be a directory.
    pub must_be_dir: bool,
}

impl<'s> Caller<'s> {
    /// The call `id` of `listener`, by the thread with this number.
    pub(crate) fn new(listener: &'s OwnedFd, id: u64, thread: u32) -> Caller<'s> {
        Caller { listener, id, thread }
    }

    /// The call still waits.
    fn waits(&self) -> bool {
        let fd = self.listener.as_raw_fd();
        // SAFETY: the number that this request reads lives through the call.
        unsafe { libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const self.id) == 0 }
    }

    /// The zero-terminated path at this address of its memory; `None`: there is none, it is too long, or the memory
    /// cannot be read (the program is not dumpable).
    pub(crate) fn path(&self, address: u64) -> Option<Vec<u8>> {
        const PAGE: usize = 4096;
        let mut path = Vec::new();
        while path.len() < PATH_MAX {
            let at = usize::try_from(address).ok()?.checked_add(path.len())?;
            // Up to the end of the page: what follows may not be mapped.
            let mut part = [0_u8; PAGE];
            let most = PAGE - at % PAGE;
            let ours = libc::iovec { iov_base: part.as_mut_ptr().cast(), iov_len: most };
            let theirs = libc::iovec { iov_base: std::ptr::without_provenance_mut(at), iov_len: most };
            let thread = i32::try_from(self.thread).ok()?;
            // SAFETY: `ours` is `most` bytes of `part`, which has at least as many; the other address is of the other
            // process and only a number here.
            let got = unsafe { libc::process_vm_readv(thread, &raw const ours, 1, &raw const theirs, 1, 0) };
            let got = part.get(..usize::try_from(got).ok()?)?;
            if let Some(end) = got.iter().position(|&byte| byte == 0) {
                path.extend_from_slice(got.get(..end)?);
                return (path.len() < PATH_MAX && self.waits()).then_some(path);
            }
            if got.len() < most {
                return None;
            }
            path.extend_from_slice(got);
        }
        None
    }

    /// What a descriptor of its is open at, for paths only.
    pub(crate) fn descriptor(&self, fd: i32) -> Option<OwnedFd> {
        self.magic(&format!("fd/{fd}"))
    }

    fn magic(&self, name: &str) -> Option<OwnedFd> {
        let path = format!("/proc/{}/{name}", self.thread);
        let opened = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
        self.waits().then_some(opened)
    }

    /// Its root directory is ours (it is not where a program that may nest changed it).
    pub(crate) fn shares_root(&self) -> bool {
        let (ours, theirs) = (stat("/"), stat(format!("/proc/{}/root", self.thread)));
        matches!((ours, theirs), (Ok(a), Ok(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)) && self.waits()
    }

    /// Opens `path`, relative to the directory `dirfd` as its `...at` calls take it, with these flags and `O_PATH`. Means
    /// what the program means only where it shares our root.
    ///
    /// # Errors
    /// `None`: cannot be known. Others: what the program would get.
    pub(crate) fn open(&self, dirfd: i32, path: &[u8], flags: OFlags) -> Result<OwnedFd, Option<Errno>> {
        let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
        let absolute = path.first() == Some(&b'/');
        let base = match (absolute, dirfd) {
            (true, _) => None,
            (false, libc::AT_FDCWD) => Some(self.magic("cwd").ok_or(None)?),
            (false, fd) => Some(self.descriptor(fd).ok_or(None)?),
        };
        let opened = match &base {
            Some(base) => openat2(base, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS),
            None => openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS),
        };
        match opened {
            Ok(opened) => Ok(opened),
            // `/proc/self` is another directory for us than for the program.
            Err(Errno::LOOP) => self.own(path, flags),
            Err(errno) => Err(Some(errno)),
        }
    }

    /// Opens a path through the program's own links in `/proc`: `cwd`, `root` and `fd/N`, and nothing beside them. No
    /// link of the kernel's counts after that one: it would be followed as us, to what we hold open ourselves.
    fn own(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Option<Errno>> {
        let own = [(&b"/proc/self/"[..], &b""[..]), (b"/proc/thread-self/", b""), (b"/dev/fd/", b"fd/")];
        let strip = |(own, inside): &(&[u8], &[u8])| path.strip_prefix(*own).map(|rest| [*inside, rest].concat());
        let inside = own.iter().find_map(strip).ok_or(None)?;
        let mut parts = inside.splitn(2, |&byte| byte == b'/');
        let (link, rest) = match (parts.next(), parts.next()) {
            (Some(b"cwd"), rest) => ("cwd".to_owned(), rest),
            (Some(b"root"), rest) => ("root".to_owned(), rest),
            (Some(b"fd"), Some(rest)) => {
                let mut parts = rest.splitn(2, |&byte| byte == b'/');
                let number = parts.next().and_then(|number| std::str::from_utf8(number).ok()?.parse::<u32>().ok());
                (format!("fd/{}", number.ok_or(None)?), parts.next())
            }
            _ => return Err(None),
        };
        let opened = self.magic(&link).ok_or(None)?;
        let rest = match rest {
            // The link itself, which nobody can rename or change.
            None if flags.contains(OFlags::NOFOLLOW) => return Err(None),
            None => b".",
            Some(rest) if rest.iter().all(|&byte| byte == b'/') => b".",
            Some(rest) => rest.get(rest.iter().take_while(|&&byte| byte == b'/').count()..).unwrap_or_default(),
        };
        if rest == b"." && !flags.contains(OFlags::DIRECTORY) {
            return Ok(opened);
        }
        openat2(&opened, rest, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
            .map_err(|errno| (errno != Errno::LOOP).then_some(errno))
    }

    /// The directory of `path` and the name in it; `None`: cannot be known, or the kernel has its own answer to it.
    pub(crate) fn entry(&self, dirfd: i32, path: &[u8]) -> Option<Entry> {
        let end = path.iter().rposition(|&byte| byte != b'/')? + 1;
        let (plain, slashes) = path.split_at_checked(end)?;
        let start = plain.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let (parent, name) = plain.split_at_checked(start)?;
        if name == b"." || name == b".." {
            return None;
        }
        let parent = if parent.is_empty() { b"." } else { parent };
        let dir = self.open(dirfd, parent, OFlags::DIRECTORY).ok()?;
        Some(Entry { dir, name: name.to_vec(), must_be_dir: !slashes.is_empty() })
    }
}

impl Entry {
    /// The name as the call had it, with its slash.
    pub(crate) fn as_asked(&self) -> Vec<u8> {
        let slash: &[u8] = if self.must_be_dir { b"/" } else { b"" };
        [&self.name, slash].concat()
    }
}
