//! The process between the keeper and the enclosure: it makes the namespaces with a first process in them, says who is
//! who in them, and waits, so that the kernel ends the one when the other is gone.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, sockopt};
use rustix::process::{Pid, Signal, WaitOptions, getegid, geteuid, set_parent_process_death_signal, waitpid};

use super::checks::Ground;
use super::fault::{self, Or};
use super::sys::{self, Forked};
use super::wire::{Report, Wire};
use super::{Plan, init};
use crate::SandboxFault;

/// Not for people: what it was started for is not there.
const MISUSE: i32 = 2;

/// The whole of the process that encloses, under the first argument [`super::ENCLOSE`]. Called first thing in `main`,
/// in a process with one thread. Returns its exit code.
pub fn enclose_main() -> i32 {
    let number = std::env::args_os().nth(2).and_then(|number| number.to_str()?.parse::<i32>().ok());
    let Some(socket) = number.and_then(keepers_socket) else { return MISUSE };
    let mut wire = Wire::new(socket);
    let init = match enclose(&mut wire) {
        Ok(init) => init,
        Err(fault) => {
            // A keeper that is gone needs no answer.
            let _ = init::report(&wire, &fault);
            return 1;
        }
    };
    drop(wire);
    // The program's streams end when the program ends: nothing here may hold them. Nothing is dropped after this.
    let _ = sys::close_from(0);
    while let Err(Errno::INTR) = waitpid(Some(init), WaitOptions::empty()) {}
    sys::exit_now(0)
}

/// The socket that the keeper handed down, if it is one.
fn keepers_socket(number: i32) -> Option<OwnedFd> {
    if number < 3 {
        return None;
    }
    // SAFETY: only asked about, and only while nothing else has run in this process that could close it.
    let socket = unsafe { BorrowedFd::borrow_raw(number) };
    let ours = sockopt::socket_domain(socket).is_ok_and(|domain| domain == AddressFamily::UNIX)
        && sockopt::socket_type(socket).is_ok_and(|kind| kind == SocketType::STREAM);
    if !ours {
        return None;
    }
    rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::CLOEXEC).ok()?;
    // SAFETY: inherited for this purpose, as the argument says; nothing else in this process knows of it.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

fn enclose(wire: &mut Wire) -> Result<Pid, SandboxFault> {
    set_parent_process_death_signal(Some(Signal::KILL)).or_fault("keeper", "be ended with the keeper", REPORT)?;
    // The keys of a terminal are for the program, which has one of its own or is sent them.
    sys::block_signals().or_fault("keeper", "hold signals back", REPORT)?;
    // A keeper that died before the line above leaves an end of the stream.
    let plan: Option<Plan> = wire.receive(None).or_fault("keeper", "read what to enclose", REPORT)?;
    let plan = plan.ok_or_else(|| fault::fault("keeper", "was told of nothing to enclose", REPORT))?;
    let ground = Ground::of(&plan);
    let (wait, go) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).or_fault("keeper", "make a pipe", REPORT)?;
    match sys::fork_into_namespaces().map_err(fault::namespaces)? {
        Forked::Child => {
            drop(go);
            init::main(&plan, wire, &wait, &ground)
        }
        Forked::Parent(init) => {
            let told = map_ids(init).and_then(|()| {
                let pid = u32::try_from(init.as_raw_nonzero().get()).unwrap_or(0);
                wire.send(&Report::Init(pid), &[]).or_fault("keeper", "name the first process", REPORT)?;
                rustix::io::write(&go, b"!").or_fault("namespaces", "let the first process go on", REPORT)
            });
            // Without the byte it ends, as soon as the pipe is closed.
            told.map(|_| init)
        }
    }
}

pub(super) const REPORT: &str = "try again; if it happens again, please report it";

/// Says which user it is inside: the same as outside. An ordinary user is the only one; root has all that it has.
pub(super) fn map_ids(init: Pid) -> Result<(), SandboxFault> {
    let of = |name: &str| format!("/proc/{}/{name}", init.as_raw_nonzero());
    let (uids, gids) = if geteuid().is_root() {
        (same(&fault::text(CWD, c"/proc/self/uid_map")), same(&fault::text(CWD, c"/proc/self/gid_map")))
    } else {
        // Groups could be left otherwise, and with them what they are refused.
        put(&of("setgroups"), "deny").map_err(fault::namespaces)?;
        let (user, group) = (geteuid().as_raw(), getegid().as_raw());
        (format!("{user} {user} 1\n"), format!("{group} {group} 1\n"))
    };
    put(&of("uid_map"), &uids).and_then(|()| put(&of("gid_map"), &gids)).map_err(fault::namespaces)
}

/// A map of all that another map has, each number to itself.
fn same(map: &Option<String>) -> String {
    let lines = map.iter().flat_map(|map| map.lines());
    lines
        .filter_map(|line| {
            let mut numbers = line.split_whitespace();
            let (first, _, count) = (numbers.next()?, numbers.next()?, numbers.next()?);
            Some(format!("{first} {first} {count}\n"))
        })
        .collect()
}

fn put(path: &str, text: &str) -> io::Result<()> {
    let file = openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(file.as_fd(), text.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_of_all_is_each_number_to_itself() {
        assert_eq!(same(&Some("         0          0 4294967295\n".into())), "0 0 4294967295\n");
        assert_eq!(same(&Some("0 100000 65536\n70000 1 1\n".into())), "0 0 65536\n70000 70000 1\n");
        assert_eq!(same(&None), "");
    }
}
