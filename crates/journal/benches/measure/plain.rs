//! The peer: as many bytes written where zeroes lay, and made durable by one `fdatasync`.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use raincoat_testkit::measure::{Result, said, settle};

/// Bytes of the file; when it is full it is written over from its start.
const BYTES: u64 = 1 << 30;
/// What is asked for at once is at most this.
const MOST: u64 = 64 << 20;

pub(crate) struct Preallocated {
    dir: std::path::PathBuf,
    file: File,
    at: u64,
}

impl Preallocated {
    pub(crate) fn new(dir: &Path) -> Result<Preallocated> {
        let file = File::create(dir.join("preallocated")).map_err(said)?;
        let zeroes = vec![0; 16 << 20];
        for at in (0..BYTES).step_by(zeroes.len()) {
            file.write_all_at(&zeroes, at).map_err(said)?;
        }
        file.sync_all().map_err(said)?;
        Ok(Preallocated { dir: dir.to_owned(), file, at: 0 })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<Duration> {
        let len = bytes.len() as u64;
        if len > MOST {
            return Err(format!("{len} bytes are more than this program writes at once"));
        }
        if self.at + len > BYTES {
            self.at = 0;
        }
        settle(&self.dir)?;
        let start = Instant::now();
        self.file.write_all_at(bytes, self.at).map_err(said)?;
        self.file.sync_data().map_err(said)?;
        let took = start.elapsed();
        // Where the next record of a journal would begin: not at the next page.
        self.at += len;
        Ok(took)
    }
}
