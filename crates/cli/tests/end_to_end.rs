//! The whole first path through the real binary.

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
use std::process::Stdio;

use common::{Home, files_below, lines};
use raincoat_runtime::snapshot::Snapshot;

#[test]
fn a_folder_is_tidied_shown_undone_and_the_log_is_sound() {
    // A2, A3, B2, C1, D1, H1
    let home = Home::new();
    let dir = home.folder("in");
    let before = Snapshot::take(&dir).unwrap();
    let init = home.ok(&["init", "--no-input"]);
    assert!(init.contains("config.toml") && init.contains("enforced"), "{init}");
    assert!(home.ok(&["grant", "in"]).contains("revoke"));

    let did = home.ok(&["do", "tidy", "in", "--yes"]);
    let undo = did.lines().last().unwrap();
    let run = undo.strip_prefix("undo it with: raincoat undo ").unwrap_or_else(|| panic!("{did}"));
    assert!(!before.differences(&Snapshot::take(&dir).unwrap()).is_empty());

    let only = home.ok(&["show", run, "--path", "a.txt"]);
    assert!(only.contains("a.txt") && !only.contains("b.csv"), "{only}");
    let show = home.ok(&["show", run]);
    for part in ["a.txt", "move", "blake3", "recipe:tidy"] {
        assert!(show.contains(part), "{part} is not in {show}");
    }
    assert!(home.ok(&["diff"]).contains("move"));
    assert!(home.ok(&["runs"]).contains(run));
    let dry = home.ok(&["undo", "--dry-run"]);
    assert!(dry.contains("nothing was done"), "{dry}");
    assert!(!before.differences(&Snapshot::take(&dir).unwrap()).is_empty());
    let undone = home.ok(&["undo", run]);
    assert!(undone.contains("undo this undo with: raincoat undo "), "{undone}");
    assert_eq!(before.differences(&Snapshot::take(&dir).unwrap()), []);

    // An undo is a run, so it can be undone.
    home.ok(&["undo"]);
    assert!(!before.differences(&Snapshot::take(&dir).unwrap()).is_empty());
    home.ok(&["undo"]);
    assert_eq!(before.differences(&Snapshot::take(&dir).unwrap()), []);
    let verified = home.ok(&["audit", "verify"]);
    assert!(verified.contains("the log is sound"), "{verified}");
    assert!(home.ok(&["audit", "tail", "-n", "3"]).lines().count() == 3);
}

#[test]
fn what_was_not_granted_is_refused() {
    let home = Home::new();
    home.folder("in");
    let said = home.run(&["do", "tidy", "in", "--yes"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.err.contains("is not granted") && said.err.contains("raincoat grant"), "{said:?}");
    // The first command that needed a store made one, and said so in one line.
    assert_eq!(said.err.lines().filter(|line| line.contains("made a store")).count(), 1, "{said:?}");
    home.ok(&["grant", "in", "--for", "agent:other"]);
    assert_eq!(home.run(&["do", "tidy", "in", "--yes"]).code, 3);
    home.ok(&["grant", "in"]);
    let id = home.json(&["grants"])[1]["id"].as_str().unwrap().to_owned();
    home.ok(&["revoke", &id]);
    assert_eq!(home.run(&["do", "tidy", "in", "--yes"]).code, 3);
}

#[test]
fn a_read_only_grant_and_a_denied_glob_hold() {
    let home = Home::new();
    let dir = home.folder("in");
    home.ok(&["grant", "in", "--read-only"]);
    let before = Snapshot::take(&dir).unwrap();
    let said = home.run(&["do", "tidy", "in", "--yes"]);
    assert!(said.out.contains("reading only"), "{said:?}");
    assert_eq!(before.differences(&Snapshot::take(&dir).unwrap()), []);
    let id = home.json(&["grants"])[0]["id"].as_str().unwrap().to_owned();
    home.ok(&["revoke", &id]);
    home.ok(&["grant", "in", "--deny", "*.csv"]);
    home.run(&["do", "tidy", "in", "--yes"]);
    assert!(dir.join("b.csv").exists() && !dir.join("a.txt").exists());
}

#[test]
fn what_must_be_asked_is_refused_where_nobody_can_be() {
    let home = Home::new();
    let dir = home.folder("in");
    home.ok(&["grant", "in"]);
    let before = Snapshot::take(&dir).unwrap();
    for extra in ["--no-input", "-q"] {
        let said = home.run(&["do", "tidy", "in", extra]);
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.err.contains("--yes"), "{said:?}");
    }
    assert_eq!(before.differences(&Snapshot::take(&dir).unwrap()), []);
}

#[test]
fn an_undo_leaves_what_was_changed_since_and_says_so() {
    let home = Home::new();
    let dir = home.folder("in");
    home.ok(&["grant", "in"]);
    home.ok(&["do", "tidy", "in", "--yes"]);
    fs::write(dir.join("a.txt"), "mine now").unwrap();
    let said = home.run(&["undo"]);
    assert_eq!(said.code, 5, "{said:?}");
    assert!(said.out.contains("left as it is") && said.out.contains("--overwrite"), "{said:?}");
    assert_eq!(fs::read(dir.join("a.txt")).unwrap(), b"mine now");
    assert!(dir.join("b.csv").exists());
}

