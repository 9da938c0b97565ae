//! Turning operations round. Pure but for two readers at the end.

use std::collections::{BTreeMap, HashMap};

use raincoat_types::{
    Change, Content, DirTimes, FileKind, Identity, Image, Meta, OpId, OpRecord, OpResult, RunId, Spot, Timestamp,
};

use crate::{Journal, JournalError, Order};

/// What to take back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selection {
    /// All that a run did.
    Run(RunId),
    /// These operations.
    Ops(Vec<OpId>),
}

/// What an undo will do, in small: each step is read when its turn comes ([`Journal::undo_step`]).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UndoPlan {
    /// The operations to take back, in the order to do it.
    pub ops: Vec<OpId>,
    /// Directory times to give back when all is done, deepest first.
    pub dirs: Vec<DirRestore>,
    /// Operations that were left out and should be told of.
    pub skipped: Vec<(OpId, Skipped)>,
}

/// Why an operation is not taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Skipped {
    /// This operation took it back already.
    Undone(OpId),
    /// Nobody knows yet how it came out.
    Pending,
    /// Its record was damaged, and a repair could not save it.
    Lost,
}

/// One step of an undo.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UndoStep {
    /// The operation that is taken back.
    pub op: OpId,
    /// The change that does it.
    pub change: Change,
    /// Set where what comes back was one of several names of one inode: where that inode still has a name, or another
    /// step of this undo gave it one, the change should be a [`Change::Link`] to it.
    pub link: Option<LinkHint>,
}

/// Which inode a file was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkHint {
    /// The inode that the file was before it went.
    pub identity: Identity,
    /// How many names it had.
    pub nlink: u64,
}

/// Times to give back to a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirRestore {
    /// Where the directory is before the undo begins.
    pub now: Spot,
    /// Where it is when all steps are done; a step may move it.
    pub at: Spot,
    /// What its times are before the undo begins, if nobody touched it since: else they stay as they come. `None`
    /// where the undo itself makes the directory anew.
    pub expect: Option<Times>,
    /// The times to give back.
    pub times: Times,
}

/// A file's times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Times {
    /// Last change of content.
    pub mtime: Timestamp,
    /// Last read.
    pub atime: Timestamp,
}

/// The change that takes an operation back. `None` where nothing was done, or nobody knows.
pub fn inverse(op: &OpRecord) -> Option<Change> {
    let Some(OpResult::Done { after: real, .. }) = &op.result else { return None };
    let or = |wished: &Image| real.clone().unwrap_or_else(|| wished.clone());
    Some(match op.intent.change.clone() {
        Change::Create { at, after } => Change::Remove { before: or(&after), at },
        Change::Replace { at, before, after, in_place } => {
            Change::Replace { before: or(&after), at, after: before, in_place }
        }
        Change::Remove { at, before } => Change::Create { at, after: before },
        Change::Move { from, to, image } => Change::Move { image: or(&image), from: to, to: from },
        Change::Link { at, image, .. } => Change::Remove { before: or(&image), at },
        Change::SetMeta { at, before, after } => {
            let after = real.as_ref().map_or(after, |image| image.meta.clone());
            Change::SetMeta { at, before: after, after: before }
        }
    })
}

/// Makes a plan of operations that are handed to it newest first.
#[derive(Debug, Default)]
pub struct Planner {
    plan: UndoPlan,
    /// Directories by where they are at this point of the undo.
    dirs: BTreeMap<Spot, Dir>,
    /// Directories that were moved by the operations taken back so far, from and to, latest first.
    moves: Vec<(Spot, Spot)>,
}

#[derive(Debug)]
struct Dir {
    now: Spot,
    expect: Option<Times>,
    /// The operation that left it with the times that are expected.
    seen: OpId,
    times: Option<Times>,
    /// Something that is not taken back was done in it between two runs that are: its times of before are not to be had.
    gap: bool,
    /// The run of the operation in it that was planned last, whoever took back what came later.
    last: Option<RunId>,
}

impl Planner {
    /// An empty plan.
    pub fn new() -> Planner {
        Planner::default()
    }

    /// Takes the next operation back, in plan. `undone`: what took it back already, so that only its folders' times are
    /// left to be given back: an undo that was interrupted did not come to that.
    pub fn take(&mut self, op: &OpRecord, undone: Option<&OpRecord>) {
        let id = op.intent.op;
        let after = match &op.result {
            None => return self.plan.skipped.push((id, Skipped::Pending)),
            Some(OpResult::NotDone(_) | OpResult::RolledBack(_)) => return,
            Some(OpResult::Done { dirs, .. }) => dirs,
        };
        if let Some(by) = undone {
            self.plan.skipped.push((id, Skipped::Undone(by.intent.op)));
            self.was_turned_round(&op.intent.change, by);
        } else {
            self.plan.ops.push(id);
            // Backwards: first how the directories stood after the operation, by the names of then ...
            for dir in after {
                if let Some(met) = self.meet(&dir.at, times(dir), id)
                    && met.last.is_some_and(|run| run != id.run)
                {
                    met.gap |= met.times.is_some_and(|next| next.mtime != dir.mtime);
                }
            }
            // ... then what taking it back does to them, then how they stood before.
            self.turn_round(&op.intent.change, op.result.as_ref(), id);
        }
        for before in &op.intent.dirs {
            if let Some(dir) = self.dirs.get_mut(&before.at) {
                dir.times = Some(times(before));
                dir.last = Some(id.run);
            }
        }
    }

