//! Verifiers that share no code with ours take our logs as they lie on disk, and refuse them damaged: a script of our own
//! after the specification, Go's checksum-database packages, PyPI `aics-tlog` and PyPI `metamorphic-log`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use common::{Home, ORIGIN, copy_tree, fill};
use raincoat_audit::note::Signer;
use raincoat_audit::tile::{decode_entries, push_entry};
use raincoat_audit::{Cosigner, Hash};
use raincoat_types::Secret;

/// Whoever verifies a folder: whether it took it, and its words.
type Verify = fn(&Path, &[&str]) -> (bool, String);

const FOLDER_VERIFIERS: [(&str, Verify); 2] = [("Go's tlog", go), ("aics-tlog", aics)];

/// Sizes at which every level of partial tiles begins, ends and is there.
const GROWTH: [u64; 8] = [1, 254, 1, 1, 43, 212, 300, 1500];

fn peers(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(below)
}

fn ran(command: &mut Command, needs: &str) -> (bool, String) {
    let run = command.output().unwrap_or_else(|error| panic!("{needs} ({error})"));
    let text = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    (run.status.success(), text.trim().to_owned())
}

fn script(log: &Path) -> (bool, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verify_tlog.py");
    ran(Command::new("python3").arg(script).arg(log), "`python3` is needed for this test: install it")
}

/// The verifier in Go, built once: the packages are Debian's, so nothing is fetched.
fn go_binary() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let needs = "`go` is needed for this test: install golang-go and golang-golang-x-mod-dev";
        let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let binary = place.join(format!("tlog-{}", std::process::id()));
        let mut build = Command::new("go");
        build.args(["build", "-o"]).arg(&binary).arg(".").current_dir(peers("tlog"));
        build.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOFLAGS", "");
        build.env("GOCACHE", place.join("go-cache"));
        let (done, text) = ran(&mut build, needs);
        assert!(done, "{needs}: {text}");
        binary
    })
}

fn go(log: &Path, more: &[&str]) -> (bool, String) {
    ran(Command::new(go_binary()).arg(log).args(more), "the verifier in Go does not start")
}

fn aics(log: &Path, more: &[&str]) -> (bool, String) {
    python("aics.py", Some(log), more)
}

/// A script with the peers' own Python.
fn python(name: &str, log: Option<&Path>, more: &[&str]) -> (bool, String) {
    let peers_at = std::env::var_os("RAINCOAT_TEST_PEERS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-peers"), PathBuf::from);
    let mut command = Command::new(peers_at.join("venv/bin/python"));
    command.arg(peers(name)).args(log).args(more);
    ran(&mut command, "the peers are missing: run `scripts/setup-test-peers.sh` first")
}

fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn vkey(home: &Home) -> String {
    home.reader().verifier().vkey()
}

#[test]
fn a_tlog_verifier_in_python_takes_our_log_at_every_published_size() {
    let home = Home::new();
    let mut log = home.open();
    for grow in GROWTH {
        fill(&mut log, grow);
        let head = log.checkpoint().unwrap();
        let (ok, text) = script(&home.log());
        assert!(ok, "{}: {text}", head.size);
        assert_eq!(text, format!("{} entries, root {}", head.size, hex(&head.root)));
    }
}

#[test]
fn go_and_aics_take_our_log_at_every_published_size_and_as_a_growth_of_the_last() {
    let home = Home::new();
    let mut log = home.open();
    let old = home.folder.path().join("old");
    for (at, grow) in GROWTH.into_iter().enumerate() {
        fill(&mut log, grow);
        let head = log.checkpoint().unwrap();
        let expected = format!("{} entries, root {}", head.size, hex(&head.root));
        let before: &[&str] = if at == 0 { &[] } else { &[old.to_str().unwrap()] };
        let (ok, text) = go(&home.log(), &[&[vkey(&home).as_str()], before].concat());
        assert!(ok && text == expected, "Go at {}: {text}", head.size);
        // It starts slowly: the last three sizes have all that the others have.
        if at >= 5 {
            let (ok, text) = aics(&home.log(), &[&vkey(&home)]);
            assert!(ok && text == expected, "aics-tlog at {}: {text}", head.size);
        }
        std::fs::copy(home.log().join("checkpoint"), &old).unwrap();
    }
}

