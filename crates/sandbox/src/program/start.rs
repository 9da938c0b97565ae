//! The program's own process, from the fork to the `exec`: streams, limits, the filter, the checks, and then the program
//! or nothing.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, chdir, getpid, getrlimit, setpgid, setrlimit};
use serde::{Deserialize, Serialize};

use super::checks::{self, Ground};
use super::enclose::REPORT;
use super::fault::{self, Or};
use super::wire::Wire;
use super::{Plan, filter, sys};
use crate::SandboxFault;

/// The program's process to the supervisor.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Said {
    /// The filter is in force; the descriptor of its notices comes along.
    Filtered,
    /// Everything that was tried was refused.
    Checked,
    /// It must not run.
    Fault {
        /// Which layer.
        layer: String,
        /// What happened.
        why: String,
        /// What to do.
        fix: String,
    },
    /// The program could not be executed: why, and the exit code.
    NotStarted(String, i32),
}

/// The supervisor to the program's process: execute.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Go;

/// Does all that, and never returns.
pub(super) fn main(plan: &Plan, wire: Wire, terminal: Option<OwnedFd>, ground: &Ground) -> ! {
    let mut wire = wire;
    let prepared = prepare(plan, &wire, terminal, ground);
    let said = match &prepared {
        Ok(()) => Said::Checked,
        Err(SandboxFault::Enclosure { layer, why, fix }) => {
            Said::Fault { layer: layer.clone(), why: why.clone(), fix: fix.clone() }
        }
        Err(other) => Said::Fault { layer: "program".into(), why: other.to_string(), fix: REPORT.into() },
    };
    if wire.send(&said, &[]).is_ok()
        && prepared.is_ok()
        && let Ok(Some(Go)) = wire.receive(None)
    {
        let (words, code) = execute(plan);
        let _ = wire.send(&Said::NotStarted(words, code), &[]);
    }
    sys::exit_now(1)
}

fn prepare(plan: &Plan, wire: &Wire, terminal: Option<OwnedFd>, ground: &Ground) -> Result<(), SandboxFault> {
    // A group of its own, in the supervisor's session: so it can be stopped and continued as a shell's job is.
    setpgid(None, None).or_fault("session", "make a process group", REPORT)?;
    if let Some(terminal) = &terminal {
        rustix::termios::tcsetpgrp(terminal, getpid()).or_fault("terminal", "take the terminal", REPORT)?;
        streams(plan, terminal).or_fault("terminal", "set up the streams", REPORT)?;
    }
    // The descriptor is closed with all others; dropping it again would close somebody else's.
    std::mem::forget(terminal);
    sys::close_all_but([wire.as_fd(), wire.as_fd()]).or_fault("program", "close descriptors", REPORT)?;
    no_folders()?;
    let cwd = raincoat_types::display_bytes(&plan.cwd);
    chdir(plan.cwd.as_slice()).or_fault(
        "program",
        format!("enter `{cwd}`"),
        "start it in a folder that is granted, or grant this one with `--in`",
    )?;
    limit(plan).or_fault("program-limits", "limit resources", REPORT)?;
    sys::new_session_keyring().or_else(keyring_missing).or_fault("keyring", "leave the session's keys", REPORT)?;
    sys::reset_signals();
    sys::set_dumpable(true).or_fault("program", "let it be debugged", REPORT)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(plan.umask));
    let notices = filter::install(plan.may_nest)?;
    wire.send(&Said::Filtered, &[notices.as_fd()]).or_fault("program-filter", "hand over its notices", REPORT)?;
    drop(notices);
    match checks::first_through(ground) {
        None => Ok(()),
        Some(check) => Err(fault::fault(
            check.layer,
            format!("the enclosure is built and does not hold: {}", check.what),
            "run `raincoat doctor --prove`, and please report it",
        )),
    }
}

/// A folder as a stream would lead out: names beneath and above it could be looked at and their modes changed, which
/// neither mounts nor Landlock would see.
fn no_folders() -> Result<(), SandboxFault> {
    let streams = [
        ("input", rustix::stdio::stdin()),
        ("output", rustix::stdio::stdout()),
        ("error output", rustix::stdio::stderr()),
    ];
    for (name, stream) in streams {
        let kind = rustix::fs::fstat(stream).map(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode));
        if kind == Ok(rustix::fs::FileType::Directory) {
            return Err(fault::fault(
                "streams",
                format!("its standard {name} is a folder, which leads out of the draft"),
                "redirect it from or to a file, or `/dev/null`",
            ));
        }
    }
    Ok(())
}

