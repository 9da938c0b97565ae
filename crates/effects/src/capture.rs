//! Looking at a file so closely that it can be given back: metadata, extended attributes, content in chunks with its
//! holes, and the digest.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use raincoat_os::{Found, Stat, beneath, state};
use raincoat_types::{Chunk, Content, Digest, Failure, FailureKind, FileContent, FileKind, Image, Meta, RelPath};

use crate::failure::{at_path, broken};
use crate::recorder::Recorder;

/// Content is kept in chunks of this many bytes, each at a multiple of it, less where a hole cuts it short.
pub(crate) const CHUNK: u64 = 1 << 20;
/// Files of up to so many bytes are read in one call for their digest.
const AT_ONCE: u64 = 64 << 10;

/// A file as it was at one moment.
pub(crate) struct Captured {
    pub(crate) image: Image,
    /// A readable descriptor, for regular files.
    pub(crate) file: Option<OwnedFd>,
}

/// What to keep of a regular file's content.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The bytes, in the store.
    Bytes,
    /// The digest only (the content will not change, only its name).
    Digest,
}

/// Looks at what stands under a name that was found.
pub(crate) fn capture(recorder: &Recorder, found: &Found, keep: Keep) -> Result<Captured, Failure> {
    let Some(stat) = &found.stat else {
        return Err(Failure::new(FailureKind::NotFound, format!("no such file: `{}`", found.path.display())));
    };
    let fail = |e| at_path(e, &found.path);
    let meta = stat.with_xattrs(state::xattrs_at(found.folder(), &found.name).map_err(fail)?);
    let (content, file) = match stat.kind {
        FileKind::Dir => (Content::Dir, None),
        FileKind::Special => (Content::Special, None),
        FileKind::Symlink => (Content::Symlink(beneath::read_link(found.folder(), &found.name).map_err(fail)?), None),
        FileKind::File => {
            let fd = beneath::open_file_for_reading(found.folder(), &found.name, stat).map_err(fail)?;
            let content = read_content(recorder, fd.as_fd(), stat.size, keep).map_err(|e| e.at(found))?;
            let later = state::stat_fd(fd.as_fd()).map_err(fail)?;
            if !stat.untouched(&later) {
                return Err(changed(found));
            }
            (Content::File(content), Some(fd))
        }
    };
    Ok(Captured { image: Image { meta, content }, file })
}

/// The digest of an open file's content, holes read as zeroes.
pub(crate) fn digest_of(fd: BorrowedFd<'_>) -> io::Result<Digest> {
    digest_of_size(fd, state::stat_fd(fd)?.size)
}

/// The same of a file whose size is known. One that changes meanwhile shows in its times.
pub(crate) fn digest_of_size(fd: BorrowedFd<'_>, size: u64) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    if size <= AT_ONCE {
        // To ask for the holes of so little costs more than to read them.
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        let got = state::read_at(fd, &mut bytes, 0)?;
        hasher.update(bytes.get(..got).unwrap_or_default());
        at = got as u64;
    } else {
        let mut reader = Pieces::new(fd, size);
        while let Some((offset, bytes)) = reader.next()? {
            hash_zeroes(&mut hasher, offset - at);
            hasher.update(bytes);
            at = offset + bytes.len() as u64;
        }
    }
    hash_zeroes(&mut hasher, size.saturating_sub(at));
    Ok(Digest(*hasher.finalize().as_bytes()))
}

/// Whether what stands under a name is still what was captured: the same inode, metadata and content. A folder's
/// modification time moves with what is in it, and says nothing.
pub(crate) fn still_is(folder: BorrowedFd<'_>, name: &[u8], image: &Image) -> io::Result<bool> {
    let Some(stat) = state::stat_at(folder, name)? else { return Ok(false) };
    if stat.identity != image.meta.identity {
        return Ok(false);
    }
    let mut now = stat.with_xattrs(state::xattrs_at(folder, name)?);
    if now.kind == FileKind::Dir {
        now.mtime = image.meta.mtime;
    }
    Ok(now.same_as(&image.meta) && same_content(folder, name, &stat, image)?)
}

/// Whether what stands under a name has the content of an image, whichever inode it is.
pub(crate) fn same_content(folder: BorrowedFd<'_>, name: &[u8], stat: &Stat, image: &Image) -> io::Result<bool> {
    match &image.content {
        Content::Dir => Ok(stat.kind == FileKind::Dir),
        Content::Special => Ok(stat.kind == FileKind::Special),
        Content::Symlink(target) => Ok(stat.kind == FileKind::Symlink && beneath::read_link(folder, name)? == *target),
        Content::File(content) => {
            if stat.kind != FileKind::File || stat.size != image.meta.size {
                return Ok(false);
            }
            let fd = beneath::open_file_for_reading(folder, name, stat)?;
            Ok(digest_of(fd.as_fd())? == content.digest)
        }
    }
}

