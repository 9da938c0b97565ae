//! The owner's will: grants, protected names, rules in the Cedar policy language, and their compilation into what the
//! gate reads.

pub mod cedar;
mod grants;
mod protected;

pub use grants::{Compiled, GrantError, GrantRecord, compile};
pub use protected::{Rule, protected, rules};
