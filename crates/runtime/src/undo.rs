//! Taking back: runs, or single operations. It is a run of its own, the person's, so it can be taken back in turn.

mod select;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use raincoat_audit::Event;
use raincoat_effects::thread::EffectsThread;
use raincoat_effects::undo::Recorded;
use raincoat_effects::{Resolved, undo};
use raincoat_gate::Permit;
use raincoat_journal::{Journal, JournalError};
use raincoat_os::new_ulid;
use raincoat_types::{
    Actor, Change, Failure, FailureKind, FileChange, OnDrift, OpId, Root, RunEnd, RunHeader, RunId, RunKind, RunStatus,
    Spot, Timestamp, display_bytes,
};

use crate::around::within;
use crate::console::Console;
use crate::error::Fault;
use crate::judge::Judge;
use crate::live::Live;
use crate::session::Session;
use crate::{Class, Error, Keeper};

pub(crate) use select::{Chosen, LOST, already, changed_by, choose, last_undo, lost, places_now, shown};

/// Operations taken back between two looks at the stop flag.
const SLICE: usize = 1024;
/// Conflicts that are told one by one.
const TOLD: usize = 1000;

/// What to take back.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UndoAsk {
    /// Runs, or operations as `RUN/SEQ`; a part of a run's id will do. The last run where there are none, and no time.
    pub what: Vec<String>,
    /// Everything done since then, by all runs.
    pub since: Option<Timestamp>,
    /// Only what matches one of these globs, beneath its granted folder or as an absolute path.
    pub only: Vec<String>,
    /// Only say what would be done.
    pub dry_run: bool,
    /// What becomes of what somebody has changed since.
    pub drift: OnDrift,
    /// The last undo is what is taken back, where nothing is named.
    pub redo: bool,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UndoReport {
    /// The undo's own run; `None` for a dry run, or where there was nothing to take back.
    pub run: Option<RunId>,
    /// The run that was taken back: the newest of them.
    pub of: RunId,
    /// How many runs it is of.
    pub runs: u32,
    /// For a dry run: what would be done, in order.
    pub steps: Vec<UndoStepView>,
    /// Operations taken back.
    pub undone: u32,
    /// Operations that were taken back before.
    pub already: u32,
    /// Operations left as they are, and why; the first thousand.
    pub conflicts: Vec<Conflict>,
    /// How many were left in all.
    pub left: u32,
    /// Of those, the ones that a repair could not save: nothing brings them back.
    pub lost: u32,
    /// Folders that got their times back.
    pub times: u32,
    /// It was stopped before its end.
    pub stopped: bool,
}

/// An operation that was left as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Conflict {
    /// The operation.
    pub op: OpId,
    /// The absolute path that it was about.
    pub path: String,
    /// Why, in words.
    pub why: String,
    /// The later operation that stands in its way; `None` where somebody else does.
    pub by: Option<OpId>,
}

/// One step of an undo, in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UndoStepView {
    /// The operation that is taken back.
    pub op: OpId,
    /// What is done.
    pub words: String,
}

impl Keeper {
    /// Takes runs or operations back.
    ///
    /// # Errors
    /// Where there is no such run, its folder is away, or our own store failed. What could not be taken back because
    /// somebody changed it since is in the report.
    pub fn undo(&self, ask: UndoAsk, stop: Arc<AtomicBool>, console: &mut dyn Console) -> Result<UndoReport, Error> {
        let session = self.session(&mut |recovered| console.notice(&recovered.words))?;
        let report = self.undo_in(&session, ask, stop, console);
        session.tell_of_room(console);
        session.close()?;
        report
    }

