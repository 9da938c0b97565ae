//! The agent: a scripted model that makes the calls that the real one made, through `raincoat do`.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use raincoat_testkit::model_server::{ModelServer, Turn};
use serde_json::{Value, json};

use crate::enclosed::Scene;

/// A tool's name and its arguments.
pub(crate) fn call(tool: &str, arguments: Value) -> (String, Value) {
    (tool.to_owned(), arguments)
}

/// Lets a model make these calls in the folder, one a turn, whatever it is told. Gives what each came to, as the model
/// was told.
pub(crate) fn agent(scene: &Scene, calls: Vec<(String, Value)>) -> Vec<String> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (hearing, count) = (heard.clone(), calls.len());
    let mut calls = calls.into_iter();
    let server = ModelServer::start(vec![Turn::play(move |request| {
        let messages = request["messages"].as_array().unwrap();
        if let Some(last) = messages.last().filter(|message| message["role"] == "tool") {
            hearing.lock().unwrap().push(last["content"].as_str().unwrap_or_default().to_owned());
        }
        match calls.next() {
            Some(one) => Turn::ToolCalls(vec![one]),
            None => Turn::ToolCalls(vec![("finish".to_owned(), json!({ "summary": "done" }))]),
        }
    })]);
    let grants = scene.ok(&["grants", "--json"]).out;
    if grants.is_empty() {
        scene.ok(&["grant", "."]);
    }
    let url = server.base_url();
    scene.run(&["provider", "remove", "scripted"]);
    scene.ok(&["provider", "add", "scripted", "--url", &url, "--model", "m", "--window", "400000"]);
    let said = scene.run(&["do", "clean up", "--in", ".", "--yes"]);
    let heard = std::mem::take(&mut *heard.lock().unwrap());
    assert_eq!(heard.len(), count, "{said:?}");
    heard
}

/// None of the calls came to anything, and none of what is private was told.
pub(crate) fn all_refused(told: &[String]) {
    for one in told {
        let came = one.starts_with("done") || one.contains("PRIVATE") || one.contains("hunter2");
        assert!(!came && !one.is_empty(), "{one:?} in {told:#?}");
    }
}

/// A server on loopback that counts who comes, for as long as it is held: where stolen things would go.
pub(crate) struct Collector {
    pub(crate) port: u16,
    came: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
}

impl Collector {
    pub(crate) fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (came, over) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (count, end) = (came.clone(), over.clone());
        std::thread::spawn(move || {
            while !end.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((mut stream, _)) => {
                        count.fetch_add(1, Ordering::SeqCst);
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nok\n";
                        let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
                        let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
                        let _ = std::io::Write::write_all(&mut stream, answer);
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        Collector { port, came, over }
    }

    /// How many connections there were.
    pub(crate) fn came(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}
