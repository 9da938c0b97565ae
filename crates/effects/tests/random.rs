//! Random changes to random trees, random histories, and somebody else at work in between (A3, C1).
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

use std::collections::BTreeMap;

use common::*;
use proptest::prelude::*;
use raincoat_types::*;

/// A change in small: what, where, where to, and how much.
#[derive(Clone, Debug)]
struct Wish {
    what: u8,
    one: u8,
    two: u8,
    size: u16,
    settle: bool,
}

fn wishes(most: usize) -> impl Strategy<Value = Vec<Wish>> {
    let wish = (0..13_u8, any::<u8>(), any::<u8>(), any::<u16>(), any::<bool>());
    proptest::collection::vec(
        wish.prop_map(|(what, one, two, size, settle)| Wish { what, one, two, size, settle }),
        1..most,
    )
}

/// Few names, so that changes meet.
fn path(n: u8) -> String {
    let names = ["a", "b", "c", "d"];
    let depth = usize::from(n >> 6) % 3 + 1;
    let parts: Vec<&str> = (0..depth).map(|level| names[usize::from(n >> (2 * level)) % 4]).collect();
    parts.join("/")
}

fn content(wish: &Wish) -> Vec<u8> {
    let len = usize::from(wish.size) % 5000 * if wish.size.is_multiple_of(17) { 100 } else { 1 };
    vec![wish.size as u8; len]
}

fn change(wish: &Wish) -> FileChange {
    let (one, two) = (path(wish.one), path(wish.two));
    let replace = wish.size.is_multiple_of(2);
    match wish.what {
        0..=2 => write(&one, &content(wish)),
        3 => mkdir_p(&one),
        4 | 5 => FileChange::Move { from: place(&one), to: place(&two), replace },
        6 | 7 => FileChange::Copy { from: place(&one), to: place(&two), replace },
        8 => rm(&one),
        9 => rm_r(&one),
        10 => pack(&[&one], &two, ArchiveFormat::Tar),
        11 => unpack(&one, &two),
        _ => mkdir(&one),
    }
}

/// Puts a tree there by other means than ours.
fn grow(home: &Home, wishes: &[Wish]) {
    let tree = home.tree();
    for wish in wishes {
        let at = tree.join(path(wish.one));
        let _ = match wish.what {
            0..=4 => std::fs::create_dir_all(at.parent().unwrap()).and_then(|()| std::fs::write(&at, content(wish))),
            5 | 6 => std::fs::create_dir_all(&at),
            7 | 8 => std::os::unix::fs::symlink(path(wish.two), &at),
            9 | 10 => std::fs::hard_link(tree.join(path(wish.two)), &at),
            _ => raincoat_os::scratch::set_xattr(&at, "user.x", &[wish.two]),
        };
    }
    age(&tree);
}

fn work(store: &Store<'_>, wishes: &[Wish]) -> RunId {
    let mut run = store.run();
    for wish in wishes {
        let _ = run.propose(change(wish));
        if wish.settle {
            run.settle();
        }
    }
    run.settle();
    run.end()
}

