//! Single changes as the keeper makes them: resolved, decided with fifty grants, intended, made and concluded on the
//! confined thread, with journal and log on the same file system as the files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use raincoat_audit::{About, Audit, AuditKeys, Event, Judgement};
use raincoat_effects::thread::EffectsThread;
use raincoat_effects::{Effects, Folder, Names, Recorder, Remembering, Start};
use raincoat_gate::{Approval, Confirm, Facts, Protection, Scope, Verdict, decide};
use raincoat_journal::{Journal, JournalKeys};
use raincoat_os::{PrivateDir, Root, SystemClock, new_ulid};
use raincoat_policy::{Compiled, GrantRecord, compile};
use raincoat_seal::SealKey;
use raincoat_types::{
    Actions, Actor, Change, Clock, Content, Digest, DirTimes, Expect, FileChange, FileContent, FileKind, GrantId,
    Identity, Image, Intent, Meta, OpId, OpResult, Place, Proposal, RelPath, RunEnd, RunHeader, RunId, RunKind,
    RunStatus, Secret, Spot, Timestamp,
};

use crate::gate;
use crate::plain::existing;
use raincoat_testkit::measure::{Result, random, said, settle, unknown};

/// A run under way.
pub(crate) struct Bench {
    tree: PathBuf,
    grant: GrantId,
    run: RunId,
    /// A second run, for intents that are nobody's change.
    bare: RunId,
    compiled: Arc<Compiled>,
    recorder: Recorder,
    remembering: Remembering,
    thread: EffectsThread,
    files: u32,
    intents: u32,
    /// Of each size the two contents of a file: what is there, and what was before and is next.
    known: HashMap<usize, [Vec<u8>; 2]>,
}

pub(crate) struct PolicyNames(pub(crate) Arc<Compiled>);

impl Names for PolicyNames {
    fn protection(&self, folder: &[u8], path: &RelPath, tree: bool) -> Option<(Protection, String)> {
        raincoat_policy::protected(folder, path, tree)
            .map(|(protection, rule)| (protection, format!("{}: {}", rule.pattern, rule.why)))
    }

    fn private(&self, _: &[u8], _: &RelPath) -> bool {
        false
    }

    fn is_hidden(&self, _: &[u8], _: &RelPath) -> bool {
        false
    }

    fn denied(&self, grant: GrantId, path: &RelPath) -> Option<String> {
        self.0.denied(grant, path)
    }

    fn is_ours(&self, _: &Identity) -> bool {
        false
    }

    fn holds_ours(&self, _: &Identity) -> bool {
        false
    }
}

impl Bench {
    pub(crate) fn new(dir: &Path) -> Result<Bench> {
        let tree = dir.join("protected");
        std::fs::create_dir(&tree).map_err(said)?;
        let root = Root::open(&tree).map_err(said)?;
        let path = std::os::unix::ffi::OsStrExt::as_bytes(root.path().as_os_str()).to_vec();
        let grant = GrantId(new_ulid(&SystemClock).map_err(said)?);
        let granted = GrantRecord {
            id: grant,
            path: path.clone(),
            identity: root.identity(),
            actions: Actions::all(),
            private: false,
            max_files: None,
            max_bytes: None,
            until: None,
            agent: None,
            deny: vec!["*.key".to_owned()],
            created: SystemClock.now(),
        };
        let compiled = Arc::new(compile(&gate::grants(vec![granted]), Confirm::Plans).map_err(said)?);

        let (recorder, remembering) = store(dir)?;
        let roots = vec![raincoat_types::Root { grant, path, identity: root.identity() }];
        let run = begin(&recorder, &roots)?;
        let bare = begin(&recorder, &roots)?;
        let start = Start {
            run,
            folders: vec![Folder { grant, root }],
            names: Box::new(PolicyNames(compiled.clone())),
            limits: raincoat_types::Limits::default(),
            recorder: recorder.speaking_for(About::run(run, actor())),
            clock: Arc::new(SystemClock),
            stop: Arc::default(),
        };
        let thread = EffectsThread::start(start, &[true])?;
        Ok(Bench {
            tree,
            grant,
            run,
            bare,
            compiled,
            recorder,
            remembering,
            thread,
            files: 0,
            intents: 0,
            known: HashMap::new(),
        })
    }

