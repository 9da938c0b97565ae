//! A large file, edited as programs do: read, changed a little, written anew; or appended to.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use raincoat_testkit::measure::{Result, random, said};

use crate::tree::Chance;

/// Bytes of a small edit.
const EDIT: usize = 100;
const AT_ONCE: usize = 1 << 20;

/// A file of noise, which no compression makes smaller.
pub(crate) fn noise(path: &Path, mut size: usize) -> Result<()> {
    let mut file = File::create(path).map_err(said)?;
    while size > 0 {
        let some = size.min(AT_ONCE);
        file.write_all(&random(some)?).map_err(said)?;
        size -= some;
    }
    Ok(())
}

/// The `n`th version: at one place of the file some bytes are written over, put in, or taken out, in turns. The file is
/// written whole, beside, and renamed, as editors do.
pub(crate) fn edit(path: &Path, n: usize) -> Result<()> {
    let mut content = std::fs::read(path).map_err(said)?;
    let at = Chance(n as u64).below(content.len().saturating_sub(EDIT));
    let bytes = random(EDIT)?;
    match n % 3 {
        0 => drop(content.splice(at..at + EDIT, bytes)),
        1 => drop(content.splice(at..at, bytes)),
        _ => drop(content.drain(at..at + EDIT)),
    }
    let beside = path.with_extension("new");
    std::fs::write(&beside, content).map_err(said)?;
    std::fs::rename(&beside, path).map_err(said)
}

/// Bytes that were not there before, at the file's end.
pub(crate) fn append(path: &Path, size: usize) -> Result<()> {
    let mut file = OpenOptions::new().append(true).open(path).map_err(said)?;
    file.write_all(&random(size)?).map_err(said)
}
