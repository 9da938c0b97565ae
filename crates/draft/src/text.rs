//! Text that can be taken in part: the hunks of a change, a change with only some of its hunks, and a three-way merge.
//! Nothing here reads or writes a file. Lines are bytes with their ends (`\n`, `\r\n` or `\r`), so whatever is put
//! together again is exact to the byte: other line ends, a last line without one and bytes that are not UTF-8 stay.
//!
//! The same two contents always give the same hunks, so a choice can be carried as a list of answers and the hunks be
//! computed again where it is carried out.

use std::ops::Range;

use similar::{DiffOp, TextDiff, TextMerge, group_diff_ops};

/// Bytes of one side beyond which a change is shown and taken only as a whole.
pub const TEXT_BYTES: usize = 2 << 20;
/// Lines of one side beyond which a change is shown and taken only as a whole.
pub const TEXT_LINES: usize = 50_000;
/// Lines of context around a hunk.
pub const CONTEXT: usize = 3;
/// Bytes in which a NUL says that a content is no text. As git looks.
const LOOK_FOR_NUL: usize = 8000;
/// What a conflict marker calls the person's own file.
pub const MINE: &str = "mine (your folder)";
/// What a conflict marker calls the draft's file.
pub const THEIRS: &str = "theirs (the draft)";
/// Characters of a conflict marker, where no line of the texts looks like one.
const MARKER: usize = 7;

/// The hunks that make one content of another, in their order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Hunks {
    /// Never touching each other: at least one equal line is between two.
    pub hunks: Vec<Hunk>,
}

/// One place where two contents differ, or several with only a few equal lines between them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hunk {
    /// Lines of the old content that are shown, from 0, context included.
    pub before: Range<usize>,
    /// Lines of the new content that are shown, from 0, context included.
    pub after: Range<usize>,
    /// The lines to be shown.
    pub lines: Vec<Line>,
    /// Bytes of the old content, from 0, that this replaces.
    old: Range<usize>,
    /// Bytes of the new content, from 0, that it puts there.
    new: Range<usize>,
}

/// A line of a hunk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Which side it is on.
    pub side: Side,
    /// Its bytes, with the line's end where it has one.
    pub bytes: Vec<u8>,
}

/// Which content a line is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// In both.
    Both,
    /// In the old one only.
    Old,
    /// In the new one only.
    New,
}

/// What a three-way merge gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Merged {
    /// The merged content, with markers around each conflict.
    pub bytes: Vec<u8>,
    /// Places that both sides changed differently. 0: the merge is clean.
    pub conflicts: usize,
}

/// Whether a content can be taken in part: no NUL among its first bytes, and within [`TEXT_BYTES`] and [`TEXT_LINES`].
pub fn is_text(bytes: &[u8]) -> bool {
    bytes.len() <= TEXT_BYTES
        && !bytes.iter().take(LOOK_FOR_NUL).any(|byte| *byte == 0)
        && line_ends(bytes) <= TEXT_LINES
}

/// `\r\n` is one.
fn line_ends(bytes: &[u8]) -> usize {
    let single = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    single - bytes.windows(2).filter(|pair| *pair == b"\r\n").count()
}

/// The hunks that make `after` of `before`; none where they are the same. `None` where one of them is binary or too
/// large ([`is_text`]).
pub fn hunks(before: &[u8], after: &[u8]) -> Option<Hunks> {
    if !is_text(before) || !is_text(after) {
        return None;
    }
    let diff = TextDiff::configure().diff_lines(before, after);
    let (old, new) = (offsets(diff.iter_old_slices()), offsets(diff.iter_new_slices()));
    let groups = group_diff_ops(diff.ops().to_vec(), CONTEXT);
    let hunks = groups.iter().filter_map(|group| hunk(group, &diff, &old, &new)).collect();
    Some(Hunks { hunks })
}

