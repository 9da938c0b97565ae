//! The index: a cache in SQLite of where things are, made anew from the segments when it is lost or damaged. It holds
//! ids, places, states and keyed hashes; chunk lists are sealed; no path, name or word is in it.
//!
//! `synchronous=NORMAL` with a write-ahead log: a power cut may lose the last batches, which are then read from the
//! segments again, but never part of one (`OFF` could, unseen).

mod care;

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::time::Duration;

use raincoat_os::{FileLock, PrivateDir};
use raincoat_types::{ChunkId, FileContent, OpId, RunId, Ulid};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use crate::facts::{Damage, Facts, Loc, OpRow, OpState, RunRow, SegmentRow, SegmentState};
use crate::format::{Position, decode, encode};
use crate::paths::Paths;
use crate::{JournalError, JournalKeys};

const FILE: &str = "index.db";
const LOCK: &str = "index.lock";
const SCHEMA_VERSION: i64 = 3;
const SCHEMA: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE segments (num INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, at INTEGER NOT NULL, seq INTEGER NOT NULL,
    prev BLOB NOT NULL, state INTEGER NOT NULL, known INTEGER NOT NULL);
CREATE TABLE damage (seg INTEGER, at INTEGER, bytes INTEGER NOT NULL, what TEXT NOT NULL, PRIMARY KEY (seg, at))
    WITHOUT ROWID;
CREATE TABLE runs (id BLOB PRIMARY KEY, bseg INTEGER, bat INTEGER, eseg INTEGER, eat INTEGER) WITHOUT ROWID;
CREATE INDEX unended ON runs (id) WHERE eat IS NULL;
CREATE TABLE ops (run BLOB, seq INTEGER, iseg INTEGER, iat INTEGER, oseg INTEGER, oat INTEGER, state INTEGER NOT NULL,
    PRIMARY KEY (run, seq)) WITHOUT ROWID;
CREATE TABLE undoers (run BLOB, seq INTEGER, by_run BLOB, by_seq INTEGER, PRIMARY KEY (run, seq, by_run, by_seq))
    WITHOUT ROWID;
