//! The attempts. Each returns whether it got out.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;

use crate::Came::{self, Killed, Refused};
use crate::raw;

pub(crate) struct Attempt {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Place) -> bool,
    /// What stops it.
    pub(crate) expect: Came,
    /// An ordinary user is refused without the enclosure too.
    pub(crate) only_root: bool,
}

/// The scratch directory as a child finds it, with descriptors opened before it is enclosed:
/// `readable/` (granted to read), `writable/` (granted to write), `outside/` (not granted).
pub(crate) struct Place {
    pub(crate) readable: File,
    pub(crate) writable: File,
    outside_dir: File,
    path: String,
}

impl Place {
    pub(crate) fn open(path: &str) -> Place {
        let at = |name: &str| File::open(format!("{path}/{name}")).unwrap();
        Place { readable: at("readable"), writable: at("writable"), outside_dir: at("outside"), path: path.to_owned() }
    }

    fn at(&self, name: &str) -> CString {
        CString::new(format!("{}/{name}", self.path)).unwrap()
    }
}

pub(crate) fn lay_out(scratch: &Path) {
    for dir in ["readable", "writable", "outside"] {
        std::fs::create_dir(scratch.join(dir)).unwrap();
        std::fs::write(scratch.join(dir).join("file"), "content").unwrap();
    }
    std::fs::write(scratch.join("writable/swap"), "other").unwrap();
    std::os::unix::fs::symlink(scratch.join("outside/file"), scratch.join("writable/link")).unwrap();
}

/// For what leaves a trace: the trace is there.
pub(crate) fn is_out(name: &str, scratch: &Path) -> bool {
    let outside = scratch.join("outside/file");
    match name {
        "truncate outside by path" | "truncate outside by opening" => std::fs::metadata(outside).unwrap().len() == 0,
        "write outside" | "write through a symlink" => std::fs::read(outside).unwrap() == b"owned",
        "make a file outside" => scratch.join("outside/new").exists(),
        "remove outside" => !outside.exists(),
        "move out" => scratch.join("outside/moved").exists(),
        "link in" | "move in" => scratch.join("writable/linked").exists(),
        "swap with outside" => std::fs::read(outside).unwrap() == b"other",
        "make a folder outside" | "make a symlink outside" => scratch.join("outside/new").exists(),
        "change owner outside by path" | "set times outside by path" | "set times outside, following" => {
            let stat = rustix::fs::stat(&outside).unwrap();
            stat.st_mtime == 1 || name.starts_with("change owner")
        }
        "write in a read-only folder" => std::fs::read(scratch.join("readable/file")).unwrap() == b"owned",
        "make a device" | "make a fifo" | "make a socket file" => scratch.join("writable/special").exists(),
        _ => true,
    }
}

/// Whether this machine forbids the attempt to everybody, so that its negative control cannot succeed.
pub(crate) fn not_possible_here(name: &str) -> bool {
    let says = |file: &str, free: &str| std::fs::read_to_string(file).is_ok_and(|text| text.trim() != free);
    match name {
        "ptrace the parent"
        | "read the parent's memory"
        | "process_vm_readv of the parent"
        | "take the parent's descriptor" => says("/proc/sys/kernel/yama/ptrace_scope", "0"),
        // A kernel without 32-bit calls ends the process, with or without the filter.
        "a 32-bit call" => true,
        "io_uring" => says("/proc/sys/kernel/io_uring_disabled", "0"),
        "bpf" => says("/proc/sys/kernel/unprivileged_bpf_disabled", "0") && !rustix::process::geteuid().is_root(),
        "userfaultfd" => says("/proc/sys/vm/unprivileged_userfaultfd", "1") && !rustix::process::geteuid().is_root(),
        _ => false,
    }
}

macro_rules! attempts {
    ($($name:literal $(($root:ident))? => $expect:ident: $run:expr;)*) => {
        &[$(Attempt { name: $name, run: $run, expect: $expect, only_root: attempts!(@ $($root)?) }),*]
    };
    (@ root) => { true };
    (@) => { false };
}

