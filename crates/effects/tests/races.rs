//! Somebody else at the same files, in a loop, while effects run: nothing outside is touched or read, and nothing that
//! they write is lost (A2, C1).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests"
)]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::*;
use raincoat_os::snapshot::Snapshot;
use raincoat_types::*;

const SECRET: &[u8] = b"a secret from outside";

/// Does something over and over on a thread of its own, until dropped.
struct Meanwhile(Arc<AtomicBool>, Option<std::thread::JoinHandle<u64>>);

impl Meanwhile {
    fn start(mut act: impl FnMut() + Send + 'static) -> Meanwhile {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        let handle = std::thread::spawn(move || {
            let mut rounds = 0;
            while !seen.load(Ordering::Relaxed) {
                act();
                rounds += 1;
            }
            rounds
        });
        Meanwhile(stop, Some(handle))
    }

    fn stop(mut self) -> u64 {
        self.0.store(true, Ordering::Relaxed);
        self.1.take().unwrap().join().unwrap()
    }
}

fn with_outside() -> (Home, Snapshot) {
    let home = Home::quick();
    let outside = home.dir.join("outside");
    std::fs::create_dir_all(outside.join("sub")).unwrap();
    for name in ["secret", "f", "g", "target", "sub/f"] {
        std::fs::write(outside.join(name), SECRET).unwrap();
    }
    age(&outside);
    let before = Snapshot::take(&outside).unwrap();
    (home, before)
}

/// Nothing outside changed, and nothing of it came in.
fn assert_kept_out(home: &Home, before: &Snapshot) {
    assert_same(before, &Snapshot::take(&home.dir.join("outside")).unwrap(), "outside");
    for (path, entry) in home.snapshot().entries() {
        assert_ne!(entry.digest, Some(digest(SECRET)), "{}", display_bytes(path));
    }
}

fn everything(run: &mut Run<'_, '_>, n: usize) -> usize {
    let changes = [
        write("d/f", format!("ours {n}").as_bytes()),
        cp("d/secret", &format!("stolen {n}")),
        mv("d/f", "d/g"),
        mv("d/g", &format!("out {n}")),
        rm("d/f"),
        rm_r("d/sub"),
        mkdir_p("d/sub/x"),
        cp("d", &format!("copy {n}")),
        pack(&["d"], &format!("packed {n}"), ArchiveFormat::Tar),
        write("d/target", b"ours"),
        FileChange::Edit {
            at: place("d/target"),
            old: b"a secret".to_vec(),
            new: b"no".to_vec(),
            all: false,
            expect: digest(SECRET),
        },
        rm_r(&format!("copy {n}")),
    ];
    let mut done = 0;
    for change in changes {
        done += usize::from(run.apply(change).is_ok());
    }
    for at in ["d/secret", "d/f", "d/target"] {
        if let Ok(ReadDone::Bytes { bytes, .. }) = run.read(FileRead::Read { at: place(at), offset: 0, len: 1000 }) {
            assert_ne!(bytes, SECRET);
        }
        if let Ok(ReadDone::Hash(hash)) = run.read(FileRead::Hash { at: place(at) }) {
            assert_ne!(hash, digest(SECRET));
        }
    }
    if let Ok(ReadDone::List { entries, .. }) = run.read(FileRead::List { at: place("d"), depth: 3, skip: 0 }) {
        let theirs = |entry: &DirEntry| entry.kind() == FileKind::File && entry.meta.size == SECRET.len() as u64;
        assert!(!entries.iter().any(theirs), "{entries:?}");
    }
    let search = FileRead::Search { at: place(""), pattern: "a secret".to_owned(), glob: None, ignore_case: false };
    if let Ok(ReadDone::Search { matches, .. }) = run.read(search) {
        assert!(matches.is_empty(), "{matches:?}");
    }
    done
}

