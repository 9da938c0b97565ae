//! Pruning: the oldest runs go, by the person's rule, and with them the contents that nothing else refers to.
//!
//! A run goes as a whole. Segments of which little is needed any more are written again without the rest; those of which
//! nothing is needed go at once. What is not needed is told by the records themselves: the index only says where to
//! look, and whatever is to be dropped is read before it is.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use raincoat_os::FileLock;
use raincoat_types::{ChunkId, RunId, RunKind, Timestamp, Ulid};

use crate::dropped::{Dropped, DroppedSegment, PrunedRun, Pruning};
use crate::facts::Loc;
use crate::format::{Kind, Tag};
use crate::mover::{Mover, Victim};
use crate::skim::Skim;
use crate::survey::{Owner, RunUse, Survey, run_of, unread};
use crate::{Journal, JournalError};

/// The lock that a change holds from its first look at what the store has until its intent, and a prune alone.
pub(crate) const USING: &str = "using";
/// How often a prune asks for it before it gives up, and how long it waits in between.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(100);
/// A segment is written again when this part of it is not needed: an eighth.
const DEAD_PART: u64 = 8;
/// Characters of a goal that are kept.
const GOAL: usize = 200;

/// What is to go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PruneRule {
    /// Runs that ended then or later stay, whatever else is said.
    pub keep_from: Timestamp,
    /// All that ended before this go.
    pub older_than: Option<Timestamp>,
    /// The oldest go until the store has no more bytes than this.
    pub most: Option<u64>,
    /// The rule in words, as it is remembered.
    pub words: String,
    /// Now.
    pub at: Timestamp,
}

/// What a prune would do, or did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PruneReport {
    /// Runs that go, oldest first.
    pub runs: Vec<PrunedRun>,
    /// Bytes of the store before.
    pub before: u64,
    /// Bytes of the store after it; of a plan: about.
    pub after: u64,
    /// Versions of files that go with them.
    pub versions: u64,
    /// Segments whose files go.
    pub segments: u64,
    /// Runs that the rule would let go of if it were not too soon, and what that would free.
    pub too_young: (u64, u64),
}

impl Journal {
    /// What a prune by this rule would do. Changes nothing.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] where the store has damage: that is repaired first. The system's.
    pub fn plan_prune(&mut self, rule: &PruneRule) -> Result<PruneReport, JournalError> {
        self.catch_up_all()?;
        let survey = self.survey()?;
        let chosen = self.choose(&survey, rule)?;
        Ok(chosen.report)
    }

    /// Prunes by this rule.
    ///
    /// # Errors
    /// [`JournalError::Busy`] where another process is in the middle of a change, [`JournalError::Corrupt`] where the
    /// store has damage: nothing was pruned then. Where the disk fails in the middle, the next open goes on.
    pub fn prune(&mut self, rule: &PruneRule) -> Result<PruneReport, JournalError> {
        self.check_poison()?;
        let _alone = self.alone()?;
        drop(self.catch_up_all()?);
        let survey = self.survey()?;
        let mut chosen = self.choose(&survey, rule)?;
        let mut victims = self.victims(&survey, &chosen, rule)?;
        if chosen.numbers.is_empty() && victims.is_empty() {
            return Ok(chosen.report);
        }
        let mut mover = match Mover::new(self, rule.at) {
            Err(JournalError::Full) if self.release_reserve() => Mover::new(self, rule.at)?,
            other => other?,
        };
        let goes: HashSet<RunId> = chosen.report.runs.iter().map(|run| run.run).collect();
        let ids: BTreeSet<Ulid> = victims.iter().map(|victim| victim.id).collect();
        let needed = self.needed(&survey, &chosen);
        let mut segments = Vec::new();
        victims.retain(|victim| match self.move_out(&mut mover, victim, &goes, &needed, &ids) {
            Ok(last) => {
                segments.push(Ok(DroppedSegment { id: victim.id, last, damaged: false }));
                true
            }
            // No room for what is still needed of it: it stays as it is.
            Err(JournalError::Full) => false,
            Err(error) => {
                segments.push(Err(error));
                false
            }
        });
        let segments: Vec<DroppedSegment> = segments.into_iter().collect::<Result<_, _>>()?;
        let dropped = Dropped {
            at: rule.at,
            rule: rule.words.clone(),
            runs: chosen.report.runs.clone(),
            segments: segments.clone(),
            gone: Vec::new(),
            lost: Vec::new(),
        };
        match mover.commit(self, &dropped) {
            Err(JournalError::Full) if self.release_reserve() => mover.commit(self, &dropped)?,
            other => other?,
        }
        self.readers.borrow_mut().forget(&ids);
        mover.clear(self, &segments)?;
        drop(victims);
        self.index.borrow().shrink();
        self.make_reserve();
        self.keep_memory()?;
        chosen.report.segments = segments.len() as u64;
        chosen.report.after = self.size()?;
        Ok(chosen.report)
    }

