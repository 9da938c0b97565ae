//! Stopping a request from another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A switch that ends every request it was given to, for good. Clones are the same switch.
#[derive(Clone, Default, Debug)]
pub struct Cancel(Arc<Inner>);

#[derive(Default, Debug)]
struct Inner {
    on: AtomicBool,
    wake: Notify,
}

impl Cancel {
    /// A switch that is off.
    pub fn new() -> Cancel {
        Cancel::default()
    }

    /// Switches on. Takes locks: call it from a thread, not within a signal handler.
    pub fn cancel(&self) {
        self.0.on.store(true, Ordering::SeqCst);
        self.0.wake.notify_waiters();
    }

    /// Whether it is on.
    pub fn is_cancelled(&self) -> bool {
        self.0.on.load(Ordering::SeqCst)
    }

    /// Ends when it is on.
    pub(crate) async fn cancelled(&self) {
        let wake = self.0.wake.notified();
        tokio::pin!(wake);
        // Listed as a waiter before the flag is read, so that no switch falls in between.
        wake.as_mut().enable();
        if !self.is_cancelled() {
            wake.await;
        }
    }
}
