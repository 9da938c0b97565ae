//! Folders on both sides, held open while they are worked in: by path beneath their root, following nothing, and only
//! if they are the very directories that were looked at.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use raincoat_os::{Root, mutate, state};
use raincoat_types::{Failure, FailureKind, FileKind, Identity, RelPath};

use crate::failure::{at_path, fault};

/// Folders that are held open at a time.
const OPEN: usize = 96;

/// Which tree a folder is in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Side {
    /// The person's.
    Folder,
    /// The draft's.
    Upper,
}

/// Folders held open.
#[derive(Default)]
pub(super) struct Doors {
    open: HashMap<(Side, usize, RelPath), Arc<OwnedFd>>,
    /// The last one of each side: most names come folder by folder, with both sides in turn.
    last: [Option<(usize, RelPath, Arc<OwnedFd>)>; 2],
}

/// Something for each of many paths, asked for without a copy of the path.
pub(super) struct Paths<V>(Vec<HashMap<RelPath, V>>);

impl<V> Default for Paths<V> {
    fn default() -> Self {
        Paths(Vec::new())
    }
}

impl<V> Paths<V> {
    pub(super) fn get(&self, n: usize, path: &RelPath) -> Option<&V> {
        self.0.get(n)?.get(path)
    }

    pub(super) fn get_mut(&mut self, n: usize, path: &RelPath) -> Option<&mut V> {
        self.0.get_mut(n)?.get_mut(path)
    }

    pub(super) fn insert(&mut self, n: usize, path: RelPath, value: V) {
        while self.0.len() <= n {
            self.0.push(HashMap::new());
        }
        if let Some(paths) = self.0.get_mut(n) {
            paths.insert(path, value);
        }
    }

    /// Each with its folder's number and its path, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &RelPath, &V)> {
        self.0.iter().enumerate().flat_map(|(n, paths)| paths.iter().map(move |(path, value)| (n, path, value)))
    }
}

impl Side {
    fn place(self) -> usize {
        match self {
            Side::Folder => 0,
            Side::Upper => 1,
        }
    }
}

/// A folder as it was found on the way to it.
pub(super) struct Way {
    pub(super) fd: Arc<OwnedFd>,
    pub(super) stat: raincoat_os::Stat,
    pub(super) way: Vec<Identity>,
}

impl Doors {
    /// The folder, if it is open already.
    pub(super) fn known(&mut self, side: Side, n: usize, path: &RelPath) -> Option<Arc<OwnedFd>> {
        if let Some(Some((m, p, fd))) = self.last.get(side.place())
            && *m == n
            && p == path
        {
            return Some(Arc::clone(fd));
        }
        let fd = Arc::clone(self.open.get(&(side, n, path.clone()))?);
        self.remember(side, n, path, &fd);
        Some(fd)
    }

    fn remember(&mut self, side: Side, n: usize, path: &RelPath, fd: &Arc<OwnedFd>) {
        if let Some(last) = self.last.get_mut(side.place()) {
            *last = Some((n, path.clone(), Arc::clone(fd)));
        }
    }

    /// Finds a folder anew, and keeps it open.
    pub(super) fn find(&mut self, root: &Root, side: Side, n: usize, path: &RelPath) -> Result<Way, Failure> {
        let found = root.find_exact(path).map_err(fault)?;
        let fail = |e| at_path(e, path);
        let fd = mutate::hold(found.folder(), &found.name).map_err(fail)?;
        let stat = state::stat_fd(fd.as_fd()).map_err(fail)?;
        match &found.stat {
            None => return Err(Failure::new(FailureKind::NotFound, format!("no such folder: `{}`", path.display()))),
            Some(before) if before.identity != stat.identity => return Err(replaced(path)),
            Some(_) if stat.kind != FileKind::Dir => {
                return Err(Failure::new(FailureKind::WrongKind, format!("`{}` is not a folder", path.display())));
            }
            Some(_) => {}
        }
        if self.open.len() >= OPEN {
            self.open.clear();
        }
        let fd = Arc::new(fd);
        self.open.insert((side, n, path.clone()), Arc::clone(&fd));
        self.remember(side, n, path, &fd);
        Ok(Way { fd, stat, way: found.way })
    }

    /// A folder, open; `identity`: which directory it must be.
    pub(super) fn open(
        &mut self,
        root: &Root,
        side: Side,
        n: usize,
        path: &RelPath,
        identity: Option<&Identity>,
    ) -> Result<Arc<OwnedFd>, Failure> {
        if let Some(fd) = self.known(side, n, path) {
            return Ok(fd);
        }
        let way = self.find(root, side, n, path)?;
        if identity.is_some_and(|identity| *identity != way.stat.identity) {
            self.forget();
            return Err(replaced(path));
        }
        Ok(way.fd)
    }

    /// Closes all of them: what is opened from now on is looked at anew.
    pub(super) fn forget(&mut self) {
        self.open.clear();
        self.last = [None, None];
    }
}

fn replaced(path: &RelPath) -> Failure {
    let words = format!("another folder has taken the place of `{}` just now; look at it again", path.display());
    Failure::new(FailureKind::Changed, words)
}
