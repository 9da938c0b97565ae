//! Tasks in words through the real binary: with a real model, and with a scripted server that plays long tasks well
//! and misbehaves in every way it can. (B2, B3, C1, D1)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[path = "support/whole.rs"]
mod whole;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use raincoat_runtime::snapshot::Snapshot;
use raincoat_testkit::llama::LlamaServer;
use raincoat_testkit::model_server::{ModelServer, Turn};
use serde_json::{Value, json};
use whole::{Home, files_below, leftovers, lines, messy, said, same};

const TASK: &str = "clean up and put the notes in order";

/// A home with the folder `in` granted, and limits that end a test soon.
fn home(limits: &str) -> (Home, PathBuf) {
    let (home, dir) = Home::granted("in");
    fs::write(home.path(".config/raincoat/config.toml"), format!("[limits]\n{limits}\n")).unwrap();
    fs::write(dir.join("a.txt"), "alpha\n").unwrap();
    fs::write(dir.join("b.txt"), "beta\n").unwrap();
    fs::create_dir(dir.join("sub")).unwrap();
    fs::write(dir.join("sub/c.txt"), "gamma\n").unwrap();
    (home, dir)
}

fn with_server(limits: &str, turns: Vec<Turn>, extra: &[&str]) -> (Home, PathBuf, ModelServer) {
    let (home, dir) = home(limits);
    let server = ModelServer::start(turns);
    let url = server.base_url();
    let words = [&["provider", "add", "local", "--url", &url, "--model", "scripted"], extra].concat();
    home.ok(&words);
    (home, dir, server)
}

fn call(name: &str, arguments: Value) -> (String, Value) {
    (name.to_owned(), arguments)
}

fn done(summary: &str) -> Turn {
    Turn::ToolCalls(vec![call("finish", json!({ "summary": summary }))])
}

fn task(home: &Home) -> (i32, Value) {
    home.report(&["do", TASK, "--in", "in", "--yes"])
}

/// A conversation with a real model, in a home of its own. Says whether its first words came while the run still worked.
fn converse(server: &LlamaServer) -> (Home, PathBuf, Snapshot, bool) {
    let (home, dir) = home("model_turns = 6\nmodel_total_secs = 60\nmodel_idle_secs = 60");
    let url = server.base_url().to_owned();
    home.ok(&["provider", "add", "local", "--url", &url, "--model", server.model(), "--window", "2048"]);
    let tested = home.ok(&["provider", "test", "local"]);
    assert!(tested.contains("answers (on this machine)"), "{tested}");
    let before = Snapshot::take(&dir).unwrap();

    let mut command = home.command(&[
        "do",
        "Say in three short lines what a folder is. Write each line on its own.",
        "--in",
        "in",
        "--yes",
    ]);
    let start = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    // The first words are here while the run still works.
    let streamed = child.try_wait().unwrap().is_none();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    let ended = said(child.wait_with_output().unwrap());
    assert!(start.elapsed() < Duration::from_secs(400));
    assert!([0, 1].contains(&ended.code) && !first.trim().is_empty(), "{first}{rest}{ended:?}");
    (home, dir, before, streamed)
}

#[test]
fn a_real_model_carries_a_conversation_with_streaming() {
    let server = LlamaServer::start();
    // What a model this small says hangs on every word, the folder's name included: now and then it says nothing and calls
    // tools until its window is full.
    let told = (0..6).map(|_| converse(&server)).find(|(.., streamed)| *streamed);
    let (home, dir, before, _) = told.expect("one of six conversations has words that come while it goes on");

    let run = home.json(&["runs", "-n", "1"]).remove(0);
    assert!(run["status"] == "done" || run["status"] == "failed", "{run}");
    let tail = home.ok(&["audit", "tail", "-n", "200"]);
    assert!(tail.contains(" bytes to ") && tail.contains("model answered 200 with "), "{tail}");

    // Nothing in the folder differs but what the run says that it changed, and undo gives all of it back.
    let shown = home.json(&["show", run["run"].as_str().unwrap()]);
    let told: Vec<&str> = shown.iter().flat_map(|op| [&op["path"], &op["to"]]).filter_map(Value::as_str).collect();
    for difference in before.differences(&Snapshot::take(&dir).unwrap()) {
        let path = String::from_utf8_lossy(&difference.path).into_owned();
        let known = told.iter().any(|told| *told == path || told.starts_with(&path));
        assert!(known, "{difference:?} is not in {told:?}");
    }
    home.run(&["undo"]);
    same(&before, &dir, "after undo");
    home.log_is_sound();
}

