//! Breaking out of a draft, what takes more than a call (issue 3, "Breaking out"): the committer as the target, races
//! while it works, a person's terminal, limits, what outlives a run, and what surrounds raincoat itself.

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
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use exec_support::{as_user, open_draft};
use raincoat_runtime::snapshot::Snapshot;
use support::{BAIT, User, World, changed_but, is_root, text, users};

fn world(user: User) -> World {
    let world = World::new(user);
    let dir = world.granted();
    for folder in ["dir", "victim", "deep/er"] {
        fs::create_dir_all(dir.join(folder)).unwrap();
    }
    for file in ["own.txt", "dir/file", "victim/file", "deep/er/file", ".bashrc"] {
        fs::write(dir.join(file), "own words\n").unwrap();
    }
    world.own("around");
    world.ok(&["init", "--no-input"]);
    world
}

fn exec(world: &World, flags: &[&str], command: &[&str]) -> Output {
    world.run(&arguments(world, flags, command).iter().map(String::as_str).collect::<Vec<_>>())
}

fn arguments(world: &World, flags: &[&str], command: &[&str]) -> Vec<String> {
    let folder = world.granted();
    let all = ["exec", "--in", folder.to_str().unwrap(), "--limit", "time=60s,disk=256M"];
    all.iter().chain(flags).chain(&["--"]).chain(command).map(|&word| word.to_owned()).collect()
}

/// A script of Python's, which must be installed, for what needs more than a shell.
fn python(world: &World, flags: &[&str], script: &str) -> Output {
    exec(world, flags, &["python3", "-c", script])
}

/// Whether bait stands in any file of a tree.
fn holds_bait(at: &Path) -> bool {
    let found = std::process::Command::new("grep").args(["-rlaq", "-D", "skip", BAIT]).arg(at).status().unwrap();
    found.success()
}

