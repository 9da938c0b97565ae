//! Other processes: those outside, the supervisor inside, and what `/proc` shows of them.

use std::fs;
use std::path::Path;

use super::{Outcome, Place, Technique, any, any_of, error, got, io, sys, technique};

pub(super) const ALL: &[Technique] = &[
    technique(
        "trace-a-process-outside",
        trace,
        false,
        &["denied: ptrace"],
        "the system call filter; its own process namespace",
    ),
    technique(
        "trace-the-supervisor",
        trace_first,
        false,
        &["denied: ptrace"],
        "the system call filter; the supervisor is not dumpable",
    ),
    technique(
        "write-into-a-process",
        write_memory,
        false,
        &["denied: process_vm_writev"],
        "the system call filter; its own process namespace",
    ),
    technique(
        "take-a-descriptor",
        take_descriptor,
        false,
        &["denied: pidfd_getfd"],
        "the system call filter; the supervisor is not dumpable",
    ),
    technique(
        "the-supervisor-in-proc",
        proc_first,
        false,
        &[],
        "`/proc` hides what may not be traced; the supervisor is not dumpable",
    ),
    technique("processes-outside-in-proc", proc_outside, true, &[], "its own process namespace, and a new `/proc`"),
    technique(
        "every-process-in-proc",
        proc_all,
        false,
        &[],
        "its own process namespace, and a new `/proc` that hides the supervisor",
    ),
    technique("signal-a-process-outside", signal_outside, true, &[], "its own process namespace"),
    technique(
        "signal-by-ownership",
        signal_owner,
        true,
        &[],
        "its own process namespace: no such process can be named",
    ),
    technique(
        "kill-the-supervisor",
        kill_first,
        false,
        &[],
        "the first process of a namespace takes no signal from within",
    ),
    technique(
        "starve-the-supervisor",
        starve,
        false,
        &["denied: setpriority", "denied: sched_setscheduler"],
        "the system call filter",
    ),
    technique(
        "the-supervisors-open-files",
        deputy,
        false,
        &[],
        "the supervisor follows only the caller's own links in `/proc`; Landlock holds for it too",
    ),
    technique("compare-with-the-kernel", compare, false, &[], "the system call filter"),
    technique(
        "kernel-settings",
        settings,
        false,
        &[],
        "mounted read-only over `/proc/sys`; for an ordinary user the file modes too",
    ),
    technique("every-file-of-proc", every_file, false, &[], "read-only mounts and masks over `/proc`"),
    technique("sysrq-trigger", sysrq, false, &[], "mounted read-only"),
    technique("own-attributes-in-proc", attributes, false, &[], "no capability"),
    technique("own-executable", own_executable, false, &[], "the folder is mounted read-only; Landlock"),
];

fn trace(place: &Place) -> Outcome {
    any([
        ("attach", sys!(libc::SYS_ptrace, libc::PTRACE_ATTACH, place.process, 0, 0).map(got("attached"))),
        ("seize", sys!(libc::SYS_ptrace, libc::PTRACE_SEIZE, place.process, 0, 0).map(got("seized"))),
    ])
}

fn trace_first(_: &Place) -> Outcome {
    any([
        ("attach", sys!(libc::SYS_ptrace, libc::PTRACE_ATTACH, 1, 0, 0).map(got("attached"))),
        ("seize", sys!(libc::SYS_ptrace, libc::PTRACE_SEIZE, 1, 0, 0).map(got("seized"))),
        ("be traced by it", sys!(libc::SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0).map(got("traced"))),
    ])
}

fn write_memory(place: &Place) -> Outcome {
    let byte = [0_u8; 1];
    let part = libc::iovec { iov_base: byte.as_ptr().cast_mut().cast(), iov_len: 1 };
    any([("first", 1), ("outside", place.process)].map(|(name, process)| {
        let wrote = sys!(libc::SYS_process_vm_writev, process, &raw const part, 1, &raw const part, 1, 0);
        let read = sys!(libc::SYS_process_vm_readv, process, &raw const part, 1, &raw const part, 1, 0);
        (name, wrote.or(read).map(got("its memory")))
    }))
}

