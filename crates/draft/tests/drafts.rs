//! Drafts from the first directory to the last: made, sealed, found after crashes, wiped.
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

use common::*;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use raincoat_draft::{Asked, Drafts, DraftsError, Standing, State, prepare};
use raincoat_os::{PrivateDir, Root};
use raincoat_seal::SealKey;
use raincoat_types::Timestamp;

fn drafts_in(home: &Home) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(home.dir.path().join("data/drafts"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_draft_lives_is_listed_and_goes() {
    let home = Home::new();
    home.put("f", "f");
    let mut made = home.draft(&[]);
    home.sh(&made, "mkdir d; echo 12345 > d/x; rm f");
    let run = made.draft.record().run;
    let drafts = home.drafts();
    let summary = &drafts.list(100).unwrap()[0];
    assert_eq!((summary.run, &summary.standing), (run, &Standing::Live));
    assert_eq!((summary.entries, summary.bytes, summary.counted_all), (3, 6, true));
    assert_eq!(summary.record.as_ref().unwrap().command, [b"make"]);
    assert!(!drafts.list(2).unwrap()[0].counted_all);
    assert!(matches!(drafts.wipe(run), Err(DraftsError::Live(_))));
    let mut other = drafts.open_run(run).unwrap();
    assert!(other.is_live().unwrap());
    assert!(matches!(other.hold(), Err(DraftsError::Live(_))));

    let mut record = made.draft.record().clone();
    let at = Timestamp { secs: 1_800_000_100, nanos: 0 };
    record.state = State::Ended { at, code: 3 };
    made.draft.update(record).unwrap();
    drop(made.draft);
    assert_eq!(drafts.list(100).unwrap()[0].standing, Standing::Ended { at, code: 3 });
    let name = run.to_string().to_lowercase();
    assert_eq!(drafts.resolve(&name).unwrap(), run);
    assert_eq!(drafts.find(name.get(..20).unwrap()).unwrap().record().run, run);
    assert!(matches!(drafts.find("zz"), Err(DraftsError::NotFound(_))));
    assert!(matches!(drafts.find(""), Err(DraftsError::NotFound(_))));
    let second = home.draft(&[]);
    assert!(matches!(drafts.resolve("0"), Err(DraftsError::Ambiguous(_))));
    drop(second);
    drafts.wipe(run).unwrap();
    assert!(matches!(drafts.open_run(run), Err(DraftsError::NotFound(_))));
    assert_eq!(drafts.list(0).unwrap().len(), 1);
    assert_eq!(drafts_in(&home).len(), 1);
}

#[test]
fn directories_are_private_and_the_drafts_top_looks_like_the_folder() {
    let home = Home::new();
    std::fs::set_permissions(home.folder(), std::fs::Permissions::from_mode(0o2751)).unwrap();
    let made = home.draft(&[]);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&made.place.join("upper")), 0o2751);
    for private in [made.place.as_path(), made.place.parent().unwrap(), &home.dir.path().join("data/drafts")] {
        assert_eq!(mode(private), 0o700, "{}", private.display());
    }
    assert!(made.draft.record().folders[0].place.same_file_system);
    assert_eq!(told(&scan(&made.draft)), Vec::<String>::new(), "an untouched draft has no changes");
    made.draft.stage(0).unwrap().create_append("x").unwrap();
}

#[test]
fn a_draft_that_was_never_sealed_is_found_reviewed_and_wiped() {
    let home = Home::new();
    home.put("f", "f");
    let prepared = home.prepare(&home.folder(), &[]);
    let (run, place) = (prepared.run, place_of(&prepared));
    std::fs::write(place.join("upper/new"), "n").unwrap();
    let drafts = home.drafts();
    assert_eq!(drafts.list(10).unwrap()[0].standing, Standing::Live);
    drop(prepared);
    let summary = &drafts.list(10).unwrap()[0];
    assert_eq!((&summary.standing, summary.entries), (&Standing::Unsealed, 1));
    let draft = drafts.open_run(run).unwrap();
    assert!(!draft.is_sealed());
    assert_eq!(files(&scan(&draft)), ["new new"]);
    drafts.wipe_draft(draft).unwrap();
    assert_eq!(drafts_in(&home), Vec::<String>::new());
}

