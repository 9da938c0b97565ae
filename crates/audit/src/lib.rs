//! The audit log: what happened, in an append-only Merkle tree with signed heads, in the C2SP tlog-tiles format, so
//! that verifiers written by others accept it. Entries are sealed: nothing in it can be read without the key, and
//! everything but the meaning can be checked without it.
//!
//! Three kinds of files, described to the byte in `docs/formats/audit.md`:
//!
//! * `live.log`: the newest entries, as they are appended. Durable with one `fdatasync` a batch; every batch ends in a
//!   signed tree head.
//! * `tile/` and `checkpoint`: the same in tlog-tiles. Full tiles take over from the live file, partial ones and the
//!   checkpoint are published by [`Audit::checkpoint`].
//! * `audit.head`, in another directory: the newest tree head, so that a log that was cut or rolled back is noticed.
//!
//! The core (hashes, proofs, tiles, notes, records of the live file) takes bytes and gives bytes.

mod class;
mod compact;
mod entry;
mod error;
mod event;
mod fresh;
mod hash;
mod head;
pub mod live;
mod log;
pub mod note;
mod place;
pub mod proof;
mod reader;
mod report;
mod store;
pub mod tile;
mod verify;

pub use class::Class;
pub use compact::CompactRange;
pub use entry::{About, Entry, Producer};
pub use error::AuditError;
pub use event::{Event, Judgement};
pub use hash::{Hash, empty_root, leaf_hash, node_hash, root_of};
pub use head::forget_head;
pub use log::Audit;
pub use note::Checkpoint;
pub use reader::{AuditKeys, AuditReader, Entries, InclusionProof};
pub use report::{Problem, ProblemKind, VerifyReport};
