//! A program in a draft: enclosed, watched, and its work kept for review.

mod outfit;
mod watch;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use raincoat_audit::Event as Logged;
use raincoat_draft::{Draft, Drafts, NewDraft, Record, State};
use raincoat_effects::Recorder;
use raincoat_gate::{Confirm, Facts, Permit, Role, Ruled, Target, Verdict, decide};
use raincoat_net::proxy::ProxyRules;
use raincoat_os::new_ulid;
use raincoat_policy::{GrantRecord, compile};
use raincoat_sandbox::program::{ProgramLimits, Started, Streams, start};
use raincoat_types::{
    Actor, Digest, FileKind, ProgramRun, Proposal, RawPath, RelPath, Root as RunRoot, RunEnd, RunHeader, RunId,
    RunKind, RunStatus, Spot, display_bytes,
};

use crate::around::within;
use crate::console::Console;
use crate::drafts::{DraftChange, drafts_error, look_through};
use crate::folders::{is_or_lies_in, private_folders};
use crate::live::Live;
use crate::rules::Standing;
use crate::{Class, Error, Keeper};

pub(crate) use outfit::Opened;
use watch::Watched;

/// A program to run.
#[derive(Clone, Debug)]
pub struct ExecAsk {
    /// The command and its arguments.
    pub command: Vec<Vec<u8>>,
    /// Its whole environment.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// Its working directory, absolute.
    pub cwd: PathBuf,
    /// The folders that it works on in a draft, absolute.
    pub write: Vec<PathBuf>,
    /// The folders that it may read as they are, absolute.
    pub read: Vec<PathBuf>,
    /// Caches that outlive the run: where inside, and the directory of ours that stands behind it; both absolute.
    pub caches: Vec<(PathBuf, PathBuf)>,
    /// Empty folders of its own, absolute.
    pub empty: Vec<PathBuf>,
    /// Single files that it may read as they are, absolute.
    pub read_files: Vec<PathBuf>,
    /// Single files of which it gets a copy of its own, which is gone at the end; absolute.
    pub copied_files: Vec<PathBuf>,
    /// Secret names at the top of a folder that it may see all the same.
    pub secrets: Vec<String>,
    /// The profile's name.
    pub profile: Option<String>,
    /// The person's home directory.
    pub home: PathBuf,
    /// The hosts that it may reach; none: no network at all.
    pub hosts: Vec<String>,
    /// What it may use up.
    pub limits: ProgramLimits,
    /// Which of input, output and errors is a terminal.
    pub terminal: [bool; 3],
    /// Rows and columns of the terminal.
    pub size: (u16, u16),
    /// It may make user namespaces of its own.
    pub may_nest: bool,
    /// Run nothing where a layer is missing.
    pub strict: bool,
    /// Whether a commit of all of it follows at once: then nothing needs to be remembered for a later one.
    pub commits: Commits,
}

/// When a commit follows a program's end at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Commits {
    /// Never: the draft stays open for a while.
    Never,
    /// Where the program ended with 0.
    OnSuccess,
    /// In any case.
    Always,
}

/// How a program's standard streams reach the person. The command line implements this.
pub trait Passage {
    /// The program is about to start. `terminal` is the other end of its terminal, where it has one.
    fn begin(&mut self, terminal: Option<OwnedFd>, signals: Box<dyn Signals>);
    /// The program was stopped, as by Ctrl-Z; returns when it is to go on.
    fn stopped(&mut self);
    /// The program has ended: what it wrote last is passed on.
    fn end(&mut self);
}

/// Signals to the program.
pub trait Signals: Send {
    /// Sends one, by its number.
    fn send(&self, signal: i32);
}

/// How a program's run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExecReport {
    /// The run.
    pub run: RunId,
    /// The program's exit code; 128 and the signal's number where a signal ended it.
    pub code: i32,
    /// A limit that it came to, or another reason why it was ended, in words.
    pub ended_by: Option<String>,
    /// What the sandbox refused, each once.
    pub refused: Vec<Refused>,
    /// Changes that lie in the draft.
    pub changes: u64,
    /// Of these: changes under protected names, which a commit leaves out.
    pub dangerous: u64,
    /// Of these: what was changed in the folder meanwhile.
    pub conflicts: u64,
    /// The draft is open.
    pub open: bool,
}

/// Something that the sandbox refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// What, in words.
    pub what: String,
    /// How many times.
    pub times: u64,
    /// The flag or grant that would allow it; empty where nothing does.
    pub fix: &'static str,
}

