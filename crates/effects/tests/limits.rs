//! What is refused: FIFOs, devices, mounts, names and paths that cannot be, too much of anything, permits for something
//! else, folders and disks that say no (A2, A4, C2).
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

use std::path::Path;
use std::process::{Command, Stdio};

use common::*;
use raincoat_types::*;

fn refused(run: &mut Run<'_, '_>, change: FileChange) -> Failure {
    let shown = format!("{change:.100?}");
    run.apply(change).expect_err(&shown)
}

#[test]
fn fifos_and_devices_are_never_opened() {
    let home = Home::new();
    assert!(sh("mkdir d; mkfifo d/fifo; printf x > f", &home.tree()));
    if is_root() {
        // The console: opening it would be seen; a loop control device would act.
        assert!(sh("mknod d/null c 1 3; mknod d/disk b 7 200", &home.tree()));
    }
    let before = home.snapshot();
    let store = home.open();
    let mut run = store.run();
    let mut names = vec!["d/fifo"];
    if is_root() {
        names.extend(["d/null", "d/disk"]);
    }
    for name in names {
        for change in [
            write(name, b"x"),
            rm(name),
            mv(name, "y"),
            cp(name, "y"),
            unpack(name, "y"),
            mv_onto("f", name),
            pack(&[name], "y", ArchiveFormat::Tar),
        ] {
            refused(&mut run, change);
        }
        for read in [FileRead::Read { at: place(name), offset: 0, len: 1 }, FileRead::Hash { at: place(name) }] {
            assert!(run.read(read).is_err());
        }
        assert!(run.read(FileRead::Stat { at: place(name) }).is_ok());
    }
    for change in [rm_r("d"), cp("d", "e"), pack(&["d"], "y", ArchiveFormat::Zip)] {
        assert!(refused(&mut run, change).message.starts_with("special-file"));
    }
    let search = FileRead::Search { at: place(""), pattern: "x".to_owned(), glob: None, ignore_case: false };
    assert!(matches!(run.read(search), Ok(ReadDone::Search { matches, .. }) if matches.len() == 1));
    run.end();
    assert_same(&before, &home.snapshot(), "refused");
}

#[test]
fn what_is_mounted_inside_is_not_entered() {
    let home = Home::new();
    assert!(sh(
        "mkdir -p d/mnt ../outside/in; printf x > ../outside/secret; printf f > f; printf f > d/file",
        &home.tree()
    ));
    if !is_root() || !sh("mount --bind ../outside d/mnt && mount --bind ../outside/secret d/file", &home.tree()) {
        panic!("this test mounts a file system of its own: run the tests as root");
    }
    let store = home.open();
    let mut run = store.run();
    let outcomes: Vec<(String, Result<Vec<OpId>, Failure>)> = [
        write("d/mnt/new", b"x"),
        write("d/mnt/secret", b"x"),
        write("d/file", b"x"),
        rm("d/mnt/secret"),
        rm("d/file"),
        mv("f", "d/mnt/f"),
        mv("d/mnt", "e"),
        mv("d/mnt/secret", "stolen"),
        cp("d/mnt/secret", "stolen"),
        cp("d", "stolen"),
        rm_r("d"),
        rm_r("d/mnt"),
        mkdir_p("d/mnt/a/b"),
        pack(&["d"], "stolen.tar", ArchiveFormat::Tar),
    ]
    .into_iter()
    .map(|change| (format!("{change:?}"), run.apply(change)))
    .collect();
    let read = run.read(FileRead::Read { at: place("d/mnt/secret"), offset: 0, len: 9 });
    let moved = run.apply(mv("d", "moved"));
    run.end();
    let tree = home.tree();
    let at = if tree.join("moved").exists() { "moved" } else { "d" };
    assert!(sh(&format!("umount {at}/mnt {at}/file"), &tree));
    for (change, outcome) in outcomes {
        assert_eq!(outcome.expect_err(&change).kind, FailureKind::Outside, "{change}");
    }
    assert!(read.is_err());
    drop(moved);
    assert_eq!(std::fs::read(home.dir.join("outside/secret")).unwrap(), b"x");
}

