//! The keeper's effects thread: it can change files in a run's folders and nothing elsewhere.
//!
//! This stops our own mistakes (a path resolved wrongly, a descriptor mixed up), not somebody who runs code in the
//! keeper: threads share their memory. What an agent can influence runs in a worker, see [`crate::worker`].
//!
//! What it does not stop, and the effects' own discipline (descriptors, never paths) must:
//!
//! - reading metadata anywhere: `stat`, `access`, `readlink`, `getxattr`, `O_PATH` opens;
//! - `chmod`, `setxattr` and `removexattr` by path, and `fchownat` with `AT_EMPTY_PATH`: effects need them to reach
//!   an `O_PATH` descriptor through `/proc/self/fd`, and a filter cannot see what a path says. The other calls that
//!   set metadata by path are refused;
//! - anything through a descriptor that was opened before, whoever opened it;
//! - opening a device file that lies in a granted folder (making one is refused, and device ioctls are), and
//!   `/proc` or `/sys` if they were granted: they must not be.

use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags};
use seccompiler::SeccompAction;

use crate::{Layer, SandboxFault, calls, domain, filter};

/// The directories that a thread is confined to, by descriptor (`O_PATH` will do), each with everything beneath it.
/// Where one lies within another, the wider rights hold.
#[derive(Clone, Debug, Default)]
pub struct ThreadRules<'a> {
    /// Files may be read and directories listed.
    pub read_only: Vec<BorrowedFd<'a>>,
    /// Files, directories and symlinks may be read, made, changed, moved, linked and removed.
    pub writable: Vec<BorrowedFd<'a>>,
}

/// What was put in force around the calling thread, and what this kernel lacks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Confinement {
    /// Every layer, enforced or missing.
    pub layers: Vec<Layer>,
}

impl Confinement {
    /// The layers that this kernel lacks. A strict run goes no further unless there are none.
    pub fn missing(&self) -> impl Iterator<Item = &Layer> {
        self.layers.iter().filter(|layer| !layer.is_enforced())
    }
}

/// Confines the calling thread, for good. Needs no privilege. Other threads are untouched; descriptors opened before
/// (by any thread) stay as usable as they were.
///
/// Afterwards the thread can open what lies beneath the rules' directories and work on descriptors. It cannot start a
/// program, a process or a thread, use a socket, touch another process, mount, load code, or change who it is or
/// where the process works: those calls fail with `EPERM`.
///
/// On a kernel with Landlock ABI 1 (5.13 to 5.18) every move and link from one directory to another fails with
/// `EXDEV`: that version cannot allow it.
///
/// # Errors
/// Any: a layer that this kernel has could not be put in force. The thread may be partly confined by then: it must do
/// no effect and end.
pub fn confine(rules: &ThreadRules<'_>) -> Result<Confinement, SandboxFault> {
    let root =
        identity(rustix::fs::open(c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).and_then(rustix::fs::fstat))?;
    let mut root_is_granted = false;
    for dir in rules.read_only.iter().chain(&rules.writable) {
        let stat = rustix::fs::fstat(dir);
        if let Ok(stat) = &stat
            && !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir()
        {
            return Err(SandboxFault::NotADirectory);
        }
        root_is_granted |= identity(stat)? == root;
    }
    let program = filter::refuse(calls::thread_may_not(), SeccompAction::Errno(libc::EPERM as u32))?;
    let mut layers = domain::restrict(&rules.read_only, &rules.writable)?;
    for program in [filter::guard(), program] {
        seccompiler::apply_filter(&program)?;
    }
    layers.push(Layer::enforced("thread-filter", format!("{} system calls refused", calls::thread_may_not().count())));
    // Seen to refuse, not just set.
    let landlocked = layers.iter().any(|layer| layer.name == "landlock" && layer.is_enforced());
    if landlocked && !root_is_granted && opens_root() {
        return Err(SandboxFault::Leaks("the thread can list a directory that was not granted"));
    }
    if makes_socket() {
        return Err(SandboxFault::Leaks("the thread can make a socket"));
    }
    Ok(Confinement { layers })
}

fn identity(stat: rustix::io::Result<rustix::fs::Stat>) -> Result<(u64, u64), SandboxFault> {
    stat.map(|stat| (stat.st_dev, stat.st_ino)).map_err(SandboxFault::at("look at a granted folder"))
}

pub(crate) fn opens_root() -> bool {
    rustix::fs::open(c"/", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).is_ok()
}

pub(crate) fn makes_socket() -> bool {
    rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, None).is_ok()
}
