//! Real trees, tens of thousands of files: what a recipe does to them comes back byte for byte and attribute for
//! attribute, in the eyes of our own snapshot and of a program that shares nothing with it. (A3, C1, D1)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[path = "support/whole.rs"]
mod whole;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use raincoat_runtime::snapshot::Snapshot;
use whole::{Home, contents, leftovers, outside, same, same_outside};

/// Files that the large tree has at least, and about at most.
const LARGE: (usize, usize) = (20_000, 25_000);
/// Bytes that it has at most.
const BYTES: u64 = 600 << 20;

#[test]
fn a_real_tree_of_twenty_thousand_files_is_tidied_and_comes_back_with_no_difference() {
    let (home, dir) = Home::granted("tree");
    let files = real_tree(&dir, LARGE.1);
    assert!(files >= LARGE.0, "only {files} files: `cargo fetch` brings the crates' sources that this copies");
    season(&dir);
    let before = Snapshot::take(&dir).unwrap();
    let before_outside = outside(&dir);

    let (code, report) = home.report(&["do", "tidy", "tree", "--recursive", "--remove-empty", "--in-project", "--yes"]);
    // What instructs agents is protected by name, so a few of so many are left alone and said, each with its folder;
    // nothing fails.
    assert_eq!(report["failed"], 0, "{report}");
    assert!(
        dir.join("kept/AGENTS.md").exists() && !dir.join("kept/note.txt").exists() && !dir.join("emptied").exists()
    );
    let refused = report["refused"].as_u64().unwrap();
    assert!(refused < 50 && code == 0, "{code}: {report}");
    assert!(report["changes"].as_u64().unwrap() >= 20_000, "{report}");
    let tidied = Snapshot::take(&dir).unwrap();
    let tidied_outside = outside(&dir);
    assert_ne!(before_outside, tidied_outside);
    assert_eq!(contents(&before), contents(&tidied), "tidy moves and does nothing else");
    assert_eq!(leftovers(&tidied), [""; 0]);

    let undone = home.json(&["undo"]).remove(0);
    assert_eq!(undone["undone"], report["changes"], "{undone}");
    same(&before, &dir, "after undo");
    same_outside(&before_outside, &dir, "after undo");

    home.ok(&["undo", undone["run"].as_str().unwrap()]);
    same(&tidied, &dir, "after the undo of the undo");
    same_outside(&tidied_outside, &dir, "after the undo of the undo");

    home.ok(&["undo"]);
    same(&before, &dir, "after the last undo");
    same_outside(&before_outside, &dir, "after the last undo");
    home.log_is_sound();
}

#[test]
fn every_other_recipe_on_a_real_tree_comes_back_too() {
    let (home, dir) = Home::granted("tree");
    assert!(real_tree(&dir, 1_500) > 500);
    season(&dir);
    let before = Snapshot::take(&dir).unwrap();
    let before_outside = outside(&dir);
    let recipes: [&[&str]; 8] = [
        &["tidy", "--by", "date", "--recursive"],
        &["dedupe"],
        &["dedupe", "--keep", "oldest", "--min-size", "1K"],
        &["flatten"],
        &["rename", "--from", "*.rs", "--to", "{n:04} $1.txt", "--recursive"],
        &["rename", "--match", "regex", "--from", "^.*$", "--to", "{date} {n:04} {name}", "--recursive"],
        &["archive-old", "--older-than", "1d", "--recursive"],
        &["tidy", "--recursive", "--remove-empty"],
    ];
    for recipe in recipes {
        let words: Vec<&str> = [&["do", recipe[0], "tree"], &recipe[1..], &["--in-project", "--yes"]].concat();
        let (code, report) = home.report(&words);
        let run = report["run"].as_str().unwrap();
        assert!(report["changes"].as_u64().unwrap() > 5, "{recipe:?} {code}: {report}");
        assert_eq!(report["failed"], 0, "{recipe:?}: {report}");
        let changed = Snapshot::take(&dir).unwrap();
        assert_eq!(leftovers(&changed), [""; 0], "{recipe:?}");
        let undone = home.json(&["undo", run]).remove(0);
        same(&before, &dir, &format!("{recipe:?} undone"));
        same_outside(&before_outside, &dir, &format!("{recipe:?} undone"));
        home.ok(&["undo", undone["run"].as_str().unwrap()]);
        same(&changed, &dir, &format!("{recipe:?} undone, and that undone"));
        home.ok(&["undo"]);
        same(&before, &dir, &format!("{recipe:?} undone in the end"));
    }
    let looked = home.ok(&["do", "find-large", "tree"]);
    assert!(looked.contains("0 changes made"), "{looked}");
    same(&before, &dir, "after looking");
    home.log_is_sound();
}

