//! What can go wrong with sealed bytes.

use std::io;

/// Why bytes could not be sealed or opened. It says nothing about keys or content.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The bytes do not open: they were changed or cut, moved here from another place, or sealed under another key.
    /// Which of these is not said.
    #[error("sealed data does not open: it was changed, or it belongs to another key or place")]
    Open,
    /// The cipher refused; more than 2^36 bytes in one piece do not fit.
    #[error("data could not be sealed: more than 64 GiB in one piece")]
    Seal,
    /// The system has no random bytes.
    #[error("the system gave no random bytes: {0}")]
    Random(#[from] io::Error),
}
