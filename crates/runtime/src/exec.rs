//! A program in a draft: enclosed, watched, and its work kept for review.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use raincoat_audit::{About, Event as Logged, Judgement};
use raincoat_draft::{Asked, Draft, Drafts, NewDraft, Prepared, Record, State, prepare};
use raincoat_effects::Recorder;
use raincoat_gate::Protection;
use raincoat_net::proxy::{Proxy, ProxyEvent, ProxyRules, serve};
use raincoat_os::{Root, beneath, mutate, new_ulid, state};
use raincoat_policy::GrantRecord;
use raincoat_sandbox::program::{
    Event, Folder, How, Network, PROXY_PORT, Plan, Program, ProgramLimits, ProgramSignals, Ready, Started, Streams,
    start,
};
use raincoat_types::{
    Actor, FileKind, GrantId, RawPath, RelPath, Root as RunRoot, RunEnd, RunHeader, RunId, RunKind, RunStatus,
    display_bytes,
};

use crate::console::Console;
use crate::drafts::{DraftChange, drafts_error, look_through};
use crate::live::Live;
use crate::{Class, Error, Keeper};

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

/// Bytes of a file that a program gets a copy of.
const COPIED_MOST: u64 = 8 << 20;

/// How often the keeper looks whether it is to stop, where nothing else happens.
const LOOK: Duration = Duration::from_millis(100);

/// A folder of the run, open.
pub(crate) struct Opened {
    pub(crate) root: Root,
    pub(crate) record: RunRoot,
    pub(crate) read_only: bool,
    /// Granted by naming it on the command line, for this run.
    pub(crate) by_naming: bool,
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
        let name = ask.profile.clone().unwrap_or_else(|| program_name(&ask.command));
        let actor = Actor::Program(name);
        let rules = if ask.hosts.is_empty() { None } else { Some(rules_of(&ask.hosts)?) };
        let opened = self.exec_folders(ask, &actor)?;
        let run = RunId(new_ulid(self.clock.as_ref()).map_err(Error::io("make an id"))?);
        let _live = Live::begin(&self.state, run)?;
        let drafts = self.open_drafts()?;
        // Declared before what holds the draft, so that it acts when that has let go.
        let mut unbegun = Unbegun { drafts: &drafts, run: Some(run) };
        let prepared = self.prepare(ask, run, &opened)?;
        self.tell_reach(ask, &prepared, console);
        let plan = self.plan(ask, &opened, &prepared)?;
        // The enclosure is built while the journal and the log are opened.
        let mut program = started.enclose(&plan).map_err(enclosing)?;
        let session = self.session(&mut |recovered| console.notice(&recovered.words))?;
        let recorder = session.recorder.speaking_for(About::run(run, actor.clone()));
        let begun = Begun { run, actor, goal: shown_command(&ask.command), roots: roots_of(&opened) };
        self.begin(&recorder, &begun, &opened)?;
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

    /// The directories of the draft.
    pub(crate) fn prepare(&self, ask: &ExecAsk, run: RunId, opened: &[Opened]) -> Result<Prepared, Error> {
        let shown = |path: &str| ask.secrets.iter().any(|secret| secret == path);
        let hide: Vec<RelPath> = raincoat_policy::rules()
            .iter()
            .filter(|rule| rule.protection == Protection::Secret && !rule.pattern.contains('*') && !shown(rule.pattern))
            .filter_map(|rule| RelPath::new(rule.pattern.as_bytes()).ok())
            .collect();
        let hide_top = |name: &[u8]| {
            let path = RelPath::new(name).ok();
            let rule = path.and_then(|path| raincoat_policy::protected(b"/", &path, false));
            rule.is_some_and(|(protection, _)| protection == Protection::Secret)
                && !ask.secrets.iter().any(|secret| secret.as_bytes() == name)
        };
        let drafted = opened.iter().filter(|folder| !folder.read_only);
        let asked: Vec<Asked<'_>> = drafted
            .map(|folder| Asked { root: &folder.root, granted: &folder.record, hide: &hide, hide_top: &hide_top })
            .collect();
        prepare(&self.data, run, &asked).map_err(|error| Error::new(Class::Environment, error.to_string()))
    }

