//! Mounts, roots, namespaces and cgroups. Outside, they work in a user namespace, which is what a sandbox must not give.

use std::ffi::CString;
use std::ptr::null;

use super::{Outcome, Place, Technique, any, c, got, io, sys, technique};

const MOUNTING: &[&str] = &["mount"];

pub(super) const ALL: &[Technique] = &[
    technique("mount-a-file-system", mount_tmpfs, true, &["denied: mount"], "the system call filter; no capability"),
    technique("mount-a-new-proc", mount_proc, true, MOUNTING, "the system call filter; no capability"),
    technique("bind-over-a-system-folder", bind_over, true, MOUNTING, "the system call filter; no capability"),
    technique(
        "remount-read-only-as-writable",
        remount,
        false,
        MOUNTING,
        "the system call filter; the mounts are locked",
    ),
    technique(
        "unmount-the-draft",
        unmount,
        false,
        &["denied: umount2"],
        "the system call filter; the mounts are locked",
    ),
    technique(
        "mount-by-descriptor",
        by_descriptor,
        true,
        &["denied: fsopen", "denied: open_tree"],
        "the system call filter; no capability",
    ),
    technique(
        "reconfigure-the-overlay",
        reconfigure,
        false,
        &["denied: fspick"],
        "the system call filter; no capability",
    ),
    technique("pivot-the-root", pivot, false, &["denied: pivot_root"], "the system call filter; no capability"),
    technique(
        "chroot-with-an-open-directory",
        chroot,
        true,
        &["denied: chroot"],
        "the system call filter; no capability; the old root is unmounted",
    ),
    technique("a-user-namespace", user_namespace, true, &["denied: unshare"], "the system call filter"),
    technique(
        "a-namespace-by-clone",
        clone_namespace,
        true,
        &["denied: clone"],
        "the system call filter; `clone3` does not exist there",
    ),
    technique(
        "enter-another-namespace",
        set_namespace,
        false,
        &["denied: setns"],
        "the system call filter; no other namespace can be opened",
    ),
    technique(
        "open-by-handle",
        by_handle,
        false,
        &["denied: open_by_handle_at"],
        "the system call filter; no capability",
    ),
    technique(
        "cgroup-release-agent",
        cgroup,
        false,
        MOUNTING,
        "the system call filter; there is no cgroup file system to write to",
    ),
];

/// Outside, with all that a new user namespace gives.
fn namespace(place: &Place) -> Result<(), String> {
    if place.control {
        // Nothing is mounted where that fails: it would be mounted for everybody.
        sys!(libc::SYS_unshare, libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWPID)?;
    }
    Ok(())
}

fn mount(from: &str, to: &std::path::Path, kind: &str, flags: u64, data: &str) -> Outcome {
    let (from, kind, data) = (c(from), c(kind), CString::new(data).unwrap_or_default());
    sys!(libc::SYS_mount, from.as_ptr(), c(to).as_ptr(), kind.as_ptr(), flags, data.as_ptr()).map(got("mounted"))
}

fn mount_tmpfs(place: &Place) -> Outcome {
    namespace(place)?;
    mount("none", &place.folder, "tmpfs", 0, "size=64k")
}

fn mount_proc(place: &Place) -> Outcome {
    namespace(place)?;
    if place.control {
        // A new process namespace has its first process in the next one that is made.
        return super::apart(3, || mount("none", "/proc".as_ref(), "proc", 0, ""));
    }
    mount("none", "/proc".as_ref(), "proc", 0, "")
}

fn bind_over(place: &Place) -> Outcome {
    namespace(place)?;
    mount(place.folder.to_str().unwrap_or_default(), "/etc".as_ref(), "", libc::MS_BIND, "")
}

