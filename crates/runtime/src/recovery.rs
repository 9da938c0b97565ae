//! After a crash: every run whose keeper died is looked at, its pending operations finished or rolled back, and the
//! person told.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use raincoat_audit::Event;
use raincoat_effects::commit::{Begin, CarriedThrough, Lying, Point, Source};
use raincoat_effects::outcome;
use raincoat_effects::thread::EffectsThread;
use raincoat_journal::{Interrupted, NoteKind, Order};
use raincoat_os::Root;
use raincoat_types::{Change, OpId, OpRecord, OpResult, RunEnd, RunHeader, RunId, RunKind, RunStatus};

use crate::around::within;
use crate::drafts::drafts_error;
use crate::session::Session;
use crate::{Class, Error, Keeper};

/// An interrupted run that was settled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovered {
    /// The run.
    pub run: RunId,
    /// What was asked of it.
    pub goal: String,
    /// Operations that turned out done.
    pub finished: u32,
    /// Operations that were rolled back, or had not begun.
    pub rolled_back: u32,
    /// In words, for the person.
    pub words: String,
}

impl Keeper {
    pub(crate) fn recover(&self, session: &Session, interrupted: Interrupted) -> Result<Recovered, Error> {
        let run = interrupted.header.run;
        if let RunKind::Commit { of } = interrupted.header.kind {
            return self.recover_commit(session, interrupted, of);
        }
        let (mut finished, mut rolled_back) = (0, 0);
        let mut words = String::new();
        if !interrupted.pending.is_empty() || !interrupted.header.roots.is_empty() {
            match self.look_again(session, &interrupted) {
                Ok(results) => {
                    let changes: Vec<_> = interrupted.pending.iter().map(|record| &record.intent).collect();
                    let change_of = |op| changes.iter().find(|intent| intent.op == op).map(|intent| &intent.change);
                    let about = within(run, interrupted.header.actor.clone(), &interrupted.header.roots);
                    let events = results.iter().map(|(op, result)| outcome(*op, change_of(*op), result)).collect();
                    session.recorder.speaking_for(about).log_lazily(events);
                    for (op, result) in results {
                        match &result {
                            OpResult::Done { .. } => finished += 1,
                            _ => rolled_back += 1,
                        }
                        session
                            .recorder
                            .journal(move |journal| journal.settle(op, result))
                            .map_err(Error::store)?
                            .map_err(Error::store)?;
                    }
                }
                // The folder is away (a disk not mounted): the run stays as it is until it is back.
                Err(error) => words = format!("; {error}"),
            }
        }
        if !words.is_empty() {
            let words =
                format!("run {run} (`{}`) was interrupted and cannot be settled yet{words}", interrupted.header.goal);
            return Ok(Recovered { run, goal: interrupted.header.goal, finished, rolled_back, words });
        }
        let words = format!(
            "run {run} (`{}`) was interrupted; {} pending {} looked at: {finished} done, {rolled_back} rolled back. undo all of it with: raincoat undo {run}",
            interrupted.header.goal,
            interrupted.pending.len(),
            if interrupted.pending.len() == 1 { "change was" } else { "changes were" },
        );
        let end = RunEnd { run, at: self.clock.now(), status: RunStatus::Interrupted, summary: words.clone() };
        self.tell_recovered(session, &interrupted.header, (finished, rolled_back), &words)?;
        session.recorder.journal(move |journal| journal.end_run(&end)).map_err(Error::store)?.map_err(Error::store)?;
        Ok(Recovered { run, goal: interrupted.header.goal, finished, rolled_back, words })
    }

    /// A commit is carried through, or all of it is taken back: never a part.
    fn recover_commit(&self, session: &Session, interrupted: Interrupted, of: RunId) -> Result<Recovered, Error> {
        let (run, goal) = (interrupted.header.run, interrupted.header.goal.clone());
        let (words, status, finished, rolled_back) = match self.carry_through(session, &interrupted) {
            Ok((through, stays, events)) => {
                let count = u32::try_from(through.results.len()).unwrap_or(u32::MAX);
                let about = within(run, interrupted.header.actor.clone(), &interrupted.header.roots);
                session.recorder.speaking_for(about).log_lazily(events);
                let results = through.results;
                session
                    .recorder
                    .journal(move |journal| journal.settle_all(&results))
                    .map_err(Error::store)?
                    .map_err(Error::store)?;
                let mut words = match (through.forward, count) {
                    (true, _) => format!(
                        "the commit {run} (`{goal}`) was interrupted and has been carried through; take it back with: raincoat undo {run}"
                    ),
                    (false, 0) => {
                        format!("the commit {run} (`{goal}`) was interrupted before anything was changed; commit again")
                    }
                    (false, _) => {
                        format!("the commit {run} (`{goal}`) was interrupted; nothing of it stands; commit again")
                    }
                };
                for more in through.words {
                    words.push_str("; ");
                    words.push_str(&more);
                }
                if through.forward && !stays {
                    // What lies in it now is what came out of the folder.
                    self.open_drafts()?.close(of).map_err(drafts_error)?;
                }
                if through.forward {
                    (words, RunStatus::Done, count, 0)
                } else {
                    (words, RunStatus::Interrupted, 0, count)
                }
            }
            // A folder is away, or the disk fails: the commit stays as it is until that is mended.
            Err(error) => {
                let words = format!("the commit {run} (`{goal}`) was interrupted and cannot be settled yet; {error}");
                return Ok(Recovered { run, goal, finished: 0, rolled_back: 0, words });
            }
        };
        let end = RunEnd { run, at: self.clock.now(), status, summary: words.clone() };
        self.tell_recovered(session, &interrupted.header, (finished, rolled_back), &words)?;
        session.recorder.journal(move |journal| journal.end_run(&end)).map_err(Error::store)?.map_err(Error::store)?;
        // A draft that was closed is wiped.
        self.open_drafts()?;
        Ok(Recovered { run, goal, finished, rolled_back, words })
    }

