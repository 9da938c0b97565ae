//! What the index knows of things that were taken out of the store.

use std::collections::{BTreeSet, HashMap};

use raincoat_types::{OpId, RunId, Ulid};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Index, Sql, number};
use crate::facts::{Facts, Loc};

/// What names a run, in each table that has rows of runs.
const OF_A_RUN: [&str; 4] = [
    "DELETE FROM runs WHERE id=?1",
    "DELETE FROM ops WHERE run=?1",
    "DELETE FROM undoers WHERE run=?1",
    "DELETE FROM notes WHERE run=?1",
];

/// What named a segment that is dropped and was not found to stand elsewhere.
const IN_DROPPED: &str = "
UPDATE ops SET oseg=NULL, oat=NULL, state=0 WHERE oseg IN (SELECT num FROM segments WHERE state IN (5, 6));
DELETE FROM ops WHERE iseg IN (SELECT num FROM segments WHERE state IN (5, 6));
DELETE FROM notes WHERE seg IN (SELECT num FROM segments WHERE state IN (5, 6));
DELETE FROM chunks WHERE seg IN (SELECT num FROM segments WHERE state IN (5, 6));
DELETE FROM damage WHERE seg IN (SELECT num FROM segments WHERE state IN (5, 6));
UPDATE runs SET eseg=NULL, eat=NULL WHERE eseg IN (SELECT num FROM segments WHERE state IN (5, 6));
DELETE FROM runs WHERE bseg IN (SELECT num FROM segments WHERE state IN (5, 6));
";

/// Names of paths and inodes, which are found by themselves and not by run: all at once.
const PATHS_OF_PRUNED: &str = "
DELETE FROM places WHERE run IN (SELECT run FROM pruned);
DELETE FROM trails WHERE run IN (SELECT run FROM pruned);
DELETE FROM inodes WHERE run IN (SELECT run FROM pruned);
";

/// Applies what records say was taken out, after everything else of the same batch.
pub(super) fn apply(
    db: &Connection,
    facts: &Facts,
    names: &mut HashMap<i64, Ulid>,
    nums: &mut HashMap<Ulid, i64>,
) -> Sql<()> {
    for (dropped, at) in &facts.dropped {
        let seg = number(db, at.segment, names, nums)?;
        let mut put = db.prepare_cached("INSERT OR REPLACE INTO pruned VALUES (?1, ?2, ?3)")?;
        for run in &dropped.runs {
            put.execute(params![run.run.0.to_bytes(), seg, at.offset])?;
            forget(db, run.run)?;
        }
        let mut put = db.prepare_cached("INSERT OR REPLACE INTO dropped VALUES (?1, ?2, ?3, 0)")?;
        for segment in &dropped.segments {
            let num = number(db, segment.id, names, nums)?;
            put.execute(params![segment.id.to_bytes(), seg, at.offset])?;
            db.execute("UPDATE segments SET state=5 WHERE num=?1", [num])?;
        }
        if !dropped.segments.is_empty() {
            db.execute_batch(IN_DROPPED)?;
        }
        for id in &dropped.gone {
            db.execute("UPDATE dropped SET gone=1 WHERE id=?1", [id.to_bytes()])?;
            db.execute("UPDATE segments SET state=6 WHERE id=?1 AND state=5", [id.to_bytes()])?;
        }
        if !dropped.runs.is_empty() {
            db.execute_batch(PATHS_OF_PRUNED)?;
        }
        let mut put = db.prepare_cached("INSERT OR IGNORE INTO lost VALUES (?1, ?2)")?;
        for op in &dropped.lost {
            put.execute(params![op.run.0.to_bytes(), op.seq])?;
        }
    }
    // Records of pruned runs may lie in segments that are kept.
    let mut pruned = db.prepare_cached("SELECT EXISTS (SELECT 1 FROM pruned)")?;
    if pruned.query_row([], |row| row.get(0))? {
        let mut is_pruned = db.prepare_cached("SELECT EXISTS (SELECT 1 FROM pruned WHERE run=?1)")?;
        for run in runs_in(facts) {
            if is_pruned.query_row([run.0.to_bytes()], |row| row.get(0))? {
                forget(db, run)?;
            }
        }
    }
    Ok(())
}

fn forget(db: &Connection, run: RunId) -> Sql<()> {
    for words in OF_A_RUN {
        db.prepare_cached(words)?.execute([run.0.to_bytes()])?;
    }
    Ok(())
}

