//! Ctrl-C: the first stops the work at an operation's edge, the second is told to have patience. While a passphrase is
//! asked for it ends the question; else it ends the program.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use indicatif::ProgressBar;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::error::{Result, system};
use crate::exit::Exit;
use crate::out::stderr_line;

/// What a signal means at the moment.
const IDLE: u8 = 0;
const ASKING: u8 = 1;
const WORKING: u8 = 2;
const LISTENING: u8 = 3;

struct Listener {
    mode: AtomicU8,
    stop: Arc<AtomicBool>,
    bar: Mutex<ProgressBar>,
}

/// One for the process: signals are its own.
static LISTENER: OnceLock<Listener> = OnceLock::new();

/// While this lives, Ctrl-C ends a question: the flag is set, and whoever asks looks at it.
pub(crate) struct Asking {
    listener: &'static Listener,
}

impl Asking {
    /// Set by Ctrl-C.
    pub(crate) fn stop(&self) -> &AtomicBool {
        &self.listener.stop
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.listener.mode.store(IDLE, Ordering::SeqCst);
    }
}

/// A question is asked whose end must be orderly: the terminal's echo has to come back.
///
/// # Errors
/// The system's.
pub(crate) fn asking() -> Result<Asking> {
    let listener = listener()?;
    listener.mode.store(ASKING, Ordering::SeqCst);
    Ok(Asking { listener })
}

/// Work begins that stops at an operation's edge. What is said about it goes above the progress bar.
///
/// # Errors
/// The system's.
pub(crate) fn working(bar: ProgressBar) -> Result<Arc<AtomicBool>> {
    let listener = listener()?;
    if let Ok(mut slot) = listener.bar.lock() {
        *slot = bar;
    }
    listener.mode.store(WORKING, Ordering::SeqCst);
    Ok(listener.stop.clone())
}

/// Something goes on until Ctrl-C, which is then nothing to be told of.
///
/// # Errors
/// The system's.
pub(crate) fn listening() -> Result<Arc<AtomicBool>> {
    let listener = listener()?;
    listener.mode.store(LISTENING, Ordering::SeqCst);
    Ok(listener.stop.clone())
}

fn listener() -> Result<&'static Listener> {
    if let Some(listener) = LISTENER.get() {
        return Ok(listener);
    }
    let fail = |why| system("listen for Ctrl-C", why);
    let signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(fail)?;
    let listener = LISTENER.get_or_init(|| Listener {
        mode: AtomicU8::new(IDLE),
        stop: Arc::new(AtomicBool::new(false)),
        bar: Mutex::new(ProgressBar::hidden()),
    });
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || listener.listen(signals)).map_err(fail)?;
    Ok(listener)
}

impl Listener {
    fn listen(&self, mut signals: Signals) {
        for _ in signals.forever() {
            match self.mode.load(Ordering::SeqCst) {
                IDLE => std::process::exit(Exit::Stopped.code().into()),
                ASKING | LISTENING => self.stop.store(true, Ordering::SeqCst),
                _ => self.stop_work(),
            }
        }
    }

    fn stop_work(&self) {
        let words = if self.stop.swap(true, Ordering::SeqCst) {
            "still stopping: the operation under way must end first, so that nothing is half done"
        } else {
            "stopping at the edge of the operation under way; what was done stays undoable"
        };
        if let Ok(bar) = self.bar.lock() {
            bar.suspend(|| stderr_line(&format!("\n{words}")));
        }
    }
}
