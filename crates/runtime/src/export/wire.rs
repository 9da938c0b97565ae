//! How a batch gets to a collector, and what its answer means.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use raincoat_audit::export::{Format, Record, Source, octet_counted};
use raincoat_net::{
    Broker, Cancel, Endpoint, HeaderValue, Method, NetError, NetErrorKind, Receiver, Reply, Request, Roots, Rules,
    StreamAddress, SystemResolver, Url, parse_url,
};

use super::CollectorAsk;
use crate::converse::Watch;
use crate::{Class, Error};

/// Seconds that a collector may be silent.
const IDLE_SECS: u32 = 30;
/// Seconds that a request may take in all.
const TOTAL_SECS: u32 = 120;
/// Bytes of a collector's answer that are read.
const REPLY_MOST: u64 = 1 << 20;
/// Bytes of a batch, about.
const BATCH_MOST: usize = 1 << 20;
/// The longest wait that a collector may ask for, in seconds.
const WAIT_MOST: u64 = 600;
/// Characters of a collector's own words that are repeated.
const QUOTE: usize = 200;

/// A way to a collector.
pub(super) struct Wire {
    format: Format,
    message_most: usize,
    host: String,
    how: How,
}

enum How {
    Stream(Receiver, StreamAddress),
    Http(Box<Broker>, Url),
}

/// What became of a batch.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Sent {
    /// All of it was taken.
    Taken,
    /// It will never be taken as it is.
    Refused(String),
    /// Not now; the collector may say when.
    Later {
        after: Option<Duration>,
        why: String,
    },
    /// Nothing will be taken until a person changes something.
    Never(String),
    /// The person stopped it.
    Stopped,
}

impl Wire {
    pub(super) fn new(format: Format, ask: &CollectorAsk, roots: Roots, offline: bool) -> Result<Wire, Error> {
        let usage = |e: NetError| Error::new(class_of(&e), e.to_string());
        let scheme = ask.address.split_once("://").map_or("", |(scheme, _)| scheme);
        let how = match (scheme, format) {
            ("tls" | "tcp", Format::Otlp) => return Err(wrong(format, "an address that begins with `https://`")),
            ("https" | "http", Format::Syslog | Format::Cef) => {
                return Err(wrong(format, "an address that begins with `tls://` or `tcp://`"));
            }
            ("https" | "http", _) => {
                let mut url = parse_url(&ask.address).map_err(usage)?;
                if format == Format::Otlp && url.path() == "/" {
                    url.set_path("/v1/logs");
                }
                let endpoint = Endpoint::of(&url).map_err(usage)?;
                if offline && !endpoint.is_loopback() {
                    let why = format!("offline mode is on, and `{endpoint}` is not on this machine");
                    return Err(Error::new(Class::Refused, why));
                }
                let rules = Rules { allowed: vec![endpoint], offline };
                How::Http(Box::new(Broker::with(rules, roots, Arc::new(SystemResolver)).for_collector()), url)
            }
            _ => {
                let address = StreamAddress::parse(&ask.address, ask.insecure).map_err(usage)?;
                How::Stream(Receiver::new(address.clone(), roots, offline).map_err(usage)?, address)
            }
        };
        let host = raincoat_os::process::host_name();
        Ok(Wire { format, message_most: ask.message_most, host, how })
    }

