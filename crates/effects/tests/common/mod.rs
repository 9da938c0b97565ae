//! What the tests share: a tree and a store beside it, runs over the tree, undo, and ways to look.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test program uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests"
)]

pub mod draft;
pub mod histories;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use raincoat_audit::{About, Audit, AuditKeys, AuditReader};
use raincoat_effects::{Changed, Effects, Folder, Names, Recorder, Remembering, Resolved, Start, undo};
use raincoat_gate::{Confirm, Facts, Grant, Permit, Policy, Protection, Verdict, Who, decide};
use raincoat_journal::{Interrupted, Journal, JournalKeys, Selection};
use raincoat_os::snapshot::{Aspect, Snapshot};
use raincoat_os::{PrivateDir, Root, SystemClock, new_ulid};
use raincoat_seal::SealKey;
use raincoat_types::*;

pub const ORIGIN: &str = "raincoat.local/test";

/// A clock that goes where a test wants it to.
#[derive(Default)]
pub struct Shifted(pub AtomicI64);

impl Clock for Shifted {
    fn now(&self) -> Timestamp {
        let now = SystemClock.now();
        Timestamp { secs: now.secs + self.0.load(Ordering::SeqCst), ..now }
    }
}

/// A home on a real disk: `tree` is granted, `store` is ours, `outside` is nobody's business.
pub struct Home {
    pub dir: PathBuf,
    pub grant: GrantId,
    pub clock: Arc<Shifted>,
    pub deny: Option<String>,
    pub limits: Limits,
    keep: bool,
}

impl Drop for Home {
    fn drop(&mut self) {
        if !self.keep && !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

impl Home {
    pub fn new() -> Home {
        Home::on(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    pub fn on(base: &Path) -> Home {
        let dir = tempfile::Builder::new().prefix("effects-").tempdir_in(base).unwrap().keep();
        let mut home = Home::at(&dir);
        home.keep = false;
        for name in ["tree", "outside", "store", "log", "head"] {
            std::fs::create_dir(home.dir.join(name)).unwrap();
        }
        home
    }

    /// On a file system in memory, where there is one: for what does not depend on the disk, thousands of times.
    pub fn quick() -> Home {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Home::on(memory) } else { Home::new() }
    }

    /// One that exists, made by another process.
    pub fn at(dir: &Path) -> Home {
        Home {
            dir: dir.to_owned(),
            grant: GrantId(Ulid::from_parts(1, 2)),
            clock: Arc::default(),
            deny: None,
            limits: Limits::default(),
            keep: true,
        }
    }

    pub fn tree(&self) -> PathBuf {
        self.dir.join("tree")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.tree().join(name)
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot::take(&self.tree()).unwrap()
    }

    pub fn open(&self) -> Store<'_> {
        self.open_with_interrupted().0
    }

    pub fn open_with_interrupted(&self) -> (Store<'_>, Vec<Interrupted>) {
        let root = SealKey::from_bytes([7; 32]);
        let keys = JournalKeys::new(&root.derive("journal"), &root.derive("index"));
        let dir = PrivateDir::open(&self.dir.join("store")).unwrap();
        let (journal, interrupted) = Journal::open(dir, keys, self.clock.as_ref()).unwrap();
        let dir = PrivateDir::open(&self.dir.join("log")).unwrap();
        let head = PrivateDir::open(&self.dir.join("head")).unwrap();
        let audit = Audit::open(dir, head, audit_keys(), ORIGIN, self.clock.clone()).unwrap();
        let (recorder, remembering) = Recorder::start(journal, audit);
        (Store { home: self, recorder: Some(recorder), remembering: Some(remembering) }, interrupted)
    }

    /// Every event in the log, oldest first.
    pub fn events(&self) -> Vec<raincoat_audit::Event> {
        let dir = PrivateDir::open(&self.dir.join("log")).unwrap();
        let head = PrivateDir::open(&self.dir.join("head")).unwrap();
        let reader = AuditReader::open(dir, head, audit_keys(), ORIGIN).unwrap();
        reader.tail(100_000).unwrap().map(|entry| entry.unwrap().1.event).collect()
    }

    /// The journal and the log are whole.
    pub fn verify(&self) {
        let store = self.open();
        let report = store.recorder().journal(|journal| journal.verify()).unwrap().unwrap();
        assert!(report.is_whole(), "{report:?}");
        drop(store);
        let dir = PrivateDir::open(&self.dir.join("log")).unwrap();
        let head = PrivateDir::open(&self.dir.join("head")).unwrap();
        let report = AuditReader::open(dir, head, audit_keys(), ORIGIN).unwrap().verify();
        assert!(report.is_ok(), "{report:?}");
    }
}

fn audit_keys() -> AuditKeys {
    AuditKeys { payload: SealKey::from_bytes([9; 32]), signing_seed: Secret::new([9; 32]) }
}

/// The journal and the log, open.
pub struct Store<'h> {
    home: &'h Home,
    recorder: Option<Recorder>,
    remembering: Option<Remembering>,
}

impl Drop for Store<'_> {
    fn drop(&mut self) {
        self.recorder.take();
        if let Some(remembering) = self.remembering.take() {
            let joined = remembering.join();
            if !std::thread::panicking() {
                joined.unwrap();
            }
        }
    }
}

