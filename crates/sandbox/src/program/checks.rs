//! What must not be possible inside, tried: at the start of each run, by the program's own process just before it
//! becomes the program; and by `raincoat doctor --prove`, which also tries the same without an enclosure, where it has
//! to get through: a check that cannot fail proves nothing.

use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags, open, openat, readlinkat};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::{geteuid, getpid, getppid};

use serde::{Deserialize, Serialize};

use super::{How, Plan, fault, sys};

/// What the checks are made on. What is not there is not tried.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ground {
    /// Files or folders that are there outside and were not granted, absolute.
    pub outside: Vec<Vec<u8>>,
    /// The namespaces outside, as the links of `/proc/self/ns` name them.
    pub namespaces: Vec<(String, Vec<u8>)>,
    /// An abstract socket that somebody outside listens at; none: not tried.
    pub listener: Option<Vec<u8>>,
    /// The program may make user namespaces.
    pub may_nest: bool,
    /// A folder that was not granted, with `outside` and a socket in it.
    pub around: Option<Vec<u8>>,
    /// A file in the home folder.
    pub home: Option<Vec<u8>>,
    /// A file or folder of raincoat's own.
    pub own: Option<Vec<u8>>,
    /// The draft's own folder.
    pub draft: Option<Vec<u8>>,
    /// A file with a secret's name at the top of `work`.
    pub secret: Option<Vec<u8>>,
    /// A folder that is worked on in a draft.
    pub work: Option<Vec<u8>>,
    /// A folder that is granted to be read.
    pub fixed: Option<Vec<u8>>,
    /// A TCP port that somebody outside listens at, on the machine's 127.0.0.1.
    pub port: Option<u16>,
    /// A process outside, of the same user.
    pub process: Option<i32>,
    /// A segment of shared memory (System V) outside.
    pub segment: Option<i32>,
    /// A key in the session's keyring outside.
    pub key: Option<i32>,
    /// Where the supervisor would be, if it is not 1: without an enclosure, something has to stand for it.
    pub first: Option<i32>,
    /// What stands for the root folder without an enclosure, where nothing is to be written into the real one.
    pub root: Vec<u8>,
}

/// Something that must not be possible.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Its name, the same for ever.
    pub name: &'static str,
    /// The layer that refuses it.
    pub layer: &'static str,
    /// What would be possible if it got through, in words.
    pub what: &'static str,
    attempt: fn(&Ground) -> bool,
}

impl Check {
    /// Tries it, in this process: `true` where it got through. Outside an enclosure, do this in a process that ends
    /// afterwards: what gets through changes the process.
    pub fn gets_through(&self, ground: &Ground) -> bool {
        (self.attempt)(ground)
    }
}

/// Every check. Each takes microseconds.
pub fn checks() -> &'static [Check] {
    CHECKS
}

pub(super) const fn check(
    name: &'static str,
    layer: &'static str,
    what: &'static str,
    attempt: fn(&Ground) -> bool,
) -> Check {
    Check { name, layer, what, attempt }
}

const CHECKS: &[Check] = &[
    check("outside-file", "private-root", "a file that was not granted can be opened", opens_outside),
    check("root-writable", "private-root", "the root folder can be written", writes_root),
    check("other-processes", "namespaces", "other processes can be seen", sees_processes),
    check("supervisor", "namespaces", "the supervisor's root folder can be opened", opens_supervisor),
    check("namespaces", "namespaces", "a namespace is the machine's own", shares_namespace),
    check("network", "namespaces", "there is a way to the network", has_route),
    check(
        "abstract-socket",
        "namespaces",
        "an abstract socket of the machine's can be connected to",
        connects_abstract,
    ),
    check("capabilities", "privileges", "there are capabilities", has_capabilities),
    check("new-privileges", "privileges", "new privileges can be gained", may_gain),
    check("mount", "program-filter", "file systems can be mounted", mounts),
    check("nesting", "program-filter", "user namespaces can be made", nests),
    check("io-uring", "program-filter", "io_uring can be set up", sets_up_ring),
    check("bpf", "program-filter", "the kernel takes programs (bpf)", loads_bpf),
    check("keys", "program-filter", "the kernel's keyrings can be used", uses_keys),
    check("settings", "private-root", "the kernel's settings can be written", writes_settings),
];

/// The first that gets through.
pub(super) fn first_through(ground: &Ground) -> Option<&'static Check> {
    CHECKS.iter().find(|check| check.gets_through(ground))
}

const NAMESPACES: &[&str] = &["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"];

impl Ground {
    /// This process's own namespaces, before it makes others, and what of a plan's lies outside.
    pub(super) fn of(plan: &Plan) -> Ground {
        let mut outside: Vec<Vec<u8>> = plan
            .folders
            .iter()
            .filter_map(|folder| match &folder.how {
                How::Draft { place } => Some([place.as_slice(), b"/upper"].concat()),
                _ => None,
            })
            .collect();
        // The draft itself may lie within what was granted: then it is covered, not gone.
        outside.retain(|path| !plan.folders.iter().any(|folder| path.starts_with(&folder.at)));
        let namespaces = NAMESPACES.iter().filter_map(|name| Some(((*name).to_owned(), namespace(name)?))).collect();
        Ground { outside, namespaces, may_nest: plan.may_nest, ..Ground::default() }
    }
}

