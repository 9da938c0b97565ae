//! Taking back: a run, or one operation. It is a run of its own, the person's, so it can be taken back in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use raincoat_audit::{About, Event};
use raincoat_effects::thread::EffectsThread;
use raincoat_effects::{Resolved, undo};
use raincoat_gate::Permit;
use raincoat_journal::{Journal, JournalError, Selection, Skipped};
use raincoat_os::new_ulid;
use raincoat_types::{
    Actor, Change, Failure, FailureKind, FileChange, OpId, RunEnd, RunHeader, RunId, RunKind, RunStatus, display_bytes,
};

use crate::console::Console;
use crate::error::Fault;
use crate::judge::Judge;
use crate::live::Live;
use crate::session::{Session, folders_of};
use crate::{Class, Error, Keeper};

/// Operations taken back between two looks at the stop flag.
const SLICE: usize = 128;
/// Conflicts that are told one by one.
const TOLD: usize = 1000;

/// What to take back.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UndoAsk {
    /// A run, or one of its operations as `RUN/SEQ`; a part of the run's id will do. The last run where it is `None`.
    pub what: Option<String>,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Even where somebody has changed a file since. What they made is kept in the journal.
    pub overwrite: bool,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UndoReport {
    /// The undo's own run; `None` for a dry run, or where there was nothing to take back.
    pub run: Option<RunId>,
    /// The run that was taken back.
    pub of: RunId,
    /// For a dry run: what would be done, in order.
    pub steps: Vec<UndoStepView>,
    /// Operations taken back.
    pub undone: u32,
    /// Operations that were taken back before.
    pub already: u32,
    /// Operations left as they are, and why; the first thousand.
    pub conflicts: Vec<(OpId, String)>,
    /// How many were left in all.
    pub left: u32,
    /// Folders that got their times back.
    pub times: u32,
    /// It was stopped before its end.
    pub stopped: bool,
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
    /// Takes a run or an operation back.
    ///
    /// # Errors
    /// Where there is no such run, its folder is away, or our own store failed. What could not be taken back because
    /// somebody changed it since is in the report.
    pub fn undo(&self, ask: UndoAsk, stop: Arc<AtomicBool>, console: &mut dyn Console) -> Result<UndoReport, Error> {
        let session = self.session(&mut |recovered| console.notice(&recovered.words))?;
        let report = self.undo_in(&session, &ask, stop, console);
        session.close()?;
        report
    }

    fn undo_in(
        &self,
        session: &Session,
        ask: &UndoAsk,
        stop: Arc<AtomicBool>,
        console: &mut dyn Console,
    ) -> Result<UndoReport, Error> {
        let what = ask.what.clone();
        let (header, selection, plan) = session
            .recorder
            .journal(move |journal| {
                let selection = select(journal, what.as_deref())?;
                let of = match &selection {
                    Selection::Run(run) => *run,
                    Selection::Ops(ops) => ops.first().map(|op| op.run).ok_or_else(nothing)?,
                };
                let header = journal.run(of).map_err(|e| asked(&e))?.header;
                let plan = journal.plan_undo(&selection).map_err(|e| asked(&e))?;
                Ok::<_, Error>((header, selection, plan))
            })
            .map_err(Error::store)??;
        let already = plan.skipped.iter().filter(|(_, why)| matches!(why, Skipped::Undone(_))).count();
        let mut report = UndoReport {
            run: None,
            of: header.run,
            steps: Vec::new(),
            undone: 0,
            already: u32::try_from(already).unwrap_or(u32::MAX),
            conflicts: Vec::new(),
            left: 0,
            times: 0,
            stopped: false,
        };
        if ask.dry_run {
            for op in plan.ops {
                let step = session
                    .recorder
                    .journal(move |journal| journal.undo_step(op))
                    .map_err(Error::store)?
                    .map_err(Error::store)?;
                report.steps.push(UndoStepView { op, words: words_of(&step.change) });
            }
            return Ok(report);
        }
        // All of it may have been taken back by an undo that was interrupted before it came to the folders' times.
        let only_times = plan.ops.is_empty();
        if only_times && plan.dirs.is_empty() {
            return Ok(report);
        }
        let run = RunId(new_ulid(self.clock.as_ref()).map_err(Error::io("make an id"))?);
        let folders = match self.recorded_folders(&header.roots) {
            // The folder is away, and there was nothing left to do in it.
            Err(_) if only_times => return Ok(report),
            other => other?,
        };
        let _live = Live::begin(&self.state, run)?;
        let recorder = session.recorder.speaking_for(About::run(run, Actor::Person).within(folders_of(&header.roots)));
        let (kind, dirs) = match &selection {
            Selection::Run(of) => (RunKind::Undo { of: *of, ops: Vec::new() }, plan.dirs),
            // The folder's other changes stand, so its times of before are not its times of now.
            Selection::Ops(ops) => {
                (RunKind::Undo { of: header.run, ops: ops.iter().map(|op| op.seq).collect() }, Vec::new())
            }
        };
        let goal = match ask.what.as_deref() {
            Some(what) => format!("undo {}", display_bytes(what.as_bytes())),
            None => "undo".to_owned(),
        };
        let begins = RunHeader {
            run,
            at: self.clock.now(),
            actor: Actor::Person,
            goal: goal.clone(),
            kind: kind.clone(),
            roots: header.roots,
        };
        let judge = Judge {
            compiled: folders.compiled.clone(),
            actor: Actor::Person,
            run,
            clock: self.clock.clone(),
            recorder: recorder.clone(),
        };
        let thread = self.effects_thread(run, folders, &judge, stop.clone(), console)?;
        // Before anything moves: which folders has nobody touched since?
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
        for slice in plan.ops.chunks(SLICE) {
            if stop.load(Ordering::Relaxed) {
                report.stopped = true;
                break;
            }
            take_back(&thread, &judge, slice, ask.overwrite, &mut report)?;
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
        recorder.log(vec![Event::RunEnded { status, summary }]).map_err(Error::store)?;
        Ok(report)
    }
}

/// What a person means: a run, an operation, or the last run.
fn select(journal: &Journal, what: Option<&str>) -> Result<Selection, Error> {
    match what.and_then(|text| text.split_once('/')) {
        Some((run, seq)) => {
            let run = journal.find_run_prefix(run).map_err(|e| asked(&e))?;
            let op = OpId { run, seq: seq.parse().unwrap_or(0) };
            journal.op(op).map_err(|e| asked(&e))?;
            Ok(Selection::Ops(vec![op]))
        }
        None if what.is_none() => Ok(Selection::Run(last_that_changed(journal)?)),
        None => Ok(Selection::Run(find_run(journal, what)?)),
    }
}

/// The last run that changed anything: a look, a dry run or a refused plan is nothing to take back.
fn last_that_changed(journal: &Journal) -> Result<RunId, Error> {
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

fn nothing() -> Error {
    Error::new(Class::Usage, "nothing has been done yet").hint("`raincoat runs` lists what was done")
}

fn asked(error: &JournalError) -> Error {
    match error {
        JournalError::Corrupt { .. } => Error::store(error),
        system if system.is_of_the_system() => Error::store(system),
        other => Error::new(Class::Usage, other.to_string())
            .hint("`raincoat runs` lists the runs, `raincoat show RUN` their operations"),
    }
}

fn take_back(
    thread: &EffectsThread,
    judge: &Judge,
    slice: &[OpId],
    overwrite: bool,
    report: &mut UndoReport,
) -> Result<(), Error> {
    let (deciding, ops) = (judge.clone(), slice.to_vec());
    let results = thread
        .call(move |effects| {
            undo::take_back(effects, &ops, overwrite, &mut |action, resolved| permitted(&deciding, action, resolved))
        })
        .map_err(Error::store)?;
    for (op, failure) in results {
        match failure {
            None => report.undone += 1,
            Some(Failure { kind: FailureKind::Stopped, .. }) => report.stopped = true,
            Some(Failure { kind: FailureKind::Broken, message, .. }) => return Err(Error::store(message)),
            Some(Failure { message, .. }) => {
                judge.recorder.log_lazily(vec![Event::UndoRefused { op, why: message.clone() }]);
                report.left += 1;
                if report.conflicts.len() < TOLD {
                    report.conflicts.push((op, message));
                }
            }
        }
    }
    Ok(())
}

/// Leave from the gate, as an undo asks for it.
fn permitted(judge: &Judge, action: FileChange, resolved: &mut Resolved) -> Result<Permit<FileChange>, Failure> {
    judge
        .decide(action, resolved, Vec::new(), None)
        .map_err(|refusal| Failure::new(FailureKind::Denied, refusal.message))
}

fn words_of(change: &Change) -> String {
    let at = |spot: &raincoat_types::Spot| spot.path.display();
    match change {
        Change::Create { at: spot, .. } => format!("bring back {}", at(spot)),
        Change::Replace { at: spot, .. } => format!("put the old content back into {}", at(spot)),
        Change::Remove { at: spot, .. } => format!("take away {}", at(spot)),
        Change::Move { from, to, .. } => format!("move {} back to {}", at(from), at(to)),
        Change::Link { at: spot, .. } => format!("bring back the name {}", at(spot)),
        Change::SetMeta { at: spot, .. } => format!("give {} its times and permissions back", at(spot)),
    }
}
