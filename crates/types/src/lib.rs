//! The vocabulary of the house: ids, paths, file states, actions, proposals, outcomes, limits, and the messages
//! between the keeper and its worker. Plain data, no input or output.
//!
//! Everything that crosses a boundary (a proposal from an agent, a record in the journal) is defined here once, so
//! that no two rooms have their own word for the same thing.

mod action;
mod allowance;
mod change;
mod clock;
mod id;
mod label;
mod limits;
mod outcome;
mod path;
mod secret;
mod state;
pub mod wire;

pub use action::{
    Action, ArchiveFormat, Bring, Expect, Expected, FileChange, FileRead, ModelRequest, OnDrift, Place, ProgramRun,
    Proposal, Take,
};
pub use allowance::{Actions, Amounts, Ceilings, Measure, Modes};
pub use change::{
    Change, ChangeKind, Content, DirTimes, Image, Intent, OpRecord, OpResult, Root, RunEnd, RunHeader, RunKind,
    RunStatus,
};
pub use clock::Clock;
pub use id::{Actor, Digest, GrantId, OpId, RunId, Ulid};
pub use label::{Confidentiality, Integrity, Label, Source};
pub use limits::Limits;
pub use outcome::{ChangeDone, DirEntry, Failure, FailureKind, Match, Outcome, ReadDone, Refusal};
pub use path::{PathError, RawPath, RelPath, Spot, display_bytes, display_text};
pub use secret::Secret;
pub use state::{Chunk, ChunkId, FileContent, FileKind, Identity, Meta, Seen, Timestamp, Xattr};