fn in_background(world: &World, flags: &[&str], command: &[&str]) -> std::process::Child {
    let arguments = arguments(world, flags, command);
    let mut command = world.command(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn wait_for(what: &str, mut ready: impl FnMut() -> bool) {
    let began = Instant::now();
    while !ready() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Everything that a committer could be led by.
const TRAPS: &str = r#"
import os, socket
around = os.path.dirname(os.getcwd())
os.remove('dir/file'); os.rmdir('dir'); os.symlink(around + '/other', 'dir')          # a folder becomes a link
os.remove('own.txt'); os.symlink('../secret.txt', 'own.txt')                          # a file becomes one
os.rename('victim', 'victim-was'); os.symlink('../other', 'victim')
os.mkdir('loop'); os.symlink('../loop', 'loop/loop')
os.symlink('/etc/passwd', 'passwd'); os.symlink('/proc/self/fd/3', 'magic'); os.symlink('.', 'dot')
os.symlink('x' * 4000, 'long')
os.mkfifo('fifo'); os.mkdir('in'); os.mkfifo('in/fifo', 0o644)
socket.socket(socket.AF_UNIX).bind('sock')
os.link('deep/er/file', 'linked')
open('innocent', 'w').write('x')
names = ['opaque', 'whiteout', 'whiteouts', 'redirect', 'metacopy', 'origin', 'impure', 'nlink', 'upper', 'overlay.opaque',
         'overlay.whiteout', 'overlay.overlay.redirect']
os.mkdir('forged')
for n in names:
    for at in ('innocent', 'forged', 'deep', 'deep/er/file'):
        for v in (b'y', b'x', b'/../../secret.txt', b'\x00\xfb\x1d\x00' + b'\x00' * 20):
            try: os.setxattr(at, 'user.overlay.' + n, v)
            except OSError: pass
open('a\x1b[2J\x1b]0;owned\x07b\nraincoat: committed', 'w').write('\x1b[31mred\x1b]52;c;ZXZpbA==\x07')
open('\u202etxt.exe', 'w').write('x')
open('n' * 255, 'w').write('x')
os.chmod('innocent', 0o777)
"#;

#[test]
fn a_draft_full_of_traps_is_reviewed_and_committed_and_nothing_outside_changes() {
    for user in users() {
        let world = world(user);
        let before = world.snapshot();
        let said = python(&world, &[], TRAPS);
        assert_eq!(said.status.code(), Some(0), "as {user:?}: {}", text(&said));
        let run = open_draft(&world);
        for arguments in [vec!["review", run.as_str()], vec!["review", &run, "--json"], vec!["drafts"]] {
            let said = world.run(&arguments);
            let raw = [said.stdout.as_slice(), &said.stderr].concat();
            assert!(!raw.contains(&0x1b) && !raw.contains(&0x07), "as {user:?}, {arguments:?}: {}", text(&said));
            let owned = String::from_utf8_lossy(&raw).into_owned();
            assert!(!owned.lines().any(|line| line == "raincoat: committed"), "{owned}");
            // JSON is for programs: what turns a screen's text round may stand in it.
            assert!(arguments.contains(&"--json") || !owned.contains('\u{202e}'), "{owned}");
        }
        let said = world.run(&["commit", &run]);
        let raw = [said.stdout.as_slice(), &said.stderr].concat();
        assert!(!raw.contains(&0x1b), "as {user:?}: {}", text(&said));
        let said = text(&said);
        let changed = changed_but(&before, &world.snapshot(), &["granted".to_owned()]);
        assert!(changed.is_empty(), "as {user:?}: {said}\n{}", changed.join("\n"));
        let dir = world.granted();
        assert!(!holds_bait(&dir), "as {user:?}: {said}");
        assert!(dir.join("dir").is_symlink() && dir.join("own.txt").is_symlink(), "as {user:?}: {said}");
        let strange = exec_support::strange(&dir);
        assert!(strange.is_empty(), "as {user:?}: {strange:?} {said}");
        // What was committed is only what it is: seen by the next program, its forged marks hide and redirect nothing.
        let names = |at: &Path| -> Vec<_> {
            let mut names: Vec<_> = fs::read_dir(at).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let listed = python(
            &world,
            &[],
            "import os\nfor d in ('.', 'deep', 'deep/er'): print(sorted(map(os.fsencode, os.listdir(d))))",
        );
        for at in ["", "deep", "deep/er"] {
            let expected = names(&dir.join(at)).len();
            assert!(expected > 0);
        }
        let lines = String::from_utf8(listed.stdout.clone()).unwrap();
        let count = lines.lines().next().unwrap_or_default().matches(", ").count() + 1;
        assert_eq!(count, names(&dir).len(), "as {user:?}: {}", text(&listed));
        assert!(lines.contains("[b'file']"), "as {user:?}: {}", text(&listed));
        assert!(world.ok(&["audit", "verify"]).contains("the log is sound"));
        let undone = text(&world.run(&["undo", &run]));
        assert!(!holds_bait(&dir), "{undone}");
    }
}

/// Names that start or judge things, as programs would write them; each holds its own name.
const PROTECTED: &str = r#"
import os
def put(p):
    os.makedirs(os.path.dirname(p) or '.', exist_ok=True)
    open(p, 'w').write('evil')
for p in ('.git/hooks/pre-commit', '.git/config', 'sub/.git/config', '.GIT/hooks/post-checkout', '.git./config', '.git /x',
          'GIT~1/config', '.g\u200cit/config', '.git::$INDEX_ALLOCATION/config', '.vscode/tasks.json', '.VSCode/settings.json',
          '.claude/settings.json', 'CLAUDE.md', 'a/b/.claude/commands/x.md', '.cursor/rules/x', '.envrc', '.zshrc', '.BashRC', '.ba\u017fhrc',
          '.husky/pre-commit', '.idea/workspace.xml', '.mcp.json', '.github/workflows/x.yml', '.config/autostart/x.desktop',
          '.ssh/authorized_keys', '.cargo/config.toml', 'sitecustomize.py', 'x.pth', '.gitattributes', '.gitmodules', '.npmrc'):
    try: put(p)
    except OSError as e: print(p, e)
# a file and a link for the folder
open('g.git', 'w').write('x')
os.makedirs('plain', exist_ok=True); open('plain/.git', 'w').write('gitdir: ../evil'); os.symlink('../evil', 'plain/.vscode')
# renamed into place, with what is in it
put('hooks/post-merge'); os.makedirs('late/.git'); os.rename('hooks', 'late/.git/hooks')
put('vs/tasks.json'); os.rename('vs', 'late/.vscode')
put('whole/.git/hooks/x'); os.rename('whole', 'arrived')
os.link('.zshrc', 'late/.zprofile')
# one that stands in the folder: written, by another of its names, replaced, taken away
open('.bashrc', 'a').write('evil')
"#;

#[test]
fn protected_names_never_come_to_the_folder_unless_they_are_named() {
    for user in users() {
        let world = world(user);
        let said = python(&world, &["--commit", "always"], PROTECTED);
        assert_eq!(said.status.code(), Some(0), "as {user:?}: {}", text(&said));
        let dir = world.granted();
        assert_eq!(fs::read_to_string(dir.join(".bashrc")).unwrap(), "own words\n");
        let found = std::process::Command::new("grep").args(["-rla", "evil"]).arg(&dir).output().unwrap();
        let found = String::from_utf8_lossy(&found.stdout).into_owned();
        assert_eq!(found, "", "as {user:?}: {}", text(&said));
        for path in ["late/.git", "late/.vscode", "arrived/.git", "plain/.vscode", "late/.zprofile"] {
            assert!(dir.join(path).symlink_metadata().is_err(), "as {user:?}: {path}");
        }
        // What is harmless has come.
        assert_eq!(fs::read_to_string(dir.join("g.git")).unwrap(), "x");
        // Taken away or replaced is changed too.
        let gone =
            exec(&world, &["--commit", "always"], &["sh", "-c", "rm .bashrc; ln -s own.txt .bashrc; touch done"]);
        assert!(dir.join("done").exists() && !dir.join(".bashrc").is_symlink(), "{}", text(&gone));
    }
}

/// Exchanges files and folders for links that lead outside, as fast as it can, and back.
const SWAPPER: &str = r#"
import ctypes, os, sys, time
libc = ctypes.CDLL(None)
def swap(a, b): libc.renameat2(-100, a.encode(), -100, b.encode(), 2)
os.mkdir('folder')
for n in range(8):
    open(f'folder/secret{n}.txt', 'w').write('fine')
    open(f'file{n}', 'w').write('fine'); os.symlink('../secret.txt', f'aside{n}')
os.symlink('../other', 'link'); os.symlink('../secret.txt', 'secret')
print('ready', flush=True)
end = time.time() + float(sys.argv[1])
while time.time() < end:
    for n in range(8): swap(f'file{n}', f'aside{n}')
    swap('folder', 'link'); time.sleep(0.0003)
"#;

#[test]
fn what_a_running_program_swaps_leads_its_committer_nowhere() {
    for user in users() {
        let world = world(user);
        let other = world.around().join("other");
        for n in 0..8 {
            support::bait(&other.join(format!("secret{n}.txt")));
        }
        world.own("around/other");
        let before = world.snapshot();
        let mut program = in_background(&world, &[], &["python3", "-c", SWAPPER, "2.5"]);
        wait_for("the draft", || world.run(&["drafts", "--json"]).stdout.windows(4).any(|part| part == b"run\""));
        let run = open_draft(&world);
        let mut commits = 0;
        while program.try_wait().unwrap().is_none() {
            let _ = world.run(&["review", &run, "--json"]);
            let said = world.run(&["commit", &run, "--conflict", "keep-theirs"]);
            commits += u32::from(said.status.success());
            assert!(!holds_bait(&world.granted()), "as {user:?}: {}", text(&said));
        }
        let last = text(&world.run(&["commit", &run, "--conflict", "keep-theirs"]));
        assert!(!holds_bait(&world.granted()), "as {user:?}: {last}");
        let changed = changed_but(&before, &world.snapshot(), &["granted".to_owned()]);
        assert!(changed.is_empty(), "as {user:?}, {commits} commits: {last}\n{}", changed.join("\n"));
        assert!(world.granted().join("folder").symlink_metadata().is_ok(), "as {user:?}, {commits}: {last}");
        assert!(world.ok(&["audit", "verify"]).contains("the log is sound"));
    }
}

/// Does something to the person's folder, as another program of theirs would, until it is told to stop.
fn meanwhile(stop: &Arc<AtomicBool>, mut turn: impl FnMut() + Send + 'static) -> JoinHandle<()> {
    let stop = stop.clone();
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            turn();
        }
    })
}

#[test]
fn a_folder_that_becomes_a_link_under_the_committer_leads_it_nowhere() {
    for user in users() {
        let world = world(user);
        let dir = world.granted();
        let other = world.around().join("other");
        let make = "for n in $(seq 40); do echo evil > victim/new$n; done; echo evil >> victim/file; mkdir victim/sub; echo evil > victim/sub/x";
        // Once before the commit, for good.
        exec(&world, &[], &["sh", "-c", make]);
        let run = open_draft(&world);
        fs::rename(dir.join("victim"), dir.join("parked")).unwrap();
        symlink(&other, dir.join("victim")).unwrap();
        let before = Snapshot::take(&other).unwrap();
        let said = text(&world.run(&["commit", &run]));
        assert_eq!(before.differences(&Snapshot::take(&other).unwrap()), [], "as {user:?}: {said}");
        let said = text(&world.run(&["commit", &run, "--conflict", "keep-theirs"]));
        assert_eq!(before.differences(&Snapshot::take(&other).unwrap()), [], "as {user:?}: {said}");
        world.run(&["discard", "--all"]);
        if dir.join("victim").is_symlink() {
            fs::remove_file(dir.join("victim")).unwrap();
            fs::rename(dir.join("parked"), dir.join("victim")).unwrap();
        }
        world.own("around/granted");
        // And again and again while it is at work.
        let stop = Arc::new(AtomicBool::new(false));
        let swapping = meanwhile(&stop, {
            let (victim, parked, other) = (dir.join("victim"), dir.join("parked"), other.clone());
            move || {
                if fs::rename(&victim, &parked).is_ok() && symlink(&other, &victim).is_ok() {
                    std::thread::sleep(Duration::from_micros(400));
                    drop(fs::remove_file(&victim));
                }
                drop(fs::rename(&parked, &victim));
                std::thread::sleep(Duration::from_micros(400));
            }
        });
        for n in 0..6 {
            exec(&world, &["--commit", "always"], &["sh", "-c", &format!("{make}; echo {n} > victim/file")]);
            world.run(&["discard", "--all"]);
        }
        stop.store(true, Ordering::Relaxed);
        swapping.join().unwrap();
        assert_eq!(before.differences(&Snapshot::take(&other).unwrap()), [], "as {user:?}");
        assert!(world.ok(&["audit", "verify"]).contains("the log is sound"));
    }
}

#[test]
fn a_program_that_keeps_writing_is_committed_whole_or_not_at_all() {
    const WRITER: &str = "import os,time\nf=os.open('big',os.O_RDWR|os.O_CREAT)\nend=time.time()+1.5\nn=0\nwhile time.time()<end:\n  n=(n+1)%26\n  os.pwrite(f,bytes([65+n])*(1<<20),0)\n  t=open('tmp','wb'); t.write(bytes([65+n])*300000); t.close(); os.rename('tmp','small')\n";
    for user in users() {
        let world = world(user);
        let mut program = in_background(&world, &[], &["python3", "-c", WRITER]);
        wait_for("the draft", || world.run(&["drafts", "--json"]).stdout.windows(4).any(|part| part == b"run\""));
        let run = open_draft(&world);
        let mut seen = 0;
        while program.try_wait().unwrap().is_none() {
            world.run(&["commit", &run, "--conflict", "keep-theirs"]);
            for name in ["big", "small"] {
                let Ok(bytes) = fs::read(world.granted().join(name)) else { continue };
                seen += 1;
                assert!(bytes.windows(2).all(|two| two[0] == two[1]), "as {user:?}: `{name}` is torn");
            }
        }
        let said = text(&world.run(&["commit", &run, "--conflict", "keep-theirs"]));
        assert!(world.granted().join("small").exists(), "as {user:?}, {seen}: {said}");
    }
}

#[test]
fn nothing_outlives_its_run_and_nobody_outside_is_killed() {
    const DAEMON: &str = r#"
import os, signal, sys, time
for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(s, signal.SIG_IGN)
for n in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
            for fd in range(3): os.close(fd)
            while True:
                try: open('alive', 'a').write('x')
                except OSError: pass
                time.sleep(0.01)
        os._exit(0)
time.sleep(0.2)
if len(sys.argv) > 2: os.kill(-1, 9)
"#;
    for user in users() {
        let world = world(user);
        for (marker, more) in [("outlives-91827", &[][..]), ("kills-91828", &["all"][..])] {
            let command: Vec<&str> = ["python3", "-c", DAEMON, marker].iter().chain(more).copied().collect();
            let mut bystander = as_user(user, "sleep").arg("60").spawn().unwrap();
            let said = exec(&world, &["--commit", "never"], &command);
            let table = std::process::Command::new("ps").args(["-eo", "args"]).output().unwrap();
            let left = String::from_utf8_lossy(&table.stdout).lines().filter(|line| line.ends_with(marker)).count();
            assert_eq!(left, 0, "as {user:?}: {}", text(&said));
            assert!(bystander.try_wait().unwrap().is_none(), "as {user:?}: {}", text(&said));
            bystander.kill().unwrap();
            bystander.wait().unwrap();
            world.ok(&["discard", "--all"]);
        }
    }
}

#[test]
fn what_raincoat_was_started_with_does_not_go_in() {
    for user in users() {
        let world = world(user);
        // Descriptors: a directory and a file outside, not closed on execution.
        let arguments = arguments(
            &world,
            &[],
            &["python3", "-c", "import os\nprint(sorted(os.listdir('/proc/self/fd'), key=int), dict(os.environ))"],
        );
        let mut command = as_user(user, "sh");
        command
            .args(["-c", "exec 5>/dev/null 7</ 8<secret.txt 9<.; exec \"$0\" \"$@\""])
            .arg(world.path("bin/raincoat"));
        command.args(&arguments).env_clear().env("HOME", world.path("home")).env("PATH", "/usr/bin:/bin");
        // Variables that make programs load things, and such that lead to agents or hold secrets.
        for name in [
            "LD_LIBRARY_PATH",
            "GCONV_PATH",
            "BASH_ENV",
            "PYTHONPATH",
            "SSH_AUTH_SOCK",
            "AWS_SECRET_ACCESS_KEY",
            "DBUS_SESSION_BUS_ADDRESS",
            "GIT_CONFIG_GLOBAL",
        ] {
            command.env(name, format!("/nowhere/{BAIT}"));
        }
        let said = command.current_dir(world.around()).stdin(Stdio::null()).output().unwrap();
        let words = text(&said);
        assert!(words.contains("['0', '1', '2', '3']"), "as {user:?}: {words}");
        assert!(!words.contains(BAIT), "as {user:?}: {words}");

        // A folder as a stream would lead out of all of it.
        let mut command = world.command(&["exec", "--in", "granted", "--", "python3", "-c", "print('began')"]);
        let said = command.stdin(fs::File::open(world.around()).unwrap()).output().unwrap();
        assert!(!said.status.success() && !text(&said).contains("began"), "as {user:?}: {}", text(&said));
        assert!(text(&said).contains("is a folder"), "{}", text(&said));
    }
}

#[test]
fn what_a_program_gets_and_leaves_changes_nothing_for_raincoat_itself() {
    for user in users() {
        let world = world(user);
        let dir = world.granted();
        // In the folder that raincoat is started in lie a program of its name, libraries, a configuration.
        for name in ["raincoat", "libc.so.6", "config.toml", "ld-linux-x86-64.so.2", "sh"] {
            fs::write(dir.join(name), format!("#!/bin/sh\ntouch {}\n", world.around().join("other/owned").display()))
                .unwrap();
            fs::set_permissions(dir.join(name), PermissionsExt::from_mode(0o755)).unwrap();
        }
        world.own("around");
        let path = format!("--env=PATH={}:/usr/bin:/bin", dir.display());
        let preload = format!("--env=LD_PRELOAD={}/libc.so.6", dir.display());
        let flags =
            [path.as_str(), &preload, "--env=GCONV_PATH=.", "--env=RAINCOAT_HOME=/tmp", "--env=XDG_DATA_HOME=/tmp"];
        let arguments: Vec<String> = arguments(&world, &flags, &["/bin/sh", "-c", "echo ran > new"]);
        let mut command = world.command(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let said = text(&command.current_dir(&dir).output().unwrap());
        assert!(!world.around().join("other/owned").exists(), "as {user:?}: {said}");
        let run = open_draft(&world);
        for arguments in [vec!["review", run.as_str(), "--json"], vec!["commit", &run], vec!["undo", &run]] {
            let said = text(&world.command(&arguments).current_dir(&dir).output().unwrap());
            assert!(!world.around().join("other/owned").exists(), "as {user:?}: {said}");
        }
        // The interpreter of a script is its own starter's executable: raincoat's, before it becomes the program.
        fs::write(dir.join("starter"), "#!/proc/self/exe\n").unwrap();
        fs::set_permissions(dir.join("starter"), PermissionsExt::from_mode(0o755)).unwrap();
        let said = exec(&world, &[], &["./starter"]);
        assert_eq!(said.status.code(), Some(126), "as {user:?}: {}", text(&said));
    }
}

#[test]
fn other_users_see_nothing_of_a_draft_and_set_no_trap_for_one() {
    let world = world(User::Tester);
    let said = exec(&world, &[], &["sh", "-c", &format!("echo {BAIT} > new; chmod 777 . new; sleep 0.2")]);
    assert!(said.status.success(), "{}", text(&said));
    let drafts = world.path("home/.local/share/raincoat/drafts");
    assert!(holds_bait(&drafts));
    let mut todo = vec![world.path("home/.local/share/raincoat")];
    while let Some(at) = todo.pop() {
        let about = fs::symlink_metadata(&at).unwrap();
        assert!(about.permissions().mode() & 0o077 == 0, "{} {:o}", at.display(), about.permissions().mode());
        if about.is_dir() && !at.ends_with("upper") {
            todo.extend(fs::read_dir(&at).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()));
        }
        if at.ends_with("drafts") {
            break;
        }
    }
    if is_root() {
        fs::set_permissions(world.path("home"), PermissionsExt::from_mode(0o755)).unwrap();
        let seen = as_user(User::Ordinary, "find").arg(&drafts).output().unwrap();
        assert!(!seen.status.success() && seen.stdout.split(|byte| *byte == b'\n').count() <= 2, "{}", text(&seen));
    }
}

#[test]
fn a_place_that_somebody_else_prepared_is_not_used() {
    if !is_root() {
        return;
    }
    // The folder lies on a file system of its own: so does its draft, in a directory of a known name at its root.
    for trap in ["link", "stranger", "open", "file"] {
        let mut world = world(User::Tester);
        let (disk, stolen) = (world.path("around/disk"), world.path("around/other/stolen"));
        fs::create_dir(&disk).unwrap();
        fs::create_dir(&stolen).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "mode=1777,size=32m", "none"])
            .arg(&disk)
            .status();
        assert!(mounted.unwrap().success(), "`mount` must be there");
        world.unmount_at_the_end(&disk);
        let folder = disk.join("folder");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("file"), "own words\n").unwrap();
        let at = disk.join(".raincoat-drafts-0");
        match trap {
            "link" => symlink(&stolen, &at).unwrap(),
            "file" => fs::write(&at, "").unwrap(),
            _ => fs::create_dir(&at).unwrap(),
        }
        match trap {
            "stranger" => std::os::unix::fs::chown(&at, Some(65_533), Some(65_533)).unwrap(),
            "open" => fs::set_permissions(&at, PermissionsExt::from_mode(0o777)).unwrap(),
            _ => {}
        }
        let said = world.run(&[
            "exec",
            "--in",
            folder.to_str().unwrap(),
            "--",
            "sh",
            "-c",
            "echo new > new; echo more >> file",
        ]);
        assert_eq!(fs::read_dir(&stolen).unwrap().count(), 0, "{trap}: {}", text(&said));
        if trap == "stranger" {
            assert_eq!(fs::read_dir(&at).unwrap().count(), 0, "{trap}: {}", text(&said));
        }
        if trap == "open" && fs::read_dir(&at).unwrap().count() > 0 {
            let mode = fs::metadata(&at).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o700, "{trap}: {}", text(&said));
        }
        assert_eq!(fs::read_to_string(folder.join("file")).unwrap(), "own words\n");
        drop(world.run(&["discard", "--all"]));
    }
}

