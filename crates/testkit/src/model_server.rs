//! A scripted model server on loopback that speaks the OpenAI chat-completions dialect, and misbehaves on order.
//!
//! It has an HTTP of its own, on threads and plain sockets: a real HTTP library would not let it break the rules.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper of tests: it opens its own socket, and fails loudly"
)]

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use completion::Completion;

mod completion;

/// Bytes that [`Turn::Endless`] sends before it gives up on the client.
pub const ENDLESS_BYTES: usize = 256 << 20;
const BODY_MAX: usize = 64 << 20;
const STEP: Duration = Duration::from_millis(10);

/// How the server answers one request for a completion. Where the request does not ask for a stream, the well-formed
/// ones answer in one piece.
pub enum Turn {
    /// Words.
    Text(String),
    /// Tool calls, name and arguments each, all in parallel: their arguments come in pieces, turn by turn.
    ToolCalls(Vec<(String, Value)>),
    /// Words, then tool calls.
    TextAndTools(String, Vec<(String, Value)>),
    /// A tool call with arguments that need not be JSON.
    RawToolCall(String, String),
    /// Words, cut off by the model's limit (`finish_reason` is `length`).
    Length(String),
    /// Words, and the count of tokens (prompt, completion) in a last piece without choices.
    Usage(String, u64, u64),
    /// Words amid comments, event names, ids, CRLF line ends and JSON members that nobody knows.
    UnknownFields(String),
    /// Words, well ended, but without `[DONE]`.
    MissingDone(String),
    /// Words, then an error as an event, with status 200 long sent.
    ErrorInStream(String, String),
    /// A body of `application/json` in one piece, whatever was asked for.
    Json(Value),
    /// A status and a body of `application/json`.
    Status(u16, String),
    /// Status 429 with this many seconds in `Retry-After`.
    RetryAfter(u64),
    /// Status 307 to this place.
    Redirect(String),
    /// An event stream under the name `text/html`.
    WrongContentType(String),
    /// These very bytes under the name `text/event-stream`.
    NotSse(Vec<u8>),
    /// These very bytes in the place of any HTTP.
    Garbage(Vec<u8>),
    /// One line of this many bytes that is no event until it ends, which it does not.
    HugeLine(usize),
    /// Words, cut within the last character but one (if it has several bytes) and within a chunk.
    Truncated(String),
    /// The connection ends where the status line should come.
    ClosesBeforeHeaders,
    /// Words; then the connection is closed, though nothing said that it would be.
    ClosesAfter(String),
    /// The beginning of an answer, then nothing for this many seconds, then the connection ends.
    Stall(u64),
    /// Nothing at all for this many seconds, then the connection ends.
    StallBeforeHeaders(u64),
    /// Words, a byte at a time with this many milliseconds between.
    SlowDrip(String, u64),
    /// Words without end, until the client goes or [`ENDLESS_BYTES`] are sent.
    Endless,
    /// Headers without end.
    EndlessHeaders,
    /// Decided by the request's JSON. Never used up: it answers every request from here on, for long tasks.
    Play(Box<dyn FnMut(&Value) -> Turn + Send>),
}

/// A request as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordedRequest {
    /// `GET` or `POST`.
    pub method: String,
    /// The target, query included.
    pub path: String,
    /// Names in lower case, and values, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// The server. It stops when dropped, in the middle of an answer if need be.
pub struct ModelServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    script: Mutex<VecDeque<Turn>>,
    requests: Mutex<Vec<RecordedRequest>>,
    open: Mutex<Vec<(TcpStream, JoinHandle<()>)>>,
    connections: AtomicUsize,
    stop: AtomicBool,
}

impl Turn {
    /// A [`Turn::Play`] of this function.
    pub fn play(function: impl FnMut(&Value) -> Turn + Send + 'static) -> Turn {
        Turn::Play(Box::new(function))
    }
}

