//! The removal of folders that a recipe emptied: a plan of its own, made from what is left once the moves are done. What
//! the gate refuses to move (a protected name), what fails and what the person strikes out is not known before, and a
//! folder that keeps something is not proposed for removal.

use std::collections::HashSet;

use raincoat_types::{FileChange, FileKind, Limits};

use super::submit::{self, folders, step};
use super::survey::{self, Listing};
use super::{End, Finished, names};
use crate::keeper::Keeper;

/// Folders of one of the run's folders that may go where nothing is left in them.
#[derive(Debug)]
pub(super) struct MayGo {
    pub(super) root: u16,
    pub(super) dirs: HashSet<Vec<u8>>,
}

impl MayGo {
    /// The folders above some files.
    pub(super) fn above<'a>(root: u16, files: impl Iterator<Item = &'a [u8]>) -> MayGo {
        let mut dirs = HashSet::new();
        for file in files {
            let mut dir = names::split(file).0;
            while !dir.is_empty() && dirs.insert(dir.to_vec()) {
                dir = names::split(dir).0;
            }
        }
        MayGo { root, dirs }
    }
}

/// Removes those of the folders that are empty now, and adds to `moved`, what the moves came to, what came of that.
pub(super) fn remove(
    keeper: &mut dyn Keeper,
    may_go: &[MayGo],
    limits: &Limits,
    mut moved: Finished,
) -> Result<Finished, End> {
    let mut steps = Vec::new();
    let mut kept = 0;
    for one in may_go.iter().filter(|one| !one.dirs.is_empty()) {
        let listing = match Listing::read(keeper, one.root, b"", limits.walk_depth, limits) {
            Ok(listing) => listing,
            Err(End::Stopped) => return Ok(unlooked(moved, "stopped as you asked")),
            Err(End::Early(why)) => return Ok(unlooked(moved, &why.summary)),
            Err(lost) => return Err(lost),
        };
        let (empty, full) = sort_out(&listing, &one.dirs, limits.walk_depth);
        kept += full;
        let deletes =
            empty.into_iter().map(|dir| FileChange::Delete { at: survey::place(one.root, dir), recursive: false });
        steps.extend(deletes.map(|change| step(change, "empty")));
    }
    if !steps.is_empty() {
        let title = format!("remove {}", submit::count(steps.len(), "empty folder", "empty folders"));
        let done = submit::submit(keeper, &title, steps, limits)?;
        let what = format!("removed {}", submit::count(done.count(), "empty folder", "empty folders"));
        let removed = done.finish_second(&what, "empty folders are still there", &[]);
        moved.summary = format!("{}\n{}", moved.summary, removed.summary);
        moved.ok &= removed.ok;
    }
    if kept > 0 {
        let them = if kept == 1 { "it" } else { "them" };
        moved.summary = format!("{}\nleft alone: {} with something left in {them}", moved.summary, folders(kept));
    }
    Ok(moved)
}

/// Nobody knows which folders are empty, so all stay.
fn unlooked(moved: Finished, why: &str) -> Finished {
    Finished { summary: format!("{}\n{why}; folders that are empty now are still there", moved.summary), ok: false }
}

/// The folders with nothing but such folders in them, innermost first; and how many have something else.
fn sort_out<'a>(listing: &'a Listing, dirs: &HashSet<Vec<u8>>, depth: u32) -> (Vec<&'a [u8]>, usize) {
    // What lies in a folder at the listing's last level is not known.
    let is_seen = |path: &[u8]| path.iter().filter(|b| **b == b'/').count() + 1 < depth as usize;
    let mut there = Vec::new();
    let mut kept = HashSet::new();
    for item in &listing.items {
        let path = listing.path(item);
        if item.kind == FileKind::Dir && dirs.contains(path) && is_seen(path) {
            there.push(path);
            continue;
        }
        let mut dir = names::split(path).0;
        while !dir.is_empty() && kept.insert(dir) {
            dir = names::split(dir).0;
        }
    }
    let (full, mut empty): (Vec<&[u8]>, Vec<&[u8]>) = there.into_iter().partition(|dir| kept.contains(dir));
    // By bytes, a folder comes before everything beneath it.
    empty.sort_unstable_by(|a, b| b.cmp(a));
    (empty, full.len())
}
