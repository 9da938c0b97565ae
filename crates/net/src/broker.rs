//! The broker and what it is asked.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use raincoat_types::Secret;
use tokio::runtime::{Builder, Runtime};
use url::Url;

use crate::address::{Resolve, SystemResolver};
use crate::cancel::Cancel;
use crate::error::{NetError, NetErrorKind};
use crate::exchange::{self, Link, Plan};
use crate::rules::{Endpoint, Rules};
use crate::tls::{Roots, Tls};

/// How long an unused TLS connection is kept. Below the 5 seconds after which the hastiest of common servers hang up
/// (Node's and uvicorn's default), so that a request seldom meets a closing door.
const KEEP: Duration = Duration::from_secs(4);

/// The one door to the network. Shared by threads freely: each request runs on its caller's thread.
pub struct Broker {
    rules: Rules,
    resolve: Arc<dyn Resolve>,
    tls: Tls,
    idle: Mutex<Option<Session>>,
    names_anywhere: bool,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// What to do.
    pub method: Method,
    /// Where. Made by [`crate::parse_url`], or of one that was.
    pub url: &'a Url,
    /// Names and values. `Host`, `Content-Length` and whatever governs the connection is ours to set.
    pub headers: Vec<(&'a str, HeaderValue<'a>)>,
    /// The body; empty for a GET.
    pub body: Vec<u8>,
    /// Seconds without a byte in either direction before it is given up.
    pub idle_secs: u32,
    /// Seconds that it may take in all, connecting included.
    pub total_secs: u32,
    /// Bytes of the reply's body, at most.
    pub max_reply: u64,
}

/// What may be asked of a server.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Method {
    /// Fetch.
    Get,
    /// Send, and take the answer.
    Post,
}

/// A header's value. A secret one does not print, and our copy of it is zeroed after use (the buffers of the HTTP
/// library are not ours to zero).
#[derive(Clone, Copy)]
pub enum HeaderValue<'a> {
    /// Anyone may see it.
    Plain(&'a str),
    /// A secret as it stands, as in `x-api-key`.
    Secret(&'a Secret<String>),
    /// A secret with `Bearer ` before it, as in `authorization`.
    Bearer(&'a Secret<String>),
}

/// How a server answered. The body went to the sink.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The HTTP status, whichever: 404 and 500 are replies too.
    pub status: u16,
    /// The media type with its parameters, as sent; empty where none was.
    pub content_type: String,
    /// Bytes of body that the sink was given.
    pub bytes: u64,
    /// The sink took all there was; `false` where it asked to stop.
    pub complete: bool,
    /// Seconds to wait before the next try, where the server says (RFC 9110 section 10.2.3).
    pub retry_after: Option<u64>,
    /// For people: set where the server redirects elsewhere, which is never followed.
    pub note: Option<String>,
}

impl Broker {
    /// A broker with the system's resolver and certificate authorities.
    pub fn new(rules: Rules) -> Broker {
        Broker::with(rules, Roots::System, Arc::new(SystemResolver))
    }

    /// A broker that believes these roots and asks this resolver.
    pub fn with(rules: Rules, roots: Roots, resolve: Arc<dyn Resolve>) -> Broker {
        Broker { rules, resolve, tls: Tls::new(roots), idle: Mutex::new(None), names_anywhere: false }
    }

    /// The same for a person's own collector of logs, whose name may lead to any address: it is theirs, and who answers
    /// there has to prove the name before a byte is sent.
    #[must_use]
    pub fn for_collector(self) -> Broker {
        Broker { names_anywhere: true, ..self }
    }

    /// What it may do.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Sends a request and hands the reply's body to `sink` piece by piece as it comes, whatever its status.
    /// `sink` stops it by [`ControlFlow::Break`]. Blocks until the reply has ended; `cancel` ends it at once, but
    /// for the time that `sink` itself takes.
    ///
    /// # Errors
    /// See [`NetErrorKind`]. What the sink was given before an error is what had come until then. A request is never
    /// sent twice.
    pub fn send(
        &self,
        request: Request<'_>,
        sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
        cancel: &Cancel,
    ) -> Result<Reply, NetError> {
        let endpoint = self.rules.check(request.url)?;
        let limits = (request.idle_secs, request.total_secs, request.max_reply);
        let message = exchange::message(&endpoint, request)?;
        let (engine, link) = self.take_idle(&endpoint).map_or_else(
            || Engine::start().map(|engine| (engine, None)),
            |session| Ok((session.engine, Some(session.link))),
        )?;
        let plan = Plan {
            endpoint: &endpoint,
            resolve: &self.resolve,
            tls: &self.tls,
            names_anywhere: self.names_anywhere,
            idle: Duration::from_secs(limits.0.into()),
            total: Duration::from_secs(limits.1.into()),
            max_reply: limits.2,
            cancel,
        };
        let (reply, link) = engine.block_on(exchange::run(&plan, link, message, sink))?;
        if let Some(link) = link {
            *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(Session { engine, endpoint, link });
        }
        Ok(reply)
    }

    fn take_idle(&self, endpoint: &Endpoint) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.take_if(|session| session.endpoint == *endpoint || session.link.quiet() > KEEP)
            .filter(|session| session.link.quiet() <= KEEP)
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl fmt::Debug for HeaderValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderValue::Plain(value) => write!(f, "{value:?}"),
            HeaderValue::Secret(_) | HeaderValue::Bearer(_) => f.write_str("[secret]"),
        }
    }
}

/// An open connection that waits for the next request, and the runtime that it lives on.
struct Session {
    link: Link,
    endpoint: Endpoint,
    engine: Engine,
}

/// A runtime that never keeps its owner waiting, not even for a resolver that does not come back.
pub(crate) struct Engine(Option<Runtime>);

impl Engine {
    pub(crate) fn start() -> Result<Engine, NetError> {
        match Builder::new_current_thread().enable_io().enable_time().max_blocking_threads(1).build() {
            Ok(runtime) => Ok(Engine(Some(runtime))),
            Err(error) => Err(NetError::new(
                NetErrorKind::System,
                format!("the system gives no means to reach the network ({error}); are too many files open?"),
            )),
        }
    }

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = Result<T, NetError>>) -> Result<T, NetError> {
        match &self.0 {
            Some(runtime) => runtime.block_on(work),
            None => Err(NetError::new(NetErrorKind::System, "the connection has ended")),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
