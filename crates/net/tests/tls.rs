//! TLS 1.3 and nothing less, with whom it should be (F5). The servers here are rustls with certificates of our own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use raincoat_net::{
    Broker, Cancel, Endpoint, Method, NetError, NetErrorKind, Reply, Request, Roots, Rules, SystemResolver, Url,
    parse_url,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        Authority::named("test authority")
    }

    fn named(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Authority { issuer }
    }

    fn roots(&self) -> Roots {
        Roots::Only(vec![self.issuer.der().clone()])
    }

    fn leaf(&self, params: CertificateParams) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }
}

fn names(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

fn acceptor(
    (certificate, key): (CertificateDer<'static>, PrivateKeyDer<'static>),
    version: &'static SupportedProtocolVersion,
) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(config)
}

/// Answers one connection with `reply`, then ends it with or without saying so. Gives back the version spoken and the
/// bytes of the request, if it came to that.
fn serve(
    leaf: (CertificateDer<'static>, PrivateKeyDer<'static>),
    version: &'static SupportedProtocolVersion,
    reply: &'static [u8],
    says_goodbye: bool,
) -> (u16, JoinHandle<Option<Vec<u8>>>) {
    let config = acceptor(leaf, version);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = thread::spawn(move || {
        let (tcp, _) = listener.accept().unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), tcp);
        let mut request = vec![0; 4096];
        let got = stream.read(&mut request).ok()?;
        request.truncate(got);
        stream.write_all(reply).unwrap();
        if says_goodbye {
            stream.conn.send_close_notify();
        }
        stream.flush().unwrap();
        Some(request)
    });
    (port, serving)
}

fn get(host: &str, port: u16, roots: Roots) -> Result<(Reply, Vec<u8>), NetError> {
    let url = parse_url(&format!("https://{host}:{port}/v1/models")).unwrap();
    fetch(&broker_for(&url, roots), &url)
}

fn broker_for(url: &Url, roots: Roots) -> Broker {
    let rules = Rules { allowed: vec![Endpoint::of(url).unwrap()], offline: true };
    Broker::with(rules, roots, Arc::new(SystemResolver))
}

fn fetch(broker: &Broker, url: &Url) -> Result<(Reply, Vec<u8>), NetError> {
    let request = Request {
        method: Method::Get,
        url,
        headers: Vec::new(),
        body: Vec::new(),
        idle_secs: 10,
        total_secs: 20,
        max_reply: 1000,
    };
    let mut got = Vec::new();
    let mut sink = |bytes: &[u8]| {
        got.extend_from_slice(bytes);
        ControlFlow::Continue(())
    };
    let reply = broker.send(request, &mut sink, &Cancel::new())?;
    Ok((reply, got))
}

fn refused(error: Result<(Reply, Vec<u8>), NetError>, serving: JoinHandle<Option<Vec<u8>>>, words: &str) {
    let error = error.unwrap_err();
    assert_eq!(error.kind(), NetErrorKind::Tls, "{error}");
    assert!(error.to_string().contains(words), "{error}");
    assert_eq!(serving.join().unwrap(), None, "no byte of a request was sent");
}

#[test]
fn a_server_with_tls_1_3_and_a_known_authority_is_spoken_to_by_name_and_by_address() {
    let authority = Authority::new();
    for host in ["localhost", "127.0.0.1"] {
        let (port, serving) = serve(authority.leaf(names(&[host])), &rustls::version::TLS13, OK, true);
        let (reply, got) = get(host, port, authority.roots()).unwrap();
        assert_eq!((reply.status, got.as_slice()), (200, &b"hello"[..]));
        assert!(serving.join().unwrap().unwrap().starts_with(b"GET /v1/models HTTP/1.1\r\n"));
    }
}

#[test]
fn a_server_with_tls_1_2_only_is_refused() {
    let authority = Authority::new();
    let (port, serving) = serve(authority.leaf(names(&["localhost"])), &rustls::version::TLS12, OK, true);
    refused(get("localhost", port, authority.roots()), serving, "does not speak TLS 1.3");
}

