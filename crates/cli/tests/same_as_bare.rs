//! Real programs in a draft leave what they leave bare, and undoing the commit leaves what was there: zero differences
//! in content, kind, mode, owner, times, attributes, links. (Drafts: "Same as bare".)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[path = "support/bare.rs"]
mod bare;
#[path = "support/whole.rs"]
mod whole;

use std::path::PathBuf;
use std::process::Command;

use bare::{Ground, Workload};

fn each(names: &[&str]) {
    let ground = Ground::new();
    for name in names {
        ground.same_as_bare(&Workload { name, ..Workload::default() });
    }
    ground.home.log_is_sound();
}

/// What git keeps of times and inode numbers, in no two trees the same.
const GIT: &[(&str, &str)] = &[("/index", "git remembers the inode number and the times of each file in its index")];

/// A file written within the same tick of the clock as the index is taken for changed and stored again, and an object
/// that is stored again is touched (git calls it racy and freshening): both bare and here, as the clock falls.
const FRESHENED: &[(&str, &str)] = &[("/.git/objects/", "git touches an object that it would store a second time")];

fn git(name: &str) {
    let ground = Ground::new();
    ground.same_as_bare(&Workload { name, protected: true, loose: GIT, touched: FRESHENED, ..Workload::default() });
}

#[test]
fn a_repository_cloned_by_git() {
    git("git-clone");
}

#[test]
fn branches_checked_out_by_git() {
    git("git-checkout");
}

#[test]
fn a_branch_rebased_merged_and_reset_by_git() {
    git("git-rebase");
}

#[test]
fn a_repository_packed_and_pruned_by_git() {
    git("git-gc");
}

#[test]
fn changes_stashed_by_git() {
    git("git-stash");
}

/// The toolchain that builds this test.
fn toolchain() -> PathBuf {
    let out = Command::new("rustc").arg("--print=sysroot").output().expect("rustc is on the path");
    PathBuf::from(String::from_utf8(out.stdout).unwrap().trim())
}

fn cargo(name: &str) {
    let toolchain = toolchain();
    let path = vec![toolchain.join("bin")];
    let loose = &[("/.rustc_info.json", "cargo writes down what it asked of rustc in no fixed order")];
    Ground::new().same_as_bare(&Workload { name, reads: vec![toolchain], path, loose, ..Workload::default() });
}

#[test]
fn a_crate_built_by_cargo() {
    cargo("cargo-build");
}

#[test]
fn a_crate_tested_by_cargo() {
    cargo("cargo-test");
}

#[test]
fn packages_installed_by_npm() {
    Ground::new().same_as_bare(&Workload { name: "npm-ci", ..Workload::default() });
}

#[test]
fn packages_installed_by_pip() {
    Ground::new().same_as_bare(&Workload { name: "pip-install", ..Workload::default() });
}

#[test]
fn a_c_project_made_by_make_and_what_configure_does() {
    each(&["make-c", "build-tree"]);
}

#[test]
fn archives_made_and_unpacked_by_tar_and_zip() {
    each(&["tar", "unzip"]);
}

#[test]
fn trees_copied_by_rsync_and_cp() {
    each(&["rsync", "cp"]);
}

#[test]
fn files_edited_by_sed_perl_vim_ed_and_patch() {
    each(&["sed", "perl", "vim", "ed", "patch"]);
}

#[test]
fn a_database_of_sqlite_with_both_kinds_of_journal() {
    let ground = Ground::new();
    for journal in ["delete", "wal"] {
        ground.same_as_bare(&Workload { name: "sqlite", arguments: &[journal], ..Workload::default() });
    }
}

#[test]
fn files_written_by_python_in_every_mode() {
    each(&["python-modes"]);
}

#[test]
fn folders_moved_deep_onto_others_and_back() {
    each(&["mv"]);
}

#[test]
fn files_and_folders_moved_from_one_granted_folder_to_another() {
    let folders = &["one", "two"];
    Ground::new().same_as_bare(&Workload { name: "two-folders", folders, ..Workload::default() });
}

#[test]
fn names_given_and_taken_of_files_that_have_several() {
    each(&["hard-links"]);
}

/// Documented in docs/drafts.md ("Hard links"): the kernel keeps the names of one inode together only for overlays that
/// the system's own root mounts, so a change in place concerns the name that it was made by.
#[test]
fn a_file_of_several_names_that_is_changed_in_place_is_a_file_of_its_own_then() {
    use raincoat_runtime::snapshot::Aspect::{Content, HardLinks, ModificationTime, Size};
    let differs = &[
        ("a1", HardLinks),
        ("a2", HardLinks),
        ("a2", Size),
        ("a2", Content),
        ("a2", ModificationTime),
        ("c1", HardLinks),
        ("c2", HardLinks),
        ("c3", HardLinks),
        ("d1", HardLinks),
        ("d2", HardLinks),
        ("d2", ModificationTime),
    ];
    Ground::new().same_as_bare(&Workload { name: "hard-links-in-place", differs, ..Workload::default() });
}

/// Documented in docs/drafts.md ("Hard links"): a file of the folder has another inode number once it was linked, and
/// git takes that for a trick. Nothing is lost: it ends with a clear error, and `--no-hardlinks` goes well.
#[test]
fn a_repository_cloned_beside_itself_by_hard_links_is_refused_by_git() {
    let ground = Ground::new();
    let workload = Workload { name: "clone-with-links", ..Workload::default() };
    ground.begin(&workload);
    let said = ground.draft(&workload, &["run"]);
    assert_ne!(said.code, 0, "no longer differs; tell the docs: {said:?}");
    assert!(said.err.contains("hardlink different from source"), "{said:?}");
    ground.clear();
}

#[test]
fn files_with_holes() {
    each(&["sparse"]);
}

#[test]
fn extended_attributes_and_acls() {
    each(&["xattrs"]);
}

#[test]
fn modes_of_files_and_folders() {
    each(&["chmod"]);
}

#[test]
fn symlinks_by_the_hundred_and_empty_folders() {
    each(&["symlinks", "empty-dirs"]);
}

#[test]
fn what_is_deleted_made_again_or_becomes_something_else() {
    each(&["find-delete", "recreate", "types"]);
}

#[test]
fn odd_names_and_old_times() {
    each(&["odd-names", "times"]);
}

#[test]
fn files_appended_to_by_several_processes_at_once() {
    each(&["appends"]);
}

#[test]
fn a_file_written_at_random_and_compared_with_what_it_should_hold() {
    let ground = Ground::new();
    for seed in ["1", "2", "3"] {
        ground.same_as_bare(&Workload { name: "fsx", arguments: &[seed, "1500"], ..Workload::default() });
    }
}

/// How much of the large workloads is run: their full size where `RAINCOAT_FULL` is set.
fn sized(default: &'static str, full: &'static str) -> &'static str {
    if std::env::var_os("RAINCOAT_FULL").is_some() { full } else { default }
}

#[test]
fn small_files_by_the_thousand() {
    let many = sized("2000", "100000");
    Ground::new().same_as_bare(&Workload { name: "many-files", arguments: &[many], ..Workload::default() });
}

#[test]
fn one_large_file() {
    let mib = sized("200", "5120");
    let limit = Some("disk=20G");
    Ground::new().same_as_bare(&Workload { name: "large-file", arguments: &[mib], limit, ..Workload::default() });
}
