//! What can go wrong with the store.

use std::io;

use crate::SealError;

/// Why the store did not answer. It says nothing about what is stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A row does not open: it was changed, or moved from another place, or belongs to other keys. Its kind.
    #[error(
        "the store has a `{0}` row that does not open: it was changed, moved, or sealed under other keys; put `store.db` back from a backup"
    )]
    Tampered(String),
    /// The file is no store, or is damaged.
    #[error("the store `store.db` is damaged ({0}): put it back from a backup")]
    Damaged(String),
    /// A later version of the program made it; in which format.
    #[error("the store has format {0}, which this version does not know: use a newer raincoat")]
    Newer(i64),
    /// Another process held it for longer than we wait.
    #[error("another raincoat is using the store: try again in a moment")]
    Busy,
    /// The disk is full. Nothing was written.
    #[error("the disk is full, nothing was stored: make room and try again")]
    DiskFull,
    /// A kind, id or value is empty or too long; which.
    #[error("{0}")]
    Limit(&'static str),
    /// Another error of the database.
    #[error("the store could not be used: {0}")]
    Database(String),
    /// The system's error.
    #[error("the store could not be opened: {0}")]
    Io(#[from] io::Error),
    /// Random bytes were not to be had.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
            Some(ErrorCode::DiskFull) => StoreError::DiskFull,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged(error.to_string()),
            _ => StoreError::Database(error.to_string()),
        }
    }
}