struct TestNames {
    deny: Option<String>,
}

impl Names for TestNames {
    fn protection(&self, _: &[u8], path: &RelPath, tree: bool) -> Option<(Protection, String)> {
        raincoat_policy::protected(b"/", path, tree).map(|(kind, rule)| (kind, rule.pattern.to_owned()))
    }
    fn denied(&self, _: GrantId, path: &RelPath) -> Option<String> {
        self.deny.clone().filter(|deny| path.names().any(|name| name == deny.as_bytes()))
    }
    fn private(&self, _: &[u8], _: &RelPath) -> bool {
        false
    }
    fn is_hidden(&self, _: &[u8], _: &RelPath) -> bool {
        false
    }
    fn holds_ours(&self, _: &Identity) -> bool {
        false
    }
    fn is_ours(&self, _: &Identity) -> bool {
        false
    }
}

impl<'h> Store<'h> {
    pub fn recorder(&self) -> &Recorder {
        self.recorder.as_ref().unwrap()
    }

    pub fn run(&self) -> Run<'_, 'h> {
        self.run_of(Actor::Recipe("test".to_owned()), RunKind::Task)
    }

    pub fn roots(&self) -> Vec<raincoat_types::Root> {
        let root = Root::open(&self.home.tree()).unwrap();
        let path = std::os::unix::ffi::OsStrExt::as_bytes(root.path().as_os_str()).to_vec();
        vec![raincoat_types::Root { grant: self.home.grant, path, identity: root.identity() }]
    }

    pub fn start(&self, run: RunId, actor: &Actor) -> Start {
        Start {
            run,
            folders: vec![Folder { grant: self.home.grant, root: Root::open(&self.home.tree()).unwrap() }],
            names: Box::new(TestNames { deny: self.home.deny.clone() }),
            limits: self.home.limits.clone(),
            recorder: self.recorder().speaking_for(About::run(run, actor.clone())),
            clock: self.home.clock.clone(),
            stop: Arc::new(AtomicBool::new(false)),
        }
    }

    pub fn begin(&self, actor: &Actor, kind: RunKind) -> RunId {
        let run = RunId(new_ulid(&SystemClock).unwrap());
        let header = RunHeader {
            run,
            at: self.home.clock.now(),
            actor: actor.clone(),
            goal: "test".to_owned(),
            kind,
            roots: self.roots(),
        };
        self.recorder().journal(move |journal| journal.begin_run(&header)).unwrap().unwrap();
        run
    }

    pub fn run_of(&self, actor: Actor, kind: RunKind) -> Run<'_, 'h> {
        let run = self.begin(&actor, kind);
        let start = self.start(run, &actor);
        let stop = start.stop.clone();
        Run { store: self, id: run, actor, effects: Some(Effects::new(start)), stop }
    }

    pub fn ops(&self, run: RunId) -> Vec<OpRecord> {
        self.recorder()
            .journal(move |journal| {
                let mut all = Vec::new();
                journal
                    .for_each_op(run, raincoat_journal::Order::Forward, |op| {
                        all.push(op);
                        std::ops::ControlFlow::Continue(())
                    })
                    .unwrap();
                all
            })
            .unwrap()
    }

    /// Takes a run back, as the runtime does.
    pub fn undo(&self, of: RunId) -> Undone {
        self.undo_some(of, Vec::new(), false)
    }

    pub fn undo_some(&self, of: RunId, seqs: Vec<u32>, overwrite: bool) -> Undone {
        let (run, undone) = self.undo_steps(of, seqs, overwrite);
        run.end();
        undone
    }