type Damage = fn(&Path);

/// What someone may do to a folder, by name.
fn damages() -> Vec<(&'static str, Damage)> {
    fn flip(path: &Path) {
        let mut bytes = std::fs::read(path).unwrap();
        let at = bytes.len() / 2;
        *bytes.get_mut(at).unwrap() ^= 1;
        std::fs::write(path, bytes).unwrap();
    }
    fn rewrite(path: &Path, edit: impl FnOnce(&mut Vec<Vec<u8>>)) {
        let bytes = std::fs::read(path).unwrap();
        let mut entries: Vec<Vec<u8>> = decode_entries(&bytes).unwrap().into_iter().map(<[u8]>::to_vec).collect();
        edit(&mut entries);
        let mut bytes = Vec::new();
        entries.iter().for_each(|entry| assert!(push_entry(&mut bytes, entry)));
        std::fs::write(path, bytes).unwrap();
    }
    vec![
        ("a bit in a bundle", |log| flip(&log.join("tile/entries/001"))),
        ("a bit in a partial bundle", |log| flip(&log.join("tile/entries/002.p/188"))),
        ("a bit in a tile", |log| flip(&log.join("tile/0/000"))),
        ("a bit in a partial tile", |log| flip(&log.join("tile/0/002.p/188"))),
        ("a bit in a partial tile of the level above", |log| flip(&log.join("tile/1/000.p/2"))),
        ("a bit in the checkpoint", |log| {
            let path = log.join("checkpoint");
            let note = std::fs::read_to_string(&path).unwrap();
            std::fs::write(path, note.replace("\n700\n", "\n701\n")).unwrap();
        }),
        ("an entry dropped", |log| {
            rewrite(&log.join("tile/entries/001"), |entries| {
                entries.remove(9);
            })
        }),
        ("two entries in another order", |log| rewrite(&log.join("tile/entries/001"), |entries| entries.swap(9, 10))),
        ("a bundle missing", |log| std::fs::remove_file(log.join("tile/entries/000")).unwrap()),
        ("a tile missing", |log| std::fs::remove_file(log.join("tile/0/001")).unwrap()),
        ("a checkpoint of another key", |log| {
            let path = log.join("checkpoint");
            let note = std::fs::read_to_string(&path).unwrap();
            let text = note.split_once("\n\n").unwrap().0.to_owned() + "\n";
            std::fs::write(path, Signer::new(ORIGIN, &Secret::new([99; 32])).unwrap().sign(&text)).unwrap();
        }),
    ]
}

#[test]
fn every_verifier_refuses_every_damaged_copy() {
    let home = Home::with(700);
    let key = vkey(&home);
    for (damage, act) in damages() {
        let copy = home.folder.path().join("copy");
        copy_tree(&home.log(), &copy);
        act(&copy);
        for (name, verify) in FOLDER_VERIFIERS {
            let (ok, text) = verify(&copy, &[&key]);
            assert!(!ok && text.starts_with("refused:"), "{name}, {damage}: {text}");
        }
        assert!(!script(&copy).0 || damage.contains("key"), "{damage}");
        std::fs::remove_dir_all(copy).unwrap();
    }
    let stranger = Signer::new(ORIGIN, &Secret::new([99; 32])).unwrap().verifier().vkey();
    for (name, verify) in FOLDER_VERIFIERS {
        assert!(!verify(&home.log(), &[&stranger]).0, "{name} took another key's log");
        assert!(verify(&home.log(), &[&key]).0, "{name}");
    }
}

