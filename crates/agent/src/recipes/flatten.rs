//! Moving the files of all subfolders to the top.

use std::collections::HashSet;

use raincoat_types::wire::Job;
use raincoat_types::{FileChange, FileKind};

use super::folders::Folders;
use super::options::Chosen;
use super::submit::{self, files, folders, step};
use super::survey::{self, Listing, Whole};
use super::{End, Finished, check_stop, dedupe, names};
use crate::keeper::Keeper;

pub(super) fn run(keeper: &mut dyn Keeper, chosen: &Chosen<'_>, job: &Job) -> Result<Finished, End> {
    let mut steps = Vec::new();
    let mut notes = Vec::new();
    let mut moves = 0;
    for (root, folder) in (0_u16..).zip(&job.roots) {
        if folder.read_only {
            notes.push(format!("`{}` is granted for reading only; left as it is", folder.label));
            continue;
        }
        let listing = Listing::read(keeper, root, b"", job.limits.walk_depth, &job.limits)?;
        dedupe::refuse_project(&listing, chosen)?;
        let whole = Whole::find(&listing, &|_| false);
        if whole.projects > 0 {
            notes.push(format!("left alone: {} projects or bundles, as whole units", whole.projects));
        }
        let mut taken = Folders::default();
        for item in listing.items.iter().filter(|item| !listing.path(item).contains(&b'/')) {
            taken.add(listing.path(item), item.kind == FileKind::Dir);
        }
        let mut kept = HashSet::new();
        let mut dirs = Vec::new();
        let mut stayed = 0;
        for item in &listing.items {
            let path = listing.path(item);
            let (parent, name) = names::split(path);
            let goes = item.kind == FileKind::File && !whole.holds(path) && !survey::is_private(name);
            if item.kind == FileKind::Dir && !whole.holds(path) {
                dirs.push(path);
            } else if goes && !parent.is_empty() {
                let to = taken.place(b"", name);
                let change =
                    FileChange::Move { from: survey::place(root, path), to: survey::place(root, &to), replace: false };
                steps.push(step(change, ""));
                moves += 1;
            } else if !goes {
                stayed += usize::from(item.kind != FileKind::Dir && !whole.holds(path) && !parent.is_empty());
                let mut dir = parent;
                while !dir.is_empty() && kept.insert(dir) {
                    dir = names::split(dir).0;
                }
            }
        }
        if stayed > 0 {
            notes.push(format!("left alone: {} (hidden, temporary, symlinks or special)", files(stayed)));
        }
        // Innermost first: by bytes, a folder comes before everything beneath it.
        dirs.sort_unstable_by(|a, b| b.cmp(a));
        for dir in dirs.into_iter().filter(|dir| !kept.contains(dir)) {
            steps.push(step(FileChange::Delete { at: survey::place(root, dir), recursive: false }, "empty now"));
        }
    }
    if steps.is_empty() {
        notes.insert(0, "already flat: nothing to move".to_owned());
        return Ok(Finished { summary: notes.join("\n"), ok: true });
    }
    let removes = steps.len() - moves;
    let title = format!("move {} to the top and remove {}", files(moves), folders(removes));
    let is_move: Vec<bool> = steps.iter().map(|step| matches!(step.change, FileChange::Move { .. })).collect();
    check_stop(keeper)?;
    let done = submit::submit(keeper, &title, steps, &job.limits)?;
    let moved = done.each.iter().zip(&is_move).filter(|(done, is_move)| **done && **is_move).count();
    let what = format!("moved {} to the top and removed {}", files(moved), folders(done.count() - moved));
    Ok(done.finish(&what, &notes))
}
