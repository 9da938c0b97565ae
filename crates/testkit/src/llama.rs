//! A real llama.cpp server with a small real model, for tests.
//!
//! `scripts/setup-test-peers.sh` fetches both; they lie in `target/test-peers`, or where `RAINCOAT_TEST_PEERS` says.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of tests: it starts a program of its own, and fails loudly"
)]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long the model may take to load. It takes half a second; a machine at work on other things takes longer.
const START: Duration = Duration::from_secs(60);

/// The running server. It stops when dropped, and by itself where its test dies.
pub struct LlamaServer {
    child: Child,
    _alive: Option<ChildStdin>,
    base_url: String,
    model: String,
}

impl LlamaServer {
    /// Starts it on a free port of 127.0.0.1 and waits until it answers, a minute at most.
    ///
    /// # Panics
    /// Where it does not; in words that say what to install.
    pub fn start() -> LlamaServer {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let peers = match std::env::var_os("RAINCOAT_TEST_PEERS") {
            Some(dir) => PathBuf::from(dir),
            None => root.join("target/test-peers"),
        };
        let (python, model) = (peers.join("venv/bin/python"), peers.join("model.gguf"));
        assert!(
            python.exists() && model.exists(),
            "no llama.cpp server in `{}`: run `scripts/setup-test-peers.sh` first",
            peers.display()
        );
        let mut child = Command::new(python)
            .arg(root.join("tests/llama_server.py"))
            .arg(model)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python of the test peers starts");
        let alive = child.stdin.take();
        let out = child.stdout.take().expect("its output is ours");
        let mut errors = child.stderr.take().expect("its errors are ours");
        // Read to the end, else it would wait for us.
        let errors = thread::spawn(move || {
            let mut all = Vec::new();
            drop(errors.read_to_end(&mut all));
            String::from_utf8_lossy(&all).into_owned()
        });
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if let Some(url) = line.strip_prefix("ready ") {
                    drop(tell.send(url.to_owned()));
                }
            }
        });
        let Ok(url) = told.recv_timeout(START) else {
            drop(child.kill());
            drop(child.wait());
            panic!("the llama.cpp server did not start:\n{}", errors.join().unwrap_or_default());
        };
        LlamaServer { child, _alive: alive, base_url: format!("{url}/v1"), model: "smollm2-135m".to_owned() }
    }

    /// `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The model's name.
    pub fn model(&self) -> &str {
        &self.model
    }
}

impl Drop for LlamaServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
