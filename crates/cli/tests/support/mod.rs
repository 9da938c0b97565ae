//! A world for breaking out of: a home, a granted folder with bait around it, and a model that is an enemy.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: not every file uses everything"
)]

pub mod archives;
pub mod cases;

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use raincoat_runtime::snapshot::{Difference, Snapshot};
use raincoat_testkit::model_server::{ModelServer, Turn};
use serde_json::{Value, json};

/// Stands in every file that must not be seen. It never goes to the model, whatever else does.
pub const BAIT: &str = "BAIT-4f1d9c7e";
/// Turns of one run; the limit is 100.
const TURNS: usize = 90;
/// No run of these may take longer: what blocks is caught.
const PATIENCE: Duration = Duration::from_secs(120);
/// nobody.
const ORDINARY: u32 = 65_534;

/// As whom raincoat runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum User {
    /// Whoever runs the tests: root where they run as root.
    Tester,
    /// Somebody without privileges. Needs root to become.
    Ordinary,
}

/// Everything around one granted folder.
pub struct World {
    root: tempfile::TempDir,
    pub user: User,
    pub environment: Vec<(String, PathBuf)>,
    mounts: Vec<PathBuf>,
}

/// A call of the enemy's and what is expected of it.
#[derive(Clone, Debug)]
pub struct Call {
    pub tool: String,
    pub arguments: String,
    pub refused: bool,
}

/// What came of a run.
pub struct Came {
    pub output: Output,
    /// What the model was told of each call, in order.
    pub told: Vec<String>,
    /// Lines of the log since before the run.
    pub log: Vec<String>,
}

/// A call that must be refused or come to nothing.
pub fn no(tool: &str, arguments: Value) -> Call {
    Call { tool: tool.to_owned(), arguments: arguments.to_string(), refused: true }
}

/// A call that may come to something, as long as nothing gets out.
pub fn may(tool: &str, arguments: Value) -> Call {
    Call { refused: false, ..no(tool, arguments) }
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The users that can be played here.
pub fn users() -> Vec<User> {
    if is_root() { vec![User::Tester, User::Ordinary] } else { vec![User::Tester] }
}

impl World {
    pub fn new(user: User) -> World {
        let root = tempfile::Builder::new().prefix("breakout").tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let world = World { root, user, environment: Vec::new(), mounts: Vec::new() };
        for dir in ["bin", "home", "around/granted", "around/other"] {
            fs::create_dir_all(world.path(dir)).unwrap();
        }
        let binary = world.path("bin/raincoat");
        if fs::hard_link(env!("CARGO_BIN_EXE_raincoat"), &binary).is_err() {
            fs::copy(env!("CARGO_BIN_EXE_raincoat"), &binary).unwrap();
        }
        bait(&world.path("around/secret.txt"));
        bait(&world.path("around/other/secret.txt"));
        world.own("home");
        world.own("around");
        world
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    pub fn granted(&self) -> PathBuf {
        self.path("around/granted")
    }

    pub fn around(&self) -> PathBuf {
        self.path("around")
    }

    /// Gives a tree to the user who runs raincoat.
    pub fn own(&self, below: &str) {
        if self.user == User::Ordinary {
            give(&self.path(below));
        }
    }

    /// Mounts a folder over another (as root); `false` where that cannot be done here.
    pub fn bind(&mut self, from: &Path, to: &Path) -> bool {
        let done = is_root()
            && Command::new("mount").arg("--bind").arg(from).arg(to).stderr(Stdio::null()).status().unwrap().success();
        if done {
            self.unmount_at_the_end(to);
        }
        done
    }

    /// Something was mounted there; it goes with this world.
    pub fn unmount_at_the_end(&mut self, at: &Path) {
        self.mounts.push(at.to_path_buf());
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match self.user {
            User::Tester => Command::new(self.path("bin/raincoat")),
            User::Ordinary => {
                let mut command = Command::new("setpriv");
                let id = ORDINARY.to_string();
                command.args([&format!("--reuid={id}"), &format!("--regid={id}"), "--clear-groups", "--no-new-privs"]);
                command.arg(self.path("bin/raincoat"));
                command
            }
        };
        command.args(arguments).env_clear().env("HOME", self.path("home")).env("PATH", "/usr/bin:/bin");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.around()).stdin(Stdio::null());
        command
    }

    /// Runs it and wants it to end in time, however it ends.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut child = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (out, err) = (std::thread::spawn(move || all(out)), std::thread::spawn(move || all(err)));
        let began = Instant::now();
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break status,
                None if began.elapsed() > PATIENCE => {
                    child.kill().unwrap();
                    panic!("{arguments:?} blocks");
                }
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        Output { status, stdout: out.join().unwrap(), stderr: err.join().unwrap() }
    }

    /// Runs it and wants it to end well.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn provider(&self, server: &ModelServer, native: bool) {
        let native = if native { "yes" } else { "no" };
        drop(self.run(&["provider", "remove", "enemy"]));
        let url = server.base_url();
        let arguments =
            ["provider", "add", "enemy", "--url", &url, "--model", "m", "--window", "400000", "--native-tools", native];
        self.ok(&arguments);
    }

    /// The lines of the log from an index on.
    pub fn log_from(&self, index: u64) -> Vec<String> {
        let tail = self.ok(&["audit", "tail", "-n", "100000", "--json"]);
        let entries = tail.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let later = entries.filter(|entry| entry["index"].as_u64().unwrap() >= index);
        later.map(|entry| entry["line"].as_str().unwrap().to_owned()).collect()
    }

    pub fn log_length(&self) -> u64 {
        let tail = self.ok(&["audit", "tail", "-n", "1", "--json"]);
        serde_json::from_str::<Value>(tail.trim()).map_or(0, |entry| entry["index"].as_u64().unwrap() + 1)
    }

    /// Has the enemy make these calls, one a turn, in as many runs as it takes.
    pub fn play(&self, calls: &[Call]) -> Came {
        let groups: Vec<Vec<Call>> = calls.iter().map(|call| vec![call.clone()]).collect();
        self.play_groups(&groups, &[])
    }

    /// The same with several calls in a turn, and with more arguments for `do`.
    pub fn play_groups(&self, turns: &[Vec<Call>], more: &[&str]) -> Came {
        let before = self.log_length();
        let (output, told) = self.play_turns(&self.granted(), turns, more);
        Came { output, told, log: self.log_from(before) }
    }

    /// The same in another folder. Gives what the model was told.
    pub fn play_in(&self, folder: &Path, calls: &[Call]) -> Vec<String> {
        let turns: Vec<Vec<Call>> = calls.iter().map(|call| vec![call.clone()]).collect();
        self.play_turns(folder, &turns, &[]).1
    }

    fn play_turns(&self, folder: &Path, turns: &[Vec<Call>], more: &[&str]) -> (Output, Vec<String>) {
        let mut told = Vec::new();
        let mut output = None;
        for part in turns.chunks(TURNS) {
            let heard = Arc::new(Mutex::new(Vec::new()));
            let server = enemy(part.to_vec(), heard.clone());
            self.provider(&server, true);
            let mut arguments = vec!["do", "clean up", "--in", folder.to_str().unwrap(), "--yes"];
            arguments.extend_from_slice(more);
            output = Some(self.run(&arguments));
            for request in server.requests() {
                let body = String::from_utf8_lossy(&request.body);
                assert!(!body.contains(BAIT), "bait went to the model: {body}");
            }
            told.append(&mut heard.lock().unwrap());
        }
        (output.unwrap(), told)
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot::take(&self.around()).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for mount in self.mounts.iter().rev() {
            drop(Command::new("umount").arg("-l").arg(mount).status());
        }
    }
}