    /// When and by which rule a run was pruned; `None` for one that was not.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`], or the system's.
    pub fn pruned(&self, run: RunId) -> Result<Option<Pruning>, JournalError> {
        let Some(at) = self.index.borrow().pruned(run)? else { return Ok(None) };
        let dropped: Dropped = self.read_as(at, &[Kind::Dropped])?;
        let found = dropped.runs.iter().find(|one| one.run == run).cloned();
        Ok(found.map(|run| Pruning { run, at: dropped.at, rule: dropped.rule }))
    }

    /// All runs that were pruned, oldest first.
    ///
    /// # Errors
    /// The index's.
    pub fn all_pruned(&self) -> Result<Vec<RunId>, JournalError> {
        Ok(self.index.borrow().all_pruned()?)
    }

    /// Holds the store so that nothing in it is pruned, until the next intent is durable.
    pub(crate) fn hold_still(&self) -> Result<(), JournalError> {
        let mut using = self.using.borrow_mut();
        if using.is_none() {
            *using = Some(self.dir.lock_shared(USING).map_err(JournalError::io("lock the store"))?);
        }
        Ok(())
    }

    /// The store for this process alone: nobody is between a look at what it has and the intent that names it, and nobody
    /// is reading in its segments. This process's own look is over then too; what it found is pinned.
    pub(crate) fn alone(&self) -> Result<FileLock, JournalError> {
        *self.using.borrow_mut() = None;
        for _ in 0..TRIES {
            if let Some(lock) = self.dir.try_lock(USING).map_err(JournalError::io("lock the store"))? {
                return Ok(lock);
            }
            std::thread::sleep(PAUSE);
        }
        Err(JournalError::Busy)
    }

    /// Which runs the rule lets go of.
    fn choose(&self, survey: &Survey, rule: &PruneRule) -> Result<Chosen, JournalError> {
        let (before, stuck) = (self.size()?, self.stuck(survey));
        let done = |used: &RunUse| used.header.is_some() && used.ended.is_some() && !used.being_undone;
        let may = |used: &RunUse| done(used) && used.ended.is_some_and(|at| at < rule.keep_from);
        let (frees, dead) = frees(survey, &survey.owners(&|used| !may(used)), &stuck);
        let (later, _) = self::frees(survey, &survey.owners(&|used| !done(used)), &stuck);
        let records = records(survey, &stuck);
        let mut order: Vec<(u32, &RunUse)> = (0..).zip(&survey.runs).collect();
        order.sort_by_key(|(_, used)| used.run);
        let mut chosen = Chosen { numbers: BTreeSet::new(), report: PruneReport { before, ..PruneReport::default() } };
        let mut left = before.saturating_sub(dead);
        let mut names: HashSet<RunId> = HashSet::new();
        for (number, used) in order {
            let too_old = rule.older_than.is_some_and(|than| used.ended.is_some_and(|ended| ended < than));
            let wanted = too_old || rule.most.is_some_and(|most| left > most);
            if !wanted || !done(used) {
                continue;
            }
            if !may(used) {
                chosen.report.too_young.0 += 1;
                chosen.report.too_young.1 += used.bytes + later.get(&number).copied().unwrap_or(0);
                continue;
            }
            let own = [&records, &frees].into_iter().filter_map(|of| of.get(&number)).sum::<u64>();
            if own == 0 && !too_old {
                continue;
            }
            // While an undo stands, so does what it took back: else that would look as if it still held.
            if let Some(RunKind::Undo { of, .. }) = used.header.as_ref().map(|header| &header.kind)
                && survey.number_of(*of).is_some()
                && !names.contains(of)
            {
                continue;
            }
            left = left.saturating_sub(own);
            chosen.report.versions += used.versions;
            names.insert(used.run);
            chosen.numbers.insert(number);
            chosen.report.runs.extend(used.header.as_ref().map(|header| PrunedRun {
                run: used.run,
                began: header.at,
                goal: header.goal.chars().take(GOAL).collect(),
                ops: used.ops,
            }));
        }
        chosen.report.after = left;
        Ok(chosen)
    }

    /// Segments that cannot be written again now: a run that has not ended is at work in them, this process appends to
    /// them, or what it wrote there is not in the index yet. What goes of these frees nothing before a later prune.
    fn stuck(&self, survey: &Survey) -> HashSet<Ulid> {
        let mut stuck: HashSet<Ulid> = self.facts.places().map(|at| at.segment).collect();
        stuck.extend(self.held.keys());
        for (id, segment) in &survey.segments {
            let ended = |run: &u32| survey.runs.get(*run as usize).is_some_and(|run| run.ended.is_some());
            if !segment.runs.keys().all(ended) {
                stuck.insert(*id);
            }
        }
        stuck
    }

    /// Chunks that some run which stays names, or that this process is about to name.
    fn needed(&self, survey: &Survey, chosen: &Chosen) -> HashSet<[u8; 32]> {
        let goes: HashSet<RunId> = chosen.report.runs.iter().map(|run| run.run).collect();
        let owners = survey.owners(&|used| !goes.contains(&used.run));
        let mut needed: HashSet<[u8; 32]> = survey
            .chunk_names()
            .filter(|(_, number)| owners.get(**number as usize) == Some(&Owner::Stays))
            .map(|(name, _)| *name)
            .collect();
        needed.extend(self.pinned.borrow().iter().map(|id| id.0));
        needed
    }

