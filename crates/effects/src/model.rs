//! Asking a model, by permit: the keeper's side of it. The bytes are the agent's, the key is added here, and the raw
//! reply goes back to whoever parses it.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use raincoat_audit::Event;
use raincoat_gate::Permit;
use raincoat_net::{Broker, Cancel, HeaderValue, Method, NetErrorKind, Request, Rules, parse_url};
use raincoat_types::{Digest, Failure, FailureKind, Limits, ModelRequest, Secret};

use crate::recorder::Recorder;

/// Where a configured provider is, and the key to it.
#[derive(Debug)]
pub struct Endpoint {
    /// The base URL, such as `https://api.example.com/v1`.
    pub base_url: String,
    /// The model's name, for the log.
    pub model: String,
    /// The key, sent as a bearer token. Local servers need none.
    pub key: Option<Secret<String>>,
}

/// Whether a provider with this base URL is on this machine. One that cannot be told is not.
pub fn is_on_this_machine(base_url: &str) -> bool {
    let endpoint = parse_url(base_url).and_then(|url| raincoat_net::Endpoint::of(&url));
    endpoint.is_ok_and(|endpoint| endpoint.is_loopback())
}

/// The run's one door to the network: it opens to one provider.
pub struct Door {
    endpoint: Endpoint,
    broker: Broker,
    limits: Limits,
    recorder: Recorder,
    cancel: Cancel,
    /// Requests so far.
    asked: AtomicU64,
    keeps_transcripts: bool,
}

impl Door {
    /// A door to this provider and nowhere else. `offline` shuts it to all but this machine.
    ///
    /// # Errors
    /// In words, where the URL cannot be used.
    pub fn new(endpoint: Endpoint, offline: bool, limits: Limits, recorder: Recorder) -> Result<Door, Failure> {
        let refused = |e: raincoat_net::NetError| Failure::new(FailureKind::Invalid, e.to_string());
        let url = parse_url(&endpoint.base_url).map_err(refused)?;
        let allowed = vec![raincoat_net::Endpoint::of(&url).map_err(refused)?];
        let broker = Broker::new(Rules { allowed, offline });
        let asked = AtomicU64::new(0);
        Ok(Door { endpoint, broker, limits, recorder, cancel: Cancel::new(), asked, keeps_transcripts: false })
    }

    /// The same, with every word that is said through it kept in the log.
    #[must_use]
    pub fn keeping_transcripts(self, keeps: bool) -> Door {
        Door { keeps_transcripts: keeps, ..self }
    }

    /// Whether the provider is on this machine.
    pub fn is_local(&self) -> bool {
        self.broker.rules().allowed.iter().all(raincoat_net::Endpoint::is_loopback)
    }

    /// The model that is asked.
    pub fn model(&self) -> &str {
        &self.endpoint.model
    }