impl RecordedRequest {
    /// The first header of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

impl ModelServer {
    /// Starts on a free port of 127.0.0.1. Each request for a completion takes the next turn; when they are used up
    /// the answer is status 500.
    pub fn start(turns: Vec<Turn>) -> ModelServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            script: Mutex::new(turns.into()),
            requests: Mutex::default(),
            open: Mutex::default(),
            connections: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        let host = Arc::clone(&shared);
        let accepting = thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if host.stop.load(Ordering::SeqCst) {
                    return;
                }
                host.connections.fetch_add(1, Ordering::SeqCst);
                let (guest, kept) = (Arc::clone(&host), stream.try_clone().expect("a second handle"));
                // An error here is the client's leaving, or our own stopping.
                let serving = thread::spawn(move || drop(guest.serve(stream)));
                lock(&host.open).push((kept, serving));
            }
        });
        ModelServer { address, shared, accepting: Some(accepting) }
    }

    /// `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// All requests so far, in the order they came.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        lock(&self.shared.requests).clone()
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many turns are left.
    pub fn turns_left(&self) -> usize {
        lock(&self.shared.script).len()
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the listener.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
        for (stream, serving) in std::mem::take(&mut *lock(&self.shared.open)) {
            drop(stream.shutdown(Shutdown::Both));
            drop(serving.join());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut from = BufReader::new(stream.try_clone()?);
        let mut to = stream;
        while let Some(request) = read_request(&mut from)? {
            lock(&self.requests).push(request.clone());
            let path = request.path.split('?').next().unwrap_or_default();
            let keep = match (request.method.as_str(), path) {
                ("POST", "/v1/chat/completions") => {
                    let turn = self.next(&request.json());
                    self.answer(turn, &request.json(), &mut to)?
                }
                ("GET", "/v1/models") => {
                    let list = json!({"object": "list", "data": [{"id": "scripted", "object": "model"}]});
                    whole(&mut to, 200, "application/json", "", list.to_string().as_bytes())?
                }
                _ => whole(&mut to, 404, "application/json", "", error_json("no such path").as_bytes())?,
            };
            if !keep || self.stop.load(Ordering::SeqCst) {
                break;
            }
        }
        to.shutdown(Shutdown::Both)
    }

    fn next(&self, request: &Value) -> Turn {
        let mut script = lock(&self.script);
        match script.front_mut() {
            Some(Turn::Play(function)) => function(request),
            Some(_) => script.pop_front().expect("it is there"),
            None => Turn::Status(500, error_json("the script has no more turns")),
        }
    }

    /// Answers; `false` where the connection is to end.
    fn answer(&self, turn: Turn, request: &Value, to: &mut TcpStream) -> io::Result<bool> {
        let streaming = request["stream"].as_bool().unwrap_or(false);
        let say = |to: &mut TcpStream, completion: Completion| {
            if streaming {
                let usage = request["stream_options"]["include_usage"].as_bool().unwrap_or(false);
                stream(to, "text/event-stream", &completion.events(usage))
            } else {
                whole(to, 200, "application/json", "", completion.whole().to_string().as_bytes())
            }
        };
        match turn {
            Turn::Text(text) => say(to, Completion::text(text)),
            Turn::ToolCalls(calls) => say(to, Completion::text("").with_calls(calls)),
            Turn::TextAndTools(text, calls) => say(to, Completion::text(text).with_calls(calls)),
            Turn::RawToolCall(name, arguments) => say(to, Completion::text("").with_raw_call(name, arguments)),
            Turn::Length(text) => say(to, Completion { finish: "length", ..Completion::text(text) }),
            Turn::Usage(text, prompt, made) => {
                say(to, Completion { usage: Some((prompt, made)), ..Completion::text(text) })
            }
            Turn::UnknownFields(text) => stream(to, "text/event-stream", &Completion::text(text).events_with_noise()),
            Turn::MissingDone(text) => {
                let mut events = Completion::text(text).events(false);
                events.truncate(events.len() - completion::DONE.len());
                stream(to, "text/event-stream", &events)
            }
            Turn::ErrorInStream(text, message) => {
                let mut events = Completion::text(text).unfinished_events();
                events.extend_from_slice(&completion::event(&error_value(&message)));
                stream(to, "text/event-stream", &events)
            }
            Turn::Json(value) => whole(to, 200, "application/json", "", value.to_string().as_bytes()),
            Turn::Status(status, body) => whole(to, status, "application/json", "", body.as_bytes()),
            Turn::RetryAfter(secs) => {
                let header = format!("Retry-After: {secs}\r\n");
                whole(to, 429, "application/json", &header, error_json("slow down").as_bytes())
            }
            Turn::Redirect(place) => whole(to, 307, "text/plain", &format!("Location: {place}\r\n"), b"over there"),
            Turn::WrongContentType(text) => stream(to, "text/html", &Completion::text(text).events(false)),
            Turn::NotSse(bytes) => stream(to, "text/event-stream", &bytes),
            Turn::Garbage(bytes) => to.write_all(&bytes).map(|()| false),
            Turn::HugeLine(bytes) => {
                let mut line = b"data: ".to_vec();
                line.resize(bytes, b'x');
                stream(to, "text/event-stream", &line)
            }
            Turn::Truncated(text) => {
                to.write_all(head("text/event-stream").as_bytes())?;
                let events = Completion::text("Here it comes: ").unfinished_events();
                to.write_all(&chunk(&events))?;
                let last = completion::cut_event(&text);
                // The chunk promises more than there is.
                to.write_all(format!("{:x}\r\n", last.len() + 500).as_bytes())?;
                to.write_all(&last)?;
                Ok(false)
            }
            Turn::ClosesBeforeHeaders => Ok(false),
            Turn::ClosesAfter(text) => say(to, Completion::text(text)).map(|_| false),
            Turn::Stall(secs) => {
                to.write_all(head("text/event-stream").as_bytes())?;
                to.write_all(&chunk(&Completion::text("wait").unfinished_events()))?;
                self.pause(Duration::from_secs(secs));
                Ok(false)
            }
            Turn::StallBeforeHeaders(secs) => {
                self.pause(Duration::from_secs(secs));
                Ok(false)
            }
            Turn::SlowDrip(text, millis) => {
                to.write_all(head("text/event-stream").as_bytes())?;
                for byte in Completion::text(text).events(false) {
                    to.write_all(&chunk(&[byte]))?;
                    self.pause(Duration::from_millis(millis));
                }
                to.write_all(b"0\r\n\r\n").map(|()| true)
            }
            Turn::Endless => {
                to.write_all(head("text/event-stream").as_bytes())?;
                let piece = chunk(&Completion::text("and so on ".repeat(100)).unfinished_events());
                self.repeat(to, &piece)
            }
            Turn::EndlessHeaders => {
                to.write_all(b"HTTP/1.1 200 OK\r\n")?;
                self.repeat(to, b"X-More: and more and more and more and more\r\n")
            }
            Turn::Play(mut function) => self.answer(function(request), request, to),
        }
    }

    fn repeat(&self, to: &mut TcpStream, piece: &[u8]) -> io::Result<bool> {
        let mut sent = 0;
        while sent < ENDLESS_BYTES && !self.stop.load(Ordering::SeqCst) {
            to.write_all(piece)?;
            sent += piece.len();
        }
        Ok(false)
    }

    /// Sleeps, but not beyond the server's own end.
    fn pause(&self, mut left: Duration) {
        while !left.is_zero() && !self.stop.load(Ordering::SeqCst) {
            let step = left.min(STEP);
            thread::sleep(step);
            left -= step;
        }
    }
}