    pub(crate) fn measure(&mut self, what: &[&str]) -> Result<Duration> {
        match what {
            ["replace", size] => {
                let size = size.parse().map_err(said)?;
                let name = self.next_name();
                existing(&self.tree, &name, size)?;
                settle(&self.tree)?;
                self.write(&name, size)
            }
            ["again", size] => {
                settle(&self.tree)?;
                self.write(&format!("again-{size}"), size.parse().map_err(said)?)
            }
            ["known", size] => self.write_known(size.parse().map_err(said)?),
            ["new", size] => {
                let name = self.next_name();
                settle(&self.tree)?;
                self.write(&name, size.parse().map_err(said)?)
            }
            ["row", count, size] => {
                let names: Vec<String> = (0..count.parse().map_err(said)?).map(|_| self.next_name()).collect();
                let size = size.parse().map_err(said)?;
                names.iter().try_for_each(|name| existing(&self.tree, name, size))?;
                settle(&self.tree)?;
                names.iter().map(|name| self.write(name, size)).sum()
            }
            ["log"] => self.log(),
            ["intend"] => self.intend(),
            _ => Err(unknown(what.join(" "))),
        }
    }

    /// Ends the runs in good order, so that what was measured was a store that holds.
    pub(crate) fn end(self) -> Result<()> {
        self.thread.call(Effects::finish)?.map_err(|failure| failure.message)?;
        drop(self.thread);
        for run in [self.run, self.bare] {
            let end = RunEnd { run, at: SystemClock.now(), status: RunStatus::Done, summary: String::new() };
            self.recorder.journal(move |journal| journal.end_run(&end))?.map_err(said)?;
        }
        drop(self.recorder);
        let (_, audit) = self.remembering.join()?;
        audit.close().map(drop).map_err(said)
    }

    fn next_name(&mut self) -> String {
        self.files += 1;
        format!("file-{}", self.files)
    }

    /// Writes the one of two contents that is not there now. The store has both: each was replaced before.
    fn write_known(&mut self, size: usize) -> Result<Duration> {
        let name = format!("known-{size}");
        let [there, other] = match self.known.remove(&size) {
            Some(both) => both,
            None => {
                let (one, other) = (random(size)?, random(size)?);
                self.write_content(&name, one.clone())?;
                self.write_content(&name, other.clone())?;
                self.write_content(&name, one.clone())?;
                [one, other]
            }
        };
        self.known.insert(size, [other.clone(), there]);
        settle(&self.tree)?;
        self.write_content(&name, other)
    }

    fn write(&self, name: &str, size: usize) -> Result<Duration> {
        self.write_content(name, random(size)?)
    }

    /// One proposal to write a file, from the keeper's thread and back to it.
    fn write_content(&self, name: &str, content: Vec<u8>) -> Result<Duration> {
        let at = Place { root: 0, path: name.into() };
        let action = FileChange::Write { at, content, expect: Expect::Anything };
        let (compiled, run) = (self.compiled.clone(), self.run);
        let start = Instant::now();
        let changed = self.thread.call(move |effects| propose(effects, &compiled, run, action))??;
        let took = start.elapsed();
        match changed {
            1 => Ok(took),
            n => Err(format!("a write came to {n} operations")),
        }
    }

    /// An entry of the usual length, durable in the log when the time ends.
    fn log(&self) -> Result<Duration> {
        let event = Event::Proposed {
            action: "move".to_owned(),
            targets: vec!["inbox/2026/report-0123.pdf".into(), "Documents/report-0123.pdf".into()],
            digest: Some(Digest([4; 32])),
            verdict: Judgement::Deny,
            rule: "protected-name".to_owned(),
            reason: "`Documents/.git` is protected: it is never changed by an agent".to_owned(),
        };
        settle(&self.tree)?;
        let start = Instant::now();
        self.recorder.log(vec![event])?;
        Ok(start.elapsed())
    }

