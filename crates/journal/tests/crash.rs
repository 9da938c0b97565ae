//! Whatever call the process dies at, or the disk refuses: nothing that was acknowledged is lost.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod common;

use std::collections::BTreeSet;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Mutex;

use common::*;
use raincoat_journal::{Journal, JournalError, NoteKind, Order};
use raincoat_os::fault::{self, Plan};
use raincoat_types::*;

const CHILD: &str = "RAINCOAT_JOURNAL_CHILD";
/// Faults are ordered for the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Recovers what it finds, then does a run; says at each step what was acknowledged.
fn scenario(home: &Path, n: u64, acknowledge: &mut dyn FnMut(String)) -> Result<(), JournalError> {
    let (mut journal, interrupted) = open_at(home)?;
    for run in interrupted {
        for record in run.pending {
            journal.settle(record.intent.op, OpResult::RolledBack("as before".into()))?;
        }
        let id = run.header.run;
        let (at, status, summary) = (stamp(9), RunStatus::Interrupted, String::new());
        journal.end_run(&RunEnd { run: id, at, status, summary })?;
        acknowledge(format!("recovered {id}"));
    }
    journal.begin_run(&header(n))?;
    for seq in 1..=4_u32 {
        // Some content new, some known, some of more than one chunk.
        let bytes = match seq {
            1 => format!("small {n}").into_bytes(),
            2 => vec![(n % 251) as u8; 1_200_000],
            _ => b"known".to_vec(),
        };
        let image = store(&mut journal, &bytes)?;
        journal.intend(&[removal(op_id(n, seq), &format!("{n}/{seq}"), image)])?;
        acknowledge(format!("intent {}", op_id(n, seq)));
        journal.conclude(&[(op_id(n, seq), done())])?;
        acknowledge(format!("outcome {}", op_id(n, seq)));
    }
    journal.note(run_id(n), NoteKind::Text, b"noted")?;
    journal.end_run(&end(n, RunStatus::Done))?;
    acknowledge(format!("end {}", run_id(n)));
    Ok(())
}

