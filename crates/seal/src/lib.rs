//! Keys and sealed storage: everything of ours that lies on a disk is opened and written here (DESIGN invariant 6).

mod error;
mod key;

pub use error::SealError;
pub use key::SealKey;
