//! Renames that overlayfs cannot do: of a directory that the folder itself holds (the "lower" one), which it answers
//! with `EXDEV`, unprivileged as it is. Programs do not expect that: `mv` copies, others fail.
//!
//! Here the directory is rebuilt beside its new place under a hidden name: its directories are made anew, with
//! everything that they carry; its files are linked, so that they stay the files that they are, with their links and
//! open descriptors. One rename then puts the whole in place, and what is left under the old name is taken
//! away. Until that rename nothing has changed, and a failure leaves nothing behind.
//!
//! What differs from a rename on a plain file system:
//!
//! - Both names exist for a moment (never neither; when two are exchanged, one of them may be missing for a moment),
//!   and whoever lists the new parent may see the hidden name.
//! - The directories are others: their numbers change, and a working directory, an open directory or a watch within
//!   stays with the removed one. The kernel has no way to hand a process another working directory. (A shell that
//!   stands in a directory which somebody else moves sees it as deleted, and goes on after `cd`.)
//! - The kernel gives an index to overlays only where an administrator mounts them (`index=on` falls back to `off`, said
//!   in its log alone). Without, a file shows another number once it was copied, here or by any other change; and names
//!   outside the directory of a file that is moved with it become files of their own.
//! - It costs a copy of every file of the folder's own within: overlayfs copies a file when it is linked, and knows no
//!   cheaper way (nothing can be linked across its layers). Time and space grow with the directory.
//! - A directory that holds something mounted, files of others, or an ACL that names others (whom the namespace does not
//!   know), cannot be moved: `EXDEV` stays. So it does below 400 levels of directories.

use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

use raincoat_os::fill_random;
use rustix::fs::{AtFlags, FileType, FlockOperation, MemfdFlags, Mode, RenameFlags, StatxFlags};
use rustix::fs::{fcntl_lock, fstatfs, memfd_create, mkdirat, renameat_with, statx};
use rustix::io::Errno;

use super::caller::{Caller, Entry};
use super::notify::Reply;
use super::tree;

/// Moves directories, one at a time, in children of this process.
#[derive(Debug)]
pub(crate) struct Mover {
    /// Memory that the children share: locked by the one that moves; and where one says that its caller did not hear.
    shared: Option<OwnedFd>,
}

/// A rename as a program asked for it, of at least one directory.
#[derive(Debug)]
struct Rename {
    old: Entry,
    new: Entry,
    flags: RenameFlags,
}

impl Mover {
    pub(crate) fn new() -> Mover {
        Mover { shared: memfd_create("raincoat-renames", MemfdFlags::CLOEXEC).ok() }
    }

    /// Serves `rename` and its kin: what to answer, or `None`, where a child of ours has called `answer` or will.
    pub(crate) fn serve(
        &self,
        name: &str,
        arguments: &[u64; 6],
        caller: &Caller<'_>,
        answer: impl FnOnce(&Mover, Reply),
    ) -> Option<Reply> {
        // Where it cannot be known what is meant, the kernel says what it says.
        let Some(rename) = Rename::of(name, arguments, caller) else { return Some(Reply::Continue) };
        match rename.by_kernel() {
            Err(Errno::XDEV) if rename.within_one_overlay() => {}
            result => return Some(reply(result)),
        }
        // SAFETY: this process has one thread, so that the child can go on as any process.
        match unsafe { libc::fork() } {
            0 => {
                answer(self, self.piecewise(&rename));
                // SAFETY: ends the child without running what the parent is to run at its end.
                unsafe { libc::_exit(0) }
            }
            // Not here instead: a child that the program has stopped may hold the lock, and this process keeps the limits.
            -1 => Some(Reply::Fails(Errno::XDEV)),
            _ => None,
        }
    }

    fn piecewise(&self, rename: &Rename) -> Reply {
        // Without a lock (no memory for it) two could mix; each alone is still right.
        let lock = |operation| self.shared.as_ref().map(|shared| fcntl_lock(shared, operation));
        lock(FlockOperation::LockExclusive);
        let done = catch_unwind(AssertUnwindSafe(|| match rename.by_kernel() {
            Err(Errno::XDEV) => rename.piecewise(),
            other => other,
        }));
        lock(FlockOperation::Unlock);
        reply(done.unwrap_or(Err(Errno::XDEV)))
    }

    /// Remembers that whoever asked for this was called away before it heard that it was done.
    pub(crate) fn note_unheard(&self, asked: &[u8]) {
        if let Some(shared) = &self.shared {
            // What cannot be remembered is as it was before.
            let _ = rustix::io::pwrite(shared, asked, 0);
        }
    }

    /// This was done already, and not heard.
    pub(crate) fn take_unheard(&self, asked: &[u8]) -> bool {
        let Some(shared) = &self.shared else { return false };
        let mut noted = vec![0_u8; asked.len()];
        let is = rustix::io::pread(shared, &mut noted, 0) == Ok(asked.len()) && noted == asked;
        is && rustix::fs::ftruncate(shared, 0).is_ok()
    }
}

fn reply(result: Result<(), Errno>) -> Reply {
    result.map_or_else(Reply::Fails, |()| Reply::Done)
}