    fn undo_in(
        &self,
        session: &Session,
        mut ask: UndoAsk,
        stop: Arc<AtomicBool>,
        console: &mut dyn Console,
    ) -> Result<UndoReport, Error> {
        let asked_for = ask.clone();
        let (redone, Chosen { of, whole, plan, roots }) = session
            .recorder
            .journal(move |journal| {
                let mut ask = asked_for;
                if ask.redo && ask.what.is_empty() {
                    ask.what = vec![last_undo(journal)?.to_string()];
                }
                let chosen = choose(journal, &ask)?;
                Ok::<_, Error>((ask.what, chosen))
            })
            .map_err(Error::store)??;
        ask.what = redone;
        let newest = of.first().map(|header| header.run).ok_or_else(nothing)?;
        let mut report = UndoReport {
            run: None,
            of: newest,
            runs: u32::try_from(of.len()).unwrap_or(u32::MAX),
            steps: Vec::new(),
            undone: 0,
            already: already(&plan),
            conflicts: Vec::new(),
            left: 0,
            lost: 0,
            times: 0,
            stopped: false,
        };
        for op in lost(&plan) {
            (report.left, report.lost) = (report.left + 1, report.lost + 1);
            if report.conflicts.len() < TOLD {
                report.conflicts.push(Conflict { op, path: String::new(), why: LOST.to_owned(), by: None });
            }
        }
        if ask.dry_run {
            report.steps = steps(session, plan.ops)?;
            return Ok(report);
        }
        // All of it may have been taken back by an undo that was interrupted before it came to the folders' times.
        let only_times = plan.ops.is_empty();
        if only_times && plan.dirs.is_empty() {
            return Ok(report);
        }
        let run = RunId(new_ulid(self.clock.as_ref()).map_err(Error::io("make an id"))?);
        let folders = match self.recorded_folders(&roots) {
            // The folder is away, and there was nothing left to do in it.
            Err(_) if only_times => return Ok(report),
            other => other?,
        };
        let _live = Live::begin(&self.state, run)?;
        let recorder = session.recorder.speaking_for(within(run, Actor::Person, &roots));
        let seqs =
            if whole { Vec::new() } else { plan.ops.iter().filter(|op| op.run == newest).map(|op| op.seq).collect() };
        let kind = RunKind::Undo { of: newest, ops: seqs };
        let goal = goal_of(&ask);
        let begins = RunHeader {
            run,
            at: self.clock.now(),
            actor: Actor::Person,
            goal: goal.clone(),
            kind: kind.clone(),
            roots: roots.clone(),
        };
        let judge = self.judge_of_person(folders.compiled.clone(), run, recorder.clone());
        let thread = self.effects_thread(run, folders, &judge, stop.clone(), console)?;
        // Before anything moves: which folders has nobody touched since?
        let dirs = plan.dirs;
        let dirs = thread.call(move |effects| undo::untouched(effects, dirs, only_times)).map_err(Error::store)?;
        if only_times && dirs.is_empty() {
            return Ok(report);
        }
        report.run = Some(run);
        recorder
            .log(vec![Event::RunBegan { goal, kind, grants: begins.roots.iter().map(|r| r.grant).collect() }])
            .map_err(Error::store)?;
        recorder.journal(move |journal| journal.begin_run(&begins)).map_err(Error::store)?.map_err(Error::store)?;
        let total = plan.ops.len() as u64;
        let mut taking = Taking { thread: &thread, judge: &judge, drift: ask.drift, roots, taken: HashSet::new() };
        for slice in plan.ops.chunks(SLICE) {
            if stop.load(Ordering::Relaxed) {
                report.stopped = true;
                break;
            }
            taking.take_back(slice, &mut report)?;
            console.status("undo", Some((u64::from(report.undone + report.left), total)));
        }
        if !report.stopped {
            let deciding = judge.clone();
            let given = thread
                .call(move |effects| {
                    undo::give_times_back(effects, dirs, &mut |action, resolved| permitted(&deciding, action, resolved))
                })
                .map_err(Error::store)?;
            report.times = u32::try_from(given).unwrap_or(u32::MAX);
        }
        let finished = thread.call(raincoat_effects::Effects::finish).map_err(Error::store)?;
        drop(thread);
        report.stopped |= stop.load(Ordering::Relaxed);
        let (status, summary) = match finished {
            Err(failure) => (RunStatus::Failed, failure.message),
            Ok(()) if report.stopped => (RunStatus::Stopped, format!("{} taken back, then stopped", report.undone)),
            Ok(()) if report.left > 0 => {
                (RunStatus::Failed, format!("{} taken back, {} left as they are", report.undone, report.left))
            }
            Ok(()) => (RunStatus::Done, format!("{} taken back", report.undone)),
        };
        let end = RunEnd { run, at: self.clock.now(), status, summary: summary.clone() };
        recorder.journal(move |journal| journal.end_run(&end)).map_err(Error::store)?.map_err(Error::store)?;
        let done = Event::UndoDone { of: report.of, undone: u64::from(report.undone), left: u64::from(report.left) };
        recorder.log(vec![done, Event::RunEnded { status, summary }]).map_err(Error::store)?;
        Ok(report)
    }
}

fn goal_of(ask: &UndoAsk) -> String {
    let mut words = vec![if ask.redo { "redo" } else { "undo" }.to_owned()];
    words.extend(ask.what.iter().map(|what| display_bytes(what.as_bytes())));
    words.extend(ask.since.map(|since| format!("--since {}", since.secs)));
    words.extend(ask.only.iter().map(|glob| format!("--only {}", display_bytes(glob.as_bytes()))));
    words.join(" ")
}

fn steps(session: &Session, ops: Vec<OpId>) -> Result<Vec<UndoStepView>, Error> {
    let mut steps = Vec::with_capacity(ops.len());
    for op in ops {
        let step = session
            .recorder
            .journal(move |journal| journal.undo_step(op))
            .map_err(Error::store)?
            .map_err(Error::store)?;
        steps.push(UndoStepView { op, words: words_of(&step.change) });
    }
    Ok(steps)
}

