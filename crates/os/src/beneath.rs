//! Paths beneath a granted directory, resolved by the kernel and never as strings.
//!
//! A [`Root`] is opened once. Every later path is walked from its descriptor with `openat2(2)` under
//! `RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV`, symlinks are followed here and only within, and what
//! comes back is the descriptor of the folder that holds the name, with the canonical path that led there. What was
//! checked is what is used.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use raincoat_types::{FileKind, Identity, RelPath};
use rustix::fs::{self, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::state::{self, Stat};

/// A directory that was granted, held open.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    path: PathBuf,
    identity: Identity,
}

/// A name beneath a root: the open folder that holds it, and what is there now.
#[derive(Debug)]
pub struct Found {
    /// The folder that holds the name (`O_PATH`).
    pub parent: OwnedFd,
    /// The name, one component; empty for the root itself.
    pub name: Vec<u8>,
    /// The canonical path.
    pub path: RelPath,
    /// What is there; `None` where nothing is.
    pub stat: Option<Stat>,
    /// Identities of the folders on the way, root first, with that of the file itself last where it exists.
    pub way: Vec<Identity>,
}

/// Why a path leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum PathFault {
    /// It leaves the granted folder: absolute, too many `..`, or a symlink that does.
    #[error("the path leaves the granted folder")]
    Outside,
    /// A folder on the way does not exist.
    #[error("no such folder: `{}`", .0.display())]
    NotFound(RelPath),
    /// Something on the way is not a folder.
    #[error("not a folder: `{}`", .0.display())]
    NotADirectory(RelPath),
    /// Another file system is mounted there.
    #[error("another file system is mounted at `{}`; grant it by itself", .0.display())]
    Mount(RelPath),
    /// More symlinks than the limit.
    #[error("too many symlinks on the way")]
    Loop,
    /// Not a possible path: a NUL byte, a name over 255 bytes, a path over 4,096.
    #[error("not a possible path: {0}")]
    Invalid(#[from] raincoat_types::PathError),
    /// The folders were changed under the walk, again and again.
    #[error("the folders on the way keep changing")]
    Unsteady,
    /// The system refuses.
    #[error("{error} at `{}`", .path.display())]
    System {
        /// Where.
        path: RelPath,
        /// What it says.
        error: io::Error,
    },
}

/// `RESOLVE_BENEATH` and its kin: the kernel refuses what would leave.
const STRICT: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV)
    .union(ResolveFlags::NO_SYMLINKS);

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

fn system(path: &RelPath, error: io::Error) -> PathFault {
    PathFault::System { path: path.clone(), error }
}

impl Root {
    /// Opens a folder by the path that a person gave. Symlinks on that path are theirs and are followed.
    ///
    /// # Errors
    /// The system's error; `NotADirectory` where it is no folder.
    pub fn open(path: &Path) -> io::Result<Root> {
        let fd = fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let identity = state::stat_fd(fd.as_fd())?.identity;
        // The kernel's own word for where that is; for people to read.
        let path = fd_path(fd.as_fd())?;
        Ok(Root { fd, path, identity })
    }

    /// Another handle on the same folder.
    ///
    /// # Errors
    /// The system's error.
    pub fn try_clone(&self) -> io::Result<Root> {
        Ok(Root { fd: self.fd.try_clone()?, path: self.path.clone(), identity: self.identity })
    }

    /// Its absolute path as the kernel told it when it was opened. For people.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which directory it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Finds the name that `raw` leads to. Symlinks on the way are followed where they stay beneath; the last one
    /// only with `follow`. The name itself may be missing; its folder may not.
    ///
    /// # Errors
    /// [`PathFault`].
    pub fn find(&self, raw: &[u8], follow: bool, max_links: u32) -> Result<Found, PathFault> {
        if raw.contains(&0) {
            return Err(raincoat_types::PathError::Nul.into());
        }
        if raw.len() >= 4096 {
            return Err(raincoat_types::PathError::TooLong.into());
        }
        if raw.first() == Some(&b'/') {
            return Err(PathFault::Outside);
        }
        if let Some(found) = self.find_plain(raw, follow)? {
            return Ok(found);
        }
        self.walk(raw, follow, max_links)
    }

