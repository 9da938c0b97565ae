//! Which other file systems lie within a folder.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};

use crate::state;

/// Bytes of the table of mounts that are read: some ten thousand mounts.
const MOST: usize = 4 << 20;

/// The places beneath a folder, not the folder itself, where other file systems are mounted. The table is the
/// kernel's (proc_pid_mountinfo(5)), so the cost is that of the mounts, not of the folder.
///
/// # Errors
/// The system's error; `InvalidData` where the table is longer than 4 MiB.
pub fn mounts_beneath(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let fd = open(c"/proc/self/mountinfo", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut table = Vec::new();
    let mut part = vec![0_u8; 64 << 10];
    loop {
        let got = state::read_at(fd.as_fd(), &mut part, table.len() as u64)?;
        if got == 0 {
            return Ok(beneath(&table, folder));
        }
        table.extend_from_slice(part.get(..got).unwrap_or_default());
        if table.len() > MOST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the table of mounts is too long"));
        }
    }
}

fn beneath(table: &[u8], folder: &Path) -> Vec<PathBuf> {
    let fields = table.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    let mut found: Vec<PathBuf> = fields
        .map(|field| PathBuf::from(OsString::from_vec(plain(field))))
        .filter(|path| path.starts_with(folder) && path.as_os_str().as_bytes() != folder.as_os_str().as_bytes())
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Blank, tab, line feed and backslash stand there as a backslash and three octal digits.
fn plain(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits =
            after.get(..3).filter(|digits| *first == b'\\' && digits.iter().all(|d| (b'0'..=b'7').contains(d)));
        match digits {
            Some(digits) => {
                out.push(digits.iter().fold(0_u8, |sum, digit| (sum << 3) | (digit - b'0')));
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_found_beneath_a_folder_and_not_beside_it() {
        let table = b"21 1 8:1 / / rw - ext4 /dev/sda rw\n22 21 0:4 / /home/u/My\\040Disk rw - vfat /dev/sdb rw\n\
            23 21 0:5 / /home/u rw - ext4 /dev/sdc rw\n24 21 0:6 / /home/user2/x rw - tmpfs t rw\n";
        assert_eq!(beneath(table, Path::new("/home/u")), [PathBuf::from("/home/u/My Disk")]);
        assert_eq!(beneath(table, Path::new("/")).len(), 3);
        assert!(beneath(table, Path::new("/srv")).is_empty());
    }

    #[test]
    fn the_kernels_own_table_is_read() {
        assert!(mounts_beneath(Path::new("/")).unwrap().contains(&PathBuf::from("/proc")));
    }
}
