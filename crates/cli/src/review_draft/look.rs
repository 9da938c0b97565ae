//! A change in full, as lines: the same for the screen and for plain text. Everything of the draft's and the folder's
//! is made safe for a terminal here.

use raincoat_runtime::text::{self, Hunks, Side};

use super::model::{Blob, Choice, Content, Entry, Mark, Opened};
use crate::view::{size, visible};

/// A change, ready to be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Look {
    pub(crate) lines: Vec<Line>,
    /// Of each hunk the line it begins at.
    pub(crate) hunks: Vec<usize>,
    /// Its hunks can be taken one by one.
    pub(crate) in_parts: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Line {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Plain,
    /// Of less weight.
    Aside,
    /// What the person should not miss.
    Warning,
    /// Where the nth hunk begins.
    Hunk(usize),
    Old,
    New,
}

impl Look {
    pub(crate) fn new(entry: &Entry, opened: &Opened) -> Look {
        let mut look = Look { lines: Vec::new(), hunks: Vec::new(), in_parts: false };
        for (words, why) in [
            ("it cannot be committed: ", &entry.special),
            ("changed on both sides: ", &entry.conflict),
            ("dangerous: ", &entry.dangerous),
        ] {
            if let Some(why) = why {
                look.push(Kind::Warning, format!("{words}{}", visible::single(why)));
            }
        }
        for words in &opened.words {
            look.push(Kind::Plain, visible::single(words));
        }
        match &opened.content {
            Content::Text { before, after, .. } => look.text(entry, before, after),
            Content::Binary { before, after } => {
                look.push(Kind::Aside, "not text, or too large to be shown".to_owned());
                look.blob(Kind::Old, before.as_ref());
                look.blob(Kind::New, after.as_ref());
            }
            Content::Meta if opened.words.is_empty() => {
                let what = if entry.is_folder || entry.was_folder { "a folder" } else { "an empty file" };
                look.push(Kind::Aside, what.to_owned());
            }
            Content::Meta => {}
            Content::Unreadable(why) => {
                look.push(Kind::Warning, format!("it cannot be read: {}", visible::single(why)));
            }
        }
        look
    }

    fn push(&mut self, kind: Kind, text: String) {
        self.lines.push(Line { kind, text });
    }

    fn blob(&mut self, kind: Kind, blob: Option<&Blob>) {
        if let Some(blob) = blob {
            let sign = if kind == Kind::Old { '-' } else { '+' };
            self.push(kind, format!("{sign}{}, BLAKE3 {}", size::bytes(blob.size), visible::single(&blob.digest)));
        }
    }

    fn text(&mut self, entry: &Entry, before: &[u8], after: &[u8]) {
        let Some(found) = text::hunks(before, after) else {
            self.push(Kind::Aside, "not text, or too large to be shown".to_owned());
            return;
        };
        if found.hunks.is_empty() {
            let words = if before.is_empty() { "no content" } else { "the content is the same" };
            self.push(Kind::Aside, words.to_owned());
        }
        self.in_parts = entry.mark == Mark::Modified && entry.plain() && found.hunks.len() > 1;
        self.hunk_lines(&found);
    }

    fn hunk_lines(&mut self, found: &Hunks) {
        for (n, hunk) in found.hunks.iter().enumerate() {
            self.hunks.push(self.lines.len());
            let range = |lines: &std::ops::Range<usize>| {
                // As diff counts: from 1, and where there is none the line before it.
                let from = if lines.is_empty() { lines.start } else { lines.start + 1 };
                if lines.len() == 1 { from.to_string() } else { format!("{from},{}", lines.len()) }
            };
            self.push(Kind::Hunk(n), format!("@@ -{} +{} @@", range(&hunk.before), range(&hunk.after)));
            for line in &hunk.lines {
                let (kind, sign) = match line.side {
                    Side::Both => (Kind::Plain, ' '),
                    Side::Old => (Kind::Old, '-'),
                    Side::New => (Kind::New, '+'),
                };
                self.push(kind, format!("{sign}{}", shown(&line.bytes, line.side != Side::Both)));
                if !line.bytes.ends_with(b"\n") && !line.bytes.ends_with(b"\r") {
                    self.push(Kind::Aside, "\\ No newline at end of file".to_owned());
                }
            }
        }
    }

    /// The difference as other programs read it; `None` where there are no lines to compare.
    pub(crate) fn unified(&self) -> Option<String> {
        let from = self.hunks.first()?;
        Some(self.lines.iter().skip(*from).map(|line| format!("{}\n", line.text)).collect())
    }
}

/// Whether the nth hunk is taken.
pub(crate) fn hunk_taken(choice: &Choice, n: usize) -> bool {
    match choice {
        Choice::Hunks(on) => on.get(n).copied().unwrap_or(false),
        other => other.takes_all(),
    }
}

/// A line without its end; a carriage return is written out where the line is a difference.
pub(crate) fn shown(line: &[u8], differs: bool) -> String {
    let (body, returned) = match line {
        [body @ .., b'\r', b'\n'] | [body @ .., b'\r'] => (body, true),
        [body @ .., b'\n'] => (body, false),
        body => (body, false),
    };
    let mut out = visible::line(body);
    if returned && differs {
        out.push_str("\\r");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review_draft::tests::entry;

    fn lines(entry: &Entry, before: &[u8], after: &[u8]) -> Vec<String> {
        let content = Content::Text { before: before.to_vec(), after: after.to_vec(), base: None };
        let look = Look::new(entry, &Opened { words: vec!["mode 0644, then 0755".to_owned()], content });
        look.lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn line_ends_that_differ_are_seen() {
        let lines = lines(&entry(b"a", Mark::Modified), b"a\nb\r\nc", b"a\r\nb\r\nc\n");
        assert_eq!(
            lines,
            [
                "mode 0644, then 0755",
                "@@ -1,3 +1,3 @@",
                "-a",
                "+a\\r",
                " b",
                "-c",
                "\\ No newline at end of file",
                "+c"
            ]
        );
    }

    #[test]
    fn only_a_plain_modified_text_is_taken_in_parts() {
        let (before, after) = (b"a\n1\n2\n3\n4\n5\n6\n7\nb\n", b"A\n1\n2\n3\n4\n5\n6\n7\nB\n");
        let in_parts = |entry: &Entry| {
            let content = Content::Text { before: before.to_vec(), after: after.to_vec(), base: None };
            Look::new(entry, &Opened { words: Vec::new(), content }).in_parts
        };
        let plain = entry(b"a", Mark::Modified);
        assert!(in_parts(&plain));
        assert!(!in_parts(&Entry { conflict: Some("c".to_owned()), ..plain.clone() }));
        assert!(!in_parts(&Entry { dangerous: Some("d".to_owned()), ..plain }));
        assert!(!in_parts(&entry(b"a", Mark::Kind)));
    }
}
