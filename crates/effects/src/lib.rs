//! The only code that touches a user's file or the network on an agent's behalf, each effect by a [`Permit`] that it
//! takes by value. In order: intent to the journal and the log, the act, the check, the outcome.
//!
//! [`Effects`] is one run's hands on its files. It belongs on a thread of its own that the kernel has confined to the
//! run's folders ([`thread`]); the store is written by other threads, which a [`Recorder`] asks.

mod acl;
mod act;
mod ahead;
mod archive;
mod capture;
mod coming;
pub mod commit;
mod engine;
mod expand;
mod failure;
mod half;
mod links;
mod model;
mod read;
mod recorder;
mod recover;
mod resolve;
pub mod restore;
mod revert;
mod room;
pub mod thread;
mod times;
pub mod undo;
mod walk;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use raincoat_gate::Permit;
use raincoat_os::Stat;
use raincoat_types::{
    Bring, ChangeDone, Clock, DirTimes, Failure, FileChange, FileRead, Limits, OpId, OpRecord, OpResult, ReadDone,
    RunId,
};

pub use model::{Door, Endpoint, is_on_this_machine};
pub use raincoat_net::Cancel;
pub use recorder::{Recorder, Remembering, outcome};
pub use resolve::{Folder, Names, Resolved};
pub use room::{RoomRule, Waives};

use engine::Engine;
use resolve::Resolver;

/// A file's bytes (at most `max`), beneath a folder that an earlier run worked in, for the person to see what it did.
///
/// # Errors
/// In words, where the folder is another one now, or the file cannot be read.
pub fn read_beneath(root: &raincoat_types::Root, path: &raincoat_types::RelPath, max: u64) -> Result<Vec<u8>, String> {
    use std::os::unix::ffi::OsStrExt;
    let folder = raincoat_os::Root::open(std::path::Path::new(std::ffi::OsStr::from_bytes(&root.path)))
        .map_err(|e| e.to_string())?;
    if folder.identity() != root.identity {
        return Err("another folder has taken its place".to_owned());
    }
    let found = folder.find_exact(path).map_err(|e| e.to_string())?;
    capture::first_bytes(&found, max).ok_or_else(|| "it cannot be read".to_owned())
}

/// What stands under a path, for the person to see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Looked {
    /// Kind.
    pub kind: raincoat_types::FileKind,
    /// Bytes of content.
    pub size: u64,
    /// Last change of content.
    pub mtime: raincoat_types::Timestamp,
    /// Names that it has.
    pub nlink: u64,
    /// The content's digest, of a file that could be read.
    pub digest: Option<raincoat_types::Digest>,
}

/// Looks at what stands under an absolute path, which a person named; a symlink is not followed. `None` where nothing
/// does, or its folder cannot be opened.
pub fn look(path: &std::path::Path) -> Option<Looked> {
    use std::os::fd::AsFd;
    use std::os::unix::ffi::OsStrExt;
    let folder = raincoat_os::Root::open(path.parent().unwrap_or(std::path::Path::new("/"))).ok()?;
    let name = path.file_name().map_or(&b""[..], OsStrExt::as_bytes);
    let found = folder.find_exact(&raincoat_types::RelPath::new(name).ok()?).ok()?;
    let stat = found.stat.as_ref()?;
    let file = || raincoat_os::beneath::open_file_for_reading(found.folder(), &found.name, stat).ok();
    let digest = match stat.kind {
        raincoat_types::FileKind::File => file().and_then(|fd| capture::digest_of(fd.as_fd()).ok()),
        _ => None,
    };
    Some(Looked { kind: stat.kind, size: stat.size, mtime: stat.mtime, nlink: stat.nlink, digest })
}

