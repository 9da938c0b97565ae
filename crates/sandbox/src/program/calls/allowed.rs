//! Allowed whatever the arguments, with who calls it.

use super::table;
use crate::calls::Call;

/// Every table of this file.
pub(super) fn tables() -> impl Iterator<Item = Call> {
    ALLOWED.iter().chain(UNNAMED_IN_LIBC).chain(LEGACY).copied()
}

const ALLOWED: &[Call] = table! {
    "every program: reading and writing" =>
        SYS_read SYS_write SYS_readv SYS_writev SYS_pread64 SYS_pwrite64 SYS_preadv SYS_pwritev SYS_preadv2
        SYS_pwritev2 SYS_lseek SYS_close SYS_close_range SYS_dup SYS_dup3 SYS_fcntl SYS_flock;
    "every program: looking at files; what it may open, Landlock and the private root say" =>
        SYS_fstat SYS_newfstatat SYS_statx SYS_faccessat SYS_faccessat2 SYS_readlinkat SYS_statfs SYS_fstatfs
        SYS_getdents64 SYS_getcwd SYS_chdir SYS_fchdir;
    "make, git, cp, tar, every program that writes files" =>
        SYS_mkdirat SYS_unlinkat SYS_linkat SYS_symlinkat SYS_truncate SYS_ftruncate SYS_fallocate SYS_utimensat
        SYS_umask SYS_fchown SYS_fchownat SYS_copy_file_range SYS_sendfile;
    "cp -a, tar, rsync, install: attributes and ACLs; the file system says which" =>
        SYS_setxattr SYS_lsetxattr SYS_fsetxattr SYS_getxattr SYS_lgetxattr SYS_fgetxattr SYS_listxattr
        SYS_llistxattr SYS_flistxattr SYS_removexattr SYS_lremovexattr SYS_fremovexattr;
    "databases, git, package managers: making files durable, telling the kernel how they are read" =>
        SYS_fsync SYS_fdatasync SYS_sync SYS_syncfs SYS_msync SYS_fadvise64 SYS_readahead;
    "mysql, rocksdb, qemu: reading ahead of time; the descriptors are the program's own" =>
        SYS_io_setup SYS_io_destroy SYS_io_submit SYS_io_cancel SYS_io_getevents;
    "every program: memory; just-in-time compilers make it executable" =>
        SYS_mmap SYS_munmap SYS_mremap SYS_mprotect SYS_brk SYS_madvise SYS_mincore SYS_memfd_create
        SYS_remap_file_pages;
    "browsers, node, glibc: memory protection keys" => SYS_pkey_mprotect SYS_pkey_alloc SYS_pkey_free;
    "gpg, ssh-agent, databases: memory that is not swapped, as far as the limit goes" =>
        SYS_mlock SYS_mlock2 SYS_munlock SYS_mlockall SYS_munlockall;
    "java, databases, numpy: which memory is near; only of the calling process" =>
        SYS_mbind SYS_set_mempolicy SYS_get_mempolicy SYS_set_mempolicy_home_node;
    "shells, make, every program that starts another" =>
        SYS_execve SYS_execveat SYS_exit SYS_exit_group SYS_wait4 SYS_waitid SYS_pidfd_open;
    "every program: threads and locks" =>
        SYS_futex SYS_futex_waitv SYS_set_robust_list SYS_get_robust_list SYS_set_tid_address SYS_rseq
        SYS_membarrier SYS_gettid SYS_sched_yield SYS_getcpu;
    "every program: signals; those of others end at the process namespace" =>
        SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_rt_sigpending SYS_rt_sigtimedwait
        SYS_rt_sigqueueinfo SYS_rt_tgsigqueueinfo SYS_rt_sigsuspend SYS_sigaltstack SYS_kill SYS_tkill SYS_tgkill
        SYS_pidfd_send_signal SYS_restart_syscall SYS_signalfd4;
    "shells, sudo's and su's checks: who it is; without capabilities nothing is gained" =>
        SYS_getpid SYS_getppid SYS_getuid SYS_geteuid SYS_getgid SYS_getegid SYS_getgroups SYS_getresuid
        SYS_getresgid SYS_setuid SYS_setgid SYS_setreuid SYS_setregid SYS_setresuid SYS_setresgid SYS_setgroups
        SYS_setfsuid SYS_setfsgid SYS_capget SYS_capset;
    "shells, terminals, daemons: sessions and process groups" =>
        SYS_getpgid SYS_setsid SYS_getsid;
    "make, ninja, java, databases: processors, priorities and use" =>
        SYS_sched_getaffinity SYS_sched_getscheduler SYS_sched_getparam SYS_sched_getattr
        SYS_sched_get_priority_max SYS_sched_get_priority_min SYS_sched_rr_get_interval SYS_getpriority
        SYS_ioprio_get SYS_getrusage SYS_times SYS_sysinfo SYS_uname;
    "every program: clocks and timers" =>
        SYS_clock_gettime SYS_clock_getres SYS_clock_nanosleep SYS_nanosleep SYS_gettimeofday SYS_getitimer
        SYS_setitimer SYS_timer_create SYS_timer_settime SYS_timer_gettime SYS_timer_getoverrun SYS_timer_delete
        SYS_timerfd_create SYS_timerfd_settime SYS_timerfd_gettime;
    "node, nginx, every event loop: waiting for several descriptors" =>
        SYS_ppoll SYS_pselect6 SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_epoll_pwait2 SYS_eventfd2;
    "node, vim, cargo watch: told of changed files" =>
        SYS_inotify_init1 SYS_inotify_add_watch SYS_inotify_rm_watch;
    "shells, git, every pipeline" => SYS_pipe2 SYS_splice SYS_tee SYS_vmsplice;
    "node, python, curl, databases: sockets; which, `socket` says, and the network namespace where to" =>
        SYS_bind SYS_listen SYS_accept SYS_accept4 SYS_connect SYS_getsockname SYS_getpeername SYS_sendto
        SYS_recvfrom SYS_sendmsg SYS_recvmsg SYS_sendmmsg SYS_recvmmsg SYS_shutdown SYS_setsockopt SYS_getsockopt;
    "postgres, fakeroot, python multiprocessing: memory and messages shared within the namespace" =>
        SYS_shmget SYS_shmat SYS_shmctl SYS_shmdt SYS_semget SYS_semop SYS_semtimedop SYS_semctl SYS_msgget
        SYS_msgsnd SYS_msgrcv SYS_msgctl SYS_mq_open SYS_mq_unlink SYS_mq_timedsend SYS_mq_timedreceive
        SYS_mq_notify SYS_mq_getsetattr;
    "every program: random numbers" => SYS_getrandom;
    "codex, chromium, openssh: programs that confine themselves further" =>
        SYS_seccomp SYS_landlock_create_ruleset SYS_landlock_add_rule SYS_landlock_restrict_self;
};

