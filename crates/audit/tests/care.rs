//! Erasing, holding, keeping and pruning: what goes is gone, and every proof stays.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::sync::Mutex;
use std::sync::atomic::Ordering;

use common::{Home, all, copy_tree, keys, notice};
use raincoat_audit::{
    About, Audit, AuditError, AuditReader, Care, Class, Erasure, Event, Folder, Memories, Options, PERIOD_SECS,
    ProblemKind, Subject, proof,
};
use raincoat_os::{PrivateDir, fault};
use raincoat_types::{Actor, GrantId, RawPath, RunId, Ulid};

/// Faults are armed for the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn run(n: u128) -> RunId {
    RunId(Ulid::from_parts(1, n))
}

fn folder(n: u128) -> Folder {
    Folder { grant: GrantId(Ulid::from_parts(2, n)), path: format!("/home/ann/{n}").into_bytes() }
}

fn read(n: u64) -> Event {
    Event::ReadDone { verb: "read".into(), target: RawPath(format!("/secret/{n}").into_bytes()), bytes: n }
}

fn open(home: &Home) -> Audit {
    let dir = PrivateDir::open_or_create(&home.log()).unwrap();
    let apart = PrivateDir::open_or_create(&home.apart()).unwrap();
    let options = Options { person: Some("ann".into()), ..Options::default() };
    Audit::open_with(dir, apart, keys(7), common::ORIGIN, home.clock.clone(), options).unwrap()
}

/// Two runs, each in a folder of its own, over more than a full bundle.
fn two_runs() -> Home {
    let home = Home::new();
    let mut log = open(&home);
    let [a, b] = [1, 2].map(|n| About::run(run(n), Actor::Agent("x".into())).within([folder(n)]));
    for n in 0..150 {
        log.append(&a, &[read(n)]).unwrap();
        log.append(&b, &[notice(format!("n {n}"))]).unwrap();
    }
    log.close().unwrap();
    home
}

fn sound(home: &Home) {
    let report = home.reader().verify_deep();
    assert!(report.is_ok(), "{:#?}", report.problems);
}

#[test]
fn an_erased_run_is_unreadable_and_every_proof_of_it_stays_valid() {
    let home = two_runs();
    let proved = home.reader().prove_inclusion(10).unwrap();
    let head = home.reader().head().unwrap();
    let mut log = open(&home);
    let plan = log.plan_erasure(&Subject::Run(run(1))).unwrap();
    assert_eq!((plan.slots.len(), plan.entries), (1, 150));
    assert_eq!(log.erase(&Subject::Run(run(1))).unwrap(), plan);
    log.close().unwrap();

    let entries = all(&home.reader());
    for (index, entry) in &entries[..300] {
        if index % 2 == 0 {
            assert!(matches!(&entry.event, Event::Erased { slots, by: Erasure::Asked, .. } if *slots == plan.slots));
            assert_eq!((entry.run, entry.actor.clone(), entry.is_erased()), (None, None, true));
        } else {
            assert_eq!(entry.run, Some(run(2)));
        }
        assert_eq!((entry.producer.seq, entry.at.secs), (index + 1, 1_000_000 + *index as i64 + 1));
    }
    let said = Event::Care(Care::Erased { slots: plan.slots.clone(), by: Erasure::Asked });
    assert!(entries.iter().any(|(_, entry)| entry.event == said), "logged, by the slot's number only");

    let report = home.reader().verify_deep();
    assert!(report.is_ok(), "{:#?}", report.problems);
    assert_eq!(report.erased, 150);
    assert!(proof::check_inclusion(&proved.leaf, 10, proved.head.size, &proved.path, &proved.head.root));
    let now = home.reader().prove_inclusion(10).unwrap();
    assert_eq!(now.leaf, proved.leaf);
    let (path, newest) = home.reader().prove_consistency(head.size).unwrap();
    assert!(proof::check_consistency(head.size, newest.size, &path, &head.root, &newest.root));
    // The same subject has a new key from now on.
    let mut log = open(&home);
    assert!(matches!(log.erase(&Subject::Run(run(1))), Err(AuditError::NoSubject(_))));
    log.append(&About::run(run(1), Actor::Person), &[read(7)]).unwrap();
    assert_eq!(log.tail(1).unwrap().next().unwrap().unwrap().1.event, read(7));
}

#[test]
fn an_erased_folder_takes_what_any_run_said_in_it_and_a_person_takes_all() {
    let home = two_runs();
    let mut log = open(&home);
    let folder = Subject::parse("folder:/home/ann/2").unwrap();
    assert_eq!(log.erase(&folder).unwrap().entries, 150);
    assert_eq!(log.erase(&Subject::Person("ann".into())).unwrap().entries, 300);
    drop(log);
    assert_eq!(all(&home.reader()).iter().filter(|(_, entry)| entry.is_erased()).count(), 300);
    sound(&home);
}