#[test]
fn a_task_of_forty_turns_with_parallel_calls_comes_out_right_and_is_undone() {
    let turn = Arc::new(AtomicUsize::new(0));
    let play = Turn::play({
        let turn = turn.clone();
        move |_| {
            let n = turn.fetch_add(1, Ordering::SeqCst);
            match n {
                0 => Turn::TextAndTools(
                    "I look around.\n".to_owned(),
                    vec![
                        call("list_dir", json!({ "path": ".", "depth": 3 })),
                        call("read_file", json!({ "path": "a.txt" })),
                        call("read_file", json!({ "path": "sub/c.txt" })),
                        call("hash", json!({ "path": "b.txt" })),
                    ],
                ),
                // Each turn: a new file, a look at the one before, and an edit of it.
                1..=36 => Turn::ToolCalls(vec![
                    call(
                        "write_file",
                        json!({ "path": format!("notes/n{n:02}.txt"), "content": format!("note {n}\n") }),
                    ),
                    call(
                        "write_file",
                        json!({ "path": format!("notes/m{n:02}.txt"), "content": format!("more {n}\n") }),
                    ),
                    call("search", json!({ "pattern": "note", "path": "notes" })),
                ]),
                37 => Turn::ToolCalls(vec![
                    call("edit_file", json!({ "path": "a.txt", "old": "alpha", "new": "ALPHA" })),
                    call("move", json!({ "from": "sub/c.txt", "to": "notes/c.txt" })),
                    call("copy", json!({ "from": "b.txt", "to": "copies/b.txt" })),
                ]),
                38 => Turn::ToolCalls(vec![
                    call("delete", json!({ "path": "b.txt" })),
                    call("archive", json!({ "from": ["notes"], "to": "notes.zip" })),
                ]),
                39 => Turn::ToolCalls(vec![call("extract_archive", json!({ "from": "notes.zip", "to": "out" }))]),
                _ => done("all in order"),
            }
        }
    });
    let (home, dir, server) = with_server("", vec![play], &[]);
    let before = Snapshot::take(&dir).unwrap();
    let (code, report) = task(&home);
    assert_eq!((code, &report["status"], &report["summary"]), (0, &"done".into(), &"all in order".into()), "{report}");
    assert_eq!((&report["failed"], &report["refused"]), (&json!(0), &json!(0)), "{report}");
    assert_eq!(server.requests().len(), 41);
    assert_eq!(fs::read_to_string(dir.join("a.txt")).unwrap(), "ALPHA\n");
    assert_eq!(fs::read_to_string(dir.join("copies/b.txt")).unwrap(), "beta\n");
    assert!(!dir.join("b.txt").exists() && !dir.join("sub/c.txt").exists());
    let count = |below: &str| {
        let mut found = Vec::new();
        files_below(&dir.join(below), &mut found);
        found.len()
    };
    assert_eq!((count("notes"), count("out")), (73, 73));
    assert!(report["said"].as_str().unwrap().contains("I look around."), "{report}");

    let run = report["run"].as_str().unwrap();
    let shown = home.json(&["show", run]);
    assert_eq!(shown.len() as u64 - 1, report["changes"].as_u64().unwrap());
    let diff = home.ok(&["diff", run]);
    assert!(diff.contains("-alpha") && diff.contains("+ALPHA"), "{diff}");
    assert_eq!(home.json(&["runs", "-n", "1"])[0]["goal"], TASK);
    // Every request went to the log before it went out.
    let tail = home.ok(&["audit", "tail", "-n", "2000"]);
    assert_eq!(tail.matches(" bytes to scripted at local").count(), 41);
    assert_eq!(tail.matches("model answered 200").count(), 41);

    home.ok(&["undo"]);
    same(&before, &dir, "after undo");
    home.ok(&["undo"]);
    assert_eq!((count("notes"), count("out")), (73, 73));
    home.ok(&["undo"]);
    same(&before, &dir, "after the third undo");
    home.log_is_sound();
}

