//! Patterns of `rename`: which names, and what they become.

use regex::bytes::{Captures, Regex, RegexBuilder};

use super::dates::Day;
use super::names;

/// A name pattern and a template, ready to use.
#[derive(Debug)]
pub(super) struct Pattern {
    from: Regex,
    to: Vec<Piece>,
    keeps_ext: bool,
}

/// A piece of a template.
#[derive(Debug, PartialEq)]
enum Piece {
    Text(String),
    Group(String),
    Name,
    Ext,
    Date,
    Number(usize),
}

impl Pattern {
    /// Reads both halves.
    pub(super) fn new(from: &str, to: &str, is_glob: bool) -> Result<Pattern, String> {
        let source = if is_glob { glob_as_regex(from) } else { from.to_owned() };
        let from = RegexBuilder::new(&source)
            .size_limit(1 << 20)
            .build()
            .map_err(|e| format!("`{from}` is no pattern that can be read: {e}"))?;
        let to_pieces = pieces(to)?;
        for piece in &to_pieces {
            let Piece::Group(group) = piece else { continue };
            let known = match group.parse::<usize>() {
                Ok(n) => n < from.captures_len(),
                Err(_) => from.capture_names().flatten().any(|name| name == group),
            };
            if !known {
                return Err(format!(
                    "`{to}` asks for `${group}`, which the pattern does not have; see what it captures"
                ));
            }
        }
        let keeps_ext = !to.contains('.') && !to_pieces.contains(&Piece::Ext);
        Ok(Pattern { from, to: to_pieces, keeps_ext })
    }

    /// Whether a name is meant.
    pub(super) fn holds(&self, name: &[u8]) -> bool {
        self.from.is_match(name)
    }

    /// The new name, where the old one is meant. `n` counts from 1.
    pub(super) fn rename(&self, name: &[u8], day: Option<Day>, n: usize) -> Option<Vec<u8>> {
        let captures = self.from.captures(name)?;
        let (stem, dot_ext) = names::stem_and_dot_ext(name);
        let mut out = Vec::new();
        for piece in &self.to {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Group(group) => out.extend_from_slice(capture(&captures, group)),
                Piece::Name => out.extend_from_slice(stem),
                Piece::Ext => out.extend_from_slice(dot_ext.strip_prefix(b".").unwrap_or_default()),
                Piece::Date => out.extend_from_slice(day.map_or_else(|| "undated".to_owned(), Day::name).as_bytes()),
                Piece::Number(width) => out.extend_from_slice(format!("{n:0width$}").as_bytes()),
            }
        }
        if self.keeps_ext {
            out.extend_from_slice(dot_ext);
        }
        Some(out)
    }
}

fn capture<'n>(captures: &Captures<'n>, group: &str) -> &'n [u8] {
    let found = match group.parse::<usize>() {
        Ok(n) => captures.get(n),
        Err(_) => captures.name(group),
    };
    found.map(|found| found.as_bytes()).unwrap_or_default()
}

/// `*` is any bytes and `?` one character, each a group; everything else stands for itself. For the whole name.
fn glob_as_regex(glob: &str) -> String {
    let mut out = String::from("^");
    for c in glob.chars() {
        match c {
            '*' => out.push_str("((?s-u:.)*)"),
            '?' => out.push_str("((?s).)"),
            c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push('$');
    out
}

fn pieces(template: &str) -> Result<Vec<Piece>, String> {
    let mut out = Vec::new();
    let mut text = String::new();
    let mut rest = template;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let (piece, next) = match c {
            '$' | '{' if after.starts_with(c) => {
                text.push(c);
                (None, after.get(1..).unwrap_or_default())
            }
            '$' => {
                let (group, next) = group(after).ok_or_else(|| {
                    format!("`{template}` has a `$` without a group after it; write $1, ${{name}}, or $$ for a dollar")
                })?;
                (Some(Piece::Group(group.to_owned())), next)
            }
            '{' => {
                let (inside, next) = after.split_once('}').ok_or_else(|| {
                    format!("`{template}` has a `{{` that is not closed; write {{{{ for the character itself")
                })?;
                (
                    Some(field(inside).ok_or_else(|| {
                        format!("`{{{inside}}}` is unknown; there are {{name}}, {{ext}}, {{date}}, {{n}} and {{n:03}}")
                    })?),
                    next,
                )
            }
            c => {
                text.push(c);
                (None, after)
            }
        };
        if let Some(piece) = piece {
            if !text.is_empty() {
                out.push(Piece::Text(std::mem::take(&mut text)));
            }
            out.push(piece);
        }
        rest = next;
    }
    if !text.is_empty() {
        out.push(Piece::Text(text));
    }
    Ok(out)
}

/// `1`, `name` in braces: the group and what follows.
fn group(after: &str) -> Option<(&str, &str)> {
    if let Some(braced) = after.strip_prefix('{') {
        return braced.split_once('}').filter(|(group, _)| !group.is_empty());
    }
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    after.split_at_checked(digits).filter(|(group, _)| !group.is_empty())
}

fn field(inside: &str) -> Option<Piece> {
    match inside {
        "name" => Some(Piece::Name),
        "ext" => Some(Piece::Ext),
        "date" => Some(Piece::Date),
        "n" => Some(Piece::Number(1)),
        _ => {
            let width: usize = inside.strip_prefix("n:")?.parse().ok()?;
            (1..=18).contains(&width).then_some(Piece::Number(width))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled() {
        let check = |from: &str, to: &str, glob: bool, name: &[u8], want: &[u8]| {
            let got = Pattern::new(from, to, glob).unwrap().rename(name, Day::new(2023, 7, 14), 7).unwrap();
            assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(want));
        };
        check("IMG_*.jpg", "{date} $1.{ext}", true, b"IMG_12.jpg", b"2023-07-14 12.jpg");
        check("*", "photo-{n:03}", true, b"a.JPG", b"photo-007.JPG");
        check(r"^(?<a>\w+)-(\d+)", "$2_${a}", false, b"scan-5.pdf", b"5_scan.pdf");
        check("*", "$$1 {{x} {name}", true, b"a.txt", b"$1 {x} a.txt");
        check("*.tar.gz", "$1.{ext}", true, b"\xff.tar.gz", b"\xff.tar.gz");
        check("?.txt", "{n}-$1.txt", true, "ä.txt".as_bytes(), "7-ä.txt".as_bytes());
        assert!(!Pattern::new("a.b", "x", true).unwrap().holds(b"axb"));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let check = |from: &str, to: &str, glob: bool, want: &str| {
            let error = Pattern::new(from, to, glob).unwrap_err();
            assert!(error.contains(want), "{error}");
        };
        check("(", "x", false, "no pattern");
        check("a{1000}{1000}{1000}", "x", false, "no pattern");
        check("*", "$2", true, "asks for `$2`");
        check("*", "{size}", true, "`{size}` is unknown");
        check("*", "{n", true, "not closed");
        check("*", "a$", true, "without a group");
    }
}
