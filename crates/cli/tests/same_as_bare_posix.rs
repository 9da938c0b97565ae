//! What POSIX asks of a file system, asked bare and in a draft, by root and by an ordinary user: every answer that
//! differs stands in the table of docs/drafts.md with its reason, and nothing stands there that does not differ.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[path = "support/bare.rs"]
mod bare;
#[path = "support/whole.rs"]
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use whole::said;

/// What a page of ours says of the differences.
const DOCS: &str = include_str!("../../../docs/drafts.md");
/// An ordinary user, `nobody`.
const NOBODY: u32 = 65_534;

/// A home for one user, with the binary, the scripts and the suite in it.
struct Place {
    dir: tempfile::TempDir,
    ordinary: bool,
}

impl Place {
    fn new(ordinary: bool) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { dir, ordinary };
        for sub in ["home", "home/tree", "tools"] {
            fs::create_dir(place.at(sub)).unwrap();
        }
        fs::copy(env!("CARGO_BIN_EXE_raincoat"), place.at("raincoat")).unwrap();
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/workloads");
        fs::copy(scripts.join("posix.py"), place.at("tools/posix.py")).unwrap();
        fs::copy(scripts.join("pjdfstest.toml"), place.at("tools/pjdfstest.toml")).unwrap();
        if ordinary {
            fs::set_permissions(place.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
            for own in ["home", "home/tree"] {
                chown(place.at(own), Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        let said = said(place.command(&place.at("raincoat"), &["init", "--no-input"]).output().unwrap());
        assert_eq!(said.code, 0, "{said:?}");
        place
    }

    fn at(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = if self.ordinary {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("HOME", self.at("home")).env("TREE", self.at("home/tree"));
        command.current_dir(self.at("home/tree")).stdin(Stdio::null());
        command
    }

    /// What a program says bare, or in a draft.
    fn says(&self, draft: bool, program: &str, arguments: &[&str]) -> String {
        let tools = self.at("tools");
        let tree = format!("TREE={}", self.at("home/tree").display());
        let mut words = vec!["exec", "-q", "--commit", "never", "--read", tools.to_str().unwrap(), "--env", &tree];
        words.extend(["--", program]);
        words.extend(arguments);
        let mut command = match draft {
            true => self.command(&self.at("raincoat"), &words),
            false => self.command(Path::new(program), arguments),
        };
        let said = said(command.output().unwrap());
        // A suite ends with 1 where something failed, which is not for us to judge but to compare.
        assert!(said.code == 0 || said.code == 1 && said.out.len() > 100, "{said:?}");
        said.out
    }
}

/// The documented differences of a suite for a user: what its lines are called, whole or by their end.
fn documented(suite: &str, root: bool) -> BTreeSet<&'static str> {
    let rows = DOCS.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = rows.map(|row| row.split(" | ").map(str::trim).collect::<Vec<_>>());
    let ours = cells.filter(|cells| {
        cells.len() == 4 && cells[0] == suite && ["all", if root { "root" } else { "ordinary" }].contains(&cells[2])
    });
    ours.map(|cells| cells[1].trim_matches('`')).collect()
}

/// Holds what differs against what is documented.
fn hold(suite: &str, root: bool, bare: &BTreeMap<String, String>, draft: &BTreeMap<String, String>) {
    let documented = documented(suite, root);
    let names: BTreeSet<_> = bare.keys().chain(draft.keys()).collect();
    let known = |name: &str| {
        documented
            .iter()
            .copied()
            .find(|known| known.strip_prefix('*').map_or(*known == name, |end| name.ends_with(end)))
    };
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for name in names {
        let (was, is) = (bare.get(name), draft.get(name));
        match known(name) {
            Some(known) if was != is => drop(seen.insert(known)),
            None if was != is => wrong.push(format!("not documented: {name}: bare {was:?}, in a draft {is:?}")),
            _ => {}
        }
    }
    wrong.extend(documented.difference(&seen).map(|known| format!("documented, and does not differ: {known}")));
    assert!(wrong.is_empty(), "{suite}, {}:\n{}", if root { "root" } else { "ordinary" }, wrong.join("\n"));
    assert!(bare.len() > 50, "{}", bare.len());
}

/// Who plays: an ordinary user always, root where the tests run as root.
fn players() -> Vec<bool> {
    let root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if root { vec![true, false] } else { vec![false] }
}

fn place(root: bool) -> Place {
    Place::new(!root && players().len() == 2)
}

#[test]
fn files_that_were_there_behave_as_posix_says_but_for_what_is_documented() {
    let table = |text: String| -> BTreeMap<String, String> {
        let lines = text.lines().filter_map(|line| line.split_once(" ="));
        lines.map(|(name, answer)| (name.to_owned(), answer.to_owned())).collect()
    };
    for root in players() {
        let place = place(root);
        let script = place.at("tools/posix.py");
        let step = |draft: bool, step: &str| place.says(draft, "/usr/bin/python3", &[script.to_str().unwrap(), step]);
        let start = || {
            bare::remove(&place.at("home/tree"));
            fs::create_dir(place.at("home/tree")).unwrap();
            if place.ordinary {
                chown(place.at("home/tree"), Some(NOBODY), Some(NOBODY)).unwrap();
            }
            step(false, "start");
        };
        start();
        let bare = table(step(false, "run"));
        start();
        let draft = table(step(true, "run"));
        hold("ours", root, &bare, &draft);
    }
}

#[test]
fn pjdfstest_says_of_a_draft_what_it_says_of_the_disk_but_for_what_is_documented() {
    let suite = ["CARGO_HOME", "HOME"].iter().filter_map(std::env::var_os).map(PathBuf::from);
    let suite = suite.flat_map(|dir| [dir.join("bin/pjdfstest"), dir.join(".cargo/bin/pjdfstest")]);
    let suite = suite.chain(["/usr/bin/pjdfstest".into()]).find(|path| path.is_file());
    let suite = suite.expect("`cargo install pjdfstest --version 0.2.2 --locked` brings the suite");
    let table = |text: String| -> BTreeMap<String, String> {
        let lines = text.lines().filter(|line| line.contains("::") && !line.starts_with(char::is_whitespace));
        lines.filter_map(|line| line.split_once(' ')).map(|(n, a)| (n.to_owned(), a.trim().to_owned())).collect()
    };
    for root in players() {
        let place = place(root);
        let program = place.at("tools/pjdfstest");
        fs::copy(&suite, &program).unwrap();
        let settings = place.at("tools/pjdfstest.toml");
        let arguments = ["-c", settings.to_str().unwrap(), "-p", "."];
        let run = |draft: bool| table(place.says(draft, program.to_str().unwrap(), &arguments));
        hold("pjdfstest", root, &run(false), &run(true));
    }
}

/// The owner of a file that may not be written cannot set its attributes, which the overlay's notes are among.
#[test]
fn files_that_may_not_be_written_are_committed_and_had_back_by_an_ordinary_user() {
    use raincoat_runtime::snapshot::Snapshot;
    let place = Place::new(players().len() == 2);
    let tree = place.at("home/tree");
    let shell = |words: &str| {
        let said = said(place.command(Path::new("/bin/sh"), &["-ec", words]).output().unwrap());
        assert_eq!(said.code, 0, "{said:?}");
    };
    let start = "for f in a b c; do echo $f >$f; setfattr -n user.x -v 1 $f; chmod 444 $f; done";
    let work = "mv a moved; touch -d 2001-01-01 b; chmod u+w c; setfattr -n user.x -v 2 c; chmod 400 c";
    shell(start);
    let before = Snapshot::take(&tree).unwrap();
    let said = said(
        place
            .command(&place.at("raincoat"), &["exec", "--commit", "always", "--", "/bin/sh", "-ec", work])
            .output()
            .unwrap(),
    );
    assert_eq!(said.code, 0, "{said:?}");
    let after = Snapshot::take(&tree).unwrap();
    let modes: Vec<_> = after.entries().values().skip(1).map(|entry| (entry.mode, entry.xattrs.len())).collect();
    assert_eq!(modes, [(0o444, 1), (0o400, 1), (0o444, 1)], "{:?}", after.entries());
    let said = whole::said(place.command(&place.at("raincoat"), &["undo"]).output().unwrap());
    assert_eq!(said.code, 0, "{said:?}");
    whole::same(&before, &tree, "after undo");
}