#[test]
fn calls_in_the_wrong_order_wrong_calls_and_attempts_outside_cost_nothing() {
    let turns = vec![
        // A change before what it needs, a file not read before it is overwritten, tools and paths that do not exist.
        Turn::ToolCalls(vec![
            call("move", json!({ "from": "later/x.txt", "to": "later/y.txt" })),
            call("write_file", json!({ "path": "later/x.txt", "content": "x" })),
        ]),
        Turn::ToolCalls(vec![call("write_file", json!({ "path": "a.txt", "content": "unread" }))]),
        Turn::ToolCalls(vec![call("shell", json!({ "command": "rm -rf /" }))]),
        Turn::RawToolCall("read_file".to_owned(), "{\"path\": \"a.t".to_owned()),
        Turn::RawToolCall("delete".to_owned(), "[1, 2".to_owned()),
        Turn::ToolCalls(vec![
            call("read_file", json!({ "path": "/etc/passwd" })),
            call("read_file", json!({ "path": "../.config/raincoat/config.toml" })),
            call("write_file", json!({ "path": "../outside.txt", "content": "out" })),
            call("write_file", json!({ "path": "AGENTS.md", "content": "obey" })),
            call("delete", json!({ "path": ".", "recursive": true })),
        ]),
        Turn::ToolCalls(vec![call("finish", json!({ "summary": "half of it", "success": false }))]),
    ];
    let (home, dir, server) = with_server("", turns, &[]);
    let before = Snapshot::take(&dir).unwrap();
    let (code, report) = task(&home);
    assert_eq!((code, &report["status"]), (1, &"failed".into()), "{report}");
    assert_eq!(server.turns_left(), 0, "each mistake was told to the model, and it went on");
    assert_eq!(fs::read_to_string(dir.join("a.txt")).unwrap(), "alpha\n");
    assert!(!home.path("outside.txt").exists() && !dir.join("AGENTS.md").exists());
    let requests = server.requests();
    let last = String::from_utf8_lossy(&requests.last().unwrap().body).into_owned();
    assert!(!last.contains("root:x:") && last.contains("there is no tool `shell`"), "{last}");
    home.run(&["undo"]);
    same(&before, &dir, "after undo");
    home.log_is_sound();
}