#[test]
fn impossible_names_and_paths_are_refused() {
    let home = Home::new();
    furnish(&home);
    let before = home.snapshot();
    let store = home.open();
    let mut run = store.run();
    let long = "n".repeat(256);
    let path = vec!["d"; 2100].join("/");
    for bad in ["../out", "/etc/passwd", "docs/../../x", "a\0b", &long, &path, "docs/a.txt/x", "no/such/folder"] {
        refused(&mut run, write(bad, b"x"));
        refused(&mut run, mv("docs/a.txt", bad));
        refused(&mut run, cp("docs/a.txt", bad));
        refused(&mut run, rm(bad));
    }
    for bad in [
        write("", b"x"),
        rm_r(""),
        mv("", "x"),
        mv("docs", "docs/deep/x"),
        cp("docs", "docs/x"),
        rm("docs"),
        write("docs", b"x"),
    ] {
        refused(&mut run, bad);
    }
    for bad in [".ssh/id_ed25519", ".git/hooks/pre-commit", ".raincoat-x.tmp", ".bashrc"] {
        refused(&mut run, mv("docs/a.txt", bad));
        refused(&mut run, mkdir_p(bad));
    }
    run.end();
    assert_same(&before, &home.snapshot(), "refused");
}

#[test]
fn a_longest_name_and_a_deep_path_work() {
    let home = Home::new();
    let before = home.snapshot();
    let store = home.open();
    let mut run = store.run();
    let name = "n".repeat(255);
    run.ok(write(&name, b"x"));
    let deep = vec!["deep"; 100].join("/");
    run.ok(mkdir_p(&deep));
    run.ok(mv(&name, &format!("{deep}/{name}")));
    run.ok(cp("deep", "copy"));
    run.ok(rm_r("deep"));
    let run = run.end();
    store.undo_whole(run);
    assert_same(&before, &home.snapshot(), "undo");
}

#[test]
fn what_lies_too_deep_is_not_left_out_silently() {
    let home = Home::new();
    let deep = vec!["d"; 140].join("/");
    std::fs::create_dir_all(home.path(&deep)).unwrap();
    let before = home.snapshot();
    let store = home.open();
    let mut run = store.run();
    for change in [cp("d", "e"), rm_r("d"), pack(&["d"], "t.tar", ArchiveFormat::Tar)] {
        assert_eq!(refused(&mut run, change).kind, FailureKind::Limit);
    }
    run.end();
    assert_same(&before, &home.snapshot(), "refused");
}

#[test]
fn limits_hold() {
    let mut home = Home::new();
    furnish(&home);
    home.limits = Limits { write_bytes: 100, run_ops: 3, plan_steps: 5, extract_entries: 3, ..Limits::default() };
    assert!(sh("mkdir t; touch t/1 t/2 t/3 t/4; tar cf t.tar t", &home.tree()));
    let store = home.open();
    let mut run = store.run();
    assert_eq!(refused(&mut run, write("x", &[0; 101])).kind, FailureKind::Limit);
    let edit = FileChange::Edit {
        at: place("docs/big.bin"),
        old: b"x".to_vec(),
        new: b"y".to_vec(),
        all: true,
        expect: Digest::default(),
    };
    assert_eq!(refused(&mut run, edit).kind, FailureKind::Limit);
    assert_eq!(refused(&mut run, rm_r("docs")).kind, FailureKind::Limit);
    assert!(refused(&mut run, unpack("t.tar", "out")).message.contains("entries"));
    for n in 0..3 {
        run.ok(write(&n.to_string(), b"x"));
    }
    assert_eq!(refused(&mut run, write("4", b"x")).kind, FailureKind::Limit);
    run.end();
}

#[test]
fn an_archive_that_leads_outside_or_grows_without_end_is_refused_whole() {
    let home = Home::new();
    let script = r"
        mkdir w; cd w
        ln -s .. up; tar cf ../up.tar up
        ln -s . dot; ln -s dot/.. sly; tar cf ../sly.tar dot sly
        ln -s /etc abs; tar cf ../abs.tar abs
        printf x > f; tar cf ../dotdot.tar --transform 's,f,../f,' -P f
        tar cf ../absolute.tar -P --transform 's,f,/tmp/raincoat-evil,' f
        mkfifo p; tar cf ../fifo.tar p
        mkdir .ssh; printf k > .ssh/id_rsa; tar cf ../protected.tar .ssh
        ln -s d d2; mkdir d; tar cf ../through.tar d2; rm d2; mkdir d2; printf x > d2/f; tar rf ../through.tar d2/f
        truncate -s 200M zeroes; gzip -9c zeroes > /dev/null; tar czf ../bomb.tgz zeroes
        head -c 3000 /dev/urandom > ../noise.tar
        printf x > ../short.zip; printf 'PK\003\004' > ../broken.zip
        cd ..; rm -r w
    ";
    assert!(sh(script, &home.tree()));
    age(&home.tree());
    let mut limited = Home::at(&home.dir);
    limited.limits.extract_bytes = 100 << 20;
    let before = home.snapshot();
    let store = limited.open();
    let mut run = store.run();
    for name in [
        "up.tar",
        "sly.tar",
        "abs.tar",
        "dotdot.tar",
        "absolute.tar",
        "fifo.tar",
        "protected.tar",
        "through.tar",
        "bomb.tgz",
        "noise.tar",
        "short.zip",
        "broken.zip",
    ] {
        let failure = refused(&mut run, unpack(name, "out"));
        assert_eq!(failure.kind, FailureKind::Invalid, "{name}: {failure:?}");
    }
    run.end();
    assert_same(&before, &home.snapshot(), "refused");
}

