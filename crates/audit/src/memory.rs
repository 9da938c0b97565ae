//! What is remembered of the log outside it: the newest tree head, in several places, so that a log that was cut, rolled
//! back or built anew is noticed by each of them that whoever did it could not change too.
//!
//! In a file this is one signed checkpoint in the first 512 bytes, the rest of them zero: one sector, which a disk
//! writes whole or not at all. It is overwritten in place after the log is durable, so it is never ahead of the log but
//! where the log was cut. Whoever replaces it first looks that it is what the log contains, under a lock.

use std::io;
use std::num::NonZeroU32;
use std::os::unix::ffi::OsStrExt;

use raincoat_os::{PrivateDir, keyring};

use crate::AuditError;
use crate::hash::{Hash, sha256};
use crate::note::{Checkpoint, Note, NoteError, Verifier};

/// Bytes that a head kept in a file may have.
pub(crate) const NOTE_BYTES: usize = 512;

/// The head in the state directory.
const NAME: &str = "audit.head";

/// How long the kernel keeps a head that nobody asks for: as long as it can.
const KEPT_SECS: NonZeroU32 = NonZeroU32::MAX;

/// A tree head that someone outside vouches for, such as a witness that signed it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownHead {
    /// Who, in words for a message: "the witness `example.org/w1`".
    pub who: String,
    /// Entries.
    pub size: u64,
    /// The root of their tree.
    pub root: Hash,
}

/// The memories of a log besides the head in its state directory.
#[derive(Debug, Default)]
pub struct Memories {
    /// A copy in the kernel's keyring, which outlasts the process, but not the user's last logout or a restart.
    pub keyring: bool,
    /// A copy in another folder: a stick, another machine's share.
    pub folder: Option<PrivateDir>,
    /// Why that folder is not there, where one is configured and cannot be opened now.
    pub folder_missing: Option<String>,
    /// What others vouch for. Looked at when the log is opened or verified, not written.
    pub known: Vec<KnownHead>,
}

/// What is found in one place.
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
    /// The place cannot be looked at.
    Unreadable(String),
}

/// One place where the head is kept.
#[derive(Debug)]
pub(crate) struct Memory {
    place: Place,
    last: Vec<u8>,
}

#[derive(Debug)]
enum Place {
    State(PrivateDir),
    Folder(PrivateDir, String),
    Keyring(String),
}

/// Forgets the head kept in the state directory. Only a person may decide this; see also `Options::accept`.
///
/// # Errors
/// [`AuditError::Io`].
pub fn forget_head(dir: &PrivateDir) -> Result<(), AuditError> {
    dir.remove(NAME).and_then(|()| dir.sync()).map_err(AuditError::io("forget the tree head kept apart"))
}

impl Memories {
    /// Another set of handles on the same.
    ///
    /// # Errors
    /// The system's error.
    pub fn try_clone(&self) -> io::Result<Memories> {
        Ok(Memories {
            keyring: self.keyring,
            folder: self.folder.as_ref().map(PrivateDir::try_clone).transpose()?,
            folder_missing: self.folder_missing.clone(),
            known: self.known.clone(),
        })
    }

    /// The places, the state directory first.
    pub(crate) fn places(&self, log: &PrivateDir, state: &PrivateDir, origin: &str) -> Result<Vec<Memory>, AuditError> {
        let opening = AuditError::io("open the places where the tree head is kept");
        let mut places = vec![Place::State(state.try_clone().map_err(&opening)?)];
        if let Some(folder) = &self.folder {
            let name = format!("raincoat-{}.head", hex(&sha256(origin.as_bytes()), 8));
            places.push(Place::Folder(folder.try_clone().map_err(&opening)?, name));
        }
        if self.keyring {
            // By the place of the log too: a copy elsewhere is another log to the person who made it.
            let path = log.path().map_err(&opening)?;
            let id = [origin.as_bytes(), b"\0", path.as_os_str().as_bytes()].concat();
            places.push(Place::Keyring(format!("raincoat:head:{}", hex(&sha256(&id), 16))));
        }
        Ok(places.into_iter().map(|place| Memory { place, last: Vec::new() }).collect())
    }
}

