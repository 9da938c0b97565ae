//! Asking a model, by permit: the keeper's side of it. The bytes are the agent's, the key is added here, and the raw
//! reply goes back to whoever parses it.

use std::ops::ControlFlow;

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

/// The run's one door to the network: it opens to one provider.
pub struct Door {
    endpoint: Endpoint,
    broker: Broker,
    limits: Limits,
    recorder: Recorder,
    cancel: Cancel,
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
        Ok(Door { endpoint, broker, limits, recorder, cancel: Cancel::new() })
    }

    /// Whether the provider is on this machine.
    pub fn is_local(&self) -> bool {
        self.broker.rules().allowed.iter().all(raincoat_net::Endpoint::is_loopback)
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
        let sent = Event::ModelRequest {
            provider: request.provider,
            model: self.endpoint.model.clone(),
            bytes: request.body.len() as u64,
            digest: Digest(*blake3::hash(&request.body).as_bytes()),
        };
        self.recorder.log(vec![sent]).map_err(|e| crate::failure::broken(&e))?;
        let mut headers = vec![("accept", HeaderValue::Plain("text/event-stream, application/json"))];
        if let Some(key) = &self.endpoint.key {
            headers.push(("authorization", HeaderValue::Bearer(key)));
        }
        let method = if request.body.is_empty() { Method::Get } else { Method::Post };
        if method == Method::Post {
            headers.push(("content-type", HeaderValue::Plain("application/json")));
        }
        let (mut hasher, mut bytes) = (blake3::Hasher::new(), 0_u64);
        let mut counting = |piece: &[u8]| {
            hasher.update(piece);
            bytes += piece.len() as u64;
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
        self.recorder.log_lazily(vec![Event::ModelReply { status, bytes, digest }]);
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
