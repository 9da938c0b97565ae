//! Random histories, and a folder put back to random points of them, against a model that keeps a full copy after each
//! change.
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

use common::histories::{Chance, restore_to};
use common::*;
use raincoat_journal::Moment;
use raincoat_os::snapshot::Snapshot;

fn play(seed: u64, changes: usize) {
    let home = Home::quick();
    let mut chance = Chance::of(seed);
    let store = home.open();
    let mut states: Vec<(Moment, Snapshot)> = Vec::new();
    let mut made = 0;
    while made < changes {
        let mut run = store.run();
        for _ in 0..chance.below(20) + 1 {
            let ops = match run.apply(chance.change("")) {
                Ok(ops) => ops,
                Err(failure) => failure.done,
            };
            made += 1;
            if let Some(op) = ops.last().copied() {
                let at = store.recorder().journal(move |journal| journal.op(op).unwrap().intent.at).unwrap();
                states.push(((at, op), home.snapshot()));
            }
        }
        run.end();
    }
    let last = home.snapshot();
    for _ in 0..6 {
        let (moment, was) = &states[chance.below(states.len() as u64) as usize];
        let (restored, failed) = restore_to(&store, *moment);
        assert!(failed.is_empty(), "seed {seed}: {failed:?}");
        assert_same_but_folder_times(was, &home.snapshot(), &format!("seed {seed}: restored to {moment:?}"));
        // A restore is a run: taken back, it leaves what was there before it.
        store.undo_whole(restored);
        assert_same_but_folder_times(&last, &home.snapshot(), &format!("seed {seed}: the restore undone"));
    }
    assert!(leftovers(&home.tree()).is_empty());
}

/// Small ones always; with `RAINCOAT_FULL=1` a hundred of a thousand changes each.
#[test]
fn a_folder_comes_back_as_it_was_at_any_time() {
    if std::env::var_os("RAINCOAT_FULL").is_some() {
        (0..100).for_each(|seed| play(seed, 1000));
    } else {
        (0..4).for_each(|seed| play(seed, 60));
    }
}