fn take_descriptor(place: &Place) -> Outcome {
    any([("first", 1), ("outside", place.process)].map(|(name, process)| {
        let taken = sys!(libc::SYS_pidfd_open, process, 0).and_then(|held| {
            (0..32)
                .map(|number| sys!(libc::SYS_pidfd_getfd, held, number, 0))
                .find(Result::is_ok)
                .unwrap_or_else(|| sys!(libc::SYS_pidfd_getfd, held, 0, 0))
        });
        (name, taken.map(got("a descriptor")))
    }))
}

/// What `/proc` has of a process: everything that leads out of the sandbox or into that process.
fn of_process(at: &Path) -> Vec<(String, Outcome)> {
    let mut ways = Vec::new();
    for name in ["root", "cwd", "exe"] {
        ways.push((name.to_owned(), io(fs::read_link(at.join(name))).map(got("a link"))));
    }
    for name in ["root/", "cwd/", "fd", "fdinfo", "map_files", "task", "ns", "attr"] {
        ways.push((name.to_owned(), io(fs::read_dir(at.join(name))).map(got("listed"))));
    }
    for name in ["environ", "maps", "mem", "cmdline", "status", "stack", "auxv", "exe", "mountinfo", "comm"] {
        ways.push((name.to_owned(), io(fs::read(at.join(name))).map(got("read"))));
    }
    for name in ["mem", "oom_score_adj", "clear_refs", "comm", "uid_map", "timens_offsets", "exe"] {
        ways.push((
            name.to_owned(),
            io(fs::OpenOptions::new().write(true).open(at.join(name))).map(got("for writing")),
        ));
    }
    ways
}

fn proc_first(_: &Place) -> Outcome {
    any_of(of_process("/proc/1".as_ref()).into_iter().chain(of_process("/proc/self/task/../../1".as_ref())))
}

fn proc_outside(place: &Place) -> Outcome {
    any_of(of_process(format!("/proc/{}", place.process).as_ref()))
}

