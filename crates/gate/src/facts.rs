//! What is known about a proposal when it is decided: found out by `effects` with descriptors, by `policy` from its
//! tables, and by the approvals. Plain data.

use raincoat_types::{Amounts, Ceilings, Digest, FileKind, GrantId, Modes, RelPath, Spot, Timestamp};

use crate::call::CallFacts;

/// Everything that is known.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Now, by the keeper's clock.
    pub now: Timestamp,
    /// The digest of the resolved action: verb, canonical targets, content. An approval binds to it.
    pub digest: Digest,
    /// The places that the action touches.
    pub targets: Vec<Target>,
    /// A person's answer, if there is one.
    pub approval: Option<Approval>,
    /// For a request to a model: the provider's name, and whether it is on this machine.
    pub provider: Option<(String, bool)>,
    /// Modes that came into force since the policy was compiled.
    pub modes: Modes,
    /// Who proposes has read what others may have written.
    pub tainted: bool,
    /// Who proposes has read what may not leave this machine.
    pub carries_private: bool,
    /// A layer of the kernel's that is missing here.
    pub missing_layer: Option<String>,
    /// What the owner's own rules say of what is no place: a model's provider, hosts.
    pub ruled: Ruled,
    /// What is used up, by run and by agent.
    pub counts: Vec<Count>,
    /// For what an agent's model called for: what is known of that call.
    pub led: Option<Led>,
}

/// What led to a proposal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Led {
    /// The call of the model's.
    pub call: CallFacts,
    /// For each of its arguments the value and where it came from, in words.
    pub told: Vec<String>,
}

/// What somebody uses up, and the most of it.
#[derive(Clone, Debug)]
pub struct Count {
    /// Whose, in words: `this run`, `agent:default in a day`.
    pub whose: String,
    /// With this action.
    pub total: Amounts,
    /// The most.
    pub most: Ceilings,
    /// A budget: beyond it nothing goes. Else a breaker: beyond it a person is asked.
    pub firm: bool,
}

/// One place that an action touches.
#[derive(Clone, Debug)]
pub struct Target {
    /// The grant and canonical path.
    pub spot: Spot,
    /// How it is touched.
    pub role: Role,
    /// What is there now; `None` where nothing is.
    pub kind: Option<FileKind>,
    /// It, or a folder it lies in, has a protected name, or it is our own data; with the pattern.
    pub protection: Option<(Protection, String)>,
    /// A `--deny` glob of the grant matches; the glob.
    pub denied: Option<String>,
    /// The file has names outside the granted folder.
    pub linked_outside: bool,
    /// It lies in a folder whose content may not leave this machine.
    pub private: bool,
    /// What the owner's own rules say of it.
    pub ruled: Ruled,
}

/// What the owner's own rules (Cedar) say of an action on a place, found by `policy`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Ruled {
    /// No rule speaks of it.
    #[default]
    Silent,
    /// A rule permits it: the grant's actions do not bound it.
    Permit,
    /// A person's approval of this very action changes the answer.
    Ask {
        /// Why it asks.
        why: String,
        /// It is forbidden until then, whatever a grant says; else it asks only where no grant allows it.
        forbidden: bool,
        /// It is permitted then, whatever the grant's actions are; else a grant must allow it besides.
        permits: bool,
    },
    /// A rule forbids it, does not load or cannot be evaluated: which, and why.
    Forbid(String),
}

/// How a place is touched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Its name, kind, size and times are looked at.
    Look,
    /// Its content is read.
    Read,
    /// It is made, or given other content or metadata.
    Write,
    /// It is taken away (deleted, or moved from here).
    Remove,
    /// It is the folder that a whole tree is put into the place of (moved, copied or extracted to here).
    Arrive,
    /// A program runs in a draft of it.
    Run,
}

impl Role {
    /// Whether an action that changes files changes such a place, and does not only look at it on the way.
    pub fn alters(self) -> bool {
        !matches!(self, Role::Look | Role::Read)
    }
}

/// Why a name is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protection {
    /// Credentials, keys, our own data: neither read nor changed.
    Secret,
    /// What judges or starts things: shell start-up files, hooks, editor and agent configuration: not changed.
    Control,
}

/// What a person allowed, after seeing it.
#[derive(Clone, Debug)]
pub struct Approval {
    /// How far it goes.
    pub scope: Scope,
    /// It counts until then.
    pub until: Timestamp,
}

/// How far an approval goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Exactly the resolved action with this digest.
    Exactly(Digest),
    /// Changes that can be undone, within the run's grants, for the rest of the run.
    RestOfRun,
    /// Changes that can be undone, in this folder and beneath it.
    Folder(GrantId, RelPath),
}