    /// The address for people and for the log: a query may hold a secret.
    pub(super) fn shown(&self) -> String {
        match &self.how {
            How::Stream(_, address) => address.to_string(),
            How::Http(_, url) => {
                let mut url = url.clone();
                url.set_query(None);
                url.to_string()
            }
        }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn batch_most(&self) -> usize {
        BATCH_MOST
    }

    /// Sends these records, all of them or none that counts.
    pub(super) fn send(&self, records: &[Record], source: &Source<'_>, stop: &Arc<AtomicBool>) -> Sent {
        let cancel = Cancel::new();
        let _watch = Watch::start(Arc::clone(stop), cancel.clone());
        match &self.how {
            How::Stream(receiver, _) => {
                let too_long = records.iter().map(|record| super::batch::length(self.format, record, source));
                if let Some(bytes) = too_long.max().filter(|bytes| *bytes > self.message_most) {
                    return Sent::Refused(format!("{bytes} bytes are more than a message may have"));
                }
                match receiver.deliver(&self.framed(records, source), IDLE_SECS, &cancel) {
                    Ok(()) => Sent::Taken,
                    Err(error) => failed(&error),
                }
            }
            How::Http(broker, url) => {
                let mut said = Vec::new();
                let kind = if self.format == Format::Otlp { "application/json" } else { "application/x-ndjson" };
                let request = Request {
                    method: Method::Post,
                    url,
                    headers: vec![("content-type", HeaderValue::Plain(kind))],
                    body: self.format.many(records, source),
                    idle_secs: IDLE_SECS,
                    total_secs: TOTAL_SECS,
                    max_reply: REPLY_MOST,
                };
                let mut sink = |piece: &[u8]| {
                    said.extend_from_slice(piece);
                    ControlFlow::Continue(())
                };
                match broker.send(request, &mut sink, &cancel) {
                    Ok(reply) => answered(&reply, &said, self.format),
                    Err(error) => failed(&error),
                }
            }
        }
    }

    /// The bytes of a stream: syslog's own messages with their length before them (RFC 6587), JSON a line each.
    fn framed(&self, records: &[Record], source: &Source<'_>) -> Vec<u8> {
        let framed = |record| match self.format.in_syslog(record, source) {
            Some(message) => octet_counted(&message),
            None => (self.format.one(record, source) + "\n").into_bytes(),
        };
        records.iter().flat_map(framed).collect()
    }
}

/// What an HTTP answer means, as OTLP's specification has it ("OTLP/HTTP Response").
fn answered(reply: &Reply, said: &[u8], format: Format) -> Sent {
    let words: String = raincoat_types::display_bytes(said).chars().take(QUOTE).collect();
    let why = format!("the collector answered {}: {words}", reply.status);
    match reply.status {
        200..=299 => match rejected(said).filter(|_| format == Format::Otlp) {
            // What was rejected of it is not said, and it must not be sent again as it was.
            Some((rejected, reason)) if rejected > 0 => {
                Sent::Refused(format!("the collector rejected {rejected} of them: {reason}"))
            }
            _ => Sent::Taken,
        },
        408 | 429 | 502..=504 => {
            let after = reply.retry_after.map(|secs| Duration::from_secs(secs.min(WAIT_MOST)));
            Sent::Later { after, why }
        }
        400 | 413 | 422 | 500..=599 => Sent::Refused(why),
        // A wrong address, a missing right, a redirect: nothing about an entry.
        _ => Sent::Never(reply.note.clone().unwrap_or(why)),
    }
}

/// `partialSuccess` of an answer in JSON: how many records were rejected, and why.
fn rejected(said: &[u8]) -> Option<(u64, String)> {
    let answer: serde_json::Value = serde_json::from_slice(said).ok()?;
    let partial = answer.get("partialSuccess")?;
    let count = partial.get("rejectedLogRecords")?;
    let count = count.as_u64().or_else(|| count.as_str()?.parse().ok())?;
    let why = partial.get("errorMessage").and_then(serde_json::Value::as_str).unwrap_or_default();
    Some((count, raincoat_types::display_text(why).chars().take(QUOTE).collect()))
}

fn failed(error: &NetError) -> Sent {
    match error.kind() {
        NetErrorKind::Cancelled => Sent::Stopped,
        NetErrorKind::Refused | NetErrorKind::Tls => Sent::Never(error.to_string()),
        NetErrorKind::IdleTimeout | NetErrorKind::TotalTimeout => {
            Sent::Later { after: None, why: "the collector did not read on, or did not answer, for too long".to_owned() }
        }
        _ => Sent::Later { after: None, why: error.to_string() },
    }
}

fn class_of(error: &NetError) -> Class {
    if error.to_string().starts_with("offline") { Class::Refused } else { Class::Usage }
}

fn wrong(format: Format, wanted: &str) -> Error {
    Error::new(Class::Usage, format!("`{}` goes to {wanted}", format.name())).hint("`raincoat audit export --help` has examples")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, retry_after: Option<u64>) -> Reply {
        Reply { status, content_type: String::new(), bytes: 0, complete: true, retry_after, note: None }
    }

    #[test]
    fn answers_mean_what_the_specification_says() {
        let of = |status| answered(&reply(status, None), b"", Format::Otlp);
        assert_eq!(of(200), Sent::Taken);
        for status in [429, 502, 503, 504] {
            assert!(matches!(of(status), Sent::Later { after: None, .. }), "{status}");
        }
        for status in [400, 413, 422, 500, 501] {
            assert!(matches!(of(status), Sent::Refused(_)), "{status}");
        }
        for status in [301, 401, 403, 404, 405] {
            assert!(matches!(of(status), Sent::Never(_)), "{status}");
        }
        let waited = answered(&reply(503, Some(7)), b"", Format::Otlp);
        assert!(matches!(waited, Sent::Later { after: Some(wait), .. } if wait == Duration::from_secs(7)));
        let waited = answered(&reply(503, Some(u64::MAX)), b"", Format::Otlp);
        assert!(matches!(waited, Sent::Later { after: Some(wait), .. } if wait == Duration::from_secs(WAIT_MOST)));
        for said in ["{\"partialSuccess\":{\"rejectedLogRecords\":\"2\",\"errorMessage\":\"no\"}}",
                     "{\"partialSuccess\":{\"rejectedLogRecords\":2}}"] {
            assert!(matches!(answered(&reply(200, None), said.as_bytes(), Format::Otlp), Sent::Refused(_)), "{said}");
        }
        let warned = b"{\"partialSuccess\":{\"rejectedLogRecords\":0,\"errorMessage\":\"careful\"}}";
        assert_eq!(answered(&reply(200, None), warned, Format::Otlp), Sent::Taken);
    }
}
