//! One request and its reply over one connection.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Response, header::HeaderValue as WireValue};
use hyper_util::rt::TokioIo;
use raincoat_types::display_bytes;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use crate::address::Resolve;
use crate::broker::{HeaderValue, Method, Reply, Request};
use crate::cancel::Cancel;
use crate::connect;
use crate::error::{NetError, NetErrorKind};
use crate::rules::{Endpoint, Scheme};
use crate::stream::{Activity, Watched};
use crate::tls::Tls;

/// How long an idle connection may take to say that it is ready.
const READY_TIMEOUT: Duration = Duration::from_millis(250);
/// Bytes of a reply's status line and headers, at most.
const HEADER_BYTES: usize = 64 << 10;
/// Headers of a reply, at most.
const HEADERS: usize = 100;
/// Characters of a server's own words that a message repeats, at most.
const QUOTE: usize = 200;
/// Headers that say how a message travels. Theirs is the HTTP library's business: a second opinion on where a body
/// ends is how requests are smuggled.
const OURS: [&str; 12] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "proxy-authorization",
    "proxy-connection",
    "accept-encoding",
];

pub(crate) type Message = hyper::Request<Full<Bytes>>;

/// All that a request needs but itself.
pub(crate) struct Plan<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) resolve: &'a Arc<dyn Resolve>,
    pub(crate) tls: &'a Tls,
    /// Names may lead to addresses that are not public.
    pub(crate) names_anywhere: bool,
    pub(crate) idle: Duration,
    pub(crate) total: Duration,
    pub(crate) max_reply: u64,
    pub(crate) cancel: &'a Cancel,
}

/// An open connection.
pub(crate) struct Link {
    sender: SendRequest<Full<Bytes>>,
    activity: Activity,
}

/// The request as it goes out.
pub(crate) fn message(endpoint: &Endpoint, request: Request<'_>) -> Result<Message, NetError> {
    let wrong = |why: String| NetError::new(NetErrorKind::Protocol, why);
    let mut headers = HeaderMap::new();
    let host = match (endpoint.scheme(), endpoint.port()) {
        (Scheme::Http, 80) | (Scheme::Https, 443) => endpoint.host(),
        (_, port) => format!("{}:{port}", endpoint.host()),
    };
    headers.insert(header::HOST, value(Zeroizing::new(host), "host")?);
    headers.insert(header::USER_AGENT, WireValue::from_static(concat!("raincoat/", env!("CARGO_PKG_VERSION"))));
    headers.insert(header::ACCEPT_ENCODING, WireValue::from_static("identity"));
    for (name, given) in &request.headers {
        let shown = || display_bytes(name.as_bytes());
        let wire = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| wrong(format!("`{}` cannot be a header's name", shown())))?;
        if OURS.contains(&wire.as_str()) {
            return Err(wrong(format!("the header `{}` is not the caller's to set", shown())));
        }
        let (text, secret) = match given {
            HeaderValue::Plain(text) => (Zeroizing::new((*text).to_owned()), false),
            HeaderValue::Secret(secret) => (Zeroizing::new(secret.expose().clone()), true),
            HeaderValue::Bearer(secret) => (Zeroizing::new(["Bearer ", secret.expose()].concat()), true),
        };
        let mut set = value(text, name)?;
        set.set_sensitive(secret);
        headers.insert(wire, set);
    }
    let target = match request.url.query() {
        Some(query) => format!("{}?{query}", request.url.path()),
        None => request.url.path().to_owned(),
    };
    let method = match request.method {
        Method::Get => hyper::Method::GET,
        Method::Post => hyper::Method::POST,
    };
    let mut message = hyper::Request::builder()
        .method(method)
        .uri(target)
        .body(Full::new(Bytes::from(request.body)))
        .map_err(|_| wrong("the path of the URL cannot be sent; check the provider's URL".to_owned()))?;
    *message.headers_mut() = headers;
    Ok(message)
}

/// A header's value whose bytes are zeroed when the last of its handles goes.
fn value(text: Zeroizing<String>, name: &str) -> Result<WireValue, NetError> {
    struct Wiped(Zeroizing<String>);
    impl AsRef<[u8]> for Wiped {
        fn as_ref(&self) -> &[u8] {
            self.0.as_bytes()
        }
    }
    WireValue::from_maybe_shared(Bytes::from_owner(Wiped(text))).map_err(|_| {
        let name = display_bytes(name.as_bytes());
        NetError::new(
            NetErrorKind::Protocol,
            format!("the value for the header `{name}` has a line break or a control character in it; set it anew"),
        )
    })
}