/// Everything below is system calls with plain arguments or pointers to values that live through the call.
macro_rules! sys {
    ($number:ident $(, $argument:expr)*) => {{
        // SAFETY: see the macro.
        let result = unsafe { libc::syscall(libc::$number $(, $argument)*) };
        result
    }};
}

pub(crate) const WORKER: &[Attempt] = attempts! {
    "open /etc/passwd" => Refused: |_| opens("/etc/passwd", libc::O_RDONLY);
    "open outside" => Refused: |p| opens(&format!("{}/outside/file", p.path), libc::O_RDONLY);
    "open an inherited folder's parent" => Refused: |p| {
        sys!(SYS_openat, raw(&p.outside_dir), c"..".as_ptr(), libc::O_RDONLY) >= 0
    };
    "openat2" => Refused: |p| {
        let how = [0_u64; 3];
        sys!(SYS_openat2, raw(&p.outside_dir), c"file".as_ptr(), how.as_ptr(), 24_usize) >= 0
    };
    "read an inherited descriptor" => Refused: |p| {
        let mut buffer = [0_u8; 8];
        let file = raw(&p.outside_dir);
        sys!(SYS_getdents64, file, buffer.as_mut_ptr(), 0_usize) == -1 && last() != libc::EPERM && last() != libc::EBADF
    };
    "look at a file" => Refused: |_| {
        let mut stat = [0_u8; 256];
        sys!(SYS_statx, libc::AT_FDCWD, c"/etc/passwd".as_ptr(), 0, 0xfff, stat.as_mut_ptr()) == 0
    };
    "open its own memory" => Refused: |_| opens("/proc/self/mem", libc::O_RDWR);
    "read the parent's memory" => Refused: |_| opens(&format!("/proc/{}/mem", parent()), libc::O_RDONLY);
    "truncate outside by path" => Refused: |p| sys!(SYS_truncate, p.at("outside/file").as_ptr(), 0) == 0;
    "change a mode" => Refused: |p| sys!(SYS_fchmodat, libc::AT_FDCWD, p.at("outside/file").as_ptr(), 0o777) == 0;
    "socket" => Killed: |_| sys!(SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0) >= 0;
    "connect to loopback" => Killed: |_| std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|l| std::net::TcpStream::connect(l.local_addr()?)).is_ok();
    "execve" => Killed: |_| executes();
    "memfd and fexecve" => Refused: |_| executes_memory();
    "fork" => Killed: |_| forks();
    "a thread" => Refused: |_| std::thread::Builder::new().spawn(|| ()).is_ok();
    "ptrace the parent" => Killed: |_| {
        const PTRACE_SEIZE: i32 = 0x4206;
        sys!(SYS_ptrace, PTRACE_SEIZE, parent(), 0, 0) == 0
    };
    "process_vm_readv of the parent" => Killed: |_| reads_parent();
    "take the parent's descriptor" => Refused: |_| takes_descriptor();
    "kill the parent" => Killed: |_| sys!(SYS_kill, parent(), 0) == 0;
    "signal the parent's thread" => Killed: |_| sys!(SYS_tgkill, parent(), parent(), 0) == 0;
    "executable memory" => Refused: |_| maps_code();
    "make memory executable" => Refused: |_| protects_code();
    "io_uring" => Killed: |_| {
        let mut parameters = [0_u8; 120];
        sys!(SYS_io_uring_setup, 1, parameters.as_mut_ptr()) >= 0
    };
    "bpf" => Killed: |_| makes_map();
    "unshare" => Killed: |_| sys!(SYS_unshare, libc::CLONE_NEWUSER) == 0;
    "mount" => Killed: |_| mounts();
    "keyctl" => Killed: |_| sys!(SYS_keyctl, libc::KEYCTL_GET_KEYRING_ID, libc::KEY_SPEC_USER_KEYRING, 1) >= 0;
    "open_by_handle_at" (root) => Killed: |p| opens_handle(p);
    "userfaultfd" => Killed: |_| sys!(SYS_userfaultfd, 1) >= 0;
    "chroot" (root) => Killed: |_| sys!(SYS_chroot, c"/".as_ptr()) == 0;
    "setuid" => Killed: |_| {
        let me = rustix::process::geteuid().as_raw();
        sys!(SYS_setresuid, me, me, me) == 0
    };
    "raise a limit" => Refused: |_| {
        let limit = [64_u64, 64];
        sys!(SYS_prlimit64, 0, libc::RLIMIT_NOFILE, limit.as_ptr(), 0_usize) == 0
    };
    "become dumpable" => Refused: |_| sys!(SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
    "a 32-bit call" => Killed: |_| calls_as_32_bit();
    "a call under its x32 number" => Killed: |_| {
        // Where the kernel has no x32, the call fails without the enclosure too; there it counts that it is the end.
        // SAFETY: getpid takes nothing.
        unsafe { libc::syscall(0x4000_0000 + libc::SYS_getpid) > 0 || last() == libc::ENOSYS }
    };
};

