//! What becomes of a draft: committed in part, while its program runs, thrown away, and found again when its keeper died;
//! all of it can be taken back. (B1, B3, B4)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[path = "support/enclosed.rs"]
mod enclosed;

use std::fs;

use enclosed::{Scene, lines, same, signal, until};

#[test]
fn a_commit_of_a_part_leaves_the_rest_for_a_second_one() {
    let scene = Scene::new();
    let was = scene.snapshot();
    let run = scene
        .drafted("echo 1 >> a.txt; echo 2 >> b.txt; echo 3 >> sub/d.txt; mkdir n; echo 4 > n/x.lock; echo 5 > n/y.txt");
    // A dry run does nothing.
    let said = scene.ok(&["commit", &run, "--only", "sub/**", "--dry-run"]);
    assert!(said.out.contains("sub/d.txt") && !said.out.contains("a.txt"), "{said:?}");
    same(&was, &scene.dir, "after a dry run");
    scene.ok(&["commit", &run, "--only", "sub/**", "--only", "a.txt"]);
    assert_eq!(scene.changed(&was), ["a.txt", "sub/d.txt"]);
    let left: Vec<String> = scene.review(&run).iter().map(|c| c["path"].as_str().unwrap().to_owned()).collect();
    assert_eq!(left, ["b.txt", "n", "n/x.lock", "n/y.txt"]);
    let part = scene.snapshot();
    scene.ok(&["commit", &run, "--except", "*.lock"]);
    assert_eq!(scene.changed(&was), ["a.txt", "b.txt", "n", "n/y.txt", "sub/d.txt"]);
    scene.ok(&["commit", &run]);
    assert_eq!(scene.read("n/x.lock"), "4\n");
    assert!(scene.drafts().is_empty(), "nothing is left of it");
    // Each is undone by itself, newest first.
    let commits = commits(&scene);
    assert_eq!(commits.len(), 3);
    scene.ok(&["undo", &commits[0]]);
    scene.ok(&["undo", &commits[1]]);
    same(&part, &scene.dir, "after the second and third were undone");
    scene.ok(&["undo", &commits[2]]);
    same(&was, &scene.dir, "after all were undone");
    scene.log_is_sound();
}

#[test]
fn a_part_takes_along_what_it_needs_and_leaves_what_others_need() {
    let scene = Scene::new();
    let was = scene.snapshot();
    let run = scene.drafted("mkdir -p x/y; echo z > x/y/z; echo w > x/w; rm -r sub");
    // A file in new folders brings them along, and nothing else in them.
    scene.ok(&["commit", &run, "--only", "x/y/z"]);
    assert_eq!(scene.changed(&was), ["x", "x/y", "x/y/z"]);
    // A folder of which something is kept stays.
    scene.ok(&["commit", &run, "--except", "sub/e.txt", "--except", "x"]);
    assert!(!scene.there("sub/d.txt") && !scene.there("x/w"));
    assert_eq!(scene.read("sub/e.txt"), "epsilon\n");
    scene.ok(&["commit", &run]);
    assert!(!scene.there("sub") && scene.there("x/w"));
    for commit in commits(&scene) {
        scene.ok(&["undo", &commit]);
    }
    same(&was, &scene.dir, "after all were undone");
}

#[test]
fn many_commits_of_a_running_program_lose_nothing_of_what_it_goes_on_to_do() {
    let scene = Scene::new();
    let was = scene.snapshot();
    let mut running = scene.start(
        &[],
        "for n in 1 2 3 4; do echo $n >> a.txt; echo $n > new$n.txt; rm -f new$((n - 2)).txt; echo step; read go; done",
    );
    let run = {
        running.waits_for("step");
        scene.newest()
    };
    for step in 1..=4 {
        if step > 1 {
            running.waits_for("step");
        }
        scene.commit(&run);
        let expected: String = (1..=step).map(|n| format!("{n}\n")).collect();
        assert_eq!(scene.read("a.txt"), format!("one\ntwo\nthree\nfour\nfive\n{expected}"), "step {step}");
        for n in 1..=step {
            assert_eq!(scene.there(&format!("new{n}.txt")), n + 2 > step, "step {step}: new{n}.txt");
        }
        running.say("go");
    }
    assert_eq!(running.end().code, 0);
    assert!(scene.drafts().is_empty(), "all of it was committed: {:#?}", scene.review(&run));
    for commit in commits(&scene) {
        scene.ok(&["undo", &commit]);
    }
    same(&was, &scene.dir, "after all were undone");
    scene.log_is_sound();
}

