//! Looking back, and taking back anything, through the real binary.

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
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use common::Home;
use raincoat_runtime::snapshot::{Aspect, EntryKind, Snapshot};

/// A home with a folder that was tidied; and the run.
fn tidied() -> (Home, PathBuf, Snapshot, String) {
    let home = Home::new();
    let dir = home.folder("in");
    home.ok(&["grant", "in"]);
    let before = Snapshot::take(&dir).unwrap();
    let run = home.json(&["do", "tidy", "in", "--yes"])[0]["run"].as_str().unwrap().to_owned();
    (home, dir, before, run)
}

fn same(before: &Snapshot, dir: &Path) {
    assert_eq!(before.differences(&Snapshot::take(dir).unwrap()), []);
}

/// Times of folders that a partial undo has been at are not given back: they changed since.
fn same_but_folder_times(before: &Snapshot, dir: &Path) {
    let mut left = before.differences(&Snapshot::take(dir).unwrap());
    left.retain(|d| d.what != Aspect::ModificationTime || before.entries()[&d.path].kind != EntryKind::Dir);
    assert_eq!(left, []);
}

fn find(dir: &Path, name: &str) -> PathBuf {
    let mut found = Vec::new();
    common::files_below(dir, &mut found);
    found.into_iter().map(|(path, _)| path).find(|path| path.ends_with(name)).unwrap()
}

#[test]
fn history_follows_a_file_through_its_moves() {
    let (home, dir, _, run) = tidied();
    let now = find(&dir, "a.txt");
    let lines = home.json(&["history", now.to_str().unwrap()]);
    let (last, versions) = lines.split_last().unwrap();
    assert_eq!((&last["type"], &last["untouched"]), (&"history".into(), &true.into()));
    assert!(versions[0]["what"].as_str().unwrap().starts_with("moved from"), "{lines:?}");
    assert!(versions[0]["op"].as_str().unwrap().starts_with(&run), "{lines:?}");
    assert_eq!(versions[0]["size"], 11);
    assert_eq!(versions[0]["kept"], "disk");
    assert!(versions.last().unwrap()["path"].as_str().unwrap().ends_with("/in/a.txt"), "{lines:?}");
    assert!(home.ok(&["history", now.to_str().unwrap()]).contains("now, as it was left"));
    fs::write(&now, "mine").unwrap();
    assert!(home.ok(&["history", now.to_str().unwrap()]).contains("changed by somebody else"));
    // The old name tells where it went.
    assert!(home.ok(&["history", "in/a.txt"]).contains("moved to"));
    assert!(home.ok(&["history", "in"]).contains(&run));
}

#[test]
fn a_folder_is_restored_to_just_before_a_run_and_that_is_undone() {
    let (home, dir, before, run) = tidied();
    let after = Snapshot::take(&dir).unwrap();
    let dry = home.ok(&["restore", "in", "--before", &run, "--dry-run"]);
    assert!(dry.contains("would move") && dry.contains("nothing was done"), "{dry}");
    same(&after, &dir);
    let restored = home.json(&["restore", "in", "--before", &run]);
    same(&before, &dir);
    assert!(home.ok(&["restore", "in", "--before", &run]).contains("everything is as"));
    home.ok(&["undo", restored[0]["run"].as_str().unwrap()]);
    same(&after, &dir);
    home.ok(&["undo", &run]);
    same(&before, &dir);
}

#[test]
fn a_folder_is_restored_elsewhere_and_the_original_stays() {
    let (home, dir, before, run) = tidied();
    let after = Snapshot::take(&dir).unwrap();
    home.ok(&["restore", "in", "--before", &run, "--to", "then"]);
    same(&before, &home.path("then"));
    same(&after, &dir);
    let again = home.run(&["restore", "in", "--before", &run, "--to", "then"]);
    assert_eq!(again.code, 2, "{again:?}");
}

#[test]
fn what_somebody_made_meanwhile_stays_in_a_restore() {
    let (home, dir, _, run) = tidied();
    fs::write(dir.join("mine.txt"), "mine").unwrap();
    home.ok(&["restore", "in", "--before", &run]);
    assert_eq!(fs::read(dir.join("mine.txt")).unwrap(), b"mine");
    assert!(dir.join("a.txt").exists());
}