fn runs_in(facts: &Facts) -> BTreeSet<RunId> {
    let mut runs: BTreeSet<RunId> = facts.runs.keys().copied().collect();
    runs.extend(facts.ops.keys().map(|op| op.run));
    runs.extend(facts.undoers.keys().map(|op| op.run));
    runs.extend(facts.notes.keys().map(|(run, _)| *run));
    runs
}

impl Index {
    /// Where it is written that a run was pruned.
    pub(crate) fn pruned(&self, run: RunId) -> Sql<Option<Loc>> {
        let mut statement = self.db.prepare_cached("SELECT seg, at FROM pruned WHERE run=?1")?;
        let at = statement.query_row([run.0.to_bytes()], |row| Ok(self.place(row.get(0)?, row.get(1)?))).optional()?;
        Ok(at.flatten())
    }

    /// All runs that were pruned, oldest first.
    pub(crate) fn all_pruned(&self) -> Sql<Vec<RunId>> {
        let mut statement = self.db.prepare_cached("SELECT run FROM pruned ORDER BY run")?;
        let rows = statement.query_map([], |row| Ok(RunId(Ulid::from_bytes(row.get(0)?))))?;
        rows.collect()
    }

    /// Segments that were dropped, where that is written, and whether their files are known to be gone.
    pub(crate) fn dropped(&self) -> Sql<Vec<(Ulid, Option<Loc>, bool)>> {
        let mut statement = self.db.prepare_cached("SELECT id, seg, at, gone FROM dropped")?;
        let rows = statement.query_map([], |row| {
            Ok((Ulid::from_bytes(row.get(0)?), self.place(row.get(1)?, row.get(2)?), row.get(3)?))
        })?;
        rows.collect()
    }

    /// Whether a repair found that nothing is left of an operation, or not all.
    pub(crate) fn is_lost(&self, op: OpId) -> Sql<bool> {
        let mut statement = self.db.prepare_cached("SELECT EXISTS (SELECT 1 FROM lost WHERE run=?1 AND seq=?2)")?;
        statement.query_row(params![op.run.0.to_bytes(), op.seq], |row| row.get(0))
    }

    /// The operations of a run of which a repair found nothing, or not all.
    pub(crate) fn lost_of(&self, run: RunId) -> Sql<Vec<OpId>> {
        let mut statement = self.db.prepare_cached("SELECT seq FROM lost WHERE run=?1 ORDER BY seq")?;
        let rows = statement.query_map([run.0.to_bytes()], |row| Ok(OpId { run, seq: row.get(0)? }))?;
        rows.collect()
    }

    /// Where the index has chunks, by segment and offset.
    pub(crate) fn chunk_places(&self, mut each: impl FnMut(Loc, [u8; 32])) -> Sql<()> {
        let mut statement = self.db.prepare_cached("SELECT id, seg, at FROM chunks")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if let Some(at) = self.place(row.get(1)?, row.get(2)?) {
                each(at, row.get(0)?);
            }
        }
        Ok(())
    }

    /// Where the index has operations.
    pub(crate) fn op_places(&self, mut each: impl FnMut(OpId, Option<Loc>, Option<Loc>)) -> Sql<()> {
        let mut statement = self.db.prepare_cached("SELECT run, seq, iseg, iat, oseg, oat FROM ops")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let op = OpId { run: RunId(Ulid::from_bytes(row.get(0)?)), seq: row.get(1)? };
            each(op, self.place(row.get(2)?, row.get(3)?), self.place(row.get(4)?, row.get(5)?));
        }
        Ok(())
    }

    /// Gives back what deleted rows took. Only tidiness: another process may be reading.
    pub(crate) fn shrink(&self) {
        let _ = self.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    /// Whether it was there before, made with the same keys, and knows of segments: then these are the store's.
    pub(crate) fn is_ours(&self) -> bool {
        let knows = "SELECT EXISTS (SELECT 1 FROM segments WHERE known > 0)";
        self.ours && self.db.query_row(knows, [], |row| row.get(0)).unwrap_or(false)
    }

    /// Whether SQLite finds the file as it wrote it.
    pub(crate) fn is_sound(&self) -> bool {
        let said: Sql<String> = self.db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
        said.is_ok_and(|words| words == "ok")
    }
}
