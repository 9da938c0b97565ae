//! Whether a test would notice if the gate decided otherwise: cargo-mutants changes the room `gate` in one place at a
//! time and runs its tests; the section in BENCHMARKS.md.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::document;
use crate::{Result, command};

/// What is run. `reference` is left out: its million random cases find what a mutant does late, and take minutes for
/// each of hundreds.
const ARGUMENTS: [&str; 13] = [
    "mutants",
    "--package",
    "raincoat-gate",
    "--test-package",
    "raincoat-gate",
    "--no-shuffle",
    "--test-tool",
    "nextest",
    "--output",
    OUT,
    "--",
    "-E",
    "binary(decide) | binary(call)",
];

/// Where it puts `mutants.out`, beneath the checkout.
const OUT: &str = "target/bench/mutants";

pub(super) const HEADING: &str = "## Mutants of the gate";

const MEANING: &str = "\
Each mutant is the room `gate` with one thing changed: an operator, an arm, a function's answer. It is caught where one of the \
room's tests then fails, and timed out where the tests do not end any more. What does not compile is unviable. A survivor is a \
change that no test notices; there must be none.
";

/// Runs it, writes the section, and fails where a mutant survived.
pub(super) fn run(root: &Path) -> Result<()> {
    for (probe, package) in [("mutants", "cargo-mutants"), ("nextest", "cargo-nextest")] {
        if !command::works("cargo", &[probe, "--version"]) {
            return Err(format!("{package} is missing: `cargo install {package} --locked` puts it in place"));
        }
    }
    let commit = command::output(root, "git", &["rev-parse", "--short", "HEAD"])?;
    super::empty(&root.join(OUT))?;
    // It ends with an error for survivors too, which the section tells.
    let ran = command::show(root, "cargo", &ARGUMENTS);
    let told = std::fs::read(root.join(OUT).join("mutants.out/outcomes.json"))
        .map_err(|error| ran.err().unwrap_or_else(|| format!("cannot read what cargo-mutants found: {error}")))?;
    let told = serde_json::from_slice(&told).map_err(|error| format!("cargo-mutants wrote no JSON: {error}"))?;
    let (section, survivors) = section(&told, String::from_utf8_lossy(&commit).trim())?;
    print!("{section}");
    document::put(root, HEADING, &section)?;
    if survivors == 0 { Ok(()) } else { Err(format!("mutants of the gate that no test catches: {survivors}")) }
}

/// The section, and how many survived.
fn section(told: &Value, commit: &str) -> Result<(String, u64)> {
    let number =
        |key: &str| told.get(key).and_then(Value::as_u64).ok_or_else(|| format!("cargo-mutants does not tell `{key}`"));
    let (all, caught, timeouts) = (number("total_mutants")?, number("caught")?, number("timeout")?);
    let (unviable, survivors) = (number("unviable")?, number("missed")?);
    if all == 0 || told.get("end_time").is_none_or(Value::is_null) {
        return Err("cargo-mutants did not come to its end: what it wrote beneath target/bench says why".to_owned());
    }
    let mut out = format!(
        "\n{HEADING}\n\n{MEANING}\nMeasured at commit {commit}, by `cargo {}`.\n\n\
         | mutants | caught | timeouts | unviable | survivors |\n| --- | --- | --- | --- | --- |\n\
         | {all} | {caught} | {timeouts} | {unviable} | {survivors} |\n",
        typed(&ARGUMENTS)
    );
    let outcomes = told.get("outcomes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let missed = outcomes.iter().filter(|one| one.get("summary").is_some_and(|summary| summary == "MissedMutant"));
    for (n, name) in missed.filter_map(|one| one.pointer("/scenario/Mutant/name")?.as_str()).enumerate() {
        let _ = writeln!(out, "{}- survived: `{name}`", if n == 0 { "\n" } else { "" });
    }
    Ok((out, survivors))
}

/// Arguments as one types them.
fn typed(arguments: &[&str]) -> String {
    let quoted = arguments.iter().map(|one| if one.contains(' ') { format!("'{one}'") } else { (*one).to_owned() });
    quoted.collect::<Vec<String>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(missed: u64) -> Value {
        let survivor = json!({"summary": "MissedMutant", "scenario": {"Mutant": {"name": "src/a.rs:1:2: replace x"}}});
        let caught = json!({"summary": "CaughtMutant", "scenario": {"Mutant": {"name": "src/b.rs:1:2: replace y"}}});
        let outcomes: Vec<Value> = if missed == 0 { vec![caught] } else { vec![caught, survivor] };
        json!({"total_mutants": 12, "caught": 9 - missed, "timeout": 1, "unviable": 2, "missed": missed,
            "end_time": "2026-11-30T20:00:00Z", "outcomes": outcomes})
    }

    #[test]
    fn the_section_has_every_figure_and_the_survivors_by_name() {
        let (text, survivors) = section(&told(0), "abc").unwrap();
        assert!(text.contains("| 12 | 9 | 1 | 2 | 0 |\n") && text.contains("commit abc") && !text.contains("survived"));
        assert!(text.contains("-E 'binary(decide) | binary(call)'`"), "{text}");
        assert_eq!(survivors, 0);
        let (text, survivors) = section(&told(1), "abc").unwrap();
        assert!(survivors == 1 && text.ends_with("| 1 |\n\n- survived: `src/a.rs:1:2: replace x`\n"), "{text}");
    }

    #[test]
    fn what_was_broken_off_is_no_figure() {
        let mut broken = told(0);
        broken["end_time"] = Value::Null;
        assert!(section(&broken, "abc").unwrap_err().contains("end"));
        assert!(section(&json!({"total_mutants": 1}), "abc").unwrap_err().contains("`caught`"));
    }
}
