//! Reading what stands on either side: for review, for comparing, for digests.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use raincoat_os::{Stat, beneath, mutate, overlay, state};
use raincoat_types::{Digest, FileKind, RelPath};

use crate::draft::{Draft, FolderError};
use crate::item::{Item, ItemKind, Version};
use crate::scan::still;

/// Bytes read at a time.
const WINDOW: usize = 128 << 10;

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It has no content on that side: nothing stands there, or no regular file.
    #[error("there is no regular file to read")]
    NoFile,
    /// It has more bytes than asked for at most.
    #[error("it has {size} bytes, over {max}")]
    TooLarge {
        /// Bytes in it.
        size: u64,
        /// The most that was asked for.
        max: u64,
    },
    /// It is not what it was when the draft was looked at: look again.
    #[error("it changed since the draft was looked at; look again")]
    Changed,
    /// A folder cannot be opened.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The system refuses.
    #[error("cannot read it: {0}")]
    System(#[source] io::Error),
}

impl Draft {
    /// The content that a file has in the draft, if it has at most `max` bytes and is what the scan saw.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read_after(&self, item: &Item, max: u64) -> Result<Vec<u8>, ReadError> {
        read(self.upper(item.folder)?, &item.path, item.after.as_ref(), max)
    }

    /// The content that a file has in the folder, if it has at most `max` bytes and is what the scan saw.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read_before(&self, item: &Item, max: u64) -> Result<Vec<u8>, ReadError> {
        read(self.lower(item.folder)?.as_fd(), &item.path, item.before.as_ref(), max)
    }

    /// Opens the regular file that the draft has, if it is what the scan saw.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn open_after(&self, item: &Item) -> Result<OwnedFd, ReadError> {
        open(self.upper(item.folder)?, &item.path, item.after.as_ref())
    }

    /// Learns the digests of a regular file's content, where they are not known yet: of the draft's side, and of the
    /// folder's where only that tells whether the content changed at all. Says so in [`ItemKind::Modified`].
    ///
    /// # Errors
    /// [`ReadError`]; the item is as it was.
    pub fn digest(&self, item: &mut Item) -> Result<(), ReadError> {
        let Some(after) = item.after.as_ref().filter(|after| after.stat.kind == FileKind::File) else {
            return Ok(());
        };
        let new = match after.digest {
            Some(digest) => digest,
            None => digest(self.upper(item.folder)?, &item.path, after)?,
        };
        let old = match (&item.before, item.kind) {
            (Some(before), ItemKind::Modified { content: true, .. }) if before.stat.size == after.stat.size => {
                Some(match before.digest {
                    Some(digest) => digest,
                    None => digest(self.lower(item.folder)?.as_fd(), &item.path, before)?,
                })
            }
            _ => None,
        };
        if let Some(after) = &mut item.after {
            after.digest = Some(new);
        }
        if let Some(old) = old {
            if let Some(before) = &mut item.before {
                before.digest = Some(old);
            }
            if let ItemKind::Modified { content, .. } = &mut item.kind {
                *content = old != new;
            }
        }
        Ok(())
    }

    /// Whether a live draft's file rests: nobody has it open to write to it, and it is what the scan saw. What is no
    /// regular file in the draft always does.
    ///
    /// # Errors
    /// [`ReadError`]; `Unsupported` within it where the file system has no leases.
    pub fn quiescent(&self, item: &Item) -> Result<bool, ReadError> {
        if item.after.as_ref().is_none_or(|after| after.stat.kind != FileKind::File) {
            return Ok(true);
        }
        let file = match self.open_after(item) {
            Err(ReadError::Changed) => return Ok(false),
            other => other?,
        };
        match mutate::nobody_writes(file.as_fd()) {
            Ok(()) => match &item.after {
                // Somebody may have written and closed it before the look.
                Some(after) => still(&file, &after.stat).map_err(ReadError::System),
                None => Ok(true),
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(ReadError::System(error)),
        }
    }
}

fn read(root: BorrowedFd<'_>, path: &RelPath, version: Option<&Version>, max: u64) -> Result<Vec<u8>, ReadError> {
    let size = version.map_or(0, |version| version.stat.size);
    if size > max {
        return Err(ReadError::TooLarge { size, max });
    }
    let file = open(root, path, version)?;
    let mut out = vec![0; usize::try_from(size).map_err(|_| ReadError::TooLarge { size, max })?];
    let got = state::read_at(file.as_fd(), &mut out, 0).map_err(ReadError::System)?;
    finished(&file, version, got as u64 == size)?;
    Ok(out)
}

pub(crate) fn digest(root: BorrowedFd<'_>, path: &RelPath, version: &Version) -> Result<Digest, ReadError> {
    let file = open(root, path, Some(version))?;
    let mut hasher = blake3::Hasher::new();
    let size = usize::try_from(version.stat.size).unwrap_or(WINDOW);
    let mut buffer = vec![0; WINDOW.min(size.max(1))];
    let mut at = 0;
    while at < version.stat.size {
        let got = state::read_at(file.as_fd(), &mut buffer, at).map_err(ReadError::System)?;
        if got == 0 {
            break;
        }
        hasher.update(buffer.get(..got).unwrap_or_default());
        at += got as u64;
    }
    finished(&file, Some(version), at == version.stat.size)?;
    Ok(Digest(*hasher.finalize().as_bytes()))
}

fn open(root: BorrowedFd<'_>, path: &RelPath, version: Option<&Version>) -> Result<OwnedFd, ReadError> {
    let version = version.filter(|version| version.stat.kind == FileKind::File).ok_or(ReadError::NoFile)?;
    let file = open_version(root, path, &version.stat).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::StaleNetworkFileHandle => {
            ReadError::Changed
        }
        _ => ReadError::System(error),
    })?;
    finished(&file, Some(version), true)?;
    Ok(file)
}

fn finished(file: &OwnedFd, version: Option<&Version>, whole: bool) -> Result<(), ReadError> {
    match version {
        Some(version) if whole && still(file, &version.stat).map_err(ReadError::System)? => Ok(()),
        _ => Err(ReadError::Changed),
    }
}

/// Opens the very inode that was looked at, to read it.
pub(crate) fn open_version(root: BorrowedFd<'_>, path: &RelPath, stat: &Stat) -> io::Result<OwnedFd> {
    let Some((folder, name)) = path.split_last() else { return Err(io::ErrorKind::InvalidInput.into()) };
    let folder = overlay::folder_at(root, folder.as_bytes())?;
    beneath::open_file_for_reading(folder.as_fd(), name, stat)
}

/// Whether two files begin with the same `size` bytes.
pub(crate) fn compare_bytes(one: BorrowedFd<'_>, other: BorrowedFd<'_>, size: u64) -> io::Result<bool> {
    let window = usize::try_from(size).unwrap_or(WINDOW).clamp(1, WINDOW);
    let (mut a, mut b) = (vec![0; window], vec![0; window]);
    let mut at = 0;
    while at < size {
        let got = state::read_at(one, &mut a, at)?;
        if got == 0 || state::read_at(other, &mut b, at)? != got || a.get(..got) != b.get(..got) {
            return Ok(false);
        }
        at += got as u64;
    }
    Ok(true)
}
