//! The server: what it answers, and what it puts up with.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::indexing_slicing, reason = "tests")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use raincoat_net::{Answer, Server, ServerLimits};

const LIMITS: ServerLimits = ServerLimits { connections: 8, body: 1000, wait: Duration::from_secs(5) };

fn server(limits: ServerLimits) -> Server {
    Server::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), limits, |received| Answer {
        status: if received.post { 200 } else { 404 },
        content_type: "text/x.tlog.size",
        body: format!("{} {}", received.path, String::from_utf8_lossy(&received.body)).into_bytes(),
    })
    .unwrap()
}

fn open(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// One answer on a connection that closes after it.
fn ask(server: &Server, request: &[u8]) -> String {
    let mut stream = open(server);
    // It may answer and hang up before it has heard all.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_request_is_given_whole_and_its_answer_comes_back() {
    let server = server(LIMITS);
    let answer =
        ask(&server, b"POST /a/add?q=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: text/x.tlog.size\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n/a/add hello"), "{answer}");
    let answer = ask(&server, b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    let answer = ask(&server, b"DELETE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[test]
fn a_connection_serves_several_requests() {
    let server = server(LIMITS);
    let mut stream = open(&server);
    for n in 0..3 {
        write!(stream, "POST /{n} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(format!("\r\n\r\n/{n} ok").as_bytes()) {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
    }
}

#[test]
fn what_is_too_long_is_refused() {
    let server = server(LIMITS);
    let long = [b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n".as_slice(), &[b'x'; 1001]].concat();
    assert!(ask(&server, &long).starts_with("HTTP/1.1 413 "));
    let chunked = [
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n".as_slice(),
        &[b'x'; 2000],
        b"\r\n0\r\n\r\n",
    ]
    .concat();
    assert!(ask(&server, &chunked).starts_with("HTTP/1.1 413 "));
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(40_000));
    assert!(ask(&server, head.as_bytes()).starts_with("HTTP/1.1 431 "));
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(100));
    assert!(ask(&server, many.as_bytes()).starts_with("HTTP/1.1 431 "));
    assert!(ask(&server, b"\x16\x03\x01\x02\x00").starts_with("HTTP/1.1 400 "));
}

#[test]
fn who_says_nothing_is_hung_up_on_and_holds_up_nobody() {
    let server = server(ServerLimits { connections: 3, wait: Duration::from_millis(300), ..LIMITS });
    let mut silent: Vec<TcpStream> = (0..2).map(|_| open(&server)).collect();
    silent[1].write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nshort").unwrap();
    let answer = ask(&server, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for stream in &mut silent {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&rest));
    }
}

#[test]
fn a_handler_that_panics_costs_one_answer() {
    let times = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&times);
    let server = Server::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), LIMITS, move |_| {
        assert!(counted.fetch_add(1, Ordering::SeqCst) > 0, "the first one fails");
        Answer { status: 200, content_type: "text/plain", body: Vec::new() }
    })
    .unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(ask(&server, request).starts_with("HTTP/1.1 500 "));
    assert!(ask(&server, request).starts_with("HTTP/1.1 200 "));
}
