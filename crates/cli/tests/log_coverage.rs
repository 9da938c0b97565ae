//! What `docs/log.md` promises stands in the log: one of everything is played through the real binary (C2, C3, D1).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod common;
#[path = "support/damage.rs"]
mod damage;
#[path = "support/enclosed.rs"]
mod enclosed;
use enclosed::whole;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::Home;
use damage::{DATA, STATE, patch, records, segments};
use enclosed::{Scene, at_terminal, raincoat};
use raincoat_runtime::snapshot::Snapshot;
use raincoat_testkit::model_server::{ModelServer, Turn};
use serde_json::Value;
use serde_json::json;

/// All entries, oldest first.
fn entries(home: &Home) -> Vec<Value> {
    home.json(&["audit", "tail", "-n", "100000"])
}

fn of_kind<'a>(entries: &'a [Value], kind: &str) -> Vec<&'a str> {
    entries.iter().filter(|entry| entry["kind"] == kind).map(|entry| entry["line"].as_str().unwrap()).collect()
}

/// At least one entry of this kind says all of this.
fn says(entries: &[Value], kind: &str, words: &[&str]) {
    let lines = of_kind(entries, kind);
    let told = lines.iter().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(told, "no {kind} with {words:?} in {lines:#?}");
}

#[test]
fn a_recipe_leaves_its_verdicts_its_approval_and_each_file_with_before_and_after() {
    let home = Home::new();
    let dir = home.folder("in");
    let before = Snapshot::take(&dir).unwrap();
    home.ok(&["init", "--no-input"]);
    home.ok(&["grant", "in", "--deny", "*.key"]);
    // Nobody can be asked, so the plan is refused.
    assert_eq!(home.run(&["do", "tidy", "in", "--no-input"]).code, 3);
    home.ok(&["do", "tidy", "in", "--yes"]);
    let all = entries(&home);
    says(&all, "command.started", &["`do` started by "]);
    says(&all, "keys.slot-added", &["key-file"]);
    says(&all, "grant.added", &["in as ", "*.key"]);
    says(&all, "approval.asked", &["steps"]);
    says(&all, "approval.declined", &[]);
    says(&all, "approval.used", &["yes to every plan"]);
    says(&all, "proposal.judged", &["allowed: move", "granted: "]);
    says(&all, "command.ended", &["`do` ended with 3", "nobody could be asked"]);
    says(&all, "command.ended", &["`do` ended with 0"]);
    // Every file that is another now is spoken of before and after, with an operation that undo takes.
    let (planned, made) = (of_kind(&all, "op.planned"), of_kind(&all, "op.made"));
    let changed = before.differences(&Snapshot::take(&dir).unwrap());
    assert!(!changed.is_empty());
    for difference in changed.iter().filter(|difference| !difference.path.is_empty()) {
        let path = String::from_utf8_lossy(&difference.path).into_owned();
        for lines in [&planned, &made] {
            assert!(lines.iter().any(|line| line.contains(&path)), "{path} is not in {lines:#?}");
        }
    }
    let moved = made.iter().find(|line| line.contains("done: move") && line.contains("now blake3")).unwrap();
    assert!(moved.contains("before blake3"), "{moved}");
    let op = moved.split(' ').next().unwrap();
    home.ok(&["undo", op]);
    says(&entries(&home), "undo.done", &["1 taken back, 0 left"]);
    home.ok(&["undo"]);
    home.ok(&["revoke", home.json(&["grants"])[0]["id"].as_str().unwrap()]);
    says(&entries(&home), "grant.taken-back", &["in back, granted as"]);
    assert!(home.ok(&["audit", "verify"]).contains("the log is sound"));
}

