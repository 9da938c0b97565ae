//! Local state: an SQLite file whose rows are sealed.
//!
//! One table, `sealed(kind, id, sealed)`. The kind is one of the program's own words and stands in clear; `id` is the
//! keyed hash of kind and id (a blind index: it finds a row and tells nothing); `sealed` holds id and value, bound to
//! kind and blind id, so that a row put in another's place does not open. What the file shows: how many rows of which
//! kind, how long, and when they change. What it cannot show by itself: that a row was taken away, or put back to what
//! it held before.
//!
//! Write-ahead log, synced at each commit; several processes may have it open.

mod error;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raincoat_os::PrivateDir;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use zeroize::Zeroize;

pub use error::StoreError;

use crate::{Keys, SealKey};

const NAME: &str = "store.db";
const LOCK: &str = "store.lock";
const FORMAT: i64 = 1;

/// "RCST" in SQLite's header, so that `file(1)` and we can tell whose database it is.
const APPLICATION_ID: i64 = 0x5243_5354;

/// How long to wait for another process.
const BUSY: Duration = Duration::from_secs(10);

const MAX_KIND: usize = 64;
const MAX_ID: usize = 4096;
const MAX_VALUE: usize = 64 << 20;

/// Rows of a kind: id and value.
pub type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// Local state, sealed.
pub struct Store {
    connection: Mutex<Connection>,
    sealer: Sealer,
}

/// A transaction: what is done with it is done altogether or not at all.
pub struct Tx<'a> {
    connection: &'a Connection,
    sealer: &'a Sealer,
}

struct Sealer {
    rows: SealKey,
    index: SealKey,
}

impl Store {
    /// Opens the store in this directory, making it where it is missing (mode 0600).
    ///
    /// # Errors
    /// [`StoreError::Newer`], [`StoreError::Damaged`], [`StoreError::Busy`], [`StoreError::DiskFull`], or the
    /// system's error. That other keys sealed it shows when a row is read.
    pub fn open(dir: &PrivateDir, keys: &Keys) -> Result<Store, StoreError> {
        // Made here for its mode, which SQLite gives its log too. Not opened where it exists: closing it again would
        // give up the locks of every connection that this process has (POSIX locks).
        match dir.create_append(NAME) {
            Ok(_) => dir.sync()?,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
        let connection = connect(&dir.path()?.join(NAME))?;
        if format(&connection)? == 0 {
            let _lock = dir.lock(LOCK)?;
            set_up(&connection)?;
        }
        let found = format(&connection)?;
        if found != FORMAT {
            return Err(StoreError::Newer(found));
        }
        let sealer = Sealer { rows: keys.store().clone(), index: keys.index().clone() };
        Ok(Store { connection: Mutex::new(connection), sealer })
    }

    /// Stores a value under a kind (1 to 64 bytes) and id (1 to 4096 bytes), in the place of what is there. The value
    /// has at most 64 MiB. Durable when this returns.
    ///
    /// # Errors
    /// [`StoreError::Limit`], [`StoreError::Busy`], [`StoreError::DiskFull`] or [`StoreError::Database`]; the store
    /// is as it was then.
    pub fn put(&self, kind: &str, id: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.tx(&self.lock()).put(kind, id, value)
    }

    /// The value under a kind and id; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError::Tampered`], [`StoreError::Busy`] or [`StoreError::Database`].
    pub fn get(&self, kind: &str, id: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.tx(&self.lock()).get(kind, id)
    }

    /// All rows of a kind, by id.
    ///
    /// # Errors
    /// As [`Store::get`]: one row that does not open fails the whole.
    pub fn list(&self, kind: &str) -> Result<Rows, StoreError> {
        self.tx(&self.lock()).list(kind)
    }

    /// Takes a row away, its bytes overwritten; whether there was one. Durable when this returns.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub fn delete(&self, kind: &str, id: &[u8]) -> Result<bool, StoreError> {
        self.tx(&self.lock()).delete(kind, id)
    }

