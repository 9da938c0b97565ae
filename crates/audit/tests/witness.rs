//! A witness on disk: what it signed it never forgets, whatever fails or dies, and what it has seen no holder of the
//! log's keys can take back.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Barrier, Mutex};

use common::{Home, ORIGIN, copy_tree, fill, notice};
use raincoat_audit::witness::{Said, Verdict, Witness, WitnessError, origin_hash, read_answer};
use raincoat_audit::{About, AuditReader, Cosigned, ProofFault, ProofFile, Standing, leaf_hash};
use raincoat_os::{PrivateDir, fault};

/// Faults are armed for the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn witness(folder: &Path) -> Witness {
    Witness::open_or_create(PrivateDir::open_or_create(folder).unwrap(), Some("witness.example/w")).unwrap()
}

/// A witness that serves this log.
fn serving(home: &Home, folder: &Path) -> Witness {
    let witness = witness(folder);
    witness.trust(home.reader().verifier()).unwrap();
    witness
}

fn tell(reader: &AuditReader, old: u64, witness: &Witness, now: u64) -> Said {
    let told = reader.to_witness(old).unwrap();
    let verdict = witness.add_checkpoint(told.body.as_bytes(), now);
    read_answer(verdict.status(), verdict.body().as_bytes(), &told.note, witness.key())
}

fn size_of(witness: &Witness) -> u64 {
    witness.state().unwrap().log(ORIGIN).unwrap().latest.as_ref().map_or(0, |latest| latest.head.size)
}

#[test]
fn a_log_that_grows_is_cosigned_and_its_proofs_bear_the_cosignature() {
    let home = Home::with(300);
    let folder = tempfile::tempdir().unwrap();
    let witness = serving(&home, folder.path());
    let Said::Cosigned { at: 50, .. } = tell(&home.reader(), 0, &witness, 50) else { panic!() };
    let mut log = home.open();
    fill(&mut log, 400);
    let Said::Cosigned { note, at: 60 } = tell(&log, 300, &witness, 60) else { panic!() };
    fill(&mut log, 5);

    let reader = home.reader();
    for index in [0, 255, 256, 699] {
        let extra = reader.sealed(index).unwrap();
        let leaf = leaf_hash(&extra);
        let file = reader.prove(index, Some(&note), Some(extra)).unwrap();
        let file = ProofFile::parse(file.encode().as_bytes()).unwrap();
        let proved = file.check(&leaf, reader.verifier(), &[witness.key().clone()]).unwrap();
        assert_eq!(proved.head.size, 700);
        assert_eq!(proved.cosigned, [("witness.example/w".to_owned(), Cosigned::At(60))]);
        let other = leaf_hash(b"another entry");
        assert_eq!(file.check(&other, reader.verifier(), &[]), Err(ProofFault::NotIncluded));
    }
    assert!(reader.prove(700, Some(&note), None).is_err(), "the cosigned head does not cover it");
    assert_eq!(
        reader
            .prove(704, None, None)
            .unwrap()
            .check(&leaf_hash(&reader.sealed(704).unwrap()), reader.verifier(), &[witness.key().clone()])
            .unwrap()
            .cosigned,
        []
    );

    // Published with the cosignature, for other people's verifiers; and verified as before.
    log.checkpoint().unwrap();
    assert!(!reader.publish_cosigned(&note).unwrap(), "an older head is not published over a newer one");
    let Said::Cosigned { note, .. } = tell(&log, 700, &witness, 70) else { panic!() };
    assert!(reader.publish_cosigned(&note).unwrap());
    log.checkpoint().unwrap();
    assert_eq!(std::fs::read_to_string(home.log().join("checkpoint")).unwrap(), note);
    assert!(home.verify().is_ok(), "{:?}", home.verify().problems);
}

#[test]
fn a_witness_serves_only_logs_it_was_told_of_and_gives_its_newest_checkpoint() {
    let home = Home::with(3);
    let folder = tempfile::tempdir().unwrap();
    let witness = witness(folder.path());
    assert!(matches!(tell(&home.reader(), 0, &witness, 1), Said::NotServed(_)));
    assert!(witness.trust(home.reader().verifier()).unwrap());
    assert!(!witness.trust(home.reader().verifier()).unwrap());
    assert_eq!(witness.checkpoint(&origin_hash(ORIGIN)).unwrap(), None);
    let Said::Cosigned { note, .. } = tell(&home.reader(), 0, &witness, 1) else { panic!() };
    assert_eq!(witness.checkpoint(&origin_hash(ORIGIN)).unwrap(), Some(note));
    assert_eq!(witness.checkpoint("00").unwrap(), None);
}

