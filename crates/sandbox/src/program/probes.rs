//! What `raincoat doctor --prove` tries besides the checks of each run's start: these need something planted outside to
//! reach for, or change the process that tries them, so each is tried in a process of its own.
//!
//! Every attempt must be possible without an enclosure and harmless there: what would change the machine is tried in
//! namespaces of the process's own, where it may make some.

use std::ffi::CStr;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, mknodat, open, statat};
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::{getpid, ioctl_tiocsctty, setsid};
use rustix::pty::OpenptFlags;

use super::checks::{Check, Ground, check, is_refused, opens};
use super::sys;

/// Every one of them.
pub(super) const PROBES: &[Check] = &[
    check("outside-name", "private-root", "the name of a file that was not granted can be seen", sees_outside),
    check("home", "private-root", "a file in the home folder can be opened", opens_home),
    check("own-data", "private-root", "raincoat's own data can be opened", opens_own),
    check("draft-itself", "private-root", "the draft can be opened behind its overlay", opens_draft),
    check("secret", "draft", "a file with a secret's name in a granted folder can be opened", opens_secret),
    check("read-only", "private-root", "a folder that is granted to be read can be written", writes_fixed),
    check("control-groups", "private-root", "the machine's control groups can be seen", sees_groups),
    check("outside-socket", "private-root", "a socket outside can be connected to", connects_outside),
    check("read-only-socket", "private-root", "a socket in a read-only folder can be connected to", connects_fixed),
    check("draft-socket", "draft", "a socket in a granted folder can be connected to", connects_work),
    check("loopback", "namespaces", "a server on the machine's loopback can be connected to", connects_loopback),
    check("signal", "namespaces", "a process outside can be sent signals", signals),
    check("process-files", "namespaces", "a process outside can be looked at in /proc", sees_process),
    check("shared-memory", "namespaces", "another program's shared memory can be attached", attaches),
    check("session-key", "program-filter", "a key of the session's keyring can be found", finds_key),
    check("trace", "program-filter", "processes can be traced", traces),
    check("memory", "program-filter", "a process's memory can be read by a call", reads_memory),
    check("handles", "program-filter", "files can be named by handles instead of paths", names_by_handle),
    check("mount", "program-filter", "file systems can be mounted", mounts),
    check("chroot", "program-filter", "the root folder can be changed", changes_root),
    check("raw-packets", "program-filter", "raw packets can be made", makes_packets),
    check("perf", "program-filter", "other programs and the kernel can be measured", measures),
    check("page-faults", "program-filter", "page faults can be handled (userfaultfd)", handles_faults),
    check("set-id", "program-filter", "a set-user-id file can be made", makes_setid),
    check("device-node", "program-filter", "a device node can be made", makes_device),
    check("keyboard", "program-filter", "a terminal can be typed into (TIOCSTI)", types),
];

fn readable(path: Option<&Vec<u8>>) -> bool {
    path.is_some_and(|path| opens(path.as_slice(), OFlags::RDONLY).is_ok())
}

fn sees_outside(ground: &Ground) -> bool {
    ground.outside.iter().any(|path| statat(CWD, path.as_slice(), AtFlags::SYMLINK_NOFOLLOW).is_ok())
}

fn opens_home(ground: &Ground) -> bool {
    readable(ground.home.as_ref())
}

fn opens_own(ground: &Ground) -> bool {
    readable(ground.own.as_ref())
}

fn opens_draft(ground: &Ground) -> bool {
    readable(ground.draft.as_ref())
}

fn opens_secret(ground: &Ground) -> bool {
    readable(ground.secret.as_ref())
}

fn within(folder: Option<&Vec<u8>>, name: &[u8]) -> Option<Vec<u8>> {
    folder.map(|folder| [folder.as_slice(), b"/", name].concat())
}

fn writes_fixed(ground: &Ground) -> bool {
    within(ground.fixed.as_ref(), b"probe-written").is_some_and(|path| {
        let written = opens(path.as_slice(), OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL).is_ok();
        let _ = rustix::fs::unlink(path.as_slice());
        written
    })
}

fn sees_groups(_: &Ground) -> bool {
    opens(c"/sys/fs/cgroup", OFlags::RDONLY | OFlags::DIRECTORY).is_ok()
}

fn meets(path: Option<Vec<u8>>) -> bool {
    let address = path.and_then(|path| SocketAddrUnix::new(path.as_slice()).ok());
    address.is_some_and(|address| {
        socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .is_ok_and(|socket| connect(&socket, &address).is_ok())
    })
}

/// The name of the sockets that are planted.
pub(super) const SOCKET: &[u8] = b"socket";

fn connects_outside(ground: &Ground) -> bool {
    meets(within(ground.around.as_ref(), SOCKET))
}

fn connects_fixed(ground: &Ground) -> bool {
    meets(within(ground.fixed.as_ref(), SOCKET))
}

fn connects_work(ground: &Ground) -> bool {
    meets(within(ground.work.as_ref(), SOCKET))
}

fn connects_loopback(ground: &Ground) -> bool {
    ground.port.is_some_and(|port| {
        let there = std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port);
        socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .is_ok_and(|socket| connect(&socket, &there).is_ok())
    })
}

fn signals(ground: &Ground) -> bool {
    ground.process.is_some_and(|pid| sys::kill(pid, 0).is_ok())
}

fn sees_process(ground: &Ground) -> bool {
    ground.process.is_some_and(|pid| statat(CWD, format!("/proc/{pid}"), AtFlags::empty()).is_ok())
}

fn attaches(ground: &Ground) -> bool {
    ground.segment.is_some_and(|segment| {
        // SAFETY: at an address of the kernel's choice; the process ends soon and never reads it.
        let at = unsafe { libc::shmat(segment, std::ptr::null(), libc::SHM_RDONLY) };
        at.addr() != usize::MAX
    })
}

