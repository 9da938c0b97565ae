//! Committing a draft, or part of one: a run of its own, the person's, all of it or nothing. It can be taken back like
//! any other.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use raincoat_audit::Event;
use raincoat_effects::Effects;
use raincoat_effects::commit::{Applied, Begin, Source};
use raincoat_effects::thread::EffectsThread;
use raincoat_os::{Root, new_ulid};
use raincoat_policy::GrantRecord;
use raincoat_types::{
    Actor, Expected, Failure, FailureKind, FileChange, Meta, Place, RawPath, RelPath, RunEnd, RunHeader, RunId,
    RunKind, RunStatus, Seen, Take,
};

use crate::around::within;
use crate::console::Console;
use crate::drafts::drafts_error;
use crate::folders::{RunFolders, record_of};
use crate::judge::Judge;
use crate::session::Session;
use crate::{Class, Error, Keeper};

/// Adoptions that are taken in between two looks at the stop flag and the progress.
const SLICE: usize = 1024;
/// Paths that are told one by one.
const TOLD: usize = 1000;

/// What is to be committed.
#[derive(Clone, Debug)]
pub struct CommitAsk {
    /// The program's run.
    pub of: RunId,
    /// The program: what a grant lets it do bounds what of its draft is committed.
    pub by: Actor,
    /// What was asked, in words.
    pub goal: String,
    /// The folders, as the program's run recorded them.
    pub roots: Vec<raincoat_types::Root>,
    /// Where the draft's part for each folder lies, in their order.
    pub sources: Vec<DraftSource>,
    /// What is to be adopted, in an order in which it can be: a folder before what is made in it, and after what goes
    /// from it.
    pub items: Vec<Adoption>,
    /// Paths with protected names that the person named, each with its folder's number.
    pub dangerous: Vec<(usize, RelPath)>,
    /// The draft goes on after this commit (only a part of it is committed): what comes out of the folders is then
    /// cleared out of the draft.
    pub stays: bool,
}

/// Where one folder's part of a draft lies. Whether its files can be moved from there, or must be copied, is found out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DraftSource {
    /// The overlay's upper directory.
    pub upper: PathBuf,
    /// A private directory for prepared contents, and for what comes out of the folder.
    pub stage: PathBuf,
    /// The program has ended.
    pub ended: bool,
}

/// One name that is to be as in the draft.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Adoption {
    /// The folder's number.
    pub folder: usize,
    /// The path beneath it.
    pub path: RelPath,
    /// What comes there.
    pub take: Take,
    /// What must stand there now.
    pub expect: Expected,
    /// What was seen of the draft's file when it was reviewed.
    pub new: Option<Seen>,
    /// Metadata to give it, where not the draft's own.
    pub meta: Option<Meta>,
}

/// What came of a commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommitReport {
    /// The commit's own run: undo takes it back.
    pub run: RunId,
    /// Changes made; 0 where nothing was committed.
    pub changes: u32,
    /// Paths that were left out, and why. The rest was committed without them.
    pub refused: Vec<(String, String)>,
    /// Paths that somebody changed meanwhile, and how. Nothing was committed then.
    pub conflicts: Vec<(String, String)>,
    /// How the run ended.
    pub status: RunStatus,
    /// In words, for the person.
    pub summary: String,
}

/// What was said of a path that does not go along, or stands in the way.
enum Said {
    Refused(RelPath, String),
    Conflict(RelPath, String),
    Failed(Failure),
}

