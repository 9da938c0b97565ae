//! What was refused, in words.

use raincoat_types::display_bytes;

use super::caller::Caller;
use super::calls::Rule;

/// Characters of a path or another text of the program's that are shown.
const SHOWN: usize = 200;

/// What a call that is refused would have done.
pub(crate) fn refusal(rule: &Rule, arguments: &[u64; 6], caller: &Caller<'_>) -> String {
    let &[first, second, third, ..] = arguments;
    let why = rule.call.why;
    match rule.call.name {
        "ptrace" if first == 0 => "asked to be traced by another process".to_owned(),
        "clone" | "unshare" => format!("{why}: {}", namespaces(first)),
        "socket" => format!("{why}: {}", socket(first, second)),
        "ioctl" => format!("{why}: {}", terminal(second)),
        "open" => with_path(&format!("{why} (mode {:o})", third & 0o7777), caller.path(first)),
        "creat" | "mknod" => with_path(&format!("{why} (mode {:o})", second & 0o177_777), caller.path(first)),
        "openat" => {
            with_path(&format!("{why} (mode {:o})", arguments.get(3).unwrap_or(&0) & 0o7777), caller.path(second))
        }
        "mknodat" => with_path(&format!("{why} (mode {:o})", third & 0o177_777), caller.path(second)),
        "umount2" | "chroot" | "pivot_root" | "swapon" | "swapoff" => with_path(why, caller.path(first)),
        "mount" | "open_tree" => with_path(why, caller.path(second)),
        _ => why.to_owned(),
    }
}

fn with_path(what: &str, path: Option<Vec<u8>>) -> String {
    match path {
        Some(path) => format!("{what}: {}", short(&display_bytes(&path))),
        None => what.to_owned(),
    }
}

/// The beginning of a text that is too long to show.
pub(crate) fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} ...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn namespaces(flags: u64) -> String {
    let all = [
        (libc::CLONE_NEWUSER, "user"),
        (libc::CLONE_NEWNS, "mount"),
        (libc::CLONE_NEWPID, "pid"),
        (libc::CLONE_NEWNET, "network"),
        (libc::CLONE_NEWIPC, "ipc"),
        (libc::CLONE_NEWUTS, "uts"),
        (libc::CLONE_NEWCGROUP, "cgroup"),
    ];
    let wanted: Vec<_> = all.iter().filter(|(bit, _)| flags & *bit as u64 != 0).map(|(_, name)| *name).collect();
    if wanted.is_empty() { "time".to_owned() } else { wanted.join(", ") }
}

fn socket(family: u64, kind: u64) -> String {
    match (family as i32, kind as i32 & 0xf) {
        (libc::AF_PACKET, _) => "AF_PACKET".to_owned(),
        (libc::AF_VSOCK, _) => "AF_VSOCK".to_owned(),
        (_, libc::SOCK_RAW) => "SOCK_RAW".to_owned(),
        _ => "SOCK_PACKET".to_owned(),
    }
}

fn terminal(request: u64) -> &'static str {
    match request as u32 {
        0x5412 => "TIOCSTI",
        0x541c => "TIOCLINUX",
        _ => "TIOCSETD",
    }
}
