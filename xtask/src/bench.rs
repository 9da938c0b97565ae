//! Measures the product against its peers, interleaved so that both meet the same machine, and writes BENCHMARKS.md.

mod machine;
mod rows;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::{Result, command};

/// One comparison.
struct Benchmark {
    name: &'static str,
    /// What the product is held against.
    peer: &'static str,
    /// How often each side runs; the first run of each is thrown away.
    rounds: usize,
    limit: Limit,
    /// Sets both sides up in a scratch directory of its own.
    prepare: fn(&Bench<'_>) -> Result<Sides>,
}

/// What a row may cost; a row that is over fails the task.
struct Limit {
    /// At most so many times the peer's median.
    ratio: Option<f64>,
    /// At most so long at the median.
    time: Option<Duration>,
}

/// Where a benchmark finds what it needs.
struct Bench<'a> {
    /// The release binary.
    raincoat: &'a Path,
    /// An empty directory, this benchmark's alone.
    scratch: &'a Path,
}

/// The two sides of a comparison: each call does the work once and says how long it took.
struct Sides {
    ours: Box<dyn FnMut() -> Result<Duration>>,
    peer: Box<dyn FnMut() -> Result<Duration>>,
}

/// A finished comparison: medians.
struct Row {
    name: &'static str,
    peer_name: &'static str,
    ours: Duration,
    peer: Duration,
    limit: Limit,
}

pub(crate) fn run(root: &Path, args: &[String]) -> Result<()> {
    command::show(root, "cargo", &["build", "--release", "--locked"])?;
    let raincoat = root.join("target/release/raincoat");
    let scratch_root = root.join("target/bench");
    let mut finished = Vec::new();
    let chosen = |name: &str| args.is_empty() || args.iter().any(|arg| name.contains(arg.as_str()));
    for (index, benchmark) in rows::all().into_iter().filter(|benchmark| chosen(benchmark.name)).enumerate() {
        let scratch = scratch_root.join(index.to_string());
        let io = |error: std::io::Error| format!("cannot set up `{}`: {error}", scratch.display());
        if scratch.exists() {
            std::fs::remove_dir_all(&scratch).map_err(io)?;
        }
        std::fs::create_dir_all(&scratch).map_err(io)?;
        let sides = (benchmark.prepare)(&Bench { raincoat: &raincoat, scratch: &scratch })?;
        let (ours, peer) = interleaved(benchmark.rounds, sides)?;
        let row = Row { name: benchmark.name, peer_name: benchmark.peer, ours, peer, limit: benchmark.limit };
        println!("{}", row.markdown());
        finished.push(row);
    }
    if finished.is_empty() {
        return Err("no benchmark has such a name; `cargo xtask bench` runs all".to_owned());
    }
    if args.is_empty() {
        let text = document(&machine::describe(&scratch_root), &finished);
        std::fs::write(root.join("BENCHMARKS.md"), text)
            .map_err(|error| format!("cannot write BENCHMARKS.md: {error}"))?;
        println!("BENCHMARKS.md written");
    }
    let over: Vec<&str> = finished.iter().filter(|row| !row.holds()).map(|row| row.name).collect();
    if over.is_empty() { Ok(()) } else { Err(format!("over the limit: {}", over.join("; "))) }
}

/// Ours, peer, ours, peer and so on; the median of each. The first of each warms up and does not count.
fn interleaved(rounds: usize, mut sides: Sides) -> Result<(Duration, Duration)> {
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let (one, other) = ((sides.ours)()?, (sides.peer)()?);
        if round > 0 {
            ours.push(one);
            peer.push(other);
        }
    }
    Ok((median(ours)?, median(peer)?))
}

fn median(mut times: Vec<Duration>) -> Result<Duration> {
    times.sort();
    times.get(times.len() / 2).copied().ok_or_else(|| "a benchmark without rounds has no median".to_owned())
}

impl Row {
    fn ratio(&self) -> f64 {
        self.ours.as_secs_f64() / self.peer.as_secs_f64()
    }

    fn holds(&self) -> bool {
        self.limit.ratio.is_none_or(|most| self.ratio() <= most) && self.limit.time.is_none_or(|most| self.ours <= most)
    }

    fn markdown(&self) -> String {
        let mut limit = Vec::new();
        limit.extend(self.limit.ratio.map(|most| format!("{most:.1} times")));
        limit.extend(self.limit.time.map(words));
        let verdict = if self.holds() { "holds" } else { "**over**" };
        format!(
            "| {} | {} | {} | {} | {:.2} | {} | {verdict} |",
            self.name,
            words(self.ours),
            self.peer_name,
            words(self.peer),
            self.ratio(),
            limit.join(", ")
        )
    }
}

fn words(time: Duration) -> String {
    let nanos = time.as_secs_f64() * 1e9;
    match nanos {
        ..1e3 => format!("{nanos:.0} ns"),
        ..1e6 => format!("{:.1} µs", nanos / 1e3),
        ..1e9 => format!("{:.2} ms", nanos / 1e6),
        _ => format!("{:.2} s", nanos / 1e9),
    }
}

fn document(machine: &[(&str, String)], rows: &[Row]) -> String {
    let mut out = String::from(
        "# Benchmarks\n\nWritten by `cargo xtask bench`. Each row ran beside its peer, one after the other in turn on the same \
         machine; what stands here are medians.\n\n",
    );
    for (name, value) in machine {
        let _ = writeln!(out, "- {name}: {value}");
    }
    out.push_str(
        "\n| what | Raincoat | peer | takes | ratio | limit | |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in rows {
        let _ = writeln!(out, "{}", row.markdown());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: u64, peer: u64, ratio: Option<f64>, time: Option<Duration>) -> Row {
        let (ours, peer) = (Duration::from_micros(ours), Duration::from_micros(peer));
        Row { name: "a write", peer_name: "a bare one", ours, peer, limit: Limit { ratio, time } }
    }

    #[test]
    fn the_sides_take_turns_and_the_first_of_each_does_not_count() {
        let calls = std::rc::Rc::new(std::cell::RefCell::new(String::new()));
        let side = |letter: char, times: Vec<u64>| -> Box<dyn FnMut() -> Result<Duration>> {
            let (calls, mut times) = (calls.clone(), times.into_iter());
            Box::new(move || {
                calls.borrow_mut().push(letter);
                Ok(Duration::from_millis(times.next().unwrap()))
            })
        };
        let sides = Sides { ours: side('o', vec![1, 5, 9, 7]), peer: side('p', vec![100, 2, 3, 1]) };
        let medians = interleaved(3, sides).unwrap();
        assert_eq!(medians, (Duration::from_millis(7), Duration::from_millis(2)));
        assert_eq!(*calls.borrow(), "opopopop");
    }

    #[test]
    fn a_row_over_either_limit_does_not_hold() {
        assert!(row(20, 10, Some(2.0), None).holds());
        assert!(!row(21, 10, Some(2.0), None).holds());
        assert!(!row(20, 10, Some(2.0), Some(Duration::from_micros(19))).holds());
        assert_eq!(
            row(21, 10, Some(2.0), None).markdown(),
            "| a write | 21.0 µs | a bare one | 10.0 µs | 2.10 | 2.0 times | **over** |"
        );
    }

    #[test]
    fn the_document_has_the_machine_and_every_row() {
        let text = document(&[("kernel", "6".to_owned())], &[row(1, 1, None, None), row(2, 1, None, None)]);
        assert!(text.contains("- kernel: 6\n"));
        assert_eq!(text.matches("| a write |").count(), 2);
    }
}
