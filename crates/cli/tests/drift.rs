//! What changes underneath a draft is never overwritten in silence: it is named, nothing is committed, and whatever the
//! person then chooses loses neither side. (B3, B4)

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
use std::os::unix::fs::symlink;

use enclosed::{Scene, lines, same};
use raincoat_runtime::snapshot::Snapshot;

/// What the program does in the tests about drift: it changes, deletes and makes something of everything.
const WORK: &str = "sed -i s/three/THREE/ a.txt; echo program >> b.txt; echo program >> c.txt; rm sub/d.txt; \
    echo program > sub/e.txt; mkdir made; echo program > made/f.txt; echo program > new.txt; chmod 600 mode.txt";

/// What the person does to the same files meanwhile.
fn person(scene: &Scene) {
    scene.write("a.txt", "ONE\ntwo\nthree\nfour\nfive\n"); // edited elsewhere in the text
    fs::remove_file(scene.dir.join("b.txt")).unwrap(); // deleted
    scene.write("other.txt", "mine\n");
    fs::rename(scene.dir.join("other.txt"), scene.dir.join("c.txt")).unwrap(); // replaced
    scene.write("sub/d.txt", "delta, and more of mine\n"); // edited, where the program deletes
    fs::rename(scene.dir.join("sub/e.txt"), scene.dir.join("sub/e2.txt")).unwrap(); // renamed
    scene.write("new.txt", "mine, as new as theirs\n"); // made by both
    scene.write("made/mine.txt", "mine\n"); // a folder made by both
    scene.write("apart.txt", "nobody else's\n"); // made, and no conflict
}

const CONFLICTS: [&str; 6] = ["a.txt", "b.txt", "c.txt", "new.txt", "sub/d.txt", "sub/e.txt"];

/// The work done, with the person's own in between: while the program runs, or after its end.
fn drifted(while_it_runs: bool) -> (Scene, String, Snapshot) {
    let scene = Scene::new();
    scene.write("mode.txt", "only its mode\n");
    if while_it_runs {
        let mut running = scene.start(&[], &format!("{WORK}; echo done; read go"));
        running.waits_for("done");
        person(&scene);
        running.say("go");
        let said = running.end();
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.err.contains("changed in the folder meanwhile"), "{said:?}");
    } else {
        scene.drafted(WORK);
        person(&scene);
    }
    let run = scene.newest();
    let mine = scene.snapshot();
    (scene, run, mine)
}

#[test]
fn what_changed_underneath_refuses_the_commit_and_is_named() {
    for while_it_runs in [true, false] {
        let (scene, run, mine) = drifted(while_it_runs);
        let said = scene.run(&["commit", &run]);
        assert_eq!(said.code, 5, "{said:?}");
        for path in CONFLICTS {
            assert!(said.err.contains(path), "{while_it_runs}: {path} is not named: {said:?}");
            assert!(scene.change(&run, path)["conflict"].is_string(), "{path}");
        }
        for path in ["mode.txt", "apart.txt", "made/f.txt"] {
            assert!(!said.err.contains(path), "{path} is no conflict: {said:?}");
        }
        assert!(said.err.contains("--conflict keep-mine"), "{said:?}");
        same(&mine, &scene.dir, "after the refusal");
        assert_eq!(scene.newest(), run, "the draft is still open");
    }
}

#[test]
fn keep_mine_leaves_every_file_of_the_persons_and_takes_the_rest() {
    for while_it_runs in [true, false] {
        let (scene, run, mine) = drifted(while_it_runs);
        scene.ok(&["commit", &run, "--conflict", "keep-mine"]);
        assert_eq!(scene.changed(&mine), ["made/f.txt", "mode.txt"]);
        assert_eq!(scene.read("made/mine.txt"), "mine\n");
        scene.undone(&mine, "after the undo");
        scene.log_is_sound();
    }
}

