//! A hostile program: run inside a draft it tries to get out, technique by technique, by raw system calls, and says how
//! each went. Run outside, by the same user, it shows which of them work where nothing stops them.
//!
//! Whatever would harm the machine if it succeeded is tried in a form that does not: wrong magic numbers, files opened
//! and not written, numbers that mean nothing.

mod files;
mod kernel;
mod mounts;
mod network;
mod processes;

use std::fmt::Display;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::path::PathBuf;

use serde_json::{Value, json};

/// Where things are, as the one who set the scene says.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder that it works on.
    pub folder: PathBuf,
    /// A folder that it may read.
    pub read: PathBuf,
    /// A file outside with bait in it.
    pub secret: PathBuf,
    /// A folder outside.
    pub outside: PathBuf,
    /// The person's home.
    pub home: PathBuf,
    /// A process outside, of the same user.
    pub process: i32,
    /// A TCP port at 127.0.0.1 outside, with somebody listening; at ::1 too where there is one.
    pub tcp: u16,
    /// A UDP port at 127.0.0.1 outside.
    pub udp: u16,
    /// An abstract socket's name, with somebody listening.
    pub name: String,
    /// No sandbox is around: it shows that the technique works.
    pub control: bool,
}

/// What a technique came to: what it got, or how it was refused.
pub type Outcome = Result<String, String>;

/// One technique.
#[derive(Debug)]
pub struct Technique {
    /// Its name, as in the documentation.
    pub name: &'static str,
    /// The attempt.
    pub attempt: fn(&Place) -> Outcome,
    /// Outside a sandbox it gets through.
    pub works_outside: bool,
    /// What the log says of it, each in some line; empty where the kernel refuses by itself and nobody is told.
    pub logged: &'static [&'static str],
    /// What stops it, as in the documentation.
    pub stopped_by: &'static str,
}

const fn technique(
    name: &'static str,
    attempt: fn(&Place) -> Outcome,
    works_outside: bool,
    logged: &'static [&'static str],
    stopped_by: &'static str,
) -> Technique {
    Technique { name, attempt, works_outside, logged, stopped_by }
}

/// All of them.
pub fn techniques() -> impl Iterator<Item = &'static Technique> {
    [mounts::ALL, processes::ALL, files::ALL, kernel::ALL, network::ALL].into_iter().flatten()
}

/// The variable that makes a test binary the hostile program, with the place in it.
pub const VARIABLE: &str = "HOSTILE";

impl Place {
    /// For [`VARIABLE`].
    pub fn to_text(&self) -> String {
        json!({"folder": self.folder, "read": self.read, "secret": self.secret, "outside": self.outside,
            "home": self.home, "process": self.process, "tcp": self.tcp, "udp": self.udp, "name": self.name,
            "control": self.control})
        .to_string()
    }

    /// From [`VARIABLE`], where that is set.
    pub fn of_environment() -> Option<Place> {
        let place: Value = serde_json::from_str(&std::env::var(VARIABLE).ok()?).ok()?;
        let path = |name: &str| place[name].as_str().map(PathBuf::from).unwrap_or_default();
        let number = |name: &str| place[name].as_i64().unwrap_or_default();
        Some(Place {
            folder: path("folder"),
            read: path("read"),
            secret: path("secret"),
            outside: path("outside"),
            home: path("home"),
            process: number("process") as i32,
            tcp: number("tcp") as u16,
            udp: number("udp") as u16,
            name: place["name"].as_str().unwrap_or_default().to_owned(),
            control: place["control"].as_bool().unwrap_or_default(),
        })
    }
}

/// How each technique went, a line each: `TRY name got ...` or `TRY name no ...`. Each is played in a process of its
/// own, so that being killed or made to wait is an answer too.
pub fn play(place: &Place) {
    for technique in techniques().filter(|technique| !place.control || technique.works_outside) {
        let (got, words) = match apart(10, || (technique.attempt)(place)) {
            Ok(words) => ("got", words),
            Err(words) => ("no", words),
        };
        let line = format!("\nTRY {} {got} {}\n", technique.name, words.replace('\n', " "));
        drop(std::io::stdout().write_all(line.as_bytes()));
    }
}

