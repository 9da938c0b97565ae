//! Calls whose arguments decide, and those that the supervisor carries out.

use super::{Answer, Rule};
use crate::calls::When::{Between, Is, Masked, With};
use crate::calls::{Call, When};

use Answer::{Allow, Quiet, Rename, SetId, Told};

/// Every table of this file.
pub(super) fn tables() -> impl Iterator<Item = Rule> {
    CHECKED.iter().chain(LEGACY).copied()
}

/// What a program that may make namespaces of its own is allowed besides. Landlock still refuses every mount.
pub(super) const NESTING: &[i64] = &[libc::SYS_clone, libc::SYS_unshare, libc::SYS_setns, libc::SYS_chroot];

const fn rule(
    name: &'static str,
    number: i64,
    when: &'static [&'static [When]],
    answer: Answer,
    why: &'static str,
) -> Rule {
    Rule { call: Call { name, number, when, why }, answer }
}

// `linux/sched.h`: every CLONE_NEW... flag; the one for time has its bit among those of a signal in `clone`.
const NAMESPACES: u64 = 0x7e02_0000;
const NAMESPACES_AND_TIME: u64 = NAMESPACES | 0x80;
// `linux/stat.h`, `linux/fcntl.h`, as the kernel's filters see them on every architecture that we know.
const SETUID: u64 = 0o4000;
const SETGID: u64 = 0o2000;
const CREATE: u64 = libc::O_CREAT as u64;
/// `__O_TMPFILE`, without the `O_DIRECTORY` that goes with it.
const UNNAMED: u64 = 0o20_000_000;
const KIND: u64 = libc::S_IFMT as u64;
const CHARACTER: u64 = libc::S_IFCHR as u64;
const BLOCK: u64 = libc::S_IFBLK as u64;
// `linux/socket.h`, `linux/net.h`, `linux/in.h`.
const UNIX: u64 = libc::AF_UNIX as u64;
const INET: u64 = libc::AF_INET as u64;
const INET6: u64 = libc::AF_INET6 as u64;
const NETLINK: u64 = libc::AF_NETLINK as u64;
const PACKET: u64 = libc::AF_PACKET as u64;
const VSOCK: u64 = libc::AF_VSOCK as u64;
const KIND_OF_SOCKET: u64 = 0xf;
const STREAM: u64 = libc::SOCK_STREAM as u64;
const DATAGRAM: u64 = libc::SOCK_DGRAM as u64;
const RAW: u64 = libc::SOCK_RAW as u64;
const PACKETS: u64 = 10;
const TCP: u64 = libc::IPPROTO_TCP as u64;
const UDP: u64 = libc::IPPROTO_UDP as u64;
const ICMP: u64 = libc::IPPROTO_ICMP as u64;
const ICMP6: u64 = libc::IPPROTO_ICMPV6 as u64;
const MPTCP: u64 = 262;
// `asm-generic/ioctls.h`, `linux/fs.h`, `linux/fscrypt.h`, `linux/fsverity.h`.
const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541c;
const TIOCSETD: u64 = 0x5423;
const FS_IOC_SETFLAGS: u64 = 0x4008_6602;
const FS_IOC32_SETFLAGS: u64 = 0x4004_6602;
const FS_IOC_FSSETXATTR: u64 = 0x401c_5820;
const FS_IOC_SET_ENCRYPTION_POLICY: u64 = 0x800c_6613;
const FS_IOC_ADD_ENCRYPTION_KEY: u64 = 0xc050_6617;
const FS_IOC_ENABLE_VERITY: u64 = 0x4080_6685;

const ALL: &[&[When]] = &[];
const NO_SETID: &str = "a file that runs as its owner, whoever starts it";
const MODES: &str = "chmod, git, tar, cp: modes; a shared folder's set-group-id bit";
const DEVICES: &str = "a device or a file that runs as its owner";
const FIFOS: &str = "mkfifo, tar, sockets: FIFOs and plain files";
const MOVES: &str =
    "mv, git, every program that replaces a file; the overlay cannot move a directory of the folder's own";
