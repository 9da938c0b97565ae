//! What a scan finds of what programs did over a real overlay.
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

use raincoat_draft::{ItemKind, ReadError};
use raincoat_os::overlay::Node;
use raincoat_types::FileKind;

#[test]
fn each_kind_of_change_is_found_and_nothing_else() {
    let home = Home::new();
    for name in ["same", "read", "content", "mode", "gone", "touched", "d/keep", "d/gone", "e/f/g", "e/h", "t/x"] {
        home.put(name, name);
    }
    home.put("tofile/a", "a");
    home.put("tofile/b/c", "c");
    home.put("todir", "x");
    std::os::unix::fs::symlink("same", home.at("link")).unwrap();
    let made = home.draft(&[]);
    home.sh(
        &made,
        "cat read; echo more >> content; chmod 600 mode; rm gone; : >> touched; python3 -c \"open('same','r+')\"
         rm d/gone; rm -r e; mkdir new; echo n > new/n; ln -sfn content link; ln -s nowhere new/l
         rm -r tofile; echo f > tofile; rm todir; mkdir todir; echo i > todir/inner
         rm -r t; mkdir t; echo y > t/y",
    );
    let scan = scan(&made.draft);
    assert_eq!(scan.troubles, []);
    let wanted = [
        "gone tofile/b/c",
        "gone tofile/b",
        "gone tofile/a",
        "gone t/x",
        "gone gone",
        "gone e/h",
        "gone e/f/g",
        "gone e/f",
        "gone e",
        "gone d/gone",
        "content+meta content",
        "content+meta link",
        "+meta mode",
        "new new",
        "new new/l",
        "new new/n",
        "new t/y",
        "other todir",
        "new todir/inner",
        "other tofile",
    ];
    assert_eq!(files(&scan), wanted);
    assert_eq!(item(&scan, "new/l").after.as_ref().unwrap().target.as_deref(), Some(b"nowhere".as_slice()));
}

#[test]
fn applied_in_their_order_the_items_give_what_the_program_saw() {
    let home = Home::new();
    for name in ["a", "b", "c", "d/e/f", "d/e/g", "d/h", "w/x/y"] {
        home.put(name, name);
    }
    let made = home.draft(&[]);
    home.sh(
        &made,
        "rm -r d; echo d > d; rm a; mkdir a; echo i > a/i; ln a/i a/j; ln a/i linked; rm c; ln a/i c
         mv w/x/y moved; rmdir w/x; truncate -s 1M sparse; setfattr -n user.k -v v b; chmod 555 a
         touch -d 2001-01-01 w; cp -aT . \"$OUT\"",
    );
    let scan = scan(&made.draft);
    let tree = home.dir.path().join("tree");
    copy(&home.folder(), &tree);
    apply(&made, &scan, &tree);
    assert_eq!(differences(&home.dir.path().join("out"), &tree, &[]), Vec::<String>::new());
}

#[test]
fn links_name_their_leader_and_come_after_it() {
    let home = Home::new();
    home.put("z", "z");
    home.put("same", "same");
    let made = home.draft(&[]);
    home.sh(&made, "echo more >> z; ln z a; ln same b; echo n > n1; ln n1 m1; ln n1 o1");
    let scan = scan(&made.draft);
    assert_eq!(files(&scan), ["new m1", "+meta same", "content+meta z", "new a", "new b", "new n1", "new o1"]);
    let leader = |path: &str| scan.groups[item(&scan, path).links.unwrap().group.unwrap()].leader.display();
    assert_eq!([leader("a"), leader("z"), leader("b"), leader("n1")], ["z", "z", "same", "m1"]);
    assert_eq!(item(&scan, "o1").links.unwrap().draft_names, 3);
}

#[test]
fn names_that_became_one_inode_are_told_though_they_look_the_same() {
    let home = Home::new();
    home.put("a", "x");
    home.put("b", "x");
    std::process::Command::new("touch").args(["-d", "2001-01-01"]).args([home.at("a"), home.at("b")]).status().unwrap();
    let made = home.draft(&[]);
    home.sh(&made, "ln -f a b");
    let scan = scan(&made.draft);
    assert_eq!(files(&scan), ["+meta a", "+meta b"]);
    assert_eq!(scan.groups[0].leader, rel("a"));
}

