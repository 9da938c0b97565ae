//! Work to be measured. `cargo xtask bench` runs this program, has the product's side and the peer's take turns, compares
//! them and writes BENCHMARKS.md; by itself it measures nothing.
//!
//! - `measure serve DIR` does, for each line on standard input, what the line names, once, and answers with the
//!   nanoseconds that it took.
//! - `measure moves FROM TO EVERY` is the plain program that a tidy is held against.
//! - `measure fill|small|change|write|tree|noise|edit|append ..` are plain programs that are run bare, in a draft and in
//!   other sandboxes (`files`, `tree`, `edits`).
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark: it makes its own scratch files, reads the clock, and plays the plain program"
)]

mod commit;
mod edits;
mod files;
mod gate;
mod plain;
mod protected;
mod tree;

use std::path::Path;
use std::process::ExitCode;

use files::Tree;
use raincoat_testkit::measure::{Result, ended, lazily, said, serve, unknown};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    ended(match words.as_slice() {
        ["serve", dir] => answer(Path::new(dir)),
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
        ["tree", dir] => tree::make(Path::new(dir)),
        ["noise", file, size] => size.parse().map_err(said).and_then(|size| edits::noise(Path::new(file), size)),
        ["edit", file, n] => n.parse().map_err(said).and_then(|n| edits::edit(Path::new(file), n)),
        ["append", file, size] => size.parse().map_err(said).and_then(|size| edits::append(Path::new(file), size)),
        // As `cargo bench` runs it.
        _ => {
            println!("measured by `cargo xtask bench`");
            Ok(())
        }
    })
}

/// Makes folders, and so many files of this size in them.
fn fill(size: &str, dir: &Path, files: &str, folders: &str) -> Result<()> {
    let (tree, size) = (Tree::new(dir, files, folders)?, size.parse().map_err(said)?);
    tree.folders()?;
    tree.write(|_| size)
}

/// Answers until standard input ends.
fn answer(dir: &Path) -> Result<()> {
    let mut protected = None;
    let mut plain = None;
    let mut gate = None;
    let mut commit = None;
    serve(|words| match words {
        ["gate", what] => lazily(&mut gate, || gate::Bench::new(dir))?.measure(what),
        ["protected", rest @ ..] => lazily(&mut protected, || protected::Bench::new(dir))?.measure(rest),
        ["batch", rest @ ..] => lazily(&mut commit, || commit::Bench::new(dir))?.measure(rest),
        ["plain", rest @ ..] => lazily(&mut plain, || plain::Bench::new(dir))?.measure(rest),
        _ => Err(unknown(words.join(" "))),
    })?;
    commit.map_or(Ok(()), commit::Bench::end)?;
    protected.map_or(Ok(()), protected::Bench::end)
}