pub(crate) const THREAD: &[Attempt] = attempts! {
    "open /etc/passwd" => Refused: |_| opens("/etc/passwd", libc::O_RDONLY);
    "open outside" => Refused: |p| opens(&format!("{}/outside/file", p.path), libc::O_RDONLY);
    "open an inherited folder's file" => Refused: |p| {
        sys!(SYS_openat, raw(&p.outside_dir), c"file".as_ptr(), libc::O_RDONLY) >= 0
    };
    "open a granted folder's parent" => Refused: |p| {
        sys!(SYS_openat, raw(&p.writable), c"..".as_ptr(), libc::O_RDONLY) >= 0
    };
    "list outside" => Refused: |p| opens(&format!("{}/outside", p.path), libc::O_RDONLY | libc::O_DIRECTORY);
    "write outside" => Refused: |p| writes(&p.at("outside/file"), libc::O_WRONLY);
    "write through a symlink" => Refused: |p| writes(&p.at("writable/link"), libc::O_WRONLY);
    "write in a read-only folder" => Refused: |p| writes(&p.at("readable/file"), libc::O_WRONLY);
    "reopen through /proc/self/fd" => Refused: |p| {
        opens(&format!("/proc/self/fd/{}/file", raw(&p.outside_dir)), libc::O_RDONLY)
    };
    "make a file outside" => Refused: |p| opens(&format!("{}/outside/new", p.path), libc::O_CREAT | libc::O_WRONLY);
    "remove outside" => Refused: |p| sys!(SYS_unlinkat, raw(&p.outside_dir), c"file".as_ptr(), 0) == 0;
    "move out" => Refused: |p| {
        sys!(SYS_renameat2, raw(&p.writable), c"file".as_ptr(), raw(&p.outside_dir), c"moved".as_ptr(), 0) == 0
    };
    "link in" => Refused: |p| {
        sys!(SYS_linkat, raw(&p.outside_dir), c"file".as_ptr(), raw(&p.writable), c"linked".as_ptr(), 0) == 0
    };
    "move in" => Refused: |p| {
        sys!(SYS_renameat2, raw(&p.outside_dir), c"file".as_ptr(), raw(&p.writable), c"linked".as_ptr(), 0) == 0
    };
    "swap with outside" => Refused: |p| {
        let swap = libc::RENAME_EXCHANGE;
        sys!(SYS_renameat2, raw(&p.writable), c"swap".as_ptr(), raw(&p.outside_dir), c"file".as_ptr(), swap) == 0
    };
    "make a folder outside" => Refused: |p| sys!(SYS_mkdirat, raw(&p.outside_dir), c"new".as_ptr(), 0o700) == 0;
    "make a symlink outside" => Refused: |p| {
        sys!(SYS_symlinkat, c"/".as_ptr(), raw(&p.outside_dir), c"new".as_ptr()) == 0
    };
    "make an unnamed file outside" => Refused: |p| {
        opens(&format!("{}/outside", p.path), libc::O_TMPFILE | libc::O_RDWR)
    };
    "open through /proc/self/root" => Refused: |_| opens("/proc/self/root/etc/passwd", libc::O_RDONLY);
    "open through /proc/self/cwd" => Refused: |_| opens("/proc/self/cwd/etc/passwd", libc::O_RDONLY);
    "open a path only outside" => Refused: |p| {
        // A descriptor that is only a place may be had; the file behind it may not.
        let path = p.at("outside/file");
        let fd = sys!(SYS_openat, libc::AT_FDCWD, path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC, 0);
        fd >= 0 && opens(&format!("/proc/self/fd/{fd}"), libc::O_RDONLY)
    };
    "execute a file of its own" => Refused: |p| {
        let arguments = [std::ptr::null::<u8>()];
        let path = p.at("writable/file");
        // Not executable, so without the enclosure the file system says no, and says it differently.
        sys!(SYS_execve, path.as_ptr(), arguments.as_ptr(), arguments.as_ptr()) == -1 && last() == libc::EACCES
    };
    "truncate outside by path" => Refused: |p| sys!(SYS_truncate, p.at("outside/file").as_ptr(), 0) == 0;
    "truncate outside by opening" => Refused: |p| {
        opens(&format!("{}/outside/file", p.path), libc::O_RDONLY | libc::O_TRUNC)
    };
    "change owner outside by path" => Refused: |p| {
        let path = p.at("outside/file");
        sys!(SYS_fchownat, libc::AT_FDCWD, path.as_ptr(), rustix::process::geteuid().as_raw(), -1, 0) == 0
    };
    "set times outside by path" => Refused: |p| {
        let times = [1_i64, 0, 1, 0];
        let path = p.at("outside/file");
        sys!(SYS_utimensat, libc::AT_FDCWD, path.as_ptr(), times.as_ptr(), libc::AT_SYMLINK_NOFOLLOW) == 0
    };
    "set times outside, following" => Refused: |p| {
        let times = [1_i64, 0, 1, 0];
        sys!(SYS_utimensat, raw(&p.writable), c"link".as_ptr(), times.as_ptr(), 0) == 0
    };
    "make a device" (root) => Refused: |p| {
        sys!(SYS_mknodat, raw(&p.writable), c"special".as_ptr(), libc::S_IFCHR | 0o666, 0x103) == 0
    };
    "make a fifo" => Refused: |p| {
        sys!(SYS_mknodat, raw(&p.writable), c"special".as_ptr(), libc::S_IFIFO | 0o666, 0) == 0
    };
    "make a socket file" => Refused: |p| {
        std::os::unix::net::UnixListener::bind(format!("{}/writable/special", p.path)).is_ok()
    };
    "open its own memory" => Refused: |_| opens("/proc/self/mem", libc::O_RDWR);
    "read the parent's memory" => Refused: |_| opens(&format!("/proc/{}/mem", parent()), libc::O_RDONLY);
    "socket" => Refused: |_| sys!(SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0) >= 0;
    "connect to loopback" => Refused: |_| std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|l| std::net::TcpStream::connect(l.local_addr()?)).is_ok();
    "execve" => Refused: |_| executes();
    "memfd and fexecve" => Refused: |_| executes_memory();
    "fork" => Refused: |_| forks();
    "a thread" => Refused: |_| std::thread::Builder::new().spawn(|| ()).is_ok();
    "ptrace the parent" => Refused: |_| {
        const PTRACE_SEIZE: i32 = 0x4206;
        sys!(SYS_ptrace, PTRACE_SEIZE, parent(), 0, 0) == 0
    };
    "process_vm_readv of the parent" => Refused: |_| reads_parent();
    "take the parent's descriptor" => Refused: |_| takes_descriptor();
    "kill the parent" => Refused: |_| sys!(SYS_kill, parent(), 0) == 0;
    "executable memory" => Refused: |_| maps_code();
    "make memory executable" => Refused: |_| protects_code();
    "io_uring" => Refused: |_| {
        let mut parameters = [0_u8; 120];
        sys!(SYS_io_uring_setup, 1, parameters.as_mut_ptr()) >= 0
    };
    "bpf" => Refused: |_| makes_map();
    "unshare" => Refused: |_| sys!(SYS_unshare, libc::CLONE_FS) == 0;
    "mount" (root) => Refused: |_| mounts();
    "keyctl" => Refused: |_| sys!(SYS_keyctl, libc::KEYCTL_GET_KEYRING_ID, libc::KEY_SPEC_USER_KEYRING, 1) >= 0;
    "open_by_handle_at" (root) => Refused: |p| opens_handle(p);
    "userfaultfd" => Refused: |_| sys!(SYS_userfaultfd, 1) >= 0;
    "chroot" (root) => Refused: |_| sys!(SYS_chroot, c"/".as_ptr()) == 0;
    "setuid" => Refused: |_| {
        let me = rustix::process::geteuid().as_raw();
        sys!(SYS_setresuid, me, me, me) == 0
    };
    "change the working directory" => Refused: |_| sys!(SYS_chdir, c"/".as_ptr()) == 0;
    "raise a limit" => Refused: |_| {
        let limit = [64_u64, 64];
        sys!(SYS_prlimit64, 0, libc::RLIMIT_NOFILE, limit.as_ptr(), 0_usize) == 0
    };
    "become dumpable" => Refused: |_| sys!(SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
    "watch a folder" => Refused: |_| sys!(SYS_inotify_init1, 0) >= 0;
    "be told of changes by signal" => Refused: |p| {
        // SAFETY: plain numbers; 1026 is F_NOTIFY, 4 is DN_CREATE.
        unsafe { libc::fcntl(raw(&p.outside_dir), 1026, 4) == 0 }
    };
    "have the kernel signal the parent" => Refused: |p| {
        // SAFETY: plain numbers.
        unsafe { libc::fcntl(raw(&p.writable), libc::F_SETOWN, parent()) == 0 }
    };
    "set flags by ioctl" => Refused: |p| {
        // Reading them is allowed; writing back what was read changes nothing and is refused all the same.
        let mut flags = 0_i64;
        let fd = raw(&p.writable);
        sys!(SYS_ioctl, fd, 0x8008_6601_u64, &mut flags) == 0 && sys!(SYS_ioctl, fd, 0x4008_6602_u64, &flags) == 0
    };
    "a call nobody reviewed" => Refused: |_| {
        // 463 is setxattrat (Linux 6.13). Without the filter its arguments are looked at.
        // SAFETY: null pointers, which the kernel refuses.
        unsafe { libc::syscall(463, -1, 0, 0, 0, 0, 0) == -1 && last() != libc::ENOSYS }
    };
    "a 32-bit call" => Killed: |_| calls_as_32_bit();
    "a call under its x32 number" => Killed: |_| {
        // SAFETY: getpid takes nothing.
        unsafe { libc::syscall(0x4000_0000 + libc::SYS_getpid) > 0 || last() == libc::ENOSYS }
    };
};

