//! A workload twice: run bare in one tree, and in a draft of the same tree at the same path, committed and taken back.

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

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use raincoat_runtime::snapshot::{Aspect, Difference, Snapshot};
use raincoat_types::Timestamp;

use super::whole::{Home, Said, said, same};

/// A program that works on a tree, and what is known of it.
pub struct Workload<'a> {
    /// What it is called; a script of this name in `tests/workloads/` has the steps `start` and `run`.
    pub name: &'a str,
    /// What it is told besides.
    pub arguments: &'a [&'a str],
    /// Folders within the tree that are granted, instead of the tree.
    pub folders: &'a [&'a str],
    /// Folders that it reads, besides the system's and the scripts'.
    pub reads: Vec<PathBuf>,
    /// Folders with programs, besides the system's.
    pub path: Vec<PathBuf>,
    /// It changes protected names, which are then named at the commit.
    pub protected: bool,
    /// Ends of paths whose content differs between two bare runs already, with the reason.
    pub loose: &'a [(&'a str, &'a str)],
    /// Parts of paths that it may touch or not, as two bare runs differ already, with the reason: the time is that of
    /// the start or of the run.
    pub touched: &'a [(&'a str, &'a str)],
    /// How it is known to differ, by path and aspect: all of this, and no more.
    pub differs: &'a [(&'a str, Aspect)],
    /// What it prints is compared, too.
    pub says_the_same: bool,
    /// Limits, as `--limit` takes them.
    pub limit: Option<&'a str>,
}

impl Default for Workload<'_> {
    fn default() -> Self {
        Workload {
            name: "",
            arguments: &[],
            folders: &["."],
            reads: Vec::new(),
            path: Vec::new(),
            protected: false,
            loose: &[],
            touched: &[],
            differs: &[],
            says_the_same: false,
            limit: None,
        }
    }
}

impl Workload<'_> {
    fn touches(&self, path: &str) -> bool {
        self.touched.iter().any(|(part, _)| path.contains(part))
    }
}

/// Where workloads are run: a home with a store, the scripts, and the tree.
pub struct Ground {
    pub home: Home,
    pub scripts: PathBuf,
    pub tree: PathBuf,
}

/// A tree as it was after a run, and when the run was.
struct Left {
    tree: Snapshot,
    since: Timestamp,
    until: Timestamp,
}