/// `before` with the accepted hunks taken over. `before` and `after` are those that the hunks were made of; a hunk
/// without an answer is not taken. All accepted gives `after`, none gives `before`.
pub fn apply(before: &[u8], after: &[u8], hunks: &Hunks, accepted: &[bool]) -> Vec<u8> {
    let mut out = Vec::with_capacity(before.len().max(after.len()));
    let mut at = 0;
    for (n, hunk) in hunks.hunks.iter().enumerate() {
        out.extend_from_slice(before.get(at..hunk.old.start).unwrap_or_default());
        let taken = match accepted.get(n) {
            Some(true) => after.get(hunk.new.clone()),
            _ => before.get(hunk.old.clone()),
        };
        out.extend_from_slice(taken.unwrap_or_default());
        at = hunk.old.end;
    }
    out.extend_from_slice(before.get(at..).unwrap_or_default());
    out
}

/// Merges what both sides made of `base`. Where they changed the same place differently both are kept, between
/// markers that name them [`MINE`] and [`THEIRS`] and are longer than any line that looks like one. `None` where one
/// of the three is binary or too large ([`is_text`]).
pub fn merge(base: &[u8], mine: &[u8], theirs: &[u8]) -> Option<Merged> {
    let all = [base, mine, theirs];
    if !all.iter().all(|bytes| is_text(bytes)) {
        return None;
    }
    // Nothing to weigh up, so nothing that a diff's choices could alter.
    if mine == base || theirs == base || mine == theirs {
        let bytes = if mine == base { theirs } else { mine };
        return Some(Merged { bytes: bytes.to_vec(), conflicts: 0 });
    }
    let mut merge = TextMerge::from_lines(base, mine, theirs);
    merge.labels("base", MINE, THEIRS).conflict_marker_size(marker(&all));
    let mut bytes = Vec::with_capacity(mine.len().max(theirs.len()));
    // Writing into memory has nothing that could fail.
    merge.to_writer(&mut bytes).ok()?;
    Some(Merged { bytes, conflicts: merge.conflict_count() })
}

/// Where each line begins, in bytes, and at last where the text ends.
fn offsets<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Vec<usize> {
    let mut at = 0;
    let mut out = vec![0];
    for line in lines {
        at += line.len();
        out.push(at);
    }
    out
}

/// `None` for a group in which nothing differs, which there is none of.
fn hunk(group: &[DiffOp], diff: &TextDiff<'_, '_, [u8]>, old: &[usize], new: &[usize]) -> Option<Hunk> {
    let changes = || group.iter().filter(|op| !matches!(op, DiffOp::Equal { .. }));
    let (first, last) = (changes().next()?, changes().next_back()?);
    let bytes = |offsets: &[usize], from: usize, to: usize| Some(*offsets.get(from)?..*offsets.get(to)?);
    let lines = group.iter().flat_map(|op| diff.iter_changes(op)).map(|change| Line {
        side: match change.tag() {
            similar::ChangeTag::Equal => Side::Both,
            similar::ChangeTag::Delete => Side::Old,
            similar::ChangeTag::Insert => Side::New,
        },
        bytes: change.value().to_vec(),
    });
    Some(Hunk {
        before: group.first()?.old_range().start..group.last()?.old_range().end,
        after: group.first()?.new_range().start..group.last()?.new_range().end,
        lines: lines.collect(),
        old: bytes(old, first.old_range().start, last.old_range().end)?,
        new: bytes(new, first.new_range().start, last.new_range().end)?,
    })
}

/// The shortest length, from [`MARKER`] up, of which no line of the texts could be taken for a marker: a hostile draft
/// shall not pass its own lines off as the person's.
fn marker(texts: &[&[u8]]) -> usize {
    let mut taken: Vec<usize> = texts
        .iter()
        .flat_map(|text| text.split(|byte| matches!(byte, b'\n' | b'\r')))
        .filter_map(|line| {
            let sign = line.first().filter(|byte| matches!(byte, b'<' | b'=' | b'>'))?;
            Some(line.iter().take_while(|byte| *byte == sign).count())
        })
        .filter(|run| *run >= MARKER)
        .collect();
    taken.sort_unstable();
    taken.dedup();
    // The first number that is missing from an unbroken row that begins with the usual length.
    taken.iter().enumerate().take_while(|(n, run)| **run == MARKER + n).count() + MARKER
}

#[cfg(test)]
mod tests;
