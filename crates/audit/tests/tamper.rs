//! Someone who can write every file but knows no key, by name of the attack (D1): `verify` says what was done, and
//! what an open log relies on is refused at open.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::path::Path;

use common::{Home, ORIGIN, copy_tree, files, fill, notice};
use raincoat_audit::live::{Kind, Live, Preamble, push_frame};
use raincoat_audit::note::Signer;
use raincoat_audit::tile::{decode_entries, push_entry};
use raincoat_audit::{About, AuditError, Checkpoint, KnownHead, ProblemKind, Subject, forget_head};
use raincoat_os::PrivateDir;
use raincoat_types::{Actor, RunId, Secret, Ulid};

/// Entries of the log that is attacked: two full tiles, and 188 entries in the live file.
const ENTRIES: u64 = 700;

type Frames = Vec<(Kind, Vec<u8>)>;

fn edit_bundle(home: &Home, name: &str, edit: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let path = home.log().join(name);
    let bytes = std::fs::read(&path).unwrap();
    let mut entries: Vec<Vec<u8>> = decode_entries(&bytes).unwrap().into_iter().map(<[u8]>::to_vec).collect();
    edit(&mut entries);
    let mut bytes = Vec::new();
    for entry in entries {
        assert!(push_entry(&mut bytes, &entry));
    }
    std::fs::write(path, bytes).unwrap();
}

/// Rewrites the live file's records, each with a right check, as an attacker would who has read the format.
fn edit_live(home: &Home, edit: impl FnOnce(&mut Frames)) {
    let path = home.log().join("live.log");
    let bytes = std::fs::read(&path).unwrap();
    let live = Live::parse(&bytes).unwrap();
    let mut frames: Frames =
        live.records.iter().map(|record| (record.kind, bytes[record.body.clone()].to_vec())).collect();
    edit(&mut frames);
    let mut out = live.preamble.encode().to_vec();
    push_frame(&mut out, Kind::Start, &live.start.encode());
    for (kind, body) in frames {
        push_frame(&mut out, kind, &body);
    }
    out.resize(bytes.len().max(out.len()), 0);
    std::fs::write(path, out).unwrap();
}

/// Positions of the entries among the frames.
fn entries(frames: &Frames) -> Vec<usize> {
    (0..frames.len()).filter(|at| frames[*at].0 == Kind::Entry).collect()
}

#[track_caller]
fn found(home: &Home, kind: ProblemKind, entry: Option<u64>) {
    let report = home.verify();
    let hit = report.problems.iter().any(|problem| problem.kind == kind && (entry.is_none() || problem.entry == entry));
    assert!(hit, "wanted {kind:?} {entry:?}, got {:#?}", report.problems);
    assert!(report.problems.iter().all(|problem| !problem.text.is_empty()));
}

#[track_caller]
fn refused(home: &Home) -> AuditError {
    match home.try_open() {
        Ok(_) => panic!("the log was opened"),
        Err(error) => error,
    }
}

#[test]
fn a_sound_log_has_no_problem() {
    let report = Home::with(ENTRIES).verify();
    assert!(report.is_ok(), "{:#?}", report.problems);
    assert_eq!((report.entries, report.signed), (ENTRIES, ENTRIES));
    assert!(report.unchecked.iter().any(|text| text.contains("witness")));
}

#[test]
fn a_changed_byte_in_any_file() {
    let home = Home::with(ENTRIES);
    let mut tried = 0;
    for path in files(&home.log()).into_iter().chain(files(&home.apart())) {
        let good = std::fs::read(&path).unwrap();
        let used = good.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
        // The preamble's generation is a random number that only tells files apart.
        let from = if path.ends_with("live.log") { 32 } else { 0 };
        for at in (from..used).step_by(used / 12 + 1).chain(used.checked_sub(1)) {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            std::fs::write(&path, &bad).unwrap();
            assert!(!home.verify().is_ok(), "byte {at} of {}", path.display());
            tried += 1;
        }
        std::fs::write(&path, &good).unwrap();
    }
    assert!(tried > 80, "{tried}");
    assert!(home.verify().is_ok());
}

