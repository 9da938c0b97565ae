//! Our own binary started again as a worker: one socket, nothing else.
//!
//! The worker finds the socket as its standard input. Descriptor 0 because the standard library sets it up after the
//! fork without a gap in which its own error pipe could be overwritten.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use raincoat_types::display_bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, sockopt};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Bytes of a worker's last words (what it wrote to standard error) that are kept.
pub const MAX_LAST_WORDS: usize = 16 << 10;

/// A worker process and our end of its socket. Dropped, the worker is killed and reaped.
#[derive(Debug)]
pub struct Worker {
    socket: UnixStream,
    child: Child,
    pidfd: OwnedFd,
    errors: OwnedFd,
    words: Vec<u8>,
    ended: Option<Ended>,
}

/// How a worker ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// By itself, with this exit code; 0 is well.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Ended {
    /// The kernel killed it at a system call that no worker has any business with (`SIGSYS`): it was taken over, or
    /// has a bug. Worth an entry in the log.
    pub fn by_filter(self) -> bool {
        self == Ended::Signal(libc::SIGSYS)
    }
}

/// Starts this binary (`/proc/self/exe`) again with these arguments.
///
/// The child has: our socket as descriptor 0, `/dev/null` as 1, a pipe that never blocks it as 2, no other
/// descriptor, an empty environment, `/` as its working directory, a process group of its own (the terminal's Ctrl-C
/// reaches the keeper only), and it is killed when the calling *thread* ends (`PR_SET_PDEATHSIG`), so call this from a
/// thread that outlives it.
///
/// # Errors
/// The system's error; `NotFound` where `/proc` is not mounted.
pub fn spawn_worker(arguments: &[&str]) -> io::Result<Worker> {
    let (ours, theirs) = UnixStream::pair()?;
    // Close-on-exec from the start; the standard library duplicates it onto descriptor 2 of the child.
    let (errors, their_errors) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC | NONBLOCK)?;
    let keeper = rustix::process::getpid();
    #[expect(clippy::disallowed_methods, reason = "the one place that starts our own binary")]
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("raincoat")
        .args(arguments)
        .env_clear()
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::from(their_errors));
    // SAFETY: between fork and exec the closure makes three system calls, allocates nothing and takes no lock.
    unsafe { command.pre_exec(move || isolate(keeper)) };
    let mut child = command.spawn()?;
    // Not reaped yet, so the number is still this child's.
    let pidfd = match Pid::from_raw(i32::try_from(child.id()).unwrap_or(0)).ok_or(Errno::SRCH) {
        Ok(pid) => pidfd_open(pid, PidfdFlags::empty()),
        Err(error) => Err(error),
    };
    match pidfd {
        Ok(pidfd) => Ok(Worker { socket: ours, child, pidfd, errors, words: Vec::new(), ended: None }),
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(error.into())
        }
    }
}

const NONBLOCK: rustix::pipe::PipeFlags = rustix::pipe::PipeFlags::NONBLOCK;

fn isolate(keeper: Pid) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // The keeper may have died before the call above; then nobody would ever kill us.
    if rustix::process::getppid() != Some(keeper) {
        return Err(Errno::SRCH.into());
    }
    // Whatever somebody forgot to open with O_CLOEXEC ends here too. Marked, not closed: the standard library still
    // reports an exec that fails through one of them.
    // SAFETY: plain numbers; marking descriptors close-on-exec invalidates none.
    let marked = unsafe {
        libc::syscall(libc::SYS_close_range, 3_u32, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_uint)
    };
    if marked == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// In a worker: its socket, taken from descriptor 0, which is `/dev/null` from then on.
///
/// # Errors
/// `InvalidInput` where descriptor 0 is no stream socket: this process was not started by a keeper.
pub fn worker_socket() -> io::Result<UnixStream> {
    let stdin = io::stdin();
    let is_ours = sockopt::socket_domain(&stdin).is_ok_and(|domain| domain == AddressFamily::UNIX)
        && sockopt::socket_type(&stdin).is_ok_and(|kind| kind == SocketType::STREAM);
    if !is_ours {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "this is a part of raincoat that it starts by itself; use `raincoat do` instead",
        ));
    }
    let socket = UnixStream::from(stdin.as_fd().try_clone_to_owned()?);
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
    let null = rustix::fs::open(c"/dev/null", flags, rustix::fs::Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    Ok(socket)
}

/// Another process of ours, by a descriptor: what is done to it is done to no other that got its number.
#[derive(Debug)]
pub struct Other {
    pidfd: OwnedFd,
}