#[test]
fn settings_keys_and_what_was_refused_stand_in_the_log_and_no_secret_does() {
    const SECRET: &str = "sk-4f1e-never-in-the-log";
    let home = Home::new();
    home.folder("in");
    home.ok(&["init", "--no-input"]);
    let config = home.path(".config/raincoat/config.toml");
    fs::write(&config, "[model]\noffline = true\n[log]\naudit = true\n").unwrap();
    home.ok(&["grant", "in"]);
    fs::write(&config, "").unwrap();
    home.ok(&["provider", "add", "big", "--url", "https://api.example.com/v1", "--model", "m", "--key", "big"]);
    let added = home.with_input(&["key", "add", "big"], SECRET);
    assert_eq!(added.code, 0, "{added:?}");
    home.ok(&["provider", "remove", "big"]);
    home.ok(&["key", "remove", "big"]);
    assert_ne!(home.run(&["grant", "/"]).code, 0);
    assert_ne!(home.run(&["do", "tidy", "/usr", "--yes"]).code, 0);
    home.run(&["doctor"]);
    let all = entries(&home);
    says(&all, "setting.changed", &["model.offline: not set -> true"]);
    says(&all, "setting.changed", &["model.offline: true -> not set"]);
    says(&all, "mode.changed", &["audit: off -> on"]);
    says(&all, "mode.changed", &["audit: on -> off"]);
    says(&all, "provider.added", &["big at https://api.example.com/v1"]);
    says(&all, "setting.changed", &["provider big: ", "-> not set"]);
    says(&all, "credential.added", &["key big added, version 1, for api.example.com"]);
    says(&all, "credential.removed", &["key big"]);
    says(&all, "access.refused", &["folder /", "never-granted"]);
    says(&all, "proposal.judged", &["denied: do as ", "no-grant"]);
    says(&all, "protection.missing", &["passphrase"]);
    // Handed out, each time that it is.
    says(&entries(&home), "access.granted", &["the log's last"]);
    let shown = entries(&home).iter().map(Value::to_string).collect::<String>();
    assert!(!shown.contains(SECRET) && !shown.contains("4f1e"), "{shown}");
}

#[test]
fn what_only_lists_leaves_nothing() {
    let home = Home::new();
    home.ok(&["init", "--no-input"]);
    let before = entries(&home).len();
    for command in [&["grants"][..], &["runs"], &["drafts"], &["key", "list"], &["provider", "list"], &["--help"]] {
        home.ok(command);
    }
    let all = entries(&home);
    // The first look itself has left its beginning, its end and what it handed out.
    assert!(all[before..].iter().all(|entry| !entry["line"].as_str().unwrap().contains("grants")), "{all:#?}");
    assert!(all.len() <= before + 8, "{:#?}", &all[before..]);
}

