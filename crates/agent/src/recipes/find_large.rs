//! Showing the largest files and what each type takes up. It proposes no change.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use raincoat_types::wire::Job;
use raincoat_types::{FileKind, display_bytes};

use super::kind::{self, Group};
use super::options::Chosen;
use super::submit::{bytes, files};
use super::survey::Listing;
use super::{End, Finished, names};
use crate::keeper::Keeper;

pub(super) fn run(keeper: &mut dyn Keeper, chosen: &Chosen<'_>, job: &Job) -> Result<Finished, End> {
    let top = chosen.count("top");
    let mut largest: Vec<(u64, String)> = Vec::new();
    let mut groups: BTreeMap<Group, (u64, usize)> = BTreeMap::new();
    let (mut size, mut count, mut linked) = (0_u64, 0, 0);
    for (root, folder) in (0_u16..).zip(&job.roots) {
        let listing = Listing::read(keeper, root, b"", job.limits.walk_depth, &job.limits)?;
        let mut inodes = HashSet::new();
        let mut found = Vec::new();
        for item in listing.items.iter().filter(|item| item.kind == FileKind::File) {
            // A file with several names takes its room once.
            if item.linked && !inodes.insert(item.inode()) {
                linked += 1;
                continue;
            }
            let group = groups.entry(kind::group(names::split(listing.path(item)).1, &[])).or_default();
            *group = (group.0.saturating_add(item.size), group.1 + 1);
            size = size.saturating_add(item.size);
            count += 1;
            found.push(*item);
        }
        found.sort_unstable_by_key(|item| (Reverse(item.size), listing.path(item)));
        let label = if job.roots.len() > 1 { format!("{}/", folder.label) } else { String::new() };
        largest.extend(
            found.iter().take(top).map(|item| (item.size, format!("{label}{}", display_bytes(listing.path(item))))),
        );
    }
    largest.sort_by_key(|(size, _)| Reverse(*size));
    largest.truncate(top);

    let mut lines = vec![format!("{} in {}", bytes(size), files(count))];
    if linked > 0 {
        lines.push(format!("({linked} more names are hard links to the same files)"));
    }
    if !largest.is_empty() {
        lines.push("largest:".to_owned());
        lines.extend(largest.iter().map(|(size, path)| format!("  {:>12}  {path}", bytes(*size))));
        lines.push("by type:".to_owned());
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, (size, _))| Reverse(*size));
    lines.extend(
        groups.iter().map(|(group, (size, n))| format!("  {:>12}  {} ({})", bytes(*size), group.folder(), files(*n))),
    );
    Ok(Finished { summary: lines.join("\n"), ok: true })
}
