//! What is done with the log itself, as it stands in the log: erasures, retention, holds, pruning, and a person's word
//! that a log behind its memories is the right one. Sealed under the log's key alone, so that it stays readable
//! whatever is erased, and never with a subject's name: subjects go by the number of their slot.
//!
//! The rules and holds in force are what these entries say, one after the other. Pruning repeats them first.
//!
//! As with [`crate::Event`], a released variant keeps its bytes, and new ones go to the end.

use serde::{Deserialize, Serialize};

/// Something done with the log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Care {
    /// Keys of subjects are destroyed. Durable before they are.
    Erased {
        /// Their slots.
        slots: Vec<u32>,
        /// Because of what.
        by: Erasure,
    },
    /// Entries of a class are to be kept so long.
    Kept {
        /// The class's number ([`crate::Class`]).
        class: u8,
        /// For so many seconds; for ever where it is `None`.
        secs: Option<u64>,
    },
    /// What is in these slots is held: neither erased nor pruned.
    Held {
        /// The hold's number, counted from 1.
        hold: u32,
        /// The slots.
        slots: Vec<u32>,
        /// Why, in the person's words.
        because: String,
    },
    /// A hold was released.
    Released {
        /// Its number.
        hold: u32,
    },
    /// Entries before this one are thrown away. Durable before they are.
    Pruned {
        /// The first entry that stays: the minimum index of tlog-tiles.
        minimum: u64,
    },
    /// A person said that the log is the right one, though a memory outside it knows more.
    Accepted {
        /// What the memories said.
        said: Vec<String>,
    },
}

/// Why keys are destroyed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Erasure {
    /// A person asked for it.
    Asked,
    /// Their time was over.
    Retention,
}

impl Care {
    /// What sort of thing, by a stable name for machines.
    pub fn kind(&self) -> &'static str {
        match self {
            Care::Erased { .. } => "log.erased",
            Care::Kept { .. } => "log.retention-changed",
            Care::Held { .. } => "log.hold-placed",
            Care::Released { .. } => "log.hold-released",
            Care::Pruned { .. } => "log.pruned",
            Care::Accepted { .. } => "log.head-accepted",
        }
    }

    pub(crate) fn words(&self) -> String {
        match self {
            Care::Erased { slots, by } => {
                let why = match by {
                    Erasure::Asked => "a person asked for it",
                    Erasure::Retention => "retention",
                };
                format!("erased what is under {} ({why})", numbers(slots))
            }
            Care::Kept { class, secs } => {
                let class = crate::Class::of_number(*class).map_or("an unknown class", crate::Class::name);
                match secs {
                    Some(secs) => format!("retention of {class}: {} days", secs / 86_400),
                    None => format!("retention of {class}: for ever"),
                }
            }
            Care::Held { hold, slots, because } => format!("hold {hold} on {}: {because}", numbers(slots)),
            Care::Released { hold } => format!("hold {hold} released"),
            Care::Pruned { minimum } => format!("entries before {minimum} pruned"),
            Care::Accepted { said } => {
                format!("a person accepted the log as it is, though it is behind: {}", said.join("; "))
            }
        }
    }
}

fn numbers(slots: &[u32]) -> String {
    const SHOWN: usize = 8;
    let some: Vec<String> = slots.iter().take(SHOWN).map(u32::to_string).collect();
    let more = slots.len().saturating_sub(SHOWN);
    let word = if slots.len() == 1 { "slot" } else { "slots" };
    if more == 0 { format!("{word} {}", some.join(" ")) } else { format!("{word} {} and {more} more", some.join(" ")) }
}

#[cfg(test)]
pub(crate) fn samples() -> Vec<Care> {
    let text = || "x".to_owned();
    vec![
        Care::Erased { slots: vec![1, 300], by: Erasure::Asked },
        Care::Kept { class: 3, secs: Some(9) },
        Care::Held { hold: 1, slots: vec![2], because: text() },
        Care::Released { hold: 1 },
        Care::Pruned { minimum: 256 },
        Care::Accepted { said: vec![text()] },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If this fails, logs that people have can no longer be read: add a variant instead of changing one.
    #[test]
    fn every_care_keeps_its_bytes() {
        let bytes: Vec<Vec<u8>> = samples().iter().map(|care| postcard::to_stdvec(care).unwrap()).collect();
        let golden: [&[u8]; 6] =
            [&[0, 2, 1, 0xac, 2, 0], &[1, 3, 1, 9], &[2, 1, 1, 2, 1, b'x'], &[3, 1], &[4, 0x80, 2], &[5, 1, 1, b'x']];
        assert_eq!(bytes, golden);
        assert!(samples().iter().all(|care| !care.words().is_empty()));
    }
}