#[test]
fn a_wrong_passphrase_is_told_by_the_next_command_that_opens_the_store() {
    let mut home = Home::new();
    let file = |name: &str, words: &str| {
        let path = home.path(name);
        fs::write(&path, words).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let (right, wrong) = (file("right", "correct horse battery"), file("wrong", "incorrect"));
    fs::create_dir_all(home.path(".config/raincoat")).unwrap();
    fs::set_permissions(home.path(".config/raincoat"), fs::Permissions::from_mode(0o700)).unwrap();
    // Asked for each time: nothing of the machine's keyring is used.
    fs::write(home.path(".config/raincoat/config.toml"), "[unlock]\nidle_secs = 0\n").unwrap();
    home.passphrase_file = Some(right.clone());
    home.ok(&["init", "--no-input"]);
    home.passphrase_file = Some(wrong);
    assert_eq!(home.run(&["audit", "tail"]).code, 4);
    home.passphrase_file = Some(right);
    // The delay after a wrong one: one second.
    let mut said = home.run(&["doctor"]);
    for _ in 0..50 {
        if said.code != 4 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        said = home.run(&["doctor"]);
    }
    let all = entries(&home);
    says(&all, "keys.slot-added", &["passphrase"]);
    says(&all, "keys.unlock-refused", &["passphrase", "wrong passphrase (1 in a row)"]);
    says(&all, "keys.unlocked", &["passphrase"]);
}

/// One of everything: each kind of event that the page on the log promises is written by the real binary, found by a
/// search, shown, and handed out.
#[test]
fn every_kind_that_the_page_names_is_written_found_shown_and_handed_out() {
    const PAGE: &str = include_str!("../../../docs/log.md");
    let rows = PAGE.lines().filter(|row| !row.contains("(Older versions.)") && !row.contains("Never written"));
    let promised = rows.filter_map(|row| Some(row.strip_prefix("| `")?.split_once('`')?.0.to_owned()));
    let acts: [fn() -> BTreeSet<String>; 6] =
        [a_programs_life, a_models_task, ways_into_the_keys, care_of_the_store, care_of_the_log, settings_and_plans];
    let played: Vec<_> = acts.map(std::thread::spawn).into_iter().map(std::thread::JoinHandle::join).collect();
    let made: BTreeSet<String> = played.into_iter().flat_map(|kinds| kinds.expect("an act failed")).collect();
    let missing: Vec<String> = promised.filter(|kind| !made.contains(kind)).collect();
    assert!(missing.is_empty(), "promised, and never seen: {missing:?}");
    assert!(made.len() > 70, "{made:?}");
}

/// The kinds of entries in a log as it is exported, each of which is found and shown.
fn kinds(home: &whole::Home) -> BTreeSet<String> {
    let exported = whole::lines(&home.ok(&["audit", "export", "--format", "jsonl"]));
    let newest: BTreeMap<&str, u64> =
        exported.iter().map(|one| (one["kind"].as_str().unwrap(), one["index"].as_u64().unwrap())).collect();
    for (kind, index) in &newest {
        let shown = home.json(&["audit", "show", &index.to_string()]).remove(0);
        assert_eq!(shown["kind"], *kind, "{shown}");
        if *kind != "erased" {
            let found = home.json(&["audit", "search", "--kind", kind, "-n", "1"]);
            assert_eq!(found[0]["kind"], *kind, "{found:?}");
        }
    }
    newest.into_keys().map(str::to_owned).collect()
}

/// Answers every request on this port with these words, for as long as the test runs.
fn answering(words: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1 << 16]);
            let _ = stream.write_all(words.as_bytes());
        }
    });
    port
}

/// A program in a draft that is refused things, what becomes of its draft, and what is taken back of it.
fn a_programs_life() -> BTreeSet<String> {
    let scene = Scene::new();
    let port = answering("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nhey");
    let host = format!("localhost:{port}");
    let script = format!(
        "curl -sS -m 5 http://{host}/; curl -sS -m 3 -o got http://example.com/; mount -t tmpfs t /mnt; setsid sleep 321 & \
         echo more >>a.txt; echo evil >.bashrc; true"
    );
    let said = scene.exec(&["--net", &host], &script);
    assert_eq!((said.code, said.out.as_str()), (0, "hey"), "{said:?}");
    scene.commit(&scene.newest());
    let commit = scene.home.json(&["runs", "-n", "1"])[0]["run"].as_str().unwrap().to_owned();
    scene.ok(&["discard", "--all", "--yes"]);
    scene.write("a.txt", "somebody else's");
    assert_eq!(scene.run(&["undo"]).code, 5);
    scene.ok(&["restore", "a.txt", "--before", &commit]);
    let restored = scene.home.json(&["audit", "search", "--kind", "restore.done"]).remove(0);
    assert!(restored["line"].as_str().unwrap().contains(&format!("as of before run {commit}: 1 files")), "{restored}");
    scene.drafted("rm b.txt");
    scene.ok(&["commit", "--without-backup", "b.txt"]);
    let mut running = scene.start(&[], "echo ready; sleep 322");
    running.waits_for("ready");
    scene.ok(&["stop", "--all"]);
    running.end();
    scene.log_is_sound();
    kinds(&scene.home)
}

