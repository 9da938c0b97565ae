//! The log by itself, and plain programs that write or read as much. `cargo xtask bench` runs this; the way of asking
//! is `raincoat_testkit::measure`'s.
//!
//! `measure serve DIR` answers
//! - `append`, `batches COUNT durable|lazily` (of a hundred entries), on a log that grows from question to question;
//! - `fill COUNT`: a large log is made, once; then of that log `open`, `prove`, `verify`,
//!   `verify-deep`;
//! - `plain append COUNT BYTES`, `plain open`, `plain prove`, `plain verify`: what is there to compare them with.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark: it makes its own scratch files, reads the clock, and plays the plain program"
)]

mod large;
mod plain;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raincoat_audit::{About, Audit, AuditKeys, Event, Judgement};
use raincoat_os::{PrivateDir, SystemClock, new_ulid};
use raincoat_seal::SealKey;
use raincoat_testkit::measure::{Result, ended, lazily, said, serve, settle, unknown};
use raincoat_types::{Actor, Digest, RunId, Secret};

/// Entries of a batch.
const BATCH: usize = 100;
const ORIGIN: &str = "raincoat.local/measured";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    ended(match words.as_slice() {
        ["serve", dir, ..] => answer(Path::new(dir)),
        // As `cargo bench` runs it.
        _ => {
            println!("measured by `cargo xtask bench`");
            Ok(())
        }
    })
}

fn answer(dir: &Path) -> Result<()> {
    let (mut growing, mut large, mut peer) = (None, None, None);
    serve(|words| match words {
        ["append" | "batches", ..] => lazily(&mut growing, || Growing::new(dir))?.measure(words),
        ["plain", "append", count, bytes] => {
            let (count, bytes) = (count.parse().map_err(said)?, bytes.parse().map_err(said)?);
            lazily(&mut peer, || plain::Appended::new(dir))?.append(count, bytes)
        }
        ["fill", count] => {
            let start = Instant::now();
            large = Some(large::Large::new(dir, count.parse().map_err(said)?)?);
            Ok(start.elapsed())
        }
        ["plain", what] => large.as_ref().ok_or("`fill` comes first")?.plain(what),
        [what] => large.as_ref().ok_or("`fill` comes first")?.measure(what),
        _ => Err(unknown(words.join(" "))),
    })?;
    growing.map_or(Ok(()), |growing: Growing| growing.audit.close().map(drop).map_err(said))
}

/// A log that is appended to.
struct Growing {
    dir: PathBuf,
    audit: Audit,
    about: About,
}

impl Growing {
    fn new(dir: &Path) -> Result<Growing> {
        let dir = dir.join("growing");
        std::fs::create_dir(&dir).map_err(said)?;
        Ok(Growing { audit: open(&dir)?, dir, about: about()? })
    }

    fn measure(&mut self, words: &[&str]) -> Result<Duration> {
        settle(&self.dir)?;
        let start = Instant::now();
        match words {
            ["append"] => {
                self.audit.append(&self.about, &[event()]).map_err(said)?;
            }
            ["batches", count, how] => {
                let batch = vec![event(); BATCH];
                for _ in 0..count.parse().map_err(said)? {
                    match *how {
                        "durable" => self.audit.append(&self.about, &batch),
                        "lazily" => self.audit.append_lazy(&self.about, &batch),
                        _ => return Err(unknown(how)),
                    }
                    .map_err(said)?;
                }
            }
            _ => return Err(unknown(words.join(" "))),
        }
        Ok(start.elapsed())
    }
}

/// A log in this directory, as the keeper opens it.
fn open(dir: &Path) -> Result<Audit> {
    let (log, head) = places(dir)?;
    Audit::open(log, head, keys(), ORIGIN, Arc::new(SystemClock)).map_err(said)
}

fn places(dir: &Path) -> Result<(PrivateDir, PrivateDir)> {
    let ours = PrivateDir::open_or_create(dir).map_err(said)?;
    Ok((ours.dir("audit").map_err(said)?, ours.dir("head").map_err(said)?))
}

fn keys() -> AuditKeys {
    AuditKeys { payload: SealKey::from_bytes([7; 32]).derive("log"), signing_seed: Secret::new([8; 32]) }
}

fn about() -> Result<About> {
    let run = RunId(new_ulid(&SystemClock).map_err(said)?);
    Ok(About::run(run, Actor::Agent("default".to_owned())))
}

/// An event of the usual length.
fn event() -> Event {
    Event::Proposed {
        action: "move".to_owned(),
        targets: vec!["inbox/2026/report-0123.pdf".into(), "Documents/report-0123.pdf".into()],
        digest: Some(Digest([4; 32])),
        verdict: Judgement::Deny,
        rule: "protected-name".to_owned(),
        reason: "`Documents/.git` is protected: it is never changed by an agent".to_owned(),
    }
}