/// Every number that a process could have: only its own may be there.
fn proc_all(_: &Place) -> Outcome {
    let mut own = Vec::new();
    let mut at = std::process::id();
    while at > 1 {
        own.push(at);
        let status = io(fs::read_to_string(format!("/proc/{at}/status")))?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok());
        at = parent.unwrap_or(0);
    }
    // A thread can be named too: what counts is whose it is.
    let of = |number: u32| {
        let status = fs::read_to_string(format!("/proc/{number}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse::<u32>().ok())
    };
    let shown = (1..=4000).filter(|process: &u32| Path::new(&format!("/proc/{process}")).exists());
    let strange: Vec<u32> = shown.filter(|process| of(*process).is_none_or(|whose| !own.contains(&whose))).collect();
    if strange.is_empty() { Err("only its own are there".to_owned()) } else { Ok(format!("{strange:?}")) }
}

fn signal_outside(place: &Place) -> Outcome {
    let process = place.process;
    let info = [0_u8; 128];
    any([
        ("kill", sys!(libc::SYS_kill, process, libc::SIGCONT).map(got("sent"))),
        ("group", sys!(libc::SYS_kill, -process, libc::SIGCONT).map(got("sent"))),
        ("tkill", sys!(libc::SYS_tkill, process, libc::SIGCONT).map(got("sent"))),
        ("tgkill", sys!(libc::SYS_tgkill, process, process, libc::SIGCONT).map(got("sent"))),
        ("queue", sys!(libc::SYS_rt_sigqueueinfo, process, libc::SIGCONT, info.as_ptr()).map(got("sent"))),
        (
            "by descriptor",
            sys!(libc::SYS_pidfd_open, process, 0)
                .and_then(|held| sys!(libc::SYS_pidfd_send_signal, held, libc::SIGCONT, 0, 0))
                .map(got("sent")),
        ),
        ("limits", sys!(libc::SYS_prlimit64, process, libc::RLIMIT_CORE, 0, info.as_ptr()).map(got("read"))),
        ("priority", sys!(libc::SYS_setpriority, libc::PRIO_PROCESS, process, 19).map(got("set"))),
    ])
}

/// The kernel sends a signal for whoever owns a descriptor.
fn signal_owner(place: &Place) -> Outcome {
    let mut ends = [0; 2];
    sys!(libc::SYS_pipe2, ends.as_mut_ptr(), 0)?;
    let owner: [i32; 2] = [1, place.process];
    any([
        ("F_SETOWN", sys!(libc::SYS_fcntl, ends[0], libc::F_SETOWN, place.process).map(got("owned"))),
        ("F_SETOWN_EX", sys!(libc::SYS_fcntl, ends[0], 15, owner.as_ptr()).map(got("owned"))),
    ])
}

/// Whoever says afterwards that the supervisor still answers asks it for something.
fn kill_first(_: &Place) -> Outcome {
    for signal in [libc::SIGKILL, libc::SIGSTOP, libc::SIGTERM, libc::SIGSEGV, libc::SIGCHLD, libc::SIGHUP] {
        let _ = sys!(libc::SYS_kill, 1, signal);
        let _ = sys!(libc::SYS_tgkill, 1, 1, signal);
    }
    let answered = sys!(libc::SYS_chroot, c"/".as_ptr());
    match std::io::Error::last_os_error().raw_os_error() {
        Some(libc::EPERM) if answered.is_err() => Err("it still answers".to_owned()),
        _ => Ok(format!("it does not answer: {answered:?}")),
    }
}

fn starve(_: &Place) -> Outcome {
    let nothing = [0_u64; 16];
    let attributes: [u32; 14] = [48, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    any([
        ("priority", sys!(libc::SYS_setpriority, libc::PRIO_PROCESS, 1, 19).map(got("lowered"))),
        ("high bits", sys!(libc::SYS_setpriority, 0_u64, 1_u64 | (1 << 32), 19).map(got("lowered"))),
        ("group", sys!(libc::SYS_setpriority, libc::PRIO_PGRP, 1, 19).map(got("lowered"))),
        ("user", sys!(libc::SYS_setpriority, libc::PRIO_USER, 0, 19).map(got("lowered"))),
        ("idle", sys!(libc::SYS_sched_setscheduler, 1, 5, nothing.as_ptr()).map(got("idle"))),
        ("param", sys!(libc::SYS_sched_setparam, 1, nothing.as_ptr()).map(got("set"))),
        ("attr", sys!(libc::SYS_sched_setattr, 1, attributes.as_ptr(), 0).map(got("idle"))),
        ("affinity", sys!(libc::SYS_sched_setaffinity, 1, 8, [1_u64].as_ptr()).map(got("pinned"))),
        ("input and output", sys!(libc::SYS_ioprio_set, 1, 1, 3 << 13).map(got("idle"))),
        ("of all", sys!(libc::SYS_ioprio_set, 3, 0, 3 << 13).map(got("idle"))),
    ])
}

/// What the supervisor does for the program it does by the program's paths: they must not lead to what it has open.
fn deputy(place: &Place) -> Outcome {
    let links = place.folder.join("deputy");
    drop(fs::create_dir(&links));
    let mut ways = Vec::new();
    for number in 3..32 {
        let link = links.join(number.to_string());
        drop(std::os::unix::fs::symlink(format!("/proc/1/fd/{number}"), &link));
        for path in [
            format!("/proc/self/../1/fd/{number}"),
            format!("/proc/thread-self/../../../1/fd/{number}"),
            format!("/proc/1/fd/{number}"),
            format!("/dev/fd/../../1/fd/{number}"),
            format!("/proc/self/cwd/deputy/{number}"),
            format!("/proc/self/root/{}", link.display()),
        ] {
            let at = super::c(&path);
            for mode in [0o2755, 0o1777] {
                ways.push((path.clone(), sys!(libc::SYS_chmod, at.as_ptr(), mode).map(got("changed"))));
            }
            for name in ["upper", "work", "..", "deputy", "1"] {
                let from = super::c(format!("{path}/{name}"));
                let to = super::c(links.join("taken"));
                ways.push((path.clone(), sys!(libc::SYS_rename, from.as_ptr(), to.as_ptr()).map(got("renamed"))));
                ways.push((path.clone(), sys!(libc::SYS_rename, to.as_ptr(), from.as_ptr()).map(got("renamed"))));
            }
        }
    }
    any_of(ways)
}

fn compare(place: &Place) -> Outcome {
    let own = std::process::id();
    any([
        ("first", sys!(libc::SYS_kcmp, own, 1, 0, 0, 0).map(got("compared"))),
        ("outside", sys!(libc::SYS_kcmp, own, place.process, 0, 0, 0).map(got("compared"))),
        ("pages", sys!(libc::SYS_move_pages, 1, 0, 0, 0, 0, 0).map(got("moved"))),
        (
            "robust list",
            sys!(libc::SYS_get_robust_list, 1, [0_u64].as_mut_ptr(), [0_u64].as_mut_ptr()).map(got("read")),
        ),
    ])
}

fn for_writing(path: &str) -> Outcome {
    io(fs::OpenOptions::new().write(true).open(path)).map(got("can be written"))
}

fn settings(_: &Place) -> Outcome {
    let names = [
        "kernel/core_pattern",
        "kernel/modprobe",
        "kernel/hostname",
        "vm/drop_caches",
        "kernel/ns_last_pid",
        "fs/binfmt_misc/register",
        "kernel/pid_max",
        "net/ipv4/ip_forward",
        "user/max_user_namespaces",
        "kernel/usermodehelper/bset",
        "kernel/poweroff_cmd",
        "fs/protected_symlinks",
    ];
    let plain = names.iter().map(|name| ((*name).to_owned(), for_writing(&format!("/proc/sys/{name}"))));
    let round = names.iter().map(|name| ((*name).to_owned(), for_writing(&format!("/proc/self/root/proc/sys/{name}"))));
    any_of(plain.chain(round))
}

/// Whatever in `/proc` belongs to no process: none may be opened to be written, but for those that only wake the writer.
fn every_file(_: &Place) -> Outcome {
    fn walk(at: &Path, ways: &mut Vec<(String, Outcome)>) {
        for entry in fs::read_dir(at).into_iter().flatten().flatten() {
            let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
            let number = entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit());
            if kind.is_symlink() || (at == Path::new("/proc") && number) || path == Path::new("/proc/pressure") {
                continue;
            }
            if kind.is_dir() {
                walk(&path, ways);
            } else {
                let name = path.display().to_string();
                ways.push((name.clone(), for_writing(&name)));
            }
        }
    }
    let mut ways = Vec::new();
    walk("/proc".as_ref(), &mut ways);
    any_of(ways)
}

fn sysrq(_: &Place) -> Outcome {
    // `h` only prints a help text.
    io(fs::write("/proc/sysrq-trigger", "h")).map(got("triggered"))
}

fn attributes(_: &Place) -> Outcome {
    let write = |path: &str, text: &str| io(fs::write(path, text)).map(got("written"));
    any([
        ("attr", write("/proc/self/attr/current", "unconfined")),
        ("exec attr", write("/proc/self/attr/exec", "unconfined")),
        ("uid_map", write("/proc/self/uid_map", "0 0 1\n")),
        ("setgroups", write("/proc/self/setgroups", "allow")),
        ("oom", write("/proc/self/oom_score_adj", "-1000")),
        ("nice", sys!(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, -20).map(got("first of all"))),
        ("hard limit", {
            let most: [u64; 2] = [u64::MAX; 2];
            sys!(libc::SYS_prlimit64, 0, libc::RLIMIT_NPROC, most.as_ptr(), 0).map(got("no limit"))
        }),
        ("capabilities", {
            // `linux/capability.h`, version 3.
            let header: [u32; 2] = [0x2008_0522, 0];
            let all = [u32::MAX; 6];
            sys!(libc::SYS_capset, header.as_ptr(), all.as_ptr()).map(got("all of them"))
        }),
        (
            "root",
            if super::files::is_root() {
                Err("is root, without its rights".to_owned())
            } else {
                sys!(libc::SYS_setresuid, 0, 0, 0).map(got("root"))
            },
        ),
    ])
}

/// CVE-2019-5736: through the program's own executable to the sandbox's.
fn own_executable(_: &Place) -> Outcome {
    let own = io(fs::read_link("/proc/self/exe")).map_err(|words| format!("{words} {}", error("readlink")))?;
    let append = |path: &Path| io(fs::OpenOptions::new().append(true).open(path)).map(got("can be written"));
    any([
        ("link", append("/proc/self/exe".as_ref())),
        ("path", append(&own)),
        (
            "chmod",
            io(fs::metadata(&own))
                .and_then(|about| io(fs::set_permissions(&own, about.permissions())))
                .map(got("its mode")),
        ),
        ("beside", io(fs::write(own.with_extension("beside"), "x")).map(got("a file beside it"))),
    ])
}