/// A kernel without keyrings has none to leave.
fn keyring_missing(error: io::Error) -> io::Result<()> {
    if error.raw_os_error() == Some(libc::ENOSYS) { Ok(()) } else { Err(error) }
}

fn streams(plan: &Plan, terminal: &OwnedFd) -> rustix::io::Result<()> {
    let [input, output, errors] = plan.terminal;
    if input {
        rustix::stdio::dup2_stdin(terminal)?;
    }
    if output {
        rustix::stdio::dup2_stdout(terminal)?;
    }
    if errors {
        rustix::stdio::dup2_stderr(terminal)?;
    }
    Ok(())
}

/// Room beyond a limit that is watched, so that it is told of and not just met.
const MORE_PROCESSES: u64 = 8;
const MORE_DISK: u64 = 256 << 20;
const MORE_CPU: u64 = 2;

fn limit(plan: &Plan) -> rustix::io::Result<()> {
    let limits = &plan.limits;
    let mut all = vec![
        (Resource::Core, 0),
        (Resource::Nofile, limits.open_files),
        (Resource::Fsize, limits.disk.saturating_add(MORE_DISK)),
    ];
    // Before 5.14 the user's other processes count too, and then nothing could be started.
    if kernel_is_at_least(5, 14) {
        all.push((Resource::Nproc, u64::from(limits.processes).saturating_add(MORE_PROCESSES)));
    }
    if let Some(seconds) = limits.cpu_secs {
        all.push((Resource::Cpu, seconds.saturating_add(MORE_CPU)));
    }
    for (resource, most) in all {
        // A limit that is lower already, hard, stays: it cannot be raised, and need not.
        let most = getrlimit(resource).maximum.map_or(most, |hard| hard.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

fn kernel_is_at_least(major: u32, minor: u32) -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
}

/// Where commands are looked for when the environment does not say.
const USUAL_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// Executes the program; returns only where that was not possible, with words and the exit code that shells use.
fn execute(plan: &Plan) -> (String, i32) {
    let Some(name) = plan.command.first().filter(|name| !name.is_empty()) else {
        return ("there is no command; name one after `--`".to_owned(), 127);
    };
    let shown = raincoat_types::display_bytes(name);
    let texts = |texts: Vec<Vec<u8>>| texts.into_iter().map(CString::new).collect::<Result<Vec<_>, _>>();
    let env = plan.env.iter().map(|(name, value)| [name, &b"="[..], value].concat()).collect();
    let (Ok(arguments), Ok(env)) = (texts(plan.command.clone()), texts(env)) else {
        return (format!("`{shown}`: an argument or a variable holds a zero byte"), 126);
    };
    let _ = sys::unblock_signals();
    let mut refused = None;
    for path in candidates(plan, name) {
        let Ok(path) = CString::new(path) else { continue };
        match sys::execute(&path, &arguments, &env) {
            Errno::NOENT if rustix::fs::access(&path, rustix::fs::Access::EXISTS).is_ok() => {
                return (format!("`{shown}`: what runs it (its interpreter or loader) is not here"), 126);
            }
            Errno::NOENT | Errno::NOTDIR => {}
            Errno::ACCESS => refused = Some(Errno::ACCESS),
            // A script without a first line that says what runs it: shells run it, so this does.
            Errno::NOEXEC => {
                let mut all = vec![c"sh".to_owned(), path];
                all.extend(arguments.iter().skip(1).cloned());
                refused = Some(sys::execute(c"/bin/sh", &all, &env));
                break;
            }
            other => {
                refused = Some(other);
                break;
            }
        }
    }
    match refused {
        None => (format!("`{shown}`: not found"), 127),
        Some(Errno::ACCESS) => (format!("`{shown}`: may not be executed"), 126),
        Some(error) => (format!("`{shown}`: {}", io::Error::from(error)), 126),
    }
}

fn candidates(plan: &Plan, name: &[u8]) -> Vec<Vec<u8>> {
    if name.contains(&b'/') {
        return vec![name.to_vec()];
    }
    let path = plan.env.iter().find(|(variable, _)| variable == b"PATH").map_or(USUAL_PATH, |(_, path)| path);
    path.split(|byte| *byte == b':')
        .map(|folder| if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() })
        .collect()
}