    /// What the program is enclosed in.
    pub(crate) fn plan(&self, ask: &ExecAsk, opened: &[Opened], prepared: &Prepared) -> Result<Plan, Error> {
        let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
        let mut folders = Vec::new();
        let mut places = prepared.folders.iter().map(|folder| folder.recorded.place.path.clone());
        for folder in opened {
            let how = match folder.read_only {
                true => How::ReadOnly,
                false => match places.next() {
                    Some(place) => How::Draft { place },
                    None => return Err(Error::new(Class::Bug, "a folder has no draft")),
                },
            };
            folders.push(Folder { at: folder.record.path.clone(), how });
        }
        let caches = ask.caches.iter();
        folders.extend(caches.map(|(at, place)| Folder { at: bytes(at), how: How::Kept { place: bytes(place) } }));
        folders.extend(ask.empty.iter().map(|at| Folder { at: bytes(at), how: How::Empty }));
        for file in &ask.read_files {
            self.not_ours(file)?;
            folders.push(Folder { at: bytes(file), how: How::ReadOnly });
        }
        for file in &ask.copied_files {
            let (content, mode) = self.read_for_copy(file)?;
            folders.push(Folder { at: bytes(file), how: How::Copied { content, mode } });
        }
        // Outer ones first, so that an inner one lies over them.
        folders.sort_by_key(|folder| folder.at.len());
        Ok(Plan {
            command: ask.command.clone(),
            env: with_proxy(ask),
            cwd: bytes(&ask.cwd),
            folders,
            hidden: [&self.home.config, &self.home.data, &self.home.state].map(|dir| bytes(dir)).to_vec(),
            home: bytes(&ask.home),
            network: if ask.hosts.is_empty() { Network::None } else { Network::Proxy },
            limits: ask.limits.clone(),
            terminal: ask.terminal,
            size: ask.size,
            umask: mutate::user_umask(),
            may_nest: ask.may_nest,
            strict: ask.strict,
        })
    }