#[test]
fn another_process_that_has_the_log_open_uses_no_key_that_was_erased() {
    let home = two_runs();
    let about = About::run(run(1), Actor::Person);
    let mut other = open(&home);
    other.append(&about, &[read(1)]).unwrap();
    open(&home).erase(&Subject::Run(run(1))).unwrap();
    let range = other.append(&about, &[read(2)]).unwrap();
    let entries: Vec<_> = other.entries(range).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(entries[0].1.event, read(2), "it goes on under a new key");
    sound(&home);
}

/// What the log holds under the erased run is unreadable, or the erasure has not begun, whatever call failed.
#[test]
fn an_erasure_cut_off_anywhere_is_ended_at_the_next_start() {
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    let base = two_runs();
    for n in 1.. {
        let home = Home::new();
        copy_tree(&base.log(), &home.log());
        copy_tree(&base.apart(), &home.apart());
        let mut log = open(&home);
        fault::arm(fault::Plan::Fail(n, 5));
        let done = log.erase(&Subject::Run(run(1)));
        let calls = fault::calls();
        fault::disarm();
        drop(log);
        drop(open(&home));
        let erased = all(&home.reader()).iter().filter(|(_, entry)| entry.is_erased()).count();
        assert!(erased == 150 || (erased == 0 && done.is_err()), "call {n}: {erased} {done:?}");
        sound(&home);
        if calls < n {
            assert!(done.is_ok() && n > 6, "{n}");
            break;
        }
    }
}

#[test]
fn what_its_class_says_goes_when_its_time_is_over_and_a_hold_keeps_it() {
    let home = two_runs();
    home.clock.0.store(PERIOD_SECS * 3, Ordering::SeqCst);
    let mut log = open(&home);
    log.keep_for(Class::Reads, Some(PERIOD_SECS as u64)).unwrap();
    let hold = log.hold(&Subject::Run(run(1)), "the case of May").unwrap();
    assert_eq!(hold, 1);
    let plan = log.prune().unwrap();
    assert_eq!((plan.periods.len(), plan.held, plan.entries), (0, 1, 0));
    let error = log.erase(&Subject::Person("ann".into())).unwrap_err();
    assert!(matches!(error, AuditError::Held { hold: 1, .. }), "{error:?}");
    assert!(error.to_string().contains("the case of May"));

    assert!(log.release(hold).unwrap());
    assert!(!log.release(hold).unwrap());
    let plan = log.prune().unwrap();
    assert_eq!((plan.periods.clone(), plan.held), (vec![(Class::Reads, 0)], 0));
    drop(log);
    let entries = all(&home.reader());
    assert!(entries[..300].iter().all(|(index, entry)| entry.is_erased() == (index % 2 == 0)));
    assert!(matches!(entries[0].1.event, Event::Erased { by: Erasure::Retention, .. }));
    sound(&home);
}

#[test]
fn what_is_pruned_is_gone_from_the_front_and_old_proofs_stay_valid() {
    let home = Home::new();
    let mut log = open(&home);
    let about = About::run(run(1), Actor::Person);
    for n in 0..7 {
        let events: Vec<Event> = (0..100).map(|at| read(n * 100 + at)).collect();
        log.append(&about, &events).unwrap();
    }
    log.checkpoint().unwrap();
    let old = log.prove_inclusion(3).unwrap();
    let late = log.prove_inclusion(600).unwrap();
    home.clock.0.store(PERIOD_SECS * 40, Ordering::SeqCst);
    log.keep_for(Class::Reads, Some(86_400)).unwrap();
    let plan = log.plan_pruning(raincoat_types::Timestamp { secs: PERIOD_SECS * 40, nanos: 0 }).unwrap();
    assert_eq!((plan.minimum, plan.entries), (512, 512));
    assert_eq!(log.prune().unwrap().entries, 512);
    assert_eq!(log.prune().unwrap().entries, 0, "nothing is left to prune");
    log.close().unwrap();

    let reader = home.reader();
    assert_eq!(all(&reader)[0].0, 512);
    assert!(matches!(reader.prove_inclusion(3), Err(AuditError::Pruned(3))));
    assert!(proof::check_inclusion(&old.leaf, 3, old.head.size, &old.path, &old.head.root));
    let again = reader.prove_inclusion(600).unwrap();
    assert_eq!(again.leaf, late.leaf);
    let there = |name: &str| home.log().join("tile/entries").join(name).exists();
    assert!(!there("000") && !there("001"));
    let report = reader.verify_deep();
    assert!(report.is_ok(), "{:#?}", report.problems);
    assert_eq!(report.pruned, 512);
    assert_eq!(reader.retention().unwrap().rules[3], (Class::Reads, Some(86_400)), "rules outlast pruning");

    // It is told from theft.
    std::fs::remove_file(home.log().join("minimum")).unwrap();
    assert!(home.verify().problems.iter().any(|problem| problem.kind == ProblemKind::Dropped));
}

