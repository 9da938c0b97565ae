//! Witnesses, by the command line: ours and one written by others, over loopback and in a folder; what each makes of a log
//! that was rolled back or rebuilt; and proofs that are checked without a store.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A home of raincoat's, empty.
struct Home(tempfile::TempDir);

struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Home {
    fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_raincoat"));
        command.args(args).env_clear().current_dir(self.0.path()).stdin(Stdio::null());
        command.env("HOME", self.0.path()).env("PATH", "/usr/bin:/bin").env("TZ", "UTC");
        command
    }

    fn run(&self, args: &[&str]) -> Said {
        let Output { status, stdout, stderr } = self.command(args).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let said = self.run(args);
        assert_eq!(said.code, 0, "{args:?}: {}{}", said.out, said.err);
        said.out
    }

    #[track_caller]
    fn json(&self, args: &[&str], code: i32) -> Value {
        let said = self.run(&[args, &["--json"]].concat());
        assert_eq!(said.code, code, "{args:?}: {}{}", said.out, said.err);
        serde_json::from_str(said.out.lines().next().unwrap_or_default()).unwrap()
    }

    /// A log with some entries, each from a command of its own.
    fn with_log() -> Home {
        let home = Home::new();
        home.ok(&["grants"]);
        home.more();
        home
    }

    /// Some more entries.
    fn more(&self) {
        fs::create_dir_all(self.path("granted")).unwrap();
        for _ in 0..3 {
            self.ok(&["grant", "granted"]);
        }
    }

    fn log_key(&self) -> String {
        self.ok(&["audit", "key"]).trim().to_owned()
    }

    /// Where raincoat keeps what it keeps.
    fn kept(&self) -> [PathBuf; 2] {
        [self.path(".local/share/raincoat"), self.path(".local/state/raincoat")]
    }

    /// A copy of all that raincoat keeps, as someone takes who can read every file.
    fn stolen(&self, name: &str) -> [PathBuf; 2] {
        let copies = ["data", "state"].map(|what| self.path(&format!("{name}-{what}")));
        for (from, to) in self.kept().iter().zip(&copies) {
            copy_tree(from, to);
        }
        copies
    }

    /// That copy in the place of what is there now: keys, log, the tree head kept apart, everything.
    fn roll_back_to(&self, copies: &[PathBuf; 2]) {
        for (from, to) in copies.iter().zip(&self.kept()) {
            fs::remove_dir_all(to).unwrap();
            copy_tree(from, to);
        }
    }
}

