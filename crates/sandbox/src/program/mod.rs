//! A program of somebody else's, enclosed: namespaces, a private root with drafts of the granted folders, Landlock, a
//! seccomp filter, limits; and a supervisor beside it.

mod plan;

pub use plan::{Folder, How, Network, Plan, ProgramLimits};