#[test]
fn an_unknown_authority_is_refused() {
    let (known, unknown) = (Authority::new(), Authority::named("another"));
    let (port, serving) = serve(unknown.leaf(names(&["localhost"])), &rustls::version::TLS13, OK, true);
    refused(get("localhost", port, known.roots()), serving, "does not know");
    let (port, serving) = serve(unknown.leaf(names(&["localhost"])), &rustls::version::TLS13, OK, true);
    let error = get("localhost", port, Roots::System);
    assert_eq!(error.unwrap_err().kind(), NetErrorKind::Tls);
    assert_eq!(serving.join().unwrap(), None);
    let forger = Authority::new();
    let (port, serving) = serve(forger.leaf(names(&["localhost"])), &rustls::version::TLS13, OK, true);
    refused(get("localhost", port, known.roots()), serving, "somebody may be in between");
}

#[test]
fn a_certificate_for_another_name_or_another_time_is_refused() {
    let authority = Authority::new();
    let (port, serving) = serve(authority.leaf(names(&["api.example.com"])), &rustls::version::TLS13, OK, true);
    refused(get("localhost", port, authority.roots()), serving, "another name");
    let mut old = names(&["localhost"]);
    (old.not_before, old.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    let (port, serving) = serve(authority.leaf(old), &rustls::version::TLS13, OK, true);
    refused(get("localhost", port, authority.roots()), serving, "expired");
    let mut future = names(&["localhost"]);
    (future.not_before, future.not_after) = (date_time_ymd(3020, 1, 1), date_time_ymd(3021, 1, 1));
    let (port, serving) = serve(authority.leaf(future), &rustls::version::TLS13, OK, true);
    refused(get("localhost", port, authority.roots()), serving, "not valid yet");
}

#[test]
fn a_reply_that_ends_without_a_goodbye_is_cut() {
    // Without a length only the end of the connection ends the reply, and that anybody in between can forge.
    const UNTIL_CLOSE: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello";
    let authority = Authority::new();
    let (port, serving) = serve(authority.leaf(names(&["localhost"])), &rustls::version::TLS13, UNTIL_CLOSE, false);
    assert_eq!(get("localhost", port, authority.roots()).unwrap_err().kind(), NetErrorKind::Cut);
    serving.join().unwrap();
    let (port, serving) = serve(authority.leaf(names(&["localhost"])), &rustls::version::TLS13, UNTIL_CLOSE, true);
    assert_eq!(get("localhost", port, authority.roots()).unwrap().1, b"hello");
    serving.join().unwrap();
}

/// Answers `each` requests on every connection, then hangs up unannounced.
fn serve_many(authority: &Authority, each: usize, connections: usize) -> (Url, JoinHandle<usize>) {
    let config = acceptor(authority.leaf(names(&["localhost"])), &rustls::version::TLS13);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = parse_url(&format!("https://localhost:{}/v1", listener.local_addr().unwrap().port())).unwrap();
    let serving = thread::spawn(move || {
        let mut answered = 0;
        for _ in 0..connections {
            let (tcp, _) = listener.accept().unwrap();
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), tcp);
            for _ in 0..each {
                let got = stream.read(&mut [0; 4096]).unwrap();
                assert!(got > 0, "a whole request in one record");
                stream.write_all(OK).unwrap();
                answered += 1;
            }
            stream.conn.send_close_notify();
            stream.flush().unwrap();
        }
        answered
    });
    (url, serving)
}

#[test]
fn a_connection_is_used_again_and_made_anew_when_it_was_closed() {
    let authority = Authority::new();
    let (url, serving) = serve_many(&authority, 3, 2);
    let broker = broker_for(&url, authority.roots());
    for round in 0..6 {
        if round == 3 {
            // Time for the goodbye to arrive.
            thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(fetch(&broker, &url).unwrap().1, b"hello", "round {round}");
    }
    assert_eq!(serving.join().unwrap(), 6);
}
