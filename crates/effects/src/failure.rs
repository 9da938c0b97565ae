//! From the system's errors to words that say what, where, and what to do next.

use std::io;

use raincoat_os::PathFault;
use raincoat_types::{Failure, FailureKind, RelPath};

/// An error of the system at a path.
pub(crate) fn at_path(error: io::Error, path: &RelPath) -> Failure {
    let path = path.display();
    let (kind, words) = match error.kind() {
        io::ErrorKind::NotFound => (FailureKind::NotFound, format!("no such file: `{path}`")),
        io::ErrorKind::AlreadyExists => (FailureKind::Exists, format!("`{path}` exists already")),
        io::ErrorKind::PermissionDenied => {
            (FailureKind::Denied, format!("the system does not let you at `{path}` ({error}); see its owner and mode"))
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            (FailureKind::Denied, format!("`{path}` is on a read-only file system; remount it or use another folder"))
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (FailureKind::Full, format!("no space left for `{path}` ({error}); free some and try again"))
        }
        io::ErrorKind::NotADirectory => {
            (FailureKind::WrongKind, format!("`{path}`: something on the way is not a folder"))
        }
        io::ErrorKind::IsADirectory => (FailureKind::WrongKind, format!("`{path}` is a folder")),
        io::ErrorKind::DirectoryNotEmpty => (FailureKind::Exists, format!("the folder `{path}` is not empty")),
        io::ErrorKind::InvalidFilename => {
            (FailureKind::Limit, format!("the name of `{path}` is too long for its file system"))
        }
        io::ErrorKind::StaleNetworkFileHandle => {
            (FailureKind::Changed, format!("another file has taken the place of `{path}` just now; look at it again"))
        }
        io::ErrorKind::Unsupported => {
            (FailureKind::Denied, format!("the file system of `{path}` cannot do that ({error}); use another folder"))
        }
        io::ErrorKind::CrossesDevices => {
            (FailureKind::Invalid, format!("`{path}` lies on another file system; copy it and delete the original"))
        }
        io::ErrorKind::FileTooLarge => (FailureKind::Limit, format!("`{path}` is too large for its file system")),
        io::ErrorKind::ResourceBusy
        | io::ErrorKind::ExecutableFileBusy
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::TooManyLinks => {
            (FailureKind::Denied, format!("the system does not do that to `{path}` ({error})"))
        }
        _ => (FailureKind::Broken, format!("`{path}`: {error}")),
    };
    Failure::new(kind, words)
}

/// A path that leads nowhere.
pub(crate) fn fault(fault: PathFault) -> Failure {
    let words = fault.to_string();
    let kind = match fault {
        PathFault::Outside | PathFault::Mount(_) => FailureKind::Outside,
        PathFault::NotFound(_) => FailureKind::NotFound,
        PathFault::NotADirectory(_) => FailureKind::WrongKind,
        PathFault::Loop | PathFault::Invalid(_) => FailureKind::Invalid,
        PathFault::Unsteady => FailureKind::Changed,
        PathFault::System { path, error } => return at_path(error, &path),
    };
    Failure::new(kind, words)
}

/// The store failed. Nothing more is changed, for a change without its before-image is no change of ours.
pub(crate) fn broken(words: &str) -> Failure {
    Failure::new(FailureKind::Broken, format!("{words}; nothing more is changed until raincoat is started again"))
}
