//! A tree as it is, to be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// What can be seen of each entry, by its path; which files are one, and not their numbers, which an overlay without an
/// index changes.
pub(super) fn of(root: &Path) -> BTreeMap<Vec<u8>, String> {
    let mut all = BTreeMap::new();
    let mut names = BTreeMap::new();
    walk(root, Path::new(""), &mut names, &mut all);
    for group in names.into_values() {
        for path in &group {
            all.get_mut(path).unwrap().push_str(&format!(" one of {group:?}"));
        }
    }
    all
}

type Names = BTreeMap<(u64, u64), BTreeSet<Vec<u8>>>;

fn walk(root: &Path, at: &Path, names: &mut Names, all: &mut BTreeMap<Vec<u8>, String>) {
    let path = if at.as_os_str().is_empty() { root.to_owned() } else { root.join(at) };
    let about = path.symlink_metadata().unwrap();
    let kind = about.file_type();
    let closed = about.mode() & 0o500 != 0o500 && kind.is_dir();
    let mut said =
        format!("{:o} {}:{} {}.{}", about.mode(), about.uid(), about.gid(), about.mtime(), about.mtime_nsec());
    if kind.is_dir() && closed {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
    }
    if !kind.is_dir() {
        said += &format!(" size {} blocks {}", about.size(), about.blocks());
        let group: &mut BTreeSet<_> = names.entry((about.dev(), about.ino())).or_default();
        group.insert(at.as_os_str().as_bytes().to_vec());
    }
    if kind.is_file() && about.mode() & 0o400 != 0 {
        said += &format!(
            " content {:?}",
            std::fs::read(&path).unwrap().iter().fold(7_u64, |h, &b| h.wrapping_mul(31) + u64::from(b))
        );
    }
    if kind.is_symlink() {
        said += &format!(" to {:?}", std::fs::read_link(&path).unwrap());
    }
    let mut list = vec![0_u8; 4096];
    let length = rustix::fs::llistxattr(&path, list.as_mut_slice()).unwrap_or(0);
    let mut attributes: Vec<_> = list[..length].split(|&b| b == 0).filter(|n| !n.is_empty()).collect();
    attributes.sort();
    for name in attributes {
        let mut value = vec![0_u8; 4096];
        let length = rustix::fs::lgetxattr(&path, name, value.as_mut_slice()).unwrap();
        said += &format!(" {}={:?}", String::from_utf8_lossy(name), &value[..length]);
    }
    assert!(!kind.is_block_device());
    all.insert(at.as_os_str().as_bytes().to_vec(), said);
    if kind.is_dir() {
        let entries: Vec<_> = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        for name in entries {
            walk(root, &at.join(name), names, all);
        }
        if closed {
            std::fs::set_permissions(&path, about.permissions()).unwrap();
        }
    }
}
