//! From absolute paths to the operations that were about them. A run names places by grant and relative path; people
//! name them absolutely, and one folder may have been granted several times. The index holds keyed hashes only; what
//! it leads to is read and compared.

use std::cell::Ref;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use raincoat_types::{Identity, OpId, RelPath, Root, RunId, Spot};

use crate::{Journal, JournalError};

/// The folders of a run.
pub(crate) type Roots = Arc<[Root]>;

/// Runs whose folders are kept in memory.
const KEPT: usize = 4096;

/// A batch of names for the index.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    /// By a path's blind name: the operations about it, and whether they moved it.
    pub(crate) places: HashMap<i64, Vec<(OpId, bool)>>,
    /// A folder's blind name, and a run that changed something below it.
    pub(crate) trails: BTreeSet<(i64, RunId)>,
    /// Folders whose names are in it.
    folders: HashSet<(RunId, Vec<u8>)>,
    /// How many of the facts' places are in it.
    done: usize,
}

impl Journal {
    /// The operations that were about exactly this absolute path, by the names of then, oldest run first.
    ///
    /// # Errors
    /// The index's.
    pub fn ops_at(&self, path: &[u8]) -> Result<Vec<OpId>, JournalError> {
        let name = self.keys.path_name(path);
        let mut ops: BTreeSet<OpId> = self.index.borrow().places(name)?.into_iter().collect();
        ops.extend(self.late().places.get(&name).into_iter().flatten().map(|(op, _)| *op));
        Ok(ops.into_iter().collect())
    }

    /// Those of them that moved something away from there, or to there.
    ///
    /// # Errors
    /// The index's.
    pub fn moves_at(&self, path: &[u8]) -> Result<Vec<OpId>, JournalError> {
        if let Some(known) = self.steady.borrow().as_ref().and_then(|steady| steady.get(path)) {
            return Ok(known.clone());
        }
        let name = self.keys.path_name(path);
        let mut ops: BTreeSet<OpId> = self.index.borrow().moves(name)?.into_iter().collect();
        let late = self.late();
        ops.extend(late.places.get(&name).into_iter().flatten().filter(|(_, moves)| *moves).map(|(op, _)| *op));
        let ops: Vec<OpId> = ops.into_iter().collect();
        if let Some(steady) = self.steady.borrow_mut().as_mut() {
            steady.insert(path.to_vec(), ops.clone());
        }
        Ok(ops)
    }

    /// The runs that changed anything below this absolute path, by the names of then, oldest first.
    ///
    /// # Errors
    /// The index's.
    pub fn runs_below(&self, folder: &[u8]) -> Result<Vec<RunId>, JournalError> {
        let name = self.keys.path_name(folder);
        let mut runs: BTreeSet<RunId> = self.index.borrow().trails(name)?.into_iter().collect();
        runs.extend(self.late().trails.iter().filter(|(of, _)| *of == name).map(|(_, run)| *run));
        Ok(runs.into_iter().collect())
    }

    /// The operations that removed or replaced a file which was this inode, done or not, oldest run first.
    ///
    /// # Errors
    /// The index's.
    pub fn ops_on_inode(&self, identity: &Identity) -> Result<Vec<OpId>, JournalError> {
        let name = self.keys.inode_name(identity);
        let mut ops: BTreeSet<OpId> = self.index.borrow().inodes(name)?.into_iter().collect();
        ops.extend(self.facts.inodes.iter().filter(|(of, _)| *of == name).map(|(_, op)| *op));
        Ok(ops.into_iter().collect())
    }

    /// The absolute path of a place, as the run knew its folders. `None` where the run's beginning cannot be read.
    pub fn absolute(&self, run: RunId, spot: &Spot) -> Option<Vec<u8>> {
        let roots = self.roots_of(run)?;
        let root = roots.iter().find(|root| root.grant == spot.grant)?;
        Some(join(&root.path, &spot.path))
    }

    /// A run's folders.
    pub(crate) fn roots_of(&self, run: RunId) -> Option<Roots> {
        if let Some(roots) = self.roots.borrow().get(&run) {
            return Some(Arc::clone(roots));
        }
        let begin = self.run_row(run).ok()??.begin?;
        let roots: Roots = Arc::from(self.header_of(run, begin).ok()?.roots);
        let mut kept = self.roots.borrow_mut();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(run, Arc::clone(&roots));
        Some(roots)
    }

    /// The names of what the index does not have yet, each worked out once.
    pub(crate) fn late(&self) -> Ref<'_, Paths> {
        let done = self.late.borrow().done;
        if done < self.facts.places.len() {
            let mut paths = self.late.borrow_mut();
            for (op, spot, moves) in self.facts.places.iter().skip(done) {
                let Some(path) = self.absolute(op.run, spot) else { continue };
                paths.places.entry(self.keys.path_name(&path)).or_default().push((*op, *moves));
                let mut folder = parent(&path);
                // Neighbours lie in the same folder: its names are worked out once.
                while let Some(at) = folder.filter(|at| paths.folders.insert((op.run, at.to_vec()))) {
                    paths.trails.insert((self.keys.path_name(at), op.run));
                    folder = parent(at);
                }
            }
            paths.done = self.facts.places.len();
        }
        self.late.borrow()
    }
}

/// The path of a place below a folder.
pub(crate) fn join(folder: &[u8], path: &RelPath) -> Vec<u8> {
    let mut out = folder.to_vec();
    for name in path.names() {
        if out.last() != Some(&b'/') {
            out.push(b'/');
        }
        out.extend_from_slice(name);
    }
    out
}

/// The folder that an absolute path lies in; `None` for `/`.
pub fn parent(path: &[u8]) -> Option<&[u8]> {
    let at = path.iter().rposition(|byte| *byte == b'/')?;
    match path.get(..at)? {
        [] if path.len() == 1 => None,
        [] => path.get(..1),
        folder => Some(folder),
    }
}

/// What follows `folder` in a path that is it or lies below it, without a slash in front.
pub fn below<'p>(path: &'p [u8], folder: &[u8]) -> Option<&'p [u8]> {
    let rest = path.strip_prefix(folder)?;
    match rest {
        [] => Some(rest),
        [b'/', rest @ ..] => Some(rest),
        _ if folder == b"/" => Some(rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cut_name_by_name() {
        assert_eq!(parent(b"/a/b"), Some(b"/a".as_slice()));
        assert_eq!(parent(b"/a"), Some(b"/".as_slice()));
        assert_eq!(parent(b"/"), None);
        assert_eq!(below(b"/a/b/c", b"/a"), Some(b"b/c".as_slice()));
        assert_eq!(below(b"/a", b"/a"), Some(b"".as_slice()));
        assert_eq!(below(b"/ab", b"/a"), None);
        assert_eq!(below(b"/ab", b"/"), Some(b"ab".as_slice()));
        assert_eq!(join(b"/", &RelPath::new(b"x/y").unwrap()), b"/x/y");
    }
}
