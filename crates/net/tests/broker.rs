//! The broker against servers that behave, and against those that do not (issue 2; F1, F5, E6).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::io;
use std::net::{IpAddr, TcpListener};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use raincoat_net::{
    Broker, Cancel, Endpoint, HeaderValue, Method, NetError, NetErrorKind, Reply, Request, Resolve, Roots, Rules,
    SystemResolver, Url, parse_url,
};
use raincoat_testkit::llama::LlamaServer;
use raincoat_testkit::model_server::{ModelServer, Turn};
use raincoat_types::Secret;
use serde_json::json;

const STREAM: &str = r#"{"stream":true,"messages":[]}"#;

fn broker_for(url: &str) -> Broker {
    Broker::new(Rules { allowed: vec![Endpoint::of(&parse_url(url).unwrap()).unwrap()], offline: false })
}

fn completions(base: &str) -> Url {
    parse_url(&format!("{base}/chat/completions")).unwrap()
}

fn post<'a>(url: &'a Url, body: &str) -> Request<'a> {
    Request {
        method: Method::Post,
        url,
        headers: vec![("content-type", HeaderValue::Plain("application/json"))],
        body: body.as_bytes().to_vec(),
        idle_secs: 20,
        total_secs: 30,
        max_reply: 16 << 20,
    }
}

/// Sends and collects; what had come before an error is given as well.
fn collect(broker: &Broker, request: Request<'_>) -> (Result<Reply, NetError>, Vec<u8>) {
    let mut got = Vec::new();
    let mut sink = |bytes: &[u8]| {
        got.extend_from_slice(bytes);
        ControlFlow::Continue(())
    };
    let result = broker.send(request, &mut sink, &Cancel::new());
    (result, got)
}

fn play(turn: Turn) -> (Result<Reply, NetError>, Vec<u8>) {
    let server = ModelServer::start(vec![turn]);
    let url = completions(&server.base_url());
    collect(&broker_for(&server.base_url()), post(&url, STREAM))
}

fn fails(turn: Turn) -> NetErrorKind {
    play(turn).0.unwrap_err().kind()
}

#[test]
fn a_stream_comes_through_to_the_byte_and_so_does_all_else() {
    let server = ModelServer::start(vec![
        Turn::Text("Grüße aus 日本".to_owned()),
        Turn::Text("second".to_owned()),
        Turn::Status(500, "{}".to_owned()),
        Turn::Text("fourth".to_owned()),
    ]);
    let (url, broker) = (completions(&server.base_url()), broker_for(&server.base_url()));
    let (reply, got) = collect(&broker, post(&url, STREAM));
    let reply = reply.unwrap();
    assert_eq!((reply.status, reply.content_type.as_str(), reply.complete), (200, "text/event-stream", true));
    assert_eq!(reply.bytes, got.len() as u64);
    assert!(got.starts_with(b"data: {") && got.ends_with(b"data: [DONE]\n\n"));
    assert!(String::from_utf8(got).unwrap().contains("日本"));
    assert!(String::from_utf8(collect(&broker, post(&url, "{}")).1).unwrap().contains("second"));
    assert_eq!(collect(&broker, post(&url, STREAM)).0.unwrap().status, 500);
    let list = parse_url(&format!("{}/models?x=1", server.base_url())).unwrap();
    let (reply, got) = collect(&broker, Request { method: Method::Get, body: Vec::new(), ..post(&list, "") });
    assert_eq!(reply.unwrap().status, 200);
    assert!(String::from_utf8(got).unwrap().contains("scripted"));
    let requests = server.requests();
    assert_eq!((requests[3].method.as_str(), requests[3].path.as_str()), ("GET", "/v1/models?x=1"));
    assert_eq!(requests[0].body, STREAM.as_bytes());
    assert_eq!(
        requests[0].header("host"),
        server.base_url().strip_prefix("http://").and_then(|rest| rest.strip_suffix("/v1"))
    );
    assert_eq!(requests[0].header("accept-encoding"), Some("identity"));
}

#[test]
fn a_server_that_hangs_up_unannounced_is_spoken_to_again_at_once() {
    let server = ModelServer::start((0..50).map(|n| Turn::ClosesAfter(n.to_string())).collect());
    let (url, broker) = (completions(&server.base_url()), broker_for(&server.base_url()));
    for _ in 0..50 {
        assert_eq!(collect(&broker, post(&url, STREAM)).0.unwrap().status, 200);
    }
}

