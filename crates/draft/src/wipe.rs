//! Taking a draft away, whatever a program left in it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

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

/// Takes everything out of a directory. At most [`LEVELS`] directories are open at a time.
fn empty(top: BorrowedFd<'_>) -> Result<(), WipeError> {
    let mut first_fault = None;
    // Names that stay, whatever is tried, so that the walk ends.
    let mut stuck: std::collections::HashSet<(usize, Vec<u8>)> = std::collections::HashSet::new();
    let mut stack: Vec<(OwnedFd, Vec<u8>)> = vec![(top.try_clone_to_owned().map_err(|e| fault(b"", e))?, Vec::new())];
    while let Some((dir, _)) = stack.last() {
        let depth = stack.len();
        match clear_files(dir.as_fd(), top, depth, &mut stuck, &mut first_fault) {
            Some((child, name)) => stack.push((child, name)),
            None => {
                let Some((_, name)) = stack.pop() else { break };
                let Some((above, _)) = stack.last() else { break };
                if let Err(error) = remove_dir(above.as_fd(), &name) {
                    stuck.insert((stack.len(), name.clone()));
                    first_fault.get_or_insert(fault(&name, error));
                }
                // Names of a directory that is left are names of another one next time.
                stuck.retain(|(level, _)| *level <= stack.len());
            }
        }
    }
    first_fault.map_or(Ok(()), Err)
}

/// Takes away what is in a directory, until a subdirectory must be gone into: that one is given back, open.
fn clear_files(
    dir: BorrowedFd<'_>,
    top: BorrowedFd<'_>,
    depth: usize,
    stuck: &mut std::collections::HashSet<(usize, Vec<u8>)>,
    first_fault: &mut Option<WipeError>,
) -> Option<(OwnedFd, Vec<u8>)> {
    loop {
        // More than the stuck ones, so that there is always something new to try.
        let some = match overlay::list_some(dir, BATCH + stuck.len()) {
            Ok(some) => some,
            Err(error) => {
                first_fault.get_or_insert(fault(b"", error));
                return None;
            }
        };
        let mut tried = false;
        for entry in some {
            if stuck.contains(&(depth, entry.name.clone())) {
                continue;
            }
            tried = true;
            if entry.is_dir != Some(true)
                && remove_file(dir, &entry.name, entry.is_dir.is_some(), first_fault, || {
                    stuck.insert((depth, entry.name.clone()));
                })
            {
                continue;
            }
            match open(dir, &entry.name) {
                Ok(child) if depth < LEVELS => return Some((child, entry.name)),
                Ok(_) => {
                    if let Err(error) = move_up(dir, &entry.name, top) {
                        stuck.insert((depth, entry.name.clone()));
                        first_fault.get_or_insert(fault(&entry.name, error));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    stuck.insert((depth, entry.name.clone()));
                    first_fault.get_or_insert(fault(&entry.name, error));
                }
            }
        }
        if !tried {
            return None;
        }
    }
}

/// Takes away what is no directory. `false`: it is one.
fn remove_file(
    dir: BorrowedFd<'_>,
    name: &[u8],
    surely_no_dir: bool,
    first_fault: &mut Option<WipeError>,
    mut stays: impl FnMut(),
) -> bool {
    let refused = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    let mut result = mutate::unlink(dir, name);
    if result.as_ref().is_err_and(refused) {
        // `chattr +i`, on the file or on the folder.
        let _ = overlay::clear_protection(dir, name);
        let _ = overlay::clear_protection(dir, b"");
        result = mutate::unlink(dir, name);
    }
    match result {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) if error.kind() == io::ErrorKind::IsADirectory && !surely_no_dir => false,
        Err(error) => {
            stays();
            first_fault.get_or_insert(fault(name, error));
            true
        }
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
    if stat.mode & 0o700 != 0o700 {
        if overlay::set_mode(held.as_fd(), 0o700).is_err() {
            let _ = overlay::clear_protection(parent, name);
            overlay::set_mode(held.as_fd(), 0o700)?;
        }
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