#[test]
fn raincoats_own_data_is_not_there_even_within_a_granted_folder() {
    const LOOK: &str = r#"
import os, sys
for top, folders, files in os.walk(sys.argv[1]):
    for name in files: print(os.path.join(top, name))
try: open(sys.argv[1] + '/planted', 'w').write('x'); print('PLANTED')
except OSError: pass
try: os.rename(sys.argv[1], sys.argv[1] + '-moved'); print('MOVED')
except OSError: pass
"#;
    for user in users() {
        let mut world = World::new(user);
        let stuff = world.granted().join("stuff");
        for (variable, name) in [("XDG_DATA_HOME", "data"), ("XDG_CONFIG_HOME", "config"), ("XDG_STATE_HOME", "state")]
        {
            fs::create_dir_all(stuff.join(name)).unwrap();
            world.environment.push((variable.to_owned(), stuff.join(name)));
        }
        world.own("around");
        world.ok(&["init", "--no-input"]);
        for own in ["data/raincoat", "state/raincoat", "config/raincoat"] {
            let at = stuff.join(own);
            let said = exec(&world, &["--commit", "always"], &["python3", "-c", LOOK, at.to_str().unwrap()]);
            let words = text(&said);
            for sign in ["PLANTED", "MOVED", "keys.bin", "journal", "draft.bin"] {
                assert!(!words.contains(sign), "as {user:?}: {words}");
            }
            let granted = world.run(&["exec", "--in", at.to_str().unwrap(), "--", "true"]);
            assert!(!granted.status.success() || !at.exists(), "as {user:?}: {}", text(&granted));
        }
        assert!(!stuff.join("data/raincoat/planted").exists());
        assert!(world.ok(&["audit", "verify"]).contains("the log is sound"));
    }
}

