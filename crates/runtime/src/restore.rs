//! Putting a file or a folder back as it was at an earlier time, in its place or elsewhere. It is a run of the person's
//! own, so undo takes it back.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use raincoat_audit::export::rfc3339;
use raincoat_audit::{About, Event};
use raincoat_effects::restore::{self, Item, Plan, What};
use raincoat_journal::{Moment, Rewind, Standing};
use raincoat_os::{Root, beneath, new_ulid};
use raincoat_types::{
    Actor, FailureKind, GrantId, RawPath, RelPath, Root as RunRoot, RunEnd, RunHeader, RunId, RunKind, RunStatus, Spot,
    Timestamp, Ulid, display_bytes,
};

use crate::console::Console;
use crate::live::Live;
use crate::session::Session;
use crate::undo::{find_run, permitted};
use crate::{Class, Error, Keeper};

/// Steps between two looks at the stop flag.
const SLICE: usize = 1024;

/// What to put back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestoreAsk {
    /// The file or folder, absolute.
    pub path: PathBuf,
    /// To when.
    pub when: When,
    /// Into a new or empty place (absolute), leaving the original as it is.
    pub to: Option<PathBuf>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// A point in time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum When {
    /// This one.
    At(Timestamp),
    /// Just before this run began; a part of its id will do.
    Before(String),
}

/// What came of a restore.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestoreReport {
    /// The restore's own run; `None` for a dry run, or where everything is as it was.
    pub run: Option<RunId>,
    /// The time that was meant.
    pub at: Timestamp,
    /// What is done, file by file.
    pub items: Vec<Item>,
    /// Files put back, moved or taken away.
    pub done: u32,
    /// What was left as it is, and why: absolute path and words.
    pub left: Vec<(String, String)>,
    /// It was stopped before its end.
    pub stopped: bool,
}

impl Keeper {
    /// Puts a file or a folder back.
    ///
    /// # Errors
    /// Where there is no such run, nothing was at the path then, the place is taken, or our own store failed.
    pub fn restore(
        &self,
        ask: RestoreAsk,
        stop: Arc<AtomicBool>,
        console: &mut dyn Console,
    ) -> Result<RestoreReport, Error> {
        let session = self.session(&mut |recovered| console.notice(&recovered.words))?;
        let report = self.restore_in(&session, &ask, stop, console);
        session.close()?;
        report
    }

