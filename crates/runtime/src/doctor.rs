//! What is enforced on this machine, each layer seen to refuse; and what the owner might still do.

use std::os::fd::AsFd;

use raincoat_audit::Event;
use raincoat_sandbox::{Layer, LayerState, probe};

use crate::around::by_person;
use crate::{Error, Keeper, WitnessLine, WitnessState, worker};

/// The check of the log itself.
const LOG_CHECK: &str = "audit-log";

/// One layer of protection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    /// Its name; stays the same, scripts may read it.
    pub name: String,
    /// Whether it holds.
    pub state: LayerState,
    /// What was seen.
    pub why: String,
    /// What to do about it; empty where there is nothing.
    pub fix: String,
}

impl From<Layer> for Check {
    fn from(layer: Layer) -> Check {
        Check { name: layer.name.into_owned(), state: layer.state, why: layer.why, fix: layer.fix.into_owned() }
    }
}

/// All of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// In a fixed order.
    pub checks: Vec<Check>,
}

impl Keeper {
    /// Tries every layer here.
    ///
    /// # Errors
    /// Where our own directory cannot be used.
    pub fn doctor(&self) -> Result<Report, Error> {
        let mut checks: Vec<Check> =
            probe(&[worker::PROBE], &self.config.limits, self.data.as_fd()).into_iter().map(Check::from).collect();
        checks.push(self.passphrase_check());
        checks.push(self.memory_check());
        checks.push(self.log_check());
        checks.extend(self.witness_checks()?);
        self.tell_missing(&checks)?;
        Ok(Report { checks })
    }

    /// What is missing here stands in the log, where that can be added to.
    fn tell_missing(&self, checks: &[Check]) -> Result<(), Error> {
        let missing: Vec<&Check> = checks.iter().filter(|check| check.state == LayerState::Missing).collect();
        if missing.is_empty() || missing.iter().any(|check| check.name == LOG_CHECK) {
            return Ok(());
        }
        let told = |check: &Check| Event::ProtectionMissing { layer: check.name.clone(), why: check.why.clone() };
        self.log_about(&by_person(), missing.into_iter().map(told).collect())
    }

    fn passphrase_check(&self) -> Check {
        let name = "passphrase".to_owned();
        if self.opened.key_in_file {
            Check {
                name,
                state: LayerState::Missing,
                why: "the key to everything lies in a file (mode 0600): whoever can read your files can open the store"
                    .to_owned(),
                fix: "`raincoat passphrase` sets one".to_owned(),
            }
        } else {
            Check {
                name,
                state: LayerState::Enforced,
                why: "the keys open with a passphrase".to_owned(),
                fix: String::new(),
            }
        }
    }

    fn memory_check(&self) -> Check {
        let name = "keys-in-locked-memory".to_owned();
        if self.keys.is_locked() {
            Check {
                name,
                state: LayerState::Enforced,
                why: "keys are kept out of swap and core files".to_owned(),
                fix: String::new(),
            }
        } else {
            Check {
                name,
                state: LayerState::Missing,
                why: "the limit on locked memory is too small for the keys, so they may be swapped out".to_owned(),
                fix: "raise `ulimit -l` to 256 or more".to_owned(),
            }
        }
    }

    /// One line for each witness, where there is any.
    fn witness_checks(&self) -> Result<Vec<Check>, Error> {
        let check = |line: WitnessLine| {
            let (state, fix) = match line.state {
                WitnessState::Agrees => (LayerState::Enforced, ""),
                WitnessState::Never | WitnessState::Late => {
                    (LayerState::Missing, "`raincoat audit witness sync` asks it now")
                }
                WitnessState::Disagrees => (LayerState::Missing, "`raincoat audit verify` says more"),
            };
            Check { name: format!("witness-{}", line.name), state, why: line.words, fix: fix.to_owned() }
        };
        Ok(self.witnesses()?.into_iter().map(check).collect())
    }

    fn log_check(&self) -> Check {
        let name = LOG_CHECK.to_owned();
        match self.open_audit() {
            Ok(_) => Check {
                name,
                state: LayerState::Enforced,
                why: "the log opens and agrees with the tree head kept apart".to_owned(),
                fix: String::new(),
            },
            Err(error) => Check {
                name,
                state: LayerState::Missing,
                why: error.message,
                fix: "`raincoat audit verify` says more".to_owned(),
            },
        }
    }
}
