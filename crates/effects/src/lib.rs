//! The only code that touches a user's file or the network on an agent's behalf, each effect by a [`Permit`] that it
//! takes by value. In order: intent to the journal and the log, the act, the check, the outcome.
//!
//! [`Effects`] is one run's hands on its files. It belongs on a thread of its own that the kernel has confined to the
//! run's folders ([`thread`]); the store is written by other threads, which a [`Recorder`] asks.

mod act;
mod archive;
mod capture;
mod engine;
mod expand;
mod failure;
mod model;
mod read;
mod recorder;
mod recover;
mod resolve;
mod revert;
pub mod thread;
mod times;
mod walk;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use raincoat_gate::Permit;
use raincoat_os::Stat;
use raincoat_types::{
    ChangeDone, Clock, DirTimes, Failure, FileChange, FileRead, Limits, OpId, OpRecord, OpResult, ReadDone, RunId,
};

pub use model::{Door, Endpoint};
pub use recorder::{Recorder, Remembering};
pub use resolve::{Folder, Names, Resolved};

use engine::Engine;
use resolve::Resolver;

/// A run's hands on its files.
pub struct Effects {
    engine: Engine,
    paging: Option<read::Paging>,
}

/// What a run brings along.
pub struct Start {
    /// Its id.
    pub run: RunId,
    /// Its folders, in the order that `Place::root` counts.
    pub folders: Vec<Folder>,
    /// Who answers what is protected and denied.
    pub names: Box<dyn Names>,
    /// The limits in force.
    pub limits: Limits,
    /// The store.
    pub recorder: Recorder,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Set to stop at the next operation's edge.
    pub stop: Arc<AtomicBool>,
}

/// What came of a change: the operations that were made, and what kept the rest from being made.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    /// Made, checked and undoable.
    pub done: ChangeDone,
    /// Why it did not go further.
    pub failure: Option<Failure>,
}

impl Effects {
    /// A run's hands, before they have touched anything.
    pub fn new(start: Start) -> Effects {
        let resolver = Resolver::new(start.folders, start.names, start.limits);
        let engine = Engine::new(resolver, start.recorder, start.clock, start.run, start.stop);
        Effects { engine, paging: None }
    }

    /// Finds what a look would look at, for the gate.
    ///
    /// # Errors
    /// Where a path leads nowhere or outside.
    pub fn resolve_read(&mut self, action: &FileRead) -> Result<Resolved, Failure> {
        self.engine.flush();
        self.engine.resolver.read(action)
    }

    /// Looks.
    ///
    /// # Errors
    /// Where the file is not there, not of the right kind, or the system refuses.
    pub fn read(&mut self, permit: Permit<FileRead>, resolved: Resolved) -> Result<ReadDone, Failure> {
        read::perform(&mut self.engine.resolver, &mut self.paging, permit, resolved)
    }

    /// Finds what a change would touch, for the gate. Changes that wait and that this one builds on are made first.
    ///
    /// # Errors
    /// Where a path leads nowhere or outside.
    pub fn resolve_change(&mut self, action: &FileChange) -> Result<Resolved, Failure> {
        if let FileChange::Revert { op, .. } = action {
            return self.resolve_revert(*op);
        }
        if let FileChange::RestoreTimes { now, .. } = action {
            return self.resolve_spots(std::slice::from_ref(&now.at));
        }
        let resolved = self.engine.resolver.change(action);
        let builds_on_waiting = match &resolved {
            Ok(resolved) => resolved
                .targets
                .iter()
                .filter_map(|t| Some((self.engine.resolver.index_of(t.spot.grant)?, &t.spot.path)))
                .any(|(n, path)| self.engine.is_touched(n, path)),
            Err(_) => !self.engine.is_idle(),
        };
        if !builds_on_waiting {
            return resolved;
        }
        self.engine.flush();
        self.engine.resolver.change(action)
    }

    fn resolve_revert(&mut self, op: OpId) -> Result<Resolved, Failure> {
        let record = self.engine.recorder.op(op).map_err(|e| failure::broken(&e))?;
        let spots: Vec<_> = record.iter().flat_map(|r| r.intent.change.spots()).cloned().collect();
        self.resolve_spots(&spots)
    }

    /// Facts about places that the journal names. Their folders may be gone; what is there is looked at when it acts.
    fn resolve_spots(&mut self, spots: &[raincoat_types::Spot]) -> Result<Resolved, Failure> {
        let mut targets = Vec::new();
        for spot in spots {
            if let Some(n) = self.engine.resolver.index_of(spot.grant)
                && self.engine.is_touched(n, &spot.path)
            {
                self.engine.flush();
            }
            let kind = self.engine.resolver.find_spot(spot).ok().and_then(|(_, found)| found.stat).map(|s| s.kind);
            targets.push(raincoat_gate::Target {
                spot: spot.clone(),
                role: raincoat_gate::Role::Write,
                kind,
                protection: None,
                denied: None,
                linked_outside: false,
            });
        }
        Ok(Resolved { targets, digest: raincoat_types::Digest::default(), found: Vec::new(), below: Vec::new() })
    }

    /// Makes a change ready, and makes it together with others: at the latest when [`Effects::settle`] is called.
    pub fn change(&mut self, permit: Permit<FileChange>, resolved: Resolved) {
        let ticket = self.engine.open_ticket();
        if let Err(failure) = expand::perform(&mut self.engine, ticket, permit, resolved) {
            self.engine.fail(ticket, failure);
        }
    }

    /// Makes all that waits, and says what came of each change since the last call, in order.
    pub fn settle(&mut self) -> Vec<Changed> {
        let told = self.engine.settle();
        told.into_iter()
            .map(|told| {
                let failure = told.failure.map(|failure| Failure { done: told.ops.clone(), ..failure });
                Changed { done: ChangeDone { ops: told.ops, digest: None }, failure }
            })
            .collect()
    }

    /// Ends the run's work: everything is durable when this returns.
    ///
    /// # Errors
    /// Where the disk or the store failed.
    pub fn finish(&mut self) -> Result<(), Failure> {
        self.engine.finish()
    }

    /// A directory's times now; `None` where it is gone.
    pub fn dir_times(&self, at: &raincoat_types::Spot) -> Option<DirTimes> {
        let (_, found) = self.engine.resolver.find_spot(at).ok()?;
        let stat: Stat = found.stat?;
        Some(DirTimes { at: at.clone(), mtime: stat.mtime, atime: stat.atime })
    }

    /// Looks at an operation that a dead keeper left pending, and finishes it or rolls it back.
    pub fn recover(&self, record: &OpRecord) -> OpResult {
        recover::settle(&self.engine.resolver, &self.engine.recorder, record)
    }

    /// Takes away what a concluded operation of a dead keeper may have left beside its target.
    pub fn tidy_up(&self, record: &OpRecord) {
        recover::clear_temp(&self.engine.resolver, record);
    }
}
