//! What stands in the log around a command's work: that it began and how it ended, how the keys came open and who could
//! not open them before, and which settings are others than the last time. Written in front of whatever a command logs
//! first: one that logs nothing leaves nothing.

use std::sync::atomic::{AtomicBool, Ordering};

use raincoat_audit::{About, Audit, Event, Folder};
use raincoat_os::process::user_name;
use raincoat_seal::Keys;
use raincoat_types::{Actor, Root, RunId, Timestamp};

use crate::{Error, Keeper};

/// What the store remembers of the last command.
const KIND: &str = "last-seen";
/// The settings, as `config.toml` had them.
const SETTINGS: &[u8] = b"settings";
/// The failed tries that the log tells of already.
const TRIES: &[u8] = b"tries";
/// The setting that is a mode.
const AUDIT_MODE: &str = "log.audit";

/// Failed tries at the passphrase: how many in a row, and when the last was.
type Tries = (u32, Timestamp);

/// See the module.
#[derive(Default)]
pub(crate) struct Around {
    /// The command's verb, and who called it; `None` where the command is none that is logged.
    command: Option<(String, String)>,
    /// Tries that failed before this one opened the keys.
    tries: Option<Tries>,
    told: AtomicBool,
}

impl Around {
    /// Before the keys are opened: a right passphrase makes their file forget the wrong ones.
    pub(crate) fn before_unlocking(data: &raincoat_os::PrivateDir) -> Around {
        Around { tries: Keys::failed_tries(data), ..Around::default() }
    }
}

impl Keeper {
    /// Says which command this is, by its verb: that it began and how it ended is logged, if it logs anything.
    ///
    /// # Errors
    /// Where the log cannot be added to: a store that was just made has its first entry already.
    pub fn works_for(&mut self, command: &str) -> Result<(), Error> {
        let user = user_name();
        self.around.command = Some((command.to_owned(), user.clone()));
        if !self.around.told.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.open_audit()?.append_lazy(&by_person(), &[started(command, &user)]).map_err(Error::store)?;
        Ok(())
    }

    /// How the command ended, for the log. It outlasts this process, and a power cut with the next that is durable.
    ///
    /// # Errors
    /// Where the log cannot be added to.
    pub fn command_ended(&self, code: u8, why: &str) -> Result<(), Error> {
        let Some((command, _)) = self.around.command.as_ref().filter(|_| self.around.told.load(Ordering::Relaxed))
        else {
            return Ok(());
        };
        let ended = Event::CommandEnded { command: command.clone(), code, why: why.to_owned() };
        self.open_audit()?.append_lazy(&by_person(), &[ended]).map_err(Error::store)?;
        Ok(())
    }

    /// Notes that data of ours is handed out: to be called before it is.
    ///
    /// # Errors
    /// Where the log cannot be added to.
    pub fn handing_out(&self, what: &str, to: &str) -> Result<(), Error> {
        let granted = Event::AccessGranted { what: what.to_owned(), to: to.to_owned() };
        self.open_audit()?.append_lazy(&by_person(), &[granted]).map_err(Error::store)?;
        Ok(())
    }

    /// A refusal that stands in the log.
    pub(crate) fn access_refused(&self, what: &str, to: &str, rule: &str, error: Error) -> Error {
        let refused = Event::AccessRefused {
            what: what.to_owned(),
            to: to.to_owned(),
            rule: rule.to_owned(),
            reason: error.message.clone(),
        };
        // It is refused either way; that the log is broken is worse to know.
        self.log_about(&by_person(), vec![refused]).err().unwrap_or(error)
    }

