//! The thirteen probes that other tools of the kind fail: after a program worked in a draft, the draft was committed and
//! the commit was undone, each of these is as it was, and what the person did meanwhile is kept. (B1, B3, B4)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[path = "support/enclosed.rs"]
mod enclosed;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::time::{Duration, SystemTime};

use enclosed::{Scene, paths_of, set_xattrs};
use raincoat_runtime::snapshot::{Aspect, Snapshot};

/// A folder with something for each probe in it, some of it out of git's sight.
fn probes() -> Scene {
    let scene = Scene::new();
    scene.write(".gitignore", "build/\nnode_modules/\n*.log\n");
    for path in ["build/out.o", "node_modules/dep/index.js", "ignored.log", "modified.txt", "deleted.txt"] {
        scene.write(path, &format!("{path} as it was\n"));
    }
    for path in ["mtime.txt", "xattr.txt", "tool", "tool-replaced", "edited-later.txt", "other.txt"] {
        scene.write(path, &format!("{path} as it was\n"));
    }
    symlink("modified.txt", scene.dir.join("link")).unwrap();
    fs::create_dir(scene.dir.join("empty")).unwrap();
    let old = SystemTime::now() - Duration::from_secs(86_400 * 400) + Duration::from_nanos(123_456_789);
    File::options().write(true).open(scene.dir.join("mtime.txt")).unwrap().set_modified(old).unwrap();
    set_xattrs(&scene.dir, &[("xattr.txt", "user.origin", "https://example.org/x")]);
    for tool in ["tool", "tool-replaced"] {
        fs::set_permissions(scene.dir.join(tool), Permissions::from_mode(0o4755)).unwrap();
    }
    let git = |words: &[&str]| {
        let done = Command::new("git").args(words).current_dir(&scene.dir).env("HOME", scene.home.dir.path()).output();
        let done = done.expect("git is installed");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    git(&["init", "-q"]);
    let ignored = git(&["check-ignore", "ignored.log", "build/out.o", "node_modules/dep/index.js"]);
    assert_eq!(ignored.lines().count(), 3);
    scene
}

const WORK: &str = r#"
import os, shutil
open('modified.txt', 'a').write('and more\n')
os.unlink('deleted.txt')
open('created.txt', 'w').write('new\n')
open('build/out.o', 'w').write('built anew')
open('node_modules/dep/index.js', 'w').write('poisoned')
os.mkdir('node_modules/new'); open('node_modules/new/index.js', 'w').write('new')
open('ignored.log', 'a').write('more\n')
os.unlink('link'); os.symlink('other.txt', 'link')
os.rmdir('empty')
os.utime('mtime.txt')
os.setxattr('xattr.txt', 'user.origin', b'elsewhere'); os.setxattr('xattr.txt', 'user.more', b'x')
os.chmod('tool', 0o755)
shutil.copyfile('tool-replaced', 'new'); os.chmod('new', 0o755); os.rename('new', 'tool-replaced')
open('edited-later.txt', 'a').write('by the program\n')
os.mkdir('made'); open('made/by-program.txt', 'w').write('x')
"#;

#[test]
fn all_thirteen_probes_pass_after_a_commit_and_its_undo() {
    let scene = probes();
    let was = scene.snapshot();
    let said = scene.python(&["--commit", "success"], WORK);
    assert_eq!(said.code, 0, "{said:?}");
    let changed = scene.changed(&was);
    for path in [
        "modified.txt",
        "deleted.txt",
        "created.txt",
        "build/out.o",
        "node_modules/dep/index.js",
        "ignored.log",
        "link",
        "empty",
        "xattr.txt",
        "tool",
        "tool-replaced",
        "edited-later.txt",
        "node_modules/new/index.js",
        "made",
    ] {
        assert!(changed.iter().any(|one| one == path), "{path} is not among {changed:?}");
    }
    let mode = |path: &str| fs::metadata(scene.dir.join(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("tool"), mode("tool-replaced")), (0o755, 0o755));

    // What the person does after the commit: a new file, one in a folder that the program made, and an edit.
    scene.write("later.txt", "mine\n");
    scene.write("made/mine.txt", "mine too\n");
    scene.write("edited-later.txt", "as I want it\n");
    scene.write("other.txt", "never touched by the program\n");
    let said = scene.run(&["undo"]);
    assert_eq!(said.code, 5, "{said:?}");
    let told = format!("{}{}", said.out, said.err);
    assert!(told.contains("edited-later.txt") && told.contains("made"), "{told}");

    // Kept, both of them.
    assert_eq!(scene.read("later.txt"), "mine\n");
    assert_eq!(scene.read("made/mine.txt"), "mine too\n");
    assert_eq!(scene.read("edited-later.txt"), "as I want it\n");
    assert_eq!(scene.read("other.txt"), "never touched by the program\n");
    // And everything else as it was, set-uid bits, times and attributes too.
    let is = Snapshot::take(&scene.dir).unwrap();
    let differences = was.differences(&is);
    let paths = paths_of(&differences);
    assert_eq!(paths, ["edited-later.txt", "later.txt", "made", "made/mine.txt", "other.txt"], "{differences:#?}");
    let of_time =
        |path: &str| differences.iter().any(|d| d.path == path.as_bytes() && d.what == Aspect::ModificationTime);
    assert!(!of_time("mtime.txt") && !of_time("modified.txt") && !of_time("empty"), "{differences:#?}");
    assert_eq!((mode("tool"), mode("tool-replaced")), (0o4755, 0o4755));
    scene.log_is_sound();
}

#[test]
fn where_nobody_did_anything_since_nothing_at_all_differs() {
    let scene = probes();
    let was = scene.snapshot();
    let said = scene.python(&["--commit", "always"], WORK);
    assert_eq!(said.code, 0, "{said:?}");
    let changed = scene.snapshot();
    scene.undone(&was, "after the undo");
    // And forth again.
    scene.undone(&changed, "after the undo of the undo");
}
