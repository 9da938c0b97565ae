//! Whatever call a draft's keeper dies at: the draft is there with its files, or gone altogether.
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

use std::sync::Mutex;

use common::*;
use raincoat_draft::{Asked, Standing, State, prepare};
use raincoat_os::fault::{self, Plan};
use raincoat_os::{Root, SystemClock, new_ulid};
use raincoat_types::{RunId, Timestamp};

/// Faults are ordered for the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
const EIO: i32 = 5;

/// Does `what` with every call from the nth on failing, as if the process had died there, for each n until none fails.
fn at_every_call(mut what: impl FnMut(&dyn Fn(), u64) -> bool) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    for n in 1..500 {
        let done = what(&|| fault::arm(Plan::FailFrom(n, EIO)), n);
        fault::disarm();
        if done {
            assert!(n > 3, "nothing failed");
            return;
        }
    }
    panic!("it never came through");
}

fn leftovers(home: &Home) -> usize {
    std::fs::read_dir(home.dir.path().join("data/drafts")).unwrap().count()
}

#[test]
fn a_draft_half_made_is_found_and_can_be_wiped() {
    at_every_call(|arm, n| {
        let home = Home::new();
        home.put(".env", "x");
        let root = Root::open(&home.folder()).unwrap();
        let granted = granted(&root);
        let hide = [rel(".env")];
        let asked = Asked { root: &root, granted: &granted, hide: &hide, hide_top: &|_| false };
        let drafts = home.drafts();
        let run = RunId(new_ulid(&SystemClock).unwrap());
        arm();
        let sealed = prepare(&home.data, run, &[asked]).ok().map(|prepared| drafts.seal(prepared, about()));
        fault::disarm();
        let done = matches!(sealed, Some(Ok(_)));
        drop(sealed);
        let list = home.drafts().list(10).unwrap();
        assert!(list.len() <= 1);
        for summary in list {
            let sealed = summary.record.as_ref().is_some_and(|record| record.command == [b"make"]);
            assert!(sealed || !done, "call {n}");
            drafts.wipe(run).unwrap();
        }
        assert_eq!(leftovers(&home), 0, "call {n}");
        done
    });
}

#[test]
fn a_record_is_the_old_or_the_new() {
    at_every_call(|arm, n| {
        let home = Home::new();
        let mut made = home.draft(&[]);
        let mut record = made.draft.record().clone();
        let run = record.run;
        record.state = State::Ended { at: Timestamp::default(), code: 1 };
        arm();
        let done = made.draft.update(record).is_ok();
        fault::disarm();
        let told = made.draft.record().clone();
        drop(made);
        let found = home.drafts().open_run(run).unwrap();
        assert!(found.record().state == State::Running || matches!(found.record().state, State::Ended { .. }));
        if done {
            assert_eq!(found.record(), &told, "call {n}");
        }
        done
    });
}

#[test]
fn a_wipe_that_dies_is_finished_by_the_next_opening() {
    at_every_call(|arm, n| {
        let home = Home::new();
        home.put("f", "f");
        let made = home.draft(&[]);
        let upper = made.place.join("upper");
        std::fs::create_dir_all(upper.join("a/b")).unwrap();
        std::fs::write(upper.join("a/b/c"), "c").unwrap();
        std::fs::write(upper.join("a/d"), "d").unwrap();
        let run = made.draft.record().run;
        drop(made.draft);
        let drafts = home.drafts();
        arm();
        let done = drafts.wipe(run).is_ok();
        fault::disarm();
        let again = home.drafts();
        match again.list(10).unwrap().as_slice() {
            [] => assert_eq!(leftovers(&home), 0, "call {n}"),
            [whole] => {
                assert_eq!((&whole.standing, whole.entries), (&Standing::Interrupted, 4), "call {n}");
                again.wipe(run).unwrap();
            }
            more => panic!("{more:?}"),
        }
        done
    });
}

#[test]
fn states_are_remembered_or_not_and_never_by_half() {
    at_every_call(|arm, n| {
        let home = Home::new();
        home.put("f", "base");
        std::thread::sleep(std::time::Duration::from_millis(12));
        let mut made = home.draft(&[]);
        std::fs::write(made.place.join("upper/f"), "changed").unwrap();
        let found = scan(&made.draft);
        let run = made.draft.record().run;
        arm();
        let done = made.draft.remember_bases(&found).is_ok();
        fault::disarm();
        drop(made.draft);
        let draft = home.drafts().open_run(run).unwrap();
        let again = scan(&draft);
        assert_eq!(files(&again), ["content+meta f"], "call {n}");
        let text = draft.base_text(item(&again, "f"));
        assert!(text.as_deref() == Some(b"base") || (text.is_none() && !done), "call {n}");
        done
    });
}
