//! The owner's will: grants, protected names, and their compilation into what the gate reads.

mod grants;
mod protected;

pub use grants::{Compiled, GrantError, GrantRecord, compile};
pub use protected::{Rule, protected, rules};
