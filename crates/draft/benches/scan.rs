//! How long a scan takes: 10,000 files of 4 KiB, created and changed, and an untouched folder beside them.
//! `cargo bench -p raincoat-draft`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark"
)]

use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use raincoat_draft::{Asked, Drafts, NewDraft, ScanLimits, prepare};
use raincoat_os::{PrivateDir, Root, SystemClock, new_ulid, scratch};
use raincoat_seal::SealKey;
use raincoat_types::{GrantId, RunId, Timestamp, Ulid};

const FILES: usize = 10_000;
const ROUNDS: usize = 11;

fn main() {
    for changed in [false, true] {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("folder");
        for n in 0..100 {
            std::fs::create_dir_all(folder.join(format!("d{n}"))).unwrap();
        }
        let name = |n: usize| format!("d{}/file-{n}", n % 100);
        if changed {
            (0..FILES).for_each(|n| std::fs::write(folder.join(name(n)), [1; 4096]).unwrap());
        }
        let data = PrivateDir::open_or_create(&home.path().join("data")).unwrap();
        let root = Root::open(&folder).unwrap();
        let granted = raincoat_types::Root {
            grant: GrantId(Ulid::from_parts(1, 1)),
            path: root.path().as_os_str().as_bytes().to_vec(),
            identity: root.identity(),
        };
        let asked = Asked { root: &root, granted: &granted, hide: &[], hide_top: &|_| false };
        let run = RunId(new_ulid(&SystemClock).unwrap());
        let start = Instant::now();
        let prepared = prepare(&data, run, &[asked]).unwrap();
        let preparing = start.elapsed();
        let place = std::path::Path::new(std::ffi::OsStr::from_bytes(&prepared.folders[0].recorded.place.path));
        let upper = place.join("upper");
        // What an overlay would have written.
        for n in 0..100 {
            std::fs::create_dir(upper.join(format!("d{n}"))).unwrap();
            scratch::set_xattr(&upper.join(format!("d{n}")), "user.overlay.origin", b"").unwrap();
            scratch::set_xattr(&upper.join(format!("d{n}")), "user.overlay.impure", b"y").unwrap();
        }
        for n in 0..FILES {
            std::fs::write(upper.join(name(n)), [2; 4096]).unwrap();
            if changed {
                scratch::set_xattr(&upper.join(name(n)), "user.overlay.origin", b"").unwrap();
            }
        }
        let drafts = Drafts::open(&data, &SealKey::from_bytes([1; 32])).unwrap();
        let about = NewDraft { command: vec![], profile: None, began: Timestamp::default() };
        let start = Instant::now();
        let mut draft = drafts.seal(prepared, about).unwrap();
        let sealing = start.elapsed();
        let scan = || draft.scan(ScanLimits::default()).unwrap();
        let found = scan();
        assert!(found.items.len() >= FILES && found.troubles.is_empty());
        let what = if changed { "changed" } else { "created" };
        println!("prepare {preparing:?}, seal {sealing:?}");
        println!("scan of {FILES} {what} files: median {:?}", median(|| drop(scan())));
        let digests = || {
            let mut found = found.clone();
            found.items.iter_mut().for_each(|item| draft.digest(item).unwrap());
        };
        println!("  and their digests: median {:?}", median(digests));
        let start = Instant::now();
        draft.remember_bases(&found).unwrap();
        println!("  remembering their bases: {:?}", start.elapsed());
        println!("  scan with bases: median {:?}", median(|| drop(draft.scan(ScanLimits::default()).unwrap())));
        let start = Instant::now();
        drafts.wipe_draft(draft).unwrap();
        println!("  wiping: {:?}", start.elapsed());
    }
}

fn median(mut what: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            what();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[ROUNDS / 2]
}
