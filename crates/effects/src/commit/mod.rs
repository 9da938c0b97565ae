//! Committing a draft: many changes, all of them or none. Everything is checked and sealed first, then one point is
//! made durable from which the commit is carried through whatever happens, then each path is swapped, then all of it is
//! made durable.
//!
//! The order, and why a crash at any moment leaves all of it or nothing:
//!
//! 1. [`look`]: what stands on both sides is found, and compared with what was reviewed. [`prepare`]: what will go out
//!    of the folder is sealed in the store; what cannot be moved is copied beside. No name of the folder has changed: a
//!    crash leaves nothing to do but to clear up.
//! 2. [`carry`]: the draft's content is made durable, then the intents and the commit point.
//! 3. Each path is swapped in one call that the file system makes atomic. What comes out lies in the draft. A crash
//!    leaves some paths swapped; which ones shows in the inodes that stand on the two sides, and recovery goes on.
//! 4. Folders get their metadata and times; all is made durable; then the outcomes are written.
//!
//! Where a path turns out to have been changed by somebody in between, all that was swapped is swapped back.

mod act;
mod carry;
mod dirs;
mod look;
mod point;
mod prepare;
mod reader;
mod recover;
mod stage;
mod unhide;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::Receiver;

use raincoat_gate::Permit;
use raincoat_os::Root;
use raincoat_types::{Digest, Failure, FailureKind, FileChange, OpId, OpRecord, OpResult, Spot};

use crate::failure::broken;
use crate::{Effects, Resolved};

pub(crate) use look::Looked;
pub use point::{Lying, Point};
pub use reader::Reader;

use prepare::Prepared;

/// One folder's part of a draft, open.
#[derive(Debug)]
pub struct Source {
    /// The directory that holds what the program changed, at the same paths as in the folder (an overlay's upper
    /// layer).
    pub upper: Root,
    /// A private directory of ours on the same file system: prepared contents lie there under numbers, and what the
    /// commit takes out of the folder is put there.
    pub stage: Root,
    /// The program has ended, so that its files can be moved; else they are copied.
    pub ended: bool,
}

/// What a commit works with.
#[derive(Debug)]
pub struct Begin {
    /// The parts of the draft, in the order of the run's folders; `None` where a folder has none, or where it is gone.
    pub sources: Vec<Option<Source>>,
    /// The draft goes on after this commit: what came out of the folder is cleared out of it.
    pub stays: bool,
}

/// What came of a commit.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// Operations made, each undoable. 0 where nothing was committed.
    pub changes: u32,
    /// Paths that somebody changed meanwhile, in words. Nothing was committed then.
    pub conflicts: Vec<(Spot, String)>,
    /// What else kept the commit from being made. Nothing was committed then, or (`Broken`) the next start carries it
    /// through or takes it back.
    pub failure: Option<Failure>,
}

/// What recovery made of an interrupted commit.
#[derive(Clone, Debug)]
pub struct CarriedThrough {
    /// How the operations came out that had no outcome yet.
    pub results: Vec<(OpId, OpResult)>,
    /// All of it was committed; else all of it was taken back.
    pub forward: bool,
    /// What the person should know beside, in words: what somebody changed meanwhile and was left alone.
    pub words: Vec<String>,
}

/// A commit that is being prepared.
pub(crate) struct Commit {
    begin: Begin,
    prepared: Prepared,
    /// The draft's content on its way to the disk, where there is much of it.
    early: Option<Early>,
}

/// What came of writing the draft's content out ahead.
pub(crate) type Early = Receiver<std::io::Result<()>>;

impl Effects {
    /// From now on adoptions are taken in, until [`Effects::apply`].
    pub fn begin_commit(&mut self, begin: Begin) {
        let stages = begin.sources.iter().flatten().map(|source| &source.stage);
        let mut dirs: Vec<(u64, OwnedFd)> = Vec::new();
        for stage in stages {
            let dev = stage.identity().dev;
            if !dirs.iter().any(|(known, _)| *known == dev)
                && let Ok(fd) = stage.as_fd().try_clone_to_owned()
            {
                dirs.push((dev, fd));
            }
        }
        let dirs: Vec<OwnedFd> = dirs.into_iter().map(|(_, fd)| fd).collect();
        let early = (!dirs.is_empty()).then(|| self.engine.recorder.sync_beside(dirs));
        self.commit = Some(Commit { begin, prepared: Prepared::default(), early });
    }

    /// From now on what comes from the draft is read on another thread, until [`Effects::apply`]. What it finds amiss
    /// shows there.
    pub fn read_beside(&mut self, reader: Reader) {
        if let Some(commit) = &mut self.commit {
            commit.prepared.reader = Some(reader);
        }
    }

    /// Finds what an adoption is about, on both sides.
    pub(crate) fn resolve_adoption(&mut self, action: &FileChange) -> Result<Resolved, Failure> {
        let Some(commit) = &mut self.commit else { return Err(not_a_commit()) };
        look::look(&mut self.engine.resolver, &commit.begin, &mut commit.prepared, action)
    }

    /// Seals what a permitted adoption will take out of the folder. Nothing is changed.
    pub(crate) fn adopt(&mut self, permit: Permit<FileChange>, digest: Digest, looked: Looked) {
        let run = self.engine.run;
        let Some(commit) = &mut self.commit else { return };
        let spot = looked.spot.clone();
        let taken = if permit.run() == run && permit.digest() == digest {
            prepare::take_in(&self.engine, &commit.begin, &mut commit.prepared, looked)
        } else {
            Err(Failure::new(FailureKind::Invalid, "the permit is for another action; propose it again"))
        };
        if let Err(failure) = taken {
            commit.prepared.fail(spot, failure);
        }
    }

    /// Something is left out of what was to be all: the draft goes on after this commit.
    pub fn draft_stays(&mut self) {
        if let Some(commit) = &mut self.commit {
            commit.begin.stays = true;
        }
    }

    /// Commits all that was taken in, or nothing.
    pub fn apply(&mut self) -> Applied {
        let Some(Commit { begin, prepared, early }) = self.commit.take() else {
            return Applied { failure: Some(not_a_commit()), ..Applied::default() };
        };
        carry::apply(&self.engine, &begin, prepared, early)
    }

    /// Lets go of all that was taken in: nothing is committed, and what was put beside is cleared away.
    pub fn abandon(&mut self) {
        if let Some(Commit { begin, mut prepared, early }) = self.commit.take() {
            prepared.failure = Some(Failure::new(FailureKind::Stopped, "nothing was committed"));
            carry::apply(&self.engine, &begin, prepared, early);
        }
    }

    /// Carries an interrupted commit through from its point, or takes it back where that cannot be. `ops` are all
    /// operations of the run, in order. Where it had not come to its point, nothing of the folders was changed.
    ///
    /// # Errors
    /// Where the disk fails: the run stays as it is, for the next start.
    pub fn recover_commit(&mut self, point: Option<&Point>, ops: &[OpRecord]) -> Result<CarriedThrough, Failure> {
        let Some(Commit { begin, .. }) = self.commit.take() else { return Err(not_a_commit()) };
        recover::recover(&self.engine, &begin, point, ops).map_err(|stopped| broken(&stopped))
    }
}

/// An adoption outside a commit.
pub(crate) fn not_a_commit() -> Failure {
    Failure::new(FailureKind::Invalid, "only the commit of a draft may do this; see `raincoat commit`")
}
