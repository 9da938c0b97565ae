//! A folder that is taken back while an agent works in it (B2).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod common;

use std::fs;
use std::process::Command;
use std::time::Duration;

use common::Home;
use raincoat_testkit::model_server::{ModelServer, Turn};
use serde_json::json;

#[test]
fn an_agent_at_work_ends_when_its_folder_is_taken_back() {
    let home = Home::new();
    let dir = home.folder("in");
    home.ok(&["grant", "in"]);
    let id = home.json(&["grants"])[0]["id"].as_str().unwrap().to_owned();
    let (binary, place) = (env!("CARGO_BIN_EXE_raincoat"), home.path(""));
    let mut turn = 0;
    let server = ModelServer::start(vec![Turn::play(move |_| {
        turn += 1;
        if turn == 2 {
            // From another terminal, while the model thinks.
            let mut revoke = Command::new(binary);
            let done = revoke.args(["revoke", &id]).env_clear().env("HOME", &place).current_dir(&place).status();
            assert!(done.unwrap().success());
            std::thread::sleep(Duration::from_millis(1200));
        }
        let path = format!("made-{turn}.txt");
        Turn::ToolCalls(vec![("write_file".to_owned(), json!({"path": path, "content": "x"}))])
    })]);
    home.ok(&["provider", "add", "scripted", "--url", &server.base_url(), "--model", "m"]);
    let said = home.run(&["do", "make files for ever", "--in", "in", "--yes"]);
    assert_eq!(said.code, 130, "{said:?}");
    assert!(said.err.contains("was taken back") || said.out.contains("was taken back"), "{said:?}");
    assert!(dir.join("made-1.txt").exists(), "{said:?}");
    assert!(!dir.join("made-2.txt").exists(), "{said:?}");
    // What was done stays undoable, though nothing is granted any more.
    home.ok(&["undo"]);
    assert!(!fs::exists(dir.join("made-1.txt")).unwrap());
}

#[test]
fn the_log_of_a_new_store_can_be_read_at_once() {
    let home = Home::new();
    let tail = home.ok(&["audit", "tail"]);
    assert!(tail.contains("key-file opens the keys from now on"), "{tail}");
    assert!(home.ok(&["audit", "verify"]).contains("the log is sound"));
}
