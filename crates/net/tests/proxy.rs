//! The proxy for programs in drafts, with real programs and with hostile ones (issue 3; C6, invariant 8).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use raincoat_net::proxy::{Proxy, ProxyEvent, ProxyLimits, ProxyRules, serve_with};
use raincoat_net::{Resolve, SystemResolver};

const PATIENCE: Duration = Duration::from_secs(20);

struct Running {
    address: SocketAddr,
    told: Receiver<ProxyEvent>,
    proxy: Proxy,
}

fn start_with(items: &[String], resolve: Arc<dyn Resolve>, limits: ProxyLimits) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let told_to = move |event| drop(tell.lock().unwrap().send(event));
    let rules = ProxyRules::parse(items).unwrap();
    Running { address, told, proxy: serve_with(listener, rules, resolve, limits, told_to).unwrap() }
}

fn start(items: &[String]) -> Running {
    start_with(items, Arc::new(SystemResolver), ProxyLimits::default())
}

impl Running {
    fn next(&self) -> ProxyEvent {
        self.told.recv_timeout(PATIENCE).expect("something is told")
    }

    fn connect(&self) -> TcpStream {
        let tcp = TcpStream::connect(self.address).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp
    }

    fn says(&self, request: &str) -> String {
        let mut tcp = self.connect();
        tcp.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        tcp.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// A tunnel that stands.
    fn tunnel(&self, target: &str) -> TcpStream {
        let mut tcp = self.connect();
        write!(tcp, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").unwrap();
        let mut answer = [0; 39];
        tcp.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 Connection established\r\n\r\n");
        tcp
    }

    fn run(&self, program: &str, args: &[&str]) -> Output {
        let proxy = format!("http://{}", self.address);
        Command::new(program)
            .args(args)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .envs([("HTTPS_PROXY", &proxy), ("HTTP_PROXY", &proxy), ("http_proxy", &proxy), ("https_proxy", &proxy)])
            .output()
            .unwrap_or_else(|why| panic!("{program} cannot run ({why}); install it: apt-get install {program}"))
    }
}

/// A server that answers each connection with what was said to it, until it is dropped.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

/// Speaks HTTP/1.1 one request a connection: the body of the answer is the request's own.
fn http_server() -> Server {
    serve_each(|mut tcp, seen| {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while !bytes.ends_with(b"\r\n\r\n") {
            if tcp.read(&mut byte).unwrap_or(0) == 0 {
                return;
            }
            bytes.push(byte[0]);
        }
        let head = String::from_utf8(bytes).unwrap();
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        tcp.read_exact(&mut body).unwrap();
        seen.lock().unwrap().push(head);
        let answer = if body.is_empty() { b"hello".to_vec() } else { body };
        let _ = write!(tcp, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
        let _ = tcp.write_all(&answer);
        // Left open for a while, as by a server that would keep it.
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut more = Vec::new();
        let _ = tcp.read_to_end(&mut more);
        if !more.is_empty() {
            seen.lock().unwrap().push(String::from_utf8_lossy(&more).into_owned());
        }
    })
}

/// Reads to the end, and only then answers with all of it.
fn echo_server() -> Server {
    serve_each(|mut tcp, _| {
        let mut all = Vec::new();
        if tcp.read_to_end(&mut all).is_ok() {
            let _ = tcp.write_all(&all);
        }
    })
}

fn serve_each(each: fn(TcpStream, &Mutex<Vec<String>>)) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (seen, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let server = Server { port, seen: Arc::clone(&seen), connections: Arc::clone(&connections) };
    thread::spawn(move || {
        for tcp in listener.incoming() {
            let (seen, tcp) = (Arc::clone(&seen), tcp.unwrap());
            connections.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || each(tcp, &seen));
        }
    });
    server
}

impl Server {
    fn named(&self) -> String {
        format!("localhost:{}", self.port)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

#[test]
fn curl_goes_through_by_tunnel_and_by_plain_request() {
    let server = http_server();
    let running = start(&[server.named()]);
    let url = format!("http://{}/x?y=1", server.named());
    for args in [&["-sS", "--max-time", "20", "-p", &url][..], &["-sS", "--max-time", "20", &url]] {
        let output = running.run("curl", args);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "hello", "{output:?}");
    }
    let output = running.run("curl", &["-sS", "--max-time", "20", "--data", "a body", &url]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a body", "{output:?}");
    let seen = server.seen.lock().unwrap();
    assert!(seen.iter().all(|head| head.contains(&format!("\r\nHost: {}\r\n", server.named()))), "{seen:?}");
    assert!(seen[1].starts_with("GET /x?y=1 HTTP/1.1\r\n") && seen[1].contains("\r\nConnection: close\r\n"));
    assert!(!seen.iter().any(|head| head.to_lowercase().contains("proxy-")), "{seen:?}");
    // Told as they end, which need not be before the next begins.
    let (mut opened, mut closed) = (0, 0);
    while closed < 3 {
        match running.next() {
            ProxyEvent::Opened { host, port, address } => {
                assert_eq!((host.as_str(), port, address.port()), ("localhost", server.port, server.port));
                opened += 1;
            }
            ProxyEvent::Closed { sent, received, .. } => {
                assert!(sent > 20 && received > 40);
                closed += 1;
            }
            refused => panic!("{refused:?}"),
        }
    }
    assert_eq!(opened, 3);
}

// The person is told which flag would allow it, through whatever the program prints.
#[test]
fn curl_and_python_show_why_they_were_refused() {
    let server = http_server();
    let running = start(&["example.org".to_owned()]);
    let flag = format!("--net {}", server.named());
    let output = running.run("curl", &["-sv", "--max-time", "20", &format!("https://{}/", server.named())]);
    assert!(String::from_utf8_lossy(&output.stderr).contains(&flag), "{output:?}");
    let output = running.run("curl", &["-s", "--max-time", "20", &format!("http://{}/", server.named())]);
    assert!(String::from_utf8_lossy(&output.stdout).contains(&flag), "{output:?}");
    let script = format!("import urllib.request; urllib.request.urlopen('https://{}/', timeout=20)", server.named());
    let output = running.run("python3", &["-c", &script]);
    assert!(String::from_utf8_lossy(&output.stderr).contains(&flag), "{output:?}");
    assert_eq!(server.connections(), 0);
    for _ in 0..3 {
        let ProxyEvent::Refused { host, port, why } = running.next() else { panic!("not refused") };
        assert_eq!((host.as_str(), port), ("localhost", server.port));
        assert!(why.contains(&flag), "{why}");
    }
}

#[test]
fn python_goes_through_by_tunnel_and_by_plain_request() {
    let server = http_server();
    let running = start(&[server.named()]);
    let script = format!(
        "import http.client, urllib.request, os, sys\n\
         print(urllib.request.urlopen('http://{0}/', timeout=20).read())\n\
         print(urllib.request.urlopen('http://{0}/', data=b'posted', timeout=20).read())\n\
         proxy = os.environ['HTTPS_PROXY'].split('//')[1].split(':')\n\
         c = http.client.HTTPConnection(proxy[0], int(proxy[1]), timeout=20)\n\
         c.set_tunnel('localhost', {1}); c.request('GET', '/'); print(c.getresponse().read())\n",
        server.named(),
        server.port
    );
    let output = running.run("python3", &["-c", &script]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "b'hello'\nb'posted'\nb'hello'\n", "{output:?}");
}

#[test]
fn a_second_request_on_a_connection_goes_nowhere() {
    let (server, other) = (http_server(), http_server());
    let running = start(&[server.named(), other.named()]);
    let first = format!("GET http://{}/ HTTP/1.1\r\n\r\n", server.named());
    let second = format!("GET http://{}/secret HTTP/1.1\r\n\r\n", other.named());
    // At once, and after the first was answered.
    let mut tcp = running.connect();
    tcp.write_all(format!("{first}{second}").as_bytes()).unwrap();
    let _ = tcp.read_to_end(&mut Vec::new());
    let mut tcp = running.connect();
    tcp.write_all(first.as_bytes()).unwrap();
    let mut answer = [0; 43];
    tcp.read_exact(&mut answer).unwrap();
    assert!(answer.ends_with(b"\r\n\r\nhello"), "{}", String::from_utf8_lossy(&answer));
    tcp.write_all(second.as_bytes()).unwrap();
    let _ = tcp.read_to_end(&mut Vec::new());
    drop(running.proxy);
    assert!(!server.seen.lock().unwrap().iter().any(|seen| seen.contains("secret")));
    assert_eq!(other.connections(), 0);
}

#[test]
fn what_is_no_sound_request_is_answered_and_reaches_nobody() {
    let server = http_server();
    let running = start(&[server.named()]);
    let at = server.named();
    for (request, status) in [
        (format!("CONNECT {at} HTTP/1.1\r\nContent-Length: 4\r\n\r\nGET "), 400),
        (format!("CONNECT {at} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400),
        (format!("CONNECT {at} HTTP/1.1\r\nHost: example.org\r\n\r\n"), 400),
        (format!("CONNECT {at} HTTP/1.1\nHost: {at}\n\n\r\n\r\n"), 400),
        (format!("GET http://{at}/ HTTP/1.1\r\nHost: example.org\r\n\r\n"), 400),
        (format!("GET / HTTP/1.1\r\nHost: {at}\r\n\r\n"), 400),
        (format!("GET http://{at}/ HTTP/1.1\r\nX: a\rHost: b\r\n\r\n"), 400),
        (format!("POST http://{at}/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 411),
        (format!("GET http://{at}/ HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(100_000)), 431),
        ("\u{5}\u{1}\0".to_owned(), 400),
        ("\u{16}\u{3}\u{1}\u{2}".to_owned(), 400),
    ] {
        let answer = running.says(&request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.80}: {answer}");
        assert!(answer.contains("\r\n\r\nraincoat: "), "{answer}");
        assert!(matches!(running.next(), ProxyEvent::Refused { port: 0, .. }));
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_head_that_drips_is_given_up() {
    let server = http_server();
    let limits = ProxyLimits { head: Duration::from_millis(500), ..ProxyLimits::default() };
    let running = start_with(&[server.named()], Arc::new(SystemResolver), limits);
    let mut tcp = running.connect();
    let mut dripping = tcp.try_clone().unwrap();
    let drip = thread::spawn(move || {
        let head = format!("CONNECT localhost:1 HTTP/1.1\r\nX: {}", "y".repeat(1000));
        let begun = Instant::now();
        for byte in head.as_bytes() {
            if dripping.write_all(&[*byte]).is_err() || begun.elapsed() > PATIENCE {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
    let mut answer = String::new();
    let _ = tcp.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    drop(tcp);
    drip.join().unwrap();
}

/// Leads where it is told to, each time to the next.
struct Leads(Mutex<Vec<IpAddr>>, AtomicUsize);

impl Resolve for Leads {
    fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.0.lock().unwrap();
        let next = if answers.len() > 1 { answers.remove(0) } else { answers[0] };
        Ok(vec![next])
    }
}

#[test]
fn a_name_that_leads_inside_is_refused_and_one_that_is_not_named_is_not_asked_for() {
    let server = http_server();
    for inside in ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "fd00:ec2::254"] {
        let leads = Arc::new(Leads(Mutex::new(vec![inside.parse().unwrap()]), AtomicUsize::new(0)));
        let items = [format!("rebound.example:{}", server.port), "*.rebound.example".to_owned()];
        let running = start_with(&items, Arc::clone(&leads) as Arc<dyn Resolve>, ProxyLimits::default());
        let answer = running.says(&format!("CONNECT rebound.example:{} HTTP/1.1\r\n\r\n", server.port));
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("not on the public internet"), "{answer}");
        let ProxyEvent::Refused { why, .. } = running.next() else { panic!("not refused") };
        assert!(why.contains(&format!("leads to {inside}")), "{why}");
        assert!(running.says("CONNECT a.rebound.example:443 HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 403 "));
        assert_eq!(leads.1.load(Ordering::SeqCst), 2);
        // No name is looked up that was not named: a look-up says something as well.
        assert!(running.says("CONNECT data.leak.example:443 HTTP/1.1\r\n\r\n").contains("--net data.leak.example"));
        assert!(running.says("CONNECT rebound.example:443 HTTP/1.1\r\n\r\n").contains("--net rebound.example"));
        assert_eq!(leads.1.load(Ordering::SeqCst), 2);
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn this_machine_is_reached_by_the_name_and_port_that_were_given_only() {
    let server = http_server();
    let running = start(&[format!("127.0.0.1:{}", server.port)]);
    for other in [
        format!("localhost:{}", server.port),
        format!("127.0.0.2:{}", server.port),
        format!("[::1]:{}", server.port),
        format!("0.0.0.0:{}", server.port),
        format!("127.0.0.1:{}", server.port ^ 1),
    ] {
        let answer = running.says(&format!("CONNECT {other} HTTP/1.1\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains(&format!("--net {other}")), "{answer}");
    }
    assert_eq!(server.connections(), 0);
    let mut tcp = running.tunnel(&format!("127.0.0.1:{}", server.port));
    tcp.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = [0; 43];
    tcp.read_exact(&mut answer).unwrap();
    assert!(answer.ends_with(b"hello"));
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let running = start(&[format!("127.0.0.1:{port}")]);
    let answer = running.says(&format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("nothing listens"), "{answer}");
}

#[test]
fn many_tunnels_at_once_carry_every_byte_and_half_a_close() {
    const SIZE: usize = 300_000;
    let server = echo_server();
    let running = start(&[server.named()]);
    thread::scope(|scope| {
        for seed in 0..40_u8 {
            let (running, server) = (&running, &server);
            let (address, named) = (running.address, server.named());
            scope.spawn(move || {
                let mut tcp = TcpStream::connect(address).unwrap();
                tcp.set_read_timeout(Some(PATIENCE)).unwrap();
                // The first bytes come along with the request.
                let data: Vec<u8> =
                    (0..SIZE).map(|n| (n % 251) as u8 ^ seed ^ b'x').map(|b| if b == 22 { 0 } else { b }).collect();
                let mut first = format!("CONNECT {named} HTTP/1.1\r\n\r\n").into_bytes();
                first.extend_from_slice(&data[..100]);
                tcp.write_all(&first).unwrap();
                let mut answer = [0; 39];
                tcp.read_exact(&mut answer).unwrap();
                tcp.write_all(&data[100..]).unwrap();
                // The server answers after the end of what it is told.
                tcp.shutdown(Shutdown::Write).unwrap();
                let mut back = Vec::new();
                tcp.read_to_end(&mut back).unwrap();
                assert!(back == data, "{seed}");
            });
        }
    });
    let mut ends = 0;
    while ends < 40 {
        if let ProxyEvent::Closed { sent, received, .. } = running.next() {
            assert_eq!((sent, received), (SIZE as u64, SIZE as u64));
            ends += 1;
        }
    }
}

#[test]
fn no_more_connections_than_the_limit_are_served_at_once() {
    let server = echo_server();
    let limits = ProxyLimits { connections: 2, ..ProxyLimits::default() };
    let running = start_with(&[server.named()], Arc::new(SystemResolver), limits);
    let (first, _second) = (running.tunnel(&server.named()), running.tunnel(&server.named()));
    let mut third = running.connect();
    write!(third, "CONNECT {} HTTP/1.1\r\n\r\n", server.named()).unwrap();
    third.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    third.read_exact(&mut [0; 1]).unwrap_err();
    drop(first);
    third.set_read_timeout(Some(PATIENCE)).unwrap();
    third.read_exact(&mut [0; 39]).unwrap();
}

#[test]
fn a_connection_without_a_byte_is_closed() {
    let server = echo_server();
    let limits = ProxyLimits { idle: Duration::from_millis(300), ..ProxyLimits::default() };
    let running = start_with(&[server.named()], Arc::new(SystemResolver), limits);
    let mut tcp = running.tunnel(&server.named());
    let mut got = Vec::new();
    let _ = tcp.read_to_end(&mut got);
    assert!(got.is_empty());
    assert!(matches!(running.next(), ProxyEvent::Opened { .. }));
    assert!(matches!(running.next(), ProxyEvent::Closed { sent: 0, received: 0, .. }));
}

/// Does not come back before the test has ended.
struct Hangs;

impl Resolve for Hangs {
    fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        thread::sleep(PATIENCE * 3);
        Ok(Vec::new())
    }
}

#[test]
fn dropping_it_closes_everything_at_once_and_tells_it() {
    let server = echo_server();
    let items = [server.named(), "slow.example".to_owned()];
    let running = start_with(&items, Arc::new(Hangs), ProxyLimits::default());
    let (mut idle, mut waiting, mut tunnel) = (running.connect(), running.connect(), running.tunnel(&server.named()));
    waiting.write_all(b"CONNECT slow.example:443 HTTP/1.1\r\n\r\n").unwrap();
    tunnel.write_all(b"abc").unwrap();
    thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    drop(running.proxy);
    assert!(begun.elapsed() < PATIENCE, "it waited for a resolver");
    for tcp in [&mut idle, &mut waiting, &mut tunnel] {
        let mut rest = Vec::new();
        let _ = tcp.read_to_end(&mut rest);
        assert!(rest.is_empty());
    }
    assert!(TcpStream::connect(running.address).is_err(), "the listener is closed");
    let told: Vec<ProxyEvent> = running.told.try_iter().collect();
    assert!(matches!(&told[..], [ProxyEvent::Opened { .. }, ProxyEvent::Closed { sent: 3, .. }]), "{told:?}");
}