#[test]
fn a_large_request_arrives_whole() {
    let server = ModelServer::start(vec![Turn::Text("ok".to_owned())]);
    let (url, broker) = (completions(&server.base_url()), broker_for(&server.base_url()));
    let body = json!({"messages": ["x".repeat(8 << 20)]}).to_string();
    assert_eq!(collect(&broker, post(&url, &body)).0.unwrap().status, 200);
    assert_eq!(server.requests()[0].body, body.as_bytes());
}

// E6: nothing goes anywhere but where the rules say.
#[test]
fn what_the_rules_do_not_name_sees_no_connection() {
    let allowed = ModelServer::start(Vec::new());
    let other = ModelServer::start(vec![Turn::Text("no".to_owned())]);
    let url = completions(&other.base_url());
    let (result, _) = collect(&broker_for(&allowed.base_url()), post(&url, STREAM));
    let error = result.unwrap_err();
    assert_eq!(error.kind(), NetErrorKind::Refused);
    assert!(error.to_string().contains("is not a configured provider"), "{error}");
    assert_eq!(
        collect(&Broker::new(Rules::default()), post(&url, STREAM)).0.unwrap_err().kind(),
        NetErrorKind::Refused
    );
    assert_eq!(other.connections(), 0);
}

/// A resolver that must not be asked, or that leads inside.
struct Leads(Option<IpAddr>);

impl Resolve for Leads {
    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(vec![self.0.unwrap_or_else(|| panic!("asked for `{host}`"))])
    }
}

#[test]
fn a_name_that_leads_to_this_machine_sees_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = parse_url(&format!("https://api.example.com:{port}/v1")).unwrap();
    let rules = Rules { allowed: vec![Endpoint::of(&url).unwrap()], offline: false };
    let broker = Broker::with(rules, Roots::System, Arc::new(Leads(Some("127.0.0.1".parse().unwrap()))));
    let error = collect(&broker, post(&url, STREAM)).0.unwrap_err();
    assert_eq!(error.kind(), NetErrorKind::Refused);
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn offline_asks_for_no_name_and_still_reaches_this_machine() {
    let server = ModelServer::start(vec![Turn::Text("here".to_owned())]);
    let (near, far) = (completions(&server.base_url()), parse_url("https://api.example.com/v1").unwrap());
    let allowed = [&near, &far].map(|url| Endpoint::of(url).unwrap()).to_vec();
    let broker = Broker::with(Rules { allowed, offline: true }, Roots::System, Arc::new(Leads(None)));
    assert!(collect(&broker, post(&far, STREAM)).0.unwrap_err().to_string().contains("offline mode is on"));
    assert_eq!(collect(&broker, post(&near, STREAM)).0.unwrap().status, 200);
}

#[test]
fn localhost_is_this_machine_whatever_a_resolver_says() {
    let server = ModelServer::start(vec![Turn::Text("here".to_owned())]);
    let url = completions(&server.base_url().replace("127.0.0.1", "localhost"));
    let rules = Rules { allowed: vec![Endpoint::of(&url).unwrap()], offline: true };
    let broker = Broker::with(rules, Roots::System, Arc::new(Leads(None)));
    assert_eq!(collect(&broker, post(&url, STREAM)).0.unwrap().status, 200);
}

#[test]
fn a_redirect_is_told_and_never_followed() {
    let target = ModelServer::start(vec![Turn::Text("no".to_owned())]);
    let place = target.base_url().replace("//", "//user:hunter2@") + "?token=hunter2#hunter2";
    let server = ModelServer::start(vec![Turn::Redirect(place)]);
    let url = completions(&server.base_url());
    let reply = collect(&broker_for(&server.base_url()), post(&url, STREAM)).0.unwrap();
    assert_eq!(reply.status, 307);
    let note = reply.note.unwrap();
    assert!(note.contains(&target.base_url()) && note.contains("not followed"), "{note}");
    assert!(!note.contains("hunter2"), "{note}");
    assert_eq!(target.connections(), 0);
}

