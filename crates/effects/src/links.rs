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
    /// For each inode asked about: the operations that ended it under one of its names, and where.
    ended: HashMap<Identity, Vec<(OpId, Spot)>>,
    /// Runs whose linked files are all looked for, so that one walk finds them.
    runs: HashSet<RunId>,
    /// Where a restore has made an inode anew.
    remade: HashMap<Identity, (usize, RelPath)>,
    /// Inodes that are looked for in the folders.
    wanted: HashSet<Inode>,
    /// Where they are, by a walk through the folders.
    found: Option<Whereabouts>,
}

impl LinkFinder {
    /// The operations that ended this inode under some name; none where it never had several.
    /// `run` is one that took a name of it away.
    pub(crate) fn ended(
        &mut self,
        recorder: &Recorder,
        run: RunId,
        identity: &Identity,
    ) -> Result<Vec<(OpId, Spot)>, Failure> {
        if self.runs.insert(run) {
            recorder.linked_inodes(run).map_err(|e| broken(&e))?.iter().for_each(|identity| self.want(identity));
        }
        if let Some(known) = self.ended.get(identity) {
            return Ok(known.clone());
        }
        let ended = recorder.ended_names(identity).map_err(|e| broken(&e))?;
        self.know(*identity, ended.clone());
        Ok(ended)
    }

    /// Takes in what [`LinkFinder::ended`] would ask.
    pub(crate) fn know(&mut self, identity: Identity, ended: Vec<(OpId, Spot)>) {
        if !ended.is_empty() {
            self.want(&identity);
        }
        self.ended.insert(identity, ended);
    }

    /// Where a restore has made an inode anew, of which it was one name.
    pub(crate) fn remade(&self, identity: &Identity) -> Option<(usize, RelPath)> {
        self.remade.get(identity).cloned()
    }

    /// An inode is made anew there.
    pub(crate) fn remake(&mut self, identity: &Identity, n: usize, path: &RelPath) {
        self.remade.insert(*identity, (n, path.clone()));
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
