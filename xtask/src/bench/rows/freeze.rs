//! Freezing: from the command to the last thing that any program did. The limit is issue 5's.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::super::{Bench, Contest, Limit, Side};
use super::home::{Home, timed};
use super::{SECONDS, row};
use crate::Result;

/// Programs that run.
const RUNS: usize = 20;
/// How long they may take to come up.
const PATIENCE: Duration = Duration::from_secs(60);
/// A program that acts all the time, and says when.
const SCRIPT: &str = "while :; do echo $EPOCHREALTIME; sleep 0.005; done";

pub(super) fn freeze() -> Contest {
    Contest {
        name: "freeze",
        rounds: 10,
        warm: 1,
        prepare,
        rows: vec![row(
            (
                "freeze: the last effect of 20 programs",
                "Twenty programs in drafts that each write some hundred times a second; from the start of `raincoat freeze` to \
                 the last write of any of them, by the programs' own clocks.",
            ),
            SECONDS,
            (0, 1),
            "the same programs bare, ended by one `kill -9`",
            Limit { ratio: None, most: Some(100e-3) },
        )],
    }
}

fn prepare(bench: &Bench<'_>) -> Result<Vec<Side>> {
    let home = Home::at(bench.raincoat, &bench.scratch.join("freeze"))?;
    let folder = bench.scratch.join("freeze/work");
    fs::create_dir_all(&folder).map_err(|error| format!("make `{}`: {error}", folder.display()))?;
    let said = bench.scratch.join("freeze/said");
    fs::create_dir_all(&said).map_err(|error| format!("make `{}`: {error}", said.display()))?;
    let (bare, place) = (said.clone(), folder.display().to_string());
    let ours = move || {
        let words = ["exec", "--commit", "never", "--in", &place, "--", "bash", "-c", SCRIPT];
        let running = start(&said, || home.raincoat(&words))?;
        let began = now();
        timed(&mut home.raincoat(&["freeze"]))?;
        let took = last(&said, began)?;
        ended(running)?;
        timed(&mut home.raincoat(&["thaw"]))?;
        timed(&mut home.raincoat(&["discard", "--all"]))?;
        Ok(took)
    };
    let peer = move || {
        let running = start(&bare, || {
            let mut command = Command::new("/bin/bash");
            command.args(["-c", SCRIPT]);
            command
        })?;
        let began = now();
        let mut kill = Command::new("/bin/kill");
        timed(kill.arg("-9").args(running.iter().map(|child| child.id().to_string())))?;
        let took = last(&bare, began)?;
        ended(running)?;
        Ok(took)
    };
    Ok(vec![Side::here(ours), Side::here(peer)])
}

fn place(said: &Path, n: usize) -> PathBuf {
    said.join(n.to_string())
}

/// Starts them all, and waits until each has done something.
fn start(said: &Path, command: impl Fn() -> Command) -> Result<Vec<Child>> {
    let mut running = Vec::new();
    for n in 0..RUNS {
        let file = File::create(place(said, n)).map_err(|error| format!("make a file: {error}"))?;
        let child = command().stdin(Stdio::null()).stdout(file).stderr(Stdio::null()).spawn();
        running.push(child.map_err(|error| format!("start a program: {error}"))?);
    }
    let began = Instant::now();
    while (0..RUNS).any(|n| fs::metadata(place(said, n)).map_or(0, |meta| meta.len()) == 0) {
        if began.elapsed() > PATIENCE {
            return Err("the programs did not come up".into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(running)
}

/// Seconds from then to the last write of any of them.
fn last(said: &Path, began: f64) -> Result<f64> {
    // Whatever is on its way still would be seen by then.
    std::thread::sleep(Duration::from_millis(300));
    let mut latest = began;
    for n in 0..RUNS {
        let text = fs::read_to_string(place(said, n)).map_err(|error| format!("read what was said: {error}"))?;
        let times = text.lines().filter_map(|line| line.parse::<f64>().ok());
        latest = times.fold(latest, f64::max);
    }
    Ok(latest - began)
}

fn ended(running: Vec<Child>) -> Result<()> {
    for mut child in running {
        child.wait().map_err(|error| format!("wait for a program: {error}"))?;
    }
    Ok(())
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