/// Copies the machine's own crate sources, documents and headers, up to about `most` files; gives how many there are.
/// Nine of ten crates lose the files that make them projects, which recipes leave whole.
fn real_tree(dir: &Path, most: usize) -> usize {
    let cargo = std::env::var_os("CARGO_HOME")
        .map_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cargo"), PathBuf::from);
    let mut sources: Vec<PathBuf> = vec!["/usr/share/doc".into()];
    if let Ok(registries) = fs::read_dir(cargo.join("registry/src")) {
        sources.extend(registries.map(|entry| entry.unwrap().path()));
    }
    sources.push("/usr/include".into());
    sources.push("/usr/share".into());
    // A quarter from each where there is as much, so that a small tree has of everything.
    let (mut files, mut bytes) = (0, 0);
    for (n, source) in sources.iter().enumerate() {
        let share = if n == 0 { most / 4 } else { most };
        let mut chosen: Vec<PathBuf> = Vec::new();
        let Ok(entries) = fs::read_dir(source) else { continue };
        let mut entries: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for entry in entries {
            let (count, size) = measure(&entry);
            if files + count > share || bytes + size > BYTES || size > BYTES / 4 {
                continue;
            }
            files += count;
            bytes += size;
            chosen.push(entry);
        }
        let place = dir.join(format!("from {}", source.file_name().unwrap().to_string_lossy()));
        if chosen.is_empty() || place.exists() {
            continue;
        }
        fs::create_dir(&place).unwrap();
        let copied = Command::new("cp").arg("-a").args(&chosen).arg(&place).status().unwrap();
        assert!(copied.success());
        for (n, entry) in fs::read_dir(&place).unwrap().enumerate() {
            if n % 10 != 0 {
                files -= unmark(&entry.unwrap().path());
            }
        }
    }
    files
}

fn measure(path: &Path) -> (usize, u64) {
    let meta = fs::symlink_metadata(path).unwrap();
    if !meta.is_dir() {
        return (1, meta.len());
    }
    // What somebody else may read only is not copied, and so not counted.
    let Ok(entries) = fs::read_dir(path) else { return (usize::MAX / 2, 0) };
    entries.map(|entry| measure(&entry.unwrap().path())).fold((0, 0), |a, b| (a.0.saturating_add(b.0), a.1 + b.1))
}

/// Takes away what makes a folder a project. Gives how many files that were.
fn unmark(path: &Path) -> usize {
    const MARKS: [&str; 12] = [
        "Cargo.toml",
        "Makefile",
        "makefile",
        "CMakeLists.txt",
        "package.json",
        "setup.py",
        "pyproject.toml",
        "meson.build",
        "configure.ac",
        "requirements.txt",
        "go.mod",
        "index.html",
    ];
    if !fs::symlink_metadata(path).unwrap().is_dir() {
        return 0;
    }
    let mut gone = 0;
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            gone += unmark(&entry.path());
        } else if MARKS.iter().any(|mark| entry.file_name() == OsStr::new(mark)) {
            fs::remove_file(entry.path()).unwrap();
            gone += 1;
        }
    }
    gone
}

/// What a real tree has in one place and not in another: attributes, hard links, symlinks, odd modes, a sparse file,
/// names that are no text, a file beside others that no agent may move. Where the test is root's, other people's files too.
fn season(dir: &Path) {
    const SEASON: &str = r#"
import os, sys
files = []
for at, dirs, names in os.walk(os.fsencode(sys.argv[1])):
    dirs.sort()
    files += [os.path.join(at, n) for n in sorted(names) if os.path.isfile(os.path.join(at, n)) and not os.path.islink(os.path.join(at, n))]
for i, f in enumerate(files):
    times = (os.stat(f).st_atime_ns, os.stat(f).st_mtime_ns)
    if i % 97 == 1: os.setxattr(f, 'user.origin', b'https://example.org/%d' % i); os.setxattr(f, 'user.\xc3\xa4', b'\x00\xff')
    if i % 101 == 2: os.link(f, f + b' (link)')
    if i % 103 == 3: os.symlink(os.path.basename(f), f + b'.sym')
    if i % 107 == 4: os.chmod(f, [0o400, 0o755, 0o2755, 0o666][i % 4])
    if i % 109 == 5: os.rename(f, os.path.join(os.path.dirname(f), b'\xff\xfe odd\n' + os.path.basename(f))); continue
    if i % 113 == 6 and os.geteuid() == 0: os.lchown(f, 12345, 54321)
    os.utime(f, ns=times)
with open(os.path.join(os.fsencode(sys.argv[1]), b'sparse.bin'), 'wb') as f:
    f.truncate(50 << 20); f.seek(20 << 20); f.write(b'island')
for name in ['kept/AGENTS.md', 'kept/note.txt', 'emptied/note.txt']:
    path = os.path.join(sys.argv[1], name); os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as f: f.write(name)
"#;
    let out = Command::new("python3").arg("-c").arg(SEASON).arg(dir).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(fs::metadata(dir.join("sparse.bin")).unwrap().size(), 50 << 20);
}