fn finds_key(ground: &Ground) -> bool {
    ground.key.is_some_and(|key| {
        // SAFETY: plain numbers, and no buffer to fill.
        let result =
            unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_DESCRIBE, key, std::ptr::null_mut::<u8>(), 0) };
        sys::outcome(result).is_ok()
    })
}

fn traces(_: &Ground) -> bool {
    // SAFETY: asks that the parent may trace this process, which ends right after.
    sys::outcome(unsafe { libc::ptrace(libc::PTRACE_TRACEME) }).is_ok()
}

/// Its own: whatever else stands in the way, that is allowed without a filter.
fn reads_memory(_: &Ground) -> bool {
    let from = [7_u8; 16];
    let mut into = [0_u8; 16];
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = libc::iovec { iov_base: from.as_ptr().cast_mut().cast(), iov_len: from.len() };
    // SAFETY: 16 readable bytes and 16 writable ones, both alive.
    unsafe { libc::process_vm_readv(getpid().as_raw_nonzero().get(), &local, 1, &remote, 1, 0) == 16 }
}

fn names_by_handle(_: &Ground) -> bool {
    // `struct file_handle`: how many bytes there is room for, a type, the bytes.
    let mut handle = [0_u32; 34];
    if let Some(room) = handle.first_mut() {
        *room = 128;
    }
    let mut mount = 0_i32;
    let path: &CStr = c"/";
    // SAFETY: the handle has the room that its first number says; both outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            libc::AT_FDCWD,
            path.as_ptr(),
            handle.as_mut_ptr(),
            &raw mut mount,
            0,
        )
    };
    sys::outcome(result).is_ok()
}

/// Into namespaces of this process's own, where it may: there it may do to them what root may do to the machine's.
fn apart(namespaces: libc::c_int) -> bool {
    // SAFETY: a plain number.
    sys::outcome(libc::c_long::from(unsafe { libc::unshare(libc::CLONE_NEWUSER | namespaces) })).is_ok()
}

/// Outside not without namespaces of its own: for root, that would change the machine's mounts.
fn mounts(ground: &Ground) -> bool {
    let inside = ground.root.is_empty();
    (apart(libc::CLONE_NEWNS) || inside) && mount_change(c"/", MountPropagationFlags::PRIVATE).is_ok()
}

fn changes_root(_: &Ground) -> bool {
    let _ = apart(0);
    rustix::process::chroot(c"/").is_ok()
}

fn makes_packets(_: &Ground) -> bool {
    let _ = apart(libc::CLONE_NEWNET);
    let icmp = Some(rustix::net::ipproto::ICMP);
    socket_with(AddressFamily::INET, SocketType::RAW, SocketFlags::CLOEXEC, icmp).is_ok()
}

/// A clock of this process's own, in user mode: what the kernel lets everybody measure at its usual setting.
fn measures(_: &Ground) -> bool {
    const SOFTWARE: u64 = 1;
    const SIZE: u64 = 64;
    const NOT_THE_KERNEL: u64 = 1 << 5 | 1 << 6;
    let attributes: [u64; 8] = [SOFTWARE | SIZE << 32, 0, 0, 0, 0, NOT_THE_KERNEL, 0, 0];
    // SAFETY: the structure's first version, with its size; it outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_perf_event_open, attributes.as_ptr(), 0, -1, -1, 0) };
    sys::outcome(result).is_ok()
}

fn handles_faults(_: &Ground) -> bool {
    const USER_MODE_ONLY: libc::c_int = 1;
    // SAFETY: a plain number.
    !is_refused(sys::outcome(unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC | USER_MODE_ONLY) }))
}

fn makes_setid(ground: &Ground) -> bool {
    within(ground.work.as_ref(), b"probe-set-id").is_some_and(|path| {
        let made = opens(path.as_slice(), OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL).is_ok_and(|file| {
            let _ = rustix::fs::fchmod(&file, Mode::from_raw_mode(0o4755));
            rustix::fs::fstat(&file).is_ok_and(|stat| stat.st_mode & 0o4000 != 0)
        });
        let _ = rustix::fs::unlink(path.as_slice());
        made
    })
}

fn makes_device(ground: &Ground) -> bool {
    within(ground.work.as_ref(), b"probe-device").is_some_and(|path| {
        let null = rustix::fs::makedev(1, 3);
        let made = mknodat(CWD, path.as_slice(), FileType::CharacterDevice, Mode::from_raw_mode(0o600), null).is_ok();
        let _ = rustix::fs::unlink(path.as_slice());
        made
    })
}

/// Into a terminal that this process made for itself.
fn types(_: &Ground) -> bool {
    let terminal = || -> rustix::io::Result<std::os::fd::OwnedFd> {
        let master = open(c"/dev/ptmx", OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::pty::unlockpt(&master)?;
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        setsid()?;
        ioctl_tiocsctty(&slave)?;
        // Closed, it would take the terminal with it.
        std::mem::forget(master);
        Ok(slave)
    };
    terminal().is_ok_and(|terminal| {
        let key = b'x';
        let fd = std::os::fd::AsRawFd::as_raw_fd(&terminal);
        // SAFETY: the request reads one byte, which is alive.
        sys::outcome(libc::c_long::from(unsafe { libc::ioctl(fd, libc::TIOCSTI, &raw const key) })).is_ok()
    })
}

/// The checks of each start, and these.
pub(super) fn all() -> impl Iterator<Item = &'static Check> {
    // `mount` is tried apart; new privileges were given up by raincoat itself, so outside they are refused too.
    let start = super::checks::checks().iter().filter(|check| !["mount", "new-privileges"].contains(&check.name));
    start.chain(PROBES)
}