#[test]
fn a_file_cut_short_or_removed() {
    let home = Home::with(ENTRIES);
    for path in files(&home.log()) {
        if path.ends_with("lock") {
            continue;
        }
        let good = std::fs::read(&path).unwrap();
        let used = good.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
        for cut in [0, used / 2, used - 1] {
            std::fs::write(&path, &good[..cut]).unwrap();
            assert!(!home.verify().is_ok(), "{} cut to {cut}", path.display());
        }
        std::fs::remove_file(&path).unwrap();
        assert!(!home.verify().is_ok(), "{} removed", path.display());
        std::fs::write(&path, &good).unwrap();
    }
    assert!(home.verify().is_ok());
}

#[test]
fn a_changed_entry_in_a_bundle() {
    let home = Home::with(ENTRIES);
    edit_bundle(&home, "tile/entries/001", |entries| entries[7][20] ^= 1);
    found(&home, ProblemKind::Changed, Some(263));
}

#[test]
fn a_dropped_entry_in_a_bundle() {
    let home = Home::with(ENTRIES);
    edit_bundle(&home, "tile/entries/000", |entries| {
        entries.remove(9);
    });
    found(&home, ProblemKind::Dropped, Some(9));
}

#[test]
fn reordered_entries_in_a_bundle() {
    let home = Home::with(ENTRIES);
    edit_bundle(&home, "tile/entries/000", |entries| entries.swap(9, 40));
    found(&home, ProblemKind::Reordered, Some(9));
}

#[test]
fn a_duplicated_entry_in_a_bundle() {
    let home = Home::with(ENTRIES);
    edit_bundle(&home, "tile/entries/000", |entries| entries.insert(10, entries[9].clone()));
    found(&home, ProblemKind::Duplicated, Some(9));
}

#[test]
fn an_inserted_entry_in_a_bundle() {
    let home = Home::with(ENTRIES);
    edit_bundle(&home, "tile/entries/000", |entries| entries.insert(10, vec![5; 120]));
    found(&home, ProblemKind::Added, Some(10));
}

