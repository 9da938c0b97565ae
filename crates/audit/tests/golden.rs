//! A log that the first version wrote is read, verified and gone on with.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::path::Path;

use common::{Home, all, copy_tree, notice};
use raincoat_audit::{About, Class, Event};
use raincoat_types::{Actor, RawPath, RunId, Ulid};

#[test]
fn a_log_of_version_1_is_read_verified_and_gone_on_with() {
    let home = Home::new();
    copy_tree(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1"), home.folder.path());
    let old = all(&home.reader());
    assert_eq!(old.len(), 301);
    let run = RunId(Ulid::from_parts(1, 2));
    let (_, entry) = &old[299];
    assert_eq!((entry.run, &entry.actor), (Some(run), &Some(Actor::Agent("scribe".into()))));
    assert_eq!(entry.event, Event::ReadDone { verb: "read".into(), target: RawPath(b"/p/149".to_vec()), bytes: 149 });
    assert_eq!((entry.class, entry.producer.seq, entry.slots.len()), (Class::Reads, 300, 0));
    assert!(matches!(old[300].1.event, Event::Oversized { bytes: 70_004, .. }));
    let report = home.reader().verify_deep();
    assert!(report.is_ok(), "{:#?}", report.problems);

    let mut log = home.open();
    log.append(&About::NOTHING, &[notice("new")]).unwrap();
    log.close().unwrap();
    let new = all(&home.reader());
    assert_eq!(new[..301], old);
    assert_eq!(new[301].1.event, notice("new"));
    let report = home.reader().verify_deep();
    assert!(report.is_ok(), "{:#?}", report.problems);
}
