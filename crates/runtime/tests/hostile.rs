//! A worker that was taken over: it speaks to the keeper as it likes, with no loop and no tools in between. Nothing that
//! comes out of the socket is more than a wish (DESIGN, invariants 1, 3, 9, 12).
//!
//! The keeper starts its own binary again with `worker` as the first argument; here that is this test program, which
//! takes the word for a filter and so runs the one test whose name has it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use raincoat_os::process::worker_socket;
use raincoat_runtime::snapshot::Snapshot;
use raincoat_runtime::{
    Answer, Config, Console, GrantAsk, Home, Keeper, NativeTools, PlanView, ProviderConfig, RunAsk, RunReport,
    SystemClock,
};
use raincoat_testkit::model_server::{ModelServer, Turn};
use raincoat_types::wire::{self, FromWorker, PlanStep, Task, ToWorker};
use raincoat_types::{
    Action, ArchiveFormat, Expect, FileChange, FileRead, ModelRequest, OpId, Outcome, Place, RawPath, RunStatus,
};

const BAIT: &str = "BAIT-77aa01";
const MAX: u32 = 80 << 20;

/// In a program that a keeper started, the enemy; in the one that people start, nothing.
#[test]
fn a_worker_that_was_taken_over() {
    let Ok(mut socket) = worker_socket() else { return };
    let Ok(Some(ToWorker::Start(job))) = wire::receive::<ToWorker>(&mut socket, MAX) else { return };
    let Task::Prompt(order) = job.task else { return };
    let mut enemy = Enemy { socket, id: 0 };
    match order.split_once(' ').map_or((order.as_str(), ""), |(what, with)| (what, with)) {
        ("huge", _) => drop(enemy.socket.write_all(&[0xff; 64])),
        ("garbage", _) => drop(enemy.socket.write_all(&[&8_u32.to_le_bytes()[..], &[0xee; 8]].concat())),
        ("half", _) => drop(enemy.socket.write_all(&[&800_u32.to_le_bytes()[..], &[1; 8]].concat())),
        ("silent", _) => {}
        ("places", bait) => enemy.places(bait),
        ("person", op) => enemy.person(OpId::parse(op).unwrap()),
        ("provider", url) => enemy.provider(url),
        ("disorder", _) => enemy.disorder(),
        ("long-plan", _) => drop(enemy.plan(vec![mkdir("a"); 50])),
        other => panic!("{other:?}"),
    }
    // Gone at once, without the harness's farewell.
    std::process::exit(0);
}

struct Enemy {
    socket: UnixStream,
    id: u64,
}

impl Enemy {
    fn send(&mut self, message: &FromWorker) {
        wire::send(&mut self.socket, message, MAX).unwrap();
    }

    /// Proposes, and tells the test what came of it.
    fn propose(&mut self, action: Action) -> Outcome {
        self.id += 1;
        let id = self.id;
        self.send(&FromWorker::Propose { id, action });
        loop {
            match wire::receive::<ToWorker>(&mut self.socket, MAX).unwrap().unwrap() {
                ToWorker::Outcome { outcome, .. } => {
                    self.send(&FromWorker::Say(format!("{outcome:?}\n")));
                    return outcome;
                }
                ToWorker::ModelBytes { bytes, .. } => {
                    self.send(&FromWorker::Say(String::from_utf8_lossy(&bytes).into_owned()));
                }
                _ => {}
            }
        }
    }

    fn plan(&mut self, changes: Vec<FileChange>) -> Vec<(u32, Outcome)> {
        self.id += 1;
        let steps = changes.into_iter().map(|change| PlanStep { change, why: String::new() }).collect();
        self.send(&FromWorker::Plan { id: self.id, title: "a plan".to_owned(), steps, last: true });
        let mut all = Vec::new();
        while let Ok(Some(message)) = wire::receive::<ToWorker>(&mut self.socket, MAX) {
            if let ToWorker::PlanOutcome { steps, last, .. } = message {
                all.extend(steps);
                if last {
                    break;
                }
            }
        }
        self.send(&FromWorker::Say(format!("{all:?}\n")));
        all
    }

    fn finish(&mut self) {
        self.send(&FromWorker::Finished { summary: "done".to_owned(), ok: true });
        drop(wire::receive::<ToWorker>(&mut self.socket, MAX));
    }

