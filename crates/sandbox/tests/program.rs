//! Programs, enclosed for real (issue 3, "What encloses the program"): as whoever runs the tests, and where that is
//! root, as an ordinary user too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "tests"
)]

mod scene;

use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use raincoat_sandbox::program::{Event, Folder, How, LimitKind, Streams, launch_with};
use scene::{LONG, Scene, bytes, root};

#[test]
fn a_program_ends_with_its_own_exit_code_or_signal() {
    assert_eq!(Scene::sh("exit 0").run().code(), Some(0));
    assert_eq!(Scene::sh("exit 42").run().code(), Some(42));
    let killed = Scene::sh("kill -SEGV $$").run();
    assert_eq!(*killed.last(), Event::Ended { code: None, signal: Some(11), left_running: 0 });
}

#[test]
fn what_cannot_be_executed_is_said_with_the_code_that_a_shell_gives() {
    let not_started = |scene: Scene| match scene.run().last().clone() {
        Event::NotStarted(words, code) => (words, code),
        other => panic!("{other:?}"),
    };
    assert_eq!(not_started(Scene::new(&["no-such-thing"])), ("`no-such-thing`: not found".into(), 127));
    assert_eq!(not_started(Scene::new(&["/etc/passwd"])), ("`/etc/passwd`: may not be executed".into(), 126));
    assert_eq!(not_started(Scene::new(&["./there"])).1, 126);
    let script = Scene::new(&["./script"]);
    std::fs::write(script.folder("script"), "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(script.folder("script"), PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(not_started(script).1, 126);
    // Shells run a script without a first line that says what runs it.
    let plain = Scene::new(&["./plain", "an argument"]);
    std::fs::write(plain.folder("plain"), "echo \"$1\"\n").unwrap();
    std::fs::set_permissions(plain.folder("plain"), PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(plain.run().well(), "an argument\n");
}

#[test]
fn streams_pass_through_and_end_with_the_program() {
    let scene = Scene::sh("cat; echo to errors >&2");
    assert_eq!(scene.start_with(b"what came in\n").unwrap().done().well(), "what came in\nto errors\n");
}

#[test]
fn what_is_written_lands_in_the_draft_and_the_folder_is_untouched() {
    let scene =
        Scene::sh("echo after > there && echo new > fresh && mkdir sub && rm -f gone && cat there fresh && pwd");
    std::fs::write(scene.folder("gone"), "x").unwrap();
    let done = scene.run();
    let folder = scene.folder("").display().to_string();
    assert_eq!(done.well(), format!("after\nnew\n{}\n", folder.trim_end_matches('/')));
    assert_eq!(std::fs::read_to_string(scene.folder("there")).unwrap(), "before\n");
    assert!(!scene.folder("fresh").exists() && scene.folder("gone").exists());
    assert_eq!(std::fs::read_to_string(scene.upper("there")).unwrap(), "after\n");
    assert_eq!(std::fs::read_to_string(scene.upper("fresh")).unwrap(), "new\n");
    assert!(scene.upper("sub").is_dir());
    let whiteout = std::fs::symlink_metadata(scene.upper("gone")).unwrap();
    assert_eq!((whiteout.mode() & 0o170_000, whiteout.rdev()), (0o020_000, 0));
}

#[test]
fn a_draft_is_for_one_program() {
    let scene = Scene::sh("echo more >> there; cat there");
    assert_eq!(scene.run().well(), "before\nmore\n");
    let error = scene.start_with(b"").err().unwrap().to_string();
    assert!(error.contains("a program has run in this draft") && error.contains("new one"), "{error}");
}

#[test]
fn names_of_any_kind_are_granted_as_they_are() {
    for name in [
        "a,b",
        "a:b",
        "a\\b",
        "a\\:b,c=d",
        "new\nline",
        "lowerdir=x,upperdir=y",
        " blank ",
        "ünïcode",
        "a'b\"c",
        "%s$HOME",
    ] {
        let scene = Scene::named(name, &["sh", "-c", "echo it > is && cat there && basename \"$PWD\""]);
        assert_eq!(scene.run().well(), format!("before\n{name}\n"));
        assert_eq!(std::fs::read_to_string(scene.upper("is")).unwrap(), "it\n");
        assert!(!scene.folder("is").exists());
    }
}

#[test]
fn nothing_but_what_was_granted_is_there() {
    let mut scene = Scene::sh("");
    let secret = scene.path("secret").display().to_string();
    let parent = scene.scratch.path().display().to_string();
    let draft = scene.path("draft").display().to_string();
    let script = format!(
        "cat {secret}; ls -A {parent}; ls {draft}; ls -A $HOME; ls -A /tmp /var/tmp | grep -v ^$; ls / ; ls /root /home"
    );
    scene.plan.command = vec![b"sh".to_vec(), b"-c".to_vec(), script.into_bytes()];
    let done = scene.run();
    assert!(!done.said.contains("not granted"), "{}", done.said);
    assert!(done.said.contains(&format!("cat: {secret}: No such file")), "{}", done.said);
    assert!(done.said.contains("ls: cannot access '/root'"), "{}", done.said);
    let lines: Vec<&str> = done.said.lines().collect();
    assert!(lines.contains(&"folder"), "{}", done.said);
    for name in ["draft", "secret", ".private", ".empty", "boot", "srv", "mnt", "work"] {
        assert!(!lines.contains(&name), "{name} is there: {}", done.said);
    }
}

#[test]
fn secrets_of_the_system_are_masked_and_its_settings_cannot_be_written() {
    let done = Scene::sh(
        "cat /etc/shadow /etc/gshadow /etc/sudoers /proc/kcore 2>&1 | wc -c | xargs test 1000 -gt || echo readable
         (echo x > /proc/sys/kernel/core_pattern) 2>/dev/null && echo core_pattern
         (echo x > /proc/sysrq-trigger) 2>/dev/null && echo sysrq
         (echo x > /etc/new) 2>/dev/null && echo etc
         (echo x > /usr/bin/new) 2>/dev/null && echo usr
         (echo x > /new) 2>/dev/null && echo root
         grep -c nameserver /etc/resolv.conf 2>/dev/null
         cat /etc/hostname /etc/passwd > /dev/null || echo cannot read what everybody reads
         hostname; true",
    )
    .run();
    let said = done.well().lines().filter(|line| *line != "0").collect::<Vec<_>>();
    assert_eq!(said, ["localhost"], "{done:?}");
}

#[test]
fn devices_and_temporary_folders_work() {
    let script = "head -c 4 /dev/zero | wc -c; echo x > /dev/null; head -c 8 /dev/urandom | wc -c
        echo y > /tmp/a && cat /tmp/a; echo z > /var/tmp/b && cat /var/tmp/b; echo h > $HOME/c && cat $HOME/c
        echo s > /dev/shm/d && cat /dev/shm/d; echo e > /dev/stderr; ls /dev | tr '\n' ' '; echo; nproc > /dev/null; test -r /proc/meminfo";
    assert_eq!(
        Scene::sh(script).run().well(),
        "4\n8\ny\nz\nh\ns\ne\nfd full null ptmx pts random shm stderr stdin stdout tty urandom zero \n"
    );
    assert!(!Path::new("/dev/shm/d").exists() && !Path::new("/var/tmp/b").exists());
}

#[test]
fn it_is_the_same_user_inside_and_sees_only_itself() {
    let uid = std::fs::metadata("/proc/self").unwrap().uid();
    let done =
        Scene::sh("id -u; ls /proc | grep -c '^[0-9]'; grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status")
            .run();
    let said = done.well().replace('\t', " ");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], uid.to_string());
    assert!(lines[1].parse::<u32>().unwrap() <= 4, "{said}");
    assert_eq!(lines[2..], ["CapEff: 0000000000000000", "CapBnd: 0000000000000000", "NoNewPrivs: 1", "Seccomp: 2"]);
}

