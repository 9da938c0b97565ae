//! From a host to the addresses that may be connected to.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use url::Host;

use crate::error::{NetError, NetErrorKind};

/// Addresses tried for one name, at most.
const ADDRESSES: usize = 8;

/// How long a name may take to look up.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Looks up names. The system's is [`SystemResolver`].
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a host name, best first. May block; it is called on a thread of its own.
    ///
    /// # Errors
    /// Where the name has none, or nobody answers.
    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's own resolver (`getaddrinfo`).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
    }
}

/// The addresses to connect to for a host and a port, in order, each of them checked. Looks a name up once.
///
/// An address that stands in the configuration itself is taken as it is. A name must lead to the public internet:
/// were a single one of its addresses this machine, the local network or a cloud's metadata service, somebody may be
/// playing with the name (DNS rebinding), and none of them is used; `remedy` says what a person then does who means it.
pub(crate) async fn checked(
    host: &Host<String>,
    port: u16,
    resolve: &Arc<dyn Resolve>,
    remedy: &str,
) -> Result<Vec<SocketAddr>, NetError> {
    let (name, found) = match find(host, port, resolve).await? {
        Found::Given(addresses) => return Ok(addresses),
        Found::Named(name, found) => (name, found),
    };
    if let Some(bad) = found.iter().find(|ip| !is_public(**ip)) {
        return Err(NetError::new(
            NetErrorKind::Refused,
            format!("the name `{name}` leads to {bad}, which is not on the public internet; {remedy}"),
        ));
    }
    Ok(sockets(found, port))
}

/// The same wherever a name leads, but to addresses that no service can have.
pub(crate) async fn anywhere(
    host: &Host<String>,
    port: u16,
    resolve: &Arc<dyn Resolve>,
) -> Result<Vec<SocketAddr>, NetError> {
    match find(host, port, resolve).await? {
        Found::Given(addresses) => Ok(addresses),
        Found::Named(_, found) => Ok(sockets(found.into_iter().filter(|ip| !is_nowhere(*ip)), port)),
    }
}

/// What a host comes to.
enum Found {
    /// It stands there as an address, or is this machine by definition.
    Given(Vec<SocketAddr>),
    /// A name and what the resolver says of it; never empty.
    Named(String, Vec<IpAddr>),
}

fn sockets(found: impl IntoIterator<Item = IpAddr>, port: u16) -> Vec<SocketAddr> {
    found.into_iter().take(ADDRESSES).map(|ip| SocketAddr::new(ip, port)).collect()
}

async fn find(host: &Host<String>, port: u16, resolve: &Arc<dyn Resolve>) -> Result<Found, NetError> {
    let name = match host {
        Host::Ipv4(ip) => return literal(IpAddr::V4(*ip), port).map(Found::Given),
        Host::Ipv6(ip) => return literal(IpAddr::V6(*ip), port).map(Found::Given),
        // Never asked of anybody (RFC 6761 section 6.3): an answer could point anywhere.
        Host::Domain(name) if name == "localhost" => {
            let both = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
            return Ok(Found::Given(both.map(|ip| SocketAddr::new(ip, port)).to_vec()));
        }
        Host::Domain(name) => name.clone(),
    };
    let unknown = |why: &str| {
        NetError::new(
            NetErrorKind::Resolve,
            format!("the name `{name}` has no address ({why}); check its spelling and your connection"),
        )
    };
    let (resolve, asked) = (Arc::clone(resolve), name.clone());
    let looked_up = tokio::task::spawn_blocking(move || resolve.resolve(&asked));
    let found = match tokio::time::timeout(RESOLVE_TIMEOUT, looked_up).await {
        Ok(Ok(Ok(found))) => found,
        Ok(Ok(Err(error))) => return Err(unknown(&error.to_string())),
        Ok(Err(_)) => return Err(unknown("the resolver broke off")),
        Err(_) => return Err(unknown("nobody answered within 10 seconds")),
    };
    if found.is_empty() {
        return Err(unknown("the answer is empty"));
    }
    Ok(Found::Named(name, found))
}

fn literal(ip: IpAddr, port: u16) -> Result<Vec<SocketAddr>, NetError> {
    let address = SocketAddr::new(ip, port);
    if is_nowhere(ip) {
        return Err(NetError::new(NetErrorKind::Refused, format!("nothing can be reached at `{address}`")));
    }
    Ok(vec![address])
}

