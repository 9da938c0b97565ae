//! Where our own files are.

use std::path::PathBuf;

/// Our own directories. The outermost room finds them (XDG Base Directory Specification 0.8) and hands them in.
#[derive(Clone, Debug)]
pub struct Home {
    /// Configuration: `config.toml`.
    pub config: PathBuf,
    /// Keys, state, journal, log.
    pub data: PathBuf,
    /// The newest tree head of the log, apart from it.
    pub state: PathBuf,
}
