//! Safe, narrow wrappers over system calls: descriptors and the paths beneath them, our own private files, locked
//! memory, the kernel's keyring, process hardening. The only rooms that may name `libc` or `rustix` are this one and
//! `sandbox`.

pub mod beneath;
mod clock;
pub mod fault;
pub mod harden;
pub mod keyring;
mod locked;
mod mounts;
pub mod mutate;
pub mod overlay;
mod private;
pub mod process;
mod random;
pub mod scratch;
pub mod snapshot;
pub mod state;
pub mod terminal;
mod user;

pub use beneath::{Found, PathFault, Root, absolute, fd_path, kind_of};
pub use clock::SystemClock;
pub use locked::LockedBytes;
pub use mounts::mounts_beneath;
pub use private::{AppendFile, FileLock, PrivateDir};
pub use random::{fill_random, new_ulid};
pub use state::Stat;
pub use user::user_name;