    /// The intent of one move, durable in the journal when the time ends.
    fn intend(&mut self) -> Result<Duration> {
        self.intents += 1;
        let op = OpId { run: self.bare, seq: self.intents };
        let intent = self.intent(op)?;
        settle(&self.tree)?;
        let start = Instant::now();
        self.recorder.journal(move |journal| journal.intend(&[intent]))?.map_err(said)?;
        let took = start.elapsed();
        let outcome = OpResult::NotDone("measured only".to_owned());
        self.recorder.journal(move |journal| journal.conclude(&[(op, outcome)]))?.map_err(said)?;
        Ok(took)
    }

    fn intent(&self, op: OpId) -> Result<Intent> {
        let spot =
            |path: &str| RelPath::new(path.as_bytes()).map(|path| Spot { grant: self.grant, path }).map_err(said);
        let now = SystemClock.now();
        let content = FileContent { digest: Digest([9; 32]), chunks: Vec::new(), stored: false };
        let meta = Meta {
            kind: FileKind::File,
            mode: 0o644,
            uid: 1000,
            gid: 1000,
            size: 4096,
            mtime: now,
            atime: now,
            nlink: 1,
            identity: Identity { dev: 1, ino: 1, born: Timestamp::default() },
            xattrs: Vec::new(),
        };
        let image = Image { meta, content: Content::File(content) };
        let dir = |path: &str| spot(path).map(|at| DirTimes { at, mtime: now, atime: now });
        Ok(Intent {
            op,
            at: now,
            change: Change::Move {
                from: spot("inbox/2026/report-0123.pdf")?,
                to: spot("Documents/report-0123.pdf")?,
                image,
            },
            temp: None,
            dirs: vec![dir("inbox/2026")?, dir("Documents")?],
            undoes: None,
        })
    }
}

/// Journal and log, as the keeper opens them.
pub(crate) fn store(dir: &Path) -> Result<(Recorder, Remembering)> {
    let key = SealKey::from_bytes([7; 32]);
    let keys = JournalKeys::new(&key.derive("journal"), &key.derive("index"));
    let ours = PrivateDir::open_or_create(&dir.join("store")).map_err(said)?;
    let (journal, _) = Journal::open(ours.dir("journal").map_err(said)?, keys, &SystemClock).map_err(said)?;
    let keys = AuditKeys { payload: key.derive("log"), signing_seed: Secret::new([8; 32]) };
    let (log, head) = (ours.dir("audit").map_err(said)?, ours.dir("head").map_err(said)?);
    let audit = Audit::open(log, head, keys, "raincoat.local/measured", Arc::new(SystemClock)).map_err(said)?;
    Ok(Recorder::start(journal, audit))
}

fn begin(recorder: &Recorder, roots: &[raincoat_types::Root]) -> Result<RunId> {
    let run = RunId(new_ulid(&SystemClock).map_err(said)?);
    let header = RunHeader {
        run,
        at: SystemClock.now(),
        actor: actor(),
        goal: "be measured".to_owned(),
        kind: RunKind::Task,
        roots: roots.to_vec(),
    };
    recorder.journal(move |journal| journal.begin_run(&header))?.map_err(said)?;
    Ok(run)
}

fn actor() -> Actor {
    Actor::Agent("default".to_owned())
}

/// Resolves, decides and makes one change; says how many operations it came to.
fn propose(effects: &mut Effects, compiled: &Compiled, run: RunId, action: FileChange) -> Result<usize> {
    let mut resolved = effects.resolve_change(&action).map_err(|failure| failure.message)?;
    let until = Timestamp { secs: i64::MAX, nanos: 0 };
    let facts = Facts {
        now: SystemClock.now(),
        digest: resolved.digest,
        targets: std::mem::take(&mut resolved.targets),
        approval: Some(Approval { scope: Scope::Exactly(resolved.digest), until }),
        ..Facts::default()
    };
    let permit = match decide(&compiled.policy, &facts, Proposal { actor: actor(), run, action }) {
        Verdict::Permit(permit) => permit,
        Verdict::Ask { why, .. } => return Err(why),
        Verdict::Deny { refusal } => return Err(refusal.message),
    };
    effects.change(permit, resolved);
    let settled = effects.settle();
    match settled.iter().find_map(|changed| changed.failure.as_ref()) {
        Some(failure) => Err(failure.message.clone()),
        None => Ok(settled.iter().map(|changed| changed.done.ops.len()).sum()),
    }
}