fn read_request(from: &mut BufReader<TcpStream>) -> io::Result<Option<RecordedRequest>> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        line.clear();
        if from.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = RecordedRequest { method, path, headers, body: Vec::new() };
    let length: usize = request.header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    request.body = vec![0; length.min(BODY_MAX)];
    from.read_exact(&mut request.body)?;
    Ok(Some(request))
}

fn whole(to: &mut TcpStream, status: u16, kind: &str, headers: &str, body: &[u8]) -> io::Result<bool> {
    let length = body.len();
    let mut out = format!("HTTP/1.1 {status} -\r\nContent-Type: {kind}\r\n{headers}Content-Length: {length}\r\n\r\n")
        .into_bytes();
    out.extend_from_slice(body);
    to.write_all(&out).map(|()| true)
}

fn head(kind: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n")
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut out = format!("{:x}\r\n", bytes.len()).into_bytes();
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
    out
}

/// A whole stream, cut into chunks at odd places: within lines, within characters, and several events at once.
fn stream(to: &mut TcpStream, kind: &str, mut events: &[u8]) -> io::Result<bool> {
    let mut out = head(kind).into_bytes();
    for size in [1, 7, 300, 2, 64, 1500, 33].into_iter().cycle() {
        if events.is_empty() {
            break;
        }
        let (piece, rest) = events.split_at(events.len().min(size));
        out.extend_from_slice(&chunk(piece));
        events = rest;
    }
    out.extend_from_slice(b"0\r\n\r\n");
    // In two writes, so that not even the client's first read has it all.
    let (first, second) = out.split_at(out.len() / 2);
    to.write_all(first)?;
    to.write_all(second).map(|()| true)
}

