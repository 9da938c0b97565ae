//! Where a file with several names still has one, or has one again: so that undo gives a name back to the very inode
//! instead of making a second file of it.

use std::collections::HashMap;

use raincoat_types::{Failure, Identity, OpId, RelPath, RunId, Spot};

use crate::failure::broken;
use crate::recorder::Recorder;
use crate::resolve::Resolver;

type Inode = (u64, u64);

/// Finds names. What it has learnt of a run and of the folders is kept for the next question.
#[derive(Default)]
pub(crate) struct LinkFinder {
    /// For each run asked about: the operations that took names away, and where, by inode.
    removed: HashMap<RunId, HashMap<Identity, Vec<(OpId, Spot)>>>,
    /// Where inodes that lost a name have others, by a walk through the folders.
    found: Option<HashMap<Inode, Vec<(usize, RelPath)>>>,
}

impl LinkFinder {
    /// The operations of a run that took a name of this inode away, and where.
    pub(crate) fn removed(
        &mut self,
        recorder: &Recorder,
        run: RunId,
        identity: &Identity,
    ) -> Result<Vec<(OpId, Spot)>, Failure> {
        if !self.removed.contains_key(&run) {
            let removed = recorder.removed_names(run).map_err(|e| broken(&e))?;
            self.removed.insert(run, removed);
            self.found = None;
        }
        Ok(self.removed.get(&run).and_then(|of| of.get(identity)).cloned().unwrap_or_default())
    }

    /// Whether the next question goes through the folders. Nothing may wait to be changed then.
    pub(crate) fn must_look(&self) -> bool {
        self.found.is_none()
    }

    /// Names that an inode, one that a run asked about took a name of, had when the folders were last looked through.
    pub(crate) fn names(&mut self, resolver: &Resolver, identity: &Identity) -> Result<Vec<(usize, RelPath)>, Failure> {
        if self.found.is_none() {
            let wanted = self.removed.values().flat_map(HashMap::keys).map(|id| (id.dev, id.ino)).collect();
            self.found = Some(resolver.where_are(&wanted)?);
        }
        let names = self.found.as_ref().and_then(|found| found.get(&(identity.dev, identity.ino)));
        Ok(names.cloned().unwrap_or_default())
    }

    /// A file got another name.
    pub(crate) fn moved(&mut self, identity: &Identity, to: Option<(usize, &RelPath)>) {
        if let Some(names) = self.found.as_mut().and_then(|found| found.get_mut(&(identity.dev, identity.ino)))
            && let Some((n, path)) = to
        {
            names.push((n, path.clone()));
        }
    }

    /// A whole tree moved: look again next time.
    pub(crate) fn forget(&mut self) {
        self.found = None;
    }
}
