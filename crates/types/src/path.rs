//! Paths as bytes. A [`RawPath`] is what somebody said; a [`RelPath`] is what the kernel found it to be, beneath a
//! grant. Only the resolver in `effects` turns one into the other, with descriptors.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::GrantId;

/// A path as an agent or a person wrote it: any bytes at all, trusted with nothing.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RawPath(#[serde(with = "serde_bytes")] pub Vec<u8>);

/// A canonical path beneath a grant: components joined by `/`, none of them empty, `.`, `..` or with a NUL.
/// The empty path is the granted folder itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub struct RelPath(#[serde(with = "serde_bytes")] Vec<u8>);

/// A place on disk: a grant and a canonical path beneath it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Spot {
    /// The granted folder.
    pub grant: GrantId,
    /// The path beneath it.
    pub path: RelPath,
}

/// Why bytes are not a canonical path.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PathError {
    /// A name is empty, `.` or `..`.
    #[error("a name in the path is empty, `.` or `..`")]
    NotCanonical,
    /// A NUL byte: no file can be called that.
    #[error("the path has a NUL byte in it")]
    Nul,
    /// Longer than the kernel takes (4,096 bytes in all, 255 a name).
    #[error("the path is longer than the system allows")]
    TooLong,
}

impl RawPath {
    /// The path as text for a person, with control and direction-changing characters made visible.
    pub fn display(&self) -> String {
        display_bytes(&self.0)
    }
}

impl From<&str> for RawPath {
    fn from(text: &str) -> Self {
        RawPath(text.as_bytes().to_vec())
    }
}

impl RelPath {
    /// The granted folder itself.
    pub const ROOT: RelPath = RelPath(Vec::new());

    /// Takes bytes that are already canonical.
    ///
    /// # Errors
    /// [`PathError`] where they are not.
    pub fn new(bytes: &[u8]) -> Result<RelPath, PathError> {
        if bytes.is_empty() {
            return Ok(RelPath::ROOT);
        }
        if bytes.len() >= 4096 {
            return Err(PathError::TooLong);
        }
        for name in bytes.split(|b| *b == b'/') {
            check_name(name)?;
        }
        Ok(RelPath(bytes.to_vec()))
    }

    /// This path with one more name.
    ///
    /// # Errors
    /// [`PathError`] where the name cannot be a name, or the whole grows too long.
    pub fn join(&self, name: &[u8]) -> Result<RelPath, PathError> {
        check_name(name)?;
        if self.0.len() + name.len() + 1 >= 4096 {
            return Err(PathError::TooLong);
        }
        let mut out = self.0.clone();
        if !out.is_empty() {
            out.push(b'/');
        }
        out.extend_from_slice(name);
        Ok(RelPath(out))
    }

    /// The folder that holds this, and the last name. `None` for the granted folder itself.
    pub fn split_last(&self) -> Option<(RelPath, &[u8])> {
        if self.0.is_empty() {
            return None;
        }
        match self.0.iter().rposition(|b| *b == b'/') {
            Some(at) => Some((RelPath(self.0.get(..at)?.to_vec()), self.0.get(at + 1..)?)),
            None => Some((RelPath::ROOT, &self.0)),
        }
    }

    /// The names, outermost first.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|b| *b == b'/').filter(|name| !name.is_empty())
    }

    /// Whether this is the granted folder itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `self` is `other` or lies below it, name by name. Both are canonical beneath one grant, so this orders
    /// work (children before their folder); it never decides what may be reached.
    pub fn starts_with(&self, other: &RelPath) -> bool {
        other.is_root()
            || self.0 == other.0
            || (self.0.starts_with(&other.0) && self.0.get(other.0.len()) == Some(&b'/'))
    }

    /// The bytes, names joined by `/`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path as text for a person, `.` for the granted folder, with invisible characters made visible.
    pub fn display(&self) -> String {
        if self.0.is_empty() { ".".to_owned() } else { display_bytes(&self.0) }
    }
}

fn check_name(name: &[u8]) -> Result<(), PathError> {
    match name {
        b"" | b"." | b".." => Err(PathError::NotCanonical),
        _ if name.contains(&0) => Err(PathError::Nul),
        _ if name.contains(&b'/') => Err(PathError::NotCanonical),
        _ if name.len() > 255 => Err(PathError::TooLong),
        _ => Ok(()),
    }
}