#[test]
fn a_permit_for_another_action_is_refused() {
    let home = Home::new();
    furnish(&home);
    let before = home.snapshot();
    let store = home.open();
    let mut run = store.run();
    let (policy, actor, id) = (run.policy(), run.actor.clone(), run.id);
    let mut resolved = run.effects().resolve_change(&rm("docs/a.txt")).unwrap();
    let permit = permit_by(&policy, actor.clone(), id, rm("docs/a.txt"), &mut resolved).unwrap();
    let other = run.effects().resolve_change(&rm("docs/b.txt")).unwrap();
    run.effects().change(permit, other);
    // Another content for the same place.
    let permit = permit_by(&policy, actor.clone(), id, write("docs/a.txt", b"shown"), &mut resolved).unwrap();
    let other = run.effects().resolve_change(&write("docs/a.txt", b"hidden")).unwrap();
    run.effects().change(permit, other);
    // Another run's.
    let mut resolved = run.effects().resolve_change(&rm("docs/a.txt")).unwrap();
    let permit = permit_by(&policy, actor, store.run().id, rm("docs/a.txt"), &mut resolved).unwrap();
    run.effects().change(permit, resolved);
    for changed in run.settle() {
        assert_eq!(changed.failure.unwrap().kind, FailureKind::Invalid);
    }
    run.end();
    assert_same(&before, &home.snapshot(), "refused");
}

#[test]
fn what_changed_since_it_was_looked_at_is_not_overwritten() {
    let home = Home::new();
    furnish(&home);
    let store = home.open();
    let mut run = store.run();
    let stale =
        |content: &[u8], expect| FileChange::Write { at: place("docs/a.txt"), content: content.to_vec(), expect };
    assert_eq!(refused(&mut run, stale(b"x", Expect::Absent)).kind, FailureKind::Exists);
    assert_eq!(refused(&mut run, stale(b"x", Expect::Digest(digest(b"other")))).kind, FailureKind::Changed);
    run.ok(stale(b"x", Expect::Digest(digest(b"hello\n"))));
    assert_eq!(refused(&mut run, mv("docs/b.txt", "docs/a.txt")).kind, FailureKind::Exists);
    // Between the answer of the gate and the act.
    let (policy, actor, id) = (run.policy(), run.actor.clone(), run.id);
    let mut resolved = run.effects().resolve_change(&rm("docs/b.txt")).unwrap();
    let permit = permit_by(&policy, actor, id, rm("docs/b.txt"), &mut resolved).unwrap();
    std::fs::write(home.path("docs/b.txt"), b"newer").unwrap();
    run.effects().change(permit, resolved);
    assert_eq!(run.settle()[0].failure.as_ref().unwrap().kind, FailureKind::Changed);
    assert_eq!(std::fs::read(home.path("docs/b.txt")).unwrap(), b"newer");
    run.end();
}

#[test]
fn drift_is_refused_unless_overwrite_is_said_and_then_kept() {
    let home = Home::new();
    furnish(&home);
    let store = home.open();
    let mut run = store.run();
    run.ok(write("docs/a.txt", b"ours"));
    run.ok(write("docs/new", b"ours"));
    run.ok(rm("docs/b.txt"));
    let run = run.end();
    std::fs::write(home.path("docs/a.txt"), b"theirs").unwrap();
    std::fs::write(home.path("docs/new"), b"theirs too").unwrap();
    std::fs::write(home.path("docs/b.txt"), b"and this").unwrap();
    let before = home.snapshot();
    let undone = store.undo(run);
    assert_eq!((undone.done, undone.refused.len()), (0, 3));
    assert!(undone.refused.iter().all(|(_, f)| f.kind == FailureKind::Changed && f.message.contains("left as it is")));
    assert_same_but_folder_times(&before, &home.snapshot(), "refused");
    let forced = store.undo_some(run, Vec::new(), true);
    assert_eq!(std::fs::read(home.path("docs/a.txt")).unwrap(), b"hello\n");
    assert!(!home.path("docs/new").exists());
    assert_eq!(
        std::fs::read(home.path("docs/b.txt")).unwrap(),
        b"and this",
        "a name that was taken is never taken back"
    );
    store.undo_whole(forced.run);
    assert_same_but_folder_times(&before, &home.snapshot(), "undo of the overwriting undo");
}