impl Ground {
    pub fn new() -> Ground {
        let home = Home::new();
        home.ok(&["init", "--no-input"]);
        let scripts = home.path("scripts");
        fs::create_dir(&scripts).unwrap();
        for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/workloads")).unwrap() {
            let from = entry.unwrap().path();
            fs::copy(&from, scripts.join(from.file_name().unwrap())).unwrap();
        }
        let tree = home.path("tree");
        Ground { home, scripts, tree }
    }

    /// Everything that is asked of a workload.
    pub fn same_as_bare(&self, workload: &Workload<'_>) {
        let name = workload.name;
        self.begin(workload);
        let start = Snapshot::take(&self.tree).unwrap();
        let copy = self.home.path("copy");
        quiet(Command::new("cp").arg("-a").arg(&self.tree).arg(&copy), "cp -a");

        let since = now(TICK);
        let said_bare = self.bare(workload, &["run"]);
        // What is not written back yet counts as data, written zeroes or not.
        quiet(Command::new("sync").arg("-f").arg(&self.tree), "sync");
        let bare = Left { tree: Snapshot::take(&self.tree).unwrap(), since, until: now(0) };
        assert_eq!(said_bare.code, 0, "{name}, bare: {said_bare:?}");
        let kept = self.home.path("bare");
        fs::rename(&self.tree, &kept).unwrap();
        fs::rename(&copy, &self.tree).unwrap();
        // Whether a copy has the holes of what it was copied from is the copier's business.
        let start_of_draft = Snapshot::take(&self.tree).unwrap();
        assert_eq!(only(start.differences(&start_of_draft), &[Aspect::Holes]), [""; 0], "{name}: cp -a");

        let since = now(TICK);
        let said = self.draft(workload, &["run"]);
        assert_eq!(said.code, 0, "{name}, in a draft: {said:?}");
        if workload.says_the_same {
            let lines = lines_that_differ(&said_bare.out, &said.out);
            assert!(lines.is_empty(), "{name}: {lines:#?}");
        }
        same(&start_of_draft, &self.tree, &format!("{name}: before the commit"));
        let commit = self.commit(workload);
        let drafted = Left { tree: Snapshot::take(&self.tree).unwrap(), since, until: now(0) };
        let differences = compare(&start_of_draft, &bare, &drafted, workload);
        if let (false, Some(at)) = (differences.is_empty(), std::env::var_os("RAINCOAT_KEEP")) {
            quiet(Command::new("cp").arg("-a").arg(self.home.dir.path()).arg(at), "cp -a");
        }
        assert!(differences.is_empty(), "{name}: {} differences from bare\n{}", differences.len(), first(&differences));

        if let Some(run) = commit {
            let undone = self.home.json(&["undo", &run]).remove(0);
            assert_eq!(undone["left"], 0, "{name}: {undone}");
            assert_eq!(undone["conflicts"].as_array().map(Vec::len), Some(0), "{name}: {undone}");
        }
        same(&start_of_draft, &self.tree, &format!("{name}: after undo"));
        self.clear();
        remove(&kept);
    }

    /// The start tree.
    pub fn begin(&self, workload: &Workload<'_>) {
        fs::create_dir(&self.tree).unwrap();
        let said = self.bare(workload, &["start"]);
        assert_eq!(said.code, 0, "{}, start: {said:?}", workload.name);
        // Old enough that a program which compares whole seconds sees that it has worked since.
        let new =
            ["-newermt", "2025-12-31", "-exec", "touch", "-h", "-m", "-d", "2020-03-04 05:06:07.123456789", "{}", "+"];
        // (An ordinary user cannot look into folders that are closed to all; what is in those stays as new as it is.)
        let _ = Command::new("find").arg(&self.tree).args(["-depth"]).args(new).stderr(Stdio::null()).status();
    }

    /// Ends what is open and takes the tree away.
    pub fn clear(&self) {
        let _ = self.home.run(&["discard", "--all", "--yes"]);
        remove(&self.tree);
    }

    fn line(&self, workload: &Workload<'_>, step: &[&str]) -> Vec<String> {
        let script = ["sh", "py"].map(|end| self.scripts.join(format!("{}.{end}", workload.name)));
        let (shell, script) = match script {
            [sh, _] if sh.is_file() => ("/bin/sh", sh),
            [_, py] => ("/usr/bin/python3", py),
        };
        let mut line = vec![shell.to_owned(), script.to_str().unwrap().to_owned()];
        line.extend(step.iter().chain(workload.arguments).map(|word| (*word).to_owned()));
        line
    }

    fn environment(&self, workload: &Workload<'_>) -> Vec<(&'static str, String)> {
        let mut path: Vec<&str> = workload.path.iter().map(|path| path.to_str().unwrap()).collect();
        path.extend(["/usr/sbin", "/usr/bin", "/sbin", "/bin"]);
        vec![
            ("PATH", path.join(":")),
            ("LANG", "C.UTF-8".to_owned()),
            ("TMPDIR", "/tmp".to_owned()),
            ("TREE", self.tree.to_str().unwrap().to_owned()),
            ("SCRIPTS", self.scripts.to_str().unwrap().to_owned()),
            ("CARGO_INCREMENTAL", "0".to_owned()),
            ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
            ("GIT_AUTHOR_NAME", "nobody".to_owned()),
            ("GIT_AUTHOR_EMAIL", "nobody@example.org".to_owned()),
            ("GIT_COMMITTER_NAME", "nobody".to_owned()),
            ("GIT_COMMITTER_EMAIL", "nobody@example.org".to_owned()),
            ("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z".to_owned()),
            ("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z".to_owned()),
        ]
    }

    /// Runs a step as it would be without us, in a home that holds nothing.
    pub fn bare(&self, workload: &Workload<'_>, step: &[&str]) -> Said {
        let line = self.line(workload, step);
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).env_clear().envs(self.environment(workload)).env("HOME", home.path());
        let said = said(command.current_dir(&self.tree).stdin(Stdio::null()).output().unwrap());
        remove(home.path());
        said
    }

    /// Runs a step in a draft that stays open.
    pub fn draft(&self, workload: &Workload<'_>, step: &[&str]) -> Said {
        let mut words = vec!["exec".to_owned(), "--commit".to_owned(), "never".to_owned()];
        for folder in workload.folders {
            words.extend(["--in".to_owned(), self.tree.join(folder).to_str().unwrap().to_owned()]);
        }
        for read in workload.reads.iter().chain([&self.scripts]) {
            words.extend(["--read".to_owned(), read.to_str().unwrap().to_owned()]);
        }
        for (name, value) in self.environment(workload) {
            words.extend(["--env".to_owned(), format!("{name}={value}")]);
        }
        if let Some(limit) = workload.limit {
            words.extend(["--limit".to_owned(), limit.to_owned()]);
        }
        words.push("--".to_owned());
        words.extend(self.line(workload, step));
        let mut command = self.home.command(&words);
        said(command.current_dir(self.tree.join(workload.folders[0])).output().unwrap())
    }

    /// Commits the newest draft; gives the commit's run, or nothing where the draft holds no change.
    pub fn commit(&self, workload: &Workload<'_>) -> Option<String> {
        if self.home.json(&["drafts"]).is_empty() {
            return None;
        }
        let mut words = vec!["commit".to_owned(), "--json".to_owned()];
        if workload.protected {
            words.extend(["--dangerous".to_owned(), self.tree.to_str().unwrap().to_owned()]);
        }
        let said = self.home.run(&words);
        assert_eq!(said.code, 0, "{}, commit: {said:?}", workload.name);
        let report = super::whole::lines(&said.out).pop()?;
        assert_eq!(report["refused"].as_array().map(Vec::len), Some(0), "{}: {report}", workload.name);
        Some(report["run"].as_str()?.to_owned())
    }
}

