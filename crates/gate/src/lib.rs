//! The decision: a pure function of (policy, facts, proposal) to a verdict, and the only place that can mint a
//! [`Permit`]. No I/O, no clock, no async, no serialisation; at most 2,500 lines.
//!
//! ```
//! use raincoat_gate::{Facts, Policy, Verdict, decide};
//! use raincoat_types::{Actor, FileRead, Place, Proposal, RunId, Ulid};
//!
//! let at = Place { root: 0, path: "notes.txt".into() };
//! let proposal = Proposal { actor: Actor::Person, run: RunId(Ulid::nil()), action: FileRead::Stat { at } };
//! // Nothing is granted, so nothing is reachable.
//! let verdict = decide(&Policy::default(), &Facts::default(), proposal);
//! assert!(matches!(verdict, Verdict::Deny { .. }));
//! ```
//!
//! A permit cannot be made elsewhere:
//!
//! ```compile_fail
//! let permit = raincoat_gate::Permit { action: (), run: raincoat_types::RunId(raincoat_types::Ulid::nil()) };
//! ```
//!
//! nor used twice:
//!
//! ```compile_fail
//! fn twice<A>(permit: raincoat_gate::Permit<A>) -> (A, A) {
//!     (permit.into_action(), permit.into_action())
//! }
//! ```
//!
//! though once is fine:
//!
//! ```
//! fn once<A>(permit: raincoat_gate::Permit<A>) -> A {
//!     permit.into_action()
//! }
//! ```

mod call;
mod decide;
mod facts;
mod permit;
mod policy;

pub use call::{Argument, CallFacts, CallVerdict, Cause, Effect, Intent, Origin, Part, astray, decide_call};
pub use decide::{Act, Verdict, decide};
pub use facts::{Approval, Count, Facts, Led, Protection, Role, Ruled, Scope, Target};
pub use permit::Permit;
pub use policy::{Confirm, Grant, Policy, Who};