/// Runs a piece in a process of its own, for as many seconds at most.
pub(crate) fn apart(seconds: u32, piece: impl FnOnce() -> Outcome) -> Outcome {
    let mut ends = [0; 2];
    // SAFETY: two numbers for the kernel to fill.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(error("pipe"));
    }
    // SAFETY: both are this function's own from here on.
    let (mut from, mut to) = unsafe { (std::fs::File::from_raw_fd(ends[0]), std::fs::File::from_raw_fd(ends[1])) };
    // SAFETY: the child only runs this piece and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: plain numbers; the default action of this signal ends the process.
        unsafe { libc::alarm(seconds) };
        let said = match piece() {
            Ok(words) => format!("+{words}"),
            Err(words) => format!("-{words}"),
        };
        drop(to.write_all(said.as_bytes()));
        // SAFETY: ends the child without running what the parent is to run at its end.
        unsafe { libc::_exit(0) };
    }
    drop(to);
    if child < 0 {
        return Err(error("fork"));
    }
    let mut said = Vec::new();
    // Whatever it started may hold the other end: what counts is that it has ended.
    let mut status = 0;
    // SAFETY: a number for the kernel to fill.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    drop(nonblocking(&from));
    drop(from.read_to_end(&mut said));
    let said = String::from_utf8_lossy(&said).into_owned();
    match said.split_at_checked(1) {
        Some(("+", words)) => Ok(words.to_owned()),
        Some(("-", words)) => Err(words.to_owned()),
        _ => Err(format!("ended with status {status:#x}")),
    }
}

fn nonblocking(file: &std::fs::File) -> Result<(), String> {
    use std::os::fd::AsRawFd;
    // SAFETY: plain numbers.
    done("fcntl", unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) }.into()).map(drop)
}

/// The last error, in words.
pub(crate) fn error(what: impl Display) -> String {
    format!("{what}: {}", std::io::Error::last_os_error())
}

/// The result of a raw call.
pub(crate) fn done(what: &str, result: i64) -> Result<i64, String> {
    if result < 0 { Err(error(what)) } else { Ok(result) }
}

/// A raw system call: a name for the words, its number, and its arguments.
macro_rules! sys {
    ($number:expr $(, $argument:expr)* $(,)?) => {
        // SAFETY: what the kernel is asked to write goes to memory that lives through the call, or to nowhere; in a
        // process of its own.
        $crate::hostile::done(stringify!($number), unsafe { libc::syscall($number as libc::c_long $(, $argument)*) })
    };
}
pub(crate) use sys;

/// Of several ways: got through if one did.
pub(crate) fn any<const N: usize>(ways: [(&str, Outcome); N]) -> Outcome {
    any_of(ways.into_iter().map(|(name, outcome)| (name.to_owned(), outcome)))
}

/// The same for a list.
pub(crate) fn any_of(ways: impl IntoIterator<Item = (String, Outcome)>) -> Outcome {
    let mut refused = Vec::new();
    for (name, outcome) in ways {
        match outcome {
            Ok(words) => return Ok(format!("{name}: {words}")),
            Err(words) => refused.push(format!("{name}: {words}")),
        }
    }
    refused.truncate(6);
    Err(refused.join("; "))
}

/// The words of what came of a standard call.
pub(crate) fn io<T>(result: std::io::Result<T>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

/// Says that it got through.
pub(crate) fn got<T>(words: &'static str) -> impl FnOnce(T) -> String {
    move |_| words.to_owned()
}

/// A path for the kernel.
pub(crate) fn c(path: impl AsRef<std::path::Path>) -> std::ffi::CString {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::CString::new(path.as_ref().as_os_str().as_bytes()).unwrap_or_default()
}
