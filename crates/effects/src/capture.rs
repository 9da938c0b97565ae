//! Looking at a file so closely that it can be given back: metadata, extended attributes, content in chunks with its
//! holes, and the digest.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use raincoat_journal::{Chunker, Piece, WHOLE_BYTES};
use raincoat_os::{Found, Stat, beneath, state};
use raincoat_types::{Chunk, Content, Digest, Failure, FailureKind, FileContent, FileKind, Image, Meta, RelPath};

use crate::failure::{at_path, broken};
use crate::recorder::{Answer, Recorder};

/// Files of up to so many bytes are read in one call for their digest.
const AT_ONCE: u64 = 64 << 10;
/// Longer ones, so many at a time.
const WINDOW: u64 = 256 << 10;
/// Files of up to so many bytes are looked for by their digest, where the store has their beginning.
const LOOKED_FOR: u64 = 64 << 20;
/// Bytes of content that go to the store in one message.
const BATCH_BYTES: usize = 1 << 20;
/// Messages that may be under way: what is read never piles up in memory.
const FLYING: usize = 4;

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
            let keep = if keep == Keep::Bytes { kept(recorder, found, stat, fd.as_fd())? } else { keep };
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

/// What is kept of a file that is about to be changed: its bytes, where the store has room for them; not where the
/// person said so. (A file with several names is written in place, which cannot be taken back without them.)
fn kept(recorder: &Recorder, found: &Found, stat: &Stat, fd: BorrowedFd<'_>) -> Result<Keep, Failure> {
    if stat.nlink == 1 && recorder.waives(&found.path) {
        return Ok(Keep::Digest);
    }
    recorder.make_room(&found.path, stat.size, &|| digest_of(fd).ok())?;
    Ok(Keep::Bytes)
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
        let mut data = Data::new(fd, size);
        let mut buffer = Vec::new();
        while let Some(offset) = data.next(&mut buffer, WINDOW)? {
            hash_zeroes(&mut hasher, offset - at);
            hasher.update(&buffer);
            at = offset + buffer.len() as u64;
            buffer.clear();
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
    if let Some(known) = known(recorder, fd, size)? {
        return Ok(known);
    }
    let mut storing = Storing::default();
    let content = storing.take(recorder, fd, size)?;
    storing.finish(recorder).map_err(ContentError::Store)?;
    Ok(content)
}

/// The content of an open file, if the store has it whole. Where it has the first piece, as good as always it has the
/// rest: then the digest tells, and nothing is cut or named again.
fn known(recorder: &Recorder, fd: BorrowedFd<'_>, size: u64) -> Result<Option<FileContent>, ContentError> {
    if !(WHOLE_BYTES + 1..=LOOKED_FOR).contains(&size) {
        return Ok(None);
    }
    let chunker = recorder.chunker();
    let first = Pieces::new(fd, size).next(chunker)?.map(|(_, bytes)| chunker.address(bytes));
    let Some(first) = first else { return Ok(None) };
    if !recorder.has_chunk(first).map_err(ContentError::Store)? {
        return Ok(None);
    }
    let digest = digest_of_size(fd, size)?;
    let Some(known) = recorder.lookup(digest).map_err(ContentError::Store)? else { return Ok(None) };
    let mut stretches = Vec::new();
    let mut at = 0;
    while let Some((start, end)) = state::next_data(fd, at, size)? {
        stretches.push((start, end));
        at = end;
    }
    Ok((extents(&known.chunks) == stretches).then_some(known))
}

/// Content on its way into the store, many pieces to a message, a few messages ahead of the answers.
#[derive(Default)]
pub(crate) struct Storing {
    batch: Vec<Piece>,
    bytes: usize,
    flying: VecDeque<Answer<()>>,
}

impl Storing {
    /// Reads an open file to its end, once, on its way into the store and into its digest. The store has all of it after
    /// [`Storing::finish`].
    pub(crate) fn take(
        &mut self,
        recorder: &Recorder,
        fd: BorrowedFd<'_>,
        size: u64,
    ) -> Result<FileContent, ContentError> {
        let chunker = recorder.chunker();
        let mut hasher = blake3::Hasher::new();
        let mut chunks: Vec<Chunk> = Vec::new();
        let mut pieces = Pieces::new(fd, size);
        let mut at = 0;
        while let Some((offset, bytes)) = pieces.next(chunker)? {
            hash_zeroes(&mut hasher, offset - at);
            hasher.update(bytes);
            at = offset + bytes.len() as u64;
            let piece = chunker.piece(bytes.to_vec());
            chunks.push(Chunk { offset, len: u32::try_from(bytes.len()).unwrap_or(0), id: piece.id });
            self.push(recorder, piece)?;
        }
        hash_zeroes(&mut hasher, size.saturating_sub(at));
        let digest = Digest(*hasher.finalize().as_bytes());
        Ok(FileContent { digest, chunks, stored: true })
    }

    fn push(&mut self, recorder: &Recorder, piece: Piece) -> Result<(), ContentError> {
        self.bytes += piece.bytes.len();
        self.batch.push(piece);
        if self.bytes >= BATCH_BYTES {
            self.send(recorder).map_err(ContentError::Store)?;
        }
        Ok(())
    }

    fn send(&mut self, recorder: &Recorder) -> Result<(), String> {
        if !self.batch.is_empty() {
            self.flying.push_back(recorder.put_pieces(std::mem::take(&mut self.batch)));
            self.bytes = 0;
        }
        while self.flying.len() > FLYING {
            self.flying.pop_front().map_or(Ok(()), Answer::wait)?;
        }
        Ok(())
    }

    /// Waits until the store has all of it.
    pub(crate) fn finish(&mut self, recorder: &Recorder) -> Result<(), String> {
        self.send(recorder)?;
        self.flying.drain(..).try_for_each(Answer::wait)
    }
}

/// Where the data of a chunk list lies, wherever it is cut.
fn extents(chunks: &[Chunk]) -> Vec<(u64, u64)> {
    let mut out: Vec<(u64, u64)> = Vec::new();
    for chunk in chunks {
        let end = chunk.offset + u64::from(chunk.len);
        match out.last_mut() {
            Some(last) if last.1 == chunk.offset => last.1 = end,
            _ => out.push((chunk.offset, end)),
        }
    }
    out
}

pub(crate) fn hash_zeroes(hasher: &mut blake3::Hasher, mut len: u64) {
    static ZEROES: [u8; 65536] = [0; 65536];
    while len > 0 {
        let part = usize::try_from(len.min(65536)).unwrap_or(65536);
        hasher.update(ZEROES.get(..part).unwrap_or_default());
        len -= part as u64;
    }
}

/// The data of a file, holes left out.
struct Data<'a> {
    fd: BorrowedFd<'a>,
    size: u64,
    /// Where the extent that is being read ends.
    end: u64,
    at: u64,
}

