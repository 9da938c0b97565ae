//! Nothing is changed that does not stand in the log beforehand: whatever call fails, whichever of journal and log it
//! belongs to. One test, because faults are ordered for the whole process.
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

use common::*;
use raincoat_audit::Event;
use raincoat_os::fault::{self, Plan};

/// The disk is gone from this call on (EIO).
const GONE: i32 = 5;

#[test]
fn no_file_is_changed_that_no_entry_speaks_of() {
    let changes = || [write("a", b"new"), rm("b"), mv("d", "e"), write("c", b"x")];
    let mut touched = 0;
    for n in 1.. {
        assert!(n < 2000, "the faults come to no end");
        let home = Home::quick();
        assert!(sh("printf old > a; printf gone > b; mkdir d", &home.tree()));
        let before = home.snapshot();
        let store = home.open();
        let mut run = store.run();
        fault::arm(Plan::FailFrom(n, GONE));
        let made = changes().into_iter().map(|change| run.apply(change)).filter(Result::is_ok).count();
        let calls = fault::calls();
        fault::disarm();
        // A store whose disk failed is not closed in good order; its threads stay until the test's end.
        std::mem::forget(run);
        std::mem::forget(store);
        let events = home.events();
        let planned: Vec<String> = events
            .iter()
            .filter_map(|event| match event {
                Event::OpPlanned { places, .. } => Some(places),
                _ => None,
            })
            .flatten()
            .map(|spot| spot.path.display())
            .collect();
        for difference in before.differences(&home.snapshot()) {
            let path = String::from_utf8_lossy(&difference.path).into_owned();
            // The folder itself: its times move with what is in it.
            if path.is_empty() {
                continue;
            }
            touched += 1;
            let ours = !["a", "b", "c", "d", "e"].contains(&path.as_str());
            assert!(planned.contains(&path) || (ours && !planned.is_empty()), "call {n}: {path} is not in {planned:?}");
        }
        if calls < n {
            assert_eq!(made, 4);
            break;
        }
    }
    assert!(touched > 0);
}