/// In what a tree after a draft differs from one after a bare run.
///
/// Two runs at two times cannot leave the same times: where they differ, each has to be within its own run. What
/// neither touched still has its old time, which both have then.
fn compare(start: &Snapshot, bare: &Left, drafted: &Left, workload: &Workload<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let mut known: BTreeSet<(String, Aspect)> =
        workload.differs.iter().map(|(path, what)| ((*path).to_owned(), *what)).collect();
    for difference in bare.tree.differences(&drafted.tree) {
        let path = String::from_utf8_lossy(&difference.path).into_owned();
        let (was, is) = (bare.tree.entries().get(&difference.path), drafted.tree.entries().get(&difference.path));
        let loose = workload.loose.iter().any(|(end, _)| path.ends_with(end));
        let old = start.entries().get(&difference.path).filter(|_| workload.touches(&path)).map(|entry| entry.mtime);
        let own = |time: Timestamp, run: &Left| within(time, run) || old == Some(time);
        let fine = match (difference.what, was, is) {
            (Aspect::ModificationTime, Some(was), Some(is)) => own(was.mtime, bare) && own(is.mtime, drafted),
            // A file that the folder had is copied whole, or in blocks of 1 MiB, when it is first changed.
            (Aspect::Holes, Some(was), Some(is)) => {
                loose || start.entries().contains_key(&difference.path) && covers(&is.extents, &was.extents)
            }
            (Aspect::Content | Aspect::Size, Some(_), Some(_)) => loose,
            _ => false,
        };
        let as_known = known.remove(&(path.clone(), difference.what));
        if !fine && !as_known {
            out.push(format!("{path:?} {:?}: bare {}, draft {}", difference.what, difference.was, difference.is));
        }
    }
    // What was left alone has the time that it had.
    for (path, was) in start.entries() {
        let (Some(b), Some(d)) = (bare.tree.entries().get(path), drafted.tree.entries().get(path)) else { continue };
        let path = String::from_utf8_lossy(path);
        let known = workload.differs.contains(&(&path, Aspect::ModificationTime)) || workload.touches(&path);
        if b.mtime == was.mtime && d.mtime != was.mtime && b.kind == d.kind && !known {
            out.push(format!("{path:?}: the bare run left its time alone, the draft did not"));
        }
    }
    out.extend(known.into_iter().map(|(path, what)| format!("{path:?} {what:?}: no longer differs; tell the docs")));
    out
}

/// Whether there is data wherever the other has some.
fn covers(extents: &[(u64, u64)], others: &[(u64, u64)]) -> bool {
    others.iter().all(|other| extents.iter().any(|extent| extent.0 <= other.0 && other.1 <= extent.1))
}

fn within(time: Timestamp, run: &Left) -> bool {
    let at = |t: Timestamp| (t.secs, t.nanos);
    at(run.since) <= at(time) && at(time) <= at(run.until)
}

/// Milliseconds that a file system's clock may lag behind.
const TICK: u64 = 11;

/// The time, less so many milliseconds.
fn now(less: u64) -> Timestamp {
    let since = (SystemTime::now() - Duration::from_millis(less)).duration_since(UNIX_EPOCH).unwrap();
    Timestamp { secs: since.as_secs().try_into().unwrap(), nanos: since.subsec_nanos() }
}

/// Differences in words, but for these aspects.
fn only(differences: Vec<Difference>, but: &[Aspect]) -> Vec<String> {
    differences.iter().filter(|d| !but.contains(&d.what)).map(ToString::to_string).collect()
}

pub fn first(differences: &[String]) -> String {
    differences.iter().take(25).cloned().collect::<Vec<_>>().join("\n")
}

fn quiet(command: &mut Command, what: &str) {
    let said = said(command.output().unwrap());
    assert_eq!(said.code, 0, "{what}: {said:?}");
}

/// Removes a tree with folders that may not be entered.
pub fn remove(dir: &Path) {
    match fs::remove_dir_all(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(_) => {
            quiet(Command::new("chmod").args(["-R", "u+rwx"]).arg(dir), "chmod");
            fs::remove_dir_all(dir).unwrap();
        }
    }
}

/// What two runs printed, line by line, each with what it is about as its first word; gives the lines that differ.
pub fn lines_that_differ(bare: &str, draft: &str) -> BTreeSet<String> {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    lines(bare).symmetric_difference(&lines(draft)).cloned().collect()
}