/// What changed that is not below one of these paths.
pub fn changed_but(before: &Snapshot, after: &Snapshot, allowed: &[String]) -> Vec<String> {
    let mut differences = before.differences(after);
    differences.retain(|difference| {
        !allowed.iter().any(|path| {
            let at = difference.path.strip_prefix(path.as_bytes());
            at.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        })
    });
    let line = |d: Difference| format!("{}: {:?} was {}, is {}", String::from_utf8_lossy(&d.path), d.what, d.was, d.is);
    differences.into_iter().map(line).collect()
}

pub fn bait(path: &Path) {
    fs::write(path, format!("{BAIT} do not let this out\n")).unwrap();
}

pub fn text(output: &Output) -> String {
    format!("{} {}{}", output.status, String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A device node or FIFO by `mknod`.
pub fn node(path: &Path, kind: &[&str]) {
    assert!(Command::new("mknod").arg(path).args(kind).status().unwrap().success());
}

/// A path as the system takes it, for names that are not text.
pub fn raw(dir: &Path, name: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    CString::new(name).unwrap();
    dir.join(std::ffi::OsStr::from_bytes(name))
}

/// A model that makes its calls turn by turn, whatever it is told, and then says that it is done.
fn enemy(turns: Vec<Vec<Call>>, heard: Arc<Mutex<Vec<String>>>) -> ModelServer {
    let mut turns = turns.into_iter();
    let mut asked = 0;
    ModelServer::start(vec![Turn::play(move |request| {
        let messages = request["messages"].as_array().unwrap();
        let results: Vec<_> = messages.iter().rev().take_while(|message| message["role"] == "tool").collect();
        let results = results.iter().rev().take(asked);
        heard.lock().unwrap().extend(results.map(|message| message["content"].as_str().unwrap_or_default().to_owned()));
        match turns.next() {
            Some(calls) => {
                asked = calls.len();
                // What is no JSON cannot go together with others.
                match calls.as_slice() {
                    [one] => Turn::RawToolCall(one.tool.clone(), one.arguments.clone()),
                    calls => Turn::ToolCalls(
                        calls.iter().map(|c| (c.tool.clone(), serde_json::from_str(&c.arguments).unwrap())).collect(),
                    ),
                }
            }
            None => {
                asked = 0;
                Turn::ToolCalls(vec![("finish".to_owned(), json!({"summary": "broke out"}))])
            }
        }
    })])
}

fn give(path: &Path) {
    lchown(path, Some(ORDINARY), Some(ORDINARY)).unwrap();
    if fs::symlink_metadata(path).unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path());
        }
    }
}

fn all(mut from: impl std::io::Read) -> Vec<u8> {
    let mut out = Vec::new();
    drop(from.read_to_end(&mut out));
    out
}