#[test]
fn a_read_only_folder_is_read_and_not_written_and_its_sockets_reach_nobody() {
    let mut scene = Scene::sh("");
    let other = scene.path("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("file"), "read me\n").unwrap();
    std::fs::write(scene.path("single"), "one file\n").unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(other.join("socket")).unwrap();
    // Without an enclosure it is reached: else the rest would prove nothing.
    std::os::unix::net::UnixStream::connect(other.join("socket")).unwrap();
    let (at, single) = (other.display(), scene.path("single").display().to_string());
    let script = format!(
        "cat {at}/file {single}; (echo x > {at}/file) 2>/dev/null && echo written; (echo x > {single}) 2>/dev/null && echo written
         touch {at}/new 2>/dev/null && echo made
         python3 -c 'import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(\"connected\")' {at}/socket 2>&1 | tail -1"
    );
    scene.plan.command = vec![b"sh".to_vec(), b"-c".to_vec(), script.into_bytes()];
    for path in [&other, &scene.path("single")] {
        scene.plan.folders.push(Folder { at: bytes(path), how: How::ReadOnly });
    }
    let done = scene.run();
    assert!(done.well().starts_with("read me\none file\n"), "{done:?}");
    assert!(["written", "made", "connected"].iter().all(|word| !done.said.contains(word)), "{done:?}");
    assert!(
        done.said.contains("refused") || done.said.contains("Permission denied"),
        "python3 must be installed: {done:?}"
    );
}

#[test]
fn masked_names_hidden_folders_empty_and_kept_ones() {
    let mut scene = Scene::sh("");
    std::fs::create_dir(scene.path("draft/mask")).unwrap();
    std::fs::write(scene.folder(".env"), "KEY=1").unwrap();
    let c = std::ffi::CString::new(bytes(scene.path("draft/mask/.env"))).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &c, rustix::fs::FileType::CharacterDevice, rustix::fs::Mode::empty(), 0)
        .unwrap();
    let ours = scene.folder("ours");
    std::fs::create_dir(&ours).unwrap();
    std::fs::write(ours.join("keys"), "ours").unwrap();
    scene.plan.hidden = vec![bytes(&ours)];
    std::fs::create_dir(scene.path("cache")).unwrap();
    let kept = scene.path("inside/cache");
    let empty = scene.path("inside/empty");
    let script = format!(
        "ls -A; ls -A ours; touch ours/x 2>/dev/null && echo wrote; echo kept > {}/file; echo gone > {}/file; ls {}",
        kept.display(),
        empty.display(),
        empty.display()
    );
    scene.plan.command = vec![b"sh".to_vec(), b"-c".to_vec(), script.into_bytes()];
    scene.plan.folders.push(Folder { at: bytes(&kept), how: How::Kept { place: bytes(scene.path("cache")) } });
    scene.plan.folders.push(Folder { at: bytes(&empty), how: How::Empty });
    assert_eq!(scene.run().well(), "ours\nthere\nfile\n");
    assert_eq!(std::fs::read_to_string(scene.path("cache/file")).unwrap(), "kept\n");
    assert!(!empty.exists() && !kept.exists());
}

