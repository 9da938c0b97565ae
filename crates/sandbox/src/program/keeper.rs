//! The keeper's side: it starts the enclosing process, hears of the program, and ends it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use super::watch::now;
use super::wire::{Order, Report, Wire};
use super::{ENCLOSE, Plan};
use crate::SandboxFault;

/// Building takes milliseconds; on a machine that is busy, seconds.
const BUILD: Duration = Duration::from_secs(30);
/// What is killed is gone in milliseconds, but for one that waits for a disk.
const GONE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// What the program gets as its standard streams where [`Plan::terminal`] does not say that it is the terminal.
#[derive(Debug, Default)]
pub struct Streams {
    /// `None`: the keeper's own.
    pub stdin: Option<OwnedFd>,
    /// `None`: the keeper's own.
    pub stdout: Option<OwnedFd>,
    /// `None`: the keeper's own.
    pub stderr: Option<OwnedFd>,
}

/// What was built around the program, which does not run yet.
#[derive(Debug)]
pub struct Ready {
    /// What holds, and what this machine lacks.
    pub layers: Vec<HeldLayer>,
    /// With [`super::Network::Proxy`]: a listening TCP socket at 127.0.0.1, [`super::PROXY_PORT`], inside.
    pub listener: Option<OwnedFd>,
    /// The keeper's end of the program's terminal.
    pub terminal: Option<OwnedFd>,
    /// The process id of the first process inside, as seen outside.
    pub init_pid: u32,
}

/// A layer, told by the process that put it in force.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HeldLayer {
    /// Its name, the same for ever.
    pub name: String,
    /// Whether it is in force; else this machine lacks it.
    pub enforced: bool,
    /// What it does, or why it is not there.
    pub why: String,
    /// What to do about it; empty where there is nothing to do.
    pub fix: String,
}

/// Which limit was reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LimitKind {
    /// [`super::ProgramLimits::cpu_secs`].
    Cpu,
    /// [`super::ProgramLimits::memory`].
    Memory,
    /// [`super::ProgramLimits::processes`].
    Processes,
    /// [`super::ProgramLimits::disk`].
    Disk,
    /// [`super::ProgramLimits::wall_secs`].
    Wall,
    /// The machine itself is nearly out of memory or of space on a disk.
    Machine,
}

/// Something that happened inside.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// It could not be executed: why, in words, and the exit code that a shell would give (126 or 127). `Ended` does
    /// not follow.
    NotStarted(String, i32),
    /// Something was refused to the program.
    Refused {
        /// The system call.
        call: String,
        /// With what, in words.
        detail: String,
        /// How many times more than told before.
        times: u64,
    },
    /// This signal stopped the program (Ctrl-Z is `SIGTSTP`). [`Program::resume`] lets it go on.
    Stopped(i32),
    /// It goes on.
    Continued,
    /// A limit was reached. Everything inside is being ended; `Ended` follows.
    Limit {
        /// Which.
        which: LimitKind,
        /// How much, of how much, in words.
        words: String,
    },
    /// The first process has ended, and so has everything else inside.
    Ended {
        /// Its exit code, where it ended by itself.
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
        /// Processes that were left running and were ended with it.
        left_running: u32,
    },
}

/// An enclosed program. Dropped, everything inside is killed.
#[derive(Debug)]
pub struct Program {
    wire: Wire,
    child: Child,
    pidfd: OwnedFd,
    init: Option<OwnedFd>,
    init_pid: u32,
    /// Told that everything inside has ended.
    over: bool,
}

/// A way to send a program signals.
#[derive(Debug)]
pub struct ProgramSignals {
    wire: Wire,
}

impl ProgramSignals {
    /// As [`Program::signal`].
    pub fn send(&self, signal: i32) {
        let _ = self.wire.send(&Order::Signal(signal), &[]);
    }
}

/// The process that will enclose a program, before it knows which: starting it costs a millisecond that other work can
/// fill. Dropped, it ends.
#[derive(Debug)]
pub struct Started(Program);

impl Started {
    /// Says what to enclose. Returns as soon as that is sent; [`Program::ready`] waits for what is built.
    ///
    /// # Errors
    /// The process died.
    pub fn enclose(self, plan: &Plan) -> Result<Program, SandboxFault> {
        self.0.wire.send(plan, &[]).map_err(SandboxFault::at("say what to enclose"))?;
        Ok(self.0)
    }
}

/// Starts this binary again to enclose a program ([`super::enclose_main`], under the first argument
/// [`super::ENCLOSE`]).
///
/// The program's streams are the keeper's own, but for what is given here, and what is a terminal by the plan.
/// Everything inside is killed when the calling *thread* ends, so call this from one that outlives the program.
///
/// # Errors
/// The process could not be started, or died at once.
pub fn start(streams: Streams) -> Result<Started, SandboxFault> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .map_err(SandboxFault::at("make a socket"))?;
    let stream = |given: Option<OwnedFd>| given.map_or_else(Stdio::inherit, Stdio::from);
    #[expect(clippy::disallowed_methods, reason = "one of the two places that start our own binary")]
    let mut command = Command::new("/proc/self/exe");
    // No `pre_exec`: without it the standard library starts the child without copying this process's page tables,
    // which is ten times as fast. So the socket is inherited, and its number is an argument.
    command
        .arg0("raincoat")
        .arg(ENCLOSE)
        .arg(theirs.as_raw_fd().to_string())
        .env_clear()
        .stdin(stream(streams.stdin))
        .stdout(stream(streams.stdout))
        .stderr(stream(streams.stderr));
    rustix::io::fcntl_setfd(&theirs, rustix::io::FdFlags::empty()).map_err(SandboxFault::at("pass a socket on"))?;
    let mut child = command.spawn().map_err(SandboxFault::at("start the process that encloses"))?;
    drop(theirs);
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pidfd = match pid.ok_or(rustix::io::Errno::SRCH).and_then(|pid| pidfd_open(pid, PidfdFlags::empty())) {
        Ok(pidfd) => pidfd,
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(SandboxFault::at("watch the process that encloses")(error));
        }
    };
    Ok(Started(Program { wire: Wire::new(ours), child, pidfd, init: None, init_pid: 0, over: false }))
}

