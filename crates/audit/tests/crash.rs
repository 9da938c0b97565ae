//! Crashes and failing disks: whatever was acknowledged is there afterwards, and the log verifies.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Home, copy_tree, notice, open_at, texts};
use raincoat_audit::{About, Audit, AuditError};
use raincoat_os::{SystemClock, fault};

/// Faults are armed for the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// A log whose live file has little room left, so that the next entries make a new one, and entries for so many tiles
/// that these are made durable together.
fn nearly_full() -> Home {
    let home = Home::new();
    let mut log = home.open();
    let live = home.log().join("live.log");
    let big = "x".repeat(300);
    for n in 0.. {
        let events: Vec<_> = (0..20).map(|m| notice(format!("{n} {m} {big}"))).collect();
        log.append(&About::NOTHING, &events).unwrap();
        let bytes = std::fs::read(&live).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        if used + 60_000 > bytes.len() {
            break;
        }
    }
    assert!(!home.log().join("tile").exists() && log.head().unwrap().size > 8 * 256);
    drop(log);
    home
}

fn copy_of(home: &Home) -> Home {
    let copy = Home::new();
    copy_tree(&home.log(), &copy.log());
    copy_tree(&home.apart(), &copy.apart());
    copy
}

/// Lazy and durable appends, one of which needs a new live file, and publishing.
fn work(log: &mut Audit, acknowledged: &mut dyn FnMut(&str)) -> Result<(), AuditError> {
    let big = "y".repeat(40_000);
    for n in 0..3 {
        log.append_lazy(&About::NOTHING, &[notice(format!("lazy {n}"))])?;
        log.append(&About::NOTHING, &[notice(format!("durable {n}")), notice(format!("{n} {big}"))])?;
        acknowledged(&format!("lazy {n}"));
        acknowledged(&format!("durable {n}"));
    }
    log.checkpoint()?;
    Ok(())
}

/// Everything acknowledged is there, all is sound, and the log goes on.
#[track_caller]
fn check(home: &Home, acknowledged: &[String], what: &str) {
    let mut log = home.try_open().unwrap_or_else(|error| panic!("{what}: {error}"));
    let there: BTreeSet<String> = texts(&log).into_iter().collect();
    for text in acknowledged {
        assert!(there.contains(text), "{what}: `{text}` is lost");
    }
    log.append(&About::NOTHING, &[notice("after")]).unwrap_or_else(|error| panic!("{what}: {error}"));
    log.close().unwrap();
    let report = home.verify();
    assert!(report.is_ok(), "{what}: {:#?}", report.problems);
}

/// HABITS 20: the first, second, nth call fails, until none does.
#[test]
fn nothing_acknowledged_is_lost_when_the_nth_call_fails() {
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    let base = nearly_full();
    for errno in [EIO, ENOSPC] {
        for n in 1.. {
            let home = copy_of(&base);
            let mut log = home.open();
            let mut acknowledged = Vec::new();
            fault::arm(fault::Plan::Fail(n, errno));
            let done = work(&mut log, &mut |text| acknowledged.push(text.to_owned()));
            let calls = fault::calls();
            fault::disarm();
            if calls < n {
                assert!(done.is_ok() && n > 20, "{n}");
                break;
            }
            // Removing partial tiles that have become full is tidiness, and may fail unseen.
            if let Err(error) = &done {
                let right = match error {
                    AuditError::Poisoned | AuditError::Io { .. } => true,
                    AuditError::Full => errno == ENOSPC,
                    AuditError::HeadNotKept(_) => true,
                    _ => false,
                };
                assert!(right, "call {n}, errno {errno}: {error:?}");
                let again = log.append(&About::NOTHING, &[notice("again")]);
                match error {
                    AuditError::Poisoned => assert!(matches!(again, Err(AuditError::Poisoned)), "{n}: {again:?}"),
                    _ => assert!(again.is_ok(), "{n}: {again:?}"),
                }
            }
            drop(log);
            check(&home, &acknowledged, &format!("call {n}, errno {errno}"));
        }
    }
}

#[test]
fn a_full_disk_is_said_and_the_log_goes_on_when_there_is_room() {
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    let home = nearly_full();
    let mut log = home.open();
    for n in 1..40 {
        fault::arm(fault::Plan::FailFrom(n, ENOSPC));
        let error = work(&mut log, &mut |_| {});
        fault::disarm();
        match error {
            Ok(()) => break,
            Err(AuditError::Full | AuditError::HeadNotKept(_)) => {}
            Err(AuditError::Poisoned) => {
                // A sync that failed is final, whatever its reason.
                log = home.open();
            }
            Err(error) => panic!("{n}: {error:?}"),
        }
        log.append(&About::NOTHING, &[notice("room again")]).unwrap();
    }
    drop(log);
    check(&home, &[], "full disk");
}

