//! Why something could not be enclosed.

use std::io;

/// A layer that this kernel has could not be put in force. Whoever gets this must not go on.
#[derive(Debug, thiserror::Error)]
pub enum SandboxFault {
    /// There are other threads, which would stay outside.
    #[error("the process already has {0} threads; a worker must be enclosed before it starts any")]
    Threads(usize),
    /// A rule was given something other than a directory.
    #[error("a folder that was granted is no longer a folder; grant it again")]
    NotADirectory,
    /// A system call failed.
    #[error("could not {what}: {error}; see `raincoat doctor`")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// Landlock refused its rules.
    #[error("could not confine file access with Landlock: {0}; see `raincoat doctor`")]
    Landlock(#[from] landlock::RulesetError),
    /// A filter did not compile.
    #[error("could not compile a system call filter: {0}; this is a bug in raincoat, please report it")]
    Compile(#[from] seccompiler::BackendError),
    /// A filter was refused.
    #[error("could not install a system call filter: {0}; see `raincoat doctor`")]
    Install(#[from] seccompiler::Error),
    /// A program could not be enclosed. It was not started.
    #[error("could not enclose the program: {layer}: {why}; {fix}")]
    Enclosure {
        /// The layer that could not be built.
        layer: String,
        /// What happened.
        why: String,
        /// What to do next.
        fix: String,
    },
    /// All calls succeeded, and yet what must be impossible was possible.
    #[error("the kernel accepted the confinement and does not enforce it: {0}; see `raincoat doctor`")]
    Leaks(&'static str),
}

impl SandboxFault {
    /// For `map_err`: names what was tried.
    pub(crate) fn at<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> SandboxFault {
        move |error| SandboxFault::System { what, error: error.into() }
    }
}