    /// Finds a path that is canonical already, following nothing.
    ///
    /// # Errors
    /// [`PathFault`]; a symlink on the way is [`PathFault::NotADirectory`].
    pub fn find_exact(&self, path: &RelPath) -> Result<Found, PathFault> {
        match self.find_plain(path.as_bytes(), false)? {
            Some(found) => Ok(found),
            None => Err(PathFault::NotADirectory(path.clone())),
        }
    }

    /// The common case in two calls: no `..`, no symlink. `None` where it is not the common case.
    fn find_plain(&self, raw: &[u8], follow: bool) -> Result<Option<Found>, PathFault> {
        let mut names = raw.split(|b| *b == b'/').filter(|n| !n.is_empty() && *n != b".").peekable();
        let mut folder = RelPath::ROOT;
        let mut last: Option<&[u8]> = None;
        while let Some(name) = names.next() {
            if name == b".." {
                return Ok(None);
            }
            if names.peek().is_some() {
                folder = folder.join(name)?;
            } else {
                last = Some(name);
            }
        }
        let Some(name) = last else { return self.itself().map(Some) };
        let path = folder.join(name)?;
        let parent = if folder.is_root() {
            self.fd.try_clone().map_err(|e| system(&RelPath::ROOT, e))?
        } else {
            match open_folder(self.fd.as_fd(), folder.as_bytes()) {
                Ok(fd) => fd,
                Err(Errno::LOOP | Errno::NOTDIR) => return Ok(None),
                Err(errno) => return self.explain(errno, &folder),
            }
        };
        let stat = match state::stat_at(parent.as_fd(), name) {
            Ok(stat) => stat,
            Err(error) => return Err(system(&path, error)),
        };
        if follow && stat.as_ref().is_some_and(|s| s.kind == FileKind::Symlink) {
            return Ok(None);
        }
        if let Some(stat) = &stat {
            self.same_mount(stat, &path)?;
        }
        let mut way = self.way_to(parent.as_fd(), &folder)?;
        way.extend(stat.as_ref().map(|s| s.identity));
        Ok(Some(Found { parent, name: name.to_vec(), path, stat, way }))
    }

    /// Identities of the root and the folders down to an open one. Asked upwards from that one, by `..`, which no
    /// symlink can lead astray: what is told is where the descriptor really lies.
    fn way_to(&self, parent: BorrowedFd<'_>, folder: &RelPath) -> Result<Vec<Identity>, PathFault> {
        let depth = folder.names().count();
        if depth == 0 {
            return Ok(vec![self.identity]);
        }
        let fail = |e| system(folder, e);
        let mut way = vec![state::stat_fd(parent).map_err(fail)?.identity];
        let mut up = Vec::new();
        for _ in 0..depth {
            up.extend_from_slice(if up.is_empty() { b".." } else { b"/.." });
            let stat = state::stat_at(parent, &up).map_err(fail)?.ok_or(PathFault::Unsteady)?;
            way.push(stat.identity);
        }
        if way.last() != Some(&self.identity) {
            return Err(PathFault::Unsteady);
        }
        way.reverse();
        Ok(way)
    }

    /// `EXDEV` from the walk is `..` beyond the root, a mount, or an absolute symlink; say which.
    fn explain(&self, errno: Errno, folder: &RelPath) -> Result<Option<Found>, PathFault> {
        let mut at = RelPath::ROOT;
        for name in folder.names() {
            at = at.join(name)?;
            match open_folder(self.fd.as_fd(), at.as_bytes()) {
                Ok(_) => {}
                Err(Errno::NOENT) => return Err(PathFault::NotFound(at)),
                Err(Errno::XDEV) => return Err(PathFault::Mount(at)),
                Err(Errno::LOOP | Errno::NOTDIR) => return Ok(None),
                Err(other) => return Err(system(&at, other.into())),
            }
        }
        Err(system(folder, errno.into()))
    }

