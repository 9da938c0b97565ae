//! Every effect, its undo, and the undo of that: nothing differs (A3, C1).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests"
)]

mod common;

use common::*;
use raincoat_types::*;

/// Makes changes, takes them back, makes them again, takes them back again.
fn there_and_back(changes: Vec<FileChange>) {
    let home = Home::new();
    furnish(&home);
    there_and_back_in(&home, changes);
}

fn there_and_back_in(home: &Home, changes: Vec<FileChange>) {
    let before = home.snapshot();
    let store = home.open();
    let mut run = store.run();
    for change in changes {
        run.ok(change);
    }
    let run = run.end();
    let after = home.snapshot();
    assert!(!before.differences(&after).is_empty(), "nothing happened");
    let undo = store.undo_whole(run);
    assert_same(&before, &home.snapshot(), "undo");
    let redo = store.undo_whole(undo);
    assert_same(&after, &home.snapshot(), "redo");
    store.undo_whole(redo);
    assert_same(&before, &home.snapshot(), "undo of the redo");
    assert_eq!(leftovers(&home.tree()), Vec::<std::path::PathBuf>::new());
    drop(store);
    home.verify();
}

#[test]
fn a_write_of_a_new_file() {
    there_and_back(vec![write("docs/new", b"new content"), write("docs/empty", b""), write("top", &[7; 2_500_000])]);
}

#[test]
fn a_write_over_a_file() {
    there_and_back(vec![
        write("docs/a.txt", b"other"),
        write("docs/b.txt", b"other with an acl"),
        write("docs/big.bin", b"small now"),
        write("docs/sparse", &[1; 9_000_000]),
        write("docs/hole", b""),
        write("docs/nothing", b"something"),
        write("src/suid", b"other"),
        write("src/readonly", b"root may, so may the owner by the folder"),
        write("docs/words", b"owned by another"),
    ]);
}

#[test]
fn a_write_through_a_symlink() {
    there_and_back(vec![write("links/soft", b"by the link"), write("linkdir/fresh", b"in a linked folder")]);
}

#[test]
fn an_edit() {
    let edit = |old: &str, new: &str, all, expect: &[u8]| FileChange::Edit {
        at: place("docs/words"),
        old: old.into(),
        new: new.into(),
        all,
        expect: digest(expect),
    };
    there_and_back(vec![edit("two", "2", false, b"one two one"), edit("one", "1", true, b"one 2 one")]);
}

#[test]
fn folders_with_their_parents() {
    there_and_back(vec![
        mkdir("docs/sub"),
        mkdir_p("x/y/z"),
        mkdir_p("x/y/z"),
        mkdir_p("docs/deep/er/more"),
        write("x/y/z/f", b"1"),
    ]);
}

#[test]
fn moves_of_every_kind() {
    there_and_back(vec![
        mv("docs/a.txt", "a.txt"),
        mv("docs/deep", "empty/deep"),
        mv("links/soft", "docs/soft"),
        mv("links/one", "docs/uno"),
        mv("src/none", "src/still none"),
        mv("a.txt", "docs/b"),
        mv("empty/deep/er/leaf", "leaf"),
        mv("empty/deep/er", "er"),
    ]);
}

#[test]
fn a_move_and_a_copy_onto_a_file() {
    there_and_back(vec![
        mv_onto("docs/a.txt", "docs/b.txt"),
        cp_onto("docs/big.bin", "docs/words"),
        mv_onto("links/soft", "docs/nothing"),
        mv_onto("docs/big.bin", "links/two"),
    ]);
}

#[test]
fn a_copy_of_a_tree() {
    there_and_back(vec![
        cp("docs", "docs copy"),
        cp("links/soft", "soft"),
        cp("src", "empty/src"),
        cp("src/suid", "suid"),
    ]);
}

#[test]
fn a_copy_is_what_the_original_is() {
    let home = Home::new();
    furnish(&home);
    let store = home.open();
    let mut run = store.run();
    run.ok(cp("docs", "copy"));
    run.end();
    let all = home.snapshot();
    for (path, entry) in all.entries().iter().filter(|(path, _)| path.starts_with(b"docs")) {
        let copy = &all.entries()[&[b"copy", &path[4..]].concat()];
        assert_eq!((copy.mode, copy.mtime, &copy.digest), (entry.mode, entry.mtime, &entry.digest), "{path:?}");
        assert_eq!((&copy.extents, &copy.xattrs, copy.uid), (&entry.extents, &entry.xattrs, entry.uid), "{path:?}");
    }
}

#[test]
fn a_deletion_of_a_tree() {
    there_and_back(vec![rm_r("docs"), rm_r("src"), rm_r("links"), rm("empty"), rm("linkdir"), rm_r("odd\nname")]);
}

