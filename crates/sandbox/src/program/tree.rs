//! A directory's tree beneath descriptors: built again from links, cleared away. Nothing is followed, nothing mounted is
//! entered.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;

/// Directories within each other. Two descriptors are open for each, of the 1,024 that a process usually has.
const DEPTH: usize = 400;
/// How often a directory is cleared into which somebody goes on writing.
const ATTEMPTS: usize = 16;
/// Bytes of an extended attribute, and of the list of their names (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
const XATTR_MAX: usize = 65_536;
/// What its owner needs to list, enter and change a directory.
const ACCESS: u32 = 0o700;

/// A directory that can be listed, entered and changed. Where its owner may not, the mode is changed for as long as this
/// lives.
#[derive(Debug)]
pub(super) struct Opened {
    fd: OwnedFd,
    mode: Option<Mode>,
}

/// An entry, not followed.
pub(super) fn stat(dir: impl AsFd, name: &[u8]) -> Result<Stat, Errno> {
    fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
}

fn is_dir(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// Nothing is in the directory, as far as can be seen.
pub(super) fn is_empty(dir: &OwnedFd, name: &[u8]) -> bool {
    let opened = fs::openat(dir, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty());
    opened.and_then(names).is_ok_and(|names| names.is_empty()) || stat(dir, name).is_err()
}

/// A tree that was built again.
#[derive(Debug, Default)]
pub(super) struct Built {
    /// The new directory, if it is one.
    root: Option<Opened>,
    /// Files under both names. An overlay that a user mounts may show two numbers for one file: the one that the folder
    /// has, and that of its copy.
    twins: HashSet<(Id, Id)>,
    /// Files with several names, and a path to the new name of each, from where the tree is built. Such an overlay would
    /// copy each name to a file of its own.
    linked: HashMap<Id, Vec<u8>>,
}

type Id = (u64, u64);

fn id(stat: &Stat) -> Id {
    (stat.st_dev, stat.st_ino)
}

/// Builds the entry again under another name: its directories anew, its files as links. What is there already stays. On
/// an error a part is left there.
pub(super) fn build(from: &OwnedFd, name: &[u8], to: &OwnedFd, new: &[u8]) -> Result<Built, Errno> {
    let mut built = Built::default();
    stat(from, name)?;
    built.root =
        grow(from.as_fd(), name, to.as_fd(), new, &mut Growing { built: &mut built, top: to.as_fd(), at: Vec::new() })?;
    Ok(built)
}

/// Where the building is.
struct Growing<'b> {
    built: &'b mut Built,
    /// What `at` and the paths of linked files begin at.
    top: BorrowedFd<'b>,
    /// The names of the directories down to here.
    at: Vec<Vec<u8>>,
}

