//! What the tests share: a log in a scratch folder, and ways to look into it.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test uses a part of it")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use raincoat_audit::{
    About, Audit, AuditError, AuditKeys, AuditReader, Entry, Event, KnownHead, Memories, VerifyReport,
};
use raincoat_os::PrivateDir;
use raincoat_seal::SealKey;
use raincoat_types::{Clock, Secret, Timestamp};

pub const ORIGIN: &str = "raincoat.local/test";

/// A clock that a test moves.
#[derive(Debug, Default)]
pub struct TestClock(pub AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp { secs: self.0.fetch_add(1, Ordering::SeqCst), nanos: 0 }
    }
}

pub struct Home {
    pub folder: tempfile::TempDir,
    pub clock: Arc<TestClock>,
    pub seed: u8,
}

impl Home {
    pub fn new() -> Home {
        Home { folder: tempfile::tempdir().unwrap(), clock: Arc::new(TestClock(AtomicI64::new(1_000_000))), seed: 7 }
    }

    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    pub fn apart(&self) -> PathBuf {
        self.folder.path().join("apart")
    }

    pub fn try_open(&self) -> Result<Audit, AuditError> {
        open_at(self.folder.path(), self.seed, self.clock.clone())
    }

    pub fn open(&self) -> Audit {
        self.try_open().unwrap()
    }

    pub fn reader(&self) -> AuditReader {
        let dir = PrivateDir::open_or_create(&self.log()).unwrap();
        let apart = PrivateDir::open_or_create(&self.apart()).unwrap();
        AuditReader::open(dir, apart, keys(self.seed), ORIGIN).unwrap()
    }

    /// A reader that also asks somebody who knows a head.
    pub fn reader_with(&self, known: KnownHead) -> AuditReader {
        let dir = PrivateDir::open_or_create(&self.log()).unwrap();
        let apart = PrivateDir::open_or_create(&self.apart()).unwrap();
        let memories = Memories { known: vec![known], ..Memories::default() };
        AuditReader::open_with(dir, apart, keys(self.seed), ORIGIN, memories).unwrap()
    }

    pub fn verify(&self) -> VerifyReport {
        self.reader().verify()
    }

    /// A log of so many entries, published and closed.
    pub fn with(entries: u64) -> Home {
        let home = Home::new();
        let mut log = home.open();
        fill(&mut log, entries);
        log.close().unwrap();
        home
    }
}

pub fn open_at(home: &Path, seed: u8, clock: Arc<dyn Clock>) -> Result<Audit, AuditError> {
    let dir = PrivateDir::open_or_create(&home.join("log")).unwrap();
    let apart = PrivateDir::open_or_create(&home.join("apart")).unwrap();
    Audit::open(dir, apart, keys(seed), ORIGIN, clock)
}

pub fn keys(seed: u8) -> AuditKeys {
    AuditKeys { payload: SealKey::from_bytes([seed; 32]), signing_seed: Secret::new([seed; 32]) }
}

pub fn notice(text: impl Into<String>) -> Event {
    Event::Notice { text: text.into() }
}

pub fn fill(log: &mut Audit, entries: u64) {
    let events: Vec<Event> = (0..entries).map(|n| notice(format!("event {n}"))).collect();
    for batch in events.chunks(50) {
        log.append(&About::NOTHING, batch).unwrap();
    }
}

pub fn all(reader: &AuditReader) -> Vec<(u64, Entry)> {
    reader.entries(..).unwrap().collect::<Result<_, _>>().unwrap()
}

pub fn texts(reader: &AuditReader) -> Vec<String> {
    all(reader).into_iter().map(|(_, entry)| entry.event.one_line()).collect()
}

pub fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { out.extend(files(&path)) } else { out.push(path) }
    }
    out.sort();
    out
}
