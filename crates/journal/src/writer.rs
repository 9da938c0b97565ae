//! Appending to a segment: records gather in a buffer, go out in one write, and are made durable by one sync.

use std::sync::Arc;

use raincoat_os::{AppendFile, PrivateDir};
use raincoat_types::Ulid;

use crate::facts::Loc;
use crate::format::{Body, Head, Kind, Position, push_record, write_head};
use crate::pack::Packer;
use crate::{JournalError, JournalKeys};

/// A segment takes no more records beyond this; the next one is begun.
pub(crate) const SEGMENT_BYTES: u64 = 256 << 20;
/// Zeroes are written ahead of the records in steps between these, so that a sync within them carries data only.
const STEP_MIN: u64 = 256 << 10;
const STEP_MAX: u64 = 4 << 20;
/// A batch of this size is written without zeroes ahead: what metadata costs is small beside it.
const LARGE_BATCH: u64 = 256 << 10;
/// A batch of this size starts on its way to the disk at once.
const BEGIN_FROM: usize = 1 << 20;
const PAGE: u64 = 4096;

/// The segment that this process appends to, locked.
#[derive(Debug)]
pub(crate) struct Writer {
    /// The segment.
    pub(crate) id: Ulid,
    /// Its file.
    pub(crate) file: Arc<AppendFile>,
    /// Where the next record goes.
    pub(crate) position: Position,
    /// Where the buffer goes: everything before is with the kernel.
    pub(crate) written: Position,
    /// Everything below is durable.
    pub(crate) synced: u64,
    /// Bytes of the file that hold records or zeroes.
    allocated: u64,
    buffer: Vec<u8>,
    packer: Packer,
}

/// The name of a segment's file.
pub(crate) fn file_name(id: Ulid) -> String {
    format!("{id}.seg")
}

impl Writer {
    /// Makes a new segment, durable with its directory entry, and locks it.
    ///
    /// It gets its name last: a file with a segment's name has a whole head, and its maker's lock.
    pub(crate) fn create(dir: &PrivateDir, keys: &JournalKeys, id: Ulid, head: &Head) -> Result<Writer, JournalError> {
        let temp = format!("{id}.new");
        let (mut bytes, position) = write_head(keys, id, head)?;
        bytes.resize(STEP_MIN as usize, 0);
        let made = || -> std::io::Result<AppendFile> {
            let file = dir.create_append(&temp)?;
            file.try_lock()?;
            file.preallocate(STEP_MIN)?;
            file.write_all_at(&bytes, 0)?;
            file.sync()?;
            dir.rename_new(&temp, &file_name(id))?;
            dir.sync()?;
            Ok(file)
        };
        let file = made().map_err(|error| {
            let _ = dir.remove(&temp);
            JournalError::io("make a segment")(error)
        })?;
        Ok(Writer::at(id, Arc::new(file), position, STEP_MIN))
    }

    /// Goes on with a segment that is locked, whose records end at `position`, all durable, with zeroes behind.
    pub(crate) fn adopt(id: Ulid, file: Arc<AppendFile>, position: Position) -> Result<Writer, JournalError> {
        let allocated = file.len().map_err(JournalError::io("measure a segment"))?;
        Ok(Writer::at(id, file, position, allocated))
    }

    fn at(id: Ulid, file: Arc<AppendFile>, position: Position, allocated: u64) -> Writer {
        let (written, synced) = (position, position.offset);
        Writer { id, file, position, written, synced, allocated, buffer: Vec::new(), packer: Packer::default() }
    }

    /// Adds a record to the buffer, packed where that makes it smaller.
    pub(crate) fn push(&mut self, keys: &JournalKeys, kind: Kind, plain: &[u8]) -> Result<Loc, JournalError> {
        let packed = self.packer.pack(kind, plain);
        let bytes = packed.as_deref().unwrap_or(plain);
        self.push_body(keys, Body { kind, packed: packed.is_some(), bytes })
    }

