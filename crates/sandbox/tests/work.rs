//! What must still work: a worker does its work, the effects thread changes the files it was given, and the probe
//! tells the truth about this machine (DESIGN 11).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests"
)]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use raincoat_os::process::{Ended, Worker, spawn_worker, worker_socket};
use raincoat_os::{PrivateDir, mutate, state};
use raincoat_sandbox::thread::{ThreadRules, confine};
use raincoat_sandbox::worker::enclose;
use raincoat_sandbox::{Layer, LayerState, SandboxFault, probe, probe_main};
use raincoat_types::Limits;

const LONG: Duration = Duration::from_secs(20);

/// The body of every child. Run by hand it finds no socket and does nothing.
#[test]
#[ignore = "started by the other tests"]
fn child() {
    let Ok(mut socket) = worker_socket() else { return };
    alone(|| {
        let mut order = [0_u8; 1];
        socket.read_exact(&mut order).unwrap();
        // Kernels (and containers) that lack something, made with a filter of our own.
        match order[0] {
            b'l' => lack(&[libc::SYS_landlock_create_ruleset], libc::ENOSYS),
            b'L' => lack(&[libc::SYS_landlock_restrict_self], libc::EPERM),
            b's' => lack(&[libc::SYS_seccomp], libc::EPERM),
            b'c' => lack(&[libc::SYS_close_range], libc::EPERM),
            _ => {}
        }
        let memory = 512 << 20;
        if order[0] == b't' {
            enclose(&Limits { worker_cpu_secs: 1, ..Limits::default() }, socket.as_fd()).unwrap();
            loop {
                std::hint::spin_loop();
            }
        }
        if b"Lsc".contains(&order[0]) {
            let fault = enclose(&Limits::default(), socket.as_fd()).unwrap_err();
            return write!(socket, "{fault}").unwrap();
        }
        let enclosure = enclose(&Limits { worker_memory: memory, ..Limits::default() }, socket.as_fd()).unwrap();
        match order[0] {
            b'w' => work(&mut socket, enclosure.missing().count()),
            b'm' => {
                let too_much = Vec::<u8>::new().try_reserve_exact(usize::try_from(memory).unwrap());
                socket.write_all(&[u8::from(too_much.is_err())]).unwrap();
            }
            b'l' => {
                let missing: Vec<_> = enclosure.missing().map(|l| &*l.name).collect();
                assert!(std::fs::File::open("/etc/passwd").is_err(), "the filter still refuses it");
                write!(socket, "{missing:?}").unwrap();
            }
            b'p' => panic!("seen by the keeper"),
            b'a' => std::process::abort(),
            b'e' => {
                let again = enclose(&Limits::default(), socket.as_fd());
                socket.write_all(&[u8::from(again.is_err())]).unwrap();
            }
            other => panic!("{other}"),
        }
    });
}

/// A bit of everything that a worker does: memory large and small, maps, time, its socket in both directions, clones
/// of it, timeouts, a panic that is caught.
fn work(socket: &mut UnixStream, missing: usize) {
    let started = Instant::now();
    let mut map: HashMap<String, Vec<u8>> = HashMap::new();
    for n in 0..10_000 {
        map.insert(format!("key {n}"), vec![0; n % 300]);
    }
    let mut large = vec![1_u8; 64 << 20];
    large.resize(96 << 20, 2);
    drop(large);
    let caught = std::panic::catch_unwind(|| {
        let nothing: Option<u8> = std::hint::black_box(None);
        nothing.unwrap()
    });
    std::thread::sleep(Duration::from_millis(1));
    assert!(std::fs::read("/etc/hostname").is_err());
    let mut clone = socket.try_clone().unwrap();
    clone.set_read_timeout(Some(LONG)).unwrap();
    let mut echo = [0_u8; 4];
    clone.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"ping");
    socket.set_nonblocking(true).unwrap();
    assert_eq!(socket.read(&mut echo).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    socket.set_nonblocking(false).unwrap();
    let _ = writeln!(std::io::stderr(), "a word to the keeper");
    writeln!(socket, "{} {} {} {missing}", map.len(), caught.is_err(), started.elapsed() > Duration::ZERO).unwrap();
}

