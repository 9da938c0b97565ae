//! The newest tree head, kept apart from the log: the memory that a truncated or rolled back log is held against.
//!
//! One signed checkpoint in the first 512 bytes of `audit.head`, the rest of them zero. It is overwritten in place and
//! after the log is durable, so it is never ahead of the log but where the log was cut; 512 bytes are one sector, which
//! a disk writes whole or not at all. It is not synced: a power cut may leave an older head, which proves less but is
//! still true.

use std::io;

use raincoat_os::{AppendFile, PrivateDir};

use crate::AuditError;
use crate::note::{Checkpoint, Note, NoteError, Verifier};

/// Bytes that a head kept apart may have.
pub(crate) const NOTE_BYTES: usize = 512;

const NAME: &str = "audit.head";

/// What is found in the place kept apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Apart {
    /// Nothing.
    Missing,
    /// A head that our key signed.
    Head(Checkpoint),
    /// A head of this log that another key signed.
    OtherKey,
    /// Something that is no head of ours.
    Damaged(NoteError),
}

/// The place kept apart, to write in.
#[derive(Debug)]
pub(crate) struct HeadFile {
    dir: PrivateDir,
    file: Option<AppendFile>,
}

/// Forgets the head kept apart, so that a log that is behind it (restored from a backup, say) can be opened again.
/// The next one to open it notes in the log that there was none. Only a person may decide this.
///
/// # Errors
/// [`AuditError::Io`].
pub fn forget_head(dir: &PrivateDir) -> Result<(), AuditError> {
    dir.remove(NAME).and_then(|()| dir.sync()).map_err(AuditError::io("forget the tree head kept apart"))
}

impl Apart {
    pub(crate) fn read(dir: &PrivateDir, verifier: &Verifier) -> Result<Apart, AuditError> {
        let read = dir.read(NAME, 1 << 16).map_err(AuditError::io("read the tree head kept apart"))?;
        let Some(bytes) = read else { return Ok(Apart::Missing) };
        let end = bytes.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
        let note = bytes.get(..end).unwrap_or_default();
        Ok(match verifier.open(note) {
            Ok(head) => Apart::Head(head),
            Err(NoteError::NotSigned) if Note::parse(note).is_ok() => Apart::OtherKey,
            Err(why) => Apart::Damaged(why),
        })
    }
}

impl HeadFile {
    pub(crate) fn new(dir: PrivateDir) -> HeadFile {
        HeadFile { dir, file: None }
    }

    /// Puts a head in the place of the last.
    pub(crate) fn put(&mut self, note: &str) -> io::Result<()> {
        let mut bytes = note.as_bytes().to_vec();
        bytes.resize(NOTE_BYTES, 0);
        let file = match self.file.take() {
            Some(file) => file,
            None => match self.dir.open_file(NAME)? {
                Some(file) => file,
                None => {
                    // The file itself must outlast a power cut; what stands in it then follows the kernel's pace.
                    self.dir.replace(NAME, &bytes)?;
                    self.dir.open_file(NAME)?.ok_or(io::ErrorKind::NotFound)?
                }
            },
        };
        file.write_all_at(&bytes, 0)?;
        self.file = Some(file);
        Ok(())
    }
}
