//! A witness (c2sp.org/tlog-witness): someone in other hands who remembers the largest tree of a log that they saw, and
//! signs that a new one follows from it. What they refuse to sign is a log that was rolled back or rewritten, whoever
//! holds its keys.
//!
//! * [`Submission`]: what a log sends.
//! * [`State`]: what a witness remembers, and how it judges; no I/O.
//! * [`Witness`]: the same on disk, in a folder with the witness's own key. It may lie on another machine, where
//!   requests come over HTTP, or on a USB stick that is plugged in now and then.
//! * [`answer`]: what a log makes of what it is told.

pub mod answer;
mod folder;
mod request;
mod state;

pub use answer::{Said, read_answer};
pub use folder::{Witness, WitnessError};
pub use request::{MAX_SUBMISSION, Submission, submission};
pub use state::{Latest, LogState, State, Verdict, origin_hash};
