//! BENCHMARKS.md: the tables, the machine, and a sentence on each row.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;

use super::{Finished, Unit, dojo, mutants};
use crate::Result;

const NAME: &str = "BENCHMARKS.md";

/// What other tasks write: sections of their own, in the order in which they stand at the document's end.
const APART: [&str; 2] = [dojo::HEADING, mutants::HEADING];

const HEAD: &str = "\
# Benchmarks

Written by `cargo xtask bench` and by nothing else. What was measured in one run of that command \
stands together; rows of earlier runs (`--keep`) stand apart, each with its commit. In each row \
Raincoat and its peer took turns, one after the other on the same machine and file system, so that both met the same \
conditions; what stands here are medians. Other sandboxes count only after a look at whether they hold: what they run \
must not be able to write outside of its folder. Those that do not run on this machine say why.

";

const TABLE: &str =
    "\n| what | Raincoat | peer | takes | ratio | limit | |\n| --- | --- | --- | --- | --- | --- | --- |\n";

/// The document as it is; empty where there is none.
pub(super) fn read(root: &Path) -> String {
    std::fs::read_to_string(root.join(NAME)).unwrap_or_default()
}

pub(super) fn save(root: &Path, text: &str) -> Result<()> {
    std::fs::write(root.join(NAME), text).map_err(|error| format!("cannot write {NAME}: {error}"))?;
    println!("{NAME} written");
    Ok(())
}

/// Writes one of the sections of other tasks anew; all else stays.
pub(super) fn put(root: &Path, heading: &str, section: &str) -> Result<()> {
    save(root, &with(&read(root), heading, section))
}

fn with(document: &str, heading: &str, text: &str) -> String {
    let tables = document.strip_suffix(&apart(document)).unwrap_or(document);
    let sections = APART.map(|one| if one == heading { text } else { section(document, one) });
    format!("{tables}{}", sections.concat())
}

/// The sections of other tasks, as they stand in a document.
pub(super) fn apart(document: &str) -> String {
    APART.map(|heading| section(document, heading)).concat()
}

/// A section, from the line before its heading to the next heading.
fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let Some(rest) = document.find(&format!("\n{heading}\n")).and_then(|at| document.get(at..)) else { return "" };
    let end = rest.match_indices("\n## ").nth(1).map_or(rest.len(), |(at, _)| at);
    rest.get(..end).unwrap_or_default()
}

pub(super) fn write(machine: &[(&str, String)], rows: &[Finished]) -> String {
    let mut out = HEAD.to_owned();
    for (name, value) in machine {
        let _ = writeln!(out, "- {name}: {value}");
    }
    let parts = [("With a limit", true), ("Without a limit, to be read", false)];
    for (title, limited) in parts {
        let _ = write!(out, "\n## {title}\n{TABLE}");
        for row in rows.iter().filter(|row| row.is_limited() == limited) {
            let _ = writeln!(out, "{}", row.markdown());
        }
    }
    out.push_str("\n## What each row means\n\n");
    for one in rows {
        let _ = writeln!(out, "- **{}** (median of {}): {}", one.row.name, one.rounds, one.row.meaning);
    }
    out
}

/// Rows of a document of before that were not measured now, with what they mean.
pub(super) fn earlier<'a>(old: &'a str, rows: &[Finished]) -> String {
    let commit = old.lines().find_map(|line| line.strip_prefix("- commit: ")).unwrap_or("unknown");
    let is_new = |name: &str| rows.iter().any(|one| one.row.name == name);
    let meaning = |line: &'a str| line.strip_prefix("- **").and_then(|line| line.split_once("**"));
    // Other tables have rows too, which mean nothing here.
    let known: HashSet<&str> = old.lines().filter_map(meaning).map(|(name, _)| name).collect();
    let (mut table, mut meanings) = (String::new(), String::new());
    for line in old.lines() {
        if let Some((name, rest)) = meaning(line) {
            if !is_new(name) {
                let _ = writeln!(meanings, "- **{name}**{rest}");
            }
        } else if let Some((name, rest)) = line.strip_prefix("| ").and_then(|line| line.split_once(" |")) {
            let (what, of) = name.rsplit_once(" (commit ").unwrap_or((name, commit));
            if known.contains(what) && !is_new(what) {
                let _ = writeln!(table, "| {what} (commit {}) |{rest}", of.trim_end_matches(')'));
            }
        }
    }
    if table.is_empty() {
        return String::new();
    }
    format!("\n## Of earlier runs\n{TABLE}{table}\n{meanings}")
}

impl Finished {
    fn is_limited(&self) -> bool {
        self.row.limit.ratio.is_some() || self.row.limit.most.is_some()
    }

