//! One draft, open.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

use raincoat_os::{FileLock, PrivateDir, Root, overlay};
use raincoat_seal::SealKey;
use raincoat_types::{FileKind, RelPath, display_bytes};

use crate::bases::Bases;
use crate::drafts::{DraftsError, RECORD, context, system};
use crate::place::{LIVE_LOCK, gone, make_private};
use crate::record::{Record, RecordedFolder};

/// A draft, open: its record, and its folders as they are needed.
#[derive(Debug)]
pub struct Draft {
    dir: PrivateDir,
    record: Record,
    key: SealKey,
    lock: Option<FileLock>,
    sealed: bool,
    folders: Vec<OnceLock<OpenFolder>>,
    pub(crate) bases: OnceLock<Bases>,
}

/// Both sides of one granted folder, open.
#[derive(Debug)]
pub(crate) struct OpenFolder {
    pub(crate) lower: Root,
    pub(crate) upper: OwnedFd,
}

/// A folder of a draft cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It has no folder of this number.
    #[error("the draft has no folder number {0}")]
    NoSuch(usize),
    /// The granted folder is gone, or another directory stands in its place.
    #[error("the folder `{0}` is not the one that the draft was made from; put it back, or discard the draft")]
    Replaced(String),
    /// The system refuses.
    #[error("cannot open `{path}`: {error}")]
    System {
        /// What.
        path: String,
        /// What it says.
        #[source]
        error: io::Error,
    },
}

impl Draft {
    pub(crate) fn new(dir: PrivateDir, record: Record, key: SealKey, lock: Option<FileLock>) -> Draft {
        let folders = record.folders.iter().map(|_| OnceLock::new()).collect();
        Draft { dir, record, key, lock, sealed: true, folders, bases: OnceLock::new() }
    }

    pub(crate) fn unsealed(dir: PrivateDir, record: Record, key: SealKey) -> Draft {
        Draft { sealed: false, ..Draft::new(dir, record, key, None) }
    }

    /// What is remembered of it.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Whether its record was ever sealed. If not, its keeper died early: the record says what the directories tell.
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// Whether its keeper holds it: its program runs, or a commit or wipe goes on. Also `true` for who holds it here.
    ///
    /// # Errors
    /// [`DraftsError::System`].
    pub fn is_live(&self) -> Result<bool, DraftsError> {
        if self.lock.is_some() {
            return Ok(true);
        }
        Ok(self.dir.try_lock(LIVE_LOCK).map_err(|e| system("look at the draft", e))?.is_none())
    }

    /// Has the disk write all that the program made: afterwards it outlasts a power cut.
    ///
    /// # Errors
    /// [`DraftsError::System`].
    pub fn make_durable(&self) -> Result<(), DraftsError> {
        let mut done: Vec<u64> = Vec::new();
        for recorded in &self.record.folders {
            let fail = |e| system("make the draft durable", e);
            let place = open_place(recorded).map_err(fail)?;
            let device = raincoat_os::state::stat_fd(place.as_fd()).map_err(fail)?.identity.dev;
            if !done.contains(&device) {
                raincoat_os::mutate::sync_file_system(place.as_fd()).map_err(fail)?;
                done.push(device);
            }
        }
        Ok(())
    }

    /// Holds it, so that nobody else works on it, until it is dropped.
    ///
    /// # Errors
    /// [`DraftsError::Live`] where somebody else holds it.
    pub fn hold(&mut self) -> Result<(), DraftsError> {
        // Who lists drafts holds each for an instant.
        for _ in 0..100 {
            if self.lock.is_some() {
                return Ok(());
            }
            self.lock = self.dir.try_lock(LIVE_LOCK).map_err(|e| system("hold the draft", e))?;
            std::thread::yield_now();
        }
        if self.lock.is_some() { Ok(()) } else { Err(DraftsError::Live(self.record.run)) }
    }

    /// Puts another record in the place of the one there is, sealed and durable.
    ///
    /// # Errors
    /// [`DraftsError`]; the old record stands then.
    pub fn update(&mut self, record: Record) -> Result<(), DraftsError> {
        let old = std::mem::replace(&mut self.record, record);
        let written = self.write_record(PrivateDir::replace);
        if written.is_err() {
            self.record = old;
            return written;
        }
        self.sealed = true;
        if self.folders.len() != self.record.folders.len() {
            self.folders = self.record.folders.iter().map(|_| OnceLock::new()).collect();
        }
        Ok(())
    }