#[test]
fn a_program_with_a_terminal_leads_it() {
    let mut scene = Scene::sh(
        "test -t 0 && test -t 1 && test -t 2 && tty && stty size && echo typed: $(head -n1); ps -o tty= -p $$",
    );
    scene.plan.terminal = [true; 3];
    scene.plan.size = (30, 100);
    let mut running = scene.start();
    let mut master = std::fs::File::from(running.ready.terminal.take().unwrap());
    master.write_all(b"hello\n").unwrap();
    let mut said = Vec::new();
    let mut part = [0; 1024];
    while let Ok(length) = master.read(&mut part) {
        if length == 0 {
            break;
        }
        said.extend_from_slice(&part[..length]);
    }
    let said = String::from_utf8_lossy(&said).replace("\r\n", "\n");
    assert!(said.contains("/dev/pts/0\n30 100\n") && said.contains("typed: hello\n"), "{said}");
    assert_eq!(running.done().code(), Some(0));
}

#[test]
fn keys_of_the_terminal_stop_continue_and_interrupt_the_program() {
    let mut scene =
        Scene::sh("trap 'echo interrupted; exit 3' INT; echo ready; while :; do read line && echo got $line; done");
    scene.plan.terminal = [true; 3];
    let mut running = scene.start();
    let mut master = std::fs::File::from(running.ready.terminal.take().unwrap());
    let wait_for = |master: &mut std::fs::File, words: &str| {
        let mut said = String::new();
        let mut part = [0; 256];
        while !said.contains(words) {
            let length = master.read(&mut part).unwrap();
            said.push_str(&String::from_utf8_lossy(&part[..length]));
        }
    };
    wait_for(&mut master, "ready");
    master.write_all(b"\x1a").unwrap();
    assert_eq!(running.next(), Event::Stopped(20));
    running.program.resume();
    assert_eq!(running.next(), Event::Continued);
    master.write_all(b"line\n").unwrap();
    wait_for(&mut master, "got line");
    master.write_all(b"\x03").unwrap();
    wait_for(&mut master, "interrupted");
    assert_eq!(running.next(), Event::Ended { code: Some(3), signal: None, left_running: 0 });
}

