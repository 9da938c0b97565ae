//! What the private root is put together from: opened, each by its own name, before anything is mounted over anything.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode, OFlags, openat, readlinkat};
use rustix::mount::MountAttrFlags;

use super::fault::{self, Or};
use super::mounts::{self, PLAIN, READ_ONLY};
use super::root::LAYER;
use super::{Folder, How};
use crate::SandboxFault;

/// Something of the machine's, opened before anything is mounted over anything.
pub(super) enum Source {
    Link(Vec<u8>),
    View(OwnedFd),
}

/// A folder's parts, opened likewise.
pub(super) enum Parts {
    Draft { lower: Vec<OwnedFd>, upper: OwnedFd, work: OwnedFd },
    Fixed(OwnedFd),
    File(OwnedFd),
    View(OwnedFd),
    Copied { content: Vec<u8>, mode: u32 },
    Empty,
}

pub(super) const NO_FIX: &str = "run `raincoat doctor` to see what this machine allows";

pub(super) fn system_folder(name: &str) -> Result<Option<(String, Source)>, SandboxFault> {
    let path = format!("/{name}");
    let Ok(fd) = mounts::outside(path.as_bytes()) else { return Ok(None) };
    let what = || format!("show `{path}`");
    let source = match mounts::kind(fd.as_fd()).or_fault(LAYER, what(), NO_FIX)? {
        FileType::Symlink => {
            Source::Link(readlinkat(&fd, c"", Vec::new()).or_fault(LAYER, what(), NO_FIX)?.into_bytes())
        }
        FileType::Directory => {
            Source::View(mounts::view_with(fd.as_fd(), READ_ONLY).or_fault(LAYER, what(), NO_FIX)?)
        }
        _ => return Ok(None),
    };
    Ok(Some((name.to_owned(), source)))
}

/// Devices without state of anybody's.
pub(super) const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];

pub(super) fn device(name: &&'static str) -> Result<(&'static str, OwnedFd), SandboxFault> {
    let path = format!("/dev/{name}");
    let view = mounts::outside(path.as_bytes()).and_then(|fd| {
        let view = mounts::view(fd.as_fd(), false)?;
        mounts::restrict(view.as_fd(), MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC)?;
        Ok(view)
    });
    Ok((name, view.or_fault(LAYER, format!("show `{path}`"), NO_FIX)?))
}

pub(super) const GRANT_AGAIN: &str = "see that the folder is there and yours, and try again";

pub(super) fn parts(folder: &Folder) -> Result<Parts, SandboxFault> {
    let shown = raincoat_types::display_bytes(&folder.at);
    let clean = folder.at.first() == Some(&b'/')
        && folder.at.len() > 1
        && folder.at.split(|byte| *byte == b'/').all(|part| part != b"..");
    if !clean {
        return Err(fault::fault(LAYER, format!("`{shown}` cannot be granted"), "name a folder beneath `/`"));
    }
    let open = |path: &[u8]| {
        let what = format!("open `{}`", raincoat_types::display_bytes(path));
        mounts::outside(path).or_fault(LAYER, what, GRANT_AGAIN)
    };
    let dir = |of: &OwnedFd, name: &str| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(of, name, flags, Mode::empty())
    };
    match &folder.how {
        How::Draft { place } => {
            let place = open(place)?;
            let part = |name: &str| {
                dir(&place, name).or_fault(LAYER, format!("open `{name}` of the draft of `{shown}`"), GRANT_AGAIN)
            };
            let (upper, work) = (part("upper")?, part("work")?);
            let mut lower: Vec<OwnedFd> = dir(&place, "mask").into_iter().collect();
            lower.push(open(&folder.at)?);
            Ok(Parts::Draft { lower, upper, work })
        }
        How::ReadOnly => {
            let it = open(&folder.at)?;
            match mounts::kind(it.as_fd()).or_fault(LAYER, format!("look at `{shown}`"), GRANT_AGAIN)? {
                FileType::Directory => Ok(Parts::Fixed(it)),
                FileType::RegularFile => mounts::view_with(it.as_fd(), READ_ONLY)
                    .or_fault(LAYER, format!("show `{shown}`"), GRANT_AGAIN)
                    .map(Parts::File),
                _ => Err(fault::fault(LAYER, format!("`{shown}` is no folder and no file"), "grant another")),
            }
        }
        How::Kept { place } => mounts::view_with(open(place)?.as_fd(), PLAIN)
            .or_fault(LAYER, format!("show `{shown}`"), GRANT_AGAIN)
            .map(Parts::View),
        How::Copied { content, mode } => Ok(Parts::Copied { content: content.clone(), mode: *mode }),
        How::Ourselves => ourselves().or_fault(LAYER, format!("show `{shown}`"), GRANT_AGAIN),
        How::Empty => Ok(Parts::Empty),
    }
}

/// The executable of this process. Its link in /proc leads into the mounts of before, of which no view can be made; and
/// what stands under its name now may be another one.
fn ourselves() -> std::io::Result<Parts> {
    const LINK: &std::ffi::CStr = c"/proc/self/exe";
    let running = openat(CWD, LINK, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let is = |fd: BorrowedFd<'_>| rustix::fs::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino));
    let named = readlinkat(CWD, LINK, Vec::new())?;
    if let Ok(named) = mounts::outside(named.as_bytes())
        && is(named.as_fd())? == is(running.as_fd())?
    {
        return mounts::view_with(named.as_fd(), READ_ONLY).map(Parts::File);
    }
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut std::fs::File::from(running), &mut content)?;
    Ok(Parts::Copied { content, mode: 0o555 })
}

/// Why there is no overlay, as far as can be told.
pub(super) fn no_overlay(at: &[u8], work: BorrowedFd<'_>, error: std::io::Error) -> SandboxFault {
    let shown = raincoat_types::display_bytes(at);
    // Looked at first: the kernel leaves its mark before it comes to this.
    if let Some(first) = mounted_within(at) {
        return fault::fault(
            "draft",
            format!("another file system is mounted in `{shown}`, at `{first}`; a draft cannot cover both"),
            "grant folders that nothing is mounted in",
        );
    }
    // The kernel's own mark of an overlay that did not wait for the disk; it lets no second one have the same draft.
    if openat(work, c"work/incompat/volatile", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).is_ok() {
        return fault::fault(
            "draft",
            format!("a program has run in this draft of `{shown}` already"),
            "review the draft, commit or discard it, and start the program in a new one",
        );
    }
    fault::fault(
        "draft",
        format!("no overlay over `{shown}`: {error}"),
        "keep the draft on a file system such as ext4, xfs, btrfs or tmpfs; a kernel of 5.11 or newer is needed",
    )
}

/// The first thing that is mounted beneath a folder. In a user namespace what was mounted before is locked to its place,
/// and the kernel lets nobody see what lies under it: no overlay, for root neither.
fn mounted_within(at: &[u8]) -> Option<String> {
    use std::os::unix::ffi::OsStrExt;
    let beneath = raincoat_os::mounts_beneath(std::path::Path::new(std::ffi::OsStr::from_bytes(at))).ok()?;
    beneath.first().map(|path| raincoat_types::display_bytes(path.as_os_str().as_bytes()))
}
