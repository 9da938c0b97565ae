//! Programs under the filter and its supervisor, in namespaces with a real overlay: what is renamed, what is refused,
//! and what ordinary tools need. As whoever runs the tests, and where that is root, as an ordinary user too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::undocumented_unsafe_blocks,
    reason = "tests"
)]

mod refusals;
mod renames;
mod snapshot;
mod tools;

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mount::{MountFlags, mount};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, WaitOptions, pidfd_getfd, pidfd_open, wait, waitpid};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use super::filter;
use super::notify::Supervisor;

const ORDINARY: u32 = 65534;

/// Lays out a folder, runs a program in an overlay of it, as this user and, where that is root, as an ordinary one, and
/// hands what was refused, and the place with `lower` and `upper`, to the check.
///
/// The program's working directory is the overlay; `mounted/here` in it, if it exists, is a mount point; `../other` is a
/// second overlay.
fn trial(lay_out: fn(&Path), program: fn(), check: fn(&[String], &Path)) {
    let me = rustix::process::geteuid().as_raw();
    for user in if me == 0 { vec![0, ORDINARY] } else { vec![me] } {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path();
        std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o777)).unwrap();
        let (out, back) = rustix::pipe::pipe().unwrap();
        let first = fork(|| {
            become_user(user);
            for name in ["lower", "upper", "work", "merged", "lower2", "upper2", "work2", "other"] {
                std::fs::create_dir(place.join(name)).unwrap();
            }
            lay_out(&place.join("lower"));
            enter_namespaces(user, place);
            code_of(fork(|| serve(&back, program)))
        });
        drop(back);
        let mut said = String::new();
        std::fs::File::from(out).read_to_string(&mut said).unwrap();
        let refused: Vec<_> = said.lines().map(str::to_owned).collect();
        assert_eq!(code_of(first), 0, "as {user}: {refused:#?}");
        check(&refused, place);
        eprintln!("as {user}: {refused:#?}");
    }
}

/// Runs a piece in a forked process, whose code is what it gives.
fn fork(piece: impl FnOnce() -> i32) -> Pid {
    match unsafe { libc::fork() } {
        0 => {
            // Not as the test harness does it, whose output ends with this process.
            std::panic::set_hook(Box::new(|panic| {
                let _ = rustix::io::write(rustix::stdio::stderr(), format!("{panic}\n").as_bytes());
            }));
            let code = catch_unwind(AssertUnwindSafe(piece)).unwrap_or(101);
            unsafe { libc::_exit(code) }
        }
        pid => Pid::from_raw(pid).unwrap(),
    }
}

fn code_of(pid: Pid) -> i32 {
    let (_, status) = waitpid(Some(pid), WaitOptions::empty()).unwrap().unwrap();
    status.exit_status().unwrap_or(102)
}

fn become_user(user: u32) {
    if user != rustix::process::geteuid().as_raw() {
        unsafe {
            assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
            assert_eq!(libc::setresgid(user, user, user), 0);
            assert_eq!(libc::setresuid(user, user, user), 0);
            // Else `/proc` belongs to root.
            assert_eq!(libc::prctl(libc::PR_SET_DUMPABLE, 1), 0);
        }
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
}

fn enter_namespaces(user: u32, place: &Path) {
    let group = rustix::process::getegid().as_raw();
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWPID) }, 0);
    let write = |name: &str, text: String| std::fs::write(format!("/proc/self/{name}"), text).unwrap();
    write("setgroups", "deny".into());
    write("uid_map", format!("{user} {user} 1"));
    write("gid_map", format!("{group} {group} 1"));
    for (n, at) in [("", "merged"), ("2", "other")] {
        let path = |name: &str| place.join(format!("{name}{n}")).display().to_string();
        let options = format!(
            "userxattr,index=on,lowerdir={},upperdir={},workdir={}",
            path("lower"),
            path("upper"),
            path("work")
        );
        let options = std::ffi::CString::new(options).unwrap();
        mount("overlay", place.join(at), "overlay", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())
            .unwrap();
    }
    let here = place.join("merged/mounted/here");
    if here.exists() {
        mount("tmpfs", &here, "tmpfs", MountFlags::empty(), c"size=64k").unwrap();
    }
    std::env::set_current_dir(place.join("merged")).unwrap();
}

/// The first process: starts the program, serves it, reaps.
fn serve(back: &OwnedFd, program: fn()) -> i32 {
    mount("proc", "/proc", "proc", MountFlags::empty(), None).unwrap();
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none }).unwrap();
    let (number, tell) = rustix::pipe::pipe().unwrap();
    let (go, let_go) = rustix::pipe::pipe().unwrap();
    let child = fork(|| {
        let listener = filter::install(false).unwrap();
        use std::os::fd::AsRawFd;
        rustix::io::write(&tell, &listener.as_raw_fd().to_ne_bytes()).unwrap();
        rustix::io::read(&go, &mut [0_u8; 1]).unwrap();
        drop(listener);
        program();
        0
    });
    let mut fd = [0_u8; 4];
    rustix::io::read(&number, &mut fd).unwrap();
    let pidfd = pidfd_open(child, PidfdFlags::empty()).unwrap();
    let listener = pidfd_getfd(&pidfd, i32::from_ne_bytes(fd), PidfdGetfdFlags::empty()).unwrap();
    rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::CLOEXEC).unwrap();
    let mut supervisor = Supervisor::new(listener);
    rustix::io::write(&let_go, b"!").unwrap();
    let mut back = std::fs::File::from(back.try_clone().unwrap());
    loop {
        let soon = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        poll(&mut [PollFd::new(&supervisor, PollFlags::IN)], Some(&soon)).unwrap();
        match supervisor.serve_one() {
            Ok(Some(refused)) => writeln!(back, "{}: {}", refused.call, refused.detail).unwrap(),
            Ok(None) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof),
        }
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == child {
                return status.exit_status().unwrap_or(103);
            }
        }
    }
}