#[test]
fn signals_of_the_keeper_reach_the_program() {
    let mut running = Scene::sh("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done").start();
    let mut ready = [0; 6];
    running.from.read_exact(&mut ready).unwrap();
    running.program.signal(15);
    assert_eq!(running.done().code(), Some(7));
    // Not as the shell's child: one that is interrupted while it starts a child loses the signal, enclosed or not.
    let mut running = Scene::sh("echo ready; exec sleep 100").start();
    running.from.read_exact(&mut ready).unwrap();
    running.program.signal(2);
    assert!(matches!(running.done().last(), Event::Ended { signal: Some(2), .. }));
}

#[test]
fn ignored_signals_are_not_passed_on_and_no_descriptor_is() {
    let _open = std::fs::File::open("/etc/passwd").unwrap();
    let done =
        Scene::sh("ls /proc/self/fd | tr '\\n' ' '; grep -E 'SigIgn|SigBlk' /proc/self/status; ulimit -c; umask").run();
    let said = done.well().replace('\t', " ");
    // 3 is the listing itself.
    assert!(said.starts_with("0 1 2 3 SigBlk: 0000000000000000\nSigIgn: 0000000000000000\n0\n"), "{said}");
}

#[test]
fn what_is_left_running_is_ended_with_the_program() {
    let scene = Scene::sh("(trap '' TERM; sleep 300) & setsid sleep 300 & sleep 300 & exit 0");
    let done = scene.run();
    let Event::Ended { code: Some(0), left_running, .. } = *done.last() else { panic!("{done:?}") };
    assert!(left_running >= 3, "{done:?}");
    let table = std::process::Command::new("ps").args(["-eo", "args"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&table.stdout).lines().any(|line| line == "sleep 300"));
}

#[test]
fn a_fork_bomb_ends_with_a_word() {
    let mut scene = Scene::sh("python3 -c 'import os\nwhile True:\n  try: os.fork()\n  except OSError: pass'");
    scene.plan.limits.processes = 64;
    let done = scene.run();
    assert_eq!(done.limit(), Some(LimitKind::Processes), "{done:?}");
}

#[test]
fn a_memory_hog_ends_with_a_word() {
    for hog in [
        "python3 -c 'a=[]\nwhile True: a.append(bytearray(1<<20))'",
        "head -c 1G /dev/zero > /tmp/big; sleep 100",
        "for i in 1 2 3 4; do python3 -c 'import time; a=bytearray(40<<20); time.sleep(100)' & done; wait",
    ] {
        let mut scene = Scene::sh(hog);
        scene.plan.limits.memory = 128 << 20;
        let done = scene.run();
        assert_eq!(done.limit(), Some(LimitKind::Memory), "{hog}: {done:?}");
    }
    // What is shared is counted once.
    let mut scene = Scene::sh(
        "python3 -c 'import os,time\na=bytearray(80<<20)\nfor i in range(4):\n  if os.fork()==0: time.sleep(0.5); os._exit(0)\ntime.sleep(0.7)'",
    );
    scene.plan.limits.memory = 128 << 20;
    assert_eq!(scene.run().code(), Some(0));
}

#[test]
fn an_endless_writer_ends_with_a_word() {
    for writer in ["cat /dev/zero > big", "i=0; while :; do i=$((i+1)); head -c 1M /dev/zero > f$i; done"] {
        let mut scene = Scene::sh(writer);
        scene.plan.limits.disk = 32 << 20;
        let done = scene.run();
        assert_eq!(done.limit(), Some(LimitKind::Disk), "{writer}: {done:?}");
        assert!(!matches!(done.last(), Event::Ended { code: Some(0), .. }), "{done:?}");
    }
}