#[test]
fn a_witness_that_lost_its_memory_or_its_key_does_not_begin_anew() {
    let home = Home::with(3);
    let folder = tempfile::tempdir().unwrap();
    let dir = || PrivateDir::open(folder.path()).unwrap();
    let witness = serving(&home, folder.path());
    tell(&home.reader(), 0, &witness, 1);
    let state = folder.path().join("witness.state");
    let good = std::fs::read(&state).unwrap();
    std::fs::remove_file(&state).unwrap();
    assert!(matches!(Witness::open_or_create(dir(), None), Err(WitnessError::Forgotten)));
    let told = home.reader().to_witness(0).unwrap();
    assert_eq!(witness.add_checkpoint(told.body.as_bytes(), 2).status(), 503);
    let mut bad = good.clone();
    let at = bad.len() / 2;
    bad[at] ^= 1;
    std::fs::write(&state, bad).unwrap();
    assert!(matches!(Witness::open(dir()), Err(WitnessError::Damaged(_))));
    std::fs::write(&state, good).unwrap();
    assert_eq!(size_of(&Witness::open(dir()).unwrap()), 3);
    let other = tempfile::tempdir().unwrap();
    self::witness(other.path());
    std::fs::copy(other.path().join("witness.key"), folder.path().join("witness.key")).unwrap();
    assert!(matches!(Witness::open(dir()), Err(WitnessError::Damaged(_))));
    std::fs::write(folder.path().join("witness.key"), b"nonsense").unwrap();
    assert!(matches!(Witness::open(dir()), Err(WitnessError::BadKey)));
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(other.path().join("witness.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(Witness::open(PrivateDir::open(empty.path()).unwrap()), Err(WitnessError::Missing)));
}

/// HABITS 20: the first, second, nth call fails, until none does. What was given away is remembered.
#[test]
fn what_was_signed_is_remembered_when_the_nth_call_fails() {
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    let home = Home::with(9);
    for n in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let witness = serving(&home, folder.path());
        let told = home.reader().to_witness(0).unwrap();
        fault::arm(fault::Plan::Fail(n, 5));
        let verdict = witness.add_checkpoint(told.body.as_bytes(), 7);
        let calls = fault::calls();
        fault::disarm();
        let size = size_of(&Witness::open(PrivateDir::open(folder.path()).unwrap()).unwrap());
        match verdict {
            Verdict::Cosigned(_) => assert_eq!(size, 9, "call {n}"),
            Verdict::NotNow(_) => assert!(size == 0 || size == 9, "call {n}: {size}"),
            other => panic!("{other:?}"),
        }
        // It goes on from what is on the disk.
        assert!(matches!(tell(&home.reader(), size, &witness, 8), Said::Cosigned { .. }), "call {n}");
        if calls < n {
            assert!(n > 4, "{n}");
            break;
        }
    }
}

/// Making a witness, cut off anywhere: the next start makes one, or finds it whole.
#[test]
fn a_witness_cut_off_while_it_was_made_is_made() {
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    for n in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let dir = || PrivateDir::open(folder.path()).unwrap();
        fault::arm(fault::Plan::Fail(n, 5));
        let made = Witness::open_or_create(dir(), None);
        let calls = fault::calls();
        fault::disarm();
        let again = Witness::open_or_create(dir(), None).unwrap();
        if let Ok(made) = made {
            assert_eq!(made.key(), again.key());
        }
        if calls < n {
            break;
        }
    }
}

/// The other half of the test below, in a process of its own that dies on order.
#[test]
fn child() {
    let Ok(folder) = std::env::var("WITNESS_TEST_FOLDER") else { return };
    let body = std::fs::read(Path::new(&folder).join("request")).unwrap();
    let verdict = witness(&Path::new(&folder).join("witness")).add_checkpoint(&body, 7);
    std::fs::write(Path::new(&folder).join("answer"), verdict.body()).unwrap();
}

