//! From an endpoint to an open connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use crate::address::{self, Resolve};
use crate::error::{NetError, NetErrorKind};
use crate::rules::{Endpoint, Scheme};
use crate::stream::Wire;
use crate::tls::{self, Tls};

/// How long it may take until a connection stands; the same again for TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one address has before the next is tried beside it (RFC 8305 section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// A connection to an endpoint, at an address that was checked, with TLS 1.3 where the endpoint is `https`.
pub(crate) async fn open(endpoint: &Endpoint, resolve: &Arc<dyn Resolve>, tls: &Tls) -> Result<Wire, NetError> {
    let remedy = "if that is where your provider is, configure it by that address";
    let addresses = address::checked(endpoint.name(), endpoint.port(), resolve, remedy).await?;
    let tls = (endpoint.scheme() == Scheme::Https).then_some(tls);
    connected(endpoint, &endpoint.to_string(), addresses, tls).await
}

/// A connection to a person's own collector, wherever its name leads: with TLS the name is proved before anything is
/// sent, and without it the person asked for that address.
pub(crate) async fn to_collector(
    endpoint: &Endpoint,
    place: &str,
    resolve: &Arc<dyn Resolve>,
    tls: Option<&Tls>,
) -> Result<Wire, NetError> {
    let addresses = address::anywhere(endpoint.name(), endpoint.port(), resolve).await?;
    connected(endpoint, place, addresses, tls).await
}

async fn connected(
    endpoint: &Endpoint,
    place: &str,
    addresses: Vec<SocketAddr>,
    tls: Option<&Tls>,
) -> Result<Wire, NetError> {
    let tcp = dial(addresses, place).await?;
    let Some(tls) = tls else { return Ok(Wire::Plain(tcp)) };
    let host = endpoint.host();
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
        .map_err(|_| NetError::new(NetErrorKind::Tls, format!("`{host}` is not a name that a certificate can have")))?;
    let connector = TlsConnector::from(tls.config()?);
    match timeout(CONNECT_TIMEOUT, connector.connect(name, tcp)).await {
        Ok(Ok(stream)) => Ok(Wire::Tls(Box::new(stream))),
        Ok(Err(error)) => Err(tls::explain(place, &error)),
        Err(_) => Err(tls::explain(place, &io::ErrorKind::TimedOut.into())),
    }
}

/// A connection to the first of these addresses that answers; `place` is what the person calls it.
pub(crate) async fn dial(addresses: Vec<SocketAddr>, place: &str) -> Result<TcpStream, NetError> {
    match timeout(CONNECT_TIMEOUT, first_of(addresses)).await {
        Ok(Ok(tcp)) => {
            // Small requests are not to wait for a full packet. Where the system refuses, it is slower and no worse.
            let _ = tcp.set_nodelay(true);
            Ok(tcp)
        }
        Ok(Err(error)) => Err(explain(place, &error)),
        Err(_) => Err(explain(place, &io::ErrorKind::TimedOut.into())),
    }
}

/// The first connection that stands, each address with a head start before the next.
async fn first_of(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut tries = JoinSet::new();
    let mut waiting = addresses.into_iter();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        if let Some(address) = waiting.next() {
            tries.spawn(TcpStream::connect(address));
        } else if tries.is_empty() {
            return Err(last);
        }
        let more = waiting.len() > 0;
        tokio::select! {
            done = tries.join_next(), if !tries.is_empty() => match done {
                Some(Ok(Ok(tcp))) => return Ok(tcp),
                // That somebody is there and nothing listens tells more than any other failure.
                Some(Ok(Err(error))) if last.kind() != io::ErrorKind::ConnectionRefused => last = error,
                Some(Ok(Err(_))) => {}
                Some(Err(_)) | None => {}
            },
            () = sleep(HEAD_START), if more => {}
        }
    }
}

fn explain(place: &str, error: &io::Error) -> NetError {
    let why = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            format!("nothing listens at `{place}`; is the server running?")
        }
        io::ErrorKind::TimedOut => {
            format!("`{place}` did not answer within 10 seconds; check its address and your connection")
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            format!("there is no way to `{place}` from here; check your connection")
        }
        _ => format!("no connection to `{place}` ({error}); check your connection"),
    };
    NetError::new(NetErrorKind::Connect, why)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test's own listener")]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn closed() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    fn race(addresses: Vec<SocketAddr>) -> io::Result<SocketAddr> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { first_of(addresses).await?.peer_addr() })
    }

    #[test]
    fn the_first_address_that_answers_is_taken() {
        let open = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = open.local_addr().unwrap();
        assert_eq!(race(vec![closed(), closed(), address]).unwrap(), address);
        assert_eq!(race(vec![address, closed()]).unwrap(), address);
    }

    #[test]
    fn nothing_listening_is_told_over_any_other_failure() {
        // TCP knows no broadcast.
        let nowhere: SocketAddr = "255.255.255.255:1".parse().unwrap();
        for addresses in [vec![closed(), nowhere], vec![nowhere, closed()], vec![closed()]] {
            assert_eq!(race(addresses).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        }
        assert!(race(Vec::new()).is_err());
    }
}
