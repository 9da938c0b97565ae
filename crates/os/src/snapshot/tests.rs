//! A change of each kind, and that it is seen.

#![expect(clippy::disallowed_methods, reason = "tests make and change trees by path")]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::*;
use crate::scratch;

/// A tree with one of each kind, every time in it long past.
fn tree() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("root");
    std::fs::create_dir_all(root.join("dir/deep")).unwrap();
    std::fs::write(root.join("plain"), b"hello").unwrap();
    std::fs::write(root.join("dir/other"), b"hello").unwrap();
    std::fs::write(root.join(OsStr::from_bytes(b"not\xffutf8\n")), b"odd").unwrap();
    std::fs::hard_link(root.join("plain"), root.join("dir/linked")).unwrap();
    symlink("nowhere", root.join("link")).unwrap();
    symlink("dir", root.join("dirlink")).unwrap();
    let sparse = std::fs::File::create(root.join("sparse")).unwrap();
    sparse.set_len(1 << 20).unwrap();
    sparse.write_all_at(b"data", 1 << 19).unwrap();
    fs::mknodat(fs::CWD, root.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    drop(std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap());
    let names = [&b"plain"[..], b"dir/other", b"not\xffutf8\n", b"link", b"sparse", b"fifo", b"dir/deep", b"dir", b""];
    for name in names {
        age(&root.join(OsStr::from_bytes(name)), 0);
    }
    (home, root)
}

fn age(path: &Path, nanos: u32) {
    let time = Timestamp { secs: 1_000_000_000, nanos };
    scratch::set_times(path, time, time).unwrap();
}

/// What is seen of `change`; the times of `touched` are put back after it, so that only the change itself is seen.
fn seen(touched: &[&str], change: impl FnOnce(&Path)) -> Vec<(String, Aspect)> {
    let (_home, root) = tree();
    let before = Snapshot::take(&root).unwrap();
    assert_eq!(before.differences(&Snapshot::take(&root).unwrap()), []);
    change(&root);
    for name in touched {
        age(&root.join(name), 0);
    }
    let differences = before.differences(&Snapshot::take(&root).unwrap());
    differences.iter().map(|one| (display_bytes(&one.path), one.what)).collect()
}

fn one(path: &str, what: Aspect) -> Vec<(String, Aspect)> {
    vec![(path.to_owned(), what)]
}

#[test]
fn every_kind_is_read_and_none_is_followed_or_opened() {
    let (_home, root) = tree();
    let snapshot = Snapshot::take(&root).unwrap();
    let kind = |name: &[u8]| snapshot.entries()[name].kind;
    assert_eq!(snapshot.count(), 11);
    assert_eq!(snapshot.bytes(), 5 + 5 + 3 + (1 << 20));
    assert_eq!(kind(b""), EntryKind::Dir);
    assert_eq!(kind(b"dirlink"), EntryKind::Symlink);
    assert_eq!(kind(b"fifo"), EntryKind::Fifo);
    assert_eq!(kind(b"socket"), EntryKind::Socket);
    assert_eq!(kind(b"not\xffutf8\n"), EntryKind::File);
    assert_eq!(snapshot.entries()[&b"link"[..]].target.as_deref(), Some(&b"nowhere"[..]));
    assert_eq!(snapshot.entries()[&b"plain"[..]].first_name, b"dir/linked");
    assert_eq!(snapshot.entries()[&b"plain"[..]].digest.unwrap().0, *blake3::hash(b"hello").as_bytes());
    assert!(snapshot.unreadable().next().is_none());
}

#[test]
fn a_changed_byte_is_seen_at_the_same_size_and_time() {
    let seen = seen(&["dir/other"], |root| std::fs::write(root.join("dir/other"), b"hellO").unwrap());
    assert_eq!(seen, one("dir/other", Aspect::Content));
}

#[test]
fn a_changed_size_is_seen() {
    let seen = seen(&["dir/other"], |root| std::fs::write(root.join("dir/other"), b"hello!").unwrap());
    assert_eq!(seen, [("dir/other".into(), Aspect::Size), ("dir/other".into(), Aspect::Content)]);
}

#[test]
fn a_mode_is_seen() {
    let seen = seen(&[], |root| {
        std::fs::set_permissions(root.join("dir/other"), std::fs::Permissions::from_mode(0o4751)).unwrap();
    });
    assert_eq!(seen, one("dir/other", Aspect::Mode));
}