/// Addresses that no service can have.
fn is_nowhere(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// Whether an address is globally reachable unicast, by the IANA special-purpose registries (RFC 6890).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127, ..)
            | (100, 64..=127, _)      // shared by carriers
            | (169, 254, _)           // link-local; the metadata services of clouds
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)         // protocol assignments; documentation
            | (192, 88, 99)           // 6to4 relays
            | (192, 168, _)
            | (198, 18..=19, _)       // benchmarks
            | (198, 51, 100)          // documentation
            | (203, 0, 113)           // documentation
            | (224.., ..) // multicast, reserved, broadcast
    )
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let v4 = |high: u16, low: u16| is_public_v4(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)));
    match (a, b) {
        // NAT64 (RFC 6052) leads to the IPv4 address that it ends in.
        (0x64, 0xff9b) => (c, d, e, f) == (0, 0, 0, 0) && v4(g, h),
        // 6to4 leads to the IPv4 address that it starts with.
        (0x2002, high) => v4(high, c),
        // Teredo and the other protocol assignments, documentation.
        (0x2001, 0..=0x1ff | 0xdb8) | (0x3fff, 0..=0xfff) => false,
        // What is left of 2000::/3, which is all that has ever been given out.
        (0x2000..=0x3fff, _) => true,
        // Loopback, IPv4-mapped, discard, unique local (AWS's metadata service among them), link-local, multicast.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Endpoint, parse_url};
    use std::sync::Mutex;

    /// Gives a different answer each time it is asked.
    struct Rebinding(Mutex<Vec<Vec<IpAddr>>>);

    impl Resolve for Rebinding {
        fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
            self.0.lock().unwrap().pop().ok_or_else(|| io::Error::other("asked too often"))
        }
    }

    fn ask(url: &str, answers: &[&[&str]]) -> (Result<Vec<SocketAddr>, NetError>, usize) {
        let answers = answers.iter().rev().map(|a| a.iter().map(|ip| ip.parse().unwrap()).collect()).collect();
        let resolver = Arc::new(Rebinding(Mutex::new(answers)));
        let port: Arc<dyn Resolve> = Arc::clone(&resolver) as Arc<dyn Resolve>;
        let endpoint = Endpoint::of(&parse_url(url).unwrap()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let result = runtime.block_on(checked(endpoint.name(), endpoint.port(), &port, "use its address"));
        let left = resolver.0.lock().unwrap().len();
        (result, left)
    }

    #[test]
    fn a_name_that_leads_inside_is_refused_whole() {
        for inside in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.100.100.200",
            "192.0.0.192",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::808:808",
            "2002:7f00:1::",
            "2002:a00:1::",
            "2001:0:1::1",
            "2001:db8::1",
            "3fff::1",
            "100::1",
            "4000::1",
        ] {
            let (result, _) = ask("https://api.example.com/", &[&["9.9.9.9", inside]]);
            let error = result.expect_err(inside);
            assert_eq!(error.kind(), NetErrorKind::Refused, "{inside}");
            let inside: IpAddr = inside.parse().unwrap();
            assert!(error.to_string().contains(&format!("leads to {inside},")), "{error}");
        }
    }

    #[test]
    fn a_name_is_asked_once_and_what_was_checked_is_used() {
        let (result, left) =
            ask("https://api.example.com/", &[&["9.9.9.9", "2606:4700::1", "64:ff9b::808:808"], &["127.0.0.1"]]);
        assert_eq!(result.unwrap().len(), 3);
        assert_eq!(left, 1);
    }

    #[test]
    fn an_address_in_the_configuration_is_taken_and_nobody_is_asked() {
        for (url, address) in [
            ("https://192.168.1.5:8443/", "192.168.1.5:8443"),
            ("https://169.254.169.254/", "169.254.169.254:443"),
            ("https://[fd00::5]/", "[fd00::5]:443"),
            ("http://127.0.0.7:1/", "127.0.0.7:1"),
        ] {
            assert_eq!(ask(url, &[]).0.unwrap(), [address.parse().unwrap()]);
        }
        assert!(ask("http://localhost:9/", &[]).0.unwrap().iter().all(|a| a.ip().is_loopback()));
        for nowhere in ["https://0.0.0.0/", "https://[::]/", "https://224.0.0.1/", "https://255.255.255.255/"] {
            assert_eq!(ask(nowhere, &[]).0.unwrap_err().kind(), NetErrorKind::Refused, "{nowhere}");
        }
    }

    #[test]
    fn a_name_without_an_address_says_so() {
        assert_eq!(ask("https://api.example.com/", &[]).0.unwrap_err().kind(), NetErrorKind::Resolve);
        assert_eq!(ask("https://api.example.com/", &[&[]]).0.unwrap_err().kind(), NetErrorKind::Resolve);
    }
}