#[test]
fn a_folder_that_becomes_a_symlink_to_outside_leads_nowhere() {
    let (home, before) = with_outside();
    let (tree, outside) = (home.tree(), home.dir.join("outside"));
    std::fs::create_dir(tree.join("d")).unwrap();
    let swapping = {
        let tree = tree.clone();
        Meanwhile::start(move || {
            let _ = std::fs::rename(tree.join("d"), tree.join(".real"));
            let _ = std::os::unix::fs::symlink(&outside, tree.join("d"));
            std::thread::yield_now();
            let _ = std::fs::remove_file(tree.join("d"));
            let _ = std::fs::rename(tree.join(".real"), tree.join("d"));
            std::thread::yield_now();
        })
    };
    let store = home.open();
    let mut run = store.run();
    let done: usize = (0..120).map(|n| everything(&mut run, n)).sum();
    run.end();
    assert!(swapping.stop() > 10 && done > 50, "{done}");
    assert_kept_out(&home, &before);
}

#[test]
fn a_file_that_becomes_a_symlink_to_outside_is_not_written_or_read() {
    let (home, before) = with_outside();
    let (tree, outside) = (home.tree(), home.dir.join("outside"));
    std::fs::create_dir(tree.join("d")).unwrap();
    let swapping = {
        let tree = tree.clone();
        Meanwhile::start(move || {
            for name in ["f", "target", "secret"] {
                let _ = std::os::unix::fs::symlink(outside.join(name), tree.join("d/.new"));
                let _ = std::fs::rename(tree.join("d/.new"), tree.join("d").join(name));
                std::thread::yield_now();
                let _ = std::fs::write(tree.join("d/.new"), b"harmless");
                let _ = std::fs::rename(tree.join("d/.new"), tree.join("d").join(name));
            }
        })
    };
    let store = home.open();
    let mut run = store.run();
    let done: usize = (0..120).map(|n| everything(&mut run, n)).sum();
    run.end();
    assert!(swapping.stop() > 10 && done > 50, "{done}");
    assert_kept_out(&home, &before);
}

#[test]
fn a_folder_moved_out_of_the_grant_takes_nothing_of_outside_along() {
    let (home, _) = with_outside();
    let (tree, outside) = (home.tree(), home.dir.join("outside"));
    std::fs::create_dir_all(tree.join("d/sub")).unwrap();
    let moving = {
        let (tree, outside) = (tree.clone(), outside.clone());
        Meanwhile::start(move || {
            let _ = std::fs::rename(tree.join("d"), outside.join("away"));
            std::thread::yield_now();
            let _ = std::fs::rename(outside.join("away"), tree.join("d"));
            std::thread::yield_now();
        })
    };
    let store = home.open();
    let mut run = store.run();
    for n in 0..60 {
        let _ = run.apply(cp("d/sub/../../secret", &format!("stolen {n}")));
        let _ = run.apply(write("d/sub/../../secret", b"ours"));
        let _ = run.apply(write("d/sub/../../../outside/secret", b"ours"));
        let _ = run.apply(rm("d/sub/../../f"));
    }
    run.end();
    moving.stop();
    for name in ["secret", "f", "g", "target", "sub/f"] {
        assert_eq!(std::fs::read(outside.join(name)).unwrap(), SECRET, "{name}");
    }
    assert_ne!(std::fs::read(tree.join("secret")).ok(), Some(SECRET.to_vec()));
}

/// What stands in the tree, and what the journal took from it.
fn everywhere(home: &Home, store: &Store<'_>, run: RunId) -> Vec<Digest> {
    let mut all: Vec<Digest> = home.snapshot().entries().values().filter_map(|e| e.digest).collect();
    for op in store.ops(run) {
        if matches!(op.result, Some(OpResult::Done { .. })) {
            all.extend(op.intent.change.before().and_then(Image::digest));
        }
    }
    all
}

fn spin(n: usize) {
    let until = std::time::Instant::now() + std::time::Duration::from_micros(((n * 37) % 1500) as u64);
    while std::time::Instant::now() < until {
        std::hint::spin_loop();
    }
}