#[test]
fn a_sync_that_failed_is_final_for_this_handle_and_repaired_by_the_next() {
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    let home = Home::with(5);
    let mut log = home.open();
    let mut other = home.open();
    // The write, then the sync.
    fault::arm(fault::Plan::Fail(2, EIO));
    let error = log.append(&About::NOTHING, &[notice("x")]).unwrap_err();
    fault::disarm();
    assert!(matches!(error, AuditError::Poisoned), "{error:?}");
    for _ in 0..3 {
        assert!(matches!(log.append(&About::NOTHING, &[notice("y")]), Err(AuditError::Poisoned)));
        assert!(matches!(log.checkpoint(), Err(AuditError::Poisoned)));
    }
    let generation = |home: &Home| std::fs::read(home.log().join("live.log")).unwrap()[8..25].to_vec();
    let before = generation(&home);
    assert_eq!(before[16], 1, "the next to open is told");
    other.append(&About::NOTHING, &[notice("z")]).unwrap();
    let after = generation(&home);
    assert_ne!(before[..16], after[..16], "it writes all of it anew");
    assert_eq!(after[16], 0);
    assert!(home.verify().is_ok());
}

/// What a child process does: see [`spawn`].
#[test]
fn child() {
    let Ok(home) = std::env::var("AUDIT_TEST_HOME") else { return };
    let name = std::env::var("AUDIT_TEST_NAME").unwrap();
    let mut out = std::io::stdout();
    let mut say = |text: &str| {
        writeln!(out, "ack {text}").unwrap();
        out.flush().unwrap();
    };
    let Ok(mut log) = open_at(Path::new(&home), 7, Arc::new(SystemClock)) else { std::process::exit(3) };
    if name == "once" {
        work(&mut log, &mut say).unwrap();
        say("end");
        return;
    }
    for n in 0.. {
        let text = format!("{name} {n}");
        log.append_lazy(&About::NOTHING, &[notice(format!("{text} lazy {}", "z".repeat(n % 7 * 300)))]).unwrap();
        log.append(&About::NOTHING, &[notice(text.clone())]).unwrap();
        say(&text);
        if n % 40 == 39 {
            log.checkpoint().unwrap();
        }
    }
}

fn spawn(home: &Home, name: &str, fault: Option<String>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture", "--test-threads=1"]);
    command.env("AUDIT_TEST_HOME", home.folder.path()).env("AUDIT_TEST_NAME", name);
    if let Some(fault) = fault {
        command.env("RAINCOAT_FAULT", fault);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

fn acknowledged(child: &mut Child) -> Vec<String> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The test harness may leave its own words at the start of the first line.
    lines.map_while(Result::ok).filter_map(|line| line.split_once("ack ").map(|(_, text)| text.to_owned())).collect()
}

#[test]
fn nothing_acknowledged_is_lost_when_killed_before_the_nth_call() {
    let base = nearly_full();
    for n in 1.. {
        let home = copy_of(&base);
        let mut child = spawn(&home, "once", Some(format!("kill:{n}")));
        let mut done = acknowledged(&mut child);
        let status = child.wait().unwrap();
        let ended = done.last().is_some_and(|last| last == "end");
        if ended {
            assert!(status.success() && n > 20, "{n}: {status}");
            break;
        }
        assert!(!status.success(), "{n}");
        done.retain(|text| text != "end");
        check(&home, &done, &format!("killed at call {n}"));
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_two_writers_are_killed_at_random_in_60_rounds() {
    let home = Home::new();
    let mut all = Vec::new();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..60 {
        let mut children = [spawn(&home, &format!("{round}a"), None), spawn(&home, &format!("{round}b"), None)];
        let readers = children.each_mut().map(|child| {
            let mut owned = child.stdout.take();
            std::thread::spawn(move || {
                let lines = BufReader::new(owned.take().unwrap()).lines();
                lines
                    .map_while(Result::ok)
                    .filter_map(|line| line.split_once("ack ").map(|(_, text)| text.to_owned()))
                    .collect::<Vec<String>>()
            })
        });
        for child in &mut children {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            std::thread::sleep(Duration::from_millis(10 + (random >> 33) % 50));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let new: Vec<String> = readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect();
        let log = home.try_open().unwrap_or_else(|error| panic!("round {round}: {error}"));
        let there: BTreeSet<String> = texts(&log).into_iter().collect();
        for text in &new {
            assert!(there.contains(text), "round {round}: `{text}` is lost");
        }
        all.extend(new);
        if round % 10 == 9 {
            let report = home.verify();
            assert!(report.is_ok(), "round {round}: {:#?}", report.problems);
        }
    }
    assert!(all.len() > 300, "{}", all.len());
    check(&home, &all, "after all rounds");
}
