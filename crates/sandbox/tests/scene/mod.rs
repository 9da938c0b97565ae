//! A granted folder with its draft, a program in it, and what came of it: what tests of enclosed programs share.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests: not every file uses everything"
)]

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use raincoat_sandbox::SandboxFault;
use raincoat_sandbox::program::{
    ENCLOSE, Event, Folder, How, LimitKind, Network, PROVE, Plan, Program, ProgramLimits, Ready, Streams, enclose_main,
    launch_with, prove_main,
};

/// The test binary is what [`launch_with`] starts again; this is its `main` then, before the test runner's.
#[used]
#[unsafe(link_section = ".init_array")]
static FIRST: extern "C" fn() = {
    extern "C" fn first() {
        if std::env::args_os().nth(1).is_some_and(|word| word == ENCLOSE) {
            std::process::exit(enclose_main());
        }
        if std::env::args_os().nth(1).is_some_and(|word| word == PROVE) {
            std::process::exit(prove_main());
        }
    }
    first
};

pub const LONG: Duration = Duration::from_secs(20);

/// A granted folder and its draft.
pub struct Scene {
    pub scratch: tempfile::TempDir,
    pub plan: Plan,
}

pub fn bytes(path: impl AsRef<Path>) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    path.as_ref().as_os_str().as_bytes().to_vec()
}

impl Scene {
    pub fn new(command: &[&str]) -> Scene {
        Scene::named("folder", command)
    }

    pub fn sh(script: &str) -> Scene {
        Scene::new(&["sh", "-c", script])
    }

    pub fn named(name: &str, command: &[&str]) -> Scene {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("there"), "before\n").unwrap();
        std::fs::write(scratch.path().join("secret"), "not granted\n").unwrap();
        for part in ["upper", "work"] {
            std::fs::create_dir_all(scratch.path().join("draft").join(part)).unwrap();
        }
        let plan = Plan {
            command: command.iter().map(|word| word.as_bytes().to_vec()).collect(),
            env: vec![
                (b"PATH".to_vec(), b"/usr/local/bin:/usr/bin:/bin".to_vec()),
                (b"HOME".to_vec(), b"/home/me".to_vec()),
            ],
            cwd: bytes(&folder),
            folders: vec![Folder {
                at: bytes(&folder),
                how: How::Draft { place: bytes(scratch.path().join("draft")) },
            }],
            hidden: Vec::new(),
            home: b"/home/me".to_vec(),
            network: Network::None,
            limits: ProgramLimits {
                cpu_secs: None,
                memory: 1 << 30,
                processes: 256,
                disk: 1 << 30,
                wall_secs: None,
                open_files: 1024,
            },
            terminal: [false; 3],
            size: (24, 80),
            umask: 0o022,
            may_nest: false,
            strict: false,
        };
        Scene { scratch, plan }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    pub fn folder(&self, name: &str) -> PathBuf {
        use std::os::unix::ffi::OsStrExt;
        Path::new(std::ffi::OsStr::from_bytes(&self.plan.folders[0].at)).join(name)
    }

    pub fn upper(&self, name: &str) -> PathBuf {
        self.path("draft/upper").join(name)
    }

    pub fn start(&self) -> Running {
        self.start_with(b"").unwrap()
    }

    pub fn start_with(&self, input: &[u8]) -> Result<Running, SandboxFault> {
        let (stdin, mut to) = std::io::pipe().unwrap();
        let (from, stdout) = std::io::pipe().unwrap();
        to.write_all(input).unwrap();
        drop(to);
        let both = stdout.try_clone().unwrap();
        let streams = Streams {
            stdin: Some(OwnedFd::from(stdin)),
            stdout: Some(OwnedFd::from(stdout)),
            stderr: Some(OwnedFd::from(both)),
        };
        let mut program = launch_with(&self.plan, streams)?;
        let ready = program.ready()?;
        program.go().unwrap();
        Ok(Running { program, ready, from })
    }

    pub fn run(&self) -> Done {
        self.start().done()
    }
}

pub struct Running {
    pub program: Program,
    pub ready: Ready,
    pub from: std::io::PipeReader,
}

#[derive(Debug)]
pub struct Done {
    pub events: Vec<Event>,
    pub said: String,
}

impl Running {
    pub fn next(&mut self) -> Event {
        self.program.next(LONG).unwrap().expect("an event in time")
    }

    pub fn done(mut self) -> Done {
        let reader = std::thread::spawn(move || {
            let mut said = Vec::new();
            self.from.read_to_end(&mut said).unwrap();
            String::from_utf8_lossy(&said).into_owned()
        });
        let mut events = Vec::new();
        loop {
            let event = self.program.next(LONG).unwrap().expect("an event in time");
            let last = matches!(event, Event::Ended { .. } | Event::NotStarted(..));
            events.push(event);
            if last {
                break;
            }
        }
        drop(self.program);
        Done { events, said: reader.join().unwrap() }
    }
}

impl Done {
    pub fn last(&self) -> &Event {
        self.events.last().unwrap()
    }

    pub fn code(&self) -> Option<i32> {
        match self.last() {
            Event::Ended { code, .. } => *code,
            _ => None,
        }
    }

    pub fn limit(&self) -> Option<LimitKind> {
        self.events.iter().find_map(|event| match event {
            Event::Limit { which, .. } => Some(*which),
            _ => None,
        })
    }

    #[track_caller]
    pub fn well(&self) -> &str {
        assert_eq!(self.code(), Some(0), "{self:?}");
        &self.said
    }
}

pub fn root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Runs this whole test binary once more, as a user without any privilege, where this one is root.
pub fn as_an_ordinary_user() {
    if !root() {
        return;
    }
    let dir = tempfile::Builder::new().prefix("raincoat-user-").tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let copy = dir.path().join("tests");
    std::fs::copy("/proc/self/exe", &copy).unwrap();
    std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o755)).unwrap();
    let output = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&copy)
        .arg("--test-threads=2")
        .env("TMPDIR", dir.path())
        .current_dir("/")
        .output()
        .expect("setpriv of util-linux must be installed");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
