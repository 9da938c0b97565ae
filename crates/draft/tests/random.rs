//! Random programs over a real overlay: the items of the scan, applied to a copy of the folder, give the very tree that
//! the program saw, and the one that the same program makes of a plain copy.
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

use std::process::Command;

use common::*;
use proptest::prelude::*;
use raincoat_draft::ItemKind;
use raincoat_os::snapshot::Aspect;

/// The program: each line of its argument is an operation; one that the system refuses is passed over.
const PROGRAM: &str = r#"
import os, shutil, sys
def fresh(path):
    try: return os.lstat(path) and False
    except OSError: return True
def write(a, b, how):
    with open(a, how) as f: f.write(b * 40)
def hard(a, b):
    # Links of what the folder had are another story (see the scan's tests): link only what this program made.
    if a in made: os.link(a, b); made.add(b)
def new(a, b):
    if fresh(a): write(a, b, 'x'); made.add(a)
def remove(a, b):
    if os.path.isdir(a) and not os.path.islink(a): shutil.rmtree(a)
    else: os.unlink(a)
def rename(a, b):
    # A directory of the folder cannot be renamed by the overlay alone.
    if not os.path.isdir(a) or os.path.islink(a) or a in madedirs:
        os.rename(a, b); made.discard(b)
        if a in made: made.discard(a); made.add(b)
        for kind in (made, madedirs):
            for path in [p for p in kind if p.startswith(a + '/')]: kind.discard(path)
        if a in madedirs: madedirs.discard(a)
def mkdir(a, b): os.mkdir(a); madedirs.add(a)
made, madedirs = set(), set()
ops = dict(
    new=new, append=lambda a, b: write(a, b, 'a'), over=lambda a, b: write(a, b, 'w'), remove=remove, rename=rename,
    mkdir=mkdir, hard=hard, rmdir=lambda a, b: os.rmdir(a),
    symlink=lambda a, b: os.symlink(b, a), chmod=lambda a, b: os.path.islink(a) or os.chmod(a, 0o700 | len(b)),
    xattr=lambda a, b: os.setxattr(a, 'user.' + b.replace('/', '.'), b.encode(), follow_symlinks=False),
    utime=lambda a, b: os.utime(a, (1e9, 1e9 + len(b)), follow_symlinks=False),
    truncate=lambda a, b: os.path.islink(a) or os.truncate(a, len(b) * 3000), fifo=lambda a, b: os.mkfifo(a),
)
for line in sys.argv[1].splitlines():
    op, a, b = line.split()
    if op in ('append', 'over') and (os.path.islink(a) or not os.path.isfile(a)): continue
    try: ops[op](a, b)
    except OSError as e: pass
"#;

/// Paths near each other, so that operations meet.
fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4).prop_map(|names| names.join("/"))
}

fn operation() -> impl Strategy<Value = String> {
    let verbs = vec![
        "new", "new", "append", "over", "remove", "remove", "rename", "rename", "mkdir", "mkdir", "hard", "rmdir",
        "symlink", "chmod", "xattr", "utime", "truncate",
    ];
    (prop::sample::select(verbs), path(), path()).prop_map(|(verb, a, b)| format!("{verb} {a} {b}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn items_applied_in_their_order_are_what_the_program_did(
        before in prop::collection::vec(operation(), 0..25),
        during in prop::collection::vec(operation(), 1..30),
    ) {
        let home = Home::new();
        let run = |ops: &[String], at: &std::path::Path| {
            let done = Command::new("python3").args(["-c", PROGRAM, &ops.join("\n")]).current_dir(at).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        let no_links: Vec<_> = before.into_iter().filter(|op| !op.starts_with("hard")).collect();
        run(&no_links, &home.folder());
        let [tree, plain, merged] = ["tree", "plain", "out"].map(|name| home.dir.path().join(name));
        copy(&home.folder(), &tree);
        copy(&home.folder(), &plain);
        run(&during, &plain);

        let made = home.draft(&[]);
        home.program(&made, &["python3", "-c", PROGRAM, &during.join("\n")]);
        home.sh(&made, "cp -aT . \"$OUT\"");
        let found = scan(&made.draft);
        prop_assert_eq!(&found.troubles, &[]);
        apply(&made, &found, &tree);
        prop_assert_eq!(differences(&merged, &tree, &[Aspect::Holes]), Vec::<String>::new());
        // The two ran at different times; and where a copy has holes is up to who copies.
        prop_assert_eq!(differences(&plain, &tree, &[Aspect::ModificationTime, Aspect::Holes]), Vec::<String>::new());
        // Each item says a change that there was; nothing drifted, for nobody else was here.
        for item in &found.items {
            prop_assert!(item.drift.is_none(), "{:?}", item);
            let (was, is) = (item.before.is_some(), item.after.is_some());
            let right = match item.kind {
                ItemKind::Created => !was && is,
                ItemKind::Deleted => was && !is,
                _ => was && is,
            };
            prop_assert!(right, "{:?}", item);
        }
        // And when all of it is in the folder, nothing is left to do.
        apply(&made, &found, &home.folder());
        let again = made.draft.scan(Default::default()).unwrap();
        prop_assert_eq!(files(&again), Vec::<String>::new());
    }
}
