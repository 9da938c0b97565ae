//! JSON, and literals of languages that look like it: single quotes, tuples, `None`, calls such as `date(2024, 5, 1)`.

use super::Records;

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    out: Records,
}

/// None where the text is not of this kind as a whole.
pub(super) fn parse(text: &str, depth: usize) -> Option<Records> {
    let mut reader = Reader { text, at: 0, depth, out: Records::default() };
    let top = reader.out.record(None);
    reader.value(top, "", false)?;
    reader.space();
    (reader.at == text.len()).then_some(reader.out)
}

impl Reader<'_> {
    fn value(&mut self, record: usize, column: &str, in_list: bool) -> Option<()> {
        self.space();
        match self.peek()? {
            '{' => {
                let record = if in_list { self.out.record(Some(record)) } else { record };
                self.nested(|reader| reader.object(record, column))
            }
            '[' | '(' => self.nested(|reader| reader.list(record, column)),
            '"' | '\'' => {
                let text = self.string()?;
                self.out.leaf(record, column, text, true);
                Some(())
            }
            _ => {
                let word = self.bare()?;
                if !matches!(word.as_str(), "null" | "None" | "nil" | "undefined") {
                    self.out.leaf(record, column, word, true);
                }
                Some(())
            }
        }
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        self.depth = self.depth.checked_sub(1)?;
        read(self)?;
        self.depth += 1;
        Some(())
    }

    fn object(&mut self, record: usize, column: &str) -> Option<()> {
        self.take('{')?;
        loop {
            self.space();
            match self.peek()? {
                '}' => return self.take('}'),
                ',' => self.take(',')?,
                quote => {
                    let key = if matches!(quote, '"' | '\'') { self.string()? } else { self.bare()? };
                    self.space();
                    self.take(':')?;
                    let before = self.out.leaves.len();
                    self.out.key(record, column, &key);
                    let named = self.out.leaves.len() > before;
                    // Under a name everything is about what has that name.
                    let own = if named { self.out.record(Some(record)) } else { record };
                    if let Some(leaf) = self.out.leaves.get_mut(before) {
                        leaf.record = own;
                    }
                    self.value(own, &[column, ".", &key].concat(), false)?;
                }
            }
        }
    }

    fn list(&mut self, record: usize, column: &str) -> Option<()> {
        let close = if self.peek()? == '[' { ']' } else { ')' };
        self.at += 1;
        loop {
            self.space();
            match self.peek()? {
                c if c == close => return self.take(close),
                ',' => self.take(',')?,
                _ => self.value(record, column, true)?,
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        let quote = self.peek()?;
        self.at += 1;
        let mut out = String::new();
        let mark = u8::try_from(quote).ok()?;
        loop {
            let rest = self.text.get(self.at..)?;
            let plain = memchr::memchr2(mark, b'\\', rest.as_bytes())?;
            out.push_str(rest.get(..plain)?);
            self.at += plain;
            let c = self.peek()?;
            self.at += c.len_utf8();
            match c {
                c if c == quote => return Some(out),
                '\\' => {
                    let c = self.peek()?;
                    self.at += c.len_utf8();
                    match c {
                        'n' => out.push('\n'),
                        't' => out.push('\t'),
                        'r' => out.push('\r'),
                        'u' => out.push(self.code(4)?),
                        'x' => out.push(self.code(2)?),
                        other => out.push(other),
                    }
                }
                c => out.push(c),
            }
        }
    }

    /// A code in hex; two that make a pair are one character.
    fn code(&mut self, digits: usize) -> Option<char> {
        let one = self.hex(digits)?;
        if (0xd800..0xdc00).contains(&one) && self.text.get(self.at..)?.starts_with("\\u") {
            self.at += 2;
            let two = self.hex(4)?;
            return Some(
                char::from_u32(0x10000 + ((one - 0xd800) << 10) + (two.wrapping_sub(0xdc00) & 0x3ff))
                    .unwrap_or('\u{fffd}'),
            );
        }
        Some(char::from_u32(one).unwrap_or('\u{fffd}'))
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        let code = self.text.get(self.at..self.at + digits)?;
        self.at += digits;
        u32::from_str_radix(code, 16).ok()
    }

    /// A number, a word, or a call with what it is given.
    fn bare(&mut self) -> Option<String> {
        let (from, mut open) = (self.at, 0_usize);
        while let Some(c) = self.peek() {
            match c {
                '(' => open += 1,
                ')' if open > 0 => open -= 1,
                ',' | ':' | '}' | ']' | ')' if open == 0 => break,
                '\n' | '{' | '"' => return None,
                _ => {}
            }
            self.at += c.len_utf8();
        }
        let word = self.text.get(from..self.at)?.trim();
        (!word.is_empty() && word.len() <= 200).then(|| word.to_owned())
    }

    fn space(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn take(&mut self, c: char) -> Option<()> {
        (self.peek()? == c).then(|| self.at += c.len_utf8())
    }
}