/// Holds a store to what was acknowledged. `killed`: the kernel lived on, so outcomes are there too.
fn check(home: &Path, acknowledged: &str, killed: bool) {
    let (journal, interrupted) = open_at(home).unwrap();
    let lines: BTreeSet<&str> = acknowledged.lines().collect();
    assert_eq!(journal.damage().unwrap(), []);
    let report = journal.verify().unwrap();
    assert!(report.is_whole(), "{report:?}");
    for line in lines {
        let (what, id) = line.split_once(' ').unwrap();
        match what {
            "intent" | "outcome" => {
                let op = OpId::parse(id).unwrap();
                let record = journal.op(op).unwrap();
                read_back(&journal, record.intent.change.before().unwrap());
                assert!(what == "intent" || !killed || record.result == Some(done()), "{line}");
            }
            _ => assert!(journal.run(RunId::parse(id).unwrap()).unwrap().end.is_some(), "{line}"),
        }
    }
    // Whatever began and has no end is reported, with all that is pending.
    let mut open = 0;
    for run in journal.runs(None, 1000).unwrap().into_iter().filter(|run| run.end.is_none()) {
        open += 1;
        let told = interrupted.iter().find(|one| one.header == run.header).expect("an interrupted run is reported");
        let mut pending = Vec::new();
        journal
            .for_each_op(run.header.run, Order::Forward, |op| {
                pending.extend(op.result.is_none().then_some(op));
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(told.pending, pending);
    }
    assert_eq!(open, interrupted.len());
}

/// Not a test of its own: what the killed processes run.
#[test]
fn child() {
    let Ok(home) = std::env::var(CHILD) else { return };
    let (home, n) = home.rsplit_once(':').unwrap();
    let mut log = std::fs::OpenOptions::new().append(true).create(true).open(format!("{home}.log")).unwrap();
    scenario(Path::new(home), n.parse().unwrap(), &mut |line| log.write_all(format!("{line}\n").as_bytes()).unwrap())
        .unwrap();
}

fn run_child(home: &Path, n: u64, fault: &str) -> bool {
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CHILD, format!("{}:{n}", home.display()))
        .env("RAINCOAT_FAULT", fault)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    status.success()
}

// C2, invariant 4.
#[test]
fn a_kill_at_any_call_loses_nothing_that_was_acknowledged() {
    let fresh = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut calls = 0;
    // Once in a store that is new each time, once in one that goes on and on.
    for again in [false, true] {
        let kept = fresh.path().join("kept");
        for at in 1.. {
            let home = if again { kept.clone() } else { fresh.path().join(format!("{at}")) };
            std::fs::create_dir_all(&home).unwrap();
            let finished = run_child(&home, at, &format!("kill:{at}"));
            let log = std::fs::read_to_string(format!("{}.log", home.display())).unwrap_or_default();
            check(&home, &log, true);
            calls += 1;
            if finished {
                break;
            }
            // The next process recovers what this one left, and works.
            if !again {
                assert!(run_child(&home, 10_000, "count"));
                let log = std::fs::read_to_string(format!("{}.log", home.display())).unwrap();
                check(&home, &log, true);
                std::fs::remove_dir_all(&home).unwrap();
            }
        }
    }
    assert!(calls > 40, "{calls}");
}

// C2: an error is said, the journal takes nothing more after a failed write or sync, and nothing acknowledged is lost.
#[test]
fn a_call_that_fails_loses_nothing_that_was_acknowledged() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    for again in [false, true] {
        for plan in [Plan::Fail as fn(u64, i32) -> Plan, Plan::FailFrom] {
            for errno in [5, 28] {
                for at in 1.. {
                    let store = Store::new();
                    if again {
                        scenario(store.home.path(), 900, &mut |_| ()).unwrap();
                    }
                    let mut log = String::new();
                    fault::arm(plan(at, errno));
                    let result = scenario(store.home.path(), at, &mut |line| log += &format!("{line}\n"));
                    let calls = fault::calls();
                    fault::disarm();
                    check(store.home.path(), &log, false);
                    if let Err(error) = &result {
                        let told = error.to_string();
                        assert!(told.contains("full") || told.contains("could not") || told.contains("takes no more"));
                    }
                    scenario(store.home.path(), 10_000, &mut |_| ()).unwrap();
                    if calls < at {
                        assert!(result.is_ok());
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn a_sync_that_failed_once_is_final() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    let home = Store::new();
    let mut journal = home.open();
    whole_run(&mut journal, 1, &[b"one"]);
    journal.begin_run(&header(2)).unwrap();
    let image = store(&mut journal, b"two").unwrap();
    // The write goes through, the sync does not.
    fault::arm(Plan::Fail(2, 5));
    let refused = journal.intend(&[removal(op_id(2, 1), "x", image.clone())]);
    fault::disarm();
    assert!(matches!(refused, Err(JournalError::Io { .. })), "{refused:?}");
    assert!(journal.poisoned().is_some());
    let poisoned = |result: Result<(), JournalError>| assert!(matches!(result, Err(JournalError::Poisoned(_))));
    poisoned(journal.intend(&[removal(op_id(2, 1), "x", image)]));
    poisoned(journal.conclude(&[(op_id(2, 1), done())]));
    poisoned(journal.begin_run(&header(3)));
    poisoned(journal.put_chunk(b"three").map(|_| ()));
    poisoned(journal.note(run_id(2), NoteKind::Text, b"x"));
    poisoned(journal.end_run(&end(2, RunStatus::Failed)));
    // Reading goes on.
    assert_eq!(journal.run(run_id(1)).unwrap().ops, 1);
    journal.op(op_id(1, 1)).unwrap();
}

// C2: a full disk leaves a consistent store, outcomes can still be written, and undo still works.
#[test]
fn a_full_disk_is_said_and_the_reserve_is_there_for_what_must_be_written() {
    let disk = SmallDisk::new().expect("this test fills a small disk of its own: run the tests as root");
    let home = disk.path().join("store");
    std::fs::create_dir(&home).unwrap();
    let (mut journal, _) = open_at(&home).unwrap();
    journal.begin_run(&header(1)).unwrap();
    let mut seq = 0;
    let refused = loop {
        let bytes: Vec<u8> = (0..400_000_u32).map(|n| (n.wrapping_mul(seq + 7) >> 3) as u8).collect();
        let next = op_id(1, seq + 1);
        match store(&mut journal, &bytes).and_then(|image| journal.intend(&[removal(next, "x", image)])) {
            Ok(()) => seq += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, JournalError::Full), "{refused}");
    assert!(seq > 5, "{seq}");
    std::fs::write(disk.path().join("filler"), vec![0; 1 << 20]).ok();
    // Everything that was acknowledged can be concluded, and an undo be recorded.
    for n in 1..=seq {
        journal.conclude(&[(op_id(1, n), done())]).unwrap();
    }
    journal.end_run(&end(1, RunStatus::Failed)).unwrap();
    let undo = RunHeader { kind: RunKind::Undo { of: run_id(1), ops: vec![] }, ..header(2) };
    journal.begin_run(&undo).unwrap();
    for n in 1..=seq {
        let step = journal.undo_step(op_id(1, n)).unwrap();
        let mut intent = intent(op_id(2, n), step.change);
        intent.undoes = Some(step.op);
        journal.intend(&[intent]).unwrap();
        journal.conclude(&[(op_id(2, n), done())]).unwrap();
    }
    journal.end_run(&end(2, RunStatus::Done)).unwrap();
    drop(journal);
    let (journal, interrupted) = open_at(&home).unwrap();
    assert_eq!(interrupted, []);
    assert_eq!(journal.undone_by(op_id(1, 1)).unwrap(), Some(op_id(2, 1)));
    assert!(journal.verify().unwrap().is_whole());
    drop(journal);
    // A process that dies with not a byte free is recovered all the same.
    let (mut journal, _) = open_at(&home).unwrap();
    journal.begin_run(&header(3)).unwrap();
    let image = image_of(b"", vec![], true);
    journal.intend(&[removal(op_id(3, 1), "x", image)]).unwrap();
    drop(journal);
    let mut filler = std::fs::File::create(disk.path().join("last")).unwrap();
    while filler.write_all(&[0; 512]).is_ok() {}
    let (mut journal, interrupted) = open_at(&home).unwrap();
    assert_eq!(interrupted.len(), 1);
    journal.settle(op_id(3, 1), OpResult::RolledBack("as before".into())).unwrap();
    journal.end_run(&end(3, RunStatus::Interrupted)).unwrap();
    drop(journal);
    assert_eq!(open_at(&home).unwrap().1, []);
}

/// A file system of 24 MiB, where this process may mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Option<SmallDisk> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m,mode=700", "none"])
            .arg(dir.path())
            .stderr(std::process::Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(SmallDisk(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn two_processes_and_a_kill_keep_both_histories() {
    let home = tempfile::tempdir_in("/dev/shm").unwrap();
    let kept = home.path().join("kept");
    std::fs::create_dir(&kept).unwrap();
    let (mut one, _) = open_at(&kept).unwrap();
    one.begin_run(&header(7_000)).unwrap();
    for round in 1..=12_u32 {
        let image = store(&mut one, format!("{round}").as_bytes()).unwrap();
        one.intend(&[removal(op_id(7_000, round), "x", image)]).unwrap();
        run_child(&kept, u64::from(round), &format!("kill:{}", round * 3));
        one.conclude(&[(op_id(7_000, round), done())]).unwrap();
    }
    one.end_run(&end(7_000, RunStatus::Done)).unwrap();
    drop(one);
    let log = std::fs::read_to_string(home.path().join("kept.log")).unwrap_or_default();
    check(&kept, &log, true);
    let (journal, _): (Journal, _) = open_at(&kept).unwrap();
    assert_eq!(journal.run(run_id(7_000)).unwrap().ops, 12);
}
