//! Keys and sealed storage: everything of ours that lies on a disk is opened and written here (DESIGN invariant 6).
//!
//! [`SealKey`] seals bytes, [`Keys`] keeps the hierarchy that all such keys come from, [`Store`] is local state.

mod error;
mod key;
mod keys;
mod store;

pub use error::SealError;
pub use key::SealKey;
pub use keys::{Environment, Keys, KeysError, KeysFile, SlotInfo, SlotKind, Unlock, failures_in};
pub use store::{Rows, Store, StoreError, Tx};
