//! Probes that need a process of their own: our binary, started again as it is for a worker.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use raincoat_os::process::{Ended, Worker, spawn_worker, worker_socket};
use raincoat_types::Limits;

use crate::thread::{makes_socket, opens_root};
use crate::{Layer, program, worker};

/// A helper that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(10);

const WORKER: u8 = b'w';
const DUMPABLE: u8 = b'd';
const NEEDS: u8 = b'n';

const MAX_PATH: u64 = 4096;

const YES: u8 = b'y';
const NO: u8 = b'n';

/// What the binary runs under the hidden subcommand that [`crate::probe`] is given.
///
/// # Errors
/// `InvalidInput` where it was not started by a probe; else the socket's error.
pub fn probe_main() -> io::Result<()> {
    let mut socket = worker_socket()?;
    let mut order = [0_u8; 17];
    socket.read_exact(&mut order)?;
    let [order, rest @ ..] = order;
    let (first, second) = rest.split_at(8);
    let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
    let (first, second) = (number(first), number(second));
    match order {
        WORKER => {
            let worker_cpu_secs = u32::try_from(second).unwrap_or(u32::MAX);
            be_a_worker(&mut socket, &Limits { worker_memory: first, worker_cpu_secs, ..Limits::default() })
        }
        DUMPABLE => socket.write_all(&look_into_others(first)),
        NEEDS => {
            let mut scratch = Vec::new();
            (&socket).take(first.min(MAX_PATH)).read_to_end(&mut scratch)?;
            program::try_needs(&scratch, &mut socket)
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn be_a_worker(socket: &mut UnixStream, limits: &Limits) -> io::Result<()> {
    socket.write_all(&[answer(opens_root()), answer(makes_socket()), answer(makes_code())])?;
    match worker::enclose(limits, socket.as_fd()) {
        Ok(enclosure) => {
            let missing: Vec<_> = enclosure.missing().map(|layer| &*layer.name).collect();
            socket.write_all(&[YES, answer(opens_root()), answer(makes_code())])?;
            socket.write_all(missing.join(", ").as_bytes())?;
        }
        Err(fault) => {
            socket.write_all(&[NO, NO, NO])?;
            return socket.write_all(fault.to_string().as_bytes());
        }
    }
    // This is to be the end.
    makes_socket();
    Ok(())
}

/// The worker's enclosure as a whole.
pub(super) fn worker(helper: &[&str], limits: &Limits) -> Layer {
    const NAME: &str = "worker";
    const FIX: &str = "see whether a container or a sandbox around raincoat forbids it";
    let (said, ended) = match ask(helper, WORKER, limits.worker_memory, limits.worker_cpu_secs.into()) {
        Ok(answer) => answer,
        Err(error) => return Layer::unknown(NAME, format!("the probe could not run: {error}"), FIX),
    };
    let words = |rest: &[u8]| raincoat_types::display_bytes(rest);
    match said.as_slice() {
        [YES, YES, YES, YES, NO, NO, missing @ ..] if ended.by_filter() => {
            let lacks = if missing.is_empty() { String::new() } else { format!("; lacks {}", words(missing)) };
            Layer::enforced(NAME, format!("opening, executable memory and a socket were refused{lacks}"))
        }
        [YES, YES, YES, YES, ..] => Layer::missing(NAME, "an enclosed process was not stopped", FIX),
        [YES, YES, YES, NO, NO, NO, fault @ ..] => Layer::missing(NAME, words(fault), FIX),
        [_, _, _, ..] => Layer::unknown(NAME, "what it refuses fails without it too", FIX),
        _ => Layer::unknown(NAME, "the probe said nothing", FIX),
    }
}

/// Whether memory can be mapped to be executed.
fn makes_code() -> bool {
    let prot = libc::PROT_READ | libc::PROT_EXEC;
    // SAFETY: a new private mapping at an address of the kernel's choice, unmapped unused.
    unsafe {
        let page = libc::mmap(std::ptr::null_mut(), 4096, prot, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0);
        page != libc::MAP_FAILED && libc::munmap(page, 4096) == 0
    }
}

/// Can this process read the memory of a child of its own (dumpable), and of the keeper (not to be)?
fn look_into_others(keeper: u64) -> [u8; 2] {
    // SAFETY: this process has one thread; the child does nothing but wait to be killed.
    let child = unsafe { libc::fork() };
    if child == 0 {
        loop {
            // SAFETY: no arguments.
            unsafe { libc::pause() };
        }
    }
    let readable = |pid: u64| {
        let (path, flags) = (format!("/proc/{pid}/mem"), rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC);
        rustix::fs::open(path, flags, rustix::fs::Mode::empty()).is_ok()
    };
    let seen = u64::try_from(child).is_ok_and(readable);
    if child > 0 {
        // SAFETY: a child of ours, not reaped yet.
        unsafe { libc::kill(child, libc::SIGKILL) };
    }
    [answer(seen), answer(readable(keeper))]
}

/// Whether another process of this user can read our memory.
pub(super) fn not_dumpable(helper: &[&str]) -> Layer {
    const NAME: &str = "not-dumpable";
    const FIX: &str = "this is a bug in raincoat: the process did not harden itself";
    if rustix::process::geteuid().is_root() {
        return Layer::unknown(NAME, "root may read any process's memory", "run raincoat as an ordinary user");
    }
    match ask(helper, DUMPABLE, std::process::id().into(), 0) {
        Ok((said, _)) => match said.as_slice() {
            [YES, NO] => Layer::enforced(NAME, "another process of this user was refused our memory"),
            [YES, _] => Layer::missing(NAME, "another process of this user can read our memory", FIX),
            _ => Layer::unknown(NAME, "one process cannot read another's memory here at all", ""),
        },
        Err(error) => Layer::unknown(NAME, format!("the probe could not run: {error}"), ""),
    }
}

/// What programs in drafts need, each tried.
pub(super) fn program_needs(helper: &[&str], data_dir: BorrowedFd<'_>) -> Vec<Layer> {
    program::needs(data_dir, |scratch| {
        let length = u64::try_from(scratch.len()).unwrap_or(u64::MAX);
        ask_with(helper, NEEDS, [length, 0], scratch).map(|(said, _)| said)
    })
}

fn ask(helper: &[&str], order: u8, first: u64, second: u64) -> io::Result<(Vec<u8>, Ended)> {
    ask_with(helper, order, [first, second], &[])
}

fn ask_with(helper: &[&str], order: u8, numbers: [u64; 2], more: &[u8]) -> io::Result<(Vec<u8>, Ended)> {
    let mut child: Worker = spawn_worker(helper)?;
    let mut message = vec![order];
    numbers.iter().for_each(|number| message.extend_from_slice(&number.to_le_bytes()));
    message.extend_from_slice(more);
    let mut socket = child.socket();
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(&message)?;
    let mut said = Vec::new();
    // A helper that is killed may leave an error on the socket instead of an end; what it said before counts.
    let _ = socket.take(4096).read_to_end(&mut said);
    match child.wait(PATIENCE)? {
        Some(ended) => Ok((said, ended)),
        None => Err(io::ErrorKind::TimedOut.into()),
    }
}

fn answer(yes: bool) -> u8 {
    if yes { YES } else { NO }
}
