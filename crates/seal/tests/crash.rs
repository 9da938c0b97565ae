//! Keys and store under `SIGKILL` and failing disks: what was there or what was to come, and never neither (H2).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use raincoat_os::{PrivateDir, SystemClock, fault};
use raincoat_seal::{Keys, KeysError, SlotKind, Store, Unlock};
use raincoat_types::{Clock, Secret, Timestamp};

const DIR: &str = "RAINCOAT_TEST_DIR";
const JOB: &str = "RAINCOAT_TEST_JOB";

/// A minute later at each look, so that no delay holds up a test.
struct Fast(std::sync::atomic::AtomicI64);

impl Clock for Fast {
    fn now(&self) -> Timestamp {
        Timestamp { secs: self.0.fetch_add(61, std::sync::atomic::Ordering::SeqCst), nanos: 0 }
    }
}

fn fast() -> Fast {
    Fast(std::sync::atomic::AtomicI64::new(SystemClock.now().secs + 3600))
}

fn pass(text: &str) -> Unlock {
    Unlock::Passphrase(Secret::new(text.to_owned()))
}

fn print(keys: &Keys) -> [u8; 32] {
    keys.store().mac(b"")
}

/// This program again, at one job, to be killed.
fn child(home: &Path, job: &str, fault: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "the_child_at_its_job", "--ignored", "--nocapture", "--test-threads=1"])
        .env(DIR, home)
        .env(JOB, job)
        .env("RAINCOAT_FAULT", fault)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

#[test]
#[ignore = "run by the other tests of this file, which kill it"]
fn the_child_at_its_job() {
    let (Ok(home), Ok(job)) = (std::env::var(DIR), std::env::var(JOB)) else { return };
    let dir = PrivateDir::open(Path::new(&home)).unwrap();
    match job.as_str() {
        "create" => drop(Keys::create(&dir, &Unlock::KeyFile, &fast()).unwrap()),
        "rotate" => {
            let mut keys = Keys::unlock(&dir, &Unlock::KeyFile, &fast()).unwrap();
            keys.add_key_file(None, &fast()).unwrap();
        }
        "set-passphrase" => {
            let mut keys = Keys::unlock(&dir, &Unlock::KeyFile, &fast()).unwrap();
            keys.add_passphrase(&Secret::new("new".to_owned()), &fast()).unwrap();
            keys.remove_key_file().unwrap();
        }
        "store" => {
            let keys = Keys::unlock(&dir, &Unlock::KeyFile, &fast()).unwrap();
            let store = Store::open(&dir, &keys).unwrap();
            let first = store.list("row").unwrap().len() as u64;
            for n in first.. {
                store.put("row", &n.to_be_bytes(), &n.to_le_bytes().repeat(100)).unwrap();
                println!("\nrow {n}");
            }
        }
        other => panic!("{other}"),
    }
    println!("\nfinished");
}

/// Runs a job, killed at its nth change of the disk; whether it came to its end.
fn run(home: &Path, job: &str, n: u32) -> bool {
    let out = child(home, job, &format!("kill:{n}")).output().unwrap();
    String::from_utf8_lossy(&out.stdout).contains("finished")
}

#[test]
fn keys_killed_while_they_are_made_are_there_or_can_be_made() {
    for n in 1.. {
        let home = tempfile::tempdir().unwrap();
        let finished = run(home.path(), "create", n);
        let dir = PrivateDir::open(home.path()).unwrap();
        match Keys::unlock(&dir, &Unlock::KeyFile, &fast()) {
            Ok(_) => {}
            Err(KeysError::Missing) => {
                assert!(!finished);
                let keys = Keys::create(&dir, &Unlock::KeyFile, &fast()).unwrap();
                assert_eq!(print(&Keys::unlock(&dir, &Unlock::KeyFile, &fast()).unwrap()), print(&keys));
            }
            Err(error) => panic!("killed at {n}: {error}"),
        }
        if finished {
            assert!(n > 10, "every step was tried");
            return;
        }
    }
}

#[test]
fn keys_killed_at_any_step_of_a_rotation_still_open_with_the_key_file() {
    for n in 1.. {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open(home.path()).unwrap();
        let before = print(&Keys::create(&dir, &Unlock::KeyFile, &fast()).unwrap());
        let finished = run(home.path(), "rotate", n);
        let mut keys = Keys::unlock(&dir, &Unlock::KeyFile, &fast()).unwrap();
        assert_eq!(print(&keys), before, "killed at {n}");
        // And what a killed one left behind is taken away by the next change.
        keys.add_key_file(None, &fast()).unwrap();
        let left = dir.names().unwrap().iter().filter(|name| name.to_str().unwrap().starts_with("key-")).count();
        assert_eq!(left, 1, "killed at {n}");
        if finished {
            assert!(n > 8, "every step was tried");
            return;
        }
    }
}

