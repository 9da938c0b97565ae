//! Noticing that a model says the same thing over and over: small models fall into that and never come out.

/// Bytes of a reply's end that are looked at.
const LOOK: usize = 4096;
/// The longest stretch whose repetition counts: it is there at least four times then.
const PERIOD: usize = LOOK / 4;
/// Bytes of new text between two looks.
const EVERY: usize = 1024;

/// Listens to a reply.
#[derive(Debug, Default)]
pub(crate) struct Rambling {
    tail: Vec<u8>,
    since: usize,
}

impl Rambling {
    /// Takes in what was said next; whether the last 4 KiB are one stretch (of at most 1 KiB) repeated.
    pub(crate) fn hears(&mut self, words: &str) -> bool {
        self.tail.extend_from_slice(words.as_bytes());
        self.since += words.len();
        if self.since < EVERY || self.tail.len() < LOOK {
            return false;
        }
        self.since = 0;
        let old = self.tail.len() - LOOK;
        self.tail.drain(..old);
        period(&self.tail) <= PERIOD
    }
}

/// The shortest period of some bytes: the length less the longest border (Knuth, Morris, Pratt 1977).
fn period(bytes: &[u8]) -> usize {
    let mut borders = vec![0_usize; bytes.len()];
    let mut matched = 0;
    for (at, byte) in bytes.iter().enumerate().skip(1) {
        while matched > 0 && bytes.get(matched) != Some(byte) {
            matched = borders.get(matched - 1).copied().unwrap_or(0);
        }
        if bytes.get(matched) == Some(byte) {
            matched += 1;
        }
        if let Some(border) = borders.get_mut(at) {
            *border = matched;
        }
    }
    bytes.len() - borders.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rambles(text: &str) -> bool {
        let mut rambling = Rambling::default();
        text.as_bytes().chunks(7).any(|piece| rambling.hears(&String::from_utf8_lossy(piece)))
    }

    #[test]
    fn the_same_sentence_without_end_is_noticed_and_real_text_is_not() {
        assert!(rambles(&"each file is a directory, and each directory is a file. ".repeat(200)));
        let start = "Here is what I found in your folder:\n";
        assert!(rambles(&format!("{start}{}", "- the list\n".repeat(900))));
        let lines: String = (0..2000).map(|n| format!("- invoice-{n}.pdf goes to Documents\n")).collect();
        assert!(!rambles(&lines));
        assert!(!rambles(&"x".repeat(4000)), "a short stretch may be a rule or a table");
    }

    #[test]
    fn a_period_is_the_shortest() {
        assert_eq!(period(b"abcabcabcab"), 3);
        assert_eq!(period(b"abcd"), 4);
        assert_eq!(period(b"aaaa"), 1);
    }
}