/// Sends a message and reads its reply, within the plan's limits. Gives the connection back where it can be used
/// again.
pub(crate) async fn run(
    plan: &Plan<'_>,
    link: Option<Link>,
    message: Message,
    sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<(Reply, Option<Link>), NetError> {
    if plan.cancel.is_cancelled() {
        return Err(cancelled());
    }
    tokio::select! {
        biased;
        () = plan.cancel.cancelled() => Err(cancelled()),
        () = sleep(plan.total) => Err(too_long(plan)),
        done = talk(plan, link, message, sink) => done,
    }
}

fn cancelled() -> NetError {
    NetError::new(NetErrorKind::Cancelled, "the request was stopped")
}

fn too_long(plan: &Plan<'_>) -> NetError {
    let (place, secs) = (plan.endpoint, plan.total.as_secs());
    NetError::new(
        NetErrorKind::TotalTimeout,
        format!("`{place}` was not done within {secs} seconds; ask for less, or raise `model_total_secs`"),
    )
}

async fn talk(
    plan: &Plan<'_>,
    link: Option<Link>,
    mut message: Message,
    sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<(Reply, Option<Link>), NetError> {
    if let Some(mut link) = link
        && link.is_open().await
    {
        match link.offer(plan, message).await? {
            Ok(response) => return receive(plan, link, response, sink).await,
            // The server hung up in this very moment, and nothing of it was sent.
            Err(unsent) => message = unsent,
        }
    }
    let mut link = connect(plan).await?;
    match link.offer(plan, message).await? {
        Ok(response) => receive(plan, link, response, sink).await,
        Err(_) => Err(cut(plan, "before it took the request")),
    }
}

impl Link {
    /// Time since it was last in use.
    pub(crate) fn quiet(&self) -> Duration {
        self.activity.quiet()
    }

    /// Whether the other side has it open still, as far as we can know. The runtime slept since the last request, so
    /// that it has to look at its sockets first.
    async fn is_open(&mut self) -> bool {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        !self.sender.is_closed() && matches!(timeout(READY_TIMEOUT, self.sender.ready()).await, Ok(Ok(())))
    }

    /// Sends a message; gives it back where none of it was sent.
    async fn offer(
        &mut self,
        plan: &Plan<'_>,
        message: Message,
    ) -> Result<Result<Response<Incoming>, Message>, NetError> {
        self.activity.mark();
        let sent = self.sender.try_send_request(message);
        let result = tokio::select! {
            biased;
            result = sent => result,
            () = self.activity.idle(plan.idle) => return Err(silent(plan)),
        };
        match result {
            Ok(response) => Ok(Ok(response)),
            Err(mut failure) => match failure.take_message() {
                Some(unsent) => Ok(Err(unsent)),
                None => Err(broken(plan, &failure.into_error(), "before it answered")),
            },
        }
    }
}

fn silent(plan: &Plan<'_>) -> NetError {
    let (place, secs) = (plan.endpoint, plan.idle.as_secs());
    NetError::new(
        NetErrorKind::IdleTimeout,
        format!(
            "nothing came from `{place}` for {secs} seconds; is it overloaded? try again, or raise `model_idle_secs`"
        ),
    )
}

fn cut(plan: &Plan<'_>, when: &str) -> NetError {
    let place = plan.endpoint;
    NetError::new(NetErrorKind::Cut, format!("`{place}` closed the connection {when}; try again"))
}

fn broken(plan: &Plan<'_>, error: &hyper::Error, when: &str) -> NetError {
    let place = plan.endpoint;
    // hyper has a question for this, but only for servers; a test holds its words.
    if error.is_parse() && error.to_string().contains("too large") {
        let message = format!("`{place}` sent headers of more than {HEADER_BYTES} bytes; is this a model's server?");
        return NetError::new(NetErrorKind::TooLarge, message);
    }
    if error.is_parse() {
        let message = format!("what `{place}` answers is not HTTP; check the provider's URL and port");
        return NetError::new(NetErrorKind::Protocol, message);
    }
    // A malformed chunk is `InvalidInput` or `InvalidData` below hyper's error; everything else is a connection gone.
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>()
            && matches!(io.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
        {
            let message = format!("`{place}` broke the rules of HTTP in the middle of its reply; try again");
            return NetError::new(NetErrorKind::Protocol, message);
        }
        source = inner.source();
    }
    cut(plan, when)
}

async fn connect(plan: &Plan<'_>) -> Result<Link, NetError> {
    let wire = if plan.names_anywhere {
        let tls = (plan.endpoint.scheme() == Scheme::Https).then_some(plan.tls);
        connect::to_collector(plan.endpoint, &plan.endpoint.to_string(), plan.resolve, tls).await?
    } else {
        connect::open(plan.endpoint, plan.resolve, plan.tls).await?
    };
    let activity = Activity::new();
    let stream = TokioIo::new(Watched { wire, activity: activity.clone() });
    let (sender, connection) = http1::Builder::new()
        .max_headers(HEADERS)
        .max_header_size(HEADER_BYTES)
        .max_buf_size(2 * HEADER_BYTES)
        .handshake(stream)
        .await
        .map_err(|error| broken(plan, &error, "at once"))?;
    // Its errors come out at the sender, too.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(Link { sender, activity })
}

async fn receive(
    plan: &Plan<'_>,
    link: Link,
    response: Response<Incoming>,
    sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<(Reply, Option<Link>), NetError> {
    let (head, mut body) = response.into_parts();
    let place = plan.endpoint;
    let text = |name: HeaderName| head.headers.get(name).map(|found| display_bytes(found.as_bytes()));
    if let Some(encoding) = text(header::CONTENT_ENCODING).filter(|encoding| encoding != "identity") {
        let message = format!("`{place}` answers in the encoding `{}`, which was not asked for", quote(&encoding));
        return Err(NetError::new(NetErrorKind::Protocol, message));
    }
    let mut reply = Reply {
        status: head.status.as_u16(),
        content_type: text(header::CONTENT_TYPE).map(|found| quote(&found)).unwrap_or_default(),
        bytes: 0,
        complete: true,
        retry_after: text(header::RETRY_AFTER).and_then(|found| found.parse().ok()),
        note: head.status.is_redirection().then(|| redirect(place, text(header::LOCATION))),
    };
    let too_large = || {
        let max = plan.max_reply;
        let message = format!("the reply of `{place}` is over {max} bytes; ask for less, or raise `model_reply_bytes`");
        NetError::new(NetErrorKind::TooLarge, message)
    };
    if hyper::body::Body::size_hint(&body).lower() > plan.max_reply {
        return Err(too_large());
    }
    loop {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            () = link.activity.idle(plan.idle) => return Err(silent(plan)),
        };
        let data = match frame {
            None => break,
            Some(Err(error)) => return Err(broken(plan, &error, "in the middle of its reply")),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if !data.is_empty() => data,
                _ => continue,
            },
        };
        if plan.max_reply - reply.bytes < data.len() as u64 {
            return Err(too_large());
        }
        reply.bytes += data.len() as u64;
        if sink(&data).is_break() {
            reply.complete = false;
            return Ok((reply, None));
        }
        // The sink's time is not the server's; and one that never pauses must not hide the switch and the clock.
        link.activity.mark();
        tokio::task::yield_now().await;
    }
    // A new connection on this machine costs less than the doubt whether the other side has hung up: llama.cpp does so
    // after a stream, having said that it would not.
    let reusable = plan.endpoint.scheme() == Scheme::Https && !link.sender.is_closed();
    Ok((reply, reusable.then_some(link)))
}

/// Where to, without the parts of a URL that may hold a secret.
fn redirect(place: &Endpoint, location: Option<String>) -> String {
    let target = location.unwrap_or_default();
    let shown = target.split(['?', '#']).next().unwrap_or_default();
    let shown = match shown.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, rest)| rest)),
        None => shown.to_owned(),
    };
    format!(
        "`{place}` redirects to `{}`, which is not followed; if that is the right place, configure the provider with it",
        quote(&shown)
    )
}

fn quote(text: &str) -> String {
    text.chars().take(QUOTE).collect()
}
