//! A file system that cannot swap two files at once: played by the very call that would swap them (C1).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

mod common;

use common::*;
use raincoat_os::fault::{self, Plan};
use raincoat_types::FailureKind;

const EINVAL: i32 = 22;

#[test]
fn a_file_system_that_cannot_swap_is_refused_clearly() {
    let mut said_so = 0;
    for n in 1.. {
        let home = Home::new();
        assert!(sh("printf old > f", &home.tree()));
        let before = home.snapshot();
        let store = home.open();
        let mut run = store.run();
        fault::arm(Plan::Fail(n, EINVAL));
        let outcome = run.apply(write("f", b"new"));
        let reached = fault::calls() >= n;
        fault::disarm();
        if let Err(failure) = &outcome
            && failure.message.contains("cannot swap")
        {
            said_so += 1;
            assert_eq!(failure.kind, FailureKind::Denied, "{failure:?}");
            assert!(before.differences(&home.snapshot()).iter().all(|d| d.path.is_empty()), "only the folder's time");
            assert!(leftovers(&home.tree()).is_empty());
        }
        drop(run);
        if !reached {
            assert!(outcome.is_ok(), "{outcome:?}");
            break;
        }
    }
    assert_eq!(said_so, 1, "one call swaps");
}
