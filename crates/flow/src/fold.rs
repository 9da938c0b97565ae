//! The form in which texts are compared: words in lower case with one space between them, and nothing else. What looks
//! alike is alike: Unicode confusables, full-width forms, accents, invisible characters.

use unicode_normalization::UnicodeNormalization as _;

/// The words of a text, each followed by a space, with a space in front: ` bob example com `. Empty for no words.
pub(crate) fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(' ');
    fold_into(&mut out, text);
    if out.len() == 1 {
        out.clear();
    }
    out
}

/// Appends the words of a text, each followed by a space.
pub(crate) fn fold_into(out: &mut String, text: &str) {
    let mut amid = false;
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
            amid = true;
        } else if c.is_ascii() {
            if amid {
                out.push(' ');
                amid = false;
            }
        } else {
            fold_wide(out, c, &mut amid);
        }
    }
    if amid {
        out.push(' ');
    }
}

/// A character beyond ASCII, in the form that it looks like.
fn fold_wide(out: &mut String, c: char, amid: &mut bool) {
    if is_unseen(c) {
        return;
    }
    // Characters that mirror ASCII without being seen: what is hidden in them is read as what it says.
    let c = match u32::from(c) {
        tag @ 0xe0020..=0xe007e => char::from_u32(tag - 0xe0000).unwrap_or(' '),
        _ => c,
    };
    for part in std::iter::once(c).nfkd() {
        let mut put = |shown: char| {
            if shown.is_alphanumeric() {
                out.extend(shown.to_lowercase());
                *amid = true;
            } else if !is_mark(shown) && *amid {
                out.push(' ');
                *amid = false;
            }
        };
        if part.is_ascii() {
            put(part);
        } else if !is_mark(part) {
            let mut buffer = [0; 4];
            let shown: &str = part.encode_utf8(&mut buffer);
            unicode_security::skeleton(shown).for_each(put);
        }
    }
}

/// Joiners, direction marks, soft hyphens, variation selectors: nobody sees them.
fn is_unseen(c: char) -> bool {
    matches!(u32::from(c), 0xad | 0x34f | 0x61c | 0x180b..=0x180e | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f
        | 0xfe00..=0xfe0f | 0xfeff | 0xe0000..=0xe001f | 0xe007f | 0xe0100..=0xe01ef)
}

/// Accents that stand on the letter before them.
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

/// The same without spaces, for what was taken apart letter by letter.
pub(crate) fn squashed(folded: &str) -> String {
    folded.split(' ').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_is_alike() {
        for (text, is) in [
            ("Bob@Example.com", " bob example com "),
            ("  Hi,\n there! ", " hi there "),
            ("b\u{200b}ob", " bob "),
            ("ｂｏｂ", " bob "),
            ("bоb", " bob "), // a Cyrillic o
            ("Café", " cafe "),
            ("a\u{e0062}\u{e006f}b", " abob "),
            ("", ""),
            (" .,;", ""),
        ] {
            assert_eq!(folded(text), is, "{text:?}");
        }
        assert_eq!(squashed(&folded("b o-b")), "bob");
    }
}
