//! The binary `raincoat`: arguments in, words out.
//!
//! Everything that decides or acts is in `raincoat-runtime`. This room reads the command line, the environment and
//! `config.toml`, asks the person, and prints.

mod app;
mod args;
mod commands;
mod config;
mod console;
mod demo;
mod dirs;
mod enclosed;
mod error;
mod exit;
mod globs;
mod json;
mod out;
mod passage;
mod profiles;
mod prompt;
mod review;
mod review_draft;
mod signals;
mod time;
mod view;

use std::ffi::OsString;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::Mutex;

use crate::exit::Exit;

/// The whole program: reads the command line, does it, and says how it went by the exit code (`raincoat --help` has
/// the table).
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // The same binary again, enclosed by the keeper: nothing may run before it, no thread may exist.
    match arguments.get(1).and_then(|word| word.to_str()) {
        Some("worker") => {
            let rest: Vec<String> = arguments.iter().skip(2).map(|a| a.to_string_lossy().into_owned()).collect();
            return code(raincoat_runtime::worker_main(&rest));
        }
        Some("probe") => return code(raincoat_runtime::probe_main()),
        Some(raincoat_runtime::PROVE) => return code(raincoat_runtime::prove_main()),
        Some(raincoat_runtime::ENCLOSE) => return code(raincoat_runtime::enclose_main()),
        _ => {}
    }
    for missing in raincoat_runtime::harden() {
        out::stderr_line(&format!("raincoat: not enforced here: {missing}"));
    }
    ExitCode::from(guarded(|| app::run(arguments)).code())
}

fn code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// Runs the program and turns a panic into words. The panic's own message is not shown: it could quote what it was
/// working on.
fn guarded(run: impl FnOnce() -> Exit) -> Exit {
    static PLACE: Mutex<Option<String>> = Mutex::new(None);
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(|at| format!("{}:{}", at.file(), at.line()));
        if let Ok(mut slot) = PLACE.lock() {
            *slot = place;
        }
    }));
    panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        let place = PLACE.lock().ok().and_then(|slot| slot.clone()).unwrap_or_else(|| "an unknown place".to_owned());
        out::stderr_line(&format!(
            "raincoat: this is a bug of ours, at {place} in version {}\n\
             what was done is in the journal, and the next command settles what was under way\n\
             please report the line above, with what you did and `raincoat doctor --json`: {}",
            env!("CARGO_PKG_VERSION"),
            env!("CARGO_PKG_REPOSITORY"),
        ));
        Exit::Bug
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_in_the_code_for_a_bug() {
        assert_eq!(guarded(|| panic!("sk-live-1234")), Exit::Bug);
        assert_eq!(guarded(|| Exit::Ok), Exit::Ok);
    }
}
