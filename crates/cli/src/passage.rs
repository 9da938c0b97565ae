//! A program's terminal and signals, passed through as if it ran bare.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use raincoat_runtime::terminal::{RawInput, set_size, size, wait_input};
use raincoat_runtime::{Passage, Signals, stop_here};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::iterator::{Handle, Signals as Caught};

use crate::error::{Result, system};

/// How often a relay that waits looks whether it is over, in milliseconds.
const LOOK_MILLIS: u32 = 50;

/// Passes a program's streams and signals through.
pub(crate) struct Through {
    caught: Option<Caught>,
    handle: Handle,
    over: Arc<AtomicBool>,
    /// Set by a signal that means that the run is to end.
    stop: Arc<AtomicBool>,
    raw: Option<RawInput>,
    terminal: Option<Arc<File>>,
    output: Option<JoinHandle<()>>,
    /// Where the program's terminal is shown: 1 or 2.
    shown_on_errors: bool,
}

impl Through {
    /// Takes the signals over. `stop` is set by those that end the run.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn start(shown_on_errors: bool) -> Result<(Through, Arc<AtomicBool>)> {
        let caught = Caught::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH])
            .map_err(|why| system("listen for signals", why))?;
        let stop = Arc::new(AtomicBool::new(false));
        let through = Through {
            handle: caught.handle(),
            caught: Some(caught),
            over: Arc::new(AtomicBool::new(false)),
            stop: stop.clone(),
            raw: None,
            terminal: None,
            output: None,
            shown_on_errors,
        };
        Ok((through, stop))
    }

    fn raw(&mut self) {
        self.raw = RawInput::start(io::stdin().as_fd()).ok();
    }
}

impl Passage for Through {
    fn begin(&mut self, terminal: Option<OwnedFd>, signals: Box<dyn Signals>) {
        self.terminal = terminal.map(|fd| Arc::new(File::from(fd)));
        if let Some(terminal) = self.terminal.clone() {
            self.raw();
            let (to, over) = (terminal.clone(), self.over.clone());
            std::thread::spawn(move || pass_input(&to, &over));
            let (from, on_errors) = (terminal.clone(), self.shown_on_errors);
            self.output = Some(std::thread::spawn(move || pass_output(&from, on_errors)));
        }
        let Some(mut caught) = self.caught.take() else { return };
        let (terminal, stop) = (self.terminal.clone(), self.stop.clone());
        std::thread::spawn(move || {
            for signal in caught.forever() {
                match signal {
                    SIGWINCH => {
                        if let (Some(terminal), Some(now)) = (&terminal, size(io::stdin().as_fd())) {
                            let _ = set_size(terminal.as_fd(), now);
                        }
                    }
                    // The kill switch, or a terminal that has gone away: the keeper ends the run, and keeps the draft.
                    SIGTERM | SIGHUP => {
                        stop.store(true, Ordering::SeqCst);
                        signals.send(signal);
                    }
                    other => signals.send(other),
                }
            }
        });
    }

    fn stopped(&mut self) {
        self.raw = None;
        let _ = stop_here();
        if let Some(terminal) = self.terminal.clone() {
            if let Some(now) = size(io::stdin().as_fd()) {
                let _ = set_size(terminal.as_fd(), now);
            }
            self.raw();
        }
    }

    fn end(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(output) = self.output.take() {
            let _ = output.join();
        }
        self.raw = None;
        self.terminal = None;
        self.handle.close();
    }
}

/// From the person's keys to the program's terminal.
fn pass_input(to: &File, over: &AtomicBool) {
    let mut buffer = [0_u8; 4096];
    let mut stdin = io::stdin().lock();
    let mut to = to;
    while !over.load(Ordering::SeqCst) {
        match wait_input(io::stdin().as_fd(), LOOK_MILLIS) {
            Ok(false) => continue,
            // What came after the program's end is an answer to a question of ours.
            Ok(true) if over.load(Ordering::SeqCst) => return,
            Ok(true) => {}
            Err(_) => return,
        }
        match stdin.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) if to.write_all(buffer.get(..n).unwrap_or_default()).is_err() => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// From the program's terminal to the person's, until nobody inside holds it any more.
fn pass_output(from: &File, on_errors: bool) {
    let mut buffer = [0_u8; 16384];
    let mut from = from;
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // What Linux says when the last one inside has closed it.
            Err(_) => return,
        };
        let bytes = buffer.get(..n).unwrap_or_default();
        let written = if on_errors {
            io::stderr().lock().write_all(bytes)
        } else {
            let mut stdout = io::stdout().lock();
            stdout.write_all(bytes).and_then(|()| stdout.flush())
        };
        if written.is_err() {
            return;
        }
    }
}
