//! What a program's draft holds. A draft is a private copy-on-write view of the granted folders: the program writes
//! there, and nothing of the user's changes until the draft, or a part of it, is committed.
//!
//! - [`prepare`] makes the directories that an overlay needs, without any key; [`Drafts`] seals, lists, opens and wipes.
//! - [`Record`]: what is remembered of a draft besides its files; sealed.
//! - [`Draft::scan`]: what changed, as a list of [`Item`]s that can be applied in order, with what drifted underneath.
//! - [`Draft::remember_bases`]: what the touched files were, for judging drift and merging later.
//!
//! Everything in a draft's folders was put there by the program and is hostile: symlinks are never followed, special
//! files never opened, and names and numbers bounded.

mod bases;
mod draft;
mod drafts;
mod drift;
mod item;
mod origin;
mod place;
mod read;
mod record;
mod scan;
pub mod text;
mod wipe;

pub use bases::MAX_TEXT_BASE;
pub use draft::{Draft, FolderError};
pub use drafts::{Drafts, DraftsError, NewDraft, Standing, Summary};
pub use item::{Drift, Item, ItemKind, LinkGroup, Links, Scan, Trouble, Version};
pub use origin::Origin;
pub use place::{Asked, PrepareError, Prepared, PreparedFolder, prepare};
pub use read::ReadError;
pub use record::{ClockMark, Place, Record, RecordedFolder, State};
pub use scan::{ScanError, ScanLimits};
pub use wipe::WipeError;