/// A model that looks at a file, without and with audit mode, a task too long for an entry, and a provider and its key.
fn a_models_task() -> BTreeSet<String> {
    let (home, dir) = whole::Home::granted("in");
    fs::write(dir.join("a.txt"), "alpha\n").unwrap();
    let call = |name: &str, arguments| Turn::ToolCalls(vec![(name.to_owned(), arguments)]);
    let task = || [call("read", json!({ "path": "a.txt" })), call("finish", json!({ "summary": "looked" }))];
    let mut turns = vec![Turn::Usage("I look around.".to_owned(), 10, 5)];
    turns.extend(task());
    turns.extend(task());
    let server = ModelServer::start(turns);
    home.ok(&["provider", "add", "local", "--url", &server.base_url(), "--model", "scripted"]);
    fs::write(home.path(".config/raincoat/config.toml"), "[prices]\n\"scripted\" = \"3.00 15.00 USD\"\n").unwrap();
    home.run(&["do", "look at it", "--in", "in", "--yes"]);
    says(&home.json(&["audit", "tail", "-n", "1000"]), "model.used", &["used 10 + 5 tokens, 0.000105 USD"]);
    fs::write(home.path(".config/raincoat/config.toml"), "[log]\naudit = true\n").unwrap();
    home.run(&["do", "look at it again", "--in", "in", "--yes"]);
    home.run(&["do", &"look again and again ".repeat(4000), "--in", "in", "--yes"]);
    home.ok(&["provider", "add", "big", "--url", "https://api.example.com/v1", "--model", "m", "--key", "big"]);
    assert_eq!(home.with_input(&["key", "add", "big"], "sk-none").code, 0);
    home.ok(&["key", "remove", "big"]);
    home.log_is_sound();
    kinds(&home)
}

/// A key in a file, a passphrase, another one, a wrong one, and a lock.
fn ways_into_the_keys() -> BTreeSet<String> {
    let scene = Scene::new();
    let play = |words: &[&str], steps| {
        let program = raincoat();
        let shown = at_terminal(&scene, scene.home.dir.path(), &[&[program.as_str()], words].concat(), &steps);
        assert!(shown.contains("exit "), "{shown}");
        shown
    };
    scene.ok(&["init", "--no-input"]);
    let shown = play(&["passphrase"], json!([["new passphrase:", "right horse\n"], ["same again:", "right horse\n"]]));
    assert!(shown.contains("exit 0"), "{shown}");
    // The unlock is kept, and not enough to change what opens the keys.
    let steps = json!([
        ["passphrase:", "right horse\n"],
        ["new passphrase:", "other horse\n"],
        ["same again:", "other horse\n"]
    ]);
    let shown = play(&["passphrase"], steps);
    assert!(shown.contains("exit 0"), "{shown}");
    scene.ok(&["lock"]);
    assert!(play(&["grants"], json!([["passphrase:", "wrong horse\n"]])).contains("exit 4"));
    std::thread::sleep(std::time::Duration::from_millis(1200));
    assert!(play(&["audit", "tail"], json!([["passphrase:", "other horse\n"]])).contains("exit 0"));
    kinds(&scene.home)
}

/// Disks that fail, a crash, damage, pruning, and a budget.
fn care_of_the_store() -> BTreeSet<String> {
    let (home, dir) = whole::Home::granted("in");
    fs::write(dir.join("plain.txt"), "a person's").unwrap();
    let rename = ["do", "rename", "in", "--from", "*", "--to", "r{name}", "--yes"];
    let seen = |kind: &str| !home.json(&["audit", "search", "--kind", kind, "-n", "1"]).is_empty();
    for (fault, kind) in [("eio", "op.failed"), ("eio", "store.failed"), ("kill", "run.settled")] {
        let met = (1..200).any(|n| {
            home.command(&rename).env("RAINCOAT_FAULT", format!("{fault}:{n}")).output().unwrap();
            home.run(&["undo", "--dry-run"]);
            seen(kind)
        });
        assert!(met, "{kind} never came of {fault}");
    }
    home.ok(&rename);
    let segment = &segments(&home)[0];
    let at = records(segment);
    patch(segment, |bytes| bytes[at[3] + 60] ^= 1);
    assert_eq!(home.run(&["store", "verify"]).code, 8);
    home.ok(&["store", "repair"]);
    home.ok(&["store", "prune", "--to", "1M", "--within-keep", "--yes"]);
    fs::write(home.path(".config/raincoat/config.toml"), "[store]\nbudget = \"64 MiB\"\n").unwrap();
    fs::write(dir.join("large"), vec![7; 70 << 20]).unwrap();
    home.run(&["exec", "--commit", "always", "--in", "in", "--", "/bin/sh", "-c", "rm large"]);
    home.log_is_sound();
    kinds(&home)
}

