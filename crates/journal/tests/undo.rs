//! Plans of undo, held to a naive model that keeps whole trees.
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
use std::convert::Infallible;

use common::*;
use proptest::prelude::*;
use raincoat_journal::{History, Planner, Skipped, Times, UndoPlan, effective_undoer, inverse};
use raincoat_types::*;

/// A file system, small: what is where, and when its directories changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Tree(BTreeMap<Vec<u8>, Image>);

impl Tree {
    fn new() -> Tree {
        let mut tree = Tree::default();
        for (n, path) in ["", "a", "a/b", "a-b", "c"].iter().enumerate() {
            tree.put(path, dir_image(), n as i64);
        }
        for (n, path) in ["x", "a/x", "a/b/x", "c/x"].iter().enumerate() {
            tree.put(path, image_of(path.as_bytes(), vec![], true), 10 + n as i64);
        }
        tree
    }

    fn put(&mut self, path: &str, mut image: Image, time: i64) {
        image.meta.mtime = stamp(time);
        image.meta.atime = stamp(time);
        self.0.insert(path.as_bytes().to_vec(), image);
    }

    fn is_dir(&self, path: &[u8]) -> bool {
        self.0.get(path).is_some_and(|image| image.content == Content::Dir)
    }

    fn has_children(&self, path: &[u8]) -> bool {
        self.0.keys().any(|other| within(other, path) && other != path)
    }

    fn dir_times(&self, paths: &[&Spot]) -> Vec<DirTimes> {
        let mut dirs: Vec<DirTimes> = Vec::new();
        for path in paths {
            let (parent, _) = path.path.split_last().unwrap();
            let meta = &self.0[parent.as_bytes()].meta;
            dirs.push(DirTimes { at: Spot { grant: grant(), path: parent }, mtime: meta.mtime, atime: meta.atime });
        }
        dirs.dedup();
        dirs
    }

    fn touch(&mut self, spot: &Spot, time: i64) {
        let (parent, _) = spot.path.split_last().unwrap();
        self.0.get_mut(parent.as_bytes()).unwrap().meta.mtime = stamp(time);
    }

    /// Makes the change, as the kernel would; `None` where it cannot be made.
    fn apply(&mut self, change: &Change, time: i64) -> Option<()> {
        let free = |tree: &Tree, spot: &Spot| {
            let (parent, _) = spot.path.split_last()?;
            (tree.is_dir(parent.as_bytes()) && !tree.0.contains_key(spot.path.as_bytes())).then_some(())
        };
        match change {
            Change::Create { at, after } => {
                free(self, at)?;
                self.0.insert(at.path.as_bytes().to_vec(), after.clone());
                self.touch(at, time);
            }
            Change::Replace { at, before, after, .. } => {
                (self.0.get(at.path.as_bytes()) == Some(before)).then_some(())?;
                self.0.insert(at.path.as_bytes().to_vec(), after.clone());
                self.touch(at, time);
            }
            Change::Remove { at, before } => {
                let there = self.0.get(at.path.as_bytes())?;
                // A directory's own times go their own way.
                (there.content == before.content && !self.has_children(at.path.as_bytes())).then_some(())?;
                self.0.remove(at.path.as_bytes());
                self.touch(at, time);
            }
            Change::Move { from, to, .. } => {
                free(self, to)?;
                (!within(to.path.as_bytes(), from.path.as_bytes())).then_some(())?;
                let moving: Vec<Vec<u8>> =
                    self.0.keys().filter(|path| within(path, from.path.as_bytes())).cloned().collect();
                (!moving.is_empty()).then_some(())?;
                for path in moving {
                    let image = self.0.remove(&path)?;
                    let rest = &path[from.path.as_bytes().len()..];
                    self.0.insert([to.path.as_bytes(), rest].concat(), image);
                }
                self.touch(from, time);
                self.touch(to, time);
            }
            Change::SetMeta { at, after, .. } => self.0.get_mut(at.path.as_bytes())?.meta = after.clone(),
            Change::Link { .. } => return None,
        }
        Some(())
    }
}

fn within(path: &[u8], dir: &[u8]) -> bool {
    dir.is_empty() || path == dir || (path.starts_with(dir) && path.get(dir.len()) == Some(&b'/'))
}

/// A wish for a change: what verb, on which of the paths there are, to which place.
type Wish = (u8, usize, usize, u8);

const NAMES: [&str; 4] = ["x", "b", "b-", "new"];

