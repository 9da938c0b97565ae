//! Where a layer is missing or has a hole, `doctor` says so with the fix, and `exec` refuses: nothing runs, and nothing
//! of the person's is touched (issue 3, "What encloses the program").
//!
//! The machine is made to lack a layer around the whole of raincoat, as containers and settings do. That needs root.

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

use std::fs;
use std::process::{Command, Stdio};

use enclosed::{Said, Scene, lines, raincoat, said};
use serde_json::Value;

/// A seccomp filter around what comes after: a call, an argument and its bits that are refused, and with which error.
/// No bits: whatever the arguments.
const FILTER: &str = r#"
import ctypes, os, struct, sys
nr, arg, bits, error = map(int, sys.argv[1:5])
step = lambda code, jt, jf, k: struct.pack('HBBI', code, jt, jf, k)
program = b''.join([step(0x20, 0, 0, 0), step(0x15, 0, 3, nr), step(0x20, 0, 0, 16 + 8 * arg),
    step(0x45, 0, 1, bits) if bits else step(0x35, 0, 1, 0),
    step(6, 0, 0, 0x50000 | error), step(6, 0, 0, 0x7fff0000)])
buffer = ctypes.create_string_buffer(program)
libc = ctypes.CDLL(None, use_errno=True)
class Header(ctypes.Structure): _fields_ = [('length', ctypes.c_ushort), ('at', ctypes.c_void_p)]
header = Header(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(header)) == 0, ctypes.get_errno()
os.execv(sys.argv[5], sys.argv[5:])
"#;

/// `raincoat` with this around it.
fn within(scene: &Scene, around: &[&str], arguments: &[&str]) -> Said {
    let mut command = Command::new(around[0]);
    command.args(&around[1..]).arg(raincoat()).args(arguments);
    command.env_clear().env("HOME", scene.home.dir.path()).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    said(command.current_dir(&scene.dir).stdin(Stdio::null()).output().expect("util-linux and python3 are installed"))
}

fn check<'a>(checks: &'a Value, name: &str) -> &'a Value {
    let found = checks["checks"].as_array().unwrap().iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {checks:#}"))
}

/// `exec` refuses with these words and code 7; nothing ran, nothing changed, no draft is left.
fn refuses(scene: &Scene, around: &[&str], flags: &[&str], words: &[&str]) {
    let was = scene.snapshot();
    let ran = scene.home.path("ran");
    let script = format!("echo ran; echo changed > a.txt; echo ran > {}", ran.display());
    let said = within(scene, around, &Scene::exec_words(flags, &["sh", "-c", &script]));
    assert_eq!(said.code, 7, "{around:?}: {said:?}");
    for word in words {
        assert!(said.err.contains(word), "{word} is not said: {said:?}");
    }
    assert!(!said.out.contains("ran") && !ran.exists(), "{said:?}");
    assert_eq!(scene.changed(&was), [""; 0], "{said:?}");
    assert_eq!(scene.drafts(), [Value::Null; 0], "{said:?}");
    scene.log_is_sound();
}

fn doctor(scene: &Scene, around: &[&str]) -> Value {
    let said = within(scene, around, &["doctor", "--json"]);
    assert_eq!(said.code, 0, "{said:?}");
    lines(&said.out).remove(0)
}

