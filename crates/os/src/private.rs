//! Our own files: directories of mode 0700, files of 0600, opened by name beneath a descriptor and never through a
//! symlink. Whatever lies here is sealed by the room that writes it.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, FallocateFlags, FlockOperation, Mode, OFlags, RenameFlags};

use crate::{fault, fill_random};

/// A directory of ours, held open.
#[derive(Debug)]
pub struct PrivateDir {
    fd: OwnedFd,
}

/// A file of ours that grows at its end (and is read anywhere).
#[derive(Debug)]
pub struct AppendFile {
    fd: OwnedFd,
}

/// A lock on a file of ours, given up when dropped or when its process dies.
#[derive(Debug)]
pub struct FileLock {
    _fd: OwnedFd,
}

impl PrivateDir {
    /// Opens a directory by its absolute path, making it and its missing parents (mode 0700).
    ///
    /// # Errors
    /// The system's error; `PermissionDenied` where the directory belongs to somebody else or others may write in it.
    pub fn open_or_create(path: &Path) -> io::Result<PrivateDir> {
        if let Some(parent) = path.parent()
            && !parent.as_os_str().is_empty()
            && fs::stat(parent).is_err()
        {
            PrivateDir::open_or_create(parent)?;
        }
        match fs::mkdir(path, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        PrivateDir::open(path)
    }

    /// Opens a directory by its absolute path.
    ///
    /// # Errors
    /// As [`PrivateDir::open_or_create`]; `NotFound` where there is none.
    pub fn open(path: &Path) -> io::Result<PrivateDir> {
        let fd = fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY, Mode::empty())?;
        PrivateDir::checked(fd)
    }

