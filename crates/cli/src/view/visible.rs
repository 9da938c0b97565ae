//! Text from elsewhere (an agent, a file, a server) made safe for a terminal: what hides is shown, nothing moves the
//! cursor or the reading direction, and a letter that passes for one of another alphabet is written by its number.

use raincoat_types::display_bytes;
use unicode_script::{Script, UnicodeScript};

/// Alphabets with letters that look like one another's. A word of people's is written in one of them.
const ALIKE: [Script; 8] = [
    Script::Latin,
    Script::Cyrillic,
    Script::Greek,
    Script::Armenian,
    Script::Cherokee,
    Script::Coptic,
    Script::Lisu,
    Script::Georgian,
];
/// Characters that pass for `/`, `\`, `.` or `:` in a path.
const PASS_FOR_SIGNS: [char; 11] = [
    '\u{2024}', '\u{2044}', '\u{2215}', '\u{2216}', '\u{2236}', '\u{29f8}', '\u{29f9}', '\u{a789}', '\u{ff0e}',
    '\u{ff0f}', '\u{ff3c}',
];

/// Several lines: line ends and tabs stay, everything else that would hide is written out.
pub(crate) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (n, part) in text.split('\n').enumerate() {
        if n > 0 {
            out.push('\n');
        }
        out.push_str(&line(part.as_bytes()));
    }
    out
}

/// One line without its end: tabs stay. Where nothing hides, backslashes stay as they are too; else they are doubled,
/// so that what is written out cannot be mistaken for text.
pub(crate) fn line(bytes: &[u8]) -> String {
    let parts = || bytes.split(|byte| *byte == b'\t');
    let plain = |part: &&[u8]| part.split(|byte| *byte == b'\\').all(|piece| name(piece).as_bytes() == piece);
    if parts().all(|part| plain(&part)) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    parts().map(name).collect::<Vec<_>>().join("\t")
}

/// One line in all, for a table or a progress bar: line ends and tabs are written out too.
pub(crate) fn single(text: &str) -> String {
    name(text.as_bytes())
}

/// A name or path.
pub(crate) fn name(bytes: &[u8]) -> String {
    let shown = display_bytes(bytes);
    if shown.is_ascii() {
        return shown;
    }
    let mut out = String::with_capacity(shown.len());
    let mut rest = shown.as_str();
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        let (word, more) = rest.split_at(end);
        push_word(&mut out, word);
        let mut more = more.chars();
        match more.next() {
            Some(sign) if PASS_FOR_SIGNS.contains(&sign) => push_number(&mut out, sign),
            Some(sign) => out.push(sign),
            None => {}
        }
        rest = more.as_str();
    }
    out
}

/// A word: where letters of several alphabets stand in it, those that are not of its first one, or not Latin beside
/// Latin, are written by their numbers.
fn push_word(out: &mut String, word: &str) {
    let scripts = || word.chars().map(|c| c.script()).filter(|script| ALIKE.contains(script));
    let first = scripts().next();
    let own = if scripts().any(|script| script == Script::Latin) { Some(Script::Latin) } else { first };
    for c in word.chars() {
        let script = c.script();
        if ALIKE.contains(&script) && Some(script) != own { push_number(out, c) } else { out.push(c) }
    }
}

fn push_number(out: &mut String, c: char) {
    out.push_str(&format!("\\u{{{:04x}}}", u32::from(c)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_shown_and_the_rest_stays() {
        assert_eq!(text("a\tb\\n\nc"), "a\tb\\n\nc");
        assert_eq!(text("a\u{202e}b\\"), "a\\u{202e}b\\\\");
        assert_eq!(text("x\x1b[2J\ny"), "x\\u{001b}[2J\ny");
        assert_eq!(line(b"\xff\t\\"), "\\xff\t\\\\");
        assert_eq!(single("a\nb"), "a\\nb");
    }

    #[test]
    fn letters_that_pass_for_others_are_written_by_their_numbers_and_words_of_people_stay() {
        for (given, shown) in [
            ("p\u{430}ypal.com", "p\\u{0430}ypal.com"),
            ("\u{441}onfig", "\\u{0441}onfig"),
            ("re\u{3b1}dme", "re\\u{03b1}dme"),
            ("home\u{2215}user", "home\\u{2215}user"),
            ("a\u{2024}exe", "a\\u{2024}exe"),
            ("\u{3b1}\u{430}", "\u{3b1}\\u{0430}"),
        ] {
            assert_eq!(single(given), shown);
            assert_eq!(text(given), shown);
        }
        for whole in
            ["отчёт 2026.pdf", "Überweisung", "naïve café", "ελληνικά/doc", "報告書 v2.txt", "日本語ファイル", "π-r2"]
        {
            assert_eq!(single(whole), whole);
        }
    }
}
