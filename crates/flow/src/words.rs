//! Words of a text as they were written, with what stands before them: enough to tell an order from a mention.

/// One word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Word<'a> {
    /// As it was written.
    pub(crate) raw: &'a str,
    /// In lower case.
    pub(crate) low: String,
    /// Where it starts in the text, in bytes.
    pub(crate) at: usize,
    /// It is the first of a sentence, a line or a clause set off by punctuation.
    pub(crate) starts: bool,
    /// It is the first of a sentence or a line.
    pub(crate) sentence: bool,
    /// It is a part of an address, a path or an identifier.
    pub(crate) inner: bool,
    /// A quotation mark stands before it.
    pub(crate) quoted: bool,
    /// It stands between quotation marks, and not at their start.
    pub(crate) cited: bool,
}

/// The words of a text. An apostrophe within a word belongs to it.
pub(crate) fn words(text: &str) -> Vec<Word<'_>> {
    let mut out: Vec<Word<'_>> = Vec::new();
    let (mut starts, mut sentence, mut quoted) = (true, true, false);
    let mut closes = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if !c.is_alphanumeric() {
            let space_next = chars.peek().is_none_or(|(_, next)| next.is_whitespace());
            match c {
                '\n' | '!' | '?' | ';' => (starts, sentence) = (true, true),
                ':' if space_next => (starts, sentence) = (true, true),
                '.' if space_next => (starts, sentence) = (true, true),
                // "1.Read", "site.They": a full stop without a space, before a capital.
                '.' if chars.peek().is_some_and(|(_, next)| next.is_uppercase()) => (starts, sentence) = (true, true),
                ',' | '(' | ')' | '[' | ']' | '<' | '>' | '|' | '*' | '#' | '\u{2013}' | '\u{2014}' => starts = true,
                '-' if space_next => starts = true,
                _ => {}
            }
            quoted = matches!(c, '\'' | '"' | '`' | '\u{2018}' | '\u{201c}' | '\u{ab}');
            if at >= closes {
                closes = end_of_citation(text, at, c).unwrap_or(closes);
            }
            continue;
        }
        let mut end = at + c.len_utf8();
        while let Some(&(next, c)) = chars.peek() {
            let apostrophe = matches!(c, '\'' | '\u{2019}')
                && text
                    .get(next + c.len_utf8()..)
                    .and_then(|rest| rest.chars().next())
                    .is_some_and(char::is_alphanumeric);
            // "E-mail" and "re-open" are written with a hyphen or without.
            let prefix = c == '-' && matches!(text.get(at..next), Some("e" | "E" | "re" | "Re"));
            let prefix = prefix && text.get(next + 1..).is_some_and(|rest| rest.starts_with(char::is_alphabetic));
            if !c.is_alphanumeric() && !apostrophe && !prefix {
                break;
            }
            end = next + c.len_utf8();
            chars.next();
        }
        let raw = text.get(at..end).unwrap_or_default();
        let low = raw.to_lowercase().replace('\u{2019}', "'").replace('-', "");
        let joins = |c: Option<char>| c.is_some_and(|c| matches!(c, '.' | '/' | '_' | '@' | '=' | '&'));
        let (mut back, mut on) =
            (text.get(..at).unwrap_or_default().chars().rev(), text.get(end..).unwrap_or_default().chars());
        let inner = !sentence
            && (joins(back.next()) && back.next().is_some_and(|c| !c.is_whitespace())
                || joins(on.next()) && on.next().is_some_and(char::is_alphanumeric));
        let cited = at < closes && !quoted;
        out.push(Word { raw, low, at, starts, sentence, inner, quoted, cited });
        // "2." and "3)" in front of a point of a list are no words of it.
        let number = raw.chars().all(|c| c.is_ascii_digit()) && starts;
        (starts, sentence, quoted) = (number && starts, number && sentence, false);
    }
    out
}

/// Where the quotation marks close that open here; only such as cannot be apostrophes, within one line.
fn end_of_citation(text: &str, at: usize, open: char) -> Option<usize> {
    let close = match open {
        '"' => '"',
        '\u{201c}' => '\u{201d}',
        '\u{ab}' => '\u{bb}',
        _ => return None,
    };
    let from = at + open.len_utf8();
    let line = text.get(from..)?.lines().next()?;
    line.find(close).map(|length| from + length + close.len_utf8())
}

/// The parts of an identifier: `getUserById`, `get_user-by.id` and `GETUser2` each fall apart into lower-case words.
pub(crate) fn identifier(name: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut part = String::new();
    let chars: Vec<char> = name.chars().collect();
    for (index, &c) in chars.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|at| chars.get(at)).copied().unwrap_or(' ');
        let after = chars.get(index + 1).copied().unwrap_or(' ');
        let hump = c.is_uppercase()
            && (before.is_lowercase() || before.is_ascii_digit() || (before.is_uppercase() && after.is_lowercase()));
        if (hump || !c.is_alphanumeric()) && !part.is_empty() {
            out.push(std::mem::take(&mut part));
        }
        if c.is_alphanumeric() {
            part.extend(c.to_lowercase());
        }
    }
    if !part.is_empty() {
        out.push(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_know_whether_they_start() {
        let found = words("1. Read it, then don't-stop. Say 'Hi'");
        let seen: Vec<(&str, bool, bool)> = found.iter().map(|word| (word.raw, word.starts, word.quoted)).collect();
        assert_eq!(
            seen,
            [
                ("1", true, false),
                ("Read", true, false),
                ("it", false, false),
                ("then", true, false),
                ("don't", false, false),
                ("stop", false, false),
                ("Say", true, false),
                ("Hi", false, true)
            ]
        );
    }

    #[test]
    fn identifiers_fall_apart() {
        for name in ["getUserById", "get_user_by_id", "get-user.by/id", "GetUserByID"] {
            assert_eq!(identifier(name), ["get", "user", "by", "id"], "{name}");
        }
        assert_eq!(identifier("HTTPServer"), ["http", "server"]);
        assert!(identifier("__").is_empty());
    }
}
