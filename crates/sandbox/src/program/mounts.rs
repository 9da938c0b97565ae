//! Mounts, by descriptor: nothing here takes a path of the user's as a string, so that no name can be misread.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, mkdirat, open, openat, openat2, statat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::sys;

/// Attributes of all but devices: no set-user-id programs, no devices.
pub(super) const PLAIN: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// [`PLAIN`], and not to be written.
pub(super) const READ_ONLY: MountAttrFlags = PLAIN.union(MountAttrFlags::MOUNT_ATTR_RDONLY);

const PATH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// A new file system, mounted nowhere yet. An option without a value is a flag.
pub(super) fn new(kind: &CStr, options: &[(&str, Option<&str>)], attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    let made = options
        .iter()
        .try_for_each(|(name, value)| match value {
            Some(value) => fsconfig_set_string(&context, *name, *value),
            None => fsconfig_set_flag(&context, *name),
        })
        .and_then(|()| fsconfig_create(&context));
    match made {
        Ok(()) => Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?),
        Err(error) => Err(explained(context.as_fd(), error)),
    }
}

/// The kernel's own words, where it left some.
fn explained(context: BorrowedFd<'_>, error: Errno) -> io::Error {
    let mut words = [0_u8; 256];
    let error = io::Error::from(error);
    match rustix::io::read(context, &mut words) {
        Ok(length) if length > 2 => {
            let words = raincoat_types::display_bytes(words.get(2..length).unwrap_or_default());
            io::Error::new(error.kind(), format!("{error} ({})", words.trim_end()))
        }
        _ => error,
    }
}

/// A folder with a draft over it; `lower` is topmost first.
///
/// `volatile`: without it the kernel waits for the disk at each file's first change and when the overlay goes (300
/// files changed: 0.75 s, with it 0.07 s). A draft is made durable when its program has ended, and again before a
/// commit; a power cut before that can cost the draft what the program wrote last, and never anything of the user's.
/// Not `index`, with which files of several names would stay one file: in a user namespace the kernel has it fall back to
/// off, with a complaint in its log each time. Root could mount it outside one; then root's drafts would behave unlike
/// everybody else's, and unlike what is tested.
pub(super) fn overlay(
    lower: &[BorrowedFd<'_>],
    draft: Option<(BorrowedFd<'_>, BorrowedFd<'_>)>,
    attributes: MountAttrFlags,
) -> io::Result<OwnedFd> {
    // Descriptors, spelled as paths: older kernels take no descriptors here, and a path of the user's would have to be
    // escaped; besides it would stand in the program's /proc/self/mountinfo.
    let name = |fd: BorrowedFd<'_>| format!("/proc/self/fd/{}", fd.as_raw_fd());
    let lower = lower.iter().map(|fd| name(*fd)).collect::<Vec<_>>().join(":");
    let mut options = vec![("userxattr", None), ("lowerdir", Some(lower.as_str()))];
    let over = draft.map(|(upper, work)| (name(upper), name(work)));
    if let Some((upper, work)) = &over {
        options.extend([("volatile", None), ("upperdir", Some(upper.as_str())), ("workdir", Some(work.as_str()))]);
    }
    new(c"overlay", &options, attributes)
}

/// A second view of something that is mounted, mounted nowhere yet; `whole`: with what is mounted beneath.
pub(super) fn view(of: BorrowedFd<'_>, whole: bool) -> io::Result<OwnedFd> {
    let recursive = if whole { OpenTreeFlags::AT_RECURSIVE } else { OpenTreeFlags::empty() };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    Ok(open_tree(of, c"", flags | recursive)?)
}

/// As [`view`] of the whole tree, with these attributes added.
pub(super) fn view_with(of: BorrowedFd<'_>, attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    let tree = view(of, true)?;
    sys::mount_setattr(tree.as_fd(), u64::from(attributes.bits()), true)?;
    Ok(tree)
}

/// Adds attributes to one mount.
pub(super) fn restrict(mount: BorrowedFd<'_>, attributes: MountAttrFlags) -> io::Result<()> {
    sys::mount_setattr(mount, u64::from(attributes.bits()), false)
}

/// Puts a mount on top of what stands at `onto`.
pub(super) fn put(mount: BorrowedFd<'_>, onto: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount, c"", onto, c"", flags)?)
}

/// Opens a path of the machine's, as it is: a symbolic link at its end is not followed.
pub(super) fn outside(path: &[u8]) -> io::Result<OwnedFd> {
    Ok(openat(CWD, path, PATH | OFlags::NOFOLLOW, Mode::empty())?)
}

/// Opens a path beneath the new root, as the program will see it.
pub(super) fn inside(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    Ok(openat2(root, relative(path), PATH, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)?)
}

/// Opens a folder beneath the new root, and makes it, and those above it, where it is not there.
pub(super) fn folder(root: BorrowedFd<'_>, path: &[u8], mode: u32) -> io::Result<OwnedFd> {
    match inside(root, path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    let path = relative(path);
    let (above, name) = match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (path.get(..at).unwrap_or_default(), path.get(at.saturating_add(1)..).unwrap_or_default()),
        None => (&b""[..], path),
    };
    let above = folder(root, above, 0o755)?;
    make(above.as_fd(), name, mode)?;
    Ok(openat(above, name, PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY, Mode::empty())?)
}

/// Makes a folder with exactly this mode.
pub(super) fn make(above: BorrowedFd<'_>, name: &[u8], mode: u32) -> io::Result<()> {
    Ok(mkdirat(above, name, Mode::from_raw_mode(mode))?)
}

/// Makes a file with this content.
pub(super) fn file(above: BorrowedFd<'_>, name: &[u8], mode: u32, content: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = openat(above, name, flags, Mode::from_raw_mode(mode))?;
    if !content.is_empty() {
        rustix::io::write(&file, content)?;
    }
    Ok(file)
}

/// Opens a directory of the machine's to be read.
pub(super) fn readable(of: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(openat(of, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Opens one of the program's own places, after the new root is the root.
pub(super) fn here(path: &[u8]) -> io::Result<OwnedFd> {
    Ok(open(path, PATH, Mode::empty())?)
}

/// What kind of file it is.
pub(super) fn kind(of: BorrowedFd<'_>) -> io::Result<FileType> {
    Ok(FileType::from_raw_mode(statat(of, c"", AtFlags::EMPTY_PATH)?.st_mode))
}

/// A path without what makes it absolute.
pub(super) fn relative(path: &[u8]) -> &[u8] {
    let mut path = path;
    while let [b'/', rest @ ..] = path {
        path = rest;
    }
    while let [rest @ .., b'/'] = path {
        path = rest;
    }
    if path.is_empty() { b"." } else { path }
}
