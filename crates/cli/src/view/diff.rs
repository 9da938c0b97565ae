//! What differs between two contents, as a unified diff.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use super::{size, visible};
use crate::out::Style;

/// Lines of context around a change.
const CONTEXT: usize = 3;
/// A diff that takes longer is finished coarsely.
const PATIENCE: Duration = Duration::from_millis(500);

/// A difference, ready to be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Difference {
    lines: Vec<Line>,
    /// Lines that did not fit.
    cut: usize,
    /// Not text: only sizes are known.
    binary: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Line {
    sign: char,
    text: String,
}

/// Compares two contents, of which either may be missing, and keeps at most `most` lines of the difference.
pub(crate) fn between(before: Option<&[u8]>, after: Option<&[u8]>, most: usize) -> Difference {
    if [before, after].into_iter().flatten().any(is_binary) {
        let words = |side: Option<&[u8]>| side.map_or("nothing".to_owned(), |b| size::bytes(b.len() as u64));
        let binary = Some(format!("not text: {} before, {} after", words(before), words(after)));
        return Difference { lines: Vec::new(), cut: 0, binary };
    }
    let text = |side: Option<&[u8]>| String::from_utf8_lossy(side.unwrap_or_default()).into_owned();
    let (before, after) = (text(before), text(after));
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(before.as_str(), after.as_str());
    let mut lines = Vec::new();
    let mut cut = 0;
    let mut push = |sign: char, text: String| {
        if lines.len() < most {
            lines.push(Line { sign, text });
        } else {
            cut += 1;
        }
    };
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        push('@', hunk.header().to_string());
        for change in hunk.iter_changes() {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let line = change.value();
            push(sign, visible::line(line.strip_suffix('\n').unwrap_or(line).as_bytes()));
            if !line.ends_with('\n') {
                push('\\', " No newline at end of file".to_owned());
            }
        }
    }
    Difference { lines, cut, binary: None }
}

/// As git tells it: a NUL among the first bytes, or not UTF-8.
fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().take(8000).any(|byte| *byte == 0) || std::str::from_utf8(bytes).is_err()
}

impl Difference {
    /// Everything is in it.
    pub(crate) fn is_whole(&self) -> bool {
        self.cut == 0 && self.binary.is_none()
    }

    /// For a terminal.
    pub(crate) fn shown(&self, style: Style) -> Vec<String> {
        let mut out: Vec<String> = self
            .lines
            .iter()
            .map(|line| match line.sign {
                '+' => style.green(&format!("+{}", line.text)),
                '-' => style.red(&format!("-{}", line.text)),
                '@' => style.cyan(&line.text),
                sign => format!("{sign}{}", line.text),
            })
            .collect();
        out.extend(self.binary.as_ref().map(|words| style.dim(words)));
        if self.cut > 0 {
            out.push(style.dim(&format!("… {} more, not shown", size::of(self.cut as u64, "line", "lines"))));
        }
        out
    }

    /// For a program; `None` where it is no text or nothing differs.
    pub(crate) fn unified(&self) -> Option<String> {
        (self.binary.is_none() && !self.lines.is_empty()).then(|| {
            let line = |line: &Line| match line.sign {
                '@' => format!("{}\n", line.text),
                sign => format!("{sign}{}\n", line.text),
            };
            self.lines.iter().map(line).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_shown_with_its_signs() {
        let diff = between(Some(b"a\nb\nc\n"), Some(b"a\nB\nc"), 100);
        assert!(diff.is_whole());
        assert_eq!(diff.unified().unwrap(), "@@ -1,3 +1,3 @@\n a\n-b\n-c\n+B\n+c\n\\ No newline at end of file\n");
        assert_eq!(diff.shown(Style::default()).len(), 7);
    }

    #[test]
    fn what_hides_in_a_line_is_shown() {
        let diff = between(None, Some("if a\u{202e}b {\n\tx\n".as_bytes()), 100);
        assert_eq!(diff.unified().unwrap(), "@@ -0,0 +1,2 @@\n+if a\\u{202e}b {\n+\tx\n");
    }

    #[test]
    fn what_is_cut_or_no_text_is_not_whole() {
        let long: String = (0..50).map(|n| format!("{n}\n")).collect();
        let diff = between(None, Some(long.as_bytes()), 10);
        assert!(!diff.is_whole());
        assert_eq!(diff.shown(Style::default()).last().unwrap(), "… 41 lines more, not shown");
        let binary = between(Some(b"\0"), Some(b"text"), 10);
        assert!(!binary.is_whole() && binary.unified().is_none());
        assert_eq!(binary.shown(Style::default()), ["not text: 1 B before, 4 B after"]);
    }

    #[test]
    fn nothing_differs_in_the_same() {
        let same = between(Some(b"a\n"), Some(b"a\n"), 10);
        assert!(same.is_whole() && same.unified().is_none() && same.shown(Style::default()).is_empty());
    }
}
