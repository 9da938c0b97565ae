//! Putting files that nobody changed for long into one archive a year.
//!
//! Two plans: first the archives, then the deletion of what is in them. Were it one, a person could strike an archive
//! out and leave the deletions in.

use std::collections::BTreeMap;

use raincoat_types::wire::{Job, PlanStep};
use raincoat_types::{ArchiveFormat, FileChange, FileKind, FileRead, Outcome, ReadDone};

use super::dates::Day;
use super::folders::Folders;
use super::options::Chosen;
use super::submit::{self, bytes, files, step};
use super::survey::{self, Item, Listing, Whole};
use super::{End, Finished, check_stop, dedupe, names};
use crate::keeper::Keeper;

/// Files looked at again at once, before they are deleted.
const STATS_AT_ONCE: usize = 512;

pub(super) fn run(keeper: &mut dyn Keeper, chosen: &Chosen<'_>, job: &Job) -> Result<Finished, End> {
    let mut notes = Vec::new();
    let mut archives = Vec::new();
    let mut steps = Vec::new();
    for (root, folder) in (0_u16..).zip(&job.roots) {
        if folder.read_only {
            notes.push(format!("`{}` is granted for reading only; left as it is", folder.label));
            continue;
        }
        let unnamable = plan_root(keeper, chosen, job, root, &mut steps, &mut archives)?;
        if unnamable > 0 {
            notes.push(format!("{} left out: a zip keeps only names that are UTF-8", files(unnamable)));
        }
    }
    let count: usize = archives.iter().map(|archive: &Archive| archive.files.len()).sum();
    if count == 0 {
        notes.insert(0, format!("nothing here is older than {}", chosen.text("older-than")));
        return Ok(Finished { summary: notes.join("\n"), ok: true });
    }
    let size: u64 = archives.iter().flat_map(|archive| &archive.files).map(|(_, item)| item.size).sum();
    let made = submit::count(archives.len(), "archive", "archives");
    let title = format!("put {} ({}) into {made}", files(count), bytes(size));
    check_stop(keeper)?;
    let first = submit::submit(keeper, &title, steps, &job.limits)?;
    let (good, bad): (Vec<Archive>, Vec<Archive>) =
        archives.into_iter().partition(|archive| first.each.get(archive.step) == Some(&true));
    if good.is_empty() {
        return Ok(first.finish("no archive was made; every file is where it was", &notes));
    }
    if !bad.is_empty() {
        notes.push(format!(
            "{} not made; their files are where they were",
            submit::count(bad.len(), "archive", "archives")
        ));
        notes.extend(first.why_not());
    }

    let steps = deletions(keeper, &good, &mut notes)?;
    if keeper.stop_asked() {
        notes.push("stopped as you asked: the archives are made, and the originals are still there too".to_owned());
        return Ok(Finished { summary: notes.join("\n"), ok: false });
    }
    let packed = steps.len();
    let title =
        format!("delete {} that are now in {}", files(packed), submit::count(good.len(), "archive", "archives"));
    let second = submit::submit(keeper, &title, steps, &job.limits)?;
    let what = format!(
        "packed {} into {} and deleted {} of the originals",
        files(packed),
        submit::count(good.len(), "archive", "archives"),
        second.count()
    );
    let mut finished = second.finish_second(&what, "the archives are made, the originals are still there too", &notes);
    finished.ok &= !first.has_failed();
    Ok(finished)
}

/// An archive to be made.
struct Archive {
    /// Which step of the plan makes it.
    step: usize,
    root: u16,
    /// What goes into it.
    files: Vec<(Vec<u8>, Item)>,
}

/// Adds a folder's archives to the plan. Gives how many old files no zip can hold.
fn plan_root(
    keeper: &mut dyn Keeper,
    chosen: &Chosen<'_>,
    job: &Job,
    root: u16,
    steps: &mut Vec<PlanStep>,
    archives: &mut Vec<Archive>,
) -> Result<usize, End> {
    let depth = if chosen.flag("recursive") { job.limits.walk_depth } else { 1 };
    let mut listing = Listing::read(keeper, root, b"", depth, &job.limits)?;
    dedupe::refuse_project(&listing, chosen)?;
    let into = chosen.text("into").as_bytes();
    let is_into = |path: &[u8]| names::fold(names::without_number(path)) == names::fold(into);
    let whole = Whole::find(&listing, &is_into);
    let before = job.now.0.saturating_sub(chosen.age("older-than"));
    let mut years: BTreeMap<String, Vec<(Vec<u8>, Item)>> = BTreeMap::new();
    let mut unnamable = 0;
    for item in &listing.items {
        let path = listing.path(item);
        let old = item.kind == FileKind::File && item.mtime.secs < before;
        if !old || whole.holds(path) || survey::is_private(names::split(path).1) {
            continue;
        }
        if std::str::from_utf8(path).is_err() {
            unnamable += 1;
            continue;
        }
        let year = Day::of(item.mtime.secs, job.now.1).map_or_else(|| "Undated".to_owned(), Day::year_name);
        years.entry(year).or_default().push((path.to_vec(), *item));
    }
    if years.is_empty() {
        return Ok(unnamable);
    }
    if depth == 1 {
        let there: Vec<Vec<u8>> = listing
            .items
            .iter()
            .filter(|item| item.kind == FileKind::Dir && is_into(listing.path(item)))
            .map(|item| listing.path(item).to_vec())
            .collect();
        for dir in there {
            listing.append(keeper, root, &dir, 1, &job.limits)?;
        }
    }
    let mut folders = Folders::default();
    for item in &listing.items {
        folders.add(listing.path(item), item.kind == FileKind::Dir);
    }
    let dir = folders.enter(b"", into);
    for made in folders.made() {
        steps.push(step(FileChange::Mkdir { at: survey::place(root, made), parents: false }, ""));
    }
    for (year, files) in years {
        let to = folders.place(&dir, format!("{year}.zip").as_bytes());
        let from = files.iter().map(|(path, _)| survey::place(root, path)).collect();
        let change = FileChange::Archive { from, to: survey::place(root, &to), format: ArchiveFormat::Zip };
        let why = format!("{} last changed in {year}", submit::files(files.len()));
        archives.push(Archive { step: steps.len(), root, files });
        steps.push(step(change, why));
    }
    Ok(unnamable)
}

/// The deletion of what was packed. What somebody changed in the meantime stays: the archive has its older state.
fn deletions(keeper: &mut dyn Keeper, archives: &[Archive], notes: &mut Vec<String>) -> Result<Vec<PlanStep>, End> {
    let mut steps = Vec::new();
    let mut changed = 0;
    for archive in archives {
        for batch in archive.files.chunks(STATS_AT_ONCE) {
            let places = batch.iter().map(|(path, _)| survey::place(archive.root, path));
            let outcomes = keeper.read(places.map(|at| FileRead::Stat { at }).collect())?;
            for ((path, item), outcome) in batch.iter().zip(outcomes) {
                let same = matches!(&outcome, Outcome::Read(ReadDone::Stat(now))
                    if now.meta.size == item.size && now.meta.mtime == item.mtime
                        && (now.meta.identity.dev, now.meta.identity.ino) == item.inode());
                if same {
                    let at = survey::place(archive.root, path);
                    steps.push(step(FileChange::Delete { at, recursive: false }, "in the archive"));
                } else {
                    changed += 1;
                }
            }
        }
    }
    if changed > 0 {
        notes.push(format!("{} changed while it was packed and stays where it was", files(changed)));
    }
    Ok(steps)
}
