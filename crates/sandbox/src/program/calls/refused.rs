//! Refused whatever the arguments, with what it could do.

use super::{Answer, Rule, table};
use crate::calls::{Call, call};

/// Every table of this file.
pub(super) fn tables() -> impl Iterator<Item = Rule> {
    let all = |calls: &'static [Call], answer| calls.iter().map(move |&call| Rule { call, answer });
    all(TOLD, Answer::Told(libc::EPERM))
        .chain(all(TOLD_LEGACY, Answer::Told(libc::EPERM)))
        .chain(all(TOLD_ABSENT, Answer::Told(libc::ENOSYS)))
        .chain(all(NOT_PERMITTED, Answer::Quiet(libc::EPERM)))
        .chain(all(NOT_SUPPORTED, Answer::Quiet(libc::EOPNOTSUPP)))
        .chain(all(ABSENT, Answer::Quiet(libc::ENOSYS)))
        .chain(all(ABSENT_UNNAMED, Answer::Quiet(libc::ENOSYS)))
        .chain(all(ABSENT_LEGACY, Answer::Quiet(libc::ENOSYS)))
}

/// No program calls these by chance.
const TOLD: &[Call] = table! {
    "mounting: changes what paths lead to" =>
        SYS_mount SYS_umount2 SYS_pivot_root SYS_open_tree SYS_move_mount SYS_fsopen SYS_fsconfig SYS_fsmount
        SYS_fspick SYS_mount_setattr;
    "another root directory: changes what paths lead to" => SYS_chroot;
    "another namespace, where other rules hold" => SYS_setns;
    "reaching into another process" => SYS_ptrace SYS_process_vm_readv SYS_process_vm_writev;
    "taking another process's open files" => SYS_pidfd_getfd;
    "opening a file without a path (the way out of a container)" => SYS_open_by_handle_at;
    "running code in the kernel" => SYS_bpf;
    "measuring other processes and the kernel" => SYS_perf_event_open;
    "handling page faults of others (a tool of kernel exploits)" => SYS_userfaultfd;
    "the kernel's keys, those of this user among them" => SYS_keyctl SYS_add_key SYS_request_key;
    "changing the kernel that runs" =>
        SYS_init_module SYS_finit_module SYS_delete_module SYS_kexec_load SYS_kexec_file_load SYS_reboot;
    "setting the machine's clock" => SYS_settimeofday SYS_clock_settime;
    "changing where the machine swaps to" => SYS_swapon SYS_swapoff;
};

/// Programs that try it do without where there is none, but whoever tries it may also mean harm.
const TOLD_ABSENT: &[Call] = table! {
    "other calls' work behind the filter's back; programs that merely try it do without" => SYS_io_uring_setup;
};

/// System tools try these, and take a refusal.
const NOT_PERMITTED: &[Call] = table! {
    "setting the machine's clock; asking for its drift goes by the same call" => SYS_adjtimex SYS_clock_adjtime;
    "naming the machine" => SYS_sethostname SYS_setdomainname;
    "the kernel's messages, with addresses and other users' doings" => SYS_syslog;
    "what others open" => SYS_fanotify_init SYS_fanotify_mark;
    "accounts and quotas of the machine" => SYS_acct SYS_quotactl SYS_quotactl_fd;
    "hanging up a terminal" => SYS_vhangup;
    "moving or dropping the memory of another process" =>
        SYS_move_pages SYS_migrate_pages SYS_process_madvise SYS_process_mrelease;
};

/// As on a file system that has no handles.
const NOT_SUPPORTED: &[Call] = table! {
    "half of the way out of a container" => SYS_name_to_handle_at;
};

/// Programs ask whether the kernel has these, and do without.
const ABSENT: &[Call] = table! {
    "its flags lie in memory, where no filter sees them; the C library falls back to `clone`" => SYS_clone3;
    "its mode lies in memory, where no filter sees a set-user-id bit; callers fall back to `openat`" => SYS_openat2;
    "other calls' work behind the filter's back" => SYS_io_uring_enter SYS_io_uring_register;
    "compares kernel addresses of other processes" => SYS_kcmp;
    "memory that the kernel cannot move, which stops the machine from sleeping" => SYS_memfd_secret;
    "obsolete" => SYS_lookup_dcookie SYS_nfsservctl;
};

/// Numbers that the `libc` crate does not name; from 424 on they are the same everywhere.
const ABSENT_UNNAMED: &[Call] = &[
    call("cachestat", 451, "tells which files others read"),
    call("statmount", 457, "tells of the machine's mounts"),
    call("listmount", 458, "tells of the machine's mounts"),
    call("lsm_get_self_attr", 459, "tells what the kernel enforces"),
    call("lsm_set_self_attr", 460, "changes what the kernel enforces"),
    call("lsm_list_modules", 461, "tells what the kernel enforces"),
];

#[cfg(target_arch = "x86_64")]
const TOLD_LEGACY: &[Call] = table! {
    "reaching the hardware" => SYS_iopl SYS_ioperm;
};
#[cfg(target_arch = "x86_64")]
const ABSENT_LEGACY: &[Call] = &[
    call("modify_ldt", libc::SYS_modify_ldt, "16-bit programs; an old hole"),
    call("uselib", libc::SYS_uselib, "obsolete"),
    call("ustat", libc::SYS_ustat, "obsolete"),
    call("sysfs", libc::SYS_sysfs, "obsolete"),
    call("_sysctl", libc::SYS__sysctl, "obsolete"),
    call("create_module", 174, "obsolete"),
    call("get_kernel_syms", 177, "obsolete"),
    call("query_module", 178, "obsolete"),
    call("getpmsg", libc::SYS_getpmsg, "obsolete"),
    call("putpmsg", libc::SYS_putpmsg, "obsolete"),
    call("afs_syscall", libc::SYS_afs_syscall, "obsolete"),
    call("tuxcall", libc::SYS_tuxcall, "obsolete"),
    call("security", libc::SYS_security, "obsolete"),
    call("vserver", libc::SYS_vserver, "obsolete"),
    call("epoll_ctl_old", libc::SYS_epoll_ctl_old, "obsolete"),
    call("epoll_wait_old", libc::SYS_epoll_wait_old, "obsolete"),
    call("set_thread_area", libc::SYS_set_thread_area, "32-bit programs"),
    call("get_thread_area", libc::SYS_get_thread_area, "32-bit programs"),
];
#[cfg(not(target_arch = "x86_64"))]
const TOLD_LEGACY: &[Call] = &[];
#[cfg(not(target_arch = "x86_64"))]
const ABSENT_LEGACY: &[Call] = &[];
