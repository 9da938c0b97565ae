//! The peer of appending: as many bytes at a file's end, and `fdatasync`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use raincoat_testkit::measure::{Result, random, said, settle};

pub(crate) struct Appended {
    dir: PathBuf,
    file: File,
}

impl Appended {
    pub(crate) fn new(dir: &Path) -> Result<Appended> {
        let file = File::create(dir.join("appended")).map_err(said)?;
        Ok(Appended { dir: dir.to_owned(), file })
    }

    /// So many times.
    pub(crate) fn append(&mut self, count: u32, bytes: usize) -> Result<Duration> {
        let content = random(bytes)?;
        settle(&self.dir)?;
        let start = Instant::now();
        for _ in 0..count {
            self.file.write_all(&content).map_err(said)?;
            self.file.sync_data().map_err(said)?;
        }
        Ok(start.elapsed())
    }
}