#[test]
fn killed_between_memory_and_answer_it_remembers() {
    let home = Home::with(9);
    let mut remembered = 0;
    for n in 1.. {
        let folder = tempfile::tempdir().unwrap();
        serving(&home, &folder.path().join("witness"));
        std::fs::write(folder.path().join("request"), home.reader().to_witness(0).unwrap().body).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child", "--nocapture", "--test-threads=1"]).env("WITNESS_TEST_FOLDER", folder.path());
        command.env("RAINCOAT_FAULT", format!("kill:{n}")).stdout(Stdio::null()).stderr(Stdio::null());
        let killed = !command.status().unwrap().success();
        let size = size_of(&witness(&folder.path().join("witness")));
        let answered = folder.path().join("answer").exists();
        assert!(!answered || size == 9, "call {n}: an answer was given and forgotten");
        remembered += usize::from(killed && size == 9);
        if !killed {
            assert!(answered && remembered > 0, "it was killed after the memory and before the answer, too");
            break;
        }
    }
}

/// The race of the specification: of two that build on the same size one is told to try again, and nothing goes back.
#[test]
fn of_two_clients_that_race_none_rolls_the_other_back() {
    let home = Home::with(5);
    let mut log = home.open();
    let requests: Vec<String> = (0..8)
        .map(|n| {
            log.append(&About::NOTHING, &[notice(format!("{n}"))]).unwrap();
            log.to_witness(0).unwrap().body
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    serving(&home, folder.path());
    let barrier = Arc::new(Barrier::new(requests.len()));
    let threads: Vec<_> = requests
        .into_iter()
        .map(|body| {
            // Each has the folder open by itself, as another process would.
            let (witness, barrier) = (witness(folder.path()), Arc::clone(&barrier));
            std::thread::spawn(move || {
                barrier.wait();
                witness.add_checkpoint(body.as_bytes(), 7).status()
            })
        })
        .collect();
    let answers: Vec<u16> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 409).count(), 7, "{answers:?}");
    let size = size_of(&witness(folder.path()));
    assert!(matches!(tell(&log, size, &witness(folder.path()), 9), Said::Cosigned { .. }));
}

/// Someone who holds the log's keys and can write every file of this machine, the tree head kept apart included: the log
/// alone and all that lies beside it are then whatever they want. The witness is not. By name of the attack.
mod with_the_signing_key {
    use super::*;

    struct Scene {
        home: Home,
        witness: Witness,
        _folder: tempfile::TempDir,
        /// What the log keeps of what the witness signed; the attacker can take this away, too.
        cosigned: String,
    }

    /// A log of 700 entries of which the witness has seen all.
    fn scene() -> Scene {
        let home = Home::with(700);
        let folder = tempfile::tempdir().unwrap();
        let witness = serving(&home, folder.path());
        let Said::Cosigned { note, .. } = tell(&home.reader(), 0, &witness, 5) else { panic!() };
        Scene { home, witness, _folder: folder, cosigned: note }
    }