    /// Writes what comes before anything else that this command logs, once.
    pub(crate) fn tell_beginning(&self, audit: &mut Audit) -> Result<(), Error> {
        if self.around.told.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut events = Vec::new();
        if let Some((command, user)) = &self.around.command {
            events.push(started(command, user));
        }
        let slot = self.opened.slot.to_owned();
        events.push(if self.opened.created { Event::KeySlotAdded { slot } } else { Event::Unlocked { slot } });
        let tries = self.new_tries()?;
        if let Some((failures, last)) = tries {
            let (slot, why) = ("passphrase".to_owned(), "wrong passphrase".to_owned());
            events.push(Event::UnlockRefused { slot, failures, last, why });
        }
        let before = self.last_settings()?;
        let changed = before != self.config.written;
        events.extend(changes(&before, &self.config.written));
        let durable = self.opened.created || tries.is_some() || changed;
        let wrote =
            if durable { audit.append(&by_person(), &events) } else { audit.append_lazy(&by_person(), &events) };
        wrote.map_err(Error::store)?;
        self.around.told.store(true, Ordering::Relaxed);
        if let Some(tries) = tries {
            let bytes = postcard::to_stdvec(&tries).map_err(Error::store)?;
            self.store.put(KIND, TRIES, &bytes).map_err(Error::store)?;
        }
        if changed {
            let bytes = postcard::to_stdvec(&self.config.written).map_err(Error::store)?;
            self.store.put(KIND, SETTINGS, &bytes).map_err(Error::store)?;
        }
        Ok(())
    }

    /// Failed tries that the log does not tell of yet.
    fn new_tries(&self) -> Result<Option<Tries>, Error> {
        let Some(tries) = self.around.tries.filter(|(failures, _)| *failures > 0) else { return Ok(None) };
        let told = self.store.get(KIND, TRIES).map_err(Error::store)?;
        let told = told.and_then(|bytes| postcard::from_bytes::<Tries>(&bytes).ok());
        Ok(Some(tries).filter(|_| told != Some(tries)))
    }

    fn last_settings(&self) -> Result<Vec<(String, String)>, Error> {
        let bytes = self.store.get(KIND, SETTINGS).map_err(Error::store)?;
        Ok(bytes.and_then(|bytes| postcard::from_bytes(&bytes).ok()).unwrap_or_default())
    }
}

fn started(command: &str, user: &str) -> Event {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Event::CommandStarted { version, command: command.to_owned(), user: user.to_owned() }
}

/// The person at the terminal, outside any run.
pub(crate) fn by_person() -> About {
    About::by(Actor::Person)
}

/// An actor's doing within a run that works in these folders.
pub(crate) fn within(run: RunId, actor: Actor, roots: &[Root]) -> About {
    let folder = |root: &Root| Folder { grant: root.grant, path: root.path.clone() };
    About::run(run, actor).within(roots.iter().map(folder))
}

/// What is another setting now than it was.
fn changes(before: &[(String, String)], now: &[(String, String)]) -> Vec<Event> {
    let value = |all: &[(String, String)], name: &str| {
        all.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
    };
    let mut names: Vec<&String> = before.iter().chain(now).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    let mut events = Vec::new();
    for setting in names {
        let (from, to) = (value(before, setting), value(now, setting));
        if from == to {
            continue;
        }
        events.push(if setting == AUDIT_MODE {
            let word = |value: Option<String>| if value.as_deref() == Some("true") { "on" } else { "off" }.to_owned();
            Event::ModeChanged { mode: "audit".to_owned(), from: word(from), to: word(to) }
        } else {
            Event::SettingChanged { setting: setting.clone(), from, to }
        });
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_in_the_settings_is_told_old_and_new_and_nothing_else() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let before = [pair("a", "1"), pair("b", "2"), pair("log.audit", "true")];
        let now = [pair("b", "3"), pair("c", "4"), pair("same", "5")];
        let told = changes(&[&before[..], &[pair("same", "5")]].concat(), &now);
        let setting = |setting: &str, from: Option<&str>, to: Option<&str>| Event::SettingChanged {
            setting: setting.to_owned(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        };
        let mode = Event::ModeChanged { mode: "audit".to_owned(), from: "on".to_owned(), to: "off".to_owned() };
        assert_eq!(
            told,
            [setting("a", Some("1"), None), setting("b", Some("2"), Some("3")), setting("c", None, Some("4")), mode]
        );
    }
}
