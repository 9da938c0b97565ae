//! The first process while the program runs: it hears the keeper, answers the filter's notices, reaps, watches the
//! limits, and ends everything when the program has ended or the keeper is gone.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

use super::fault;
use super::notify::Supervisor;
use super::start::{Go, Said};
use super::watch::Watch;
use super::wire::{Order, Report, Wire};
use super::{Event, LimitKind, sys};
use crate::SandboxFault;

/// What is left when the program ends is asked to end, and gets this long.
const GRACE: Duration = Duration::from_millis(500);

/// After the time limit everything is asked to end, and gets this long.
const AFTER_WALL: Duration = Duration::from_secs(2);

/// What there is to supervise.
pub(super) struct Inside {
    pub(super) program: Pid,
    pub(super) child: Wire,
    pub(super) notices: Supervisor,
    pub(super) watch: Watch,
}

/// The supervisor.
pub(super) struct Supervise {
    inside: Inside,
    signals: OwnedFd,
    /// The program's process was told to go and has not become the program yet.
    starting: bool,
    /// Something may still ask.
    asked: bool,
    limited: bool,
    kill_at: Option<Duration>,
}

/// How the wait for the next thing went.
enum Came {
    Ended(WaitStatus),
    NotStarted(String, i32),
    KeeperGone,
    Nothing,
}

/// Serves notices until the checks of the program's process are done: what they try is answered here too.
pub(super) fn until_checked(child: &mut Wire) -> Result<Supervisor, SandboxFault> {
    use fault::Or;
    const LAYER: &str = "program-filter";
    let mut notices: Option<(Supervisor, OwnedFd)> = None;
    loop {
        if !child.has_more() {
            let mut fds = vec![PollFd::from_borrowed_fd(child.as_fd(), PollFlags::IN)];
            fds.extend(notices.as_ref().map(|(notices, _)| PollFd::from_borrowed_fd(notices.as_fd(), PollFlags::IN)));
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error).or_fault(LAYER, "wait for the program", super::enclose::REPORT),
            }
            let [said, asked] = [0, 1].map(|at| fds.get(at).is_some_and(|fd| !fd.revents().is_empty()));
            drop(fds);
            if asked && let Some((notices, _)) = &mut notices {
                // What the checks try is refused on purpose, and told to nobody.
                let _ = notices.serve_one();
            }
            if !said {
                continue;
            }
        }
        match child.receive(None).or_fault(LAYER, "hear of the program", super::enclose::REPORT)? {
            Some(Said::Filtered) => {
                let listener = child.descriptor().or_fault(LAYER, "take over its notices", super::enclose::REPORT)?;
                let again = listener.try_clone().or_fault(LAYER, "keep its notices", super::enclose::REPORT)?;
                notices = Some((Supervisor::new(listener), again));
            }
            Some(Said::Fault { layer, why, fix }) => return Err(fault::fault(&layer, why, &fix)),
            Some(Said::Checked) => {
                // A new one: what the checks tried counts as told to nobody.
                let listener = notices.map(|(_, listener)| listener);
                return listener
                    .map(Supervisor::new)
                    .ok_or_else(|| fault::fault(LAYER, "there is no filter", super::enclose::REPORT));
            }
            Some(Said::NotStarted(..)) | None => {
                return Err(fault::fault("program", "it ended before it was checked", super::enclose::REPORT));
            }
        }
    }
}

impl Supervise {
    pub(super) fn new(inside: Inside) -> io::Result<Supervise> {
        let signals = sys::child_signals()?;
        Ok(Supervise { inside, signals, starting: false, asked: true, limited: false, kill_at: None })
    }

