//! A person's terminal: what was typed before a question is thrown away, a wait can be broken off, and a passphrase is
//! not echoed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, Termios, Winsize, tcflush, tcgetattr, tcgetwinsize, tcsetattr,
    tcsetwinsize,
};

/// Throws away what was typed and not read yet: an answer given before the question was shown is no answer.
///
/// # Errors
/// The system's error, where `fd` is no terminal.
pub fn discard_input(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(tcflush(fd, QueueSelector::IFlush)?)
}

/// Waits at most `millis` until there is something to read, or the other end is gone. A signal ends the wait early
/// with `false`.
///
/// # Errors
/// The system's error.
pub fn wait_input(fd: BorrowedFd<'_>, millis: u32) -> io::Result<bool> {
    let timeout = Timespec { tv_sec: i64::from(millis / 1000), tv_nsec: i64::from(millis % 1000) * 1_000_000 };
    match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Rows and columns of the terminal; `None` where `fd` is none, or does not say.
pub fn size(fd: BorrowedFd<'_>) -> Option<(u16, u16)> {
    let size = tcgetwinsize(fd).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

/// Tells a terminal how large it is. Whoever runs in its foreground gets `SIGWINCH`.
///
/// # Errors
/// The system's error, where `fd` is no terminal.
pub fn set_size(fd: BorrowedFd<'_>, (rows, columns): (u16, u16)) -> io::Result<()> {
    Ok(tcsetwinsize(fd, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?)
}

/// While this lives, every key goes through as it is: no line editing, no echo, no signals by keys.
#[derive(Debug)]
pub struct RawInput {
    fd: OwnedFd,
    before: Termios,
}

impl RawInput {
    /// Lets everything through.
    ///
    /// # Errors
    /// The system's error, where `fd` is no terminal.
    pub fn start(fd: BorrowedFd<'_>) -> io::Result<RawInput> {
        let fd = fd.try_clone_to_owned()?;
        let before = tcgetattr(&fd)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&fd, OptionalActions::Drain, &raw)?;
        Ok(RawInput { fd, before })
    }
}

impl Drop for RawInput {
    fn drop(&mut self) {
        // Nothing to be done where the terminal is gone.
        let _ = tcsetattr(self.fd.as_fd(), OptionalActions::Drain, &self.before);
    }
}

/// While this lives, the terminal shows nothing of what is typed.
#[derive(Debug)]
pub struct HiddenInput {
    fd: OwnedFd,
    before: Termios,
}

impl HiddenInput {
    /// Turns the echo off, and throws away what was typed before.
    ///
    /// # Errors
    /// The system's error, where `fd` is no terminal.
    pub fn start(fd: BorrowedFd<'_>) -> io::Result<HiddenInput> {
        let fd = fd.try_clone_to_owned()?;
        let before = tcgetattr(&fd)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        hidden.local_modes.insert(LocalModes::ECHONL | LocalModes::ICANON);
        tcsetattr(&fd, OptionalActions::Flush, &hidden)?;
        Ok(HiddenInput { fd, before })
    }
}

impl Drop for HiddenInput {
    fn drop(&mut self) {
        // Nothing to be done where the terminal is gone.
        let _ = tcsetattr(self.fd.as_fd(), OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_terminal_is_an_error_or_nothing() {
        let (read, _write) = io::pipe().unwrap();
        assert!(discard_input(read.as_fd()).is_err());
        assert!(HiddenInput::start(read.as_fd()).is_err());
        assert!(RawInput::start(read.as_fd()).is_err());
        assert!(set_size(read.as_fd(), (24, 80)).is_err());
        assert_eq!(size(read.as_fd()), None);
    }

    #[test]
    fn a_wait_ends_with_the_input_or_the_time() {
        let (read, mut write) = io::pipe().unwrap();
        assert!(!wait_input(read.as_fd(), 10).unwrap());
        io::Write::write_all(&mut write, b"x").unwrap();
        assert!(wait_input(read.as_fd(), 10_000).unwrap());
    }
}
