//! What a grant lets be done, the modes that take some of it away, and amounts that count against a budget.

use std::fmt;

use bitflags::bitflags;
use serde::{Deserialize, Serialize};

bitflags! {
    /// Kinds of things that a grant lets be done in its folder.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
    pub struct Actions: u8 {
        /// Looking at names and reading content.
        const READ = 1;
        /// Making, changing and moving files.
        const WRITE = 2;
        /// Deleting files and folders.
        const DELETE = 4;
        /// Running programs in a draft of it.
        const EXEC = 8;
        /// Letting what it holds leave the machine: to a model elsewhere, or to a host.
        const SEND = 16;
    }
}

bitflags! {
    /// Modes in force. They combine, and each only takes away.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
    pub struct Modes: u8 {
        /// Every change asks; no programs; nothing acts that has read what others may have written; a missing layer of
        /// the kernel's refuses.
        const STRICT = 1;
        /// Looks, and what is said to models and by them, stand in the log too.
        const AUDIT = 2;
        /// No network but this machine's.
        const OFFLINE = 4;
        /// Reading and drafts only.
        const RESTRICTED = 8;
    }
}

impl Actions {
    /// What a grant allows that is for reading only.
    pub const READING: Actions = Actions::READ.union(Actions::EXEC).union(Actions::SEND);
}

fn names<F: bitflags::Flags + Copy>(flags: F, between: &str) -> String {
    flags.iter_names().map(|(name, _)| name.to_ascii_lowercase()).collect::<Vec<_>>().join(between)
}

impl Actions {
    /// Reads `read,write,delete,exec,send`, in any order and case; every word must be an action, and there must be one.
    ///
    /// # Errors
    /// The word that names no action.
    pub fn from_words(text: &str) -> Result<Actions, String> {
        let mut all = Actions::empty();
        for word in text.split(',').map(str::trim) {
            let found = Actions::all().iter_names().find(|(name, _)| name.eq_ignore_ascii_case(word));
            all |= found.ok_or_else(|| word.to_owned())?.1;
        }
        Ok(all)
    }
}

/// Names in lower case, parted by commas.
impl fmt::Display for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&names(*self, ","))
    }
}

/// Names in lower case, parted by spaces; `normal` where there is none.
impl fmt::Display for Modes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() { f.write_str("normal") } else { f.write_str(&names(*self, " ")) }
    }
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Measure {
    /// Files and folders that are changed.
    Files,
    /// Bytes that are written, or go with what is deleted.
    Bytes,
    /// Files and folders that are deleted.
    Deletions,
    /// People or addresses that something is sent to.
    Recipients,
    /// Requests to models.
    Requests,
    /// What models cost, in millionths of the currency.
    Spend,
    /// Seconds since the run began.
    Seconds,
    /// Files and folders that are changed within a minute.
    Rate,
}

impl Measure {
    /// All of them, in the order that [`Amounts`] has.
    pub const ALL: [Measure; 8] = [
        Measure::Files,
        Measure::Bytes,
        Measure::Deletions,
        Measure::Recipients,
        Measure::Requests,
        Measure::Spend,
        Measure::Seconds,
        Measure::Rate,
    ];

    /// Its name, as settings write it.
    pub fn name(self) -> &'static str {
        match self {
            Measure::Files => "files",
            Measure::Bytes => "bytes",
            Measure::Deletions => "deletions",
            Measure::Recipients => "recipients",
            Measure::Requests => "requests",
            Measure::Spend => "spend",
            Measure::Seconds => "seconds",
            Measure::Rate => "rate",
        }
    }
}

/// An amount of each measure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Amounts([u64; 8]);

impl Amounts {
    /// How much of one.
    pub fn of(&self, measure: Measure) -> u64 {
        self.0.get(measure as usize).copied().unwrap_or(0)
    }

    /// The same with so much of one.
    #[must_use]
    pub fn with(mut self, measure: Measure, amount: u64) -> Amounts {
        if let Some(slot) = self.0.get_mut(measure as usize) {
            *slot = amount;
        }
        self
    }

    /// Both together. What does not fit is the most there is, so that no sum comes out small.
    #[must_use]
    pub fn plus(mut self, other: &Amounts) -> Amounts {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum = sum.saturating_add(more));
        self
    }
}

/// The most of each measure; a measure that has none is not bounded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ceilings([Option<u64>; 8]);

impl Ceilings {
    /// The most of one.
    pub fn of(&self, measure: Measure) -> Option<u64> {
        self.0.get(measure as usize).copied().flatten()
    }

    /// The same with this as the most of one.
    #[must_use]
    pub fn with(mut self, measure: Measure, most: Option<u64>) -> Ceilings {
        if let Some(slot) = self.0.get_mut(measure as usize) {
            *slot = most;
        }
        self
    }

    /// The first measure that these amounts go beyond, and what is the most of it.
    pub fn passed_by(&self, amounts: &Amounts) -> Option<(Measure, u64)> {
        Measure::ALL.into_iter().find_map(|measure| {
            let most = self.of(measure)?;
            (amounts.of(measure) > most).then_some((measure, most))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        assert_eq!(Actions::from_words("Write, read").unwrap(), Actions::READ | Actions::WRITE);
        assert_eq!(Actions::all().to_string(), "read,write,delete,exec,send");
        assert_eq!(Actions::from_words("read,fly").unwrap_err(), "fly");
        assert_eq!(Actions::from_words("").unwrap_err(), "");
        assert_eq!((Modes::OFFLINE | Modes::STRICT).to_string(), "strict offline");
        assert_eq!(Modes::empty().to_string(), "normal");
    }

    #[test]
    fn a_sum_that_does_not_fit_is_the_most_there_is() {
        let much = Amounts::default().with(Measure::Bytes, u64::MAX);
        assert_eq!(much.plus(&much).of(Measure::Bytes), u64::MAX);
        let most = Ceilings::default().with(Measure::Bytes, Some(5)).with(Measure::Rate, Some(2));
        assert_eq!(most.passed_by(&Amounts::default().with(Measure::Bytes, 5)), None);
        assert_eq!(most.passed_by(&Amounts::default().with(Measure::Bytes, 6)), Some((Measure::Bytes, 5)));
        assert_eq!(most.passed_by(&Amounts::default().with(Measure::Rate, 3)), Some((Measure::Rate, 2)));
        assert_eq!(most.passed_by(&Amounts::default().with(Measure::Files, 1 << 40)), None);
    }
}