CREATE TABLE notes (run BLOB, n INTEGER, seg INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (run, n)) WITHOUT ROWID;
CREATE TABLE chunks (id BLOB PRIMARY KEY, seg INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE contents (name BLOB PRIMARY KEY, cell BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE pruned (run BLOB PRIMARY KEY, seg INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE dropped (id BLOB PRIMARY KEY, seg INTEGER NOT NULL, at INTEGER NOT NULL, gone INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE lost (run BLOB, seq INTEGER, PRIMARY KEY (run, seq)) WITHOUT ROWID;
CREATE TABLE places (path INTEGER, moves INTEGER, run BLOB, seq INTEGER, PRIMARY KEY (path, moves, run, seq))
    WITHOUT ROWID;
CREATE TABLE trails (path INTEGER, run BLOB, PRIMARY KEY (path, run)) WITHOUT ROWID;
CREATE TABLE inodes (inode INTEGER, run BLOB, seq INTEGER, PRIMARY KEY (inode, run, seq)) WITHOUT ROWID;
";
/// A checkpoint from a megabyte of log on (SQLite's own four are space that says nothing new), and what a large batch
/// has made of it is given back by the next that begins it anew.
const LOG_LIMITS: &str = "PRAGMA wal_autocheckpoint=256; PRAGMA journal_size_limit=1048576;";
const KEY_CHECK: &[u8] = b"raincoat journal index";

/// The open index.
pub(crate) struct Index {
    db: Connection,
    /// Segments by the number that rows name them with.
    names: HashMap<i64, Ulid>,
    /// It was there, and made with the same keys.
    ours: bool,
}

/// A segment as the index has it, with the largest offset that was ever indexed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) id: Ulid,
    pub(crate) row: SegmentRow,
    pub(crate) durable: u64,
}

type Sql<T> = rusqlite::Result<T>;

/// Held while an index is opened or made: SQLite does not wait for others where it changes the journal mode, and what is
/// made is not to be taken for damaged by somebody who comes meanwhile.
fn alone(dir: &PrivateDir) -> Result<FileLock, JournalError> {
    dir.lock(LOCK).map_err(JournalError::io("lock its index"))
}

impl Index {
    /// Opens the index, or makes a new one where it is missing, damaged, of another version or of another key.
    pub(crate) fn open(dir: &PrivateDir, keys: &JournalKeys) -> Result<Index, JournalError> {
        let _alone = alone(dir)?;
        match Index::try_open(dir, keys) {
            Ok(Some(index)) => Ok(index),
            Ok(None) => Index::make_anew(dir, keys),
            Err(JournalError::Index(error)) if is_damage(&error) => Index::make_anew(dir, keys),
            Err(error) => Err(error),
        }
    }

    /// Throws the files away and starts with an empty index.
    pub(crate) fn renew(dir: &PrivateDir, keys: &JournalKeys) -> Result<Index, JournalError> {
        let _alone = alone(dir)?;
        Index::make_anew(dir, keys)
    }

    fn make_anew(dir: &PrivateDir, keys: &JournalKeys) -> Result<Index, JournalError> {
        for name in [FILE, "index.db-wal", "index.db-shm"] {
            dir.remove(name).map_err(JournalError::io("remove a damaged index"))?;
        }
        Index::try_open(dir, keys)?
            .ok_or_else(|| JournalError::Index(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(11), None)))
    }

    fn try_open(dir: &PrivateDir, keys: &JournalKeys) -> Result<Option<Index>, JournalError> {
        match dir.create_append(FILE) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(JournalError::io("make its index")(error)),
        }
        // By way of the descriptor: the directory that was checked is the one used.
        let path = PathBuf::from(format!("/proc/self/fd/{}/{FILE}", dir.as_fd().as_raw_fd()));
        let db = Connection::open(path)?;
        db.busy_timeout(Duration::from_secs(10))?;
        db.set_prepared_statement_cache_capacity(64);
        // What is in the log stays there: a command that ends must not wait for a checkpoint.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        // A plan that does not depend on what is asked for is not made again for each question.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        db.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY;")?;
        db.execute_batch(LOG_LIMITS)?;
        let check = keys.cells.mac(KEY_CHECK);
        let version = |db: &Connection| db.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
        let ours = version(&db)? != 0;
        if !ours {
            let tx = rusqlite::Transaction::new_unchecked(&db, rusqlite::TransactionBehavior::Immediate)?;
            if version(&tx)? == 0 {
                tx.execute_batch(SCHEMA)?;
                tx.execute("INSERT INTO meta VALUES ('key', ?1)", [check])?;
                tx.execute_batch(&format!("PRAGMA user_version={SCHEMA_VERSION}"))?;
            }
            tx.commit()?;
        }
        if version(&db)? != SCHEMA_VERSION {
            return Ok(None);
        }
        let held: Option<[u8; 32]> =
            db.query_row("SELECT value FROM meta WHERE name='key'", [], |row| row.get(0)).optional()?;
        if held != Some(check) {
            return Ok(None);
        }
        let mut index = Index { db, names: HashMap::new(), ours };
        index.segments()?;
        Ok(Some(index))
    }

    /// Forgets everything but which segments there were and how long.
    pub(crate) fn clear(&mut self) -> Sql<()> {
        self.db.execute_batch(
            "BEGIN IMMEDIATE; DELETE FROM runs; DELETE FROM ops; DELETE FROM undoers; DELETE FROM notes;
            DELETE FROM chunks; DELETE FROM contents; DELETE FROM damage; DELETE FROM pruned; DELETE FROM dropped;
            DELETE FROM lost;
            DELETE FROM places; DELETE FROM trails; DELETE FROM inodes;
            UPDATE segments SET at=0, seq=0, prev=zeroblob(16), state=0; COMMIT;",
        )
    }

    /// All segments, oldest first.
    pub(crate) fn segments(&mut self) -> Sql<Vec<Known>> {
        let mut statement =
            self.db.prepare_cached("SELECT num, id, at, seq, prev, state, known FROM segments ORDER BY id")?;
        let mut rows = statement.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let id = Ulid::from_bytes(row.get(1)?);
            self.names.insert(row.get(0)?, id);
            let position = Position { offset: row.get(2)?, seq: row.get(3)?, prev: row.get(4)? };
            let state = match row.get::<_, i64>(5)? {
                0 => SegmentState::Open,
                1 => SegmentState::Clean,
                2 => SegmentState::Final,
                3 => SegmentState::Damaged,
                5 => SegmentState::Dropped,
                6 => SegmentState::PutAway,
                _ => SegmentState::Gone,
            };
            all.push(Known { id, row: SegmentRow { position, state }, durable: row.get(6)? });
        }
        Ok(all)
    }

    /// Takes a batch, all or nothing.
    pub(crate) fn write(&mut self, keys: &JournalKeys, facts: &Facts, paths: &Paths) -> Result<(), JournalError> {
        let Index { db, names, .. } = self;
        let tx = rusqlite::Transaction::new_unchecked(db, rusqlite::TransactionBehavior::Immediate)?;
        let mut nums = HashMap::new();
        write_segments(&tx, facts, names, &mut nums)?;
        let mut num = |id: Ulid| number(&tx, id, names, &mut nums);
        let mut place = |at: Option<Loc>| -> Sql<(Option<i64>, Option<u64>)> {
            at.map_or(Ok((None, None)), |at| Ok((Some(num(at.segment)?), Some(at.offset))))
        };
        {
            let mut put = tx.prepare_cached(
                "INSERT INTO runs VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET
                bseg=coalesce(excluded.bseg, bseg), bat=coalesce(excluded.bat, bat),
                eseg=coalesce(excluded.eseg, eseg), eat=coalesce(excluded.eat, eat)",
            )?;
            for (run, row) in &facts.runs {
                let ((bseg, bat), (eseg, eat)) = (place(row.begin)?, place(row.end)?);
                put.execute(params![run.0.to_bytes(), bseg, bat, eseg, eat])?;
            }
            let mut put = tx.prepare_cached(
                "INSERT INTO ops VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET
                iseg=coalesce(excluded.iseg, iseg), iat=coalesce(excluded.iat, iat),
                oseg=coalesce(excluded.oseg, oseg), oat=coalesce(excluded.oat, oat), state=max(excluded.state, state)",
            )?;
            for (op, row) in &facts.ops {
                let ((iseg, iat), (oseg, oat)) = (place(row.intent)?, place(row.outcome)?);
                put.execute(params![op.run.0.to_bytes(), op.seq, iseg, iat, oseg, oat, row.state as i64])?;
            }
            let mut put = tx.prepare_cached("INSERT OR IGNORE INTO undoers VALUES (?1, ?2, ?3, ?4)")?;
            for (op, undoers) in &facts.undoers {
                for by in undoers {
                    put.execute(params![op.run.0.to_bytes(), op.seq, by.run.0.to_bytes(), by.seq])?;
                }
            }
            let mut put = tx.prepare_cached("INSERT OR REPLACE INTO notes VALUES (?1, ?2, ?3, ?4)")?;
            for ((run, n), at) in &facts.notes {
                let (seg, at) = place(Some(*at))?;
                put.execute(params![run.0.to_bytes(), n, seg, at])?;
            }
            // The latest place counts: where two are known, the earlier may be about to go.
            let mut put = tx.prepare_cached(
                "INSERT INTO chunks VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET seg=excluded.seg, at=excluded.at",
            )?;
            for (id, at) in &facts.chunks {
                let (seg, at) = place(Some(*at))?;
                put.execute(params![id.0, seg, at])?;
            }
            let mut put = tx.prepare_cached("INSERT OR IGNORE INTO contents VALUES (?1, ?2)")?;
            for (name, content) in &facts.contents {
                put.execute(params![name, keys.cells.seal(name, &encode(content)?)?])?;
            }
            let mut put = tx.prepare_cached("INSERT OR IGNORE INTO places VALUES (?1, ?2, ?3, ?4)")?;
            for (path, ops) in &paths.places {
                for (op, moves) in ops {
                    put.execute(params![path, moves, op.run.0.to_bytes(), op.seq])?;
                }
            }
            let mut put = tx.prepare_cached("INSERT OR IGNORE INTO trails VALUES (?1, ?2)")?;
            for (path, run) in &paths.trails {
                put.execute(params![path, run.0.to_bytes()])?;
            }
            let mut put = tx.prepare_cached("INSERT OR IGNORE INTO inodes VALUES (?1, ?2, ?3)")?;
            for (inode, op) in &facts.inodes {
                put.execute(params![inode, op.run.0.to_bytes(), op.seq])?;
            }
            let mut put = tx.prepare_cached("INSERT OR IGNORE INTO damage VALUES (?1, ?2, ?3, ?4)")?;
            for damage in &facts.damage {
                let (seg, at) = place(Some(Loc { segment: damage.segment, offset: damage.offset }))?;
                put.execute(params![seg, at, damage.bytes, damage.what])?;
            }
        }
        care::apply(&tx, facts, names, &mut nums)?;
        tx.commit()?;
        Ok(())
    }

    /// Begins to read: until [`Index::let_go`], each question sees what the first one saw, and none takes the index's
    /// locks and gives them back. Whether it began; nothing may be written meanwhile.
    pub(crate) fn hold(&self) -> bool {
        self.db.is_autocommit() && self.db.prepare_cached("BEGIN").and_then(|mut begin| begin.execute([])).is_ok()
    }

    /// Ends what [`Index::hold`] began.
    pub(crate) fn let_go(&self) {
        // Nothing was written, so there is nothing that could be lost.
        let _ = self.db.prepare_cached("COMMIT").and_then(|mut end| end.execute([]));
    }

    /// Says that a segment which was there is not.
    pub(crate) fn set_gone(&mut self, id: Ulid) -> Sql<()> {
        self.db.execute("UPDATE segments SET state=4 WHERE id=?1", [id.to_bytes()])?;
        Ok(())
    }

    /// Runs from the newest on, older than `before`.
    pub(crate) fn runs(&self, before: Option<RunId>, limit: usize) -> Sql<Vec<(RunId, RunRow)>> {
        let below = before.map_or([0xff; 16], |run| run.0.to_bytes());
        let mut statement = self
            .db
            .prepare_cached("SELECT id, bseg, bat, eseg, eat FROM runs WHERE id < ?1 ORDER BY id DESC LIMIT ?2")?;
        let rows = statement.query_map(params![below, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
            Ok((RunId(Ulid::from_bytes(row.get(0)?)), self.run_row(row)?))
        })?;
        rows.collect()
    }

    /// Ids of runs from `least` to `most`, at most `limit`.
    pub(crate) fn run_ids(&self, least: RunId, most: RunId, limit: usize) -> Sql<Vec<RunId>> {
        let mut statement =
            self.db.prepare_cached("SELECT id FROM runs WHERE id >= ?1 AND id <= ?2 ORDER BY id LIMIT ?3")?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![least.0.to_bytes(), most.0.to_bytes(), limit], |row| {
            Ok(RunId(Ulid::from_bytes(row.get(0)?)))
        })?;
        rows.collect()
    }

    /// The operations about a path.
    pub(crate) fn places(&self, path: i64) -> Sql<Vec<OpId>> {
        self.ops_by("SELECT run, seq FROM places WHERE path=?1", path)
    }

    /// Those of them that moved something from there or to there.
    pub(crate) fn moves(&self, path: i64) -> Sql<Vec<OpId>> {
        self.ops_by("SELECT run, seq FROM places WHERE path=?1 AND moves=1", path)
    }

    /// The operations that changed an inode, or took a name of it away.
    pub(crate) fn inodes(&self, inode: i64) -> Sql<Vec<OpId>> {
        self.ops_by("SELECT run, seq FROM inodes WHERE inode=?1", inode)
    }

    fn ops_by(&self, sql: &str, name: i64) -> Sql<Vec<OpId>> {
        let mut statement = self.db.prepare_cached(sql)?;
        let rows = statement
            .query_map([name], |row| Ok(OpId { run: RunId(Ulid::from_bytes(row.get(0)?)), seq: row.get(1)? }))?;
        rows.collect()
    }

    /// The runs that changed anything below a folder.
    pub(crate) fn trails(&self, path: i64) -> Sql<Vec<RunId>> {
        let mut statement = self.db.prepare_cached("SELECT run FROM trails WHERE path=?1")?;
        let rows = statement.query_map([path], |row| Ok(RunId(Ulid::from_bytes(row.get(0)?))))?;
        rows.collect()
    }

    /// One run.
    pub(crate) fn run(&self, run: RunId) -> Sql<Option<RunRow>> {
        let mut statement = self.db.prepare_cached("SELECT id, bseg, bat, eseg, eat FROM runs WHERE id=?1")?;
        statement.query_row([run.0.to_bytes()], |row| self.run_row(row)).optional()
    }

    /// Runs without an end.
    pub(crate) fn unended(&self) -> Sql<Vec<(RunId, RunRow)>> {
        let mut statement =
            self.db.prepare_cached("SELECT id, bseg, bat, eseg, eat FROM runs INDEXED BY unended WHERE eat IS NULL")?;
        let rows = statement.query_map([], |row| Ok((RunId(Ulid::from_bytes(row.get(0)?)), self.run_row(row)?)))?;
        rows.collect()
    }

    /// Operations of a run with `from <= seq < to`, in order.
    pub(crate) fn ops(&self, run: RunId, from: u32, to: u32) -> Sql<Vec<(u32, OpRow)>> {
        let mut statement = self.db.prepare_cached(
            "SELECT seq, iseg, iat, oseg, oat, state FROM ops WHERE run=?1 AND seq>=?2 AND seq<?3 ORDER BY seq",
        )?;
        let rows = statement.query_map(params![run.0.to_bytes(), from, to], |row| {
            let state = match row.get::<_, i64>(5)? {
                0 => OpState::Pending,
                1 => OpState::NotDone,
                _ => OpState::Done,
            };
            let (intent, outcome) = (self.place(row.get(1)?, row.get(2)?), self.place(row.get(3)?, row.get(4)?));
            Ok((row.get(0)?, OpRow { intent, outcome, state }))
        })?;
        rows.collect()
    }

    /// The number of the run's last operation; 0 for none.
    pub(crate) fn last_op(&self, run: RunId) -> Sql<u32> {
        let mut statement = self.db.prepare_cached("SELECT coalesce(max(seq), 0) FROM ops WHERE run=?1")?;
        statement.query_row([run.0.to_bytes()], |row| row.get(0))
    }

    /// The run's operations that have no outcome.
    pub(crate) fn pending(&self, run: RunId) -> Sql<Vec<u32>> {
        let mut statement = self.db.prepare_cached("SELECT seq FROM ops WHERE run=?1 AND state=0 ORDER BY seq")?;
        let rows = statement.query_map([run.0.to_bytes()], |row| row.get(0))?;
        rows.collect()
    }

    /// The operations that were meant to take `op` back.
    pub(crate) fn undoers(&self, op: OpId) -> Sql<Vec<OpId>> {
        let mut statement = self.db.prepare_cached("SELECT by_run, by_seq FROM undoers WHERE run=?1 AND seq=?2")?;
        let rows = statement.query_map(params![op.run.0.to_bytes(), op.seq], |row| {
            Ok(OpId { run: RunId(Ulid::from_bytes(row.get(0)?)), seq: row.get(1)? })
        })?;
        rows.collect()
    }

    /// Whether anything was ever meant to take back an operation of this run.
    pub(crate) fn has_undoers(&self, run: RunId) -> Sql<bool> {
        let mut statement = self.db.prepare_cached("SELECT EXISTS (SELECT 1 FROM undoers WHERE run=?1)")?;
        statement.query_row([run.0.to_bytes()], |row| row.get(0))
    }

    /// The run's note records, in order.
    pub(crate) fn notes(&self, run: RunId) -> Sql<Vec<(u32, Loc)>> {
        let mut statement = self.db.prepare_cached("SELECT n, seg, at FROM notes WHERE run=?1 ORDER BY n")?;
        let rows =
            statement.query_map([run.0.to_bytes()], |row| Ok((row.get(0)?, self.place(row.get(1)?, row.get(2)?))))?;
        rows.filter_map(|row| row.map(|(n, at)| at.map(|at| (n, at))).transpose()).collect()
    }

    /// Where a chunk is.
    pub(crate) fn chunk(&self, id: &ChunkId) -> Sql<Option<Loc>> {
        let mut statement = self.db.prepare_cached("SELECT seg, at FROM chunks WHERE id=?1")?;
        let at = statement.query_row([id.0], |row| Ok(self.place(row.get(0)?, row.get(1)?))).optional()?;
        Ok(at.flatten())
    }

    /// A whole content by its blind name. A cell that does not open counts as missing.
    pub(crate) fn content(&self, keys: &JournalKeys, name: &[u8; 32]) -> Sql<Option<FileContent>> {
        let mut statement = self.db.prepare_cached("SELECT cell FROM contents WHERE name=?1")?;
        let cell: Option<Vec<u8>> = statement.query_row([name], |row| row.get(0)).optional()?;
        Ok(cell.and_then(|cell| keys.cells.open(name, &cell).ok()).and_then(|plain| decode(&plain)))
    }

    /// Places that could not be read.
    pub(crate) fn damage(&self) -> Sql<Vec<Damage>> {
        let mut statement = self.db.prepare_cached("SELECT seg, at, bytes, what FROM damage")?;
        let rows = statement.query_map([], |row| {
            let at = self.place(row.get(0)?, row.get(1)?);
            Ok(at.map(|at| (at, row.get(2), row.get(3))))
        })?;
        let mut all = Vec::new();
        for row in rows {
            if let Some((at, bytes, what)) = row? {
                all.push(Damage { segment: at.segment, offset: at.offset, bytes: bytes?, what: what? });
            }
        }
        Ok(all)
    }

    fn run_row(&self, row: &rusqlite::Row<'_>) -> Sql<RunRow> {
        Ok(RunRow { begin: self.place(row.get(1)?, row.get(2)?), end: self.place(row.get(3)?, row.get(4)?) })
    }

    /// A place by its segment's number. Another process may have named the segment since: then the number is looked
    /// up.
    fn place(&self, num: Option<i64>, offset: Option<u64>) -> Option<Loc> {
        let (num, offset) = (num?, offset?);
        let segment = self.names.get(&num).copied().or_else(|| {
            let mut statement = self.db.prepare_cached("SELECT id FROM segments WHERE num=?1").ok()?;
            statement.query_row([num], |row| row.get(0)).ok().map(Ulid::from_bytes)
        })?;
        Some(Loc { segment, offset })
    }
}

