//! The agent's side: the loop with a model, the tools it may propose, and recipes that need no model. It runs in the
//! worker, which has one socket and nothing else; it can propose and be told, no more.
//!
//! # It cannot permit
//!
//! Only the gate mints a permit, and the gate is not among this crate's dependencies, so that the loop cannot even
//! name one (DESIGN, what must always be true, 1). This does not compile, because there is no such crate here:
//!
//! ```compile_fail,E0433
//! use raincoat_agent as _;
//! fn smuggle(_: raincoat_gate::Permit<()>) {}
//! ```
//!
//! Its twin does, so that the one above fails for the right reason:
//!
//! ```
//! use raincoat_agent as _;
//! fn propose(_: raincoat_types::FileChange) {}
//! ```

pub mod agent_loop;
mod context;
pub mod extract;
mod intent;
pub mod keeper;
pub mod link;
mod prompt;
mod protocol;
mod rambling;
pub mod recipes;
mod session;
mod tools;

use std::io::{Read, Write};

use keeper::Lost;
use link::Link;
use raincoat_model::ToolSpec;
use raincoat_types::wire::Task;
pub use tools::paths::place_name;

/// The tools that the agent's model may call.
pub fn tools() -> Vec<ToolSpec> {
    tools::specs()
}

/// The worker's whole life: receives the job, does it, says so. `readable` says whether the socket has bytes to read
/// just now; where that cannot be told, `|| false` will do, and a stop is seen only while an answer is waited for.
///
/// # Errors
/// [`Lost`] where the keeper is gone or speaks another language. There is nobody to tell then: end the process.
pub fn work(socket: impl Read + Write, readable: impl FnMut() -> bool) -> Result<(), Lost> {
    let (mut link, job) = Link::open(socket, readable)?;
    let finished = match &job.task {
        Task::Recipe { name, options } => recipes::run(&mut link, name, options, &job)?,
        Task::Prompt(task) => agent_loop::run(&mut link, task, &job)?,
    };
    link.finish(finished.summary, finished.ok)
}