#[test]
fn a_damaged_record_is_told_and_hinders_no_other() {
    let home = Home::new();
    let good = home.draft(&[]);
    let bad = home.draft(&[]);
    let run = bad.draft.record().run;
    let record = home.dir.path().join(format!("data/drafts/{run}/draft.bin"));
    drop(bad.draft);
    let mut bytes = std::fs::read(&record).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&record, bytes).unwrap();
    let drafts = home.drafts();
    let list = drafts.list(10).unwrap();
    assert_eq!(list.len(), 2);
    assert!(matches!(&list.iter().find(|s| s.run == run).unwrap().standing, Standing::Damaged(_)));
    assert!(matches!(drafts.open_run(run), Err(DraftsError::Damaged { .. })));
    // Another draft's record is as bad as a changed one.
    let other = good.draft.record().run;
    std::fs::copy(home.dir.path().join(format!("data/drafts/{other}/draft.bin")), &record).unwrap();
    assert!(matches!(drafts.open_run(run), Err(DraftsError::Damaged { .. })));
    std::fs::remove_file(&record).unwrap();
    assert!(matches!(drafts.open_run(run), Err(DraftsError::Damaged { .. })));
    drafts.wipe(run).unwrap();
    assert_eq!(drafts.list(10).unwrap().len(), 1);
    // And with another key nothing opens.
    let strange = Drafts::open(&home.data, &SealKey::from_bytes([8; 32])).unwrap();
    assert!(matches!(strange.open_run(other), Err(DraftsError::Damaged { .. })));
}

#[test]
fn a_folder_that_holds_our_data_gets_its_draft_outside_itself() {
    let home = Home::new();
    let mine = home.dir.path().join("folder/share/raincoat");
    let data = PrivateDir::open_or_create(&mine).unwrap();
    let root = Root::open(&home.folder()).unwrap();
    let granted = granted(&root);
    let asked = Asked { root: &root, granted: &granted, hide: &[], hide_top: &|_| false };
    let prepared = prepare(&data, new_run(), &[asked, asked]).unwrap();
    let place = place_of(&prepared);
    assert!(!place.starts_with(home.folder()), "{}", place.display());
    let drafts = Drafts::open(&data, &home.key).unwrap();
    let draft = drafts.seal(prepared, about()).unwrap();
    let run = draft.record().run;
    let made = Made { draft, place: place.clone(), has_mask: false };
    home.sh(&made, "echo x > new");
    assert_eq!(files(&scan(&made.draft)), ["new new"]);
    drop(made);
    drafts.wipe(run).unwrap();
    assert!(!place.exists() && !place.parent().unwrap().exists());
    assert_eq!(std::fs::read_dir(mine.join("drafts")).unwrap().count(), 0);
}

#[test]
fn a_folder_on_another_file_system_gets_its_draft_there() {
    use std::os::unix::fs::MetadataExt;
    let home = Home::new();
    let shm = tempfile::tempdir_in("/dev/shm").expect("a tmpfs at /dev/shm is needed");
    assert_ne!(
        shm.path().metadata().unwrap().dev(),
        home.dir.path().metadata().unwrap().dev(),
        "needs two file systems"
    );
    std::fs::create_dir(shm.path().join("work")).unwrap();
    let prepared = home.prepare(&shm.path().join("work"), &[]);
    let place = place_of(&prepared);
    assert!(place.starts_with("/dev/shm"), "{}", place.display());
    assert_eq!(place.metadata().unwrap().dev(), shm.path().metadata().unwrap().dev());
    assert!(prepared.folders[0].recorded.place.same_file_system);
    let (drafts, run) = (home.drafts(), prepared.run);
    drafts.seal(prepared, about()).unwrap();
    // A crash in the middle: renamed, and the part elsewhere still there.
    let at = |name: String| home.dir.path().join("data/drafts").join(name);
    std::fs::rename(at(run.to_string()), at(format!("{run}.wiped"))).unwrap();
    home.drafts();
    assert!(!place.parent().unwrap().exists());
    assert_eq!(drafts_in(&home), Vec::<String>::new());
}

#[test]
fn a_planted_directory_is_not_used() {
    let home = Home::new();
    let shm = tempfile::tempdir_in("/dev/shm").expect("a tmpfs at /dev/shm is needed");
    std::fs::create_dir(shm.path().join("work")).unwrap();
    let shared = Path::new("/dev/shm").join(format!(".raincoat-drafts-{}", raincoat_os::mutate::me().0));
    std::fs::create_dir_all(&shared).unwrap();
    // As somebody else's would be: open to all.
    std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o777)).unwrap();
    let prepared = home.prepare(&shm.path().join("work"), &[]);
    std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert!(place_of(&prepared).starts_with(home.dir.path()));
    assert!(!prepared.folders[0].recorded.place.same_file_system, "commit must copy");
}

#[test]
fn a_run_has_one_draft() {
    let home = Home::new();
    let root = Root::open(&home.folder()).unwrap();
    let granted = granted(&root);
    let asked = Asked { root: &root, granted: &granted, hide: &[], hide_top: &|_| false };
    let run = new_run();
    let first = prepare(&home.data, run, &[asked]).unwrap();
    assert!(prepare(&home.data, run, &[asked]).is_err());
    assert!(place_of(&first).join("upper").exists(), "the first is untouched by the second's failure");
}

