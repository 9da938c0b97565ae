//! What machines do to programs: two at once, full disks, disks that take no writes, missing permissions, files that
//! change under one's hands. A clear error, the documented exit code, and nothing lost. (C2, C3, D1)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[path = "support/whole.rs"]
mod whole;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use raincoat_runtime::snapshot::Snapshot;
use raincoat_runtime::{Answer, Config, Console, Keeper, PlanView, UndoAsk};
use raincoat_types::{Clock, Timestamp};
use whole::{Dice, Home, Said, binary, contents, leftovers, lines, messy, said, same};

const TIDY: [&str; 5] = ["--recursive", "--remove-empty", "--yes", "--json", "-q"];

#[test]
fn two_keepers_work_at_once_in_two_folders_and_in_one() {
    let (home, dir) = Home::granted("in");
    messy(&dir, 120, &mut Dice(1));
    let other = home.path("other");
    fs::create_dir(&other).unwrap();
    messy(&other, 120, &mut Dice(2));
    home.ok(&["grant", "other"]);
    let (before, other_before) = (Snapshot::take(&dir).unwrap(), Snapshot::take(&other).unwrap());

    let both = [tidy(&home, "in"), tidy(&home, "other")].map(|child| said(child.wait_with_output().unwrap()));
    for said in &both {
        assert_eq!(said.code, 0, "{said:?}");
    }
    undo_all(&home, 2);
    same(&before, &dir, "two folders at once");
    same(&other_before, &other, "two folders at once");

    // In one folder each finds files gone that the other moved: it says so, and no file is lost.
    let both = [tidy(&home, "in"), tidy(&home, "in")].map(|child| said(child.wait_with_output().unwrap()));
    for said in &both {
        assert!([0, 1].contains(&said.code), "{said:?}");
    }
    let after = Snapshot::take(&dir).unwrap();
    assert_eq!(leftovers(&after), [""; 0]);
    assert!(contents(&before) == contents(&after), "a file was lost or doubled");
    home.log_is_sound();
}

#[test]
fn a_keeper_that_is_killed_does_not_hold_up_another() {
    let (home, dir) = Home::granted("in");
    messy(&dir, 150, &mut Dice(3));
    let other = home.path("other");
    fs::create_dir(&other).unwrap();
    messy(&other, 150, &mut Dice(4));
    home.ok(&["grant", "other"]);
    let (before, other_before) = (Snapshot::take(&dir).unwrap(), Snapshot::take(&other).unwrap());
    let mut first_killed = 0;
    for round in 0..12 {
        let mut one = tidy(&home, "in");
        let two = tidy(&home, "other");
        std::thread::sleep(Duration::from_millis(20 + 15 * round));
        one.kill().unwrap();
        first_killed += usize::from(one.wait().unwrap().code().is_none());
        let two = said(two.wait_with_output().unwrap());
        assert_eq!(two.code, 0, "round {round}: {two:?}");
        undo_all(&home, 2);
        same(&before, &dir, &format!("round {round}"));
        same(&other_before, &other, &format!("round {round}"));
    }
    assert!(first_killed > 3, "{first_killed}");
    home.log_is_sound();
}