    /// Segments that are worth writing again, or going without, and that no process is at work in; those with the least
    /// to be moved first.
    fn victims(&self, survey: &Survey, chosen: &Chosen, rule: &PruneRule) -> Result<Vec<Victim>, JournalError> {
        let goes: HashSet<RunId> = chosen.report.runs.iter().map(|run| run.run).collect();
        let owners = survey.owners(&|used| !goes.contains(&used.run));
        let tight = rule.most.is_some_and(|most| chosen.report.before > most);
        let stuck = self.stuck(survey);
        let mut found = Vec::new();
        for (id, file, end) in self.whole_segments()? {
            let Some(segment) = survey.segments.get(&id) else { continue };
            if stuck.contains(&id) {
                continue;
            }
            let mut live = segment.other;
            for (run, bytes) in &segment.runs {
                let stays = survey.runs.get(*run as usize).is_some_and(|used| !goes.contains(&used.run));
                live += if stays { *bytes } else { 0 };
            }
            for (chunk, bytes) in &segment.chunks {
                let stays = chunk.and_then(|chunk| owners.get(chunk as usize)) == Some(&Owner::Stays);
                live += if stays { *bytes } else { 0 };
            }
            let dead = end.saturating_sub(live);
            let worth = live == 0 || dead >= end / DEAD_PART && dead > 4096 || (tight && dead > 1 << 20);
            let pruned_here = segment.runs.keys().any(|run| chosen.numbers.contains(run));
            if (worth || pruned_here) && file.try_lock().map_err(JournalError::io("lock a segment"))? {
                found.push((live, Victim { id, file: Arc::clone(&file), end }));
            }
        }
        found.sort_by_key(|(live, victim)| (*live, victim.id));
        Ok(found.into_iter().map(|(_, victim)| victim).collect())
    }

    /// Writes what is still needed of a segment again. Says its last record's tag.
    fn move_out(
        &self,
        mover: &mut Mover,
        victim: &Victim,
        goes: &HashSet<RunId>,
        needed: &HashSet<[u8; 32]>,
        victims: &BTreeSet<Ulid>,
    ) -> Result<Tag, JournalError> {
        let fail = |error| unread(victim.id, error);
        let mut skim = Skim::new(&victim.file, &self.keys, victim.id, victim.end);
        let mut last = Tag::default();
        while let Some((offset, header)) = skim.next().map_err(fail)? {
            let what = "a record is not what was written";
            let (body, tag) = skim.body(offset, &header).map_err(fail)?.ok_or(JournalError::Corrupt {
                segment: victim.id,
                offset,
                what,
            })?;
            last = tag;
            let keep = match header.kind {
                Kind::Mark | Kind::Final => false,
                Kind::Dropped => true,
                Kind::Chunk => {
                    let id = self.keys.chunk_id(&body);
                    needed.contains(&id.0) && !mover.has(&id) && !self.stands_elsewhere(id, victims)
                }
                kind => match run_of(kind, &body) {
                    Some(run) => !goes.contains(&run) && self.index.borrow().pruned(run)?.is_none(),
                    None => return Err(JournalError::Corrupt { segment: victim.id, offset, what }),
                },
            };
            if keep {
                mover.put(self, header.kind, &body)?;
            }
        }
        Ok(last)
    }

    /// Whether a chunk can be read in a segment that stays.
    fn stands_elsewhere(&self, id: ChunkId, victims: &BTreeSet<Ulid>) -> bool {
        matches!(self.chunk_at(&id), Ok(Some(Loc { segment, .. })) if !victims.contains(&segment))
            && self.read_chunk(id).is_ok()
    }
}

/// Bytes of content that go with each run, the last of those that name it; and of content that nothing names. What lies in
/// segments that are stuck is in neither.
fn frees(survey: &Survey, owners: &[Owner], stuck: &HashSet<Ulid>) -> (HashMap<u32, u64>, u64) {
    let (mut frees, mut dead) = (HashMap::new(), 0);
    for (_, segment) in survey.segments.iter().filter(|(id, _)| !stuck.contains(id)) {
        dead += segment.doubled;
        for (chunk, bytes) in &segment.chunks {
            match chunk.and_then(|chunk| owners.get(chunk as usize)).unwrap_or(&Owner::Nobody) {
                Owner::Nobody => dead += bytes,
                Owner::Goes(run) => *frees.entry(*run).or_default() += bytes,
                Owner::Stays => {}
            }
        }
    }
    (frees, dead)
}

/// Bytes of each run's records, but for those in segments that are stuck.
fn records(survey: &Survey, stuck: &HashSet<Ulid>) -> HashMap<u32, u64> {
    let mut records = HashMap::new();
    for (_, segment) in survey.segments.iter().filter(|(id, _)| !stuck.contains(id)) {
        for (run, bytes) in &segment.runs {
            *records.entry(*run).or_default() += bytes;
        }
    }
    records
}

struct Chosen {
    numbers: BTreeSet<u32>,
    report: PruneReport,
}
