//! How much a program has written: into its drafts, and into what nobody keeps.
//!
//! A draft is measured by walking it, but only when the file system's own figures say that something may have come to
//! the limit: those cost one call, whatever the draft's size, but count everybody's files.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, StatVfs, fstatvfs, openat, statat};

use super::LimitKind;
use super::watch::{mib, now};

/// A walk is over after so many names: then the file system's figures count instead.
const MOST_NAMES: u64 = 500_000;

/// A walk goes so deep.
const MOST_DEPTH: usize = 64;

/// Bytes that a name costs at the least, whatever it holds.
const NAME_COSTS: u64 = 1024;

/// Room that is left on a disk, at most.
const DISKS_ROOM: u64 = 256 << 20;

/// Walking takes at most one part in so many of the time when the figures are suspicious; else much less.
const SUSPICIOUS: u32 = 4;
const QUIET: u32 = 50;

/// At the latest after this, a draft is measured again: somebody outside may have freed what the program took.
const AGAIN: Duration = Duration::from_secs(5);

/// Measures.
pub(super) struct Disk {
    limit: u64,
    private: OwnedFd,
    uppers: Vec<Upper>,
}

struct Upper {
    dir: OwnedFd,
    /// Free when the program started, in bytes and names.
    start: (u64, u64),
    /// Free when it was measured last.
    then: (u64, u64),
    /// What was measured last.
    known: u64,
    /// When it may be measured again: if something may have come to the limit, and if not.
    next: (Duration, Duration),
}

fn free(figures: &StatVfs) -> (u64, u64) {
    (figures.f_bfree.saturating_mul(figures.f_frsize), figures.f_ffree)
}

fn taken(before: (u64, u64), after: (u64, u64)) -> u64 {
    let names = before.1.saturating_sub(after.1).saturating_mul(NAME_COSTS);
    before.0.saturating_sub(after.0).max(names)
}

impl Disk {
    pub(super) fn new(uppers: Vec<OwnedFd>, private: OwnedFd, limit: u64) -> Disk {
        let at = now();
        let uppers = uppers.into_iter().filter_map(|dir| {
            let start = free(&fstatvfs(&dir).ok()?);
            // What the draft holds already is not this program's, but the draft's bound is on all of it.
            Some(Upper { dir, start, then: start, known: 0, next: (at, at.saturating_add(AGAIN)) })
        });
        Disk { limit, private, uppers: uppers.collect() }
    }

    /// Bytes in `/tmp` and the like.
    pub(super) fn private(&self) -> u64 {
        fstatvfs(&self.private)
            .map_or(0, |figures| figures.f_blocks.saturating_sub(figures.f_bfree).saturating_mul(figures.f_frsize))
    }

    /// Whether the limit is reached, and how, in words.
    pub(super) fn look(&mut self, at: Duration) -> Option<(LimitKind, String)> {
        let private = self.private();
        let figures: Vec<Option<StatVfs>> = self.uppers.iter().map(|upper| fstatvfs(&upper.dir).ok()).collect();
        let grown = |upper: &Upper, figures: &Option<StatVfs>| {
            figures.as_ref().map_or(upper.known, |figures| upper.known.saturating_add(taken(upper.then, free(figures))))
        };
        let sum = self.uppers.iter().zip(&figures).fold(private, |sum, (u, f)| sum.saturating_add(grown(u, f)));
        let suspicious = sum > self.limit;
        for (upper, figures) in self.uppers.iter_mut().zip(&figures) {
            let Some(figures) = figures else { continue };
            let tight = figures.f_bavail.saturating_mul(figures.f_frsize) < room(upper.start.0);
            if at >= if suspicious || tight { upper.next.0 } else { upper.next.1 } {
                upper.measure(figures);
            }
            if tight && upper.known > room(upper.start.0) {
                let left = figures.f_bavail.saturating_mul(figures.f_frsize);
                return Some((LimitKind::Machine, format!("the disk has only {} left", mib(left))));
            }
        }
        let used = self.uppers.iter().fold(private, |sum, upper| sum.saturating_add(upper.known));
        (used > self.limit).then(|| (LimitKind::Disk, format!("{} written, of {} at most", mib(used), mib(self.limit))))
    }
}

