//! The proxy for programs in drafts: the only way from a draft to the network, and only to the hosts that were named.
//!
//! The program finds it through `HTTPS_PROXY` and `HTTP_PROXY` on the loopback of its own network namespace; the
//! keeper accepts there and dials from outside. It makes tunnels (`CONNECT`, RFC 9110 section 9.3.6) and passes on
//! plain `http://` requests where the rule names the port. Names are looked up here, never by the program; each
//! address is checked, and the checked one is connected to. The first bytes of a tunnel are looked at: TLS must ask
//! for the server that the tunnel was opened to, and nothing but TLS goes to port 443.
//!
//! What it cannot see is what is said within TLS: a server that many share can still be asked for another's pages
//! (a `Host` that is not the one of the tunnel), and whoever is named receives what the program chooses to send.

mod authority;
mod connection;
mod head;
mod hello;
mod relay;
mod rules;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, io};

use tokio::sync::{Semaphore, oneshot};

use crate::address::{Resolve, SystemResolver};
use connection::{Dial, Shared};

pub use authority::Target;
pub use head::{Asked, BadHead, HEAD_MOST, parse_head};
pub use rules::ProxyRules;

/// How long to wait where the system gives no descriptor for the next connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// What the proxy did. Hosts are in the one spelling that was checked; empty, with port 0, where the request did not
/// come as far as naming one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProxyEvent {
    /// A connection to a named host stands.
    Opened {
        /// The host, IPv6 in brackets.
        host: String,
        /// The port.
        port: u16,
        /// Where the name led to.
        address: SocketAddr,
    },
    /// A request was not answered as it asked, or a tunnel was cut for what came through it.
    Refused {
        /// The host, IPv6 in brackets.
        host: String,
        /// The port.
        port: u16,
        /// Why, and what would allow it, in words.
        why: String,
    },
    /// A connection that was opened has ended.
    Closed {
        /// The host, IPv6 in brackets.
        host: String,
        /// The port.
        port: u16,
        /// Bytes from the program to the host.
        sent: u64,
        /// Bytes from the host to the program.
        received: u64,
    },
}

/// Upper bounds of the proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProxyLimits {
    /// Connections at once; further ones wait to be accepted.
    pub connections: usize,
    /// How long a request's head may take to come, and likewise the first message of TLS.
    pub head: Duration,
    /// How long a connection may be without a byte in either direction.
    pub idle: Duration,
}

impl Default for ProxyLimits {
    fn default() -> ProxyLimits {
        // Two descriptors each, where 1,024 are what a process commonly has. Models think for minutes without a byte.
        ProxyLimits { connections: 256, head: Duration::from_secs(10), idle: Duration::from_secs(15 * 60) }
    }
}

/// A proxy at work. Dropping it closes the listener and every connection, and returns when all have been told.
pub struct Proxy {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Serves a listener by these rules, on a thread of its own, with the system's resolver and the default limits.
///
/// `told` is called on that thread for everything that happens: it must be quick and must not panic.
///
/// # Errors
/// Where the system gives no thread, or nothing to wait with.
pub fn serve(
    listener: TcpListener,
    rules: ProxyRules,
    told: impl Fn(ProxyEvent) + Send + Sync + 'static,
) -> io::Result<Proxy> {
    serve_with(listener, rules, Arc::new(SystemResolver), ProxyLimits::default(), told)
}

/// As [`serve`], with this resolver and these limits.
///
/// # Errors
/// As [`serve`].
pub fn serve_with(
    listener: TcpListener,
    rules: ProxyRules,
    resolve: Arc<dyn Resolve>,
    limits: ProxyLimits,
    told: impl Fn(ProxyEvent) + Send + Sync + 'static,
) -> io::Result<Proxy> {
    start(listener, Shared { rules, dial: Dial::Checked(resolve), limits, told: Box::new(told) })
}

fn start(listener: TcpListener, shared: Shared) -> io::Result<Proxy> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        // Each looks up one name.
        .max_blocking_threads(8)
        .build()?;
    let listener = {
        let _within = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    let (stop, stopped) = oneshot::channel();
    let work = move || {
        runtime.block_on(async {
            tokio::select! {
                () = accept(listener, Arc::new(shared)) => {}
                _ = stopped => {}
            }
        });
        // Ends every connection's task, and waits for no resolver.
        runtime.shutdown_background();
    };
    let thread = thread::Builder::new().name("proxy".to_owned()).spawn(work)?;
    Ok(Proxy { stop: Some(stop), thread: Some(thread) })
}

async fn accept(listener: tokio::net::TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(shared.limits.connections.max(1)));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((client, _)) => {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    connection::serve(client, &shared).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_AGAIN).await,
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended, too, and its connections with it.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test's own servers and clients")]
mod tests;
