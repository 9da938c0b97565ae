//! Pruning takes whole runs, the oldest first, and what nothing else needs; everything else stays as it was, whatever
//! call the process dies at.
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

use std::collections::BTreeMap;
use std::path::Path;

use common::*;
use proptest::prelude::*;
use raincoat_journal::{Journal, JournalError, PruneRule, Remembered};
use raincoat_os::PrivateDir;
use raincoat_types::*;

const CHILD: &str = "RAINCOAT_PRUNE_CHILD";

/// A rule that lets go of all runs before the `n`th.
fn before(n: u64) -> PruneRule {
    let at = stamp(100 + n as i64);
    PruneRule { keep_from: at, older_than: Some(at), most: None, words: "older than that".into(), at: stamp(5_000) }
}

/// A run of removals that ends as many seconds after the epoch as it began.
fn run(journal: &mut Journal, n: u64, files: &[Vec<u8>]) -> Vec<Image> {
    journal.begin_run(&header(n)).unwrap();
    let mut images = Vec::new();
    for (seq, bytes) in (1..).zip(files) {
        let image = store(journal, bytes).unwrap();
        journal.intend(&[removal(op_id(n, seq), &format!("{n}/{seq}"), image.clone())]).unwrap();
        journal.conclude(&[(op_id(n, seq), done())]).unwrap();
        images.push(image);
    }
    journal.end_run(&RunEnd { at: stamp(100 + n as i64), ..end(n, RunStatus::Done) }).unwrap();
    images
}