/// Says to the proxy what it is told to, each on a connection of its own, and prints the first line of the answer.
const CLIENT: &str = r#"
import socket, sys
for ask in sys.argv[1:]:
    s = socket.create_connection(('127.0.0.1', 3128), 3); s.settimeout(3)
    s.sendall(ask.encode('latin-1').decode('unicode_escape').encode('latin-1'))
    try: got = s.recv(4096)
    except OSError as e: got = str(e).encode()
    print('ANSWER', ask[:50].encode('unicode_escape').decode(), '->', got.split(b'\r\n')[0].decode('latin-1', 'replace'), 'SECRET' if b'welcome' in got else '')
"#;

#[test]
fn the_proxy_leads_to_the_named_host_and_nowhere_else() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let reached = Arc::new(AtomicBool::new(false));
    std::thread::spawn({
        let reached = reached.clone();
        move || {
            for mut stream in listener.incoming().flatten() {
                reached.store(true, Ordering::Relaxed);
                drop(stream.write_all(b"welcome!"));
            }
        }
    });
    std::net::TcpStream::connect(("127.0.0.1", port)).unwrap().read_exact(&mut [0; 8]).unwrap();
    reached.store(false, Ordering::Relaxed);
    let connect = |to: &str| format!("CONNECT {to} HTTP/1.1\\r\\nHost: {to}\\r\\n\\r\\n");
    let mut asks: Vec<String> = [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("LOCALHOST.:{port}"),
        format!("[::1]:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("0.0.0.0:{port}"),
        format!("127.1:{port}"),
        format!("2130706433:{port}"),
        format!("0x7f000001:{port}"),
        format!("0177.0.0.1:{port}"),
        "169.254.169.254:80".to_owned(),
        "metadata.google.internal:80".to_owned(),
        format!("named.invalid:{port}"),
        "named.invalid:22".to_owned(),
        format!("named.invalid@127.0.0.1:{port}"),
        format!("127.0.0.1:{port}#named.invalid:443"),
        format!("127.0.0.1\\x00named.invalid:{port}"),
        format!("named.invalid\\x00.127.0.0.1:{port}"),
        format!("named.invalid:443 HTTP/1.1\\r\\n\\r\\nCONNECT 127.0.0.1:{port}"),
        "other.invalid:443".to_owned(),
        "named.invalid.other.invalid:443".to_owned(),
        "xnamed.invalid:443".to_owned(),
        format!("/var/run/docker.sock:{port}"),
        format!("unix:{port}"),
        "named.invalid:99999".to_owned(),
        "named.invalid:-1".to_owned(),
    ]
    .iter()
    .map(|to| connect(to))
    .collect();
    asks.push(format!("GET http://127.0.0.1:{port}/ HTTP/1.1\\r\\nHost: named.invalid\\r\\n\\r\\n"));
    asks.push(format!("GET / HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\n\\r\\n"));
    asks.push(format!(
        "CONNECT named.invalid:443 HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\nX-Forwarded-Host: 127.0.0.1\\r\\n\\r\\n"
    ));
    asks.push("\\x05\\x01\\x00".to_owned());
    for user in users() {
        let world = world(user);
        let from = world.log_length();
        let command: Vec<&str> = ["python3", "-c", CLIENT].into_iter().chain(asks.iter().map(String::as_str)).collect();
        let said = exec(&world, &["--net", "named.invalid:443"], &command);
        let words = text(&said);
        assert_eq!(words.matches("ANSWER ").count(), asks.len(), "as {user:?}: {words}");
        assert!(!words.contains("SECRET") && !words.contains(" 200"), "as {user:?}: {words}");
        assert!(!reached.load(Ordering::Relaxed), "as {user:?}: {words}");
        let log = world.log_from(from);
        let refused = log.iter().filter(|line| line.contains("denied: connect")).count();
        assert!(refused >= 15, "as {user:?}: {refused}\n{}", log.join("\n"));
        // A port that nobody listens at, but the proxy's: Landlock and the namespace leave only that one.
        let direct = python(
            &world,
            &["--net", "named.invalid:443"],
            &format!(
                "import socket\nfor p in ({port}, 80, 3129):\n  try: socket.create_connection(('127.0.0.1', p), 1); print('REACHED', p)\n  except OSError as e: print(e)"
            ),
        );
        assert!(!text(&direct).contains("REACHED"), "as {user:?}: {}", text(&direct));
        // A port of this machine that the person names is reached, or the rest would prove nothing; no other one is.
        let named = format!("localhost:{port}");
        let asks = [connect(&named), connect(&format!("localhost:{}", port ^ 1)), connect("localhost:22")];
        let mut command = vec!["python3", "-c", CLIENT];
        command.extend(asks.iter().map(String::as_str));
        let own = text(&exec(&world, &["--net", &named], &command));
        assert!(reached.swap(false, Ordering::Relaxed), "as {user:?}: {own}");
        assert_eq!(own.matches(" 200").count(), 1, "as {user:?}: {own}");
    }
}
