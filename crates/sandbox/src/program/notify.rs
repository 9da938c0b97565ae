//! The supervisor of an enclosed program: it answers the calls that the filter does not answer by itself.
//!
//! It runs in the first process of the program's namespaces, with the same root, the same identity, the same Landlock
//! rules and no capabilities: whatever it does for the program, the program could do itself as far as the kernel's other
//! checks go. What it reads from the program's memory is a request, never trusted: a refusal does not depend on it
//! (only its words do), and what is done is done by the supervisor on what it has opened.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::caller::Caller;
use super::calls::{Answer, rule_for};
use super::rename::Mover;
use super::{say, setid};

/// How many different refusals are told; a program that is refused more is told of no further.
const TOLD_AT_MOST: usize = 1000;

/// Serves the calls of a program, and of all that it starts, that wait for an answer.
#[derive(Debug)]
pub(crate) struct Supervisor {
    listener: OwnedFd,
    told: BTreeSet<(&'static str, String)>,
    mover: Mover,
    unheard: Option<Asked>,
}

/// A call that was refused, and that a person should hear of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refused {
    /// The system call's name.
    pub call: &'static str,
    /// What it was for, in words; bounded, and without anything that could move a terminal's cursor.
    pub detail: String,
}

/// What a call is answered with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reply {
    /// The kernel carries it out.
    Continue,
    /// It succeeded.
    Done,
    /// It fails.
    Fails(Errno),
}

/// Who asked for what. Kept of a rename that was done and whose caller was called away by a signal before it heard so
/// (before Linux 5.19): the kernel lets the caller ask again, and the second time the answer is the first one.
#[derive(PartialEq, Eq, Debug)]
struct Asked {
    pid: u32,
    number: i32,
    arguments: [u64; 6],
}

impl Supervisor {
    /// Serves what the filter sends to `listener` (see [`super::filter::install`]).
    pub(crate) fn new(listener: OwnedFd) -> Supervisor {
        // Linux 6.6: hands the processor over to the one that is asked, and back. Older kernels refuse, and are slower.
        const SYNC_WAKE_UP: u64 = 1;
        // SAFETY: a plain number.
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP) };
        Supervisor { listener, told: BTreeSet::new(), mover: Mover::new(), unheard: None }
    }

    /// Answers one call, if one waits; never blocks for one. A directory that has to be moved piece by piece is moved
    /// by a child of this process, which ends by itself and is to be reaped like any other.
    ///
    /// `None`: nothing that a person should hear of, or something that was told before.
    ///
    /// # Errors
    /// `UnexpectedEof`: nothing is left that could ask; stop polling. Others: the system's.
    pub(crate) fn serve_one(&mut self) -> io::Result<Option<Refused>> {
        let Some(request) = self.next()? else { return Ok(None) };
        let data = &request.data;
        let Some(rule) = rule_for(i64::from(data.nr), &data.args) else {
            send(&self.listener, request.id, Reply::Fails(Errno::NOSYS))?;
            return Ok(None);
        };
        if rule.answer == Answer::Rename {
            return self.rename(&request, rule.call.name).map(|()| None);
        }
        let caller = Caller::new(&self.listener, request.id, request.pid);
        let refused = |detail| Some(Refused { call: rule.call.name, detail });
        let (reply, refused) = match rule.answer {
            Answer::Told(errno) => {
                (Reply::Fails(Errno::from_raw_os_error(errno)), refused(say::refusal(&rule, &data.args, &caller)))
            }
            Answer::SetId => match setid::serve(rule.call.name, &data.args, &caller) {
                Ok(reply) => (reply, None),
                Err(detail) => (Reply::Fails(Errno::PERM), refused(detail)),
            },
            // Served above, or answered by the filter.
            Answer::Rename | Answer::Allow | Answer::Quiet(_) => (Reply::Fails(Errno::NOSYS), None),
        };
        send(&self.listener, request.id, reply)?;
        Ok(refused.and_then(|refused| self.first_time(refused)))
    }

    fn next(&self) -> io::Result<Option<libc::seccomp_notif>> {
        let mut at = [PollFd::new(&self.listener, PollFlags::IN)];
        poll(&mut at, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
        let ready = at.first().map_or(PollFlags::empty(), PollFd::revents);
        if !ready.contains(PollFlags::IN) {
            return if ready.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        // SAFETY: plain numbers, for which zero is a value; the kernel demands zeros.
        let mut request: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the structure that this request fills, of the size that its number says.
        let got = unsafe { libc::ioctl(self.listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut request) };
        if got == 0 {
            return Ok(Some(request));
        }
        match io::Error::last_os_error() {
            // The caller ended, or was called away, in between.
            error if [Some(libc::ENOENT), Some(libc::EINTR)].contains(&error.raw_os_error()) => Ok(None),
            error => Err(error),
        }
    }

    fn rename(&mut self, request: &libc::seccomp_notif, name: &str) -> io::Result<()> {
        let asked = Asked::of(request);
        let heard = self.unheard.take_if(|unheard| *unheard == asked).is_none();
        let reply = if !heard || self.mover.take_unheard(&asked.bytes()) {
            Some(Reply::Done)
        } else {
            let caller = Caller::new(&self.listener, request.id, request.pid);
            self.mover.serve(name, &request.data.args, &caller, |mover, reply| {
                // Any other failure: nobody is left who could be told.
                if matches!(send(&self.listener, request.id, reply), Ok(false)) && reply == Reply::Done {
                    mover.note_unheard(&asked.bytes());
                }
            })
        };
        let Some(reply) = reply else { return Ok(()) };
        if !send(&self.listener, request.id, reply)? && reply == Reply::Done {
            self.unheard = Some(asked);
        }
        Ok(())
    }

    fn first_time(&mut self, refused: Refused) -> Option<Refused> {
        let new = self.told.len() < TOLD_AT_MOST && self.told.insert((refused.call, refused.detail.clone()));
        new.then_some(refused)
    }
}

impl AsFd for Supervisor {
    /// Readable when a call waits; hung up when nothing is left that could call.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Asked {
    fn of(request: &libc::seccomp_notif) -> Asked {
        Asked { pid: request.pid, number: request.data.nr, arguments: request.data.args }
    }

    fn bytes(&self) -> Vec<u8> {
        let arguments = self.arguments.iter().flat_map(|argument| argument.to_ne_bytes());
        self.pid.to_ne_bytes().into_iter().chain(self.number.to_ne_bytes()).chain(arguments).collect()
    }
}

/// Answers a call; `false`: its caller is gone.
fn send(listener: &OwnedFd, id: u64, reply: Reply) -> io::Result<bool> {
    let (error, flags) = match reply {
        Reply::Continue => (0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
        Reply::Done => (0, 0),
        Reply::Fails(errno) => (-errno.raw_os_error(), 0),
    };
    let mut response = libc::seccomp_notif_resp { id, val: 0, error, flags };
    // SAFETY: the structure that this request reads, of the size that its number says.
    let sent = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response) };
    if sent == 0 {
        return Ok(true);
    }
    match io::Error::last_os_error() {
        error if [Some(libc::ENOENT), Some(libc::EINPROGRESS)].contains(&error.raw_os_error()) => Ok(false),
        error => Err(error),
    }
}
