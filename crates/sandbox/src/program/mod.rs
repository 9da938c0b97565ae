//! A program of somebody else's, enclosed: namespaces, a private root with drafts of the granted folders, Landlock, a
//! seccomp filter, limits; and a supervisor beside it.
//!
//! Four processes. The keeper ([`launch`]) starts our binary again; that process ([`enclose_main`]) makes the
//! namespaces with a first process in them and waits; the first process (init) builds the private root, gives up what
//! it may do, and stays as the supervisor; the last one is the program. Each dies when the one before it does.

mod caller;
mod calls;
mod checks;
mod disk;
mod domain;
mod enclose;
mod fault;
mod filter;
mod init;
mod keeper;
mod masks;
mod mounts;
mod needs;
mod notify;
mod plan;
mod privileges;
mod probes;
mod prove;
mod rename;
mod root;
mod say;
mod setid;
mod sources;
mod start;
mod supervise;
mod sys;
mod tree;
#[cfg(test)]
mod trial;
mod watch;
mod wire;

pub use checks::{Check, Ground, checks};
pub use enclose::enclose_main;
pub use keeper::{
    Event, HeldLayer, LimitKind, Program, ProgramSignals, Ready, Started, Streams, launch, launch_with, start,
};
pub(crate) use needs::{needs, try_needs};
pub use plan::{Folder, How, Network, Plan, ProgramLimits};
pub use prove::{PROVE, Proof, prove, prove_main};

/// The hidden first argument under which the binary runs [`enclose_main`].
pub const ENCLOSE: &str = "enclose";

/// The port at 127.0.0.1, inside, where the keeper's proxy listens. Nothing else is there: the network is the
/// program's own.
pub const PROXY_PORT: u16 = 3128;
