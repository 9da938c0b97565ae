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

use common::*;
use raincoat_effects::{Resolved, restore};
use raincoat_journal::{Moment, Rewind};
use raincoat_os::snapshot::Snapshot;
use raincoat_types::*;

/// A small generator, so that a seed names a history.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn path(&mut self) -> String {
        let names = ["a", "b", "c", "d", "e"];
        let depth = self.below(3) + 1;
        let parts: Vec<&str> = (0..depth).map(|_| names[self.below(5) as usize]).collect();
        parts.join("/")
    }

    fn change(&mut self) -> FileChange {
        let (one, two) = (self.path(), self.path());
        match self.below(12) {
            0..=3 => {
                let len = self.below(4000) as usize;
                write(&one, &vec![self.below(256) as u8; len])
            }
            4 => mkdir_p(&one),
            5..=7 => FileChange::Move { from: place(&one), to: place(&two), replace: self.below(2) == 0 },
            8 => FileChange::Copy { from: place(&one), to: place(&two), replace: self.below(2) == 0 },
            9 => rm(&one),
            10 => rm_r(&one),
            _ => mkdir(&one),
        }
    }
}

/// Puts the whole tree back to a moment, as the runtime does.
fn restore_to(store: &Store<'_>, moment: Moment) -> (RunId, Vec<Failure>) {
    let root = store.roots().remove(0);
    let path = root.path.clone();
    let rewind = store
        .recorder()
        .journal(move |journal| {
            let mut rewind = Rewind::new();
            journal.since(&path, moment).unwrap().iter().for_each(|past| rewind.take(past));
            rewind
        })
        .unwrap();
    let mut run = store.run_of(Actor::Person, RunKind::Restore);
    let (policy, id) = (run.policy(), run.id);
    let mut ask = move |action: FileChange, resolved: &mut Resolved| {
        permit_by(&policy, Actor::Person, id, action, resolved)
            .map_err(|refusal| Failure::new(FailureKind::Denied, refusal.message))
    };
    let plan = restore::plan(run.effects(), &root, &root.path, &rewind);
    let mut failed = Vec::new();
    for steps in plan.steps.chunks(100) {
        failed.extend(restore::carry_out(run.effects(), steps, &mut ask).into_iter().flatten());
    }
    restore::give_times_back(run.effects(), plan.times, &mut ask);
    (run.end(), failed)
}

fn play(seed: u64, changes: usize) {
    let home = Home::quick();
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let store = home.open();
    let mut states: Vec<(Moment, Snapshot)> = Vec::new();
    let mut made = 0;
    while made < changes {
        let mut run = store.run();
        for _ in 0..chance.below(20) + 1 {
            let ops = match run.apply(chance.change()) {
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
