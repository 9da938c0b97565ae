//! What happened to a file or a folder, whatever it was called: its own operations, and moves of the folders that it
//! lay in.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;

use raincoat_types::{Change, Content, Image, OpId, OpRecord, OpResult, RunId, Timestamp};

use crate::paths::{below, parent};
use crate::{Journal, JournalError, Order};

/// When an operation was: they are told apart by time, and within one moment by run and number.
pub type Moment = (Timestamp, OpId);

/// An operation that was done, with its places as absolute paths.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Past {
    /// The operation.
    pub op: OpRecord,
    /// The absolute paths of its places, in the order of [`Change::spots`].
    pub paths: Vec<Vec<u8>>,
}

/// One change in the life of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Episode {
    /// What changed it.
    pub past: Past,
    /// Its absolute path afterwards (before, where it went).
    pub path: Vec<u8>,
}

impl Past {
    /// When it was.
    pub fn moment(&self) -> Moment {
        (self.op.intent.at, self.op.intent.op)
    }

    /// Where a move, of this path or of a folder that it lies in, took what is at `path` now from.
    pub fn came_from(&self, path: &[u8]) -> Option<Vec<u8>> {
        match (&self.op.intent.change, self.paths.as_slice()) {
            (Change::Move { .. }, [from, to]) => Some(under(from, below(path, to)?)),
            _ => None,
        }
    }

    /// Where it took what was at `path` to.
    pub fn went_to(&self, path: &[u8]) -> Option<Vec<u8>> {
        match (&self.op.intent.change, self.paths.as_slice()) {
            (Change::Move { .. }, [from, to]) => Some(under(to, below(path, from)?)),
            _ => None,
        }
    }

    /// What it left, or meant to leave: nothing after a removal, and what was moved after a move.
    pub fn after(&self) -> Option<&Image> {
        let real = match &self.op.result {
            Some(OpResult::Done { after, .. }) => after.as_ref(),
            _ => None,
        };
        match &self.op.intent.change {
            Change::Create { after, .. } | Change::Replace { after, .. } => Some(real.unwrap_or(after)),
            Change::Move { image, .. } | Change::Link { image, .. } => Some(real.unwrap_or(image)),
            Change::Remove { .. } | Change::SetMeta { .. } => None,
        }
    }
}

impl Journal {
    /// Everything that was done to what stands, or stood last, at an absolute path, newest first; it is followed through
    /// its moves and those of its folders.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`], or the system's.
    pub fn history(&self, path: &[u8]) -> Result<Vec<Episode>, JournalError> {
        let mut episodes = Vec::new();
        let mut at = path.to_vec();
        let mut bound: Option<Moment> = None;
        loop {
            let mut hop = None;
            for past in self.about(&at, bound)? {
                let moment = past.moment();
                let from = past.came_from(&at);
                episodes.push(Episode { past, path: at.clone() });
                if from.is_some() {
                    hop = from.map(|from| (from, moment));
                    break;
                }
            }
            match hop {
                Some((from, moment)) => (at, bound) = (from, Some(moment)),
                None => return Ok(episodes),
            }
        }
    }

    /// What was done before a moment to what was at a path then, by its name of then: newest first.
    fn about(&self, path: &[u8], bound: Option<Moment>) -> Result<Vec<Past>, JournalError> {
        let mut ids: BTreeSet<OpId> = self.ops_at(path)?.into_iter().collect();
        let mut folder = parent(path);
        while let Some(at) = folder {
            ids.extend(self.moves_at(at)?);
            folder = parent(at);
        }
        let mut found: BTreeMap<Moment, Past> = BTreeMap::new();
        let mut inodes = BTreeSet::new();
        for id in ids {
            let Some(past) = self.past(id)? else { continue };
            let is_about = past.paths.iter().any(|of| {
                of == path || (matches!(past.op.intent.change, Change::Move { .. }) && below(path, of).is_some())
            });
            if !is_about || bound.is_some_and(|bound| past.moment() >= bound) {
                continue;
            }
            let images = [past.op.intent.change.before(), past.after()];
            let linked = images.into_iter().flatten().filter(|image| image.meta.nlink > 1);
            inodes.extend(linked.filter(|image| image.content != Content::Dir).map(|image| image.meta.identity));
            found.insert(past.moment(), past);
        }
        // A file with several names is written under each of them by a write to one.
        for identity in inodes {
            for id in self.ops_on_inode(&identity)? {
                if let Some(past) = self.past(id)?
                    && let Change::Replace { before, in_place: true, .. } = &past.op.intent.change
                    && before.meta.identity == identity
                    && bound.is_none_or(|bound| past.moment() < bound)
                {
                    found.insert(past.moment(), past);
                }
            }
        }
        Ok(found.into_values().rev().collect())
    }

