//! The system calls that our filters name, each with its reason: reviewed data (HABITS 10). A change here is a change
//! to what a worker or the effects thread may do, and is to be read as one.

/// A system call in a table.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Its name, as in section 2 of the manual.
    pub name: &'static str,
    /// Its number on this architecture.
    pub number: i64,
    /// Which uses of it are meant: any one of these groups, of which all must hold. Empty: every use.
    pub when: &'static [&'static [When]],
    /// Allowed: who calls it. Refused: what it could do.
    pub why: &'static str,
}

/// A condition on one argument, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// It is this value.
    Is(u8, u64),
    /// It is another than this value.
    IsNot(u8, u64),
    /// This bit is not set in it.
    Without(u8, u64),
    /// This bit is set in it.
    With(u8, u64),
    /// It is this process's id.
    OwnProcess(u8),
    /// It is another than this process's id.
    OtherProcess(u8),
    /// It is not zero.
    NotNull(u8),
    /// These bits of it (the first number) have this value (the second).
    Masked(u8, u64, u64),
    /// It is one of these values or between them.
    Between(u8, u64, u64),
}

impl When {
    /// Whether it holds for these arguments, of which, as in a filter, the lower 32 bits count, but for `NotNull`.
    pub(crate) fn holds(&self, arguments: &[u64; 6]) -> bool {
        const LOWER: u64 = 0xffff_ffff;
        let whole = |argument: u8| arguments.get(usize::from(argument)).copied().unwrap_or(0);
        let value = |argument: u8| whole(argument) & LOWER;
        match *self {
            When::Is(argument, is) => value(argument) == is & LOWER,
            When::IsNot(argument, is) => value(argument) != is & LOWER,
            When::Without(argument, bit) => value(argument) & bit == 0,
            When::With(argument, bit) => value(argument) & bit == bit,
            When::OwnProcess(argument) => value(argument) == u64::from(std::process::id()),
            When::OtherProcess(argument) => value(argument) != u64::from(std::process::id()),
            When::NotNull(argument) => whole(argument) != 0,
            When::Masked(argument, mask, is) => value(argument) & mask == is,
            When::Between(argument, least, most) => (least..=most).contains(&value(argument)),
        }
    }
}

/// The last system call that was reviewed for these tables (`mseal`, Linux 6.10). The guard answers later ones with
/// `ENOSYS`; raise this only together with the tables.
pub const LAST_REVIEWED: u32 = 462;

/// What a worker may call.
pub fn worker_may() -> impl Iterator<Item = &'static Call> {
    WORKER.iter().chain(WORKER_LEGACY)
}

/// What kills a worker: things that no library does by chance. What is in neither table is refused with `EPERM`.
pub fn worker_kills() -> impl Iterator<Item = &'static Call> {
    HOSTILE.iter().chain(HOSTILE_LEGACY).chain(WORKER_KILLS)
}

/// What the effects thread may not call.
pub fn thread_may_not() -> impl Iterator<Item = &'static Call> {
    HOSTILE.iter().chain(HOSTILE_LEGACY).chain(THREAD).chain(THREAD_LEGACY).chain(THREAD_UNNAMED)
}

pub(crate) const fn call(name: &'static str, number: i64, why: &'static str) -> Call {
    Call { name, number, when: &[], why }
}