/// The same length and key, other entries: a growth of neither.
#[test]
fn go_refuses_a_log_that_is_no_growth_of_an_older_checkpoint() {
    let (home, other) = (Home::with(700), Home::with(300));
    let old = other.log().join("checkpoint");
    let (ok, text) = go(&home.log(), &[&vkey(&home), old.to_str().unwrap()]);
    assert!(!ok, "{text}");
}

#[test]
fn cosigned_checkpoints_are_taken_by_those_who_know_the_witness_and_by_those_who_do_not() {
    let home = Home::with(300);
    let path = home.log().join("checkpoint");
    let note = std::fs::read_to_string(&path).unwrap();
    let text = note.split_once("\n\n").unwrap().0.to_owned() + "\n";
    let [one, two] = [1, 2].map(|n| Cosigner::new(&format!("witness.example/{n}"), Secret::new([n; 32])).unwrap());
    std::fs::write(&path, note.clone() + &one.cosign(&text, 1_700_000_000) + &two.cosign(&text, 1_700_000_001))
        .unwrap();
    let (key, keys) = (vkey(&home), [one.key().vkey(), two.key().vkey()]);
    let (ok, words) = aics(&home.log(), &[&key, &keys[0], &keys[1]]);
    assert!(ok, "{words}");
    let (ok, words) = go(&home.log(), &[&key]);
    assert!(ok, "{words}");
    assert!(home.verify().is_ok());
    // A cosignature of another checkpoint, and none at all.
    std::fs::write(&path, note.clone() + &one.cosign("another\n", 1_700_000_000)).unwrap();
    assert!(!aics(&home.log(), &[&key, &keys[0]]).0);
    std::fs::write(&path, note).unwrap();
    assert!(!aics(&home.log(), &[&key, &keys[0]]).0);
}

#[test]
fn proof_files_and_consistency_proofs_are_taken_by_go_and_metamorphic_log() {
    let home = Home::with(300);
    let at = |name: &str| home.folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::copy(home.log().join("checkpoint"), at("old")).unwrap();
    let mut log = home.open();
    fill(&mut log, 400);
    let head = log.checkpoint().unwrap();
    let expected = format!("700 entries, root {}", hex(&head.root));
    std::fs::write(at("request"), log.to_witness(300).unwrap().body).unwrap();
    for index in [0, 511, 512, 699] {
        let proof = log.prove(index, None, Some(log.sealed(index).unwrap())).unwrap();
        std::fs::write(at("proof"), proof.encode()).unwrap();
        let (ok, text) = go(&home.log(), &[&vkey(&home), &at("old"), &at("proof")]);
        assert!(ok && text == expected, "Go, entry {index}: {text}");
        let (ok, text) = python("metamorphic.py", None, &[&vkey(&home), &at("proof"), &at("old"), &at("request")]);
        assert!(ok && text == expected, "metamorphic-log, entry {index}: {text}");
    }
    let good = log.prove(512, None, Some(log.sealed(512).unwrap())).unwrap();
    let mut wrong = [good.clone(), good.clone(), good.clone()];
    wrong[0].index = 513;
    wrong[1].path.reverse();
    wrong[2].extra = Some(log.sealed(511).unwrap());
    for (case, wrong) in wrong.iter().enumerate() {
        std::fs::write(at("proof"), wrong.encode()).unwrap();
        assert!(!go(&home.log(), &[&vkey(&home), &at("old"), &at("proof")]).0, "Go, case {case}");
        assert!(!python("metamorphic.py", None, &[&vkey(&home), &at("proof")]).0, "metamorphic-log, case {case}");
    }
    // A log that forked after the old checkpoint.
    std::fs::write(at("proof"), good.encode()).unwrap();
    std::fs::copy(Home::with(300).log().join("checkpoint"), at("old")).unwrap();
    let (ok, text) = python("metamorphic.py", None, &[&vkey(&home), &at("proof"), &at("old"), &at("request")]);
    assert!(!ok, "{text}");
    let stranger = Signer::new(ORIGIN, &Secret::new([99; 32])).unwrap().verifier().vkey();
    assert!(!python("metamorphic.py", None, &[&stranger, &at("proof")]).0);
}