#[test]
fn hostile_trees_are_wiped_and_nothing_else() {
    let home = Home::new();
    let outside = home.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("precious"), "p").unwrap();
    let made = home.draft(&[]);
    let script = "
import os
os.symlink(os.environ['OUTSIDE'], 'link'); os.symlink('/', 'root'); os.mkfifo('fifo')
os.makedirs('locked/inner'); open('locked/inner/f', 'w').close(); os.chmod('locked/inner', 0); os.chmod('locked', 0)
os.mkdir('many')
for n in range(5000): open('many/%d' % n, 'w').close()
for n in range(3000):
    os.mkdir('d' * 200); open('f', 'w').close(); os.symlink('..', 'up'); os.chdir('d' * 200)";
    let output =
        home.overlay(&made, &["python3", "-c", script]).env("OUTSIDE", &outside).output().expect("python3 and unshare");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::set_permissions(made.place.join("work/work"), std::fs::Permissions::from_mode(0o0)).unwrap();
    // A scan of it ends, too, and tells what it cannot name.
    let scan = made.draft.scan(raincoat_draft::ScanLimits::default()).unwrap();
    assert!(scan.troubles.iter().any(|trouble| trouble.why.contains("longer")), "{:?}", scan.troubles);
    home.drafts().wipe_draft(made.draft).unwrap();
    assert_eq!(drafts_in(&home), Vec::<String>::new());
    assert_eq!(std::fs::read(outside.join("precious")).unwrap(), b"p");
}

#[test]
fn immutable_files_are_wiped_where_we_may() {
    let home = Home::new();
    let made = home.draft(&[]);
    std::fs::create_dir(made.place.join("upper/d")).unwrap();
    std::fs::write(made.place.join("upper/d/f"), "f").unwrap();
    // Only root may set the flag, and then a program of root's may have.
    let set = Command::new("chattr").args(["+i"]).args(["d/f", "d"]).current_dir(made.place.join("upper")).status();
    assert!(set.expect("`chattr` of e2fsprogs must be installed").success() || raincoat_os::mutate::me().0 != 0);
    home.drafts().wipe_draft(made.draft).unwrap();
    assert_eq!(drafts_in(&home), Vec::<String>::new());
}

#[test]
fn ten_thousand_levels_are_wiped_with_few_descriptors() {
    let home = Home::new();
    let made = home.draft(&[]);
    let deep = "import os\nfor n in range(10000):\n    os.mkdir('d'); os.chdir('d')";
    let status = Command::new("python3").args(["-c", deep]).current_dir(made.place.join("upper")).status().unwrap();
    assert!(status.success(), "python3 must be installed");
    home.drafts().wipe_draft(made.draft).unwrap();
    assert_eq!(drafts_in(&home), Vec::<String>::new());
}

#[test]
fn a_file_system_mounted_in_a_draft_is_not_entered() {
    let home = Home::new();
    let made = home.draft(&[]);
    let outside = home.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("precious"), "p").unwrap();
    std::fs::create_dir(made.place.join("upper/mounted")).unwrap();
    let run = made.draft.record().run;
    drop(made.draft);
    // The wiping process is this very test program, in a namespace where a directory of the draft is a mount.
    let script = "mount --bind \"$OUTSIDE\" \"$PLACE/upper/mounted\" && exec \"$0\" --exact wipes_for_another_test";
    let output = Command::new("unshare")
        .args(["-Urm", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .env("OUTSIDE", &outside)
        .env("PLACE", &made.place)
        .env("WIPE_DATA", home.dir.path().join("data"))
        .env("WIPE_RUN", run.to_string())
        .output()
        .expect("`unshare` of util-linux must be installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(std::fs::read(outside.join("precious")).unwrap(), b"p");
    home.drafts();
    assert_eq!(drafts_in(&home), Vec::<String>::new(), "what was in the way is gone, and the next opening finished");
}

#[test]
fn wipes_for_another_test() {
    let (Ok(data), Ok(run)) = (std::env::var("WIPE_DATA"), std::env::var("WIPE_RUN")) else { return };
    let data = PrivateDir::open(Path::new(&data)).unwrap();
    let drafts = Drafts::open(&data, &SealKey::from_bytes([7; 32])).unwrap();
    let error = drafts.wipe(raincoat_types::RunId::parse(&run).unwrap()).unwrap_err();
    assert!(matches!(error, DraftsError::Wipe(_)), "{error}");
}
