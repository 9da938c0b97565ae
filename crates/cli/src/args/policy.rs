//! What agents may do: rules, modes, questions.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
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
    /// Every change asks; no programs; nothing acts on what others may have written; a missing layer refuses
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

/// The rules that decide.
#[derive(Subcommand, Debug)]
pub(crate) enum Policy {
    /// Show all that decides: modes, defaults, grants and your own rules, as one text in the Cedar language
    Show {
        /// The vocabulary instead: what rules can speak of, and what each word means
        #[arg(long)]
        schema: bool,
    },
    /// Look for rules that never apply, shadow or contradict one another, or let an agent reach what is private
    Check {
        /// Files to check in the place of your own rules; exit code 1 where there is anything to say
        files: Vec<PathBuf>,
    },
    /// Say whether an action would be allowed, why, and what would change the answer
    #[command(after_long_help = "Examples:\n  raincoat policy explain delete ~/Documents/tax.pdf\n  \
        raincoat policy explain write ~/site/index.html --agent agent:claude")]
    Explain {
        /// read, list, write, delete, move or exec
        action: String,
        /// The file or folder; it need not exist
        path: PathBuf,
        /// Who would do it: person, agent:NAME, recipe:NAME or program:NAME
        #[arg(long, value_name = "WHO", default_value = "agent:default")]
        agent: String,
    },
    /// Hold your rules against their own examples, and against files of expectations (`REQUEST => allow|ask|deny`)
    Test {
        /// Files of expectations
        files: Vec<PathBuf>,
    },
    /// List the versions of your rules
    Log,
    /// Put an earlier version of your rules in force again; 0 is none
    Revert {
        /// Its number (`raincoat policy log` lists them)
        version: u32,
    },
    /// Change your rules in $EDITOR, or take them from files; they are checked before they are in force
    Edit {
        /// Take these files in the place of all rules of before
        #[arg(long = "from", value_name = "FILE")]
        from: Vec<PathBuf>,
        /// Why, for the log
        #[arg(long, value_name = "TEXT", default_value = "edited")]
        note: String,
    },
}