    /// Places as no tool would name them, proposed one by one, in every way there is.
    fn places(&mut self, bait: &str) {
        let raw = [
            bait,
            "../secret.txt",
            "a/../../secret.txt",
            "/proc/self/root",
            "link",
            "link/secret.txt",
            ".env",
            "a\0b",
            ".git/hooks/pre-commit",
            ".ssh/authorized_keys",
        ];
        let mut places: Vec<Place> = raw.iter().map(|path| place(0, path)).collect();
        places.extend([place(1, "secret.txt"), place(u16::MAX, bait), place(0, &"x/".repeat(5_000))]);
        for at in places {
            let clone = || at.clone();
            for read in [
                FileRead::Read { at: clone(), offset: 0, len: u32::MAX },
                FileRead::Read { at: clone(), offset: u64::MAX, len: u32::MAX },
                FileRead::Hash { at: clone() },
                FileRead::Search { at: clone(), pattern: ".".to_owned(), glob: None, ignore_case: false },
                FileRead::List { at: clone(), depth: u32::MAX, skip: u64::MAX },
            ] {
                assert!(!matches!(self.propose(Action::Read(read)), Outcome::Read(_)));
            }
            for change in [
                FileChange::Write { at: clone(), content: b"evil".to_vec(), expect: Expect::Anything },
                FileChange::Mkdir { at: clone(), parents: true },
                FileChange::Move { from: place(0, "own.txt"), to: clone(), replace: true },
                FileChange::Copy { from: place(0, "own.txt"), to: clone(), replace: true },
                FileChange::Archive { from: vec![clone()], to: place(0, "a.tar"), format: ArchiveFormat::Tar },
                FileChange::Extract { from: clone(), to: place(0, "out") },
            ] {
                // What a link is, is its own business; a copy of it is still one.
                if at.path.0 != b"link" {
                    assert!(!matches!(self.propose(Action::Change(change)), Outcome::Change(_)), "{at:?}");
                }
            }
        }
        self.finish();
    }

    /// What only the person may do.
    fn person(&mut self, op: OpId) {
        let revert = FileChange::Revert { op, drift: raincoat_types::OnDrift::Overwrite, at: Vec::new() };
        assert!(!matches!(self.propose(Action::Change(revert.clone())), Outcome::Change(_)));
        let came = self.plan(vec![revert]);
        assert!(came.iter().all(|(_, outcome)| !matches!(outcome, Outcome::Change(_))), "{came:?}");
        self.finish();
    }

    /// Other providers, and other places at this one.
    fn provider(&mut self, elsewhere: &str) {
        for (provider, path) in [
            ("other", "chat/completions"),
            ("", "chat/completions"),
            ("local", elsewhere),
            ("local", "../../admin"),
            ("local", "//127.0.0.2/x"),
            ("local", "chat/completions\r\nX-Evil: 1"),
            ("local", "@127.0.0.2/x"),
        ] {
            let request = ModelRequest { provider: provider.to_owned(), path: path.to_owned(), body: b"{}".to_vec() };
            self.propose(Action::Model(request));
        }
        self.finish();
    }

    /// Messages at the wrong time, many of them, and more after the end.
    fn disorder(&mut self) {
        for id in 0..2_000 {
            self.send(&FromWorker::GiveUp { id });
            self.send(&FromWorker::Status { text: "\u{1b}[2J".repeat(20), progress: Some((id, 0)) });
            self.send(&FromWorker::Unproposed {
                tool: "\u{1b}".repeat(99),
                targets: vec!["x".repeat(99); 99],
                why: "\n".repeat(99),
            });
        }
        self.send(&FromWorker::Finished { summary: "\u{1b}[31mdone".to_owned(), ok: true });
        let change = FileChange::Delete { at: place(0, "own.txt"), recursive: true };
        drop(wire::send(&mut self.socket, &FromWorker::Propose { id: 1, action: Action::Change(change) }, MAX));
    }
}

fn place(root: u16, path: &str) -> Place {
    Place { root, path: RawPath::from(path) }
}

fn mkdir(path: &str) -> FileChange {
    FileChange::Mkdir { at: place(0, path), parents: true }
}

/// A person who says yes to everything, and remembers what was said.
#[derive(Default)]
struct Yes {
    said: String,
}

impl Console for Yes {
    fn review(&mut self, _: &PlanView<'_>) -> Answer {
        Answer::Accept
    }
    fn say(&mut self, text: &str) {
        self.said.push_str(text);
    }
    fn status(&mut self, _: &str, _: Option<(u64, u64)>) {}
    fn notice(&mut self, _: &str) {}
}

struct Ground {
    _dir: tempfile::TempDir,
    keeper: Keeper,
    around: PathBuf,
}

/// A granted folder with bait around it, and a provider that is never to be asked.
fn ground(url: &str) -> Ground {
    let dir = tempfile::tempdir().unwrap();
    let at = |below: &str| dir.path().join(below);
    let home = Home { config: at("config"), data: at("data"), state: at("state") };
    let mut config = Config::default();
    config.limits.plan_steps = 40;
    let keeper = Keeper::create(&home, config, Arc::new(SystemClock), None).unwrap();
    let around = at("around");
    fs::create_dir_all(around.join("granted")).unwrap();
    fs::write(around.join("secret.txt"), BAIT).unwrap();
    fs::write(around.join("granted/own.txt"), "own").unwrap();
    fs::write(around.join("granted/.env"), BAIT).unwrap();
    std::os::unix::fs::symlink("..", around.join("granted/link")).unwrap();
    let provider = ProviderConfig {
        name: "local".to_owned(),
        base_url: url.to_owned(),
        model: Some("m".to_owned()),
        window: None,
        native_tools: NativeTools::Yes,
        key: None,
    };
    keeper.add_provider(&provider).unwrap();
    let ask = GrantAsk {
        path: around.join("granted"),
        actions: raincoat_types::Actions::all(),
        until: None,
        agent: None,
        deny: Vec::new(),
        private: false,
        max_files: None,
        max_bytes: None,
    };
    keeper.grant(ask).unwrap();
    Ground { _dir: dir, keeper, around }
}

