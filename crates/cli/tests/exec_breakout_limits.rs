//! Breaking out of a draft by using everything up, or by the person's own terminal (issue 3, "Breaking out"): each hog is
//! ended with a word, and what it leaves can be reviewed and thrown away. All hogs are bounded by small limits.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod exec_support;
mod support;

use std::fs;
use std::process::{Command, Output, Stdio};

use exec_support::{as_user, open_draft};
use support::{User, World, changed_but, text, users};

fn world(user: User) -> World {
    let world = World::new(user);
    fs::write(world.granted().join("own.txt"), "own words\n").unwrap();
    world.own("around");
    world.ok(&["init", "--no-input"]);
    world
}

fn python(world: &World, limits: &str, script: &str) -> Output {
    world.run(&["exec", "--in", world.granted().to_str().unwrap(), "--limit", limits, "--", "python3", "-c", script])
}

/// A hog's name, its limits, what it does, and a word of what is said at its end.
const HOGS: &[(&str, &str, &str, &str)] = &[
    (
        "processes",
        "procs=64,time=20s",
        "import os\nfor n in range(500):\n  try:\n    if os.fork() == 0: import time; time.sleep(20); os._exit(0)\n  except OSError: pass\nimport time; time.sleep(20)",
        "processes and threads, of 64",
    ),
    (
        "threads",
        "procs=64,time=20s",
        "import threading, time\nfor n in range(200):\n  try: threading.Thread(target=time.sleep, args=(20,), daemon=True).start()\n  except RuntimeError: pass\ntime.sleep(20)",
        "processes and threads, of 64",
    ),
    (
        "sessions",
        "procs=64,time=20s",
        "import os, time\nfor n in range(300):\n  try:\n    if os.fork() == 0:\n      os.setsid()\n      if os.fork() == 0: time.sleep(20)\n      os._exit(0)\n  except OSError: pass\ntime.sleep(20)",
        "processes and threads, of 64",
    ),
    ("memory", "mem=64M,time=20s", "a = []\nwhile True: a.append(bytearray(1 << 20))", "of memory, of 64 MiB"),
    (
        "files-in-memory",
        "mem=64M,time=20s",
        "import time\nf = open('/tmp/big', 'wb')\nfor n in range(200):\n  f.write(b'x' * (1 << 20)); f.flush(); time.sleep(0.01)\ntime.sleep(20)",
        "of memory, of 64 MiB",
    ),
    (
        "disk",
        "disk=32M,time=20s",
        "import os\nn = 0\nwhile True:\n  n += 1\n  open(f'f{n}', 'wb').write(os.urandom(1 << 20))",
        "written",
    ),
    (
        "one-file",
        "disk=32M,time=20s",
        "f = open('big', 'wb')\nwhile True: f.write(b'x' * (1 << 20)); f.flush()",
        "written",
    ),
    ("processor", "cpu=1,time=20s", "import os\nos.fork()\nwhile True: pass", "of processor time"),
    // The child that moves a directory for the supervisor is stopped in the middle, and no other can be started.
    (
        "stopped",
        "time=2s,procs=64",
        "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nif os.fork() == 0: os.rename('many', 'moved'); os._exit(0)\ntime.sleep(0.03)\nfor n in range(3, 60):\n  try: os.kill(n, signal.SIGSTOP) if n != os.getpid() else 0\n  except OSError: pass\nfor n in range(12):\n  if os.fork() == 0:\n    try: os.rename('others', 'moved2')\n    except OSError: pass\n    time.sleep(20); os._exit(0)\ntime.sleep(20)",
        "it ran for 2 s",
    ),
    (
        "blind",
        "procs=32,time=20s",
        "import os, resource, time\ntry: resource.prlimit(1, resource.RLIMIT_NOFILE, (6, 6))\nexcept OSError: pass\ntry: os.setpriority(os.PRIO_PROCESS, 1, 19)\nexcept OSError: pass\nfor n in range(80):\n  try:\n    if os.fork() == 0: time.sleep(20); os._exit(0)\n  except OSError: pass\ntime.sleep(20)",
        "",
    ),
];

