//! What only a look inside can show: tunnels to port 443, and names, led to servers of the test's own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::client::{EchGreaseConfig, EchMode};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::connection::{Dial, Shared};
use super::*;

fn proxy(items: &[&str], to: SocketAddr) -> (SocketAddr, Proxy, Receiver<ProxyEvent>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let items: Vec<String> = items.iter().map(|item| (*item).to_owned()).collect();
    let limits = ProxyLimits { head: Duration::from_millis(400), ..ProxyLimits::default() };
    let shared = Shared {
        rules: ProxyRules::parse(&items).unwrap(),
        dial: Dial::Fixed(to),
        limits,
        told: Box::new(move |event| drop(tell.lock().unwrap().send(event))),
    };
    (address, start(listener, shared).unwrap(), told)
}

fn connect(proxy: SocketAddr, target: &str) -> TcpStream {
    let mut tcp = TcpStream::connect(proxy).unwrap();
    write!(tcp, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").unwrap();
    let mut answer = [0; 39];
    tcp.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 Connection established\r\n\r\n");
    tcp
}

/// A TLS server for `good.example` and `evil.example` that says hello to everyone, and a client's trust in it.
fn tls_server(connections: usize) -> (SocketAddr, Arc<ClientConfig>) {
    let key = KeyPair::generate().unwrap();
    let names = ["good.example", "evil.example", "127.0.0.1"].map(str::to_owned).to_vec();
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap().der().clone();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for _ in 0..connections {
            let (tcp, _) = listener.accept().unwrap();
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), tcp);
            let _ = stream.write_all(b"hello");
            let _ = stream.flush();
            let _ = stream.read(&mut [0; 16]);
        }
    });
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (address, Arc::new(client))
}

fn hello(tcp: TcpStream, config: &Arc<ClientConfig>, name: &str) -> io::Result<String> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), tcp);
    let mut got = [0; 5];
    stream.read_exact(&mut got)?;
    Ok(String::from_utf8_lossy(&got).into_owned())
}

fn refusal(told: &Receiver<ProxyEvent>) -> String {
    loop {
        match told.recv_timeout(Duration::from_secs(10)).unwrap() {
            ProxyEvent::Refused { why, .. } => return why,
            ProxyEvent::Opened { .. } | ProxyEvent::Closed { .. } => {}
        }
    }
}

#[test]
fn tls_to_the_server_of_the_tunnel_passes_and_to_another_is_cut_off() {
    let (server, config) = tls_server(8);
    let (address, _proxy, told) =
        proxy(&["good.example", "*.good.example", "good.example:8443", "127.0.0.1:443"], server);
    assert_eq!(hello(connect(address, "good.example:443"), &config, "good.example").unwrap(), "hello");
    // Not on another port either, where TLS is not asked for.
    for port in [443, 8443] {
        let error = hello(connect(address, &format!("good.example:{port}")), &config, "evil.example").unwrap_err();
        assert!(error.to_string().contains("AccessDenied"), "{error}");
        assert_eq!(refusal(&told), "TLS asks for the server `evil.example` in a tunnel to `good.example`");
    }
    // An address sends no name; a name where an address was named is another server.
    assert_eq!(hello(connect(address, "127.0.0.1:443"), &config, "127.0.0.1").unwrap(), "hello");
    hello(connect(address, "127.0.0.1:443"), &config, "evil.example").unwrap_err();
    assert!(refusal(&told).contains("evil.example"));
    hello(connect(address, "good.example:443"), &config, "127.0.0.1").unwrap_err();
    assert!(refusal(&told).contains("TLS does not say"));
}

#[test]
fn tls_of_an_older_client_is_read_as_well() {
    let (server, config) = tls_server(1);
    let mut older = (*config).clone();
    older = ClientConfig::builder_with_provider(Arc::clone(older.crypto_provider()))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let (address, _proxy, _told) = proxy(&["good.example"], server);
    // The server answers: what fails is that this client trusts nobody.
    let error = hello(connect(address, "good.example:443"), &Arc::new(older), "good.example").unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
}

#[test]
fn a_server_name_that_is_hidden_is_not_believed() {
    let (server, config) = tls_server(1);
    let suite = rustls::crypto::aws_lc_rs::hpke::ALL_SUPPORTED_SUITES[0];
    let (key, _) = suite.generate_key_pair().unwrap();
    let mode = EchMode::Grease(EchGreaseConfig::new(suite, key));
    let hidden = ClientConfig::builder_with_provider(Arc::clone(config.crypto_provider()))
        .with_ech(mode)
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let (address, _proxy, told) = proxy(&["good.example"], server);
    hello(connect(address, "good.example:443"), &Arc::new(hidden), "good.example").unwrap_err();
    assert!(refusal(&told).contains("Encrypted Client Hello"));
}

#[test]
fn what_is_not_tls_does_not_reach_port_443_and_reaches_others() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    let (address, _proxy, told) = proxy(&["good.example", "good.example:22"], server);
    let mut tcp = connect(address, "good.example:443");
    let (mut at_server, _) = listener.accept().unwrap();
    tcp.write_all(b"SSH-2.0-x\r\n").unwrap();
    assert_eq!(refusal(&told), "port 443 is for TLS, and what came is not TLS");
    let mut got = Vec::new();
    at_server.read_to_end(&mut got).unwrap();
    assert!(got.is_empty(), "{got:?}");
    tcp.read_to_end(&mut got).unwrap();
    assert_eq!(got, [21, 3, 3, 0, 2, 2, 49], "the client is told by an alert");
    // A client that says nothing is not waited for.
    let mut silent = connect(address, "good.example:443");
    let _at_server = listener.accept().unwrap();
    assert!(refusal(&told).contains("did not come within"));
    silent.read_to_end(&mut Vec::new()).unwrap();
    // Elsewhere the server may speak first, and anything goes.
    let mut tcp = connect(address, "good.example:22");
    let (mut at_server, _) = listener.accept().unwrap();
    at_server.write_all(b"SSH-2.0-server").unwrap();
    let mut got = [0; 14];
    tcp.read_exact(&mut got).unwrap();
    tcp.write_all(b"SSH-2.0-client").unwrap();
    at_server.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"SSH-2.0-client");
}

#[test]
fn a_first_message_that_comes_byte_by_byte_is_judged_whole() {
    let (server, config) = tls_server(2);
    let (address, _proxy, told) = proxy(&["good.example"], server);
    for (name, passes) in [("good.example", true), ("evil.example", false)] {
        let name = ServerName::try_from(name).unwrap();
        let mut client = ClientConnection::new(Arc::clone(&config), name).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        let mut tcp = connect(address, "good.example:443");
        tcp.set_nodelay(true).unwrap();
        for piece in hello.chunks(7) {
            tcp.write_all(piece).unwrap();
        }
        let mut first = [0];
        tcp.read_exact(&mut first).unwrap();
        assert_eq!(first[0], if passes { 22 } else { 21 });
    }
    assert!(refusal(&told).contains("evil.example"));
}

#[test]
fn a_plain_request_to_port_443_goes_nowhere() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, _proxy, told) = proxy(&["good.example"], listener.local_addr().unwrap());
    let mut tcp = TcpStream::connect(address).unwrap();
    tcp.write_all(b"GET http://good.example:443/ HTTP/1.1\r\nHost: good.example:443\r\n\r\n").unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("use `https://`"), "{answer}");
    assert!(refusal(&told).contains("443"));
}
