//! How the keeper speaks to the person. The terminal implements this; so do tests.

use raincoat_types::wire::PlanStep;
use raincoat_types::{Actor, Amounts, Digest, FileKind, Refusal, RelPath, RunId, Timestamp};

/// A plan that wants an answer.
pub struct PlanView<'a> {
    /// The run.
    pub run: RunId,
    /// Who proposes it.
    pub actor: &'a Actor,
    /// One line.
    pub title: &'a str,
    /// The folders, in the order that `Place::root` counts: label and absolute path.
    pub roots: &'a [(String, Vec<u8>)],
    /// The changes, in their order.
    pub steps: &'a [PlanStep],
    /// What is known of each change now, in the same order.
    pub facts: &'a [StepFact],
    /// What an approval binds to: the digest of all of it.
    pub digest: Digest,
    /// Until when an approval holds.
    pub until: Timestamp,
    /// Why it is asked, where it is not simply that files change.
    pub why: &'a [String],
    /// Steps that cannot be taken back, because the person said that no copy is to be kept.
    pub irreversible: u64,
    /// What the gate counted: the numbers behind a breaker.
    pub totals: Amounts,
    /// An answer that was given from another terminal meanwhile.
    pub elsewhere: &'a dyn Fn() -> Option<Answer>,
    /// Reads what a step's target holds now (at most 256 KiB), for a diff. `None` where it is no readable file.
    pub before: &'a dyn Fn(usize) -> Option<Vec<u8>>,
}

/// What is known of a planned change before it is made.
#[derive(Clone, Debug, Default)]
pub struct StepFact {
    /// What the change is about now: kind and size; `None` where nothing is there yet.
    pub source: Option<(FileKind, u64)>,
    /// What it uses up: files that it changes (a tree counts each), how many of them it deletes, bytes.
    pub amounts: Amounts,
    /// What was allowed for a folder until a time covers it.
    pub stands: bool,
    /// No copy is kept of what is there, at the person's word: it cannot be taken back.
    pub irreversible: bool,
    /// Why it asks to be seen, whatever was allowed before.
    pub asked: Option<String>,
    /// The gate would refuse it, whatever the person says.
    pub refused: Option<Box<Refusal>>,
    /// Where the places that the step names really are, in the order of the change's fields: which of the run's folders,
    /// and the canonical path beneath it. Empty where they are the very places that were named, and where an earlier
    /// step of the plan must be made first.
    pub resolved: Vec<(usize, RelPath)>,
    /// The digest of the resolved action; `None` where an earlier step of the plan must be made first.
    pub digest: Option<Digest>,
}

/// The person's answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// All of it.
    Accept,
    /// These steps, by position.
    AcceptSome(Vec<u32>),
    /// All of it, and every later change of this run within its folders.
    AcceptRun,
    /// All of it, and until then every later change of this actor's in these folders that can be undone.
    AcceptFolder(Timestamp),
    /// Nobody could be asked. The question stays open, to be answered elsewhere.
    Unanswered,
    /// None of it, and why (told to the agent; may be empty).
    Refuse(String),
}

/// Somebody to speak to.
pub trait Console {
    /// Shows a plan and waits for the answer.
    fn review(&mut self, plan: &PlanView<'_>) -> Answer;
    /// Whether a question that nobody answers here is kept for an answer from elsewhere.
    fn keeps_questions(&self) -> bool {
        false
    }
    /// A plan as [`Console::review`] would show it, in full and without colours, to be answered elsewhere; and whether
    /// that is all of it.
    fn render(&self, _: &PlanView<'_>) -> (Vec<String>, bool) {
        (Vec::new(), false)
    }
    /// Words of the agent, as they come.
    fn say(&mut self, text: &str);
    /// What is going on; how far (done, total) where that is known.
    fn status(&mut self, text: &str, progress: Option<(u64, u64)>);
    /// A line that must not be missed: a recovery, a missing layer, a refusal.
    fn notice(&mut self, text: &str);
}