impl<'a> Data<'a> {
    fn new(fd: BorrowedFd<'a>, size: u64) -> Data<'a> {
        Data { fd, size, end: 0, at: 0 }
    }

    /// Whether the extent has been read to its end.
    fn is_at_end(&self) -> bool {
        self.at >= self.end
    }

    /// Appends up to `most` bytes of one extent, the next one where the last has ended. Says where they lie; `None` at
    /// the end of the file.
    fn next(&mut self, buffer: &mut Vec<u8>, most: u64) -> io::Result<Option<u64>> {
        if self.is_at_end() {
            match state::next_data(self.fd, self.at, self.size)? {
                Some((start, end)) => (self.at, self.end) = (start, end),
                None => return Ok(None),
            }
        }
        let (from, held) = (self.at, buffer.len());
        let wanted = usize::try_from(most.min(self.end - from)).unwrap_or(0);
        buffer.resize(held + wanted, 0);
        let got = state::read_at(self.fd, buffer.get_mut(held..).unwrap_or_default(), from)?;
        buffer.truncate(held + got);
        self.at += got as u64;
        if got < wanted {
            // The file became shorter under us; the caller compares the times afterwards.
            (self.end, self.size) = (self.at, self.at);
        }
        Ok((got > 0).then_some(from))
    }
}

/// The data of a file in the pieces that the store keeps it in. None reaches across a hole.
pub(crate) struct Pieces<'a> {
    data: Data<'a>,
    size: u64,
    buffer: Vec<u8>,
    /// What was given out already of the buffer, and where the rest lies in the file.
    given: usize,
    at: u64,
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(fd: BorrowedFd<'a>, size: u64) -> Pieces<'a> {
        Pieces { data: Data::new(fd, size), size, buffer: Vec::new(), given: 0, at: 0 }
    }

    pub(crate) fn next(&mut self, chunker: &Chunker) -> io::Result<Option<(u64, &[u8])>> {
        let most = Chunker::most(self.size);
        if self.buffer.len() - self.given < most && !self.data.is_at_end() || self.given == self.buffer.len() {
            self.buffer.drain(..self.given);
            self.given = 0;
            // Twice as much as one piece can be, so that little is moved.
            let room = (2 * most - self.buffer.len()) as u64;
            let fresh = self.buffer.is_empty();
            match self.data.next(&mut self.buffer, room)? {
                Some(offset) if fresh => self.at = offset,
                None if fresh => return Ok(None),
                _ => {}
            }
        }
        let rest = self.buffer.get(self.given..).unwrap_or_default();
        let window = rest.get(..most).unwrap_or(rest);
        let piece = window.get(..chunker.cut(window, self.size)).unwrap_or(window);
        let offset = self.at;
        self.given += piece.len();
        self.at += piece.len() as u64;
        Ok(Some((offset, piece)))
    }
}
