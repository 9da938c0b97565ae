//! The real clock.

use raincoat_types::{Clock, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// The system's real-time clock (`CLOCK_REALTIME`): it may be set back by its owner.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let now = clock_gettime(ClockId::Realtime);
        Timestamp { secs: now.tv_sec, nanos: u32::try_from(now.tv_nsec).unwrap_or(0) }
    }
}