    pub(super) fn markdown(&self) -> String {
        let mut limit = Vec::new();
        limit.extend(self.row.limit.ratio.map(|most| format!("{most:.1} times")));
        limit.extend(self.row.limit.most.map(|most| format!("under {}", words(most, self.row.unit))));
        let verdict = match (self.is_limited(), self.holds()) {
            (false, _) => "",
            (true, true) => "holds",
            (true, false) => "**over**",
        };
        let peer = match &self.peer {
            Ok(peer) => words(*peer, self.row.unit),
            Err(why) => format!("not run here: {why}"),
        };
        let ratio = self.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        format!(
            "| {} | {} | {} | {peer} | {ratio} | {} | {verdict} |",
            self.row.name,
            words(self.ours, self.row.unit),
            self.row.peer_name,
            limit.join(", ")
        )
    }
}

fn words(amount: f64, unit: Unit) -> String {
    match unit {
        Unit::Bytes if amount < 1e6 => format!("{:.1} kB", amount / 1e3),
        Unit::Bytes => format!("{:.1} MB", amount / 1e6),
        Unit::Seconds => match amount {
            ..1e-6 => format!("{:.0} ns", amount * 1e9),
            ..1e-3 => format!("{:.2} µs", amount * 1e6),
            ..1.0 => format!("{:.2} ms", amount * 1e3),
            _ => format!("{amount:.2} s"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::finished;
    use super::*;

    #[test]
    fn a_row_says_both_sides_the_limit_and_whether_it_holds() {
        assert_eq!(
            finished(21e-6, 1e-2, Some(2.0), Some(1e-3)).markdown(),
            "| a write | 21.00 µs | bare | 10.00 ms | 0.00 | 2.0 times, under 1.00 ms | holds |"
        );
        assert_eq!(
            finished(3.0, 1.0, Some(2.0), None).markdown(),
            "| a write | 3.00 s | bare | 1.00 s | 3.00 | 2.0 times | **over** |"
        );
        let alone = Finished { peer: Err("no node".to_owned()), ..finished(3.0, 1.0, None, None) };
        assert_eq!(alone.markdown(), "| a write | 3.00 s | bare | not run here: no node |  |  |  |");
        assert_eq!(words(4_200_000.0, Unit::Bytes), "4.2 MB");
        assert_eq!(words(42_100.0, Unit::Bytes), "42.1 kB");
        assert_eq!(words(80e-9, Unit::Seconds), "80 ns");
    }

    #[test]
    fn rows_of_before_are_kept_with_their_commit_until_they_are_measured_again() {
        let old = "- commit: abc\n| what | x |\n| --- | --- |\n| a write | 1 |\n| a read | 2 |\n| a look (commit 123) | 3 |\n\
                   - **a write** (median of 3): One.\n- **a read** (median of 3): Two.\n- **a look** (median of 3): Three.\n\
                   | suite | asks |\n| mail | 3 |\n";
        let text = earlier(old, &[finished(1.0, 1.0, None, None)]);
        assert!(text.contains("| a read (commit abc) | 2 |\n| a look (commit 123) | 3 |\n"), "{text}");
        assert!(text.contains("- **a read** (median of 3): Two.\n") && !text.contains("a write"), "{text}");
        assert!(!text.contains("suite") && !text.contains("mail"), "another table's rows: {text}");
        assert_eq!(earlier("", &[]), "");
    }

    #[test]
    fn what_other_tasks_write_is_found_again_and_written_apart() {
        let [dojo, mutants] = APART.map(|heading| format!("\n{heading}\n\n| a |\n"));
        let one = with("# Benchmarks\n\n## Rows\n", mutants::HEADING, &mutants);
        let both = with(&one, dojo::HEADING, &dojo);
        assert_eq!(both, format!("# Benchmarks\n\n## Rows\n{dojo}{mutants}"));
        assert_eq!(apart(&both), format!("{dojo}{mutants}"));
        assert_eq!(with(&both, dojo::HEADING, ""), one);
        assert_eq!(apart("# Benchmarks\n"), "");
    }

    #[test]
    fn the_document_has_the_machine_and_every_row_with_its_meaning() {
        let rows = [finished(1.0, 1.0, None, None), finished(2.0, 1.0, Some(2.0), None)];
        let text = write(&[("kernel", "6".to_owned())], &rows);
        assert!(text.contains("- kernel: 6\n"));
        assert_eq!(text.matches("| a write |").count(), 2);
        assert_eq!(text.matches("- **a write** (median of 3): One.").count(), 2);
    }
}
