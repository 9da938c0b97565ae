//! The first process inside: it builds everything, gives up all that it may do, starts the program, and stays to
//! supervise it. Whatever fails here ends it before the program runs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Signal, geteuid, ioctl_tiocsctty, set_parent_process_death_signal, setsid};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use super::checks::Ground;
use super::enclose::REPORT;
use super::fault::{self, Or};
use super::supervise::{self, Inside, Supervise};
use super::sys::{self, Forked};
use super::wire::{Report, Wire};
use super::{HeldLayer, Network, PROXY_PORT, Plan, domain, privileges, root, start, watch};
use crate::SandboxFault;

/// Builds, starts, supervises; the process ends here.
pub(super) fn main(plan: &Plan, wire: &mut Wire, wait: &OwnedFd, ground: &Ground) -> ! {
    let code = match inside(plan, wire, wait, ground) {
        Ok(supervise) => supervise.run(wire),
        Err(fault) => {
            let _ = report(wire, &fault);
            1
        }
    };
    sys::exit_now(code)
}

/// Tells the keeper of a fault.
pub(super) fn report(wire: &Wire, error: &SandboxFault) -> std::io::Result<()> {
    let frame = match error {
        SandboxFault::Enclosure { layer, why, fix } => {
            Report::Fault { layer: layer.clone(), why: why.clone(), fix: fix.clone() }
        }
        other => Report::Fault { layer: "enclosure".to_owned(), why: other.to_string(), fix: REPORT.to_owned() },
    };
    wire.send(&frame, &[])
}

fn inside(plan: &Plan, wire: &mut Wire, wait: &OwnedFd, ground: &Ground) -> Result<Supervise, SandboxFault> {
    set_parent_process_death_signal(Some(Signal::KILL)).or_fault("keeper", "be ended with the keeper", REPORT)?;
    let mut byte = [0_u8; 1];
    if rustix::io::read(wait, &mut byte).unwrap_or(0) != 1 {
        // Whoever was to write it said why.
        sys::exit_now(1);
    }
    // Where memory runs out, what is inside is ended first. A machine without this file has no such choice.
    let _ = write(c"/proc/self/oom_score_adj", b"500");
    setsid().or_fault("session", "start a session", REPORT)?;
    rustix::system::sethostname(b"localhost").or_fault("namespaces", "name the machine inside", REPORT)?;
    let built = root::build(plan)?;
    let bounded = bound_processes(plan.limits.processes, &built.proc);
    let listener = network(plan)?;
    let terminal = terminal(plan)?;
    let mut layers = vec![
        held("namespaces", "user, mount, pid, net, ipc, uts and cgroup namespaces of its own"),
        held("private-root", format!("{} folders granted, nothing else of the user's", plan.folders.len())),
        held("program-limits", "resource limits, and a look 20 times a second at what all processes use together"),
        held("program-filter", "reviewed system calls only"),
        held("program-privileges", "no capabilities, no new privileges"),
    ];
    if !bounded && geteuid().is_root() {
        layers.push(HeldLayer {
            name: "program-processes".to_owned(),
            enforced: false,
            why: "nothing but the supervisor's looks bounds how many processes root starts".to_owned(),
            fix: "use a kernel of 6.14 or newer, or run raincoat as an ordinary user".to_owned(),
        });
    }
    layers.extend(built.lacking.iter().cloned());
    privileges::drop_all()?;
    layers.extend(domain::restrict(&built)?);
    // After this /proc/self belongs to root, and nobody inside may look into this process.
    sys::set_dumpable(false).or_fault("privileges", "keep the supervisor's memory to itself", REPORT)?;
    if plan.strict
        && let Some(lacks) = layers.iter().find(|layer| !layer.enforced)
    {
        return Err(fault::fault(&lacks.name, format!("missing in a strict run: {}", lacks.why), &lacks.fix));
    }

    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).or_fault(
        "keeper",
        "make a socket",
        REPORT,
    )?;
    let (master, slave) = terminal.unzip();
    let program = match sys::fork().or_fault("program", "start a process", REPORT)? {
        Forked::Child => start::main(plan, Wire::new(theirs), slave, ground),
        Forked::Parent(program) => program,
    };
    drop((theirs, slave));
    let mut child = Wire::new(ours);
    let notices = supervise::until_checked(&mut child)?;
    // The program's streams end with the program: its supervisor does not hold them.
    silence().or_fault("program", "let go of the program's streams", REPORT)?;
    let along: Vec<BorrowedFd<'_>> = listener.iter().chain(&master).map(AsFd::as_fd).collect();
    let ready = Report::Ready { layers, listener: listener.is_some(), terminal: master.is_some() };
    wire.send(&ready, &along).or_fault("keeper", "say that all is built", REPORT)?;
    let watch = watch::Watch::new(plan, built);
    Supervise::new(Inside { program, child, notices, watch }).or_fault("program", "watch the program", REPORT)
}

pub(super) fn held(name: &str, why: impl Into<String>) -> HeldLayer {
    HeldLayer { name: name.to_owned(), enforced: true, why: why.into(), fix: String::new() }
}

fn write(path: &std::ffi::CStr, text: &[u8]) -> rustix::io::Result<()> {
    let file = openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, text).map(drop)
}

/// `/dev/null` for the standard streams.
fn silence() -> rustix::io::Result<()> {
    let null = openat(CWD, c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)
}

/// From kernel 6.14 on, process numbers are counted for each namespace: a bound that holds at once, whatever the
/// supervisor is doing, and for root too, whom resource limits do not count. It cannot be less than 301, and the first
/// 300 numbers are given out once only.
pub(super) fn bound_processes(processes: u32, proc: &OwnedFd) -> bool {
    let most = processes.saturating_add(300).max(301).to_string();
    openat(proc, c"sys/kernel/pid_max", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|file| rustix::io::write(&file, most.as_bytes()))
        .is_ok()
        && fault::text(proc, c"sys/kernel/pid_max").is_some_and(|text| text.trim() == most)
}

/// The program's network: a loopback interface of its own, so that what serves and connects on its own machine works,
/// and, where the plan says so, one listener on it. No other interface is there and none can be made: packets have
/// nowhere to go. The keeper accepts that listener's connections, and this is the only way out.
fn network(plan: &Plan) -> Result<Option<OwnedFd>, SandboxFault> {
    let listen = || -> std::io::Result<Option<OwnedFd>> {
        let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        sys::loopback_up(&socket)?;
        if plan.network == Network::None {
            return Ok(None);
        }
        let here = std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, PROXY_PORT);
        rustix::net::bind(&socket, &here)?;
        rustix::net::listen(&socket, 128)?;
        Ok(Some(socket))
    };
    listen().or_fault("network", "make a network of the program's own", REPORT)
}

/// Both ends of the program's terminal, which is this session's.
fn terminal(plan: &Plan) -> Result<Option<(OwnedFd, OwnedFd)>, SandboxFault> {
    if !plan.terminal.contains(&true) {
        return Ok(None);
    }
    let open = || -> std::io::Result<(OwnedFd, OwnedFd)> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let master = openat(CWD, c"/dev/ptmx", flags, Mode::empty())?;
        rustix::pty::unlockpt(&master)?;
        let slave =
            rustix::pty::ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        let (rows, columns) = plan.size;
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&master, size)?;
        ioctl_tiocsctty(&slave)?;
        Ok((master, slave))
    };
    open().map(Some).or_fault("terminal", "make a terminal", REPORT)
}