    fn restore_in(
        &self,
        session: &Session,
        ask: &RestoreAsk,
        stop: Arc<AtomicBool>,
        console: &mut dyn Console,
    ) -> Result<RestoreReport, Error> {
        let path = ask.path.as_os_str().as_bytes().to_vec();
        let (moment, rewind) = self.rewind(session, &path, &ask.when)?;
        let mut report =
            RestoreReport { run: None, at: moment.0, items: Vec::new(), done: 0, left: Vec::new(), stopped: false };
        let run = RunId(new_ulid(self.clock.as_ref()).map_err(Error::io("make an id"))?);
        // The folder within which everything is done, and nothing outside of it.
        let home = match rewind.at(&path) {
            Standing::Known(node) if node.now.as_deref() == Some(&path) && is_dir(&ask.path) => ask.path.clone(),
            Standing::AsNow(now) if now == path && ask.to.is_none() => return Ok(report),
            _ => existing_above(&ask.path),
        };
        let mut roots = vec![self.open_for_person(&home)?];
        let mut target = None;
        if let Some(to) = &ask.to {
            let (root, at) = self.elsewhere(to)?;
            target = Some(Spot { grant: root.grant, path: at });
            roots.push(root);
        }
        if let (Standing::Nothing, Some(_)) = (rewind.at(&path), &target) {
            let words = format!("nothing was at `{}` then", display_bytes(&path));
            return Err(
                Error::new(Class::Usage, words).hint(format!("`raincoat history {}` tells when", display_bytes(&path)))
            );
        }
        let mut folders = self.recorded_folders(&roots)?;
        if target.is_some()
            && let Some(original) = folders.writable.first_mut()
        {
            *original = false;
        }
        let recorder = session.recorder.speaking_for(About::run(run, Actor::Person));
        let judge = self.judge_of_person(folders.compiled.clone(), run, recorder.clone());
        let thread = self.effects_thread(run, folders, &judge, stop.clone(), console)?;
        let (root, at, to) = (roots.first().cloned().ok_or_else(crate::undo::nothing)?, path.clone(), target);
        let plan: Plan = thread
            .call(move |effects| match &to {
                Some(to) => restore::copy_plan(effects, &root, &at, &rewind, to),
                None => restore::plan(effects, &root, &at, &rewind),
            })
            .map_err(Error::store)?;
        report.items = plan.items;
        for item in &report.items {
            if let What::Leave(why) = &item.what {
                report.left.push((display_bytes(&item.path), why.clone()));
            }
        }
        if ask.dry_run || (plan.steps.is_empty() && plan.times.is_empty()) {
            return Ok(report);
        }
        let _live = Live::begin(&self.state, run)?;
        let goal = format!("restore {} to {}", display_bytes(&path), moment.0.secs);
        let kind = RunKind::Restore;
        let grants = roots.iter().map(|root| root.grant).collect();
        let begins = RunHeader {
            run,
            at: self.clock.now(),
            actor: Actor::Person,
            goal: goal.clone(),
            kind: kind.clone(),
            roots,
        };
        recorder.log(vec![Event::RunBegan { goal, kind, grants }]).map_err(Error::store)?;
        recorder.journal(move |journal| journal.begin_run(&begins)).map_err(Error::store)?.map_err(Error::store)?;
        report.run = Some(run);
        let total = plan.steps.len() as u64;
        for (n, slice) in plan.steps.chunks(SLICE).enumerate() {
            if stop.load(Ordering::Relaxed) {
                report.stopped = true;
                break;
            }
            let (deciding, steps) = (judge.clone(), slice.to_vec());
            let results = thread
                .call(move |effects| {
                    restore::carry_out(effects, &steps, &mut |action, resolved| permitted(&deciding, action, resolved))
                })
                .map_err(Error::store)?;
            for ((spot, _), failure) in slice.iter().zip(results) {
                match failure {
                    None => report.done += 1,
                    Some(failure) if failure.kind == FailureKind::Stopped => report.stopped = true,
                    Some(failure) if failure.kind == FailureKind::Broken => return Err(Error::store(failure.message)),
                    Some(failure) => report.left.push((spot.path.display(), failure.message)),
                }
            }
            console.status("restore", Some((((n + 1) * SLICE) as u64, total)));
        }
        if !report.stopped {
            let (deciding, times) = (judge.clone(), plan.times);
            thread
                .call(move |effects| {
                    restore::give_times_back(effects, times, &mut |action, resolved| {
                        permitted(&deciding, action, resolved)
                    })
                })
                .map_err(Error::store)?;
        }
        let finished = thread.call(raincoat_effects::Effects::finish).map_err(Error::store)?;
        drop(thread);
        let summary = format!("{} put back, {} left as they are", report.done, report.left.len());
        let (status, summary) = match finished {
            Err(failure) => (RunStatus::Failed, failure.message),
            Ok(()) if report.stopped => (RunStatus::Stopped, summary),
            Ok(()) if !report.left.is_empty() => (RunStatus::Failed, summary),
            Ok(()) => (RunStatus::Done, summary),
        };
        let end = RunEnd { run, at: self.clock.now(), status, summary: summary.clone() };
        recorder.journal(move |journal| journal.end_run(&end)).map_err(Error::store)?.map_err(Error::store)?;
        let put_back = Event::RestoreDone {
            path: RawPath(path),
            at: match &ask.when {
                When::At(at) => rfc3339(*at, 0),
                When::Before(_) => format!("before run {}", moment.1.run),
            },
            to: ask.to.as_ref().map(|to| RawPath(to.as_os_str().as_bytes().to_vec())),
            files: u64::from(report.done),
            failed: report.left.len() as u64,
        };
        recorder.log(vec![put_back, Event::RunEnded { status, summary }]).map_err(Error::store)?;
        Ok(report)
    }

