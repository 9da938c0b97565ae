//! Taking a draft away, whatever a program left in it.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use raincoat_os::overlay::Listed;
use raincoat_os::{Root, fill_random, mutate, overlay};
use raincoat_types::{RunId, display_bytes};

use crate::place::open_strictly_ours;
use crate::record::Place;

/// Names taken from a directory at a time.
const BATCH: usize = 1024;
/// Levels gone down with a descriptor each. What lies deeper is moved to the top first.
const LEVELS: usize = 32;

/// Something of a draft could not be taken away.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` could not be taken away: {error}")]
pub struct WipeError {
    /// What, for a person; a name within the draft.
    pub path: String,
    /// What the system says.
    #[source]
    pub error: io::Error,
}

/// Takes a whole tree away: the directory of this name and everything in it. Nothing is followed, and no other file
/// system entered. Missing is fine.
///
/// # Errors
/// [`WipeError`] with the first thing that stays; the rest is gone.
pub(crate) fn remove_tree(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(), WipeError> {
    let top = match open(parent, name) {
        Ok(top) => top,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fault(name, error)),
    };
    empty(top.as_fd())?;
    remove_dir(parent, name).map_err(|error| fault(name, error))
}

/// Takes away what a draft has in a place outside our data, and the draft's directory there once it is empty. The place
/// must look like one of this run's: another path is left alone.
pub(crate) fn remove_place(place: &Place, run: RunId) -> Result<(), WipeError> {
    let path = Path::new(std::ffi::OsStr::from_bytes(&place.path));
    let refuse = |error: io::Error| fault(&place.path, error);
    let (Some(number), Some(of_run)) = (path.file_name(), path.parent()) else {
        return Err(refuse(io::ErrorKind::InvalidInput.into()));
    };
    let (Some(run_name), Some(shared)) = (of_run.file_name(), of_run.parent()) else {
        return Err(refuse(io::ErrorKind::InvalidInput.into()));
    };
    if run_name.as_bytes() != run.to_string().as_bytes() || !number.as_bytes().iter().all(u8::is_ascii_digit) {
        return Err(refuse(io::Error::new(io::ErrorKind::InvalidInput, "not a place of this draft")));
    }
    let shared = match Root::open(shared) {
        Ok(shared) => shared,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(refuse(error)),
    };
    let of_run = match open_strictly_ours(shared.as_fd(), run_name.as_bytes()) {
        Ok(of_run) => of_run,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(refuse(error)),
    };
    remove_tree(of_run.as_fd(), number.as_bytes())?;
    match mutate::remove_dir(shared.as_fd(), run_name.as_bytes()) {
        // Another folder of the same draft lies there still.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        other => other.map_err(refuse),
    }
}

/// A directory that is being emptied.
struct Level {
    dir: OwnedFd,
    name: Vec<u8>,
    /// Names listed and not tried yet.
    listed: Vec<Listed>,
    /// Names that stay, whatever is tried.
    stuck: HashSet<Vec<u8>>,
}

/// Takes everything out of a directory. At most [`LEVELS`] directories are open at a time.
fn empty(top: BorrowedFd<'_>) -> Result<(), WipeError> {
    let mut first_fault = None;
    let mut stack = vec![Level::new(top.try_clone_to_owned().map_err(|e| fault(b"", e))?, Vec::new())];
    loop {
        let may_enter = stack.len() < LEVELS;
        let Some(level) = stack.last_mut() else { break };
        if let Some((dir, name)) = level.clear(top, may_enter, &mut first_fault) {
            stack.push(Level::new(dir, name));
            continue;
        }
        let Some(done) = stack.pop() else { break };
        let Some(above) = stack.last_mut() else { break };
        if let Err(error) = remove_dir(above.dir.as_fd(), &done.name) {
            first_fault.get_or_insert(fault(&done.name, error));
            above.stuck.insert(done.name);
        }
    }
    first_fault.map_or(Ok(()), Err)
}

impl Level {
    fn new(dir: OwnedFd, name: Vec<u8>) -> Level {
        Level { dir, name, listed: Vec::new(), stuck: HashSet::new() }
    }

    /// Takes away what is in the directory, until a subdirectory must be gone into: that one is given back, open.
    fn clear(
        &mut self,
        top: BorrowedFd<'_>,
        may_enter: bool,
        first_fault: &mut Option<WipeError>,
    ) -> Option<(OwnedFd, Vec<u8>)> {
        loop {
            let Some(entry) = self.listed.pop() else {
                if self.list(first_fault) {
                    continue;
                }
                return None;
            };
            let done = match entry.is_dir {
                Some(true) => Ok(false),
                _ => remove_file(self.dir.as_fd(), &entry.name, entry.is_dir.is_some()),
            };
            let result = match done {
                Ok(true) => Ok(()),
                Ok(false) => match open(self.dir.as_fd(), &entry.name) {
                    Ok(child) if may_enter => return Some((child, entry.name)),
                    Ok(_) => move_up(self.dir.as_fd(), &entry.name, top),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                first_fault.get_or_insert(fault(&entry.name, error));
                self.stuck.insert(entry.name);
            }
        }
    }

    /// Lists what is there still, but for what stays. `false`: nothing else is.
    fn list(&mut self, first_fault: &mut Option<WipeError>) -> bool {
        // More than the stuck ones, so that there is always something new among them.
        match overlay::list_some(self.dir.as_fd(), BATCH + self.stuck.len()) {
            Ok(mut some) => {
                some.retain(|entry| !self.stuck.contains(&entry.name));
                self.listed = some;
            }
            Err(error) => {
                first_fault.get_or_insert(fault(&self.name, error));
            }
        }
        !self.listed.is_empty()
    }
}

/// Takes away what is no directory. `false`: it is one.
fn remove_file(dir: BorrowedFd<'_>, name: &[u8], surely_no_dir: bool) -> io::Result<bool> {
    let mut result = mutate::unlink(dir, name);
    if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
        // `chattr +i`, on the file or on the folder.
        let _ = overlay::clear_protection(dir, name);
        let _ = overlay::clear_protection(dir, b"");
        result = mutate::unlink(dir, name);
    }
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory && !surely_no_dir => Ok(false),
        Err(error) => Err(error),
    }
}

/// Moves a directory that lies too deep to the top under a name of its own.
fn move_up(dir: BorrowedFd<'_>, name: &[u8], top: BorrowedFd<'_>) -> io::Result<()> {
    let mut tag = [0_u8; 8];
    fill_random(&mut tag)?;
    mutate::rename_new(dir, name, top, format!("deep-{:016x}", u64::from_le_bytes(tag)).as_bytes())
}

/// Opens a directory to empty it; gives its owner, us, the right to, where the program took that away.
fn open(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let held = overlay::folder_at(parent, name)?;
    let stat = raincoat_os::state::stat_fd(held.as_fd())?;
    if stat.mode & 0o700 != 0o700 && overlay::set_mode(held.as_fd(), 0o700).is_err() {
        let _ = overlay::clear_protection(parent, name);
        overlay::set_mode(held.as_fd(), 0o700)?;
    }
    overlay::folder_to_list(held.as_fd(), b"")
}

fn remove_dir(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    match mutate::remove_dir(parent, name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let _ = overlay::clear_protection(parent, name);
            let _ = overlay::clear_protection(parent, b"");
            mutate::remove_dir(parent, name)
        }
        other => other,
    }
}

fn fault(path: &[u8], error: io::Error) -> WipeError {
    WipeError { path: display_bytes(path), error }
}
