//! A verifier that shares no code with ours takes our logs as they lie on disk, and refuses them damaged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "tests")]

mod common;

use std::path::Path;
use std::process::Command;

use common::{Home, fill};

fn python(log: &Path) -> (bool, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verify_tlog.py");
    let run = Command::new("python3").arg(script).arg(log).output();
    let run = run.expect("`python3` is needed for this test: install it (Debian: apt install python3)");
    let text = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    (run.status.success(), text)
}

#[test]
fn a_tlog_verifier_in_python_takes_our_log_at_every_published_size() {
    let home = Home::new();
    let mut log = home.open();
    for grow in [1, 254, 1, 1, 43, 212, 300, 1500] {
        fill(&mut log, grow);
        let head = log.checkpoint().unwrap();
        let (ok, text) = python(&home.log());
        let root: String = head.root.iter().map(|b| format!("{b:02x}")).collect();
        assert!(ok, "{}: {text}", head.size);
        assert_eq!(text.trim(), format!("{} entries, root {root}", head.size));
    }
}

#[test]
fn it_refuses_a_log_with_one_byte_changed() {
    let home = Home::with(700);
    for name in ["tile/entries/001", "tile/0/000", "tile/0/002.p/188", "tile/1/000.p/2", "tile/entries/002.p/188"] {
        let path = home.log().join(name);
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        let at = bad.len() / 2;
        if let Some(byte) = bad.get_mut(at) {
            *byte ^= 1;
        }
        std::fs::write(&path, &bad).unwrap();
        assert!(!python(&home.log()).0, "{name}");
        std::fs::write(&path, &good).unwrap();
    }
    assert!(python(&home.log()).0);
}
