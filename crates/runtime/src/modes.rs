//! Modes in force, for everything or for one run, for a while or until they are changed.

use raincoat_audit::Event;
use raincoat_audit::export::rfc3339;
use raincoat_types::{Modes, RunId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::around::by_person;
use crate::{Error, Keeper};

const KIND: &str = "mode";
/// The row of what holds for everything.
const EVERYTHING: &[u8] = b"everything";

/// Modes that are in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ModeLine {
    /// For this run only; for everything where it is `None`.
    pub run: Option<RunId>,
    /// Which.
    pub modes: Modes,
    /// They end then.
    pub until: Option<Timestamp>,
}

impl Keeper {
    /// What is in force now, besides what `config.toml` says.
    ///
    /// # Errors
    /// Where the store is damaged.
    pub fn mode_lines(&self) -> Result<Vec<ModeLine>, Error> {
        let now = self.clock.now();
        let mut lines = Vec::new();
        for (_, bytes) in self.store.list(KIND).map_err(Error::store)? {
            let line: ModeLine = postcard::from_bytes(&bytes).map_err(Error::store)?;
            if line.until.is_none_or(|until| now < until) && !line.modes.is_empty() {
                lines.push(line);
            }
        }
        Ok(lines)
    }

    /// Everything in force for a run, or for what is none yet: the settings', everything's and its own together.
    ///
    /// # Errors
    /// Where the store is damaged.
    pub fn modes(&self, run: Option<RunId>) -> Result<Modes, Error> {
        let mut modes = Modes::empty();
        modes.set(Modes::OFFLINE, self.config.offline);
        modes.set(Modes::AUDIT, self.config.audit);
        let mine = self.mode_lines()?.into_iter().filter(|line| line.run.is_none() || line.run == run);
        Ok(mine.fold(modes, |all, line| all | line.modes))
    }

    /// Puts modes in force in the place of those before, for everything or for one run. Only the person's command does
    /// this: nothing that an agent can reach leads here.
    ///
    /// # Errors
    /// Where the store or the log cannot be written.
    pub fn set_modes(&self, line: ModeLine) -> Result<(), Error> {
        let before = self.mode_lines()?.into_iter().find(|other| other.run == line.run);
        let told = |line: Option<&ModeLine>| {
            let Some(line) = line else { return Modes::empty().to_string() };
            let until = line.until.map(|until| format!(", until {}", rfc3339(until, 0))).unwrap_or_default();
            format!("{}{until}", line.modes)
        };
        let mode = line.run.map_or_else(|| "mode".to_owned(), |run| format!("mode of run {run}"));
        let changed = Event::ModeChanged { mode, from: told(before.as_ref()), to: told(Some(&line)) };
        self.log_about(&by_person(), vec![changed])?;
        let id = line.run.map_or_else(|| EVERYTHING.to_vec(), |run| run.0.to_bytes().to_vec());
        if line.modes.is_empty() {
            self.store.delete(KIND, &id).map_err(Error::store)?;
            return Ok(());
        }
        let bytes = postcard::to_stdvec(&line).map_err(Error::store)?;
        self.store.put(KIND, &id, &bytes).map_err(Error::store)
    }
}