    /// Takes a run back, and leaves the undo unended, as one that is to be killed. Whether all went well.
    pub fn undo_unended(&self, of: RunId) -> bool {
        let (mut run, undone) = self.undo_steps(of, Vec::new(), false);
        let finished = run.effects().finish();
        std::mem::forget(run);
        undone.refused.is_empty() && finished.is_ok()
    }

    fn undo_steps(&self, of: RunId, seqs: Vec<u32>, overwrite: bool) -> (Run<'_, 'h>, Undone) {
        let selection = match seqs.as_slice() {
            [] => Selection::Run(of),
            seqs => Selection::Ops(seqs.iter().map(|seq| OpId { run: of, seq: *seq }).collect()),
        };
        let plan = self.recorder().journal(move |journal| journal.plan_undo(&selection)).unwrap().unwrap();
        let mut run = self.run_of(Actor::Person, RunKind::Undo { of, ops: seqs });
        let id = run.id;
        let policy = run.policy();
        let mut ask = move |action: FileChange, resolved: &mut Resolved| {
            permit_by(&policy, Actor::Person, id, action, resolved)
                .map_err(|refusal| Failure::new(FailureKind::Denied, refusal.message))
        };
        let effects = run.effects.as_mut().unwrap();
        let dirs = undo::untouched(effects, plan.dirs, false);
        let mut refused = Vec::new();
        let mut done = 0;
        for ops in plan.ops.chunks(500) {
            let asked = ops.to_vec();
            let recorded: Vec<_> = self
                .recorder()
                .journal(move |journal| {
                    let look_up = |op| undo::look_up(journal, journal.op(op).unwrap(), Vec::new()).unwrap();
                    journal.steadily(|| asked.into_iter().map(look_up).collect())
                })
                .unwrap();
            let drift = if overwrite { OnDrift::Overwrite } else { OnDrift::Leave };
            for (op, failure) in undo::take_back(effects, recorded, drift, &mut ask) {
                match failure {
                    Some(failure) => refused.push((op, failure)),
                    None => done += 1,
                }
            }
        }
        let times = undo::give_times_back(effects, dirs, &mut ask);
        (run, Undone { run: id, done, refused, times })
    }

    /// Takes back all of a run, and says what is wrong where that is not all.
    pub fn undo_whole(&self, of: RunId) -> RunId {
        let undone = self.undo(of);
        assert!(undone.refused.is_empty(), "{:?}", undone.refused);
        undone.run
    }

    /// Settles an interrupted run, as the runtime does.
    pub fn recover(&self, interrupted: &Interrupted) -> Vec<(OpId, OpResult)> {
        let run = interrupted.header.run;
        let effects = Effects::new(self.start(run, &interrupted.header.actor));
        let results = effects.recover_all(&interrupted.pending);
        for (op, result) in results.clone() {
            self.recorder().journal(move |journal| journal.settle(op, result)).unwrap().unwrap();
        }
        for record in self.ops(run).iter().filter(|record| record.intent.temp.is_some()) {
            effects.tidy_up(record);
        }
        let end = RunEnd { run, at: self.home.clock.now(), status: RunStatus::Interrupted, summary: String::new() };
        self.recorder().journal(move |journal| journal.end_run(&end)).unwrap().unwrap();
        results
    }
}

#[derive(Debug)]
pub struct Undone {
    pub run: RunId,
    pub done: usize,
    pub refused: Vec<(OpId, Failure)>,
    pub times: usize,
}

pub fn permit_by(
    policy: &Policy,
    actor: Actor,
    run: RunId,
    action: FileChange,
    resolved: &mut Resolved,
) -> Result<Permit<FileChange>, Refusal> {
    let facts = Facts {
        now: SystemClock.now(),
        digest: resolved.digest,
        targets: resolved.targets.clone(),
        ..Facts::default()
    };
    match decide(policy, &facts, Proposal { actor, run, action }) {
        Verdict::Permit(permit) => Ok(permit),
        Verdict::Ask { why, .. } => panic!("{why}"),
        Verdict::Deny { refusal } => Err(refusal),
    }
}

/// A run under way.
pub struct Run<'s, 'h> {
    pub store: &'s Store<'h>,
    pub id: RunId,
    pub actor: Actor,
    pub effects: Option<Effects>,
    pub stop: Arc<AtomicBool>,
}

impl Run<'_, '_> {
    pub fn policy(&self) -> Policy {
        let grant = Grant { id: self.store.home.grant, who: Who::Anyone, actions: Actions::all(), until: None };
        Policy::new(vec![grant], Confirm::Never)
    }

