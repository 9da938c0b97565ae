//! Which lines of the tree are shown, and where the cursor is. Lines are found anew when something is folded or
//! filtered, never for a frame.

use super::model::Entry;
use super::tree::Tree;

/// A folder with more lines in it than this is folded at first.
const OPEN_MOST: usize = 500;

/// The visible lines.
#[derive(Clone, Debug)]
pub(crate) struct List {
    /// Nodes of the tree, from the top.
    rows: Vec<usize>,
    /// By node: it is unfolded.
    open: Vec<bool>,
    cursor: usize,
    top: usize,
    height: usize,
    /// Text that a path must have in it.
    filter: String,
    /// By entry, while filtered: it is shown.
    shown: Option<Vec<bool>>,
}

impl List {
    pub(crate) fn new(tree: &Tree, entries: &[Entry]) -> List {
        let open = tree.nodes().iter().enumerate();
        let open = open.map(|(at, node)| node.depth == 0 || node.end - at <= OPEN_MOST).collect();
        let mut list =
            List { rows: Vec::new(), open, cursor: 0, top: 0, height: usize::MAX, filter: String::new(), shown: None };
        list.find(tree, entries);
        list.find_first(tree, |_| true);
        list
    }

    /// The node under the cursor.
    pub(crate) fn at(&self) -> Option<usize> {
        self.rows.get(self.cursor).copied()
    }

    /// The lines that fit, with whether the cursor is on them.
    pub(crate) fn window(&self) -> impl Iterator<Item = (usize, bool)> {
        self.rows.iter().enumerate().skip(self.top).take(self.height).map(|(n, node)| (*node, n == self.cursor))
    }

    pub(crate) fn is_open(&self, node: usize) -> bool {
        !self.filter.is_empty() || self.open.get(node).copied().unwrap_or(false)
    }

    pub(crate) fn filter(&self) -> &str {
        &self.filter
    }

    /// By entry, while filtered: it is shown.
    pub(crate) fn shown(&self) -> Option<&[bool]> {
        self.shown.as_deref()
    }

    /// Lines in all, and which of them the cursor is on, from 0.
    pub(crate) fn place(&self) -> (usize, usize) {
        (self.rows.len(), self.cursor)
    }

    /// So many lines fit.
    pub(crate) fn fit(&mut self, height: usize) {
        self.height = height.max(1);
        self.follow();
    }

    /// Moves the cursor by lines; it stops at the ends.
    pub(crate) fn go(&mut self, by: isize) {
        self.cursor = self.cursor.saturating_add_signed(by).min(self.rows.len().saturating_sub(1));
        self.follow();
    }

    pub(crate) fn page(&mut self, down: bool) {
        let by = isize::try_from(self.height.saturating_sub(1).max(1)).unwrap_or(1);
        self.go(if down { by } else { -by });
    }

    /// To the folder that holds what is under the cursor.
    pub(crate) fn up(&mut self, tree: &Tree) {
        let parent = self.at().and_then(|n| tree.node(n)).and_then(|node| node.parent);
        self.to(parent);
    }

    /// Folds or unfolds the folder under the cursor. `false` where it is none, or is so already.
    pub(crate) fn fold(&mut self, tree: &Tree, entries: &[Entry], open: bool) -> bool {
        let Some(at) = self.at().filter(|at| tree.node(*at).is_some_and(|node| node.end > at + 1)) else {
            return false;
        };
        if !self.filter.is_empty() || self.is_open(at) == open {
            return false;
        }
        if let Some(slot) = self.open.get_mut(at) {
            *slot = open;
        }
        self.find(tree, entries);
        true
    }

    /// Shows only paths with this text in them, whatever the case of ASCII letters; all where it is empty.
    pub(crate) fn set_filter(&mut self, filter: String, tree: &Tree, entries: &[Entry]) {
        self.filter = filter;
        self.find(tree, entries);
        if let Some(shown) = self.shown.take() {
            self.find_first(tree, |n| shown.get(n) == Some(&true));
            self.shown = Some(shown);
        }
    }

    /// To the first visible change of which this holds; else to the top.
    fn find_first(&mut self, tree: &Tree, holds: impl Fn(usize) -> bool) {
        let is_it = |n: &usize| tree.node(*n).and_then(|node| node.entry).is_some_and(&holds);
        self.cursor = self.rows.iter().position(is_it).unwrap_or(0);
        self.follow();
    }

    /// To the next change, after the cursor and then from the top, of which `wanted` holds; folders around it are
    /// unfolded.
    pub(crate) fn next(&mut self, tree: &Tree, entries: &[Entry], wanted: impl Fn(usize) -> bool) -> bool {
        let from = self.at().map_or(0, |at| at + 1);
        let hit = |node: &usize| {
            let entry = tree.node(*node).and_then(|node| node.entry);
            entry.is_some_and(|n| self.shown.as_ref().is_none_or(|s| s.get(n) == Some(&true)) && wanted(n))
        };
        let Some(found) = (from..tree.nodes().len()).chain(0..from).find(hit) else { return false };
        let mut above = tree.node(found).and_then(|node| node.parent);
        while let Some(n) = above {
            if let Some(slot) = self.open.get_mut(n) {
                *slot = true;
            }
            above = tree.node(n).and_then(|node| node.parent);
        }
        self.find(tree, entries);
        self.to(Some(found));
        true
    }

