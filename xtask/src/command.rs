//! Running other programs, saying so.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::Result;

/// Runs a program in `dir`, its line printed first, its output shown as it comes.
pub(crate) fn show(dir: &Path, program: &str, args: &[&str]) -> Result<()> {
    println!("+ {program} {}", args.join(" "));
    let status = Command::new(program).args(args).current_dir(dir).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{program} {}` failed: {status}", args.join(" "))),
        Err(error) => Err(format!("cannot run `{program}`: {error}")),
    }
}

/// Runs a program in `dir` quietly and gives back what it wrote to standard output.
pub(crate) fn output(dir: &Path, program: &str, args: &[&str]) -> Result<Vec<u8>> {
    let out = Command::new(program).args(args).current_dir(dir).stderr(Stdio::inherit()).output();
    match out {
        Ok(out) if out.status.success() => Ok(out.stdout),
        Ok(out) => Err(format!("`{program} {}` failed: {}", args.join(" "), out.status)),
        Err(error) => Err(format!("cannot run `{program}`: {error}")),
    }
}

/// Whether a program runs and succeeds, its output thrown away.
pub(crate) fn works(program: &str, args: &[&str]) -> bool {
    let status =
        Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
