//! A log of millions of entries: opened, asked for proofs, verified.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};
use raincoat_audit::tile::{Level, TilePath};
use raincoat_audit::{About, AuditReader};
use raincoat_testkit::measure::{Result, median, random, said, settle, unknown};

use crate::{ORIGIN, about, event, keys, open, places};

/// Entries that are appended at once while it is made.
const AT_ONCE: usize = 1_000;
/// How often it is opened and proved for one answer, which is the median.
const OPENED: usize = 50;
const PROVED: usize = 1_000;

pub(crate) struct Large {
    dir: PathBuf,
    count: u64,
    reader: AuditReader,
}

impl Large {
    /// Makes one of `count` entries, published as at a command's end.
    pub(crate) fn new(dir: &Path, count: u64) -> Result<Large> {
        let dir = dir.join("large");
        std::fs::create_dir(&dir).map_err(said)?;
        let mut audit = open(&dir)?;
        let about: About = about()?;
        let batch = vec![event(); AT_ONCE];
        let mut left = count;
        while left > 0 {
            let some = usize::try_from(left).unwrap_or(AT_ONCE).min(AT_ONCE);
            audit.append_lazy(&about, batch.get(..some).unwrap_or_default()).map_err(said)?;
            left -= some as u64;
        }
        audit.close().map_err(said)?;
        settle(&dir)?;
        let (log, head) = places(&dir)?;
        let reader = AuditReader::open(log, head, keys(), ORIGIN).map_err(said)?;
        Ok(Large { dir, count, reader })
    }

    pub(crate) fn measure(&self, what: &str) -> Result<Duration> {
        match what {
            "open" => typical(OPENED, || {
                let start = Instant::now();
                let audit = open(&self.dir)?;
                let took = start.elapsed();
                drop(audit);
                Ok(took)
            }),
            // Many of one log: the first ones, which read its end and its upper tiles, are among them.
            "prove" => {
                let mut prover = self.reader.prover().map_err(said)?;
                typical(PROVED, || {
                    let index = self.somewhere()?;
                    let start = Instant::now();
                    prover.prove_inclusion(index).map_err(said)?;
                    Ok(start.elapsed())
                })
            }
            "verify" | "verify-deep" => {
                let start = Instant::now();
                let report = if what == "verify" { self.reader.verify() } else { self.reader.verify_deep() };
                if report.entries != self.count || !report.is_ok() {
                    return Err(format!("the log does not hold: {report:?}"));
                }
                Ok(start.elapsed())
            }
            _ => Err(unknown(what)),
        }
    }

    pub(crate) fn plain(&self, what: &str) -> Result<Duration> {
        let log = self.dir.join("audit");
        match what {
            // What there is to read of a log before one appends to it.
            "open" => typical(OPENED, || timed(|| read(&log.join("live.log")))),
            // The tiles of the two lowest levels on an entry's way up.
            "prove" => typical(PROVED, || {
                let tile = self.somewhere()? / 256;
                let tiles = [(0, tile), (1, tile / 256)].map(|(level, index)| {
                    let width = self.width(level, index);
                    log.join(TilePath { level: Level::Hashes(level), index, width }.path())
                });
                timed(|| tiles.iter().try_for_each(|tile| read(tile).map(drop)))
            }),
            // Each byte read and hashed once.
            "verify" => timed(|| {
                let mut hash = Context::new(&SHA256);
                hash_all(&log, &mut hash)?;
                Ok(hash.finish())
            }),
            _ => Err(unknown(what)),
        }
    }

    fn width(&self, level: u8, index: u64) -> u16 {
        let nodes = self.count >> (8 * u32::from(level));
        u16::try_from((nodes - index * 256).min(256)).unwrap_or(256)
    }

    /// An entry below a full tile.
    fn somewhere(&self) -> Result<u64> {
        let bytes = random(8)?.try_into().map_err(|_| "eight bytes are a number")?;
        Ok(u64::from_ne_bytes(bytes) % (self.count / 256 * 256).max(1))
    }
}

/// The median of so many times.
fn typical(times: usize, mut one: impl FnMut() -> Result<Duration>) -> Result<Duration> {
    median((0..times).map(|_| one()).collect::<Result<_>>()?)
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
}

fn hash_all(dir: &Path, hash: &mut Context) -> Result<()> {
    let mut bytes = vec![0; 1 << 20];
    for entry in std::fs::read_dir(dir).map_err(said)? {
        let entry = entry.map_err(said)?;
        if entry.file_type().map_err(said)?.is_dir() {
            hash_all(&entry.path(), hash)?;
            continue;
        }
        let mut file = File::open(entry.path()).map_err(said)?;
        loop {
            match file.read(&mut bytes).map_err(said)? {
                0 => break,
                got => hash.update(bytes.get(..got).unwrap_or_default()),
            }
        }
    }
    Ok(())
}
