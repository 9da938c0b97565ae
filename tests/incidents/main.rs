//! What really happened to people, played against Raincoat: one case for each published incident that is stopped or
//! undone here, by its number in the acceptance list; `docs/incidents.md` is the same as a table, and is held to these
//! files. Each case does what the agent did: as a program in a draft, and where the agent's own tools did it, as a model
//! that calls tools.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[path = "../../crates/cli/tests/support/enclosed.rs"]
mod enclosed;

mod agent;
mod bounds;
mod deletions;
mod labels;
mod listed;
mod names;
mod network;
mod overwrites;
mod paths;
mod pending;