fn write_segments(
    db: &Connection,
    facts: &Facts,
    names: &mut HashMap<i64, Ulid>,
    nums: &mut HashMap<Ulid, i64>,
) -> Sql<()> {
    for (id, row) in &facts.segments {
        let num = number(db, *id, names, nums)?;
        let Position { offset, seq, prev } = row.position;
        // Another process may have come further.
        db.prepare_cached(
            "UPDATE segments SET at=?2, seq=?3, prev=?4, state=max(?5, CASE WHEN state>=2 THEN state ELSE 0 END),
            known=max(known, ?2) WHERE num=?1 AND at<=?2",
        )?
        .execute(params![num, offset, seq, prev, row.state as i64])?;
    }
    Ok(())
}

/// The number by which rows name a segment, given to it where it has none.
fn number(db: &Connection, id: Ulid, names: &mut HashMap<i64, Ulid>, nums: &mut HashMap<Ulid, i64>) -> Sql<i64> {
    if let Some(num) = nums.get(&id) {
        return Ok(*num);
    }
    let find = "SELECT num FROM segments WHERE id=?1";
    let mut statement = db.prepare_cached(find)?;
    let num = match statement.query_row([id.to_bytes()], |row| row.get(0)).optional()? {
        Some(num) => num,
        None => {
            db.execute("INSERT INTO segments VALUES (NULL, ?1, 0, 0, zeroblob(16), 0, 0)", [id.to_bytes()])?;
            db.last_insert_rowid()
        }
    };
    nums.insert(id, num);
    names.insert(num, id);
    Ok(num)
}

/// Whether the error says that the file is not what SQLite wrote.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        || matches!(
            error,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
        )
        || matches!(error, rusqlite::Error::SqliteFailure(_, Some(text)) if text.starts_with("no such"))
}