    /// Something that ends a request under way, from another thread.
    pub fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }

    /// Sends a request and hands over the reply's bytes as they come. Gives the HTTP status, whichever.
    ///
    /// # Errors
    /// Where the network, the provider or a limit keeps the reply from being whole; or the log is broken, for what is
    /// not logged is not sent.
    pub fn ask(
        &self,
        permit: Permit<ModelRequest>,
        sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<u16, Failure> {
        let request = permit.into_action();
        if request.body.len() as u64 > self.limits.model_request_bytes {
            let words = format!(
                "a request of {} bytes is over the limit of {} (`model_request_bytes`)",
                request.body.len(),
                self.limits.model_request_bytes
            );
            return Err(Failure::new(FailureKind::Limit, words));
        }
        let url = self.url(&request.path)?;
        let provider = request.provider;
        let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let digest = Digest(*blake3::hash(&request.body).as_bytes());
        let mut sent = vec![Event::ModelAsked {
            provider: provider.clone(),
            model: self.endpoint.model.clone(),
            host: host_of(&url),
            bytes: request.body.len() as u64,
            digest,
            redactions: 0,
        }];
        if self.keeps_transcripts {
            sent.extend(transcript("request", number, digest, &request.body));
        }
        self.recorder.log(sent).map_err(|e| crate::failure::broken(&e))?;
        let mut headers = vec![("accept", HeaderValue::Plain("text/event-stream, application/json"))];
        if let Some(key) = &self.endpoint.key {
            headers.push(("authorization", HeaderValue::Bearer(key)));
        }
        let method = if request.body.is_empty() { Method::Get } else { Method::Post };
        if method == Method::Post {
            headers.push(("content-type", HeaderValue::Plain("application/json")));
        }
        let (mut hasher, mut bytes, mut kept) = (blake3::Hasher::new(), 0_u64, Vec::new());
        let mut counting = |piece: &[u8]| {
            hasher.update(piece);
            bytes += piece.len() as u64;
            if self.keeps_transcripts {
                kept.extend_from_slice(piece);
            }
            sink(piece)
        };
        let limits = &self.limits;
        let request = Request {
            method,
            url: &url,
            headers,
            body: request.body,
            idle_secs: limits.model_idle_secs,
            total_secs: limits.model_total_secs,
            max_reply: limits.model_reply_bytes,
        };
        let reply = self.broker.send(request, &mut counting, &self.cancel);
        let status = reply.as_ref().map_or(0, |reply| reply.status);
        let digest = Digest(*hasher.finalize().as_bytes());
        let why = match &reply {
            Ok(reply) => reply.note.clone().unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        self.recorder.log_lazily(vec![Event::ModelAnswered { provider, status, bytes, digest, why }]);
        if !kept.is_empty() {
            self.recorder.log_lazily(transcript("reply", number, digest, &kept));
        }
        let reply = reply.map_err(|e| {
            let kind = match e.kind() {
                NetErrorKind::Cancelled => FailureKind::Stopped,
                NetErrorKind::TooLarge => FailureKind::Limit,
                NetErrorKind::Refused => FailureKind::Invalid,
                _ => FailureKind::Network,
            };
            Failure::new(kind, e.to_string())
        })?;
        match reply.note {
            Some(note) => Err(Failure::new(FailureKind::Network, note)),
            None => Ok(reply.status),
        }
    }

    /// The path below the base URL: names only, so that the worker cannot choose another place.
    fn url(&self, path: &str) -> Result<raincoat_net::Url, Failure> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
        if path.is_empty()
            || !path.chars().all(plain)
            || path.split('/').any(|name| name.is_empty() || name == "." || name == "..")
        {
            let shown = raincoat_types::display_bytes(path.as_bytes());
            return Err(Failure::new(FailureKind::Invalid, format!("`{shown}` is not a path of a model's API")));
        }
        let full = format!("{}/{path}", self.endpoint.base_url.trim_end_matches('/'));
        parse_url(&full).map_err(|e| Failure::new(FailureKind::Invalid, e.to_string()))
    }
}

fn host_of(url: &raincoat_net::Url) -> String {
    let port = url.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", url.host_str().unwrap_or_default())
}

/// Bytes of a conversation in one entry, which holds 65,535 with all else.
const PIECE: usize = 60_000;

/// One side of a conversation as entries of the log. What is no UTF-8 in it is replaced; the digest is of the bytes.
fn transcript(from: &str, request: u64, digest: Digest, bytes: &[u8]) -> Vec<Event> {
    let text = String::from_utf8_lossy(bytes);
    let mut pieces = Vec::new();
    let mut rest = text.as_ref();
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(rest.floor_char_boundary(PIECE));
        pieces.push(piece.to_owned());
        rest = more;
    }
    let parts = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
    let part_of = |(part, text)| Event::TranscriptKept { from: from.to_owned(), request, part, parts, digest, text };
    (1..).zip(pieces).map(part_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript_comes_in_pieces_that_fit_an_entry_and_make_the_whole_again() {
        let said = "é€\u{10348}".repeat(20_000);
        let mut whole = String::new();
        for (n, event) in transcript("reply", 3, Digest([1; 32]), said.as_bytes()).into_iter().enumerate() {
            let Event::TranscriptKept { part, parts, text, .. } = event else { panic!() };
            assert_eq!((part as usize, parts), (n + 1, 4));
            assert!(text.len() <= PIECE);
            whole.push_str(&text);
        }
        assert_eq!(whole, said);
        assert!(transcript("request", 1, Digest([1; 32]), b"").is_empty());
    }
}