    /// The attacker's log in the place of the true one, the head kept apart with it. By itself it is sound: that is the
    /// point of a witness.
    fn plant(scene: &Scene, forged: &Home) {
        for folder in [scene.home.log(), scene.home.apart()] {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        copy_tree(&forged.log(), &scene.home.log());
        copy_tree(&forged.apart(), &scene.home.apart());
        assert!(scene.home.verify().is_ok(), "seen from here nothing is wrong");
        scene.home.open().close().unwrap();
    }

    /// What the log is told when it asks the witness to sign, from the size that the witness names.
    fn asked(scene: &Scene) -> Said {
        let reader = scene.home.reader();
        match tell(&reader, 0, &scene.witness, 9) {
            Said::HasSeen(size) if reader.head().unwrap().size >= size => tell(&reader, size, &scene.witness, 9),
            said => said,
        }
    }

    /// How the log stands to what the witness gives out of its memory.
    fn held_against(scene: &Scene) -> Standing {
        let known = scene.witness.checkpoint(&origin_hash(ORIGIN)).unwrap().unwrap();
        let reader = scene.home.reader();
        reader.standing(&reader.verifier().open(known.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn the_whole_log_rolled_back_with_all_that_lies_beside_it() {
        let scene = scene();
        let early = Home::with(200);
        plant(&scene, &early);
        assert_eq!(asked(&scene), Said::HasSeen(700));
        assert_eq!(held_against(&scene), Standing::Shorter(200));
    }

    #[test]
    fn the_tail_cut_off_and_signed_anew() {
        let scene = scene();
        let shorter = Home::with(699);
        plant(&scene, &shorter);
        assert_eq!(asked(&scene), Said::HasSeen(700));
        assert_eq!(held_against(&scene), Standing::Shorter(699));
    }

    #[test]
    fn the_tail_cut_off_and_grown_past_what_was_seen() {
        let scene = scene();
        let regrown = Home::new();
        let mut log = regrown.open();
        fill(&mut log, 650);
        for n in 0..100 {
            log.append(&About::NOTHING, &[notice(format!("made up {n}"))]).unwrap();
        }
        log.close().unwrap();
        plant(&scene, &regrown);
        assert!(matches!(asked(&scene), Said::Contradicts(_)));
        assert_eq!(held_against(&scene), Standing::Other);
    }

    #[test]
    fn one_entry_changed_and_everything_built_anew() {
        let scene = scene();
        let forged = Home::new();
        let mut log = forged.open();
        fill(&mut log, 350);
        log.append(&About::NOTHING, &[notice("nothing happened here")]).unwrap();
        fill(&mut log, 349);
        log.close().unwrap();
        plant(&scene, &forged);
        assert!(matches!(asked(&scene), Said::Contradicts(_)));
        assert_eq!(held_against(&scene), Standing::Other);
    }

    #[test]
    fn a_whole_session_left_out_and_everything_built_anew() {
        let scene = scene();
        let forged = Home::new();
        for entries in [300, 500] {
            let mut log = forged.open();
            fill(&mut log, entries);
            log.close().unwrap();
        }
        plant(&scene, &forged);
        assert!(matches!(asked(&scene), Said::Contradicts(_)));
        assert_eq!(held_against(&scene), Standing::Other);
    }

    #[test]
    fn everything_begun_anew_with_the_same_key() {
        let scene = scene();
        plant(&scene, &Home::with(0));
        assert_eq!(asked(&scene), Said::HasSeen(700));
        assert_eq!(held_against(&scene), Standing::Shorter(0));
    }

    #[test]
    fn everything_begun_anew_with_another_key() {
        let scene = scene();
        let mut forged = Home::new();
        forged.seed = 8;
        let mut log = forged.open();
        fill(&mut log, 900);
        log.close().unwrap();
        // The store's keys are replaced with it, so that this machine believes the new log.
        assert!(matches!(tell(&forged.reader(), 700, &scene.witness, 9), Said::NotServed(_)));
    }

    #[test]
    fn two_logs_shown_to_two_people() {
        let scene = scene();
        let other = Home::with(700);
        // Both are signed by the log's key and are of the same size; the witness signs one of them.
        let told = other.reader().to_witness(700).unwrap();
        let verdict = scene.witness.add_checkpoint(told.body.as_bytes(), 9);
        assert_eq!(verdict.status(), 422, "{verdict:?}");
        let proof = other.reader().prove(5, None, None).unwrap();
        let leaf = leaf_hash(&other.reader().sealed(5).unwrap());
        let proved = proof.check(&leaf, other.reader().verifier(), &[scene.witness.key().clone()]).unwrap();
        assert!(proved.cosigned.is_empty(), "its proofs bear no cosignature");
    }

    #[test]
    fn a_cosignature_taken_from_another_checkpoint() {
        let scene = scene();
        let forged = Home::with(700);
        let line = scene.cosigned.lines().last().unwrap();
        let mut proof = forged.reader().prove(5, None, None).unwrap();
        proof.note.push_str(&format!("{line}\n"));
        let leaf = leaf_hash(&forged.reader().sealed(5).unwrap());
        let checked = proof.check(&leaf, forged.reader().verifier(), &[scene.witness.key().clone()]);
        assert_eq!(checked, Err(ProofFault::Witness("witness.example/w".to_owned())));
    }
}
