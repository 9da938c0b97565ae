//! Programs, enclosed for real (issue 3, "What encloses the program"): as whoever runs the tests, and where that is
//! root, as an ordinary user too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests"
)]

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use raincoat_sandbox::SandboxFault;
use raincoat_sandbox::program::{
    ENCLOSE, Event, Folder, How, LimitKind, Network, Plan, Program, ProgramLimits, Ready, Streams, enclose_main,
    launch_with,
};

/// The test binary is what [`launch_with`] starts again; this is its `main` then, before the test runner's.
#[used]
#[unsafe(link_section = ".init_array")]
static FIRST: extern "C" fn() = {
    extern "C" fn first() {
        if std::env::args_os().nth(1).is_some_and(|word| word == ENCLOSE) {
            std::process::exit(enclose_main());
        }
    }
    first
};

const LONG: Duration = Duration::from_secs(20);

/// A granted folder and its draft.
struct Scene {
    scratch: tempfile::TempDir,
    plan: Plan,
}

fn bytes(path: impl AsRef<Path>) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    path.as_ref().as_os_str().as_bytes().to_vec()
}

impl Scene {
    fn new(command: &[&str]) -> Scene {
        Scene::named("folder", command)
    }

    fn sh(script: &str) -> Scene {
        Scene::new(&["sh", "-c", script])
    }

    fn named(name: &str, command: &[&str]) -> Scene {
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
            may_nest: false,
            strict: false,
        };
        Scene { scratch, plan }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn folder(&self, name: &str) -> PathBuf {
        use std::os::unix::ffi::OsStrExt;
        Path::new(std::ffi::OsStr::from_bytes(&self.plan.folders[0].at)).join(name)
    }

    fn upper(&self, name: &str) -> PathBuf {
        self.path("draft/upper").join(name)
    }

    fn start(&self) -> Running {
        self.start_with(b"").unwrap()
    }

    fn start_with(&self, input: &[u8]) -> Result<Running, SandboxFault> {
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

    fn run(&self) -> Done {
        self.start().done()
    }
}

struct Running {
    program: Program,
    ready: Ready,
    from: std::io::PipeReader,
}

#[derive(Debug)]
struct Done {
    events: Vec<Event>,
    said: String,
}

impl Running {
    fn next(&mut self) -> Event {
        self.program.next(LONG).unwrap().expect("an event in time")
    }

    fn done(mut self) -> Done {
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
    fn last(&self) -> &Event {
        self.events.last().unwrap()
    }

    fn code(&self) -> Option<i32> {
        match self.last() {
            Event::Ended { code, .. } => *code,
            _ => None,
        }
    }

    fn limit(&self) -> Option<LimitKind> {
        self.events.iter().find_map(|event| match event {
            Event::Limit { which, .. } => Some(*which),
            _ => None,
        })
    }

    #[track_caller]
    fn well(&self) -> &str {
        assert_eq!(self.code(), Some(0), "{self:?}");
        &self.said
    }
}

#[test]
fn a_program_ends_with_its_own_exit_code_or_signal() {
    assert_eq!(Scene::sh("exit 0").run().code(), Some(0));
    assert_eq!(Scene::sh("exit 42").run().code(), Some(42));
    let killed = Scene::sh("kill -SEGV $$").run();
    assert_eq!(*killed.last(), Event::Ended { code: None, signal: Some(libc_sigsegv()), left_running: 0 });
}

fn libc_sigsegv() -> i32 {
    11
}