#[test]
fn processor_time_and_time_are_bounded() {
    let mut scene = Scene::sh("(while :; do :; done) & while :; do :; done");
    scene.plan.limits.cpu_secs = Some(1);
    assert_eq!(scene.run().limit(), Some(LimitKind::Cpu));
    let mut scene = Scene::sh("trap 'echo told; exit 9' TERM; while :; do sleep 0.01; done");
    scene.plan.limits.wall_secs = Some(1);
    let done = scene.run();
    assert_eq!((done.limit(), done.code()), (Some(LimitKind::Wall), Some(9)));
    assert!(done.said.contains("told\n"), "{done:?}");
    let mut scene = Scene::sh("trap '' TERM; while :; do sleep 0.01; done");
    scene.plan.limits.wall_secs = Some(1);
    assert!(matches!(scene.run().last(), Event::Ended { signal: Some(9), .. }));
}

#[test]
fn everything_dies_with_the_keeper() {
    for how in ["dropped", "killed"] {
        let mut running = Scene::sh("trap '' TERM HUP; sleep 431 & echo ready; sleep 431").start();
        let mut ready = [0; 6];
        running.from.read_exact(&mut ready).unwrap();
        let proc = format!("/proc/{}", running.ready.init_pid);
        assert!(Path::new(&proc).exists());
        if how == "killed" {
            running.program.kill();
        } else {
            drop(running.program);
        }
        // The pipe's other end is held by nobody but the program and what it started.
        let mut rest = Vec::new();
        running.from.read_to_end(&mut rest).unwrap();
    }
}

/// Started by the test below; by itself it ends at once.
#[test]
#[ignore = "started by another test"]
fn keeper() {
    if std::env::var_os("BE_A_KEEPER").is_none() {
        return;
    }
    let running = Scene::sh("trap '' TERM HUP INT; sleep 433 & while :; do sleep 433; done").start();
    println!("init {}", running.ready.init_pid);
    std::thread::sleep(LONG * 2);
}

