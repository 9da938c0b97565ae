//! Renaming by pattern. Names are worked out for all files first; two files that would get one name, or a name that is
//! taken, refuse the whole. Files that swap names, or pass them round, go through a name in between.

use std::collections::{BTreeMap, HashMap, HashSet};

use raincoat_types::wire::{Job, PlanStep};
use raincoat_types::{FileChange, FileKind, display_bytes};

use super::dates::Day;
use super::options::Chosen;
use super::pattern::Pattern;
use super::submit::{self, files, step};
use super::survey::{self, Listing, Whole};
use super::{End, Finished, check_stop, dedupe, names};
use crate::keeper::Keeper;

/// Collisions that a refusal tells in full.
const TOLD: usize = 5;

pub(super) fn run(keeper: &mut dyn Keeper, chosen: &Chosen<'_>, job: &Job) -> Result<Finished, End> {
    let pattern =
        Pattern::new(chosen.text("from"), chosen.text("to"), chosen.text("match") == "glob").map_err(End::bad)?;
    let mut steps = Vec::new();
    let mut notes = Vec::new();
    let mut renamed = 0;
    for (root, folder) in (0_u16..).zip(&job.roots) {
        if folder.read_only {
            notes.push(format!("`{}` is granted for reading only; left as it is", folder.label));
            continue;
        }
        let depth = if chosen.flag("recursive") { job.limits.walk_depth } else { 1 };
        let listing = Listing::read(keeper, root, b"", depth, &job.limits)?;
        dedupe::refuse_project(&listing, chosen)?;
        let wishes = wishes(&listing, &pattern, job.now.1)?;
        renamed += wishes.values().map(Vec::len).sum::<usize>();
        refuse_collisions(&listing, &wishes)?;
        for (dir, wishes) in &wishes {
            order(root, dir, wishes, &listing, &mut steps);
        }
    }
    if steps.is_empty() {
        notes.insert(0, format!("no file name changes by `{}`", chosen.text("from")));
        return Ok(Finished { summary: notes.join("\n"), ok: true });
    }
    check_stop(keeper)?;
    let count = steps.len();
    let done = submit::submit(keeper, &format!("rename {}", files(renamed)), steps, &job.limits)?;
    let what = if done.count() == count {
        format!("renamed {}", files(renamed))
    } else {
        format!("renamed some: {} of {count} steps done", done.count())
    };
    Ok(done.finish(&what, &notes))
}

/// Old and new name of each file in a folder.
type Wishes<'l> = Vec<(&'l [u8], Vec<u8>)>;

/// What is to be renamed, by folder; numbers count within a folder, in name order.
fn wishes<'l>(listing: &'l Listing, pattern: &Pattern, offset: i32) -> Result<BTreeMap<&'l [u8], Wishes<'l>>, End> {
    let whole = Whole::find(listing, &|_| false);
    let mut meant: Vec<_> = listing
        .items
        .iter()
        .filter(|item| item.kind == FileKind::File && !whole.holds(listing.path(item)))
        .map(|item| (names::split(listing.path(item)), item))
        .filter(|((_, name), _)| !survey::is_private(name) && pattern.holds(name))
        .collect();
    meant.sort_unstable_by_key(|(path, _)| *path);
    let mut wishes: BTreeMap<&[u8], Wishes<'_>> = BTreeMap::new();
    let mut numbers: HashMap<&[u8], usize> = HashMap::new();
    for ((dir, name), item) in meant {
        let n = numbers.entry(dir).or_default();
        *n += 1;
        let Some(new) = pattern.rename(name, Day::of(item.mtime.secs, offset), *n) else { continue };
        if !names::is_name(&new) {
            return Err(End::bad(format!(
                "`{}` would become `{}`, which is no file name (it is empty, too long, or has a `/` in it); change `to`",
                display_bytes(name),
                display_bytes(&new)
            )));
        }
        if new != name {
            wishes.entry(dir).or_default().push((name, new));
        }
    }
    Ok(wishes)
}

