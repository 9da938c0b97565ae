//! The store from outside: what lies on the disk, and what happens to who meddles with it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use raincoat_os::{PrivateDir, SystemClock};
use raincoat_seal::{Keys, Store, StoreError, Unlock};
use rusqlite::{Connection, params};

const PLANTED: &[&str] = &["sk-planted-4f1d9a", "planted-id-77c1", "planted-value-that-was-deleted-90ab"];

fn home() -> (tempfile::TempDir, PrivateDir, Keys) {
    let home = tempfile::tempdir().unwrap();
    let dir = PrivateDir::open(home.path()).unwrap();
    let keys = Keys::create(&dir, &Unlock::KeyFile, &SystemClock).unwrap();
    (home, dir, keys)
}

fn raw(home: &Path) -> Connection {
    Connection::open(home.join("store.db")).unwrap()
}

/// Every file of the directory, whole.
fn grep(home: &Path, needles: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(home).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for needle in needles {
            if bytes.windows(needle.len()).any(|window| window == needle.as_bytes()) {
                found.push(format!("{needle} in {}", path.display()));
            }
        }
    }
    found
}

#[test]
fn what_is_put_is_got_listed_replaced_and_deleted() {
    let (_home, dir, keys) = home();
    let store = Store::open(&dir, &keys).unwrap();
    assert_eq!(store.get("grant", b"a").unwrap(), None);
    store.put("grant", b"b", b"two").unwrap();
    store.put("grant", b"a", b"one").unwrap();
    store.put("run", b"a", b"").unwrap();
    store.put("grant", b"a", b"uno").unwrap();
    assert_eq!(store.get("grant", b"a").unwrap().unwrap(), b"uno");
    let rows = store.list("grant").unwrap();
    assert_eq!(rows, [(b"a".to_vec(), b"uno".to_vec()), (b"b".to_vec(), b"two".to_vec())]);
    assert!(store.delete("grant", b"a").unwrap());
    assert!(!store.delete("grant", b"a").unwrap());
    drop(store);
    let store = Store::open(&dir, &keys).unwrap();
    assert_eq!(store.list("grant").unwrap().len(), 1);
    assert_eq!(store.get("run", b"a").unwrap().unwrap(), b"");
    assert!(matches!(store.put("", b"a", b""), Err(StoreError::Limit(_))));
    assert!(matches!(store.put("k", b"", b""), Err(StoreError::Limit(_))));
    assert!(matches!(store.put("k", &[0; 4097], b""), Err(StoreError::Limit(_))));
    assert!(matches!(store.get(&"k".repeat(65), b"a"), Err(StoreError::Limit(_))));
}

// E1, DESIGN 6: nothing of ours lies in clear on the disk.
#[test]
fn no_file_shows_what_was_written_or_deleted() {
    let (home, dir, keys) = home();
    let store = Store::open(&dir, &keys).unwrap();
    let [secret, id, deleted] = PLANTED else { panic!() };
    for round in 0..50 {
        store.put("credential", format!("{id}-{round}").as_bytes(), secret.repeat(40).as_bytes()).unwrap();
        store.put("credential", b"gone", deleted.repeat(round).as_bytes()).unwrap();
        store.delete("credential", b"gone").unwrap();
    }
    let _: Result<(), StoreError> = store.transaction(|tx| {
        tx.put("credential", b"never", secret.as_bytes())?;
        Err(StoreError::Busy)
    });
    assert!(home.path().join("store.db-wal").exists(), "the log is looked into as well");
    assert_eq!(grep(home.path(), PLANTED), Vec::<String>::new());
    // The search finds what is there: the kind stands in clear.
    assert!(!grep(home.path(), &["credential"]).is_empty());
    drop(store);
    assert_eq!(grep(home.path(), PLANTED), Vec::<String>::new());
}

#[test]
fn every_file_is_for_its_owner_only() {
    let (home, dir, keys) = home();
    let store = Store::open(&dir, &keys).unwrap();
    store.put("k", b"i", b"v").unwrap();
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(home.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
        seen.push(entry.file_name().into_string().unwrap());
    }
    for name in ["keys.bin", "keys.delay", "keys.lock", "store.db", "store.db-shm", "store.db-wal", "store.lock"] {
        assert!(seen.iter().any(|seen| seen == name), "{name} among {seen:?}");
    }
    assert!(seen.iter().any(|seen| seen.starts_with("key-")));
}

