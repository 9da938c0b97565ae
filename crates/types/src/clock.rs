//! Time, handed in.

use crate::Timestamp;

/// A clock. The real one is in `os`; tests bring their own, which may run backwards.
pub trait Clock: Send + Sync {
    /// Now, in UTC.
    fn now(&self) -> Timestamp;
}
