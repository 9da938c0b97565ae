//! Getting the log out: to a file or a stream of the person's, or to a collector, entry by entry.
//!
//! To a collector each entry goes at least once. What was taken is remembered (sealed, one cursor for each destination)
//! only when the collector has said so; what it refuses for good is put aside by number, not by content, so that what is
//! erased later is erased there too.

mod batch;
mod cursor;
mod deliver;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use raincoat_audit::export::{Format, Source};
use raincoat_audit::{Checkpoint, Event};
use raincoat_net::Roots;

use self::batch::Batches;
use self::cursor::Destination;
use self::deliver::{Delivery, Ended};
use self::wire::Wire;
use crate::{Class, EntryFilter, Error, Keeper};

pub use cursor::DeadLetter;

/// How often the log is looked at for new entries while an export follows it.
const LOOK: std::time::Duration = std::time::Duration::from_millis(500);

/// What is to be exported.
#[derive(Clone, Debug)]
pub struct ExportAsk {
    /// In which shape.
    pub format: Format,
    /// Which entries.
    pub filter: EntryFilter,
    /// From this entry on, whatever was taken before.
    pub from: Option<u64>,
    /// Go on when the log's end is reached, and wait for more.
    pub follow: bool,
}

/// A collector.
#[derive(Clone, Debug)]
pub struct CollectorAsk {
    /// `tls://HOST:PORT`, `tcp://HOST:PORT`, `https://...` or `http://...`.
    pub address: String,
    /// Certificates to believe instead of the system's, in PEM.
    pub authorities: Option<Vec<u8>>,
    /// It may go in the clear to another machine.
    pub insecure: bool,
    /// Bytes of a syslog message or a line, at most.
    pub message_most: usize,
}

/// What came of an export.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExportReport {
    /// Entries that were taken.
    pub taken: u64,
    /// Entries that were refused for good, and put aside.
    pub put_aside: u64,
    /// The entry that the next export begins with.
    pub next: u64,
    /// A person stopped it.
    pub stopped: bool,
}

impl Keeper {
    /// Hands entries to `out` as bytes, a batch at a time, oldest first. `out` says whether there is still somebody.
    ///
    /// # Errors
    /// Where the log cannot be read; what `out` says.
    pub fn export_here(
        &self,
        ask: &ExportAsk,
        to: &str,
        stop: &Arc<AtomicBool>,
        out: &mut dyn FnMut(&[u8]) -> Result<bool, Error>,
    ) -> Result<ExportReport, Error> {
        let first = ask.from.unwrap_or(0);
        self.log_alone(vec![started(ask, to, first)])?;
        let mut batches = Batches::new(self.audit_reader()?, ask.filter.clone(), first, usize::MAX);
        let host = raincoat_os::process::host_name();
        let mut report = ExportReport::default();
        loop {
            if stop.load(Ordering::Relaxed) {
                report.stopped = true;
                break;
            }
            let Some(batch) = batches.next()? else {
                if !ask.follow {
                    break;
                }
                std::thread::sleep(LOOK);
                self.cover_waiting(&batches)?;
                continue;
            };
            report.taken += batch.records.len() as u64;
            if !batch.records.is_empty() && !out(&ask.format.many(&batch.records, &source(&batch.head, &host)))? {
                break;
            }
            report.next = batch.end;
        }
        let why = if report.stopped { "stopped by a person" } else { "done" };
        self.log_alone(vec![stopped(ask, to, report.taken, why)])?;
        Ok(report)
    }

    /// Sends entries to a collector, from where the last export to it ended, until the log's end or for ever. `told`
    /// hears of trouble that is waited out.
    ///
    /// # Errors
    /// Where the log cannot be read, the address cannot be used, the collector refuses everything or cannot be reached.
    /// What was taken before that is remembered.
    pub fn export_to(
        &self,
        ask: &ExportAsk,
        collector: &CollectorAsk,
        stop: &Arc<AtomicBool>,
        told: &mut dyn FnMut(&str),
    ) -> Result<ExportReport, Error> {
        let (wire, destination) = self.wire(ask.format, &ask.filter, collector)?;
        let _one =
            self.data.try_lock(&destination.lock_name()).map_err(Error::io("lock the export"))?.ok_or_else(|| {
                Error::new(Class::Usage, format!("another export to `{}` is under way", destination.shown))
                    .hint("stop that one, or give this one another --run, --kind, --since or --until")
            })?;
        let cursor = self.cursor(&destination)?;
        let first = ask.from.or(cursor).unwrap_or(0);
        let reader = self.audit_reader()?;
        let size = reader.head().map_err(Error::store)?.size;
        if first > size {
            return Err(Error::new(
                Class::Damaged,
                format!(
                    "`{}` was sent {first} entries, and the log has {size}: it was cut or put back",
                    destination.shown
                ),
            )
            .hint("`raincoat audit verify` says more; `--from 0` sends everything again"));
        }
        self.log_alone(vec![started(ask, &destination.shown, first)])?;
        let batches = Batches::new(reader, ask.filter.clone(), first, wire.batch_most());
        let mut delivery = Delivery {
            keeper: self,
            destination: &destination,
            wire: &wire,
            batches,
            stop,
            told,
            report: ExportReport::default(),
        };
        let ended = delivery.run(ask.follow);
        let report = delivery.report;
        let why = match &ended {
            Ok(Ended::AtEnd) => "done".to_owned(),
            Ok(Ended::Stopped) => "stopped by a person".to_owned(),
            Err(error) => error.message.clone(),
        };
        self.log_alone(vec![stopped(ask, &destination.shown, report.taken, &why)])?;
        ended.map(|ended| ExportReport { stopped: ended == Ended::Stopped, ..report })
    }