    /// Until the end. Returns this process's exit code.
    pub(super) fn run(mut self, wire: &mut Wire) -> i32 {
        loop {
            match self.step(wire) {
                Ok(Came::Nothing) => {}
                Ok(Came::Ended(status)) => {
                    self.limit_at_the_end(wire, status);
                    let left_running = self.end_the_rest();
                    let (code, signal) = (status.exit_status(), status.terminating_signal());
                    let ended = Event::Ended { code, signal, left_running };
                    return i32::from(wire.send(&Report::Event(ended), &[]).is_err());
                }
                Ok(Came::NotStarted(words, code)) => {
                    let event = Event::NotStarted(words, code);
                    return i32::from(wire.send(&Report::Event(event), &[]).is_err());
                }
                Ok(Came::KeeperGone) => {
                    let _ = sys::kill(-1, libc::SIGKILL);
                    return 1;
                }
                Err(error) => {
                    // The program has the same user, and can take the supervisor's means away: it goes first.
                    let _ = sys::kill(-1, libc::SIGKILL);
                    while !matches!(wait(WaitOptions::empty()), Err(Errno::CHILD)) {}
                    let words = format!("the supervisor could not go on: {error}");
                    let limit = Event::Limit { which: LimitKind::Machine, words };
                    let ended = Event::Ended { code: None, signal: Some(libc::SIGKILL), left_running: 0 };
                    let told = [limit, ended].map(|event| wire.send(&Report::Event(event), &[]));
                    return i32::from(told.iter().any(Result::is_err));
                }
            }
        }
    }

