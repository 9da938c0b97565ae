//! What is found on the raw disk of a key that was destroyed: of one in a slot nothing, of one in a database a good deal.
//! On an ext4 on a loop device, as root.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use common::{copy_tree, fill, notice, open_at};
use raincoat_audit::{About, Subject};
use raincoat_os::SystemClock;
use raincoat_types::{Actor, RunId, Ulid};

/// Puts keys into a database, and deletes the one that is given.
const DATABASE: &str = "
import sqlite3, sys
key = bytes.fromhex(sys.argv[2])
database = sqlite3.connect(sys.argv[1])
database.execute('PRAGMA journal_mode = WAL')
database.execute('CREATE TABLE keys (id INTEGER PRIMARY KEY, key BLOB)')
for n in range(200):
    database.execute('INSERT INTO keys VALUES (?, ?)', (n, bytes(b ^ n for b in key)))
database.commit()
database.execute('DELETE FROM keys WHERE id = 0')
database.commit()
database.execute('PRAGMA wal_checkpoint(TRUNCATE)')
";

/// An ext4 in a file, mounted.
struct Disk {
    image: PathBuf,
    at: PathBuf,
}

fn system(program: &str, arguments: &[&str]) {
    let out = Command::new(program).args(arguments).output();
    let out = out.unwrap_or_else(|e| panic!("`{program}` is missing ({e}): install util-linux, e2fsprogs and python3"));
    assert!(out.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
}

impl Disk {
    fn new(dir: &Path) -> Disk {
        let (image, at) = (dir.join("disk.img"), dir.join("mnt"));
        std::fs::create_dir(&at).unwrap();
        std::fs::File::create(&image).unwrap().set_len(96 << 20).unwrap();
        system("mkfs.ext4", &["-q", "-F", image.to_str().unwrap()]);
        system("mount", &["-o", "loop", image.to_str().unwrap(), at.to_str().unwrap()]);
        Disk { image, at }
    }

    /// How often these bytes stand anywhere on the disk.
    fn count(&self, bytes: &[u8]) -> usize {
        system("sync", &["-f", self.at.to_str().unwrap()]);
        let all = std::fs::read(&self.image).unwrap();
        let first = bytes[0];
        let starts = all.iter().enumerate().filter(|(_, byte)| **byte == first);
        starts.filter(|(at, _)| all[*at..].starts_with(bytes)).count()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

#[test]
fn an_erased_key_is_nowhere_on_the_raw_disk_and_one_deleted_from_a_database_is() {
    if !is_root() {
        eprintln!("not root: no loop device here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::new(dir.path());
    let home = disk.at.join("home");
    std::fs::create_dir(&home).unwrap();
    let clock = Arc::new(SystemClock);
    let run = |n| RunId(Ulid::from_parts(9, n));
    let mut log = open_at(&home, 7, clock.clone()).unwrap();
    for n in 0..40 {
        log.append(&About::run(run(n), Actor::Person), &[notice("in a run")]).unwrap();
    }
    let slots = log.plan_erasure(&Subject::Run(run(20))).unwrap().slots;
    // The ordinary operations of the program: other runs, new live files, publishing, opening anew.
    fill(&mut log, 600);
    log.close().unwrap();
    let mut log = open_at(&home, 7, clock).unwrap();
    fill(&mut log, 300);
    log.checkpoint().unwrap();
    let file = std::fs::read(home.join("log/subjects")).unwrap();
    let at = 512 + 128 * slots[0] as usize;
    // The wrapped key: all that is sealed in the slot.
    let wrapped = file[at + 16..at + 128].to_vec();
    assert_eq!(disk.count(&wrapped), 1, "once before");
    log.erase(&Subject::Run(run(20))).unwrap();
    fill(&mut log, 300);
    log.close().unwrap();
    assert_eq!(disk.count(&wrapped), 0, "never after");
    // As a file that was copied to another place would not be: that is the owner's to see to, and the docs say so.
    copy_tree(&home.join("log"), &disk.at.join("copy"));
    assert_eq!(disk.count(&wrapped), 0);

    // The same bytes as a row among others of a database, deleted and folded in as usual.
    let hex: String = wrapped.iter().map(|byte| format!("{byte:02x}")).collect();
    let database = disk.at.join("keys.db");
    system("python3", &["-c", DATABASE, database.to_str().unwrap(), &hex]);
    assert!(disk.count(&wrapped) > 0, "a key deleted from a database is still found");
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
}