fn change_of(tree: &Tree, (verb, pick, dir, name): Wish) -> Option<Change> {
    let paths: Vec<&Vec<u8>> = tree.0.keys().filter(|path| !path.is_empty()).collect();
    let dirs: Vec<&Vec<u8>> = tree.0.iter().filter(|(_, i)| i.content == Content::Dir).map(|(path, _)| path).collect();
    let target = RelPath::new(dirs[dir % dirs.len()]).unwrap().join(NAMES[name as usize % 4].as_bytes()).unwrap();
    let to = Spot { grant: grant(), path: target };
    let there = paths.get(pick % paths.len().max(1))?;
    let at = Spot { grant: grant(), path: RelPath::new(there).unwrap() };
    let before = tree.0[*there].clone();
    Some(match verb % 6 {
        0 => Change::Create { at: to, after: image_of(&[name, verb], vec![], true) },
        1 => Change::Create { at: to, after: dir_image() },
        2 if before.content != Content::Dir => {
            Change::Replace { at, before, after: image_of(&[name, verb, 1], vec![], true), in_place: name % 2 == 0 }
        }
        3 => Change::Remove { at, before },
        4 => Change::Move { from: at, to, image: before },
        _ => {
            let mut after = before.meta.clone();
            after.mode = 0o600 + u32::from(name);
            after.mtime = stamp(i64::from(name) + 700);
            Change::SetMeta { at, before: before.meta, after }
        }
    })
}

fn history(wishes: &[Wish]) -> (Tree, Tree, Vec<OpRecord>) {
    let before = Tree::new();
    let (mut tree, mut ops) = (before.clone(), Vec::new());
    for (n, wish) in wishes.iter().enumerate() {
        let Some(change) = change_of(&tree, *wish) else { continue };
        let time = 1000 + n as i64;
        let altered = altered_by(&change);
        let mut trial = tree.clone();
        let seq = ops.len() as u32 + 1;
        let mut intent = intent(op_id(1, seq), change.clone());
        intent.dirs = tree.dir_times(&altered);
        if trial.apply(&change, time).is_none() {
            ops.push(OpRecord { intent, result: Some(OpResult::NotDone("it cannot be".into())) });
            continue;
        }
        tree = trial;
        let place = match &change {
            Change::Move { to, .. } => Some(to),
            Change::Remove { .. } => None,
            other => other.spots().first().copied(),
        };
        let after = place.map(|spot| tree.0[spot.path.as_bytes()].clone());
        let result = OpResult::Done { after, dirs: tree.dir_times(&altered) };
        ops.push(OpRecord { intent, result: Some(result) });
    }
    (before, tree, ops)
}

/// What a change alters the folders of.
fn altered_by(change: &Change) -> Vec<&Spot> {
    match change {
        Change::SetMeta { .. } => vec![],
        other => other.spots(),
    }
}

fn plan(ops: &[OpRecord]) -> UndoPlan {
    let mut planner = Planner::new();
    ops.iter().rev().for_each(|op| planner.take(op, None));
    planner.finish()
}

