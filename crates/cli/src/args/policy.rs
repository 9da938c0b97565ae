//! What agents may do: modes, and freezing everything.

use clap::{Args, ValueEnum};
use raincoat_types::Modes;

/// Modes to be in force.
#[derive(Args, Debug)]
pub(crate) struct Mode {
    /// Which, in the place of those before; what is in force is shown where none is given
    #[arg(value_enum)]
    pub(crate) modes: Vec<ModeWord>,
    /// For so long, then they end: 2h, 3d
    #[arg(long = "for", value_name = "DURATION", requires = "modes")]
    pub(crate) lasting: Option<String>,
    /// For this run only: its whole id
    #[arg(long, value_name = "RUN", requires = "modes")]
    pub(crate) run: Option<String>,
}

/// A mode by its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum ModeWord {
    /// Every change asks; no programs; nothing changes files that has read a document's inside; a missing layer refuses
    Strict,
    /// Looks, and every word to and from a model, stand in the log too
    Audit,
    /// No network but this machine's
    Offline,
    /// Reading and drafts only
    Restricted,
    /// None of these
    Normal,
}

impl ModeWord {
    /// All of these together.
    ///
    /// # Errors
    /// In words, where `normal` stands beside others.
    pub(crate) fn together(words: &[ModeWord]) -> Result<Modes, &'static str> {
        if words.len() > 1 && words.contains(&ModeWord::Normal) {
            return Err("`normal` stands for none of the others");
        }
        Ok(words.iter().fold(Modes::empty(), |all, word| {
            all | match word {
                ModeWord::Strict => Modes::STRICT,
                ModeWord::Audit => Modes::AUDIT,
                ModeWord::Offline => Modes::OFFLINE,
                ModeWord::Restricted => Modes::RESTRICTED,
                ModeWord::Normal => Modes::empty(),
            }
        }))
    }
}

/// A question to be answered with no.
#[derive(Args, Debug)]
pub(crate) struct Deny {
    /// The question's id, or its beginning or end (`raincoat approvals` lists them); or what was allowed for a folder
    pub(crate) id: String,
    /// What the agent is told
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) because: String,
}
