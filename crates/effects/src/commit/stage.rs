//! What is put beside before a commit: copies of what cannot be moved, folders that are to be made.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use raincoat_os::{Stat, beneath, mutate, state};
use raincoat_types::{Content, Failure, FailureKind, FileContent, FileKind, Meta, RelPath, RunId};

use crate::capture::digest_of;
use crate::failure::at_path;

/// What the kernel's layering puts on a file of a draft.
const LAYERING: &[u8] = b"user.overlay.";

/// Where a commit's own files lie, on the mount of the folder.
pub(super) struct Hold {
    pub(super) fd: OwnedFd,
    /// It is a hidden directory within the folder, because the draft is on another mount.
    pub(super) within: bool,
    /// Whether names can be swapped here, once somebody asked.
    pub(super) swaps: Option<bool>,
}

impl Hold {
    /// Whether the file system can swap names.
    pub(super) fn can_swap(&mut self, run: RunId) -> bool {
        if let Some(known) = self.swaps {
            return known;
        }
        let (one, other) = (format!("{run}.probe-1"), format!("{run}.probe-2"));
        let (one, other) = (one.as_bytes(), other.as_bytes());
        let made = mutate::create_file(self.fd.as_fd(), one).and_then(|_| mutate::create_file(self.fd.as_fd(), other));
        let swapped = made.and_then(|_| mutate::exchange(self.fd.as_fd(), one, other));
        for name in [one, other] {
            let _ = mutate::unlink(self.fd.as_fd(), name);
        }
        // Any other error shows when it is done in earnest.
        let can = !swapped
            .is_err_and(|e| matches!(e.kind(), std::io::ErrorKind::InvalidInput | std::io::ErrorKind::Unsupported));
        self.swaps = Some(can);
        can
    }
}

/// The name of a commit's own file in the holding directory.
pub(super) fn held_name(run: RunId, number: u64) -> Vec<u8> {
    format!("{run}.{number}").into_bytes()
}

/// The name of the holding directory within a folder.
pub(super) fn hold_name(run: RunId) -> Vec<u8> {
    format!(".raincoat-{run}-0.tmp").into_bytes()
}

/// Whether an extended attribute is the layering's own.
pub(super) fn is_layering(name: &[u8]) -> bool {
    name.starts_with(LAYERING)
}

/// A file to be copied: its folder, its name there, what it is, and its path for people.
pub(super) struct Original<'a> {
    pub(super) folder: BorrowedFd<'a>,
    pub(super) name: &'a [u8],
    pub(super) stat: &'a Stat,
    pub(super) path: &'a RelPath,
}

/// Copies a file or symlink of the draft beside, with this metadata. What is being written is not copied.
pub(super) fn copy(
    from: &Original<'_>,
    hold: BorrowedFd<'_>,
    name: &[u8],
    meta: &Meta,
) -> Result<(Stat, Content), Failure> {
    let fail = |e| at_path(e, from.path);
    let content = match from.stat.kind {
        FileKind::Symlink => {
            let target = beneath::read_link(from.folder, from.name).map_err(fail)?;
            mutate::make_symlink(hold, name, &target).map_err(fail)?;
            Content::Symlink(target)
        }
        _ => Content::File(copy_file(from, hold, name)?),
    };
    mutate::set_meta(hold, name, meta).map_err(fail)?;
    let made = state::stat_at(hold, name).map_err(fail)?.ok_or_else(|| writing(from.path))?;
    Ok((made, content))
}

fn copy_file(from: &Original<'_>, hold: BorrowedFd<'_>, name: &[u8]) -> Result<FileContent, Failure> {
    let fail = |e| at_path(e, from.path);
    let source = beneath::open_file_for_reading(from.folder, from.name, from.stat).map_err(fail)?;
    if mutate::nobody_writes(source.as_fd()).is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock) {
        return Err(writing(from.path));
    }
    let fd = mutate::create_file(hold, name).map_err(fail)?;
    let size = from.stat.size;
    let mut at = 0;
    while let Some((start, end)) = state::next_data(source.as_fd(), at, size).map_err(fail)? {
        mutate::copy_range(source.as_fd(), fd.as_fd(), start, end - start).map_err(fail)?;
        at = end;
    }
    mutate::set_len(fd.as_fd(), size).map_err(fail)?;
    let later = state::stat_fd(source.as_fd()).map_err(fail)?;
    if !from.stat.untouched(&later) {
        return Err(writing(from.path));
    }
    Ok(FileContent { digest: digest_of(fd.as_fd()).map_err(fail)?, chunks: Vec::new(), stored: false })
}

fn writing(path: &RelPath) -> Failure {
    let words =
        format!("`{}` is being written in the draft; commit it when the program is done with it", path.display());
    Failure::new(FailureKind::Changed, words)
}
