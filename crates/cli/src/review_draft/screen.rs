//! What the screen holds, and what each key does to it. What is drawn of it is in `draw`.

use std::io;

use super::door::Door;
use super::draw;
use super::keys::Press;
use super::list::List;
use super::look::{Look, hunk_taken};
use super::model::{Choice, Content, Entry, Resolution, Source};
use super::sides::Sides;
use super::tree::Tree;
use crate::view::size;

/// Columns from which the tree and the difference stand side by side.
pub(super) const WIDE: u16 = 80;
/// Columns that a step to the side moves.
const SIDE_STEP: usize = 8;
/// Characters of a filter.
const FILTER_MOST: usize = 200;

/// A review under way.
pub(super) struct Screen<'a> {
    source: &'a mut dyn Source,
    pub(super) entries: Vec<Entry>,
    pub(super) tree: Tree,
    pub(super) list: List,
    /// The keys go to the difference, not to the tree.
    pub(super) inside: bool,
    /// The change under the cursor, by its number, opened.
    pub(super) look: Option<(usize, Look)>,
    pub(super) look_top: usize,
    pub(super) look_left: usize,
    /// The hunk that the keys go to.
    pub(super) hunk: usize,
    pub(super) mode: Mode,
    pub(super) message: String,
    pub(super) size: (u16, u16),
    pub(super) colour: bool,
}

/// What the keys mean at the moment.
pub(super) enum Mode {
    /// Going about.
    Browse,
    /// The text of a filter is typed.
    Filter,
    /// The keys are explained, from this line on.
    Help(usize),
    /// The question before the commit.
    Ask,
    /// Both sides of a conflict beside each other.
    Sides(Sides),
}

/// What comes after a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    Stay,
    /// The question stands there now: nothing typed before counts.
    Asked,
    Leave,
    Commit,
}