#[test]
fn keys_killed_between_passphrase_and_key_file_open_with_one_of_them() {
    for n in 1.. {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open(home.path()).unwrap();
        let before = print(&Keys::create(&dir, &Unlock::KeyFile, &fast()).unwrap());
        let finished = run(home.path(), "set-passphrase", n);
        let keys = Keys::unlock(&dir, &Unlock::KeyFile, &fast())
            .or_else(|_| Keys::unlock(&dir, &pass("new"), &fast()))
            .unwrap_or_else(|error| panic!("killed at {n}: {error}"));
        assert_eq!(print(&keys), before);
        if keys.slots().iter().any(|slot| slot.kind == SlotKind::Passphrase) {
            assert_eq!(print(&Keys::unlock(&dir, &pass("new"), &fast()).unwrap()), before);
        }
        if finished {
            assert!(n > 10, "every step was tried");
            assert_eq!(keys.slots().len(), 1);
            return;
        }
    }
}

// One test, for the faults are ordered for the whole process.
#[test]
fn a_disk_that_fails_at_any_step_is_an_error_and_the_keys_still_open() {
    const EIO: i32 = 5;
    const ENOSPC: i32 = 28;
    let plans: [fn(u64) -> fault::Plan; 2] = [|n| fault::Plan::Fail(n, EIO), |n| fault::Plan::FailFrom(n, ENOSPC)];
    for plan in plans {
        for n in 1.. {
            let home = tempfile::tempdir().unwrap();
            let dir = PrivateDir::open(home.path()).unwrap();
            let mut keys = Keys::create(&dir, &Unlock::KeyFile, &fast()).unwrap();
            let before = print(&keys);
            fault::arm(plan(n));
            let done = keys.add_key_file(None, &fast());
            let calls = fault::calls();
            fault::disarm();
            assert_eq!(print(&Keys::unlock(&dir, &Unlock::KeyFile, &fast()).unwrap()), before, "failed at {n}");
            if calls < n {
                done.unwrap();
                assert!(n > 8, "every step was tried");
                break;
            }
            assert!(matches!(done, Err(KeysError::Io(_))), "failed at {n}");
        }
        for n in 1.. {
            let home = tempfile::tempdir().unwrap();
            let dir = PrivateDir::open(home.path()).unwrap();
            fault::arm(plan(n));
            let made = Keys::create(&dir, &Unlock::KeyFile, &fast()).map(|_| ());
            let calls = fault::calls();
            fault::disarm();
            match made {
                Ok(()) => {
                    assert!(calls < n && n > 10, "every step was tried");
                    break;
                }
                Err(KeysError::Io(_)) => {}
                Err(error) => panic!("failed at {n}: {error}"),
            }
        }
    }
    // A full disk does not lock out who knows the passphrase: the counter is written in its place.
    let home = tempfile::tempdir().unwrap();
    let dir = PrivateDir::open(home.path()).unwrap();
    let before = print(&Keys::create(&dir, &pass("x"), &fast()).unwrap());
    fault::arm(fault::Plan::Count);
    assert_eq!(print(&Keys::unlock(&dir, &pass("x"), &fast()).unwrap()), before);
    assert_eq!(fault::calls(), 3, "two writes of 32 bytes in place and one sync");
    fault::disarm();
}

#[test]
fn a_store_killed_at_random_keeps_every_row_it_acknowledged() {
    let home = tempfile::tempdir().unwrap();
    let dir = PrivateDir::open(home.path()).unwrap();
    let keys = Keys::create(&dir, &Unlock::KeyFile, &fast()).unwrap();
    let mut acknowledged = 0_u64;
    for round in 0..12_u64 {
        let mut child = child(home.path(), "store", "count").spawn().unwrap();
        let mut left = 1 + round * 7 % 20;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let Some(n) = line.unwrap().strip_prefix("row ").map(|n| n.parse::<u64>().unwrap()) else { continue };
            acknowledged = n + 1;
            // The child is at one of its next rows when it dies; what it said before is read to the end.
            left = left.saturating_sub(1);
            if left == 0 {
                std::thread::sleep(Duration::from_micros(round * 317 % 1500));
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let store = Store::open(&dir, &keys).unwrap();
        let rows = store.list("row").unwrap();
        assert!(rows.len() as u64 >= acknowledged, "{} of {acknowledged}", rows.len());
        for (n, (id, value)) in (0_u64..).zip(&rows) {
            assert_eq!((id, value), (&n.to_be_bytes().to_vec(), &n.to_le_bytes().repeat(100)));
        }
    }
    assert!(acknowledged > 12, "it did write: {acknowledged}");
}
