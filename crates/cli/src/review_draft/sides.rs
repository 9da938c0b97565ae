//! Both sides of a conflict beside each other, and what a merge of them would give.

use raincoat_runtime::text::{self, Side};

use super::look::{Kind, Line, shown};

/// The view.
pub(super) struct Sides {
    /// Left mine, right theirs; `None` where a side has no such line.
    pub(super) rows: Vec<Row>,
    /// The merged text; `None` where there can be none.
    pub(super) merged: Option<Vec<Line>>,
    /// Places that the merge leaves to be settled by hand.
    pub(super) conflicts: usize,
    /// The merged text is shown, not the sides.
    pub(super) turned: bool,
    pub(super) top: usize,
    pub(super) left: usize,
}

/// A line of both sides.
pub(super) struct Row {
    pub(super) mine: Option<String>,
    pub(super) theirs: Option<String>,
    pub(super) same: bool,
    /// Between two places that differ: what is between them is left out.
    pub(super) gap: bool,
}

impl Sides {
    /// `base` is what the program began with; without it there is nothing to merge by.
    pub(super) fn new(mine: &[u8], theirs: &[u8], base: Option<&[u8]>) -> Sides {
        let merged = base.and_then(|base| text::merge(base, mine, theirs));
        let conflicts = merged.as_ref().map_or(0, |merged| merged.conflicts);
        Sides {
            rows: rows(mine, theirs),
            merged: merged.map(|merged| lines(&merged.bytes, merged.conflicts > 0)),
            conflicts,
            turned: false,
            top: 0,
            left: 0,
        }
    }

    pub(super) fn can_merge(&self) -> bool {
        self.merged.is_some()
    }

    /// Between the sides and the merged text.
    pub(super) fn turn(&mut self) {
        if self.can_merge() {
            (self.turned, self.top) = (!self.turned, 0);
        }
    }

    pub(super) fn scroll(&mut self, by: isize, height: usize) {
        let lines = if self.turned { self.merged.as_ref().map_or(0, Vec::len) } else { self.rows.len() };
        self.top = self.top.saturating_add_signed(by).min(lines.saturating_sub(height));
    }
}

fn rows(mine: &[u8], theirs: &[u8]) -> Vec<Row> {
    let mut out: Vec<Row> = Vec::new();
    let Some(found) = text::hunks(mine, theirs) else { return out };
    for (n, hunk) in found.hunks.iter().enumerate() {
        if n > 0 || hunk.before.start > 0 {
            out.push(Row { mine: None, theirs: None, same: true, gap: true });
        }
        // Where the first row stands that has no line of theirs yet.
        let mut free = out.len();
        for line in &hunk.lines {
            let text = shown(&line.bytes, line.side != Side::Both);
            match line.side {
                Side::Both => {
                    out.push(Row { mine: Some(text.clone()), theirs: Some(text), same: true, gap: false });
                    free = out.len();
                }
                Side::Old => out.push(Row { mine: Some(text), theirs: None, same: false, gap: false }),
                Side::New => {
                    match out.get_mut(free) {
                        Some(row) => row.theirs = Some(text),
                        None => out.push(Row { mine: None, theirs: Some(text), same: false, gap: false }),
                    }
                    free += 1;
                }
            }
        }
    }
    out
}

fn lines(bytes: &[u8], marked: bool) -> Vec<Line> {
    let mut side = Kind::Plain;
    let pieces = bytes.split_inclusive(|byte| *byte == b'\n');
    pieces
        .map(|line| {
            let text = shown(line, false);
            // For the colours only: what is a marker is told by its length, which the merge sees to.
            let kind = match text.as_bytes().first() {
                Some(b'<') if marked && text.ends_with(text::MINE) => {
                    side = Kind::Old;
                    Kind::Warning
                }
                Some(b'>') if marked && text.ends_with(text::THEIRS) => {
                    side = Kind::Plain;
                    Kind::Warning
                }
                Some(b'=') if side == Kind::Old && text.bytes().all(|byte| byte == b'=') => {
                    side = Kind::New;
                    Kind::Warning
                }
                _ => side,
            };
            Line { kind, text }
        })
        .collect()
}
