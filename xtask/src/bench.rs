//! Measures the product against its peers, interleaved so that both meet the same machine, and writes BENCHMARKS.md.

mod document;
mod dojo;
mod machine;
mod memory;
mod mutants;
mod peers;
mod rows;
mod served;

use std::path::{Path, PathBuf};

use crate::{Result, command};

/// What is measured together. In each round every side has its turn, in their order.
struct Contest {
    /// What its rows are about, in a word; `--only` picks by it.
    name: &'static str,
    /// Rounds that count.
    rounds: usize,
    /// Rounds before them, thrown away.
    warm: usize,
    /// Sets the sides up in a scratch directory of their own.
    prepare: fn(&Bench<'_>) -> Result<Vec<Side>>,
    rows: Vec<Row>,
}

/// One who is measured.
enum Side {
    /// Does its work once and says what it took: seconds or bytes, as the row that reads it says.
    Here(Box<dyn FnMut() -> Result<f64>>),
    /// Does not run on this machine, and why.
    NotHere(String),
}

/// A comparison of two sides of a contest, by their medians.
struct Row {
    name: &'static str,
    /// A sentence on what was measured.
    meaning: &'static str,
    unit: Unit,
    /// Which side is the product's, from 0.
    ours: usize,
    /// Which side it is held against, and its name.
    peer: usize,
    peer_name: &'static str,
    limit: Limit,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unit {
    Seconds,
    Bytes,
}

/// What a row may cost; a row that is over fails the task. A row without a limit is there to be read.
#[derive(Clone, Copy, Default)]
struct Limit {
    /// At most so many times the peer's median.
    ratio: Option<f64>,
    /// Less than so much at the median, in the row's unit.
    most: Option<f64>,
}

/// Where a contest finds what it needs.
struct Bench<'a> {
    /// The release binary.
    raincoat: &'a Path,
    /// The program with the work that is no command, and the plain peers.
    measure: &'a Path,
    /// The same of the journal by itself, and of the log.
    journal: &'a Path,
    audit: &'a Path,
    /// The same of labels.
    flow: &'a Path,
    /// An empty directory, this contest's alone.
    scratch: &'a Path,
    /// A directory that stays from run to run, for what takes long to make.
    kept: &'a Path,
    /// Where `scripts/setup-bench-peers.sh` put the sandboxes of others.
    peers: &'a Path,
    /// What takes long to make is made smaller: to look at a row while one works on it.
    quick: bool,
}

/// By how much.
const QUICK: u64 = 20;

/// A row with its medians.
struct Finished {
    row: Row,
    rounds: usize,
    ours: f64,
    /// Its median, or why there is none.
    peer: std::result::Result<f64, String>,
}

/// Installs the peers.
const SET_UP: &str = "scripts/setup-bench-peers.sh";

pub(crate) fn run(root: &Path, args: &[String]) -> Result<()> {
    let quick = args.iter().any(|arg| arg == "--quick");
    // A part is measured anew; what else stands in the document stays.
    let keep = args.iter().any(|arg| arg == "--keep");
    if let Some(other) = args.iter().find(|arg| arg.starts_with("--") && !["--quick", "--keep"].contains(&arg.as_str()))
    {
        return Err(format!("`{other}` is none of the benchmark's options: `cargo xtask help` lists them"));
    }
    let wanted: Vec<&str> = args.iter().map(String::as_str).filter(|arg| !arg.starts_with("--")).collect();
    match wanted[..] {
        ["agentdojo"] => return dojo::run(root),
        ["mutants"] => return mutants::run(root),
        _ => {}
    }
    command::show(root, "sh", &[SET_UP])?;
    command::show(root, "cargo", &["build", "--release", "--locked"])?;
    let raincoat = root.join("target/release/raincoat");
    let [measure, journal, audit, flow] = ["effects", "journal", "audit", "flow"].map(|room| build_measure(root, room));
    let (measure, journal, audit, flow) = (measure?, journal?, audit?, flow?);
    let scratch_root = root.join("target/bench");
    let (kept, peers) = (scratch_root.join("kept"), root.join("target/bench-peers"));
    let contests = rows::all();
    let groups: Vec<&str> = contests.iter().map(|contest| contest.name).collect();
    let mut finished = Vec::new();
    for (index, mut contest) in contests.into_iter().enumerate() {
        let picked = |row: &Row| {
            wanted.iter().any(|name| match groups.contains(name) {
                true => *name == contest.name,
                false => row.name.contains(name),
            })
        };
        contest.rows.retain(|row| wanted.is_empty() || picked(row));
        if contest.rows.is_empty() {
            continue;
        }
        let scratch = scratch_root.join(index.to_string());
        empty(&scratch)?;
        let bench = Bench {
            raincoat: &raincoat,
            measure: &measure,
            journal: &journal,
            audit: &audit,
            flow: &flow,
            scratch: &scratch,
            kept: &kept,
            peers: &peers,
            quick,
        };
        let sides = (contest.prepare)(&bench)?;
        let medians = interleaved(contest.rounds, contest.warm, sides)?;
        for mut row in contest.rows {
            if quick {
                row.limit = Limit::default();
            }
            let median = |side: usize| medians.get(side).cloned().ok_or("a row reads a side that its contest lacks");
            let (ours, peer) = (median(row.ours)??, median(row.peer)?);
            let one = Finished { row, rounds: contest.rounds, ours, peer };
            println!("{}", one.markdown());
            finished.push(one);
        }
        std::fs::remove_dir_all(&scratch).map_err(|error| format!("cannot remove `{}`: {error}", scratch.display()))?;
    }
    if finished.is_empty() {
        return Err("no benchmark has such a name; `cargo xtask bench` runs all".to_owned());
    }
    if quick {
        println!("quick: large things were {QUICK} times smaller, and no limit was held");
    } else if wanted.is_empty() || keep {
        let old = document::read(root);
        let mut text = document::write(&machine::describe(&scratch_root), &finished);
        if keep {
            text.push_str(&document::earlier(&old, &finished));
        }
        text.push_str(&document::apart(&old));
        document::save(root, &text)?;
    }
    let over: Vec<&str> = finished.iter().filter(|one| !one.holds()).map(|one| one.row.name).collect();
    if over.is_empty() { Ok(()) } else { Err(format!("over the limit: {}", over.join("; "))) }
}

/// Builds a room's program with the work, and finds where cargo put it.
fn build_measure(root: &Path, room: &str) -> Result<PathBuf> {
    let package = format!("raincoat-{room}");
    let args = ["build", "--release", "--locked", "--package", &package, "--bench", "measure"];
    command::show(root, "cargo", &args)?;
    let told = command::output(root, "cargo", &[args.as_slice(), &["--quiet", "--message-format", "json"]].concat())?;
    let executable =
        cargo_metadata::Message::parse_stream(told.as_slice()).flatten().find_map(|message| match message {
            cargo_metadata::Message::CompilerArtifact(artifact) if artifact.target.name == "measure" => {
                artifact.executable
            }
            _ => None,
        });
    executable.map(PathBuf::from).ok_or_else(|| "cargo does not say where the measured program is".to_owned())
}

fn empty(dir: &Path) -> Result<()> {
    let fail = |error: std::io::Error| format!("cannot set up `{}`: {error}", dir.display());
    if dir.exists() {
        std::fs::remove_dir_all(dir).map_err(fail)?;
    }
    std::fs::create_dir_all(dir).map_err(fail)
}

/// Every side in turn, round for round; the median of each, or why it has none.
fn interleaved(rounds: usize, warm: usize, mut sides: Vec<Side>) -> Result<Vec<std::result::Result<f64, String>>> {
    let mut took: Vec<Vec<f64>> = vec![Vec::with_capacity(rounds); sides.len()];
    for round in 0..warm + rounds {
        for (side, took) in sides.iter_mut().zip(&mut took) {
            let Side::Here(work) = side else { continue };
            let one = work()?;
            if round >= warm {
                took.push(one);
            }
        }
    }
    let medians = sides.into_iter().zip(took).map(|(side, took)| match side {
        Side::Here(_) => median(took).map(Ok),
        Side::NotHere(why) => Ok(Err(why)),
    });
    medians.collect()
}

fn median(mut amounts: Vec<f64>) -> Result<f64> {
    amounts.sort_by(f64::total_cmp);
    amounts.get(amounts.len() / 2).copied().ok_or_else(|| "a benchmark without rounds has no median".to_owned())
}

impl Bench<'_> {
    /// So many, or fewer where it is to be quick.
    fn many(&self, count: u64) -> u64 {
        if self.quick { count / QUICK } else { count }
    }
}

