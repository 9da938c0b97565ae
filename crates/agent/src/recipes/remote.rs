//! A file seen through the keeper as a reader: parsers of metadata seek to what they need, and only that is asked for.

use std::io::{self, Read, Seek, SeekFrom};

use raincoat_types::{FileRead, Outcome, Place, ReadDone};

use crate::keeper::{Keeper, Lost};

/// Bytes asked for at a time.
pub(super) const BLOCK: u32 = 64 << 10;
/// Blocks that one file may cost. Tags and EXIF stand at an end of the file; who sends a parser further is a hostile or
/// broken file, and then the file simply has no tags.
const MOST_BLOCKS: u32 = 24;

/// A reader over one file, with one block in memory.
pub(super) struct Remote<'k> {
    keeper: &'k mut dyn Keeper,
    at: Place,
    size: u64,
    position: u64,
    block: Vec<u8>,
    block_at: u64,
    left: u32,
    /// The keeper went away while reading.
    pub(super) lost: Option<Lost>,
}

impl<'k> Remote<'k> {
    /// A file of which the first bytes are known already.
    pub(super) fn new(keeper: &'k mut dyn Keeper, at: Place, size: u64, head: Vec<u8>) -> Remote<'k> {
        Remote { keeper, at, size, position: 0, block: head, block_at: 0, left: MOST_BLOCKS, lost: None }
    }

    fn cached(&self) -> &[u8] {
        let from = self.position.checked_sub(self.block_at).and_then(|from| usize::try_from(from).ok());
        from.and_then(|from| self.block.get(from..)).unwrap_or_default()
    }

    fn fetch(&mut self) -> io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or_else(|| io::Error::other("too much to read"))?;
        // Blocks on their own grid, so that reading back and forth around a place asks once.
        let offset = self.position - self.position % u64::from(BLOCK);
        let ask = FileRead::Read { at: self.at.clone(), offset, len: BLOCK };
        match self.keeper.read(vec![ask]) {
            Ok(mut outcomes) => match outcomes.pop() {
                Some(Outcome::Read(ReadDone::Bytes { bytes, .. })) => {
                    self.block = bytes;
                    self.block_at = offset;
                    Ok(())
                }
                _ => Err(io::Error::other("the file cannot be read")),
            },
            Err(lost) => {
                self.lost = Some(lost);
                Err(io::Error::other("the keeper is gone"))
            }
        }
    }
}

impl Read for Remote<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.size || buf.is_empty() {
            return Ok(0);
        }
        if self.cached().is_empty() {
            self.fetch()?;
        }
        let got = self.cached().read(buf)?;
        self.position += got as u64;
        Ok(got)
    }
}

impl Seek for Remote<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
