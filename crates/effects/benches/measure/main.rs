//! Work to be measured. `cargo xtask bench` runs this program, has the product's side and the peer's take turns, compares
//! them and writes BENCHMARKS.md; by itself it measures nothing.
//!
//! - `measure serve DIR` does, for each line on standard input, what the line names, once, and answers with the
//!   nanoseconds that it took.
//! - `measure moves FROM TO EVERY` is the plain program that a tidy is held against.
//! - `measure fill|small|change|write ..` are plain programs that are run bare, in a draft and in other sandboxes
//!   (`files`).
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark: it makes its own scratch files, reads the clock, and plays the plain program"
)]

mod commit;
mod files;
mod gate;
mod plain;
mod protected;

use std::fmt::Display;
use std::io::{BufRead, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use files::Tree;

/// What goes wrong ends the program, with a sentence.
type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["serve", dir] => serve(Path::new(dir)),
        ["moves", from, to, every] => {
            every.parse().map_err(said).and_then(|every| plain::moves(Path::new(from), Path::new(to), every))
        }
        ["fill", "small", dir] => files::fill_small(Path::new(dir)),
        ["fill", size, dir, count, folders] => fill(size, Path::new(dir), count, folders),
        ["small", dir] => files::work_small(Path::new(dir)).map(|took| println!("{took}")),
        ["change", dir, count, folders, changed] => Tree::new(Path::new(dir), count, folders)
            .and_then(|tree| files::change(&tree, changed.parse().map_err(said)?)),
        ["write", dir, count, folders] => {
            Tree::new(Path::new(dir), count, folders).and_then(|tree| tree.write(|_| 4096))
        }
        ["write", "durably", dir, count, folders] => {
            Tree::new(Path::new(dir), count, folders).and_then(|tree| files::write_durably(&tree))
        }
        // As `cargo bench` runs it.
        _ => {
            println!("measured by `cargo xtask bench`");
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Makes folders, and so many files of this size in them.
fn fill(size: &str, dir: &Path, files: &str, folders: &str) -> Result<()> {
    let (tree, size) = (Tree::new(dir, files, folders)?, size.parse().map_err(said)?);
    tree.folders()?;
    tree.write(|_| size)
}

/// Answers until standard input ends. A side sets itself up when it is first asked.
fn serve(dir: &Path) -> Result<()> {
    let mut protected = None;
    let mut plain = None;
    let mut gate = None;
    let mut commit = None;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(said)?;
        let words: Vec<&str> = line.split(' ').collect();
        let took = match words.as_slice() {
            ["gate", what] => lazily(&mut gate, || gate::Bench::new(dir))?.measure(what)?,
            ["protected", rest @ ..] => lazily(&mut protected, || protected::Bench::new(dir))?.measure(rest)?,
            ["batch", rest @ ..] => lazily(&mut commit, || commit::Bench::new(dir))?.measure(rest)?,
            ["plain", rest @ ..] => lazily(&mut plain, || plain::Bench::new(dir))?.measure(rest)?,
            _ => return Err(unknown(&line)),
        };
        println!("{}", took.as_nanos());
        std::io::stdout().flush().map_err(said)?;
    }
    commit.map_or(Ok(()), commit::Bench::end)?;
    protected.map_or(Ok(()), protected::Bench::end)
}

fn lazily<T>(slot: &mut Option<T>, make: impl FnOnce() -> Result<T>) -> Result<&mut T> {
    match slot {
        Some(it) => Ok(it),
        None => Ok(slot.insert(make()?)),
    }
}

/// New content every time: bytes that no store has seen.
fn random(len: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    raincoat_os::fill_random(&mut bytes).map_err(said)?;
    Ok(bytes)
}

/// Nothing waits to be written any more: what one side left for the disk to do is not the other's to wait for.
fn settle(dir: &Path) -> Result<()> {
    let dir = std::fs::File::open(dir).map_err(said)?;
    raincoat_os::mutate::sync_file_system(dir.as_fd()).map_err(said)
}

/// The median of times of single calls.
fn median(mut times: Vec<Duration>) -> Result<Duration> {
    times.sort();
    times.get(times.len() / 2).copied().ok_or_else(|| "nothing was measured".to_owned())
}

fn unknown(what: impl Display) -> String {
    format!("`{what}` is no work of this program; `cargo xtask bench` knows them all")
}

fn said(error: impl Display) -> String {
    error.to_string()
}