fn copy_tree(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

/// A server that ends with its owner.
struct Serving {
    child: Child,
    url: String,
    key: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `raincoat witness serve` on a port of its own.
fn serve(home: &Home, logs: &[&str], fault: Option<&str>) -> Serving {
    let mut args = vec!["witness", "serve", "--dir", "witness", "--listen", "127.0.0.1:0", "--json"];
    logs.iter().for_each(|log| args.extend(["--log", log]));
    let mut command = home.command(&args);
    if let Some(fault) = fault {
        command.env("RAINCOAT_FAULT", fault);
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    let text = |key: &str| told[key].as_str().unwrap().to_owned();
    Serving { child, url: text("url"), key: text("key") }
}

/// The peers' own Python. A venv that was moved has no other programs that start.
fn python() -> Command {
    let peers = std::env::var_os("RAINCOAT_TEST_PEERS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-peers"), PathBuf::from);
    let program = peers.join("venv/bin/python");
    assert!(program.exists(), "the peers are missing: run `scripts/setup-test-peers.sh` first");
    Command::new(program)
}

fn done(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = String::from_utf8_lossy(&stdout).into_owned();
    assert!(status.success(), "{text}{}", String::from_utf8_lossy(&stderr));
    text
}

/// PyPI `aics-witness` on a port of its own.
fn serve_theirs(home: &Home) -> Serving {
    let dir = home.path("theirs");
    fs::create_dir_all(&dir).unwrap();
    let config = dir.join("witness.json");
    let theirs = |args: &[&str]| {
        let mut command = python();
        command.args(["-m", "aics_witness"]).args(args).arg("--config").arg(&config).current_dir(&dir);
        command
    };
    let key = done(&mut theirs(&["init", "--name", "witness.example/theirs"]));
    let key = key.split_whitespace().find(|word| word.starts_with("witness.example/theirs+")).unwrap().to_owned();
    let log = home.log_key();
    done(&mut theirs(&["add-log", "--origin", log.split('+').next().unwrap(), "--vkey", &log]));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!("127.0.0.1:{port}");
    let mut serve = theirs(&["serve", "--listen", &listen]);
    let child = serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let serving = Serving { child, url: format!("http://{listen}"), key };
    for _ in 0..200 {
        if std::net::TcpStream::connect(&listen).is_ok() {
            return serving;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("`aics-witness` does not answer");
}

/// What must be so with any witness: it cosigns, proofs bear its word, and it tells of a log rolled back with all of its
/// keys, at verification, at the next command and when it is asked.
fn tells_of_a_rollback(home: &Home, add: &[&str]) {
    let early = home.stolen("early");
    home.more();
    let line = home.json(&[&["audit", "witness", "add"], add].concat(), 0);
    assert_eq!(line["state"], "agrees", "{line}");
    let seen = line["cosigned"].as_u64().unwrap();
    let verified = home.json(&["audit", "verify"], 0);
    assert!(verified["notes"].to_string().contains(&format!("has seen the first {seen} entries")), "{verified}");
    assert!(!verified["not_checked"].to_string().contains("witness"), "{verified}");
    assert_eq!(verified["log_key"], home.log_key().as_str());

    // The witness is still added in what is rolled back to below.
    let late = home.stolen("late");
    home.more();
    let line = home.json(&["audit", "witness", "sync"], 0);
    let now = line["cosigned"].as_u64().unwrap();
    assert!(now > seen, "{line}");

    home.roll_back_to(&late);
    let verified = home.json(&["audit", "verify"], 8);
    assert!(verified["problems"].to_string().contains(&format!("has seen {now} entries")), "{verified}");
    let line = home.json(&["audit", "witness", "sync"], 8);
    assert_eq!(line["state"], "disagrees", "{line}");
    let refused = home.run(&["grant", "granted"]);
    assert_eq!(refused.code, 8, "{}", refused.err);
    assert!(refused.err.contains("the log cannot be added to: witness"), "{}", refused.err);
    // A person may say that it is all right.
    home.ok(&["audit", "witness", "remove", add[0]]);
    home.ok(&["grant", "granted"]);

    // Before the witness was added: nobody here knows of it, and adding it anew tells.
    home.roll_back_to(&early);
    home.ok(&["audit", "verify"]);
    let line = home.json(&[&["audit", "witness", "add"], add].concat(), 8);
    assert_eq!(line["state"], "disagrees", "{line}");
    assert_eq!(home.json(&["audit", "verify"], 8)["sound"], false);
}

#[test]
fn our_witness_tells_of_a_log_that_was_rolled_back_with_its_keys() {
    let (home, other) = (Home::with_log(), Home::new());
    let witness = serve(&other, &[&home.log_key()], None);
    assert_eq!(other.ok(&["witness", "key", "--dir", "witness"]).trim(), witness.key);
    tells_of_a_rollback(&home, &["office", "--url", &witness.url, "--key", &witness.key]);
}

#[test]
fn a_witness_written_by_others_tells_of_a_log_that_was_rolled_back_with_its_keys() {
    let home = Home::with_log();
    let witness = serve_theirs(&home);
    tells_of_a_rollback(&home, &["theirs", "--url", &witness.url, "--key", &witness.key]);
}

#[test]
fn a_stick_tells_of_a_log_that_was_rolled_back_with_its_keys() {
    let home = Home::with_log();
    fs::create_dir(home.path("stick")).unwrap();
    tells_of_a_rollback(&home, &["stick", "--folder", "stick"]);
}

#[test]
fn a_stick_that_is_plugged_in_again_tells_at_the_next_command() {
    let home = Home::with_log();
    fs::create_dir(home.path("stick")).unwrap();
    home.ok(&["audit", "witness", "add", "stick", "--folder", "stick"]);
    let early = home.stolen("early");
    home.more();
    home.ok(&["audit", "witness", "sync"]);
    fs::rename(home.path("stick"), home.path("drawer")).unwrap();
    home.more();
    let line = home.json(&["audit", "witness", "sync"], 0);
    assert!(line["words"].as_str().unwrap().contains("its folder is not there"), "{line}");
    let verified = home.json(&["audit", "verify"], 0);
    assert!(verified["not_checked"].to_string().contains("its folder is not there"), "{verified}");
    home.roll_back_to(&early);
    home.ok(&["grant", "granted"]);
    fs::rename(home.path("drawer"), home.path("stick")).unwrap();
    let refused = home.run(&["grant", "granted"]);
    assert_eq!(refused.code, 8, "{}", refused.err);
}

#[test]
fn a_proof_is_checked_elsewhere_with_the_word_of_two_witnesses() {
    let (home, other, third) = (Home::with_log(), Home::new(), Home::new());
    let (ours, theirs) = (serve(&other, &[&home.log_key()], None), serve_theirs(&home));
    home.ok(&["audit", "witness", "add", "office", "--url", &ours.url, "--key", &ours.key]);
    home.ok(&["audit", "witness", "add", "theirs", "--url", &theirs.url, "--key", &theirs.key]);
    home.ok(&["audit", "witness", "sync"]);
    let proof = third.path("entry.tlog-proof");
    let made = home.json(&["audit", "prove", "2", "--out", proof.to_str().unwrap()], 0);
    assert_eq!(made["cosigned"].as_array().unwrap().len(), 2, "{made}");
    let log = made["log_key"].as_str().unwrap();
    let check = |more: &[&str], code: i32| {
        third.json(&[&["audit", "prove", "--check", "entry.tlog-proof", "--log", log], more].concat(), code)
    };
    let both = check(&["--witness", &ours.key, "--witness", &theirs.key], 0);
    assert_eq!((both["sound"].as_bool(), both["cosigned"].as_array().unwrap().len()), (Some(true), 2), "{both}");
    assert!(!third.path(".local").exists(), "no store is needed, and none is made");
    let stranger = third.run(&["witness", "serve", "--dir", "w", "--listen", "256.0.0.1:1"]);
    assert_eq!(stranger.code, 2);
    // A witness that did not sign: refused, unless fewer are needed.
    let other_key = "witness.example.com/w1+8122a5ab+BOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";
    let args =
        ["audit", "prove", "--check", "entry.tlog-proof", "--log", log, "--witness", &ours.key, "--witness", other_key];
    assert_eq!(third.run(&args).code, 8);
    assert_eq!(third.run(&[&args[..], &["--need", "1"]].concat()).code, 0);
    // A bit of the entry, and one of the checkpoint.
    let good = fs::read(&proof).unwrap();
    let origin = log.split('+').next().unwrap().as_bytes();
    let checkpoint = good.windows(origin.len()).position(|part| part == origin).unwrap();
    for at in [60, checkpoint + 3] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&proof, bad).unwrap();
        assert_ne!(third.run(&args[..8]).code, 0, "byte {at}");
    }
    fs::write(&proof, &good).unwrap();
    let published = fs::read_to_string(home.path(".local/share/raincoat/audit/checkpoint")).unwrap();
    assert!(published.lines().count() >= 6, "it is published with both cosignatures: {published}");
    assert_eq!(home.run(&["audit", "prove", "999999"]).code, 2);
}

/// Their client against our witness.
#[test]
fn a_client_written_by_others_is_served_by_our_witness() {
    let (home, other) = (Home::with_log(), Home::new());
    let witness = serve(&other, &[&home.log_key()], None);
    let feed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/feed.py");
    let audit = home.path(".local/share/raincoat/audit");
    let feeding = || {
        let mut command = python();
        command.arg(&feed).arg(&witness.url).arg(&witness.key).arg(&audit).arg(home.path("state.json"));
        command.output().unwrap()
    };
    let first = feeding();
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let early = home.stolen("early");
    home.more();
    let second = feeding();
    assert!(second.status.success(), "{}", String::from_utf8_lossy(&second.stderr));
    home.roll_back_to(&early);
    let rolled_back = feeding();
    assert!(!rolled_back.status.success());
    assert!(String::from_utf8_lossy(&rolled_back.stdout).contains("WitnessAhead"));
    home.ok(&["grant", "granted"]);
    for _ in 0..4 {
        home.more();
    }
    let forked = feeding();
    assert!(String::from_utf8_lossy(&forked.stdout).contains("WitnessRejected"), "{forked:?}");
}

/// Killed at any call while it answers: what it gave away it remembers, and the log goes on with it.
#[test]
fn our_witness_killed_while_it_answers_remembers_what_it_gave_away() {
    let (home, other) = (Home::with_log(), Home::new());
    let first = serve(&other, &[&home.log_key()], None);
    let key = first.key.clone();
    home.ok(&["audit", "witness", "add", "office", "--url", &first.url, "--key", &key]);
    drop(first);
    for n in 1..9 {
        let witness = serve(&other, &[], Some(&format!("kill:{n}")));
        home.ok(&["audit", "witness", "remove", "office"]);
        let _ = home.run(&["audit", "witness", "add", "office", "--url", &witness.url, "--key", &key]);
        drop(witness);
        let witness = serve(&other, &[], None);
        home.ok(&["audit", "witness", "remove", "office"]);
        let line = home.json(&["audit", "witness", "add", "office", "--url", &witness.url, "--key", &key], 0);
        assert_eq!(line["state"], "agrees", "call {n}: {line}");
    }
}

#[test]
fn a_witness_that_does_not_answer_holds_up_nobody_and_is_told() {
    let home = Home::with_log();
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", deaf.local_addr().unwrap());
    fs::create_dir_all(home.path(".config/raincoat")).unwrap();
    fs::write(home.path(".config/raincoat/config.toml"), "[witness]\nwait_secs = 1\nevery_secs = 0\nlate_secs = 0\n")
        .unwrap();
    let key = "witness.example.com/w1+8122a5ab+BOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";
    let line = home.json(&["audit", "witness", "add", "deaf", "--url", &url, "--key", key], 0);
    assert_eq!(line["state"], "never", "{line}");
    home.ok(&["grant", "granted"]);
    let doctor = home.run(&["doctor", "--json"]);
    assert!(doctor.out.contains("witness-deaf"), "{}", doctor.out);
    let verified = home.json(&["audit", "verify"], 0);
    assert!(verified["not_checked"].to_string().contains("did not answer within"), "{verified}");
    home.ok(&["audit", "witness", "remove", "deaf"]);
}

#[test]
fn what_cannot_be_a_witness_is_refused() {
    let home = Home::with_log();
    let key = "witness.example.com/w1+8122a5ab+BOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";
    let log_key = home.log_key();
    let refused = |args: &[&str]| {
        let said = home.run(&[&["audit", "witness", "add"], args].concat());
        assert_eq!(said.code, 2, "{args:?}: {}{}", said.out, said.err);
    };
    refused(&["far", "--url", "http://witness.example.org/", "--key", key]);
    refused(&["nokey", "--url", "https://witness.example.org/"]);
    refused(&["logkey", "--url", "https://witness.example.org/", "--key", &log_key]);
    refused(&["Bad Name", "--url", "https://witness.example.org/", "--key", key]);
    refused(&["nowhere", "--folder", "not-there"]);
    assert_eq!(home.ok(&["audit", "witness", "list"]), "");
    let mut other = home.command(&["witness", "key", "--dir", "granted"]);
    let mut err = String::new();
    let mut child = other.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7), "{err}");
}