fn content(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

/// Everything that is kept comes back byte for byte; what is pruned is said to be; the store is whole.
fn check(journal: &Journal, runs: &BTreeMap<u64, Vec<Vec<u8>>>, pruned: &[u64]) {
    let report = journal.verify().unwrap();
    assert!(report.is_whole(), "{report:?}");
    for (n, files) in runs {
        if pruned.contains(n) {
            assert!(matches!(journal.run(run_id(*n)), Err(JournalError::UnknownRun(_))), "{n}");
            let told = journal.pruned(run_id(*n)).unwrap().expect("a pruned run is remembered");
            assert_eq!((told.run.ops as usize, told.rule.as_str()), (files.len(), "older than that"));
            continue;
        }
        assert_eq!(journal.run(run_id(*n)).unwrap().ops as usize, files.len());
        for (seq, bytes) in (1..).zip(files) {
            let record = journal.op(op_id(*n, seq)).unwrap();
            assert_eq!(&read_back(journal, record.intent.change.before().unwrap()), bytes, "{n}/{seq}");
        }
    }
}

#[test]
fn the_oldest_go_and_what_they_share_with_others_stays() {
    let store = Store::new();
    let mut journal = store.open();
    let shared = content(1, 300_000);
    let mut runs = BTreeMap::new();
    for n in 1..=6 {
        let files = vec![content(n * 100, 200_000), shared.clone(), Vec::new()];
        run(&mut journal, n, &files);
        runs.insert(n, files);
    }
    drop(journal);
    let mut journal = store.open();
    let plan = journal.plan_prune(&before(4)).unwrap();
    assert_eq!(plan.runs.iter().map(|run| run.run).collect::<Vec<_>>(), [1, 2, 3].map(run_id));
    assert!(plan.before - plan.after > 600_000 && plan.before - plan.after < 700_000, "{plan:?}");
    let report = journal.prune(&before(4)).unwrap();
    assert_eq!((report.runs, report.segments), (plan.runs, 1));
    check(&journal, &runs, &[1, 2, 3]);
    // What was kept is in a new segment; the old one is gone, and with it the old contents.
    assert_eq!(store.segments().len(), 1);
    let (size, usage) = (journal.size().unwrap(), journal.usage().unwrap());
    assert!(usage.live > 900_000 && usage.dead < 20_000, "{usage:?}");
    assert_eq!((usage.runs, usage.pruned, usage.versions, usage.bytes), (3, 3, 9, size));
    // The same without the index, and with new work on top.
    drop(journal);
    store.drop_index();
    let mut journal = store.open();
    check(&journal, &runs, &[1, 2, 3]);
    run(&mut journal, 7, &[content(700, 1000)]);
    runs.insert(7, vec![content(700, 1000)]);
    check(&journal, &runs, &[1, 2, 3]);
    // A second prune keeps what the first one wrote down.
    journal.prune(&before(6)).unwrap();
    drop(journal);
    store.drop_index();
    check(&store.open(), &runs, &[1, 2, 3, 4, 5]);
}

#[test]
fn a_budget_takes_no_more_than_it_needs_and_nothing_that_is_too_young() {
    let store = Store::new();
    let mut journal = store.open();
    for n in 1..=8 {
        run(&mut journal, n, &[content(n, 400_000)]);
    }
    let bytes = journal.size().unwrap();
    let rule = |most: u64, keep_from| PruneRule { keep_from, older_than: None, most: Some(most), ..before(0) };
    // All of it lies where this process appends: no run goes for nothing.
    assert_eq!(journal.plan_prune(&rule(bytes - 1_000_000, stamp(1000))).unwrap().runs, []);
    drop(journal);
    let mut journal = store.open();
    let plan = journal.plan_prune(&rule(bytes - 1_000_000, stamp(1000))).unwrap();
    assert_eq!(plan.runs.len(), 3);
    let plan = journal.plan_prune(&rule(0, stamp(103))).unwrap();
    assert_eq!(plan.runs.len(), 2);
    assert_eq!(plan.too_young.0, 6);
    assert!(plan.too_young.1 > 2_400_000);
    assert_eq!(journal.plan_prune(&rule(bytes, stamp(1000))).unwrap().runs, []);
}

#[test]
fn an_open_run_and_an_undo_that_stands_are_left() {
    let store = Store::new();
    let mut journal = store.open();
    let undone = run(&mut journal, 1, &[content(1, 5000)]);
    journal.begin_run(&header(2)).unwrap();
    let image = common::store(&mut journal, &content(2, 5000)).unwrap();
    journal.intend(&[removal(op_id(2, 1), "x", image)]).unwrap();
    // Run 3 takes run 1 back.
    let kind = RunKind::Undo { of: run_id(1), ops: vec![] };
    journal.begin_run(&RunHeader { kind, ..header(3) }).unwrap();
    let change = Change::Create { at: spot("1/1"), after: undone[0].clone() };
    journal.intend(&[Intent { undoes: Some(op_id(1, 1)), ..intent(op_id(3, 1), change) }]).unwrap();
    journal.conclude(&[(op_id(3, 1), done())]).unwrap();
    // While that goes on, neither goes.
    assert_eq!(journal.prune(&before(50)).unwrap().runs, []);
    journal.end_run(&RunEnd { at: stamp(103), ..end(3, RunStatus::Done) }).unwrap();
    let gone: Vec<RunId> = journal.prune(&before(50)).unwrap().runs.iter().map(|run| run.run).collect();
    assert_eq!(gone, [run_id(1), run_id(3)]);
    journal.conclude(&[(op_id(2, 1), done())]).unwrap();
    journal.end_run(&end(2, RunStatus::Done)).unwrap();
    assert!(journal.verify().unwrap().is_whole());
}

#[test]
fn a_prune_waits_for_a_change_that_counts_on_what_is_there() {
    let store = Store::new();
    let mut one = store.open();
    let bytes = content(1, 50_000);
    run(&mut one, 1, std::slice::from_ref(&bytes));
    drop(one);
    let mut two = store.open();
    two.begin_run(&header(2)).unwrap();
    // Known already, so not stored again.
    let image = common::store(&mut two, &bytes).unwrap();
    let mut one = store.open();
    let waits = std::thread::spawn(move || one.prune(&before(2)).map(|report| report.runs.len()));
    std::thread::sleep(std::time::Duration::from_millis(300));
    two.intend(&[removal(op_id(2, 1), "x", image.clone())]).unwrap();
    assert_eq!(waits.join().unwrap().unwrap(), 1);
    two.conclude(&[(op_id(2, 1), done())]).unwrap();
    assert_eq!(read_back(&two, &image), bytes);
    two.end_run(&end(2, RunStatus::Done)).unwrap();
    drop(two);
    store.drop_index();
    let journal = store.open();
    assert!(journal.verify().unwrap().is_whole());
    assert_eq!(read_back(&journal, &image), bytes);
}

#[test]
fn damage_is_repaired_before_anything_is_pruned() {
    let store = Store::new();
    let mut journal = store.open();
    run(&mut journal, 1, &[content(1, 5000)]);
    run(&mut journal, 2, &[content(2, 5000)]);
    drop(journal);
    let at = records(&store.segments()[0])[1];
    patch(&store.segments()[0], |bytes| bytes[at + 60] ^= 1);
    store.drop_index();
    let refused = store.open().prune(&before(2));
    assert!(matches!(refused, Err(JournalError::Corrupt { .. })), "{refused:?}");
}

fn scenario(home: &Path) {
    let (mut journal, _) = open_at(home).unwrap();
    let apart = PrivateDir::open(&home.join("apart")).unwrap();
    assert!(!matches!(journal.remember_in(apart).unwrap(), Remembered::Behind(_)));
    journal.prune(&before(3)).unwrap();
}

/// Not a test of its own: what the killed processes run.
#[test]
fn child() {
    if let Ok(home) = std::env::var(CHILD) {
        scenario(Path::new(&home));
    }
}

fn run_child(home: &Path, fault: &str) -> bool {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CHILD, home)
        .env("RAINCOAT_FAULT", fault)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap()
        .success()
}

