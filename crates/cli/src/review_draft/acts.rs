//! What the keys bring about.

use super::look::hunk_taken;
use super::model::{Choice, Content, Resolution};
use super::screen::{Mode, Next, Screen};
use super::sides::Sides;
use crate::view::size;

impl Screen<'_> {
    pub(super) fn say(&mut self, words: impl Into<String>) -> Next {
        self.message = words.into();
        Next::Stay
    }

    pub(super) fn toggle(&mut self) -> Next {
        let Some(at) = self.list.at() else { return Next::Stay };
        let before = self.tree.node(at).map(|node| node.count.taken).unwrap_or_default();
        if let Err(words) = self.tree.toggle(&self.entries, at, self.list.shown()) {
            return self.say(words);
        }
        match self.tree.node(at) {
            Some(node) if node.end > at + 1 && node.count.apart > 0 && node.count.taken >= before => {
                let left = size::of(node.count.apart as u64, "change", "changes");
                self.say(format!("{left} in it must be decided one by one: ! goes to the next"))
            }
            _ => Next::Stay,
        }
    }

    pub(super) fn every(&mut self, on: bool) -> Next {
        let roots: Vec<usize> =
            self.tree.nodes().iter().enumerate().filter(|(_, node)| node.depth == 0).map(|(n, _)| n).collect();
        for root in roots {
            self.tree.all(&self.entries, root, on, self.list.shown());
        }
        let apart = self.tree.total().apart;
        match (on, self.list.shown().is_some()) {
            (_, true) => self.say("only what the filter shows was altered"),
            (true, false) if apart > 0 => {
                let left = size::of(apart as u64, "change", "changes");
                self.say(format!("{left} must be decided one by one: ! goes to the next"))
            }
            _ => Next::Stay,
        }
    }

    pub(super) fn next_apart(&mut self) -> Next {
        let (entries, tree) = (&self.entries, &self.tree);
        let wanted = |n: usize| {
            entries.get(n).is_some_and(|entry| !entry.plain() && entry.special.is_none())
                && *tree.choice(n) == Choice::Reject
        };
        self.inside = false;
        if self.list.next(tree, entries, wanted) {
            Next::Stay
        } else {
            self.say("nothing is left to be decided one by one")
        }
    }

    pub(super) fn settle(&mut self, how: Resolution) -> Next {
        let Some(n) = self.entry() else { return self.say("this is no change") };
        if self.entries.get(n).is_some_and(|entry| entry.conflict.is_none()) {
            return self.say("this was not changed on both sides: space takes or leaves it");
        }
        match self.tree.put(&self.entries, n, Choice::Conflict(how)) {
            Ok(()) => Next::Stay,
            Err(words) => self.say(words),
        }
    }

    /// Shows both sides of a conflict, and what a merge would give.
    pub(super) fn sides(&mut self) -> Next {
        let Some((n, entry)) = self.entry().and_then(|n| Some((n, self.entries.get(n)?))) else {
            return self.say("this is no change");
        };
        if entry.conflict.is_none() {
            return self.say("this was not changed on both sides: there is nothing to merge");
        }
        match self.source.open(n).content {
            Content::Text { before, after, base } => {
                self.mode = Mode::Sides(Sides::new(&before, &after, base.as_deref()));
                Next::Stay
            }
            _ => self.say("these are no two texts: 1 keeps mine, 2 theirs, 3 both"),
        }
    }

    pub(super) fn toggle_hunk(&mut self) -> Next {
        let Some((n, look)) = &self.look else { return Next::Stay };
        if !look.in_parts {
            return self.toggle_file(*n);
        }
        let choice = self.tree.choice(*n);
        let mut on: Vec<bool> = (0..look.hunks.len()).map(|hunk| hunk_taken(choice, hunk)).collect();
        if let Some(on) = on.get_mut(self.hunk) {
            *on = !*on;
        }
        match self.tree.put(&self.entries, *n, Choice::Hunks(on)) {
            Ok(()) => Next::Stay,
            Err(words) => self.say(words),
        }
    }

    pub(super) fn toggle_file(&mut self, n: usize) -> Next {
        if self.entry() == Some(n) { self.toggle() } else { Next::Stay }
    }

    pub(super) fn show_hunk(&mut self, hunk: usize) {
        let Some(line) = self.look.as_ref().and_then(|(_, look)| look.hunks.get(hunk).copied()) else { return };
        self.hunk = hunk;
        let height = self.look_height();
        let end = self.look.as_ref().and_then(|(_, look)| look.hunks.get(hunk + 1).copied());
        let end = end.unwrap_or(line + height).min(line + height);
        if line < self.look_top || end > self.look_top + height {
            self.look_top = line.saturating_sub(1);
        }
    }

    pub(super) fn scroll(&mut self, by: isize) {
        let lines = self.look.as_ref().map_or(0, |(_, look)| look.lines.len());
        let most = lines.saturating_sub(self.look_height());
        self.look_top = self.look_top.saturating_add_signed(by).min(most);
        // The keys go to a hunk that can be seen.
        if let Some((_, look)) = &self.look {
            let seen = |line: usize| line >= self.look_top && line < self.look_top + self.look_height();
            if look.hunks.get(self.hunk).is_some_and(|line| !seen(*line)) {
                let above = look.hunks.partition_point(|line| *line <= self.look_top).saturating_sub(1);
                let first = look.hunks.iter().position(|line| seen(*line));
                self.hunk = first.unwrap_or(above);
            }
        }
    }

    pub(super) fn ask(&mut self) -> Next {
        if self.tree.total().taken == 0 {
            return self.say("nothing is accepted: space accepts, q leaves the draft as it is");
        }
        self.mode = Mode::Ask;
        Next::Asked
    }
}
