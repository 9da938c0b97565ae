//! Random histories in several folders, of which random runs are taken back, wholly or in one folder only, brought again
//! and rewound, against a model that keeps a full copy of each folder before each run (A3, C1).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests"
)]

mod common;

use common::histories::{Chance, restore_to};
use common::*;
use raincoat_journal::Moment;
use raincoat_os::snapshot::Snapshot;
use raincoat_types::*;

const FOLDERS: [&str; 5] = ["a/", "b/", "c/", "d/", "e/"];
/// A history of a folder is gone back in at most so many steps at once.
const BACK: u64 = 4;

/// A run that stands, or an undo that could be taken back, and each folder as it was before it.
#[derive(Clone)]
struct Made {
    run: RunId,
    /// The folders that it is about; it is taken back in all of them or, where none of its moves crosses, in one.
    folders: Vec<usize>,
    crosses: bool,
}

/// What the model knows of a folder.
#[derive(Default)]
struct Folder {
    /// Runs that stand, oldest first, each with the folder before it.
    stand: Vec<(Made, Snapshot)>,
    /// Undos after which nothing was changed, oldest first: each with what it took back, and the folder before it.
    undone: Vec<(RunId, Made, Snapshot)>,
}

struct World<'h> {
    home: &'h Home,
    store: Store<'h>,
    chance: Chance,
    folders: Vec<Folder>,
    /// Moments, with everything as it was then.
    states: Vec<(Moment, Vec<Snapshot>)>,
    seed: u64,
    changes: usize,
    counted: Counted,
}

#[derive(Default, Debug)]
struct Counted {
    runs: usize,
    undos: usize,
    undos_in_one_folder: usize,
    redos: usize,
    restores: usize,
}