// F1: a key is sent and never shown.
#[test]
fn a_secret_header_is_sent_and_shown_nowhere() {
    let server = ModelServer::start(vec![Turn::Text("ok".to_owned()), Turn::ClosesBeforeHeaders]);
    let (url, broker) = (completions(&server.base_url()), broker_for(&server.base_url()));
    let key = Secret::new("sk-hunter2".to_owned());
    let headers = vec![("Authorization", HeaderValue::Bearer(&key)), ("x-api-key", HeaderValue::Secret(&key))];
    let request = Request { headers, ..post(&url, STREAM) };
    assert!(!format!("{request:?} {broker:?}").contains("hunter2"));
    collect(&broker, request.clone()).0.unwrap();
    let seen = &server.requests()[0];
    assert_eq!(seen.header("authorization"), Some("Bearer sk-hunter2"));
    assert_eq!(seen.header("x-api-key"), Some("sk-hunter2"));
    let error = collect(&broker, request).0.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));

    let broken = Secret::new("sk-hunter2\r\nx-evil: 1".to_owned());
    let headers = vec![("authorization", HeaderValue::Bearer(&broken))];
    let error = collect(&broker, Request { headers, ..post(&url, STREAM) }).0.unwrap_err();
    assert_eq!(error.kind(), NetErrorKind::Protocol);
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    assert!(error.to_string().contains("authorization"));
}