#[test]
fn everything_that_prints_data_prints_json() {
    let home = Home::new();
    home.folder("in");
    assert_eq!(home.json(&["init", "--no-input"])[0]["created"], true);
    assert!(home.json(&["doctor"])[0]["checks"].as_array().unwrap().len() > 3);
    let granted = home.json(&["grant", "in", "--until", "2h"]);
    assert_eq!(granted[0]["read_only"], false);
    assert_eq!(home.json(&["grants"])[0]["id"], granted[0]["id"]);
    let plan = home.json(&["do", "tidy", "in", "--dry-run"]);
    assert!(plan.iter().all(|step| step["type"] == "step") && plan.len() > 3, "{plan:?}");
    assert!(plan.iter().any(|step| step["verb"] == "move" && step["places"][1] == "a.txt"), "{plan:?}");
    let report = home.json(&["do", "tidy", "in", "--yes"]);
    assert_eq!((report.len(), &report[0]["status"]), (1, &"done".into()));
    let run = report[0]["run"].as_str().unwrap();
    assert_eq!(home.json(&["runs"])[0]["run"], run);
    let shown = home.json(&["show", run]);
    assert_eq!(shown[0]["type"], "op");
    assert_eq!(shown.last().unwrap()["type"], "run");
    assert_eq!(shown.len() as u64 - 1, report[0]["changes"].as_u64().unwrap());
    assert!(home.json(&["diff", run]).iter().all(|line| line["type"] == "file"));
    assert!(home.json(&["undo", "--dry-run"])[0]["run"].is_null());
    assert_eq!(home.json(&["undo"])[0]["of"], run);
    assert!(home.json(&["audit", "tail"]).iter().all(|line| line["line"].is_string()));
    assert_eq!(home.json(&["audit", "verify"])[0]["sound"], true);
    let failed = home.run(&["revoke", "nosuch", "--json"]);
    assert_eq!(failed.code, 2);
    let error = lines(&failed.err);
    assert_eq!((&error[0]["type"], &error[0]["exit"]), (&"error".into(), &2.into()));
    assert_eq!(failed.out, "");
    let misspelled = home.run(&["gronts", "--json"]);
    assert_eq!((misspelled.code, &lines(&misspelled.err)[0]["class"]), (2, &"usage".into()));
}

#[test]
fn undo_means_the_last_run_that_changed_anything() {
    let home = Home::new();
    let dir = home.folder("in");
    home.ok(&["grant", "in"]);
    let before = Snapshot::take(&dir).unwrap();
    home.ok(&["do", "tidy", "in", "--yes"]);
    home.ok(&["do", "find-large", "in"]);
    home.ok(&["do", "tidy", "in", "--dry-run"]);
    home.ok(&["undo"]);
    assert_eq!(before.differences(&Snapshot::take(&dir).unwrap()), []);
    let run =
        home.json(&["runs"]).iter().find(|run| run["goal"].as_str().unwrap().contains("find-large")).unwrap()["run"]
            .clone();
    let said = home.ok(&["undo", run.as_str().unwrap()]);
    assert!(said.contains("changed nothing"), "{said}");
}

#[test]
fn a_dry_run_shows_the_tree_and_changes_nothing() {
    let home = Home::new();
    let dir = home.folder("in");
    home.ok(&["grant", "in"]);
    let before = Snapshot::take(&dir).unwrap();
    for yes in ["--yes", "--no-input"] {
        let shown = home.ok(&["do", "tidy", "in", "--dry-run", yes]);
        assert!(shown.contains("└─") && shown.contains("a.txt -> a.txt"), "{shown}");
        assert!(!shown.contains("undo it with"), "{shown}");
    }
    assert_eq!(before.differences(&Snapshot::take(&dir).unwrap()), []);
}

#[test]
fn a_name_that_is_no_text_survives_the_json() {
    use std::os::unix::ffi::OsStrExt;
    let home = Home::new();
    let dir = home.dir.path().join(std::ffi::OsStr::from_bytes(b"odd\xff"));
    fs::create_dir(&dir).unwrap();
    let output = home.command(&["grant", "--json"]).arg(&dir).output().unwrap();
    let granted = lines(&common::said(output).out);
    assert!(granted[0]["path_bytes"].as_str().unwrap().ends_with("6f6464ff"), "{granted:?}");
}