/// Witnesses, proofs, exports, erasure, retention, and a log that was put back.
fn care_of_the_log() -> BTreeSet<String> {
    let (home, dir) = whole::Home::granted("in");
    for n in 0..90 {
        fs::write(dir.join(format!("{n}.txt")), n.to_string()).unwrap();
    }
    home.ok(&["do", "rename", "in", "--from", "*", "--to", "r{name}", "--yes"]);
    let run = home.json(&["runs", "-n", "1"])[0]["run"].as_str().unwrap().to_owned();

    fs::create_dir(home.path("stick")).unwrap();
    home.ok(&["audit", "witness", "add", "stick", "--folder", "stick"]);
    fs::rename(home.path("stick"), home.path("drawer")).unwrap();
    home.ok(&["audit", "witness", "sync"]);
    fs::rename(home.path("drawer"), home.path("stick")).unwrap();
    let copies = [DATA, STATE].map(|part| (home.path(part), home.path(&format!("early/{part}"))));
    copies.iter().for_each(|(now, early)| put(now, early));
    home.ok(&["grant", "in"]);
    home.ok(&["audit", "witness", "sync"]);
    copies.iter().for_each(|(now, early)| put(early, now));
    assert_eq!(home.run(&["audit", "witness", "sync"]).code, 8);
    home.ok(&["audit", "witness", "remove", "stick"]);

    home.ok(&["audit", "verify"]);
    home.ok(&["audit", "prove", "3", "--out", "proof"]);
    let to =
        format!("http://127.0.0.1:{}", answering("HTTP/1.1 400 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
    home.run(&["audit", "export", "--format", "otlp", "--to", &to]);
    let before = kinds(&home);

    home.ok(&["audit", "erase", &format!("run:{run}"), "--yes"]);
    home.ok(&["audit", "retention", "set", "all", "0d"]);
    home.ok(&["grant", "in"]);
    let folder = format!("folder:{}", dir.display());
    home.ok(&["audit", "retention", "hold", &folder, "--because", "a court asked"]);
    home.ok(&["audit", "retention", "release", "1"]);
    home.ok(&["audit", "retention", "prune", "--yes"]);
    let (log, early) = (home.path(DATA).join("audit"), home.path("log-before"));
    put(&log, &early);
    home.ok(&["grant", "in"]);
    put(&early, &log);
    assert_eq!(home.run(&["grant", "in"]).code, 8);
    home.ok(&["audit", "accept", "--yes"]);
    home.log_is_sound();
    before.into_iter().chain(kinds(&home)).collect()
}

/// A copy of a folder in the place of what is there.
fn put(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let done = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

/// Settings, grants, refusals, and plans: refused where nobody can be asked, taken when shown, and taken unseen.
fn settings_and_plans() -> BTreeSet<String> {
    let scene = Scene::new();
    scene.ok(&["init", "--no-input"]);
    scene.ok(&["doctor"]);
    let config = scene.home.path(".config/raincoat/config.toml");
    fs::write(&config, "[model]\noffline = true\n[log]\naudit = true\n").unwrap();
    scene.ok(&["grant", "."]);
    assert_ne!(scene.run(&["grant", "/"]).code, 0);
    assert_eq!(scene.run(&["do", "tidy", ".", "--no-input"]).code, 3);
    let program = raincoat();
    let shown = at_terminal(&scene, &scene.dir, &[&program, "do", "tidy", "."], &json!([["your answer:", "y\n"]]));
    assert!(shown.contains("exit 0"), "{shown}");
    scene.ok(&["undo"]);
    scene.ok(&["do", "tidy", ".", "--yes"]);
    scene.ok(&["audit", "tail", "-n", "1"]);
    scene.ok(&["revoke", scene.home.json(&["grants"])[0]["id"].as_str().unwrap()]);
    scene.log_is_sound();
    kinds(&scene.home)
}