/// Starts the process that will enclose a program. It is worth doing first: while the keys and the store are opened,
/// it comes up.
///
/// # Errors
/// The system's.
pub fn start_enclosing() -> Result<Started, Error> {
    start(Streams::default()).map_err(enclosing)
}

impl Keeper {
    /// Runs a program in a draft of the folders, to its end. What it changed stays in the draft.
    ///
    /// # Errors
    /// Where the program could not be enclosed or started, or our own store failed. How the program ended is in the
    /// report.
    pub fn exec(
        &self,
        ask: &ExecAsk,
        started: Started,
        stop: &Arc<AtomicBool>,
        passage: &mut dyn Passage,
        console: &mut dyn Console,
    ) -> Result<ExecReport, Error> {
        let actor = program(ask.profile.as_deref(), &ask.command);
        let rules = if ask.hosts.is_empty() { None } else { Some(rules_of(&ask.hosts)?) };
        let named = || ask.write.iter().chain(&ask.read).cloned().collect::<Vec<_>>();
        let opened = self.exec_folders(ask, &actor);
        let opened = opened.map_err(|error| self.not_begun(&actor, &named(), "never-granted", error))?;
        let run = RunId(new_ulid(self.clock.as_ref()).map_err(Error::io("make an id"))?);
        let permit = self.may_start(ask, run, &actor, &opened);
        let permit = permit.map_err(|error| self.not_begun(&actor, &named(), "exec", error))?;
        let _live = Live::begin(&self.state, run)?;
        let drafts = self.open_drafts()?;
        // Declared before what holds the draft, so that it acts when that has let go.
        let mut unbegun = Unbegun { drafts: &drafts, run: Some(run) };
        let prepared = self.prepare(ask, run, &opened)?;
        self.tell_reach(ask, &prepared, console);
        let plan = self.plan(ask, &opened, &prepared)?;
        // The enclosure is built while the journal and the log are opened.
        drop(permit.into_action());
        let mut program = started.enclose(&plan).map_err(enclosing)?;
        let session = self.session(&mut |recovered| console.notice(&recovered.words))?;
        let recorder = session.recorder.speaking_for(within(run, actor.clone(), &all_roots(&opened)));
        let begun = Begun { run, actor, goal: shown_command(&ask.command), roots: roots_of(&opened) };
        self.begin(&recorder, ask, &begun, &opened)?;
        let about = NewDraft { command: ask.command.clone(), profile: ask.profile.clone(), began: self.clock.now() };
        let draft = drafts.seal(prepared, about).map_err(drafts_error)?;
        unbegun.run = None;
        let watched = match program.ready() {
            Ok(ready) => self.watch(ask, program, ready, rules, &recorder, stop, passage, console),
            Err(fault) => Err(enclosing(fault)),
        };
        let watched = match watched {
            Ok(watched) => watched,
            Err(error) => {
                let ended_by = Some(error.message.clone());
                recorder.log_lazily(vec![Logged::ProgramEnded { code: NEVER_RAN, ended_by, changes: 0 }]);
                self.end(&recorder, run, RunStatus::Failed, &error.message)?;
                drop(recorder);
                session.leave()?;
                drafts.wipe_draft(draft).map_err(drafts_error)?;
                return Err(error);
            }
        };
        let follows = match ask.commits {
            Commits::Never => false,
            Commits::OnSuccess => watched.went_well(),
            Commits::Always => true,
        };
        let (report, draft) = self.look_at(draft, run, watched, follows)?;
        let status = match () {
            () if stop.load(Ordering::SeqCst) => RunStatus::Stopped,
            () if report.code == 0 => RunStatus::Done,
            () => RunStatus::Failed,
        };
        recorder.log_lazily(told_at_end(&report, stop.load(Ordering::SeqCst)));
        let why = report.ended_by.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        let summary = format!("ended with {}{why}; {} changes in its draft", report.code, report.changes);
        self.end(&recorder, run, status, &summary)?;
        drop(recorder);
        if report.open {
            session.leave()?;
        } else {
            self.leave_and_wipe(session, draft)?;
        }
        Ok(report)
    }