fn error_value(message: &str) -> Value {
    json!({"error": {"message": message, "type": "scripted", "code": null}})
}

fn error_json(message: &str) -> String {
    error_value(message).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(server: &ModelServer, body: &Value) -> Vec<u8> {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let body = body.to_string();
        let length = body.len();
        write!(stream, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}")
            .unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut out = Vec::new();
        // A cut connection may end in a reset.
        drop(stream.read_to_end(&mut out));
        out
    }

    /// The event stream within a chunked reply.
    fn unchunk(reply: &[u8]) -> String {
        let start = reply.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        let (mut rest, mut out) = (&reply[start..], Vec::new());
        loop {
            let end = rest.windows(2).position(|w| w == b"\r\n").unwrap();
            let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
            if size == 0 {
                return String::from_utf8(out).unwrap();
            }
            out.extend_from_slice(&rest[end + 2..end + 2 + size]);
            rest = &rest[end + 4 + size..];
        }
    }

    #[test]
    fn parallel_tool_calls_come_in_pieces_that_make_them_whole() {
        let calls = vec![
            ("read_file".to_owned(), json!({"path": "grüße/日本.txt", "offset": 0})),
            ("list".to_owned(), json!({"path": "a b", "deep": {"x": [1, 2, 3]}})),
        ];
        let server = ModelServer::start(vec![Turn::TextAndTools("I look.".to_owned(), calls.clone())]);
        let events = unchunk(&ask(&server, &json!({"stream": true})));
        assert!(events.ends_with("data: [DONE]\n\n"));
        let (mut text, mut arguments, mut names) = (String::new(), [String::new(), String::new()], Vec::new());
        let mut finish = None;
        let mut pieces = 0;
        for line in events.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]") {
            let event: Value = serde_json::from_str(line).unwrap();
            let choice = &event["choices"][0];
            text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
            for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
                names.extend(call["function"]["name"].as_str().map(str::to_owned));
                let index = call["index"].as_u64().unwrap() as usize;
                arguments[index].push_str(call["function"]["arguments"].as_str().unwrap());
                pieces += 1;
            }
            finish = choice["finish_reason"].as_str().map(str::to_owned).or(finish);
        }
        assert_eq!((text.as_str(), finish.as_deref()), ("I look.", Some("tool_calls")));
        assert_eq!(names, ["read_file", "list"]);
        assert!(pieces > 6, "{pieces} pieces");
        for (i, (_, expected)) in calls.iter().enumerate() {
            assert_eq!(&serde_json::from_str::<Value>(&arguments[i]).unwrap(), expected);
        }
    }

    #[test]
    fn a_played_turn_answers_every_request_and_all_are_recorded() {
        let server = ModelServer::start(vec![
            Turn::Status(503, "{}".to_owned()),
            Turn::play(|request| Turn::Text(format!("you said {}", request["n"]))),
        ]);
        assert!(ask(&server, &json!({"n": 0})).starts_with(b"HTTP/1.1 503"));
        for n in 1..4 {
            let reply = String::from_utf8(ask(&server, &json!({"n": n}))).unwrap();
            assert!(reply.contains(&format!("you said {n}")), "{reply}");
        }
        let requests = server.requests();
        assert_eq!(requests.len(), 4);
        assert_eq!((requests[3].path.as_str(), &requests[3].json()["n"]), ("/v1/chat/completions", &json!(3)));
    }

    #[test]
    fn a_truncated_reply_ends_within_a_character() {
        let server = ModelServer::start(vec![Turn::Truncated("schöne Grüße".to_owned())]);
        let reply = ask(&server, &json!({"stream": true}));
        let tail = &reply[reply.len() - 20..];
        assert!(std::str::from_utf8(tail).unwrap_err().error_len().is_none(), "{tail:?}");
    }

    #[test]
    fn it_stops_at_once_in_the_middle_of_a_stall() {
        let server = ModelServer::start(vec![Turn::Stall(600)]);
        let mut stream = TcpStream::connect(server.address).unwrap();
        write!(stream, "POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 0\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 15]).unwrap();
        drop(server);
        drop(stream.read_to_end(&mut Vec::new()));
    }

    #[test]
    fn a_used_up_script_says_so() {
        let server = ModelServer::start(Vec::new());
        assert!(String::from_utf8(ask(&server, &json!({}))).unwrap().contains("no more turns"));
    }
}
