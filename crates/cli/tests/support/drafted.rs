//! A folder of every kind of file, a program that changes it in every way, and what both of them come to: the tree
//! before, and the tree after, as the program leaves it where it runs bare.

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

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use raincoat_runtime::snapshot::Snapshot;
use serde_json::Value;

use crate::whole::{Home, Said, leftovers, lines, said};

/// The tree as it is before: files, folders, hard links, symlinks, attributes, old dates.
pub const TREE: &str = r"set -e
mkdir gone-dir was-dir old-dir old-dir/sub meta-dir keep emptied rebuilt
for f in mod.txt rewritten.bin gone.txt gone-dir/a was-file was-dir/a was-file2 old-name.txt old-dir/a old-dir/sub/b \
    tagged.txt meta-only.txt dated.txt keep/untouched hard-a emptied/a rebuilt/stays rebuilt/goes; do
    echo $f was here >$f
done
ln hard-a hard-b
ln -s nowhere link
setfattr -n user.old -v o tagged.txt
setfattr -n user.colour -v red meta-dir
chmod 640 mod.txt
chmod 750 keep
find . -exec touch -h -d '2019-05-06 07:08:09.123456789' {} +
";

/// Creates, modifies, deletes, changes kinds, renames, links, and sets attributes, modes and dates.
const CHANGES: &str = r"set -e
echo more >>mod.txt
printf 'all new' >rewritten.bin
printf new >created.txt
mkdir -p made/deep
printf inner >made/deep/inner.txt
ln -s ../created.txt made/link
ln created.txt made/hard
rm gone.txt
rm -r gone-dir
rm was-file; mkdir was-file; echo x >was-file/x
rm -r was-dir; echo a file now >was-dir
rm was-file2; ln -s mod.txt was-file2
mv old-name.txt new-name.txt
mv old-dir new-dir
rm emptied/a
rm -r rebuilt; mkdir rebuilt; echo again >rebuilt/stays; echo fresh >rebuilt/comes
rm link; ln -s elsewhere link
setfattr -n user.tag -v new tagged.txt
setfattr -x user.old tagged.txt
setfattr -n user.colour -v blue meta-dir
chmod 600 meta-only.txt
chmod 700 meta-dir
echo linked more >>hard-a
";

/// Names that are protected: a commit leaves them out.
const PROTECTED: &str = "echo evil >.bashrc; mkdir .vscode; echo '{}' >.vscode/settings.json; echo export >.envrc\n";

/// So that the tree after is the same each time, to the nanosecond.
const DATES: &str = r"touch -h -d '2021-01-02 03:04:05.987654321' mod.txt rewritten.bin created.txt made/deep/inner.txt \
    made/link was-file/x was-dir was-file2 link hard-a rebuilt/stays rebuilt/comes
touch -d '2001-02-03 04:05:06.789' dated.txt
touch -d '2022-02-03 04:05:06.5' made/deep made was-file emptied rebuilt .
";

/// What the program does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Program {
    /// All of it can be committed, and the draft is gone then.
    Plain,
    /// It leaves protected names too, which stay in the draft.
    Protected,
}

impl Program {
    pub fn script(self) -> String {
        let protected = if self == Program::Protected { PROTECTED } else { "" };
        format!("{CHANGES}{protected}{DATES}echo all-done\n")
    }
}

/// A home with the folder granted, and the two states that the folder may be in.
pub struct Drafted {
    pub home: Home,
    pub dir: PathBuf,
    pub before: Snapshot,
    pub after: Snapshot,
    pub program: Program,
}

/// Which of the two states a tree is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tree {
    Before,
    After,
}

impl Drafted {
    pub fn new(program: Program) -> Drafted {
        Drafted::in_home(Home::new(), program)
    }

    /// One whose home lies within this directory.
    pub fn at(dir: &Path, program: Program) -> Drafted {
        Drafted::in_home(Home { dir: tempfile::tempdir_in(dir).unwrap() }, program)
    }

    fn in_home(home: Home, program: Program) -> Drafted {
        let dir = home.path("in");
        fs::create_dir(&dir).unwrap();
        home.ok(&["init", "--no-input"]);
        home.ok(&["grant", "in"]);
        bare(&dir, TREE);
        let before = Snapshot::take(&dir).unwrap();
        // A name that is written to keeps its other names, as bare, where the overlay can follow inodes; else it parts
        // from them, and the review says so. Which of the two shows once, and then each time.
        let [kept, parted] = ["", "cp -p hard-a parted && mv parted hard-a"].map(|first| {
            let twin = tempfile::tempdir_in(home.dir.path()).unwrap();
            bare(twin.path(), TREE);
            bare(twin.path(), &format!("{first}\n{}", Program::Plain.script()));
            // The folder's own mode is not the twin's.
            fs::set_permissions(twin.path(), fs::metadata(&dir).unwrap().permissions()).unwrap();
            Snapshot::take(twin.path()).unwrap()
        });
        let mut drafted = Drafted { home, dir, before, after: kept, program };
        let draft = drafted.exec();
        drafted.home.ok(&["commit", &draft]);
        if !drafted.after.differences(&Snapshot::take(&drafted.dir).unwrap()).is_empty() {
            drafted.after = parted;
        }
        assert_eq!(drafted.tree("the first commit"), Tree::After);
        drafted.home.ok(&["undo", &drafted.newest_run()]);
        assert_eq!(drafted.tree("the first commit, undone"), Tree::Before);
        drafted.discard_all();
        drafted
    }

