//! One prover that lives on while the log grows, is rewritten, pruned, damaged and replaced: whatever it gives is checked
//! against the log's head by the rules of the specification.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::path::Path;
use std::sync::atomic::Ordering;

use common::{Home, copy_tree, fill, notice};
use raincoat_audit::proof::check_inclusion;
use raincoat_audit::{About, Audit, AuditError, Class, Event, PERIOD_SECS, Prover};
use raincoat_types::RawPath;

/// The entry is proved, against the head that the log has now.
#[track_caller]
fn proves(prover: &mut Prover, log: &Audit, index: u64) {
    let head = log.head().unwrap();
    let proof = prover.prove_inclusion(index).unwrap_or_else(|error| panic!("{index} of {}: {error}", head.size));
    assert_eq!(proof.head, head);
    assert_eq!((proof.index, proof.leaf), (index, raincoat_audit::leaf_hash(&log.sealed(index).unwrap())));
    let holds = check_inclusion(&proof.leaf, index, head.size, &proof.path, &head.root);
    assert!(holds, "{index} of {}", head.size);
    assert_eq!(log.verifier().open(proof.note.as_bytes()).unwrap(), head);
}

#[track_caller]
fn refuses(prover: &mut Prover, index: u64) {
    let proved = prover.prove_inclusion(index);
    assert!(matches!(proved, Err(AuditError::Damaged(_))), "{index}: {proved:?}");
}

/// Entries at the edges of what a log of so many has.
fn edges(size: u64) -> Vec<u64> {
    let mut edges: Vec<u64> = [0, 1, 127, 128, 255, 256, 511, 512, 32_768, 65_279, 65_280, 65_535, 65_536]
        .into_iter()
        .chain([size / 2, size.saturating_sub(2), size - 1])
        .filter(|index| *index < size)
        .collect();
    edges.dedup();
    edges
}

#[test]
fn a_prover_follows_the_log_through_every_size_around_full_tiles() {
    for publish in [false, true] {
        let home = Home::new();
        let mut log = home.open();
        fill(&mut log, 1);
        let mut prover = log.prover().unwrap();
        let mut grow = |to: u64| {
            let events = vec![notice("x"); usize::try_from(to - log.head().unwrap().size).unwrap()];
            log.append(&About::NOTHING, &events).unwrap();
            if publish {
                log.checkpoint().unwrap();
            }
            for index in edges(to) {
                proves(&mut prover, &log, index);
            }
            assert!(matches!(prover.prove_inclusion(to), Err(AuditError::NotFound(at)) if at == to));
        };
        for size in (2..6).chain(254..259).chain(510..515) {
            grow(size);
        }
    }
}

#[test]
fn a_prover_follows_the_log_through_a_full_tile_of_level_one_and_refuses_a_damaged_one() {
    let home = Home::new();
    let mut log = home.open();
    log.append(&About::NOTHING, &vec![notice("x"); 65_534]).unwrap();
    let mut prover = log.prover().unwrap();
    for size in 65_535..65_539 {
        log.append(&About::NOTHING, &[notice("y")]).unwrap();
        if size == 65_537 {
            log.checkpoint().unwrap();
        }
        for index in edges(size) {
            proves(&mut prover, &log, index);
        }
    }

    // The hash of entries 1,280 to 1,535 is another. What was kept before was of the right ones.
    let tile = home.log().join("tile/1/000");
    let sound = std::fs::read(&tile).unwrap();
    let mut damaged = sound.clone();
    damaged[5 * 32] ^= 1;
    std::fs::write(&tile, &damaged).unwrap();
    proves(&mut prover, &log, 0);
    let mut late = log.prover().unwrap();
    for index in [0, 1_279, 1_536, 65_535] {
        refuses(&mut late, index);
    }
    // The way up from these does not lead over it.
    for index in [1_280, 1_535] {
        proves(&mut late, &log, index);
    }
    std::fs::write(&tile, &sound[..sound.len() - 32]).unwrap();
    refuses(&mut log.prover().unwrap(), 0);
    std::fs::remove_file(&tile).unwrap();
    refuses(&mut log.prover().unwrap(), 0);
    // Mended, the same prover goes on.
    std::fs::write(&tile, &sound).unwrap();
    for index in edges(65_538) {
        proves(&mut late, &log, index);
    }
}

