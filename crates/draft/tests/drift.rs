//! What changed underneath is told, and what did not is not.
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

use raincoat_draft::{Drift, ScanLimits};

fn wait() {
    // Longer than a tick of the clock that old kernels stamp with.
    std::thread::sleep(std::time::Duration::from_millis(12));
}

#[test]
fn a_file_written_a_moment_before_the_draft_began_did_not_drift() {
    for _ in 0..20 {
        let home = Home::new();
        home.put("f", "f");
        wait();
        let made = home.draft(&[]);
        std::fs::write(made.place.join("upper/f"), "changed").unwrap();
        assert_eq!(files(&scan(&made.draft)), ["content+meta f"]);
    }
}

#[test]
fn what_the_user_did_meanwhile_is_drift() {
    let home = Home::new();
    for name in ["both", "saved", "mine", "theirs", "gone", "unlinked", "d/f", "moved/f", "quiet/f", "chmod", "rm/x"] {
        home.put(name, name);
    }
    wait();
    let made = home.draft(&[]);
    home.sh(
        &made,
        "for f in both saved theirs gone d/f moved/f quiet/f chmod; do echo program >> $f; done
         rm unlinked; rm -r rm; echo program > new; echo program > d/clash",
    );
    wait();
    std::fs::write(home.at("both"), "user").unwrap();
    std::fs::write(home.at("mine"), "user").unwrap();
    std::fs::write(home.at("t"), "user").unwrap();
    std::fs::rename(home.at("t"), home.at("saved")).unwrap();
    std::fs::remove_file(home.at("gone")).unwrap();
    std::fs::write(home.at("unlinked"), "user").unwrap();
    std::fs::write(home.at("d/clash"), "user").unwrap();
    std::fs::write(home.at("rm/later"), "user").unwrap();
    std::fs::rename(home.at("moved"), home.at("away")).unwrap();
    std::fs::set_permissions(home.at("chmod"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let first = scan(&made.draft);
    let wanted = [
        "gone unlinked Changed",
        "gone rm/x",
        "gone rm/later Replaced",
        "gone rm",
        "content+meta both Changed",
        "content+meta chmod Changed",
        "content+meta d/clash Replaced",
        "content+meta d/f",
        "new gone Gone",
        "new moved Gone",
        "new moved/f Gone",
        "new new",
        "content+meta quiet/f",
        "content+meta saved Replaced",
        "content+meta theirs",
    ];
    assert_eq!(files(&first), wanted);
}

#[test]
fn an_older_folder_put_in_the_place_of_another_is_drift() {
    let home = Home::new();
    home.put("d/f", "f");
    home.put("older/f", "g");
    home.put("e/f", "f");
    wait();
    let made = home.draft(&[]);
    home.sh(&made, "echo program >> d/f; echo program >> e/f; rm -r older");
    wait();
    std::fs::rename(home.at("d"), home.at("aside")).unwrap();
    std::fs::rename(home.at("older"), home.at("d")).unwrap();
    std::fs::write(home.at("e/beside"), "user").unwrap();
    let first = scan(&made.draft);
    assert_eq!(item(&first, "d/f").drift, Some(Drift::FolderReplaced));
    assert_eq!(item(&first, "e/f").drift, None, "only entries of that folder changed");
}

#[test]
fn a_clock_that_was_set_back_hides_nothing() {
    let home = Home::new();
    home.put("f", "f");
    wait();
    let made = home.draft(&[]);
    let mut draft = made.draft;
    home_write(&made.place, "f", "program");
    let mut record = draft.record().clone();
    // As if the clock had stood an hour later when the draft began.
    record.clock.real.secs += 3600;
    record.folders[0].since.secs += 3600;
    draft.update(record.clone()).unwrap();
    assert_eq!(item(&scan(&draft), "f").drift, None, "changed before the draft began, by both clocks");
    std::fs::write(home.at("f"), "user").unwrap();
    assert_eq!(item(&scan(&draft), "f").drift, Some(Drift::Changed));
    record.clock.boot_id = b"another start".to_vec();
    draft.update(record).unwrap();
    assert!(item(&scan(&draft), "f").drift.is_some(), "nothing is known of the time in between");
}

fn home_write(place: &std::path::Path, name: &str, bytes: &str) {
    std::fs::write(place.join("upper").join(name), bytes).unwrap();
}

#[test]
fn remembered_states_judge_exactly_and_keep_the_base_of_texts() {
    let home = Home::new();
    for name in ["text", "d/text", "touched", "resaved", "gone", "opened", "early", "binary"] {
        home.put(name, name);
    }
    home.put("binary", b"\0\x01");
    wait();
    let mut made = home.draft(&[]);
    home.sh(
        &made,
        "for f in text d/text touched resaved early binary; do echo program >> $f; done; rm gone; echo n > new
         python3 -c \"open('opened', 'r+')\"",
    );
    wait();
    std::fs::write(home.at("early"), "user").unwrap();
    let first = scan(&made.draft);
    made.draft.remember_bases(&first).unwrap();
    assert_eq!(files(&scan(&made.draft)), files(&first), "nothing has happened since");

    std::fs::write(home.at("text"), "user").unwrap();
    let touch = std::process::Command::new("chmod").arg("644").arg(home.at("touched")).status().unwrap();
    assert!(touch.success());
    std::fs::write(home.at("opened"), "user's own").unwrap();
    std::fs::write(home.at("new"), "user").unwrap();
    std::fs::write(home.at("t"), "resaved").unwrap();
    std::fs::rename(home.at("t"), home.at("resaved")).unwrap();
    // Read again from the disk.
    let run = made.draft.record().run;
    drop(made.draft);
    made.draft = home.drafts().open_run(run).unwrap();
    let second = scan(&made.draft);
    let wanted = [
        "gone gone",
        "content+meta binary",
        "content+meta d/text",
        "content+meta early Changed",
        "content+meta new Appeared",
        "content+meta resaved Replaced",
        "content+meta text Changed",
        "content+meta touched",
    ];
    assert_eq!(files(&second), wanted, "and the copy of `opened`, which the program did not change, is no item");
    assert_eq!(made.draft.base_text(item(&second, "text")).unwrap(), b"text");
    assert_eq!(made.draft.base_text(item(&second, "d/text")).unwrap(), b"d/text");
    assert_eq!(made.draft.base_text(item(&second, "binary")), None);
    assert_eq!(made.draft.base_text(item(&second, "early")), None, "it had changed before it could be remembered");
    let stored = std::fs::read(home.dir.path().join(format!("data/drafts/{run}/base/texts.bin"))).unwrap();
    assert!(!stored.windows(4).any(|part| part == b"text"), "sealed");
}

#[test]
fn after_a_commit_of_a_part_the_rest_is_judged_against_what_is_there_now() {
    let home = Home::new();
    home.put("d/a", "a");
    home.put("d/b", "b");
    wait();
    let mut made = home.draft(&[]);
    home.sh(&made, "echo program >> d/a; echo program >> d/b; rm d/b; echo n > d/new");
    wait();
    let first = scan(&made.draft);
    // What a commit of `d/a` and `d/new` does.
    for name in ["d/a", "d/new"] {
        let tool = std::process::Command::new("cp")
            .arg("-p")
            .arg(made.place.join("upper").join(name))
            .arg(home.at(name))
            .status()
            .unwrap();
        assert!(tool.success());
    }
    let committed = [item(&first, "d/a").clone(), item(&first, "d/new").clone()];
    made.draft.rebase(&committed).unwrap();
    let second = scan(&made.draft);
    assert_eq!(files(&second), ["gone d/b"], "what was committed is no change any more, and nothing drifted");
    home.sh(&made, "echo again >> d/a");
    let third = scan(&made.draft);
    assert_eq!(files(&third), ["gone d/b", "content+meta d/a"]);
    assert_eq!(made.draft.base_text(item(&third, "d/a")).unwrap(), b"aprogram\n");
    std::fs::write(home.at("d/a"), "user").unwrap();
    assert_eq!(item(&scan(&made.draft), "d/a").drift, Some(Drift::Changed));
}

#[test]
fn damaged_states_are_said_and_times_judge_instead() {
    let home = Home::new();
    home.put("f", "f");
    wait();
    let mut made = home.draft(&[]);
    home.sh(&made, "echo program >> f");
    let first = scan(&made.draft);
    made.draft.remember_bases(&first).unwrap();
    let run = made.draft.record().run;
    let states = home.dir.path().join(format!("data/drafts/{run}/base/states.bin"));
    let mut bytes = std::fs::read(&states).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&states, bytes).unwrap();
    drop(made.draft);
    let draft = home.drafts().open_run(run).unwrap();
    std::fs::write(home.at("f"), "user").unwrap();
    let found = draft.scan(ScanLimits::default()).unwrap();
    assert_eq!(found.troubles.len(), 1);
    assert_eq!(item(&found, "f").drift, Some(Drift::Changed));
}

// A kernel that may note which inode it copied (outside a user namespace, or a later one) is taken at its word.
#[test]
fn a_noted_origin_decides_which_inode_it_was() {
    let home = Home::new();
    home.put("f", "f");
    home.put("g", "g");
    home.put("d/x", "x");
    home.put("e/x", "x");
    wait();
    let made = home.draft(&[]);
    let upper = made.place.join("upper");
    let root = raincoat_os::Root::open(&home.folder()).unwrap();
    let note = |on: &str, of: &str| {
        let handle = raincoat_os::overlay::handle_of(std::os::fd::AsFd::as_fd(&root), of.as_bytes()).unwrap();
        let handle = handle.expect("a file system with file handles");
        let len = 21 + handle.bytes.len() as u8;
        let value = [&[0, 0xfb, len, 0, handle.kind], [0; 16].as_slice(), &handle.bytes].concat();
        raincoat_os::scratch::set_xattr(&upper.join(on), "user.overlay.origin", &value).unwrap();
    };
    for (file, origin) in [("f", "f"), ("g", "f")] {
        std::fs::write(upper.join(file), "changed").unwrap();
        note(file, origin);
    }
    for (folder, origin) in [("d", "d"), ("e", "d")] {
        std::fs::create_dir(upper.join(folder)).unwrap();
        std::fs::write(upper.join(folder).join("x"), "changed").unwrap();
        note(folder, origin);
    }
    std::fs::hard_link(home.at("f"), home.dir.path().join("other name")).unwrap();
    let found = scan(&made.draft);
    let drift = |path| item(&found, path).drift;
    assert_eq!(drift("g"), Some(Drift::Replaced));
    assert_eq!([drift("d/x"), drift("e/x")], [None, Some(Drift::FolderReplaced)]);
    assert!(item(&found, "f").links.unwrap().same_inode);
}