    /// Where what an operation left at an absolute path is by now, by later moves of the folders that it lies in and, with
    /// `itself`, its own; moves in `except` do not count, for they are being taken back. Neither do those that stand taken
    /// back, nor, with them, what took them back: what lay here in between was something else, and where the clock went
    /// back, the first may bear a later time than the second.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`], or the system's.
    pub fn where_now(
        &self,
        path: &[u8],
        after: Moment,
        itself: bool,
        except: &HashSet<OpId>,
    ) -> Result<Vec<u8>, JournalError> {
        let (mut at, mut bound) = (path.to_vec(), after);
        loop {
            let mut ids: BTreeSet<OpId> = BTreeSet::new();
            if itself {
                ids.extend(self.moves_at(&at)?);
            }
            let mut folder = parent(&at);
            while let Some(here) = folder {
                ids.extend(self.moves_at(here)?);
                folder = parent(here);
            }
            let mut next: Option<(Moment, Vec<u8>)> = None;
            for id in ids.into_iter().filter(|id| !except.contains(id)) {
                // Most that were taken back are told by the index alone.
                let undone = self.undone_by(id)?;
                if undone.is_none_or(|by| except.contains(&by))
                    && let Some(past) = self.past(id)?
                    && past.moment() > bound
                    && self.will_stand(&past, undone)?
                    && !self.takes_back_what_came(&past, after)?
                    && next.as_ref().is_none_or(|(moment, _)| past.moment() < *moment)
                    && let Some(to) = past.went_to(&at)
                    && (itself || past.paths.first() != Some(&at))
                {
                    next = Some((past.moment(), to));
                }
            }
            match next {
                Some((moment, to)) => (at, bound) = (to, moment),
                None => return Ok(at),
            }
        }
    }

    /// Whether an operation stands once what took it back is taken back: that must have come after it, by the clock too.
    fn will_stand(&self, past: &Past, undone: Option<OpId>) -> Result<bool, JournalError> {
        let Some(by) = undone else { return Ok(true) };
        Ok(self.past(by)?.is_some_and(|by| by.moment() > past.moment()))
    }

    /// Whether an operation takes another one back that was done after a moment.
    fn takes_back_what_came(&self, past: &Past, after: Moment) -> Result<bool, JournalError> {
        let Some(of) = past.op.intent.undoes else { return Ok(false) };
        match self.past(of) {
            Ok(of) => Ok(of.is_some_and(|of| of.moment() > after)),
            // It was pruned, so it was long before.
            Err(JournalError::UnknownOp(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What was done about exactly this absolute path after a moment, oldest first.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`], or the system's.
    pub fn later_at(&self, path: &[u8], after: Moment) -> Result<Vec<Past>, JournalError> {
        let mut found = BTreeMap::new();
        for id in self.ops_at(path)? {
            if let Some(past) = self.past(id)?
                && past.moment() > after
                && past.paths.iter().any(|of| of == path)
            {
                found.insert(past.moment(), past);
            }
        }
        Ok(found.into_values().collect())
    }

    /// An operation with its absolute paths, if it was done.
    ///
    /// # Errors
    /// [`JournalError::UnknownOp`], [`JournalError::Corrupt`], or the system's.
    pub fn past(&self, op: OpId) -> Result<Option<Past>, JournalError> {
        self.op(op).map(|record| self.past_of(record))
    }

    /// A recorded operation with its absolute paths, if it was done.
    pub fn past_of(&self, op: OpRecord) -> Option<Past> {
        if !matches!(op.result, Some(OpResult::Done { .. })) {
            return None;
        }
        let run = op.intent.op.run;
        let paths = op.intent.change.spots().into_iter().map(|spot| self.absolute(run, spot)).collect::<Option<_>>()?;
        Some(Past { op, paths })
    }

    /// Everything that was done after a moment to what is, or was then, at an absolute path or below it, newest first:
    /// what left it is followed to where it went.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`], or the system's.
    pub fn since(&self, path: &[u8], moment: Moment) -> Result<Vec<Past>, JournalError> {
        let mut found: BTreeMap<Moment, Past> = BTreeMap::new();
        let mut trees: Vec<Vec<u8>> = vec![path.to_vec()];
        let mut next = 0;
        while let Some(tree) = trees.get(next).cloned() {
            next += 1;
            let mut also: BTreeSet<Vec<u8>> = BTreeSet::new();
            let mut take = |past: Past| {
                if past.moment() <= moment {
                    return;
                }
                // All of it moved, with or without the folders that it lies in: it is elsewhere before, and after.
                also.extend(past.came_from(&tree).into_iter().chain(past.went_to(&tree)));
                if let (Change::Move { .. }, [from, to]) = (&past.op.intent.change, past.paths.as_slice())
                    && below(from, &tree).is_some()
                {
                    also.insert(to.clone());
                }
                found.insert(past.moment(), past);
            };
            self.about(&tree, None)?.into_iter().for_each(&mut take);
            for run in self.runs_below(&tree)? {
                self.later_below(run, &tree, moment, &mut take)?;
            }
            for more in also {
                if !trees.iter().any(|tree| below(&more, tree).is_some()) {
                    trees.push(more);
                }
            }
        }
        Ok(found.into_values().rev().collect())
    }

    /// The operations of a run that were after a moment and about something below a folder.
    fn later_below(
        &self,
        run: RunId,
        folder: &[u8],
        moment: Moment,
        each: &mut impl FnMut(Past),
    ) -> Result<(), JournalError> {
        if let Some(end) = self.run_row(run)?.and_then(|row| row.end)
            && self.end_of(run, end)?.end.at < moment.0
        {
            return Ok(());
        }
        // Backwards: what was before the moment ends it.
        self.for_each_op(run, Order::Reverse, |record| {
            if record.intent.at < moment.0 {
                return ControlFlow::Break(());
            }
            if let Some(past) = self.past_of(record)
                && past.paths.iter().any(|path| below(path, folder).is_some())
            {
                each(past);
            }
            ControlFlow::Continue(())
        })
    }
}

/// A path below a folder.
pub(crate) fn under(folder: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut out = folder.to_vec();
    if !rest.is_empty() {
        if out.last() != Some(&b'/') {
            out.push(b'/');
        }
        out.extend_from_slice(rest);
    }
    out
}