#[test]
fn no_secret_is_printed_or_lies_on_the_disk() {
    let home = Home::new();
    home.folder("in");
    let secret = "sk-live-7f3a9c2b51";
    let mut heard = home.with_input(&["key", "add", "big"], &format!("{secret}\n"));
    assert_eq!(heard.code, 0, "{heard:?}");
    let mut all = heard.out + &heard.err;
    for command in [
        &["provider", "add", "big", "--url", "https://api.example.com/v1", "--model", "large", "--key", "big"][..],
        &["provider", "list"],
        &["key", "list"],
        &["key", "list", "--json"],
        &["grant", "in"],
        &["do", "tidy", "in", "--yes"],
        &["show", "--json"],
        &["audit", "tail", "-n", "100", "--json"],
        &["doctor", "--json"],
        &["provider", "test", "nosuch"],
        &["do", "sort the invoices", "--in", "in", "--yes", "--offline"],
    ] {
        heard = home.run(command);
        all += &(heard.out + &heard.err);
    }
    assert!(!all.contains(secret) && !all.contains("7f3a9c"), "{all}");
    assert!(all.contains("big"));
    let mut files = Vec::new();
    files_below(home.dir.path(), &mut files);
    assert!(files.len() > 5);
    for (path, bytes) in files {
        assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()), "{} has it", path.display());
    }
}

#[test]
fn a_bad_configuration_is_a_clear_error() {
    let home = Home::new();
    home.ok(&["init", "--no-input"]);
    let file = home.path(".config/raincoat/config.toml");
    assert!(fs::read_to_string(&file).unwrap().contains("# idle_secs = 900"));
    fs::write(&file, "[limits]\nrun_opz = 3\n").unwrap();
    let said = home.run(&["grants"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("config.toml, line 2: `[limits]` has no setting `run_opz`"), "{said:?}");
}

#[test]
fn help_has_the_exit_codes_and_bad_use_has_its_own() {
    let home = Home::new();
    let help = home.ok(&["--help"]);
    for part in ["Exit codes:", "130  stopped", "RAINCOAT_PASSPHRASE_FILE", "raincoat undo", "demo"] {
        assert!(help.contains(part), "{part} is not in {help}");
    }
    assert!(home.ok(&["do", "tidy", "--help"]).contains("--recursive"));
    assert!(home.ok(&["do", "--help"]).contains("dedupe"));
    assert_eq!(home.run(&["nosuch"]).code, 2);
    assert_eq!(home.run(&["do", "tidi", "in"]).code, 2);
    let said = home.run(&["do", "tidi"]);
    assert!(said.code == 2 && said.err.contains("is no recipe"), "{said:?}");
    let said = home.run(&["do", "tidy", "in", "--option", "nosuch=1"]);
    assert!(said.code == 2 && said.err.contains("has no option `nosuch`"), "{said:?}");
    assert!(!home.path(".local").exists(), "nothing is made for a command that was no good");
}

#[test]
fn completions_and_manual_pages_come_from_the_same_table() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let text = home.ok(&["completions", shell]);
        assert!(text.contains("raincoat") && text.contains("find-large"), "{shell}");
    }
    let page = home.ok(&["man"]);
    assert!(page.contains(".TH RAINCOAT 1") && page.contains("Exit codes"), "{page}");
    assert!(home.ok(&["man", "do", "tidy"]).contains("recursive"));
    assert_eq!(home.run(&["man", "nosuch"]).code, 2);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let home = Home::new();
    let mut child =
        home.command(&["completions", "zsh"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}

#[test]
fn colours_are_for_terminals_and_for_who_asks() {
    let home = Home::new();
    assert!(!home.ok(&["doctor"]).contains('\x1b'));
    assert!(home.ok(&["doctor", "--color", "always"]).contains('\x1b'));
}

#[test]
fn the_demo_proves_itself() {
    let home = Home::new();
    let temp = home.path("tmp");
    fs::create_dir(&temp).unwrap();
    let output = home.command(&["demo"]).env("TMPDIR", &temp).output().unwrap();
    let said = common::said(output);
    assert_eq!(said.code, 0, "{said:?}");
    for part in ["$ raincoat do tidy", "├─", "$ raincoat undo", "the log is sound", "differences: 0"] {
        assert!(said.out.contains(part), "{part} is not in {}", said.out);
    }
    assert_eq!(fs::read_dir(&temp).unwrap().count(), 0, "nothing is left behind");
    assert!(!home.path(".local").exists(), "the person's own store is not touched");

    let dir = home.folder("mine");
    let before = Snapshot::take(&dir).unwrap();
    assert_eq!(home.run(&["demo", "--dir", "mine"]).code, 3, "asks first");
    let output =
        home.command(&["demo", "--dir", "mine", "--yes", "--keep", "--json"]).env("TMPDIR", &temp).output().unwrap();
    let said = common::said(output);
    assert_eq!(said.code, 0, "{said:?}");
    let proof = &lines(&said.out)[0];
    assert_eq!(proof["differences"].as_array().unwrap().len(), 0);
    assert!(proof["changed"].as_u64().unwrap() > 0);
    assert_eq!(before.differences(&Snapshot::take(&dir).unwrap()), []);
    assert!(said.err.contains("stays") && fs::read_dir(&temp).unwrap().count() == 1, "{said:?}");
}