#[test]
fn every_hog_is_ended_with_a_word_and_raincoat_goes_on() {
    for user in users() {
        let world = world(user);
        for folder in ["many", "others"] {
            let at = world.granted().join(folder);
            fs::create_dir(&at).unwrap();
            (0..600).for_each(|n| fs::write(at.join(n.to_string()), "x").unwrap());
        }
        world.own("around/granted");
        let before = world.snapshot();
        for (name, limits, script, words) in HOGS {
            let from = world.log_length();
            let mark = format!("hog-{name}-{}", std::process::id());
            let said = python(&world, limits, &format!("{script}\n# {mark}"));
            assert!(!said.status.success(), "as {user:?}, {name}: {}", text(&said));
            assert!(text(&said).contains(words), "as {user:?}, {name}: {}", text(&said));
            let log = world.log_from(from);
            assert!(log.iter().any(|line| line.contains("denied: ")), "as {user:?}, {name}: {log:#?}");
            let table = Command::new("ps").args(["-eo", "args"]).output().unwrap();
            let table = String::from_utf8_lossy(&table.stdout).into_owned();
            assert!(!table.contains(&mark), "as {user:?}, {name}");
            drop(world.run(&["discard", "--all"]));
            // The next one runs as if nothing had been.
            let next = python(&world, "procs=16,mem=128M,disk=32M,time=20s", "print('next')");
            assert!(text(&next).contains("next"), "as {user:?}, {name}: {}", text(&next));
        }
        assert_eq!(changed_but(&before, &world.snapshot(), &[]), [""; 0]);
        let left = fs::read_dir(world.path("home/.local/share/raincoat/drafts")).unwrap().count();
        assert!(left <= 1, "as {user:?}: {left} drafts are left");
    }
}

/// Trees that programs stumble over.
const TREES: &[(&str, &str)] = &[
    ("deep", "import os\nfor n in range(700): os.mkdir('d'); os.chdir('d')\nopen('end', 'w').write('x')"),
    ("long-names-and-deep", "import os\nfor n in range(120): os.mkdir('n' * 250); os.chdir('n' * 250)"),
    ("wide", "for n in range(4000): open(f'w{n}', 'w').close()"),
    (
        "attributes",
        "import os\nfor n in range(200):\n  open(f'x{n}', 'w').close()\n  try:\n    for m in range(50): os.setxattr(f'x{n}', f'user.{m}', b'v' * 3000)\n  except OSError: pass",
    ),
    (
        "links",
        "import os\nopen('l', 'w').close()\nfor n in range(1000): os.link('l', f'l{n}')\nfor n in range(2000): os.symlink(f's{(n + 1) % 2000}', f's{n}')",
    ),
    (
        "without-a-way-in",
        "import os\nos.makedirs('shut/in')\nopen('shut/in/file', 'w').write('x')\nos.chmod('shut/in', 0); os.chmod('shut', 0)",
    ),
];

/// The same, as large as a program may want; for `--run-ignored`.
const LARGE: &[(&str, &str)] = &[
    ("deep", "import os\nfor n in range(10000): os.mkdir('d'); os.chdir('d')\nopen('end', 'w').write('x')"),
    ("wide", "for n in range(100000): open(f'w{n}', 'w').close()"),
];

#[test]
fn trees_that_programs_stumble_over_are_reviewed_committed_and_thrown_away() {
    stumble(TREES);
}

#[test]
#[ignore = "takes minutes"]
fn large_trees_too() {
    stumble(LARGE);
}