    fn tell_recovered(
        &self,
        session: &Session,
        header: &RunHeader,
        (finished, rolled_back): (u32, u32),
        words: &str,
    ) -> Result<(), Error> {
        let run = header.run;
        let events = vec![
            Event::Recovered { run, what: words.to_owned() },
            Event::RecoveryDone { run, finished: u64::from(finished), rolled_back: u64::from(rolled_back) },
        ];
        let recorder = session.recorder.speaking_for(within(run, header.actor.clone(), &header.roots));
        recorder.log(events).map_err(Error::store)
    }

    /// What was made of it, whether its draft goes on, and what the log says of each operation.
    fn carry_through(
        &self,
        session: &Session,
        interrupted: &Interrupted,
    ) -> Result<(CarriedThrough, bool, Vec<Event>), Error> {
        let run = interrupted.header.run;
        let (point, records) = session
            .recorder
            .journal(move |journal| {
                let mut point: Option<Vec<u8>> = None;
                journal.for_each_note(run, NoteKind::CommitPoint, |bytes| point = Some(bytes.to_vec()))?;
                let mut records: Vec<OpRecord> = Vec::new();
                journal.for_each_op(run, Order::Forward, |record| {
                    records.push(record);
                    ControlFlow::Continue(())
                })?;
                Ok::<_, raincoat_journal::JournalError>((point, records))
            })
            .map_err(Error::store)?
            .map_err(Error::store)?;
        let point = match point {
            Some(bytes) => Some(Point::read(&bytes).ok_or_else(|| {
                Error::new(
                    Class::Damaged,
                    "its commit point is of another version of raincoat; settle it with that one",
                )
            })?),
            None => None,
        };
        let folders = self.recorded_folders(&interrupted.header.roots)?;
        let sources =
            point.as_ref().map_or_else(Vec::new, |point| point.sources().iter().map(|at| found(at.as_ref())).collect());
        let stays = point.as_ref().is_some_and(Point::stays);
        let (start, writable) =
            folders.into_start(self, run, session.recorder.clone(), Arc::new(AtomicBool::new(false)));
        let thread = EffectsThread::for_commit(start, &writable, Begin { sources, stays }).map_err(Error::store)?;
        let (through, records) = thread
            .call(move |effects| (effects.recover_commit(point.as_ref(), &records), records))
            .map_err(Error::store)?;
        let through = through.map_err(|failure| Error::new(Class::Conflict, failure.message))?;
        let changes: HashMap<OpId, &Change> =
            records.iter().map(|record| (record.intent.op, &record.intent.change)).collect();
        let told = |(op, result): &(OpId, OpResult)| outcome(*op, changes.get(op).copied(), result);
        let events = through.results.iter().map(told).collect();
        Ok((through, stays, events))
    }

    /// On a confined thread, as when the run itself worked.
    fn look_again(&self, session: &Session, interrupted: &Interrupted) -> Result<Vec<(OpId, OpResult)>, Error> {
        let run = interrupted.header.run;
        let folders = self.recorded_folders(&interrupted.header.roots)?;
        let (start, writable) =
            folders.into_start(self, run, session.recorder.clone(), Arc::new(AtomicBool::new(false)));
        let thread = EffectsThread::start(start, &writable).map_err(Error::store)?;
        let pending = interrupted.pending.clone();
        // All together: what settling one does to a folder's times is what undo of another must expect.
        let results = thread.call(move |effects| effects.recover_all(&pending)).map_err(Error::store)?;
        // A power cut can bring a temporary name back that was taken away after its operation had ended.
        let with_temp = session
            .recorder
            .journal(move |journal| {
                let mut records: Vec<OpRecord> = Vec::new();
                journal.for_each_op(run, Order::Reverse, |record| {
                    if record.intent.temp.is_some() && record.result.is_some() {
                        records.push(record);
                    }
                    // Folders are synced at least at every second batch, so only the last few can be affected.
                    if records.len() < 512 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                })?;
                Ok::<_, raincoat_journal::JournalError>(records)
            })
            .map_err(Error::store)?
            .map_err(Error::store)?;
        thread
            .call(move |effects| with_temp.iter().for_each(|record| effects.tidy_up(record)))
            .map_err(Error::store)?;
        Ok(results)
    }
}

/// One folder's part of the draft, if it is where it was, and the same.
fn found(lying: Option<&Lying>) -> Option<Source> {
    let lying = lying?;
    let open = |path: &[u8], identity| {
        Root::open(Path::new(OsStr::from_bytes(path))).ok().filter(|root| root.identity() == identity)
    };
    Some(Source {
        upper: open(&lying.upper, lying.upper_identity)?,
        stage: open(&lying.stage, lying.stage_identity)?,
        ended: lying.ended,
    })
}