fn grow(
    from: BorrowedFd<'_>,
    name: &[u8],
    to: BorrowedFd<'_>,
    new: &[u8],
    growing: &mut Growing<'_>,
) -> Result<Option<Opened>, Errno> {
    let original = match stat(from, name) {
        // Removed since it was listed.
        Err(Errno::NOENT) => return Ok(None),
        stat => stat?,
    };
    if !is_dir(&original) {
        return link(from, name, to, new, &original, growing).map(|()| None);
    }
    if growing.at.len() > DEPTH {
        return Err(Errno::LOOP);
    }
    match fs::mkdirat(to, new, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let source = Opened::open(from, name)?;
    let copy = Opened::open(to, new)?;
    growing.at.push(new.to_vec());
    for name in names(&source.fd)? {
        grow(source.fd.as_fd(), &name, copy.fd.as_fd(), &name, growing)?;
    }
    growing.at.pop();
    dress(&source.fd, &copy.fd, &original)?;
    Ok(Some(copy))
}

fn link(
    from: BorrowedFd<'_>,
    name: &[u8],
    to: BorrowedFd<'_>,
    new: &[u8],
    original: &Stat,
    growing: &mut Growing<'_>,
) -> Result<(), Errno> {
    let linked = match growing.built.linked.get(&id(original)) {
        Some(first) => fs::linkat(growing.top, first.as_slice(), to, new, AtFlags::empty()),
        None => fs::linkat(from, name, to, new, AtFlags::empty()),
    };
    match linked {
        // Removed since it was listed.
        Err(Errno::NOENT) => return Ok(()),
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    if original.st_nlink > 1 {
        let path = || growing.at.iter().map(Vec::as_slice).chain([new]).collect::<Vec<_>>().join(&b'/');
        growing.built.linked.entry(id(original)).or_insert_with(path);
    }
    let copy = stat(to, new)?;
    // What it was, and what it is now that the overlay has copied it.
    growing.built.twins.insert((id(original), id(&copy)));
    if let Ok(now) = stat(from, name) {
        growing.built.twins.insert((id(&now), id(&copy)));
    }
    Ok(())
}

/// Takes an entry away that was built again, with all that is in it. What was put into it since is moved to the new one.
pub(super) fn clear(dir: &OwnedFd, name: &[u8], built: &Built) -> Result<(), Errno> {
    match &built.root {
        None => fs::unlinkat(dir, name, AtFlags::empty()),
        Some(copy) => clear_dir(dir.as_fd(), name, copy, built),
    }
}

fn clear_dir(dir: BorrowedFd<'_>, name: &[u8], copy: &Opened, built: &Built) -> Result<(), Errno> {
    let old = Opened::open(dir, name)?;
    for _ in 0..ATTEMPTS {
        for name in names(&old.fd)? {
            match clear_entry(&old, &name, copy, built) {
                // Removed since it was listed.
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
        match fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY) => {}
            done => return done,
        }
    }
    Err(Errno::NOTEMPTY)
}

fn clear_entry(old: &Opened, name: &[u8], copy: &Opened, built: &Built) -> Result<(), Errno> {
    let (old, new) = (old.fd.as_fd(), copy.fd.as_fd());
    let there = stat(old, name)?;
    if is_dir(&there) {
        return match Opened::open(new, name) {
            // Made since the tree was built.
            Err(Errno::NOENT) => {
                let mut late = Built::default();
                let mut growing = Growing { built: &mut late, top: new, at: Vec::new() };
                let copy = grow(old, name, new, name, &mut growing)?.ok_or(Errno::NOENT)?;
                clear_dir(old, name, &copy, &late)
            }
            opened => clear_dir(old, name, &opened?, built),
        };
    }
    match stat(new, name) {
        Ok(copy) if id(&copy) == id(&there) || built.twins.contains(&(id(&there), id(&copy))) => {
            fs::unlinkat(old, name, AtFlags::empty())
        }
        _ => fs::renameat(old, name, new, name),
    }
}

/// Takes an entry away, with all that is in it.
pub(super) fn remove(dir: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    if !is_dir(&stat(&dir, name)?) {
        return fs::unlinkat(dir, name, AtFlags::empty());
    }
    let opened = Opened::open(dir.as_fd(), name)?;
    for name in names(&opened.fd)? {
        remove(&opened.fd, &name)?;
    }
    fs::unlinkat(dir, name, AtFlags::REMOVEDIR)
}

impl Opened {
    fn open(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Opened, Errno> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let how = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
        // Held before it is changed: the program could put a link in its place at any moment.
        let place = fs::openat2(dir, name, flags | OFlags::PATH, Mode::empty(), how)?;
        let mode = Mode::from_raw_mode(fs::fstat(&place)?.st_mode & 0o7777);
        let change = |mode| {
            let at = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&place));
            fs::chmodat(fs::CWD, at, mode, AtFlags::empty())
        };
        let changed = !mode.contains(Mode::from_raw_mode(ACCESS))
            // Of somebody else: what its group and others may has to do.
            && change(mode | Mode::from_raw_mode(ACCESS)).is_ok();
        let fd = fs::openat(&place, c".", flags | OFlags::RDONLY, Mode::empty()).inspect_err(|_| {
            if changed {
                let _ = change(mode);
            }
        })?;
        Ok(Opened { fd, mode: changed.then_some(mode) })
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(mode) = self.mode {
            // It may be gone by now.
            let _ = fs::fchmod(&self.fd, mode);
        }
    }
}

fn names(dir: impl AsFd) -> Result<Vec<Vec<u8>>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    Ok(names)
}

/// Gives the new directory everything that the original carries: owner, attributes and ACLs, mode, times.
fn dress(original: &OwnedFd, copy: &OwnedFd, carried: &Stat) -> Result<(), Errno> {
    let is = fs::fstat(copy)?;
    if (is.st_uid, is.st_gid) != (carried.st_uid, carried.st_gid) {
        let (owner, group) = (fs::Uid::from_raw(carried.st_uid), fs::Gid::from_raw(carried.st_gid));
        fs::fchown(copy, Some(owner), Some(group))?;
    }
    let carries = attributes(original)?;
    for inherited in attributes(copy)?.iter().filter(|name| !carries.contains(name)) {
        fs::fremovexattr(copy, inherited.as_slice())?;
    }
    for name in &carries {
        let mut value = Vec::with_capacity(XATTR_MAX);
        fs::fgetxattr(original, name.as_slice(), spare_capacity(&mut value))?;
        match fs::fsetxattr(copy, name.as_slice(), &value, XattrFlags::empty()) {
            // Labels are given by the system.
            Err(_) if name.starts_with(b"security.") => {}
            set => set?,
        }
    }
    fs::fchmod(copy, Mode::from_raw_mode(carried.st_mode & 0o7777))?;
    let spec = |secs, nanos| Timespec { tv_sec: secs, tv_nsec: nanos };
    let times = Timestamps {
        last_access: spec(carried.st_atime, carried.st_atime_nsec as _),
        last_modification: spec(carried.st_mtime, carried.st_mtime_nsec as _),
    };
    fs::futimens(copy, &times)
}

fn attributes(dir: &OwnedFd) -> Result<Vec<Vec<u8>>, Errno> {
    let mut list = Vec::with_capacity(XATTR_MAX);
    match fs::flistxattr(dir, spare_capacity(&mut list)) {
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        listed => listed?,
    };
    Ok(list.split(|&byte| byte == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect())
}
