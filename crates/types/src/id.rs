//! Names of things: runs, operations, grants, actors, digests.

use std::fmt;

use serde::{Deserialize, Serialize};
pub use ulid::Ulid;

/// One task of one agent, or one undo. A ULID, so that runs sort by the time they began.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId(pub Ulid);

/// One primitive change within a run: the run and a sequence number that starts at 1 and has no gaps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OpId {
    /// The run that the operation belongs to.
    pub run: RunId,
    /// Position within the run, from 1.
    pub seq: u32,
}

/// A folder handed to agents by its owner.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GrantId(pub Ulid);

/// Who proposes: the person at the terminal, a recipe, or an agent by name.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Actor {
    /// The person who started the command. Undo and restore are theirs.
    Person,
    /// A recipe of ours, with no model in it.
    Recipe(String),
    /// An agent led by a model, by its name.
    Agent(String),
    /// A program that runs in a draft, by its profile's name, or its own where it has no profile.
    Program(String),
}

/// A BLAKE3 digest (256 bits) of a file's content, or of an action's canonical bytes. Prints as lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl RunId {
    /// Reads the 26 characters of a run's id, in either case.
    pub fn parse(text: &str) -> Option<RunId> {
        Ulid::from_string(text).ok().map(RunId)
    }
}

impl OpId {
    /// Reads `RUN/SEQ`.
    pub fn parse(text: &str) -> Option<OpId> {
        let (run, seq) = text.split_once('/')?;
        Some(OpId { run: RunId::parse(run)?, seq: seq.parse().ok().filter(|n| *n > 0)? })
    }
}

impl GrantId {
    /// Reads the 26 characters of a grant's id, in either case.
    pub fn parse(text: &str) -> Option<GrantId> {
        Ulid::from_string(text).ok().map(GrantId)
    }
}

impl Actor {
    /// The name as grants and the log write it: `person`, `recipe:tidy`, `agent:default`.
    pub fn name(&self) -> String {
        match self {
            Actor::Person => "person".to_owned(),
            Actor::Recipe(name) => format!("recipe:{name}"),
            Actor::Agent(name) => format!("agent:{name}"),
            Actor::Program(name) => format!("program:{name}"),
        }
    }
}

impl Digest {
    /// Lower-case hex, 64 characters.
    pub fn hex(&self) -> String {
        self.0.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Reads 64 hex characters.
    pub fn parse(hex: &str) -> Option<Digest> {
        if hex.len() != 64 || !hex.is_ascii() {
            return None;
        }
        let mut out = [0_u8; 32];
        for (byte, pair) in out.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Digest(out))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.run, self.seq)
    }
}

impl fmt::Debug for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_what_they_print() {
        let run = RunId(Ulid::from_parts(7, 9));
        assert_eq!(RunId::parse(&run.to_string()), Some(run));
        let op = OpId { run, seq: 12 };
        assert_eq!(OpId::parse(&op.to_string()), Some(op));
        assert_eq!(OpId::parse(&format!("{run}/0")), None);
        let digest = Digest([0xab; 32]);
        assert_eq!(Digest::parse(&digest.hex()), Some(digest));
        assert_eq!(Digest::parse("zz"), None);
    }
}