#[test]
fn a_file_that_changes_between_plan_and_act_is_left_to_whoever_changed_it() {
    let (home, dir) = Home::granted("in");
    for n in 0..300 {
        fs::write(dir.join(format!("{n}.txt")), format!("{n}\n")).unwrap();
    }
    // Somebody writes, replaces and removes while the command works.
    let child = tidy(&home, "in");
    let mut mine = Vec::new();
    for n in (0..300).step_by(7) {
        let path = dir.join(format!("{n}.txt"));
        match n % 3 {
            0 if fs::remove_file(&path).is_ok() => {}
            1 if path.exists() => {
                let text = format!("mine {n}\n");
                fs::write(dir.join("fresh"), &text).unwrap();
                fs::rename(dir.join("fresh"), &path).unwrap();
                mine.push(text);
            }
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let ended = said(child.wait_with_output().unwrap());
    assert!([0, 1].contains(&ended.code), "{ended:?}");
    let all = |dir: &Path| {
        let mut found = Vec::new();
        whole::files_below(dir, &mut found);
        found.into_iter().map(|(_, bytes)| String::from_utf8(bytes).unwrap()).collect::<Vec<_>>()
    };
    let after = all(&dir);
    for text in &mine {
        assert!(after.contains(text), "`{text}` was lost");
    }
    let undone = home.run(&["undo", "--json"]);
    assert!([0, 5].contains(&undone.code), "{undone:?}");
    let after = all(&dir);
    for text in &mine {
        assert!(after.contains(text), "`{text}` was lost in undo");
    }
    assert_eq!(leftovers(&Snapshot::take(&dir).unwrap()), [""; 0]);
    home.log_is_sound();
}

#[test]
fn a_full_disk_under_the_folder_or_under_the_store_loses_nothing() {
    need_root();
    // The folder's disk is full: archives cannot be made; nothing else is touched.
    let (home, dir) = Home::granted("in");
    let script = format!(
        "mount -t tmpfs -o size=2m tmpfs '{dir}' && for n in $(seq 1 6); do head -c 300000 /dev/urandom > '{dir}'/$n.bin; \
         touch -d 2020-01-0$n '{dir}'/$n.bin; done && cd '{home}' && $RAINCOAT grant in >/dev/null && \
         find '{dir}' -type f -printf '%p %T@ ' -exec sha256sum {{}} + | sort > before && \
         $RAINCOAT do archive-old in --older-than 1d --yes --json; echo code $?; \
         $RAINCOAT undo --json; echo code $?; ls -A '{dir}' | grep -c raincoat; \
         find '{dir}' -type f -printf '%p %T@ ' -exec sha256sum {{}} + | sort > after; cmp before after && echo same",
        dir = dir.display(),
        home = home.dir.path().display(),
    );
    let ended = in_own_mounts(&home, &script);
    assert!(ended.out.contains("No space left") || ended.out.contains("no space"), "{ended:?}");
    assert!(ended.out.contains("code 1\n") && ended.out.ends_with("same\n"), "{ended:?}");

    // The store's disk is full: the change is not made at all, and the error is the system's.
    for kib in [600, 1000, 1400, 2000, 3000, 5000] {
        let home = Home::new();
        let dir = home.path("in");
        fs::create_dir(&dir).unwrap();
        messy(&dir, 60, &mut Dice(kib));
        let before = Snapshot::take(&dir).unwrap();
        let script = format!(
            "mkdir small && mount -t tmpfs -o size={kib}k tmpfs small && export XDG_DATA_HOME=$PWD/small/data XDG_STATE_HOME=$PWD/small/state && \
             $RAINCOAT grant in; echo code $?; $RAINCOAT do dedupe in --yes --json; echo code $?; \
             $RAINCOAT do tidy in --recursive --yes --json; echo code $?; mount -o remount,size=64m small; \
             $RAINCOAT runs; echo code $?; for r in $($RAINCOAT runs --json | sed 's/.*\"run\":\"\\([0-9A-Z]*\\)\".*/\\1/'); \
             do $RAINCOAT undo $r; echo undo $?; done; $RAINCOAT audit verify; echo verify $?",
        );
        let ended = in_own_mounts(&home, &script);
        let text = format!("{kib} KiB: {}\n{}", ended.out, ended.err);
        same(&before, &dir, &text);
        // Done, done in part, or the system's fault: never damage, never a bug of ours.
        let codes: Vec<&str> = ended.out.lines().filter_map(|line| line.strip_prefix("code ")).collect();
        assert!(codes.len() == 4 && codes.iter().all(|code| ["0", "1", "7"].contains(code)), "{text}");
        assert_eq!(codes[3], "0", "with room again it goes on: {text}");
        assert!(!ended.out.contains("undo 8") && !ended.out.contains("undo 5"), "{text}");
        assert!(ended.out.ends_with("verify 0\n"), "{text}");
        if kib == 600 {
            assert!(codes[0] == "7" && ended.err.contains("the disk is full"), "{text}");
        }
    }
}

#[test]
fn a_file_system_that_takes_no_writes_is_said_and_left() {
    need_root();
    let (home, dir) = Home::granted("in");
    messy(&dir, 30, &mut Dice(6));
    let before = Snapshot::take(&dir).unwrap();
    let script = "mount --bind in in && mount -o remount,bind,ro in && $RAINCOAT grant in >/dev/null; \
        $RAINCOAT do tidy in --yes --json; echo code $?; $RAINCOAT do tidy in --yes >&2; $RAINCOAT audit verify; echo verify $?";
    let ended = in_own_mounts(&home, script);
    assert!(ended.out.contains("code 1\n") && ended.out.contains("verify 0\n"), "{ended:?}");
    assert!(ended.err.to_lowercase().contains("read-only"), "{ended:?}");
    same(&before, &dir, "read-only");

    // The store itself cannot be written: refused before anything happens.
    let script = "mount --bind .local .local && mount -o remount,bind,ro .local; $RAINCOAT do tidy in --yes --json; echo code $?";
    let ended = in_own_mounts(&home, script);
    assert!(ended.out.ends_with("code 7\n") || ended.out.ends_with("code 8\n"), "{ended:?}");
    assert!(ended.err.to_lowercase().contains("read-only"), "{ended:?}");
    same(&before, &dir, "read-only store");
}

#[test]
fn what_a_user_may_not_touch_is_said_and_left() {
    need_root();
    // As somebody else, in whose folder things lie that are not theirs.
    let (home, dir) = Home::granted("in");
    let nobody = 65_534;
    fs::write(dir.join("theirs.txt"), "theirs").unwrap();
    fs::write(dir.join("hidden.txt"), "hidden").unwrap();
    fs::set_permissions(dir.join("hidden.txt"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir(dir.join("locked")).unwrap();
    fs::write(dir.join("locked/in.txt"), "in").unwrap();
    fs::write(dir.join("own.txt"), "own").unwrap();
    chown(dir.join("own.txt"), Some(nobody), Some(nobody)).unwrap();
    fs::create_dir(dir.join("own")).unwrap();
    fs::write(dir.join("own/a.csv"), "a,b\n").unwrap();
    for path in ["own", "own/a.csv", ""] {
        chown(dir.join(path), Some(nobody), Some(nobody)).unwrap();
    }
    let before = Snapshot::take(&dir).unwrap();
    let theirs = home.path("theirs");
    fs::create_dir(&theirs).unwrap();
    chown(&theirs, Some(nobody), Some(nobody)).unwrap();
    fs::set_permissions(home.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let run = |words: &[&str]| {
        // The binary's own folder may be closed to others: it is handed over as an open file.
        let program = home.path("theirs/raincoat");
        if !program.exists() {
            fs::copy(binary(), &program).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]).arg(program).args(words);
        command.env_clear().env("HOME", &theirs).env("PATH", "/usr/bin:/bin").current_dir(home.dir.path());
        said(command.stdin(Stdio::null()).output().expect("setpriv (util-linux) is installed"))
    };
    assert_eq!(run(&["grant", "in"]).code, 0);
    let tidied = run(&["do", "tidy", "in", "--recursive", "--yes", "--json"]);
    assert!([0, 1].contains(&tidied.code), "{tidied:?}");
    assert!(fs::metadata(dir.join("locked/in.txt")).is_ok(), "{tidied:?}");
    if tidied.code == 1 {
        assert!(tidied.out.to_lowercase().contains("permission") || tidied.out.contains("may not"), "{tidied:?}");
    }
    let undone = run(&["undo"]);
    assert_eq!(undone.code, 0, "{undone:?}");
    same(&before, &dir, &format!("{tidied:?}"));
    assert_eq!(run(&["audit", "verify"]).code, 0);
    // Root's own store is none of theirs.
    let foreign = run(&["do", "tidy", "/root", "--yes"]);
    assert!([3, 7].contains(&foreign.code), "{foreign:?}");
    assert_eq!(fs::metadata(dir.join("own.txt")).unwrap().uid(), nobody);
}

#[test]
fn a_clock_that_goes_a_year_back_changes_nothing() {
    let (home, dir) = Home::granted("in");
    messy(&dir, 30, &mut Dice(8));
    let before = Snapshot::take(&dir).unwrap();
    let (_, tidied) = home.report(&["do", "tidy", "in", "--recursive", "--yes"]);
    let place = |below: &str| home.path(below).join("raincoat");
    let ours =
        raincoat_runtime::Home { config: place(".config"), data: place(".local/share"), state: place(".local/state") };
    let nobody = &mut |_| panic!("the key lies in a file");
    let keeper = Keeper::open(&ours, Config::default(), Arc::new(AYearAgo), nobody).unwrap();
    let ask = UndoAsk { what: tidied["run"].as_str().map(str::to_owned).into_iter().collect(), ..UndoAsk::default() };
    let report = keeper.undo(ask, Arc::default(), &mut Silent).unwrap();
    assert_eq!(report.left, 0);
    same(&before, &dir, "undone a year before it was done");
    assert!(keeper.audit_verify(false).unwrap().sound);
    drop(keeper);
    // The person's clock is right again.
    home.log_is_sound();
    let run = home.json(&["show", tidied["run"].as_str().unwrap()]).pop().unwrap();
    assert_eq!(run["undone"], run["changes"], "{run}");
    home.ok(&["undo", &report.run.unwrap().to_string()]);
    assert_ne!(before.differences(&Snapshot::take(&dir).unwrap()), []);
    home.ok(&["undo", tidied["run"].as_str().unwrap()]);
    same(&before, &dir, "in the end");
    home.log_is_sound();
}

struct AYearAgo;

impl Clock for AYearAgo {
    fn now(&self) -> Timestamp {
        let now = raincoat_runtime::SystemClock.now();
        Timestamp { secs: now.secs - 365 * 86_400, ..now }
    }
}

struct Silent;

impl Console for Silent {
    fn review(&mut self, _: &PlanView<'_>) -> Answer {
        Answer::Accept
    }

    fn say(&mut self, _: &str) {}

    fn status(&mut self, _: &str, _: Option<(u64, u64)>) {}

    fn notice(&mut self, _: &str) {}
}

fn tidy(home: &Home, dir: &str) -> Child {
    let words = [&["do", "tidy", dir], &TIDY[..]].concat();
    home.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Undoes the newest runs, newest first, that are tasks.
fn undo_all(home: &Home, most: usize) {
    let runs = home.json(&["runs", "-n", "4"]);
    for run in runs.iter().filter(|run| run["undo_of"].is_null() && run["undone"] != run["changes"]).take(most) {
        home.ok(&["undo", run["run"].as_str().unwrap()]);
    }
}

/// Runs a script as root in a mount namespace of its own, in the home; `$RAINCOAT` is the program.
fn in_own_mounts(home: &Home, script: &str) -> Said {
    let mut command = Command::new("unshare");
    command.args(["-m", "--propagation", "private", "sh", "-c", script]).env_clear();
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", home.dir.path()).env("RAINCOAT", binary());
    command.current_dir(home.dir.path()).stdin(Stdio::null());
    said(command.output().expect("unshare (util-linux) is installed"))
}

fn need_root() {
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    assert!(root, "this test mounts small disks of its own: run it as root, or in the workflow's container");
}

#[test]
fn a_folder_that_is_gone_is_said_in_json_too() {
    let (home, dir) = Home::granted("in");
    fs::write(dir.join("a.txt"), "a").unwrap();
    fs::remove_dir_all(&dir).unwrap();
    let said = home.run(&["do", "tidy", "in", "--yes", "--json"]);
    assert_eq!(said.code, 2, "{said:?}");
    let error = lines(&said.err);
    assert_eq!(error.last().unwrap()["type"], "error", "{said:?}");
}