    fn to(&mut self, node: Option<usize>) {
        // Nodes grow from the top down.
        if let Some(row) = node.and_then(|node| self.rows.binary_search(&node).ok()) {
            self.cursor = row;
            self.follow();
        }
    }

    fn find(&mut self, tree: &Tree, entries: &[Entry]) {
        let at = self.at();
        let nodes = tree.nodes();
        self.rows.clear();
        if self.filter.is_empty() {
            self.shown = None;
            let mut n = 0;
            while let Some(node) = nodes.get(n) {
                self.rows.push(n);
                n = if self.open.get(n) == Some(&true) { n + 1 } else { node.end };
            }
        } else {
            let wanted = self.filter.to_ascii_lowercase();
            let shown: Vec<bool> = entries.iter().map(|entry| has(entry.path.as_bytes(), wanted.as_bytes())).collect();
            let mut keep = vec![false; nodes.len()];
            for (n, node) in nodes.iter().enumerate().rev() {
                let hit = node.entry.is_some_and(|entry| shown.get(entry) == Some(&true));
                let kept = hit || keep.get(n) == Some(&true);
                for slot in [Some(n), node.parent].into_iter().flatten() {
                    if kept && let Some(slot) = keep.get_mut(slot) {
                        *slot = true;
                    }
                }
            }
            self.rows.extend(keep.iter().enumerate().filter(|(_, keep)| **keep).map(|(n, _)| n));
            self.shown = Some(shown);
        }
        // Where the cursor was, or the last line above it.
        self.cursor = at.map_or(0, |at| self.rows.partition_point(|row| *row <= at).saturating_sub(1));
        self.follow();
    }

    fn follow(&mut self) {
        self.top = self.top.min(self.cursor).max((self.cursor + 1).saturating_sub(self.height));
        self.top = self.top.min(self.rows.len().saturating_sub(self.height));
    }
}

fn has(path: &[u8], lower: &[u8]) -> bool {
    lower.is_empty() || path.windows(lower.len()).any(|window| window.eq_ignore_ascii_case(lower))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review_draft::model::Mark;
    use crate::review_draft::tests::entry;

    fn many() -> (Vec<Entry>, Tree, List) {
        let names =
            (0..OPEN_MOST + 10).map(|n| format!("big/{n:05}")).chain(["small/a".to_owned(), "small/B".to_owned()]);
        let entries: Vec<Entry> = names.map(|name| entry(name.as_bytes(), Mark::Modified)).collect();
        let tree = Tree::new(&[b"/f".to_vec()], &entries);
        let list = List::new(&tree, &entries);
        (entries, tree, list)
    }

    #[test]
    fn a_large_folder_is_folded_until_it_is_opened() {
        let (entries, tree, mut list) = many();
        assert_eq!(list.place().0, 5, "the folder, big, small, and two in it");
        list.go(isize::MIN);
        list.go(1);
        assert!(list.fold(&tree, &entries, true));
        assert_eq!(list.place().0, OPEN_MOST + 15);
        assert!(list.fold(&tree, &entries, false));
        assert_eq!(list.place(), (5, 1));
    }

    #[test]
    fn a_filter_shows_what_it_names_and_the_folders_around_it() {
        let (entries, tree, mut list) = many();
        list.set_filter("/0050".to_owned(), &tree, &entries);
        assert_eq!(list.place(), (12, 2), "ten of them, and the cursor on the first");
        list.set_filter("L/b".to_owned(), &tree, &entries);
        assert_eq!(list.place(), (3, 2), "whatever the case");
        list.set_filter(String::new(), &tree, &entries);
        assert_eq!(list.at(), Some(tree.nodes().len() - 2), "the cursor stays where it was");
        list.set_filter("nowhere".to_owned(), &tree, &entries);
        assert_eq!((list.place(), list.at()), ((0, 0), None));
    }

    #[test]
    fn the_next_of_a_kind_is_found_in_a_folded_folder() {
        let (entries, tree, mut list) = many();
        assert!(list.next(&tree, &entries, |n| n == 505));
        assert_eq!(list.at().and_then(|at| tree.node(at)).and_then(|node| node.entry), Some(505));
        assert!(!list.next(&tree, &entries, |_| false));
    }

    #[test]
    fn the_cursor_is_always_in_the_window() {
        let (entries, tree, mut list) = many();
        list.set_filter("big".to_owned(), &tree, &entries);
        list.fit(7);
        for by in [isize::MAX, -3, isize::MIN, 100, -1, 6] {
            list.go(by);
            assert_eq!(list.window().filter(|(_, here)| *here).count(), 1);
            assert_eq!(list.window().count(), 7);
        }
        list.fit(2);
        assert!(list.window().any(|(_, here)| here));
    }
}