/// The runs that committed something, newest first.
fn commits(scene: &Scene) -> Vec<String> {
    let runs = lines(&scene.ok(&["runs", "--json", "-n", "50"]).out);
    let commits = runs.iter().filter(|run| run["goal"].as_str().unwrap().starts_with("commit"));
    commits.map(|run| run["run"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn protected_names_go_along_only_where_they_are_named_and_our_own_never() {
    let scene = Scene::new();
    let was = scene.snapshot();
    let run = scene.drafted("mkdir -p .vscode; echo '{}' > .vscode/tasks.json; echo 'x=1' > .bashrc; echo x > a.txt");
    let said = scene.commit(&run);
    assert!(said.err.contains("left out"), "{said:?}");
    assert_eq!(scene.changed(&was), ["a.txt"]);
    let said = scene.run(&["commit", &run, "--dangerous", "nothing"]);
    assert_eq!(said.code, 2, "{said:?}");
    scene.ok(&["commit", &run, "--dangerous", ".vscode"]);
    assert_eq!(scene.changed(&was), [".vscode", ".vscode/tasks.json", "a.txt"]);
    scene.ok(&["discard", &run]);
    scene.ok(&["undo"]);
    scene.ok(&["undo", &commits(&scene)[1]]);
    same(&was, &scene.dir, "after both were undone");

    // Raincoat's own data is not the draft's to take away, whatever is named.
    let said = scene.home.run(&["exec", "--", "sh", "-c", "rm -rf .local; true"]);
    assert_eq!(said.code, 0, "{said:?}");
    let run = scene.newest();
    let said = scene.run(&["commit", &run, "--dangerous", ".local", "--conflict", "keep-theirs"]);
    assert!(scene.home.path(".local/share/raincoat/keys.bin").exists(), "{said:?}");
    scene.log_is_sound();
    scene.ok(&["discard", "--all"]);
}

#[test]
fn a_commit_while_the_program_runs_takes_what_it_is_done_with() {
    let scene = Scene::new();
    let was = scene.snapshot();
    let mut running = scene.start(
        &[],
        "echo 1 >> a.txt; echo 2 >> b.txt; exec 3>>c.txt; echo 3 >&3; echo ready; read go; echo 4 >&3; echo 5 >> a.txt",
    );
    running.waits_for("ready");
    let run = scene.newest();
    assert_eq!(scene.drafts()[0]["state"], "running");
    assert_ne!(scene.run(&["discard", &run]).code, 0, "a draft that is at work is not thrown away");
    let said = scene.run(&["commit", &run]);
    assert_eq!(said.code, 0, "{said:?}");
    let told = format!("{}{}", said.out, said.err);
    assert!(told.contains("c.txt") && told.contains("left out"), "{said:?}");
    assert_eq!(scene.changed(&was), ["a.txt", "b.txt"]);
    assert_eq!(scene.read("a.txt"), "one\ntwo\nthree\nfour\nfive\n1\n");
    running.say("go");
    let ended = running.end();
    assert_eq!(ended.code, 0, "{ended:?}");
    let rest: Vec<String> = scene.review(&run).iter().map(|c| c["path"].as_str().unwrap().to_owned()).collect();
    assert_eq!(rest, ["a.txt", "c.txt"]);
    scene.commit(&run);
    assert_eq!(scene.read("a.txt"), "one\ntwo\nthree\nfour\nfive\n1\n5\n");
    assert_eq!(scene.read("b.txt"), "beta\n2\n");
    assert_eq!(scene.read("c.txt"), "gamma\n3\n4\n");
    for commit in commits(&scene) {
        scene.ok(&["undo", &commit]);
    }
    same(&was, &scene.dir, "after both were undone");
    scene.log_is_sound();
}

#[test]
fn a_draft_is_thrown_away_without_a_trace_in_the_folder() {
    let scene = Scene::new();
    let was = scene.snapshot();
    let first = scene.drafted("rm -rf *; echo x > y");
    let second = scene.drafted("echo x > z");
    scene.ok(&["discard", &first]);
    assert_eq!(scene.drafts().len(), 1);
    scene.ok(&["discard", "--all"]);
    assert!(scene.drafts().is_empty());
    same(&was, &scene.dir, "after both were thrown away");
    let said = scene.run(&["commit", &second]);
    assert_eq!(said.code, 2, "{said:?}");
    let log = scene.log();
    assert!(log.contains(&format!("draft of run {first} was thrown away")), "{log}");
    let left = fs::read_dir(scene.home.path(".local/share/raincoat/drafts")).unwrap().count();
    assert_eq!(left, 0, "the directories are gone");
}

#[test]
fn the_draft_of_a_keeper_that_was_killed_is_there_and_can_be_committed() {
    let scene = Scene::new();
    let was = scene.snapshot();
    let mut running = scene.start(&[], "echo 1 >> a.txt; rm b.txt; echo ready; sleep 314; echo late >> a.txt");
    running.waits_for("ready");
    until("its program", || !enclosed::with_words("sleep\x00314").is_empty());
    let program = enclosed::with_words("sleep\x00314");
    signal(running.pid(), "KILL");
    running.end();
    until("the program's end", || program.iter().all(|pid| !enclosed::lives(*pid)));
    let drafts = scene.drafts();
    assert_eq!((drafts.len(), &drafts[0]["state"]), (1, &"interrupted".into()), "{drafts:?}");
    let run = scene.newest();
    let runs = lines(&scene.ok(&["runs", "--json"]).out);
    assert_eq!(runs.iter().find(|one| one["run"] == *run).unwrap()["status"], "interrupted", "{runs:?}");
    let paths: Vec<String> = scene.review(&run).iter().map(|c| c["path"].as_str().unwrap().to_owned()).collect();
    assert_eq!(paths, ["b.txt", "a.txt"]);
    // Drift is known for it too.
    let edited = scene.read("a.txt") + "mine\n";
    scene.write("a.txt", &edited);
    assert_eq!(scene.run(&["commit", &run]).code, 5);
    scene.write("a.txt", "one\ntwo\nthree\nfour\nfive\n");
    scene.ok(&["commit", &run, "--conflict", "keep-theirs"]);
    assert_eq!(scene.read("a.txt"), "one\ntwo\nthree\nfour\nfive\n1\n");
    assert!(!scene.there("b.txt"));
    scene.ok(&["undo"]);
    assert_eq!(scene.changed(&was), [""; 0]);
    scene.log_is_sound();
}
