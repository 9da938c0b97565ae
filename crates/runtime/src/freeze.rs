//! Freezing: nothing acts anywhere until the person thaws it.
//!
//! A file in our state directory says so. It is put there before any run is looked for, and every run looks for it after
//! it has put up its own lock, so that none slips through between the two. Freezing needs no key and waits for nobody:
//! a keeper that has not ended by itself within a few moments is killed, and what it was doing is settled by the next
//! command, as after any crash.

use std::time::Duration;

use raincoat_audit::Event;
use raincoat_os::PrivateDir;

use crate::around::by_person;
use crate::keeper::Unlocker;
use crate::live::{Stopped, end, under_way};
use crate::{Class, Error, Home, Keeper};

/// The file.
const FILE: &str = "frozen";
/// How long a keeper has to end in good order.
const MOMENT: Duration = Duration::from_millis(40);

/// Freezes: from now on no run begins, and those under way are ended. What they did stays undoable, drafts stay.
///
/// # Errors
/// Where the state directory cannot be written, or a process cannot be killed.
pub fn freeze(home: &Home) -> Result<Vec<Stopped>, Error> {
    let fail = Error::io("freeze");
    let state = PrivateDir::open_or_create(&home.state).map_err(&fail)?;
    // Every run sees it from here on; that it outlasts a power cut as well is waited for when none acts any more.
    state.replace_lazily(FILE, b"raincoat is frozen: `raincoat thaw` ends it\n").map_err(&fail)?;
    let ended = under_way(home).and_then(|found| end(found, MOMENT));
    state.sync().map_err(&fail)?;
    ended
}

/// Whether it is frozen. Where that cannot be known, it is.
pub fn is_frozen(home: &Home) -> bool {
    match PrivateDir::open(&home.state) {
        Ok(state) => holds(&state),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

pub(crate) fn holds(state: &PrivateDir) -> bool {
    !matches!(state.read(FILE, 1 << 10), Ok(None))
}

/// Refuses where it is frozen.
pub(crate) fn thawed(state: &PrivateDir) -> Result<(), Error> {
    if holds(state) {
        return Err(Error::new(Class::Refused, "frozen: nothing acts").hint("`raincoat thaw` ends it"));
    }
    Ok(())
}

impl Keeper {
    /// That it was frozen, in the log.
    ///
    /// # Errors
    /// Where the log cannot be added to.
    pub fn tell_frozen(&self, ended: usize) -> Result<(), Error> {
        let to = format!("on; {ended} runs ended");
        self.log_about(&by_person(), vec![Event::ModeChanged { mode: "frozen".to_owned(), from: "off".to_owned(), to }])
    }

    /// Thaws, at the word of whoever can unlock the keys now: a cached unlock does not do.
    ///
    /// # Errors
    /// Where the keys do not open, or it cannot be logged. It stays frozen then.
    pub fn thaw(&mut self, unlocker: &mut Unlocker<'_>) -> Result<bool, Error> {
        if !holds(&self.state) {
            return Ok(false);
        }
        self.unlock_afresh(unlocker)?;
        let mode = "frozen".to_owned();
        self.log_about(&by_person(), vec![Event::ModeChanged { mode, from: "on".to_owned(), to: "off".to_owned() }])?;
        self.state.remove(FILE).map_err(Error::io("thaw"))?;
        Ok(true)
    }
}