fn room(free: u64) -> u64 {
    DISKS_ROOM.min(free / 4)
}

impl Upper {
    fn measure(&mut self, figures: &StatVfs) {
        let before = now();
        let mut walk = Walk { names: 0, bytes: 0, cut: false };
        if let Ok(dir) = open(&self.dir, c".") {
            walk.folder(dir, 0);
        }
        // What hides beyond the walk's bounds still takes space.
        self.known = if walk.cut { walk.bytes.max(taken(self.start, free(figures))) } else { walk.bytes };
        self.then = free(figures);
        let after = now();
        let cost = after.saturating_sub(before);
        let next = |share: u32| after.saturating_add(cost.saturating_mul(share));
        self.next = (next(SUSPICIOUS), next(QUIET).max(after.saturating_add(AGAIN)));
    }
}

fn open(at: &OwnedFd, name: &std::ffi::CStr) -> rustix::io::Result<OwnedFd> {
    openat(at, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

struct Walk {
    names: u64,
    bytes: u64,
    cut: bool,
}

impl Walk {
    fn folder(&mut self, dir: OwnedFd, depth: usize) {
        let Ok(entries) = Dir::read_from(&dir) else { return };
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            if self.names >= MOST_NAMES || depth >= MOST_DEPTH {
                self.cut = true;
                return;
            }
            self.names = self.names.saturating_add(1);
            // It may be gone by now.
            let Ok(stat) = statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let bytes = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512).max(NAME_COSTS);
            // A file with several names is here several times, and takes its space once.
            let names = u64::from(u32::try_from(stat.st_nlink).unwrap_or(1).max(1));
            let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            self.bytes = self.bytes.saturating_add(if is_dir { bytes } else { bytes / names });
            if is_dir && let Ok(below) = open(&dir, name) {
                self.folder(below, depth.saturating_add(1));
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn disk(at: &std::path::Path, limit: u64) -> Disk {
        let open = || OwnedFd::from(std::fs::File::open(at).unwrap());
        let mut disk = Disk::new(vec![open()], open(), limit);
        // Every file system is somebody else's too: only the walk counts here.
        disk.private = OwnedFd::from(std::fs::File::open("/proc").unwrap());
        disk
    }

    #[test]
    fn a_draft_is_measured_by_its_blocks_and_names_and_not_by_its_length() {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::create_dir(scratch.path().join("a")).unwrap();
        let sparse = std::fs::File::create(scratch.path().join("a/sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        let full = scratch.path().join("a/full");
        std::fs::write(&full, vec![1_u8; 3 << 20]).unwrap();
        std::fs::hard_link(&full, scratch.path().join("again")).unwrap();
        let mut disk = disk(scratch.path(), 1 << 30);
        let upper = disk.uppers.first_mut().unwrap();
        let figures = fstatvfs(&upper.dir).unwrap();
        upper.measure(&figures);
        let blocks = std::fs::metadata(&full).unwrap().blocks() * 512;
        assert!(upper.known >= blocks.min(3 << 20) && upper.known < (3 << 20) + (1 << 20), "{}", upper.known);
    }

    #[test]
    fn what_is_over_the_limit_is_said() {
        let scratch = tempfile::tempdir().unwrap();
        for name in 0..300 {
            std::fs::write(scratch.path().join(name.to_string()), b"").unwrap();
        }
        let mut within = disk(scratch.path(), 1 << 30);
        assert_eq!(within.look(now() + AGAIN * 2), None);
        let mut beyond = disk(scratch.path(), 100 << 10);
        assert!(matches!(beyond.look(now() + AGAIN * 2), Some((LimitKind::Disk, _))));
    }
}
