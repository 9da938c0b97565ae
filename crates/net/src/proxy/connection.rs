//! One connection of a program: its request, judged, answered, and carried.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::authority::Target;
use super::head::{Asked, BadHead, HEAD_MOST, parse_head};
use super::relay::{End, Relay};
use super::rules::ProxyRules;
use super::{ProxyEvent, ProxyLimits};
use crate::address::{self, Resolve};
use crate::connect;
use crate::error::{NetError, NetErrorKind};

/// How long a program has to read a refusal while it still sends.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes that are thrown away meanwhile, at most.
const LINGER_MOST: usize = 256 * 1024;
/// A fatal TLS alert, `access_denied` (RFC 8446 section 6.2), so that the program need not guess.
const DENIED: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];

/// What all connections of a proxy share.
pub(super) struct Shared {
    pub(super) rules: ProxyRules,
    pub(super) dial: Dial,
    pub(super) limits: ProxyLimits,
    pub(super) told: Box<dyn Fn(ProxyEvent) + Send + Sync>,
}

/// How a target becomes a connection.
pub(super) enum Dial {
    /// By these names, at addresses that were checked.
    Checked(Arc<dyn Resolve>),
    /// Wherever a test wants it.
    #[cfg(test)]
    Fixed(std::net::SocketAddr),
}

impl Dial {
    async fn open(&self, target: &Target) -> Result<TcpStream, NetError> {
        let place = target.to_string();
        let addresses = match self {
            Dial::Checked(resolve) => {
                let remedy = "whoever means that machine names it by its address, with `--net`";
                address::checked(&target.host, target.port, resolve, remedy).await?
            }
            #[cfg(test)]
            Dial::Fixed(address) => vec![*address],
        };
        connect::dial(addresses, &place).await
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(mut client: TcpStream, shared: &Shared) {
    // Small answers are not to wait for a full packet. Where the system refuses, it is slower and no worse.
    let _ = client.set_nodelay(true);
    let mut bytes = Vec::with_capacity(1024);
    let asked = match timeout(shared.limits.head, head(&mut client, &mut bytes)).await {
        Ok(Ok(Some(asked))) => asked,
        // The program went away.
        Ok(Ok(None)) => return,
        Ok(Err(bad)) => return refuse(client, shared, None, bad.status, &bad.why).await,
        Err(_) => {
            let why = format!("the request did not come within {} seconds", shared.limits.head.as_secs());
            return refuse(client, shared, None, 408, &why).await;
        }
    };
    let target = asked.target().clone();
    if let Err((status, why)) = judge(&shared.rules, &asked) {
        return refuse(client, shared, Some(&target), status, &why).await;
    }
    let server = match shared.dial.open(&target).await {
        Ok(server) => server,
        Err(error) => {
            let status = if error.kind() == NetErrorKind::Refused { 403 } else { 502 };
            return refuse(client, shared, Some(&target), status, &error.to_string()).await;
        }
    };
    carry(client, server, asked, bytes, shared).await;
}

/// Reads a head; what came behind it stays in `bytes`. `None` where the program went away before it was whole.
async fn head(client: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<Option<Asked>, BadHead> {
    loop {
        if let Some((asked, length)) = parse_head(bytes)? {
            bytes.drain(..length);
            return Ok(Some(asked));
        }
        let room = HEAD_MOST.saturating_sub(bytes.len()) as u64;
        match client.take(room).read_buf(bytes).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(_) => {}
        }
    }
}

/// Whether this may be done at all: a status and the reason where not.
fn judge(rules: &ProxyRules, asked: &Asked) -> Result<(), (u16, String)> {
    let target = asked.target();
    if !rules.allows(target) {
        let why =
            format!("`{target}` is not among the hosts that this run may reach: `--net {}` allows it", target.flag());
        return Err((403, why));
    }
    if matches!(asked, Asked::Forward { .. }) && target.port == 443 {
        return Err((403, "port 443 is for TLS, and a plain request is not TLS: use `https://`".to_owned()));
    }
    Ok(())
}

async fn carry(mut client: TcpStream, mut server: TcpStream, asked: Asked, first: Vec<u8>, shared: &Shared) {
    let target = asked.target().clone();
    let Ok(address) = server.peer_addr() else { return };
    (shared.told)(ProxyEvent::Opened { host: target.host(), port: target.port, address });
    let open = Open { shared, target: &target, relay: Relay::new() };
    let both = (&mut client, &mut server);
    let limits = shared.limits;
    match &asked {
        Asked::Tunnel(_) => {
            if both.0.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_err() {
                return;
            }
            if let End::Refused(why) = open.relay.tunnel(both, (first, &target), (limits.head, limits.idle)).await {
                (shared.told)(ProxyEvent::Refused { host: target.host(), port: target.port, why });
                drop(server);
                drop(open);
                last_words(client, &DENIED).await;
            }
        }
        Asked::Forward { head, body, .. } => {
            // Bytes beyond the body are not the request's.
            if first.len() as u64 > *body {
                return;
            }
            open.relay.request(both, (head, &first, *body), limits.idle).await;
        }
    }
}

/// A connection that stands; its end is told, however it comes.
struct Open<'a> {
    shared: &'a Shared,
    target: &'a Target,
    relay: Relay,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        (self.shared.told)(ProxyEvent::Closed {
            host: self.target.host(),
            port: self.target.port,
            sent: self.relay.sent.load(Ordering::Relaxed),
            received: self.relay.received.load(Ordering::Relaxed),
        });
    }
}

/// Answers with a status and the reason, in the status line as well: programs show that and drop the rest.
async fn refuse(client: TcpStream, shared: &Shared, target: Option<&Target>, status: u16, why: &str) {
    let (host, port) = target.map_or((String::new(), 0), |target| (target.host(), target.port));
    (shared.told)(ProxyEvent::Refused { host, port, why: why.to_owned() });
    let line: String = why.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect();
    let body = format!("raincoat: {why}\n");
    let answer = format!(
        "HTTP/1.1 {status} {line}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    last_words(client, answer.as_bytes()).await;
}

/// Sends the last bytes and closes so that they arrive: a socket closed with bytes unread takes back what it sent.
async fn last_words(mut client: TcpStream, bytes: &[u8]) {
    let _ = timeout(LINGER, async {
        client.write_all(bytes).await?;
        client.shutdown().await?;
        let (mut nothing, mut left) = ([0; 4096], LINGER_MOST);
        loop {
            match client.read(&mut nothing).await? {
                0 => return Ok::<(), std::io::Error>(()),
                got => match left.checked_sub(got) {
                    Some(rest) => left = rest,
                    None => return Ok(()),
                },
            }
        }
    })
    .await;
}
