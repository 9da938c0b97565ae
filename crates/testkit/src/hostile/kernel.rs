//! The kernel's wide doors: calls that sandboxes have been left by.

use super::{Outcome, Place, Technique, any, any_of, got, io, sys, technique};

pub(super) const ALL: &[Technique] = &[
    technique("io-uring", uring, false, &["denied: io_uring_setup"], "the system call filter"),
    technique("userfaultfd", userfault, false, &["denied: userfaultfd"], "the system call filter; no such device"),
    technique("bpf", bpf, false, &["denied: bpf"], "the system call filter"),
    technique("perf-events", perf, false, &["denied: perf_event_open"], "the system call filter"),
    technique(
        "keyrings",
        keys,
        true,
        &["denied: keyctl", "denied: add_key"],
        "the system call filter; a session keyring of its own",
    ),
    technique("local-descriptor-table", descriptor_table, false, &[], "the system call filter"),
    technique("personality", personality, true, &[], "the system call filter"),
    technique("32-bit-calls", compat, false, &[], "the system call filter ends the process"),
    technique("x32-calls", x32, false, &[], "the system call filter ends the process"),
    technique(
        "calls-without-a-name",
        unnamed,
        false,
        &[],
        "the system call filter: what was not reviewed does not exist",
    ),
    technique(
        "the-machine-itself",
        machine,
        false,
        &["denied: reboot", "denied: swapon"],
        "the system call filter; no capability",
    ),
    technique(
        "type-into-the-terminal",
        typing,
        false,
        &["denied: ioctl"],
        "the system call filter; a terminal of its own",
    ),
    technique(
        "a-filter-of-its-own",
        own_filter,
        false,
        &["denied: chroot"],
        "of two filters the stricter answer counts; one supervisor only",
    ),
    technique("watch-what-others-open", fanotify, false, &[], "the system call filter; no capability"),
];

fn uring(_: &Place) -> Outcome {
    let parameters = [0_u8; 256];
    any([
        ("setup", sys!(libc::SYS_io_uring_setup, 4, parameters.as_ptr()).map(got("a ring"))),
        ("enter", sys!(libc::SYS_io_uring_enter, 0, 0, 0, 0, 0, 0).map(got("entered"))),
        ("register", sys!(libc::SYS_io_uring_register, -1, 0, 0, 0).map(got("registered"))),
    ])
}

fn userfault(_: &Place) -> Outcome {
    any([
        ("call", sys!(libc::SYS_userfaultfd, 1).map(got("a descriptor"))),
        ("device", io(std::fs::File::open("/dev/userfaultfd")).map(got("the device"))),
    ])
}

fn bpf(_: &Place) -> Outcome {
    let attributes = [0_u8; 128];
    any_of((0..40).map(|command| {
        (command.to_string(), sys!(libc::SYS_bpf, command, attributes.as_ptr(), 128).map(got("answered")))
    }))
}

fn perf(_: &Place) -> Outcome {
    let mut attributes = [0_u8; 128];
    attributes[0] = 1; // software
    attributes[4] = 128;
    any([
        ("own", sys!(libc::SYS_perf_event_open, attributes.as_ptr(), 0, -1, -1, 0).map(got("an event"))),
        ("all", sys!(libc::SYS_perf_event_open, attributes.as_ptr(), -1, 0, -1, 0).map(got("an event"))),
    ])
}

fn keys(_: &Place) -> Outcome {
    let session = -3;
    any([
        ("session", sys!(libc::SYS_keyctl, 0, session, 0).map(got("the session's keyring"))),
        ("user", sys!(libc::SYS_keyctl, 0, -4, 0).map(got("the user's keyring"))),
        ("describe", sys!(libc::SYS_keyctl, 6, -5, 0, 0).map(got("described"))),
        ("join", sys!(libc::SYS_keyctl, 1, 0).map(got("joined"))),
        (
            "add",
            sys!(libc::SYS_add_key, c"user".as_ptr(), c"hostile".as_ptr(), c"x".as_ptr(), 1, session).map(got("added")),
        ),
        ("request", sys!(libc::SYS_request_key, c"user".as_ptr(), c"hostile".as_ptr(), 0, session).map(got("found"))),
    ])
}

fn descriptor_table(_: &Place) -> Outcome {
    let entry = [0_u32; 4];
    any([
        ("write", sys!(libc::SYS_modify_ldt, 1, entry.as_ptr(), 16).map(got("written"))),
        ("read", sys!(libc::SYS_modify_ldt, 0, entry.as_ptr(), 16).map(got("read"))),
    ])
}

fn personality(_: &Place) -> Outcome {
    any([
        ("read implies execute", sys!(libc::SYS_personality, 0x0040_0000).map(got("set"))),
        ("no randomness", sys!(libc::SYS_personality, 0x0004_0000).map(got("set"))),
        ("high bits", sys!(libc::SYS_personality, 0x0040_0000_u64 | (1 << 32)).map(got("set"))),
    ])
}