    /// Runs a program of ours in the folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(arguments);
        command.current_dir(&self.dir);
        command
    }

    /// The program, in a draft that stays open.
    pub fn exec_command(&self, commit: &str) -> Command {
        self.command(&["exec", "--commit", commit, "--", "sh", "-c", &self.program.script()])
    }

    /// Makes the draft. Gives its run.
    pub fn exec(&self) -> String {
        let said = said(self.exec_command("never").output().unwrap());
        assert_eq!(said.code, 0, "{said:?}");
        let drafts = self.drafts();
        assert_eq!(drafts.len(), 1, "{drafts:?}");
        drafts.into_iter().next().unwrap()
    }

    /// The runs of the open drafts.
    pub fn drafts(&self) -> Vec<String> {
        self.home.json(&["drafts"]).iter().map(|draft| draft["run"].as_str().unwrap().to_owned()).collect()
    }

    /// What a draft holds: each path with what happened to it, and whether its name is protected. None is a conflict.
    pub fn review(&self, run: &str) -> Vec<(String, String, bool)> {
        let (review, conflicts) = self.review_all(run);
        assert_eq!(conflicts, [""; 0]);
        review
    }

    /// The same, with what is told of conflicts.
    pub fn review_all(&self, run: &str) -> (Vec<(String, String, bool)>, Vec<String>) {
        let lines = self.home.json(&["review", run]);
        let changes = lines.iter().filter(|line| line["type"] == "change");
        let conflicts = changes.clone().filter(|line| !line["conflict"].is_null()).map(Value::to_string).collect();
        let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
        let mut out: Vec<_> =
            changes.map(|line| (text(line, "path"), text(line, "change"), !line["dangerous"].is_null())).collect();
        out.sort();
        (out, conflicts)
    }

    /// The tree is exactly as before or exactly as after, or the test fails and says what is between.
    pub fn tree(&self, at: &str) -> Tree {
        which(&self.before, &self.after, &self.dir, at)
    }

    /// The next command settles what was under way. Gives the newest run (null where there is none), and what was said.
    pub fn settle(&self, at: &str) -> (Value, Said) {
        let said = self.home.run(&["runs", "-n", "1", "--json"]);
        assert_eq!(said.code, 0, "{at}: {said:?}");
        let run = lines(&said.out).pop().unwrap_or_default();
        assert_ne!(run["status"], "open", "{at}: {said:?}");
        // A draft that was half wiped is wiped by whoever looks at drafts.
        self.drafts();
        (run, said)
    }

    /// The newest commit, or undo, whatever came after.
    pub fn newest_run(&self) -> String {
        self.home.json(&["runs", "-n", "1"])[0]["run"].as_str().unwrap().to_owned()
    }

    pub fn discard_all(&self) {
        self.home.ok(&["discard", "--all", "--yes"]);
        assert_eq!(self.drafts(), [""; 0]);
    }
}

/// See [`Drafted::tree`].
pub fn which(before: &Snapshot, after: &Snapshot, dir: &Path, at: &str) -> Tree {
    let is = Snapshot::take(dir).unwrap();
    let (from_before, from_after) = (before.differences(&is), after.differences(&is));
    if from_before.is_empty() {
        return Tree::Before;
    }
    if from_after.is_empty() {
        return Tree::After;
    }
    let told = |differences: &[raincoat_runtime::snapshot::Difference]| {
        let words = differences
            .iter()
            .take(10)
            .map(|d| format!("{:?} {:?}: was {}, is {}", String::from_utf8_lossy(&d.path), d.what, d.was, d.is));
        words.collect::<Vec<_>>().join("\n")
    };
    panic!(
        "{at}: a tree in between\nleft over: {:?}\n{} differences from before:\n{}\n{} differences from after:\n{}",
        leftovers(&is),
        from_before.len(),
        told(&from_before),
        from_after.len(),
        told(&from_after)
    );
}

/// Runs a shell script outside any draft.
pub fn bare(dir: &Path, script: &str) {
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(dir).stdin(Stdio::null());
    let said = said(command.output().unwrap());
    assert_eq!(said.code, 0, "(it needs the package attr) {said:?}");
}