impl Other {
    /// The process with this number now.
    ///
    /// # Errors
    /// The system's error: there is none, or this kernel has no process descriptors (before 5.3).
    pub fn open(pid: u32) -> io::Result<Other> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
        Ok(Other { pidfd: pidfd_open(pid, PidfdFlags::empty())? })
    }

    /// Asks it to end (`SIGTERM`).
    ///
    /// # Errors
    /// The system's error: it is not ours, or gone.
    pub fn terminate(&self) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.pidfd, Signal::TERM)?)
    }

    /// Ends it (`SIGKILL`).
    ///
    /// # Errors
    /// The system's error: it is not ours, or gone.
    pub fn kill(&self) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.pidfd, Signal::KILL)?)
    }

    /// Waits until all of these have ended, at most so long in all. Says of each whether it has.
    pub fn ended_within(others: &[&Other], at_most: Duration) -> Vec<bool> {
        let until = monotonic().saturating_add(at_most);
        // While one is waited for, the others go on ending.
        others.iter().map(|other| other.ended_by(until)).collect()
    }

    fn ended_by(&self, until: Duration) -> bool {
        loop {
            let left = until.saturating_sub(monotonic());
            match poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Timespec::try_from(left).ok().as_ref()) {
                Ok(0) | Err(Errno::INTR) if left.is_zero() => return false,
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return true,
                Err(_) => return false,
            }
        }
    }
}

/// Bytes of memory that this machine has.
pub fn machine_memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(u64::from(info.mem_unit))
}

/// What this machine is called.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The system's name of who started this process; `uid N` where it has none.
pub fn user_name() -> String {
    let uid = rustix::process::getuid().as_raw();
    let mut entry = std::mem::MaybeUninit::<libc::passwd>::uninit();
    let mut found: *mut libc::passwd = std::ptr::null_mut();
    let mut words = vec![0; NAME_BYTES];
    // SAFETY: `entry` and `found` are ours to be written, and `words` has the length that is given; all outlive the call.
    let answer = unsafe {
        libc::getpwuid_r(uid, entry.as_mut_ptr(), words.as_mut_ptr(), words.len(), std::ptr::from_mut(&mut found))
    };
    if answer != 0 || found.is_null() {
        return format!("uid {uid}");
    }
    // SAFETY: the call succeeded and found an entry, so `entry` is written.
    let entry = unsafe { entry.assume_init() };
    // SAFETY: its name is a string that ends in a zero byte, within `words`, which is still there.
    let name = unsafe { std::ffi::CStr::from_ptr(entry.pw_name) };
    display_bytes(name.to_bytes())
}

/// Room for one user's entry: names, directories, a shell.
const NAME_BYTES: usize = 16 << 10;

/// Stops this process, as Ctrl-Z would; returns when it was told to go on.
///
/// # Errors
/// The system's error.
pub fn stop_here() -> io::Result<()> {
    Ok(rustix::process::kill_process(rustix::process::getpid(), Signal::STOP)?)
}

/// Whether a descriptor has something to read just now (or has ended), without waiting.
pub fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
}

impl Worker {
    /// Our end of its socket. Clone the handle (`try_clone`) to read and write from two threads.
    pub fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Its process id, for the log.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Becomes readable when it has ended (`pidfd_open(2)`), to poll along with other things.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Kills it at once (`SIGKILL`); fine if it has ended already. [`Worker::wait`] reaps it.
    ///
    /// # Errors
    /// The system's error.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()
    }

    /// Waits for its end, this long at most; `None` where it still runs then.
    ///
    /// # Errors
    /// The system's error.
    pub fn wait(&mut self, at_most: Duration) -> io::Result<Option<Ended>> {
        if self.ended.is_none() && self.has_ended(at_most)? {
            let status = self.child.wait()?;
            self.ended = match (status.code(), status.signal()) {
                (Some(code), _) => Some(Ended::Code(code)),
                (None, Some(signal)) => Some(Ended::Signal(signal)),
                (None, None) => None,
            };
        }
        Ok(self.ended)
    }

    fn has_ended(&self, at_most: Duration) -> io::Result<bool> {
        let end = monotonic().saturating_add(at_most);
        loop {
            let left = end.saturating_sub(monotonic());
            let left = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
            match poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&left)) {
                Ok(ready) => return Ok(ready > 0),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What it has written to standard error so far, such as a panic's message: the first [`MAX_LAST_WORDS`] bytes, as
    /// text that is safe to show. It is a worker's word: never an instruction, never proof.
    pub fn last_words(&mut self) -> String {
        let mut part = [0_u8; 4096];
        while self.words.len() < MAX_LAST_WORDS {
            match rustix::io::read(&self.errors, &mut part) {
                Ok(0) => break,
                Ok(got) => self.words.extend_from_slice(part.get(..got).unwrap_or_default()),
                Err(Errno::INTR) => {}
                // Nothing more for now (EAGAIN), or nothing ever.
                Err(_) => break,
            }
        }
        self.words.truncate(MAX_LAST_WORDS);
        self.words.split(|b| *b == b'\n').map(display_bytes).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }
}

fn monotonic() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