impl Memory {
    /// Which one it is, in words.
    pub(crate) fn name(&self) -> &'static str {
        match &self.place {
            Place::State(_) => "the tree head kept apart",
            Place::Folder(..) => "the tree head in the other folder",
            Place::Keyring(_) => "the tree head in the kernel's keyring",
        }
    }

    /// Whether it is written with each durable batch; the others when work is done.
    pub(crate) fn is_near(&self) -> bool {
        matches!(self.place, Place::State(_))
    }

    /// Whether it may be missing without a word: the kernel forgets.
    pub(crate) fn forgets(&self) -> bool {
        matches!(self.place, Place::Keyring(_))
    }

    pub(crate) fn read(&self, verifier: &Verifier) -> Apart {
        let bytes = match self.bytes() {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Apart::Missing,
            Err(error) => return Apart::Unreadable(error.to_string()),
        };
        judge(&bytes, verifier)
    }

    fn bytes(&self) -> io::Result<Option<Vec<u8>>> {
        match &self.place {
            Place::State(dir) => dir.read(NAME, 1 << 16),
            Place::Folder(dir, name) => dir.read(name, 1 << 16),
            Place::Keyring(description) => match keyring::fetch(description, KEPT_SECS) {
                Ok(kept) => Ok(kept.map(|kept| kept.expose().clone())),
                Err(fault) => Err(io::Error::other(fault.to_string())),
            },
        }
    }

    /// Puts a head in the place of the last, `durable` where it matters. What stands there must be what this handle
    /// put, or a head that the log contains, which `root_at` tells.
    pub(crate) fn put(
        &mut self,
        note: &str,
        size: u64,
        durable: bool,
        verifier: &Verifier,
        root_at: &mut dyn FnMut(u64) -> Result<Hash, AuditError>,
    ) -> Result<(), AuditError> {
        let mut bytes = note.as_bytes().to_vec();
        if !matches!(self.place, Place::Keyring(_)) {
            bytes.resize(NOTE_BYTES, 0);
        }
        let _lock = match &self.place {
            Place::State(dir) => Some(dir.lock(&format!(".{NAME}.lock")).map_err(AuditError::HeadNotKept)?),
            Place::Folder(dir, name) => Some(dir.lock(&format!(".{name}.lock")).map_err(AuditError::HeadNotKept)?),
            Place::Keyring(_) => None,
        };
        let there = self.bytes().map_err(AuditError::HeadNotKept)?;
        if let Some(there) = there.filter(|there| *there != self.last && *there != bytes) {
            match judge(&there, verifier) {
                Apart::Head(head) => known_in(self.name(), &head, size, root_at)?,
                Apart::OtherKey => return Err(AuditError::WrongKey(self.name())),
                Apart::Damaged(why) => return Err(AuditError::HeadDamaged(self.name(), why.to_string())),
                Apart::Missing | Apart::Unreadable(_) => {}
            }
        }
        self.write(&bytes, durable).map_err(AuditError::HeadNotKept)?;
        self.last = bytes;
        Ok(())
    }

    /// Puts a head there, whatever there is: a person has said so.
    pub(crate) fn overrule(&mut self, note: &str) -> Result<(), AuditError> {
        let mut bytes = note.as_bytes().to_vec();
        if !matches!(self.place, Place::Keyring(_)) {
            bytes.resize(NOTE_BYTES, 0);
        }
        self.write(&bytes, true).map_err(AuditError::HeadNotKept)?;
        self.last = bytes;
        Ok(())
    }

    fn write(&self, bytes: &[u8], durable: bool) -> io::Result<()> {
        let (dir, name) = match &self.place {
            Place::State(dir) => (dir, NAME),
            Place::Folder(dir, name) => (dir, name.as_str()),
            Place::Keyring(description) => {
                return keyring::cache(description, bytes, KEPT_SECS)
                    .map_err(|fault| io::Error::other(fault.to_string()));
            }
        };
        match dir.open_file(name)? {
            Some(file) => {
                file.write_all_at(bytes, 0)?;
                if durable { file.sync() } else { Ok(()) }
            }
            // The file itself must outlast a power cut; what stands in it then follows the kernel's pace.
            None => dir.replace(name, bytes),
        }
    }
}

/// Whether a log of `size` entries contains a head: `Ok` where it does.
pub(crate) fn known_in(
    who: &str,
    head: &Checkpoint,
    size: u64,
    root_at: &mut dyn FnMut(u64) -> Result<Hash, AuditError>,
) -> Result<(), AuditError> {
    if head.size > size {
        return Err(AuditError::RolledBack { log: size, head: head.size, memory: who.to_owned() });
    }
    match root_at(head.size) {
        Ok(root) if root == head.root => Ok(()),
        // A tree of entries that were pruned since is no more to be had.
        Err(AuditError::Pruned(_)) => Ok(()),
        Ok(_) => Err(AuditError::Forked { size: head.size, memory: who.to_owned() }),
        Err(error) => Err(error),
    }
}

/// What the bytes kept in a place are.
pub(crate) fn judge(bytes: &[u8], verifier: &Verifier) -> Apart {
    let end = bytes.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
    let note = bytes.get(..end).unwrap_or_default();
    match verifier.open(note) {
        Ok(head) => Apart::Head(head),
        Err(NoteError::NotSigned) if Note::parse(note).is_ok() => Apart::OtherKey,
        Err(why) => Apart::Damaged(why),
    }
}

fn hex(bytes: &[u8], count: usize) -> String {
    bytes.iter().take(count).map(|b| format!("{b:02x}")).collect()
}