/// More on order (`PROPTEST_CASES`).
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_run_is_undone_and_done_again(tree in wishes(20), changes in wishes(25)) {
        let home = Home::quick();
        grow(&home, &tree);
        let before = home.snapshot();
        let store = home.open();
        let run = work(&store, &changes);
        let after = home.snapshot();
        let undo = store.undo_whole(run);
        assert_same(&before, &home.snapshot(), "undo");
        let redo = store.undo_whole(undo);
        assert_same(&after, &home.snapshot(), "redo");
        store.undo_whole(redo);
        assert_same(&before, &home.snapshot(), "undo of the redo");
        prop_assert!(leftovers(&home.tree()).is_empty());
    }

    #[test]
    fn runs_are_undone_from_the_last_to_the_first(tree in wishes(15), runs in proptest::collection::vec(wishes(10), 2..5)) {
        let home = Home::quick();
        grow(&home, &tree);
        let store = home.open();
        let mut states = vec![home.snapshot()];
        let mut done = Vec::new();
        for changes in &runs {
            done.push(work(&store, changes));
            states.push(home.snapshot());
        }
        for run in done.iter().rev() {
            states.pop();
            store.undo_whole(*run);
            assert_same(states.last().unwrap(), &home.snapshot(), "undo");
        }
    }

    #[test]
    fn single_operations_are_undone_from_the_last_to_the_first(tree in wishes(15), changes in wishes(12)) {
        let home = Home::quick();
        grow(&home, &tree);
        let before = home.snapshot();
        let store = home.open();
        let run = work(&store, &changes);
        let done = store.ops(run).into_iter().filter(|op| matches!(op.result, Some(OpResult::Done { .. })));
        for op in done.collect::<Vec<_>>().iter().rev() {
            let undone = store.undo_some(run, vec![op.intent.op.seq], false);
            prop_assert!(undone.refused.is_empty(), "{:?}", undone);
        }
        assert_same_but_folder_times(&before, &home.snapshot(), "one by one");
    }

    /// Whatever the order: every content is back, or it is said what is not; and what is left is taken back later. (Without
    /// hard links: a write by one name that is taken back while the other is away does not reach that one's before-image.)
    #[test]
    fn any_order_gives_every_content_back_or_says_what_not(
        tree in wishes(15),
        runs in proptest::collection::vec(wishes(8), 2..4),
        order in proptest::collection::vec(any::<(u8, u8)>(), 1..8),
    ) {
        let home = Home::quick();
        let tree: Vec<Wish> = tree.into_iter().filter(|wish| !matches!(wish.what, 9 | 10)).collect();
        grow(&home, &tree);
        let before = home.snapshot();
        let store = home.open();
        let done: Vec<RunId> = runs.iter().map(|changes| work(&store, changes)).collect();
        for (which, seq) in order {
            let run = done[usize::from(which) % done.len()];
            let ops = store.ops(run);
            if seq % 3 == 0 || ops.is_empty() {
                store.undo(run);
            } else {
                store.undo_some(run, vec![u32::from(seq) % ops.len() as u32 + 1], false);
            }
        }
        let mut refused = Vec::new();
        for run in done.iter().rev() {
            refused.extend(store.undo(*run).refused);
        }
        // Out of order a file may come back where it was when it went, not where it was at first: but it comes back.
        let now: std::collections::HashSet<Digest> = home.snapshot().entries().values().filter_map(|e| e.digest).collect();
        let gone = before.entries().values().filter_map(|e| e.digest).filter(|digest| !now.contains(digest)).count();
        prop_assert!(gone == 0 || !refused.is_empty(), "{} contents are gone", gone);
        prop_assert!(leftovers(&home.tree()).is_empty());
        for (_, failure) in refused {
            prop_assert!(!matches!(failure.kind, FailureKind::Broken), "{:?}", failure);
        }
    }

    /// Somebody writes to the tree between the run and its undo: what they wrote is there afterwards.
    #[test]
    fn what_somebody_wrote_since_is_never_lost(tree in wishes(15), changes in wishes(12), theirs in wishes(8)) {
        let home = Home::quick();
        grow(&home, &tree);
        let store = home.open();
        let run = work(&store, &changes);
        let mut kept: BTreeMap<std::path::PathBuf, Vec<u8>> = BTreeMap::new();
        for (n, wish) in theirs.iter().enumerate() {
            let at = home.path(&path(wish.one));
            let text = format!("somebody's own words, number {n}").into_bytes();
            if std::fs::write(&at, &text).is_ok() {
                // By the inode, for links and symlinks lead several names to one.
                kept.insert(std::fs::canonicalize(&at).unwrap(), text);
            }
        }
        let undone = store.undo(run);
        let all = home.snapshot();
        let there: std::collections::HashSet<Digest> = all.entries().values().filter_map(|e| e.digest).collect();
        for text in kept.values() {
            let n = String::from_utf8_lossy(text).rsplit(' ').next().unwrap().parse::<usize>().unwrap();
            let still = there.contains(&digest(text));
            let overwritten = theirs.iter().enumerate().skip(n + 1).any(|(m, _)| {
                there.contains(&digest(format!("somebody's own words, number {m}").as_bytes()))
            });
            prop_assert!(still || overwritten, "number {} is gone; refused: {:?}", n, undone.refused);
        }
        prop_assert!(leftovers(&home.tree()).is_empty());
    }
}
