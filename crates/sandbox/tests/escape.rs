//! Breaking out (issue 2, "Breaking out"; A2, A3): named attempts against a worker and against the effects thread, each
//! one first without the enclosure, where it must succeed (else its failure would prove nothing), then with it, where
//! it must not. As whoever runs the tests, and where that is root, as an ordinary user too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests"
)]

mod attempts;

use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use raincoat_os::process::{Ended, spawn_worker, worker_socket};
use raincoat_sandbox::thread::{ThreadRules, confine};
use raincoat_sandbox::worker::enclose;
use raincoat_types::Limits;

use attempts::{Attempt, Place, THREAD, WORKER};

const LONG: Duration = Duration::from_secs(20);

/// What a child says of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Came {
    /// It worked.
    Out,
    /// It was refused.
    Refused,
    /// The kernel killed the child for trying.
    Killed,
}

/// The body of every child. Run by hand it finds no socket and does nothing.
///
/// An order is one line, parted by tabs: how it is enclosed (`worker`, `thread`), whether it is at all (`yes`, `no`),
/// the attempt, the scratch directory.
#[test]
#[ignore = "started by the other tests"]
fn child() {
    let Ok(mut socket) = worker_socket() else { return };
    alone(|| {
        let order = read_line(&mut socket);
        let [how, enclosed, name, scratch] = order.splitn(4, '\t').collect::<Vec<_>>().try_into().unwrap();
        // Never dropped: the enclosure closes its descriptors.
        let place = std::mem::ManuallyDrop::new(Place::open(scratch));
        let table = if how == "worker" { WORKER } else { THREAD };
        let attempt = table.iter().find(|a| a.name == name).unwrap().run;
        let out = match (how, enclosed) {
            (_, "no") => attempt(&place),
            ("worker", _) => {
                // A real worker has no descriptor but its socket; these inherited ones are closed by the enclosure.
                enclose(&Limits::default(), socket.as_fd()).unwrap();
                attempt(&place)
            }
            _ => on_a_confined_thread(&place, attempt),
        };
        socket.write_all(if out { b"out" } else { b"refused" }).unwrap();
    });
}

fn on_a_confined_thread(place: &Place, attempt: fn(&Place) -> bool) -> bool {
    let confined = || {
        let rules = ThreadRules { read_only: vec![place.readable.as_fd()], writable: vec![place.writable.as_fd()] };
        confine(&rules).unwrap();
        attempt(place)
    };
    std::thread::scope(|scope| scope.spawn(confined).join().unwrap())
}

/// Runs a piece in a forked process, because the test harness has threads and a worker must not; then ends as it did.
fn alone(piece: impl FnOnce()) -> ! {
    // SAFETY: the harness's other thread waits for this one and holds no lock; malloc survives a fork.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(piece));
        std::process::exit(if done.is_ok() { 0 } else { 101 });
    }
    let mut status = 0;
    // SAFETY: a child of ours; `status` lives through the call. The signal is the one that ended the child.
    unsafe {
        libc::waitpid(pid, &mut status, 0);
        if libc::WIFSIGNALED(status) {
            libc::raise(libc::WTERMSIG(status));
        }
    }
    std::process::exit(libc::WEXITSTATUS(status));
}

fn read_line(socket: &mut UnixStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0_u8; 1];
    while socket.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

fn run(how: &str, enclosed: bool, name: &str) -> Came {
    let scratch = tempfile::tempdir().unwrap();
    attempts::lay_out(scratch.path());
    let mut child = spawn_worker(&["child", "--exact", "--ignored", "--nocapture", "--test-threads=1"]).unwrap();
    let mut socket = child.socket();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let yes = if enclosed { "yes" } else { "no" };
    writeln!(socket, "{how}\t{yes}\t{name}\t{}", scratch.path().display()).unwrap();
    let mut said = String::new();
    let _ = socket.read_to_string(&mut said);
    let ended = child.wait(LONG).unwrap();
    match (said.as_str(), ended) {
        ("out", Some(Ended::Code(0))) => {}
        ("refused", Some(Ended::Code(0))) => return Came::Refused,
        (_, Some(ended)) if ended.by_filter() => return Came::Killed,
        // What a kernel without 32-bit calls does to one.
        (_, Some(Ended::Signal(libc::SIGSEGV))) if name == "a 32-bit call" => return Came::Refused,
        other => panic!("{how} {name}: {other:?}: {}", child.last_words()),
    }
    assert!(attempts::is_out(name, scratch.path()), "{how} {name}: it said that it got out, and nothing shows it");
    Came::Out
}

fn all(how: &str, table: &[Attempt]) {
    let root = rustix::process::geteuid().is_root();
    let mut failures = Vec::new();
    for attempt in table {
        let free = run(how, false, attempt.name);
        let enclosed = run(how, true, attempt.name);
        eprintln!("{:28} without: {free:?}, {how}: {enclosed:?}", attempt.name);
        if enclosed == Came::Out {
            failures.push(format!("{}: got out", attempt.name));
        }
        if free != Came::Out && (root || !attempt.only_root) && !attempts::not_possible_here(attempt.name) {
            failures.push(format!("{}: fails without the enclosure too, so it proves nothing", attempt.name));
        }
        if enclosed != attempt.expect {
            failures.push(format!("{}: {enclosed:?}, expected {:?}", attempt.name, attempt.expect));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn no_attempt_leaves_a_worker() {
    assert!(WORKER.len() >= 15);
    all("worker", WORKER);
}

#[test]
fn no_attempt_leaves_the_effects_thread() {
    assert!(THREAD.len() >= 15);
    all("thread", THREAD);
}

/// The two tests above once more as user 65534, from a copy of this program that it can read.
#[test]
fn no_attempt_of_an_ordinary_user_leaves_either() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let copy = dir.path().join("escape");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
    for test in ["no_attempt_leaves_a_worker", "no_attempt_leaves_the_effects_thread"] {
        let done = std::process::Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&copy)
            .args([test, "--exact", "--nocapture"])
            .env_clear()
            .current_dir("/")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned() + &String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && said.contains("1 passed"), "{said}");
        eprintln!("as an ordinary user:\n{said}");
    }
}

/// Used by the attempts' table.
fn raw(fd: &impl AsRawFd) -> i32 {
    fd.as_raw_fd()
}
