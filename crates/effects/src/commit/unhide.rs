//! A draft that goes on after a commit: its folders that hide what the folder has under their names (`opaque`) would hide
//! what was just committed too, and so ask for its deletion. They say name by name what is still hidden instead.

use std::collections::{BTreeSet, HashSet};
use std::os::fd::{AsFd, BorrowedFd};

use raincoat_os::{beneath, mutate, state};
use raincoat_types::{FileKind, Meta, RelPath, Xattr};

use super::act::Stop;
use super::carry::Carrying;
use super::dirs::Side;
use crate::failure::at_path;

const OPAQUE: &[u8] = b"user.overlay.opaque";
const WHITEOUT: &[u8] = b"user.overlay.whiteout";

impl Carrying<'_> {
    /// Once everything is in its place. Done twice it changes nothing.
    pub(super) fn unhide(&mut self) -> Result<(), Stop> {
        let mut above: BTreeSet<(usize, RelPath)> = BTreeSet::new();
        let mut came: HashSet<(usize, RelPath)> = HashSet::new();
        for op in &self.ops {
            let Some(sides) = op.sides().filter(|sides| sides.after.is_some()) else { continue };
            let mut path = sides.at.path.clone();
            came.insert((op.n, path.clone()));
            if sides.after.is_some_and(|after| after.meta.kind == FileKind::Dir) {
                above.insert((op.n, path.clone()));
            }
            while let Some((parent, _)) = path.split_last() {
                if !above.insert((op.n, parent.clone())) {
                    break;
                }
                path = parent;
            }
        }
        // A path sorts behind the folder that it lies in, so that marks are handed down.
        for (n, path) in above {
            self.unhide_folder(n, &path, &came).map_err(|e| Stop::Failed(at_path(e, &path)))?;
        }
        Ok(())
    }

    fn unhide_folder(&mut self, n: usize, path: &RelPath, came: &HashSet<(usize, RelPath)>) -> std::io::Result<()> {
        // A program that goes on keeps its folders as they are: what was committed was copied, and lies in them still.
        let Some(source) = self.begin.sources.get(n).and_then(Option::as_ref).filter(|source| source.ended) else {
            return Ok(());
        };
        let Ok(folder) = self.engine.resolver.folder(n) else { return Ok(()) };
        let Ok(upper) = self.doors.open(&source.upper, Side::Upper, n, path, None) else { return Ok(()) };
        if !is_opaque(upper.as_fd())? {
            return Ok(());
        }
        let Ok(lower) = self.doors.open(&folder.root, Side::Folder, n, path, None) else { return Ok(()) };
        let names = beneath::names_in(beneath::open_dir_for_reading(lower.as_fd(), b"")?.as_fd())?;
        for name in names {
            let kind = |fd: BorrowedFd<'_>| Ok::<_, std::io::Error>(state::stat_at(fd, &name)?.map(|stat| stat.kind));
            match (kind(upper.as_fd())?, kind(lower.as_fd())?) {
                (Some(FileKind::Dir), Some(FileKind::Dir)) => {
                    let inner = mutate::hold(upper.as_fd(), &name)?;
                    if !is_opaque(inner.as_fd())? {
                        set_xattr(inner.as_fd(), Xattr { name: OPAQUE.to_vec(), value: b"y".to_vec() })?;
                    }
                }
                (None, Some(_)) => {
                    let brought = path.join(&name).is_ok_and(|path| came.contains(&(n, path)));
                    if !brought {
                        self.white_out(n, upper.as_fd(), &name)?;
                    }
                }
                _ => {}
            }
        }
        mutate::remove_xattrs(upper.as_fd(), [OPAQUE])
    }

    /// Marks a name as gone, in one step: half a mark would be an empty file.
    fn white_out(&self, n: usize, upper: BorrowedFd<'_>, name: &[u8]) -> std::io::Result<()> {
        let Some(hold) = self.begin.sources.get(n).and_then(Option::as_ref).map(|source| source.stage.as_fd()) else {
            return Ok(());
        };
        let mark = format!("{}.gone", self.run()).into_bytes();
        if state::stat_at(hold, &mark)?.is_some() {
            mutate::unlink(hold, &mark)?;
        }
        let fd = mutate::create_file(hold, &mark)?;
        set_xattr(fd.as_fd(), Xattr { name: WHITEOUT.to_vec(), value: b"y".to_vec() })?;
        mutate::rename_new(hold, &mark, upper, name)
    }
}

fn is_opaque(dir: BorrowedFd<'_>) -> std::io::Result<bool> {
    let xattrs = state::xattrs_of(dir)?;
    Ok(xattrs.iter().any(|xattr| xattr.name == OPAQUE && xattr.value == b"y"))
}

fn set_xattr(fd: BorrowedFd<'_>, xattr: Xattr) -> std::io::Result<()> {
    let stat = state::stat_fd(fd)?;
    let mut xattrs = state::xattrs_of(fd)?;
    xattrs.retain(|other| other.name != xattr.name);
    xattrs.push(xattr);
    xattrs.sort();
    let meta: Meta = stat.with_xattrs(xattrs);
    mutate::set_meta_of(fd, &meta)
}