const OPENS: &str = "every program";
const PRIORITIES: &str = "make, ninja, java, databases: processors and priorities";
/// The supervisor is the first process inside, and runs as the same user.
const FIRST: &[&[When]] = &[&[Is(0, 1)]];
// `linux/resource.h`, `linux/ioprio.h`: a process, a group, a user.
const OF_FIRST: &[&[When]] = &[&[Is(0, 0), Is(1, 1)], &[Is(0, 1), Is(1, 1)], &[Is(0, 2)]];
const IO_OF_FIRST: &[&[When]] = &[&[Is(0, 1), Is(1, 1)], &[Is(0, 2), Is(1, 1)], &[Is(0, 3)]];
// Whoever is in its group means it, too, by "my own group".
const GROUP_OF_FIRST: &[&[When]] = &[&[Is(1, 1)]];
const STARVING: &str = "starving the supervisor, which keeps the limits";

const CHECKED: &[Rule] = &[
    rule("renameat2", libc::SYS_renameat2, ALL, Rename, MOVES),
    rule(
        "openat",
        libc::SYS_openat,
        &[
            &[With(2, CREATE), With(3, SETUID)],
            &[With(2, CREATE), With(3, SETGID)],
            &[With(2, UNNAMED), With(3, SETUID)],
            &[With(2, UNNAMED), With(3, SETGID)],
        ],
        Told(libc::EPERM),
        NO_SETID,
    ),
    rule("openat", libc::SYS_openat, ALL, Allow, OPENS),
    rule("fchmod", libc::SYS_fchmod, &[&[With(1, SETUID)], &[With(1, SETGID)]], SetId, NO_SETID),
    rule("fchmod", libc::SYS_fchmod, ALL, Allow, MODES),
    rule("fchmodat", libc::SYS_fchmodat, &[&[With(2, SETUID)], &[With(2, SETGID)]], SetId, NO_SETID),
    rule("fchmodat", libc::SYS_fchmodat, ALL, Allow, MODES),
    rule("fchmodat2", 452, &[&[With(2, SETUID)], &[With(2, SETGID)]], SetId, NO_SETID),
    rule("fchmodat2", 452, ALL, Allow, MODES),
    rule(
        "mknodat",
        libc::SYS_mknodat,
        &[&[Masked(2, KIND, CHARACTER)], &[Masked(2, KIND, BLOCK)], &[With(2, SETUID)], &[With(2, SETGID)]],
        Told(libc::EPERM),
        DEVICES,
    ),
    rule("mknodat", libc::SYS_mknodat, ALL, Allow, FIFOS),
    rule("clone", libc::SYS_clone, &[&[Masked(0, NAMESPACES, 0)]], Allow, "every program: threads and processes"),
    rule("clone", libc::SYS_clone, ALL, Told(libc::EPERM), "another namespace, where other rules hold"),
    rule(
        "unshare",
        libc::SYS_unshare,
        &[&[Masked(0, NAMESPACES_AND_TIME, 0)]],
        Allow,
        "threads that want a working directory of their own",
    ),
    rule("unshare", libc::SYS_unshare, ALL, Told(libc::EPERM), "another namespace, where other rules hold"),
    rule(
        "socket",
        libc::SYS_socket,
        &[
            &[Is(0, UNIX)],
            &[Is(0, NETLINK), Is(2, 0)],
            &[Is(0, INET), Masked(1, KIND_OF_SOCKET, STREAM), Is(2, 0)],
            &[Is(0, INET), Masked(1, KIND_OF_SOCKET, STREAM), Is(2, TCP)],
            &[Is(0, INET), Masked(1, KIND_OF_SOCKET, STREAM), Is(2, MPTCP)],
            &[Is(0, INET), Masked(1, KIND_OF_SOCKET, DATAGRAM), Is(2, 0)],
            &[Is(0, INET), Masked(1, KIND_OF_SOCKET, DATAGRAM), Is(2, UDP)],
            &[Is(0, INET), Masked(1, KIND_OF_SOCKET, DATAGRAM), Is(2, ICMP)],
            &[Is(0, INET6), Masked(1, KIND_OF_SOCKET, STREAM), Is(2, 0)],
            &[Is(0, INET6), Masked(1, KIND_OF_SOCKET, STREAM), Is(2, TCP)],
            &[Is(0, INET6), Masked(1, KIND_OF_SOCKET, STREAM), Is(2, MPTCP)],
            &[Is(0, INET6), Masked(1, KIND_OF_SOCKET, DATAGRAM), Is(2, 0)],
            &[Is(0, INET6), Masked(1, KIND_OF_SOCKET, DATAGRAM), Is(2, UDP)],
            &[Is(0, INET6), Masked(1, KIND_OF_SOCKET, DATAGRAM), Is(2, ICMP6)],
        ],
        Allow,
        "node, python, curl, databases; netlink's routes for a list of interfaces",
    ),
    rule(
        "socket",
        libc::SYS_socket,
        &[
            &[Is(0, INET), Masked(1, KIND_OF_SOCKET, RAW)],
            &[Is(0, INET6), Masked(1, KIND_OF_SOCKET, RAW)],
            &[Is(0, INET), Masked(1, KIND_OF_SOCKET, PACKETS)],
            &[Is(0, PACKET)],
            &[Is(0, VSOCK)],
        ],
        Told(libc::EPERM),
        "raw packets, or a way to the machine's host",
    ),
    rule(
        "socket",
        libc::SYS_socket,
        &[&[Is(0, INET)], &[Is(0, INET6)], &[Is(0, NETLINK)]],
        Quiet(libc::EPROTONOSUPPORT),
        "protocols that few programs use and that have had many holes",
    ),
    rule(
        "socket",
        libc::SYS_socket,
        ALL,
        Quiet(libc::EAFNOSUPPORT),
        "protocols that few programs use and that have had many holes",
    ),
    rule("socketpair", libc::SYS_socketpair, &[&[Is(0, UNIX)]], Allow, "node, git, ssh: talking to a child"),
    rule(
        "socketpair",
        libc::SYS_socketpair,
        ALL,
        Quiet(libc::EAFNOSUPPORT),
        "protocols that few programs use and that have had many holes",
    ),
    rule(
        "ioctl",
        libc::SYS_ioctl,
        &[&[Is(1, TIOCSTI)], &[Is(1, TIOCLINUX)], &[Is(1, TIOCSETD)]],
        Told(libc::EPERM),
        "typing into a terminal, or what a terminal's line does",
    ),
    rule(
        "ioctl",
        libc::SYS_ioctl,
        &[
            &[Is(1, FS_IOC_SETFLAGS)],
            &[Is(1, FS_IOC32_SETFLAGS)],
            &[Is(1, FS_IOC_FSSETXATTR)],
            &[Is(1, FS_IOC_SET_ENCRYPTION_POLICY)],
            &[Is(1, FS_IOC_ADD_ENCRYPTION_KEY)],
            &[Is(1, FS_IOC_ENABLE_VERITY)],
        ],
        Quiet(libc::ENOTTY),
        "flags of files that no undo gives back",
    ),
    rule("ioctl", libc::SYS_ioctl, ALL, Allow, "every program: terminals, sockets, cloning of file ranges"),
    rule(
        "personality",
        libc::SYS_personality,
        &[&[Is(0, 0)], &[Is(0, 0xffff_ffff)]],
        Allow,
        "make, java: asking which it is",
    ),
    rule(
        "personality",
        libc::SYS_personality,
        ALL,
        Quiet(libc::EPERM),
        "memory that is executable or at known addresses; gdb goes on without",
    ),
    // Left out: 35 PR_SET_MM (what the process seems to be), 59 and 62 (calls diverted, cores shared), 67 and 68
    // (memory merged with others', which can be measured).
    rule(
        "prctl",
        libc::SYS_prctl,
        &[
            &[Between(0, 1, 34)],
            &[Between(0, 36, 58)],
            &[Between(0, 60, 61)],
            &[Between(0, 63, 66)],
            &[Between(0, 69, 74)],
            &[Is(0, libc::PR_SET_VMA as u64)],
            &[Is(0, libc::PR_SET_PTRACER as u64)],
        ],
        Allow,
        "every program: names, parents' deaths, no new privileges, processor features of its own",
    ),
    rule("prctl", libc::SYS_prctl, ALL, Quiet(libc::EINVAL), "what a kernel without it answers"),
    rule("prlimit64", libc::SYS_prlimit64, FIRST, Told(libc::EPERM), "blinding the supervisor, which keeps the limits"),
    rule("prlimit64", libc::SYS_prlimit64, ALL, Allow, "shells, java, systemd's tools: limits of their own"),
    rule("setpgid", libc::SYS_setpgid, GROUP_OF_FIRST, Told(libc::EPERM), STARVING),
    rule("setpgid", libc::SYS_setpgid, ALL, Allow, "shells: jobs"),
    rule("sched_setaffinity", libc::SYS_sched_setaffinity, FIRST, Told(libc::EPERM), STARVING),
    rule("sched_setaffinity", libc::SYS_sched_setaffinity, ALL, Allow, PRIORITIES),
    rule("sched_setscheduler", libc::SYS_sched_setscheduler, FIRST, Told(libc::EPERM), STARVING),
    rule("sched_setscheduler", libc::SYS_sched_setscheduler, ALL, Allow, PRIORITIES),
    rule("sched_setparam", libc::SYS_sched_setparam, FIRST, Told(libc::EPERM), STARVING),
    rule("sched_setparam", libc::SYS_sched_setparam, ALL, Allow, PRIORITIES),
    rule("sched_setattr", libc::SYS_sched_setattr, FIRST, Told(libc::EPERM), STARVING),
    rule("sched_setattr", libc::SYS_sched_setattr, ALL, Allow, PRIORITIES),
    rule("setpriority", libc::SYS_setpriority, OF_FIRST, Told(libc::EPERM), STARVING),
    rule("setpriority", libc::SYS_setpriority, ALL, Allow, PRIORITIES),
    rule("ioprio_set", libc::SYS_ioprio_set, IO_OF_FIRST, Told(libc::EPERM), STARVING),
    rule("ioprio_set", libc::SYS_ioprio_set, ALL, Allow, PRIORITIES),
];

