//! A small HTTP/1.1 server for what this machine offers to others: short requests, short answers, each given whole.
//!
//! It speaks plain HTTP. Beyond this machine it belongs behind something that speaks TLS (a tunnel, a reverse proxy).

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, io};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

/// How long to wait where the system gives no descriptor for the next connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// Bytes of a request's head, at most.
const HEAD_BYTES: usize = 16 << 10;
/// Headers of a request, at most.
const HEADERS: usize = 64;
/// Requests that are answered at the same time; further ones wait.
const ANSWERING: usize = 4;

/// Upper bounds of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServerLimits {
    /// Connections at once; further ones wait to be accepted.
    pub connections: usize,
    /// Bytes of a request's body.
    pub body: usize,
    /// How long a request's head may take to come, from the end of the one before; and likewise its body.
    pub wait: Duration,
}

/// A request, whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Received {
    /// Something is sent with it (POST). Otherwise it is fetched (GET or HEAD).
    pub post: bool,
    /// The path, as it was sent, without a query.
    pub path: String,
    /// The body.
    pub body: Vec<u8>,
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body's media type.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

/// A server at work. Dropping it closes the listener and every connection.
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

type Handler = Arc<dyn Fn(Received) -> Answer + Send + Sync>;

impl Server {
    /// Listens at an address (port 0: any free one) and gives every request to `handler`, which may block. A few run at
    /// the same time, each on a thread of its own.
    ///
    /// # Errors
    /// Where the address is taken or not this machine's, or the system gives no thread.
    pub fn start(
        address: SocketAddr,
        limits: ServerLimits,
        handler: impl Fn(Received) -> Answer + Send + Sync + 'static,
    ) -> io::Result<Server> {
        #[expect(clippy::disallowed_methods, reason = "this room opens sockets")]
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(ANSWERING)
            .build()?;
        let listener = {
            let _within = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let handler: Handler = Arc::new(handler);
        let work = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, limits, handler) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = thread::Builder::new().name("server".to_owned()).spawn(work)?;
        Ok(Server { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended, too.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn accept(listener: tokio::net::TcpListener, limits: ServerLimits, handler: Handler) {
    let places = Arc::new(Semaphore::new(limits.connections.max(1)));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let handler = Arc::clone(&handler);
        tokio::spawn(async move {
            // Small answers are not to wait for a full packet. Where the system refuses, it is slower and no worse.
            let _ = client.set_nodelay(true);
            let service = service_fn(|request| answer(request, limits, Arc::clone(&handler)));
            // Whoever breaks off is told nothing.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.wait)
                .max_buf_size(HEAD_BYTES)
                .max_headers(HEADERS)
                .serve_connection(TokioIo::new(client), service)
                .await;
            drop(place);
        });
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    limits: ServerLimits,
    handler: Handler,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let post = match *request.method() {
        Method::POST => true,
        Method::GET | Method::HEAD => false,
        _ => return Ok(plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and POST are served here\n")),
    };
    let path = request.uri().path().to_owned();
    let body = match timeout(limits.wait, Limited::new(request.into_body(), limits.body).collect()).await {
        Ok(Ok(body)) => body.to_bytes().to_vec(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return Ok(closing(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long\n"));
        }
        Ok(Err(_)) => return Ok(closing(StatusCode::BAD_REQUEST, "the request was cut off\n")),
        Err(_) => return Ok(closing(StatusCode::REQUEST_TIMEOUT, "the request did not come in time\n")),
    };
    let done = tokio::task::spawn_blocking(move || handler(Received { post, path, body })).await;
    let Ok(answer) = done else {
        return Ok(plain(StatusCode::INTERNAL_SERVER_ERROR, "the answer failed\n"));
    };
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    Ok(response)
}

fn plain(status: StatusCode, words: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(words.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// The rest of the body will not be read, so the connection cannot be used again.
fn closing(status: StatusCode, words: &'static str) -> Response<Full<Bytes>> {
    let mut response = plain(status, words);
    response.headers_mut().insert(hyper::header::CONNECTION, HeaderValue::from_static("close"));
    response
}
