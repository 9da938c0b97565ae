//! A run: one task of one agent, from its folders to its end in the journal and the log.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use raincoat_audit::{About, Event, Judgement};
use raincoat_effects::thread::EffectsThread;
use raincoat_effects::{Door, is_on_this_machine};
use raincoat_gate::Confirm;
use raincoat_journal::NoteKind;
use raincoat_os::new_ulid;
use raincoat_os::process::spawn_worker;
use raincoat_types::wire::{Job, JobRoot, Task};
use raincoat_types::{Actor, Modes, RawPath, RunEnd, RunHeader, RunId, RunKind, RunStatus, display_bytes};

use crate::console::Console;
use crate::converse::Conversation;
use crate::course::Course;
use crate::folders::{FolderAsk, RunFolders};
use crate::judge::Judge;
use crate::labels::{Labels, Transcript};
use crate::live::Live;
use crate::plan::Hands;
use crate::providers::{Chosen, key_used};
use crate::session::Session;
use crate::{Class, Error, Keeper, worker};

/// A task to be done.
#[derive(Clone, Debug)]
pub struct RunAsk {
    /// The task.
    pub task: Task,
    /// The folders, absolute; each granted, or within a granted one.
    pub dirs: Vec<PathBuf>,
    /// The agent's name, for a task with a model.
    pub agent: String,
    /// The provider, for a task with a model; the configured default where it is `None`.
    pub provider: Option<String>,
    /// The model, where not the provider's own.
    pub model: Option<String>,
    /// Show each plan before it is made.
    pub confirm: bool,
    /// No network but this machine's.
    pub offline: bool,
    /// Go on with this interrupted run's conversation.
    pub resume: Option<String>,
    /// Local time's offset from UTC, in seconds.
    pub utc_offset_secs: i32,
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunReport {
    /// The run.
    pub run: RunId,
    /// How.
    pub status: RunStatus,
    /// In words, for the person.
    pub summary: String,
    /// Operations made, each undoable.
    pub changes: u32,
    /// Proposals that failed.
    pub failed: u32,
    /// Proposals that were refused.
    pub refused: u32,
    /// It failed because the model, its provider or the network did.
    pub peer_failed: bool,
}

impl Keeper {
    /// Does a task: starts a worker, carries what it proposes to the gate and to the effects, and ends the run.
    ///
    /// # Errors
    /// Where the run could not begin, or our own store failed. A task that did not succeed is a report, not an error.
    pub fn run(&self, ask: RunAsk, stop: Arc<AtomicBool>, console: &mut dyn Console) -> Result<RunReport, Error> {
        let (actor, goal) = match &ask.task {
            Task::Recipe { name, options } => (Actor::Recipe(name.clone()), recipe_goal(name, options)),
            Task::Prompt(text) => (Actor::Agent(ask.agent.clone()), text.clone()),
        };
        let asks: Vec<FolderAsk> = ask.dirs.iter().map(|path| FolderAsk { path: path.clone() }).collect();
        let confirm = if ask.confirm { Confirm::Plans } else { Confirm::Never };
        let mut modes = self.modes(None)?;
        modes.set(Modes::OFFLINE, ask.offline || modes.contains(Modes::OFFLINE));
        let provider = self.provider_for(&ask);
        // Which folders are granted is told first, and the same whatever model there is.
        let leaves = provider.as_ref().is_ok_and(|chosen| chosen.as_ref().is_some_and(leaves_machine));
        let folders = self.task_folders(&asks, &actor, confirm, leaves);
        let mut folders = folders.map_err(|error| self.not_begun(&actor, &ask.dirs, "no-grant", error))?;
        let provider = provider?;
        let mut policy = folders.compiled.policy.clone();
        policy.providers = provider.iter().map(|(config, _)| config.name.clone()).collect();
        policy.modes = modes;
        policy.model_elsewhere = leaves;
        folders.compiled = Arc::new(folders.compiled.with_policy(policy));
        let session = self.session(&mut |recovered| console.notice(&recovered.words))?;
        let run = RunId(new_ulid(self.clock.as_ref()).map_err(Error::io("make an id"))?);
        let _live = Live::begin(&self.state, run)?;
        let recorder = session.recorder.speaking_for(About::run(run, actor.clone()).within(folders.granted()));
        let door = match &provider {
            Some((config, key)) => {
                let endpoint = raincoat_effects::Endpoint {
                    base_url: config.base_url.clone(),
                    model: ask.model.clone().or_else(|| config.model.clone()).unwrap_or_default(),
                    key: key.clone(),
                };
                let door =
                    Door::new(endpoint, modes.contains(Modes::OFFLINE), self.config.limits.clone(), recorder.clone());
                let door = door.map_err(|f| Error::new(Class::Usage, f.message))?;
                recorder.log_lazily(key_used(config).into_iter().collect());
                Some((config.name.clone(), door.keeping_transcripts(modes.contains(Modes::AUDIT))))
            }
            None => None,
        };
        let earlier = match &ask.resume {
            Some(text) => Some(self.transcript_of(&session, text)?),
            None => None,
        };
        let (label, transcript) = earlier.map_or((None, Vec::new()), |earlier| (earlier.label, earlier.bytes));
        let labels = matches!(ask.task, Task::Prompt(_)).then(|| Labels::begin(&goal, label.clone()));
        let unclear = labels.as_ref().is_some_and(Labels::is_unclear);
        let mut job = self.job(&ask, &folders, provider.map(|(config, _)| config), transcript)?;
        job.unclear = unclear;
        let header = RunHeader {
            run,
            at: self.clock.now(),
            actor: actor.clone(),
            goal: goal.clone(),
            kind: RunKind::Task,
            roots: folders.roots.clone(),
        };
        let asker = self.asker(&actor, run, &folders.roots, ask.utc_offset_secs)?;
        let earlier = self.spent_today(&actor)?;
        let budgets = self.config.budgets.clone();
        let course = Course::begin(&actor, self.clock.now(), budgets, folders.ceilings.clone(), earlier);
        label.iter().for_each(|label| course.carry(label));
        let judge = Judge {
            compiled: folders.compiled.clone(),
            actor,
            run,
            clock: self.clock.clone(),
            recorder: recorder.clone(),
            course: Arc::new(course),
            scoped: Arc::new(folders.names.scoped.clone()),
            asker,
            lead: None,
        };
        let began =
            Event::RunBegan { goal, kind: RunKind::Task, grants: folders.roots.iter().map(|r| r.grant).collect() };
        recorder.log(vec![began]).map_err(Error::store)?;
        recorder.journal(move |journal| journal.begin_run(&header)).map_err(Error::store)?.map_err(Error::store)?;

        let behind = folders.behind.clone();
        let thread = self.effects_thread(run, folders, &judge, stop.clone(), console)?;
        let arguments = worker::arguments(&self.config.limits);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let worker = spawn_worker(&arguments).map_err(Error::io("start the worker"))?;
        let mut conversation = Conversation::new(
            self,
            Hands { thread: &thread, judge: &judge },
            door.as_ref(),
            worker,
            behind,
            stop,
            console,
        )?
        .labelled(labels);
        let ended = conversation.hold(job);
        let (tally, peer_failed) = (conversation.tally, conversation.peer_failed);
        drop(conversation);
        let finished = thread.call(raincoat_effects::Effects::finish).map_err(Error::store)?;
        drop(thread);
        self.add_to_today(&judge.actor, &judge.course)?;
        let (mut status, mut summary) = match ended {
            Ok(ended) => ended,
            Err(error) if error.class == Class::Damaged => return Err(error),
            // Whatever else went wrong, the run has an end, and what was done stays undoable.
            Err(error) => (RunStatus::Failed, error.message),
        };
        if let Err(failure) = finished {
            status = RunStatus::Failed;
            summary = failure.message;
        }
        let end = RunEnd { run, at: self.clock.now(), status, summary: summary.clone() };
        recorder.journal(move |journal| journal.end_run(&end)).map_err(Error::store)?.map_err(Error::store)?;
        recorder.log(vec![Event::RunEnded { status, summary: summary.clone() }]).map_err(Error::store)?;
        drop((judge, recorder, door));
        session.tell_of_room(console);
        session.close()?;
        Ok(RunReport {
            run,
            status,
            summary,
            changes: tally.changes,
            failed: tally.failed,
            refused: tally.refused,
            peer_failed: peer_failed && status == RunStatus::Failed,
        })
    }

