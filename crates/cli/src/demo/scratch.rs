//! The demo's scratch home: made for nobody else to look into, and taken away with the read-only folders in it.

#![expect(
    clippy::disallowed_methods,
    reason = "the demo makes and removes a scratch folder of its own; no agent is there"
)]

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use raincoat_runtime::SystemClock;
use raincoat_types::Clock;

use crate::error::{Result, system};

/// A home directory of mode 0700. Dropped, it stays; see [`Scratch::remove`].
pub(super) struct Scratch {
    home: PathBuf,
}

impl Scratch {
    /// Makes it beneath a directory for temporary files.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn make(temp: &Path) -> Result<Scratch> {
        let fail = |why| system(format!("make a scratch home in `{}`", temp.display()), why);
        let temp = raincoat_runtime::absolute(temp).map_err(fail)?;
        for attempt in 0..100 {
            let now = SystemClock.now();
            let home = temp.join(format!("raincoat-demo-{}-{:x}", std::process::id(), now.nanos ^ attempt));
            // Fails where the name is taken, whoever took it: nobody can be there before us.
            match DirBuilder::new().mode(0o700).create(&home) {
                Ok(()) => return Ok(Scratch { home }),
                Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {}
                Err(why) => return Err(fail(why)),
            }
        }
        Err(fail(io::ErrorKind::AlreadyExists.into()))
    }

    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// Leaves it where it is.
    pub(super) fn keep(self) -> PathBuf {
        self.home
    }

    /// Takes it away.
    ///
    /// # Errors
    /// The system's, with where it still is.
    pub(super) fn remove(self) -> Result<()> {
        let fail = |why| system(format!("remove the scratch home `{}`", self.home.display()), why);
        open_up(&self.home).map_err(fail)?;
        fs::remove_dir_all(&self.home).map_err(fail)
    }
}

/// Nothing can be removed from a folder that may not be written in.
fn open_up(folder: &Path) -> io::Result<()> {
    let mode = fs::symlink_metadata(folder)?.permissions().mode();
    if mode & 0o700 != 0o700 {
        fs::set_permissions(folder, Permissions::from_mode(mode | 0o700))?;
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scratch_home_is_private_and_goes_away_whole() {
        let temp = tempfile::tempdir().unwrap();
        let scratch = Scratch::make(temp.path()).unwrap();
        let home = scratch.home().to_path_buf();
        assert_eq!(fs::metadata(&home).unwrap().permissions().mode() & 0o777, 0o700);
        fs::create_dir(home.join("closed")).unwrap();
        fs::write(home.join("closed/file"), "x").unwrap();
        fs::set_permissions(home.join("closed"), Permissions::from_mode(0o500)).unwrap();
        scratch.remove().unwrap();
        assert!(!home.exists());
    }
}