    /// Adds a record to the buffer, its body as it is.
    pub(crate) fn push_body(&mut self, keys: &JournalKeys, body: Body<'_>) -> Result<Loc, JournalError> {
        let offset = push_record(keys, self.id, &mut self.position, self.synced, body, &mut self.buffer)?;
        Ok(Loc { segment: self.id, offset })
    }

    /// Bytes in the buffer.
    pub(crate) fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// The buffered bytes from `offset` of the segment on, where that is in the buffer.
    pub(crate) fn buffered_at(&self, offset: u64) -> Option<&[u8]> {
        self.buffer.get(usize::try_from(offset.checked_sub(self.written.offset)?).ok()?..)
    }

    /// Whether the kernel has bytes of ours that are not durable.
    pub(crate) fn is_dirty(&self) -> bool {
        self.synced < self.written.offset
    }

    /// Whether the segment is full.
    pub(crate) fn is_full(&self) -> bool {
        self.position.offset >= SEGMENT_BYTES
    }

    /// Forgets what is in the buffer.
    pub(crate) fn discard(&mut self) {
        self.rewind(self.written);
    }

    /// Forgets the records from `position` on, which must be in the buffer.
    pub(crate) fn rewind(&mut self, position: Position) {
        let keep = position.offset.saturating_sub(self.written.offset);
        self.buffer.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
        self.position = position;
    }

    /// Makes room on the disk for what is in the buffer. On [`JournalError::Full`] nothing has changed.
    pub(crate) fn make_room(&mut self) -> Result<(), JournalError> {
        let need = self.position.offset.next_multiple_of(PAGE);
        if need <= self.allocated {
            return Ok(());
        }
        if self.buffer.len() as u64 >= LARGE_BATCH {
            self.file.preallocate(need).map_err(JournalError::io("reserve space in a segment"))?;
            self.allocated = need;
            return Ok(());
        }
        let step = (self.allocated / 16).clamp(STEP_MIN, STEP_MAX).next_multiple_of(PAGE);
        match self.zero_to(need.max(self.allocated + step)) {
            Err(JournalError::Full) => self.zero_to(need),
            other => other,
        }
    }

    /// Writes zeroes ahead where few are left, durably, so that the next batch does not have to.
    pub(crate) fn zero_ahead(&mut self) -> Result<(), JournalError> {
        if self.is_full() || !self.buffer.is_empty() || self.allocated >= self.position.offset + STEP_MIN / 4 {
            return Ok(());
        }
        self.zero_to(self.allocated + STEP_MIN)?;
        self.file.sync().map_err(JournalError::io("make a segment durable"))?;
        self.synced = self.written.offset;
        Ok(())
    }

    fn zero_to(&mut self, end: u64) -> Result<(), JournalError> {
        self.file.preallocate(end).map_err(JournalError::io("reserve space in a segment"))?;
        let zeroes = vec![0; usize::try_from(end - self.allocated).unwrap_or(0)];
        self.file.write_all_at(&zeroes, self.allocated).map_err(JournalError::io("reserve space in a segment"))?;
        self.allocated = end;
        Ok(())
    }

    /// Hands the buffer to the kernel: it survives this process, not yet a power cut. Any error is final.
    pub(crate) fn write_out(&mut self) -> std::io::Result<()> {
        if !self.buffer.is_empty() {
            self.file.write_all_at(&self.buffer, self.written.offset)?;
            if self.buffer.len() >= BEGIN_FROM {
                // The disk works while more is being sealed.
                self.file.begin_writing(self.written.offset, self.buffer.len() as u64);
            }
            self.written = self.position;
            self.buffer.clear();
            // Content that went through once should not be held on to.
            self.buffer.shrink_to(STEP_MAX as usize);
        }
        Ok(())
    }

    /// Makes everything written durable. Any error is final.
    pub(crate) fn sync(&mut self) -> std::io::Result<()> {
        if self.is_dirty() {
            self.file.sync()?;
            self.synced = self.written.offset;
        }
        Ok(())
    }
}