    fn itself(&self) -> Result<Found, PathFault> {
        let fault = |e: io::Error| system(&RelPath::ROOT, e);
        let parent = self.fd.try_clone().map_err(fault)?;
        let stat = state::stat_fd(parent.as_fd()).map_err(fault)?;
        Ok(Found { parent, name: Vec::new(), path: RelPath::ROOT, way: vec![stat.identity], stat: Some(stat) })
    }

    fn same_mount(&self, stat: &Stat, path: &RelPath) -> Result<(), PathFault> {
        if stat.mount_root { Err(PathFault::Mount(path.clone())) } else { Ok(()) }
    }

    /// Name by name, with a stack of open folders, so that `..` is where we came from and not where the kernel would
    /// go after somebody has moved a folder.
    fn walk(&self, raw: &[u8], follow: bool, max_links: u32) -> Result<Found, PathFault> {
        let mut stack: Vec<(OwnedFd, RelPath, Identity)> = Vec::new();
        let mut todo: Vec<Vec<u8>> = split_reversed(raw);
        let mut links = 0;
        loop {
            let here = stack.last().map_or(RelPath::ROOT, |(_, path, _)| path.clone());
            let fd = stack.last().map_or(self.fd.as_fd(), |(fd, _, _)| fd.as_fd());
            let Some(name) = todo.pop() else {
                // The path ended in `..` or `.`: it is the folder on top of the stack.
                let Some((_, path, _)) = stack.pop() else { return self.itself() };
                return self.find_exact(&path);
            };
            if name == b".." {
                if stack.pop().is_none() {
                    return Err(PathFault::Outside);
                }
                continue;
            }
            let path = here.join(&name)?;
            let stat = state::stat_at(fd, &name).map_err(|e| system(&path, e))?;
            if let Some(stat) = &stat {
                self.same_mount(stat, &path)?;
            }
            let is_last = todo.is_empty();
            match stat {
                Some(stat) if stat.kind == FileKind::Symlink && (follow || !is_last) => {
                    links += 1;
                    if links > max_links {
                        return Err(PathFault::Loop);
                    }
                    let target =
                        fs::readlinkat(fd, name.as_slice(), Vec::new()).map_err(|e| system(&path, e.into()))?;
                    let target = target.to_bytes();
                    if target.first() == Some(&b'/') {
                        return Err(PathFault::Outside);
                    }
                    todo.extend(split_reversed(target));
                }
                stat if is_last => {
                    let parent = fd.try_clone_to_owned().map_err(|e| system(&path, e))?;
                    let mut way = vec![self.identity];
                    way.extend(stack.iter().map(|(_, _, identity)| *identity));
                    way.extend(stat.as_ref().map(|s| s.identity));
                    return Ok(Found { parent, name, path, stat, way });
                }
                None => return Err(PathFault::NotFound(path)),
                Some(stat) if stat.kind == FileKind::Dir => {
                    // What is opened counts, not what was seen: somebody may have swapped it since.
                    let next = match open_folder(fd, &name) {
                        Ok(next) => next,
                        Err(Errno::LOOP | Errno::NOTDIR | Errno::NOENT) => return Err(PathFault::Unsteady),
                        Err(Errno::XDEV) => return Err(PathFault::Mount(path)),
                        Err(errno) => return Err(system(&path, errno.into())),
                    };
                    let identity = state::stat_fd(next.as_fd()).map_err(|e| system(&path, e))?.identity;
                    stack.push((next, path, identity));
                }
                Some(_) => return Err(PathFault::NotADirectory(path)),
            }
        }
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Found {
    /// The folder's descriptor, to act on the name in it.
    pub fn folder(&self) -> BorrowedFd<'_> {
        self.parent.as_fd()
    }
}

/// Opens a folder for reading its entries, given the folder that holds it.
///
/// # Errors
/// The system's error.
pub fn open_dir_for_reading(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if name.is_empty() {
        return Ok(fs::openat(parent, c".", flags, Mode::empty())?);
    }
    match fs::openat2(parent, name, flags, Mode::empty(), STRICT) {
        // A symlink: no folder.
        Err(Errno::LOOP) => Err(Errno::NOTDIR.into()),
        other => Ok(other?),
    }
}

/// Whether this user may make and take away names in a folder.
///
/// # Errors
/// The system's error, other than a no.
pub fn may_be_changed(dir: BorrowedFd<'_>) -> io::Result<bool> {
    match fs::accessat(dir, c".", fs::Access::WRITE_OK | fs::Access::EXEC_OK, fs::AtFlags::EACCESS) {
        Ok(()) => Ok(true),
        Err(Errno::ACCESS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The names in an open folder, sorted, without `.` and `..`.
///
/// # Errors
/// The system's error.
pub fn names_in(dir: BorrowedFd<'_>) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in fs::Dir::read_from(dir)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The bytes of a symlink's target.
///
/// # Errors
/// The system's error.
pub fn read_link(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<Vec<u8>> {
    Ok(fs::readlinkat(parent, name, Vec::new())?.into_bytes())
}

/// Opens a regular file to read. What stands under the name is held and looked at before it is opened, so that no FIFO
/// blocks and no device is woken, whatever is swapped in meanwhile. The descriptor is of the very inode that `expect`
/// names.
///
/// # Errors
/// The system's error; `StaleNetworkFileHandle` where another file has taken its place.
pub fn open_file_for_reading(parent: BorrowedFd<'_>, name: &[u8], expect: &Stat) -> io::Result<OwnedFd> {
    let base = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let held = hold_file(parent, name, expect.kind, &expect.identity)?;
    // Without changing the access time where the file is ours.
    match open_held(held.as_fd(), base | OFlags::NOATIME) {
        Err(Errno::PERM) => Ok(open_held(held.as_fd(), base)?),
        other => Ok(other?),
    }
}

/// Opens, in one call, what was just seen to be a regular file, to read it, in a folder that is ours alone and where
/// nothing runs any more: the draft of a program that has ended. What was opened shows only in a look at the descriptor,
/// which has to follow before what is read counts. Whatever has come there meanwhile, nothing blocks and nothing is
/// followed. In a folder where somebody may be at work use [`open_file_for_reading`].
///
/// # Errors
/// The system's error.
pub fn open_left_file(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let base = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match fs::openat2(parent, name, base | OFlags::NOATIME, Mode::empty(), STRICT) {
        Err(Errno::PERM) => Ok(fs::openat2(parent, name, base, Mode::empty(), STRICT)?),
        other => Ok(other?),
    }
}

/// An `O_PATH` descriptor of the regular file under a name, if it is that very inode.
pub(crate) fn hold_file(
    parent: BorrowedFd<'_>,
    name: &[u8],
    kind: FileKind,
    identity: &Identity,
) -> io::Result<OwnedFd> {
    if kind != FileKind::File {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = fs::openat2(parent, name, flags, Mode::empty(), STRICT)?;
    let now = state::stat_fd(held.as_fd())?;
    if now.identity != *identity || now.kind != FileKind::File {
        return Err(io::Error::new(io::ErrorKind::StaleNetworkFileHandle, "another file has taken its place"));
    }
    Ok(held)
}

/// Opens what an `O_PATH` descriptor holds.
pub(crate) fn open_held(held: BorrowedFd<'_>, flags: OFlags) -> Result<OwnedFd, Errno> {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}", held.as_raw_fd());
    fs::open(path.as_str(), flags, Mode::empty())
}

/// Whether two paths lead to the same directory now.
///
/// # Errors
/// The system's error.
pub fn identity_of(path: &Path) -> io::Result<Identity> {
    let fd = fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    Ok(state::stat_fd(fd.as_fd())?.identity)
}

/// The kind of what a path leads to now, symlinks followed; `None` where it leads nowhere.
pub fn kind_of(path: &Path) -> Option<FileKind> {
    let fd = fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    Some(state::stat_fd(fd.as_fd()).ok()?.kind)
}

fn open_folder(from: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    for _ in 0..8 {
        match fs::openat2(from, path, FOLDER, Mode::empty(), STRICT) {
            // The kernel asks to try again where a rename went on meanwhile (openat2(2), EAGAIN).
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

fn split_reversed(raw: &[u8]) -> Vec<Vec<u8>> {
    raw.rsplit(|b| *b == b'/').filter(|n| !n.is_empty() && *n != b".").map(<[u8]>::to_vec).collect()
}

/// The kernel's word for where a descriptor leads.
///
/// # Errors
/// The system's error, where `/proc` is not mounted.
pub fn fd_path(fd: BorrowedFd<'_>) -> io::Result<PathBuf> {
    use std::os::fd::AsRawFd;
    let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let target = fs::readlinkat(fs::CWD, link.as_str(), Vec::new())?;
    Ok(PathBuf::from(std::ffi::OsStr::from_bytes(target.to_bytes())))
}

/// An absolute path from what a person typed, by asking the kernel where it leads; the last name may be missing.
///
/// # Errors
/// The system's error.
pub fn absolute(path: &Path) -> io::Result<PathBuf> {
    match fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        Ok(fd) => fd_path(fd.as_fd()),
        Err(Errno::NOENT) => {
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let fd = fs::open(parent, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
            Ok(fd_path(fd.as_fd())?.join(name))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make their trees by path")]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> (tempfile::TempDir, Root) {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/b/f"), "x").unwrap();
        std::fs::write(home.path().join("secret"), "s").unwrap();
        symlink("../secret", root.join("up")).unwrap();
        symlink("/etc/passwd", root.join("abs")).unwrap();
        symlink("a/b", root.join("in")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("../in/f", root.join("a/twice")).unwrap();
        let root = Root::open(&root).unwrap();
        (home, root)
    }

    #[test]
    fn what_stays_beneath_is_found_by_its_canonical_path() {
        let (_home, root) = tree();
        for (raw, path) in [
            ("a/b/f", "a/b/f"),
            ("./a//b/./f", "a/b/f"),
            ("in/f", "a/b/f"),
            ("a/../a/b/f", "a/b/f"),
            ("a/b/new", "a/b/new"),
            ("a/b/..", "a"),
        ] {
            assert_eq!(root.find(raw.as_bytes(), false, 40).unwrap().path.display(), path, "{raw}");
        }
        assert_eq!(root.find(b"a/twice", true, 40).unwrap().path.display(), "a/b/f");
        assert_eq!(root.find(b"a/twice", false, 40).unwrap().path.display(), "a/twice");
        assert!(root.find(b"", false, 40).unwrap().path.is_root());
        assert!(root.find(b"a/..", false, 40).unwrap().path.is_root());
    }

    #[test]
    fn what_leaves_is_refused() {
        let (_home, root) = tree();
        for raw in ["..", "../secret", "a/../../secret", "/etc/passwd", "in/../../../secret"] {
            assert!(matches!(root.find(raw.as_bytes(), true, 40), Err(PathFault::Outside)), "{raw}");
        }
        assert!(matches!(root.find(b"up", true, 40), Err(PathFault::Outside)));
        assert!(matches!(root.find(b"abs", true, 40), Err(PathFault::Outside)));
        assert!(matches!(root.find(b"abs/x", false, 40), Err(PathFault::Outside)));
        assert!(matches!(root.find(b"loop", true, 40), Err(PathFault::Loop)));
        assert!(root.find(b"up", false, 40).is_ok(), "the link itself may be looked at");
        assert!(matches!(root.find(b"no/f", false, 40), Err(PathFault::NotFound(_))));
        assert!(matches!(root.find(b"a/b/f/g", false, 40), Err(PathFault::NotADirectory(_))));
        assert!(matches!(root.find(b"a\0b", false, 40), Err(PathFault::Invalid(_))));
        assert!(matches!(root.find(&[b'x'; 300], false, 40), Err(PathFault::Invalid(_))));
    }
}
