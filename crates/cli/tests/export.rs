//! `audit export` and those who take what it writes: readers and collectors written by others, on the log of a real
//! binary; and that nothing is lost on the way when either end is killed. (C1, C4, C5, G4)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Home, lines};
use raincoat_testkit::model_server::{ModelServer, Turn};
use serde_json::{Value, json};

/// Looks like the key of a service, and is none.
const SECRET: &str = "sk-proj-4f1eT7wQzR9mB2xKcV8nL5";
const ERASED: &str = "rename aunt Hedwig's letters";

/// How long something on this machine may take before it is called lost.
const LONG: Duration = Duration::from_secs(60);

/// A home whose log has a bit of everything; gives the run of which every word was erased.
fn lived_in() -> (Home, String) {
    let home = Home::new();
    let dir = home.folder("in");
    home.ok(&["init", "--no-input"]);
    home.ok(&["grant", "in"]);
    home.run(&["do", "tidy", "/usr", "--yes"]);
    home.run(&["do", "tidy", "in", "--no-input"]);
    home.ok(&["do", "tidy", "in", "--yes"]);
    home.ok(&["undo"]);
    home.ok(&["exec", "--in", "in", "--commit", "always", "--", "/bin/sh", "-c", "echo new > n.txt"]);
    fs::write(home.path(".config/raincoat/config.toml"), "[log]\naudit = true\n").unwrap();
    let read = ("read".to_owned(), json!({ "path": "a.txt" }));
    let done = || Turn::ToolCalls(vec![("finish".to_owned(), json!({ "summary": "looked | at = it\\" }))]);
    let server = ModelServer::start(vec![Turn::ToolCalls(vec![read]), done(), done()]);
    home.ok(&["provider", "add", "local", "--url", &server.base_url(), "--model", "scripted"]);
    home.ok(&["do", &format!("log in with {SECRET}, then = look | at\n\"it\" ]"), "--in", "in", "--yes"]);
    let report = home.json(&["do", ERASED, "--in", "in", "--yes"]).pop().unwrap();
    let run = report["run"].as_str().unwrap().to_owned();
    home.ok(&["audit", "erase", &format!("run:{run}"), "--yes"]);
    home.ok(&["restore", "in/n.txt", "--at", "0s", "--to", "again.txt"]);
    fs::write(dir.join("n.txt"), "changed since").unwrap();
    home.run(&["undo"]);
    (home, run)
}

/// Python with the readers of others.
fn python(script: &str) -> Command {
    let peers = std::env::var_os("RAINCOAT_TEST_PEERS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-peers"), PathBuf::from);
    let program = peers.join("venv/bin/python");
    assert!(program.exists(), "the peers are missing: run `scripts/setup-test-peers.sh` first");
    let mut command = Command::new(program);
    command.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script));
    command
}

/// What others read in an export; they must have found nothing wrong with it.
fn read_by_others(home: &Home, format: &str) -> (String, Vec<Value>) {
    let file = format!("log.{format}");
    home.ok(&["audit", "export", "--format", format, "--out", &file]);
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats/export.schema.json");
    let read = common::said(python("read_export.py").arg(format).arg(home.path(&file)).arg(schema).output().unwrap());
    assert_eq!(read.code, 0, "{format}: {}", read.err);
    (fs::read_to_string(home.path(&file)).unwrap(), lines(&read.out))
}

fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_else(|| panic!("{value} is no number"))
}

/// The numbers from 0 on, without a gap.
#[track_caller]
fn without_a_gap<'a>(entries: impl IntoIterator<Item = &'a u64>) -> u64 {
    let found: BTreeSet<u64> = entries.into_iter().copied().collect();
    let missing: Vec<u64> = (0..found.last().map_or(0, |last| last + 1)).filter(|n| !found.contains(n)).collect();
    assert!(missing.is_empty() && !found.is_empty(), "{missing:?} did not arrive");
    found.len() as u64
}