    /// Does several things at once: all of them, durably, where `body` returns `Ok`, else none. Nobody else writes
    /// meanwhile. Within `body` only the transaction may be used: the store itself waits for it to end.
    ///
    /// # Errors
    /// What `body` returns; [`StoreError::Busy`], [`StoreError::DiskFull`] or [`StoreError::Database`].
    pub fn transaction<T, E: From<StoreError>>(&self, body: impl FnOnce(&Tx<'_>) -> Result<T, E>) -> Result<T, E> {
        let connection = self.lock();
        connection.execute_batch("BEGIN IMMEDIATE").map_err(StoreError::from)?;
        let open = Open(&connection);
        let done = body(&self.tx(&connection))?;
        connection.execute_batch("COMMIT").map_err(StoreError::from)?;
        std::mem::forget(open);
        Ok(done)
    }

    fn tx<'a>(&'a self, connection: &'a Connection) -> Tx<'a> {
        Tx { connection, sealer: &self.sealer }
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic in a transaction's body has rolled it back: the connection is sound.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tx<'_> {
    /// As [`Store::put`], durable with the transaction.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub fn put(&self, kind: &str, id: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let (blind, sealed) = self.sealer.seal(kind, id, value)?;
        self.connection
            .prepare_cached(
                "INSERT INTO sealed (kind, id, sealed) VALUES (?1, ?2, ?3)
                 ON CONFLICT (kind, id) DO UPDATE SET sealed = excluded.sealed",
            )?
            .execute(params![kind, blind, sealed])?;
        Ok(())
    }

    /// As [`Store::get`].
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn get(&self, kind: &str, id: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let blind = self.sealer.blind(kind, id)?;
        let sealed: Option<Vec<u8>> = self
            .connection
            .prepare_cached("SELECT sealed FROM sealed WHERE kind = ?1 AND id = ?2")?
            .query_row(params![kind, blind], |row| row.get(0))
            .optional()?;
        sealed.map(|sealed| Ok(self.sealer.open(kind, &blind, &sealed)?.1)).transpose()
    }

    /// As [`Store::list`].
    ///
    /// # Errors
    /// As [`Store::list`].
    pub fn list(&self, kind: &str) -> Result<Rows, StoreError> {
        let mut rows = Vec::new();
        let mut select = self.connection.prepare_cached("SELECT id, sealed FROM sealed WHERE kind = ?1")?;
        let mut found = select.query(params![kind])?;
        while let Some(row) = found.next()? {
            let blind: Vec<u8> = row.get(0)?;
            let sealed: Vec<u8> = row.get(1)?;
            rows.push(self.sealer.open(kind, &blind, &sealed)?);
        }
        rows.sort();
        Ok(rows)
    }

    /// As [`Store::delete`], durable with the transaction.
    ///
    /// # Errors
    /// As [`Store::delete`].
    pub fn delete(&self, kind: &str, id: &[u8]) -> Result<bool, StoreError> {
        let blind = self.sealer.blind(kind, id)?;
        let deleted = self
            .connection
            .prepare_cached("DELETE FROM sealed WHERE kind = ?1 AND id = ?2")?
            .execute(params![kind, blind])?;
        Ok(deleted > 0)
    }
}

/// A transaction that has begun; given up when dropped, by a panic too.
struct Open<'a>(&'a Connection);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        // Fails only where SQLite has rolled back by itself already (a full disk).
        let _ = self.0.execute_batch("ROLLBACK");
    }
}

impl Sealer {
    fn seal(&self, kind: &str, id: &[u8], value: &[u8]) -> Result<([u8; 32], Vec<u8>), StoreError> {
        if value.len() > MAX_VALUE {
            return Err(StoreError::Limit("a value for the store is over 64 MiB: store less at once"));
        }
        let blind = self.blind(kind, id)?;
        let mut plain = Vec::with_capacity(2 + id.len() + value.len());
        plain.extend_from_slice(&(id.len() as u16).to_le_bytes());
        plain.extend_from_slice(id);
        plain.extend_from_slice(value);
        let sealed = self.rows.seal(&context(kind, &blind), &plain);
        plain.zeroize();
        Ok((blind, sealed?))
    }