fn namespace(name: &str) -> Option<Vec<u8>> {
    readlinkat(CWD, format!("/proc/self/ns/{name}"), Vec::new()).ok().map(std::ffi::CString::into_bytes)
}

pub(super) fn opens(path: impl rustix::path::Arg, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(open(path, flags | OFlags::CLOEXEC, Mode::from_raw_mode(0o600))?)
}

fn opens_outside(ground: &Ground) -> bool {
    ground.outside.iter().any(|path| opens(path.as_slice(), OFlags::RDONLY).is_ok())
}

fn writes_root(ground: &Ground) -> bool {
    let name = [ground.root.as_slice(), b"/.raincoat-check"].concat();
    let written = opens(name.as_slice(), OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL).is_ok();
    if written {
        let _ = rustix::fs::unlink(name.as_slice());
    }
    written
}

/// Others than itself and the one that started it, unless that is the supervisor.
fn sees_processes(_: &Ground) -> bool {
    let parent = getppid().filter(|pid| !pid.is_init());
    let known: Vec<String> =
        [Some(getpid()), parent].into_iter().flatten().map(|pid| pid.as_raw_nonzero().to_string()).collect();
    let Ok(entries) =
        opens(c"/proc", OFlags::RDONLY | OFlags::DIRECTORY).and_then(|dir| Ok(rustix::fs::Dir::new(dir)?))
    else {
        return false;
    };
    let names = entries.filter_map(Result::ok).map(|entry| entry.file_name().to_bytes().to_vec());
    let mut others = names.filter(|name| !known.iter().any(|known| known.as_bytes() == name));
    others.any(|name| name.iter().all(u8::is_ascii_digit))
}

fn opens_supervisor(ground: &Ground) -> bool {
    opens(format!("/proc/{}/root", ground.first.unwrap_or(1)), OFlags::RDONLY | OFlags::DIRECTORY).is_ok()
}

fn shares_namespace(ground: &Ground) -> bool {
    ground.namespaces.is_empty()
        || ground.namespaces.iter().any(|(name, outside)| namespace(name).is_none_or(|inside| inside == *outside))
}

/// Connecting a datagram socket sends nothing: it only asks for the way.
fn has_route(_: &Ground) -> bool {
    let anywhere = std::net::SocketAddrV4::new(std::net::Ipv4Addr::new(1, 1, 1, 1), 9);
    socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .is_ok_and(|socket| connect(&socket, &anywhere).is_ok())
}

fn connects_abstract(ground: &Ground) -> bool {
    let Some(address) = ground.listener.as_ref().and_then(|name| SocketAddrUnix::new_abstract_name(name).ok()) else {
        return false;
    };
    socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .is_ok_and(|socket| connect(&socket, &address).is_ok())
}

fn status(field: &str) -> Option<u64> {
    let text = fault::text(CWD, c"/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t").map(str::to_owned))?;
    u64::from_str_radix(&line, 16).ok()
}

fn has_capabilities(_: &Ground) -> bool {
    ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].iter().any(|set| status(set) != Some(0))
}

fn may_gain(_: &Ground) -> bool {
    status("NoNewPrivs") != Some(1)
}

fn mounts(_: &Ground) -> bool {
    rustix::mount::mount_change(c"/", rustix::mount::MountPropagationFlags::PRIVATE).is_ok()
}

fn nests(ground: &Ground) -> bool {
    // SAFETY: a plain number.
    !ground.may_nest && sys::outcome(libc::c_long::from(unsafe { libc::unshare(libc::CLONE_NEWUSER) })).is_ok()
}

/// `EFAULT` (no parameters were given) means that the call is there.
fn sets_up_ring(_: &Ground) -> bool {
    // SAFETY: no memory is handed over.
    let result = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, std::ptr::null::<u8>()) };
    !is_refused(sys::outcome(result))
}

/// An unknown command: refused for that reason where the call is there and allowed.
fn loads_bpf(_: &Ground) -> bool {
    // SAFETY: no memory is handed over.
    let result = unsafe { libc::syscall(libc::SYS_bpf, -1, std::ptr::null::<u8>(), 0) };
    !is_refused(sys::outcome(result))
}

fn uses_keys(_: &Ground) -> bool {
    const GET_KEYRING_ID: libc::c_int = 0;
    const SESSION: libc::c_int = -3;
    // SAFETY: plain numbers.
    sys::outcome(unsafe { libc::syscall(libc::SYS_keyctl, GET_KEYRING_ID, SESSION, 0) }).is_ok()
}

pub(super) fn is_refused(result: io::Result<()>) -> bool {
    result.is_err_and(|error| matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS | libc::EACCES)))
}

/// Opening is enough; nothing is written.
fn writes_settings(_: &Ground) -> bool {
    let root = geteuid().is_root();
    let opened = |path: &CStr| openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).is_ok();
    opened(c"/proc/sys/kernel/core_pattern") || (root && opened(c"/proc/sysrq-trigger"))
}