#[test]
fn special_files_are_listed_and_never_opened() {
    let home = Home::new();
    home.put("f", "f");
    let made = home.draft(&[]);
    let socket = "import socket; socket.socket(socket.AF_UNIX).bind('sock')";
    home.sh(&made, &format!("mkfifo fifo; python3 -c \"{socket}\"; rm f; mkfifo f"));
    let scan = scan(&made.draft);
    assert_eq!(files(&scan), ["special f", "special fifo", "special sock"]);
    assert_eq!(item(&scan, "fifo").kind, ItemKind::Special(Node::Fifo));
    assert_eq!(item(&scan, "sock").kind, ItemKind::Special(Node::Socket));
    assert!(scan.items.iter().filter(|i| i.path != rel("")).all(|item| !item.can_be_committed()));
    assert!(matches!(made.draft.read_after(item(&scan, "fifo"), 10), Err(ReadError::NoFile)));
}

// A program that sets the overlay's own attributes, or makes its whiteouts, forges nothing: the overlay keeps them under
// other names, or refuses.
#[test]
fn forged_markers_are_ordinary_attributes() {
    let home = Home::new();
    home.put("d/f", "f");
    home.put("g", "g");
    let made = home.draft(&[]);
    home.sh(
        &made,
        "setfattr -n user.overlay.opaque -v y d || true; setfattr -n user.overlay.whiteout -v y g || true
         setfattr -n user.overlay.origin -v x g || true; mknod w c 0 0 2>/dev/null && exit 9; true",
    );
    let scan = scan(&made.draft);
    assert!(told(&scan).iter().all(|line| line.starts_with("+meta")), "{:?}", told(&scan));
    let names: Vec<_> = scan.items.iter().flat_map(|item| &item.after.as_ref().unwrap().xattrs).collect();
    assert!(names.iter().all(|xattr| xattr.name.starts_with(b"user.overlay.")));
    assert_eq!(item(&scan, "g").before.as_ref().unwrap().stat.size, 1);
}

#[test]
fn hidden_names_do_not_exist_inside_and_are_not_taken_away() {
    let home = Home::new();
    for name in [".env", ".secrets", ".config/gh/hosts.yml", ".config/gh/config.yml", ".config/app", "f"] {
        home.put(name, name);
    }
    let made = home.draft(&[".env", ".config/gh/hosts.yml", ".config/none", "missing/x"]);
    let masked: Vec<_> = made.draft.record().folders[0].masked.iter().map(|path| path.display()).collect();
    assert_eq!(masked, [".config/gh/hosts.yml", ".env", ".secrets"]);
    let out =
        home.sh(&made, "find . -type f | sort; test ! -e .env; stat -c %a .config; echo mine > .env; rm -r .config");
    let out = String::from_utf8(out.stdout).unwrap();
    assert_eq!(out.lines().collect::<Vec<_>>(), ["./.config/app", "./.config/gh/config.yml", "./f", "755"]);
    let scan = scan(&made.draft);
    let wanted = [
        "gone .config/gh/hosts.yml masked",
        "gone .config/gh/config.yml",
        "gone .config/gh",
        "gone .config/app",
        "gone .config",
        "content+meta .env masked",
    ];
    assert_eq!(files(&scan), wanted);
}

#[test]
fn untouched_files_and_copies_that_were_not_changed_are_no_items() {
    let home = Home::new();
    home.put("d/a", vec![7; 100_000]);
    home.put("b", "b");
    let made = home.draft(&[]);
    home.sh(&made, "python3 -c \"open('d/a', 'r+'); open('b', 'a')\"; cat d/a b > /dev/null; chmod 600 b; chmod 644 b");
    assert_eq!(told(&scan(&made.draft)), Vec::<String>::new());
}

