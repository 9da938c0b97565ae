//! The real binary, a home of its own, folders of every kind of file, and two independent ways to compare them.

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

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use raincoat_runtime::snapshot::{EntryKind, Snapshot};
use serde_json::Value;

/// A home directory, and the folder beside it that is handed out.
pub struct Home {
    pub dir: tempfile::TempDir,
}

/// What a command said and how it ended. Bytes that are no text are replaced.
#[derive(Debug)]
pub struct Said {
    /// The exit code; where a signal ended it, that signal's number, negative.
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Home {
    pub fn new() -> Home {
        Home { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        raincoat(self.dir.path(), arguments)
    }

    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Said {
        said(self.command(arguments).output().unwrap())
    }

    /// Runs it and wants it to end well.
    pub fn ok<S: AsRef<OsStr> + std::fmt::Debug>(&self, arguments: &[S]) -> String {
        let said = self.run(arguments);
        assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
        said.out
    }

    pub fn with_input(&self, arguments: &[&str], input: &str) -> Said {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        said(child.wait_with_output().unwrap())
    }

    /// The lines of a command's JSON; it must end well.
    pub fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        lines(&self.ok(&arguments))
    }

    /// The one report of a `do` or `undo` with `--json`, and its exit code.
    pub fn report(&self, arguments: &[&str]) -> (i32, Value) {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        let said = self.run(&arguments);
        let last = lines(&said.out).pop().unwrap_or_else(|| panic!("{arguments:?} said no report: {said:?}"));
        (said.code, last)
    }

    /// A store with this folder granted.
    pub fn granted(folder: &str) -> (Home, PathBuf) {
        let home = Home::new();
        let dir = home.path(folder);
        fs::create_dir(&dir).unwrap();
        home.ok(&["init", "--no-input"]);
        home.ok(&["grant", folder]);
        (home, dir)
    }

    pub fn log_is_sound(&self) {
        let said = self.run(&["audit", "verify", "--json"]);
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(lines(&said.out)[0]["sound"], true, "{said:?}");
    }
}

/// The binary under test, by a descriptor: whoever builds anew while a long test runs does not change it.
pub fn raincoat<S: AsRef<OsStr>>(home: &Path, arguments: &[S]) -> Command {
    let mut command = Command::new(binary());
    command.arg0("raincoat").args(arguments).env_clear().env("HOME", home).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.current_dir(home).stdin(Stdio::null());
    command
}

pub fn binary() -> PathBuf {
    static BINARY: OnceLock<File> = OnceLock::new();
    let file = BINARY.get_or_init(|| File::open(env!("CARGO_BIN_EXE_raincoat")).unwrap());
    PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()))
}