#[test]
fn whatever_a_server_does_ends_in_a_clear_error_and_a_sound_store() {
    let error = |message: &str| json!({ "error": { "message": message } }).to_string();
    let times = |make: &dyn Fn() -> Turn| (0..3).map(|_| make()).collect::<Vec<_>>();
    let cases: Vec<(&str, Vec<Turn>, &str)> = vec![
        ("500", times(&|| Turn::Status(500, error("it broke"))), "it broke"),
        ("401", vec![Turn::Status(401, error("no such key"))], "no such key"),
        ("429", times(&|| Turn::RetryAfter(0)), "slow down"),
        ("garbage", times(&|| Turn::Garbage(b"\x00\xff\xfe nothing like HTTP\r\n\r\n".to_vec())), ""),
        ("no event stream", times(&|| Turn::NotSse(b"<html>hello</html>".repeat(50))), ""),
        (
            "an error in the stream",
            times(&|| Turn::ErrorInStream(String::new(), "overloaded".to_owned())),
            "overloaded",
        ),
        ("cut within a character", times(&|| Turn::Truncated("äöü".to_owned())), ""),
        ("cut before the headers", times(&|| Turn::ClosesBeforeHeaders), ""),
        ("a stall", times(&|| Turn::Stall(60)), ""),
        ("a stall before the headers", times(&|| Turn::StallBeforeHeaders(60)), ""),
        ("an endless reply", vec![Turn::Endless], "over and over"),
        ("endless headers", times(&|| Turn::EndlessHeaders), ""),
        ("a line without end", times(&|| Turn::HugeLine(8 << 20)), ""),
        ("a redirect", times(&|| Turn::Redirect("http://127.0.0.1:9/elsewhere".to_owned())), ""),
        ("nothing, again and again", (0..5).map(|_| Turn::Text(String::new())).collect(), "no usable answer"),
        (
            "the same mistake again and again",
            vec![Turn::play(|_| Turn::ToolCalls(vec![call("stat", json!({ "path": "nosuch" }))]))],
            "",
        ),
        (
            "never done",
            vec![Turn::play({
                let mut n = 0;
                move |_| {
                    n += 1;
                    Turn::ToolCalls(vec![call("make_dir", json!({ "path": format!("d{n}") }))])
                }
            })],
            "within 8 turns",
        ),
    ];
    for (name, turns, words) in cases {
        let limits = "model_idle_secs = 1\nmodel_total_secs = 5\nmodel_turns = 8\nmodel_reply_bytes = 1000000";
        let (home, dir, _server) = with_server(limits, turns, &[]);
        let before = Snapshot::take(&dir).unwrap();
        let start = Instant::now();
        let (code, report) = task(&home);
        let took = start.elapsed();
        assert!(matches!(code, 1 | 6), "{name}: {code} {report}");
        let summary = report["summary"].as_str().unwrap();
        assert!(summary.contains(words) && !summary.trim().is_empty(), "{name}: {report}");
        assert!(took < Duration::from_secs(25), "{name} took {took:?}");
        let run = home.json(&["runs", "-n", "1"]).remove(0);
        assert_eq!(run["status"], "failed", "{name}: {run}");
        if report["changes"].as_u64().unwrap() > 0 {
            home.ok(&["undo"]);
        }
        same(&before, &dir, name);
        home.log_is_sound();
    }
}

#[test]
fn passing_troubles_are_tried_again_and_the_task_is_done() {
    let turns = vec![
        Turn::Status(503, "{}".to_owned()),
        Turn::RetryAfter(0),
        Turn::ToolCalls(vec![call("write_file", json!({ "path": "new.txt", "content": "one" }))]),
        Turn::ClosesBeforeHeaders,
        Turn::MissingDone("thinking\n".to_owned()),
    ];
    let (home, dir, _server) = with_server("model_idle_secs = 2", turns, &[]);
    let before = Snapshot::take(&dir).unwrap();
    let (code, report) = task(&home);
    assert_eq!((code, &report["changes"]), (0, &json!(1)), "{report}");
    assert_eq!(fs::read_to_string(dir.join("new.txt")).unwrap(), "one");
    home.ok(&["undo"]);
    same(&before, &dir, "after undo");
}

#[test]
fn a_refusal_of_the_model_is_told_and_changes_nothing() {
    let refusal = json!({ "choices": [{ "index": 0, "finish_reason": "stop",
        "message": { "role": "assistant", "content": null, "refusal": "I must not do that" } }] });
    let (home, dir, _server) = with_server("", vec![Turn::Json(refusal)], &[]);
    let before = Snapshot::take(&dir).unwrap();
    let (code, report) = task(&home);
    assert_eq!(code, 1, "{report}");
    assert!(report["summary"].as_str().unwrap().contains("the model declined: I must not do that"), "{report}");
    same(&before, &dir, "refused");
}

#[test]
fn a_model_without_native_tools_speaks_the_text_protocol() {
    let block =
        |name: &str, arguments: Value| format!("```tool\n{}\n```\n", json!({ "name": name, "arguments": arguments }));
    let turns = vec![
        Turn::Text(format!("Looking.\n{}", block("list_dir", json!({ "path": "." })))),
        Turn::Text(format!(
            "{}{}",
            block("write_file", json!({ "path": "x.txt", "content": "x\n```\nfence\n" })),
            block("move", json!({ "from": "b.txt", "to": "kept/b.txt" }))
        )),
        Turn::Text("```tool\n{\"name\": \"stat\"\n```\n".to_owned()),
        Turn::Text(block("finish", json!({ "summary": "done in text" }))),
    ];
    let (home, dir, server) = with_server("", turns, &["--native-tools", "no"]);
    let before = Snapshot::take(&dir).unwrap();
    let (code, report) = task(&home);
    assert_eq!((code, &report["summary"]), (0, &"done in text".into()), "{report}");
    assert_eq!(fs::read_to_string(dir.join("x.txt")).unwrap(), "x\n```\nfence\n");
    assert_eq!(fs::read_to_string(dir.join("kept/b.txt")).unwrap(), "beta\n");
    assert!(server.requests().iter().all(|request| request.json().get("tools").is_none()));
    let told = report["said"].as_str().unwrap();
    assert!(told.contains("Looking.") && !told.contains("```tool"), "{told}");
    home.ok(&["undo"]);
    same(&before, &dir, "after undo");
}

