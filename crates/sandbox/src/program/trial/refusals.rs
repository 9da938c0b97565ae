//! What is refused, with its error, and told, by name.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::trial;

/// The error of a raw call.
fn errno(number: libc::c_long, arguments: [u64; 6]) -> i32 {
    let [a, b, c, d, e, f] = arguments;
    match unsafe { libc::syscall(number, a, b, c, d, e, f) } {
        -1 => std::io::Error::last_os_error().raw_os_error().unwrap(),
        _ => 0,
    }
}

fn at(path: &std::ffi::CStr) -> u64 {
    path.as_ptr().expose_provenance() as u64
}

#[test]
fn each_refused_call_gets_its_error_and_is_told_by_name() {
    trial(
        |lower| fs::write(lower.join("file"), "").unwrap(),
        || {
            let cwd = libc::AT_FDCWD as u64;
            let create = (libc::O_CREAT | libc::O_WRONLY) as u64;
            let wrong = u64::MAX;
            for number in [
                libc::SYS_mount,
                libc::SYS_umount2,
                libc::SYS_pivot_root,
                libc::SYS_chroot,
                libc::SYS_open_tree,
                libc::SYS_fsopen,
                libc::SYS_setns,
                libc::SYS_process_vm_readv,
                libc::SYS_process_vm_writev,
                libc::SYS_pidfd_getfd,
                libc::SYS_open_by_handle_at,
                libc::SYS_bpf,
                libc::SYS_perf_event_open,
                libc::SYS_userfaultfd,
                libc::SYS_keyctl,
                libc::SYS_add_key,
                libc::SYS_request_key,
                libc::SYS_kexec_load,
                libc::SYS_finit_module,
                libc::SYS_settimeofday,
                libc::SYS_swapon,
            ] {
                assert_eq!(errno(number, [wrong; 6]), libc::EPERM, "{number}");
            }
            let told = |number, arguments| assert_eq!(errno(number, arguments), libc::EPERM, "{number}");
            told(libc::SYS_ptrace, [16, 1, 0, 0, 0, 0]);
            told(libc::SYS_unshare, [libc::CLONE_NEWUSER as u64, 0, 0, 0, 0, 0]);
            told(libc::SYS_clone, [(libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::SIGCHLD) as u64, 0, 0, 0, 0, 0]);
            told(libc::SYS_socket, [libc::AF_INET as u64, libc::SOCK_RAW as u64, 1, 0, 0, 0]);
            told(libc::SYS_socket, [libc::AF_PACKET as u64, libc::SOCK_DGRAM as u64, 0, 0, 0, 0]);
            told(libc::SYS_socket, [libc::AF_VSOCK as u64, libc::SOCK_STREAM as u64, 0, 0, 0, 0]);
            told(libc::SYS_ioctl, [0, 0x5412, 0, 0, 0, 0]);
            told(libc::SYS_openat, [cwd, at(c"suid"), create, 0o4755, 0, 0]);
            told(libc::SYS_openat, [cwd, at(c"."), libc::O_TMPFILE as u64 | 1, 0o2755, 0, 0]);
            told(libc::SYS_mknodat, [cwd, at(c"device"), 0o020_666, 0x103, 0, 0]);
            told(libc::SYS_mknodat, [cwd, at(c"whiteout"), 0o020_000, 0, 0, 0]);
            told(libc::SYS_mknodat, [cwd, at(c"suid"), 0o104_755, 0, 0, 0]);
            told(libc::SYS_fchmodat, [cwd, at(c"file"), 0o4755, 0, 0, 0]);
            told(libc::SYS_fchmodat, [cwd, at(c"file"), 0o2755, 0, 0, 0]);
            told(452, [cwd, at(c"file"), 0o6755, 0, 0, 0]);
            let file = fs::File::open("file").unwrap();
            told(libc::SYS_fchmod, [std::os::fd::AsRawFd::as_raw_fd(&file) as u64, 0o4711, 0, 0, 0, 0]);
            assert_eq!(errno(libc::SYS_io_uring_setup, [1, 0, 0, 0, 0, 0]), libc::ENOSYS);
            // Not told.
            assert_eq!(errno(libc::SYS_clone3, [0; 6]), libc::ENOSYS);
            assert_eq!(errno(libc::SYS_openat2, [0; 6]), libc::ENOSYS);
            assert_eq!(errno(libc::SYS_kcmp, [0; 6]), libc::ENOSYS);
            assert_eq!(errno(libc::SYS_memfd_secret, [0; 6]), libc::ENOSYS);
            assert_eq!(errno(463, [0; 6]), libc::ENOSYS);
            assert_eq!(errno(libc::SYS_socket, [libc::AF_ALG as u64, 5, 0, 0, 0, 0]), libc::EAFNOSUPPORT);
            assert_eq!(errno(libc::SYS_personality, [0x0040_0000, 0, 0, 0, 0, 0]), libc::EPERM);
            // The second time it is not told again.
            told(libc::SYS_bpf, [0; 6]);
            assert_eq!(fs::metadata("file").unwrap().permissions().mode() & 0o7777, 0o644);
            assert_eq!(fs::read_dir(".").unwrap().count(), 1);
        },
        |refused, _| {
            for call in [
                "mount",
                "umount2",
                "pivot_root",
                "chroot",
                "open_tree",
                "fsopen",
                "setns",
                "process_vm_readv",
                "process_vm_writev",
                "pidfd_getfd",
                "open_by_handle_at",
                "bpf",
                "perf_event_open",
                "userfaultfd",
                "keyctl",
                "add_key",
                "request_key",
                "kexec_load",
                "finit_module",
                "settimeofday",
                "swapon",
                "ptrace",
                "unshare",
                "clone",
                "socket",
                "ioctl",
                "openat",
                "mknodat",
                "fchmodat",
                "fchmodat2",
                "fchmod",
                "io_uring_setup",
            ] {
                assert!(refused.iter().any(|line| line.starts_with(&format!("{call}: "))), "{call}: {refused:#?}");
            }
            for quiet in ["clone3", "openat2", "kcmp", "memfd_secret", "personality"] {
                assert!(!refused.iter().any(|line| line.starts_with(&format!("{quiet}: "))), "{quiet}");
            }
            assert_eq!(refused.iter().filter(|line| line.starts_with("bpf: ")).count(), 1);
            for part in ["SOCK_RAW", "AF_PACKET", "AF_VSOCK", "TIOCSTI", "user, mount", "mode 4755): suid", ": file"] {
                assert!(refused.iter().any(|line| line.contains(part)), "{part}: {refused:#?}");
            }
        },
    );
}