#[test]
fn a_prune_killed_at_any_call_is_done_or_not_and_nothing_else_is_lost() {
    let store = Store::new();
    let mut journal = store.open();
    let mut runs = BTreeMap::new();
    for n in 1..=4 {
        let files = vec![content(n, 9000), content(77, 5000)];
        run(&mut journal, n, &files);
        runs.insert(n, files);
    }
    std::fs::create_dir(store.home.path().join("apart")).unwrap();
    drop(journal);
    let mut calls = 0;
    for (at, fault) in (1..).flat_map(|at| [(at, "kill"), (at, "eio"), (at, "enospc")]) {
        let copy = store.snapshot();
        let finished = run_child(copy.home.path(), &format!("{fault}:{at}"));
        for index in [true, false] {
            if !index {
                copy.drop_index();
            }
            let (mut journal, interrupted) = copy.try_open().unwrap();
            assert_eq!(interrupted, []);
            let apart = PrivateDir::open(&copy.home.path().join("apart")).unwrap();
            let said = journal.remember_in(apart).unwrap();
            assert!(!matches!(said, Remembered::Behind(_)), "{fault} {at}: {said:?}");
            let pruned: Vec<u64> = if journal.run(run_id(1)).is_ok() { vec![] } else { vec![1, 2] };
            check(&journal, &runs, &pruned);
            assert!(!finished || pruned.len() == 2);
        }
        // It can be done again, and then it is.
        scenario(copy.home.path());
        check(&copy.open(), &runs, &[1, 2]);
        calls += 1;
        if finished && fault == "kill" {
            break;
        }
    }
    assert!(calls > 20, "{calls}");
}

/// A content of many small chunks, so that its list is kept as content too. Those below `changed` are `n`'s own.
fn long(journal: &mut Journal, n: u64, changed: u64) -> Image {
    let (mut bytes, mut chunks) = (Vec::new(), Vec::new());
    for at in 0..400 {
        let piece = content(at + if at < changed { 1000 * n } else { 0 }, 300);
        let id = journal.put_chunk(&piece).unwrap();
        chunks.push(Chunk { offset: bytes.len() as u64, len: piece.len() as u32, id });
        bytes.extend(piece);
    }
    let digest = Digest(*blake3::hash(&bytes).as_bytes());
    let file = FileContent { digest, chunks, stored: true };
    Image { meta: meta(FileKind::File, bytes.len() as u64), content: Content::File(file) }
}

#[test]
fn the_pieces_of_long_chunk_lists_go_and_stay_with_what_they_list() {
    let store = Store::new();
    let mut journal = store.open();
    let mut images = BTreeMap::new();
    for n in 1..=4 {
        journal.begin_run(&header(n)).unwrap();
        let image = long(&mut journal, n, 300);
        journal.intend(&[removal(op_id(n, 1), "long.bin", image.clone())]).unwrap();
        journal.conclude(&[(op_id(n, 1), done())]).unwrap();
        journal.end_run(&RunEnd { at: stamp(100 + n as i64), ..end(n, RunStatus::Done) }).unwrap();
        images.insert(n, image);
    }
    // (A segment that is being written to is not written again.)
    drop(journal);
    let mut journal = store.open();
    let chunks = journal.verify().unwrap().chunks;
    assert!(chunks > 4 * 300 + 100, "no piece of a list was stored: {chunks}");
    let went = journal.prune(&before(3)).unwrap();
    assert_eq!(went.runs.len(), 2);
    drop(journal);
    for index in [true, false] {
        if !index {
            store.drop_index();
        }
        let journal = store.open();
        let report = journal.verify_with(true, None).unwrap();
        assert!(report.is_whole(), "{report:?}");
        assert_eq!(report.contents, 2);
        assert!(report.chunks < chunks - 600, "{} of {chunks}", report.chunks);
        for n in 3..=4 {
            let op = journal.op(op_id(n, 1)).unwrap();
            assert_eq!(op.intent.change.before(), Some(&images[&n]));
            read_back(&journal, &images[&n]);
        }
        assert!(journal.op(op_id(1, 1)).is_err());
    }
}

