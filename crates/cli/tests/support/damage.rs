//! What raincoat keeps, found and damaged by somebody who knows no key.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: not every file uses everything"
)]

use std::fs;
use std::path::{Path, PathBuf};

use crate::whole::Home;

pub const DATA: &str = ".local/share/raincoat";
pub const STATE: &str = ".local/state/raincoat";
pub const SEGMENTS: &str = ".local/share/raincoat/journal/segments";

pub fn segments(home: &Home) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(home.path(SEGMENTS))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "seg"))
        .collect();
    all.sort();
    all
}

pub fn drop_index(home: &Home) {
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        let _ = fs::remove_file(home.path(DATA).join("journal").join(name));
    }
}

pub fn patch(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Where the records of a segment start, by their lengths, and where the last ends.
pub fn records(path: &Path) -> Vec<usize> {
    let bytes = fs::read(path).unwrap();
    let (mut at, mut all) = (256, vec![256]);
    while let Some(len) = bytes.get(at..at + 4).map(|len| u32::from_le_bytes(len.try_into().unwrap()))
        && len != 0
    {
        at = (at + 48 + len as usize).next_multiple_of(8);
        all.push(at);
    }
    all
}