    /// What was put aside, of all destinations.
    ///
    /// # Errors
    /// Where the store is damaged.
    pub fn dead_letters(&self) -> Result<Vec<DeadLetter>, Error> {
        Ok(self.all_dead_letters()?.into_iter().map(|(_, letter)| letter).collect())
    }

    /// Sends what was put aside for this collector once more. What is taken is put aside no longer.
    ///
    /// # Errors
    /// As [`Keeper::export_to`].
    pub fn retry_dead_letters(
        &self,
        format: Format,
        collector: &CollectorAsk,
        stop: &Arc<AtomicBool>,
    ) -> Result<ExportReport, Error> {
        let (wire, any) = self.wire(format, &EntryFilter::default(), collector)?;
        let mut report = ExportReport::default();
        for (id, letter) in self.all_dead_letters()? {
            if letter.format != format.name() || letter.to != any.shown {
                continue;
            }
            if stop.load(Ordering::Relaxed) {
                report.stopped = true;
                break;
            }
            let mut batches =
                Batches::new(self.audit_reader()?, EntryFilter::default(), letter.entry, wire.batch_most()).only_one();
            let Some(batch) = batches.next()? else { continue };
            match wire.send(&batch.records, &source(&batch.head, wire.host()), stop) {
                wire::Sent::Taken => {
                    self.forget_dead_letter(&id)?;
                    report.taken += 1;
                }
                wire::Sent::Refused(_) => report.put_aside += 1,
                wire::Sent::Later { why, .. } | wire::Sent::Never(why) => {
                    return Err(Error::new(Class::Peer, why).hint("what was put aside stays so"));
                }
                wire::Sent::Stopped => report.stopped = true,
            }
        }
        Ok(report)
    }

    /// Forgets what was put aside, of all destinations or of one entry. The entries stay in the log.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub fn drop_dead_letters(&self, entry: Option<u64>) -> Result<u64, Error> {
        let mut dropped = 0;
        for (id, letter) in self.all_dead_letters()? {
            if entry.is_none_or(|entry| entry == letter.entry) {
                self.forget_dead_letter(&id)?;
                dropped += 1;
            }
        }
        Ok(dropped)
    }

    /// Signs what was written since the newest head, if it still waits: else how the last command ended would go out
    /// only with what the next one does, which may be days later.
    fn cover_waiting(&self, batches: &Batches) -> Result<(), Error> {
        if batches.wait_for_a_head()? { self.open_audit()?.leave().map_err(Error::store) } else { Ok(()) }
    }

    fn wire(
        &self,
        format: Format,
        filter: &EntryFilter,
        collector: &CollectorAsk,
    ) -> Result<(Wire, Destination), Error> {
        let roots = match &collector.authorities {
            None => Roots::System,
            Some(pem) => Roots::from_pem(pem).map_err(|e| {
                Error::new(Class::Usage, format!("the file of certificate authorities cannot be used: {e}"))
            })?,
        };
        let wire = Wire::new(format, collector, roots, self.config.offline)?;
        let destination = Destination::new(wire.shown(), format, filter);
        Ok((wire, destination))
    }
}

/// What records are written with.
fn source<'a>(head: &'a Checkpoint, host: &'a str) -> Source<'a> {
    Source { head, host, version: env!("CARGO_PKG_VERSION") }
}

fn started(ask: &ExportAsk, to: &str, first: u64) -> Event {
    Event::ExportStarted { format: ask.format.name().to_owned(), to: to.to_owned(), first }
}

fn stopped(ask: &ExportAsk, to: &str, entries: u64, why: &str) -> Event {
    Event::ExportStopped { format: ask.format.name().to_owned(), to: to.to_owned(), entries, why: why.to_owned() }
}