impl<'a> Screen<'a> {
    pub(super) fn new(source: &'a mut dyn Source, colour: bool) -> Screen<'a> {
        let entries = source.entries().to_vec();
        let tree = Tree::new(source.folders(), &entries);
        let list = List::new(&tree, &entries);
        Screen {
            source,
            entries,
            tree,
            list,
            inside: false,
            look: None,
            look_top: 0,
            look_left: 0,
            hunk: 0,
            mode: Mode::Browse,
            message: String::new(),
            size: (80, 24),
            colour,
        }
    }

    /// Until the person leaves (`None`) or commits. The keys that are there already are all taken before a frame is
    /// drawn, so that only what stays under the cursor is opened.
    ///
    /// # Errors
    /// The system's, of the terminal.
    pub(super) fn run(&mut self, door: &mut dyn Door) -> io::Result<Option<Vec<Choice>>> {
        let mut fresh = true;
        loop {
            let size = door.size();
            if fresh || size != self.size {
                self.fit(size);
                self.open();
                door.show(&draw::frame(self))?;
            }
            let mut press = door.press(true);
            fresh = press != Press::Idle;
            while press != Press::Idle {
                match self.take(press) {
                    Next::Stay => {}
                    Next::Leave => return Ok(None),
                    Next::Commit => return Ok(Some(self.tree.choices().to_vec())),
                    Next::Asked => {
                        self.open();
                        door.show(&draw::frame(self))?;
                        door.forget();
                        break;
                    }
                }
                press = door.press(false);
            }
        }
    }

    fn fit(&mut self, size: (u16, u16)) {
        self.size = size;
        self.list.fit(self.height());
    }

    /// Lines between the head and the foot.
    pub(super) fn height(&self) -> usize {
        usize::from(self.size.1.saturating_sub(2)).max(1)
    }

    /// Lines of the difference: below its own head.
    fn look_height(&self) -> usize {
        self.height().saturating_sub(1).max(1)
    }

    pub(super) fn is_wide(&self) -> bool {
        self.size.0 >= WIDE
    }

    /// Opens what is under the cursor, where it has a place on the screen.
    fn open(&mut self) {
        if !(self.is_wide() || self.inside) {
            return;
        }
        let at = self.entry();
        if self.look.as_ref().map(|(n, _)| *n) == at {
            return;
        }
        (self.look, self.look_top, self.look_left, self.hunk) = (None, 0, 0, 0);
        if let Some((n, entry)) = at.and_then(|n| Some((n, self.entries.get(n)?))) {
            self.look = Some((n, Look::new(entry, &self.source.open(n))));
        }
    }

    /// The change under the cursor.
    fn entry(&self) -> Option<usize> {
        self.tree.node(self.list.at()?)?.entry
    }

    pub(super) fn take(&mut self, press: Press) -> Next {
        match press {
            Press::Gone => return Next::Leave,
            Press::Idle => return Next::Stay,
            _ => self.message.clear(),
        }
        match self.mode {
            Mode::Browse if self.inside => self.in_look(&press),
            Mode::Browse => self.in_tree(&press),
            Mode::Filter => self.in_filter(press),
            Mode::Help(_) => self.in_help(&press),
            Mode::Sides(_) => self.in_sides(&press),
            Mode::Ask => {
                self.mode = Mode::Browse;
                match press {
                    Press::Char('y' | 'Y') => Next::Commit,
                    Press::Ctrl('c') => Next::Leave,
                    _ => self.say("nothing was committed"),
                }
            }
        }
    }

    fn in_tree(&mut self, press: &Press) -> Next {
        match press {
            Press::Up | Press::Char('k') => self.list.go(-1),
            Press::Down | Press::Char('j') => self.list.go(1),
            Press::PageUp => self.list.page(false),
            Press::PageDown => self.list.page(true),
            Press::Home | Press::Char('g') => self.list.go(isize::MIN),
            Press::End | Press::Char('G') => self.list.go(isize::MAX),
            Press::Left | Press::Char('h') => {
                if !self.list.fold(&self.tree, &self.entries, false) {
                    self.list.up(&self.tree);
                }
            }
            Press::Right | Press::Char('l') => {
                if !self.list.fold(&self.tree, &self.entries, true) {
                    self.inside = self.entry().is_some();
                }
            }
            Press::Tab => {
                self.inside = self.entry().is_some();
                if !self.inside {
                    return self.say("a folder that only holds changes has no difference of its own");
                }
            }
            Press::Char(' ') => return self.toggle(),
            _ => return self.anywhere(press),
        }
        Next::Stay
    }

    fn in_look(&mut self, press: &Press) -> Next {
        let hunks = self.look.as_ref().map_or(0, |(_, look)| look.hunks.len());
        match press {
            Press::Tab | Press::Escape => self.inside = false,
            Press::Down | Press::Char('j') if self.hunk + 1 < hunks => self.to_hunk(self.hunk + 1),
            Press::Up | Press::Char('k') if hunks > 0 && self.hunk > 0 => self.to_hunk(self.hunk - 1),
            Press::Down | Press::Char('j') => self.scroll(1),
            Press::Up | Press::Char('k') => self.scroll(-1),
            Press::PageDown => self.scroll(isize::try_from(self.look_height()).unwrap_or(1)),
            Press::PageUp => self.scroll(-isize::try_from(self.look_height()).unwrap_or(1)),
            Press::Home | Press::Char('g') => self.scroll(isize::MIN),
            Press::End | Press::Char('G') => self.scroll(isize::MAX),
            Press::Right | Press::Char('l') => self.look_left += SIDE_STEP,
            Press::Left | Press::Char('h') if self.look_left == 0 => self.inside = false,
            Press::Left | Press::Char('h') => self.look_left = self.look_left.saturating_sub(SIDE_STEP),
            Press::Char(' ') => return self.toggle_hunk(),
            _ => return self.anywhere(press),
        }
        Next::Stay
    }

    /// Keys that mean the same in the tree and in the difference.
    fn anywhere(&mut self, press: &Press) -> Next {
        match press {
            Press::Char('q') | Press::Ctrl('c') => return Next::Leave,
            Press::Char('?') => self.mode = Mode::Help(0),
            Press::Char('/') => (self.mode, self.inside) = (Mode::Filter, false),
            Press::Escape if !self.list.filter().is_empty() => {
                self.list.set_filter(String::new(), &self.tree, &self.entries);
            }
            Press::Char('a') => return self.every(true),
            Press::Char('n') => return self.every(false),
            Press::Char('!') => return self.next_apart(),
            Press::Char('1') => return self.settle(Resolution::KeepMine),
            Press::Char('2') => return self.settle(Resolution::KeepTheirs),
            Press::Char('3') => return self.settle(Resolution::KeepBoth),
            Press::Char('4') => return self.sides(),
            Press::Enter => return self.ask(),
            _ => {}
        }
        Next::Stay
    }

    fn in_filter(&mut self, press: Press) -> Next {
        let mut filter = self.list.filter().to_owned();
        match press {
            Press::Ctrl('c') => return Next::Leave,
            Press::Enter | Press::Down | Press::Tab => {
                self.mode = Mode::Browse;
                return Next::Stay;
            }
            Press::Escape => {
                self.mode = Mode::Browse;
                filter.clear();
            }
            Press::Backspace => drop(filter.pop()),
            Press::Ctrl('u') => filter.clear(),
            Press::Char(c) => filter.push(c),
            Press::Paste(text) => filter.push_str(&text),
            _ => return Next::Stay,
        }
        let filter = filter.chars().take(FILTER_MOST).collect();
        self.list.set_filter(filter, &self.tree, &self.entries);
        Next::Stay
    }

    fn in_help(&mut self, press: &Press) -> Next {
        let most = draw::HELP.len().saturating_sub(self.height());
        match (press, &mut self.mode) {
            (Press::Ctrl('c'), _) => return Next::Leave,
            (Press::Down | Press::Char('j'), Mode::Help(top)) => *top = (*top + 1).min(most),
            (Press::Up | Press::Char('k'), Mode::Help(top)) => *top = top.saturating_sub(1),
            _ => self.mode = Mode::Browse,
        }
        Next::Stay
    }

    fn in_sides(&mut self, press: &Press) -> Next {
        let height = self.look_height();
        let Mode::Sides(sides) = &mut self.mode else { return Next::Stay };
        let page = isize::try_from(height).unwrap_or(1);
        match press {
            Press::Ctrl('c') => return Next::Leave,
            Press::Down | Press::Char('j') => sides.scroll(1, height),
            Press::Up | Press::Char('k') => sides.scroll(-1, height),
            Press::PageDown | Press::Char(' ') => sides.scroll(page, height),
            Press::PageUp => sides.scroll(-page, height),
            Press::Home | Press::Char('g') => sides.scroll(isize::MIN, height),
            Press::End | Press::Char('G') => sides.scroll(isize::MAX, height),
            Press::Right | Press::Char('l') => sides.left += SIDE_STEP,
            Press::Left | Press::Char('h') => sides.left = sides.left.saturating_sub(SIDE_STEP),
            Press::Tab => sides.turn(),
            Press::Enter | Press::Char('4') => {
                let can = sides.can_merge();
                if can {
                    self.mode = Mode::Browse;
                    return self.settle(Resolution::Merge);
                }
                return self.say("these two cannot be merged: 1 keeps mine, 2 theirs, 3 both");
            }
            Press::Char('1') => return self.settle_here(Resolution::KeepMine),
            Press::Char('2') => return self.settle_here(Resolution::KeepTheirs),
            Press::Char('3') => return self.settle_here(Resolution::KeepBoth),
            Press::Escape | Press::Char('q') => self.mode = Mode::Browse,
            _ => {}
        }
        Next::Stay
    }

    fn settle_here(&mut self, how: Resolution) -> Next {
        self.mode = Mode::Browse;
        self.settle(how)
    }

    fn say(&mut self, words: impl Into<String>) -> Next {
        self.message = words.into();
        Next::Stay
    }

    fn toggle(&mut self) -> Next {
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

    fn every(&mut self, on: bool) -> Next {
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

    fn next_apart(&mut self) -> Next {
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

    fn settle(&mut self, how: Resolution) -> Next {
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
    fn sides(&mut self) -> Next {
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

    fn toggle_hunk(&mut self) -> Next {
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

    fn toggle_file(&mut self, n: usize) -> Next {
        if self.entry() == Some(n) { self.toggle() } else { Next::Stay }
    }

    fn to_hunk(&mut self, hunk: usize) {
        let Some(line) = self.look.as_ref().and_then(|(_, look)| look.hunks.get(hunk).copied()) else { return };
        self.hunk = hunk;
        let height = self.look_height();
        let end = self.look.as_ref().and_then(|(_, look)| look.hunks.get(hunk + 1).copied());
        let end = end.unwrap_or(line + height).min(line + height);
        if line < self.look_top || end > self.look_top + height {
            self.look_top = line.saturating_sub(1);
        }
    }

    fn scroll(&mut self, by: isize) {
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

    fn ask(&mut self) -> Next {
        if self.tree.total().taken == 0 {
            return self.say("nothing is accepted: space accepts, q leaves the draft as it is");
        }
        self.mode = Mode::Ask;
        Next::Asked
    }

    /// Whether a merge of a conflict's sides would leave markers, for the question.
    pub(super) fn merges(&self) -> usize {
        self.tree.choices().iter().filter(|choice| **choice == Choice::Conflict(Resolution::Merge)).count()
    }
}