    pub fn effects(&mut self) -> &mut Effects {
        self.effects.as_mut().unwrap()
    }

    /// Resolves, decides and makes ready; a failure or refusal on the way is told at once.
    pub fn propose(&mut self, action: FileChange) -> Result<(), Failure> {
        let (policy, actor, id) = (self.policy(), self.actor.clone(), self.id);
        let mut resolved = self.effects().resolve_change(&action)?;
        let permit = permit_by(&policy, actor, id, action, &mut resolved)
            .map_err(|refusal| Failure::new(FailureKind::Denied, format!("{}: {}", refusal.rule, refusal.message)))?;
        self.effects().change(permit, resolved);
        Ok(())
    }

    pub fn settle(&mut self) -> Vec<Changed> {
        self.effects().settle()
    }

    /// One change by itself.
    pub fn apply(&mut self, action: FileChange) -> Result<Vec<OpId>, Failure> {
        self.propose(action)?;
        let mut settled = self.settle();
        assert_eq!(settled.len(), 1);
        let changed = settled.pop().unwrap();
        match changed.failure {
            Some(failure) => Err(failure),
            None => Ok(changed.done.ops),
        }
    }

    pub fn ok(&mut self, action: FileChange) -> Vec<OpId> {
        let shown = format!("{action:.200?}");
        self.apply(action).unwrap_or_else(|failure| panic!("{shown}: {failure:?}"))
    }

    pub fn read(&mut self, action: FileRead) -> Result<ReadDone, Failure> {
        let (policy, actor, run) = (self.policy(), self.actor.clone(), self.id);
        let resolved = self.effects().resolve_read(&action)?;
        let facts = Facts {
            now: SystemClock.now(),
            digest: resolved.digest,
            targets: resolved.targets.clone(),
            ..Facts::default()
        };
        match decide(&policy, &facts, Proposal { actor, run, action }) {
            Verdict::Permit(permit) => self.effects().read(permit, resolved),
            Verdict::Ask { why, .. } => panic!("{why}"),
            Verdict::Deny { refusal } => Err(Failure::new(FailureKind::Denied, refusal.rule)),
        }
    }

    pub fn end(mut self) -> RunId {
        self.effects().finish().unwrap();
        self.effects.take();
        let end =
            RunEnd { run: self.id, at: self.store.home.clock.now(), status: RunStatus::Done, summary: String::new() };
        self.store.recorder().journal(move |journal| journal.end_run(&end)).unwrap().unwrap();
        self.id
    }
}

pub fn place(path: &str) -> Place {
    raw(path.as_bytes())
}

pub fn raw(path: &[u8]) -> Place {
    Place { root: 0, path: RawPath(path.to_vec()) }
}

pub fn write(path: &str, content: &[u8]) -> FileChange {
    FileChange::Write { at: place(path), content: content.to_vec(), expect: Expect::Anything }
}

pub fn mkdir(path: &str) -> FileChange {
    FileChange::Mkdir { at: place(path), parents: false }
}

pub fn mkdir_p(path: &str) -> FileChange {
    FileChange::Mkdir { at: place(path), parents: true }
}

pub fn mv(from: &str, to: &str) -> FileChange {
    FileChange::Move { from: place(from), to: place(to), replace: false }
}

pub fn mv_onto(from: &str, to: &str) -> FileChange {
    FileChange::Move { from: place(from), to: place(to), replace: true }
}

pub fn cp(from: &str, to: &str) -> FileChange {
    FileChange::Copy { from: place(from), to: place(to), replace: false }
}

pub fn cp_onto(from: &str, to: &str) -> FileChange {
    FileChange::Copy { from: place(from), to: place(to), replace: true }
}

pub fn rm(path: &str) -> FileChange {
    FileChange::Delete { at: place(path), recursive: false }
}

pub fn rm_r(path: &str) -> FileChange {
    FileChange::Delete { at: place(path), recursive: true }
}

pub fn pack(from: &[&str], to: &str, format: ArchiveFormat) -> FileChange {
    FileChange::Archive { from: from.iter().map(|path| place(path)).collect(), to: place(to), format }
}

pub fn unpack(from: &str, to: &str) -> FileChange {
    FileChange::Extract { from: place(from), to: place(to) }
}

pub fn digest(bytes: &[u8]) -> Digest {
    Digest(*blake3::hash(bytes).as_bytes())
}

/// No difference at all.
pub fn assert_same(was: &Snapshot, is: &Snapshot, what: &str) {
    let differences: Vec<String> = was.differences(is).iter().map(ToString::to_string).collect();
    assert!(differences.is_empty(), "{what}:\n{}", differences.join("\n"));
}