impl Rename {
    /// `None`: nothing that the kernel could not do.
    fn of(name: &str, arguments: &[u64; 6], caller: &Caller<'_>) -> Option<Rename> {
        let &[a, b, c, d, e, _] = arguments;
        let descriptor = |number: u64| number as u32 as i32;
        let (old_dir, old_path, new_dir, new_path, flags) = match name {
            "rename" => (libc::AT_FDCWD, a, libc::AT_FDCWD, b, 0),
            "renameat" => (descriptor(a), b, descriptor(c), d, 0),
            _ => (descriptor(a), b, descriptor(c), d, e as u32),
        };
        let flags = RenameFlags::from_bits_retain(flags);
        let old = caller.entry(old_dir, &caller.path(old_path)?)?;
        if !is_dir(&old) && !flags.contains(RenameFlags::EXCHANGE) {
            return None;
        }
        let new = caller.entry(new_dir, &caller.path(new_path)?)?;
        let one = is_dir(&old) || is_dir(&new);
        (one && caller.shares_root()).then_some(Rename { old, new, flags })
    }

    fn by_kernel(&self) -> Result<(), Errno> {
        renameat_with(&self.old.dir, self.old.as_asked(), &self.new.dir, self.new.as_asked(), self.flags)
    }

    /// Both names are in the same mounted overlay, so that `EXDEV` only means that it cannot move a directory.
    fn within_one_overlay(&self) -> bool {
        const OVERLAYFS: i64 = 0x794c_7630;
        let mount = |dir: &OwnedFd| {
            let kind = fstatfs(dir).ok()?.f_type;
            let about = statx(dir, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
            (kind == OVERLAYFS).then_some(about.stx_mnt_id)
        };
        mount(&self.old.dir).is_some_and(|old| mount(&self.new.dir) == Some(old))
    }

    /// The kernel has checked all but what lies within, by its last attempt.
    fn piecewise(&self) -> Result<(), Errno> {
        if self.flags.contains(RenameFlags::EXCHANGE) { self.exchange() } else { self.replace() }
    }

    fn replace(&self) -> Result<(), Errno> {
        let (old, new) = (&self.old, &self.new);
        let replaced = tree::stat(&new.dir, &new.name).ok();
        if replaced.is_some() && !tree::is_empty(&new.dir, &new.name) {
            return Err(Errno::NOTEMPTY);
        }
        let built = Hidden::beside(&new.dir, old)?;
        if let Err(errno) = renameat_with(&new.dir, &built.name, &new.dir, new.as_asked(), self.flags) {
            built.remove(&new.dir);
            return Err(errno);
        }
        if let Err(errno) = tree::clear(&old.dir, &old.name, &built.tree) {
            // Gives back to the original what was taken away from it.
            let _ = tree::build(&new.dir, &new.name, &old.dir, &old.name);
            let _ = tree::remove(&new.dir, &new.name);
            if let Some(replaced) = replaced {
                let _ = mkdirat(&new.dir, &new.name, Mode::from_raw_mode(replaced.st_mode & 0o7777));
            }
            return Err(left(errno));
        }
        Ok(())
    }

    fn exchange(&self) -> Result<(), Errno> {
        let (old, new) = (&self.old, &self.new);
        let first = Hidden::beside(&new.dir, old)?;
        let second = Hidden::beside(&old.dir, new).inspect_err(|_| first.remove(&new.dir))?;
        // Both are whole, hidden, and can be moved at will; now one after the other takes its place.
        let whole = RenameFlags::NOREPLACE;
        let placed = tree::clear(&old.dir, &old.name, &first.tree)
            .and_then(|()| renameat_with(&old.dir, &second.name, &old.dir, &old.name, whole));
        if let Err(errno) = placed {
            let _ = tree::build(&new.dir, &first.name, &old.dir, &old.name);
            first.remove(&new.dir);
            second.remove(&old.dir);
            return Err(left(errno));
        }
        let placed = tree::clear(&new.dir, &new.name, &second.tree)
            .and_then(|()| renameat_with(&new.dir, &first.name, &new.dir, &new.name, whole));
        if let Err(errno) = placed {
            let _ = tree::build(&old.dir, &old.name, &new.dir, &new.name);
            let _ = tree::remove(&old.dir, &old.name);
            let _ = renameat_with(&new.dir, &first.name, &old.dir, &old.name, whole);
            return Err(left(errno));
        }
        Ok(())
    }
}

fn is_dir(entry: &Entry) -> bool {
    tree::stat(&entry.dir, &entry.name).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// The same tree again under a hidden name, of directories that the overlay can move.
#[derive(Debug)]
struct Hidden {
    name: Vec<u8>,
    tree: tree::Built,
}

impl Hidden {
    fn beside(place: &OwnedFd, original: &Entry) -> Result<Hidden, Errno> {
        let mut random = [0_u8; 8];
        fill_random(&mut random).map_err(|_| Errno::XDEV)?;
        let name = format!(".raincoat-move-{:016x}", u64::from_ne_bytes(random)).into_bytes();
        match tree::build(&original.dir, &original.name, place, &name) {
            Ok(tree) => Ok(Hidden { name, tree }),
            Err(errno) => {
                let _ = tree::remove(place, &name);
                Err(left(errno))
            }
        }
    }

    fn remove(&self, place: &OwnedFd) {
        // What cannot be removed stays under its hidden name; nothing of the program's is lost by it.
        let _ = tree::remove(place, &self.name);
    }
}

/// What a program hears that asked for what cannot be done: what it is used to for moves between file systems, so that
/// it copies; but an error that copying would meet too is said as it is.
fn left(errno: Errno) -> Errno {
    match errno {
        Errno::NOSPC | Errno::DQUOT | Errno::NOMEM | Errno::IO | Errno::ROFS | Errno::NOTEMPTY => errno,
        _ => Errno::XDEV,
    }
}
