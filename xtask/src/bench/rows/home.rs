//! The product at a home of its own, away from the user's, and how long a command takes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use super::super::Bench;
use crate::Result;

/// Keys in a key file, no grants, nothing in the journal yet.
#[derive(Clone)]
pub(super) struct Home {
    raincoat: PathBuf,
    dir: PathBuf,
}

impl Home {
    pub(super) fn new(bench: &Bench<'_>) -> Result<Home> {
        Home::at(bench.raincoat, bench.scratch)
    }

    /// The same at a directory of its own.
    pub(super) fn at(raincoat: &Path, dir: &Path) -> Result<Home> {
        let home = Home { raincoat: raincoat.to_owned(), dir: dir.to_owned() };
        timed(&mut home.raincoat(&["init", "--no-input"]))?;
        Ok(home)
    }

    /// Where the product's own data lies.
    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data/raincoat")
    }

    pub(super) fn program(&self) -> &Path {
        &self.raincoat
    }

    pub(super) fn raincoat(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.raincoat);
        command.args(args);
        self.inhabit(&mut command);
        command
    }

    /// The id of the newest run.
    pub(super) fn newest_run(&self) -> Result<String> {
        let mut command = self.raincoat(&["runs", "--json", "-n", "1"]);
        let (_, out) = answered(command.stdout(Stdio::piped()))?;
        let text = String::from_utf8_lossy(&out.stdout);
        let id = text.split_once("\"run\":\"").and_then(|(_, rest)| rest.split('"').next());
        id.map(str::to_owned).ok_or_else(|| format!("{command:?} named no run but `{text}`"))
    }

    /// Has a command look for everything here, whatever the environment says.
    pub(super) fn inhabit(&self, command: &mut Command) {
        let dirs = ["CONFIG", "DATA", "STATE", "RUNTIME", "CACHE"];
        let home = dirs.map(|dir| (format!("XDG_{dir}_{}", if dir == "RUNTIME" { "DIR" } else { "HOME" }), dir));
        command.env_clear().env("HOME", &self.dir).env("PATH", "/usr/bin:/bin").env("TERM", "dumb");
        command.envs(home.map(|(name, dir)| (name, self.dir.join(dir.to_lowercase()))));
    }
}

/// Seconds from a command's start to its end; a command that fails ends the task, with its words.
pub(super) fn timed(command: &mut Command) -> Result<f64> {
    answered(command.stdout(Stdio::null())).map(|(took, _)| took)
}

/// The same, with what the command wrote to standard output where that goes into a pipe.
pub(super) fn answered(command: &mut Command) -> Result<(f64, Output)> {
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    let start = Instant::now();
    let out = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    let took = start.elapsed().as_secs_f64();
    if out.status.success() {
        return Ok((took, out));
    }
    Err(format!("{command:?} failed: {}\n{}", out.status, String::from_utf8_lossy(&out.stderr)))
}

/// What one side left for the disk to write is not the next one's to wait for.
pub(super) fn settle(dir: &Path) -> Result<()> {
    timed(Command::new("sync").arg("--file-system").arg(dir)).map(drop)
}
