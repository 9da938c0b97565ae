//! The proof at the end: two snapshots compared, and what was compared.

use std::collections::BTreeMap;

use raincoat_runtime::snapshot::{EntryKind, Snapshot};
use raincoat_types::display_bytes;

use crate::out::Style;
use crate::view::size;

/// Differences that are listed.
const LISTED: usize = 20;

/// What two snapshots have in common.
pub(super) struct Proof {
    pub(super) files: u64,
    pub(super) folders: u64,
    pub(super) symlinks: u64,
    pub(super) bytes: u64,
    pub(super) xattrs: u64,
    pub(super) hard_links: u64,
    /// Files whose content this user may not read: compared by all but that.
    unreadable: u64,
    /// In what they differ, in words.
    pub(super) differences: Vec<String>,
}

impl Proof {
    pub(super) fn of(before: &Snapshot, after: &Snapshot) -> Proof {
        let entries = || before.entries().iter().filter(|(path, _)| !path.is_empty());
        let count = |kind: EntryKind| entries().filter(|(_, entry)| entry.kind == kind).count() as u64;
        Proof {
            files: count(EntryKind::File),
            folders: count(EntryKind::Dir),
            symlinks: count(EntryKind::Symlink),
            bytes: before.bytes(),
            xattrs: before.entries().values().map(|entry| entry.xattrs.len() as u64).sum(),
            hard_links: entries().filter(|(path, entry)| entry.first_name != **path).count() as u64,
            unreadable: before.unreadable().count() as u64,
            differences: before.differences(after).iter().map(ToString::to_string).collect(),
        }
    }

    pub(super) fn holds(&self) -> bool {
        self.differences.is_empty()
    }

    pub(super) fn lines(&self, style: Style) -> Vec<String> {
        let mut lines = vec![
            style.bold("Is everything as it was?"),
            format!(
                "compared before and after: {} ({} of content), {}, {}, {}, {}",
                size::of(self.files, "file", "files"),
                size::bytes(self.bytes),
                size::of(self.folders, "folder", "folders"),
                size::of(self.symlinks, "symlink", "symlinks"),
                size::of(self.hard_links, "hard link", "hard links"),
                size::of(self.xattrs, "extended attribute", "extended attributes"),
            ),
            "by content, kind, size, holes, mode, owner, modification time, link target, names of an inode".to_owned(),
        ];
        if self.unreadable > 0 {
            lines.push(format!(
                "{} may not be read by you: compared by all but content",
                size::of(self.unreadable, "file", "files")
            ));
        }
        lines.extend(self.differences.iter().take(LISTED).map(|words| format!("  {words}")));
        let found = format!("differences: {}", size::count(self.differences.len() as u64));
        lines.push(if self.holds() { style.green(&found) } else { style.red(&found) });
        lines
    }
}

/// What lies at the top of a tree: each name, with how many files and bytes are in it.
pub(super) fn top(tree: &Snapshot) -> Vec<(String, u64, u64)> {
    let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let (mut loose, mut loose_bytes) = (0, 0);
    for (path, entry) in tree.entries().iter().filter(|(_, entry)| entry.kind != EntryKind::Dir) {
        let size = if entry.kind == EntryKind::File { entry.size } else { 0 };
        match path.iter().position(|byte| *byte == b'/').and_then(|at| path.get(..at)) {
            Some(folder) => {
                let sum = sums.entry(format!("{}/", display_bytes(folder))).or_default();
                *sum = (sum.0 + 1, sum.1 + size);
            }
            None => {
                loose += 1;
                loose_bytes += size;
            }
        }
    }
    let mut lines: Vec<(String, u64, u64)> =
        sums.into_iter().map(|(name, (files, bytes))| (name, files, bytes)).collect();
    lines.push(("(loose)".to_owned(), loose, loose_bytes));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_seen_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        #[expect(clippy::disallowed_methods, reason = "the test's own folder")]
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("a", "1");
        let before = Snapshot::take(dir.path()).unwrap();
        assert!(Proof::of(&before, &Snapshot::take(dir.path()).unwrap()).holds());
        write("a", "2");
        write("b", "");
        let proof = Proof::of(&before, &Snapshot::take(dir.path()).unwrap());
        assert!(!proof.holds());
        assert_eq!((proof.files, proof.bytes), (1, 1));
        assert!(proof.lines(Style::default()).last().unwrap().starts_with("differences: "));
        assert_eq!(top(&before), [("(loose)".to_owned(), 1, 1)]);
    }
}