/// `getpid` as a 32-bit program calls it.
#[cfg(target_arch = "x86_64")]
fn calls_as_32_bit() -> bool {
    let pid: i64;
    // SAFETY: getpid takes nothing and touches no memory; some kernels clear the named registers.
    unsafe {
        std::arch::asm!("int 0x80", inout("rax") 20_i64 => pid, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    pid == i64::from(std::process::id())
}

#[cfg(not(target_arch = "x86_64"))]
fn calls_as_32_bit() -> bool {
    true
}

fn last() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn parent() -> i32 {
    // SAFETY: no arguments.
    unsafe { libc::getppid() }
}

fn opens(path: &str, flags: i32) -> bool {
    let path = CString::new(path).unwrap();
    let fd = sys!(SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags | libc::O_CLOEXEC, 0o600);
    if fd >= 0 {
        // SAFETY: just made, nobody else's.
        drop(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap()) });
    }
    fd >= 0
}

fn writes(path: &CString, flags: i32) -> bool {
    let fd = sys!(SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags | libc::O_TRUNC | libc::O_CLOEXEC, 0);
    fd >= 0 && sys!(SYS_write, fd, b"owned".as_ptr(), 5_usize) == 5
}

fn executes() -> bool {
    let arguments = [std::ptr::null::<u8>()];
    // A program that cannot be executed reaches the check that it is one: the call got through.
    sys!(SYS_execve, c"/dev/null".as_ptr(), arguments.as_ptr(), arguments.as_ptr()) == -1
        && last() == libc::EACCES
        && sys!(SYS_execve, c"/nonexistent".as_ptr(), arguments.as_ptr(), arguments.as_ptr()) == -1
        && last() == libc::ENOENT
}