/// The last run that changed anything: a look, a dry run or a refused plan is nothing to take back.
pub(crate) fn last_that_changed(journal: &Journal) -> Result<RunId, Error> {
    let mut before = None;
    loop {
        let page = journal.runs(before, 64).map_err(Error::store)?;
        for run in page.iter().map(|run| run.header.run) {
            match journal.op(OpId { run, seq: 1 }) {
                Ok(_) => return Ok(run),
                Err(error @ JournalError::Corrupt { .. }) => return Err(Error::store(error)),
                Err(_) => before = Some(run),
            }
        }
        if page.is_empty() {
            return find_run(journal, None);
        }
    }
}

/// The run that a person means: by a part of its id, or the last one.
pub(crate) fn find_run(journal: &Journal, what: Option<&str>) -> Result<RunId, Error> {
    match what {
        Some(text) => journal.find_run_prefix(text).map_err(|e| asked(&e)),
        None => Ok(journal.runs(None, 1).map_err(Error::store)?.first().ok_or_else(nothing)?.header.run),
    }
}

pub(crate) fn nothing() -> Error {
    Error::new(Class::Usage, "nothing has been done yet").hint("`raincoat runs` lists what was done")
}

pub(crate) fn asked(error: &JournalError) -> Error {
    match error {
        JournalError::Corrupt { .. } => Error::store(error),
        system if system.is_of_the_system() => Error::store(system),
        other => Error::new(Class::Usage, other.to_string())
            .hint("`raincoat runs` lists the runs, `raincoat show RUN` their operations"),
    }
}

/// The taking back of operations, slice by slice.
struct Taking<'a> {
    thread: &'a EffectsThread,
    judge: &'a Judge,
    drift: OnDrift,
    roots: Vec<Root>,
    /// What has been taken back so far: its moves do not count any more.
    taken: HashSet<OpId>,
}

impl Taking<'_> {
    fn take_back(&mut self, slice: &[OpId], report: &mut UndoReport) -> Result<(), Error> {
        let (ops, roots, mut taken) = (slice.to_vec(), self.roots.clone(), self.taken.clone());
        taken.extend(slice.iter().copied());
        let recorded: Vec<Recorded> = self
            .judge
            .recorder
            .journal(move |journal| {
                let look_up = |op| {
                    let record = journal.op(op)?;
                    let places = places_now(journal, &roots, &record, &taken)?;
                    undo::look_up(journal, record, places)
                };
                journal.steadily(|| ops.into_iter().map(look_up).collect::<Result<_, JournalError>>())
            })
            .map_err(Error::store)?
            .map_err(Error::store)?;
        let (deciding, drift) = (self.judge.clone(), self.drift);
        let results = self
            .thread
            .call(move |effects| {
                undo::take_back(effects, recorded, drift, &mut |action, resolved| {
                    permitted(&deciding, action, resolved)
                })
            })
            .map_err(Error::store)?;
        for (op, failure) in results {
            match failure {
                None => {
                    self.taken.insert(op);
                    report.undone += 1;
                }
                Some(Failure { kind: FailureKind::Stopped, .. }) => report.stopped = true,
                Some(Failure { kind: FailureKind::Broken, message, .. }) => return Err(Error::store(message)),
                Some(Failure { message, .. }) => {
                    self.judge.recorder.log_lazily(vec![Event::UndoRefused { op, why: message.clone() }]);
                    report.left += 1;
                    if report.conflicts.len() < TOLD {
                        report.conflicts.push(self.conflict(op, message)?);
                    }
                }
            }
        }
        Ok(())
    }

    fn conflict(&self, op: OpId, message: String) -> Result<Conflict, Error> {
        let taken = self.taken.clone();
        let (by, path) = self
            .judge
            .recorder
            .journal(move |journal| Ok((changed_by(journal, op, &taken)?, shown(journal, op))))
            .map_err(Error::store)?
            .map_err(|e: JournalError| Error::store(e))?;
        let (by, why) = match by {
            Some((by, words)) => (Some(by), format!("{message} (by {words})")),
            None => (None, message),
        };
        Ok(Conflict { op, path, why, by })
    }
}

/// Leave from the gate, as an undo asks for it.
pub(crate) fn permitted(
    judge: &Judge,
    action: FileChange,
    resolved: &mut Resolved,
) -> Result<Permit<FileChange>, Failure> {
    judge
        .decide(action, resolved, Vec::new(), None)
        .map_err(|refusal| Failure::new(FailureKind::Denied, refusal.message))
}

fn words_of(change: &Change) -> String {
    let at = |spot: &Spot| spot.path.display();
    match change {
        Change::Create { at: spot, .. } => format!("bring back {}", at(spot)),
        Change::Replace { at: spot, .. } => format!("put the old content back into {}", at(spot)),
        Change::Remove { at: spot, .. } => format!("take away {}", at(spot)),
        Change::Move { from, to, .. } => format!("move {} back to {}", at(from), at(to)),
        Change::Link { at: spot, .. } => format!("bring back the name {}", at(spot)),
        Change::SetMeta { at: spot, .. } => format!("give {} its times and permissions back", at(spot)),
    }
}
