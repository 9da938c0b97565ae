//! The value without which no effect happens.

use raincoat_types::{Actor, Digest, RunId};

/// Leave to perform one action, once. Only [`crate::decide`] makes one; it cannot be cloned, compared, stored as bytes
/// or built from parts, and an effect takes it by value.
#[must_use = "a permit that is dropped was asked for in vain"]
pub struct Permit<A> {
    action: A,
    actor: Actor,
    run: RunId,
    digest: Digest,
}

impl<A> Permit<A> {
    pub(crate) fn mint(action: A, actor: Actor, run: RunId, digest: Digest) -> Permit<A> {
        Permit { action, actor, run, digest }
    }

    /// What may be done.
    pub fn action(&self) -> &A {
        &self.action
    }

    /// Who may do it.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Within which run.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// The digest of the resolved action that was decided about. An effect compares it with what it is about to do.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Uses the permit up.
    pub fn into_action(self) -> A {
        self.action
    }
}
