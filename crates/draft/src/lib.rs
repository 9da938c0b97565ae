//! What a program's draft holds. A draft is a private copy-on-write view of the granted folders: the program writes
//! there, and nothing of the user's changes until the draft, or a part of it, is committed.
//!
//! - [`Record`]: what is remembered of a draft besides its files; sealed.
//!
//! Everything in a draft's folders was put there by the program and is hostile: symlinks are never followed, special
//! files never opened, and names and numbers bounded.

mod record;
pub mod text;

pub use record::{Place, Record, RecordedFolder, State};