const NO_MORE_NAMESPACES: &[&str] =
    &["unshare", "-Ur", "sh", "-c", "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"", "sh"];

#[test]
fn without_user_namespaces_nothing_runs() {
    let scene = Scene::new();
    scene.ok(&["init", "--no-input"]);
    refuses(&scene, NO_MORE_NAMESPACES, &[], &["namespaces", "user.max_user_namespaces"]);
    let report = doctor(&scene, NO_MORE_NAMESPACES);
    let namespaces = check(&report, "user-namespaces");
    assert_eq!(namespaces["state"], "missing");
    assert!(namespaces["fix"].as_str().unwrap().contains("user.max_user_namespaces"), "{namespaces}");
    for later in ["draft-overlay", "program-proc", "program-filter"] {
        assert_eq!(check(&report, later)["state"], "unknown");
    }
    let proved = within(&scene, NO_MORE_NAMESPACES, &["doctor", "--prove"]);
    assert!(proved.code == 7 && proved.err.contains("user.max_user_namespaces"), "{proved:?}");
    assert!(scene.log().contains("namespaces"), "{}", scene.log());
}

#[test]
#[cfg(target_arch = "x86_64")]
fn where_a_container_refuses_namespaces_nothing_runs() {
    let scene = Scene::new();
    scene.ok(&["init", "--no-input"]);
    // clone with CLONE_NEWUSER: EPERM.
    let around = ["python3", "-c", FILTER, "56", "0", "268435456", "1"];
    refuses(&scene, &around, &[], &["namespaces were refused", "container"]);
    assert_eq!(check(&doctor(&scene, &around), "user-namespaces")["state"], "missing");
}

#[test]
fn where_proc_is_not_fully_visible_nothing_runs() {
    let scene = Scene::new();
    scene.ok(&["init", "--no-input"]);
    let around = ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /proc/sys && exec \"$@\"", "sh"];
    refuses(&scene, &around, &[], &["proc: could not mount a new /proc", "systempaths=unconfined"]);
    let report = doctor(&scene, &around);
    assert_eq!(check(&report, "user-namespaces")["state"], "enforced");
    assert_eq!(check(&report, "program-proc")["state"], "missing");
}