fn remount(_: &Place) -> Outcome {
    any(["/", "/usr", "/etc", "/proc/sys"].map(|at| {
        let plain = mount("none", at.as_ref(), "", libc::MS_REMOUNT | libc::MS_BIND, "");
        let attributes: [u64; 4] = [0, libc::MOUNT_ATTR_RDONLY, 0, 0];
        let by_attribute = sys!(libc::SYS_mount_setattr, libc::AT_FDCWD, c(at).as_ptr(), 0, attributes.as_ptr(), 32);
        (at, plain.or_else(|_| by_attribute.map(got("writable"))))
    }))
}

fn unmount(place: &Place) -> Outcome {
    any(["folder", "/proc/sys", "/usr"].map(|at| {
        let path = if at == "folder" { c(&place.folder) } else { c(at) };
        let ways = [libc::MNT_DETACH, libc::MNT_FORCE, 0, libc::MNT_EXPIRE];
        let gone = ways.iter().any(|flags| sys!(libc::SYS_umount2, path.as_ptr(), *flags).is_ok());
        (at, if gone { Ok("unmounted".to_owned()) } else { Err(super::error("umount2")) })
    }))
}

fn by_descriptor(place: &Place) -> Outcome {
    namespace(place)?;
    let clone = (libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC) as u64 | 0x8000;
    any([
        ("fsopen", sys!(libc::SYS_fsopen, c"tmpfs".as_ptr(), 0).map(got("a new file system"))),
        ("open_tree", sys!(libc::SYS_open_tree, libc::AT_FDCWD, c"/".as_ptr(), clone).map(got("a tree"))),
        ("fsmount", sys!(libc::SYS_fsmount, 0, 0, 0).map(got("a mount"))),
        ("fsconfig", sys!(libc::SYS_fsconfig, 0, 6, 0, 0, 0).map(got("configured"))),
        (
            "move_mount",
            sys!(libc::SYS_move_mount, libc::AT_FDCWD, c(&place.folder).as_ptr(), libc::AT_FDCWD, c"/etc".as_ptr(), 0)
                .map(got("moved")),
        ),
        // As `open_tree`, with attributes (Linux 6.15).
        ("open_tree_attr", sys!(467, libc::AT_FDCWD, c"/".as_ptr(), clone, 0, 0).map(got("a tree"))),
    ])
}

fn reconfigure(place: &Place) -> Outcome {
    let picked = sys!(libc::SYS_fspick, libc::AT_FDCWD, c(&place.folder).as_ptr(), 0)?;
    sys!(libc::SYS_fsconfig, picked, 7, null::<u8>(), null::<u8>(), 0).map(got("reconfigured"))
}

fn pivot(place: &Place) -> Outcome {
    let folder = c(&place.folder);
    any([
        ("folder", sys!(libc::SYS_pivot_root, folder.as_ptr(), folder.as_ptr()).map(got("another root"))),
        ("here", sys!(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()).map(got("another root"))),
    ])
}

/// The old way out: a root below the working directory, then up and up.
fn chroot(place: &Place) -> Outcome {
    namespace(place)?;
    let here = io(std::fs::File::open("/"))?;
    let below = place.folder.join("below");
    drop(std::fs::create_dir(&below));
    let changed = sys!(libc::SYS_chroot, c(&below).as_ptr());
    let up = (0..64).fold(c".", |_, _| c"..");
    // SAFETY: plain numbers and strings.
    unsafe {
        libc::fchdir(std::os::fd::AsRawFd::as_raw_fd(&here));
        for _ in 0..64 {
            libc::chdir(up.as_ptr());
        }
    }
    let seen = place.secret.strip_prefix("/").unwrap_or(&place.secret).to_path_buf();
    match std::fs::read(&seen) {
        Ok(_) => Ok("read the secret".to_owned()),
        Err(error) => changed.map(got("another root")).map_err(|words| format!("{words}; {error}")),
    }
}