/// The first bytes of a regular file; `None` where it is none, or may not be read.
pub(crate) fn first_bytes(found: &Found, max: u64) -> Option<Vec<u8>> {
    let stat = found.stat.as_ref()?;
    let fd = beneath::open_file_for_reading(found.folder(), &found.name, stat).ok()?;
    let mut bytes = vec![0; usize::try_from(stat.size.min(max)).ok()?];
    let got = state::read_at(fd.as_fd(), &mut bytes, 0).ok()?;
    bytes.truncate(got);
    Some(bytes)
}

/// Metadata and extended attributes of a name now.
pub(crate) fn meta_now(folder: BorrowedFd<'_>, name: &[u8]) -> io::Result<Option<Meta>> {
    match state::stat_at(folder, name)? {
        Some(stat) => Ok(Some(stat.with_xattrs(state::xattrs_at(folder, name)?))),
        None => Ok(None),
    }
}

/// Somebody wrote while we read.
pub(crate) fn changed(found: &Found) -> Failure {
    let message =
        format!("`{}` was changed by somebody else just now, or is open to be; look at it again", found.path.display());
    Failure::new(FailureKind::Changed, message)
}

pub(crate) enum ContentError {
    File(io::Error),
    Store(String),
}

impl ContentError {
    pub(crate) fn at(self, found: &Found) -> Failure {
        self.at_path(&found.path)
    }

    pub(crate) fn at_path(self, path: &RelPath) -> Failure {
        match self {
            ContentError::File(error) => at_path(error, path),
            ContentError::Store(words) => broken(&words),
        }
    }
}

impl From<io::Error> for ContentError {
    fn from(error: io::Error) -> Self {
        ContentError::File(error)
    }
}

/// Reads an open file to its end, once, keeping what is asked.
pub(crate) fn read_content(
    recorder: &Recorder,
    fd: BorrowedFd<'_>,
    size: u64,
    keep: Keep,
) -> Result<FileContent, ContentError> {
    if keep == Keep::Digest {
        return Ok(FileContent { digest: digest_of(fd)?, chunks: Vec::new(), stored: false });
    }
    let mut hasher = blake3::Hasher::new();
    let mut chunks = Vec::new();
    let mut reader = Pieces::new(fd, size);
    let mut at = 0;
    while let Some((offset, bytes)) = reader.next()? {
        hash_zeroes(&mut hasher, offset - at);
        hasher.update(bytes);
        at = offset + bytes.len() as u64;
        let id = recorder.put_chunk(bytes.to_vec()).map_err(ContentError::Store)?;
        chunks.push(Chunk { offset, len: u32::try_from(bytes.len()).unwrap_or(0), id });
    }
    hash_zeroes(&mut hasher, size.saturating_sub(at));
    Ok(FileContent { digest: Digest(*hasher.finalize().as_bytes()), chunks, stored: true })
}

pub(crate) fn hash_zeroes(hasher: &mut blake3::Hasher, mut len: u64) {
    static ZEROES: [u8; 65536] = [0; 65536];
    while len > 0 {
        let part = usize::try_from(len.min(65536)).unwrap_or(65536);
        hasher.update(ZEROES.get(..part).unwrap_or_default());
        len -= part as u64;
    }
}

/// The data of a file in pieces of at most [`CHUNK`], none across a multiple of it, holes left out.
pub(crate) struct Pieces<'a> {
    fd: BorrowedFd<'a>,
    size: u64,
    data: Option<(u64, u64)>,
    at: u64,
    buffer: Vec<u8>,
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(fd: BorrowedFd<'a>, size: u64) -> Pieces<'a> {
        Pieces { fd, size, data: None, at: 0, buffer: Vec::new() }
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        let (from, end) = match self.data {
            Some((_, end)) if self.at < end => (self.at, end),
            _ => match state::next_data(self.fd, self.at, self.size)? {
                Some(data) => {
                    self.data = Some(data);
                    data
                }
                None => return Ok(None),
            },
        };
        let stop = end.min((from / CHUNK + 1) * CHUNK);
        self.buffer.resize(usize::try_from(stop - from).unwrap_or(0), 0);
        let got = state::read_at(self.fd, &mut self.buffer, from)?;
        if got == 0 {
            // The file became shorter under us; the caller compares the times afterwards.
            return Ok(None);
        }
        self.buffer.truncate(got);
        self.at = from + got as u64;
        Ok(Some((from, &self.buffer)))
    }
}
