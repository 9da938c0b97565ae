//! Going through a tree by descriptors: names in order, a folder before what is in it, symlinks seen and not followed,
//! other file systems not entered.

use std::os::fd::{AsFd, OwnedFd};

use raincoat_os::{Found, Stat, beneath, state};
use raincoat_types::{Failure, FailureKind, FileKind, RelPath};

use crate::failure::at_path;

/// A walk under way. It holds one open folder a level.
pub(crate) struct Walker {
    stack: Vec<Level>,
    depth: u32,
    unseen: Option<Unseen>,
}

/// Why a folder was told, and not what is in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unseen {
    /// It lies as deep as the walk goes.
    Deep,
    /// It may not be read.
    Denied,
}

impl Unseen {
    /// For who must see all of a tree.
    pub(crate) fn failure(self, path: &RelPath) -> Failure {
        let path = path.display();
        match self {
            Unseen::Deep => Failure::new(FailureKind::Limit, format!("`{path}` lies too deep; do it in parts")),
            Unseen::Denied => Failure::new(
                FailureKind::Denied,
                format!("the system does not let you read the folder `{path}`; see its owner and mode"),
            ),
        }
    }
}

struct Level {
    fd: OwnedFd,
    path: RelPath,
    names: std::vec::IntoIter<Vec<u8>>,
}

impl Walker {
    /// Starts below a folder. `depth` levels down; 1 is its own entries.
    pub(crate) fn new(found: &Found, depth: u32) -> Result<Walker, Failure> {
        let fail = |e| at_path(e, &found.path);
        let fd = beneath::open_dir_for_reading(found.folder(), &found.name).map_err(fail)?;
        let names = beneath::names_in(fd.as_fd()).map_err(fail)?.into_iter();
        Ok(Walker { stack: vec![Level { fd, path: found.path.clone(), names }], depth, unseen: None })
    }

    /// The next file. What went away under the walk is passed over.
    pub(crate) fn next(&mut self) -> Result<Option<(RelPath, Stat)>, Failure> {
        self.unseen = None;
        loop {
            let deep = self.stack.len();
            let Some(level) = self.stack.last_mut() else { return Ok(None) };
            let Some(name) = level.names.next() else {
                self.stack.pop();
                continue;
            };
            let path = match level.path.join(&name) {
                Ok(path) => path,
                Err(e) => {
                    return Err(Failure::new(FailureKind::Limit, format!("below `{}`: {e}", level.path.display())));
                }
            };
            let stat = match state::stat_at(level.fd.as_fd(), &name) {
                Ok(Some(stat)) => stat,
                Ok(None) => continue,
                Err(error) => return Err(at_path(error, &path)),
            };
            if stat.kind == FileKind::Dir && (deep as u64) >= u64::from(self.depth) {
                self.unseen = Some(Unseen::Deep);
            } else if stat.kind == FileKind::Dir && !stat.mount_root {
                match beneath::open_dir_for_reading(level.fd.as_fd(), &name) {
                    Ok(fd) => {
                        let names = beneath::names_in(fd.as_fd()).map_err(|e| at_path(e, &path))?.into_iter();
                        self.stack.push(Level { fd, path: path.clone(), names });
                    }
                    Err(error) if went_away(&error) => continue,
                    // A folder that may not be read is listed; what is in it stays unknown.
                    Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                        self.unseen = Some(Unseen::Denied);
                    }
                    Err(error) => return Err(at_path(error, &path)),
                }
            }
            return Ok(Some((path, stat)));
        }
    }

    /// Whether the last returned file is a folder that was not gone into, and why.
    pub(crate) fn unseen(&self) -> Option<Unseen> {
        self.unseen
    }

    /// The folder that the last returned file lies in, and its name there.
    pub(crate) fn open_last(&self, path: &RelPath, stat: &Stat) -> std::io::Result<OwnedFd> {
        let level =
            self.stack.iter().rev().find(|level| path.split_last().is_some_and(|(parent, _)| parent == level.path));
        let name = path.split_last().map(|(_, name)| name).unwrap_or_default();
        match level {
            Some(level) => beneath::open_file_for_reading(level.fd.as_fd(), name, stat),
            None => Err(std::io::ErrorKind::NotFound.into()),
        }
    }
}

/// Gone, or something else by now: a file or symlink, or a mount.
fn went_away(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{CrossesDevices, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | CrossesDevices)
}