const CHILD: &str = "RAINCOAT_TEST_ORDINARY";

/// Not a test by itself: what an ordinary user does.
#[test]
fn an_ordinary_user_does_as_told() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let home = Home::at(Path::new(&dir));
    let store = home.open();
    let mut run = store.run();
    for change in [
        write("locked/f", b"x"),
        write("locked/new", b"x"),
        rm("locked/f"),
        mv("locked/f", "f"),
        mv("docs/a", "locked/a"),
        rm_r("locked"),
        mkdir("locked/d"),
        cp("docs/a", "locked/a"),
        rm("docs/unreadable"),
    ] {
        let shown = format!("{change:?}");
        let failure = refused(&mut run, change);
        assert_eq!(failure.kind, FailureKind::Denied, "{shown}: {failure:?}");
    }
    assert_eq!(refused(&mut run, rm_r("secret folder")).kind, FailureKind::Denied);
    for change in [
        write("docs/a", b"ours"),
        write("docs/readonly", b"ours"),
        mv("docs/readonly", "r"),
        cp("locked", "copy"),
        rm_r("copy"),
        cp("locked", "copy"),
        rm("r"),
        pack(&["locked"], "l.zip", ArchiveFormat::Zip),
    ] {
        let shown = format!("{change:?}");
        let outcome = run.apply(change);
        // A copy of a folder that may not be written to cannot be emptied again either.
        assert!(outcome.is_ok() || shown.contains("Delete"), "{shown}: {outcome:?}");
        if outcome.is_err() {
            break;
        }
    }
    let run = run.end();
    store.undo_whole(run);
}

#[test]
fn an_ordinary_user_is_told_no_clearly_and_loses_nothing() {
    if !is_root() {
        panic!("this test becomes an ordinary user: run the tests as root");
    }
    let memory = Path::new("/dev/shm");
    let home = Home::on(if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) });
    let script = "
        mkdir docs locked 'secret folder'
        printf a > docs/a; printf r > docs/readonly; chmod 444 docs/readonly; printf u > docs/unreadable
        printf f > locked/f; chmod 555 locked; printf s > 'secret folder/s'
        chown -R 12345:12345 ..; chmod 000 'secret folder' docs/unreadable; chmod 755 ..
    ";
    assert!(sh(script, &home.tree()));
    // The build's folder may be closed to others; its program goes where they can reach it.
    let before = home.snapshot();
    let program = home.dir.join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let out = Command::new("setpriv")
        .args(["--reuid=12345", "--regid=12345", "--clear-groups", "--"])
        .arg(&program)
        .args(["an_ordinary_user_does_as_told", "--exact", "--test-threads=1"])
        .env(CHILD, &home.dir)
        .current_dir(&home.dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && said.contains("1 passed"), "{said}");
    assert!(leftovers(&home.tree()).is_empty());
    assert_same(&before, &home.snapshot(), "undo");
}

#[test]
fn a_full_disk_is_said_and_loses_nothing() {
    let home = Home::new();
    let mount = home.dir.join("small");
    std::fs::create_dir(&mount).unwrap();
    if !is_root()
        || !sh(
            "mount -t tmpfs -o size=3m,nr_inodes=60 none small && rmdir tree && mkdir small/tree && ln -s small/tree tree",
            &home.dir,
        )
    {
        panic!("this test mounts a file system of its own: run the tests as root");
    }
    std::fs::write(home.path("a"), vec![1; 1_000_000]).unwrap();
    std::fs::write(home.path("b"), b"b").unwrap();
    age(&mount.join("tree"));
    let before = home.snapshot();
    let store = home.open();
    let mut run = store.run();
    let mut failures =
        vec![refused(&mut run, write("a", &[2; 2_500_000])), refused(&mut run, write("new", &[2; 2_500_000]))];
    for n in 0..3 {
        failures.extend(run.apply(cp("a", &format!("a{n}"))).err());
    }
    run.ok(mv("b", "c"));
    for n in 0..100 {
        failures.extend(run.apply(write(&format!("n{n}"), b"")).err());
    }
    let left = leftovers(&mount.join("tree"));
    run.ok(rm("a"));
    let run = run.end();
    let undone = store.undo(run);
    let after = home.snapshot();
    drop(store);
    assert!(sh("umount small", &home.dir));
    assert!(failures.len() > 40);
    assert!(failures.iter().all(|f| f.kind == FailureKind::Full), "{failures:?}");
    assert!(left.is_empty(), "{left:?}");
    assert!(undone.refused.is_empty(), "{undone:?}");
    assert_same(&before, &after, "undo");
}