#[test]
fn content_is_told_where_size_and_times_are_the_same() {
    let home = Home::new();
    home.put("f", "aaaa");
    home.put("t", "aaaa");
    let made = home.draft(&[]);
    home.sh(&made, "touch -r f stamp; printf bbbb > f; touch -r stamp f; rm stamp; touch t");
    let mut scan = scan(&made.draft);
    assert_eq!(files(&scan), ["content f", "content+meta t"]);
    for item in &mut scan.items {
        made.draft.digest(item).unwrap();
    }
    assert_eq!(files(&scan), ["content f", "+meta t"], "the digest tells that only the time changed");
    assert_eq!(item(&scan, "f").after.as_ref().unwrap().digest.unwrap().0, *blake3::hash(b"bbbb").as_bytes());
}

#[test]
fn reading_is_bounded_and_notices_changes() {
    let home = Home::new();
    home.put("f", "old");
    let made = home.draft(&[]);
    home.sh(&made, "printf newer > f");
    let scan = scan(&made.draft);
    let f = item(&scan, "f");
    assert_eq!(made.draft.read_after(f, 10).unwrap(), b"newer");
    assert_eq!(made.draft.read_before(f, 10).unwrap(), b"old");
    assert!(matches!(made.draft.read_after(f, 4), Err(ReadError::TooLarge { size: 5, max: 4 })));
    let upper = made.place.join("upper/f");
    std::fs::write(&upper, "other").unwrap();
    assert!(matches!(made.draft.read_after(f, 10), Err(ReadError::Changed)));
    assert!(!made.draft.quiescent(f).unwrap());
    std::fs::remove_file(&upper).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &upper).unwrap();
    assert!(matches!(made.draft.read_after(f, 10_000), Err(ReadError::Changed | ReadError::System(_))));
}

// C1: a file that the program has open to write is not taken.
#[test]
fn a_file_that_is_being_written_does_not_rest() {
    use std::io::{BufRead, BufReader, Write};
    let home = Home::new();
    home.put("busy", "b");
    home.put("mapped", "m");
    home.put("rests", "r");
    let made = home.draft(&[]);
    let script = "
import mmap, sys
rests = open('rests', 'a'); rests.write('x'); rests.close()
busy = open('busy', 'a'); busy.write('x'); busy.flush()
f = open('mapped', 'r+b'); m = mmap.mmap(f.fileno(), 0); m[0] = 65; f.close()
open('new', 'w').close(); new = open('new')
print('ready', flush=True); sys.stdin.readline(); busy.close(); m.close()
print('done', flush=True); sys.stdin.readline()";
    let mut child = home
        .overlay(&made, &["python3", "-c", script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n", "python3 must be installed");
    let first = scan(&made.draft);
    let rests = |scan: &raincoat_draft::Scan, path| made.draft.quiescent(item(scan, path)).unwrap();
    let all = |scan| ["busy", "mapped", "rests", "new"].map(|path| rests(scan, path));
    assert_eq!(all(&first), [false, false, true, true]);
    child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    out.read_line(&mut line).unwrap();
    assert_eq!(all(&scan(&made.draft)), [true; 4]);
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[test]
fn a_folder_that_is_another_one_now_is_refused() {
    let home = Home::new();
    let made = home.draft(&[]);
    std::fs::rename(home.folder(), home.dir.path().join("away")).unwrap();
    assert!(made.draft.scan(Default::default()).is_err());
    std::fs::create_dir(home.folder()).unwrap();
    let words = made.draft.scan(Default::default()).unwrap_err().to_string();
    assert!(words.contains("is not the one"), "{words}");
}

#[test]
fn a_scan_stops_at_its_limit_and_says_so() {
    let home = Home::new();
    let made = home.draft(&[]);
    home.sh(&made, "for n in 1 2 3 4 5 6; do echo > $n; done");
    let scan = made.draft.scan(raincoat_draft::ScanLimits { items: 3, troubles: 1 }).unwrap();
    assert!(scan.cut);
    assert_eq!(scan.items.len(), 3);
}

#[test]
fn several_names_in_the_folder_show_on_the_item() {
    let home = Home::new();
    home.put("g", "g");
    std::fs::hard_link(home.at("g"), home.at("g2")).unwrap();
    let made = home.draft(&[]);
    home.sh(&made, "echo more >> g");
    let scan = scan(&made.draft);
    let links = item(&scan, "g").links.unwrap();
    assert_eq!((links.folder_names, links.group), (2, None));
    assert_eq!(item(&scan, "g").file_kind(), FileKind::File);
}