    /// A task that may not even begin stands in the log all the same.
    pub(crate) fn not_begun(&self, actor: &Actor, dirs: &[PathBuf], rule: &str, error: Error) -> Error {
        if error.class != Class::Refused {
            return error;
        }
        let event = Event::Proposed {
            action: format!("do as {}", actor.name()),
            targets: dirs.iter().map(|dir| RawPath(dir.as_os_str().as_bytes().to_vec())).collect(),
            digest: None,
            verdict: Judgement::Deny,
            rule: rule.to_owned(),
            reason: error.message.clone(),
        };
        self.log_alone(vec![event]).err().unwrap_or(error)
    }

    /// The run's confined thread. Layers that are missing here are said and logged.
    pub(crate) fn effects_thread(
        &self,
        run: RunId,
        folders: RunFolders,
        judge: &Judge,
        stop: Arc<AtomicBool>,
        console: &mut dyn Console,
    ) -> Result<EffectsThread, Error> {
        let (start, writable) = folders.into_start(self, run, judge.recorder.clone(), stop);
        let thread = EffectsThread::start(start, &writable).map_err(|words| {
            Error::new(Class::Environment, format!("the run's thread could not be confined: {words}"))
                .hint("`raincoat doctor` tells more")
        })?;
        let missing: Vec<_> = thread.layers().iter().filter(|layer| !layer.is_enforced()).cloned().collect();
        for layer in missing {
            console.notice(&format!("not enforced here: {} ({}); see `raincoat doctor`", layer.name, layer.why));
            judge.course.misses(&layer.name);
            judge
                .recorder
                .log_lazily(vec![Event::ProtectionMissing { layer: layer.name.into_owned(), why: layer.why }]);
        }
        Ok(thread)
    }