fn refuse_collisions(listing: &Listing, wishes: &BTreeMap<&[u8], Wishes<'_>>) -> Result<(), End> {
    // Names that stay as they are, in the folders where something is renamed.
    let going: HashMap<&[u8], HashSet<&[u8]>> =
        wishes.iter().map(|(dir, wishes)| (*dir, wishes.iter().map(|(old, _)| *old).collect())).collect();
    let mut staying: HashSet<(&[u8], Vec<u8>)> = HashSet::new();
    for item in &listing.items {
        let (dir, name) = names::split(listing.path(item));
        if going.get(dir).is_some_and(|going| !going.contains(name)) {
            staying.insert((dir, names::fold(name)));
        }
    }
    let mut told = Vec::new();
    let mut count = 0;
    for (dir, wishes) in wishes {
        let mut first: HashMap<Vec<u8>, &[u8]> = HashMap::new();
        for (old, new) in wishes {
            let folded = names::fold(new);
            let problem = if staying.contains(&(*dir, folded.clone())) {
                Some("which is there already".to_owned())
            } else {
                first.insert(folded, old).map(|other| format!("and so would `{}`", display_bytes(other)))
            };
            if let Some(problem) = problem {
                count += 1;
                if told.len() < TOLD {
                    let path = names::join(dir, old);
                    told.push(format!("  `{}` would become `{}`, {problem}", display_bytes(&path), display_bytes(new)));
                }
            }
        }
    }
    if count == 0 {
        return Ok(());
    }
    Err(End::bad(format!(
        "nothing was renamed: {} (names that differ only in case count as the same). Use {{n}} or another group in `to`:\n{}",
        submit::count(count, "new name collides", "new names collide"),
        told.join("\n")
    )))
}

/// The moves of one folder in an order in which each finds its new name free.
fn order(root: u16, dir: &[u8], wishes: &Wishes<'_>, listing: &Listing, steps: &mut Vec<PlanStep>) {
    let mut at = |from: &[u8], to: &[u8], why: &str| {
        let from = survey::place(root, &names::join(dir, from));
        let to = survey::place(root, &names::join(dir, to));
        steps.push(step(FileChange::Move { from, to, replace: false }, why));
    };
    let by_old: HashMap<Vec<u8>, usize> =
        wishes.iter().enumerate().map(|(at, (old, _))| (names::fold(old), at)).collect();
    let mut state = vec![State::Waiting; wishes.len()];
    for start in 0..wishes.len() {
        // Follow whose name is wanted until someone's is free, or the chain bites its tail.
        let mut chain: Vec<usize> = Vec::new();
        let mut next = Some(start);
        let mut closed = false;
        while let Some(i) = next {
            match state.get_mut(i) {
                Some(state @ State::Waiting) => *state = State::Chained,
                Some(State::Chained) => {
                    closed = true;
                    break;
                }
                _ => break,
            }
            chain.push(i);
            let wanted = wishes.get(i).map(|(_, new)| names::fold(new)).unwrap_or_default();
            // A name that only changes its case is in nobody's way.
            next = by_old.get(&wanted).copied().filter(|other| *other != i);
        }
        // New names are unique, so a chain that closes is one ring: its first lets go of its name, and takes its new one last.
        let between = if closed { chain.first().and_then(|i| wishes.get(*i)) } else { None };
        let between = between.map(|(old, new)| (free_name(old, dir, wishes, listing), *old, new));
        if let Some((temp, old, _)) = &between {
            at(old, temp, "to swap names");
        }
        let skip = usize::from(between.is_some());
        for i in chain.iter().skip(skip).rev() {
            if let Some((old, new)) = wishes.get(*i) {
                at(old, new, "");
            }
        }
        if let Some((temp, _, new)) = &between {
            at(temp, new, "to swap names");
        }
        for i in chain {
            if let Some(state) = state.get_mut(i) {
                *state = State::Done;
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Waiting,
    Chained,
    Done,
}

/// A name that is neither there nor wanted.
fn free_name(old: &[u8], dir: &[u8], wishes: &Wishes<'_>, listing: &Listing) -> Vec<u8> {
    let mut taken: HashSet<Vec<u8>> = wishes.iter().map(|(_, new)| names::fold(new)).collect();
    taken.extend(
        listing
            .items
            .iter()
            .map(|item| names::split(listing.path(item)))
            .filter(|(d, _)| *d == dir)
            .map(|(_, n)| names::fold(n)),
    );
    (2..).map(|n| names::numbered(old, n)).find(|name| !taken.contains(&names::fold(name))).unwrap_or_default()
}

/// For tests: makes the moves that give these files of the top their wished names.
#[cfg(test)]
pub(super) fn check_order(keeper: &mut super::fake::FakeKeeper, wishes: &Wishes<'_>) {
    let limits = keeper.limits.clone();
    let Ok(listing) = Listing::read(keeper, 0, b"", 1, &limits) else { panic!("no listing") };
    let mut steps = Vec::new();
    order(0, b"", wishes, &listing, &mut steps);
    let count = steps.len();
    let result = keeper.plan("", steps).unwrap();
    assert!(
        result.outcomes.iter().all(|o| matches!(o, Some(raincoat_types::Outcome::Change(_)))),
        "{count}: {result:?}"
    );
}