#[test]
fn a_server_that_knows_no_tools_is_spoken_to_in_text() {
    let turns = vec![
        Turn::Status(400, json!({ "error": { "message": "this model does not support tools" } }).to_string()),
        Turn::Text("```tool\n{\"name\": \"make_dir\", \"arguments\": {\"path\": \"made\"}}\n```\n".to_owned()),
        Turn::Text("It is made.".to_owned()),
    ];
    let (home, dir, _server) = with_server("", turns, &[]);
    let (code, report) = task(&home);
    assert_eq!((code, &report["summary"]), (0, &"It is made.".into()), "{report}");
    assert!(dir.join("made").is_dir());
}

#[test]
fn words_reach_the_person_while_they_come() {
    let words = "one line\nanother line\nthe last line\n";
    let (home, _dir, _server) = with_server("", vec![Turn::SlowDrip(words.to_owned(), 4)], &[]);
    let mut command = home.command(&["do", TASK, "--in", "in", "--yes"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    assert_eq!(first, "one line\n");
    assert!(child.try_wait().unwrap().is_none(), "the first line came only with the end");
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(rest.starts_with("another line\nthe last line\n"), "{rest}");
}

#[test]
fn a_key_reaches_its_server_and_nothing_else() {
    let secret = "sk-test-3b9f61e07cd24a58";
    // The server says it back in words, in an error, and in a tool's arguments.
    let turns = vec![
        Turn::Status(503, "{}".to_owned()),
        Turn::ToolCalls(vec![call("list_dir", json!({}))]),
        done("done"),
        Turn::Status(401, json!({ "error": { "message": "your key is wrong" } }).to_string()),
    ];
    let (home, _dir) = home("");
    let server = ModelServer::start(turns);
    let url = server.base_url();
    let mut heard = Vec::new();
    heard.push(home.with_input(&["key", "add", "mine"], &format!("{secret}\n")));
    heard.push(home.run(&["provider", "add", "local", "--url", &url, "--model", "scripted", "--key", "mine"]));
    heard.push(home.run(&["provider", "test", "local"]));
    heard.push(home.run(&["do", TASK, "--in", "in", "--yes"]));
    heard.push(home.run(&["do", TASK, "--in", "in", "--yes", "--json"]));
    for words in [
        &["show", "--json"][..],
        &["show"],
        &["audit", "tail", "-n", "500", "--json"],
        &["key", "list", "--json"],
        &["provider", "list", "--json"],
        &["doctor", "--json"],
        &["runs", "--json"],
    ] {
        heard.push(home.run(words));
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 5);
    for request in &requests {
        assert_eq!(request.header("authorization"), Some(format!("Bearer {secret}").as_str()));
        assert!(!String::from_utf8_lossy(&request.body).contains(secret));
    }
    assert_eq!(
        heard.iter().map(|said| said.code).collect::<Vec<_>>(),
        [0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0],
        "{heard:#?}"
    );
    for said in &heard {
        assert!(!said.out.contains(secret) && !said.err.contains(secret), "{said:?}");
    }
    let mut files = Vec::new();
    files_below(home.dir.path(), &mut files);
    let hidden: Vec<Vec<u8>> = vec![secret.into(), secret[8..].into(), hex(secret).into()];
    for (path, bytes) in files {
        for words in &hidden {
            assert!(!bytes.windows(words.len()).any(|part| part == words), "{} has the key", path.display());
        }
    }
    // A key goes to no host that its owner did not name it for.
    let other = ModelServer::start(vec![done("done")]);
    let elsewhere = other.base_url().replace("127.0.0.1", "localhost");
    home.ok(&["key", "list"]);
    let said = home.run(&["provider", "add", "other", "--url", &elsewhere, "--model", "scripted"]);
    assert_eq!(said.code, 0, "{said:?}");
    home.report(&["do", TASK, "--in", "in", "--yes", "--provider", "other"]);
    assert!(other.requests().iter().all(|request| request.header("authorization").is_none()));
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_run_that_was_killed_in_the_middle_goes_on_where_it_was() {
    let turn = Arc::new(AtomicUsize::new(0));
    let play = Turn::play({
        let turn = turn.clone();
        move |_| match turn.fetch_add(1, Ordering::SeqCst) {
            0 => Turn::ToolCalls(vec![call("read_file", json!({ "path": "a.txt" }))]),
            1 => Turn::ToolCalls(vec![call("write_file", json!({ "path": "first.txt", "content": "first" }))]),
            // Here the keeper is killed.
            2 => Turn::Stall(60),
            3 => Turn::ToolCalls(vec![call("write_file", json!({ "path": "second.txt", "content": "second" }))]),
            _ => done("went on"),
        }
    });
    let (home, dir, server) = with_server("", vec![play], &[]);
    let before = Snapshot::take(&dir).unwrap();
    let mut child = home.command(&["do", TASK, "--in", "in", "--yes"]).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while turn.load(Ordering::SeqCst) < 3 {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let run = home.json(&["runs", "-n", "1"]).remove(0);
    assert_eq!(run["status"], "interrupted", "{run}");
    let id = run["run"].as_str().unwrap();
    let (code, report) = home.report(&["do", TASK, "--in", "in", "--yes", "--resume", id]);
    assert_eq!((code, &report["summary"]), (0, &"went on".into()), "{report}");
    assert_eq!(fs::read_to_string(dir.join("first.txt")).unwrap(), "first");
    assert_eq!(fs::read_to_string(dir.join("second.txt")).unwrap(), "second");
    // It was told all that had been said before.
    let body = String::from_utf8_lossy(&server.requests()[3].body).into_owned();
    assert!(body.contains("alpha") && body.contains("first.txt"), "{body}");
    home.ok(&["undo"]);
    home.ok(&["undo", id]);
    same(&before, &dir, "both undone");
    home.log_is_sound();
}

#[test]
fn a_task_over_a_messy_folder_with_every_tool_is_undone() {
    let (home, dir, _server) = with_server(
        "",
        vec![
            Turn::ToolCalls(vec![call("list_dir", json!({ "depth": 4 }))]),
            Turn::ToolCalls(vec![
                call("move", json!({ "from": "one", "to": "moved/one" })),
                call("archive", json!({ "from": ["other stuff"], "to": "stuff.tar.gz" })),
            ]),
            Turn::ToolCalls(vec![
                call("delete", json!({ "path": "other stuff", "recursive": true })),
                call("extract_archive", json!({ "from": "stuff.tar.gz", "to": "again" })),
                call("copy", json!({ "from": "moved", "to": "copied" })),
                call("delete", json!({ "path": "moved/one/two", "recursive": true })),
            ]),
            done("every tool"),
        ],
        &[],
    );
    messy(&dir, 40, &mut whole::Dice(5));
    let before = Snapshot::take(&dir).unwrap();
    let (code, report) = task(&home);
    assert_eq!(code, 0, "{report}");
    assert!(dir.join("again").is_dir() && dir.join("copied/one").is_dir() && !dir.join("other stuff").exists());
    let changed = Snapshot::take(&dir).unwrap();
    assert_eq!(leftovers(&changed), [""; 0]);
    home.ok(&["undo"]);
    same(&before, &dir, "after undo");
    home.ok(&["undo"]);
    same(&changed, &dir, "after the undo of the undo");
    let entries = lines(&home.ok(&["audit", "tail", "-n", "5", "--json"]));
    assert_eq!(entries.len(), 5);
}
