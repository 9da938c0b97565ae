//! A worker as its keeper starts it: what it has and has not, and how its end is seen.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::io::{Read, Write};
use std::num::NonZeroU32;
use std::time::Duration;

use raincoat_os::keyring::{self, KeyringFault};
use raincoat_os::process::{Ended, MAX_LAST_WORDS, Other, Worker, spawn_worker, worker_socket};

/// The body of every worker below; run by hand it finds no socket and does nothing.
#[test]
#[ignore = "started by the other tests"]
fn worker() {
    let Ok(mut socket) = worker_socket() else { return };
    let mut order = [0_u8; 1];
    socket.read_exact(&mut order).unwrap();
    match order[0] {
        b's' => {
            let fds: Vec<String> = std::fs::read_dir("/proc/self/fd")
                .unwrap()
                .map(|e| std::fs::read_link(e.unwrap().path()).unwrap().to_string_lossy().into_owned())
                .collect();
            let environment: Vec<_> = std::env::vars_os().collect();
            let cwd = std::env::current_dir().unwrap();
            let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
            let group = stat.rsplit(')').next().unwrap().split_whitespace().nth(2).unwrap().to_owned();
            let me = std::process::id();
            writeln!(socket, "{fds:?}\n{environment:?}\n{}\n{}", cwd.display(), group == me.to_string()).unwrap();
        }
        b'k' => {
            // As a login does that does not share its keys: whoever fetches does not possess the key, only its user.
            // SAFETY: a new, unnamed session keyring (1 is KEYCTL_JOIN_SESSION_KEYRING); no pointer but null.
            let joined = unsafe { libc::syscall(libc::SYS_keyctl, 1_u64, std::ptr::null::<u8>()) };
            let mut name = String::new();
            socket.read_to_string(&mut name).unwrap();
            let found = keyring::fetch(&name, MINUTE).unwrap();
            write!(socket, "{} {}", joined > 0, found.map_or(0, |value| value.expose().len())).unwrap();
        }
        b'p' => panic!("the worker's last words \u{1b}[2J"),
        b'f' => {
            // More than any pipe holds: a worker that shouts must not stop for it.
            for _ in 0..4000 {
                let _ = std::io::stderr().write_all(&[b'x'; 1024]);
            }
            std::process::exit(7);
        }
        _ => loop {
            std::thread::sleep(Duration::from_secs(3600));
        },
    }
}

fn start(order: u8) -> Worker {
    let worker = spawn_worker(&["worker", "--exact", "--ignored", "--nocapture", "--test-threads=1"]).unwrap();
    worker.socket().write_all_ref(&[order]);
    worker
}

trait WriteRef {
    fn write_all_ref(&self, bytes: &[u8]);
}

impl WriteRef for std::os::unix::net::UnixStream {
    fn write_all_ref(&self, bytes: &[u8]) {
        let mut socket = self;
        socket.write_all(bytes).unwrap();
    }
}

const MINUTE: NonZeroU32 = NonZeroU32::new(60).unwrap();
const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_worker_has_a_socket_and_nothing_else() {
    // A descriptor that somebody forgot to mark close-on-exec.
    let leak = std::fs::File::open("/etc").unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    let mut worker = start(b's');
    let mut said = String::new();
    let mut socket = worker.socket();
    socket.read_to_string(&mut said).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert!(!lines[0].contains("/etc"), "{said}");
    // Standard input (the null device by then), output, error, the socket, and the directory being read.
    assert_eq!(lines[0].matches(", ").count() + 1, 5, "{said}");
    assert_eq!(lines[0].matches("socket:").count(), 1, "{said}");
    assert_eq!(lines[1], "[]", "no environment");
    assert_eq!(lines[2], "/");
    assert_eq!(lines[3], "true", "a process group of its own");
    assert_eq!(worker.wait(LONG).unwrap(), Some(Ended::Code(0)), "{}", worker.last_words());
}

#[test]
fn a_later_command_finds_what_an_earlier_one_cached() {
    let name = format!("raincoat-test:command:{}", std::process::id());
    if let Err(KeyringFault::Unavailable(error)) = keyring::cache(&name, &[9; 32], MINUTE) {
        panic!("this test needs the kernel's keyring: {error}");
    }
    let mut worker = start(b'k');
    let mut socket = worker.socket();
    socket.write_all(name.as_bytes()).unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut said = String::new();
    socket.read_to_string(&mut said).unwrap();
    keyring::forget(&name).unwrap();
    assert_eq!(said, "true 32", "{}", worker.last_words());
    assert_eq!(worker.wait(LONG).unwrap(), Some(Ended::Code(0)));
}

#[test]
fn a_panic_is_seen_and_its_message_is_safe_to_show() {
    let mut worker = start(b'p');
    assert_eq!(worker.wait(LONG).unwrap(), Some(Ended::Code(101)));
    let words = worker.last_words();
    assert!(words.contains("last words \\u{001b}[2J"), "{words}");
}

#[test]
fn a_worker_that_floods_its_standard_error_neither_stops_nor_fills_our_memory() {
    let mut worker = start(b'f');
    assert_eq!(worker.wait(LONG).unwrap(), Some(Ended::Code(7)));
    assert_eq!(worker.last_words().len(), MAX_LAST_WORDS);
}

#[test]
fn a_worker_that_hangs_is_waited_for_so_long_and_then_killed() {
    let mut worker = start(b'h');
    assert_eq!(worker.wait(Duration::from_millis(200)).unwrap(), None);
    worker.kill().unwrap();
    assert_eq!(worker.wait(LONG).unwrap(), Some(Ended::Signal(9)));
    assert!(!Ended::Signal(9).by_filter());
    worker.kill().unwrap();
}

#[test]
fn a_dropped_worker_is_dead_and_reaped() {
    let worker = start(b'h');
    let id = worker.id();
    drop(worker);
    assert!(std::fs::metadata(format!("/proc/{id}")).is_err());
}

#[test]
fn a_worker_dies_with_the_thread_that_started_it() {
    let worker = std::thread::spawn(|| start(b'h')).join().unwrap();
    let mut worker = worker;
    assert_eq!(worker.wait(LONG).unwrap(), Some(Ended::Signal(9)));
}

#[test]
fn without_a_keeper_there_is_no_worker() {
    if worker_socket().is_ok() {
        panic!("a test's standard input is no socket");
    }
}

#[test]
fn one_that_goes_on_does_not_hide_that_another_has_ended() {
    let start = || std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let (mut first, mut second) = (start(), start());
    let others = [&first, &second].map(|child| Other::open(child.id()).unwrap());
    second.kill().unwrap();
    let ended = |at_most| Other::ended_within(&others.each_ref(), at_most);
    assert_eq!(ended(Duration::from_millis(100)), [false, true]);
    first.kill().unwrap();
    assert_eq!(ended(Duration::from_secs(60)), [true, true]);
    assert_eq!(ended(Duration::ZERO), [true, true]);
    first.wait().unwrap();
    second.wait().unwrap();
}