/// Bytes as text for a person: valid UTF-8 stays, other bytes become `\xNN`; control, invisible and
/// direction-changing characters become `\u{NNNN}`, so that what is shown is what is there.
pub fn display_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for part in bytes.utf8_chunks() {
        for c in part.valid().chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                '\\' => out.push_str("\\\\"),
                c if is_deceptive(c) => out.push_str(&format!("\\u{{{:04x}}}", c as u32)),
                c => out.push(c),
            }
        }
        for b in part.invalid() {
            out.push_str(&format!("\\x{b:02x}"));
        }
    }
    out
}

/// Text of somebody's for a person to read: lines and tabs stay, everything else that hides, moves or colours text on
/// a terminal is made visible.
pub fn display_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            // Joins emoji; a terminal shows the parts at worst.
            '\u{fe0f}' | '\u{200d}' => out.push(c),
            c if is_deceptive(c) => out.push_str(&format!("\\u{{{:04x}}}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

/// Characters that are invisible, change the direction of text, or control a terminal (Unicode TR 36 and TR 39).
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
        || (c.is_whitespace() && c != ' ')
}

impl fmt::Debug for RawPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.display())
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_bytes_are_a_path() {
        for bad in ["/etc", "a//b", "a/../b", ".", "..", "a/", "a\0b"] {
            assert!(RelPath::new(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(RelPath::new(&[b'x'; 256]).is_err());
        assert_eq!(RelPath::new(b"a/b").unwrap().names().count(), 2);
    }

    #[test]
    fn a_sibling_with_the_same_prefix_is_not_below() {
        let docs = RelPath::new(b"docs").unwrap();
        assert!(!RelPath::new(b"docs-old/x").unwrap().starts_with(&docs));
        assert!(RelPath::new(b"docs/x").unwrap().starts_with(&docs));
        assert!(docs.starts_with(&RelPath::ROOT));
    }

    /// Every byte string of up to seven of these bytes, against the plainest definition by lists of names; every pair of
    /// the shorter paths among them.
    #[test]
    fn in_a_small_world_containment_is_that_of_names() {
        let mut all: Vec<Vec<u8>> = vec![Vec::new()];
        let mut last = all.clone();
        for _ in 0..7 {
            let longer = |text: &Vec<u8>| [b'a', b'b', b'/', b'.', 0].map(|byte| [text.as_slice(), &[byte]].concat());
            last = last.iter().flat_map(longer).collect();
            all.extend(last.iter().cloned());
        }
        assert_eq!(all.len(), (5_usize.pow(8) - 1) / 4);
        let names = |text: &[u8]| -> Option<Vec<Vec<u8>>> {
            if text.is_empty() {
                return Some(Vec::new());
            }
            let names: Vec<Vec<u8>> = text.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect();
            let is_name = |name: &Vec<u8>| !name.is_empty() && name != b"." && name != b".." && !name.contains(&0);
            names.iter().all(is_name).then_some(names)
        };
        let mut short = Vec::new();
        for text in &all {
            let path = RelPath::new(text);
            assert_eq!(path.is_ok(), names(text).is_some(), "{text:?}");
            if let (Ok(path), Some(names)) = (path, names(text)) {
                assert_eq!(path.names().map(<[u8]>::to_vec).collect::<Vec<_>>(), names);
                let joined = names.iter().try_fold(RelPath::ROOT, |at, name| at.join(name)).unwrap();
                assert_eq!(joined, path, "a path is its names, joined");
                if let Some((folder, name)) = path.split_last() {
                    assert!(
                        folder.join(name).unwrap() == path && path.starts_with(&folder) && !folder.starts_with(&path)
                    );
                }
                if text.len() <= 5 {
                    short.push((path, names));
                }
            }
        }
        for (path, its) in &short {
            for (other, others) in &short {
                assert_eq!(path.starts_with(other), its.starts_with(others), "{path:?} {other:?}");
            }
        }
        assert!(short.len() > 300, "{}", short.len());
    }

    #[test]
    fn what_hides_is_shown() {
        assert_eq!(display_bytes("a\u{202e}b".as_bytes()), "a\\u{202e}b");
        assert_eq!(display_bytes(b"a\xffb\n\x1b[2J"), "a\\xffb\\n\\u{001b}[2J");
        assert_eq!(display_bytes("Grüße 日本".as_bytes()), "Grüße 日本");
        assert_eq!(display_text("a\n\tb\u{1b}[2J\u{202e}"), "a\n\tb\\u{001b}[2J\\u{202e}");
    }
}