fn executes_memory() -> bool {
    let fd = sys!(SYS_memfd_create, c"x".as_ptr(), libc::MFD_CLOEXEC);
    if fd < 0 {
        return false;
    }
    let arguments = [std::ptr::null::<u8>()];
    sys!(SYS_write, fd, b"no program".as_ptr(), 10_usize);
    let flags = libc::AT_EMPTY_PATH;
    sys!(SYS_execveat, fd, c"".as_ptr(), arguments.as_ptr(), arguments.as_ptr(), flags) == -1 && last() == libc::ENOEXEC
}

fn forks() -> bool {
    let child = sys!(SYS_clone, libc::SIGCHLD, 0, 0, 0, 0);
    if child == 0 {
        // SAFETY: the child ends at once.
        unsafe { libc::_exit(0) };
    }
    child > 0
}

fn reads_parent() -> bool {
    let mut byte = [0_u8; 1];
    let local = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    // Whether the address is mapped there does not matter: permission is looked at first.
    let remote = libc::iovec { iov_base: std::ptr::dangling_mut::<u8>().cast(), iov_len: 1 };
    sys!(SYS_process_vm_readv, parent(), &local, 1, &remote, 1, 0_u64) >= 0 || last() == libc::EFAULT
}

fn takes_descriptor() -> bool {
    let pidfd = sys!(SYS_pidfd_open, parent(), 0);
    pidfd >= 0 && sys!(SYS_pidfd_getfd, pidfd, 0, 0) >= 0
}