    /// Id and value of a row.
    fn open(&self, kind: &str, blind: &[u8], sealed: &[u8]) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
        let tampered = || StoreError::Tampered(kind.to_owned());
        let mut plain = self.rows.open(&context(kind, blind), sealed).map_err(|_| tampered())?;
        let (len, rest) = plain.split_first_chunk().ok_or_else(tampered)?;
        let (id, value) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len))).ok_or_else(tampered)?;
        let row = (id.to_vec(), value.to_vec());
        plain.zeroize();
        Ok(row)
    }

    /// What a row is found by.
    fn blind(&self, kind: &str, id: &[u8]) -> Result<[u8; 32], StoreError> {
        if kind.is_empty() || kind.len() > MAX_KIND {
            return Err(StoreError::Limit("a kind in the store has 1 to 64 bytes"));
        }
        if id.is_empty() || id.len() > MAX_ID {
            return Err(StoreError::Limit("an id in the store has 1 to 4096 bytes: choose a shorter name"));
        }
        let mut input = Vec::with_capacity(1 + kind.len() + id.len());
        input.push(kind.len() as u8);
        input.extend_from_slice(kind.as_bytes());
        input.extend_from_slice(id);
        Ok(self.index.mac(&input))
    }
}

/// What a row's bytes are bound to.
fn context(kind: &str, blind: &[u8]) -> Vec<u8> {
    let mut context = b"raincoat store v1\0".to_vec();
    context.extend_from_slice(kind.as_bytes());
    context.push(0);
    context.extend_from_slice(blind);
    context
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    // `secure_delete` overwrites what is deleted; temporary tables never go to a disk.
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY;
         PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;",
    )?;
    Ok(connection)
}

fn format(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// Makes the table, once. The caller holds the lock: SQLite does not wait for others where it changes the journal mode.
fn set_up(connection: &Connection) -> Result<(), StoreError> {
    if format(connection)? != 0 {
        return Ok(());
    }
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE;
         CREATE TABLE IF NOT EXISTS sealed (
             kind TEXT NOT NULL, id BLOB NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (kind, id)
         ) STRICT;
         PRAGMA application_id = {APPLICATION_ID};
         PRAGMA user_version = {FORMAT};
         COMMIT;"
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use raincoat_os::SystemClock;

    use super::*;
    use crate::Unlock;

    #[test]
    fn a_full_disk_is_said_so_and_the_store_goes_on_as_it_was() {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open(home.path()).unwrap();
        let keys = Keys::create(&dir, &Unlock::KeyFile, &SystemClock).unwrap();
        let store = Store::open(&dir, &keys).unwrap();
        store.put("k", b"a", b"old").unwrap();
        store.lock().query_row("PRAGMA max_page_count = 1", [], |_| Ok(())).unwrap();
        assert!(matches!(store.put("k", b"a", &[0; 100_000]), Err(StoreError::DiskFull)));
        let full: Result<(), StoreError> = store.transaction(|tx| {
            tx.put("k", b"b", b"small")?;
            tx.put("k", b"a", &[0; 100_000])
        });
        assert!(matches!(full, Err(StoreError::DiskFull)));
        assert_eq!(store.list("k").unwrap(), [(b"a".to_vec(), b"old".to_vec())]);
        store.put("k", b"b", b"fits").unwrap();
    }

    #[test]
    fn deleted_bytes_are_overwritten_and_commits_synced() {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open(home.path()).unwrap();
        let keys = Keys::create(&dir, &Unlock::KeyFile, &SystemClock).unwrap();
        let store = Store::open(&dir, &keys).unwrap();
        let pragma = |name: &str| -> String {
            let value: rusqlite::types::Value =
                store.lock().query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).unwrap();
            format!("{value:?}")
        };
        assert_eq!(pragma("secure_delete"), "Integer(1)");
        assert_eq!(pragma("synchronous"), "Integer(2)");
        assert_eq!(pragma("journal_mode"), "Text(\"wal\")");
    }
}
