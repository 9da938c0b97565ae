//! What the programs with work to be measured share: asked a line at a time, they answer with the nanoseconds that the
//! work took. `cargo xtask bench` asks, has the product's side and the peer's take turns, and compares.

use std::fmt::Display;
use std::io::{BufRead, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// What goes wrong ends the program, with a sentence.
pub type Result<T> = std::result::Result<T, String>;

/// Answers questions from standard input until it ends. `work` does what a line's words name, once.
///
/// # Errors
/// The work's, or the pipe's.
pub fn serve(mut work: impl FnMut(&[&str]) -> Result<Duration>) -> Result<()> {
    let mut answers = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(said)?;
        let words: Vec<&str> = line.split(' ').collect();
        let took = work(&words)?;
        writeln!(answers, "{}", took.as_nanos()).and_then(|()| answers.flush()).map_err(said)?;
    }
    Ok(())
}

/// How such a program ends: with a sentence on standard error where it failed.
pub fn ended(done: Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// A side sets itself up when it is first asked.
///
/// # Errors
/// The set-up's.
pub fn lazily<T>(slot: &mut Option<T>, make: impl FnOnce() -> Result<T>) -> Result<&mut T> {
    match slot {
        Some(it) => Ok(it),
        None => Ok(slot.insert(make()?)),
    }
}

/// New content every time: bytes that no store has seen.
///
/// # Errors
/// The system's, in words.
pub fn random(len: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    raincoat_os::fill_random(&mut bytes).map_err(said)?;
    Ok(bytes)
}

/// Nothing waits to be written any more: what one side left for the disk to do is not the other's to wait for.
///
/// # Errors
/// The system's, in words.
#[allow(clippy::disallowed_methods, reason = "a benchmark's own scratch folder")]
pub fn settle(dir: &Path) -> Result<()> {
    let dir = std::fs::File::open(dir).map_err(said)?;
    raincoat_os::mutate::sync_file_system(dir.as_fd()).map_err(said)
}

/// The median of times of single calls.
///
/// # Errors
/// Where there are none.
pub fn median(mut times: Vec<Duration>) -> Result<Duration> {
    times.sort();
    times.get(times.len() / 2).copied().ok_or_else(|| "nothing was measured".to_owned())
}

/// That the program cannot do what it was asked.
pub fn unknown(what: impl Display) -> String {
    format!("`{what}` is no work of this program; `cargo xtask bench` knows them all")
}

/// An error in words.
pub fn said(error: impl Display) -> String {
    error.to_string()
}