    /// Asks the gate whether the program may be started on these folders, with these hosts.
    fn may_start(
        &self,
        ask: &ExecAsk,
        run: RunId,
        actor: &Actor,
        opened: &[Opened],
    ) -> Result<Permit<ProgramRun>, Error> {
        let records: Vec<GrantRecord> = opened.iter().map(|folder| folder.granted.clone()).collect();
        let mut policy = compile(&records, Confirm::Never).map_err(Error::store)?.policy;
        policy.modes = self.modes(None)?;
        let private = private_folders(&self.grants()?);
        let mut targets = Vec::new();
        for folder in opened {
            let role = if folder.read_only { Role::Read } else { Role::Run };
            let at = &folder.record.path;
            // What is private counts where the program is, and where it can get to from there.
            let touches = |private: &Vec<u8>| is_or_lies_in(private, at) || is_or_lies_in(at, private);
            targets.push(Target {
                spot: Spot { grant: folder.granted.id, path: RelPath::ROOT },
                role,
                kind: Some(FileKind::Dir),
                protection: None,
                denied: None,
                linked_outside: false,
                private: private.iter().any(touches),
                ruled: Ruled::Silent,
            });
        }
        let action = ProgramRun { program: program_name(&ask.command), hosts: ask.hosts.clone() };
        let mut facts = Facts { now: self.clock.now(), ..Facts::default() };
        if let Some(asker) = self.asker(actor, run, &all_roots(opened), 0)? {
            let (tainted, private, local) = (false, targets.iter().any(|target| target.private), ask.hosts.is_empty());
            let standing = Standing { now: facts.now, modes: policy.modes, tainted, steered: false, private, local };
            for target in &mut targets {
                target.ruled = asker.of_place(&action, target, false, 0, standing);
            }
            facts.ruled = asker.of_hosts(&ask.hosts, standing);
        }
        facts.targets = targets;
        match decide(&policy, &facts, Proposal { actor: actor.clone(), run, action }) {
            Verdict::Permit(permit) => Ok(permit),
            Verdict::Ask { why, .. } => Err(Error::new(Class::Refused, why)),
            Verdict::Deny { refusal } => Err(Error::new(Class::Refused, refusal.message)),
        }
    }

    /// Looks at what the draft holds, and remembers what it was made from if it stays open.
    fn look_at(&self, draft: Draft, run: RunId, watched: Watched, follows: bool) -> Result<(ExecReport, Draft), Error> {
        let ended = State::Ended { at: self.clock.now(), code: watched.code };
        let record = Record { state: ended, ..draft.record().clone() };
        let open = look_through(draft, false)?;
        let count = |test: fn(&DraftChange) -> bool| open.changes().iter().filter(|change| test(change)).count() as u64;
        let (changes, dangerous) = (open.changes().len() as u64, count(|change| change.dangerous.is_some()));
        let conflicts = count(|change| change.conflict.is_some());
        let troubles = open.troubles().next().is_some();
        let (mut draft, scan) = open.into_parts();
        if changes > 0 || troubles {
            if !follows {
                // The overlay waits for no disk, so that programs do not; what stays open has to outlast a power cut.
                draft.make_durable().map_err(drafts_error)?;
                draft.remember_bases(&scan).map_err(drafts_error)?;
            }
            draft.update(record).map_err(drafts_error)?;
        }
        let report = ExecReport {
            run,
            code: watched.code,
            ended_by: watched.ended_by,
            refused: watched.refused,
            changes,
            dangerous,
            conflicts,
            open: changes > 0 || troubles,
        };
        Ok((report, draft))
    }

    fn begin(&self, recorder: &Recorder, ask: &ExecAsk, begun: &Begun, opened: &[Opened]) -> Result<(), Error> {
        let mut events = vec![Logged::RunBegan {
            goal: begun.goal.clone(),
            kind: RunKind::Program,
            grants: begun.roots.iter().map(|root| root.grant).collect(),
        }];
        for folder in opened.iter().filter(|folder| folder.by_naming) {
            events.push(Logged::GrantAdded {
                grant: folder.record.grant,
                path: RawPath(folder.record.path.clone()),
                read_only: folder.read_only,
                until: None,
                agent: Some(format!("run:{}", begun.run)),
                deny: Vec::new(),
            });
        }
        events.push(program_started(ask));
        let header = RunHeader {
            run: begun.run,
            at: self.clock.now(),
            actor: begun.actor.clone(),
            goal: begun.goal.clone(),
            kind: RunKind::Program,
            roots: begun.roots.clone(),
        };
        // Durable in the log before the program begins; the journal's record waits at the same time.
        recorder.log_lazily(events);
        recorder.journal(move |journal| journal.begin_run(&header)).map_err(Error::store)?.map_err(Error::store)?;
        recorder.log(Vec::new()).map_err(Error::store)
    }