#[test]
fn headers_that_say_how_a_message_travels_are_not_the_callers() {
    let server = ModelServer::start(Vec::new());
    let (url, broker) = (completions(&server.base_url()), broker_for(&server.base_url()));
    for name in ["Host", "content-length", "Transfer-Encoding", "connection", "bad name", "x\r\ny", ""] {
        let headers = vec![(name, HeaderValue::Plain("1"))];
        let error = collect(&broker, Request { headers, ..post(&url, STREAM) }).0.unwrap_err();
        assert_eq!(error.kind(), NetErrorKind::Protocol, "{name}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn nothing_listening_is_said_in_plain_words() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for host in ["127.0.0.1", "localhost"] {
        let url = completions(&format!("http://{host}:{port}"));
        let error = collect(&broker_for(url.as_str()), post(&url, STREAM)).0.unwrap_err();
        assert_eq!(error.kind(), NetErrorKind::Connect);
        assert_eq!(error.to_string(), format!("nothing listens at `http://{host}:{port}`; is the server running?"));
    }
}

#[test]
fn every_way_to_break_off_is_a_clear_error() {
    assert_eq!(fails(Turn::ClosesBeforeHeaders), NetErrorKind::Cut);
    let (result, got) = play(Turn::Truncated("Grüße".to_owned()));
    assert_eq!(result.unwrap_err().kind(), NetErrorKind::Cut);
    assert!(!got.is_empty(), "what had come is there");
    assert_eq!(fails(Turn::Garbage(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec())), NetErrorKind::Protocol);
    assert_eq!(fails(Turn::Garbage(vec![0xff; 100_000])), NetErrorKind::Protocol);
    assert_eq!(fails(Turn::Garbage(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort".to_vec())), NetErrorKind::Cut);
    for bad in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
    ] {
        let shown = String::from_utf8_lossy(bad);
        assert_eq!(fails(Turn::Garbage(bad.to_vec())), NetErrorKind::Protocol, "{shown}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a server sends, the request ends: in a reply that fits its count, or in an error.
    #[test]
    fn no_bytes_of_a_server_can_hang_or_break_the_broker(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..6),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
            10\r\ndata: {\"a\": 1}\n\n\r\nE;x=y\r\ndata: [DONE]\n\n\r\n0\r\nX-Trailer: 1\r\n\r\n".to_vec();
        for (at, byte, how) in edits {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        if !whole {
            bytes.truncate(cut.index(bytes.len()));
        }
        let (result, got) = play(Turn::Garbage(bytes));
        match result {
            Ok(reply) => prop_assert_eq!(reply.bytes, got.len() as u64),
            Err(error) => prop_assert!(matches!(
                error.kind(),
                NetErrorKind::Cut | NetErrorKind::Protocol | NetErrorKind::TooLarge
            ), "{:?}", error),
        }
    }
}

#[test]
fn what_is_too_large_is_left_off() {
    assert_eq!(fails(Turn::EndlessHeaders), NetErrorKind::TooLarge);
    let long = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "x".repeat(100_000));
    assert_eq!(fails(Turn::Garbage(long.into_bytes())), NetErrorKind::TooLarge);
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(101));
    assert_eq!(fails(Turn::Garbage(many.into_bytes())), NetErrorKind::TooLarge);
    let (result, got) = play(Turn::Endless);
    assert_eq!(result.unwrap_err().kind(), NetErrorKind::TooLarge);
    assert!(got.len() <= 16 << 20);
    let huge = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n";
    assert_eq!(fails(Turn::Garbage(huge.to_vec())), NetErrorKind::TooLarge);
    let (result, got) = play(Turn::HugeLine(2 << 20));
    assert_eq!((result.unwrap().bytes, got.len()), (2 << 20, 2 << 20));
}

#[test]
fn silence_and_slowness_end_in_time() {
    for turn in [Turn::Stall(60), Turn::StallBeforeHeaders(60)] {
        let server = ModelServer::start(vec![turn]);
        let url = completions(&server.base_url());
        let started = Instant::now();
        let request = Request { idle_secs: 1, ..post(&url, STREAM) };
        let error = collect(&broker_for(&server.base_url()), request).0.unwrap_err();
        assert_eq!(error.kind(), NetErrorKind::IdleTimeout);
        assert!((1.0..3.0).contains(&started.elapsed().as_secs_f64()), "{:?}", started.elapsed());
    }
    // A drip is no silence, and a torrent that we take slowly never pauses; both end at the total.
    for turn in [Turn::SlowDrip("drip ".repeat(100), 50), Turn::Endless] {
        let server = ModelServer::start(vec![turn]);
        let url = completions(&server.base_url());
        let started = Instant::now();
        let request = Request { idle_secs: 1, total_secs: 2, max_reply: u64::MAX, ..post(&url, STREAM) };
        let mut sink = |_: &[u8]| {
            thread::sleep(Duration::from_millis(5));
            ControlFlow::Continue(())
        };
        let error = broker_for(&server.base_url()).send(request, &mut sink, &Cancel::new()).unwrap_err();
        assert_eq!(error.kind(), NetErrorKind::TotalTimeout);
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    }
}

/// A resolver that does not come back.
struct Hangs;

impl Resolve for Hangs {
    fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        thread::sleep(Duration::from_secs(60));
        Ok(Vec::new())
    }
}

#[test]
fn a_resolver_that_does_not_come_back_holds_nobody_up() {
    let url = parse_url("https://api.example.com/v1").unwrap();
    let rules = Rules { allowed: vec![Endpoint::of(&url).unwrap()], offline: false };
    let broker = Broker::with(rules, Roots::System, Arc::new(Hangs));
    let (cancel, started) = (Cancel::new(), Instant::now());
    let other = cancel.clone();
    let presser = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        other.cancel();
    });
    let error = broker.send(post(&url, STREAM), &mut |_| ControlFlow::Continue(()), &cancel).unwrap_err();
    assert_eq!(error.kind(), NetErrorKind::Cancelled);
    let error = collect(&broker, Request { total_secs: 1, ..post(&url, STREAM) }).0.unwrap_err();
    assert_eq!(error.kind(), NetErrorKind::TotalTimeout);
    drop(broker);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    presser.join().unwrap();
}

#[test]
fn the_switch_is_seen_in_a_torrent() {
    let server = ModelServer::start(vec![Turn::Endless]);
    let url = completions(&server.base_url());
    let (cancel, mut got) = (Cancel::new(), 0);
    let mut sink = |bytes: &[u8]| {
        got += bytes.len();
        if got > 1 << 20 {
            cancel.cancel();
        }
        ControlFlow::Continue(())
    };
    let error = broker_for(&server.base_url()).send(post(&url, STREAM), &mut sink, &cancel).unwrap_err();
    assert_eq!(error.kind(), NetErrorKind::Cancelled);
    assert!(got < 2 << 20, "{got} bytes");
}

#[test]
fn the_switch_ends_a_request_at_once_from_another_thread() {
    for turn in [Turn::Stall(60), Turn::StallBeforeHeaders(60), Turn::SlowDrip("x".repeat(10_000), 5)] {
        let server = ModelServer::start(vec![turn]);
        let url = completions(&server.base_url());
        let broker = broker_for(&server.base_url());
        let cancel = Cancel::new();
        let other = cancel.clone();
        let presser = thread::spawn(move || {
            thread::sleep(Duration::from_millis(200));
            other.cancel();
            Instant::now()
        });
        let error = broker.send(post(&url, STREAM), &mut |_| ControlFlow::Continue(()), &cancel).unwrap_err();
        let late = presser.join().unwrap().elapsed();
        assert_eq!(error.kind(), NetErrorKind::Cancelled);
        assert!(late < Duration::from_millis(200), "{late:?}");
        let error = broker.send(post(&url, STREAM), &mut |_| ControlFlow::Continue(()), &cancel).unwrap_err();
        assert_eq!(error.kind(), NetErrorKind::Cancelled, "it stays on");
    }
}

#[test]
fn a_sink_that_has_enough_ends_the_reply_and_the_next_request_is_clean() {
    let server = ModelServer::start(vec![Turn::Endless, Turn::Text("next".to_owned())]);
    let (url, broker) = (completions(&server.base_url()), broker_for(&server.base_url()));
    let reply = broker.send(post(&url, STREAM), &mut |_| ControlFlow::Break(()), &Cancel::new()).unwrap();
    assert!(!reply.complete);
    let (reply, got) = collect(&broker, post(&url, "{}"));
    assert_eq!(reply.unwrap().status, 200);
    assert!(String::from_utf8(got).unwrap().contains("next"));
}

#[test]
fn a_slow_sink_is_not_the_servers_silence() {
    let server = ModelServer::start(vec![Turn::Text("word ".repeat(200))]);
    let url = completions(&server.base_url());
    let mut first = true;
    let mut sink = |_: &[u8]| {
        if std::mem::take(&mut first) {
            thread::sleep(Duration::from_millis(1300));
        }
        ControlFlow::Continue(())
    };
    let request = Request { idle_secs: 1, ..post(&url, STREAM) };
    assert!(broker_for(&server.base_url()).send(request, &mut sink, &Cancel::new()).unwrap().complete);
}

#[test]
fn threads_share_a_broker_and_wait_for_nobody() {
    let server = ModelServer::start(vec![Turn::play(|request| match request["slow"].as_bool() {
        Some(true) => Turn::SlowDrip("slow".to_owned(), 1),
        _ => Turn::Text("quick".to_owned()),
    })]);
    let (url, broker) = (completions(&server.base_url()), broker_for(&server.base_url()));
    thread::scope(|scope| {
        let slow = scope.spawn(|| collect(&broker, post(&url, r#"{"stream":true,"slow":true}"#)).0.unwrap());
        for _ in 0..20 {
            assert_eq!(collect(&broker, post(&url, STREAM)).0.unwrap().status, 200);
        }
        assert!(!slow.is_finished(), "twenty quick ones fit beside one slow");
        assert!(slow.join().unwrap().complete);
    });
}

#[test]
fn how_long_to_wait_is_passed_on() {
    let (reply, got) = play(Turn::RetryAfter(17));
    let reply = reply.unwrap();
    assert_eq!((reply.status, reply.retry_after), (429, Some(17)));
    assert!(String::from_utf8(got).unwrap().contains("slow down"), "an error's body comes, too");
}

#[test]
fn a_public_server_needs_no_setting_of_ours() {
    // The system's roots are there, or the error says what to install; either way nothing is sent in plain.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = completions(&format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port()));
    let plain = thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let mut hello = [0; 5];
        stream.read_exact(&mut hello).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        hello
    });
    let rules = Rules { allowed: vec![Endpoint::of(&url).unwrap()], offline: false };
    let broker = Broker::with(rules, Roots::System, Arc::new(SystemResolver));
    let error = collect(&broker, post(&url, STREAM)).0.unwrap_err();
    assert_eq!(error.kind(), NetErrorKind::Tls);
    assert!(error.to_string().contains("not TLS"), "{error}");
    assert_eq!(plain.join().unwrap()[0], 0x16, "a TLS handshake record, not a request");
}

// The issue's real model: a full conversation, streamed. Needs `scripts/setup-test-peers.sh`.
#[test]
fn a_real_model_streams_a_conversation() {
    let server = LlamaServer::start();
    let (url, broker) = (completions(server.base_url()), broker_for(server.base_url()));
    let mut messages =
        vec![json!({"role": "user", "content": "Say hello and tell me a short story about a raincoat."})];
    for _ in 0..3 {
        let body = json!({"model": server.model(), "stream": true, "max_tokens": 48, "messages": messages});
        let mut pieces = 0;
        let mut got = Vec::new();
        let mut sink = |bytes: &[u8]| {
            pieces += 1;
            got.extend_from_slice(bytes);
            ControlFlow::Continue(())
        };
        let reply = broker.send(post(&url, &body.to_string()), &mut sink, &Cancel::new()).unwrap();
        assert_eq!((reply.status, reply.content_type.as_str()), (200, "text/event-stream"));
        let events = String::from_utf8(got).unwrap();
        assert!(events.trim_end().ends_with("data: [DONE]"), "{events}");
        let events: Vec<serde_json::Value> =
            events.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
        let answer: String =
            events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
        assert!(answer.chars().any(char::is_alphabetic), "{answer:?}");
        assert!(pieces > 1, "{pieces} pieces of {} events: it does not stream", events.len());
        assert!(events.iter().any(|event| event["choices"][0]["finish_reason"].is_string()));
        messages.push(json!({"role": "assistant", "content": answer}));
        messages.push(json!({"role": "user", "content": "Go on."}));
    }
}