    /// Everything since, turned round.
    fn rewind(&self, session: &Session, path: &[u8], when: &When) -> Result<(Moment, Rewind), Error> {
        let (path, when) = (path.to_vec(), when.clone());
        session
            .recorder
            .journal(move |journal| {
                let moment = match &when {
                    When::At(at) => {
                        (*at, raincoat_types::OpId { run: RunId(Ulid::from_bytes([0xff; 16])), seq: u32::MAX })
                    }
                    When::Before(run) => {
                        let header = journal.run(find_run(journal, Some(run))?).map_err(Error::store)?.header;
                        (header.at, raincoat_types::OpId { run: header.run, seq: 0 })
                    }
                };
                let mut rewind = Rewind::new();
                for past in journal.since(&path, moment).map_err(Error::store)? {
                    rewind.take(&past);
                }
                rewind.follow(&path);
                Ok::<_, Error>((moment, rewind))
            })
            .map_err(Error::store)?
    }

    /// A folder that a person means to have changed, for this run alone. Never one of our own.
    fn open_for_person(&self, folder: &Path) -> Result<RunRoot, Error> {
        let shown = display_bytes(folder.as_os_str().as_bytes());
        let root = Root::open(folder).map_err(|e| {
            Error::new(Class::Usage, format!("`{shown}` cannot be opened: {e}")).hint("name a folder that exists")
        })?;
        let above = root.path().ancestors().filter_map(|path| beneath::identity_of(path).ok());
        if above.into_iter().any(|identity| self.own.dirs.contains(&identity)) {
            let words = format!("`{shown}` is raincoat's own; nothing is restored there");
            return Err(Error::new(Class::Refused, words).hint("name another folder"));
        }
        let path = root.path().as_os_str().as_bytes().to_vec();
        let grant = GrantId(new_ulid(self.clock.as_ref()).map_err(Error::io("make an id"))?);
        Ok(RunRoot { grant, path, identity: root.identity() })
    }

    /// A new or empty place: the folder that it is in, and its path there.
    fn elsewhere(&self, to: &Path) -> Result<(RunRoot, RelPath), Error> {
        let shown = display_bytes(to.as_os_str().as_bytes());
        let root = self.open_for_person(to.parent().unwrap_or(Path::new("/")))?;
        let name =
            to.file_name().ok_or_else(|| Error::new(Class::Usage, format!("`{shown}` cannot be a new place")))?;
        let at =
            RelPath::ROOT.join(name.as_bytes()).map_err(|e| Error::new(Class::Usage, format!("`{shown}`: {e}")))?;
        let taken = || {
            Error::new(Class::Usage, format!("`{shown}` is there already, and not an empty folder"))
                .hint("name a place where nothing is yet")
        };
        match raincoat_effects::look(to) {
            None => Ok((root, at)),
            Some(there) if there.kind == raincoat_types::FileKind::Dir => match Root::open(to) {
                Ok(folder) if is_empty(&folder) => Ok((root, at)),
                _ => Err(taken()),
            },
            Some(_) => Err(taken()),
        }
    }
}

fn is_empty(folder: &Root) -> bool {
    use std::os::fd::AsFd;
    let opened = beneath::open_dir_for_reading(folder.as_fd(), b".");
    opened.and_then(|fd| beneath::names_in(fd.as_fd())).is_ok_and(|names| names.is_empty())
}

fn is_dir(path: &Path) -> bool {
    raincoat_effects::look(path).is_some_and(|there| there.kind == raincoat_types::FileKind::Dir)
}

/// The nearest folder above a path that exists.
fn existing_above(path: &Path) -> PathBuf {
    path.ancestors().skip(1).find(|folder| is_dir(folder)).unwrap_or(Path::new("/")).to_path_buf()
}
