//! Where a file with several names still has one, or has one again: so that undo gives a name back to the very inode
//! instead of making a second file of it.

use std::collections::{HashMap, HashSet};

use raincoat_types::{Failure, Identity, OpId, RelPath, RunId, Spot};

use crate::failure::broken;
use crate::recorder::Recorder;
use crate::resolve::{Resolver, Whereabouts};

type Inode = (u64, u64);

/// Finds names. What it has learnt of runs and of the folders is kept for the next question.
#[derive(Default)]
pub(crate) struct LinkFinder {
    /// For each run asked about: the operations that ended an inode under one of its names, and where.
    ended: HashMap<RunId, HashMap<Identity, Vec<(OpId, Spot)>>>,
    /// Inodes that are looked for in the folders.
    wanted: HashSet<Inode>,
    /// Where they are, by a walk through the folders.
    found: Option<Whereabouts>,
}

impl LinkFinder {
    /// The operations, of a run that took a name of this inode away and of later ones, that ended it under some name.
    pub(crate) fn ended(
        &mut self,
        recorder: &Recorder,
        run: RunId,
        identity: &Identity,
    ) -> Result<Vec<(OpId, Spot)>, Failure> {
        if !self.ended.contains_key(&run) {
            let ended = recorder.ended_names(run).map_err(|e| broken(&e))?;
            ended.keys().for_each(|identity| self.want(identity));
            self.ended.insert(run, ended);
        }
        Ok(self.ended.get(&run).and_then(|of| of.get(identity)).cloned().unwrap_or_default())
    }

    /// Looks for this inode too.
    pub(crate) fn want(&mut self, identity: &Identity) {
        if self.wanted.insert((identity.dev, identity.ino)) {
            self.found = None;
        }
    }

    /// Whether the next question goes through the folders. Nothing may wait to be changed then.
    pub(crate) fn must_look(&self) -> bool {
        self.found.is_none()
    }

    /// Names that a wanted inode had when the folders were last looked through, and those it got since.
    pub(crate) fn names(&mut self, resolver: &Resolver, identity: &Identity) -> Result<Vec<(usize, RelPath)>, Failure> {
        if self.found.is_none() {
            self.found = Some(resolver.where_are(&self.wanted)?);
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