    fn end(&self, recorder: &Recorder, run: RunId, status: RunStatus, summary: &str) -> Result<(), Error> {
        let end = RunEnd { run, at: self.clock.now(), status, summary: summary.to_owned() };
        recorder.log_lazily(vec![Logged::RunEnded { status, summary: summary.to_owned() }]);
        recorder.journal(move |journal| journal.end_run(&end)).map_err(Error::store)?.map_err(Error::store)
    }
}

/// The exit code of a program that was never executed, as shells have it.
const NEVER_RAN: i32 = 126;

fn program_started(ask: &ExecAsk) -> Logged {
    let mut hasher = blake3::Hasher::new();
    for word in &ask.command {
        hasher.update(word);
        hasher.update(&[0]);
    }
    let limits = &ask.limits;
    let secs = |secs: Option<u64>| secs.map_or_else(|| "no limit".to_owned(), |secs| format!("{secs} s"));
    Logged::ProgramStarted {
        program: RawPath(ask.command.first().cloned().unwrap_or_default()),
        arguments: u32::try_from(ask.command.len().saturating_sub(1)).unwrap_or(u32::MAX),
        digest: Digest(*hasher.finalize().as_bytes()),
        profile: ask.profile.clone(),
        hosts: ask.hosts.clone(),
        limits: format!(
            "{} bytes of memory, {} processes, {} bytes written, {} open files, processor time {}, time {}",
            limits.memory,
            limits.processes,
            limits.disk,
            limits.open_files,
            secs(limits.cpu_secs),
            secs(limits.wall_secs),
        ),
    }
}

/// What is only known at a program's end.
fn told_at_end(report: &ExecReport, stopped: bool) -> Vec<Logged> {
    let mut events = Vec::new();
    if stopped {
        events.push(Logged::StopAsked { run: report.run, how: "by a signal: Ctrl-C, or `raincoat stop`".to_owned() });
    }
    let (code, ended_by, changes) = (report.code, report.ended_by.clone(), report.changes);
    events.push(Logged::ProgramEnded { code, ended_by, changes });
    if report.open {
        let (dangerous, conflicts) = (report.dangerous, report.conflicts);
        events.push(Logged::DraftKept { of: report.run, changes, dangerous, conflicts });
    }
    events
}

/// A draft whose run may not come to begin: dropped before, it is taken away.
struct Unbegun<'a> {
    drafts: &'a Drafts,
    run: Option<RunId>,
}

impl Drop for Unbegun<'_> {
    fn drop(&mut self) {
        if let Some(run) = self.run {
            // What stays is listed, and can be thrown away by name.
            let _ = self.drafts.wipe(run);
        }
    }
}

struct Begun {
    run: RunId,
    actor: Actor,
    goal: String,
    roots: Vec<RunRoot>,
}

/// All folders that a program sees.
fn all_roots(opened: &[Opened]) -> Vec<RunRoot> {
    opened.iter().map(|folder| folder.record.clone()).collect()
}

fn roots_of(opened: &[Opened]) -> Vec<RunRoot> {
    opened.iter().filter(|folder| !folder.read_only).map(|folder| folder.record.clone()).collect()
}

/// A program as grants and the log name it: by its profile, or its own name.
pub(crate) fn program(profile: Option<&str>, command: &[Vec<u8>]) -> Actor {
    Actor::Program(profile.map_or_else(|| program_name(command), str::to_owned))
}

fn program_name(command: &[Vec<u8>]) -> String {
    let first = command.first().map(Vec::as_slice).unwrap_or_default();
    display_bytes(first.rsplit(|byte| *byte == b'/').next().unwrap_or_default())
}

/// The command as a person would type it, for the journal and the log: arguments that look like secrets are not told
/// from others, so an argument is only shown in short.
pub(crate) fn shown_command(command: &[Vec<u8>]) -> String {
    const MOST: usize = 200;
    let line = command.iter().map(|word| display_bytes(word)).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{}...", line.get(..cut).unwrap_or_default()),
        None => line,
    }
}

fn rules_of(hosts: &[String]) -> Result<ProxyRules, Error> {
    ProxyRules::parse(hosts).map_err(|words| {
        Error::new(Class::Usage, words).hint("name hosts as HOST, HOST:PORT or *.HOST, joined by commas")
    })
}

pub(crate) fn enclosing(fault: raincoat_sandbox::SandboxFault) -> Error {
    Error::new(Class::Environment, format!("the program was not started: {fault}"))
        .hint("`raincoat doctor` says what is missing here and what to do about it")
}
