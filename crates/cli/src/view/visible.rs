//! Text from elsewhere (an agent, a file, a server) made safe for a terminal: what hides is shown, nothing moves the
//! cursor or the reading direction.

use raincoat_types::display_bytes;

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
    let plain = |part: &&[u8]| part.split(|byte| *byte == b'\\').all(|piece| display_bytes(piece).as_bytes() == piece);
    if parts().all(|part| plain(&part)) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    parts().map(display_bytes).collect::<Vec<_>>().join("\t")
}

/// One line in all, for a table or a progress bar: line ends and tabs are written out too.
pub(crate) fn single(text: &str) -> String {
    display_bytes(text.as_bytes())
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
}
