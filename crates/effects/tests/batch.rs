//! Many changes at once: dependent ones come out right, one that fails leaves the others alone, and ten thousand are
//! fast (B2, H2).
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

use std::sync::atomic::Ordering;
use std::time::Instant;

use common::*;
use raincoat_effects::Effects;
use raincoat_effects::thread::EffectsThread;
use raincoat_types::*;

#[test]
fn few_descriptors_are_enough_for_many_changes() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let home = Home::new();
    let store = home.open();
    // Hard, so that nothing can raise it: 32 changes at once are left room for.
    setrlimit(Resource::Nofile, Rlimit { current: Some(320), maximum: Some(320) }).unwrap();
    let mut run = store.run();
    for n in 0..500 {
        run.propose(write(&format!("f{n}"), b"x")).unwrap();
    }
    assert!(run.settle().iter().all(|changed| changed.failure.is_none()));
    assert_eq!(std::fs::read_dir(home.path("")).unwrap().count(), 500);
    let of = run.id;
    run.end();
    store.undo_whole(of);
    assert_eq!(std::fs::read_dir(home.path("")).unwrap().count(), 0);
}

#[test]
fn dependent_steps_in_one_settlement_come_out_right() {
    let home = Home::new();
    furnish(&home);
    let before = home.snapshot();
    let store = home.open();
    let mut run = store.run();
    for change in [
        mkdir("m"),
        mv("docs/a.txt", "m/a"),
        mv("m/a", "m/b"),
        write("m/c", b"1"),
        write("m/c", b"2"),
        cp("m", "n"),
        mv("m", "k"),
        write("k/d", b"late"),
        rm_r("k"),
        mv("docs", "papers"),
        write("papers/x", b"x"),
        pack(&["papers/deep"], "p.tar", ArchiveFormat::Tar),
        rm_r("papers/deep"),
        unpack("p.tar", "papers/again"),
        write("links/one", b"by one name"),
        rm("links/two"),
        rm("papers/x"),
        rm_r("papers"),
    ] {
        let shown = format!("{change:?}");
        run.propose(change).unwrap_or_else(|e| panic!("{shown}: {e:?}"));
    }
    for (n, changed) in run.settle().iter().enumerate() {
        assert!(changed.failure.is_none(), "{n}: {changed:?}");
    }
    let names: Vec<String> =
        std::fs::read_dir(home.path("n")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(std::fs::read(home.path("n/c")).unwrap(), b"2");
    assert!(!home.path("k").exists() && !home.path("papers").exists() && !home.path("docs").exists());
    let run = run.end();
    store.undo_whole(run);
    assert_same(&before, &home.snapshot(), "undo");
}

#[test]
fn one_that_fails_leaves_the_others_alone_and_is_told() {
    let home = Home::new();
    let store = home.open();
    for n in 0..20 {
        std::fs::write(home.path(&n.to_string()), n.to_string()).unwrap();
    }
    let before = home.snapshot();
    let mut run = store.run();
    std::fs::create_dir(home.path("to")).unwrap();
    for n in 0..20 {
        run.propose(mv(&n.to_string(), &format!("to/{n}"))).unwrap();
    }
    std::fs::write(home.path("to/7"), b"somebody was faster").unwrap();
    std::fs::remove_file(home.path("9")).unwrap();
    let settled = run.settle();
    for (n, changed) in settled.iter().enumerate() {
        match n {
            7 => assert_eq!(changed.failure.as_ref().unwrap().kind, FailureKind::Exists),
            9 => assert_eq!(changed.failure.as_ref().unwrap().kind, FailureKind::NotFound),
            _ => assert!(changed.failure.is_none() && changed.done.ops.len() == 1, "{n}: {changed:?}"),
        }
    }
    assert_eq!(std::fs::read(home.path("to/7")).unwrap(), b"somebody was faster");
    let run = run.end();
    std::fs::write(home.path("9"), b"9").unwrap();
    store.undo_whole(run);
    std::fs::remove_dir_all(home.path("to")).unwrap();
    let differences = before.differences(&home.snapshot());
    assert!(differences.iter().all(|d| d.what == raincoat_os::snapshot::Aspect::ModificationTime), "{differences:?}");
}

#[test]
fn a_stop_ends_the_run_at_an_operations_edge() {
    let home = Home::new();
    furnish(&home);
    let before = home.snapshot();
    let store = home.open();
    let mut run = store.run();
    run.propose(mv("docs/a.txt", "a")).unwrap();
    run.settle();
    run.propose(mv("docs/b.txt", "b")).unwrap();
    run.propose(write("docs/new", b"new")).unwrap();
    run.stop.store(true, Ordering::Relaxed);
    for changed in run.settle() {
        assert_eq!(changed.failure.unwrap().kind, FailureKind::Stopped);
    }
    assert_eq!(run.apply(write("docs/c", b"c")).unwrap_err().kind, FailureKind::Stopped);
    assert!(home.path("a").exists() && home.path("docs/b.txt").exists() && !home.path("docs/new").exists());
    let run = run.end();
    store.undo_whole(run);
    assert_same(&before, &home.snapshot(), "undo");
}

#[test]
fn ten_thousand_moves_are_ten_thousand_operations() {
    let home = Home::new();
    for d in 0..20 {
        std::fs::create_dir_all(home.path(&format!("from/{d}"))).unwrap();
        std::fs::create_dir_all(home.path(&format!("to/{d}"))).unwrap();
        for n in 0..500 {
            std::fs::write(home.path(&format!("from/{d}/{n}")), format!("{d} {n}")).unwrap();
        }
    }
    let before = home.snapshot();
    let store = home.open();
    let mut run = store.run();
    let begun = Instant::now();
    for d in 0..20 {
        for n in 0..500 {
            run.propose(mv(&format!("from/{d}/{n}"), &format!("to/{d}/{n}"))).unwrap();
        }
    }
    let settled = run.settle();
    assert_eq!(settled.len(), 10_000);
    assert!(settled.iter().all(|changed| changed.failure.is_none() && changed.done.ops.len() == 1));
    let run = run.end();
    eprintln!("10,000 moves: {:?}", begun.elapsed());
    let begun = Instant::now();
    store.undo_whole(run);
    eprintln!("their undo: {:?}", begun.elapsed());
    assert_same(&before, &home.snapshot(), "undo");
}

#[test]
fn a_thousand_small_writes() {
    let home = Home::new();
    for n in 0..1000 {
        std::fs::write(home.path(&n.to_string()), [n as u8; 4096]).unwrap();
    }
    let before = home.snapshot();
    let store = home.open();
    let mut run = store.run();
    let begun = Instant::now();
    for n in 0..1000 {
        run.propose(write(&n.to_string(), &[!(n as u8); 4096])).unwrap();
    }
    assert!(run.settle().iter().all(|changed| changed.failure.is_none()));
    eprintln!("1,000 writes together: {:?}", begun.elapsed());
    let begun = Instant::now();
    for n in 0..100 {
        run.ok(write(&n.to_string(), &[7; 4096]));
    }
    eprintln!("100 writes one by one: {:?}", begun.elapsed());
    let run = run.end();
    let begun = Instant::now();
    store.undo_whole(run);
    eprintln!("their undo: {:?}", begun.elapsed());
    assert_same(&before, &home.snapshot(), "undo");
}

#[test]
fn a_deep_and_wide_tree_is_copied_and_deleted_in_few_batches() {
    let home = Home::new();
    for d in 0..300 {
        std::fs::create_dir_all(home.path(&format!("t/{d}/x/y"))).unwrap();
        std::fs::write(home.path(&format!("t/{d}/x/f")), [1; 100]).unwrap();
        std::fs::hard_link(home.path(&format!("t/{d}/x/f")), home.path(&format!("t/{d}/x/y/g"))).unwrap();
    }
    let before = home.snapshot();
    let store = home.open();
    let mut run = store.run();
    let begun = Instant::now();
    run.ok(cp("t", "u"));
    eprintln!("copy of 1,501 files: {:?}", begun.elapsed());
    let begun = Instant::now();
    run.ok(rm_r("t"));
    eprintln!("deletion of 1,501 files: {:?}", begun.elapsed());
    let run = run.end();
    let begun = Instant::now();
    store.undo_whole(run);
    eprintln!("their undo: {:?}", begun.elapsed());
    assert_same(&before, &home.snapshot(), "undo");
}

#[test]
fn every_effect_works_on_the_confined_thread() {
    let home = Home::new();
    furnish(&home);
    let before = home.snapshot();
    let store = home.open();
    let actor = Actor::Recipe("test".to_owned());
    let id = store.begin(&actor, RunKind::Task);
    let policy = store.run().policy();
    let thread = EffectsThread::start(store.start(id, &actor), &[true]).unwrap();
    let failures = thread
        .call(move |effects: &mut Effects| {
            let changes = [
                write("docs/new", b"new"),
                write("docs/b.txt", b"over"),
                write("links/one", b"in place"),
                mkdir_p("p/q"),
                mv("docs/a.txt", "p/q/a"),
                cp("docs", "copy"),
                cp("src", "p/src"),
                rm("docs/words"),
                rm_r("src"),
                pack(&["docs"], "x.zip", ArchiveFormat::Zip),
                unpack("x.zip", "out"),
            ];
            let mut failures = Vec::new();
            for change in changes {
                let shown = format!("{change:?}");
                match effects.resolve_change(&change) {
                    Ok(mut resolved) => match permit_by(&policy, actor.clone(), id, change, &mut resolved) {
                        Ok(permit) => effects.change(permit, resolved),
                        Err(refusal) => failures.push(format!("{shown}: {refusal:?}")),
                    },
                    Err(failure) => failures.push(format!("{shown}: {failure:?}")),
                }
            }
            failures.extend(effects.settle().into_iter().filter_map(|c| c.failure).map(|f| f.message));
            failures.extend(effects.finish().err().map(|f| f.message));
            failures
        })
        .unwrap();
    assert_eq!(failures, Vec::<String>::new());
    drop(thread);
    let end = RunEnd { run: id, at: Timestamp::default(), status: RunStatus::Done, summary: String::new() };
    store.recorder().journal(move |journal| journal.end_run(&end)).unwrap().unwrap();
    store.undo_whole(id);
    assert_same(&before, &home.snapshot(), "undo");
}
