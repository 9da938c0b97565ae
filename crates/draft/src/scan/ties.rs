//! Inodes with several names: what the names have to do with each other.

use std::os::fd::AsFd;

use raincoat_os::Stat;

use super::{Name, Walk};
use crate::drift::Way;
use crate::item::{Item, ItemKind, LinkGroup, Links, Version};
use crate::origin::Notes;

impl Walk<'_> {
    /// Finds what the names of each inode have to do with each other.
    pub(super) fn tie_names(&mut self) {
        let mut groups: Vec<Vec<Name>> = self.names.drain().map(|(_, names)| names).collect();
        groups.retain(|names| names.len() > 1);
        for names in &mut groups {
            names.sort_by(|a, b| a.path.cmp(&b.path));
        }
        groups.sort_by(|a, b| a.first().map(|n| &n.path).cmp(&b.first().map(|n| &n.path)));
        for names in groups {
            self.tie(names);
        }
    }

    fn tie(&mut self, names: Vec<Name>) {
        // A name that is as it was; else one that the folder has; else the first.
        let exists = |name: &Name| match &name.item {
            Ok(at) => self.scan.items.get(*at).is_some_and(|i| matches!(i.kind, ItemKind::Modified { .. })),
            Err(_) => true,
        };
        let leader = names.iter().find(|name| name.item.is_err()).or_else(|| names.iter().find(|name| exists(name)));
        let Some(leader) = leader.or(names.first()) else { return };
        let leader_inode = match &leader.item {
            Ok(at) => self.scan.items.get(*at).and_then(|item| item.before.as_ref()).map(|b| b.stat.identity),
            Err(both) => Some(both.0.stat.identity),
        };
        // Another name is to be one of this inode's that is none in the folder.
        let gets_names = |identity| {
            names.iter().any(|name| match &name.item {
                Ok(at) => {
                    let before = self.scan.items.get(*at).and_then(|item| item.before.as_ref());
                    before.is_none_or(|before| before.stat.identity != identity)
                }
                Err(both) => both.0.stat.identity != identity,
            })
        };
        let joins = |both: &(Version, Version)| {
            let stat = &both.0.stat;
            Some(stat.identity) != leader_inode || stat.nlink == 1 && gets_names(stat.identity)
        };
        let joins: Vec<bool> = names.iter().map(|name| name.item.as_ref().is_err_and(|both| joins(both))).collect();
        let leader = leader.path.clone();
        let group = self.scan.groups.len();
        self.scan.groups.push(LinkGroup {
            folder: self.number,
            leader,
            names: names.iter().map(|name| name.path.clone()).collect(),
        });
        for (name, joins) in names.into_iter().zip(joins) {
            match name.item {
                Ok(at) => {
                    if let Some(item) = self.scan.items.get_mut(at) {
                        item.links.get_or_insert_default().group = Some(group);
                    }
                }
                // The same in everything but the inode: it is to become a name of the leader's. So is a leader that has
                // no other name in the folder to keep, for a commit links what it brings.
                Err(both) if joins => {
                    let (before, after) = *both;
                    let mut links = links_of(Some(&before), &after, false).unwrap_or_default();
                    links.group = Some(group);
                    let way = Way::top(&before.stat);
                    let notes = Notes::default();
                    let lower = self.open.lower.as_fd();
                    let drift = self.judge.of(&name.path, Some(&before), &notes, &way, lower, false);
                    self.add(Item {
                        folder: self.number,
                        kind: ItemKind::Modified { content: false, meta: true },
                        masked: self.draft.is_masked(self.number, &name.path),
                        path: name.path,
                        before: Some(before),
                        after: Some(after),
                        links: Some(links),
                        drift,
                    });
                }
                Err(_) => {}
            }
        }
    }
}

/// The names of an inode, where there are several on either side.
pub(super) fn links_of(before: Option<&Version>, after: &Version, same_inode: bool) -> Option<Links> {
    let mut out = match before {
        Some(before) => links(&before.stat, Some(&after.stat)),
        None => (after.stat.nlink > 1).then_some(Links { draft_names: after.stat.nlink, ..Links::default() }),
    };
    if let Some(links) = &mut out {
        links.same_inode = same_inode;
    }
    out
}

/// As [`links_of`], of what is known by `statx` alone.
pub(super) fn links(before: &Stat, after: Option<&Stat>) -> Option<Links> {
    let draft_names = after.map_or(0, |stat| stat.nlink);
    (before.nlink > 1 || draft_names > 1).then_some(Links {
        group: None,
        draft_names,
        folder_names: before.nlink,
        same_inode: false,
    })
}