    fn step(&mut self, wire: &mut Wire) -> io::Result<Came> {
        let now = super::watch::now();
        let due = [self.kill_at, self.inside.watch.due()].into_iter().flatten().min();
        let timeout = due.and_then(|due| Timespec::try_from(due.saturating_sub(now)).ok());
        let mut fds = vec![
            PollFd::from_borrowed_fd(wire.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(
                self.inside.child.as_fd(),
                if self.starting { PollFlags::IN } else { PollFlags::empty() },
            ),
        ];
        // A descriptor that has hung up would be ready for ever.
        if !self.starting {
            fds.truncate(2);
        }
        let notices = fds.len();
        if self.asked {
            fds.push(PollFd::from_borrowed_fd(self.inside.notices.as_fd(), PollFlags::IN));
        }
        if !wire.has_more() {
            match poll(&mut fds, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        let (ordered, died, said, asks) =
            (ready(0) || wire.has_more(), ready(1), self.starting && ready(2), self.asked && ready(notices));
        drop(fds);
        if asks {
            self.answer(wire);
        }
        if said && let Some(came) = self.hear_the_child() {
            return Ok(came);
        }
        if died && let Some(status) = self.reap(wire)? {
            // Why it did not start, where it did not.
            if self.starting
                && let Some(came) = self.hear_the_child()
            {
                return Ok(came);
            }
            return Ok(Came::Ended(status));
        }
        if ordered && !self.obey(wire)? {
            return Ok(Came::KeeperGone);
        }
        self.keep_limits(wire)?;
        Ok(Came::Nothing)
    }

    fn answer(&mut self, wire: &Wire) {
        match self.inside.notices.serve_one() {
            Ok(Some(refused)) => {
                let event = Event::Refused { call: refused.call.to_owned(), detail: refused.detail, times: 1 };
                // A keeper that is gone is noticed where its orders are read.
                let _ = wire.send(&Report::Event(event), &[]);
            }
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.asked = false,
            // The caller is gone, or the notice is: there is nobody to answer.
            Err(_) => {}
        }
    }

    /// The program's process says only that it could not become the program; when it has, its end of the socket closes.
    fn hear_the_child(&mut self) -> Option<Came> {
        match self.inside.child.receive(Some(Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(Some(Said::NotStarted(words, code))) => Some(Came::NotStarted(words, code)),
            Ok(_) => None,
            Err(_) => {
                self.starting = false;
                None
            }
        }
    }

    /// Reaps whatever has ended; gives the program's status where that is among it.
    fn reap(&mut self, wire: &Wire) -> io::Result<Option<WaitStatus>> {
        let mut drain = [0_u8; 1024];
        while rustix::io::read(&self.signals, &mut drain).is_ok_and(|length| length > 0) {}
        loop {
            let options = WaitOptions::NOHANG | WaitOptions::UNTRACED | WaitOptions::CONTINUED;
            let (pid, status) = match wait(options) {
                Ok(Some(changed)) => changed,
                Ok(None) | Err(Errno::CHILD) => return Ok(None),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            if pid != self.inside.program {
                continue;
            }
            let event = match status.stopping_signal() {
                Some(signal) => Event::Stopped(signal),
                None if status.continued() => Event::Continued,
                None => return Ok(Some(status)),
            };
            let _ = wire.send(&Report::Event(event), &[]);
        }
    }

    /// Does what the keeper wants. `false`: the keeper is gone.
    fn obey(&mut self, wire: &mut Wire) -> io::Result<bool> {
        let program = self.inside.program.as_raw_nonzero().get();
        match wire.receive(Some(Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(Some(Order::Go)) => {
                self.inside.watch.start();
                self.starting = true;
                self.inside.child.send(&Go, &[])?;
            }
            Ok(Some(Order::Signal(signal))) => {
                let group = [libc::SIGINT, libc::SIGQUIT, libc::SIGTSTP, libc::SIGHUP, libc::SIGWINCH, libc::SIGCONT];
                let whom = if group.contains(&signal) { program.wrapping_neg() } else { program };
                // Ended just now, or a number that is no signal: nobody to tell.
                let _ = sys::kill(whom, signal);
            }
            Ok(Some(Order::Resume)) => {
                let _ = sys::kill(program.wrapping_neg(), libc::SIGCONT);
            }
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    fn keep_limits(&mut self, wire: &Wire) -> io::Result<()> {
        let now = super::watch::now();
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = None;
            let _ = sys::kill(-1, libc::SIGKILL);
        }
        if self.limited {
            return Ok(());
        }
        let Some((which, words)) = self.inside.watch.look(now) else { return Ok(()) };
        self.limited = true;
        if which == LimitKind::Wall {
            self.kill_at = Some(now.saturating_add(AFTER_WALL));
            self.ask_all_to_end();
        } else {
            let _ = sys::kill(-1, libc::SIGKILL);
        }
        wire.send(&Report::Event(Event::Limit { which, words }), &[])
    }

    /// It met a limit that the kernel keeps, or came to one since the last look.
    fn limit_at_the_end(&mut self, wire: &Wire, status: WaitStatus) {
        if self.limited {
            return;
        }
        let met = match status.terminating_signal() {
            Some(libc::SIGXCPU) => Some((LimitKind::Cpu, "processor time is used up".to_owned())),
            Some(libc::SIGXFSZ) => Some((LimitKind::Disk, "a file grew beyond what may be written".to_owned())),
            _ => self.inside.watch.last_look(),
        };
        if let Some((which, words)) = met {
            self.limited = true;
            let _ = wire.send(&Report::Event(Event::Limit { which, words }), &[]);
        }
    }

    fn ask_all_to_end(&self) {
        let _ = sys::kill(-1, libc::SIGTERM);
        // What was stopped would not hear it.
        let _ = sys::kill(-1, libc::SIGCONT);
    }

    /// Ends what the program left running: asked first, killed then. Says how many there were.
    fn end_the_rest(&mut self) -> u32 {
        let left = self.inside.watch.others();
        if left == 0 && nobody_left() {
            return 0;
        }
        self.ask_all_to_end();
        let until = super::watch::now().saturating_add(GRACE);
        while !nobody_left() && super::watch::now() < until {
            let soon = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
            let mut fds = vec![PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN)];
            if self.asked {
                fds.push(PollFd::from_borrowed_fd(self.inside.notices.as_fd(), PollFlags::IN));
            }
            let _ = poll(&mut fds, Some(&soon));
            let asks = fds.get(1).is_some_and(|fd| !fd.revents().is_empty());
            drop(fds);
            if asks && self.inside.notices.serve_one().is_err_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
            {
                self.asked = false;
            }
            let mut drain = [0_u8; 1024];
            while rustix::io::read(&self.signals, &mut drain).is_ok_and(|length| length > 0) {}
        }
        let _ = sys::kill(-1, libc::SIGKILL);
        while !matches!(wait(WaitOptions::empty()), Err(Errno::CHILD)) {}
        left
    }
}

/// Everything inside descends from this process: without a child, it is alone.
fn nobody_left() -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}
