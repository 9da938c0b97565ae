//! What random histories are made of, and how a tree is put back to a point of one.

use raincoat_effects::restore;
use raincoat_journal::{Moment, Rewind};

use super::*;

/// A small generator (xorshift, Marsaglia 2003), so that a seed names a history.
pub struct Chance(u64);

impl Chance {
    pub fn of(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, n: u64) -> u64 {
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

    /// A change within a folder; its path ends in a slash, or is empty.
    pub fn change(&mut self, within: &str) -> FileChange {
        self.change_from(within, within)
    }

    /// The same; what is moved or copied goes from one folder to the other.
    pub fn change_from(&mut self, from: &str, to: &str) -> FileChange {
        let (one, two) = (format!("{from}{}", self.path()), format!("{to}{}", self.path()));
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
pub fn restore_to(store: &Store<'_>, moment: Moment) -> (RunId, Vec<Failure>) {
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