#[test]
fn nothing_outside_is_written_through_a_planted_link() {
    let (home, dir, _, run) = tidied();
    let outside = home.path("outside.txt");
    fs::write(&outside, "not yours").unwrap();
    // A hard link under the file's old name, and a symlink under another.
    fs::hard_link(&outside, dir.join("a.txt")).unwrap();
    symlink(&outside, dir.join("b.csv")).unwrap();
    let inode = fs::metadata(&outside).unwrap().ino();
    let _ = home.run(&["restore", "in", "--before", &run]);
    assert_eq!(fs::read(&outside).unwrap(), b"not yours");
    assert_eq!(fs::metadata(&outside).unwrap().ino(), inode);
    assert_eq!(fs::read(dir.join("a.txt")).unwrap(), b"some words\n");
    assert_eq!(fs::read(dir.join("b.csv")).unwrap(), b"x,y\n1,2\n");
    assert!(!fs::symlink_metadata(dir.join("b.csv")).unwrap().is_symlink());
}

#[test]
fn what_stands_in_the_way_of_a_restore_and_is_no_file_stays() {
    let (home, dir, _, run) = tidied();
    let there = find(&dir, "a.txt");
    let fifo = std::process::Command::new("mkfifo").arg(dir.join("a.txt")).status().unwrap();
    assert!(fifo.success());
    let said = home.run(&["restore", "in", "--before", &run]);
    assert!(said.code == 5 && said.out.contains("FIFO"), "{said:?}");
    assert!(fs::symlink_metadata(dir.join("a.txt")).unwrap().file_type().is_fifo());
    assert_eq!(fs::read(there).unwrap(), b"some words\n", "it stays where it was tidied to");
    assert_eq!(fs::read(dir.join("b.csv")).unwrap(), b"x,y\n1,2\n", "the rest is put back");
}

#[test]
fn a_folder_that_became_a_symlink_leads_a_restore_nowhere() {
    let home = Home::new();
    let dir = home.folder("in");
    fs::create_dir(dir.join("low")).unwrap();
    fs::write(dir.join("low/deep.txt"), "deep").unwrap();
    home.ok(&["grant", "in"]);
    let run = home.json(&["do", "flatten", "in", "--yes"])[0]["run"].as_str().unwrap().to_owned();
    assert!(dir.join("deep.txt").exists() && !dir.join("low").exists());
    let outside = home.path("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, dir.join("low")).unwrap();
    let _ = home.run(&["restore", "in", "--before", &run]);
    let _ = home.run(&["restore", "in/low/deep.txt", "--before", &run]);
    let _ = home.run(&["undo", &run, "--overwrite"]);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "nothing was written through the link");
    let kept = [dir.join("deep.txt"), dir.join("low/deep.txt")].into_iter().filter(|path| path.exists()).count();
    assert_eq!(kept, 1, "and nothing was lost");
}

/// Somebody swaps the file for a link to another, again and again, while it is restored.
#[test]
fn what_is_swapped_between_look_and_act_is_never_written_through() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let home = Home::new();
    let dir = home.folder("in");
    home.ok(&["grant", "in"]);
    let script = "for n in 1 2 3 4 5 6 7 8 9; do echo changed >>a.txt; done";
    home.ok(&["exec", "--commit", "always", "--in", "in", "--", "/bin/sh", "-c", script]);
    let run = home.json(&["runs", "-n", "1"])[0]["run"].as_str().unwrap().to_owned();
    let outside = home.path("outside.txt");
    fs::write(&outside, "not yours").unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = {
        let (stop, file, outside) = (stop.clone(), dir.join("a.txt"), outside.clone());
        std::thread::spawn(move || {
            let (link, aside) = (file.with_extension("link"), file.with_extension("aside"));
            let mut swaps = 0;
            while !stop.load(Ordering::Relaxed) {
                let _ = fs::remove_file(&link);
                symlink(&outside, &link).unwrap();
                // To and fro: the link under the file's name, and the file under it again.
                if fs::rename(&file, &aside).is_ok() && fs::rename(&link, &file).is_ok() {
                    std::thread::yield_now();
                    let _ = fs::rename(&aside, &file);
                    swaps += 1;
                }
            }
            swaps
        })
    };
    for _ in 0..25 {
        let said = home.run(&["restore", "in/a.txt", "--before", &run]);
        assert!(said.code >= 0, "{said:?}");
        assert_eq!(fs::read(&outside).unwrap(), b"not yours");
        let _ = home.run(&["undo", "--overwrite"]);
        assert_eq!(fs::read(&outside).unwrap(), b"not yours");
    }
    stop.store(true, Ordering::Relaxed);
    assert!(swapping.join().unwrap() > 100);
    assert_eq!(fs::symlink_metadata(&outside).unwrap().nlink(), 1);
    home.ok(&["audit", "verify"]);
}