#[cfg(target_arch = "x86_64")]
const LEGACY: &[Rule] = &[
    rule("rename", libc::SYS_rename, ALL, Rename, MOVES),
    rule("renameat", libc::SYS_renameat, ALL, Rename, MOVES),
    rule(
        "open",
        libc::SYS_open,
        &[
            &[With(1, CREATE), With(2, SETUID)],
            &[With(1, CREATE), With(2, SETGID)],
            &[With(1, UNNAMED), With(2, SETUID)],
            &[With(1, UNNAMED), With(2, SETGID)],
        ],
        Told(libc::EPERM),
        NO_SETID,
    ),
    rule("open", libc::SYS_open, ALL, Allow, OPENS),
    rule("creat", libc::SYS_creat, &[&[With(1, SETUID)], &[With(1, SETGID)]], Told(libc::EPERM), NO_SETID),
    rule("creat", libc::SYS_creat, ALL, Allow, OPENS),
    rule("chmod", libc::SYS_chmod, &[&[With(1, SETUID)], &[With(1, SETGID)]], SetId, NO_SETID),
    rule("chmod", libc::SYS_chmod, ALL, Allow, MODES),
    rule(
        "mknod",
        libc::SYS_mknod,
        &[&[Masked(1, KIND, CHARACTER)], &[Masked(1, KIND, BLOCK)], &[With(1, SETUID)], &[With(1, SETGID)]],
        Told(libc::EPERM),
        DEVICES,
    ),
    rule("mknod", libc::SYS_mknod, ALL, Allow, FIFOS),
    rule("uretprobe", 335, ALL, Allow, "the kernel itself, where an administrator watches a library's functions"),
];
#[cfg(not(target_arch = "x86_64"))]
const LEGACY: &[Rule] = &[rule("renameat", 38, ALL, Rename, MOVES)];
