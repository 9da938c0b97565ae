//! The journal: what was there before each change, and what each change was, so that any of it can be taken back.
//!
//! It keeps content and operations in append-only segments, sealed, and knows nothing of users' files: `effects`
//! captures what is there, asks the journal to make it durable ([`Journal::put_chunk`], [`Journal::intend`]), acts, and
//! says how it came out ([`Journal::conclude`]). A crash between any two of these leaves a run that the next
//! [`Journal::open`] reports, with the operations that were pending.
//!
//! The segments are the truth (`docs/formats/journal.md` gives every byte); the index beside them is a cache.

mod cut;
mod dropped;
mod error;
mod facts;
mod format;
mod history;
mod incoming;
mod index;
mod inspect;
mod journal;
mod keys;
mod lists;
mod memory;
mod mover;
mod pack;
mod paths;
mod prune;
mod read;
mod recover;
mod repair;
mod rewind;
mod skim;
mod survey;
mod undo;
mod verify;
mod walk;
mod writer;

pub use cut::{CHUNK_BYTES, Chunker, Piece, WHOLE_BYTES};
pub use dropped::{PrunedRun, Pruning};
pub use error::JournalError;
pub use facts::Damage;
pub use format::NoteKind;
pub use history::{Episode, Moment, Past};
pub use inspect::{Inspection, inspect, is_body, unfolds, unpack};
pub use journal::{Journal, keep_reserve, release_reserve};
pub use keys::JournalKeys;
pub use memory::{Remembered, is_memory, remembered_in};
pub use paths::{below, parent};
pub use prune::{PruneReport, PruneRule};
pub use read::{Order, RunSummary, RunView};
pub use recover::Interrupted;
pub use repair::{BeginAgain, RepairReport, Unrecorded};
pub use rewind::{Node, Rewind, Standing};
pub use survey::Usage;
pub use undo::{
    DirRestore, History, LinkHint, Planner, Selection, Skipped, Times, UndoPlan, UndoStep, effective_undoer, inverse,
};
pub use verify::{Known, Lost, Problem, VerifyReport};
