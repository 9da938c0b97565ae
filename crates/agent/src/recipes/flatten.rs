//! Moving the files of all subfolders to the top.

use std::collections::HashSet;

use raincoat_types::wire::Job;
use raincoat_types::{FileChange, FileKind};

use super::emptied::{self, MayGo};
use super::folders::Folders;
use super::options::Chosen;
use super::submit::{self, files, step};
use super::survey::{self, Listing, Whole};
use super::{End, Finished, check_stop, dedupe, names};
use crate::keeper::Keeper;

pub(super) fn run(keeper: &mut dyn Keeper, chosen: &Chosen<'_>, job: &Job) -> Result<Finished, End> {
    let mut steps = Vec::new();
    let mut notes = Vec::new();
    let mut may_go = Vec::new();
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
        let mut dirs = HashSet::new();
        let mut stayed = 0;
        for item in &listing.items {
            let path = listing.path(item);
            let (parent, name) = names::split(path);
            let goes = item.kind == FileKind::File && !whole.holds(path) && !survey::is_private(name);
            if item.kind == FileKind::Dir && !whole.holds(path) {
                dirs.insert(path.to_vec());
            } else if goes && !parent.is_empty() {
                let to = taken.place(b"", name);
                let change =
                    FileChange::Move { from: survey::place(root, path), to: survey::place(root, &to), replace: false };
                steps.push(step(change, ""));
            } else if item.kind != FileKind::Dir && !whole.holds(path) && !parent.is_empty() {
                stayed += 1;
            }
        }
        if stayed > 0 {
            notes.push(format!("left alone: {} (hidden, temporary, symlinks or special)", files(stayed)));
        }
        may_go.push(MayGo { root, dirs });
    }
    let finished = if steps.is_empty() {
        notes.insert(0, "already flat: nothing to move".to_owned());
        Finished { summary: notes.join("\n"), ok: true }
    } else {
        check_stop(keeper)?;
        let title = format!("move {} to the top", files(steps.len()));
        let done = submit::submit(keeper, &title, steps, &job.limits)?;
        let finished = done.finish(&format!("moved {} to the top", files(done.count())), &notes);
        if done.is_refused() {
            return Ok(finished);
        }
        finished
    };
    emptied::remove(keeper, &may_go, &job.limits, finished)
}
