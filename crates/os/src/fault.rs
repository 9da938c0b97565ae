//! Faults on order, for the tests that prove what survives them (HABITS 20). Compiled to nothing without the feature
//! `fault`, which no release has (`cargo xtask tidy` checks).
//!
//! Every wrapper in this room that changes something on a disk calls [`point`] first, with the name of the system
//! call. With the feature, a test arms a plan (or sets `RAINCOAT_FAULT=kill:N`, `eio:N`, `enospc:N` or `count` for a
//! program of ours) and the Nth call dies or fails.

use std::io;

/// A system call that changes something is about to be made.
///
/// # Errors
/// The error that a test ordered; never without the feature `fault`.
#[inline]
pub fn point(call: &'static str) -> io::Result<()> {
    #[cfg(feature = "fault")]
    return armed::point(call);
    #[cfg(not(feature = "fault"))]
    {
        let _ = call;
        Ok(())
    }
}

#[cfg(feature = "fault")]
pub use armed::{Plan, arm, calls, disarm};

#[cfg(feature = "fault")]
mod armed {
    use std::io;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Mutex, OnceLock};

    /// What is to happen at the nth call, counted from 1.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub enum Plan {
        /// `SIGKILL` to the whole process before the call is made.
        Kill(u64),
        /// The call fails with this `errno`, this once.
        Fail(u64, i32),
        /// This call and every later one fails with this `errno` (a full or dead disk).
        FailFrom(u64, i32),
        /// Nothing: calls are only counted.
        Count,
    }

    static CALLS: AtomicU64 = AtomicU64::new(0);
    static PLAN: Mutex<Option<Plan>> = Mutex::new(None);
    static FROM_ENVIRONMENT: OnceLock<()> = OnceLock::new();

    /// Orders a fault and starts counting at 0.
    pub fn arm(plan: Plan) {
        FROM_ENVIRONMENT.get_or_init(|| ());
        CALLS.store(0, Ordering::SeqCst);
        *PLAN.lock().unwrap_or_else(|e| e.into_inner()) = Some(plan);
    }

    /// Orders nothing any more.
    pub fn disarm() {
        *PLAN.lock().unwrap_or_else(|e| e.into_inner()) = None;
    }

    /// How many calls there have been since [`arm`].
    pub fn calls() -> u64 {
        CALLS.load(Ordering::SeqCst)
    }

    pub(super) fn point(_call: &'static str) -> io::Result<()> {
        FROM_ENVIRONMENT.get_or_init(read_environment);
        let Some(plan) = *PLAN.lock().unwrap_or_else(|e| e.into_inner()) else { return Ok(()) };
        let n = CALLS.fetch_add(1, Ordering::SeqCst) + 1;
        match plan {
            Plan::Kill(at) if at == n => {
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
                Ok(())
            }
            Plan::Fail(at, errno) if at == n => Err(io::Error::from_raw_os_error(errno)),
            Plan::FailFrom(at, errno) if at <= n => Err(io::Error::from_raw_os_error(errno)),
            _ => Ok(()),
        }
    }

    fn read_environment() {
        #[expect(clippy::disallowed_methods, reason = "a test's order to a program of ours; not in any release")]
        let Ok(order) = std::env::var("RAINCOAT_FAULT") else { return };
        let (verb, n) = order.split_once(':').unwrap_or((&order, "0"));
        let n = n.parse().unwrap_or(0);
        let plan = match verb {
            "kill" => Plan::Kill(n),
            "eio" => Plan::Fail(n, 5),
            "enospc" => Plan::FailFrom(n, 28),
            "count" => Plan::Count,
            _ => return,
        };
        *PLAN.lock().unwrap_or_else(|e| e.into_inner()) = Some(plan);
    }
}