#[test]
fn a_deletion_of_many_folders_in_several_batches() {
    let home = Home::new();
    let script = "for i in $(seq 1 60); do mkdir -p d/$i/a/b; echo $i > d/$i/f; echo $i > d/$i/a/b/g; done";
    assert!(sh(script, &home.tree()));
    age(&home.tree());
    there_and_back_in(&home, vec![rm_r("d")]);
}

#[test]
fn archives_of_every_format_and_what_comes_out_of_them() {
    for (format, name) in
        [(ArchiveFormat::Zip, "x.zip"), (ArchiveFormat::Tar, "x.tar"), (ArchiveFormat::TarGz, "x.tgz")]
    {
        there_and_back(vec![pack(&["docs", "links"], name, format), unpack(name, "out")]);
    }
}

#[test]
fn what_comes_out_of_an_archive_is_what_went_in() {
    for (format, name) in
        [(ArchiveFormat::Zip, "x.zip"), (ArchiveFormat::Tar, "x.tar"), (ArchiveFormat::TarGz, "x.tgz")]
    {
        let home = Home::new();
        furnish(&home);
        let store = home.open();
        let mut run = store.run();
        run.ok(pack(&["docs"], name, format));
        run.ok(unpack(name, "out"));
        run.end();
        let all = home.snapshot();
        let mut seen = 0;
        for (path, entry) in all.entries().iter().filter(|(path, _)| path.starts_with(b"docs")) {
            let copy = &all.entries()[&[b"out/".as_slice(), path].concat()];
            assert_eq!((copy.kind, &copy.digest, &copy.target), (entry.kind, &entry.digest, &entry.target), "{path:?}");
            seen += 1;
        }
        assert!(seen > 8);
    }
}

#[test]
fn names_that_are_not_utf8_or_have_newlines() {
    let home = Home::new();
    furnish(&home);
    let odd = b"src/caf\xe9".as_slice();
    there_and_back_in(
        &home,
        vec![
            FileChange::Write { at: raw(odd), content: b"other".to_vec(), expect: Expect::Anything },
            FileChange::Move { from: raw(odd), to: raw(b"\xff\xfe"), replace: false },
            mv("odd\nname/in\nside", "a\tb"),
            pack(&["src", "odd\nname"], "odd.tar", ArchiveFormat::Tar),
            unpack("odd.tar", "odd.out"),
            rm_r("src"),
        ],
    );
}

#[test]
fn a_file_with_several_names_is_written_in_place() {
    let home = Home::new();
    furnish(&home);
    let store = home.open();
    let before = home.snapshot();
    let mut run = store.run();
    for content in [b"short".to_vec(), vec![3; 3_000_000], b"linked again".to_vec()] {
        run.ok(write("links/one", &content));
        assert_eq!(std::fs::read(home.path("docs/three")).unwrap(), content);
    }
    let run = run.end();
    store.undo_whole(run);
    assert_same(&before, &home.snapshot(), "undo");
}

#[test]
fn names_of_one_file_that_go_come_back_as_names_of_one_file() {
    there_and_back(vec![rm("links/one")]);
    there_and_back(vec![rm("links/one"), rm("links/two")]);
    there_and_back(vec![rm("links/one"), rm("docs/three"), rm("links/two")]);
    there_and_back(vec![rm_r("links")]);
    there_and_back(vec![rm("links/one"), mv("links/two", "moved"), write("docs/three", b"other")]);
    there_and_back(vec![
        rm("links/one"),
        rm("links/two"),
        write("docs/three", b"the last one left"),
        mv("docs/three", "x"),
    ]);
    there_and_back(vec![mv("links/one", "uno"), rm("uno"), mv("docs", "dogs"), rm("links/two")]);
}

#[test]
fn names_of_one_file_come_back_in_any_order() {
    for order in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
        for apart in [true, false] {
            let home = Home::new();
            furnish(&home);
            let before = home.snapshot();
            let store = home.open();
            let mut run = store.run();
            for name in ["links/one", "links/two", "docs/three"] {
                run.propose(rm(name)).unwrap();
                if apart {
                    run.settle();
                }
            }
            run.settle();
            let run = run.end();
            for seq in order {
                let undone = store.undo_some(run, vec![seq], false);
                assert!(undone.refused.is_empty(), "{undone:?}");
            }
            assert_same_but_folder_times(&before, &home.snapshot(), &format!("{order:?} {apart}"));
        }
    }
}