/// A run's hands on its files.
pub struct Effects {
    engine: Engine,
    paging: Option<read::Paging>,
    commit: Option<commit::Commit>,
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
        Effects { engine, paging: None, commit: None }
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
        if permit.run() != self.engine.run || permit.digest() != resolved.digest {
            let words = "the permit is for another action; propose it again";
            return Err(Failure::new(raincoat_types::FailureKind::Invalid, words));
        }
        read::perform(&mut self.engine.resolver, &mut self.paging, permit, resolved)
    }

    /// Finds what a change would touch, for the gate. Changes that wait and that this one builds on are made first.
    ///
    /// # Errors
    /// Where a path leads nowhere or outside.
    pub fn resolve_change(&mut self, action: &FileChange) -> Result<Resolved, Failure> {
        if let FileChange::Revert { op, at, .. } = action {
            return self.resolve_revert(action, *op, at);
        }
        if let FileChange::Restore { at, bring } = action {
            let other = match bring {
                Bring::From(spot) | Bring::Copy(spot) => Some(spot.clone()),
                _ => None,
            };
            let spots: Vec<_> = std::iter::once(at.clone()).chain(other).collect();
            return self.resolve_spots(action, &spots);
        }
        if let FileChange::Adopt { .. } = action {
            return self.resolve_adoption(action);
        }
        if let FileChange::RestoreTimes { now, .. } = action {
            return self.resolve_spots(action, std::slice::from_ref(&now.at));
        }
        let resolved = self.engine.resolver.change(action);
        let stands_alone = resolved.as_ref().is_ok_and(|resolved| !self.builds_on_waiting(resolved));
        if self.engine.is_idle() || stands_alone {
            return resolved;
        }
        self.engine.flush();
        self.engine.resolver.change(action)
    }

    /// Whether what was found will not hold once the changes that wait are made.
    fn builds_on_waiting(&self, resolved: &Resolved) -> bool {
        let named = resolved.found.iter().any(|(n, found)| {
            let is_dir = found.stat.as_ref().is_some_and(|stat| stat.kind == raincoat_types::FileKind::Dir);
            self.engine.is_touched(*n, &found.path)
                || self.engine.is_touched_link(found.stat.as_ref())
                || (is_dir && self.engine.is_touched_below(*n, &found.path))
        });
        named || resolved.below.iter().any(|below| self.engine.is_touched_link(Some(&below.stat)))
    }

    fn resolve_revert(
        &mut self,
        action: &FileChange,
        op: OpId,
        now: &[raincoat_types::Spot],
    ) -> Result<Resolved, Failure> {
        if !now.is_empty() {
            return self.resolve_spots(action, now);
        }
        let record = self.engine.record(op)?;
        let spots: Vec<_> = record.iter().flat_map(|r| r.intent.change.spots()).cloned().collect();
        self.resolve_spots(action, &spots)
    }

    /// Facts about places that the journal names. Their folders may be gone; what is there is looked at when it acts.
    fn resolve_spots(&mut self, action: &FileChange, spots: &[raincoat_types::Spot]) -> Result<Resolved, Failure> {
        let mut targets = Vec::new();
        let waits = |engine: &Engine, spot: &raincoat_types::Spot| {
            engine.resolver.index_of(spot.grant).is_some_and(|n| engine.is_touched(n, &spot.path))
        };
        if spots.iter().any(|spot| waits(&self.engine, spot)) {
            self.engine.flush();
        }
        let mut all = Vec::new();
        for spot in spots {
            let found = self.engine.resolver.find_spot(spot).ok();
            let kind = found.as_ref().and_then(|(_, found)| found.stat.as_ref()).map(|stat| stat.kind);
            all.extend(found);
            targets.push(raincoat_gate::Target {
                spot: spot.clone(),
                role: raincoat_gate::Role::Write,
                kind,
                protection: None,
                denied: None,
                linked_outside: false,
                private: false,
                ruled: raincoat_gate::Ruled::Silent,
            });
        }
        let digest = resolve::digest(action, &targets);
        Ok(Resolved { targets, digest, found: all, below: Vec::new(), adopting: None })
    }

    /// Makes a change ready, and makes it together with others: at the latest when [`Effects::settle`] is called.
    pub fn change(&mut self, permit: Permit<FileChange>, mut resolved: Resolved) {
        if let Some(looked) = resolved.adopting.take() {
            return self.adopt(permit, resolved.digest, *looked);
        }
        let ticket = self.engine.open_ticket();
        if let Err(failure) = expand::perform(&mut self.engine, ticket, permit, resolved) {
            self.engine.fail(ticket, failure);
        }
        self.engine.looked.clear();
        self.engine.recorded = None;
    }

    /// Makes all that waits, and says what came of each change since the last call, in order.
    pub fn settle(&mut self) -> Vec<Changed> {
        let told = self.engine.settle();
        told.into_iter()
            .map(|told| {
                let failure = told.failure.map(|failure| Failure { done: told.ops.clone(), ..failure });
                Changed { done: ChangeDone { ops: told.ops }, failure }
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

    /// The first bytes of a file, for the person to see what a plan would change. Nothing of it goes to an agent.
    pub fn peek(&self, at: &raincoat_types::Place, max: u64) -> Option<Vec<u8>> {
        let (_, found) = self.engine.resolver.find(at, true).ok()?;
        capture::first_bytes(&found, max)
    }

    /// Looks at all operations that a dead keeper left pending, in order, and finishes each or rolls it back. What it
    /// says of each goes into the journal.
    pub fn recover_all(&self, pending: &[OpRecord]) -> Vec<(OpId, OpResult)> {
        recover::settle_all(&self.engine.resolver, &self.engine.recorder, pending)
    }

    /// Takes away what a concluded operation of a dead keeper may have left beside its target.
    pub fn tidy_up(&self, record: &OpRecord) {
        recover::clear_temp(&self.engine.resolver, &self.engine.recorder, record);
    }
}