/// Does what effects do with a plan.
fn carry_out(tree: &mut Tree, ops: &[OpRecord], plan: &UndoPlan) {
    let untouched: Vec<bool> = plan
        .dirs
        .iter()
        .map(|dir| {
            let now = tree.0.get(dir.now.path.as_bytes());
            dir.expect.is_none_or(|expect| {
                now.is_some_and(|image| Times { mtime: image.meta.mtime, atime: image.meta.atime } == expect)
            })
        })
        .collect();
    for (n, id) in plan.ops.iter().enumerate() {
        let record = &ops[id.seq as usize - 1];
        tree.apply(&inverse(record).unwrap(), 5000 + n as i64).unwrap_or_else(|| panic!("{record:?}"));
    }
    for (dir, untouched) in plan.dirs.iter().zip(untouched) {
        if untouched {
            let meta = &mut tree.0.get_mut(dir.at.path.as_bytes()).unwrap().meta;
            (meta.mtime, meta.atime) = (dir.times.mtime, dir.times.atime);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    // C1: a run that is taken back leaves the tree as it was, directory times included.
    #[test]
    fn an_undone_run_gives_the_tree_back(wishes in prop::collection::vec(any::<Wish>(), 1..40)) {
        let (before, mut tree, ops) = history(&wishes);
        let plan = plan(&ops);
        carry_out(&mut tree, &ops, &plan);
        prop_assert_eq!(tree, before);
    }

    // C2: so does one whose undo was interrupted anywhere, before it came to the directories' times, and is done again.
    #[test]
    fn an_interrupted_undo_that_is_done_again_gives_the_tree_back(
        wishes in prop::collection::vec(any::<Wish>(), 1..40), cut in any::<usize>(),
    ) {
        let (before, mut tree, ops) = history(&wishes);
        let first = plan(&ops);
        let mut undoers: BTreeMap<OpId, OpRecord> = BTreeMap::new();
        for (n, id) in first.ops.iter().take(cut % (first.ops.len() + 1)).enumerate() {
            let change = inverse(&ops[id.seq as usize - 1]).unwrap();
            let altered = altered_by(&change);
            let by = op_id(2, n as u32 + 1);
            let dirs = tree.dir_times(&altered);
            let intent = Intent { op: by, at: stamp(0), change: change.clone(), temp: None, dirs, undoes: Some(*id) };
            tree.apply(&change, 5000 + n as i64).unwrap();
            let place = match &change {
                Change::Move { to, .. } => Some(to),
                Change::Remove { .. } => None,
                other => other.spots().first().copied(),
            };
            let after = place.map(|spot| tree.0[spot.path.as_bytes()].clone());
            let result = OpResult::Done { after, dirs: tree.dir_times(&altered) };
            undoers.insert(*id, OpRecord { intent, result: Some(result) });
        }
        let mut planner = Planner::new();
        ops.iter().rev().for_each(|op| planner.take(op, undoers.get(&op.intent.op)));
        carry_out(&mut tree, &ops, &planner.finish());
        prop_assert_eq!(tree, before);
    }

    // Invariant 5: a directory that somebody changed since keeps its times.
    #[test]
    fn a_directory_that_was_touched_since_keeps_its_times(
        wishes in prop::collection::vec(any::<Wish>(), 1..20), pick in any::<usize>(),
    ) {
        // Taking back a change of metadata sets the times by itself: none of those here.
        let verbs = [0, 1, 3, 4];
        let wishes: Vec<Wish> = wishes.into_iter().map(|w| (verbs[w.0 as usize % 4], w.1, w.2, w.3)).collect();
        let (_, mut tree, ops) = history(&wishes);
        let plan = plan(&ops);
        let watched: Vec<_> = plan.dirs.iter().filter(|dir| dir.expect.is_some()).collect();
        prop_assume!(!watched.is_empty());
        let dir = watched[pick % watched.len()].clone();
        let meta = &mut tree.0.get_mut(dir.now.path.as_bytes()).unwrap().meta;
        prop_assert_eq!(Some(Times { mtime: meta.mtime, atime: meta.atime }), dir.expect);
        meta.mtime = stamp(4999);
        carry_out(&mut tree, &ops, &plan);
        prop_assert_ne!(tree.0[dir.at.path.as_bytes()].meta.mtime, dir.times.mtime);
    }

    #[test]
    fn an_inverse_turned_round_is_the_change(wishes in prop::collection::vec(any::<Wish>(), 1..20)) {
        let (_, _, ops) = history(&wishes);
        for op in ops {
            let Some(back) = inverse(&op) else { continue };
            let before = op.intent.change.before().cloned();
            let mut second = op.clone();
            second.intent.change = back.clone();
            second.result = Some(OpResult::Done { after: before, dirs: vec![] });
            let forth = inverse(&second).unwrap();
            prop_assert_eq!(forth.kind(), op.intent.change.kind());
            prop_assert_eq!(forth.spots(), op.intent.change.spots());
        }
    }

    // "Taken back" against its definition, recursively.
    #[test]
    fn the_effective_undoer_is_the_latest_that_stands(edges in prop::collection::vec(any::<(u8, bool)>(), 1..60)) {
        let mut history = Edges(BTreeMap::new());
        for (n, (target, done)) in edges.iter().enumerate() {
            let by = op_id(1, n as u32 + 2);
            let target = op_id(1, u32::from(*target) % (n as u32 + 1) + 1);
            if *done {
                history.0.entry(target).or_default().push(by);
            }
        }
        fn naive(op: OpId, edges: &Edges) -> Option<OpId> {
            edges.0.get(&op)?.iter().rev().copied().find(|by| naive(*by, edges).is_none())
        }
        for seq in 1..=edges.len() as u32 + 1 {
            prop_assert_eq!(effective_undoer(op_id(1, seq), &history), Ok(naive(op_id(1, seq), &history)));
        }
    }
}

struct Edges(BTreeMap<OpId, Vec<OpId>>);

impl History for Edges {
    type Error = Infallible;

    fn done_undoers(&self, op: OpId) -> Result<Vec<OpId>, Infallible> {
        Ok(self.0.get(&op).cloned().unwrap_or_default())
    }
}

#[test]
fn what_was_not_done_or_is_pending_or_undone_is_left_out() {
    let (_, _, mut ops) = history(&[(0, 0, 0, 3), (1, 0, 0, 3), (1, 0, 1, 1)]);
    assert!(matches!(ops[1].result, Some(OpResult::NotDone(_))), "the name is taken");
    ops[2].result = None;
    let mut planner = Planner::new();
    let mut by = ops[0].clone();
    by.intent.op = op_id(7, 1);
    for op in ops.iter().rev() {
        planner.take(op, (op.intent.op.seq == 1).then_some(&by));
    }
    let plan = planner.finish();
    assert_eq!(plan.ops, []);
    assert_eq!(plan.skipped, [(op_id(1, 3), Skipped::Pending), (op_id(1, 1), Skipped::Undone(op_id(7, 1)))]);
}

#[test]
fn a_chain_of_a_hundred_thousand_undos_does_not_exhaust_the_stack() {
    let chain = Edges((1..100_000).map(|n| (op_id(1, n), vec![op_id(1, n + 1)])).collect());
    assert_eq!(effective_undoer(op_id(1, 1), &chain), Ok(Some(op_id(1, 2))));
    assert_eq!(effective_undoer(op_id(1, 2), &chain), Ok(None));
}