fn nothing_they_write_is_lost(links: bool, save: fn(&Path, &[u8])) {
    let home = Home::quick();
    let store = home.open();
    let mut told = 0;
    for n in 0..250 {
        let at: PathBuf = home.path("f");
        let _ = std::fs::remove_file(&at);
        let _ = std::fs::remove_file(home.path("g"));
        std::fs::write(&at, b"at first").unwrap();
        if links {
            std::fs::hard_link(&at, home.path("g")).unwrap();
        }
        let theirs = format!("their own words {n}").into_bytes();
        let mut run = store.run();
        let writer = {
            let theirs = theirs.clone();
            std::thread::spawn(move || {
                spin(n);
                save(&at, &theirs);
            })
        };
        let result = match n % 3 {
            0 => run.apply(write("f", b"ours")),
            1 => run.apply(rm("f")),
            _ => run.apply(mv("f", "h")),
        };
        writer.join().unwrap();
        told += usize::from(result.is_err());
        let run = run.end();
        let all = everywhere(&home, &store, run);
        assert!(all.contains(&digest(&theirs)), "round {n}: {result:?}");
        let _ = std::fs::remove_file(home.path("h"));
        assert!(leftovers(&home.tree()).is_empty());
        for kept in std::fs::read_dir(home.tree()).unwrap() {
            let _ = std::fs::remove_file(kept.unwrap().path());
        }
    }
    eprintln!("{told} of 250 were told");
}

#[test]
fn what_is_saved_by_a_rename_meanwhile_is_not_lost() {
    nothing_they_write_is_lost(false, |at, bytes| {
        let new = at.with_extension("new");
        std::fs::write(&new, bytes).unwrap();
        std::fs::rename(new, at).unwrap();
    });
}

#[test]
fn what_is_written_into_the_file_meanwhile_is_not_lost() {
    nothing_they_write_is_lost(false, |at, bytes| std::fs::write(at, bytes).unwrap());
}

#[test]
fn what_is_written_by_another_of_its_names_meanwhile_is_not_lost() {
    nothing_they_write_is_lost(true, |at, bytes| {
        std::fs::write(at.with_file_name("g"), bytes).unwrap();
    });
}

#[test]
fn a_file_that_somebody_is_writing_is_left_to_them() {
    let home = Home::new();
    furnish(&home);
    let store = home.open();
    let mut run = store.run();
    let mut open = std::fs::OpenOptions::new().append(true).open(home.path("docs/a.txt")).unwrap();
    for change in [write("docs/a.txt", b"x"), rm("docs/a.txt")] {
        assert_eq!(run.apply(change).unwrap_err().kind, FailureKind::Changed);
    }
    std::io::Write::write_all(&mut open, b"more\n").unwrap();
    assert_eq!(std::fs::read(home.path("docs/a.txt")).unwrap(), b"hello\nmore\n");
    drop(open);
    run.ok(write("docs/a.txt", b"x"));
    let open = std::fs::OpenOptions::new().append(true).open(home.path("links/one")).unwrap();
    assert_eq!(run.apply(write("links/two", b"x")).unwrap_err().kind, FailureKind::Changed);
    drop(open);
    run.ok(write("links/two", b"x"));
    run.end();
}

#[test]
fn a_clock_that_goes_backwards_confuses_nobody() {
    let home = Home::new();
    furnish(&home);
    let before = home.snapshot();
    let store = home.open();
    let mut run = store.run();
    run.ok(write("docs/new", b"1"));
    home.clock.0.store(-10_000_000, Ordering::SeqCst);
    run.ok(write("docs/new", b"2"));
    run.ok(mv("docs/new", "docs/newer"));
    home.clock.0.store(-900_000_000, Ordering::SeqCst);
    run.ok(rm("docs/newer"));
    run.ok(write("docs/a.txt", b"older than itself"));
    let run = run.end();
    home.clock.0.store(5, Ordering::SeqCst);
    let undo = store.undo_whole(run);
    assert_same(&before, &home.snapshot(), "undo");
    home.clock.0.store(-2_000_000_000, Ordering::SeqCst);
    store.undo_whole(undo);
    drop(store);
    home.verify();
}