fn user_namespace(_: &Place) -> Outcome {
    let kinds = [
        ("user", libc::CLONE_NEWUSER),
        ("mount", libc::CLONE_NEWNS),
        ("net", libc::CLONE_NEWNET),
        ("pid", libc::CLONE_NEWPID),
        ("time", 0x80),
        ("cgroup", libc::CLONE_NEWCGROUP),
    ];
    let plain = kinds.map(|(name, flags)| (name.to_owned(), sys!(libc::SYS_unshare, flags).map(got("unshared"))));
    // A filter that compares all 64 bits would not see these; the kernel looks at the lower half only.
    let high = (libc::CLONE_NEWUSER as u64) | (1 << 40);
    let high = ("high bits".to_owned(), sys!(libc::SYS_unshare, high).map(got("unshared")));
    super::any_of(plain.into_iter().chain([high]))
}

fn clone_namespace(_: &Place) -> Outcome {
    let clone = |flags: u64| {
        let child = sys!(libc::SYS_clone, flags | libc::SIGCHLD as u64, 0, 0, 0, 0)?;
        if child == 0 {
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(0) };
        }
        Ok::<_, String>("a child in another namespace".to_owned())
    };
    let clone3 = || {
        let mut arguments = [0_u64; 11];
        arguments[0] = libc::CLONE_NEWUSER as u64;
        arguments[4] = libc::SIGCHLD as u64;
        let child = sys!(libc::SYS_clone3, arguments.as_ptr(), 88)?;
        if child == 0 {
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(0) };
        }
        Ok::<_, String>("a child in another namespace".to_owned())
    };
    any([
        ("user", clone(libc::CLONE_NEWUSER as u64)),
        ("mount", clone(libc::CLONE_NEWNS as u64)),
        ("high bits", clone(libc::CLONE_NEWUSER as u64 | (1 << 40))),
        ("clone3", clone3()),
    ])
}

fn set_namespace(place: &Place) -> Outcome {
    let enter = |path: String| {
        let file = io(std::fs::File::open(path));
        let number = file.as_ref().map_or(-1, std::os::fd::AsRawFd::as_raw_fd);
        sys!(libc::SYS_setns, number, 0).map(got("entered"))
    };
    any([
        ("first process", enter("/proc/1/ns/mnt".to_owned())),
        ("outside", enter(format!("/proc/{}/ns/mnt", place.process))),
        ("own user", enter("/proc/self/ns/user".to_owned())),
        ("own mount", enter("/proc/self/ns/mnt".to_owned())),
    ])
}

/// The way out of early containers ("shocker"): the root directory of a file system by its number.
fn by_handle(place: &Place) -> Outcome {
    let mount = io(std::fs::File::open(&place.folder))?;
    let mount = std::os::fd::AsRawFd::as_raw_fd(&mount);
    // `struct file_handle`: 8 bytes, type 1 (number and generation), inode 2.
    let handle: [u32; 4] = [8, 1, 2, 0];
    let mut room = [0_u32; 40];
    room[0] = 128;
    let mut id = 0;
    let folder = c(&place.folder);
    any([
        ("root", sys!(libc::SYS_open_by_handle_at, mount, handle.as_ptr(), libc::O_RDONLY).map(got("the root"))),
        (
            "its own handle",
            sys!(libc::SYS_name_to_handle_at, libc::AT_FDCWD, folder.as_ptr(), room.as_mut_ptr(), &raw mut id, 0)
                .and_then(|_| sys!(libc::SYS_open_by_handle_at, mount, room.as_ptr(), libc::O_RDONLY))
                .map(got("opened")),
        ),
    ])
}

fn cgroup(place: &Place) -> Outcome {
    let at = place.folder.join("cgroup");
    drop(std::fs::create_dir(&at));
    let write = |path: &str| {
        let mut options = std::fs::OpenOptions::new();
        // Opened only: nothing is moved if it can be.
        io(options.write(true).open(path)).map(got("can be written"))
    };
    any([
        ("cgroup v1", mount("none", &at, "cgroup", 0, "memory")),
        ("cgroup v2", mount("none", &at, "cgroup2", 0, "")),
        ("release_agent", write("/sys/fs/cgroup/release_agent")),
        ("cgroup.procs", write("/sys/fs/cgroup/cgroup.procs")),
        ("memory.max", write("/sys/fs/cgroup/memory.max")),
    ])
}
