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

mod care;
mod class;
mod compact;
mod cosign;
mod entry;
mod erase;
mod error;
mod event;
pub mod export;
mod fresh;
mod hash;
mod inspect;
pub mod live;
mod log;
mod memory;
mod minimum;
pub mod note;
mod opening;
mod place;
pub mod proof;
mod proof_file;
mod prove;
mod prover;
mod reader;
mod report;
mod retain;
pub mod slots;
mod store;
mod subject;
mod subjects;
mod tail;
mod tally;
pub mod tile;
mod verify;
pub mod witness;

pub use care::{Care, Erasure};
pub use class::Class;
pub use compact::CompactRange;
pub use cosign::{CosignatureKind, Cosigned, Cosigner, WitnessKey};
pub use entry::{Entry, Outer, Producer};
pub use erase::ErasePlan;
pub use error::AuditError;
pub use event::{Event, Judgement};
pub use hash::{Hash, empty_root, leaf_hash, node_hash, root_of};
pub use inspect::{Part, head_in, is_part};
pub use log::{Audit, Options};
pub use memory::{KnownHead, Memories, forget_head};
pub use note::Checkpoint;
pub use proof_file::{MAX_PROOF_FILE, ProofFault, ProofFile, Proved};
pub use prove::{Standing, ToWitness};
pub use prover::{InclusionProof, Prover};
pub use reader::{AuditKeys, AuditReader, Entries};
pub use report::{Problem, ProblemKind, VerifyReport};
pub use retain::{Hold, PrunePlan, Retention};
pub use subject::{About, Folder, Folders, PERIOD_SECS, Subject};
pub use verify::UNWITNESSED;
