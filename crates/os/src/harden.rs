//! What a process of ours switches off for itself, first thing, before it holds any secret.

use std::io;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, dumpable_behavior, getrlimit, set_dumpable_behavior, setrlimit,
};
use rustix::thread::{no_new_privs, set_no_new_privs};

/// A hardening step that did not take.
#[derive(Debug)]
pub struct NotHardened {
    /// Which: `non-dumpable`, `no core file`, `no new privileges`.
    pub step: &'static str,
    /// What the system said, or that the value read back was not the one set.
    pub error: io::Error,
}

/// Hardens this process; returns what did not take (nothing: all is in force, each step read back).
///
/// - Not dumpable (`PR_SET_DUMPABLE`): no core file, and no other process of the same user may attach to it or read
///   its memory. A process with `CAP_SYS_PTRACE` (root) still may.
/// - No core file (`RLIMIT_CORE` 0), should a handler for core dumps ignore the former.
/// - No new privileges (`PR_SET_NO_NEW_PRIVS`): nothing started from here gains any by a set-uid bit. It holds for
///   the calling thread and those it starts, so this belongs at the start of `main`.
/// - `umask` 077: what is made without an explicit mode is for this user only. Effects set every mode explicitly.
pub fn harden_process() -> Vec<NotHardened> {
    let users = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    crate::mutate::remember_umask(users.as_raw_mode());
    let steps = [
        ("non-dumpable", not_dumpable as fn() -> io::Result<bool>),
        ("no core file", no_core_file),
        ("no new privileges", no_more_privileges),
    ];
    steps
        .into_iter()
        .filter_map(|(step, apply)| {
            let error = match apply() {
                Ok(true) => return None,
                Ok(false) => io::Error::other("the kernel took the setting but does not report it"),
                Err(error) => error,
            };
            Some(NotHardened { step, error })
        })
        .collect()
}

/// Lets this process have more files open, up to `wanted` or what its hard limit allows. What it starts must set a limit
/// of its own: some programs stumble over large ones.
pub fn allow_open_files(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.map_or(wanted, |hard| hard.min(wanted));
    if limit.current.is_some_and(|now| now < most) {
        // Where it stays as it is, [`open_files`] says so.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..limit });
    }
}

/// How many files this process may have open.
pub fn open_files() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

fn not_dumpable() -> io::Result<bool> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(dumpable_behavior()? == DumpableBehavior::NotDumpable)
}

fn no_core_file() -> io::Result<bool> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(getrlimit(Resource::Core).maximum == Some(0))
}

fn no_more_privileges() -> io::Result<bool> {
    set_no_new_privs(true)?;
    Ok(no_new_privs()?)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_is_raised_as_far_as_it_may_be_and_never_lowered() {
        let hard = getrlimit(Resource::Nofile).maximum;
        let set = |now| setrlimit(Resource::Nofile, Rlimit { current: Some(now), maximum: hard }).unwrap();
        set(200);
        allow_open_files(300);
        assert_eq!(open_files(), 300);
        allow_open_files(250);
        assert_eq!(open_files(), 300);
        allow_open_files(u64::MAX);
        assert_eq!(open_files(), hard.unwrap_or(u64::MAX));
    }

    #[test]
    fn a_hardened_process_says_so_in_proc() {
        assert!(harden_process().is_empty());
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        assert!(status.contains("Umask:\t0077"), "{status}");
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
        let core = limits.lines().find(|l| l.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
        // A process that is not dumpable has its `/proc` entry owned by root, whoever runs it.
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
