//! The peers: what a careful plain program does for the same durability, without a journal, a log or a gate.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use raincoat_testkit::measure::{Result, random, said, settle, unknown};

/// The plain side of the single changes.
pub(crate) struct Bench {
    tree: PathBuf,
    files: u32,
    appended: (File, u64),
}

impl Bench {
    pub(crate) fn new(dir: &Path) -> Result<Bench> {
        let tree = dir.join("plain");
        std::fs::create_dir(&tree).map_err(said)?;
        let appended = File::create(dir.join("appended")).map_err(said)?;
        Ok(Bench { tree, files: 0, appended: (appended, 0) })
    }

    pub(crate) fn measure(&mut self, what: &[&str]) -> Result<Duration> {
        match what {
            ["replace", size] => {
                let size = size.parse().map_err(said)?;
                let name = self.next_name();
                existing(&self.tree, &name, size)?;
                settle(&self.tree)?;
                self.write(&name, size)
            }
            ["again", size] => {
                settle(&self.tree)?;
                self.write(&format!("again-{size}"), size.parse().map_err(said)?)
            }
            ["new", size] => {
                let name = self.next_name();
                settle(&self.tree)?;
                self.write(&name, size.parse().map_err(said)?)
            }
            ["row", count, size] => {
                let names: Vec<String> = (0..count.parse().map_err(said)?).map(|_| self.next_name()).collect();
                let size = size.parse().map_err(said)?;
                names.iter().try_for_each(|name| existing(&self.tree, name, size))?;
                settle(&self.tree)?;
                names.iter().map(|name| self.write(name, size)).sum()
            }
            ["append", size] => self.append(size.parse().map_err(said)?),
            _ => Err(unknown(what.join(" "))),
        }
    }

    fn next_name(&mut self) -> String {
        self.files += 1;
        format!("file-{}", self.files)
    }

    /// Write a temporary file, fsync it, rename it into its place, fsync the folder.
    fn write(&self, name: &str, size: usize) -> Result<Duration> {
        let content = random(size)?;
        let start = Instant::now();
        let temp = self.tree.join("temporary");
        let file = File::create(&temp).map_err(said)?;
        file.write_all_at(&content, 0).map_err(said)?;
        file.sync_all().map_err(said)?;
        std::fs::rename(&temp, self.tree.join(name)).map_err(said)?;
        sync(&self.tree)?;
        Ok(start.elapsed())
    }

    fn append(&mut self, size: usize) -> Result<Duration> {
        let content = random(size)?;
        settle(&self.tree)?;
        let (file, end) = &mut self.appended;
        let start = Instant::now();
        file.write_all_at(&content, *end).map_err(said)?;
        file.sync_data().map_err(said)?;
        *end += size as u64;
        Ok(start.elapsed())
    }
}

/// A user's file that no store has seen, and that lies on disk already.
pub(crate) fn existing(tree: &Path, name: &str, size: usize) -> Result<()> {
    let file = File::create(tree.join(name)).map_err(said)?;
    file.write_all_at(&random(size)?, 0).map_err(said)?;
    file.sync_all().map_err(said)?;
    sync(tree)
}

/// Moves every file of one folder into another below or above it, and makes each `every` moves durable by an fsync of
/// both folders. The folder that it makes or empties is made or removed too.
pub(crate) fn moves(from: &Path, to: &Path, every: usize) -> Result<()> {
    if !to.exists() {
        std::fs::create_dir_all(to).map_err(said)?;
        sync(to.parent().unwrap_or(to))?;
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(from).map_err(said)? {
        let entry = entry.map_err(said)?;
        if entry.file_type().map_err(said)?.is_file() {
            names.push(entry.file_name());
        }
    }
    names.sort();
    let (source, target) = (File::open(from).map_err(said)?, File::open(to).map_err(said)?);
    for some in names.chunks(every.max(1)) {
        for name in some {
            std::fs::rename(from.join(name), to.join(name)).map_err(said)?;
        }
        source.sync_all().map_err(said)?;
        target.sync_all().map_err(said)?;
    }
    if from.starts_with(to) {
        std::fs::remove_dir(from).map_err(said)?;
        sync(to)?;
    }
    Ok(())
}

fn sync(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(said)
}