#[test]
fn rows_whose_blobs_are_swapped_moved_or_changed_do_not_open() {
    let (home, dir, keys) = home();
    let store = Store::open(&dir, &keys).unwrap();
    store.put("grant", b"a", b"read only").unwrap();
    store.put("grant", b"b", b"all of it").unwrap();
    store.put("run", b"c", b"a run").unwrap();
    let raw = raw(home.path());
    let rows: Vec<(i64, String, Vec<u8>)> = raw
        .prepare("SELECT rowid, kind, sealed FROM sealed ORDER BY rowid")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let put = |rowid: i64, sealed: &[u8]| {
        raw.execute("UPDATE sealed SET sealed = ?2 WHERE rowid = ?1", params![rowid, sealed]).unwrap();
    };
    let tampered = |id: &[u8]| {
        assert!(matches!(store.get("grant", id), Err(StoreError::Tampered(kind)) if kind == "grant"));
        assert!(matches!(store.list("grant"), Err(StoreError::Tampered(_))));
    };
    // Two rows of one kind change places; so do two of different kinds.
    put(rows[0].0, &rows[1].2);
    put(rows[1].0, &rows[0].2);
    tampered(b"a");
    tampered(b"b");
    put(rows[1].0, &rows[1].2);
    put(rows[0].0, &rows[2].2);
    tampered(b"a");
    // A bit flips anywhere; the end is cut off.
    for at in 0..rows[0].2.len() {
        let mut sealed = rows[0].2.clone();
        sealed[at] ^= 0x10;
        put(rows[0].0, &sealed);
        assert!(matches!(store.get("grant", b"a"), Err(StoreError::Tampered(_))), "{at}");
        put(rows[0].0, &rows[0].2[..at]);
        assert!(matches!(store.get("grant", b"a"), Err(StoreError::Tampered(_))), "{at}");
    }
    put(rows[0].0, &rows[0].2);
    assert_eq!(store.get("grant", b"a").unwrap().unwrap(), b"read only");
    // A whole row under another kind's name.
    raw.execute("UPDATE sealed SET kind = 'grant' WHERE kind = 'run'", []).unwrap();
    assert!(matches!(store.list("grant"), Err(StoreError::Tampered(_))));
    // A row under another row's blind id.
    raw.execute("DELETE FROM sealed WHERE rowid = ?1", params![rows[2].0]).unwrap();
    raw.execute("UPDATE sealed SET id = zeroblob(32) WHERE rowid = ?1", params![rows[0].0]).unwrap();
    assert_eq!(store.get("grant", b"a").unwrap(), None);
    assert!(matches!(store.list("grant"), Err(StoreError::Tampered(_))));
}

#[test]
fn other_keys_find_nothing_and_open_nothing() {
    let (_home, dir, keys) = home();
    let (_other_home, _, other) = home();
    Store::open(&dir, &keys).unwrap().put("grant", b"a", b"one").unwrap();
    let store = Store::open(&dir, &other).unwrap();
    assert_eq!(store.get("grant", b"a").unwrap(), None);
    assert!(matches!(store.list("grant"), Err(StoreError::Tampered(_))));
}

#[test]
fn a_transaction_is_all_or_nothing_by_error_and_by_panic() {
    let (_home, dir, keys) = home();
    let store = Store::open(&dir, &keys).unwrap();
    let done: Result<u32, StoreError> = store.transaction(|tx| {
        tx.put("k", b"1", b"one")?;
        assert_eq!(tx.get("k", b"1")?.unwrap(), b"one");
        tx.put("k", b"2", b"two")?;
        Ok(7)
    });
    assert_eq!(done.unwrap(), 7);
    let failed: Result<(), StoreError> = store.transaction(|tx| {
        tx.put("k", b"3", b"three")?;
        tx.delete("k", b"1")?;
        Err(StoreError::Limit("no"))
    });
    assert!(failed.is_err());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.transaction(|tx| -> Result<(), StoreError> {
            tx.delete("k", b"2")?;
            panic!("in the middle")
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(store.list("k").unwrap().len(), 2);
    store.put("k", b"4", b"four").unwrap();
    assert_eq!(Store::open(&dir, &keys).unwrap().list("k").unwrap().len(), 3);
}

#[test]
fn several_writers_lose_nothing_to_each_other() {
    let (_home, dir, keys) = home();
    std::thread::scope(|scope| {
        for writer in 0..4_u8 {
            let (dir, keys) = (&dir, &keys);
            scope.spawn(move || {
                // Each with its own connection, as other processes have; all make the store at once.
                let store = Store::open(dir, keys).unwrap();
                for n in 0..25_u8 {
                    store.put("row", &[writer, n], b"x").unwrap();
                    let counted: Result<(), StoreError> = store.transaction(|tx| {
                        let count = tx.get("count", b"all")?.map_or(0, |c| u64::from_le_bytes(c.try_into().unwrap()));
                        tx.put("count", b"all", &(count + 1).to_le_bytes())
                    });
                    counted.unwrap();
                }
            });
        }
    });
    let store = Store::open(&dir, &keys).unwrap();
    assert_eq!(store.list("row").unwrap().len(), 100);
    assert_eq!(store.get("count", b"all").unwrap().unwrap(), 100_u64.to_le_bytes());
}

#[test]
fn a_later_format_and_a_damaged_file_are_said_so() {
    let (home, dir, keys) = home();
    drop(Store::open(&dir, &keys).unwrap());
    raw(home.path()).execute_batch("PRAGMA user_version = 2").unwrap();
    assert!(matches!(Store::open(&dir, &keys), Err(StoreError::Newer(2))));
    for name in ["store.db-wal", "store.db-shm"] {
        let _ = std::fs::remove_file(home.path().join(name));
    }
    std::fs::write(home.path().join("store.db"), [0x5a; 8192]).unwrap();
    assert!(matches!(Store::open(&dir, &keys), Err(StoreError::Damaged(_))));
}

#[test]
fn a_store_that_is_a_link_to_elsewhere_is_not_opened() {
    let (home, dir, keys) = home();
    let (other, other_dir, _) = self::home();
    drop(Store::open(&other_dir, &keys).unwrap());
    std::os::unix::fs::symlink(other.path().join("store.db"), home.path().join("store.db")).unwrap();
    assert!(Store::open(&dir, &keys).is_err());
}

#[test]
fn a_store_opens_and_answers_in_under_three_milliseconds() {
    let (_home, dir, keys) = home();
    let store = Store::open(&dir, &keys).unwrap();
    for n in 0..200_u32 {
        store.put("k", &n.to_le_bytes(), &[7; 300]).unwrap();
    }
    drop(store);
    let best = (0..20)
        .map(|_| {
            let start = Instant::now();
            let store = Store::open(&dir, &keys).unwrap();
            assert!(store.get("k", &5_u32.to_le_bytes()).unwrap().is_some());
            start.elapsed()
        })
        .min()
        .unwrap();
    assert!(best < Duration::from_millis(3), "{best:?}");
}