    /// One line: whether all can be taken back, and what cannot.
    fn tell_reach(&self, ask: &ExecAsk, prepared: &Prepared, console: &mut dyn Console) {
        let shown = |path: &[u8]| format!("`{}`", display_bytes(path));
        let drafted: Vec<String> = prepared.folders.iter().map(|folder| shown(&folder.recorded.root.path)).collect();
        let mut line = match drafted.as_slice() {
            [] => "nothing of yours can be changed: no folder is worked on".to_owned(),
            folders => format!("everything in {} can be taken back: it works on a draft", folders.join(", ")),
        };
        let mut not = Vec::new();
        if !ask.hosts.is_empty() {
            not.push(format!("what it sends to {}", ask.hosts.join(", ")));
        }
        if !ask.caches.is_empty() {
            let caches = ask.caches.iter().map(|(at, _)| shown(at.as_os_str().as_bytes()));
            not.push(format!("what it keeps in caches of its own ({})", caches.collect::<Vec<_>>().join(", ")));
        }
        if !not.is_empty() {
            line.push_str(&format!("; not {}", not.join(", nor ")));
        }
        let masked = prepared.folders.iter().flat_map(|folder| &folder.recorded.masked);
        let masked: Vec<String> = masked.map(|path| format!("`{}`", path.display())).collect();
        if !masked.is_empty() {
            line.push_str(&format!("; hidden from it, as secrets: {}", masked.join(", ")));
        }
        console.say(&line);
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

    fn begin(&self, recorder: &Recorder, begun: &Begun, opened: &[Opened]) -> Result<(), Error> {
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

    /// The folders, each open: within a grant that speaks to the program, or granted for this run because the person
    /// named it on the command line.
    fn exec_folders(&self, ask: &ExecAsk, actor: &Actor) -> Result<Vec<Opened>, Error> {
        let grants = self.grants()?;
        let mut opened: Vec<Opened> = Vec::new();
        let all = ask.write.iter().map(|path| (path, false)).chain(ask.read.iter().map(|path| (path, true)));
        for (path, only_read) in all {
            let shown = display_bytes(path.as_os_str().as_bytes());
            let root =
                Root::open(path).map_err(|e| Error::new(Class::Usage, format!("`{shown}` cannot be opened: {e}")))?;
            self.not_ours(root.path())?;
            if opened.iter().any(|other| other.root.identity() == root.identity()) {
                continue;
            }
            let path = root.path().as_os_str().as_bytes().to_vec();
            let found = self.grant_over(&grants, &root, actor);
            let by_naming = found.is_none();
            let (grant, read_only) = match found {
                Some((grant, beneath)) if beneath.is_root() => (grant.id, grant.read_only),
                Some((grant, _)) => (self.new_grant()?, grant.read_only),
                None => {
                    named_for_this_run(&path, &root, self.clock.now())?;
                    (self.new_grant()?, false)
                }
            };
            let read_only = read_only || only_read;
            let record = RunRoot { grant, path, identity: root.identity() };
            opened.push(Opened { root, record, read_only, by_naming });
        }
        // A folder within another one that is worked on is in its draft already.
        let outer: Vec<Vec<u8>> =
            opened.iter().filter(|folder| !folder.read_only).map(|folder| folder.record.path.clone()).collect();
        opened.retain(|folder| !outer.iter().any(|path| lies_in(&folder.record.path, path)));
        Ok(opened)
    }

    /// Nothing within our own directories is shown to a program, however it is named.
    fn not_ours(&self, path: &Path) -> Result<(), Error> {
        let ours = path.ancestors().filter_map(|above| beneath::identity_of(above).ok());
        if ours.into_iter().any(|identity| self.own.dirs.contains(&identity)) {
            let shown = display_bytes(path.as_os_str().as_bytes());
            return Err(Error::new(Class::Refused, format!("`{shown}` is raincoat's own data and is never granted")));
        }
        Ok(())
    }

    /// A file's bytes and permission bits.
    fn read_for_copy(&self, file: &Path) -> Result<(Vec<u8>, u32), Error> {
        self.not_ours(file)?;
        let shown = display_bytes(file.as_os_str().as_bytes());
        let fail = |why: String| Error::new(Class::Usage, format!("`{shown}` cannot be copied for the program: {why}"));
        let (parent, name) = file.parent().zip(file.file_name()).ok_or_else(|| fail("it is no file".to_owned()))?;
        let folder = Root::open(parent).map_err(|e| fail(e.to_string()))?;
        let path = RelPath::new(name.as_bytes()).map_err(|e| fail(e.to_string()))?;
        let found = folder.find_exact(&path).map_err(|e| fail(e.to_string()))?;
        let stat = found.stat.as_ref().filter(|stat| stat.kind == FileKind::File && stat.size <= COPIED_MOST);
        let stat = stat.ok_or_else(|| fail(format!("it is no file of at most {} MiB", COPIED_MOST >> 20)))?;
        let fd = beneath::open_file_for_reading(found.folder(), &found.name, stat).map_err(|e| fail(e.to_string()))?;
        let mut content = vec![0; usize::try_from(stat.size).unwrap_or(0)];
        let got = state::read_at(fd.as_fd(), &mut content, 0).map_err(|e| fail(e.to_string()))?;
        content.truncate(got);
        Ok((content, stat.mode & 0o777))
    }

    fn new_grant(&self) -> Result<GrantId, Error> {
        Ok(GrantId(new_ulid(self.clock.as_ref()).map_err(Error::io("make an id"))?))
    }
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

/// A folder that was named on the command line is granted by that, unless it is one that nobody gets.
fn named_for_this_run(path: &[u8], root: &Root, now: raincoat_types::Timestamp) -> Result<(), Error> {
    let record = GrantRecord {
        id: GrantId(raincoat_types::Ulid::nil()),
        path: path.to_vec(),
        identity: root.identity(),
        read_only: false,
        until: None,
        agent: None,
        deny: Vec::new(),
        created: now,
    };
    record.check().map_err(|e| Error::new(Class::Refused, e.to_string()))
}

/// The environment, with the way to the network in it.
fn with_proxy(ask: &ExecAsk) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut env = ask.env.clone();
    if ask.hosts.is_empty() {
        return env;
    }
    let url = format!("http://127.0.0.1:{PROXY_PORT}");
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        env.push((name.as_bytes().to_vec(), url.clone().into_bytes()));
    }
    // The loopback inside is the program's own, unless the person named something on the machine's.
    let loopback = |host: &String| ["localhost", "127.", "[::1]"].iter().any(|start| host.starts_with(start));
    if !ask.hosts.iter().any(loopback) {
        for name in ["NO_PROXY", "no_proxy"] {
            env.push((name.as_bytes().to_vec(), b"localhost,127.0.0.1,::1".to_vec()));
        }
    }
    // Node's own client looks at the variables above only then.
    env.push((b"NODE_USE_ENV_PROXY".to_vec(), b"1".to_vec()));
    env
}

fn lies_in(path: &[u8], folder: &[u8]) -> bool {
    let beneath = path.strip_prefix(folder).is_some_and(|rest| rest.first() == Some(&b'/'));
    beneath || (folder == b"/" && path != b"/")
}

fn roots_of(opened: &[Opened]) -> Vec<RunRoot> {
    opened.iter().filter(|folder| !folder.read_only).map(|folder| folder.record.clone()).collect()
}

fn program_name(command: &[Vec<u8>]) -> String {
    let first = command.first().map(Vec::as_slice).unwrap_or_default();
    display_bytes(first.rsplit(|byte| *byte == b'/').next().unwrap_or_default())
}

/// What came of the program, besides its draft.
struct Watched {
    code: i32,
    ended_by: Option<String>,
    refused: Vec<Refused>,
}

impl Watched {
    /// It ended well, and by itself.
    fn went_well(&self) -> bool {
        self.code == 0 && self.ended_by.is_none()
    }
}

/// What is told of refusals: each kind once, with how often; no more kinds than the limit.
struct Refusals {
    seen: BTreeMap<(String, String), u64>,
    most: usize,
    more: u64,
}

impl Refusals {
    /// Counts one kind; says whether it is new.
    fn add(&mut self, call: &str, detail: &str, times: u64) -> bool {
        let key = (call.to_owned(), detail.to_owned());
        if let Some(count) = self.seen.get_mut(&key) {
            *count += times;
            return false;
        }
        if self.seen.len() >= self.most {
            self.more += times;
            return false;
        }
        self.seen.insert(key, times);
        true
    }