const fn call_when(name: &'static str, number: i64, when: &'static [&'static [When]], why: &'static str) -> Call {
    Call { name, number, when, why }
}

const NOT_EXECUTABLE: &[&[When]] = &[&[When::Without(2, libc::PROT_EXEC as u64)]];
const EXECUTABLE: &[&[When]] = &[&[When::With(2, libc::PROT_EXEC as u64)]];
const OTHERS_FIRST: &[&[When]] = &[&[When::OtherProcess(0)]];
const CLONE_THREAD: u64 = libc::CLONE_THREAD as u64;
/// `AT_FDCWD` as the 32 bits that the kernel looks at.
const AT_FDCWD: u64 = libc::AT_FDCWD as u32 as u64;
// `linux/prctl.h`, `linux/fcntl.h`, `asm-generic/ioctls.h` and `linux/fs.h`; the same on every architecture that the filters know.
const PR_SET_VMA: u64 = 0x5356_4d41;
const F_SETOWN_EX: u64 = 15;
const F_NOTIFY: u64 = 1026;
const TCGETS: u64 = 0x5401;
const FIONBIO: u64 = 0x5421;
const FIONREAD: u64 = 0x541b;
const FICLONE: u64 = 0x4004_9409;
const FICLONERANGE: u64 = 0x4020_940d;
const FS_IOC_GETFLAGS: u64 = 0x8008_6601;
const FS_IOC_FIEMAP: u64 = 0xc020_660b;
const FS_IOC_FSGETXATTR: u64 = 0x801c_581f;

const WORKER: &[Call] = &[
    call("read", libc::SYS_read, "the socket: std's UnixStream"),
    call("readv", libc::SYS_readv, "the socket: std's UnixStream"),
    call("recvfrom", libc::SYS_recvfrom, "the socket: std's UnixStream"),
    call("recvmsg", libc::SYS_recvmsg, "the socket: std's UnixStream"),
    call("write", libc::SYS_write, "the socket; a panic's message on standard error"),
    call("writev", libc::SYS_writev, "the socket; a panic's message on standard error"),
    call("sendto", libc::SYS_sendto, "the socket: std's UnixStream writes without SIGPIPE"),
    call("sendmsg", libc::SYS_sendmsg, "the socket: std's UnixStream"),
    call("shutdown", libc::SYS_shutdown, "the socket: tells the keeper that no more comes"),
    call("ppoll", libc::SYS_ppoll, "the socket: waiting with a timeout"),
    call("close", libc::SYS_close, "the socket and its clones"),
    call_when(
        "fcntl",
        libc::SYS_fcntl,
        &[
            &[When::Is(1, libc::F_GETFD as u64)],
            &[When::Is(1, libc::F_SETFD as u64)],
            &[When::Is(1, libc::F_GETFL as u64)],
            &[When::Is(1, libc::F_SETFL as u64)],
            &[When::Is(1, libc::F_DUPFD_CLOEXEC as u64)],
        ],
        "the socket: try_clone and set_nonblocking",
    ),
    call_when(
        "ioctl",
        libc::SYS_ioctl,
        &[&[When::Is(1, FIONBIO)], &[When::Is(1, FIONREAD)]],
        "the socket: set_nonblocking",
    ),
    call_when(
        "setsockopt",
        libc::SYS_setsockopt,
        &[
            &[When::Is(1, libc::SOL_SOCKET as u64), When::Is(2, libc::SO_RCVTIMEO as u64)],
            &[When::Is(1, libc::SOL_SOCKET as u64), When::Is(2, libc::SO_SNDTIMEO as u64)],
        ],
        "the socket: set_read_timeout and set_write_timeout",
    ),
    call_when(
        "getsockopt",
        libc::SYS_getsockopt,
        &[&[When::Is(1, libc::SOL_SOCKET as u64)]],
        "the socket: take_error and read_timeout",
    ),
    call_when("mmap", libc::SYS_mmap, NOT_EXECUTABLE, "malloc"),
    call_when("mprotect", libc::SYS_mprotect, NOT_EXECUTABLE, "malloc"),
    call("munmap", libc::SYS_munmap, "malloc"),
    call("mremap", libc::SYS_mremap, "malloc: realloc of large blocks"),
    call("brk", libc::SYS_brk, "malloc"),
    call("madvise", libc::SYS_madvise, "malloc: giving memory back"),
    call("futex", libc::SYS_futex, "std's locks and thread parking"),
    call("getrandom", libc::SYS_getrandom, "std's HashMap keys; malloc's tcache key"),
    call("clock_gettime", libc::SYS_clock_gettime, "std's Instant and SystemTime where the vDSO has no clock"),
    call("gettimeofday", libc::SYS_gettimeofday, "time functions where the vDSO has no clock"),
    call("clock_getres", libc::SYS_clock_getres, "time functions"),
    call("clock_nanosleep", libc::SYS_clock_nanosleep, "std's thread::sleep"),
    call("nanosleep", libc::SYS_nanosleep, "std's thread::sleep on old C libraries"),
    call("sched_yield", libc::SYS_sched_yield, "std's spinning locks"),
    call("sched_getaffinity", libc::SYS_sched_getaffinity, "std's available_parallelism; malloc's choice of arenas"),
    call("getuid", libc::SYS_getuid, "libraries that ask who they are"),
    call("geteuid", libc::SYS_geteuid, "libraries that ask who they are"),
    call("getgid", libc::SYS_getgid, "libraries that ask who they are"),
    call("getegid", libc::SYS_getegid, "libraries that ask who they are"),
    call("getppid", libc::SYS_getppid, "libraries that ask who started them"),
    call("getpid", libc::SYS_getpid, "abort"),
    call("gettid", libc::SYS_gettid, "abort; std's thread ids"),
    call_when("tgkill", libc::SYS_tgkill, &[&[When::OwnProcess(0)]], "abort: raise(SIGABRT)"),
    call("rt_sigaction", libc::SYS_rt_sigaction, "abort; std's stack overflow handler"),
    call("rt_sigprocmask", libc::SYS_rt_sigprocmask, "abort"),
    call("rt_sigreturn", libc::SYS_rt_sigreturn, "returning from a signal handler"),
    call("sigaltstack", libc::SYS_sigaltstack, "std's stack overflow handler, taken down at exit"),
    call("restart_syscall", libc::SYS_restart_syscall, "the kernel itself, after a stop"),
    call("rseq", libc::SYS_rseq, "the C library at exit"),
    call("set_robust_list", libc::SYS_set_robust_list, "the C library"),
    call("exit", libc::SYS_exit, "the end"),
    call("exit_group", libc::SYS_exit_group, "the end"),
];

const WORKER_KILLS: &[Call] = &[call_when(
    "clone",
    libc::SYS_clone,
    &[&[When::Without(0, CLONE_THREAD)]],
    "starts a process (a thread is refused with EPERM)",
)];

const HOSTILE: &[Call] = &[
    call("execve", libc::SYS_execve, "starts a program"),
    call("execveat", libc::SYS_execveat, "starts a program"),
    call("socket", libc::SYS_socket, "opens a way to the network or to other processes"),
    call("socketpair", libc::SYS_socketpair, "opens a way to the network or to other processes"),
    call("bind", libc::SYS_bind, "opens a way to the network or to other processes"),
    call("listen", libc::SYS_listen, "opens a way to the network or to other processes"),
    call("connect", libc::SYS_connect, "opens a way to the network or to other processes"),
    call("accept", libc::SYS_accept, "opens a way to the network or to other processes"),
    call("accept4", libc::SYS_accept4, "opens a way to the network or to other processes"),
    call("ptrace", libc::SYS_ptrace, "reaches into another process"),
    call("process_vm_readv", libc::SYS_process_vm_readv, "reaches into another process"),
    call("process_vm_writev", libc::SYS_process_vm_writev, "reaches into another process"),
    call("process_madvise", libc::SYS_process_madvise, "reaches into another process"),
    call("process_mrelease", libc::SYS_process_mrelease, "reaches into another process"),
    call("kcmp", libc::SYS_kcmp, "reaches into another process"),
    call("pidfd_getfd", libc::SYS_pidfd_getfd, "takes another process's descriptors"),
    call("pidfd_send_signal", libc::SYS_pidfd_send_signal, "signals another process"),
    call("tkill", libc::SYS_tkill, "signals another process"),
    call("rt_sigqueueinfo", libc::SYS_rt_sigqueueinfo, "signals another process"),
    call("rt_tgsigqueueinfo", libc::SYS_rt_tgsigqueueinfo, "signals another process"),
    call_when("kill", libc::SYS_kill, OTHERS_FIRST, "signals another process"),
    call_when("tgkill", libc::SYS_tgkill, OTHERS_FIRST, "signals another process"),
    call("mount", libc::SYS_mount, "changes what paths lead to"),
    call("umount2", libc::SYS_umount2, "changes what paths lead to"),
    call("pivot_root", libc::SYS_pivot_root, "changes what paths lead to"),
    call("chroot", libc::SYS_chroot, "changes what paths lead to"),
    call("open_tree", libc::SYS_open_tree, "changes what paths lead to"),
    call("move_mount", libc::SYS_move_mount, "changes what paths lead to"),
    call("fsopen", libc::SYS_fsopen, "changes what paths lead to"),
    call("fsconfig", libc::SYS_fsconfig, "changes what paths lead to"),
    call("fsmount", libc::SYS_fsmount, "changes what paths lead to"),
    call("fspick", libc::SYS_fspick, "changes what paths lead to"),
    call("mount_setattr", libc::SYS_mount_setattr, "changes what paths lead to"),
    call("unshare", libc::SYS_unshare, "enters another namespace, where other rules hold"),
    call("setns", libc::SYS_setns, "enters another namespace, where other rules hold"),
    call("open_by_handle_at", libc::SYS_open_by_handle_at, "opens a file without a path (the way out of a container)"),
    call("name_to_handle_at", libc::SYS_name_to_handle_at, "opens a file without a path (the way out of a container)"),
    call("bpf", libc::SYS_bpf, "reaches into the kernel; a large part of its past holes"),
    call("perf_event_open", libc::SYS_perf_event_open, "reaches into the kernel; a large part of its past holes"),
    call("userfaultfd", libc::SYS_userfaultfd, "reaches into the kernel; a large part of its past holes"),
    call("io_uring_setup", libc::SYS_io_uring_setup, "does other calls' work behind the filter's back"),
    call("io_uring_enter", libc::SYS_io_uring_enter, "does other calls' work behind the filter's back"),
    call("io_uring_register", libc::SYS_io_uring_register, "does other calls' work behind the filter's back"),
    call("io_setup", libc::SYS_io_setup, "does other calls' work behind the filter's back"),
    call("io_submit", libc::SYS_io_submit, "does other calls' work behind the filter's back"),
    call("io_destroy", libc::SYS_io_destroy, "does other calls' work behind the filter's back"),
    call("io_cancel", libc::SYS_io_cancel, "does other calls' work behind the filter's back"),
    call("io_getevents", libc::SYS_io_getevents, "does other calls' work behind the filter's back"),
    call("keyctl", libc::SYS_keyctl, "reads or plants keys, the cached root key among them"),
    call("add_key", libc::SYS_add_key, "reads or plants keys, the cached root key among them"),
    call("request_key", libc::SYS_request_key, "reads or plants keys, the cached root key among them"),
    call("init_module", libc::SYS_init_module, "changes the kernel that runs"),
    call("finit_module", libc::SYS_finit_module, "changes the kernel that runs"),
    call("delete_module", libc::SYS_delete_module, "changes the kernel that runs"),
    call("kexec_load", libc::SYS_kexec_load, "changes the kernel that runs"),
    call("kexec_file_load", libc::SYS_kexec_file_load, "changes the kernel that runs"),
    call("reboot", libc::SYS_reboot, "changes the kernel that runs"),
    call("setuid", libc::SYS_setuid, "changes who we are"),
    call("setgid", libc::SYS_setgid, "changes who we are"),
    call("setreuid", libc::SYS_setreuid, "changes who we are"),
    call("setregid", libc::SYS_setregid, "changes who we are"),
    call("setresuid", libc::SYS_setresuid, "changes who we are"),
    call("setresgid", libc::SYS_setresgid, "changes who we are"),
    call("setfsuid", libc::SYS_setfsuid, "changes who we are"),
    call("setfsgid", libc::SYS_setfsgid, "changes who we are"),
    call("setgroups", libc::SYS_setgroups, "changes who we are"),
    call("capset", libc::SYS_capset, "changes who we are"),
    call("personality", libc::SYS_personality, "changes how memory is mapped and paths are read"),
    call("swapon", libc::SYS_swapon, "administers the machine"),
    call("swapoff", libc::SYS_swapoff, "administers the machine"),
    call("acct", libc::SYS_acct, "administers the machine"),
    call("quotactl", libc::SYS_quotactl, "administers the machine"),
    call("quotactl_fd", libc::SYS_quotactl_fd, "administers the machine"),
    call("syslog", libc::SYS_syslog, "administers the machine"),
    call("vhangup", libc::SYS_vhangup, "administers the machine"),
    call("sethostname", libc::SYS_sethostname, "administers the machine"),
    call("setdomainname", libc::SYS_setdomainname, "administers the machine"),
    call("settimeofday", libc::SYS_settimeofday, "sets the machine's clock"),
    call("clock_settime", libc::SYS_clock_settime, "sets the machine's clock"),
    call("adjtimex", libc::SYS_adjtimex, "sets the machine's clock"),
    call("clock_adjtime", libc::SYS_clock_adjtime, "sets the machine's clock"),
    call("move_pages", libc::SYS_move_pages, "moves another process's memory"),
    call("migrate_pages", libc::SYS_migrate_pages, "moves another process's memory"),
    call("fanotify_init", libc::SYS_fanotify_init, "watches or blocks what others open"),
    call("fanotify_mark", libc::SYS_fanotify_mark, "watches or blocks what others open"),
    call("lookup_dcookie", libc::SYS_lookup_dcookie, "tells paths from the kernel's cache"),
    call("msgget", libc::SYS_msgget, "shares memory or messages with any process of this user"),
    call("msgsnd", libc::SYS_msgsnd, "shares memory or messages with any process of this user"),
    call("msgrcv", libc::SYS_msgrcv, "shares memory or messages with any process of this user"),
    call("msgctl", libc::SYS_msgctl, "shares memory or messages with any process of this user"),
    call("semget", libc::SYS_semget, "shares memory or messages with any process of this user"),
    call("semop", libc::SYS_semop, "shares memory or messages with any process of this user"),
    call("semtimedop", libc::SYS_semtimedop, "shares memory or messages with any process of this user"),
    call("semctl", libc::SYS_semctl, "shares memory or messages with any process of this user"),
    call("shmget", libc::SYS_shmget, "shares memory or messages with any process of this user"),
    call("shmat", libc::SYS_shmat, "shares memory or messages with any process of this user"),
    call("shmctl", libc::SYS_shmctl, "shares memory or messages with any process of this user"),
    call("shmdt", libc::SYS_shmdt, "shares memory or messages with any process of this user"),
    call("mq_open", libc::SYS_mq_open, "shares messages with any process of this user"),
    call("mq_unlink", libc::SYS_mq_unlink, "shares messages with any process of this user"),
];

const THREAD: &[Call] = &[
    call("clone", libc::SYS_clone, "starts a process or a thread; effects need neither"),
    call("clone3", libc::SYS_clone3, "starts a process or a thread"),
    call("sendto", libc::SYS_sendto, "uses the keeper's sockets; effects have none"),
    call("sendmsg", libc::SYS_sendmsg, "uses the keeper's sockets; effects have none"),
    call("sendmmsg", libc::SYS_sendmmsg, "uses the keeper's sockets; effects have none"),
    call("recvfrom", libc::SYS_recvfrom, "uses the keeper's sockets; effects have none"),
    call("recvmsg", libc::SYS_recvmsg, "uses the keeper's sockets; effects have none"),
    call("recvmmsg", libc::SYS_recvmmsg, "uses the keeper's sockets; effects have none"),
    call("shutdown", libc::SYS_shutdown, "uses the keeper's sockets; effects have none"),
    call("setsockopt", libc::SYS_setsockopt, "uses the keeper's sockets; effects have none"),
    call("getsockopt", libc::SYS_getsockopt, "uses the keeper's sockets; effects have none"),
    call("getsockname", libc::SYS_getsockname, "uses the keeper's sockets; effects have none"),
    call("getpeername", libc::SYS_getpeername, "uses the keeper's sockets; effects have none"),
    call_when(
        "prctl",
        libc::SYS_prctl,
        &[&[When::IsNot(0, libc::PR_SET_NAME as u64), When::IsNot(0, PR_SET_VMA)]],
        "changes what the kernel enforces; only names may be given (std, malloc)",
    ),
    call_when(
        "prlimit64",
        libc::SYS_prlimit64,
        &[&[When::NotNull(2)]],
        "changes limits of the whole keeper; reading them is fine",
    ),
    call_when(
        "fcntl",
        libc::SYS_fcntl,
        &[&[When::Is(1, libc::F_SETOWN as u64)], &[When::Is(1, F_SETOWN_EX)], &[When::Is(1, F_NOTIFY)]],
        "has the kernel signal another process, or watches a folder, which Landlock does not see",
    ),
    call(
        "chdir",
        libc::SYS_chdir,
        "changes the working directory or mode mask of the whole keeper, which Landlock does not see",
    ),
    call(
        "fchdir",
        libc::SYS_fchdir,
        "changes the working directory or mode mask of the whole keeper, which Landlock does not see",
    ),
    call(
        "umask",
        libc::SYS_umask,
        "changes the working directory or mode mask of the whole keeper, which Landlock does not see",
    ),
    call("mknodat", libc::SYS_mknodat, "makes devices, FIFOs or sockets; effects make files, directories and symlinks"),
    call(
        "truncate",
        libc::SYS_truncate,
        "cuts a file by path, which Landlock does not see before ABI 3; effects use ftruncate",
    ),
    call_when(
        "fchownat",
        libc::SYS_fchownat,
        &[&[When::Without(4, libc::AT_EMPTY_PATH as u64)]],
        "changes an owner by path, which Landlock does not see; effects use an open descriptor and an empty path",
    ),
    call_when(
        "utimensat",
        libc::SYS_utimensat,
        &[&[When::NotNull(1), When::Without(3, libc::AT_SYMLINK_NOFOLLOW as u64)], &[When::Is(0, AT_FDCWD)]],
        "sets times by a path that may leave the folder, which Landlock does not see; effects name one entry of an open folder and follow nothing",
    ),
    call(
        "lsetxattr",
        libc::SYS_lsetxattr,
        "sets attributes by path, which Landlock does not see; effects go through an open descriptor",
    ),
    call(
        "lremovexattr",
        libc::SYS_lremovexattr,
        "sets attributes by path, which Landlock does not see; effects go through an open descriptor",
    ),
    call("inotify_init1", libc::SYS_inotify_init1, "watches files, which Landlock does not see"),
    call("inotify_add_watch", libc::SYS_inotify_add_watch, "watches files, which Landlock does not see"),
    call("pidfd_open", libc::SYS_pidfd_open, "gets hold of another process"),
    call_when(
        "ioctl",
        libc::SYS_ioctl,
        &[&[
            When::IsNot(1, TCGETS),
            When::IsNot(1, FIONREAD),
            When::IsNot(1, FIONBIO),
            When::IsNot(1, FICLONE),
            When::IsNot(1, FICLONERANGE),
            When::IsNot(1, FS_IOC_GETFLAGS),
            When::IsNot(1, FS_IOC_FIEMAP),
            When::IsNot(1, FS_IOC_FSGETXATTR),
        ]],
        "types into the terminal, drives devices, sets flags no undo gives back; only reading and cloning file ranges is left",
    ),
    call_when("mmap", libc::SYS_mmap, EXECUTABLE, "makes code"),
    call_when("mprotect", libc::SYS_mprotect, EXECUTABLE, "makes code"),
    call_when("pkey_mprotect", libc::SYS_pkey_mprotect, EXECUTABLE, "makes code"),
];

/// Numbers that the `libc` crate does not name on every architecture; from 424 on they are the same everywhere.
const THREAD_UNNAMED: &[Call] = &[
    call(
        "fchmodat2",
        452,
        "changes a mode by path, which Landlock does not see; effects use fchmod or an open descriptor",
    ),
    call("lsm_set_self_attr", 460, "changes what the kernel enforces"),
];

// Calls that only x86_64 still has, from the years before the `...at` family.
#[cfg(target_arch = "x86_64")]
const WORKER_LEGACY: &[Call] = &[
    call("poll", libc::SYS_poll, "the socket: waiting with a timeout"),
    call("time", libc::SYS_time, "time functions where the vDSO has no clock"),
];
#[cfg(target_arch = "x86_64")]
const HOSTILE_LEGACY: &[Call] = &[
    call("fork", libc::SYS_fork, "starts a process"),
    call("vfork", libc::SYS_vfork, "starts a process"),
    call("iopl", libc::SYS_iopl, "reaches the hardware"),
    call("ioperm", libc::SYS_ioperm, "reaches the hardware"),
    call("modify_ldt", libc::SYS_modify_ldt, "an old hole; nothing of ours uses it"),
    call("uselib", libc::SYS_uselib, "obsolete; nothing of ours uses it"),
    call("_sysctl", libc::SYS__sysctl, "obsolete; nothing of ours uses it"),
    call("sysfs", libc::SYS_sysfs, "obsolete; nothing of ours uses it"),
    call("ustat", libc::SYS_ustat, "obsolete; nothing of ours uses it"),
];
#[cfg(target_arch = "x86_64")]
const THREAD_LEGACY: &[Call] = &[
    call("setrlimit", libc::SYS_setrlimit, "changes limits of the whole keeper"),
    call(
        "chown",
        libc::SYS_chown,
        "changes an owner by path, which Landlock does not see; effects use an open descriptor",
    ),
    call(
        "lchown",
        libc::SYS_lchown,
        "changes an owner by path, which Landlock does not see; effects use an open descriptor",
    ),
    call("utime", libc::SYS_utime, "sets times by path, which Landlock does not see; effects use utimensat"),
    call("utimes", libc::SYS_utimes, "sets times by path, which Landlock does not see; effects use utimensat"),
    call("futimesat", libc::SYS_futimesat, "sets times by path, which Landlock does not see; effects use utimensat"),
    call("mknod", libc::SYS_mknod, "makes devices, FIFOs or sockets"),
    call("inotify_init", libc::SYS_inotify_init, "watches files, which Landlock does not see"),
];
#[cfg(not(target_arch = "x86_64"))]
const WORKER_LEGACY: &[Call] = &[];
#[cfg(not(target_arch = "x86_64"))]
const HOSTILE_LEGACY: &[Call] = &[];
#[cfg(not(target_arch = "x86_64"))]
const THREAD_LEGACY: &[Call] = &[call("setrlimit", 164, "changes limits of the whole keeper")];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A second entry would silently take the place of the first when the filter is made.
    fn no_call_twice(calls: impl Iterator<Item = &'static Call>) {
        let mut seen = BTreeMap::new();
        for call in calls {
            assert_eq!(seen.insert(call.number, call.name), None, "{}", call.name);
            assert!(u32::try_from(call.number).unwrap() <= LAST_REVIEWED, "{}", call.name);
            assert!(!call.why.is_empty());
        }
    }

    #[test]
    fn no_call_is_in_a_table_twice() {
        no_call_twice(worker_may());
        no_call_twice(worker_kills());
        no_call_twice(thread_may_not());
    }

    #[test]
    fn nothing_is_allowed_to_a_worker_that_also_kills_it() {
        let whole: Vec<_> = worker_kills().filter(|c| c.when.is_empty()).map(|c| c.number).collect();
        assert!(worker_may().all(|c| !whole.contains(&c.number)));
    }
}