#[test]
fn a_file_with_a_name_outside_is_neither_written_nor_deleted() {
    let home = Home::new();
    furnish(&home);
    std::fs::hard_link(home.path("docs/a.txt"), home.dir.join("outside/a")).unwrap();
    let before = home.snapshot();
    let store = home.open();
    let mut run = store.run();
    for change in [write("docs/a.txt", b"x"), rm("docs/a.txt"), rm_r("docs"), mv_onto("docs/b.txt", "docs/a.txt")] {
        let failure = run.apply(change).unwrap_err();
        assert!(failure.message.starts_with("linked-outside"), "{failure:?}");
    }
    // Given a name outside since we looked: noticed all the same.
    run.ok(write("links/one", b"linked!"));
    std::fs::hard_link(home.path("links/one"), home.dir.join("outside/one")).unwrap();
    std::fs::remove_file(home.path("links/two")).unwrap();
    let failure = run.apply(write("links/one", b"y")).unwrap_err();
    assert!(failure.message.starts_with("linked-outside"), "{failure:?}");
    let run = run.end();
    store.undo(run);
    assert_eq!(before.entries()[&b"docs/a.txt"[..]], home.snapshot().entries()[&b"docs/a.txt"[..]]);
}

#[test]
fn a_new_file_gets_what_the_folders_default_acl_says() {
    let home = Home::new();
    furnish(&home);
    if !sh("setfacl -d -m u:1234:rwx,g::rx,o::--- docs", &home.tree()) {
        panic!("no ACL could be set: install the package `acl`, and test on a file system that keeps ACLs");
    }
    let store = home.open();
    let mut run = store.run();
    run.ok(write("docs/ours", b"x"));
    run.ok(mkdir("docs/ours.d"));
    run.end();
    assert!(sh("umask 022; printf x > docs/theirs; mkdir docs/theirs.d", &home.tree()));
    let all = home.snapshot();
    for (ours, theirs) in [("docs/ours", "docs/theirs"), ("docs/ours.d", "docs/theirs.d")] {
        let (ours, theirs) = (&all.entries()[ours.as_bytes()], &all.entries()[theirs.as_bytes()]);
        assert_eq!((ours.mode, &ours.xattrs), (theirs.mode, &theirs.xattrs));
    }
    assert!(sh(
        "setfacl -d -b docs; setfacl -d -m u::rwx,g::rx,o::x docs; printf x > docs/t2; mkdir docs/t2.d",
        &home.tree()
    ));
    let mut run = store.run();
    run.ok(write("docs/o2", b"x"));
    run.ok(mkdir("docs/o2.d"));
    run.end();
    let all = home.snapshot();
    for (ours, theirs) in [("docs/o2", "docs/t2"), ("docs/o2.d", "docs/t2.d")] {
        let (ours, theirs) = (&all.entries()[ours.as_bytes()], &all.entries()[theirs.as_bytes()]);
        assert_eq!((ours.mode, &ours.xattrs), (theirs.mode, &theirs.xattrs));
    }
}

#[test]
fn a_file_written_in_place_loses_a_name_and_gets_it_back() {
    let home = Home::new();
    furnish(&home);
    std::fs::remove_file(home.path("docs/three")).unwrap();
    std::fs::write(home.path("links/one"), b"").unwrap();
    age(&home.tree());
    there_and_back_in(&home, vec![write("links/two", b"1"), rm("links/one")]);
}

#[test]
fn names_that_went_in_several_runs_come_back_as_names_of_one_file() {
    let home = Home::new();
    furnish(&home);
    let store = home.open();
    let mut states = vec![home.snapshot()];
    let mut runs = Vec::new();
    let steps = [
        vec![rm("links/one")],
        vec![mv("links/two", "docs/dos")],
        vec![rm("docs/three")],
        vec![write("docs/dos", b"another inode")],
        vec![mv("docs/dos", "dos"), rm("dos")],
    ];
    for step in steps {
        let mut run = store.run();
        for change in step {
            run.ok(change);
        }
        runs.push(run.end());
        states.push(home.snapshot());
    }
    for run in runs.iter().rev() {
        states.pop();
        store.undo_whole(*run);
        assert_same(states.last().unwrap(), &home.snapshot(), "undo");
    }
}

#[test]
fn a_copy_of_nothing_makes_no_room_for_itself() {
    let home = Home::new();
    furnish(&home);
    let before = home.snapshot();
    let store = home.open();
    let mut run = store.run();
    for change in [cp_onto("no such file", "docs/a.txt"), mv_onto("no such file", "docs/a.txt")] {
        assert_eq!(run.apply(change).unwrap_err().kind, FailureKind::NotFound);
    }
    run.end();
    assert_same(&before, &home.snapshot(), "nothing was done");
}

#[test]
fn names_that_went_in_two_runs_come_back_as_names_of_one_file_in_either_order() {
    for first in [0, 1] {
        let home = Home::new();
        furnish(&home);
        let before = home.snapshot();
        let store = home.open();
        let runs: Vec<RunId> = [vec![rm("links/one"), rm("links/two")], vec![rm("docs/three")]]
            .into_iter()
            .map(|changes| {
                let mut run = store.run();
                changes.into_iter().for_each(|change| drop(run.ok(change)));
                run.end()
            })
            .collect();
        store.undo_whole(runs[first]);
        store.undo_whole(runs[1 - first]);
        assert_same_but_folder_times(&before, &home.snapshot(), "undo");
    }
}