/// Starts a process and says what to enclose, at once.
///
/// # Errors
/// As for [`start`].
pub fn launch(plan: &Plan) -> Result<Program, SandboxFault> {
    launch_with(plan, Streams::default())
}

/// [`launch`] with other streams.
///
/// # Errors
/// As for [`start`].
pub fn launch_with(plan: &Plan, streams: Streams) -> Result<Program, SandboxFault> {
    start(streams)?.enclose(plan)
}

impl Program {
    /// Waits until all is built and the start's own checks have passed. The program does not run yet.
    ///
    /// # Errors
    /// [`SandboxFault::Enclosure`]: what could not be built, and what to do. Nothing ran.
    pub fn ready(&mut self) -> Result<Ready, SandboxFault> {
        let until = now().saturating_add(BUILD);
        loop {
            let left = Timespec::try_from(until.saturating_sub(now())).ok();
            let report = self.wire.receive(left).map_err(SandboxFault::at("hear of the enclosure"))?;
            match report {
                Some(Report::Init(pid)) => {
                    self.init_pid = pid;
                    // It may be gone already where building failed; the fault says more then.
                    let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
                    self.init = number.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
                }
                Some(Report::Ready { layers, listener, terminal }) => {
                    let lost = SandboxFault::at::<io::Error>("take over the program's descriptors");
                    let mut take = |there: bool| there.then(|| self.wire.descriptor()).transpose();
                    let both = take(listener).and_then(|listener| Ok((listener, take(terminal)?)));
                    let (listener, terminal) = both.map_err(lost)?;
                    return Ok(Ready { layers, listener, terminal, init_pid: self.init_pid });
                }
                Some(Report::Fault { layer, why, fix }) => return Err(SandboxFault::Enclosure { layer, why, fix }),
                Some(Report::Event(_)) => {
                    return Err(SandboxFault::Leaks("a program was told of before it was allowed to run"));
                }
                // A signal of the keeper's own, such as a window that changed its size, ends a wait early.
                None if now() < until => {}
                None => return Err(SandboxFault::at("enclose in time")(io::Error::from(io::ErrorKind::TimedOut))),
            }
        }
    }

    /// The program may be executed now.
    ///
    /// # Errors
    /// The socket's: the enclosure is gone.
    pub fn go(&mut self) -> io::Result<()> {
        self.wire.send(&Order::Go, &[])
    }

    /// What happened next; `None` where nothing did in this time. After [`Event::Ended`] and [`Event::NotStarted`]
    /// nothing comes any more.
    ///
    /// # Errors
    /// `UnexpectedEof`: the first process inside was killed, and everything inside with it; else the socket's.
    pub fn next(&mut self, at_most: Duration) -> io::Result<Option<Event>> {
        let at_most = Timespec::try_from(at_most).map_err(|_| io::ErrorKind::InvalidInput)?;
        match self.wire.receive(Some(at_most))? {
            Some(Report::Event(event)) => {
                self.over |= matches!(event, Event::Ended { .. } | Event::NotStarted(..));
                Ok(Some(event))
            }
            Some(Report::Fault { layer, why, fix }) => {
                Err(io::Error::other(SandboxFault::Enclosure { layer, why, fix }))
            }
            Some(Report::Ready { .. } | Report::Init(_)) => Err(io::ErrorKind::InvalidData.into()),
            None => Ok(None),
        }
    }

    /// Whether [`Program::next`] has something at hand that the descriptor does not show any more.
    pub fn has_more(&self) -> bool {
        self.wire.has_more()
    }

    /// Sends the program a signal: what a terminal's keys send (`SIGINT`, `SIGQUIT`, `SIGTSTP`), `SIGHUP`, `SIGWINCH`
    /// and `SIGCONT` to its whole process group, others to the program alone.
    pub fn signal(&self, signal: i32) {
        // Where the socket is gone there is nobody left to get it.
        let _ = self.wire.send(&Order::Signal(signal), &[]);
    }

    /// A way to send signals from another thread.
    ///
    /// # Errors
    /// The system's: no descriptor is left.
    pub fn signals(&self) -> io::Result<ProgramSignals> {
        Ok(ProgramSignals { wire: Wire::new(self.wire.as_fd().try_clone_to_owned()?) })
    }

    /// Lets a stopped program go on.
    pub fn resume(&self) {
        let _ = self.wire.send(&Order::Resume, &[]);
    }

    /// Kills everything inside, at once.
    pub fn kill(&self) {
        if let Some(init) = &self.init {
            let _ = pidfd_send_signal(init, Signal::KILL);
        }
        // Its death kills init too, where that is not known yet.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }
}

/// Readable when [`Program::next`] has something to say.
impl AsFd for Program {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wire.as_fd()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        // It holds none of the namespaces, so it is gone at once, while the kernel still takes those down.
        let _ = self.child.wait();
        // Where init was killed its socket closes before the others inside are dead, which may still write until then;
        // its own end comes after all of theirs.
        if let (false, Some(init)) = (self.over, &self.init) {
            let _ = poll(&mut [PollFd::new(init, PollFlags::IN)], Some(&GONE));
        }
    }
}
