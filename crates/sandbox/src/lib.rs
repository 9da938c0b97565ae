//! What the kernel enforces around our own code: the worker's process ([`worker::enclose`]) and the thread that acts
//! on files ([`thread::confine`]), and the proof that it does here ([`probe`]).
//!
//! Three mechanisms, each for what the others do not see:
//!
//! - **Landlock** looks at the file that a path leads to, wherever the path came from. It does not look at metadata:
//!   `stat`, `access`, `readlink`, `chmod`, `chown`, `utime`, `setxattr`, `chdir`, `flock`, `inotify` and `O_PATH`
//!   opens pass it, and so does everything done through a descriptor that was opened before.
//! - **seccomp** looks at the number of a system call and its plain arguments, never at a path or at memory.
//! - **Resource limits**, dropped capabilities and closed descriptors take away what is left to use.
//!
//! The filters are data: [`calls`] lists each system call with the reason that it is there.

pub mod calls;
mod domain;
mod fault;
mod filter;
mod layer;
mod probe;
pub mod program;
pub mod thread;
pub mod worker;

pub use fault::SandboxFault;
pub use layer::{Layer, LayerState};
pub use probe::{probe, probe_main};
