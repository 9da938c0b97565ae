//! The form in which texts are compared: words in lower case with one space between them, and nothing else. What looks
//! alike is alike: Unicode confusables, full-width forms, accents, invisible characters.

use std::sync::LazyLock;

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
    let mut rest = text;
    while !rest.is_empty() {
        let narrow = if rest.is_ascii() { rest.len() } else { rest.bytes().take_while(u8::is_ascii).count() };
        let (ascii, after) = rest.split_at(narrow);
        ascii.as_bytes().chunks(BLOCK).for_each(|block| fold_narrow(out, block, &mut amid));
        let mut wide = after.chars();
        wide.next().into_iter().for_each(|c| fold_wide(out, c, &mut amid));
        rest = wide.as_str();
    }
    if amid {
        out.push(' ');
    }
}

/// Bytes of ASCII that are folded at once.
const BLOCK: usize = 256;

/// For each byte its letter in lower case or its digit; a space for all else.
static NARROW: LazyLock<[u8; 256]> = LazyLock::new(|| {
    std::array::from_fn(|byte| match u8::try_from(byte) {
        Ok(byte) if byte.is_ascii_alphanumeric() => byte.to_ascii_lowercase(),
        _ => b' ',
    })
});

/// ASCII, at most [`BLOCK`] of it. It decides nothing by its bytes but what is written: where a word ends cannot be
/// foreseen, and a processor that guesses wrong at every word takes twice as long.
fn fold_narrow(out: &mut String, text: &[u8], amid: &mut bool) {
    let mut folded = [0; BLOCK];
    let mut length = 0;
    let mut before = if *amid { b'x' } else { b' ' };
    let table = &*NARROW;
    for byte in text {
        let now = table.get(usize::from(*byte)).copied().unwrap_or(b' ');
        if let Some(slot) = folded.get_mut(length) {
            *slot = now;
        }
        // The second of two spaces is written over.
        length += usize::from(now != b' ' || before != b' ');
        before = now;
    }
    out.push_str(folded.get(..length).and_then(|folded| std::str::from_utf8(folded).ok()).unwrap_or_default());
    *amid = before != b' ';
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

/// The words of a folded text without the space in front of it, each with its hash.
pub(crate) fn hashed(folded: &str) -> impl Iterator<Item = (&str, u64)> {
    let mut rest = folded;
    std::iter::from_fn(move || {
        let end = rest.bytes().position(|byte| byte == b' ')?;
        let word = rest.get(..end)?;
        rest = rest.get(end + 1..)?;
        Some((word, hash(word)))
    })
}

/// A word's hash. It only spares searches, so nothing is won by finding collisions.
pub(crate) fn hash(word: &str) -> u64 {
    // 2^64 divided by the golden ratio (Knuth); the best bits of a product are its highest.
    let mix = |hash: u64, part: u64| (hash.rotate_left(32) ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (mut rest, mut hash) = (word.as_bytes(), 0);
    while let Some((eight, after)) = rest.split_first_chunk() {
        (rest, hash) = (after, mix(hash, u64::from_le_bytes(*eight)));
    }
    // Up to seven bytes: two fours that overlap, or one after another.
    let tail = match (rest.first_chunk(), rest.last_chunk()) {
        (Some(head), Some(end)) => u64::from(u32::from_le_bytes(*head)) << 32 | u64::from(u32::from_le_bytes(*end)),
        _ => rest.iter().fold(0, |tail, byte| tail << 8 | u64::from(*byte)),
    };
    mix(hash, tail ^ (word.len() as u64) << 56)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same, a character at a time.
    fn plainly(text: &str) -> String {
        let (mut out, mut amid) = (String::new(), false);
        for c in text.chars() {
            if c.is_ascii_alphanumeric() {
                out.push(c.to_ascii_lowercase());
                amid = true;
            } else if !c.is_ascii() {
                fold_wide(&mut out, c, &mut amid);
            } else if amid {
                out.push(' ');
                amid = false;
            }
        }
        if amid {
            out.push(' ');
        }
        out
    }

    proptest! {
        #[test]
        fn a_block_at_a_time_is_as_a_character_at_a_time(text in "([ -~\\n]{0,300}(\\PC|é|\u{200b}|ﬁ|о)?){0,4}") {
            let mut out = String::new();
            fold_into(&mut out, &text);
            prop_assert_eq!(out, plainly(&text));
        }
    }

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