impl Keeper {
    /// Commits a draft, or a part of it.
    ///
    /// # Errors
    /// Where a folder is away, or our own store failed. What was refused and what stood in the way is in the report.
    pub(crate) fn commit_in(
        &self,
        session: &Session,
        ask: CommitAsk,
        stop: Arc<AtomicBool>,
        console: &mut dyn Console,
    ) -> Result<CommitReport, Error> {
        let run = RunId(new_ulid(self.clock.as_ref()).map_err(Error::io("make an id"))?);
        crate::freeze::thawed(&self.state)?;
        let grants = self.grants()?;
        let mut folders = self.recorded_with(&ask.roots, &|recorded, root| {
            let (grant, beneath) = self.grant_over(&grants, root, &ask.by)?;
            // The person commits; what the program was granted is all that can be committed of its work.
            let terms = GrantRecord { actions: grant.actions, deny: grant.deny, ..record_of(recorded) };
            Some((terms, beneath))
        })?;
        let mut policy = folders.compiled.policy.clone();
        policy.commit = Some(run);
        folders.compiled = Arc::new(folders.compiled.with_policy(policy));
        let recorder = session.recorder.speaking_for(within(run, Actor::Person, &ask.roots));
        let mut judge = self.judge_of_person(folders.compiled.clone(), run, recorder.clone());
        // The rules speak of who made the changes, not of who lets them in.
        judge.asker = self.asker(&ask.by, ask.of, &ask.roots, 0)?;
        judge.course.tighten(self.modes(Some(ask.of))?);
        let kind = RunKind::Commit { of: ask.of };
        let grants = ask.roots.iter().map(|root| root.grant).collect();
        let header = RunHeader {
            run,
            at: self.clock.now(),
            actor: Actor::Person,
            goal: ask.goal.clone(),
            kind: kind.clone(),
            roots: ask.roots.clone(),
        };
        let sources = ask.sources.iter().map(open).collect();
        let thread = self.commit_thread(run, folders, &judge, stop, Begin { sources, stays: ask.stays })?;
        recorder.log(vec![Event::RunBegan { goal: ask.goal.clone(), kind, grants }]).map_err(Error::store)?;
        recorder.journal(move |journal| journal.begin_run(&header)).map_err(Error::store)?.map_err(Error::store)?;

        let mut report = CommitReport {
            run,
            changes: 0,
            refused: Vec::new(),
            conflicts: Vec::new(),
            status: RunStatus::Done,
            summary: String::new(),
        };
        let mut failed: Option<Failure> = None;
        let mut left_out: Vec<(usize, RelPath, String)> = Vec::new();
        let total = ask.items.len() as u64;
        let mut done = 0;
        let mut items = ask.items.into_iter();
        loop {
            let slice: Vec<Adoption> = items.by_ref().take(SLICE).collect();
            if slice.is_empty() || failed.is_some() {
                break;
            }
            done += slice.len() as u64;
            let (deciding, dangerous, mut out) = (judge.clone(), ask.dangerous.clone(), std::mem::take(&mut left_out));
            let (said, out) = thread
                .call(move |effects| {
                    let said: Vec<Said> = slice
                        .into_iter()
                        .filter_map(|one| take_in(effects, &deciding, &dangerous, &mut out, one))
                        .collect();
                    (said, out)
                })
                .map_err(Error::store)?;
            left_out = out;
            for one in said {
                match one {
                    Said::Refused(path, why) => tell(&mut report.refused, &path, why),
                    Said::Conflict(path, why) => tell(&mut report.conflicts, &path, why),
                    Said::Failed(failure) => failed = failed.or(Some(failure)),
                }
            }
            console.status("commit", Some((done, total)));
        }
        let stays = ask.stays || !report.refused.is_empty();
        if failed.is_none() && report.conflicts.is_empty() {
            if stays {
                thread.call(Effects::draft_stays).map_err(Error::store)?;
            }
            let applied = thread.call(Effects::apply).map_err(Error::store)?;
            failed = take_over(&mut report, applied);
        } else {
            thread.call(Effects::abandon).map_err(Error::store)?;
        }
        drop(thread);
        if let Some(failure) = failed.as_ref().filter(|failure| failure.kind == FailureKind::Broken) {
            // The run stays open: the next start carries it through or takes it back.
            return Err(Error::store(&failure.message));
        }
        (report.status, report.summary) = summary(&report, failed);
        if report.status == RunStatus::Done && !stays {
            // What lies in it now is what came out of the folder. Before the end is recorded, so that whatever is
            // interrupted here is gone through again.
            self.open_drafts()?.close(ask.of).map_err(drafts_error)?;
        }
        let end = RunEnd { run, at: self.clock.now(), status: report.status, summary: report.summary.clone() };
        recorder.journal(move |journal| journal.end_run(&end)).map_err(Error::store)?.map_err(Error::store)?;
        let done = Event::CommitDone {
            of: ask.of,
            changes: u64::from(report.changes),
            left_out: report.refused.len() as u64,
            conflicts: report.conflicts.len() as u64,
        };
        let ended = Event::RunEnded { status: report.status, summary: report.summary.clone() };
        recorder.log(vec![done, ended]).map_err(Error::store)?;
        Ok(report)
    }

