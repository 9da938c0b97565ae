//! At least once: a batch is forgotten when the collector has taken it, and tried again until then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use raincoat_audit::Event;
use raincoat_audit::export::{Record, Source};

use super::batch::Batches;
use super::cursor::Destination;
use super::wire::{Sent, Wire};
use super::{ExportReport, LOOK, source};
use crate::{Class, Error, Keeper};

/// The first wait after a failure; each further one is twice as long.
const WAIT_FIRST: Duration = Duration::from_millis(500);
/// The longest.
const WAIT_LAST: Duration = Duration::from_secs(30);
/// Tries of one batch where the export does not follow.
const TRIES: u32 = 6;
/// Entries refused one after the other, before it is plain that the collector takes nothing.
const REFUSED_MOST: u32 = 64;
/// How often a waiting export looks whether it is to stop.
const TICK: Duration = Duration::from_millis(50);

/// How an export ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    /// At the log's end.
    AtEnd,
    /// At a person's word.
    Stopped,
}

/// An export under way. It holds one batch at a time, so a slow collector holds up reading and nothing else.
pub(super) struct Delivery<'a> {
    pub(super) keeper: &'a Keeper,
    pub(super) destination: &'a Destination,
    pub(super) wire: &'a Wire,
    pub(super) batches: Batches,
    pub(super) stop: &'a Arc<AtomicBool>,
    pub(super) told: &'a mut dyn FnMut(&str),
    pub(super) report: ExportReport,
}

impl Delivery<'_> {
    pub(super) fn run(&mut self, follow: bool) -> Result<Ended, Error> {
        let mut refused = 0;
        loop {
            if self.stopped() {
                return Ok(Ended::Stopped);
            }
            let Some(batch) = self.batches.next()? else {
                if !follow {
                    return Ok(Ended::AtEnd);
                }
                self.wait(LOOK);
                self.keeper.cover_waiting(&self.batches)?;
                continue;
            };
            let source = source(&batch.head, self.wire.host());
            if !self.deliver(&batch.records, &source, follow, &mut refused)? {
                return Ok(Ended::Stopped);
            }
            self.keeper.keep_cursor(self.destination, batch.end)?;
            self.report.next = batch.end;
        }
    }

    /// Sends records until they are taken or put aside; `false` where a person stopped it. What is refused as a whole is
    /// halved, until the one that is at fault stands alone.
    fn deliver(
        &mut self,
        records: &[Record],
        source: &Source<'_>,
        follow: bool,
        refused: &mut u32,
    ) -> Result<bool, Error> {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(true) };
        let mut tries = 0;
        let why = loop {
            if self.stopped() {
                return Ok(false);
            }
            match self.wire.send(records, source, self.stop) {
                Sent::Taken => {
                    *refused = 0;
                    self.report.taken += records.len() as u64;
                    return Ok(true);
                }
                Sent::Refused(why) => break why,
                Sent::Never(why) => return Err(self.ended(why)),
                Sent::Stopped => return Ok(false),
                Sent::Later { after, why } => {
                    tries += 1;
                    if !follow && tries >= TRIES {
                        return Err(self.ended(why));
                    }
                    let wait = after.unwrap_or_else(|| backoff(tries));
                    (self.told)(&format!("{why}; trying again in {} s", wait.as_secs().max(1)));
                    self.wait(wait);
                }
            }
        };
        if records.len() > 1 {
            let (left, right) = records.split_at(records.len() / 2);
            let went = self.deliver(left, source, follow, refused)?;
            if !went {
                return Ok(false);
            }
            // What went is not sent again by the next export.
            self.keeper.keep_cursor(self.destination, right.first().unwrap_or(last).index)?;
            return self.deliver(right, source, follow, refused);
        }
        *refused += 1;
        if *refused > REFUSED_MOST {
            return Err(self.ended(format!("{REFUSED_MOST} entries were refused one after the other: {why}")));
        }
        self.aside(first, &why)?;
        Ok(true)
    }

    fn aside(&mut self, record: &Record, why: &str) -> Result<(), Error> {
        self.keeper.put_aside(self.destination, record.index, why)?;
        self.report.put_aside += 1;
        (self.told)(&format!("entry {} was not taken, and is put aside: {why}", record.index));
        // Not of itself: that entry may be refused for the same reason.
        if record.kind == "export.dead-lettered" {
            return Ok(());
        }
        self.keeper.log_alone(vec![Event::ExportDeadLettered {
            to: self.destination.shown.clone(),
            entry: record.index,
            why: why.to_owned(),
        }])
    }

    fn ended(&self, why: String) -> Error {
        Error::new(Class::Peer, format!("the export to `{}` ended: {why}", self.destination.shown))
            .hint("nothing is lost: the same command goes on with the first entry that was not taken")
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn wait(&self, wait: Duration) {
        let mut left = wait;
        while !left.is_zero() && !self.stopped() {
            let tick = left.min(TICK);
            std::thread::sleep(tick);
            left -= tick;
        }
    }
}

/// Twice as long each time, and by chance up to a quarter less, so that many do not come back at once.
fn backoff(tries: u32) -> Duration {
    let wait = WAIT_FIRST.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1).min(16))).min(WAIT_LAST);
    let mut chance = [0_u8; 1];
    let less = match raincoat_os::fill_random(&mut chance) {
        Ok(()) => chance.iter().copied().map(u32::from).sum(),
        Err(_) => 0,
    };
    wait - wait / 4 * less / 256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_are_bounded() {
        for tries in 1..200 {
            let wait = backoff(tries);
            assert!(wait <= WAIT_LAST && wait >= WAIT_FIRST * 3 / 4, "{tries}: {wait:?}");
        }
        assert!(backoff(7) > backoff(1));
    }
}
