//! What is measured. Each benchmark sets its two sides up once and is then called in turns.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Bench, Benchmark, Limit, Sides};
use crate::Result;

pub(super) fn all() -> Vec<Benchmark> {
    vec![Benchmark {
        name: "start of `raincoat grants` to its exit",
        peer: "start of `true` to its exit",
        rounds: 100,
        limit: Limit { ratio: None, time: Some(Duration::from_millis(10)) },
        prepare: start_to_exit,
    }]
}

fn start_to_exit(bench: &Bench<'_>) -> Result<Sides> {
    let (raincoat, home) = (bench.raincoat.to_owned(), bench.scratch.to_owned());
    timed(&mut in_home(&raincoat, &home, &["init"]))?;
    Ok(Sides {
        ours: Box::new(move || timed(&mut in_home(&raincoat, &home, &["grants"]))),
        peer: Box::new(|| timed(&mut Command::new("true"))),
    })
}

/// The product with a home of its own, away from the user's.
fn in_home(raincoat: &Path, home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(raincoat);
    command.args(args).env_clear().env("HOME", home);
    let dirs = [("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "data"), ("XDG_STATE_HOME", "state")];
    command.envs(dirs.map(|(name, dir)| (name, home.join(dir)))).env("XDG_RUNTIME_DIR", PathBuf::from(home));
    command
}

fn timed(command: &mut Command) -> Result<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    let start = Instant::now();
    let status = command.status().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    let took = start.elapsed();
    if status.success() { Ok(took) } else { Err(format!("{command:?} failed: {status}")) }
}
