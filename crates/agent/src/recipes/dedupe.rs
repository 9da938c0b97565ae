//! Deleting all but one of the files with the same content.

use std::cmp::Reverse;
use std::collections::HashMap;

use raincoat_types::wire::{Job, PlanStep};
use raincoat_types::{Digest, FileChange, FileKind, FileRead, Outcome, ReadDone, display_bytes};

use super::options::Chosen;
use super::submit::{self, bytes, files, step};
use super::survey::{self, Item, Listing, Whole};
use super::{End, Finished, check_stop, names};
use crate::keeper::Keeper;

/// Files hashed at once: few enough that a stop is heard soon.
const HASHES_AT_ONCE: usize = 64;

pub(super) fn run(keeper: &mut dyn Keeper, chosen: &Chosen<'_>, job: &Job) -> Result<Finished, End> {
    let mut steps = Vec::new();
    let mut sizes = Vec::new();
    let mut notes = Vec::new();
    for (root, folder) in (0_u16..).zip(&job.roots) {
        if folder.read_only {
            notes.push(format!("`{}` is granted for reading only; left as it is", folder.label));
            continue;
        }
        plan_root(keeper, chosen, job, root, &mut steps, &mut sizes, &mut notes)?;
    }
    if steps.is_empty() {
        notes.insert(0, "no duplicates found".to_owned());
        return Ok(Finished { summary: notes.join("\n"), ok: true });
    }
    let all: u64 = sizes.iter().sum();
    let title = format!(
        "delete {} ({}), keeping one of each",
        submit::count(steps.len(), "duplicate", "duplicates"),
        bytes(all)
    );
    check_stop(keeper)?;
    let done = submit::submit(keeper, &title, steps, &job.limits)?;
    let freed: u64 = done.each.iter().zip(&sizes).filter(|(done, _)| **done).map(|(_, size)| size).sum();
    let what =
        format!("deleted {}, which frees {}", submit::count(done.count(), "duplicate", "duplicates"), bytes(freed));
    Ok(done.finish(&what, &notes))
}

fn plan_root(
    keeper: &mut dyn Keeper,
    chosen: &Chosen<'_>,
    job: &Job,
    root: u16,
    steps: &mut Vec<PlanStep>,
    sizes: &mut Vec<u64>,
    notes: &mut Vec<String>,
) -> Result<(), End> {
    let listing = Listing::read(keeper, root, b"", job.limits.walk_depth, &job.limits)?;
    refuse_project(&listing, chosen)?;
    let whole = Whole::find(&listing, &|_| false);
    let mut alike = same_size(&listing, &whole, chosen.size("min-size").max(1));
    let unread = hash(keeper, root, &listing, &mut alike)?;
    if unread > 0 {
        notes.push(format!("{} could not be read and were left alone", files(unread)));
    }
    if whole.projects > 0 {
        notes.push(format!("left alone: {} projects or bundles, as whole units", whole.projects));
    }
    let mut linked = 0;
    for group in groups(alike) {
        let Some(keep) = keeper_of(chosen.text("keep"), &listing, &group) else { continue };
        let why = format!("same as `{}`", display_bytes(listing.path(&keep)));
        let mut rest: Vec<&Item> = group.iter().filter(|item| item.inode() != keep.inode()).collect();
        rest.sort_unstable_by_key(|item| listing.path(item));
        for item in rest {
            // Taking one of an inode's names away frees nothing.
            if item.linked {
                linked += 1;
                continue;
            }
            let at = survey::place(root, listing.path(item));
            steps.push(step(FileChange::Delete { at, recursive: false }, why.clone()));
            sizes.push(item.size);
        }
    }
    if linked > 0 {
        notes.push(format!("left alone: {} with several names (hard links)", files(linked)));
    }
    Ok(())
}

/// Ends the recipe where the folder itself is a project, unless the person said to go on.
pub(super) fn refuse_project(listing: &Listing, chosen: &Chosen<'_>) -> Result<(), End> {
    match survey::project_sign(listing).filter(|_| !chosen.flag("in-project")) {
        Some(sign) => Err(End::bad(format!(
            "this folder looks like a software project (it has `{sign}`), and this could break it; to go on all the \
             same add in-project=true"
        ))),
        None => Ok(()),
    }
}

/// The files that share their size with another inode; one name for each inode.
fn same_size(listing: &Listing, whole: &Whole, min: u64) -> Vec<(Item, Option<Digest>)> {
    let mut found: Vec<Item> = listing
        .items
        .iter()
        .filter(|item| item.kind == FileKind::File && item.size >= min)
        .filter(|item| !whole.holds(listing.path(item)) && !survey::is_private(names::split(listing.path(item)).1))
        .copied()
        .collect();
    found.sort_unstable_by_key(|item| (Reverse(item.size), item.inode()));
    found.dedup_by_key(|item| item.inode());
    found
        .chunk_by(|a, b| a.size == b.size)
        .filter(|group| group.len() > 1)
        .flatten()
        .map(|item| (*item, None))
        .collect()
}

/// Has the files hashed, and tells how many could not be.
fn hash(
    keeper: &mut dyn Keeper,
    root: u16,
    listing: &Listing,
    alike: &mut [(Item, Option<Digest>)],
) -> Result<usize, End> {
    let total: u64 = alike.iter().map(|(item, _)| item.size).sum();
    let mut seen = 0;
    let mut unread = 0;
    for batch in alike.chunks_mut(HASHES_AT_ONCE) {
        check_stop(keeper)?;
        keeper.status("comparing files of the same size", Some((seen, total)))?;
        let asks =
            batch.iter().map(|(item, _)| FileRead::Hash { at: survey::place(root, listing.path(item)) }).collect();
        let outcomes = keeper.read(asks)?;
        for ((item, digest), outcome) in batch.iter_mut().zip(outcomes) {
            seen += item.size;
            match outcome {
                Outcome::Read(ReadDone::Hash(found)) => *digest = Some(found),
                _ => unread += 1,
            }
        }
    }
    Ok(unread)
}

/// Groups of files with the same content, in the order of their first file.
fn groups(alike: Vec<(Item, Option<Digest>)>) -> Vec<Vec<Item>> {
    let mut groups: Vec<Vec<Item>> = Vec::new();
    let mut by_digest: HashMap<(u64, Digest), usize> = HashMap::new();
    for (item, digest) in alike {
        let Some(digest) = digest else { continue };
        let at = *by_digest.entry((item.size, digest)).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => group.push(item),
            None => groups.push(vec![item]),
        }
    }
    groups.retain(|group| group.len() > 1);
    groups
}

/// The one that stays.
fn keeper_of(keep: &str, listing: &Listing, group: &[Item]) -> Option<Item> {
    let by_path = |item: &&Item| (listing.path(item).len(), listing.path(item).to_vec());
    let kept = match keep {
        "oldest" => group.iter().min_by_key(|item| (item.mtime, by_path(item))),
        "newest" => group.iter().min_by_key(|item| (Reverse(item.mtime), by_path(item))),
        _ => group.iter().min_by_key(by_path),
    };
    kept.copied()
}