fn maps_code() -> bool {
    let (prot, flags) = (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    sys!(SYS_mmap, 0, 4096, prot, flags, -1, 0_u64) != -1
}

fn protects_code() -> bool {
    let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let page = sys!(SYS_mmap, 0, 4096, prot, flags, -1, 0_u64);
    page != -1 && sys!(SYS_mprotect, page, 4096, libc::PROT_READ | libc::PROT_EXEC) == 0
}

fn makes_map() -> bool {
    // BPF_MAP_CREATE of an array: type 2, key 4 bytes, value 4 bytes, 1 entry.
    let attributes = [2_u32, 4, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    sys!(SYS_bpf, 0, attributes.as_ptr(), 48) >= 0
}

fn mounts() -> bool {
    // An ordinary user may mount in a namespace of its own, root here.
    if !rustix::process::geteuid().is_root() && sys!(SYS_unshare, libc::CLONE_NEWUSER | libc::CLONE_NEWNS) != 0 {
        return false;
    }
    let none = std::ptr::null::<u8>();
    // A harmless one: what `/` propagates, set to what most systems have, in this place only.
    sys!(SYS_mount, none, c"/".as_ptr(), none, libc::MS_PRIVATE, none) == 0 || last() == libc::EINVAL
}

fn opens_handle(place: &Place) -> bool {
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        data: [u8; 128],
    }
    let mut handle = Handle { bytes: 128, kind: 0, data: [0; 128] };
    let (mut mount, path) = (0_i32, place.at("outside/file"));
    let named = sys!(SYS_name_to_handle_at, libc::AT_FDCWD, path.as_ptr(), &mut handle, &mut mount, 0);
    named == 0 && sys!(SYS_open_by_handle_at, raw(&place.outside_dir), &handle, libc::O_RDONLY) >= 0
}