#[test]
fn keep_theirs_takes_the_drafts_and_undo_gives_the_persons_back() {
    for while_it_runs in [true, false] {
        let (scene, run, mine) = drifted(while_it_runs);
        scene.ok(&["commit", &run, "--conflict", "keep-theirs"]);
        assert_eq!(scene.read("a.txt"), "one\ntwo\nTHREE\nfour\nfive\n");
        assert_eq!(scene.read("b.txt"), "beta\nprogram\n");
        assert_eq!(scene.read("c.txt"), "gamma\nprogram\n");
        assert_eq!(scene.read("new.txt"), "program\n");
        assert!(!scene.there("sub/d.txt"));
        assert_eq!(scene.read("sub/e.txt"), "program\n");
        // What nobody but the person touched is still there.
        assert_eq!((scene.read("apart.txt"), scene.read("made/mine.txt")), ("nobody else's\n".into(), "mine\n".into()));
        assert_eq!(scene.read("sub/e2.txt"), "epsilon\n");
        scene.undone(&mine, "after the undo");
        scene.log_is_sound();
    }
}

#[test]
fn what_the_person_did_before_the_program_came_to_it_is_not_lost_either() {
    let scene = Scene::new();
    scene.write("mode.txt", "only its mode\n");
    let mut running = scene.start(&[], &format!("echo ready; read go; {WORK}; echo done"));
    running.waits_for("ready");
    // The program sees this, for the draft lies over the folder as it is.
    person(&scene);
    let mine = scene.snapshot();
    running.say("go");
    running.waits_for("done");
    assert_eq!(running.end().code, 0);
    let run = scene.newest();
    let said = scene.run(&["commit", &run]);
    assert_eq!(said.code, 5, "{said:?}");
    for path in ["a.txt", "c.txt", "new.txt", "sub/d.txt"] {
        assert!(said.err.contains(path), "{path} is not named: {said:?}");
    }
    same(&mine, &scene.dir, "after the refusal");
    scene.ok(&["commit", &run, "--conflict", "keep-theirs"]);
    assert_eq!(scene.read("a.txt"), "ONE\ntwo\nTHREE\nfour\nfive\n");
    assert_eq!(scene.read("c.txt"), "mine\nprogram\n");
    scene.undone(&mine, "after the undo");
    scene.log_is_sound();
}

#[test]
fn keep_both_puts_the_drafts_beside_the_persons() {
    let (scene, run, mine) = drifted(false);
    // A deleted file has nothing that could stand beside, so it is chosen apart.
    let said = scene.run(&["commit", &run, "--conflict", "keep-both"]);
    if said.code != 0 {
        assert!(said.err.contains("sub/d.txt"), "{said:?}");
        same(&mine, &scene.dir, "after the refusal");
        scene.ok(&["commit", &run, "--conflict", "keep-both", "--except", "sub/d.txt"]);
    }
    for (path, is) in
        [("a.txt", "ONE\ntwo\nthree\nfour\nfive\n"), ("c.txt", "mine\n"), ("new.txt", "mine, as new as theirs\n")]
    {
        assert_eq!(scene.read(path), is);
    }
    assert_eq!(scene.read("sub/d.txt"), "delta, and more of mine\n");
    let beside = |dir: &str, stem: &str| -> String {
        let names = fs::read_dir(scene.dir.join(dir)).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let found: Vec<String> = names.filter(|name| name.starts_with(&format!("{stem}.draft-"))).collect();
        assert_eq!(found.len(), 1, "{stem}: {found:?}");
        scene.read(&format!("{dir}/{}", found[0]))
    };
    assert_eq!(beside(".", "a"), "one\ntwo\nTHREE\nfour\nfive\n");
    assert_eq!(beside(".", "c"), "gamma\nprogram\n");
    assert_eq!(beside(".", "new"), "program\n");
    scene.undone(&mine, "after the undo");
}