/// No difference but the times of folders, which an undo out of order cannot know.
pub fn assert_same_but_folder_times(was: &Snapshot, is: &Snapshot, what: &str) {
    let is_dir =
        |path: &Vec<u8>| was.entries().get(path).is_some_and(|e| e.kind == raincoat_os::snapshot::EntryKind::Dir);
    let differences: Vec<String> = was
        .differences(is)
        .iter()
        .filter(|one| !(one.what == Aspect::ModificationTime && is_dir(&one.path)))
        .map(ToString::to_string)
        .collect();
    assert!(differences.is_empty(), "{what}:\n{}", differences.join("\n"));
}

pub fn sh(script: &str, dir: &Path) -> bool {
    let out = std::process::Command::new("sh").arg("-ec").arg(script).current_dir(dir).output().unwrap();
    if !out.status.success() {
        eprintln!("{script}: {}", String::from_utf8_lossy(&out.stderr));
    }
    out.status.success()
}

pub fn is_root() -> bool {
    raincoat_os::mutate::me().0 == 0
}

/// A tree with something of everything.
pub fn furnish(home: &Home) {
    let script = r#"
        mkdir -p docs/deep/er empty links src "$(printf 'odd\nname')"
        printf 'hello\n' > docs/a.txt
        printf 'second file\n' > docs/b.txt
        printf 'one two one' > docs/words
        : > docs/nothing
        head -c 3000000 /dev/urandom > docs/big.bin
        printf deep > docs/deep/er/leaf
        truncate -s 4M docs/sparse; printf x | dd of=docs/sparse bs=1 seek=1500000 conv=notrunc 2>/dev/null
        truncate -s 1M docs/hole
        printf linked > links/one; ln links/one links/two; ln links/one docs/three
        ln -s ../docs/a.txt links/soft; ln -s nowhere links/dangling; ln -s docs linkdir
        printf 'bytes' > "$(printf 'src/caf\351')"
        printf 'newline' > "$(printf 'odd\nname/in\nside')"
        printf 'ro' > src/readonly; chmod 0444 src/readonly
        printf 'none' > src/none
        printf 'suid' > src/suid; chmod 4755 src/suid
        chmod 1777 empty
        setfattr -n user.note -v "a note" docs/a.txt 2>/dev/null || true
    "#;
    assert!(sh(script, &home.tree()));
    let tree = home.tree();
    let _ = raincoat_os::scratch::set_xattr(&tree.join("docs/a.txt"), "user.note", b"a note");
    let _ = raincoat_os::scratch::set_xattr(&tree.join("docs"), "user.dir", &[5; 2000]);
    let acl = raincoat_os::scratch::acl_with_user(6, 65_534, 4, 4, 0);
    let _ = raincoat_os::scratch::set_xattr(&tree.join("docs/b.txt"), "system.posix_acl_access", &acl);
    if is_root() {
        assert!(sh(
            "chown 1234:4321 src/suid docs/words; chmod 4755 src/suid; chmod 0 src/none; chown -h 77:78 links/soft",
            &tree
        ));
        let _ = raincoat_os::scratch::set_xattr(&tree.join("links/soft"), "trusted.mark", b"on a link");
    }
    age(&tree);
}

/// Gives everything in a tree times of its own, in the past, to the nanosecond.
pub fn age(root: &Path) {
    let mut all = vec![root.to_owned()];
    let mut at = 0;
    while at < all.len() {
        let path = all[at].clone();
        at += 1;
        if std::fs::symlink_metadata(&path).unwrap().is_dir() {
            let mut names: Vec<PathBuf> = std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()).collect();
            names.sort();
            all.extend(names);
        }
    }
    for (n, path) in all.iter().enumerate().rev() {
        let at = Timestamp { secs: 1_000_000_000 + n as i64, nanos: 123_456_780 + n as u32 };
        let read = Timestamp { secs: 1_100_000_000 + n as i64, nanos: 5 };
        raincoat_os::scratch::set_times(path, read, at).unwrap();
    }
}

/// Names that ours leave while at work.
pub fn leftovers(root: &Path) -> Vec<PathBuf> {
    let mut left = Vec::new();
    let mut todo = vec![root.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_string_lossy().starts_with(".raincoat-") {
                left.push(path.clone());
            }
            if std::fs::symlink_metadata(&path).unwrap().is_dir() {
                todo.push(path);
            }
        }
    }
    left
}
