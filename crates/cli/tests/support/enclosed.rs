//! Programs in drafts, through the real binary: a home, a folder in it, and what a person says about both.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: not every file uses everything"
)]

#[path = "whole.rs"]
pub mod whole;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use raincoat_runtime::snapshot::{Aspect, Difference, Snapshot};
use serde_json::Value;
pub use whole::{Home, Said, lines, said, same, set_xattrs};

/// A home with a folder that a program works on.
pub struct Scene {
    pub home: Home,
    pub dir: PathBuf,
}

/// A program in a draft that runs: it says lines, and goes on when it hears one. Dropped, it is killed.
pub struct Running {
    child: Option<Child>,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Scene {
    /// The folder `project`, with a few files in it.
    pub fn new() -> Scene {
        let home = Home::new();
        let dir = home.path("project");
        fs::create_dir(&dir).unwrap();
        let scene = Scene { home, dir };
        for (path, content) in [
            ("a.txt", "one\ntwo\nthree\nfour\nfive\n"),
            ("b.txt", "beta\n"),
            ("c.txt", "gamma\n"),
            ("sub/d.txt", "delta\n"),
            ("sub/e.txt", "epsilon\n"),
        ] {
            scene.write(path, content);
        }
        scene
    }

    pub fn write(&self, path: &str, content: &str) {
        let path = self.dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.dir.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    pub fn there(&self, path: &str) -> bool {
        fs::symlink_metadata(self.dir.join(path)).is_ok()
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot::take(&self.dir).unwrap()
    }

    /// Paths that are not as they were, each once, times of folders apart.
    pub fn changed(&self, was: &Snapshot) -> Vec<String> {
        paths_of(&was.differences(&self.snapshot()))
    }

    /// A command of raincoat's in the folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(arguments);
        command.current_dir(&self.dir);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments).output().unwrap())
    }

    pub fn ok(&self, arguments: &[&str]) -> Said {
        let said = self.run(arguments);
        assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
        said
    }

    pub fn exec_words<'a>(flags: &[&'a str], command: &[&'a str]) -> Vec<&'a str> {
        [&["exec"], flags, &["--"], command].concat()
    }

    /// `raincoat exec FLAGS -- sh -c SCRIPT` in the folder.
    pub fn exec(&self, flags: &[&str], script: &str) -> Said {
        self.run(&Scene::exec_words(flags, &["sh", "-c", script]))
    }

    /// The same with python3.
    pub fn python(&self, flags: &[&str], script: &str) -> Said {
        self.run(&Scene::exec_words(flags, &["python3", "-c", script]))
    }

    /// Runs a script that has to end with 0, and leaves the draft open. Gives the run.
    pub fn drafted(&self, script: &str) -> String {
        let said = self.exec(&[], script);
        assert_eq!(said.code, 0, "{said:?}");
        self.newest()
    }

    /// Starts a script that speaks and listens while it runs.
    pub fn start(&self, flags: &[&str], script: &str) -> Running {
        let words = Scene::exec_words(flags, &["sh", "-c", script]);
        let mut command = self.command(&words);
        // A group of its own, so that nothing that a test sends there reaches the test.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Running { child: Some(child), input, output }
    }

    pub fn drafts(&self) -> Vec<Value> {
        lines(&self.ok(&["drafts", "--json"]).out)
    }

    /// The newest draft's run.
    pub fn newest(&self) -> String {
        let drafts = self.drafts();
        drafts.first().unwrap_or_else(|| panic!("no draft is open"))["run"].as_str().unwrap().to_owned()
    }

    /// The changes of a draft, each a JSON object.
    pub fn review(&self, run: &str) -> Vec<Value> {
        lines(&self.ok(&["review", run, "--json"]).out)
    }

    /// One change of a draft.
    pub fn change(&self, run: &str, path: &str) -> Value {
        let all = self.review(run);
        let found = all.iter().find(|change| change["path"] == path);
        found.unwrap_or_else(|| panic!("{path} is not among {all:#?}")).clone()
    }

    /// The log's newest entries, as words.
    pub fn log(&self) -> String {
        self.ok(&["audit", "tail", "-n", "100000"]).out
    }

    pub fn log_is_sound(&self) {
        self.home.log_is_sound();
    }

    /// Commits all of it, and wants that to go well.
    pub fn commit(&self, run: &str) -> Said {
        self.ok(&["commit", run])
    }

    /// Takes the newest run back, and wants the folder as it was.
    pub fn undone(&self, was: &Snapshot, when: &str) {
        self.ok(&["undo"]);
        same(was, &self.dir, when);
    }
}

