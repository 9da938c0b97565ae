//! A person at a terminal: a pseudo-terminal with a script in the person's place, and Ctrl-C.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod common;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::Home;
use raincoat_runtime::snapshot::Snapshot;

/// Plays `[[wait for, send], ...]` at a pseudo-terminal, prints all that was shown, then `exit N`.
const PLAYER: &str = r#"
import json, os, pty, select, sys, time
steps, seen, shown, end = json.loads(sys.argv[1]), b'', b'', time.time() + 60
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
while time.time() < end:
    while steps and steps[0][0].encode() in seen:
        seen = seen.split(steps[0][0].encode(), 1)[1] if steps[0][0] else seen
        os.write(fd, steps.pop(0)[1].encode())
    if select.select([fd], [], [], 0.1)[0]:
        try:
            got = os.read(fd, 65536)
        except OSError:
            break
        if not got:
            break
        seen, shown = seen + got, shown + got
else:
    os.kill(pid, 9)
sys.stdout.buffer.write(shown)
print('\nexit', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

fn at_terminal(home: &Home, arguments: &[&str], steps: &[(&str, &str)]) -> String {
    let steps = serde_json::to_string(steps).unwrap();
    let output = Command::new("python3")
        .args(["-c", PLAYER, &steps, env!("CARGO_BIN_EXE_raincoat")])
        .args(arguments)
        .env_clear()
        .env("HOME", home.dir.path())
        .env("PATH", "/usr/bin:/bin:/usr/local/bin")
        .env("TERM", "xterm")
        .current_dir(home.dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn same(before: &Snapshot, dir: &Path) -> bool {
    before.differences(&Snapshot::take(dir).unwrap()).is_empty()
}

#[test]
fn a_plan_is_shown_chosen_from_and_accepted() {
    // A3, C3
    let home = Home::new();
    let dir = home.folder("in");
    home.ok(&["grant", "in"]);
    let shown = at_terminal(&home, &["do", "tidy", "in"], &[("your answer:", "not *.csv\n"), ("your answer:", "y\n")]);
    assert!(shown.contains("exit 0"), "{shown}");
    for part in ["recipe:tidy", "asks", "a.txt -> a.txt", "(left out)", "holds until", "undo it with: raincoat undo"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert!(dir.join("b.csv").exists() && !dir.join("a.txt").exists());
}

#[test]
fn what_was_typed_before_the_question_is_no_answer() {
    let home = Home::new();
    let dir = home.folder("in");
    home.ok(&["grant", "in"]);
    let before = Snapshot::take(&dir).unwrap();
    let steps = [("", "y\ny\ny\n"), ("your answer:", "n not now\n")];
    let shown = at_terminal(&home, &["do", "tidy", "in"], &steps);
    assert!(shown.contains("exit 3"), "{shown}");
    assert!(same(&before, &dir), "{shown}");
}

#[test]
fn what_was_typed_before_an_approval_from_elsewhere_is_no_answer() {
    let home = Home::new();
    let dir = home.folder("in");
    home.ok(&["grant", "in"]);
    assert_eq!(home.run(&["do", "tidy", "in"]).code, 3);
    let id = home.json(&["approvals"])[0]["id"].as_str().unwrap().to_owned();
    let shown = at_terminal(&home, &["approve", &id], &[("", "y\ny\n"), ("allow exactly this, once?", "n\n")]);
    assert!(shown.contains("exit 3"), "{shown}");
    assert_eq!(home.json(&["approvals"])[0]["state"], "pending");
    let shown = at_terminal(&home, &["approve", &id], &[("allow exactly this, once?", "y\n")]);
    assert!(shown.contains("recipe:tidy asks") && shown.contains("exit 0"), "{shown}");
    home.ok(&["do", "tidy", "in"]);
    assert!(!dir.join("a.txt").exists());
}

#[test]
fn an_answer_from_another_terminal_ends_the_question_at_this_one() {
    let home = Home::new();
    let dir = home.folder("in");
    home.ok(&["grant", "in"]);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| at_terminal(&home, &["do", "tidy", "in"], &[]));
        let began = Instant::now();
        let id = loop {
            assert!(began.elapsed() < Duration::from_secs(30), "no question came");
            if let Some(question) = home.json(&["approvals"]).first() {
                break question["id"].as_str().unwrap().to_owned();
            }
        };
        home.ok(&["approve", &id, "--yes"]);
        let shown = asked.join().unwrap();
        assert!(shown.contains("answered from another terminal") && shown.contains("exit 0"), "{shown}");
    });
    assert!(!dir.join("a.txt").exists());
}

#[test]
fn names_that_hide_or_pass_for_others_are_marked_where_they_are_asked_about() {
    let home = Home::new();
    let dir = home.folder("in");
    fs::write(dir.join("p\u{430}yslip.pdf"), "x").unwrap();
    fs::write(dir.join("gpj\u{202e}.exe"), "x").unwrap();
    fs::write(dir.join("in\u{200b}voice.doc"), "x").unwrap();
    home.ok(&["grant", "in"]);
    let shown = at_terminal(&home, &["do", "tidy", "in"], &[("your answer:", "x all\n"), ("your answer:", "n\n")]);
    for marked in ["p\\u{0430}yslip.pdf", "gpj\\u{202e}.exe", "in\\u{200b}voice.doc"] {
        assert!(shown.contains(marked), "{marked} is not in {shown}");
    }
    assert!(!shown.contains('\u{202e}') && !shown.contains('\u{430}'), "{shown}");
}

#[test]
fn a_folder_is_allowed_for_a_while_and_asks_again_when_that_is_taken_back() {
    let home = Home::new();
    let dir = home.folder("in");
    home.ok(&["grant", "in"]);
    let shown = at_terminal(&home, &["do", "tidy", "in"], &[("your answer:", "folder 2h\n")]);
    assert!(shown.contains("exit 0"), "{shown}");
    home.ok(&["undo"]);
    // Nobody is asked: it is the same actor, in the same folder.
    home.ok(&["do", "tidy", "in"]);
    assert!(!dir.join("a.txt").exists());
    home.ok(&["undo"]);
    assert_eq!(home.run(&["do", "flatten", "in"]).code, 3, "another actor asks");
    let standing = home.json(&["approvals"]).into_iter().find(|one| one["type"] == "standing-approval").unwrap();
    home.ok(&["deny", standing["id"].as_str().unwrap()]);
    assert_eq!(home.run(&["do", "tidy", "in"]).code, 3, "it asks again");
}

#[test]
fn ctrl_c_at_the_question_is_a_no() {
    let home = Home::new();
    let dir = home.folder("in");
    home.ok(&["grant", "in"]);
    let before = Snapshot::take(&dir).unwrap();
    let shown = at_terminal(&home, &["do", "tidy", "in"], &[("your answer:", "\u{3}")]);
    assert!(shown.contains("exit 130") || shown.contains("exit 3"), "{shown}");
    assert!(same(&before, &dir));
}

#[test]
fn a_passphrase_is_asked_for_twice_and_never_shown() {
    let home = Home::new();
    let steps = [("new passphrase:", "right horse\n"), ("same again:", "right horse\n")];
    let shown = at_terminal(&home, &["init"], &steps);
    assert!(shown.contains("exit 0") && !shown.contains("horse"), "{shown}");
    home.ok(&["lock"]);
    let shown = at_terminal(&home, &["grants"], &[("passphrase:", "right horse\n")]);
    assert!(shown.contains("exit 0") && !shown.contains("horse"), "{shown}");
    home.ok(&["lock"]);
    let shown = at_terminal(&home, &["grants"], &[("passphrase:", "\u{3}")]);
    assert!(shown.contains("exit 130"), "{shown}");
}

#[test]
fn ctrl_c_stops_at_an_edge_and_what_was_done_is_undoable() {
    // B8
    let home = Home::new();
    let dir = home.path("many");
    fs::create_dir(&dir).unwrap();
    for n in 0..4000 {
        fs::write(dir.join(format!("{n}.txt")), format!("file {n}\n")).unwrap();
    }
    let before = Snapshot::take(&dir).unwrap();
    home.ok(&["grant", "many"]);
    let mut child =
        home.command(&["do", "tidy", "many", "--yes"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while dir.join("10.txt").exists() && began.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(2));
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{out}\n{err}");
    assert!(err.contains("stopping at the edge"), "{err}");
    assert!(out.contains("undo it with: raincoat undo "), "{out}");
    let run = &home.json(&["runs"])[0];
    assert_eq!(run["status"], "stopped");
    let changes = run["changes"].as_u64().unwrap();
    assert!((1..4000).contains(&changes), "{changes}");
    assert!(!same(&before, &dir));
    home.ok(&["undo"]);
    assert_eq!(before.differences(&Snapshot::take(&dir).unwrap()), []);
    assert!(home.ok(&["audit", "verify"]).contains("the log is sound"));
}
