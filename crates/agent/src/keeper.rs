//! The keeper as the worker knows it: somebody to propose to. The loop and the recipes are written against this
//! trait, so that tests can play the keeper.

use std::ops::ControlFlow;

use raincoat_types::wire::PlanStep;
use raincoat_types::{FileRead, ModelRequest, Outcome};

/// The keeper is gone, or speaks another language: nothing more can be done.
#[derive(Debug, thiserror::Error)]
#[error("the connection to the keeper is lost: {0}")]
pub struct Lost(pub String);

/// What came of a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlanResult {
    /// One for each step, in order; `None` where the person left the step out or it was not reached.
    pub outcomes: Vec<Option<Outcome>>,
    /// The person's words where they refused the whole.
    pub refused: Option<String>,
}

/// Takes a reply's bytes; gives back words for the person, or breaks the reply off.
pub type Sink<'a> = dyn FnMut(&[u8]) -> ControlFlow<(), String> + 'a;

/// Somebody to propose to.
pub trait Keeper {
    /// Proposes to look at files; outcomes come in the order asked. Independent looks go together, so that the answers
    /// need not wait for each other.
    ///
    /// # Errors
    /// [`Lost`] where the keeper is gone.
    fn read(&mut self, actions: Vec<FileRead>) -> Result<Vec<Outcome>, Lost>;

    /// Proposes changes that belong together. The person sees them as one plan before any is made.
    ///
    /// # Errors
    /// [`Lost`] where the keeper is gone.
    fn plan(&mut self, title: &str, steps: Vec<PlanStep>) -> Result<PlanResult, Lost>;

    /// Proposes to ask a model. Its reply's bytes go to `sink` as they come. What `sink` continues with is said to the
    /// person at once (nothing, where it is empty); `Break` gives the reply up.
    ///
    /// # Errors
    /// [`Lost`] where the keeper is gone.
    fn ask(&mut self, request: ModelRequest, sink: &mut Sink<'_>) -> Result<Outcome, Lost>;

    /// Words for the person, as they come.
    ///
    /// # Errors
    /// [`Lost`] where the keeper is gone.
    fn say(&mut self, text: &str) -> Result<(), Lost>;

    /// What it is at, for a progress line; how far (done, total) where that is known.
    ///
    /// # Errors
    /// [`Lost`] where the keeper is gone.
    fn status(&mut self, text: &str, progress: Option<(u64, u64)>) -> Result<(), Lost>;

    /// Something to keep with the run, for `show`.
    ///
    /// # Errors
    /// [`Lost`] where the keeper is gone.
    fn note(&mut self, text: &str) -> Result<(), Lost>;

    /// Says that a model's call was not proposed, and why: what was tried stands in the log either way.
    ///
    /// # Errors
    /// [`Lost`] where the keeper is gone.
    fn unproposed(&mut self, tool: &str, targets: Vec<String>, why: &str) -> Result<(), Lost> {
        let _ = (tool, targets, why);
        Ok(())
    }

    /// Says what a model that read the task and nothing else takes it to call for.
    ///
    /// # Errors
    /// [`Lost`] where the keeper is gone.
    fn intent(&mut self, changes: bool, deletes: bool) -> Result<(), Lost> {
        let _ = (changes, deletes);
        Ok(())
    }

    /// Says what a model is told came of a call that looked at something.
    ///
    /// # Errors
    /// [`Lost`] where the keeper is gone.
    fn told(&mut self, tool: &str, arguments: &str, text: &str) -> Result<(), Lost> {
        let _ = (tool, arguments, text);
        Ok(())
    }

    /// Says what a model's reply used up, in tokens, as its provider says.
    ///
    /// # Errors
    /// [`Lost`] where the keeper is gone.
    fn used(&mut self, input: u64, output: u64) -> Result<(), Lost> {
        let _ = (input, output);
        Ok(())
    }

    /// Hands over what is needed to go on after a restart; replaces what was handed over before. A keeper that stores
    /// none loses no more than that.
    ///
    /// # Errors
    /// [`Lost`] where the keeper is gone.
    fn transcript(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        let _ = bytes;
        Ok(())
    }

    /// Whether the person has asked to stop: come to an end, propose nothing more.
    fn stop_asked(&mut self) -> bool;
}