#[test]
fn a_pruning_cut_off_anywhere_leaves_a_sound_log_and_is_ended_by_the_next() {
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    let base = Home::new();
    let mut log = open(&base);
    let events: Vec<Event> = (0..600).map(read).collect();
    log.append(&About::run(run(1), Actor::Person), &events).unwrap();
    base.clock.0.store(PERIOD_SECS * 40, Ordering::SeqCst);
    log.keep_for(Class::Reads, Some(86_400)).unwrap();
    log.close().unwrap();
    for n in 1.. {
        let home = Home::new();
        home.clock.0.store(PERIOD_SECS * 41, Ordering::SeqCst);
        copy_tree(&base.log(), &home.log());
        copy_tree(&base.apart(), &home.apart());
        let mut log = open(&home);
        fault::arm(fault::Plan::Fail(n, 5));
        let done = log.prune();
        let calls = fault::calls();
        fault::disarm();
        drop(log);
        let mut log = open(&home);
        sound(&home);
        log.prune().unwrap();
        log.close().unwrap();
        sound(&home);
        assert_eq!(all(&home.reader())[0].0, 512, "call {n}");
        if calls < n {
            assert!(done.is_ok() && n > 6, "{n}");
            break;
        }
    }
}

fn with_folder(home: &Home, accept: bool) -> Result<Audit, AuditError> {
    let dir = PrivateDir::open_or_create(&home.log()).unwrap();
    let apart = PrivateDir::open_or_create(&home.apart()).unwrap();
    let folder = PrivateDir::open_or_create(&home.folder.path().join("stick")).unwrap();
    let memories = Memories { folder: Some(folder), keyring: true, ..Memories::default() };
    let options = Options { memories, accept, ..Options::default() };
    Audit::open_with(dir, apart, keys(7), common::ORIGIN, home.clock.clone(), options)
}

#[test]
fn a_log_rolled_back_with_its_head_is_refused_by_the_other_memories_until_a_person_accepts_it() {
    let home = Home::new();
    let mut log = with_folder(&home, false).unwrap();
    common::fill(&mut log, 20);
    log.close().unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_tree(&home.log(), &copy.path().join("log"));
    copy_tree(&home.apart(), &copy.path().join("apart"));
    let mut log = with_folder(&home, false).unwrap();
    common::fill(&mut log, 20);
    log.close().unwrap();
    for place in ["log", "apart"] {
        std::fs::remove_dir_all(home.folder.path().join(place)).unwrap();
        copy_tree(&copy.path().join(place), &home.folder.path().join(place));
    }
    home.open();
    let error = with_folder(&home, false).map(drop).unwrap_err();
    assert!(
        matches!(&error, AuditError::RolledBack { log: 20, head: 40, memory } if memory.contains("other folder")),
        "{error:?}"
    );
    let log = with_folder(&home, true).unwrap();
    let said = all(&log).pop().unwrap().1.event;
    let Event::Care(Care::Accepted { said }) = said else { panic!("{said:?}") };
    assert!(said.iter().any(|word| word.contains("other folder")), "{said:?}");
    drop(log);
    with_folder(&home, false).unwrap().close().unwrap();
}

#[test]
fn verification_names_the_memories_that_it_could_ask_and_those_that_it_could_not() {
    let home = Home::with(3);
    let report = home.verify();
    assert_eq!(report.checked, ["against the tree head kept apart"]);
    for word in ["another folder", "keyring", "witness", "--deep"] {
        assert!(report.unchecked.iter().any(|text| text.contains(word)), "{word}: {:?}", report.unchecked);
    }
    let head = home.reader().head().unwrap();
    let known = raincoat_audit::KnownHead { who: "the witness `w1`".into(), size: 9, root: head.root };
    let dir = PrivateDir::open_or_create(&home.log()).unwrap();
    let apart = PrivateDir::open_or_create(&home.apart()).unwrap();
    let memories = Memories { known: vec![known], ..Memories::default() };
    let reader = AuditReader::open_with(dir, apart, keys(7), common::ORIGIN, memories).unwrap();
    let report = reader.verify();
    let hit = report.problems.iter().find(|problem| problem.kind == ProblemKind::Truncated).unwrap();
    assert!(hit.text.contains("the witness `w1`"), "{hit:?}");
}
