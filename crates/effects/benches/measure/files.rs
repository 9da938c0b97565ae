//! What programs do with many files, plainly: the same work bare, in a draft, and in another's sandbox.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use raincoat_testkit::measure::{Result, random, said, settle};

/// Small files of the small-file work.
const SMALL: usize = 3000;
/// How often each of them is read.
const READS: usize = 3;

/// Files spread evenly over folders, one level deep.
pub(crate) struct Tree {
    pub(crate) dir: PathBuf,
    pub(crate) files: usize,
    pub(crate) folders: usize,
}

/// Bytes that no file had before, cheap to make.
struct Noise(u64);

impl Tree {
    pub(crate) fn new(dir: &Path, files: &str, folders: &str) -> Result<Tree> {
        Ok(Tree {
            dir: dir.to_owned(),
            files: files.parse().map_err(said)?,
            folders: folders.parse::<usize>().map_err(said)?.max(1),
        })
    }

    /// Its folders, empty.
    pub(crate) fn folders(&self) -> Result<()> {
        (0..self.folders).try_for_each(|folder| std::fs::create_dir_all(self.folder(folder)).map_err(said))
    }

    /// Writes each file with new content, over what may be there.
    pub(crate) fn write(&self, size: impl Fn(usize) -> usize) -> Result<()> {
        let mut noise = Noise::new()?;
        let mut content = vec![0; 4096];
        for n in 0..self.files {
            let content = content.get_mut(..size(n)).ok_or("a file is larger than was thought")?;
            noise.fill(content);
            File::create(self.path(n)).and_then(|mut file| file.write_all(content)).map_err(said)?;
        }
        Ok(())
    }

    /// Opens, reads whole and closes each file.
    fn read(&self) -> Result<()> {
        let mut content = Vec::with_capacity(8192);
        for n in 0..self.files {
            content.clear();
            File::open(self.path(n)).and_then(|mut file| file.read_to_end(&mut content)).map_err(said)?;
            if content.len() != small(n) {
                return Err(format!("`{}` has {} bytes", self.path(n).display(), content.len()));
            }
        }
        Ok(())
    }

    /// Has the system drop what it keeps of the files' content in memory.
    fn forget(&self) -> Result<()> {
        (0..self.files).try_for_each(|n| {
            let file = File::open(self.path(n)).map_err(said)?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).map_err(said)
        })
    }

    fn delete(&self) -> Result<()> {
        (0..self.files).try_for_each(|n| std::fs::remove_file(self.path(n)).map_err(said))
    }

    fn folder(&self, folder: usize) -> PathBuf {
        self.dir.join(format!("folder-{folder:04}"))
    }

    fn path(&self, n: usize) -> PathBuf {
        let folder = n / self.files.div_ceil(self.folders).max(1);
        self.folder(folder).join(format!("file-{n:07}"))
    }
}

impl Noise {
    fn new() -> Result<Noise> {
        let seed = random(8)?.try_into().map_err(|_| "eight bytes are a number")?;
        Ok(Noise(u64::from_ne_bytes(seed) | 1))
    }

    /// Xorshift: nothing secret hangs on it.
    fn fill(&mut self, bytes: &mut [u8]) {
        for some in bytes.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            for (byte, noise) in some.iter_mut().zip(self.0.to_ne_bytes()) {
                *byte = noise;
            }
        }
    }
}

/// Makes the tree of small files that the small-file work finds: on the disk, and not in memory any more.
pub(crate) fn fill_small(dir: &Path) -> Result<()> {
    let old = small_tree(dir, "old");
    old.folders()?;
    old.write(small)?;
    settle(dir)?;
    old.forget()
}

/// The small-file work in a folder that `fill_small` filled. A line of nanoseconds, separated by blanks: new files
/// created with their folders; the old ones read, first from the disk; the old ones read again; the new ones read; the
/// new ones deleted; the old ones deleted.
pub(crate) fn work_small(dir: &Path) -> Result<String> {
    let (old, new) = (small_tree(dir, "old"), small_tree(dir, "new"));
    let took = [
        timed(|| new.folders().and_then(|()| new.write(small)))?,
        timed(|| (0..READS).try_for_each(|_| old.read()))?,
        timed(|| (0..READS).try_for_each(|_| old.read()))?,
        timed(|| (0..READS).try_for_each(|_| new.read()))?,
        timed(|| new.delete())?,
        timed(|| old.delete())?,
    ];
    Ok(took.map(|took| took.as_nanos().to_string()).join(" "))
}

/// Gives the first `count` of as many folders one changed file each, as an editor saves it: over the old one.
pub(crate) fn change(tree: &Tree, count: usize) -> Result<()> {
    let each = tree.files / tree.folders;
    (0..count).try_for_each(|n| std::fs::write(tree.path(n * each), random(4096)?).map_err(said))
}

/// Writes all files in one batch and makes them durable by one `syncfs`.
pub(crate) fn write_durably(tree: &Tree) -> Result<()> {
    tree.write(|_| 4096)?;
    settle(&tree.dir)
}

fn small_tree(dir: &Path, name: &str) -> Tree {
    Tree { dir: dir.join(name), files: SMALL, folders: SMALL / 100 }
}

/// Between 1 and 4 KiB.
fn small(n: usize) -> usize {
    1024 + (n * 1021) % 3073
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}