fn lack(calls: &[i64], errno: i32) {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
    let rules = calls.iter().map(|call| (*call, vec![])).collect();
    let answer = SeccompAction::Errno(errno.try_into().unwrap());
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, answer, arch).unwrap();
    apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
}

/// What `raincoat` runs under a hidden subcommand.
#[test]
#[ignore = "started by the other tests"]
fn probe_helper() {
    alone(|| {
        let _ = probe_main();
    });
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

fn start(order: &[u8]) -> Worker {
    let child = spawn_worker(&["child", "--exact", "--ignored", "--nocapture", "--test-threads=1"]).unwrap();
    let mut socket = child.socket();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket.write_all(order).unwrap();
    child
}

fn said(child: &Worker) -> Vec<u8> {
    let mut said = Vec::new();
    let mut socket = child.socket();
    let _ = socket.read_to_end(&mut said);
    said
}

#[test]
fn an_enclosed_worker_does_its_work() {
    let mut child = start(b"wping");
    let answer = said(&child);
    let ended = child.wait(LONG).unwrap();
    assert_eq!(ended, Some(Ended::Code(0)), "{}", child.last_words());
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("10000 true true "), "{answer}");
    assert!(child.last_words().contains("a word to the keeper"));
}

#[test]
fn a_worker_cannot_take_more_memory_than_its_limit() {
    let child = start(b"m");
    assert_eq!(said(&child), [1]);
}

#[test]
fn a_worker_that_computes_for_ever_is_ended_by_its_limit() {
    let mut child = start(b"t");
    let ended = child.wait(LONG).unwrap();
    assert!(matches!(ended, Some(Ended::Signal(libc::SIGXCPU | libc::SIGKILL))), "{ended:?}");
}

#[test]
fn a_panic_or_an_abort_in_a_worker_is_seen_for_what_it_is() {
    let mut child = start(b"p");
    assert_eq!(child.wait(LONG).unwrap(), Some(Ended::Code(101)));
    assert!(child.last_words().contains("seen by the keeper"), "{}", child.last_words());
    let mut child = start(b"a");
    assert_eq!(child.wait(LONG).unwrap(), Some(Ended::Signal(libc::SIGABRT)));
}

#[test]
fn a_worker_cannot_be_enclosed_anew_with_other_limits() {
    let child = start(b"e");
    assert_eq!(said(&child), [1]);
}

#[test]
fn a_kernel_without_landlock_is_said_and_the_rest_holds() {
    let child = start(b"l");
    assert_eq!(String::from_utf8(said(&child)).unwrap(), "[\"landlock\"]");
}

#[test]
fn a_worker_refuses_to_start_where_a_layer_could_not_be_put_in_force() {
    for (order, names) in [(b"L", "Landlock"), (b"s", "system call filter"), (b"c", "close descriptors")] {
        let child = start(order);
        let fault = String::from_utf8(said(&child)).unwrap();
        assert!(fault.contains(names), "{fault}");
    }
}

#[test]
fn a_process_with_threads_is_not_enclosed() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let fault = enclose(&Limits::default(), ours.as_fd()).unwrap_err();
    assert!(matches!(fault, SandboxFault::Threads(2..)), "{fault}");
}

