//! Entries as other people's collectors take them: events in, bytes out. Nothing here reads, writes or sends.
//!
//! Each entry becomes a [`Record`] first (what happened, by whom, to what, with its place in the log, and no secret in
//! it), and that becomes one line, message or object of a [`Format`]. The shapes are in `docs/export.md`.

mod cef;
mod facts;
mod fields;
mod jsonl;
mod mask;
mod ocsf;
mod otlp;
mod pairing;
mod syslog;
mod weight;

use raincoat_types::{Actor, RunId, Timestamp};

use crate::{Checkpoint, Event, Hash, Producer};

pub use facts::{paths_of, verdict_of};
pub use fields::{Outcome, Record, Severity, Value};
pub use mask::mask;
pub use ocsf::VERSION as OCSF_VERSION;
pub use pairing::Pairing;
pub use syslog::octet_counted;

/// In which shape entries go out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    /// One JSON object a line, as `docs/formats/export.schema.json` has it.
    Jsonl,
    /// One OCSF event a line.
    Ocsf,
    /// ArcSight's Common Event Format, version 0.
    Cef,
    /// Syslog messages as RFC 5424 has them.
    Syslog,
    /// OpenTelemetry logs in OTLP's JSON encoding: one request for many entries.
    Otlp,
}

/// An entry on its way out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Its place in the log, from 0.
    pub index: u64,
    /// Its leaf hash, by which a copy is held against the log.
    pub leaf: Hash,
    /// When, by the keeper's clock.
    pub at: Timestamp,
    /// Within which run.
    pub run: Option<RunId>,
    /// Who acted.
    pub actor: Option<Actor>,
    /// Which process wrote it, and its how-manieth entry this is.
    pub producer: Option<Producer>,
    /// Under whose keys it is sealed, by name; empty where it cannot be erased.
    pub subjects: Vec<String>,
    /// What is left of it.
    pub what: What,
}

/// What is left of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// All of it.
    Event(Event),
    /// Nothing but that it was there: its subject was erased.
    Erased {
        /// Which sort of entry it was, where that is still known.
        class: String,
    },
}

/// Where the entries come from.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// A signed tree head that covers all of them.
    pub head: &'a Checkpoint,
    /// This machine's name.
    pub host: &'a str,
    /// Our version.
    pub version: &'a str,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 5] = [Format::Jsonl, Format::Ocsf, Format::Cef, Format::Syslog, Format::Otlp];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Jsonl => "jsonl",
            Format::Ocsf => "ocsf",
            Format::Cef => "cef",
            Format::Syslog => "syslog",
            Format::Otlp => "otlp",
        }
    }

    /// The format by its word.
    pub fn by_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }

    /// One record by itself, without a line's end: it has none within it either. For OTLP a whole request of one.
    pub fn one(self, record: &Record, source: &Source<'_>) -> String {
        match self {
            Format::Jsonl => jsonl::line(record, source),
            Format::Ocsf => ocsf::event(record, source).to_string(),
            Format::Cef => cef::line(record, source),
            Format::Syslog => syslog::message(record, source),
            Format::Otlp => otlp::request(std::slice::from_ref(record), source),
        }
    }

    /// Many records as a file or a request's body has them: a line each, or for OTLP one request.
    pub fn many(self, records: &[Record], source: &Source<'_>) -> Vec<u8> {
        if self == Format::Otlp {
            return otlp::request(records, source).into_bytes();
        }
        let lines = records.iter().map(|record| self.one(record, source) + "\n");
        lines.collect::<String>().into_bytes()
    }

    /// One record as a syslog message: itself, or CEF within one. `None` for formats that syslog does not carry.
    pub fn in_syslog(self, record: &Record, source: &Source<'_>) -> Option<String> {
        match self {
            Format::Syslog => Some(syslog::message(record, source)),
            Format::Cef => Some(syslog::around(record, source, &cef::line(record, source))),
            Format::Jsonl | Format::Ocsf | Format::Otlp => None,
        }
    }
}

/// Bytes in lower-case hex.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A time as RFC 3339 in UTC, with at most `digits` digits of the second. A time that no calendar has is the epoch's.
pub fn rfc3339(at: Timestamp, digits: u8) -> String {
    let nanos = i64::from(at.nanos.min(999_999_999));
    let time = jiff::Timestamp::new(at.secs, 0).ok();
    let time = time.and_then(|time| time.checked_add(jiff::SignedDuration::from_nanos(nanos)).ok());
    let time = time.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{time:.precision$}", precision = usize::from(digits))
}

/// A time in milliseconds since 1970, as OCSF and CEF count.
fn millis(at: Timestamp) -> i64 {
    at.secs.saturating_mul(1000).saturating_add(i64::from(at.nanos / 1_000_000))
}

/// A text of at most `most` bytes, cut at a character and marked where it is.
fn cut(text: &str, most: usize) -> String {
    const MARK: &str = "...";
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most.saturating_sub(MARK.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{MARK}", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests;