    /// Opens a directory within this one, making it where it is missing.
    ///
    /// # Errors
    /// As [`PrivateDir::open_or_create`].
    pub fn dir(&self, name: &str) -> io::Result<PrivateDir> {
        fault::point("mkdirat")?;
        match fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o700)) {
            Ok(()) => fs::fsync(&self.fd)?,
            Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        PrivateDir::checked(fs::openat(&self.fd, name, flags, Mode::empty())?)
    }

    /// Opens a directory within this one; `None` where there is none.
    ///
    /// # Errors
    /// As [`PrivateDir::open`].
    pub fn open_dir(&self, name: &str) -> io::Result<Option<PrivateDir>> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        match fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => PrivateDir::checked(fd).map(Some),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes an empty directory away; missing is fine.
    ///
    /// # Errors
    /// The system's error, `DirectoryNotEmpty` among them.
    pub fn remove_dir(&self, name: &str) -> io::Result<()> {
        fault::point("unlinkat")?;
        match fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn checked(fd: OwnedFd) -> io::Result<PrivateDir> {
        let stat = fs::fstat(&fd)?;
        let me = rustix::process::geteuid();
        let sticky = stat.st_mode & 0o1000 != 0;
        if (stat.st_uid != me.as_raw() && stat.st_uid != 0) || (stat.st_mode & 0o022 != 0 && !sticky) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the directory belongs to somebody else, or others may write in it",
            ));
        }
        Ok(PrivateDir { fd })
    }

    /// Another handle on the same directory.
    ///
    /// # Errors
    /// The system's error.
    pub fn try_clone(&self) -> io::Result<PrivateDir> {
        Ok(PrivateDir { fd: self.fd.try_clone()? })
    }

    /// Where it is now, as an absolute path: for a library that opens files by name only. Whoever may rename the
    /// directory or its parents may move it afterwards.
    ///
    /// # Errors
    /// The system's error, where `/proc` is not mounted.
    pub fn path(&self) -> io::Result<PathBuf> {
        let link = fs::readlink(format!("/proc/self/fd/{}", self.fd.as_raw_fd()), Vec::new())?;
        Ok(PathBuf::from(OsString::from_vec(link.into_bytes())))
    }

    /// The name of the file system it lies on, where that writes changed blocks elsewhere instead of in place (so that
    /// what is overwritten stays on the disk for a while). `None` where it is not known to.
    ///
    /// # Errors
    /// The system's error.
    pub fn copies_on_write(&self) -> io::Result<Option<&'static str>> {
        // `statfs(2)` and the file systems' own headers.
        Ok(match fs::fstatfs(&self.fd)?.f_type as u64 & 0xffff_ffff {
            0x9123_683e => Some("btrfs"),
            0x2fc1_2fc1 => Some("zfs"),
            0xca45_1a4e => Some("bcachefs"),
            0x794c_7630 => Some("an overlay"),
            0xf2f5_2010 => Some("f2fs"),
            _ => None,
        })
    }

    /// Whether [`PrivateDir::sync_file_system`] makes what is written on this file system outlast a power cut. Others than
    /// these may not pass it on: FUSE, say, does not.
    ///
    /// # Errors
    /// The system's error.
    pub fn syncs_at_once(&self) -> io::Result<bool> {
        // ext2 to ext4, XFS, btrfs, f2fs.
        let known = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010];
        Ok(known.contains(&(fs::fstatfs(&self.fd)?.f_type as u64 & 0xffff_ffff)))
    }

    /// Makes all that was written on this directory's file system durable with one wait (`syncfs`), names included, where
    /// [`PrivateDir::syncs_at_once`]. Whatever else waits there to be written is waited for too.
    ///
    /// # Errors
    /// The system's error, that of any write which failed there since this handle was opened included. It is final, as
    /// [`AppendFile::sync`]'s is.
    pub fn sync_file_system(&self) -> io::Result<()> {
        fault::point("syncfs")?;
        Ok(fs::syncfs(&self.fd)?)
    }

    /// The names in it, sorted, without `.` and `..`.
    ///
    /// # Errors
    /// The system's error.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.fd)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        names.sort();
        Ok(names)
    }

    /// A whole file; `None` where there is none.
    ///
    /// # Errors
    /// The system's error; `FileTooLarge` where it has more than `max` bytes.
    pub fn read(&self, name: &str, max: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.open_file(name)? else { return Ok(None) };
        let len = file.len()?;
        if len > max {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("`{name}` has {len} bytes, over {max}")));
        }
        let mut out = vec![0; usize::try_from(len).unwrap_or(0)];
        file.read_exact_at(&mut out, 0)?;
        Ok(Some(out))
    }

    /// A whole file that a person wrote here for us; `None` where there is none. It may be a symlink to a file that
    /// they keep elsewhere, as long as nobody else could have written it.
    ///
    /// # Errors
    /// The system's error; `PermissionDenied` where the file belongs to somebody else or others may write in it;
    /// `FileTooLarge` where it has more than `max` bytes; `InvalidInput` where it is no regular file.
    pub fn read_trusted(&self, name: &str, max: u64) -> io::Result<Option<Vec<u8>>> {
        // A FIFO is not waited at.
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::RDONLY;
        let fd = match fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let stat = fs::fstat(&fd)?;
        if fs::FileType::from_raw_mode(stat.st_mode) != fs::FileType::RegularFile {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        let me = rustix::process::geteuid();
        if (stat.st_uid != me.as_raw() && stat.st_uid != 0) || stat.st_mode & 0o022 != 0 {
            let why = "it belongs to somebody else, or others may write in it";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        let mut out = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(std::fs::File::from(fd), max.saturating_add(1)), &mut out)?;
        if out.len() as u64 > max {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {max} bytes")));
        }
        Ok(Some(out))
    }

    /// Puts a file of these bytes in the place of `name`, durably and all at once: after a crash there is the old
    /// file or the new one.
    ///
    /// # Errors
    /// The system's error; the old file is untouched then.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut tag = [0_u8; 8];
        fill_random(&mut tag)?;
        let temp = format!(".{name}.{:016x}", u64::from_le_bytes(tag));
        let result = self.write_new(&temp, bytes).and_then(|()| {
            fault::point("renameat")?;
            fs::renameat(&self.fd, &temp, &self.fd, name)?;
            self.sync()
        });
        if result.is_err() {
            let _ = fs::unlinkat(&self.fd, &temp, AtFlags::empty());
        }
        result
    }

    /// As [`PrivateDir::replace`], without waiting for the disk: whoever reads finds the old content or the new, and after
    /// a power cut one of them or an empty file.
    ///
    /// # Errors
    /// The system's error; the old content stands then.
    pub fn replace_lazily(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut tag = [0_u8; 8];
        fill_random(&mut tag)?;
        let temp = format!(".{name}.{:016x}", u64::from_le_bytes(tag));
        let result = self.create_append(&temp).and_then(|file| file.write_all_at(bytes, 0)).and_then(|()| {
            fault::point("renameat")?;
            Ok(fs::renameat(&self.fd, &temp, &self.fd, name)?)
        });
        if result.is_err() {
            let _ = fs::unlinkat(&self.fd, &temp, AtFlags::empty());
        }
        result
    }

    fn write_new(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let file = self.create_append(name)?;
        file.write_all_at(bytes, 0)?;
        file.sync()
    }

    /// Makes a new file; its name must be free. The directory entry is durable after [`PrivateDir::sync`].
    ///
    /// # Errors
    /// `AlreadyExists`, or the system's error.
    pub fn create_append(&self, name: &str) -> io::Result<AppendFile> {
        fault::point("openat")?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDWR;
        Ok(AppendFile { fd: fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o600))? })
    }

    /// Opens a file to read and to write; `None` where there is none.
    ///
    /// # Errors
    /// The system's error.
    pub fn open_file(&self, name: &str) -> io::Result<Option<AppendFile>> {
        let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDWR;
        match fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(AppendFile { fd })),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Bytes of a file, without opening it; 0 where there is none. (Whoever closes a descriptor of a file gives up all
    /// locks that the process has on it, SQLite's too.)
    ///
    /// # Errors
    /// The system's error.
    pub fn len_of(&self, name: &str) -> io::Result<u64> {
        match fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(u64::try_from(stat.st_size).unwrap_or(0)),
            Err(rustix::io::Errno::NOENT) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a file away; missing is fine.
    ///
    /// # Errors
    /// The system's error.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        fault::point("unlinkat")?;
        match fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Renames a file onto a free name.
    ///
    /// # Errors
    /// `AlreadyExists`, or the system's error.
    pub fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        fault::point("renameat2")?;
        Ok(fs::renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE)?)
    }

    /// Renames a file; what has the new name already is replaced.
    ///
    /// # Errors
    /// The system's error.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fault::point("renameat")?;
        Ok(fs::renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Bytes of the file system that this directory is on: in all, and free to this user.
    ///
    /// # Errors
    /// The system's error.
    pub fn disk(&self) -> io::Result<(u64, u64)> {
        let stat = fs::fstatvfs(&self.fd)?;
        Ok((stat.f_blocks.saturating_mul(stat.f_frsize), stat.f_bavail.saturating_mul(stat.f_frsize)))
    }

    /// Makes the directory's entries durable.
    ///
    /// # Errors
    /// The system's error.
    pub fn sync(&self) -> io::Result<()> {
        fault::point("fsync dir")?;
        Ok(fs::fsync(&self.fd)?)
    }

    /// Waits for an exclusive lock on a file of this name (made where missing).
    ///
    /// # Errors
    /// The system's error.
    pub fn lock(&self, name: &str) -> io::Result<FileLock> {
        self.lock_with(name, FlockOperation::LockExclusive).map(|lock| FileLock { _fd: lock })
    }

    /// Waits for a lock on a file of this name (made where missing) that many may hold at once, but none beside an
    /// exclusive one.
    ///
    /// # Errors
    /// The system's error.
    pub fn lock_shared(&self, name: &str) -> io::Result<FileLock> {
        self.lock_with(name, FlockOperation::LockShared).map(|lock| FileLock { _fd: lock })
    }

    /// An exclusive lock on a file of this name, if nobody holds it.
    ///
    /// # Errors
    /// The system's error.
    pub fn try_lock(&self, name: &str) -> io::Result<Option<FileLock>> {
        match self.lock_with(name, FlockOperation::NonBlockingLockExclusive) {
            Ok(fd) => Ok(Some(FileLock { _fd: fd })),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn lock_with(&self, name: &str, operation: FlockOperation) -> io::Result<OwnedFd> {
        let flags = OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDWR;
        let fd = fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o600))?;
        loop {
            match fs::flock(&fd, operation) {
                Ok(()) => return Ok(fd),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for PrivateDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AppendFile {
    /// Bytes in it.
    ///
    /// # Errors
    /// The system's error.
    pub fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(fs::fstat(&self.fd)?.st_size).unwrap_or(0))
    }

    /// Whether there are none.
    ///
    /// # Errors
    /// The system's error.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// The system's error; part of it may be written.
    pub fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        fault::point("pwrite")?;
        while !bytes.is_empty() {
            match rustix::io::pwrite(&self.fd, bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(done) => {
                    bytes = bytes.get(done..).unwrap_or_default();
                    offset += done as u64;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads up to `out.len()` bytes at `offset`; fewer only at the end of the file.
    ///
    /// # Errors
    /// The system's error.
    pub fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut got = 0;
        while got < out.len() {
            match rustix::io::pread(&self.fd, out.get_mut(got..).unwrap_or_default(), offset + got as u64) {
                Ok(0) => break,
                Ok(more) => got += more,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(got)
    }

    /// Fills `out` from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` where the file ends before; else the system's error.
    pub fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        if self.read_at(out, offset)? == out.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Reserves zeroed space and makes the file at least `len` bytes long, so that later syncs within it carry data
    /// only, no metadata. Falls back to a longer file without reserved space where the file system has no `fallocate`.
    ///
    /// # Errors
    /// The system's error, `StorageFull` among them.
    pub fn preallocate(&self, len: u64) -> io::Result<()> {
        fault::point("fallocate")?;
        match fs::fallocate(&self.fd, FallocateFlags::empty(), 0, len) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) if self.len()? < len => {
                Ok(fs::ftruncate(&self.fd, len)?)
            }
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Cuts or grows the file to `len` bytes.
    ///
    /// # Errors
    /// The system's error.
    pub fn truncate(&self, len: u64) -> io::Result<()> {
        fault::point("ftruncate")?;
        Ok(fs::ftruncate(&self.fd, len)?)
    }

    /// Has the kernel begin to write some of its bytes to the disk, without a wait: they are durable after a later
    /// [`AppendFile::sync`], which then waits less. What goes wrong shows there.
    pub fn begin_writing(&self, offset: u64, len: u64) {
        crate::mutate::begin_writing(self.fd.as_fd(), offset, len);
    }

    /// Makes its bytes durable (`fdatasync`). An error here is final: the kernel may have thrown the pages away, and
    /// a second call would lie.
    ///
    /// # Errors
    /// The system's error.
    pub fn sync(&self) -> io::Result<()> {
        fault::point("fdatasync")?;
        Ok(fs::fdatasync(&self.fd)?)
    }

    /// Takes an exclusive lock on the file itself, if nobody has one; held until every handle on it is closed.
    ///
    /// # Errors
    /// The system's error.
    pub fn try_lock(&self) -> io::Result<bool> {
        match fs::flock(&self.fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make their trees by path")]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_the_old_or_the_new_and_private() {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open_or_create(&home.path().join("a/b")).unwrap();
        dir.replace("x", b"one").unwrap();
        dir.replace("x", b"two").unwrap();
        assert_eq!(dir.read("x", 10).unwrap().unwrap(), b"two");
        assert_eq!(dir.names().unwrap(), ["x"]);
        assert!(dir.read("x", 2).is_err());
        assert!(dir.read("y", 2).unwrap().is_none());
    }

    #[test]
    fn a_directory_that_others_may_write_in_is_not_ours() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(PrivateDir::open(home.path()).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_lock_is_held_by_one() {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open(home.path()).unwrap();
        let held = dir.lock("l").unwrap();
        assert!(dir.try_lock("l").unwrap().is_none());
        drop(held);
        assert!(dir.try_lock("l").unwrap().is_some());
    }
}