    fn job(
        &self,
        ask: &RunAsk,
        folders: &RunFolders,
        provider: Option<raincoat_model::ProviderConfig>,
        transcript: Vec<u8>,
    ) -> Result<Job, Error> {
        let mut roots: Vec<JobRoot> = Vec::new();
        for (n, root) in folders.roots.iter().enumerate() {
            let last = root.path.rsplit(|b| *b == b'/').next().unwrap_or_default();
            let mut label = display_bytes(last);
            if label.is_empty() || roots.iter().any(|other| other.label == label) {
                label = format!("{label}-{}", n + 1);
            }
            let read_only = !folders.writable.get(n).copied().unwrap_or(false);
            roots.push(JobRoot { label, path: root.path.clone(), read_only });
        }
        let model = match provider {
            Some(config) => Some(self.job_model(ask, &config)?),
            None => None,
        };
        Ok(Job {
            task: ask.task.clone(),
            roots,
            model,
            unclear: false,
            limits: self.config.limits.clone(),
            now: (self.clock.now().secs, ask.utc_offset_secs),
            transcript,
        })
    }

    fn transcript_of(&self, session: &Session, text: &str) -> Result<Transcript, Error> {
        let text = text.to_owned();
        let found = session.recorder.journal(move |journal| {
            let run = journal.find_run_prefix(&text)?;
            let mut last = Vec::new();
            journal.for_each_note(run, NoteKind::Transcript, |bytes| last = bytes.to_vec())?;
            Ok::<_, raincoat_journal::JournalError>(last)
        });
        let transcript = found.map_err(Error::store)?.map_err(|e| Error::new(Class::Usage, e.to_string()))?;
        if transcript.is_empty() {
            return Err(Error::new(Class::Usage, "that run has no conversation to go on with"));
        }
        Transcript::parse(&transcript).ok_or_else(|| {
            Error::new(Class::Usage, "that run's conversation is kept in a format that this version does not know")
                .hint("start the task anew, or go on with it with the version that began it")
        })
    }
}

fn leaves_machine(chosen: &Chosen) -> bool {
    !is_on_this_machine(&chosen.0.base_url)
}

fn recipe_goal(name: &str, options: &[(String, String)]) -> String {
    let mut goal = name.to_owned();
    for (key, value) in options {
        goal.push_str(&format!(" {key}={value}"));
    }
    goal
}