#[test]
fn others_read_what_is_written_and_neither_secrets_nor_what_was_erased_is_in_it() {
    let (home, erased) = lived_in();
    let entries = home.json(&["audit", "tail", "-n", "100000"]);
    let (text, ours) = read_by_others(&home, "jsonl");
    assert!(without_a_gap(&ours.iter().map(|one| number(&one["index"])).collect::<Vec<_>>()) >= entries.len() as u64);
    let of = |index: u64| &ours[usize::try_from(index).unwrap()];
    assert!(text.contains("[masked]"), "the goal is not there");
    let tombstones: Vec<&Value> = ours.iter().filter(|one| !one["erased"].is_null()).collect();
    assert!(!tombstones.is_empty());
    for one in &tombstones {
        assert_eq!(
            (&one["kind"], &one["fields"], &one["actor"]),
            (&json!("erased"), &json!({}), &Value::Null),
            "{one}"
        );
    }
    let spoken: Vec<&Value> = ours.iter().filter(|one| one["run"] == json!(erased)).collect();
    assert!(spoken.iter().all(|one| !one["erased"].is_null()), "{spoken:#?}");

    let (ocsf, events) = read_by_others(&home, "ocsf");
    let classes: BTreeMap<u64, usize> = events.iter().fold(BTreeMap::new(), |mut classes, event| {
        *classes.entry(number(&event["class_uid"])).or_default() += 1;
        classes
    });
    for class in [1001, 1007, 1008, 2004, 3004, 6002, 6003] {
        assert!(classes.contains_key(&class), "no event of class {class}: {classes:?}");
    }
    for event in &events[..ours.len()] {
        let one = of(number(&event["metadata"]["sequence"]));
        assert_eq!(event["metadata"]["event_code"], one["kind"]);
        assert_eq!(event["message"], one["message"]);
        assert_eq!(event["unmapped"]["attestation"]["fingerprint"]["value"], one["log"]["leaf"]);
    }
    let profiles: BTreeSet<&str> = events
        .iter()
        .flat_map(|event| event["metadata"]["profiles"].as_array().unwrap())
        .map(|name| name.as_str().unwrap())
        .collect();
    assert_eq!(profiles, BTreeSet::from(["ai_operation", "security_control"]));

    let (cef, read) = read_by_others(&home, "cef");
    for event in &read[..ours.len()] {
        let one = of(number(&event["externalId"]));
        assert_eq!(event["DeviceEventClassID"], one["kind"], "{event}");
        assert_eq!((&event["cat"], &event["leaf"]), (&one["class"], &one["log"]["leaf"]), "{event}");
        assert_eq!(event.get("run").unwrap_or(&Value::Null), &one["run"], "{event}");
        // The reader leaves what is written out as it is.
        let message = one["message"].as_str().unwrap();
        let written = message.replace('\\', "\\\\").replace('=', "\\=");
        assert_eq!(event["msg"].as_str(), Some(written.trim_end()), "{event}");
    }

    let (otlp, records) = read_by_others(&home, "otlp");
    for record in &records[..ours.len()] {
        let attributes = &record["attributes"];
        let one = of(number(&attributes["raincoat.index"]));
        assert_eq!(record["event"], format!("raincoat.{}", one["kind"].as_str().unwrap()));
        assert_eq!((&record["message"], &record["service"]), (&one["message"], &json!("raincoat")));
        assert_eq!(attributes.get("raincoat.run").unwrap_or(&Value::Null), &one["run"]);
        assert_eq!(record["trace"].as_str().unwrap().len(), if one["run"].is_null() { 0 } else { 32 });
        assert_eq!(attributes["raincoat.log.leaf"], one["log"]["leaf"]);
        for (name, value) in one["fields"].as_object().unwrap() {
            assert_eq!(&attributes[&format!("raincoat.{name}")], value, "{name} of {record}");
        }
    }

    let syslog = home.ok(&["audit", "export", "--format", "syslog"]);
    for (format, text) in [("jsonl", text), ("ocsf", ocsf), ("cef", cef), ("otlp", otlp), ("syslog", syslog)] {
        for word in [SECRET.get(8..).unwrap(), "Hedwig"] {
            assert!(!text.contains(word), "{word} went out as {format}");
        }
    }
}

