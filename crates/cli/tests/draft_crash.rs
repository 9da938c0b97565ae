//! `kill -9` at every system call of an exec that changes something, of a discard, and of the undo of a commit: the folder
//! is not touched by the first two, no work of a program that has ended is lost, and an undo can be finished. (C2, C3)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests"
)]

#[path = "support/commits.rs"]
mod commits;
#[path = "support/drafted.rs"]
mod drafted;
#[path = "support/whole.rs"]
mod whole;

use std::os::unix::process::ExitStatusExt;

use commits::{Came, Commits, calls, lanes, under};
use drafted::{Program, Tree};
use raincoat_runtime::snapshot::Snapshot;
use whole::{leftovers, same};

const PROGRAMS: [Program; 2] = [Program::Plain, Program::Protected];

#[test]
fn killed_at_every_call_an_exec_loses_nothing_of_a_program_that_has_ended() {
    let kills = lanes(|lane| {
        let mut commits = Commits::new(PROGRAMS[lane]);
        commits.drafted.discard_all();
        let (mut kills, mut kept) = (0, 0);
        for n in calls(0, 2) {
            let at = format!("{:?} exec killed at call {n}", PROGRAMS[lane]);
            let mut command = commits.drafted.exec_command("never");
            let output = command.env("RAINCOAT_FAULT", format!("kill:{n}")).output().unwrap();
            let killed = output.status.signal() == Some(9);
            let ended = String::from_utf8_lossy(&output.stdout).contains("all-done");
            commits.drafted.settle(&at);
            assert_eq!(commits.drafted.tree(&at), Tree::Before, "{at}");
            let open = commits.drafted.drafts();
            assert!(open.len() <= 1 && (!ended || open.len() == 1), "{at}: the program ended, its draft is gone");
            // Killed before the program began, it may have no record yet; it is listed and can be thrown away.
            for run in &open {
                if !ended && commits.drafted.home.run(&["review", run]).code == 8 {
                    continue;
                }
                let review = commits.drafted.review(run);
                assert!(!ended || review == commits.whole, "{at}: of a program that ended there is only {review:?}");
                if ended && kept % 4 == 0 {
                    commits.draft = Some(run.clone());
                    commits.drafted.home.ok(&["commit", run]);
                    assert_eq!(commits.judge(&format!("{at}, committed")), Tree::After);
                }
                kept += usize::from(ended);
            }
            commits.drafted.discard_all();
            if !killed {
                assert!(ended && output.status.success(), "{at}: {output:?}");
                break;
            }
            kills += 1;
        }
        commits.drafted.home.log_is_sound();
        println!("{:?}: {kills} execs were killed, {kept} after their program had ended", PROGRAMS[lane]);
        assert!(kept > 2, "{kept}");
        kills
    });
    assert!(kills > 20, "{kills}");
}

#[test]
fn killed_at_every_call_a_discard_leaves_the_draft_or_nothing_of_it() {
    let kills = lanes(|lane| {
        let mut commits = Commits::new(PROGRAMS[lane]);
        let mut kills = 0;
        for n in calls(0, 2) {
            let draft = commits.ready();
            let at = format!("discard killed at call {n}");
            let came = under(commits.drafted.command(&["discard", &draft, "--yes"]), "kill", n);
            commits.drafted.settle(&at);
            assert_eq!(commits.drafted.tree(&at), Tree::Before, "{at}");
            match commits.drafted.drafts().as_slice() {
                [] => commits.draft = None,
                [still] => assert_eq!((still, &commits.drafted.review(still)), (&draft, &commits.whole), "{at}"),
                more => panic!("{at}: {more:?}"),
            }
            if let Came::Ended(said) = came {
                assert!(said.code == 0 && commits.draft.is_none(), "{at}: {said:?}");
                break;
            }
            kills += 1;
        }
        commits.drafted.home.log_is_sound();
        kills
    });
    println!("{kills} discards were killed");
    assert!(kills > 10, "{kills}");
}

#[test]
fn killed_at_every_call_the_undo_of_a_commit_can_be_finished() {
    let kills = lanes(|lane| {
        let mut commits = Commits::new(Program::Plain);
        let mut kills = 0;
        for n in calls(lane, 8) {
            let at = format!("undo of a commit killed at call {n}");
            let draft = commits.ready();
            commits.drafted.home.ok(&["commit", &draft]);
            let run = commits.drafted.newest_run();
            let came = under(commits.drafted.command(&["undo", &run]), "kill", n);
            commits.drafted.settle(&at);
            assert_eq!(leftovers(&Snapshot::take(&commits.drafted.dir).unwrap()), [""; 0], "{at}");
            commits.drafted.home.ok(&["undo", &run]);
            same(&commits.drafted.before, &commits.drafted.dir, &format!("{at}, undone again"));
            commits.draft = None;
            if let Came::Ended(said) = came {
                assert_eq!(said.code, 0, "{at}: {said:?}");
                break;
            }
            kills += 1;
        }
        commits.drafted.home.log_is_sound();
        kills
    });
    println!("{kills} undos were killed");
    assert!(kills > 10, "{kills}");
}