fn confined<T: Send>(rules: &ThreadRules<'_>, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            confine(rules).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

#[test]
fn the_effects_thread_does_everything_that_effects_do() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join("a/b")).unwrap();
    std::fs::create_dir(home.path().join("data")).unwrap();
    let folder = std::fs::File::open(home.path().join("a")).unwrap();
    let data = std::fs::File::open(home.path().join("data")).unwrap();
    let path = home.path().join("data");
    let rules = ThreadRules { read_only: vec![], writable: vec![folder.as_fd(), data.as_fd()] };
    confined(&rules, || {
        let at: BorrowedFd<'_> = folder.as_fd();
        let b = rustix::fs::openat(at, "b", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        let one = mutate::create_file(at, b"one").unwrap();
        mutate::write_all_at(one.as_fd(), b"content of one", 0).unwrap();
        mutate::sync_file(one.as_fd()).unwrap();
        let two = mutate::create_unnamed(at).unwrap();
        mutate::copy_range(one.as_fd(), two.as_fd(), 0, 14).unwrap();
        mutate::name_unnamed(two.as_fd(), at, b"two").unwrap();
        mutate::exchange(at, b"one", b"two").unwrap();
        mutate::set_len(two.as_fd(), 7).unwrap();
        mutate::make_symlink(at, b"link", b"one").unwrap();
        mutate::make_dir(at, b"dir").unwrap();
        mutate::link(at, b"one", b.as_fd(), b"hard").unwrap();
        // Between folders: needs the right to refer, which Landlock has since ABI 2.
        mutate::rename_new(at, b"two", b.as_fd(), b"moved").unwrap();
        let link = mutate::hold(at, b"link").unwrap();
        let then = raincoat_types::Timestamp { secs: 5, nanos: 0 };
        mutate::set_times_of(link.as_fd(), then, Default::default()).unwrap();
        assert_eq!(state::stat_at(at, b"link").unwrap().unwrap().mtime, then);
        mutate::sync_dir(at).unwrap();
        mutate::sync_file_system(b.as_fd()).unwrap();
        state::xattrs_at(at, b"one").unwrap();
        let full = full_meta(at, b"one");
        let wanted = raincoat_types::Meta { mode: 0o640, ..full };
        mutate::set_meta(at, b"one", &wanted).unwrap();
        assert_eq!(full_meta(at, b"one").mode, 0o640);
        let moved = full_meta(b.as_fd(), b"moved").identity;
        let lease = mutate::hold_alone(mutate::open_file_for_writing(b.as_fd(), b"moved", &moved).unwrap().as_fd());
        assert!(lease.is_ok() || lease.unwrap_err().kind() != std::io::ErrorKind::PermissionDenied);
        mutate::unlink(b.as_fd(), b"hard").unwrap();
        mutate::remove_dir(at, b"dir").unwrap();
        // Our own data, opened by path as long as it is one of the folders.
        let own = PrivateDir::open(&path).unwrap();
        own.replace("state", b"sealed").unwrap();
        own.lock("lock").unwrap();
        assert_eq!(own.read("state", 100).unwrap().unwrap(), b"sealed");
        let log = own.create_append("log").unwrap();
        log.preallocate(1 << 16).unwrap();
        log.write_all_at(b"x", 0).unwrap();
        log.sync().unwrap();
    });
    // This thread was never confined.
    assert!(std::fs::read_dir("/").is_ok());
    assert_eq!(std::fs::read(home.path().join("a/one")).unwrap(), b"content");
}

fn full_meta(at: BorrowedFd<'_>, name: &[u8]) -> raincoat_types::Meta {
    let stat = state::stat_at(at, name).unwrap().unwrap();
    stat.with_xattrs(state::xattrs_at(at, name).unwrap())
}

#[test]
fn a_file_is_no_folder_to_be_confined_to() {
    let file = tempfile::tempfile().unwrap();
    let fault = std::thread::scope(|scope| {
        let rules = ThreadRules { read_only: vec![file.as_fd()], writable: vec![] };
        scope.spawn(move || confine(&rules).unwrap_err()).join().unwrap()
    });
    assert!(matches!(fault, SandboxFault::NotADirectory));
}

