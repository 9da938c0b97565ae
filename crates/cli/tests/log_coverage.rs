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

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::Home;
use raincoat_runtime::snapshot::Snapshot;
use serde_json::Value;

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