/// As in a container whose own files are an overlay: the kernel puts no draft on one.
#[test]
fn where_no_overlay_is_possible_nothing_runs() {
    let scene = Scene::new();
    scene.ok(&["init", "--no-input"]);
    let layers = tempfile::tempdir().unwrap();
    for layer in ["upper", "work"] {
        fs::create_dir(layers.path().join(layer)).unwrap();
    }
    let (home, layers) = (scene.home.dir.path().display(), layers.path().display());
    let mount = format!(
        "mount -t overlay none -o lowerdir={home},upperdir={layers}/upper,workdir={layers}/work {home} &&
         cd {home}/project && \"$@\"; code=$?; cat a.txt; exit $code"
    );
    let around = ["unshare", "-m", "sh", "-c", &mount, "sh"];
    let said = within(&scene, &around, &["exec", "--", "sh", "-c", "echo ran; echo changed > a.txt"]);
    assert!(said.code == 7 && !said.out.contains("ran"), "{said:?}");
    assert!(said.err.contains("draft: no overlay over") && said.err.contains("ext4"), "{said:?}");
    assert_eq!(said.out, "one\ntwo\nthree\nfour\nfive\n");
    let report = within(&scene, &around, &["doctor", "--json"]);
    let report = lines(report.out.lines().next().unwrap()).remove(0);
    assert_eq!(check(&report, "draft-overlay")["state"], "missing");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn where_calls_cannot_be_asked_about_nothing_runs() {
    let scene = Scene::new();
    scene.ok(&["init", "--no-input"]);
    // seccomp with SECCOMP_FILTER_FLAG_NEW_LISTENER: EINVAL, as from a kernel before 5.0.
    let around = ["python3", "-c", FILTER, "317", "1", "8", "22"];
    refuses(&scene, &around, &[], &["filter", "doctor"]);
    assert_eq!(check(&doctor(&scene, &around), "program-filter")["state"], "missing");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_layer_that_is_missed_is_said_and_a_strict_run_refuses() {
    let scene = Scene::new();
    scene.ok(&["init", "--no-input"]);
    // landlock_create_ruleset: ENOSYS, as from a kernel before 5.13.
    let around = ["python3", "-c", FILTER, "444", "0", "0", "38"];
    refuses(&scene, &around, &["--strict"], &["program-landlock", "strict", "5.13"]);
    let weaker = within(&scene, &around, &["exec", "--", "sh", "-c", "echo ran; echo changed > a.txt"]);
    assert!(weaker.code == 0 && weaker.out.contains("ran"), "{weaker:?}");
    assert!(weaker.err.contains("not enforced here: program-landlock"), "{weaker:?}");
    assert_eq!(scene.read("a.txt"), "one\ntwo\nthree\nfour\nfive\n", "it stays in the draft");
    assert!(scene.log().contains("program-landlock"));
}

#[test]
fn everything_is_proved_here_and_nothing_is_left_of_it() {
    let scene = Scene::new();
    scene.ok(&["init", "--no-input"]);
    let data = scene.home.path(".local/share/raincoat");
    let names = || {
        let names = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| !name.ends_with(".lock") && name != "drafts").collect();
        names.sort();
        names
    };
    let was = names();
    let proved = lines(&scene.ok(&["doctor", "--prove", "--json"]).out).remove(0);
    assert_eq!(proved["got_through"], Value::Array(Vec::new()));
    let inside: Vec<&Value> = proved["checks"].as_array().unwrap().iter().collect();
    let inside = inside.iter().filter(|check| check["name"].as_str().unwrap().starts_with("inside-"));
    assert!(inside.clone().count() >= 35);
    assert!(inside.clone().all(|check| check["state"] != "missing"), "{proved:#}");
    assert_eq!(check(&proved, "inside-outside-file")["state"], "enforced");
    assert_eq!(names(), was);
    assert_eq!(scene.drafts(), [Value::Null; 0]);
    // Without --prove nobody is told of attempts.
    assert!(lines(&scene.ok(&["doctor", "--json"]).out)[0].get("got_through").is_none());
}

/// A hole: our data, and so the draft, lies in a folder of the system's, which every program can read.
#[test]
fn a_boundary_with_a_hole_is_reported_and_nothing_runs_in_it() {
    let scene = Scene::new();
    let place = tempfile::tempdir_in("/usr/local/share").expect("this test needs root");
    let there = format!("XDG_DATA_HOME={}", place.path().display());
    let around = ["env", there.as_str()];
    assert_eq!(within(&scene, &around, &["init", "--no-input"]).code, 0);
    let proved = within(&scene, &around, &["doctor", "--prove"]);
    assert!(proved.code == 7 && proved.err.contains("a file that was not granted can be opened"), "{proved:?}");
    for flags in [&["--strict"][..], &[]] {
        let was = scene.snapshot();
        let run = within(&scene, &around, &Scene::exec_words(flags, &["sh", "-c", "echo ran; echo changed > a.txt"]));
        assert!(run.code == 7 && !run.out.contains("ran"), "{run:?}");
        assert!(run.err.contains("does not hold") && run.err.contains("private-root"), "{run:?}");
        assert_eq!(scene.changed(&was), [""; 0]);
    }
    let log = within(&scene, &around, &["audit", "tail", "-n", "100"]);
    assert!(log.out.contains("a file that was not granted can be opened"), "{log:?}");
}

/// The kernel puts no overlay over a folder in which something else is mounted: what and where is said, for root and for
/// an ordinary user.
#[test]
fn a_folder_with_something_mounted_in_it_is_refused_by_the_mounts_name() {
    let said_so = |said: &Said, scene: &Scene| {
        let at = scene.dir.join("sub").display().to_string();
        assert!(said.code == 7 && !said.out.contains("ran"), "{said:?}");
        assert!(said.err.contains("another file system is mounted in") && said.err.contains(&at), "{said:?}");
        assert!(said.err.contains("grant folders that nothing is mounted in"), "{said:?}");
    };
    let command = ["exec", "--", "sh", "-c", "echo ran; echo changed > a.txt"];
    let scene = Scene::new();
    scene.ok(&["init", "--no-input"]);
    let mount = "mount -t tmpfs none sub && exec \"$@\"";
    said_so(&within(&scene, &["unshare", "-m", "sh", "-c", mount, "sh"], &command), &scene);
    assert_eq!(scene.read("a.txt"), "one\ntwo\nthree\nfour\nfive\n");
    assert_eq!(scene.drafts(), [Value::Null; 0]);

    let scene = Scene::new();
    let home = scene.home.dir.path().display().to_string();
    fs::copy(raincoat(), scene.home.path("raincoat")).unwrap();
    assert!(Command::new("chown").args(["-R", "65534:65534", &home]).status().unwrap().success());
    let mount = format!(
        "mount -t tmpfs -o mode=777 none sub && shift &&
         exec setpriv --reuid=65534 --regid=65534 --clear-groups {home}/raincoat \"$@\""
    );
    said_so(&within(&scene, &["unshare", "-m", "sh", "-c", &mount, "sh"], &command), &scene);
}
