//! The worker's process: it talks over one socket and can do nothing else.

use std::os::fd::{AsRawFd, BorrowedFd};

use raincoat_os::harden;
use raincoat_types::Limits;
use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::SeccompAction;

use crate::{Layer, SandboxFault, calls, domain, filter};

/// Descriptors that a worker may have at once: its socket, the three standard ones, and clones of them.
pub const DESCRIPTORS: u64 = 16;

/// What was put in force around this process, and what this kernel lacks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Enclosure {
    /// Every layer, enforced or missing.
    pub layers: Vec<Layer>,
}

impl Enclosure {
    /// The layers that this kernel lacks. A strict run goes no further unless there are none.
    pub fn missing(&self) -> impl Iterator<Item = &Layer> {
        self.layers.iter().filter(|layer| !layer.is_enforced())
    }
}

/// Encloses this process, for good: called by a worker first thing, before it reads a byte from its socket.
///
/// Afterwards it can compute, allocate (up to `limits.worker_memory` bytes of address space), panic and unwind, read
/// and write `socket`, and write to standard error. It cannot open a file, start a program, a process or a thread,
/// make a socket, make memory executable, or signal another process. What no library does by chance (executing,
/// sockets, `ptrace`, mounting ...) kills the process with `SIGSYS`, which the keeper sees and logs; the rest is
/// refused with `EPERM`, so that a library that merely looks for a file or a thread goes on without.
///
/// All descriptors but `socket` and 0 to 2 are closed, whoever owned them.
///
/// # Errors
/// Any: a layer that this kernel has could not be put in force. The worker must end. Layers that the kernel does not
/// have are no error; they are in the report.
pub fn enclose(limits: &Limits, socket: BorrowedFd<'_>) -> Result<Enclosure, SandboxFault> {
    // Landlock holds for this thread and its future children only; another thread would be a way round it.
    let threads = thread_count()?;
    if threads != 1 {
        return Err(SandboxFault::Threads(threads));
    }
    if let Some(failed) = harden::harden_process().into_iter().next() {
        return Err(SandboxFault::System { what: failed.step, error: failed.error });
    }
    plain_personality()?;
    drop_capabilities()?;
    limit(limits)?;
    close_all_but(socket)?;
    let mut layers = vec![
        Layer::enforced("worker-process", "not dumpable, no new privileges, no capabilities"),
        Layer::enforced("worker-limits", format!("{} MiB of address space, no files", limits.worker_memory >> 20)),
        Layer::enforced("worker-descriptors", "one socket"),
    ];
    layers.extend(domain::restrict(&[], &[])?);
    filter_calls()?;
    layers.push(Layer::enforced("worker-filter", format!("{} system calls allowed", calls::worker_may().count())));
    // Seen to refuse, not just set.
    if rustix::fs::open(c"/", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).is_ok() {
        return Err(SandboxFault::Leaks("a worker can open a directory"));
    }
    Ok(Enclosure { layers })
}

fn thread_count() -> Result<usize, SandboxFault> {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let count = rustix::fs::open(c"/proc/self/task", flags, rustix::fs::Mode::empty())
        .and_then(rustix::fs::Dir::new)
        .map_err(SandboxFault::at("count this process's threads in /proc"))?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name() != c"." && entry.file_name() != c"..")
        .count();
    Ok(count)
}

/// Under `READ_IMPLIES_EXEC` every readable mapping would be executable, behind the filter's back.
fn plain_personality() -> Result<(), SandboxFault> {
    // SAFETY: a plain number; 0 is PER_LINUX without flags.
    match unsafe { libc::personality(0) } {
        -1 => Err(SandboxFault::at("set the execution domain")(std::io::Error::last_os_error())),
        _ => Ok(()),
    }
}

fn drop_capabilities() -> Result<(), SandboxFault> {
    use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .map_err(SandboxFault::at("drop capabilities"))
}

fn limit(limits: &Limits) -> Result<(), SandboxFault> {
    for (resource, most) in [
        (Resource::As, limits.worker_memory),
        (Resource::Cpu, u64::from(limits.worker_cpu_secs)),
        (Resource::Nofile, DESCRIPTORS),
        (Resource::Nproc, 0),
        (Resource::Fsize, 0),
        (Resource::Msgqueue, 0),
        (Resource::Memlock, 0),
    ] {
        // A limit that is lower already, hard, stays: it cannot be raised, and need not.
        let most = rustix::process::getrlimit(resource).maximum.map_or(most, |hard| hard.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
            .map_err(SandboxFault::at("limit resources"))?;
    }
    Ok(())
}

fn close_all_but(socket: BorrowedFd<'_>) -> Result<(), SandboxFault> {
    let keep = u32::try_from(socket.as_raw_fd()).unwrap_or(0);
    for (first, last) in [(3, keep.saturating_sub(1)), (keep.saturating_add(1).max(3), u32::MAX)] {
        if first > last {
            continue;
        }
        // SAFETY: this is called before the worker owns anything but `socket` and the standard descriptors, as
        // `enclose` demands; nobody is left who could use one that is closed here.
        if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } != 0 {
            return Err(SandboxFault::at("close descriptors")(std::io::Error::last_os_error()));
        }
    }
    Ok(())
}

fn filter_calls() -> Result<(), SandboxFault> {
    // All are compiled first: the last one forbids what installing a filter needs. The strictest answer of the three
    // counts.
    let not_allowed = SeccompAction::Errno(libc::EPERM as u32);
    let programs = [
        filter::guard(),
        filter::refuse(calls::worker_kills(), SeccompAction::KillProcess)?,
        filter::allow_only(calls::worker_may(), not_allowed)?,
    ];
    for program in &programs {
        seccompiler::apply_filter_all_threads(program)?;
    }
    Ok(())
}