#[test]
fn a_prover_refuses_a_damaged_tile_of_entries_and_goes_on_when_it_is_mended() {
    let home = Home::with(600);
    let log = home.open();
    let tile = home.log().join("tile/0/001");
    let sound = std::fs::read(&tile).unwrap();
    let mut damaged = sound.clone();
    damaged[7] ^= 1;
    std::fs::write(&tile, &damaged).unwrap();
    let mut prover = log.prover().unwrap();
    refuses(&mut prover, 256);
    refuses(&mut prover, 511);
    proves(&mut prover, &log, 255);
    proves(&mut prover, &log, 512);
    refuses(&mut prover, 300);
    std::fs::write(&tile, &sound).unwrap();
    proves(&mut prover, &log, 256);
    proves(&mut prover, &log, 300);
}

#[test]
fn a_prover_notices_what_another_process_writes_and_that_the_log_is_another() {
    let home = Home::with(600);
    let mut log = home.open();
    let mut prover = home.reader().prover().unwrap();
    proves(&mut prover, &log, 5);
    let mut other = home.open();
    fill(&mut other, 10);
    proves(&mut prover, &log, 609);
    // Lazy entries are in no head; the next durable one covers them.
    other.append_lazy(&About::NOTHING, &[notice("lazy")]).unwrap();
    assert!(matches!(prover.prove_inclusion(610), Err(AuditError::NotFound(610))));
    fill(&mut log, 1);
    proves(&mut prover, &log, 610);
    drop((log, other));

    // As many entries of the same kind, under the same keys: only the hashes differ.
    let before = prover.prove_inclusion(5).unwrap();
    let another = Home::with(640);
    replace(&home.log(), &another.log());
    let log = another.open();
    for index in [5, 6, 300, 639] {
        proves(&mut prover, &log, index);
    }
    assert_ne!(prover.prove_inclusion(5).unwrap().leaf, before.leaf);

    // And an older state of it, whose live file has the same start.
    let older = Home::with(20);
    let mut log = older.open();
    replace(&home.log(), &older.log());
    proves(&mut prover, &log, 19);
    let old = std::fs::read(older.log().join("live.log")).unwrap();
    fill(&mut log, 5);
    std::fs::copy(older.log().join("live.log"), home.log().join("live.log")).unwrap();
    proves(&mut prover, &log, 24);
    std::fs::write(home.log().join("live.log"), old).unwrap();
    assert!(matches!(prover.prove_inclusion(24), Err(AuditError::NotFound(24))));
    assert_eq!(prover.prove_inclusion(19).unwrap().head.size, 20);

    std::fs::remove_file(home.log().join("live.log")).unwrap();
    refuses(&mut prover, 19);
}

fn replace(there: &Path, with: &Path) {
    std::fs::remove_dir_all(there.join("tile")).unwrap_or_default();
    copy_tree(with, there);
}

#[test]
fn a_prover_says_what_was_pruned_meanwhile_and_proves_the_rest() {
    let home = Home::new();
    home.clock.0.store(0, Ordering::SeqCst);
    let mut log = home.open();
    let read =
        |n: u64| Event::ReadDone { verb: "read".into(), target: RawPath(format!("/p/{n}").into_bytes()), bytes: n };
    log.append(&About::NOTHING, &(0..700).map(read).collect::<Vec<_>>()).unwrap();
    log.checkpoint().unwrap();
    let mut prover = log.prover().unwrap();
    proves(&mut prover, &log, 3);
    home.clock.0.store(PERIOD_SECS * 40, Ordering::SeqCst);
    log.keep_for(Class::Reads, Some(86_400)).unwrap();
    assert_eq!(log.prune().unwrap().minimum, 512);
    for index in [0, 3, 511] {
        assert!(matches!(prover.prove_inclusion(index), Err(AuditError::Pruned(at)) if at == index));
    }
    for index in [512, 600, 699] {
        proves(&mut prover, &log, index);
    }
    assert!(matches!(home.reader().prove_inclusion(3), Err(AuditError::Pruned(3))));
}