#[test]
fn everything_dies_with_a_keeper_that_is_killed() {
    let mut keeper = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "keeper", "--nocapture"])
        .env("BE_A_KEEPER", "yes")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(keeper.stdout.take().unwrap()));
    let init =
        lines.map(Result::unwrap).find_map(|line| line.split_once("init ").map(|(_, pid)| pid.to_owned())).unwrap();
    let state = || std::fs::read_to_string(format!("/proc/{init}/stat")).unwrap_or_default();
    assert!(!state().is_empty());
    keeper.kill().unwrap();
    keeper.wait().unwrap();
    let until = Instant::now() + LONG;
    // Gone, or dead and not reaped by whoever inherited it.
    while !state().is_empty() && !state().contains(") Z ") {
        assert!(Instant::now() < until, "{}", state());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn many_long_arguments_arrive() {
    let long = "x".repeat(100_000);
    let mut command = vec!["sh", "-c", "echo $# ${#1}"];
    command.push("sh");
    command.extend(std::iter::repeat_n(long.as_str(), 12));
    assert_eq!(Scene::new(&command).run().well(), "12 100000\n");
}

#[test]
fn a_folder_that_is_not_there_or_a_strange_working_directory_is_a_fault_and_nothing_runs() {
    let mut scene = Scene::sh("echo ran > /tmp/x");
    scene.plan.cwd = b"/var/nowhere".to_vec();
    let error = scene.start_with(b"").err().unwrap().to_string();
    assert!(error.contains("could not enter `/var/nowhere`") && error.contains("--in"), "{error}");
    let mut scene = Scene::sh("true");
    scene.plan.folders[0].at = b"/no/such/folder".to_vec();
    let error = scene.start_with(b"").err().unwrap().to_string();
    assert!(error.contains("/no/such/folder"), "{error}");
    for at in [&b"/"[..], b"relative", b"/tmp/../etc"] {
        let mut scene = Scene::sh("true");
        scene.plan.folders[0].at = at.to_vec();
        assert!(scene.start_with(b"").is_err());
    }
}

#[test]
fn a_strict_run_is_possible_here_and_a_program_may_nest_where_its_plan_says_so() {
    // The kernel lets root be mapped by those only who could give files capabilities, which nobody can inside.
    let mut scene = Scene::sh(if root() { "unshare -U echo 0" } else { "unshare -Ur id -u" });
    scene.plan.strict = true;
    scene.plan.may_nest = true;
    let running = scene.start();
    assert!(running.ready.layers.iter().all(|layer| layer.enforced), "{:?}", running.ready.layers);
    assert_eq!(running.done().well(), "0\n");
}

#[test]
fn everyday_programs_work() {
    let done = Scene::sh(
        "set -e; git init -q . && git config user.email a@b && git config user.name a && git add there && git commit -qm one
         git mv there here && git commit -qm two && git log --oneline | wc -l && git gc -q && git fsck 2>&1 | wc -l
         tar cf all.tar here && mkdir out && tar xf all.tar -C out && cat out/here && mv out moved && cat moved/here
         mkfifo pipe && (echo through > pipe &) && cat pipe
         python3 -c 'import socket,threading,os
s=socket.socket(socket.AF_UNIX); s.bind(\"sock\"); s.listen()
c=socket.socket(socket.AF_UNIX); c.connect(\"sock\"); print(\"met\")'
         python3 -c 'import multiprocessing as m
if __name__ == \"__main__\":
  with m.Pool(2) as p: print(sum(p.map(abs, range(10))))'",
    )
    .run();
    let said = done.well().split_whitespace().collect::<Vec<_>>();
    assert_eq!(said, ["2", "0", "before", "before", "through", "met", "45"], "git and python3 must be installed");
}

#[test]
fn what_is_refused_is_told() {
    let done = Scene::sh("unshare -Ur true; true").run();
    let told = done.events.iter().any(|event| matches!(event, Event::Refused { call, .. } if call == "unshare"));
    assert!(told, "{done:?}");
}

#[test]
fn every_check_gets_through_without_an_enclosure_or_is_known_not_to() {
    use raincoat_sandbox::program::{Ground, checks};
    let scratch = tempfile::tempdir().unwrap();
    // Run in this process: those that change it are left out, `doctor` tries them in one of its own.
    let harmless = ["outside-file", "other-processes", "namespaces"];
    let namespaces = vec![("mnt".to_owned(), bytes(std::fs::read_link("/proc/self/ns/mnt").unwrap()))];
    let ground = Ground { outside: vec![bytes(scratch.path())], namespaces, ..Ground::default() };
    for check in checks().iter().filter(|check| harmless.contains(&check.name)) {
        assert!(check.gets_through(&ground), "{}", check.name);
    }
    let names: std::collections::BTreeSet<_> = checks().iter().map(|check| check.name).collect();
    assert_eq!(names.len(), checks().len());
}

/// All of the above once more, as a user without any privilege.
#[test]
fn an_ordinary_user_can_do_all_this() {
    scene::as_an_ordinary_user();
}

/// Not a check: says how long it takes, for `cargo test --release -- --ignored --nocapture how_long`.
#[test]
#[ignore = "measures"]
fn how_long_it_takes() {
    let rounds = 200;
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..rounds {
        let scene = Scene::new(&["/bin/true"]);
        let (from, stdout) = std::io::pipe().unwrap();
        let start = Instant::now();
        let mut program =
            launch_with(&scene.plan, Streams { stdout: Some(stdout.into()), ..Streams::default() }).unwrap();
        times[0].push(start.elapsed());
        program.ready().unwrap();
        times[1].push(start.elapsed());
        program.go().unwrap();
        while !matches!(program.next(LONG).unwrap().unwrap(), Event::Ended { .. }) {}
        times[2].push(start.elapsed());
        drop(program);
        times[3].push(start.elapsed());
        drop(from);
    }
    for (what, mut times) in ["launched", "ready", "ended", "dropped"].into_iter().zip(times) {
        times.sort();
        eprintln!("{what}: median {:?}, least {:?}, 9 in 10 {:?}", times[rounds / 2], times[0], times[rounds * 9 / 10]);
    }
}
