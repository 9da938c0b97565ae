//! What the screen holds, and what each key does to it. What is drawn of it is in `draw`.

use std::io;

use super::door::Door;
use super::draw;
use super::keys::Press;
use super::list::List;
use super::look::Look;
use super::model::{Choice, Entry, Resolution, Source};
use super::sides::Sides;
use super::tree::Tree;

/// Columns from which the tree and the difference stand side by side.
pub(super) const WIDE: u16 = 80;
/// Columns that a step to the side moves.
const SIDE_STEP: usize = 8;
/// Characters of a filter.
const FILTER_MOST: usize = 200;

/// A review under way.
pub(super) struct Screen<'a> {
    pub(super) source: &'a mut dyn Source,
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
        let (mut fresh, mut whole) = (true, true);
        loop {
            let size = door.size();
            if fresh || size != self.size {
                self.fit(size);
                self.open();
                door.show(&draw::frame(self), whole)?;
            }
            let mut press = door.press(true);
            fresh = press != Press::Idle;
            whole = press == Press::Ctrl('l');
            while press != Press::Idle {
                match self.take(press) {
                    Next::Stay => {}
                    Next::Leave => return Ok(None),
                    Next::Commit => return Ok(Some(self.tree.choices().to_vec())),
                    Next::Asked => {
                        self.open();
                        door.show(&draw::frame(self), false)?;
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
    pub(super) fn look_height(&self) -> usize {
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
    pub(super) fn entry(&self) -> Option<usize> {
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
            Press::Down | Press::Char('j') if self.hunk + 1 < hunks => self.show_hunk(self.hunk + 1),
            Press::Up | Press::Char('k') if hunks > 0 && self.hunk > 0 => self.show_hunk(self.hunk - 1),
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
        let most = draw::help_lines(self.size.0).len().saturating_sub(self.height());
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
}