impl Running {
    /// The next line that the program says.
    pub fn hears(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub fn waits_for(&mut self, words: &str) {
        let heard = self.hears();
        if heard != words {
            let mut errors = String::new();
            let child = self.child.as_mut().unwrap();
            let _ = child.kill();
            child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
            panic!("{heard:?} instead of {words:?}: {errors}");
        }
    }

    pub fn say(&mut self, words: &str) {
        writeln!(self.input.as_mut().unwrap(), "{words}").unwrap();
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Closes its input and waits for the end.
    pub fn end(mut self) -> Said {
        drop(self.input.take());
        let mut out = String::new();
        self.output.read_to_string(&mut out).unwrap();
        let rest = said(self.child.take().unwrap().wait_with_output().unwrap());
        Said { out, ..rest }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Paths of differences, each once, without those that only have another time.
pub fn paths_of(differences: &[Difference]) -> Vec<String> {
    let mut paths: Vec<String> = differences
        .iter()
        .filter(|d| d.what != Aspect::ModificationTime)
        .map(|d| String::from_utf8_lossy(&d.path).into_owned())
        .collect();
    paths.dedup();
    paths
}

/// Waits until something is so, for a bounded time.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what} never came");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A process is there, and no zombie.
pub fn lives(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        let state = stat.rsplit(')').next().unwrap_or_default().trim_start().chars().next();
        state != Some('Z')
    })
}

/// Processes with these words among their arguments.
pub fn with_words(words: &str) -> Vec<u32> {
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(words) && lives(*pid) && *pid != std::process::id()
    })
    .collect()
}

pub fn signal(pid: u32, name: &str) {
    let done = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap();
    assert!(done.success());
}

/// Plays steps at a pseudo-terminal and gives all that was shown, then `exit N`. A step is what has to be shown first
/// and what is done then: words to type, or one of `{"slowly": words}` (typed a moment later), `{"size": [rows, columns]}`
/// and `{"signal": n}` (to what was started). Reports `cooked` or `raw` for how the terminal was left.
const PLAYER: &str = r#"
import fcntl, json, os, pty, select, signal, struct, sys, termios, time
steps, seen, shown, end = json.loads(sys.argv[1]), b'', b'', time.time() + 20
# The other side stays open here, so that how it is left can be asked at the end.
fd, other = pty.openpty()
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
pid = os.fork()
if pid == 0:
    os.close(fd)
    os.login_tty(other)
    os.chdir(sys.argv[2])
    os.execvp(sys.argv[3], sys.argv[3:])
def flags(): return bool(termios.tcgetattr(other)[3] & termios.ICANON) and bool(termios.tcgetattr(other)[3] & termios.ECHO)
status = None
while time.time() < end:
    while steps and steps[0][0].encode() in seen:
        if steps[0][0]: seen = seen.split(steps[0][0].encode(), 1)[1]
        act = steps.pop(0)[1]
        if isinstance(act, str): os.write(fd, act.encode())
        elif 'size' in act: fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', *act['size'], 0, 0))
        elif 'slowly' in act: time.sleep(0.3); os.write(fd, act['slowly'].encode())
        elif 'signal' in act: os.kill(pid, act['signal'])
    if select.select([fd], [], [], 0.02)[0]:
        try: got = os.read(fd, 65536)
        except OSError: break
        if not got: break
        seen, shown = seen + got, shown + got
        continue
    if status is None:
        done, how = os.waitpid(pid, os.WNOHANG)
        if done: status = how
    else: break
else:
    shown += b'\n(it never came to: ' + repr(steps[:1]).encode() + b')'
    os.kill(pid, 9)
sys.stdout.buffer.write(shown)
if status is None: status = os.waitpid(pid, 0)[1]
print('\nleft', 'cooked' if flags() else 'raw')
print('exit', os.waitstatus_to_exitcode(status))
"#;

/// What was shown at a terminal where `program` was started in `dir`, and how it ended.
pub fn at_terminal(scene: &Scene, dir: &Path, program: &[&str], steps: &Value) -> String {
    let output = Command::new("python3")
        .args(["-c", PLAYER, &steps.to_string()])
        .arg(dir)
        .args(program)
        .env_clear()
        .env("HOME", scene.home.dir.path())
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("TERM", "xterm-256color")
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The binary's path, as text.
pub fn raincoat() -> String {
    env!("CARGO_BIN_EXE_raincoat").to_owned()
}