pub fn said(output: Output) -> Said {
    Said {
        code: output.status.code().or_else(|| output.status.signal().map(|signal| -signal)).unwrap(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// Nothing differs, or the first differences are told.
pub fn same(was: &Snapshot, dir: &Path, when: &str) {
    let differences = was.differences(&Snapshot::take(dir).unwrap());
    let told: Vec<String> = differences
        .iter()
        .take(12)
        .map(|d| format!("{:?} {:?}: was {}, is {}", String::from_utf8_lossy(&d.path), d.what, d.was, d.is))
        .collect();
    assert!(differences.is_empty(), "{when}: {} differences\n{}", differences.len(), told.join("\n"));
}

/// The digests of all regular files, each name counted.
pub fn contents(snapshot: &Snapshot) -> BTreeMap<[u8; 32], usize> {
    let mut out = BTreeMap::new();
    for entry in snapshot.entries().values().filter(|entry| entry.kind == EntryKind::File) {
        *out.entry(entry.digest.expect("the test may read it").0).or_default() += 1;
    }
    out
}

/// Names of ours that an operation leaves for a moment only.
pub fn leftovers(snapshot: &Snapshot) -> Vec<String> {
    let ours = |path: &&Vec<u8>| path.windows(10).any(|name| name == b".raincoat-");
    snapshot.entries().keys().filter(ours).map(|path| String::from_utf8_lossy(path).into_owned()).collect()
}

/// What a tree is in the eyes of a program that shares no line with ours: python3's `os` and `hashlib`.
pub fn outside(dir: &Path) -> Vec<String> {
    const LOOK: &str = r#"
import hashlib, os, stat, sys
root = os.fsencode(sys.argv[1])
inodes, rows = {}, []
def look(path):
    s = os.lstat(path)
    row = [os.path.relpath(path, root), oct(s.st_mode), s.st_uid, s.st_gid, s.st_mtime_ns, s.st_rdev,
           sorted((n, os.getxattr(path, n, follow_symlinks=False)) for n in os.listxattr(path, follow_symlinks=False))]
    if stat.S_ISREG(s.st_mode):
        with open(path, 'rb') as f: row += [s.st_size, hashlib.sha256(f.read()).hexdigest()]
    if stat.S_ISLNK(s.st_mode): row.append(os.readlink(path))
    if not stat.S_ISDIR(s.st_mode): row.append(s.st_nlink)
    inodes.setdefault((s.st_dev, s.st_ino), []).append(row[0])
    rows.append((row, (s.st_dev, s.st_ino)))
look(root)
for at, dirs, files in os.walk(root):
    for name in dirs + files: look(os.path.join(at, name))
for row, inode in sorted(rows, key=lambda r: r[0][0]):
    print(repr((*row, sorted(inodes[inode])[0])))
"#;
    let out = Command::new("python3").arg("-c").arg(LOOK).arg(dir).output().expect("python3 is installed");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect()
}

pub fn same_outside(was: &[String], dir: &Path, when: &str) {
    let is = outside(dir);
    if was != is {
        let gone: Vec<_> =
            was.iter().filter(|row| is.binary_search(row).is_err() && !is.contains(row)).take(8).collect();
        let new: Vec<_> = is.iter().filter(|row| !was.contains(row)).take(8).collect();
        panic!("{when}: an outside look differs\nwas {gone:#?}\nis {new:#?}");
    }
}

/// Extended attributes, which the standard library cannot set.
pub fn set_xattrs(dir: &Path, of: &[(&str, &str, &str)]) {
    const SET: &str = "import os, sys\na = [os.fsencode(x) for x in sys.argv[2:]]\nos.chdir(sys.argv[1])\n\
        for i in range(0, len(a), 3): os.setxattr(a[i], a[i + 1], a[i + 2], follow_symlinks=False)";
    let mut command = Command::new("python3");
    command.arg("-c").arg(SET).arg(dir);
    for (path, name, value) in of {
        command.args([path, name, value]);
    }
    let out = command.output().expect("python3 is installed");
    assert!(out.status.success(), "this file system takes no user xattrs: {}", String::from_utf8_lossy(&out.stderr));
}

/// A folder of about `files` files of every sort: several types, three levels, duplicates, hard links, symlinks (whole,
/// dangling, to a folder), attributes, odd modes and dates, a sparse file, empty files and folders, names that are no
/// text.
pub fn messy(dir: &Path, files: usize, dice: &mut Dice) {
    const ENDS: [&str; 14] =
        ["txt", "md", "csv", "jpg", "png", "pdf", "mp3", "rs", "py", "html", "json", "zip", "", "TXT"];
    const HEADS: [&[u8]; 4] = [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"%PDF-1.7\n", b"words\n"];
    const DIRS: [&str; 6] = ["", "one", "one/two", "one/two/three", "other stuff", "2019"];
    for sub in DIRS {
        fs::create_dir_all(dir.join(sub)).unwrap();
    }
    fs::create_dir(dir.join("empty")).unwrap();
    for n in 0..files {
        let sub = DIRS[dice.below(DIRS.len())];
        let end = ENDS[dice.below(ENDS.len())];
        let dot = if end.is_empty() { "" } else { "." };
        let mut name = format!("file {n}{dot}{end}").into_bytes();
        if n % 13 == 5 {
            name.splice(0..0, *b"\xff\xfe");
        }
        let path = dir.join(sub).join(OsStr::from_bytes(&name));
        // Every fifth has the content of another.
        let seed = if n % 5 == 0 { n % 3 } else { n + 100 };
        let mut bytes = HEADS[seed % HEADS.len()].to_vec();
        bytes.extend(format!("{seed} ").repeat(seed * 7 % 900).bytes());
        if n % 41 == 7 {
            bytes.clear();
        }
        fs::write(&path, &bytes).unwrap();
        let old = SystemTime::now() - Duration::from_secs(86_400 * (1 + dice.below(2500) as u64));
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(old + Duration::from_nanos(dice.below(1_000_000_000) as u64)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode([0o644, 0o600, 0o444, 0o755, 0o640][n % 5])).unwrap();
    }
    for (n, (from, to)) in
        [("a link", "one/linked.txt"), ("b link", "b link again"), ("b link", "other stuff/b")].into_iter().enumerate()
    {
        let from = dir.join(from);
        if !from.exists() {
            fs::write(&from, format!("linked {n}")).unwrap();
        }
        fs::hard_link(&from, dir.join(to)).unwrap();
    }
    symlink("one/two", dir.join("to a folder")).unwrap();
    symlink("../a link", dir.join("one/to a file")).unwrap();
    symlink("nowhere/at all", dir.join("dangling.pdf")).unwrap();
    let sparse = File::create(dir.join("sparse.img")).unwrap();
    sparse.set_len(300_000).unwrap();
    (&sparse).write_all(b"head").unwrap();
    set_xattrs(
        dir,
        &[
            ("a link", "user.origin", "https://example.org/a"),
            ("sparse.img", "user.note", "mostly nothing"),
            ("one/two", "user.colour", "red"),
            ("empty", "user.why", "kept"),
        ],
    );
    fs::set_permissions(dir.join("2019"), fs::Permissions::from_mode(0o750)).unwrap();
    for sub in DIRS.iter().rev() {
        let old = SystemTime::now() - Duration::from_secs(86_400 * 30 + dice.below(1_000_000) as u64);
        File::open(dir.join(sub)).unwrap().set_modified(old).unwrap();
    }
}

/// Names beneath a folder, with the bytes of regular files.
pub fn files_below(dir: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            files_below(&path, found);
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
}

pub fn os_string(bytes: &[u8]) -> std::ffi::OsString {
    std::ffi::OsString::from_vec(bytes.to_vec())
}

/// A small random generator (splitmix64, Steele, Lea and Flood 2014) whose seed is printed where a test fails.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub fn seed() -> u64 {
        match std::env::var("RAINCOAT_TEST_SEED") {
            Ok(text) => text.parse().expect("RAINCOAT_TEST_SEED is a number"),
            Err(_) => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64,
        }
    }
}
