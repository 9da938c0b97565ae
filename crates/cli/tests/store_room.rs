//! The store has come to its budget, its disk is full, or a person says that a change needs no copy: what is not backed
//! up is not changed unless they said so, the oldest runs go by the rule and never silently, and what stays can be taken
//! back. (A3, C4)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[path = "support/whole.rs"]
mod whole;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use raincoat_runtime::snapshot::Snapshot;
use whole::{Home, Said, binary, said, same};

/// Bytes of the file that is changed again and again: noise, which nothing makes smaller.
const BYTES: usize = 12 << 20;
/// Changes that fit into the smallest budget.
const FIT: usize = 4;

fn home_with(store: &str) -> (Home, PathBuf) {
    let (home, dir) = Home::granted("in");
    fs::write(home.path(".config/raincoat/config.toml"), format!("[store]\nbudget = \"64 MiB\"\n{store}")).unwrap();
    noise(&dir.join("noise"));
    (home, dir)
}

fn noise(path: &Path) {
    let script = format!("head -c {BYTES} /dev/urandom > \"$1\"");
    let made = std::process::Command::new("sh").args(["-c", &script, "sh"]).arg(path).output().unwrap();
    assert!(made.status.success(), "{made:?}");
}

/// A program writes the file anew; its draft is committed.
fn change(home: &Home, more: &[&str]) -> Said {
    let script = format!("head -c {BYTES} /dev/urandom >noise");
    let exec = home.run(&["exec", "--commit", "never", "--in", "in", "--", "/bin/sh", "-c", &script]);
    assert_eq!(exec.code, 0, "{exec:?}");
    let draft = home.json(&["drafts"])[0]["run"].as_str().unwrap().to_owned();
    let said = home.run(&[&["commit", &draft], more].concat());
    home.ok(&["discard", "--all", "--yes"]);
    said
}

fn newest(home: &Home) -> String {
    home.json(&["runs", "-n", "1"])[0]["run"].as_str().unwrap().to_owned()
}

#[test]
fn beyond_the_budget_nothing_is_changed_that_cannot_be_backed_up_unless_a_person_says_so() {
    let (home, dir) = home_with("");
    let first = Snapshot::take(&dir).unwrap();
    let mut made = Vec::new();
    let refused = loop {
        let before = Snapshot::take(&dir).unwrap();
        let said = change(&home, &[]);
        if said.code != 0 {
            same(&before, &dir, "a change that was refused");
            break said;
        }
        made.push(newest(&home));
        assert!(made.len() < 2 * FIT, "64 MiB hold {} copies of 12 MiB", made.len());
    };
    assert!(made.len() >= FIT, "{made:?}");
    let words = format!("{}{}", refused.out, refused.err);
    assert!(words.contains("cannot be backed up") && words.contains("--without-backup"), "{refused:?}");
    assert!(home.ok(&["audit", "search", "budget"]).contains("budget"), "it stands in the log");

    // For this change alone.
    let waived = change(&home, &["--without-backup", "noise"]);
    assert_eq!(waived.code, 0, "{waived:?}");
    let run = newest(&home);
    let answer = home.run(&["can-undo", &run]);
    assert!(answer.code == 1 && answer.out.contains("never backed up"), "{answer:?}");
    let undo = home.run(&["undo", &run]);
    assert_eq!(undo.code, 5, "{undo:?}");
    let again = change(&home, &[]);
    assert_ne!(again.code, 0, "it was for one change: {again:?}");

    // What was made before it can be taken back all the same, as soon as the person says what becomes of theirs.
    for run in made.iter().rev() {
        home.ok(&["undo", run, "--overwrite", "--without-backup", "noise"]);
    }
    same(&first, &dir, "all taken back");
    home.ok(&["store", "verify", "--deep"]);
    home.log_is_sound();
}

#[test]
fn the_oldest_runs_go_by_the_rule_and_that_is_said() {
    let (home, dir) = home_with("keep = \"1s\"\n");
    let mut made = Vec::new();
    let mut told = String::new();
    let mut last = Snapshot::take(&dir).unwrap();
    for _ in 0..2 * FIT {
        last = Snapshot::take(&dir).unwrap();
        let said = change(&home, &[]);
        assert_eq!(said.code, 0, "{said:?}");
        told.push_str(&said.err);
        made.push(newest(&home));
        std::thread::sleep(Duration::from_millis(1100));
    }
    assert!(told.contains("came to its budget") && told.contains("pruned"), "nobody was told: {told}");
    let usage = home.json(&["store", "status"]).remove(0);
    assert!(usage["bytes"].as_u64().unwrap() <= 64 << 20, "{usage}");
    let log = home.ok(&["audit", "search", "--kind", "store.pruned", "--json"]);
    assert!(log.contains("store.pruned"), "{log}");
    let oldest = home.run(&["undo", &made[0]]);
    assert!(oldest.code == 2 && oldest.err.contains("was pruned"), "{oldest:?}");
    home.ok(&["undo", made.last().unwrap()]);
    same(&last, &dir, "the newest taken back");
    home.ok(&["store", "verify", "--deep"]);
    home.log_is_sound();
}

/// On a disk of 40 MB, with the store and four runs on it, which a stranger then fills to the last byte.
fn on_a_full_disk(then: &str) {
    let root = fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    assert!(root, "this test mounts a small disk of its own: run it as root, or in the workflow's container");
    let home = Home::new();
    let script = format!(
        "set -e
        mkdir small in; mount -t tmpfs -o size=40m tmpfs small
        export XDG_DATA_HOME=$PWD/small/data XDG_STATE_HOME=$PWD/small/state
        head -c 3000000 /dev/urandom >in/noise
        $RAINCOAT init --no-input; $RAINCOAT grant in
        for n in 1 2 3 4; do
            cp in/noise kept
            $RAINCOAT exec --commit always --in in -- /bin/sh -c 'head -c 3000000 /dev/urandom >noise'
        done
        dd if=/dev/zero of=small/filler bs=4k 2>/dev/null || true
        echo free $(stat -f -c %f small)
        {then}
        $RAINCOAT store verify --deep; $RAINCOAT audit verify
        rm small/filler
        $RAINCOAT exec --commit always --in in -- /bin/sh -c 'cp noise before; head -c 100000 /dev/urandom >noise'
        $RAINCOAT undo --only noise; cmp in/noise in/before; echo all well"
    );
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "/bin/sh", "-c", &script]).current_dir(home.dir.path());
    command.env_clear().env("HOME", home.dir.path()).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let said = said(command.env("RAINCOAT", binary()).output().unwrap());
    assert!(said.code == 0 && said.out.contains("all well") && said.out.contains("free 0"), "{said:?}");
}

#[test]
fn on_a_full_disk_an_undo_works() {
    on_a_full_disk("$RAINCOAT undo; cmp in/noise kept");
}

#[test]
fn on_a_full_disk_pruning_makes_room() {
    on_a_full_disk(
        "before=$(du -sb small/data | cut -f1)
        $RAINCOAT store prune --to 1M --within-keep --yes
        test $(du -sb small/data | cut -f1) -lt $((before - 2000000))",
    );
}
