//! Asking the person at the terminal. What was typed before a question stood there is thrown away, Ctrl-C and a
//! terminal that has gone away end the question, and a passphrase is not echoed.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use raincoat_runtime::terminal::{HiddenInput, discard_input, wait_input};
use raincoat_types::Secret;

/// The longest answer, in bytes.
const MAX_LINE: usize = 4096;
/// How often a waiting question looks whether Ctrl-C was pressed, in milliseconds.
const LOOK_MILLIS: u32 = 100;

/// A terminal to ask at.
pub(crate) struct Terminal {
    input: File,
}

/// How a question ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answered<T> {
    /// With an answer.
    Line(T),
    /// The terminal has gone away, or Ctrl-D was pressed.
    Gone,
    /// Ctrl-C was pressed.
    Stopped,
    /// There is an answer from elsewhere.
    Elsewhere,
}

impl Terminal {
    /// Standard input, where it is a terminal and the question can be seen too.
    pub(crate) fn standard() -> Option<Terminal> {
        let seen = io::stdin().is_terminal() && io::stderr().is_terminal();
        let input = io::stdin().as_fd().try_clone_to_owned().ok()?;
        seen.then(|| Terminal { input: File::from(input) })
    }

    /// The terminal behind the process, although standard input is something else: for a passphrase while a key is
    /// piped in.
    #[expect(clippy::disallowed_methods, reason = "the terminal is no user's file")]
    pub(crate) fn behind() -> Option<Terminal> {
        let input = File::open("/dev/tty").ok()?;
        (input.is_terminal() && io::stderr().is_terminal()).then_some(Terminal { input })
    }

    /// Asks a question and waits for a line. `stop` ends the wait.
    pub(crate) fn ask(&mut self, question: &str, stop: &AtomicBool) -> Answered<String> {
        self.ask_unless(question, stop, &|| false)
    }

    /// The same; an answer from elsewhere ends the wait too.
    pub(crate) fn ask_unless(
        &mut self,
        question: &str,
        stop: &AtomicBool,
        elsewhere: &dyn Fn() -> bool,
    ) -> Answered<String> {
        if discard_input(self.input.as_fd()).is_err() || say(question).is_err() {
            return Answered::Gone;
        }
        match self.line(stop, elsewhere) {
            Answered::Line(bytes) => Answered::Line(String::from_utf8_lossy(&bytes).trim().to_owned()),
            Answered::Gone => Answered::Gone,
            Answered::Stopped => Answered::Stopped,
            Answered::Elsewhere => Answered::Elsewhere,
        }
    }

    /// Asks for something that must not be seen.
    pub(crate) fn ask_hidden(&mut self, question: &str, stop: &AtomicBool) -> Answered<Secret<String>> {
        let Ok(hidden) = HiddenInput::start(self.input.as_fd()) else { return Answered::Gone };
        if say(question).is_err() {
            return Answered::Gone;
        }
        let answer = self.line(stop, &|| false);
        drop(hidden);
        match answer {
            Answered::Line(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Answered::Line(Secret::new(text)),
                Err(_) => Answered::Gone,
            },
            Answered::Gone | Answered::Elsewhere => Answered::Gone,
            Answered::Stopped => Answered::Stopped,
        }
    }

    /// One line without its end. The terminal gives whole lines, one a read.
    fn line(&mut self, stop: &AtomicBool, elsewhere: &dyn Fn() -> bool) -> Answered<Vec<u8>> {
        // As large as it can get, so that a secret in it is never left behind in a smaller one.
        let mut line = Vec::with_capacity(MAX_LINE);
        let mut byte = [0_u8];
        loop {
            if stop.load(Ordering::SeqCst) {
                return Answered::Stopped;
            }
            match wait_input(self.input.as_fd(), LOOK_MILLIS) {
                Ok(false) if elsewhere() => return Answered::Elsewhere,
                Ok(false) => continue,
                Ok(true) => {}
                Err(_) => return Answered::Gone,
            }
            match self.input.read(&mut byte) {
                Ok(0) => return Answered::Gone,
                Ok(_) if byte == *b"\n" => return Answered::Line(line),
                Ok(_) if line.len() < MAX_LINE => line.extend_from_slice(&byte),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Answered::Gone,
            }
        }
    }
}

fn say(question: &str) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    stderr.write_all(question.as_bytes())?;
    stderr.flush()
}
