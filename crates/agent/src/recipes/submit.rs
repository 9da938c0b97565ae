//! Submitting a plan and telling what came of it.

use raincoat_types::wire::PlanStep;
use raincoat_types::{FailureKind, FileChange, Limits, Outcome};

use super::{End, Finished, survey};
use crate::keeper::Keeper;

/// Troubles that a summary tells in full.
const TOLD: usize = 5;

/// What came of a plan.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// For each step whether it was done.
    pub(super) each: Vec<bool>,
    refused: Option<String>,
    troubles: Vec<String>,
    failed: usize,
    protected: usize,
}

/// Submits steps as one plan (or several where there are more than one plan may have) and says how it went.
pub(super) fn submit(keeper: &mut dyn Keeper, title: &str, steps: Vec<PlanStep>, limits: &Limits) -> Result<Done, End> {
    let mut done = Done::default();
    let total = steps.len();
    let mut rest = steps.into_iter();
    while done.each.len() < total {
        let part: Vec<PlanStep> = rest.by_ref().take(limits.plan_steps.max(1) as usize).collect();
        let count = part.len();
        let result = keeper.plan(title, part)?;
        for at in 0..count {
            let outcome = result.outcomes.get(at).and_then(Option::as_ref);
            done.each.push(matches!(outcome, Some(Outcome::Change(_))));
            done.protected += usize::from(outcome.is_some_and(is_protected));
            if outcome.is_some_and(is_trouble) {
                done.failed += 1;
                if done.troubles.len() < TOLD {
                    done.troubles.push(survey::trouble(outcome));
                }
            }
        }
        done.refused = result.refused;
        if done.refused.is_some() || done.failed > 0 {
            done.each.resize(total, false);
        }
    }
    Ok(done)
}

/// Whether a step came to nothing. One that a stop kept from being reached did not fail.
fn is_trouble(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Change(_) => false,
        Outcome::Failed(failure) => failure.kind != FailureKind::Stopped,
        other => !is_protected(other),
    }
}

/// Whether a step was refused because of the file's name: such files are the person's own, and left alone is right.
fn is_protected(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Refused(refusal) if matches!(refusal.rule.as_str(), "protected-name" | "denied-by-grant"))
}

impl Done {
    /// How many of the steps were done.
    pub(super) fn count(&self) -> usize {
        self.each.iter().filter(|done| **done).count()
    }

    /// Whether the person refused the whole.
    pub(super) fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Whether a step failed. One that the person left out did not.
    pub(super) fn has_failed(&self) -> bool {
        self.failed > 0
    }

    /// Why steps failed, a line each, the first few.
    pub(super) fn why_not(&self) -> impl Iterator<Item = String> {
        self.troubles.iter().map(|trouble| format!("  {trouble}"))
    }

    /// The end of the recipe: `what` was done in words, then what was not, then `notes`. Leaving steps out of a plan
    /// is the person's choice and ends well; a failure does not.
    pub(super) fn finish(&self, what: &str, notes: &[String]) -> Finished {
        self.finish_second(what, "nothing was changed", notes)
    }

    /// The same for a plan after another, where refusing it means something else than that nothing was changed.
    pub(super) fn finish_second(&self, what: &str, refused: &str, notes: &[String]) -> Finished {
        let mut lines = Vec::new();
        match &self.refused {
            Some(words) if words.is_empty() => lines.push(format!("{refused}: you refused the plan")),
            Some(words) => lines.push(format!("{refused}: you refused the plan (`{words}`)")),
            None => lines.push(what.to_owned()),
        }
        if self.protected > 0 {
            lines.push(format!("left alone: {} with a protected or denied name", files(self.protected)));
        }
        let left = self.each.len() - self.count() - self.failed - self.protected;
        if self.refused.is_none() && left > 0 {
            lines.push(format!("{} left out or not reached", steps(left)));
        }
        if self.failed > 0 {
            lines.push(format!("{} failed:", steps(self.failed)));
            lines.extend(self.why_not());
        }
        lines.extend(notes.iter().cloned());
        Finished { summary: lines.join("\n"), ok: self.failed == 0 }
    }
}

/// One step.
pub(super) fn step(change: FileChange, why: impl Into<String>) -> PlanStep {
    PlanStep { change, why: why.into() }
}

/// A number with its noun.
pub(super) fn count(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

pub(super) fn files(n: usize) -> String {
    count(n, "file", "files")
}

pub(super) fn folders(n: usize) -> String {
    count(n, "folder", "folders")
}

fn steps(n: usize) -> String {
    count(n, "step", "steps")
}

/// Bytes for people: powers of 1024, one decimal.
pub(super) fn bytes(n: u64) -> String {
    let mut unit = "bytes";
    let mut whole = n;
    let mut tenths = 0;
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if whole < 1024 {
            break;
        }
        tenths = whole % 1024 * 10 / 1024;
        whole /= 1024;
        unit = next;
    }
    if unit == "bytes" { format!("{whole} {unit}") } else { format!("{whole}.{tenths} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_for_people() {
        assert_eq!(bytes(0), "0 bytes");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(u64::MAX), "16383.9 PiB");
    }
}
