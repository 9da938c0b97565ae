//! Text made to fit columns. What is wide counts as wide.

use ratatui_core::text::Span;

/// Columns to a tab stop.
const TAB: usize = 4;

/// Columns of a text.
pub(super) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// The text with its tabs as spaces, from a column on.
pub(super) fn from(text: &str, column: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for c in text.chars() {
        let mut bytes = [0; 4];
        let (piece, wide) = match c {
            '\t' => (" ", TAB - at % TAB),
            c => {
                let piece: &str = c.encode_utf8(&mut bytes);
                (piece, width(piece))
            }
        };
        let seen = (at + wide).saturating_sub(at.max(column));
        match c {
            '\t' => (0..seen).for_each(|_| out.push(' ')),
            // What reaches over the edge is a space.
            _ if seen < wide => (0..seen).for_each(|_| out.push(' ')),
            _ if at >= column => out.push_str(piece),
            _ => {}
        }
        at += wide;
    }
    out
}

/// As much of a text as fits, with `…` where some does not.
pub(super) fn cut(text: &str, columns: usize) -> String {
    // A column at least to a byte of ASCII; what is longer than this cannot fit.
    if text.len() <= columns && text.is_ascii() || width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = width(c.encode_utf8(&mut [0; 4]));
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        out.push(c);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// As much of a text's end as fits, with `…` before it where some does not: of a path the end says most.
pub(super) fn cut_front(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut used = 1;
    let fits = |c: &char| {
        used += width(c.encode_utf8(&mut [0; 4]));
        used <= columns
    };
    let end: Vec<char> = text.chars().rev().take_while(fits).collect();
    if columns == 0 { String::new() } else { std::iter::once('…').chain(end.into_iter().rev()).collect() }
}

/// Spaces at its end, up to so many columns.
pub(super) fn padded(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(missing))
}

/// The words in lines that fit; a word that is longer than a line is cut when it is drawn.
pub(super) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut out = vec![String::new()];
    for word in text.split(' ') {
        match out.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if width(line) + 1 + width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => out.push(word.to_owned()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_cut_shifted_and_wrapped_by_columns() {
        assert_eq!(cut("hello", 5), "hello");
        assert_eq!(cut("hello", 4), "hel…");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("x", 0), "");
        assert_eq!(cut_front("src/main.rs", 8), "…main.rs");
        assert_eq!(cut_front("日本語", 4), "…語");
        assert_eq!(cut_front("x", 0), "");
        assert_eq!(from("a\tb", 0), "a   b");
        assert_eq!(from("a\tb", 2), "  b");
        assert_eq!(from("日本", 1), " 本");
        assert_eq!(padded("日", 4), "日  ");
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
    }

    proptest! {
        #[test]
        fn nothing_whatever_is_wider_than_its_room(text in "\\PC{0,40}", columns in 0_usize..30, column in 0_usize..30) {
            prop_assert!(width(&cut(&text, columns)) <= columns);
            prop_assert!(width(&cut_front(&text, columns)) <= columns);
            prop_assert!(from(&text, column).chars().all(|c| c != '\t'));
        }
    }
}