    /// A directory's latest times, where it was not met before.
    fn meet(&mut self, at: &Spot, expect: Times, seen: OpId) -> Option<&mut Dir> {
        if !self.dirs.contains_key(at) {
            // By later moves, which are taken back before this, it is elsewhere now.
            let follow = |spot: Spot, (from, to): &(Spot, Spot)| moved(&spot, from, to);
            let now = self.moves.iter().rev().try_fold(at.clone(), follow)?;
            self.dirs.insert(at.clone(), Dir { now, expect: Some(expect), seen, times: None, gap: false, last: None });
        }
        self.dirs.get_mut(at)
    }

    /// The operation was taken back by `by`: its directories have their old names, and the times that `by` left.
    fn was_turned_round(&mut self, change: &Change, by: &OpRecord) {
        let id = by.intent.op;
        let (made, dirs) = match &by.result {
            Some(OpResult::Done { after, dirs }) => (after.as_ref(), dirs.as_slice()),
            _ => (None, &[][..]),
        };
        let of = |meta: &Meta| Times { mtime: meta.mtime, atime: meta.atime };
        match change {
            Change::Create { at, after } if after.content == Content::Dir => {
                for gone in self.below(at) {
                    self.dirs.remove(&gone);
                }
            }
            Change::Move { from, to, image } if image.content == Content::Dir => {
                for old in self.below(to) {
                    if let Some(dir) = self.dirs.remove(&old)
                        && let Some(new) = moved(&old, to, from)
                        && let Some(now) = moved(&dir.now, to, from)
                    {
                        self.dirs.insert(new, Dir { now, ..dir });
                    }
                }
            }
            Change::Remove { at, before } if before.content == Content::Dir => {
                if let Some(image) = made {
                    self.meet_again(at, of(&image.meta), id);
                }
                if let Some(dir) = self.dirs.get_mut(at) {
                    dir.times = Some(of(&before.meta));
                }
            }
            Change::SetMeta { at, before, .. } if before.kind == FileKind::Dir => {
                if let Some(image) = made {
                    self.meet_again(at, of(&image.meta), id);
                }
                if let Some(dir) = self.dirs.get_mut(at) {
                    dir.times = Some(of(before));
                }
            }
            _ => {}
        }
        for dir in dirs {
            self.meet_again(&dir.at, times(dir), id);
        }
    }

    /// A directory's times as an earlier undo left them: the latest word on it counts.
    fn meet_again(&mut self, at: &Spot, expect: Times, seen: OpId) {
        if let Some(dir) = self.meet(at, expect, seen)
            && dir.seen < seen
        {
            (dir.expect, dir.seen) = (Some(expect), seen);
        }
    }

    fn turn_round(&mut self, change: &Change, result: Option<&OpResult>, id: OpId) {
        match change {
            Change::Create { at, after } if after.content == Content::Dir => {
                for gone in self.below(at) {
                    self.dirs.remove(&gone);
                }
            }
            Change::Remove { at, before } if before.content == Content::Dir => {
                let times = Times { mtime: before.meta.mtime, atime: before.meta.atime };
                self.dirs.insert(
                    at.clone(),
                    Dir { now: at.clone(), expect: None, seen: id, times: Some(times), gap: false, last: None },
                );
            }
            Change::Move { from, to, image } if image.content == Content::Dir => {
                for old in self.below(to) {
                    if let Some(dir) = self.dirs.remove(&old)
                        && let Some(new) = moved(&old, to, from)
                    {
                        self.dirs.insert(new, dir);
                    }
                }
                self.moves.push((from.clone(), to.clone()));
            }
            Change::SetMeta { at, before, after } if before.kind == FileKind::Dir => {
                let meta = match result {
                    Some(OpResult::Done { after: Some(image), .. }) => &image.meta,
                    _ => after,
                };
                let expect = Times { mtime: meta.mtime, atime: meta.atime };
                if let Some(dir) = self.meet(at, expect, id) {
                    dir.times = Some(Times { mtime: before.mtime, atime: before.atime });
                }
            }
            _ => {}
        }
    }

    /// Known directories at `spot` and below.
    fn below(&self, spot: &Spot) -> Vec<Spot> {
        let prefix = spot.path.as_bytes();
        self.dirs
            .range(spot.clone()..)
            .map(|(at, _)| at)
            .take_while(|at| at.grant == spot.grant && at.path.as_bytes().starts_with(prefix))
            .filter(|at| at.path.starts_with(&spot.path))
            .cloned()
            .collect()
    }