/// What Landlock and the filter do *not* stop, so that SECURITY.md can say it and nobody relies on it: these pass the
/// confinement, and only the effects' own discipline (descriptors, never paths) keeps them inside.
#[test]
fn what_the_confinement_does_not_cover_is_known() {
    let home = tempfile::tempdir().unwrap();
    for dir in ["granted", "outside"] {
        std::fs::create_dir(home.path().join(dir)).unwrap();
    }
    let file = home.path().join("outside/file");
    std::fs::write(&file, "content").unwrap();
    let opened_before = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    let granted = std::fs::File::open(home.path().join("granted")).unwrap();
    let rules = ThreadRules { read_only: vec![], writable: vec![granted.as_fd()] };
    confined(&rules, || {
        assert!(std::fs::read(&file).is_err(), "content is covered");
        assert!(std::fs::metadata(&file).is_ok(), "stat is not");
        assert!(rustix::fs::access(&file, rustix::fs::Access::EXISTS).is_ok(), "access is not");
        assert!(rustix::fs::readlink("/proc/self/exe", Vec::new()).is_ok(), "readlink is not");
        assert!(rustix::fs::open(&file, rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).is_ok(), "O_PATH is not");
        assert!(rustix::fs::chmod(&file, rustix::fs::Mode::from_raw_mode(0o600)).is_ok(), "chmod is not");
        let set = rustix::fs::setxattr(&file, "user.x", b"1", rustix::fs::XattrFlags::empty());
        assert!(!matches!(set, Err(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM)), "setxattr is not");
        assert!((&opened_before).write_all(b"owned").is_ok(), "a descriptor from before is not");
        assert!(opened_before.set_len(0).is_ok(), "nor is cutting through it");
    });
}

#[test]
fn the_probe_sees_each_layer_refuse() {
    // As the keeper is when it asks.
    assert!(raincoat_os::harden::harden_process().is_empty());
    let home = tempfile::tempdir().unwrap();
    let data = std::fs::File::open(home.path()).unwrap();
    let helper = ["probe_helper", "--exact", "--ignored", "--nocapture", "--test-threads=1"];
    let layers = probe(&helper, &Limits::default(), data.as_fd());
    for layer in &layers {
        eprintln!("{:20} {:?}: {} {}", layer.name, layer.state, layer.why, layer.fix);
    }
    let state = |name: &str| layers.iter().find(|l: &&Layer| l.name == name).unwrap().state;
    // What every kernel that this is developed on has.
    for name in ["landlock", "thread-filter", "worker", "openat2", "rename-exchange", "no-new-privileges"] {
        assert_eq!(state(name), LayerState::Enforced, "{name}");
    }
    if rustix::process::geteuid().is_root() {
        assert_eq!(state("not-dumpable"), LayerState::Unknown);
    } else {
        assert_eq!(state("not-dumpable"), LayerState::Enforced);
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing is left behind");
    assert!(std::fs::read_dir("/").is_ok(), "and this thread is as free as before");
}

#[test]
fn the_probe_does_not_praise_a_process_that_did_not_harden_itself() {
    let home = tempfile::tempdir().unwrap();
    let data = std::fs::File::open(home.path()).unwrap();
    let helper = ["probe_helper", "--exact", "--ignored", "--nocapture", "--test-threads=1"];
    let layers = probe(&helper, &Limits::default(), data.as_fd());
    let state = |name: &str| layers.iter().find(|l: &&Layer| l.name == name).unwrap().state;
    if !rustix::thread::no_new_privs().unwrap() {
        assert_eq!(state("no-new-privileges"), LayerState::Missing);
    }
    if !rustix::process::geteuid().is_root() {
        assert_ne!(state("not-dumpable"), LayerState::Enforced);
    }
}

#[test]
fn a_probe_that_cannot_run_proves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let data = std::fs::File::open(home.path()).unwrap();
    let layers = probe(&["--no-such-option"], &Limits::default(), data.as_fd());
    let state = |name: &str| layers.iter().find(|l: &&Layer| l.name == name).unwrap().state;
    assert_eq!(state("worker"), LayerState::Unknown);
    assert_ne!(state("user-namespaces"), LayerState::Enforced);
}

#[test]
fn all_of_it_holds_for_an_ordinary_user_too() {
    use std::os::unix::fs::PermissionsExt;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let copy = dir.path().join("work");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
    for test in [
        "an_enclosed_worker_does_its_work",
        "a_worker_cannot_take_more_memory_than_its_limit",
        "the_effects_thread_does_everything_that_effects_do",
        "what_the_confinement_does_not_cover_is_known",
        "a_kernel_without_landlock_is_said_and_the_rest_holds",
        "a_worker_refuses_to_start_where_a_layer_could_not_be_put_in_force",
        "the_probe_sees_each_layer_refuse",
        "the_probe_does_not_praise_a_process_that_did_not_harden_itself",
    ] {
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