impl Ground {
    fn run(&self, order: &str, confirm: bool) -> (RunReport, String) {
        let ask = RunAsk {
            task: Task::Prompt(order.to_owned()),
            dirs: vec![self.around.join("granted")],
            agent: "default".to_owned(),
            provider: Some("local".to_owned()),
            model: None,
            confirm,
            offline: false,
            resume: None,
            utc_offset_secs: 0,
        };
        let mut console = Yes::default();
        let report = self.keeper.run(ask, Arc::new(AtomicBool::new(false)), &mut console).unwrap();
        (report, console.said)
    }

    fn log(&self) -> Vec<String> {
        self.keeper.audit_tail(10_000).unwrap().into_iter().map(|line| line.line).collect()
    }
}

fn same(before: &Snapshot, at: &Path) {
    assert_eq!(before.differences(&Snapshot::take(at).unwrap()), []);
}

#[test]
fn frames_that_are_none_end_the_run_and_nothing_else() {
    let ground = ground("http://127.0.0.1:9/v1");
    let before = Snapshot::take(&ground.around).unwrap();
    for order in ["huge", "garbage", "half", "silent", "long-plan"] {
        let (report, _) = ground.run(order, false);
        assert_eq!(report.status, RunStatus::Failed, "{order}: {report:?}");
        assert_eq!(report.changes, 0);
    }
    same(&before, &ground.around);
    assert!(ground.log().iter().filter(|line| line.contains("was lost")).count() >= 4, "{:#?}", ground.log());
    assert!(ground.keeper.audit_verify(false).unwrap().sound);
}

#[test]
fn messages_out_of_turn_do_nothing() {
    let ground = ground("http://127.0.0.1:9/v1");
    let before = Snapshot::take(&ground.around).unwrap();
    let (report, _) = ground.run("disorder", false);
    assert_eq!((report.changes, report.summary.contains('\u{1b}')), (0, false), "{report:?}");
    same(&before, &ground.around);
    assert!(ground.log().iter().all(|line| !line.contains('\u{1b}')));
    assert!(ground.keeper.audit_verify(false).unwrap().sound);
}

#[test]
fn places_that_no_tool_would_name_are_refused_too() {
    for confirm in [false, true] {
        let ground = ground("http://127.0.0.1:9/v1");
        let before = Snapshot::take(&ground.around).unwrap();
        let bait = ground.around.join("secret.txt");
        let (report, said) = ground.run(&format!("places {}", bait.display()), confirm);
        assert_eq!((report.status, report.changes), (RunStatus::Done, 0), "{report:?} {said}");
        assert!(!said.contains(BAIT) && said.contains("Outside") && said.contains("protected-name"), "{said}");
        same(&before, &ground.around);
        let refused = ground.log().iter().filter(|l| l.starts_with("denied: ") || l.starts_with("came to")).count();
        assert!(refused >= 13 * 11 - 6, "{refused} {:#?}", ground.log());
    }
}

#[test]
fn what_only_the_person_may_do_is_refused_to_an_agent() {
    let ground = ground("http://127.0.0.1:9/v1");
    let op = OpId { run: ground.run("silent", false).0.run, seq: 1 };
    for confirm in [false, true] {
        let before = Snapshot::take(&ground.around).unwrap();
        let (report, said) = ground.run(&format!("person {op}"), confirm);
        assert_eq!((report.status, report.changes), (RunStatus::Done, 0), "{report:?} {said}");
        same(&before, &ground.around);
        assert!(ground.log().iter().any(|line| line.starts_with("denied: revert")), "{:#?}", ground.log());
    }
}

#[test]
fn no_provider_but_the_chosen_one_is_asked_and_nothing_beside_its_own_paths() {
    let elsewhere = ModelServer::start(vec![Turn::Text("got you".to_owned())]);
    let server = ModelServer::start(Vec::new());
    let ground = ground(&server.base_url());
    let (report, said) = ground.run(&format!("provider {}", elsewhere.base_url()), false);
    assert_eq!(report.status, RunStatus::Done, "{report:?} {said}");
    assert_eq!(elsewhere.connections(), 0, "{said}");
    for request in server.requests() {
        assert!(request.path.starts_with("/v1/"), "{request:?}");
        assert_eq!(request.header("x-evil"), None);
    }
    let log = ground.log();
    assert!(log.iter().filter(|line| line.starts_with("denied: ask the model")).count() >= 2, "{log:#?}");
}