/// The entry of 32-bit programs, where other numbers mean other calls: 40 is `rmdir` there, 20 `getpid`.
#[cfg(target_arch = "x86_64")]
fn compat(_: &Place) -> Outcome {
    let result: i64;
    // SAFETY: asks for the process's number; only `rax` is written, and what the entry does not keep is named.
    unsafe {
        std::arch::asm!("int 0x80", inlateout("rax") 20_i64 => result, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    if result == i64::from(std::process::id()) { Ok("answered".to_owned()) } else { Err(result.to_string()) }
}

#[cfg(not(target_arch = "x86_64"))]
fn compat(_: &Place) -> Outcome {
    Err("there are none on this architecture".to_owned())
}

fn x32(_: &Place) -> Outcome {
    let getpid = sys!(0x4000_0000_i64 | libc::SYS_getpid);
    match getpid {
        Ok(number) if number == i64::from(std::process::id()) => Ok("answered".to_owned()),
        other => Err(format!("{other:?}")),
    }
}

/// Numbers that nobody reviewed, as a newer kernel has them.
fn unnamed(_: &Place) -> Outcome {
    let cwd = i64::from(libc::AT_FDCWD);
    any_of((463..=600).map(|number| {
        let answer = sys!(number, cwd, c"/".as_ptr(), 0, 0, 0, 0).map(got("answered"));
        let errno = std::io::Error::last_os_error().raw_os_error();
        let absent = answer.is_err() && errno == Some(libc::ENOSYS);
        (number.to_string(), if absent { Err("absent".to_owned()) } else { Ok(format!("{answer:?}")) })
    }))
}

/// With arguments that would do nothing even for whoever may.
fn machine(_: &Place) -> Outcome {
    any([
        ("reboot", sys!(libc::SYS_reboot, 0, 0, 0, 0).map(got("answered"))),
        ("module", sys!(libc::SYS_init_module, 0, 0, c"".as_ptr()).map(got("answered"))),
        ("module file", sys!(libc::SYS_finit_module, -1, c"".as_ptr(), 0).map(got("answered"))),
        ("kexec", sys!(libc::SYS_kexec_load, 0, 0, 0, u64::MAX).map(got("answered"))),
        ("swap", sys!(libc::SYS_swapon, c"/nowhere".as_ptr(), 0).map(got("answered"))),
        ("no swap", sys!(libc::SYS_swapoff, c"/nowhere".as_ptr()).map(got("answered"))),
        ("clock", sys!(libc::SYS_clock_settime, -1, 0).map(got("answered"))),
        ("name", sys!(libc::SYS_sethostname, c"localhost".as_ptr(), 9).map(got("named"))),
        ("messages", sys!(libc::SYS_syslog, 10, 0, 0).map(got("read"))),
        ("accounting", sys!(libc::SYS_acct, c"/nowhere/x".as_ptr()).map(got("answered"))),
        ("quota", sys!(libc::SYS_quotactl, 0x8000_0100_u64, 0, 0, 0).map(got("answered"))),
        ("port", sys!(173, 0x80, 1, 1).map(got("a port"))),
        ("ports", sys!(172, 3).map(got("all ports"))),
    ])
}

/// Onto whatever terminal there is: its own, or the person's.
fn typing(_: &Place) -> Outcome {
    let mut ways = Vec::new();
    let key = [b'x', 0];
    let selection = [2_u8, 0];
    let own = std::fs::File::open("/dev/tty").ok();
    let numbers = [0, 1, 2].into_iter().chain(own.as_ref().map(std::os::fd::AsRawFd::as_raw_fd));
    for number in numbers {
        for (name, request, data) in [
            ("TIOCSTI", 0x5412_u64, key),
            ("TIOCSTI, high bits", 0x5412 | (1 << 32), key),
            ("TIOCLINUX", 0x541c, selection),
            ("TIOCLINUX, high bits", 0x541c | (1 << 33), selection),
            ("TIOCSETD", 0x5423, [0; 2]),
            ("TIOCCONS", 0x541d, [0; 2]),
        ] {
            let way = sys!(libc::SYS_ioctl, number, request, data.as_ptr()).map(got("typed"));
            ways.push((format!("{name} at {number}"), way));
        }
    }
    any_of(ways)
}

/// A second filter that allows everything, and one that asks a supervisor of the program's own.
fn own_filter(_: &Place) -> Outcome {
    let allow = [0x06_u64 | (0x7fff_0000_u64 << 32)]; // return ALLOW
    let notify = [0x06_u64 | (0x7fc0_0000_u64 << 32)]; // return USER_NOTIF
    let filter = |program: &[u64; 1], flags: u64| {
        let header = [1_u64, program.as_ptr().expose_provenance() as u64];
        sys!(libc::SYS_seccomp, 1, flags, header.as_ptr())
    };
    let _ = filter(&allow, 0);
    let listener = filter(&notify, 8);
    let strict = sys!(libc::SYS_chroot, c"/".as_ptr());
    any([("allow all", strict.map(got("another root"))), ("a supervisor of its own", listener.map(got("asked")))])
}

fn fanotify(_: &Place) -> Outcome {
    any([
        ("files", sys!(libc::SYS_fanotify_init, 0, 0).map(got("watched"))),
        ("names", sys!(libc::SYS_fanotify_init, 0x200 | 0x400, 0).map(got("watched"))),
    ])
}