#[test]
fn an_owner_is_seen() {
    if !rustix::process::geteuid().is_root() {
        panic!("this test changes an owner: run the tests as root");
    }
    let seen = seen(&[], |root| {
        std::os::unix::fs::lchown(root.join("link"), Some(12), None).unwrap();
        std::os::unix::fs::lchown(root.join("dir"), None, Some(34)).unwrap();
    });
    assert_eq!(seen, [("dir".into(), Aspect::Owner), ("link".into(), Aspect::Owner)]);
}

#[test]
fn a_nanosecond_is_seen_of_files_directories_and_links() {
    for name in ["dir/other", "dir", "", "link", "fifo"] {
        assert_eq!(seen(&[], |root| age(&root.join(name), 1)), one(name, Aspect::ModificationTime));
    }
}

#[test]
fn an_entry_that_came_or_went_is_seen() {
    let gone = seen(&["dir"], |root| std::fs::remove_dir(root.join("dir/deep")).unwrap());
    assert_eq!(gone, one("dir/deep", Aspect::Existence));
    let came = seen(&["dir"], |root| std::fs::write(root.join("dir/new"), b"").unwrap());
    assert_eq!(came, one("dir/new", Aspect::Existence));
}

#[test]
fn a_file_in_a_links_place_is_seen() {
    let seen = seen(&["", "link"], |root| {
        std::fs::remove_file(root.join("link")).unwrap();
        std::fs::write(root.join("link"), b"nowhere").unwrap();
        std::fs::set_permissions(root.join("link"), std::fs::Permissions::from_mode(0o777)).unwrap();
    });
    assert_eq!(seen, one("link", Aspect::Kind));
}

#[test]
fn a_links_other_target_of_the_same_length_is_seen() {
    let seen = seen(&["", "link"], |root| {
        std::fs::remove_file(root.join("link")).unwrap();
        symlink("nowherf", root.join("link")).unwrap();
        age(&root.join("link"), 0);
    });
    assert_eq!(seen, one("link", Aspect::Target));
}

#[test]
fn a_filled_hole_is_seen_though_the_bytes_are_the_same() {
    let seen = seen(&["sparse"], |root| {
        let file = std::fs::OpenOptions::new().write(true).open(root.join("sparse")).unwrap();
        file.write_all_at(&vec![0; 1 << 16], 0).unwrap();
        file.sync_all().unwrap();
    });
    assert_eq!(seen, one("sparse", Aspect::Holes));
}

#[test]
fn a_broken_hard_link_is_seen_on_both_names() {
    let seen = seen(&["dir", "plain", "dir/linked"], |root| {
        std::fs::remove_file(root.join("dir/linked")).unwrap();
        std::fs::write(root.join("dir/linked"), b"hello").unwrap();
    });
    assert_eq!(seen, [("dir/linked".into(), Aspect::HardLinks), ("plain".into(), Aspect::HardLinks)]);
}

#[test]
fn a_name_that_moved_to_another_inode_is_seen() {
    // `dir/linked` joins `dir/other` where it was `plain`: as many inodes, as many links, another grouping.
    let seen = seen(&["dir"], |root| {
        std::fs::remove_file(root.join("dir/linked")).unwrap();
        std::fs::hard_link(root.join("dir/other"), root.join("dir/linked")).unwrap();
    });
    let names: Vec<_> = seen.iter().map(|(path, what)| (path.as_str(), *what)).collect();
    assert_eq!(names, [("dir/other", Aspect::HardLinks), ("plain", Aspect::HardLinks)]);
}

#[test]
fn an_extended_attribute_is_seen() {
    let seen = seen(&[], |root| {
        scratch::set_xattr(&root.join("dir/other"), "user.note", b"x").unwrap();
        scratch::set_xattr(&root.join("dir"), "user.note", &[7; 3000]).unwrap();
    });
    assert_eq!(seen, [("dir".into(), Aspect::Xattrs), ("dir/other".into(), Aspect::Xattrs)]);
}

#[test]
fn an_acl_is_seen() {
    let acl = scratch::acl_with_user(0o6, 65_534, 0o4, 0o4, 0o4);
    let mut settable = true;
    let seen = seen(&[], |root| {
        settable = scratch::set_xattr(&root.join("dir/other"), "system.posix_acl_access", &acl).is_ok();
    });
    if settable {
        assert_eq!(seen, one("dir/other", Aspect::Xattrs));
    } else {
        panic!("no ACL could be set: test on a file system that keeps ACLs");
    }
}

