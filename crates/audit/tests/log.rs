//! The log as its users see it (D1): what is appended is there, in order, sealed, signed and provable.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::sync::atomic::Ordering;

use common::{Home, all, files, fill, notice, texts};
use raincoat_audit::proof::{check_consistency, check_inclusion};
use raincoat_audit::{About, AuditError, Event, leaf_hash};
use raincoat_types::{Actor, RunId, Ulid};

#[test]
fn what_is_appended_is_there_after_reopening() {
    let home = Home::new();
    let about = About::run(RunId(Ulid::from_parts(1, 1)), Actor::Agent("a".into()));
    let mut log = home.open();
    assert_eq!(log.append(&about, &[notice("one"), notice("two")]).unwrap(), 0..2);
    assert_eq!(log.append(&About::NOTHING, &[notice("three")]).unwrap(), 2..3);
    drop(log);
    let mut log = home.open();
    assert_eq!(log.append(&about, &[notice("four")]).unwrap(), 3..4);
    assert_eq!(texts(&log), ["one", "two", "three", "four"]);
    let entries = all(&log);
    assert_eq!(entries[0].1.run, about.run);
    assert_eq!(entries[0].1.actor, about.actor);
    assert_eq!(entries[2].1.run, None);
    assert_eq!([entries[0].1.producer.seq, entries[1].1.producer.seq, entries[2].1.producer.seq], [1, 2, 3]);
    assert_eq!(entries[3].1.producer.seq, 1);
    assert_eq!(log.head().unwrap().size, 4);
    assert_eq!(log.tail(2).unwrap().map(|entry| entry.unwrap().0).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(log.entries(1..=2).unwrap().map(|entry| entry.unwrap().0).collect::<Vec<_>>(), [1, 2]);
    assert!(log.verify().is_ok(), "{:?}", log.verify());
}

#[test]
fn a_log_of_many_tiles_reads_proves_and_verifies() {
    let home = Home::new();
    let mut log = home.open();
    // Large entries make live files that are replaced several times within these.
    let events: Vec<Event> = (0..3000).map(|n| notice(format!("{n} {}", "x".repeat(1500)))).collect();
    let mut heads = Vec::new();
    for batch in events.chunks(97) {
        log.append(&About::NOTHING, batch).unwrap();
        heads.push(log.head().unwrap());
    }
    assert!(home.log().join("tile/entries/005").exists());
    let last = log.head().unwrap();
    assert_eq!(last.size, 3000);
    for index in [0, 255, 256, 1023, 2500, 2815, 2816, 2999] {
        let proof = log.prove_inclusion(index).unwrap();
        assert!(check_inclusion(&proof.leaf, index, 3000, &proof.path, &last.root), "{index}");
    }
    for head in &heads {
        let (path, new) = log.prove_consistency(head.size).unwrap();
        assert!(check_consistency(head.size, new.size, &path, &head.root, &new.root), "{}", head.size);
    }
    assert!(matches!(log.prove_inclusion(3000), Err(AuditError::NotFound(3000))));
    log.checkpoint().unwrap();
    let report = log.verify();
    assert!(report.is_ok(), "{report:?}");
    assert_eq!((report.entries, report.signed, report.root), (3000, 3000, Some(last.root)));
    drop(log);
    let log = home.open();
    assert!(all(&log).iter().enumerate().all(|(n, (at, entry))| {
        *at == n as u64 && matches!(&entry.event, Event::Notice { text } if text.starts_with(&format!("{n} x")))
    }));
}

#[test]
fn a_tree_of_more_than_65536_entries_has_full_tiles_of_level_one() {
    let home = Home::new();
    let mut log = home.open();
    let events = vec![notice("x"); 66_000];
    log.append(&About::NOTHING, &events).unwrap();
    log.close().unwrap();
    assert!(home.log().join("tile/1/000").exists());
    assert!(home.log().join("tile/2/000.p/1").exists());
    let log = home.open();
    let head = log.head().unwrap();
    for index in [0, 65_535, 65_536, 65_999] {
        let proof = log.prove_inclusion(index).unwrap();
        assert!(check_inclusion(&proof.leaf, index, head.size, &proof.path, &head.root), "{index}");
    }
    let report = log.verify();
    assert!(report.is_ok(), "{report:?}");
}

// A hundred thousand looks in a row are all logged lazily: the live file, which is read whole, must not hold them all.
#[test]
fn lazy_entries_alone_go_into_tiles_too() {
    let home = Home::new();
    let mut log = home.open();
    for n in 0..100 {
        let some: Vec<Event> = (0..200).map(|m| notice(format!("{n} {m} {}", "z".repeat(1000)))).collect();
        log.append_lazy(&About::NOTHING, &some).unwrap();
    }
    // Of some 22 MiB.
    let live = std::fs::metadata(home.log().join("live.log")).unwrap().len();
    assert!(live <= 8 << 20, "{live}");
    let report = log.verify();
    assert!(report.is_ok() && report.entries == 20_000 && report.signed >= 18_000, "{report:?}");
}

#[test]
fn lazy_entries_are_seen_at_once_and_signed_by_the_next_append_of_anyone() {
    let home = Home::new();
    let mut one = home.open();
    let mut two = home.open();
    one.append_lazy(&About::NOTHING, &[notice("lazy")]).unwrap();
    assert_eq!(texts(&two), ["lazy"]);
    assert_eq!(two.head().unwrap().size, 0);
    let report = two.verify();
    assert!(report.is_ok() && report.signed == 0 && report.entries == 1, "{report:?}");
    two.append(&About::NOTHING, &[notice("durable")]).unwrap();
    assert_eq!(one.append(&About::NOTHING, &[notice("mine")]).unwrap(), 2..3);
    assert_eq!(texts(&one), ["lazy", "durable", "mine"]);
    assert!(one.verify().is_ok());
}

#[test]
fn two_handles_take_turns_across_new_live_files() {
    let home = Home::new();
    let mut logs = [home.open(), home.open()];
    let big = "y".repeat(4000);
    for n in 0..800_usize {
        let at = logs[n % 2].append(&About::NOTHING, &[notice(format!("{n} {big}"))]).unwrap();
        assert_eq!(at, n as u64..n as u64 + 1);
    }
    assert!(home.log().join("tile/entries/000").exists());
    for log in &mut logs {
        log.checkpoint().unwrap();
    }
    let report = home.verify();
    assert!(report.is_ok(), "{report:?}");
}

#[test]
fn partial_tiles_are_published_and_go_when_the_full_one_is_there() {
    let home = Home::new();
    let mut log = home.open();
    fill(&mut log, 300);
    assert_eq!(log.checkpoint().unwrap().size, 300);
    for there in ["checkpoint", "tile/0/000", "tile/entries/000", "tile/0/001.p/44", "tile/1/000.p/1"] {
        assert!(home.log().join(there).exists(), "{there}");
    }
    assert_eq!(log.checkpoint().unwrap().size, 300);
    fill(&mut log, 300);
    log.checkpoint().unwrap();
    assert!(!home.log().join("tile/0/001.p").exists());
    assert!(!home.log().join("tile/entries/001.p").exists());
    let entry = log.prove_inclusion(599).unwrap();
    let live = std::fs::read(home.log().join("tile/0/002.p/88")).unwrap();
    assert_eq!(live[87 * 32..], entry.leaf);
    assert!(log.verify().is_ok(), "{:?}", log.verify());
}

/// Invariant 6: no plaintext of ours at rest. Invariant 7: no secret in an error or a log.
#[test]
fn nothing_of_an_entry_can_be_read_on_disk() {
    let home = Home::new();
    let mut log = home.open();
    let event = Event::ReadDone {
        verb: "marmalade-verb".into(),
        target: raincoat_types::RawPath(b"/home/marmalade/secret.txt".to_vec()),
        bytes: 1,
    };
    let about = About::run(RunId(Ulid::from_parts(77, 77)), Actor::Agent("marmalade-agent".into()));
    let events = vec![event; 300];
    log.append(&about, &events).unwrap();
    let run = about.run.unwrap().to_string();
    log.close().unwrap();
    for file in files(home.folder.path()) {
        let bytes = std::fs::read(&file).unwrap();
        for plain in [b"marmalade".as_slice(), run.as_bytes()] {
            assert!(!bytes.windows(plain.len()).any(|window| window == plain), "{}", file.display());
        }
    }
}

#[test]
fn a_clock_that_runs_backwards_changes_nothing_but_a_note() {
    let home = Home::new();
    let mut log = home.open();
    log.append(&About::NOTHING, &[notice("first")]).unwrap();
    home.clock.0.store(500, Ordering::SeqCst);
    log.append(&About::NOTHING, &[notice("second")]).unwrap();
    assert_eq!(texts(&log), ["first", "second"]);
    let report = log.verify();
    assert!(report.is_ok());
    assert!(report.notes.iter().any(|note| note.contains("clock went back 1 times")), "{report:?}");
}

#[test]
fn an_event_too_long_for_an_entry_goes_in_by_digest() {
    let home = Home::new();
    let mut log = home.open();
    let long = notice("z".repeat(100_000));
    log.append(&About::NOTHING, &[long]).unwrap();
    let entries = all(&log);
    assert!(matches!(entries[0].1.event, Event::Oversized { bytes, .. } if bytes > 100_000));
    assert!(log.verify().is_ok());
}

#[test]
fn a_log_without_a_head_kept_apart_says_so_in_the_log() {
    let home = Home::with(3);
    std::fs::remove_file(home.apart().join("audit.head")).unwrap();
    assert!(home.verify().unchecked.iter().any(|text| text.contains("cut off")));
    let log = home.open();
    assert!(texts(&log)[3].starts_with("protection missing: audit head"), "{:?}", texts(&log));
}

#[test]
fn a_name_that_cannot_be_one_is_refused() {
    let home = Home::new();
    for bad in ["", "two words", "plus+plus", &"x".repeat(101)] {
        let dir = || raincoat_os::PrivateDir::open_or_create(&home.log()).unwrap();
        let opened = raincoat_audit::AuditReader::open(dir(), dir(), common::keys(1), bad);
        assert!(matches!(opened, Err(AuditError::Origin(_))), "{bad}");
    }
}

#[test]
fn what_a_proof_says_is_the_hash_of_what_lies_on_disk() {
    let home = Home::with(256);
    let bundle = std::fs::read(home.log().join("tile/entries/000")).unwrap();
    let first = usize::from(u16::from_be_bytes([bundle[0], bundle[1]]));
    assert_eq!(leaf_hash(&bundle[2..2 + first]), home.reader().prove_inclusion(0).unwrap().leaf);
}

/// The live file is read whole at open, so this bounds memory and time of that (invariant 12).
#[test]
fn the_live_file_does_not_grow_with_the_log() {
    let home = Home::new();
    let mut log = home.open();
    fill(&mut log, 2000);
    let live = std::fs::metadata(home.log().join("live.log")).unwrap().len();
    assert!(live <= 2 << 20, "{live}");
    log.checkpoint().unwrap();
    let live = std::fs::read(home.log().join("live.log")).unwrap();
    let used = live.iter().rposition(|b| *b != 0).unwrap();
    assert!(used < 100 << 10, "{used}");
}

#[test]
fn a_live_file_filled_up_by_its_maker_is_followed_by_a_larger_one_and_any_other_by_a_small_one() {
    let home = Home::new();
    let mut log = home.open();
    let live = || std::fs::metadata(home.log().join("live.log")).unwrap().len() >> 20;
    let events: Vec<Event> = (0..100).map(|n| notice(format!("{n} {}", "x".repeat(5_000)))).collect();
    let mut sizes = vec![live()];
    for _ in 0..60 {
        log.append(&About::NOTHING, &events).unwrap();
        sizes.push(live());
    }
    sizes.dedup();
    assert_eq!(sizes, [1, 2, 4, 8]);
    // Processes that end soon have no need of it.
    for _ in 0..20 {
        log = home.open();
        log.append(&About::NOTHING, &events).unwrap();
    }
    assert!(live() <= 2, "{}", live());
    log.checkpoint().unwrap();
    assert_eq!(live(), 1);
    let report = log.verify();
    assert!(report.is_ok() && report.entries == 8_000, "{report:?}");
}

/// The writer has what it wrote in memory: tiles are not made of what somebody else made of it on the disk.
#[test]
fn a_live_file_changed_under_a_running_writer_does_not_become_tiles() {
    let home = Home::new();
    let mut log = home.open();
    fill(&mut log, 600);
    let live = home.log().join("live.log");
    let sound = std::fs::read(&live).unwrap();
    let used = sound.iter().rposition(|byte| *byte != 0).unwrap();
    for at in [32, used / 2, used] {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        std::fs::write(&live, &bytes).unwrap();
        let refused = log.checkpoint();
        assert!(matches!(refused, Err(AuditError::Damaged(_))), "{at}: {refused:?}");
        assert!(!home.log().join("tile").exists());
    }
    std::fs::write(&live, &sound).unwrap();
    log.checkpoint().unwrap();
    assert!(log.verify().is_ok() && home.log().join("tile/entries/001").exists());
}

#[test]
fn a_log_can_be_verified_and_read_while_it_is_written() {
    let home = Home::new();
    let mut log = home.open();
    fill(&mut log, 10);
    let reader = home.reader();
    let watching = std::thread::spawn(move || {
        for _ in 0..40 {
            let report = reader.verify();
            assert!(report.is_ok(), "{:#?}", report.problems);
            assert_eq!(reader.tail(5).unwrap().filter(|entry| entry.is_ok()).count(), 5);
        }
    });
    while !watching.is_finished() {
        fill(&mut log, 30);
        log.checkpoint().unwrap();
    }
    watching.join().unwrap();
}
