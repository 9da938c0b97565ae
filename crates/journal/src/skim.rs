//! Going over a segment by its records' headers, opening only those bodies that somebody asks for: what a store holds
//! can be told without reading its contents.

use std::io;

use raincoat_os::AppendFile;
use raincoat_types::Ulid;

use crate::JournalKeys;
use crate::format::{HEAD_BYTES, HEADER_BYTES, Header, open_record, tag_of};
use crate::pack::Unpacker;

/// Bytes that are read at once: small records come many at a time, large bodies are stepped over.
const WINDOW: usize = 16 << 10;

/// A pass over a segment that is known to be whole up to `end`.
pub(crate) struct Skim<'a> {
    file: &'a AppendFile,
    keys: &'a JournalKeys,
    id: Ulid,
    at: u64,
    end: u64,
    window: Vec<u8>,
    window_at: u64,
    unpacker: Unpacker,
}

impl<'a> Skim<'a> {
    /// Starts behind the head.
    pub(crate) fn new(file: &'a AppendFile, keys: &'a JournalKeys, id: Ulid, end: u64) -> Skim<'a> {
        Skim { file, keys, id, at: HEAD_BYTES, end, window: Vec::new(), window_at: 0, unpacker: Unpacker::default() }
    }

    /// The next record's place and header; `None` at the end.
    ///
    /// # Errors
    /// `InvalidData` where a header is not what was written; else the system's.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, Header)>> {
        if self.at >= self.end {
            return Ok(None);
        }
        let (offset, keys, id) = (self.at, self.keys, self.id);
        let header = Header::read(keys, id, self.bytes(offset, HEADER_BYTES)?).ok_or(io::ErrorKind::InvalidData)?;
        self.at += header.span();
        Ok(Some((offset, header)))
    }

    /// The body of the record there, opened, and its tag; `None` where it is not what was written.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn body(&mut self, offset: u64, header: &Header) -> io::Result<Option<(Vec<u8>, [u8; 16])>> {
        let span = usize::try_from(header.span()).unwrap_or(usize::MAX);
        let (keys, id) = (self.keys, self.id);
        let mut unpacker = std::mem::take(&mut self.unpacker);
        let read = self.bytes(offset, span).map(|record| {
            let body = open_record(keys, id, offset, record, &mut unpacker)?;
            Some((body, tag_of(header, record)))
        });
        self.unpacker = unpacker;
        read
    }

    /// `n` bytes at `offset`; fewer only where the file ends.
    fn bytes(&mut self, offset: u64, n: usize) -> io::Result<&[u8]> {
        let held = self.window_at + self.window.len() as u64;
        if offset < self.window_at || offset + n as u64 > held {
            self.window.resize(WINDOW.max(n), 0);
            let got = self.file.read_at(&mut self.window, offset)?;
            self.window.truncate(got);
            self.window_at = offset;
        }
        let start = usize::try_from(offset - self.window_at).unwrap_or(usize::MAX);
        let rest = self.window.get(start..).unwrap_or_default();
        Ok(rest.get(..n).unwrap_or(rest))
    }
}