#[test]
fn merge_puts_both_sides_together_where_their_lines_are_apart() {
    for while_it_runs in [true, false] {
        let scene = Scene::new();
        let mut running = scene.start(&[], "echo ready; read go; sed -i s/five/FIVE/ a.txt; echo done; read go");
        running.waits_for("ready");
        running.say("go");
        running.waits_for("done");
        let edit = || scene.write("a.txt", "ONE\ntwo\nthree\nfour\nfive\n");
        if while_it_runs {
            edit();
        }
        running.say("go");
        assert_eq!(running.end().code, 0);
        if !while_it_runs {
            edit();
        }
        let mine = scene.snapshot();
        let run = scene.newest();
        assert_eq!(scene.run(&["commit", &run]).code, 5);
        let said = scene.run(&["commit", &run, "--conflict", "merge"]);
        if while_it_runs && said.code == 5 {
            // What the program began with is known only from its end on; then it is refused, and said.
            assert!(said.err.contains("what the program began with is not known"), "{said:?}");
            same(&mine, &scene.dir, "after the refusal");
            continue;
        }
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(scene.read("a.txt"), "ONE\ntwo\nthree\nfour\nFIVE\n");
        scene.undone(&mine, "after the undo");
    }
}

#[test]
fn merge_of_the_same_lines_is_refused_and_loses_neither() {
    let scene = Scene::new();
    let run = scene.drafted("sed -i s/three/THEIRS/ a.txt");
    scene.write("a.txt", "one\ntwo\nMINE\nfour\nfive\n");
    let mine = scene.snapshot();
    let said = scene.run(&["commit", &run, "--conflict", "merge"]);
    assert_eq!(said.code, 5, "{said:?}");
    assert!(said.err.contains("a.txt") && said.err.contains("same lines"), "{said:?}");
    same(&mine, &scene.dir, "after the refusal");
    assert!(scene.change(&run, "a.txt")["diff"].as_str().unwrap().contains("THEIRS"));
    // What is no text is not merged either.
    let run = scene.drafted("printf 'x\\000theirs' > b.txt");
    fs::write(scene.dir.join("b.txt"), b"x\0mine").unwrap();
    let said = scene.run(&["commit", &run, "--conflict", "merge"]);
    assert_ne!(said.code, 0, "{said:?}");
    assert_eq!(fs::read(scene.dir.join("b.txt")).unwrap(), b"x\0mine");
}

#[test]
fn folders_that_change_underneath_are_conflicts_or_are_joined() {
    let scene = Scene::new();
    for dir in ["gone", "filed", "linked", "removed"] {
        scene.write(&format!("{dir}/x.txt"), "x\n");
    }
    let run = scene.drafted(
        "for d in gone filed linked; do echo program >> $d/x.txt; echo program > $d/y.txt; done; rm -r removed",
    );
    fs::remove_dir_all(scene.dir.join("gone")).unwrap();
    fs::remove_dir_all(scene.dir.join("filed")).unwrap();
    scene.write("filed", "a file now\n");
    let elsewhere = scene.home.path("elsewhere");
    fs::rename(scene.dir.join("linked"), &elsewhere).unwrap();
    symlink(&elsewhere, scene.dir.join("linked")).unwrap();
    scene.write("removed/mine.txt", "mine\n");
    let mine = scene.snapshot();
    let outside = Snapshot::take(&elsewhere).unwrap();
    let said = scene.run(&["commit", &run]);
    assert_eq!(said.code, 5, "{said:?}");
    for path in ["gone", "filed", "linked"] {
        assert!(said.err.contains(path), "{path}: {said:?}");
    }
    same(&mine, &scene.dir, "after the refusal");
    // Whatever is chosen, nothing of the person's is lost: neither below the folder nor where the link leads.
    for how in ["keep-mine", "keep-both", "merge", "keep-theirs"] {
        let said = scene.run(&["commit", &run, "--conflict", how]);
        same(&outside, &elsewhere, how);
        if lines(&scene.ok(&["runs", "--json", "-n", "1"]).out)[0]["changes"] != 0
            && said.code == 0
            && scene.changed(&mine) != [""; 0]
        {
            scene.ok(&["undo"]);
        }
        same(&mine, &scene.dir, &format!("{how}: {said:?}"));
        same(&outside, &elsewhere, how);
    }
    scene.log_is_sound();
}