    /// The draft's side of a folder: the overlay's upper directory. Everything in it is hostile.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn upper(&self, folder: usize) -> Result<BorrowedFd<'_>, FolderError> {
        Ok(self.folder(folder)?.upper.as_fd())
    }

    /// The granted folder itself: the very directory that the draft was made from.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn lower(&self, folder: usize) -> Result<&Root, FolderError> {
        Ok(&self.folder(folder)?.lower)
    }

    /// A private directory on the same file system as the draft's side of a folder, for contents prepared for a commit:
    /// what lies in it can be renamed to where the draft's files can.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn stage(&self, folder: usize) -> Result<PrivateDir, FolderError> {
        let recorded = self.recorded(folder)?;
        let opened = open_place(recorded).and_then(|place| {
            match raincoat_os::mutate::make_dir(place.as_fd(), b"stage") {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            PrivateDir::open(&Path::new(std::ffi::OsStr::from_bytes(&recorded.place.path)).join("stage"))
        });
        opened.map_err(|error| fault(&recorded.place.path, error))
    }

    /// Which names the program could not see.
    pub(crate) fn is_masked(&self, folder: usize, path: &RelPath) -> bool {
        self.record.folders.get(folder).is_some_and(|f| f.masked.iter().any(|masked| path.starts_with(masked)))
    }

    pub(crate) fn folder(&self, number: usize) -> Result<&OpenFolder, FolderError> {
        let recorded = self.recorded(number)?;
        let cell = self.folders.get(number).ok_or(FolderError::NoSuch(number))?;
        if let Some(open) = cell.get() {
            return Ok(open);
        }
        let open = open_folder(recorded)?;
        Ok(cell.get_or_init(|| open))
    }

    fn recorded(&self, number: usize) -> Result<&RecordedFolder, FolderError> {
        self.record.folders.get(number).ok_or(FolderError::NoSuch(number))
    }

    pub(crate) fn write_record(
        &self,
        write: fn(&PrivateDir, &str, &[u8]) -> io::Result<()>,
    ) -> Result<(), DraftsError> {
        let plain = self.record.encode().map_err(|e| system("write the draft's record", io::Error::other(e)))?;
        let sealed = self.key.seal(&context(self.record.run), &plain)?;
        write(&self.dir, RECORD, &sealed).map_err(|e| system("write the draft's record", e))
    }

    /// The directory of remembered states.
    pub(crate) fn base_dir(&self) -> io::Result<PrivateDir> {
        make_private(&self.dir, "base")
    }

    pub(crate) fn dir(&self) -> &PrivateDir {
        &self.dir
    }

    pub(crate) fn key(&self) -> &SealKey {
        &self.key
    }

    pub(crate) fn has_lock(&self) -> bool {
        self.lock.is_some()
    }

    pub(crate) fn into_record(self) -> Record {
        self.record
    }

    /// Names and bytes in the upper directories, up to a number of names; and whether that was all.
    pub(crate) fn count(&self, max: u64) -> (u64, u64, bool) {
        let (mut entries, mut bytes) = (0_u64, 0_u64);
        let mut whole = true;
        for recorded in &self.record.folders {
            let upper = open_place(recorded).and_then(|place| overlay::folder_to_list(place.as_fd(), b"upper"));
            let Ok(upper) = upper else {
                whole = false;
                continue;
            };
            let mut pending = vec![RelPath::ROOT];
            while let Some(path) = pending.pop() {
                let left = usize::try_from(max - entries).unwrap_or(usize::MAX);
                let listed = overlay::folder_to_list(upper.as_fd(), path.as_bytes())
                    .and_then(|dir| Ok((overlay::list_some(dir.as_fd(), left.saturating_add(1))?, dir)));
                let Ok((listed, dir)) = listed else {
                    whole = false;
                    continue;
                };
                for entry in listed {
                    if entries >= max {
                        return (entries, bytes, false);
                    }
                    let Ok(Some((stat, _))) = overlay::look_at(dir.as_fd(), &entry.name) else { continue };
                    if stat.kind != FileKind::Dir {
                        entries += 1;
                        bytes = bytes.saturating_add(stat.size);
                        continue;
                    }
                    entries += 1;
                    match path.join(&entry.name) {
                        Ok(path) => pending.push(path),
                        Err(_) => whole = false,
                    }
                }
            }
        }
        (entries, bytes, whole)
    }
}

fn open_folder(recorded: &RecordedFolder) -> Result<OpenFolder, FolderError> {
    let path = Path::new(std::ffi::OsStr::from_bytes(&recorded.root.path));
    let replaced = || FolderError::Replaced(display_bytes(&recorded.root.path));
    let lower = match Root::open(path) {
        Ok(lower) => lower,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(replaced()),
        Err(error) => return Err(fault(&recorded.root.path, error)),
    };
    if lower.identity() != recorded.root.identity {
        return Err(replaced());
    }
    let upper = open_place(recorded).and_then(|place| overlay::folder_to_list(place.as_fd(), b"upper"));
    Ok(OpenFolder { lower, upper: upper.map_err(|error| fault(&recorded.place.path, error))? })
}

/// Opens a folder's part of a draft. It lies beneath directories that only we can enter or write in; its last names are
/// opened without following anything.
fn open_place(recorded: &RecordedFolder) -> io::Result<OwnedFd> {
    let path = Path::new(std::ffi::OsStr::from_bytes(&recorded.place.path));
    let (Some(of_run), Some(number)) = (path.parent(), path.file_name()) else { return Err(gone()) };
    let (Some(shared), Some(run)) = (of_run.parent(), of_run.file_name()) else { return Err(gone()) };
    let shared = Root::open(shared)?;
    let of_run = crate::place::open_strictly_ours(shared.as_fd(), run.as_bytes())?;
    overlay::folder_to_list(of_run.as_fd(), number.as_bytes())
}

fn fault(path: &[u8], error: io::Error) -> FolderError {
    FolderError::System { path: display_bytes(path), error }
}