    fn told(self) -> Vec<Refused> {
        let mut all: Vec<Refused> = Vec::with_capacity(self.seen.len());
        for ((call, detail), times) in self.seen {
            // Several calls may be one thing to a person.
            match all.iter_mut().find(|refused| refused.what == detail) {
                Some(refused) => refused.times += times,
                None => all.push(Refused { what: detail, times, fix: fix_for(&call) }),
            }
        }
        if self.more > 0 {
            all.push(Refused { what: "other things, which were only counted".to_owned(), times: self.more, fix: "" });
        }
        all
    }
}

/// The flag that would allow what was refused; nothing where nothing does.
fn fix_for(call: &str) -> &'static str {
    match call {
        "connect" => "`--net HOST` lets it reach that host",
        "unshare" | "clone" | "setns" => "a profile with `nest = true` lets it make user namespaces of its own",
        _ => "",
    }
}

impl Keeper {
    /// From the enclosure's being ready to the program's end.
    #[expect(clippy::too_many_arguments, reason = "everything that a program at work touches")]
    fn watch(
        &self,
        ask: &ExecAsk,
        mut program: Program,
        ready: Ready,
        rules: Option<ProxyRules>,
        recorder: &Recorder,
        stop: &Arc<AtomicBool>,
        passage: &mut dyn Passage,
        console: &mut dyn Console,
    ) -> Result<Watched, Error> {
        self.tell_layers(&ready, ask.strict, recorder, console)?;
        let proxy = match (ready.listener, rules) {
            (Some(listener), Some(rules)) => Some(proxy(TcpListener::from(listener), rules, recorder)?),
            _ => None,
        };
        let signals = program.signals().map_err(Error::io("reach the program"))?;
        passage.begin(ready.terminal, Box::new(Sender(signals)));
        program.go().map_err(Error::io("start the program"))?;
        let ended = self.follow(&mut program, recorder, stop, passage);
        // Everything inside is gone before its terminal is read to its end.
        drop(program);
        passage.end();
        let mut watched = ended?;
        if let Some((proxy, refused)) = proxy {
            drop(proxy);
            watched.refused.extend(refused.lock().map(|mut all| std::mem::take(&mut *all)).unwrap_or_default());
        }
        Ok(watched)
    }