    /// The plan.
    pub fn finish(self) -> UndoPlan {
        let mut plan = self.plan;
        for (at, dir) in self.dirs {
            if let Some(times) = dir.times.filter(|_| !dir.gap) {
                plan.dirs.push(DirRestore { now: dir.now, at, expect: dir.expect, times });
            }
        }
        plan.dirs.sort_by_key(|dir| std::cmp::Reverse(dir.at.path.names().count()));
        plan
    }
}

fn times(dir: &DirTimes) -> Times {
    Times { mtime: dir.mtime, atime: dir.atime }
}

/// Where `spot` is when `from` has been moved to `to`. `None` where the path grows too long.
fn moved(spot: &Spot, from: &Spot, to: &Spot) -> Option<Spot> {
    if spot.grant != from.grant || !spot.path.starts_with(&from.path) {
        return Some(spot.clone());
    }
    let depth = from.path.names().count();
    let path = spot.path.names().skip(depth).try_fold(to.path.clone(), |path, name| path.join(name)).ok()?;
    Some(Spot { grant: to.grant, path })
}

/// What is known of undos: for each operation, those that took it back and were done, oldest first.
pub trait History {
    /// Why it cannot be told.
    type Error;

    /// The operations that were meant to take `op` back, and did.
    ///
    /// # Errors
    /// The history's own.
    fn done_undoers(&self, op: OpId) -> Result<Vec<OpId>, Self::Error>;
}

/// The operation by which `op` stands taken back: the latest of those that took it back that was not itself taken
/// back. Goes on down chains of undo and redo of any length.
///
/// # Errors
/// The history's.
pub fn effective_undoer<H: History>(op: OpId, history: &H) -> Result<Option<OpId>, H::Error> {
    // An operation with the undoers of it that have not been looked at yet.
    let mut stack = vec![(op, history.done_undoers(op)?)];
    let mut answer: HashMap<OpId, Option<OpId>> = HashMap::new();
    while let Some((current, rest)) = stack.last_mut() {
        let current = *current;
        let Some(by) = rest.last().copied() else {
            answer.insert(current, None);
            stack.pop();
            continue;
        };
        match answer.get(&by) {
            // `by` stands: so `current` is taken back.
            Some(None) => {
                answer.insert(current, Some(by));
                stack.pop();
            }
            Some(Some(_)) => {
                rest.pop();
            }
            None => {
                let undoers = history.done_undoers(by)?;
                stack.push((by, undoers));
            }
        }
    }
    Ok(answer.get(&op).copied().flatten())
}

impl Journal {
    /// Plans to take back a run, or single operations.
    ///
    /// # Errors
    /// [`JournalError::UnknownRun`], [`JournalError::UnknownOp`], [`JournalError::Corrupt`], or the system's.
    pub fn plan_undo(&self, selection: &Selection) -> Result<UndoPlan, JournalError> {
        let mut planner = Planner::new();
        match selection {
            Selection::Run(run) => {
                let look = self.may_be_undone(*run)?;
                let mut failed = None;
                self.for_each_op(*run, Order::Reverse, |op| {
                    let undone = if look { self.undoer(op.intent.op) } else { Ok(None) };
                    match undone {
                        Ok(undone) => planner.take(&op, undone.as_ref()),
                        Err(error) => failed = Some(error),
                    }
                    if failed.is_some() {
                        std::ops::ControlFlow::Break(())
                    } else {
                        std::ops::ControlFlow::Continue(())
                    }
                })?;
                if let Some(error) = failed {
                    return Err(error);
                }
            }
            Selection::Ops(ops) => {
                let mut ops = ops.clone();
                ops.sort();
                ops.dedup();
                for op in ops.into_iter().rev() {
                    planner.take(&self.op(op)?, self.undoer(op)?.as_ref());
                }
            }
        }
        Ok(planner.finish())
    }

    fn undoer(&self, op: OpId) -> Result<Option<OpRecord>, JournalError> {
        self.undone_by(op)?.map(|by| self.op(by)).transpose()
    }

    /// The step that takes an operation back.
    ///
    /// # Errors
    /// [`JournalError::NothingToUndo`], [`JournalError::UnknownOp`], [`JournalError::Corrupt`], or the system's.
    pub fn undo_step(&self, op: OpId) -> Result<UndoStep, JournalError> {
        let record = self.op(op)?;
        let change = inverse(&record).ok_or(JournalError::NothingToUndo(op))?;
        let link = match &record.intent.change {
            Change::Remove { before: Image { meta, content: Content::File(_) | Content::Symlink(_) }, .. }
                if meta.nlink > 1 =>
            {
                Some(LinkHint { identity: meta.identity, nlink: meta.nlink })
            }
            _ => None,
        };
        Ok(UndoStep { op, change, link })
    }
}
