//! The project's own tasks: `cargo xtask tidy`, `cargo xtask test`, `cargo xtask samples`, `cargo xtask crash`, `cargo xtask bench`.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer's tool: it reads the checkout, runs cargo and talks to a terminal; no agent's work goes through it"
)]

mod bench;
mod command;
mod samples;
mod test;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask TASK

  tidy           hold the house against its own rules: rooms, crates, licences, lints, words, links
  test [ARGS]    fetch what the tests need, then run all of them; ARGS go to `cargo nextest run`
  samples        fetch Cedar's own samples only, for the tests of the room `policy`
  crash          kill at every call, fail at every call and cut the power at every write, where the tests take samples
  bench [NAME...] [--keep] [--quick]
                 build for release, measure against peers, write BENCHMARKS.md. A NAME picks a group (start,
                 journal, log, tree, versions, ...) or the rows whose name has it in; then nothing is written, but with --keep:
                 what was measured is, and what else stands there stays, under its commit. --quick makes large things
                 smaller and holds no limit: to look at a row while one works on it
  bench agentdojo
                 judge `raincoat gate` on AgentDojo and write its table into BENCHMARKS.md. The judge's scripts are looked
                 for in $RAINCOAT_AGENTDOJO_JUDGE, else in ../shared/judges/agentdojo
  bench mutants  change the gate in one place at a time, look whether its tests notice, and write the figures into
                 BENCHMARKS.md; fails where one is not noticed. It needs cargo-mutants and cargo-nextest
";

/// What a task ends in; the error is a sentence for the person at the terminal.
type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let done = match args.split_first().map(|(task, rest)| (task.as_str(), rest)) {
        Some(("tidy", [])) => tidy::run(root),
        Some(("test", rest)) => test::run(root, rest),
        Some(("samples", [])) => samples::fetch(root),
        Some(("crash", [])) => test::crash(root),
        Some(("bench", rest)) => bench::run(root, rest),
        Some(("help" | "--help" | "-h", _)) => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(format!("there is no such task\n{USAGE}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