fn stumble(trees: &[(&str, &str)]) {
    for user in users() {
        for (name, script) in trees {
            let world = world(user);
            let said = python(&world, "disk=256M,time=60s", script);
            assert!(said.status.success(), "as {user:?}, {name}: {}", text(&said));
            let run = open_draft(&world);
            let said = world.run(&["review", &run, "--json"]);
            assert!(said.status.code().is_some_and(|code| code < 100), "as {user:?}, {name}: {}", tail(&said));
            if ["wide", "attributes", "links", "without-a-way-in"].contains(name) {
                let said = world.run(&["commit", &run]);
                assert!(said.status.code().is_some_and(|code| code < 100), "as {user:?}, {name}: {}", tail(&said));
            }
            drop(world.run(&["discard", "--all"]));
            let drafts = world.path("home/.local/share/raincoat/drafts");
            let left = Command::new("find").arg(&drafts).args(["-mindepth", "2"]).output().unwrap();
            assert_eq!(left.stdout.len(), 0, "as {user:?}, {name}: {}", tail(&left));
            assert_eq!(fs::read_to_string(world.granted().join("own.txt")).unwrap(), "own words\n");
            if user == User::Tester {
                break_down(&world);
            }
        }
    }
}

/// The deep ones are deeper than the temporary directory's own removal likes.
fn break_down(world: &World) {
    drop(Command::new("rm").arg("-rf").arg(world.granted()).status());
}

fn tail(output: &Output) -> String {
    let all = text(output);
    all.chars().rev().take(1500).collect::<Vec<_>>().into_iter().rev().collect()
}

/// Gives raincoat a terminal of its own and says afterwards what could be read from it as if typed.
const TERMINAL: &str = r#"
import os, pty, select, sys, time
pid, master = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
seen, end = b'', time.time() + 30
while time.time() < end:
    if select.select([master], [], [], 0.1)[0]:
        try: part = os.read(master, 65536)
        except OSError: break
        if not part: break
        seen += part
        if b'keep the changes?' in seen and b'ANSWERED' not in seen:
            os.write(master, b'l\n'); seen += b'ANSWERED'
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.stdout.buffer.write(seen)
print('\nexit', code)
"#;

/// Types by every way into its terminal, and into any that it can open.
const TYPIST: &str = r#"
import fcntl, os, signal, struct, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
fds = [0, 1, 2]
for name in ['/dev/tty', '/dev/pts/0', '/dev/pts/1', '/dev/pts/2', '/dev/pts/3', '/dev/console', '/dev/tty0', '/proc/1/fd/0', '/dev/ptmx']:
    try: fds.append(os.open(name, os.O_RDWR | os.O_NOCTTY))
    except OSError: pass
print('terminals', sorted({os.ttyname(f) for f in fds if os.isatty(f) and os.ttyname(f) not in ('/dev/tty', '/dev/ptmx', '/dev/pts/ptmx')}))
for fd in fds:
    for ch in 'echo INJECTED\n':
        for request in (0x5412, 0x5412 | 1 << 32, 0x541c):
            try: fcntl.ioctl(fd, request, ch.encode() + b'\0'); print('TYPED')
            except (OSError, OverflowError): pass
try: os.kill(os.getppid(), 0); print('parent', os.getppid())
except OSError: pass
try: os.setpgid(0, 1)
except OSError: pass
print('done')
"#;

#[test]
fn nothing_is_typed_into_the_persons_terminal() {
    for user in users() {
        let world = world(user);
        let from = world.log_length();
        let mut command = as_user(user, "python3");
        command.args(["-c", TERMINAL]).arg(world.path("bin/raincoat"));
        command.args(["exec", "--in", "granted", "--", "python3", "-c", TYPIST]);
        command.env_clear().env("HOME", world.path("home")).env("PATH", "/usr/bin:/bin").env("TERM", "xterm");
        let said = command.current_dir(world.around()).stdin(Stdio::null()).output().unwrap();
        let words = text(&said);
        assert!(words.contains("done") && words.contains("exit 0"), "as {user:?}: {words}");
        assert!(words.contains("terminals ['/dev/pts/0']"), "as {user:?}: {words}");
        assert!(!words.contains("TYPED") && !words.contains("INJECTED"), "as {user:?}: {words}");
        let log = world.log_from(from);
        assert!(log.iter().any(|line| line.contains("denied: ioctl") && line.contains("TIOCSTI")), "{log:#?}");
    }
}
