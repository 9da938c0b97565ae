//! The kill switch, from another process: whatever is under way ends within a bounded time, what it had done stays where
//! it can be looked at, and nothing that it had started lives on. (B7)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[path = "support/enclosed.rs"]
mod enclosed;

use std::process::Stdio;
use std::time::{Duration, Instant};

use enclosed::{Scene, lines, lives, same, signal, until, with_words};
use raincoat_testkit::model_server::{ModelServer, Turn};
use serde_json::json;

/// Bounded: the program is asked, then killed; then so is its keeper.
const BOUND: Duration = Duration::from_secs(20);

#[test]
fn a_program_that_will_not_hear_is_ended_with_all_that_it_started() {
    let scene = Scene::new();
    let was = scene.snapshot();
    let script = "trap '' TERM HUP INT; echo evidence > new.txt; (setsid sh -c 'trap \"\" TERM; sleep 315' &); echo ready; \
                  while :; do sleep 0.1; done";
    let mut running = scene.start(&[], script);
    running.waits_for("ready");
    until("its child", || !with_words("sleep\x00315").is_empty());
    let inside = with_words("sleep\x00315");
    let began = Instant::now();
    let said = scene.ok(&["stop", "--all"]);
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
    assert!(said.out.contains("stopped") || said.out.contains("killed"), "{said:?}");
    assert!(inside.iter().all(|pid| !lives(*pid)), "what it had started lives on");
    let ended = running.end();
    assert!(ended.code != 0, "{ended:?}");
    // What it did is there to be looked at, and nothing of it in the folder.
    let run = scene.newest();
    assert_eq!(scene.change(&run, "new.txt")["change"], "created");
    same(&was, &scene.dir, "after the stop");
    let runs = lines(&scene.ok(&["runs", "--json", "-n", "1"]).out);
    assert_eq!(runs[0]["status"], "stopped", "{runs:?}");
    scene.commit(&run);
    assert_eq!(scene.read("new.txt"), "evidence\n");
    scene.log_is_sound();
}

#[test]
fn one_run_is_stopped_and_the_others_go_on() {
    let scene = Scene::new();
    let mut first = scene.start(&[], "echo 1 > one.txt; echo ready; read go; exit 7");
    first.waits_for("ready");
    let one = scene.newest();
    let mut second = scene.start(&[], "echo 2 > two.txt; echo ready; read go; exit 8");
    second.waits_for("ready");
    let two = scene.newest();
    assert_ne!(one, two);
    let said = scene.ok(&["stop", &one]);
    assert!(said.out.contains(&one) && !said.out.contains(&two), "{said:?}");
    // 143: the program was told to end, and did.
    assert_eq!(first.end().code, 143);
    assert!(lives(second.pid()));
    second.say("go");
    assert_eq!(second.end().code, 8);
    assert_eq!(scene.drafts().len(), 2);
    assert_eq!(scene.run(&["stop", &one]).code, 2, "it is no run under way any more");
    assert_eq!(scene.ok(&["stop", "--all"]).out, "nothing is under way\n");
}

#[test]
fn a_keeper_that_hangs_is_killed_and_its_draft_is_there() {
    let scene = Scene::new();
    let mut running = scene.start(&[], "echo 1 > one.txt; echo ready; sleep 316");
    running.waits_for("ready");
    until("its child", || !with_words("sleep\x00316").is_empty());
    let inside = with_words("sleep\x00316");
    signal(running.pid(), "STOP");
    let began = Instant::now();
    let said = scene.ok(&["stop", "--all"]);
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
    assert!(said.out.contains("killed"), "{said:?}");
    running.end();
    until("the program's end", || inside.iter().all(|pid| !lives(*pid)));
    let drafts = scene.drafts();
    assert_eq!((drafts.len(), &drafts[0]["state"]), (1, &"interrupted".into()));
    scene.commit(&scene.newest());
    assert_eq!(scene.read("one.txt"), "1\n");
    scene.log_is_sound();
}

#[test]
fn a_terminal_that_goes_away_ends_the_program_and_keeps_its_draft() {
    let scene = Scene::new();
    let mut running = scene.start(&["--commit", "always"], "echo 1 > one.txt; echo ready; sleep 318");
    running.waits_for("ready");
    signal(running.pid(), "HUP");
    let said = running.end();
    assert_eq!(said.code, 129, "{said:?}");
    assert!(with_words("sleep\x00318").is_empty());
    assert!(scene.drafts().len() == 1 || scene.there("one.txt"), "its work is nowhere: {said:?}");
}

#[test]
fn signals_to_raincoat_reach_the_program() {
    let scene = Scene::new();
    for (name, number) in [("INT", 2), ("QUIT", 3), ("USR1", 10), ("USR2", 12)] {
        let script = format!("trap 'echo heard {name}; exit 40' {name}; echo ready; while :; do sleep 0.05; done");
        let mut running = scene.start(&[], &script);
        running.waits_for("ready");
        signal(running.pid(), name);
        running.waits_for(&format!("heard {name}"));
        assert_eq!(running.end().code, 40, "{name}");
        let mut running = scene.start(&[], "ulimit -c 0; echo ready; exec sleep 30");
        running.waits_for("ready");
        signal(running.pid(), name);
        assert_eq!(running.end().code, 128 + number, "{name}");
    }
}

#[test]
fn an_agents_run_is_stopped_too_and_can_be_taken_back() {
    let scene = Scene::new();
    let was = scene.snapshot();
    let server = ModelServer::start(vec![
        Turn::ToolCalls(vec![("write_file".to_owned(), json!({ "path": "new.txt", "content": "x" }))]),
        Turn::Stall(60),
    ]);
    scene.ok(&["grant", "."]);
    scene.ok(&["provider", "add", "scripted", "--url", &server.base_url(), "--model", "m"]);
    let mut command = scene.command(&["do", "clean up", "--in", ".", "--yes"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("its first change", || scene.there("new.txt") && server.requests().len() > 1);
    let began = Instant::now();
    let said = scene.ok(&["stop", "--all"]);
    assert!(began.elapsed() < BOUND && said.out.contains("stopped"), "{said:?}");
    let code = child.wait().unwrap().code();
    assert_eq!(code, Some(130), "{said:?}");
    assert_eq!(lines(&scene.ok(&["runs", "--json", "-n", "1"]).out)[0]["status"], "stopped");
    scene.undone(&was, "after the undo");
    scene.log_is_sound();
}