#[test]
fn swapped_bundles() {
    let home = Home::with(ENTRIES);
    let [a, b] = ["000", "001"].map(|name| home.log().join("tile/entries").join(name));
    let (first, second) = (std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
    std::fs::write(a, second).unwrap();
    std::fs::write(b, first).unwrap();
    found(&home, ProblemKind::Reordered, Some(256));
}

#[test]
fn swapped_bundles_with_their_tiles() {
    let home = Home::with(ENTRIES);
    for level in ["entries", "0"] {
        let [a, b] = ["000", "001"].map(|name| home.log().join("tile").join(level).join(name));
        let (first, second) = (std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
        std::fs::write(a, second).unwrap();
        std::fs::write(b, first).unwrap();
    }
    assert!(!home.verify().is_ok());
}

#[test]
fn a_changed_entry_in_the_live_file() {
    let home = Home::with(ENTRIES);
    edit_live(&home, |frames| {
        let at = entries(frames)[3];
        frames[at].1[30] ^= 1;
    });
    found(&home, ProblemKind::Changed, Some(515));
    assert!(matches!(refused(&home), AuditError::Damaged(_)));
}

#[test]
fn a_dropped_entry_in_the_live_file() {
    let home = Home::with(ENTRIES);
    edit_live(&home, |frames| {
        frames.remove(entries(frames)[3]);
    });
    found(&home, ProblemKind::Dropped, Some(515));
    refused(&home);
}

#[test]
fn reordered_entries_in_the_live_file() {
    let home = Home::with(ENTRIES);
    edit_live(&home, |frames| {
        let at = entries(frames);
        frames.swap(at[3], at[5]);
    });
    found(&home, ProblemKind::Reordered, Some(515));
    refused(&home);
}

#[test]
fn a_duplicated_entry_in_the_live_file() {
    let home = Home::with(ENTRIES);
    edit_live(&home, |frames| {
        let at = entries(frames)[3];
        frames.insert(at, frames[at].clone());
    });
    found(&home, ProblemKind::Duplicated, Some(515));
    refused(&home);
}

#[test]
fn an_inserted_entry_in_the_live_file() {
    let home = Home::with(ENTRIES);
    edit_live(&home, |frames| {
        let at = entries(frames)[3];
        frames.insert(at, (Kind::Entry, vec![9; 100]));
    });
    found(&home, ProblemKind::Added, Some(515));
    refused(&home);
}

#[test]
fn a_forged_entry_after_the_last_signed_one() {
    let home = Home::with(ENTRIES);
    edit_live(&home, |frames| frames.push((Kind::Entry, vec![9; 100])));
    found(&home, ProblemKind::Added, Some(ENTRIES));
    assert!(matches!(refused(&home), AuditError::Damaged(_)));
}

#[test]
fn a_byte_changed_in_the_middle_of_the_live_file_is_not_taken_for_a_torn_end() {
    let home = Home::with(ENTRIES);
    let path = home.log().join("live.log");
    let mut bytes = std::fs::read(&path).unwrap();
    let live = Live::parse(&bytes).unwrap();
    bytes[live.records[2].body.start + 3] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    forget_head(&PrivateDir::open(&home.apart()).unwrap()).unwrap();
    assert!(matches!(refused(&home), AuditError::Damaged(_)));
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing was thrown away");
}

#[test]
fn a_truncated_tail_at_a_signed_head() {
    let home = Home::with(ENTRIES);
    std::fs::remove_file(home.log().join("checkpoint")).unwrap();
    edit_live(&home, |frames| {
        frames.pop();
        let last = frames.iter().rposition(|(kind, _)| *kind == Kind::Head).unwrap();
        frames.truncate(last + 1);
    });
    found(&home, ProblemKind::Truncated, None);
    assert!(matches!(refused(&home), AuditError::RolledBack { log: 650, head: ENTRIES, .. }));
}

#[test]
fn a_truncated_tail_is_seen_by_the_published_checkpoint_too() {
    let home = Home::with(ENTRIES);
    edit_live(&home, |frames| {
        let last = frames[..frames.len() - 1].iter().rposition(|(kind, _)| *kind == Kind::Head).unwrap();
        frames.truncate(last + 1);
    });
    forget_head(&PrivateDir::open(&home.apart()).unwrap()).unwrap();
    found(&home, ProblemKind::Truncated, None);
}

#[test]
fn a_truncated_tail_in_the_tiles() {
    let home = Home::with(ENTRIES);
    std::fs::remove_file(home.log().join("tile/entries/001")).unwrap();
    std::fs::remove_file(home.log().join("tile/0/001")).unwrap();
    found(&home, ProblemKind::Dropped, Some(256));
}

#[test]
fn an_unsigned_tail_is_said() {
    let home = Home::with(3);
    let mut log = home.open();
    log.append_lazy(&About::NOTHING, &[notice("late")]).unwrap();
    let report = home.verify();
    assert!(report.is_ok());
    assert!(report.notes.iter().any(|note| note.contains("not covered by a signed tree head")), "{report:?}");
}

#[test]
fn a_checkpoint_of_another_size() {
    let home = Home::with(ENTRIES);
    let path = home.log().join("checkpoint");
    let note = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, note.replace("\n700\n", "\n699\n")).unwrap();
    found(&home, ProblemKind::BadSignature, None);
}

#[test]
fn a_checkpoint_of_another_key() {
    let home = Home::with(ENTRIES);
    let head = Checkpoint { origin: ORIGIN.into(), size: ENTRIES, root: home.reader().head().unwrap().root };
    let note = Signer::new(ORIGIN, &Secret::new([99; 32])).unwrap().sign(&head.text());
    std::fs::write(home.log().join("checkpoint"), note).unwrap();
    found(&home, ProblemKind::WrongKey, None);
}

#[test]
fn an_older_copy_of_the_whole_log() {
    let home = Home::with(600);
    let copy = home.folder.path().join("copy");
    copy_tree(&home.log(), &copy);
    let mut log = home.open();
    fill(&mut log, 400);
    log.close().unwrap();
    replace_log(&home, &copy);
    found(&home, ProblemKind::Truncated, None);
    assert!(matches!(refused(&home), AuditError::RolledBack { log: 600, head: 1000, .. }));
    // Once a person has said that it is all right, it goes on, and says in the log that nothing was kept apart.
    forget_head(&PrivateDir::open(&home.apart()).unwrap()).unwrap();
    assert_eq!(home.open().head().unwrap().size, 601);
}

#[test]
fn an_older_copy_under_a_running_process() {
    let home = Home::with(10);
    let copy = home.folder.path().join("copy");
    copy_tree(&home.log(), &copy);
    let mut log = home.open();
    fill(&mut log, 10);
    // A rewritten file is another generation, as any copy that was opened in between.
    let path = copy.join("live.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[..32].copy_from_slice(&Preamble { generation: [1; 16], suspect: false }.encode());
    std::fs::write(&path, bytes).unwrap();
    replace_log(&home, &copy);
    let error = log.append(&About::NOTHING, &[notice("x")]).unwrap_err();
    assert!(matches!(error, AuditError::RolledBack { log: 10, head: 20, .. }), "{error:?}");
}

#[test]
fn the_log_rebuilt_with_a_new_key() {
    let home = Home::with(ENTRIES);
    let mut forger = Home::new();
    forger.seed = 8;
    let mut log = forger.open();
    fill(&mut log, ENTRIES);
    log.close().unwrap();
    replace_log(&home, &forger.log());
    found(&home, ProblemKind::WrongKey, None);
    assert!(matches!(refused(&home), AuditError::WrongKey(_)));
    // With the key replaced too, the head kept apart still tells.
    forger = Home { seed: 8, ..home };
    found(&forger, ProblemKind::WrongKey, None);
    assert!(matches!(refused(&forger), AuditError::WrongKey(_)));
}

#[test]
fn the_log_rebuilt_with_the_same_keys() {
    let home = Home::with(ENTRIES);
    let forged = Home::with(ENTRIES + 10);
    replace_log(&home, &forged.log());
    found(&home, ProblemKind::Rewritten, None);
    assert!(matches!(refused(&home), AuditError::Forked { size: ENTRIES, .. }));
}

#[test]
fn everything_removed_but_the_head_kept_apart() {
    let home = Home::with(ENTRIES);
    std::fs::remove_dir_all(home.log()).unwrap();
    found(&home, ProblemKind::Truncated, None);
    assert!(matches!(refused(&home), AuditError::RolledBack { log: 0, head: ENTRIES, .. }));
}

#[test]
fn the_live_file_removed() {
    let home = Home::with(ENTRIES);
    std::fs::remove_file(home.log().join("live.log")).unwrap();
    found(&home, ProblemKind::Dropped, None);
    refused(&home);
    forget_head(&PrivateDir::open(&home.apart()).unwrap()).unwrap();
    assert!(matches!(refused(&home), AuditError::Damaged(_)), "a log with tiles is not begun anew");
}

#[test]
fn a_head_kept_apart_that_is_garbage_or_of_another_key() {
    let home = Home::with(3);
    let path = home.apart().join("audit.head");
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, b"garbage").unwrap();
    found(&home, ProblemKind::Changed, None);
    assert!(matches!(refused(&home), AuditError::HeadDamaged(..)));
    let head = Checkpoint { origin: ORIGIN.into(), size: 3, root: home.reader().head().unwrap().root };
    std::fs::write(&path, Signer::new(ORIGIN, &Secret::new([99; 32])).unwrap().sign(&head.text())).unwrap();
    found(&home, ProblemKind::WrongKey, None);
    assert!(matches!(refused(&home), AuditError::WrongKey(_)));
    std::fs::write(&path, good).unwrap();
    home.open();
}

#[test]
fn a_file_that_does_not_belong() {
    let home = Home::with(ENTRIES);
    std::fs::write(home.log().join("tile/0/zzz"), b"x").unwrap();
    found(&home, ProblemKind::Added, None);
}

#[test]
fn tiles_beyond_the_end_of_the_log() {
    let home = Home::with(ENTRIES);
    std::fs::copy(home.log().join("tile/0/001"), home.log().join("tile/0/002")).unwrap();
    found(&home, ProblemKind::Truncated, None);
}

#[test]
fn an_entry_sealed_anew_by_someone_who_has_the_payload_key_only() {
    let home = Home::with(ENTRIES);
    // The same events under the same keys seal to other bytes, each at its right index.
    let forged = Home::with(ENTRIES);
    let other = std::fs::read(forged.log().join("tile/entries/001")).unwrap();
    let foreign = decode_entries(&other).unwrap()[4].to_vec();
    edit_bundle(&home, "tile/entries/001", |entries| entries[4] = foreign);
    found(&home, ProblemKind::Changed, Some(260));
}

#[test]
fn a_whole_session_removed_from_the_middle() {
    let home = Home::new();
    for _ in 0..3 {
        let mut log = home.open();
        fill(&mut log, 60);
    }
    edit_live(&home, |frames| {
        let at = entries(frames);
        frames.drain(at[60]..at[120]);
    });
    found(&home, ProblemKind::Dropped, Some(60));
    refused(&home);
}

#[test]
fn a_damaged_log_can_still_be_read_where_it_is_sound() {
    let home = Home::with(ENTRIES);
    edit_bundle(&home, "tile/entries/001", |entries| entries[7][20] ^= 1);
    let reader = home.reader();
    let read: Vec<_> = reader.entries(..).unwrap().collect();
    assert_eq!(read.iter().filter(|entry| entry.is_err()).count(), 1);
    assert!(read[262].is_ok() && read[263].is_err() && read[264].is_ok());
}

fn replace_log(home: &Home, with: &Path) {
    for path in files(&home.log()) {
        std::fs::remove_file(path).unwrap();
    }
    copy_tree(with, &home.log());
}

fn edit_subjects(home: &Home, edit: impl FnOnce(&mut Vec<u8>)) {
    let path = home.log().join("subjects");
    let mut bytes = std::fs::read(&path).unwrap();
    edit(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// Where a slot's bytes are.
fn slot(number: usize) -> std::ops::Range<usize> {
    512 + number * 128..512 + (number + 1) * 128
}

/// A log about three runs, each with a key in a slot of its own.
fn with_runs() -> Home {
    let home = Home::new();
    let mut log = home.open();
    for n in 0..3 {
        let about = About::run(RunId(Ulid::from_parts(5, n)), Actor::Person);
        log.append(&about, &[notice(format!("run {n}"))]).unwrap();
    }
    log.close().unwrap();
    home
}

#[test]
fn a_subjects_key_overwritten_to_make_entries_unreadable() {
    let home = with_runs();
    edit_subjects(&home, |bytes| bytes[slot(2)].fill(7));
    found(&home, ProblemKind::Changed, None);
    let read: Vec<_> = home.reader().entries(..).unwrap().collect();
    assert!(read.iter().any(|entry| matches!(entry, Err(AuditError::KeyLost { slot: 2, .. }))), "it is not `erased`");
}

#[test]
fn two_subjects_keys_swapped() {
    let home = with_runs();
    edit_subjects(&home, |bytes| {
        let (a, b) = (bytes[slot(1)].to_vec(), bytes[slot(2)].to_vec());
        bytes[slot(1)].copy_from_slice(&b);
        bytes[slot(2)].copy_from_slice(&a);
    });
    found(&home, ProblemKind::Changed, None);
}

#[test]
fn a_subjects_key_taken_away() {
    let home = with_runs();
    edit_subjects(&home, |bytes| bytes[slot(3)].fill(0));
    found(&home, ProblemKind::Dropped, None);
    assert!(matches!(refused(&home), AuditError::Damaged(_)));
}

#[test]
fn the_file_of_subjects_keys_removed_or_cut() {
    let home = with_runs();
    let path = home.log().join("subjects");
    let good = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    found(&home, ProblemKind::Dropped, None);
    assert!(matches!(refused(&home), AuditError::Damaged(_)));
    std::fs::write(&path, &good[..100]).unwrap();
    found(&home, ProblemKind::Changed, None);
    refused(&home);
    std::fs::write(&path, &good[..512 + 128]).unwrap();
    found(&home, ProblemKind::Dropped, None);
    refused(&home);
}

#[test]
fn an_erased_key_put_back_from_an_older_copy() {
    let home = with_runs();
    let old = std::fs::read(home.log().join("subjects")).unwrap();
    let mut log = home.open();
    log.erase(&Subject::Run(RunId(Ulid::from_parts(5, 1)))).unwrap();
    log.close().unwrap();
    assert!(home.verify().is_ok());
    std::fs::write(home.log().join("subjects"), old).unwrap();
    found(&home, ProblemKind::Rewritten, None);
}

#[test]
fn a_whole_log_with_its_subjects_keys_of_another_store() {
    let home = with_runs();
    let mut other = with_runs();
    other.seed = 9;
    std::fs::remove_dir_all(other.log()).unwrap();
    std::fs::remove_dir_all(other.apart()).unwrap();
    other.open().append(&About::NOTHING, &[notice("x")]).unwrap();
    std::fs::copy(other.log().join("subjects"), home.log().join("subjects")).unwrap();
    found(&home, ProblemKind::Changed, None);
}

#[test]
fn a_minimum_index_forged_to_hide_a_theft() {
    let home = Home::with(ENTRIES);
    std::fs::remove_file(home.log().join("tile/entries/000")).unwrap();
    std::fs::write(home.log().join("minimum"), [5; 45]).unwrap();
    found(&home, ProblemKind::Changed, None);
    found(&home, ProblemKind::Dropped, None);
    refused(&home);
}

#[test]
fn an_unsigned_entry_with_the_outside_of_another() {
    let home = Home::with(3);
    let mut log = home.open();
    log.append_lazy(&About::NOTHING, &[notice("late")]).unwrap();
    drop(log);
    // All that comes after the outer part of the entry, which is the last.
    edit_live(&home, |frames| {
        let body = &mut frames.last_mut().unwrap().1;
        let last = body.len() - 1;
        body[last] ^= 1;
    });
    // No signed head covers it, so it cannot be told from one that was added.
    found(&home, ProblemKind::Added, Some(3));
    assert!(matches!(refused(&home), AuditError::Damaged(_)));
}

/// With the signing key, but not the payload key: everything can be signed anew, but no entry moves.
#[test]
fn a_session_removed_and_all_signed_anew_by_someone_with_the_signing_key() {
    let home = Home::new();
    for _ in 0..3 {
        let mut log = home.open();
        fill(&mut log, 10);
    }
    forget_head(&PrivateDir::open(&home.apart()).unwrap()).unwrap();
    resign(&home, |entries| {
        entries.drain(10..20);
    });
    found(&home, ProblemKind::Dropped, Some(10));
}

#[test]
fn the_last_session_removed_and_all_signed_anew_shows_in_any_memory() {
    let home = Home::new();
    for _ in 0..3 {
        let mut log = home.open();
        fill(&mut log, 10);
    }
    let known = home.reader().head().unwrap();
    forget_head(&PrivateDir::open(&home.apart()).unwrap()).unwrap();
    resign(&home, |entries| entries.truncate(20));
    assert!(home.verify().is_ok(), "from the log alone it does not show");
    let witnessed = KnownHead { who: "the witness `w1`".into(), size: known.size, root: known.root };
    let report = home.reader_with(witnessed).verify();
    assert!(report.problems.iter().any(|problem| problem.kind == ProblemKind::Truncated), "{report:?}");
}

#[test]
fn a_log_and_its_head_built_anew_with_all_keys_shows_to_a_witness() {
    let home = Home::with(ENTRIES);
    let known = home.reader().head().unwrap();
    let forged = Home::with(ENTRIES + 10);
    replace_log(&home, &forged.log());
    std::fs::copy(forged.apart().join("audit.head"), home.apart().join("audit.head")).unwrap();
    assert!(home.verify().is_ok(), "from what lies here it does not show");
    let witnessed = KnownHead { who: "the witness `w1`".into(), size: known.size, root: known.root };
    let report = home.reader_with(witnessed).verify();
    assert!(report.problems.iter().any(|problem| problem.kind == ProblemKind::Rewritten), "{report:?}");
}

#[test]
fn a_log_and_its_head_rolled_back_together_show_to_a_witness() {
    let home = Home::with(600);
    let copy = tempfile::tempdir().unwrap();
    copy_tree(home.folder.path(), copy.path());
    let mut log = home.open();
    fill(&mut log, 100);
    log.close().unwrap();
    let known = home.reader().head().unwrap();
    replace_log(&home, &copy.path().join("log"));
    std::fs::copy(copy.path().join("apart/audit.head"), home.apart().join("audit.head")).unwrap();
    assert!(home.verify().is_ok(), "from what lies here it does not show");
    let witnessed = KnownHead { who: "the witness `w1`".into(), size: known.size, root: known.root };
    assert!(!home.reader_with(witnessed).verify().is_ok());
}

/// Edits the entries of a log that is all in its live file, and signs a head of what is left.
fn resign(home: &Home, edit: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let signer = Signer::new(ORIGIN, &Secret::new([home.seed; 32])).unwrap();
    edit_live(home, |frames| {
        let mut entries: Vec<Vec<u8>> =
            frames.iter().filter(|(kind, _)| *kind == Kind::Entry).map(|(_, body)| body.clone()).collect();
        edit(&mut entries);
        let leaves: Vec<_> = entries.iter().map(|entry| raincoat_audit::leaf_hash(entry)).collect();
        let root = raincoat_audit::root_of(&leaves);
        let head = Checkpoint { origin: ORIGIN.into(), size: entries.len() as u64, root };
        *frames = entries.into_iter().map(|entry| (Kind::Entry, entry)).collect();
        frames.push((Kind::Head, signer.sign(&head.text()).into_bytes()));
    });
    let empty = Checkpoint { origin: ORIGIN.into(), size: 0, root: raincoat_audit::empty_root() };
    std::fs::write(home.log().join("checkpoint"), signer.sign(&empty.text())).unwrap();
}