/// Numbers that the `libc` crate does not name on every architecture; from 424 on they are the same everywhere.
const UNNAMED_IN_LIBC: &[Call] = &[
    crate::calls::call(
        "io_pgetevents",
        if cfg!(target_arch = "x86_64") { 333 } else { 292 },
        "mysql, rocksdb, qemu: reading ahead of time; the descriptors are the program's own",
    ),
    crate::calls::call("map_shadow_stack", 453, "glibc: protected return addresses"),
    crate::calls::call("futex_wake", 454, "every program: threads and locks"),
    crate::calls::call("futex_wait", 455, "every program: threads and locks"),
    crate::calls::call("futex_requeue", 456, "every program: threads and locks"),
    crate::calls::call("mseal", 462, "glibc, chromium: memory that stays as it is mapped"),
];

// Calls that only x86_64 still has, from the years before the `...at` family.
#[cfg(target_arch = "x86_64")]
const LEGACY: &[Call] = table! {
    "every program: looking at files; what it may open, Landlock and the private root say" =>
        SYS_stat SYS_lstat SYS_access SYS_readlink SYS_getdents;
    "make, git, cp, tar, every program that writes files" =>
        SYS_mkdir SYS_rmdir SYS_unlink SYS_link SYS_symlink SYS_chown SYS_lchown SYS_utime SYS_utimes SYS_futimesat
        SYS_dup2 SYS_sync_file_range;
    "shells, make, every program that starts another" => SYS_fork SYS_vfork SYS_getpgrp;
    "every program: clocks, timers and waiting" =>
        SYS_time SYS_alarm SYS_pause SYS_poll SYS_select SYS_epoll_create SYS_epoll_wait SYS_eventfd SYS_signalfd
        SYS_inotify_init SYS_pipe;
    "shells: limits" => SYS_getrlimit SYS_setrlimit;
    "the C library: thread-local storage" => SYS_arch_prctl;
};
#[cfg(not(target_arch = "x86_64"))]
const LEGACY: &[Call] = &[
    crate::calls::call("sync_file_range", 84, "databases: making files durable"),
    crate::calls::call("getrlimit", 163, "shells: limits"),
    crate::calls::call("setrlimit", 164, "shells: limits"),
];