/// A child that ends with its owner.
struct Running(Child);

impl Running {
    /// As a crash would.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until it is so.
#[track_caller]
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < LONG, "still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a collector has written down: whole lines only, for one that was killed may have left a part of one.
fn taken(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// A certificate authority, and a certificate of it for this machine.
fn certificates(dir: &Path) {
    let openssl = |arguments: &str| {
        let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
        let mut command = Command::new("openssl");
        command.args(new.split(' ')).args(arguments.split(' ')).current_dir(dir);
        let said = common::said(command.output().expect("`openssl` is missing: install openssl"));
        assert_eq!(said.code, 0, "{said:?}");
    };
    openssl("-keyout ca.key -out ca.pem -subj /CN=authority");
    openssl(
        "-keyout key.pem -out cert.pem -subj /CN=localhost -CA ca.pem -CAkey ca.key \
         -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE",
    );
}

/// A real rsyslog that writes down how it understood each message.
fn rsyslog(dir: &Path, driver: &str) -> (Running, u16) {
    let at = dir.display();
    let config = format!(
        r#"global(workDirectory="{at}" maxMessageSize="64k" DefaultNetstreamDriverCAFile="{at}/ca.pem"
    DefaultNetstreamDriverCertFile="{at}/cert.pem" DefaultNetstreamDriverKeyFile="{at}/key.pem")
module(load="imtcp" {driver})
template(name="all" type="list") {{ property(name="jsonmesg") constant(value="\n") }}
ruleset(name="in") {{ action(type="omfile" file="{at}/taken" template="all") }}
input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName="{at}/port" ruleset="in")
"#
    );
    fs::write(dir.join("rsyslog.conf"), config).unwrap();
    let mut command = Command::new("/usr/sbin/rsyslogd");
    command.arg("-n").arg("-f").arg(dir.join("rsyslog.conf")).arg("-i").arg(dir.join("pid"));
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let running = Running(child.expect("`rsyslogd` is missing: install rsyslog and rsyslog-openssl"));
    let port = until("rsyslog listens", || fs::read_to_string(dir.join("port")).ok()?.trim().parse().ok());
    (running, port)
}

#[test]
fn a_real_rsyslog_understands_every_message_in_the_clear_and_over_tls() {
    let (home, _) = lived_in();
    let over_tls = r#"StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="anon""#;
    for (scheme, driver, format) in
        [("tcp", "", "syslog"), ("tls", over_tls, "syslog"), ("tcp", "", "cef"), ("tls", over_tls, "cef")]
    {
        let dir = home.path(&format!("{scheme}-{format}"));
        fs::create_dir(&dir).unwrap();
        certificates(&dir);
        let (collector, port) = rsyslog(&dir, driver);
        let to = format!("{scheme}://localhost:{port}");
        let authorities = dir.join("ca.pem");
        let trust: &[&str] = if scheme == "tls" { &["--ca", authorities.to_str().unwrap()] } else { &[] };
        let words = [&["audit", "export", "--format", format, "--to", &to], trust].concat();
        if scheme == "tls" {
            // Somebody else's certificate is not believed.
            let said = home.run(&["audit", "export", "--format", format, "--to", &to]);
            assert!(said.code != 0 && taken(&dir.join("taken")).is_empty(), "{said:?}");
        }
        let first = number(&home.json(&words)[0]["next"]);
        let second = number(&home.json(&words)[0]["next"]);
        assert!(second > first, "the second export did not go on");
        let messages = until("every message is written down", || {
            let messages = taken(&dir.join("taken"));
            (messages.len() as u64 >= second).then_some(messages)
        });
        drop(collector);
        assert_eq!(messages.len() as u64, second, "some came twice");
        let ours = lines(&home.ok(&["audit", "export", "--format", "jsonl"]));
        for (message, one) in messages.iter().zip(&ours) {
            let texts = [("app-name", "raincoat"), ("protocol-version", "1"), ("syslogfacility", "13")];
            for (name, value) in texts {
                assert_eq!(message[name], value, "{message}");
            }
            assert_eq!(message["msgid"], one["kind"], "{message}");
            assert_eq!(message["procid"], *one["producer"].get("id").unwrap_or(&json!("-")), "{message}");
            let said = message["msg"].as_str().unwrap();
            if format == "cef" {
                assert!(said.starts_with("CEF:0|Raincoat|"), "{message}");
                continue;
            }
            assert_eq!(said.trim_start_matches('\u{feff}'), one["message"], "{message}");
            let data = message["structured-data"].as_str().unwrap();
            let begin = format!("[raincoat@32473 index=\"{}\" class=", one["index"]);
            assert!(data.starts_with(&begin) && data.ends_with("\"]"), "{message}");
        }
    }
}