    /// The confined thread of a commit: it may change the run's folders and the draft.
    pub(crate) fn commit_thread(
        &self,
        run: RunId,
        folders: RunFolders,
        judge: &Judge,
        stop: Arc<AtomicBool>,
        begin: Begin,
    ) -> Result<EffectsThread, Error> {
        let (start, writable) = folders.into_start(self, run, judge.recorder.clone(), stop);
        EffectsThread::for_commit(start, &writable, begin).map_err(|words| {
            Error::new(Class::Environment, format!("the commit's thread could not be confined: {words}"))
                .hint("`raincoat doctor` tells more")
        })
    }
}

/// One folder's part of a draft, open; `None` where it is not there.
fn open(source: &DraftSource) -> Option<Source> {
    let at = |path: &Path| Root::open(path).ok();
    Some(Source { upper: at(&source.upper)?, stage: at(&source.stage)?, ended: source.ended })
}

/// Proposes one adoption. What is refused is left out, with what depends on it.
fn take_in(
    effects: &mut Effects,
    judge: &Judge,
    dangerous: &[(usize, RelPath)],
    left_out: &mut Vec<(usize, RelPath, String)>,
    one: Adoption,
) -> Option<Said> {
    let (folder, path) = (one.folder, one.path);
    // A folder that is left out keeps out what would be in it; what is left in a folder keeps it from going.
    let goes = one.take == Take::Nothing || (one.take == Take::FromDraft && one.expect != Expected::Absent);
    let over = |(n, out, _): &&(usize, RelPath, String)| {
        *n == folder && (path.starts_with(out) || (goes && out.starts_with(&path)))
    };
    if let Some((_, out, _)) = left_out.iter().find(over) {
        let why = format!("`{}` is left out, and this depends on it", out.display());
        return Some(Said::Refused(path, why));
    }
    let named = dangerous.iter().any(|(n, danger)| *n == folder && *danger == path);
    let said = RawPath(path.as_bytes().to_vec());
    let root = u16::try_from(folder).unwrap_or(u16::MAX);
    let action = FileChange::Adopt {
        at: Place { root, path: said.clone() },
        take: one.take,
        expect: one.expect,
        new: one.new.map(Box::new),
        meta: one.meta.map(Box::new),
        named,
    };
    let mut resolved = match effects.resolve_change(&action) {
        Ok(resolved) => resolved,
        Err(failure) => {
            judge.log_failure("adopt", vec![said], &failure);
            use FailureKind::{Broken, Changed, Exists, Full, NotFound, Stopped};
            return Some(match failure.kind {
                Changed | Exists | NotFound => Said::Conflict(path, failure.message),
                Broken | Full | Stopped => Said::Failed(failure),
                _ => {
                    left_out.push((folder, path.clone(), failure.message.clone()));
                    Said::Refused(path, failure.message)
                }
            });
        }
    };
    match judge.decide(action, &mut resolved, vec![said], None) {
        Ok(permit) => {
            effects.change(permit, resolved);
            None
        }
        Err(refusal) => {
            left_out.push((folder, path.clone(), refusal.message.clone()));
            Some(Said::Refused(path, refusal.message))
        }
    }
}

fn tell(list: &mut Vec<(String, String)>, path: &RelPath, why: String) {
    if list.len() < TOLD {
        list.push((path.display(), why));
    }
}

/// What the apply said, in the report; what failed beside.
fn take_over(report: &mut CommitReport, applied: Applied) -> Option<Failure> {
    report.changes = applied.changes;
    for (spot, why) in applied.conflicts {
        tell(&mut report.conflicts, &spot.path, why);
    }
    applied.failure
}

fn summary(report: &CommitReport, failed: Option<Failure>) -> (RunStatus, String) {
    let changes = |n: u32| if n == 1 { "1 change".to_owned() } else { format!("{n} changes") };
    match failed {
        Some(failure) if failure.kind == FailureKind::Stopped => (RunStatus::Stopped, failure.message),
        Some(failure) => (RunStatus::Failed, format!("nothing was committed: {}", failure.message)),
        None if !report.conflicts.is_empty() => {
            let words = "nothing was committed: files have been changed by somebody else meanwhile";
            (RunStatus::Failed, words.to_owned())
        }
        None if report.refused.is_empty() => (RunStatus::Done, format!("{} committed", changes(report.changes))),
        None => {
            let words = format!("{} committed, {} left out", changes(report.changes), report.refused.len());
            (RunStatus::Done, words)
        }
    }
}
