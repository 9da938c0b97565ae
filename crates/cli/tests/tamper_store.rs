//! Named attacks on journal, keys and state by somebody who can write every file of ours and knows no key
//! (`docs/tampering.md` lists them). Each is seen by `store verify` or when the store is opened; where that cannot be,
//! what is said is held to the truth.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[path = "support/damage.rs"]
mod damage;
#[path = "support/whole.rs"]
mod whole;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use damage::{DATA, SEGMENTS, STATE, drop_index, patch, records, segments};
use whole::{Home, Said, lines};

/// What must come of an attack.
enum Seen {
    /// `store verify` finds it, and says words with this in them.
    Verify(&'static str),
    /// No command opens the store, and each says words with this in them.
    Open(&'static str),
    /// Nothing of it is seen, and nothing is lost by it: the store is sound.
    Harmless,
    /// It cannot be seen from here; `store verify` says so, with this in its notes.
    Said(&'static str),
    /// It cannot be seen from here.
    Unseen,
}

/// A store with two segments, and copies of it from earlier.
struct Ground {
    now: Home,
    /// Before the second run.
    older: Home,
    /// Before the third, when the passphrase and the grants were others.
    old: Home,
}

fn duplicates(dir: &Path, round: u32) {
    for n in 0..3 {
        for copy in ["a", "b"] {
            fs::write(dir.join(format!("{copy}{round}{n}.txt")), format!("round {round} file {n}\n").repeat(60))
                .unwrap();
        }
    }
}

fn copy(from: &Home, parts: &[&str], to: &Home) {
    for part in parts {
        let target = to.path(part);
        let _ = fs::remove_dir_all(&target);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        let status = Command::new("cp").arg("-a").arg(from.path(part)).arg(&target).status().unwrap();
        assert!(status.success());
    }
}

fn copy_all(from: &Home) -> Home {
    let to = Home::new();
    copy(from, &[DATA, STATE, ".config/raincoat"], &to);
    to
}

fn dedupe(home: &Home, dir: &Path, round: u32) {
    duplicates(dir, round);
    home.ok(&["do", "dedupe", dir.to_str().unwrap(), "--yes", "-q"]);
}

fn ground() -> Ground {
    let (now, dir) = Home::granted("in");
    let other = now.path("other");
    fs::create_dir(&other).unwrap();
    now.ok(&["grant", "other"]);
    dedupe(&now, &dir, 1);
    let older = copy_all(&now);
    dedupe(&now, &dir, 2);
    let old = copy_all(&now);
    let grant = now.json(&["grants"]).into_iter().find(|grant| grant["path"].as_str().unwrap().ends_with("other"));
    now.ok(&["revoke", grant.unwrap()["id"].as_str().unwrap()]);
    // While somebody has the first segment, the third run goes into another.
    let held = File::open(&segments(&now)[0]).unwrap();
    held.lock().unwrap();
    dedupe(&now, &dir, 3);
    drop(held);
    assert_eq!(segments(&now).len(), 2);
    Ground { now, older, old }
}

fn verify(home: &Home) -> (Said, String, String) {
    let said = home.run(&["store", "verify", "--json"]);
    let Some(report) = lines(&said.out).pop() else { return (said, String::new(), String::new()) };
    let notes = format!("{} {}", report["notes"], report["not_checked"]);
    let problems = report["problems"].to_string();
    (said, problems, notes)
}

type Attack = (&'static str, fn(&Ground, &Home), Seen);

const ATTACKS: &[Attack] = &[
    ("two segments swapped", swap_segments, Seen::Open("not what was written")),
    ("two records swapped", swap_records, Seen::Verify("not what was written")),
    ("an old segment replayed", replay_segment, Seen::Verify("no record of")),
    ("an old segment replayed, the index removed", replay_without_index, Seen::Verify("cut off or put back")),
    ("the tail cut off", cut_tail, Seen::Verify("no record of")),
    ("the tail cut off, the index removed", cut_tail_and_index, Seen::Verify("cut off or put back")),
    ("the newest segment removed", |_, home| remove(home, 1, false), Seen::Verify("missing")),
    ("the newest segment removed with the index", |_, home| remove(home, 1, true), Seen::Verify("missing")),
    ("an earlier segment removed with the index", |_, home| remove(home, 0, true), Seen::Verify("missing")),
    ("all segments removed with the index", remove_all, Seen::Verify("no record of")),
    ("a segment doubled under a new name", double, Seen::Verify("not what was written")),
    ("a pruned segment put back", put_back_pruned, Seen::Verify("put it back")),
    ("the index filled with zeroes", zero_index, Seen::Harmless),
    ("the index of another store", foreign_index, Seen::Harmless),
    ("the index rolled back", old_index, Seen::Harmless),
    ("a bit of a head flipped", |_, home| flip(home, |_| 40), Seen::Verify("its head")),
    ("a bit of a header flipped", |_, home| flip(home, |at| at[1] + 9), Seen::Verify("header")),
    ("a bit of a body flipped", |_, home| flip(home, |at| at[1] + 70), Seen::Verify("not what was written")),
    ("a bit of padding flipped", flip_padding, Seen::Verify("not what was written")),
    ("the journal rolled back", roll_back_journal, Seen::Verify("cut off or put back")),
    ("all data rolled back", |g, home| copy(&g.older, &[DATA], home), Seen::Open("")),
    ("all data and state rolled back", |g, home| copy(&g.older, &[DATA, STATE], home), Seen::Unseen),
    ("what is remembered removed", forget, Seen::Said("nothing is remembered")),
    ("what is remembered rolled back", old_memory, Seen::Harmless),
    ("what is remembered filled with rubbish", rubbish_memory, Seen::Verify("cannot be read")),
    ("grants put back to before a revocation", old_grants, Seen::Verify("was revoked")),
    ("a bit of keys.bin flipped", flip_keys, Seen::Open("")),
    ("the key file replaced", replace_key_file, Seen::Open("")),
    ("the key file removed", remove_key_file, Seen::Open("")),
    ("keys.bin of another store", foreign_keys, Seen::Open("")),
];

fn swap_segments(_: &Ground, home: &Home) {
    let all = segments(home);
    let (one, two) = (fs::read(&all[0]).unwrap(), fs::read(&all[1]).unwrap());
    fs::write(&all[0], two).unwrap();
    fs::write(&all[1], one).unwrap();
    drop_index(home);
}

fn swap_records(_: &Ground, home: &Home) {
    let path = &segments(home)[0];
    let at = records(path);
    patch(path, |bytes| {
        let (one, two) = (bytes[at[1]..at[2]].to_vec(), bytes[at[2]..at[3]].to_vec());
        let swapped = [two, one].concat();
        bytes[at[1]..at[3]].copy_from_slice(&swapped);
    });
    drop_index(home);
}

fn replay_segment(ground: &Ground, home: &Home) {
    let name = segments(home)[0].file_name().unwrap().to_owned();
    fs::copy(ground.older.path(SEGMENTS).join(&name), home.path(SEGMENTS).join(&name)).unwrap();
}

fn replay_without_index(ground: &Ground, home: &Home) {
    replay_segment(ground, home);
    drop_index(home);
}

fn cut_tail(_: &Ground, home: &Home) {
    let path = &segments(home)[1];
    let at = records(path);
    patch(path, |bytes| bytes[at[at.len() / 2]..].fill(0));
}

fn cut_tail_and_index(ground: &Ground, home: &Home) {
    cut_tail(ground, home);
    drop_index(home);
}

fn remove(home: &Home, n: usize, index: bool) {
    fs::remove_file(&segments(home)[n]).unwrap();
    if index {
        drop_index(home);
    }
}

fn remove_all(ground: &Ground, home: &Home) {
    segments(home).iter().for_each(|path| fs::remove_file(path).unwrap());
    drop_index(home);
    forget(ground, home);
    fs::remove_file(home.path(STATE).join("head/journal.head")).unwrap_or_default();
}

fn double(_: &Ground, home: &Home) {
    let path = &segments(home)[0];
    let name = format!("{}Z.seg", path.file_stem().unwrap().to_str().unwrap().get(..25).unwrap());
    fs::copy(path, home.path(SEGMENTS).join(name)).unwrap();
}

fn put_back_pruned(_: &Ground, home: &Home) {
    let path = segments(home)[0].clone();
    let bytes = fs::read(&path).unwrap();
    home.ok(&["store", "prune", "--older-than", "0", "--within-keep", "--yes", "-q"]);
    assert!(!path.exists());
    fs::write(path, bytes).unwrap();
}

fn zero_index(_: &Ground, home: &Home) {
    patch(&home.path(DATA).join("journal/index.db"), |bytes| bytes.fill(0));
    let _ = fs::remove_file(home.path(DATA).join("journal/index.db-wal"));
}

fn foreign_index(_: &Ground, home: &Home) {
    let (other, dir) = Home::granted("in");
    dedupe(&other, &dir, 9);
    drop_index(home);
    for name in ["index.db", "index.db-wal"] {
        let _ = fs::copy(other.path(DATA).join("journal").join(name), home.path(DATA).join("journal").join(name));
    }
}

fn old_index(ground: &Ground, home: &Home) {
    drop_index(home);
    for name in ["index.db", "index.db-wal"] {
        let from = ground.older.path(DATA).join("journal").join(name);
        let _ = fs::copy(from, home.path(DATA).join("journal").join(name));
    }
}

fn flip(home: &Home, at: fn(&[usize]) -> usize) {
    let path = &segments(home)[0];
    let at = at(&records(path));
    patch(path, |bytes| bytes[at] ^= 4);
}

fn flip_padding(_: &Ground, home: &Home) {
    let path = &segments(home)[0];
    let bytes = fs::read(path).unwrap();
    let len = |at: usize| 48 + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let at = records(path).into_iter().find(|at| len(*at) % 8 != 0).unwrap();
    patch(path, |changed| changed[at + len(at)] ^= 1);
}

fn roll_back_journal(ground: &Ground, home: &Home) {
    copy(&ground.older, &[".local/share/raincoat/journal"], home);
}

fn forget(_: &Ground, home: &Home) {
    fs::remove_dir_all(home.path(STATE).join("head")).unwrap();
}

fn old_memory(ground: &Ground, home: &Home) {
    fs::copy(ground.older.path(STATE).join("head/journal.head"), home.path(STATE).join("head/journal.head")).unwrap();
}

fn rubbish_memory(_: &Ground, home: &Home) {
    patch(&home.path(STATE).join("head/journal.head"), |bytes| bytes.fill(0x5a));
}

fn old_grants(ground: &Ground, home: &Home) {
    for name in ["store.db", "store.db-wal", "store.db-shm"] {
        let (from, to) = (ground.old.path(DATA).join(name), home.path(DATA).join(name));
        let _ = fs::remove_file(&to);
        let _ = fs::copy(from, to);
    }
}

fn flip_keys(_: &Ground, home: &Home) {
    patch(&home.path(DATA).join("keys.bin"), |bytes| bytes[40] ^= 1);
}

fn key_file(home: &Home) -> PathBuf {
    let all = fs::read_dir(home.path(DATA)).unwrap().map(|entry| entry.unwrap().path());
    let is_key = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("key-");
    all.into_iter().find(is_key).unwrap()
}

fn replace_key_file(_: &Ground, home: &Home) {
    patch(&key_file(home), |bytes| bytes.fill(3));
}

fn remove_key_file(_: &Ground, home: &Home) {
    fs::remove_file(key_file(home)).unwrap();
}

fn foreign_keys(_: &Ground, home: &Home) {
    let (other, _) = Home::granted("in");
    fs::copy(other.path(DATA).join("keys.bin"), home.path(DATA).join("keys.bin")).unwrap();
}

// The tamper suite, its half on journal, keys and state.
#[test]
fn every_attack_is_seen_or_what_is_said_of_it_is_true() {
    let ground = ground();
    let (said, problems, _) = verify(&ground.now);
    assert_eq!((said.code, problems.as_str()), (0, "[]"), "the ground itself: {said:?}");
    let mut wrong = Vec::new();
    for (name, attack, seen) in ATTACKS {
        let home = copy_all(&ground.now);
        attack(&ground, &home);
        let (said, problems, notes) = verify(&home);
        let listed = home.run(&["runs", "--json"]);
        let right = match seen {
            Seen::Verify(words) => said.code == 8 && problems.contains(words),
            Seen::Open(words) => {
                said.code != 0 && listed.code != 0 && format!("{}{}", listed.err, said.err).contains(words)
            }
            Seen::Harmless => said.code == 0 && listed.code == 0 && lines(&listed.out).len() == 3,
            Seen::Said(words) => said.code == 0 && notes.contains(words),
            Seen::Unseen => said.code == 0,
        };
        // What is gone of the journal can be given up, and the rest is sound then. (A grant is revoked again.)
        if matches!(seen, Seen::Verify(words) if *words != "was revoked") {
            let repaired = home.run(&["store", "repair", "--accept-older"]);
            let after = home.run(&["store", "verify", "--deep"]);
            if repaired.code != 0 || after.code != 0 {
                wrong.push(format!("{name}, repaired: {repaired:?} {after:?}"));
            }
        }
        if !right {
            wrong.push(format!("{name}: {said:?}\n  runs: {listed:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let known = include_str!("../../../docs/tampering.md");
    for (name, _, _) in ATTACKS {
        assert!(known.contains(name), "docs/tampering.md does not tell of `{name}`");
    }
}
