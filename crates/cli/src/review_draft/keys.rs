//! What a terminal sends, as keys. Bytes come in pieces, an escape sequence in two reads or ten in one; what is no
//! key of ours is swallowed whole, so that no part of it is taken for one.

/// What the person did, or what became of the terminal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Press {
    Char(char),
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Tab,
    Enter,
    Escape,
    Backspace,
    /// Ctrl and a letter.
    Ctrl(char),
    /// A text put in from elsewhere: it never counts as keys.
    Paste(String),
    /// Nothing for a while.
    Idle,
    /// The terminal has gone away, or a signal ends the program.
    Gone,
}

/// Bytes of a sequence, or of a pasted text, that are kept; the rest is thrown away.
const MOST: usize = 4096;
const PASTE_ENDS: &[u8] = b"\x1b[201~";

/// Bytes on their way to be keys.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    bytes: Vec<u8>,
    /// Within a pasted text, and that text so far.
    paste: Option<Vec<u8>>,
}

impl Keys {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Forgets what came and was not taken yet.
    pub(crate) fn forget(&mut self) {
        self.bytes.clear();
    }

    /// More bytes would tell what the ones that are here mean.
    pub(crate) fn waits(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// The next key; `None` where more bytes are needed. `last`: no more come, so an escape stands for itself.
    pub(crate) fn next(&mut self, last: bool) -> Option<Press> {
        loop {
            if self.paste.is_some() {
                return self.pasted();
            }
            let first = *self.bytes.first()?;
            let (used, press) = match first {
                0x1b => match sequence(&self.bytes) {
                    Some(found) => found,
                    None if last => (1, Some(Press::Escape)),
                    None if self.bytes.len() > MOST => (self.bytes.len(), None),
                    None => return None,
                },
                b'\r' | b'\n' => (1, Some(Press::Enter)),
                b'\t' => (1, Some(Press::Tab)),
                0x7f | 0x08 => (1, Some(Press::Backspace)),
                0x01..=0x1a => (1, Some(Press::Ctrl(char::from(first - 1 + b'a')))),
                0x00 | 0x1c..=0x1f => (1, None),
                _ => match character(&self.bytes) {
                    Some(found) => found,
                    None if last => (1, None),
                    None => return None,
                },
            };
            if self.bytes.starts_with(b"\x1b[200~") {
                self.paste = Some(Vec::new());
            }
            self.bytes.drain(..used.min(self.bytes.len()));
            if press.is_some() {
                return press;
            }
        }
    }

    fn pasted(&mut self) -> Option<Press> {
        let end = self.bytes.windows(PASTE_ENDS.len()).position(|window| window == PASTE_ENDS);
        // The end may be in two pieces.
        let take = end.unwrap_or(self.bytes.len().saturating_sub(PASTE_ENDS.len() - 1));
        let text = self.paste.as_mut()?;
        text.extend(self.bytes.drain(..take));
        text.truncate(MOST);
        end?;
        self.bytes.drain(..PASTE_ENDS.len().min(self.bytes.len()));
        let text = self.paste.take()?;
        Some(Press::Paste(String::from_utf8_lossy(&text).into_owned()))
    }
}

/// An escape sequence at the beginning: its length and its key. `None` where it is not whole.
fn sequence(bytes: &[u8]) -> Option<(usize, Option<Press>)> {
    match bytes.get(1)? {
        b'[' => {
            let rest = bytes.get(2..)?;
            let end = rest.iter().position(|byte| (0x40..=0x7e).contains(byte))?;
            let press = match (rest.get(end)?, rest.get(..end)?) {
                (b'A', _) => Some(Press::Up),
                (b'B', _) => Some(Press::Down),
                (b'C', _) => Some(Press::Right),
                (b'D', _) => Some(Press::Left),
                (b'H', _) | (b'~', b"1" | b"7") => Some(Press::Home),
                (b'F', _) | (b'~', b"4" | b"8") => Some(Press::End),
                (b'~', b"5") => Some(Press::PageUp),
                (b'~', b"6") => Some(Press::PageDown),
                (b'Z', _) => Some(Press::Tab),
                _ => None,
            };
            Some((end + 3, press))
        }
        b'O' => {
            let press = match bytes.get(2)? {
                b'A' => Some(Press::Up),
                b'B' => Some(Press::Down),
                b'C' => Some(Press::Right),
                b'D' => Some(Press::Left),
                b'H' => Some(Press::Home),
                b'F' => Some(Press::End),
                b'M' => Some(Press::Enter),
                _ => None,
            };
            Some((3, press))
        }
        // Two escapes: the first stands for itself.
        0x1b => Some((1, Some(Press::Escape))),
        // Alt and a key: no key of ours.
        _ => character(bytes.get(1..)?).map(|(used, _)| (used + 1, None)),
    }
}

/// A character in UTF-8: its bytes and itself; bytes that are none are swallowed one by one.
fn character(bytes: &[u8]) -> Option<(usize, Option<Press>)> {
    let length = match bytes.first()? {
        0x00..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Some((1, None)),
    };
    let have = bytes.get(..length.min(bytes.len()))?;
    match std::str::from_utf8(have) {
        Ok(text) => text.chars().next().map(|c| (length, Some(Press::Char(c)))),
        Err(error) if error.error_len().is_none() => None,
        Err(_) => Some((1, None)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(pieces: &[&[u8]]) -> Vec<Press> {
        let mut keys = Keys::default();
        let mut out = Vec::new();
        for piece in pieces {
            keys.feed(piece);
            out.extend(std::iter::from_fn(|| keys.next(false)));
        }
        out.extend(std::iter::from_fn(|| keys.next(true)));
        out
    }

    #[test]
    fn keys_are_known_whole_and_in_pieces() {
        use Press::{Char, Ctrl, Down, End, Enter, Escape, Home, PageUp, Tab, Up};
        assert_eq!(keys(&[b"j\r\t\x1b[A\x1bOB\x03"]), [Char('j'), Enter, Tab, Up, Down, Ctrl('c')]);
        assert_eq!(keys(&[b"\x1b", b"[", b"5", b"~", "ü".as_bytes()]), [PageUp, Char('ü')]);
        assert_eq!(keys(&[b"\xc3", b"\xbc\x1b[1;5H\x1bOF"]), [Char('ü'), Home, End]);
        assert_eq!(keys(&[b"\x1b"]), [Escape]);
        assert_eq!(keys(&[b"\x1b\x1b[A"]), [Escape, Up]);
    }

    #[test]
    fn what_is_no_key_is_swallowed_whole() {
        assert_eq!(keys(&[b"\x1b[99;1uq\x1by\xff\0q"]), [Press::Char('q'), Press::Char('q')]);
    }

    #[test]
    fn a_pasted_text_presses_no_key() {
        let pasted = keys(&[b"\x1b[200~a\ry", b"\x1b[20", b"1~q"]);
        assert_eq!(pasted, [Press::Paste("a\ry".to_owned()), Press::Char('q')]);
    }

    proptest! {
        #[test]
        fn no_bytes_whatever_are_kept_for_long(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let mut keys = Keys::default();
            for piece in pieces {
                keys.feed(piece);
                while keys.next(false).is_some() {}
                prop_assert!(keys.bytes.len() <= MOST + 40);
            }
            while keys.next(true).is_some() {}
            prop_assert!(keys.bytes.len() < PASTE_ENDS.len());
        }
    }
}