    fn follow(
        &self,
        program: &mut Program,
        recorder: &Recorder,
        stop: &Arc<AtomicBool>,
        passage: &mut dyn Passage,
    ) -> Result<Watched, Error> {
        let most = usize::try_from(self.config.limits.program_refusals).unwrap_or(usize::MAX);
        let mut refusals = Refusals { seen: BTreeMap::new(), most, more: 0 };
        let mut ended_by = None;
        let mut asked_to_end = None;
        let code = loop {
            if stop.load(Ordering::SeqCst) {
                // It was told by its signal; after a while it is not asked any more.
                let now = self.clock.now().secs;
                ended_by.get_or_insert_with(|| "stopped by the person".to_owned());
                if now - *asked_to_end.get_or_insert(now) > GRACE_SECS {
                    program.kill();
                }
            }
            let event = match program.next(LOOK) {
                Ok(Some(event)) => event,
                Ok(None) => continue,
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    ended_by.get_or_insert_with(|| "its enclosure was killed".to_owned());
                    break 128 + 9;
                }
                Err(error) => return Err(Error::io("hear of the program")(error)),
            };
            match event {
                Event::Refused { call, detail, times } => {
                    if refusals.add(&call, &detail, times) {
                        recorder.log_lazily(vec![refusal(&call, &detail)]);
                    }
                }
                Event::Stopped(_) => {
                    passage.stopped();
                    program.resume();
                }
                Event::Continued => {}
                Event::Limit { words, .. } => {
                    recorder.log_lazily(vec![refusal("limit", &words)]);
                    ended_by = Some(words);
                }
                Event::NotStarted(why, code) => {
                    ended_by = Some(why);
                    break code;
                }
                Event::Ended { code, signal, left_running } => {
                    if left_running > 0 {
                        let words = format!("{left_running} processes that it left running were ended with it");
                        recorder.log_lazily(vec![Logged::Notice { text: words }]);
                    }
                    break code.unwrap_or_else(|| 128 + signal.unwrap_or(0));
                }
            }
        };
        Ok(Watched { code, ended_by, refused: refusals.told() })
    }

    /// What this machine lacks is said, or ends the run where it is strict.
    fn tell_layers(
        &self,
        ready: &Ready,
        strict: bool,
        recorder: &Recorder,
        console: &mut dyn Console,
    ) -> Result<(), Error> {
        for layer in ready.layers.iter().filter(|layer| !layer.enforced) {
            let missing = Logged::ProtectionMissing { layer: layer.name.clone(), why: layer.why.clone() };
            recorder.log_lazily(vec![missing]);
            let words = format!("{} ({})", layer.name, layer.why);
            if strict {
                let error = Error::new(
                    Class::Environment,
                    format!("nothing was run, as `--strict` asks: not enforced here: {words}"),
                );
                return Err(error.hint(layer.fix.clone()));
            }
            console.notice(&format!("not enforced here: {words}; see `raincoat doctor`"));
        }
        Ok(())
    }
}

/// How long a program has to end when the person stops it, in seconds.
const GRACE_SECS: i64 = 2;

/// Refused hosts that are told one by one.
const HOSTS_TOLD: usize = 100;

struct Sender(ProgramSignals);

impl Signals for Sender {
    fn send(&self, signal: i32) {
        self.0.send(signal);
    }
}

type Told = Arc<std::sync::Mutex<Vec<Refused>>>;

/// The way to the named hosts. Every connection stands in the log before a byte goes through it.
fn proxy(listener: TcpListener, rules: ProxyRules, recorder: &Recorder) -> Result<(Proxy, Told), Error> {
    let refused: Told = Arc::default();
    let (told, recorder) = (refused.clone(), recorder.clone());
    let proxy = serve(listener, rules, move |event| match event {
        ProxyEvent::Opened { host, port, address } => {
            let text = format!("connected to {host}:{port} at {address}");
            recorder.log_lazily(vec![Logged::Notice { text }]);
        }
        ProxyEvent::Closed { host, port, sent, received } => {
            let text = format!("connection to {host}:{port} closed, {sent} bytes sent, {received} received");
            recorder.log_lazily(vec![Logged::Notice { text }]);
        }
        ProxyEvent::Refused { host, port, why } => {
            let what = if host.is_empty() { why } else { format!("the network: {host}:{port} ({why})") };
            let Ok(mut all) = told.lock() else { return };
            if let Some(refused) = all.iter_mut().find(|refused| refused.what == what) {
                refused.times += 1;
            } else if all.len() < HOSTS_TOLD {
                // Each once: a program that tries again and again does not fill the log.
                recorder.log_lazily(vec![refusal("connect", &what)]);
                all.push(Refused { what, times: 1, fix: fix_for("connect") });
            }
        }
    });
    Ok((proxy.map_err(Error::io("start the proxy"))?, refused))
}

/// Something that was refused to the program, for the log.
fn refusal(call: &str, detail: &str) -> Logged {
    Logged::Proposed {
        action: call.to_owned(),
        targets: Vec::new(),
        digest: None,
        verdict: Judgement::Deny,
        rule: "sandbox".to_owned(),
        reason: detail.to_owned(),
    }
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
