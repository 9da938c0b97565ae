//! Uppers that no overlay would write: what lies on the disk may be anything.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod common;

use common::*;

use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use raincoat_draft::{Draft, ItemKind};
use raincoat_os::{Root, overlay, scratch};

fn whiteout(made: &Made, path: &str) {
    let at = made.place.join("upper").join(path);
    let parent = Root::open(at.parent().unwrap()).unwrap();
    overlay::make_whiteout(parent.as_fd(), at.file_name().unwrap().as_encoded_bytes()).unwrap();
}

#[test]
fn whiteouts_of_both_kinds_take_away_and_only_what_is_there() {
    let home = Home::new();
    for name in ["a", "b", "d/x", "kept", "x/f"] {
        home.put(name, name);
    }
    let made = home.draft(&[]);
    let upper = made.place.join("upper");
    whiteout(&made, "a");
    whiteout(&made, "nothing");
    whiteout(&made, "d");
    std::fs::write(upper.join("b"), "").unwrap();
    scratch::set_xattr(&upper.join("b"), "user.overlay.whiteout", b"").unwrap();
    std::fs::create_dir(upper.join("x")).unwrap();
    scratch::set_xattr(&upper.join("x"), "user.overlay.opaque", b"x").unwrap();
    let found = scan(&made.draft);
    assert_eq!(files(&found), ["gone d/x", "gone d", "gone b", "gone a"]);
}

#[test]
fn an_opaque_directory_hides_only_its_own() {
    let home = Home::new();
    for name in ["d/a", "d/b", "d/e/f", "d/e/g", "d/t"] {
        home.put(name, name);
    }
    let made = home.draft(&[]);
    let upper = made.place.join("upper");
    std::fs::create_dir_all(upper.join("d/e")).unwrap();
    std::fs::create_dir_all(upper.join("d/t")).unwrap();
    scratch::set_xattr(&upper.join("d"), "user.overlay.opaque", b"y").unwrap();
    std::fs::write(upper.join("d/a"), "new").unwrap();
    std::fs::write(upper.join("d/e/g"), "new").unwrap();
    let found = scan(&made.draft);
    let wanted = ["gone d/e/f", "gone d/b", "content+meta d/a", "content+meta d/e/g", "other d/t"];
    assert_eq!(files(&found), wanted);
}

#[test]
fn symlinks_are_never_followed_on_either_side() {
    let home = Home::new();
    let outside = home.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "s").unwrap();
    home.put("d/f", "f");
    symlink(&outside, home.at("l")).unwrap();
    let made = home.draft(&[]);
    let upper = made.place.join("upper");
    symlink(&outside, upper.join("d")).unwrap();
    std::fs::create_dir(upper.join("l")).unwrap();
    std::fs::write(upper.join("l/secret"), "mine").unwrap();
    let found = scan(&made.draft);
    assert_eq!(files(&found), ["gone d/f", "other d", "other l", "new l/secret"]);
    assert_eq!(item(&found, "l/secret").before, None, "the folder's `l` is a link, not a way");
}

#[test]
fn devices_are_told_and_not_opened() {
    let home = Home::new();
    let made = home.draft(&[]);
    let upper = made.place.join("upper");
    let made_node = Command::new("mknod").arg(upper.join("null")).args(["c", "1", "3"]).status().unwrap().success();
    let fifo = Command::new("mkfifo").arg(upper.join("fifo")).status().unwrap();
    assert!(fifo.success());
    let found = scan(&made.draft);
    // Only root may make a device.
    assert_eq!(files(&found).len(), 1 + usize::from(made_node));
    assert!(found.items.iter().all(|item| matches!(item.kind, ItemKind::Special(_)) || item.path.is_root()));
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_found() {
    // As root everything can be read: then the test runs as nobody.
    let home = Home::new();
    if raincoat_os::mutate::me().0 == 0 && std::env::var("AS_NOBODY").is_err() {
        let exe = std::env::current_exe().unwrap();
        let copy = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap();
        std::fs::copy(&exe, copy.path().join("test")).unwrap();
        let output = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(copy.path().join("test"))
            .args(["--exact", "what_cannot_be_read_is_told_and_the_rest_is_found"])
            .env("AS_NOBODY", "1")
            .output()
            .expect("`setpriv` of util-linux must be installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    home.put("f", "aaaa");
    home.put("seen", "x");
    let made = home.draft(&[]);
    home.sh(&made, "mkdir locked; echo x > locked/x; chmod 0 locked; echo y > seen; chmod 0 f; echo z > n; chmod 0 n");
    let found = made.draft.scan(Default::default()).unwrap();
    assert_eq!(files(&found), ["content+meta f", "new locked", "new n", "content+meta seen"]);
    let troubles: Vec<_> = found.troubles.iter().map(|trouble| trouble.path.display()).collect();
    assert_eq!(troubles, ["f", "locked"]);
    assert!(made.draft.read_after(item(&found, "n"), 10).is_err());
    home.drafts().wipe_draft(made.draft).unwrap();
}

fn scan(draft: &Draft) -> raincoat_draft::Scan {
    let found = draft.scan(Default::default()).unwrap();
    assert_eq!(found.troubles, []);
    found
}