impl<'h> World<'h> {
    fn new(home: &'h Home, seed: u64) -> World<'h> {
        let store = home.open();
        for folder in FOLDERS {
            std::fs::create_dir(home.path(folder)).unwrap();
        }
        let folders = FOLDERS.map(|_| Folder::default()).into();
        let chance = Chance::of(seed);
        World { home, store, chance, folders, states: Vec::new(), seed, changes: 0, counted: Counted::default() }
    }

    fn some_folder(&mut self) -> usize {
        self.chance.below(FOLDERS.len() as u64) as usize
    }

    fn look(&self, folder: usize) -> Snapshot {
        Snapshot::take(&self.home.path(FOLDERS[folder])).unwrap()
    }

    fn look_at_all(&self) -> Vec<Snapshot> {
        (0..FOLDERS.len()).map(|folder| self.look(folder)).collect()
    }

    fn play(&mut self, changes: usize) {
        while self.changes < changes {
            let before = self.look_at_all();
            let touched = match self.chance.below(20) {
                0..=9 => self.run(&before),
                10..=14 => self.undo(),
                15..=18 => self.redo(),
                _ => self.restore(&before),
            };
            for (folder, (was, is)) in before.iter().zip(self.look_at_all()).enumerate() {
                if !touched.contains(&folder) {
                    assert_same_but_folder_times(
                        was,
                        &is,
                        &format!("seed {}: `{}` was left alone", self.seed, FOLDERS[folder]),
                    );
                }
            }
        }
        assert!(leftovers(&self.home.tree()).is_empty());
    }

    /// A run of a few changes, in one folder or two.
    fn run(&mut self, before: &[Snapshot]) -> Vec<usize> {
        let (one, two) = (self.some_folder(), self.some_folder());
        let crosses = one != two && self.chance.below(2) == 0;
        let mut run = self.store.run();
        let mut last = None;
        for _ in 0..self.chance.below(12) + 1 {
            let (from, to) = if self.chance.below(2) == 0 { (one, two) } else { (two, one) };
            let to = if crosses { to } else { from };
            let ops = match run.apply(self.chance.change_from(FOLDERS[from], FOLDERS[to])) {
                Ok(ops) => ops,
                Err(failure) => failure.done,
            };
            last = ops.last().copied().or(last);
            self.changes += 1;
        }
        let folders = if one == two { vec![one] } else { vec![one, two] };
        let made = Made { run: run.end(), folders: folders.clone(), crosses };
        self.counted.runs += 1;
        self.stands(&made, before);
        if let Some(op) = last {
            let at = self.store.recorder().journal(move |journal| journal.op(op).unwrap().intent.at).unwrap();
            self.states.push(((at, op), self.look_at_all()));
        }
        folders
    }

    fn stands(&mut self, made: &Made, before: &[Snapshot]) {
        for folder in &made.folders {
            self.folders[*folder].stand.push((made.clone(), before[*folder].clone()));
            self.folders[*folder].undone.clear();
        }
    }

    /// Takes back the run that stands last in a folder, and perhaps some before it: there, or wherever it was.
    fn undo(&mut self) -> Vec<usize> {
        let folder = self.some_folder();
        let mut touched = vec![folder];
        for _ in 0..self.chance.below(BACK) + 1 {
            let Some((made, _)) = self.folders[folder].stand.last().cloned() else { break };
            let last_in =
                |other: &usize| self.folders[*other].stand.last().is_some_and(|(last, _)| last.run == made.run);
            let everywhere = made.folders.iter().all(last_in);
            let here_only = !made.crosses && (!everywhere || self.chance.below(2) == 0);
            if !everywhere && !here_only {
                break;
            }
            let folders = if here_only { vec![folder] } else { made.folders.clone() };
            let seqs = self.ops_in(made.run, &folders);
            let now: Vec<Snapshot> = folders.iter().map(|folder| self.look(*folder)).collect();
            let undo = match seqs.is_empty() {
                true => None,
                false => {
                    let undone = self.store.undo_some(made.run, seqs, false);
                    assert!(undone.refused.is_empty(), "seed {}: {:?}", self.seed, undone.refused);
                    Some(undone.run)
                }
            };
            self.counted.undos += 1;
            self.counted.undos_in_one_folder += usize::from(here_only && made.folders.len() > 1);
            for (folder, now) in folders.iter().zip(now) {
                let (_, was) = self.folders[*folder].stand.pop().unwrap();
                let words = format!("seed {}: run {} taken back in `{}`", self.seed, made.run, FOLDERS[*folder]);
                assert_same_but_folder_times(&was, &self.look(*folder), &words);
                if let Some(undo) = undo {
                    let here = Made { folders: folders.clone(), ..made.clone() };
                    self.folders[*folder].undone.push((undo, here, now));
                }
            }
            touched.extend(folders);
        }
        touched
    }

    /// The numbers of a run's operations in these folders.
    fn ops_in(&self, run: RunId, folders: &[usize]) -> Vec<u32> {
        let within =
            |spot: &Spot| folders.iter().any(|folder| spot.path.as_bytes().starts_with(FOLDERS[*folder].as_bytes()));
        let ops = self.store.ops(run).into_iter();
        ops.filter(|op| op.intent.change.spots().into_iter().any(within)).map(|op| op.intent.op.seq).collect()
    }

    /// Takes back the last undo in a folder.
    fn redo(&mut self) -> Vec<usize> {
        let folder = self.some_folder();
        let Some((undo, made, _)) = self.folders[folder].undone.last().cloned() else { return Vec::new() };
        let last_in = |other: &usize| self.folders[*other].undone.last().is_some_and(|(last, ..)| *last == undo);
        if !made.folders.iter().all(last_in) {
            return Vec::new();
        }
        let before: Vec<Snapshot> = made.folders.iter().map(|folder| self.look(*folder)).collect();
        let undone = self.store.undo(undo);
        assert!(undone.refused.is_empty(), "seed {}: {:?}", self.seed, undone.refused);
        self.counted.redos += 1;
        for (folder, before) in made.folders.iter().zip(before) {
            let (_, _, was) = self.folders[*folder].undone.pop().unwrap();
            let words = format!("seed {}: run {} brought again in `{}`", self.seed, made.run, FOLDERS[*folder]);
            assert_same_but_folder_times(&was, &self.look(*folder), &words);
            self.folders[*folder].stand.push((made.clone(), before));
        }
        made.folders
    }

    /// Puts everything back to a moment: a run like another.
    fn restore(&mut self, before: &[Snapshot]) -> Vec<usize> {
        if self.states.is_empty() {
            return Vec::new();
        }
        let nth = self.chance.below(self.states.len() as u64) as usize;
        let (moment, was) = self.states[nth].clone();
        let (run, failed) = restore_to(&self.store, moment);
        assert!(failed.is_empty(), "seed {}: {failed:?}", self.seed);
        for (folder, was) in was.iter().enumerate() {
            let words = format!("seed {}: restored to {moment:?} in `{}`", self.seed, FOLDERS[folder]);
            assert_same_but_folder_times(was, &self.look(folder), &words);
        }
        self.counted.restores += 1;
        let all: Vec<usize> = (0..FOLDERS.len()).collect();
        self.stands(&Made { run, folders: all.clone(), crosses: true }, before);
        all
    }
}

fn play(seed: u64, changes: usize) {
    let home = Home::quick();
    let mut world = World::new(&home, seed);
    world.play(changes);
    println!("seed {seed}: {changes} changes, {:?}", world.counted);
}

/// Small ones always; with `RAINCOAT_FULL=1` a hundred of a thousand changes each.
#[test]
fn what_is_taken_back_and_brought_again_is_as_it_was() {
    if std::env::var_os("RAINCOAT_FULL").is_some() {
        (0..100).for_each(|seed| play(seed, 1000));
    } else {
        (0..6).for_each(|seed| play(seed, 120));
        // A folder was moved out of the way together with what was to come into its place.
        play(10, 1000);
    }
}