/// Our collector of OTLP, on a port (0: any) and with entries that it will not take.
fn collector(port: u16, file: &Path, refused: &[u64]) -> (Running, u16) {
    let mut command = python("collector.py");
    command.arg(port.to_string()).arg(file).args(refused.iter().map(u64::to_string));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Running(child), line.trim().parse().expect("the collector did not start"))
}

fn indexes(file: &Path) -> BTreeSet<u64> {
    taken(file).iter().map(|record| number(&record["attributes"]["raincoat.index"])).collect()
}

#[test]
fn nothing_is_lost_when_either_end_is_killed_and_what_is_refused_is_put_aside() {
    let (home, _) = lived_in();
    let file = home.path("taken");
    let refused = [3, 40, 41];
    let (first, port) = collector(0, &file, &refused);
    let to = format!("http://127.0.0.1:{port}");
    let words = ["audit", "export", "--format", "otlp", "--to", &to];
    let follow = || {
        let mut command = home.command(&[&words[..], &["--follow"]].concat());
        Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    };
    let last = || number(&home.json(&["audit", "tail", "-n", "1"])[0]["index"]);
    let more = || {
        home.ok(&["grant", "in"]);
        last()
    };
    let arrived = |index: u64| {
        until("the entry arrived", || indexes(&file).contains(&index).then_some(()));
    };

    // The exporter is killed, again and again, at whatever it does: the first times while it looks for what is refused.
    let mut chance = std::process::id();
    for round in 0..12 {
        let exporter = follow();
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        std::thread::sleep(Duration::from_millis(u64::from(chance >> 16) % 600));
        if round % 3 == 2 {
            more();
        }
        exporter.kill();
    }

    // The collector is killed under an exporter that follows, and comes back.
    let exporter = follow();
    arrived(more());
    first.kill();
    let while_gone = more();
    let (second, _) = collector(port, &file, &refused);
    arrived(while_gone);
    exporter.kill();
    let next = number(&home.json(&words)[0]["next"]);
    let mut all = indexes(&file);
    assert!(refused.iter().all(|one| !all.contains(one)));
    let letters: Vec<u64> =
        home.json(&["audit", "export", "dead-letter", "list"]).iter().map(|one| number(&one["entry"])).collect();
    assert_eq!(letters, refused);
    all.extend(refused);
    assert!(without_a_gap(&all) >= next);

    // What was put aside goes out when the collector has come to reason.
    second.kill();
    let (third, _) = collector(port, &file, &[]);
    let report = home.json(&["audit", "export", "dead-letter", "retry", "--format", "otlp", "--to", &to]);
    assert_eq!(report[0]["taken"], json!(refused.len()), "{report:?}");
    assert!(without_a_gap(&indexes(&file)) >= next);
    assert!(home.json(&["audit", "export", "dead-letter", "list"]).is_empty());
    assert!(home.ok(&["audit", "verify"]).contains("the log is sound"));
    drop(third);
}
