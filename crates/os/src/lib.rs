//! Safe, narrow wrappers over system calls: descriptors and the paths beneath them, our own private files, locked
//! memory, the kernel's keyring, process hardening. The only rooms that may name `libc` or `rustix` are this one and
//! `sandbox`.

mod clock;
pub mod fault;
mod locked;
mod private;
mod random;

pub use clock::SystemClock;
pub use locked::LockedBytes;
pub use private::{AppendFile, FileLock, PrivateDir};
pub use random::{fill_random, new_ulid};
