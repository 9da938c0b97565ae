//! What a run has read, where each argument of a call came from, and what the user's request calls for.
//!
//! Another agent's loop says what the user asked for, which tools there are, what it is about to call, and what came
//! back. Before each call [`Run::call`] answers: allow, ask, or deny, with a sentence. The rules are in the gate
//! ([`raincoat_gate::decide_call`]); this room finds the facts. It does no input or output of its own.

mod fold;
mod handover;
mod index;
mod intent;
mod judge;
mod lexicon;
mod limits;
mod manifest;
mod marks;
pub mod protocol;
mod records;
mod run;
mod schema;
mod speech;
mod tool;
mod trace;
mod values;
mod words;

pub use intent::Request;
pub use limits::FlowLimits;
pub use manifest::{Manifest, ManifestError};
pub use run::{Answer, Decision, Run, Trace};
pub use schema::ToolDefinition;
