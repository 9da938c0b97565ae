//! Which runs are under way, and the kill switch: it works from any terminal, needs no key, and trusts no process to
//! listen to a conversation.
//!
//! A run under way holds a lock on a file of its own in our state directory, named after the run and its keeper's
//! process. A lock that can be taken belongs to a keeper that died.

use std::time::Duration;

use raincoat_os::process::Other;
use raincoat_os::{FileLock, PrivateDir};
use raincoat_types::RunId;

use crate::{Class, Error, Home};

/// The directory of the locks.
const DIR: &str = "live";
/// How long a keeper has to end in good order, before it is killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// A run under way. Dropped, it is over.
#[derive(Debug)]
pub(crate) struct Live {
    dir: PrivateDir,
    name: String,
    _lock: FileLock,
}

impl Live {
    /// Puts up the run's lock.
    pub(crate) fn begin(state: &PrivateDir, run: RunId) -> Result<Live, Error> {
        let fail = Error::io("note that the run is under way");
        let dir = state.dir(DIR).map_err(&fail)?;
        let name = format!("{run}-{}", std::process::id());
        let lock = dir.try_lock(&name).map_err(&fail)?.ok_or_else(|| {
            Error::new(Class::Environment, format!("run {run} is under way already"))
                .hint("`raincoat drafts` lists them")
        })?;
        let live = Live { dir, name, _lock: lock };
        // Looked at only now: whoever freezes from here on sees the lock.
        crate::freeze::thawed(state)?;
        Ok(live)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // A leftover is known by its free lock.
        let _ = self.dir.remove(&self.name);
    }
}

/// What became of a run that was to be stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stopped {
    /// The run.
    pub run: RunId,
    /// It ended by itself when asked; else it was killed, and the next command settles it.
    pub in_good_order: bool,
}

/// Stops runs under way: those whose id begins with `what`, or all of them. What they hold is gone with them: the
/// programs, their network, the unlocked keys of their keeper. Drafts, journal and log stay.
///
/// # Errors
/// Where `what` names no run under way, or a process cannot be stopped.
pub fn stop(home: &Home, what: Option<&str>) -> Result<Vec<Stopped>, Error> {
    let wanted = what.map(str::to_ascii_uppercase);
    let mut found = Vec::new();
    for (run, other) in under_way(home)? {
        let meant = wanted.as_ref().is_none_or(|wanted| !wanted.is_empty() && run.to_string().starts_with(wanted));
        if meant {
            found.push((run, other));
        }
    }
    if let (Some(what), true) = (what, found.is_empty()) {
        let words = format!("`{}` is no run under way", raincoat_types::display_bytes(what.as_bytes()));
        return Err(Error::new(Class::Usage, words).hint("`raincoat drafts` and `raincoat runs` list them"));
    }
    end(found, PATIENCE)
}

/// Ends keepers: each is told, then waited for in all so long, then killed.
pub(crate) fn end(found: Vec<(RunId, Other)>, patience: Duration) -> Result<Vec<Stopped>, Error> {
    // All are told before any is waited for, and all are waited for at once.
    let others: Vec<&Other> = found.iter().map(|(_, other)| other).collect();
    for other in &others {
        let _ = other.terminate();
    }
    let mut stopped = Vec::new();
    for ((run, other), in_good_order) in found.iter().zip(Other::ended_within(&others, patience)) {
        if !in_good_order {
            other.kill().map_err(Error::io("stop a run's keeper"))?;
        }
        stopped.push(Stopped { run: *run, in_good_order });
    }
    let ended = Other::ended_within(&others, PATIENCE);
    match found.iter().zip(ended).find(|(_, ended)| !ended) {
        Some(((run, _), _)) => Err(Error::new(Class::Environment, format!("the keeper of run {run} does not end"))),
        None => Ok(stopped),
    }
}

/// The runs whose keepers live.
pub(crate) fn under_way(home: &Home) -> Result<Vec<(RunId, Other)>, Error> {
    let fail = Error::io("look which runs are under way");
    let dir = match PrivateDir::open(&home.state).and_then(|state| state.open_dir(DIR)) {
        Ok(Some(dir)) => dir,
        Ok(None) => return Ok(Vec::new()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    let mut found = Vec::new();
    for name in dir.names().map_err(&fail)? {
        let Some((run, pid)) = name.to_str().and_then(parse) else { continue };
        let name = name.to_string_lossy().into_owned();
        let Ok(other) = Other::open(pid) else {
            let _ = dir.remove(&name);
            continue;
        };
        // Asked after the process was opened: if the lock is still held, that process holds it.
        match dir.try_lock(&name).map_err(&fail)? {
            Some(_) => {
                let _ = dir.remove(&name);
            }
            None => found.push((run, other)),
        }
    }
    Ok(found)
}

fn parse(name: &str) -> Option<(RunId, u32)> {
    let (run, pid) = name.split_once('-')?;
    Some((RunId::parse(run)?, pid.parse().ok()?))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;
    use raincoat_types::Ulid;

    fn home(dir: &std::path::Path) -> Home {
        Home { config: dir.join("c"), data: dir.join("d"), state: dir.join("s") }
    }

    #[test]
    fn a_run_is_under_way_while_its_lock_is_held_and_not_longer() {
        let temp = tempfile::tempdir().unwrap();
        let home = home(temp.path());
        assert!(under_way(&home).unwrap().is_empty());
        let state = PrivateDir::open_or_create(&home.state).unwrap();
        let run = RunId(Ulid::from_parts(7, 7));
        let live = Live::begin(&state, run).unwrap();
        let seen: Vec<RunId> = under_way(&home).unwrap().into_iter().map(|(run, _)| run).collect();
        assert_eq!(seen, [run]);
        assert!(Live::begin(&state, run).is_err());
        drop(live);
        assert!(under_way(&home).unwrap().is_empty());
    }

    #[test]
    fn what_a_dead_keeper_left_is_taken_away_and_nobody_else_is_stopped() {
        let temp = tempfile::tempdir().unwrap();
        let home = home(temp.path());
        let state = PrivateDir::open_or_create(&home.state).unwrap();
        let dir = state.dir(DIR).unwrap();
        let run = RunId(Ulid::from_parts(9, 9));
        // The number is a living process's (ours), but nobody holds the lock.
        drop(dir.try_lock(&format!("{run}-{}", std::process::id())).unwrap());
        assert!(stop(&home, None).unwrap().is_empty());
        assert!(dir.names().unwrap().is_empty());
        assert_eq!(stop(&home, Some("01")).unwrap_err().class, Class::Usage);
    }
}
