//! The few system calls that no crate of ours wraps.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::process::Pid;

/// What came of a fork.
pub(super) enum Forked {
    /// This is the new process.
    Child,
    /// This is the old one.
    Parent(Pid),
}

/// A new first process in new namespaces of every kind.
pub(super) fn fork_into_namespaces() -> io::Result<Forked> {
    const NAMESPACES: i32 = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    // Not the library's `clone`: that wants a new stack. Without one this is a plain fork.
    let flags = libc::c_ulong::try_from(NAMESPACES | libc::SIGCHLD).unwrap_or(0);
    // SAFETY: no memory is shared, and this process has one thread, so the child's copy of it is whole: no lock in it
    // is held by a thread that the child does not have.
    forked(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })
}

/// A plain fork.
pub(super) fn fork() -> io::Result<Forked> {
    // SAFETY: as above: one thread.
    forked(libc::c_long::from(unsafe { libc::fork() }))
}

fn forked(result: libc::c_long) -> io::Result<Forked> {
    match result {
        0 => Ok(Forked::Child),
        -1 => Err(io::Error::last_os_error()),
        pid => i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .map(Forked::Parent)
            .ok_or_else(|| io::ErrorKind::InvalidData.into()),
    }
}

/// Ends this process at once: nothing of the copied parent's (buffers, exit handlers) is run.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// Sets attributes of a mount, or of a whole tree of mounts.
pub(super) fn mount_setattr(mount: BorrowedFd<'_>, set: u64, recursive: bool) -> io::Result<()> {
    #[repr(C)]
    struct Attributes {
        set: u64,
        clear: u64,
        propagation: u64,
        userns: u64,
    }
    let attributes = Attributes { set, clear: 0, propagation: 0, userns: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a constant, the structure is the kernel's first version of it, with its size.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(&attributes),
            size_of::<Attributes>(),
        )
    };
    outcome(result)
}

/// Whatever is sent to it, this process dies of nothing but `SIGKILL`; signals wait in the descriptor that
/// [`child_signals`] makes.
pub(super) fn block_signals() -> io::Result<()> {
    mask_signals(true)
}

/// No signal is held back any more.
pub(super) fn unblock_signals() -> io::Result<()> {
    mask_signals(false)
}

fn mask_signals(all: bool) -> io::Result<()> {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is filled before it is read; the old mask is not asked for.
    let result = unsafe {
        let filled = if all { libc::sigfillset(set.as_mut_ptr()) } else { libc::sigemptyset(set.as_mut_ptr()) };
        if filled == 0 { libc::sigprocmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut()) } else { filled }
    };
    outcome(libc::c_long::from(result))
}

/// Readable when a child has ended, stopped or gone on.
pub(super) fn child_signals() -> io::Result<OwnedFd> {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is emptied before it is used.
    let fd = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD);
        libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Every signal does what it does by default: what the keeper, or whoever started it, ignores must not be ignored by
/// the program.
pub(super) fn reset_signals() {
    // The kernel's own structure: handler, flags, restorer, mask. All zero: the default action.
    let default = [0_u64; 4];
    for signal in 1..=64 {
        // Not the library's call: that keeps two of them for itself, and they may be ignored too.
        // SAFETY: the structure outlives the call, the old action is not asked for, the mask has 8 bytes. `SIGKILL` and
        // `SIGSTOP` refuse, and are at their default.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null_mut::<u64>(), 8) };
    }
}

/// Sends a signal, or nothing but the question whether it could be, to a process (positive), its group (negative), or
/// all that can be seen (-1).
pub(super) fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: plain numbers.
    outcome(libc::c_long::from(unsafe { libc::kill(pid, signal) }))
}

/// Whether other processes of the same user may look into this one.
pub(super) fn set_dumpable(dumpable: bool) -> io::Result<()> {
    // SAFETY: plain numbers.
    outcome(libc::c_long::from(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(dumpable), 0, 0, 0) }))
}

/// A new, empty session keyring: whoever started the keeper may have keys in theirs.
pub(super) fn new_session_keyring() -> io::Result<()> {
    const JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: no name is given: an anonymous keyring.
    outcome(unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<u8>()) })
}

/// The plain execution domain: no `READ_IMPLIES_EXEC`, no fixed addresses.
pub(super) fn plain_personality() -> io::Result<()> {
    // SAFETY: a plain number; 0 is PER_LINUX without flags.
    outcome(libc::c_long::from(unsafe { libc::personality(0) }))
}

/// Closes every descriptor from this number on.
pub(super) fn close_from(first: u32) -> io::Result<()> {
    if first == u32::MAX {
        return Ok(());
    }
    close_between(first, u32::MAX)
}

/// Closes every descriptor from 3 on but these two, given in any order.
pub(super) fn close_all_but(keep: [BorrowedFd<'_>; 2]) -> io::Result<()> {
    let mut keep = keep.map(|fd| u32::try_from(fd.as_raw_fd()).unwrap_or(0));
    keep.sort_unstable();
    let [low, high] = keep;
    close_between(3, low.saturating_sub(1))?;
    close_between(low.saturating_add(1).max(3), high.saturating_sub(1))?;
    close_from(high.saturating_add(1).max(3))
}

fn close_between(first: u32, last: u32) -> io::Result<()> {
    if first > last {
        return Ok(());
    }
    // SAFETY: called in a process that ends in `exec` or `_exit` and drops nothing that it holds there.
    outcome(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })
}

/// The loopback interface of this network namespace goes up.
pub(super) fn loopback_up(socket: impl AsFd) -> io::Result<()> {
    // SAFETY: all zeroes is a valid value of this plain structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        *slot = libc::c_char::try_from(*byte).unwrap_or(0);
    }
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or(0);
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the request is whole and outlives the call, which only reads it.
    outcome(libc::c_long::from(unsafe { libc::ioctl(fd, libc::SIOCSIFFLAGS, std::ptr::from_ref(&request)) }))
}

pub(super) fn outcome(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Executes a program; returns only where that failed.
pub(super) fn execute(
    path: &std::ffi::CStr,
    arguments: &[std::ffi::CString],
    env: &[std::ffi::CString],
) -> rustix::io::Errno {
    let list = |texts: &[std::ffi::CString]| -> Vec<*const libc::c_char> {
        texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (arguments, env) = (list(arguments), list(env));
    // SAFETY: both lists end in a null pointer and live, with what they point to, until the call returns.
    unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), env.as_ptr()) };
    rustix::io::Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(rustix::io::Errno::INVAL)
}