#[test]
fn a_journal_that_was_cut_off_or_put_back_is_less_than_is_remembered() {
    let store = Store::new();
    let apart = tempfile::tempdir().unwrap();
    let apart = || PrivateDir::open(apart.path()).unwrap();
    let mut journal = store.open();
    assert_eq!(journal.remember_in(apart()).unwrap(), Remembered::Nothing);
    run(&mut journal, 1, &[content(1, 5000)]);
    drop(journal);
    let older = store.snapshot();
    let mut journal = store.open();
    assert_eq!(journal.remember_in(apart()).unwrap(), Remembered::Agrees);
    run(&mut journal, 2, &[content(2, 5000)]);
    drop(journal);
    assert_eq!(store.open().remember_in(apart()).unwrap(), Remembered::Agrees);
    // The whole journal as it was before, with its index.
    let said = older.open().remember_in(apart()).unwrap();
    assert!(matches!(&said, Remembered::Behind(all) if all[0].1.contains("put back")), "{said:?}");
    // And it is not talked out of it.
    assert!(matches!(older.open().remember_in(apart()).unwrap(), Remembered::Behind(_)));
    // The newest segment, with the index.
    let copy = store.snapshot();
    std::fs::remove_file(copy.segments().last().unwrap()).unwrap();
    copy.drop_index();
    assert!(matches!(copy.open().remember_in(apart()).unwrap(), Remembered::Behind(_)));
    // A person may say that this is the journal now.
    let mut journal = older.open();
    journal.remember_anew(apart()).unwrap();
    assert_eq!(journal.remember_in(apart()).unwrap(), Remembered::Agrees);
    // Another store's memory says nothing.
    std::fs::write(apart().path().unwrap().join("journal.head"), [7; 4096]).unwrap();
    assert_eq!(store.open().remember_in(apart()).unwrap(), Remembered::Unreadable);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    // Random stores, random prunes, several processes: what is kept is there byte for byte.
    #[test]
    fn whatever_is_pruned_the_rest_can_be_restored(
        steps in prop::collection::vec((0..10_u8, prop::collection::vec((0..12_u64, 0..30_000_usize), 0..4)), 1..14),
    ) {
        let store = Store::new();
        let mut journals = vec![store.open(), store.open()];
        let mut runs = BTreeMap::new();
        let mut pruned: Vec<u64> = Vec::new();
        let mut n = 0;
        for (step, files) in steps {
            match step {
                0..=6 => {
                    n += 1;
                    let files: Vec<Vec<u8>> = files.into_iter().map(|(seed, len)| content(seed, len)).collect();
                    run(&mut journals[usize::from(step) % 2], n, &files);
                    runs.insert(n, files);
                }
                7 | 8 => {
                    let until = n.saturating_sub(u64::from(step) - 6);
                    let went = journals[usize::from(step) % 2].prune(&before(until)).unwrap();
                    for run in went.runs {
                        pruned.extend(runs.keys().filter(|n| run_id(**n) == run.run));
                    }
                    let all: Vec<u64> = runs.keys().copied().filter(|n| *n < until).collect();
                    prop_assert!(all.iter().all(|n| pruned.contains(n)));
                }
                _ => {
                    journals.clear();
                    store.drop_index();
                    journals.extend([store.open(), store.open()]);
                }
            }
        }
        let mut journal = store.open();
        check(&journal, &runs, &pruned);
        let usage = journal.usage().unwrap();
        prop_assert_eq!((usage.runs as usize, usage.pruned as usize), (runs.len() - pruned.len(), pruned.len()));
        drop((journal, journals));
        store.drop_index();
        check(&store.open(), &runs, &pruned);
    }
}
