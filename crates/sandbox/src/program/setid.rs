//! Set-user-id and set-group-id bits: never for a file. For a directory they only say who owns what is made within, and
//! `git init --shared`, `cp -a` and `tar` set them; the supervisor sets them on the directory that it has opened, so that
//! no other can be put in its place.

use std::os::fd::AsRawFd;

use raincoat_types::display_bytes;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, chmodat, fstat};
use rustix::io::Errno;

use super::caller::Caller;
use super::notify::Reply;
use super::say;

/// `chmod` and its kin, with one of these bits.
///
/// # Errors
/// Refused: for what, in words.
pub(crate) fn serve(name: &str, arguments: &[u64; 6], caller: &Caller<'_>) -> Result<Reply, String> {
    let &[first, second, third, fourth, ..] = arguments;
    let descriptor = |number: u64| number as u32 as i32;
    let (dirfd, path, mode, flags) = match name {
        "chmod" => (libc::AT_FDCWD, Some(first), second, 0),
        "fchmod" => (descriptor(first), None, second, 0),
        "fchmodat" => (descriptor(first), Some(second), third, 0),
        _ => (descriptor(first), Some(second), third, fourth as u32),
    };
    let unknown = || "a set-user-id or set-group-id bit for a file".to_owned();
    let path = path.map(|address| caller.path(address).ok_or_else(unknown)).transpose()?;
    if !caller.shares_root() {
        return Err(unknown());
    }
    let flags = AtFlags::from_bits_retain(flags);
    let opened = match &path {
        None => caller.descriptor(dirfd).ok_or(Some(Errno::BADF)),
        Some(path) if path.is_empty() && flags.contains(AtFlags::EMPTY_PATH) && dirfd != libc::AT_FDCWD => {
            caller.descriptor(dirfd).ok_or(Some(Errno::BADF))
        }
        Some(path) if flags.contains(AtFlags::SYMLINK_NOFOLLOW) => caller.open(dirfd, path, OFlags::NOFOLLOW),
        Some(path) => caller.open(dirfd, path, OFlags::empty()),
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(Some(errno)) => return Ok(Reply::Fails(errno)),
        Err(None) => return Err(unknown()),
    };
    let kind = fstat(&opened).map(|stat| FileType::from_raw_mode(stat.st_mode));
    if kind != Ok(FileType::Directory) {
        let which = path.map_or_else(String::new, |path| format!(": {}", say::short(&display_bytes(&path))));
        return Err(format!("a set-user-id or set-group-id bit for a file{which}"));
    }
    let mode = Mode::from_raw_mode(mode as u32 & 0o7777);
    let done = chmodat(CWD, format!("/proc/self/fd/{}", opened.as_raw_fd()), mode, AtFlags::empty());
    Ok(done.map_or_else(Reply::Fails, |()| Reply::Done))
}