#[test]
fn a_directory_gets_its_set_group_id_bit_and_a_file_behind_a_link_does_not() {
    trial(
        |lower| {
            fs::create_dir(lower.join("d")).unwrap();
            fs::write(lower.join("file"), "").unwrap();
            std::os::unix::fs::symlink("file", lower.join("link")).unwrap();
            std::os::unix::fs::symlink("d", lower.join("to d")).unwrap();
        },
        || {
            let mode = |path: &str| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
            let set = |path: &str, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode));
            set("d", 0o2775).unwrap();
            assert_eq!(mode("d"), 0o2775);
            set("to d", 0o3770).unwrap();
            assert_eq!(mode("d"), 0o3770);
            fs::File::open("d").unwrap().set_permissions(PermissionsExt::from_mode(0o2700)).unwrap();
            assert_eq!(mode("d"), 0o2700);
            assert_eq!(set("link", 0o4755).unwrap_err().raw_os_error(), Some(libc::EPERM));
            assert_eq!(set("missing", 0o4755).unwrap_err().raw_os_error(), Some(libc::ENOENT));
            assert_eq!(mode("file"), 0o644);
            assert!(Path::new("file").exists());
        },
        |refused, _| {
            assert_eq!(refused.len(), 1, "{refused:#?}");
            assert!(refused[0].ends_with("for a file: link"), "{refused:#?}");
        },
    );
}

#[test]
fn paths_are_shown_in_part_and_without_what_moves_a_cursor() {
    trial(
        |_| {},
        || {
            let long = std::ffi::CString::new(b"\x1b[2J\n".repeat(700)).unwrap();
            assert_eq!(errno(libc::SYS_chroot, [at(&long), 0, 0, 0, 0, 0]), libc::EPERM);
            // No memory at all, and a path that never ends.
            assert_eq!(errno(libc::SYS_chroot, [1, 0, 0, 0, 0, 0]), libc::EPERM);
            let endless = vec![b'a'; 100_000];
            let start = endless.as_ptr().expose_provenance() as u64;
            assert_eq!(errno(libc::SYS_chroot, [start, 0, 0, 0, 0, 0]), libc::EPERM);
            (0..3000_u64).for_each(|n| {
                let path = std::ffi::CString::new(n.to_string()).unwrap();
                assert_eq!(errno(libc::SYS_chroot, [at(&path), 0, 0, 0, 0, 0]), libc::EPERM);
            });
        },
        |refused, _| {
            assert!(refused.iter().all(|line| line.len() < 400 && line.chars().all(|c| !c.is_control())));
            assert_eq!(refused.len(), 1000);
        },
    );
}

#[test]
#[cfg(target_arch = "x86_64")]
fn calls_by_another_architectures_numbers_end_the_process() {
    trial(
        |_| {},
        || {
            let ended_by = |piece: fn()| {
                let child = unsafe { libc::fork() };
                if child == 0 {
                    piece();
                    unsafe { libc::_exit(0) };
                }
                let mut status = 0;
                unsafe { libc::waitpid(child, &raw mut status, 0) };
                (libc::WIFSIGNALED(status), libc::WTERMSIG(status))
            };
            let x32 = || {
                errno(0x4000_0000 + libc::SYS_getpid, [0; 6]);
            };
            assert_eq!(ended_by(x32), (true, libc::SIGSYS));
            // getpid of i386. A kernel without 32-bit calls ends it by itself.
            let i386 = || unsafe {
                std::arch::asm!("int 0x80", inlateout("rax") 20_u64 => _);
            };
            let (signalled, signal) = ended_by(i386);
            assert!(signalled && [libc::SIGSYS, libc::SIGSEGV].contains(&signal), "{signal}");
        },
        |refused, _| assert_eq!(refused, [""; 0]),
    );
}