#[test]
fn a_socket_in_a_fifos_place_is_seen() {
    let seen = seen(&[""], |root| {
        std::fs::remove_file(root.join("fifo")).unwrap();
        drop(std::os::unix::net::UnixListener::bind(root.join("fifo")).unwrap());
        std::fs::set_permissions(root.join("fifo"), std::fs::Permissions::from_mode(0o600)).unwrap();
        age(&root.join("fifo"), 0);
    });
    assert_eq!(seen, one("fifo", Aspect::Kind));
}

#[test]
fn another_device_number_is_seen() {
    let (_home, root) = tree();
    let node = |minor: u32| {
        let device = fs::makedev(1, minor);
        fs::mknodat(fs::CWD, root.join("node"), FileType::CharacterDevice, Mode::from_raw_mode(0o600), device)
    };
    if node(3).is_err() {
        panic!("this test makes device nodes: run the tests as root");
    }
    age(&root.join("node"), 0);
    age(&root, 0);
    let before = Snapshot::take(&root).unwrap();
    std::fs::remove_file(root.join("node")).unwrap();
    node(5).unwrap();
    age(&root.join("node"), 0);
    age(&root, 0);
    let differences = before.differences(&Snapshot::take(&root).unwrap());
    assert_eq!(differences.iter().map(|one| one.what).collect::<Vec<_>>(), [Aspect::Device]);
    assert_eq!(differences[0].to_string(), "`node`: the device was 1:3, is 1:5");
}

#[test]
fn looking_leaves_access_times_alone() {
    let (_home, root) = tree();
    let first = Snapshot::take(&root).unwrap();
    let second = Snapshot::take(&root).unwrap();
    for (path, entry) in first.entries() {
        // Reading a link's target has no way to leave its time alone.
        if entry.kind != EntryKind::Symlink {
            assert_eq!(entry.atime, second.entries()[path].atime, "{}", display_bytes(path));
        }
    }
    assert_eq!(first.entries()[&b"dir"[..]].atime.secs, 1_000_000_000);
}

#[test]
fn a_tree_deeper_than_a_path_may_be_is_read() {
    let home = tempfile::tempdir().unwrap();
    let mut dir = fs::open(home.path(), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
    let name = "d".repeat(200);
    for _ in 0..60 {
        fs::mkdirat(&dir, &name, Mode::from_raw_mode(0o700)).unwrap();
        dir = fs::openat(&dir, &name, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let snapshot = Snapshot::take(home.path()).unwrap();
    assert_eq!(snapshot.count(), 60);
    assert_eq!(snapshot.entries().keys().map(Vec::len).max().unwrap(), 60 * 201 - 1);
}

#[test]
fn a_file_that_may_not_be_read_is_told_apart() {
    if rustix::process::geteuid().is_root() {
        eprintln!("root may read everything, so this test has nothing to see");
        return;
    }
    let (_home, root) = tree();
    std::fs::set_permissions(root.join("dir/other"), std::fs::Permissions::from_mode(0o000)).unwrap();
    let snapshot = Snapshot::take(&root).unwrap();
    assert_eq!(snapshot.unreadable().collect::<Vec<_>>(), [b"dir/other"]);
    assert_eq!(snapshot.entries()[&b"dir/other"[..]].size, 5);
    std::fs::set_permissions(root.join("dir/other"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let what: Vec<_> = snapshot.differences(&Snapshot::take(&root).unwrap()).iter().map(|one| one.what).collect();
    assert!(what.contains(&Aspect::Content), "what could not be compared is not called the same: {what:?}");
}

#[test]
fn a_missing_root_says_so() {
    let error = Snapshot::take(Path::new("/nowhere/at/all")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().starts_with("cannot read `.`"), "{error}");
}

#[test]
fn a_recent_change_has_a_recent_time() {
    let (_home, root) = tree();
    std::fs::write(root.join("plain"), b"hello").unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let snapshot = Snapshot::take(&root).unwrap();
    let mtime = snapshot.entries()[&b"plain"[..]].mtime;
    let age = now.abs_diff(Duration::new(mtime.secs.unsigned_abs(), mtime.nanos));
    assert!(age < Duration::from_secs(60), "{age:?}");
}