/// At one place there was first one file and then another, and both went on to the same place.
#[test]
fn two_files_that_were_at_one_place_one_after_the_other_are_not_taken_for_each_other() {
    let home = Home::new();
    let dir = home.folder("in");
    home.ok(&["grant", "in"]);
    let before = Snapshot::take(&dir).unwrap();
    let rename = |from: &str, to: &str| {
        let done = home.json(&["do", "rename", "in", "--from", from, "--to", to, "--yes"]);
        done[0]["run"].as_str().unwrap().to_owned()
    };
    let mut runs = vec![rename("a.txt", "b.txt"), rename("b.txt", "c.txt")];
    home.ok(&["exec", "--commit", "always", "--in", "in", "--", "/bin/sh", "-c", "echo another >a.txt"]);
    runs.push(home.json(&["runs", "-n", "1"])[0]["run"].as_str().unwrap().to_owned());
    runs.push(rename("a.txt", "b.txt"));
    for run in runs.iter().rev() {
        home.ok(&["undo", run]);
    }
    same_but_folder_times(&before, &dir);
}

#[test]
fn a_part_brings_the_folder_along_that_it_came_from() {
    let home = Home::new();
    let dir = home.folder("in");
    fs::create_dir_all(dir.join("one/two")).unwrap();
    fs::write(dir.join("one/two/deep.txt"), "deep").unwrap();
    home.ok(&["grant", "in"]);
    let run = home.json(&["do", "flatten", "in", "--yes"])[0]["run"].as_str().unwrap().to_owned();
    assert!(!dir.join("one").exists());
    home.ok(&["undo", &run, "--only", "**/deep.txt"]);
    assert_eq!(fs::read(dir.join("one/two/deep.txt")).unwrap(), b"deep");
}

#[test]
fn only_what_matches_is_undone_and_redone() {
    let (home, dir, before, run) = tidied();
    let after = Snapshot::take(&dir).unwrap();
    home.ok(&["undo", &run, "--only", "*.csv", "--only", "b.csv"]);
    assert!(dir.join("b.csv").exists() && !dir.join("a.txt").exists());
    home.ok(&["redo"]);
    assert!(!dir.join("b.csv").exists());
    home.ok(&["undo", &run]);
    same_but_folder_times(&before, &dir);
    home.ok(&["redo"]);
    same_but_folder_times(&after, &dir);
    home.ok(&["undo", "--since", "1h"]);
    same_but_folder_times(&before, &dir);
    assert_eq!(home.run(&["undo", "--since", "tomorrow"]).code, 2);
}

#[test]
fn can_undo_answers_before_and_after() {
    let home = Home::new();
    let dir = home.folder("in");
    let before = home.run(&["can-undo", "in/a.txt"]);
    assert!(before.code == 1 && before.out.contains("is not granted"), "{before:?}");
    home.ok(&["grant", "in"]);
    assert!(home.ok(&["can-undo", "in/a.txt"]).contains("could be taken back"));
    let run = home.json(&["do", "tidy", "in", "--yes"])[0]["run"].as_str().unwrap().to_owned();
    let all = home.json(&["can-undo", &run]);
    assert_eq!((&all[0]["verdict"], &all[0]["exit"]), (&"all".into(), &0.into()));
    fs::write(dir.join("a.txt"), "in the way").unwrap();
    let part = home.run(&["can-undo", &run]);
    assert!(part.code == 5 && part.out.contains("something new has its old name"), "{part:?}");
    fs::remove_file(dir.join("a.txt")).unwrap();
    home.ok(&["undo", &run]);
    assert!(home.ok(&["can-undo", &run]).contains("taken back already"));
}