impl Side {
    fn here(work: impl FnMut() -> Result<f64> + 'static) -> Side {
        Side::Here(Box::new(work))
    }
}

impl Finished {
    /// None where the peer does not run here.
    fn ratio(&self) -> Option<f64> {
        self.peer.as_ref().ok().map(|peer| self.ours / peer)
    }

    /// A limit that could not be looked at does not hold.
    fn holds(&self) -> bool {
        self.row.limit.ratio.is_none_or(|most| self.ratio().is_some_and(|ratio| ratio <= most))
            && self.row.limit.most.is_none_or(|most| self.ours < most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn finished(ours: f64, peer: f64, ratio: Option<f64>, most: Option<f64>) -> Finished {
        let limit = Limit { ratio, most };
        let row =
            Row { name: "a write", meaning: "One.", unit: Unit::Seconds, ours: 0, peer: 1, peer_name: "bare", limit };
        Finished { row, rounds: 3, ours, peer: Ok(peer) }
    }

    #[test]
    fn the_sides_take_turns_and_what_warms_up_does_not_count() {
        let calls = std::rc::Rc::new(std::cell::RefCell::new(String::new()));
        let side = |letter: char, amounts: Vec<f64>| -> Side {
            let (calls, mut amounts) = (calls.clone(), amounts.into_iter());
            Side::here(move || {
                calls.borrow_mut().push(letter);
                Ok(amounts.next().unwrap())
            })
        };
        let missing = Side::NotHere("no such program".to_owned());
        let sides = vec![side('o', vec![1.0, 5.0, 9.0, 7.0]), missing, side('p', vec![100.0, 2.0, 3.0, 1.0])];
        let medians = interleaved(3, 1, sides).unwrap();
        assert_eq!(medians, [Ok(7.0), Err("no such program".to_owned()), Ok(2.0)]);
        assert_eq!(*calls.borrow(), "opopopop");
    }

    #[test]
    fn a_row_over_either_limit_does_not_hold() {
        assert!(finished(20.0, 10.0, Some(2.0), None).holds());
        assert!(!finished(21.0, 10.0, Some(2.0), None).holds());
        assert!(!finished(20.0, 10.0, Some(2.0), Some(20.0)).holds());
        assert!(finished(20.0, 10.0, None, None).holds());
    }

    #[test]
    fn a_limit_against_a_peer_that_is_not_here_does_not_hold() {
        let alone = |ratio| Finished { peer: Err("no node".to_owned()), ..finished(1.0, 1.0, ratio, Some(2.0)) };
        assert!(!alone(Some(4.0)).holds());
        assert!(alone(None).holds());
    }

    #[test]
    fn every_row_reads_two_sides_and_has_a_name_of_its_own() {
        let contests = rows::all();
        let rows: Vec<&Row> = contests.iter().flat_map(|contest| &contest.rows).collect();
        let mut names: Vec<&str> = rows.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), rows.len());
        assert!(rows.iter().all(|row| row.ours != row.peer && row.meaning.ends_with('.')));
    }
}
