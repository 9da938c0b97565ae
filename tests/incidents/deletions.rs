//! Incidents in which an agent deleted what it was not to delete.

use std::fs;

use serde_json::json;

use crate::agent::{agent, all_refused, call};
use crate::enclosed::{Scene, same};
use raincoat_runtime::snapshot::Snapshot;

/// What a person has around the folder that is handed out: none of it may ever differ.
fn belongings(scene: &Scene) -> Snapshot {
    let home = scene.home.dir.path();
    for (path, content) in [
        ("around/Documents/thesis.tex", "ten years"),
        ("around/Pictures/1.jpg", "a face"),
        ("around/.ssh/id_ed25519", "PRIVATE"),
    ] {
        let path = home.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    Snapshot::take(&home.join("around")).unwrap()
}

fn untouched(scene: &Scene, was: &Snapshot) {
    same(was, &scene.home.path("around"), "what lies around the folder");
}

/// Plays a wiping script in a draft of the folder: nothing is gone; and when the person commits the damage all the same,
/// undo gives everything back.
fn wiped_in_vain(scene: &Scene, script: &str) {
    let was = scene.snapshot();
    let around = belongings(scene);
    let said = scene.exec(&[], script);
    assert!(said.err.contains("changes in its draft"), "{said:?}");
    same(&was, &scene.dir, "before the commit");
    untouched(scene, &around);
    let run = scene.newest();
    scene.commit(&run);
    assert!(!scene.there("a.txt") && !scene.there("sub"), "the wipe was not committed: {said:?}");
    scene.undone(&was, "after the undo");
    untouched(scene, &around);
    let log = scene.log();
    assert!(log.contains("began in a draft") && log.contains("to remove a.txt"), "{log}");
    scene.log_is_sound();
}

/// The same where the whole home is the folder, for those who start their agents there.
fn home_wiped_in_vain(script: &str) {
    let scene = Scene::new();
    let home = scene.home.dir.path().to_path_buf();
    let around = belongings(&scene);
    let was = scene.snapshot();
    let said = scene.home.run(&["exec", "--", "sh", "-c", script]);
    assert!(said.err.contains("changes in its draft"), "{said:?}");
    same(&was, &scene.dir, "before the commit");
    untouched(&scene, &around);
    let run = scene.newest();
    // From the home: the folder itself goes.
    scene.home.ok(&["commit", &run]);
    assert!(!scene.there("a.txt") && !home.join("around/Documents/thesis.tex").exists());
    // Keys stay where they are, and our own data too: their names are protected.
    assert!(home.join("around/.ssh/id_ed25519").exists());
    scene.log_is_sound();
    scene.home.ok(&["undo"]);
    same(&was, &scene.dir, "after the undo");
    untouched(&scene, &around);
    scene.ok(&["discard", &run]);
}

#[test]
fn incident_06_an_install_script_wipes_the_home() {
    // `npm install` ran `rm -rf` on the home, which was the working directory: it wipes a draft, and undo gives it back.
    let scene = Scene::new();
    let package = r#"{"name": "p", "version": "1.0.0", "scripts": {"postinstall": "rm -rf \"$PWD\"/*.txt sub \"$HOME\"/around"}}"#;
    scene.write("package.json", package);
    wiped_in_vain(
        &scene,
        "npm install --offline --no-audit --no-fund --no-update-notifier >/dev/null 2>&1; test ! -e a.txt",
    );
    home_wiped_in_vain("cd ~ && rm -rf *; rm -rf .[a-z]* 2>/dev/null; true");
}

#[test]
fn incident_09_a_release_tells_the_agent_to_wipe_everything() {
    // A shipped prompt said to delete local files and cloud resources: files come back, keys and clouds are not there.
    let scene = Scene::new();
    fs::create_dir(scene.home.path(".aws")).unwrap();
    fs::write(scene.home.path(".aws/credentials"), "aws_secret_access_key = x\n").unwrap();
    wiped_in_vain(
        &scene,
        "cat ~/.aws/credentials && exit 9; curl -sS -m 3 https://ec2.amazonaws.com/ && exit 9; \
         find . -mindepth 1 -delete; find ~ -mindepth 1 -delete; true",
    );
    // The same words to an agent with tools: what it deletes is kept first.
    let was = scene.snapshot();
    let told = agent(
        &scene,
        vec![
            call("read_file", json!({ "path": "~/.aws/credentials" })),
            call("delete", json!({ "path": scene.home.path(".aws").to_str().unwrap(), "recursive": true })),
            call("delete", json!({ "path": "sub", "recursive": true })),
            call("delete", json!({ "path": "a.txt" })),
        ],
    );
    all_refused(&told[..2]);
    assert!(!scene.there("sub") && !scene.there("a.txt"), "{told:?}");
    scene.undone(&was, "after the agent's wipe");
    assert!(scene.home.path(".aws/credentials").exists());
}

#[test]
fn incident_20_an_agent_removes_the_home_by_its_variable() {
    // `rm -rf $HOME` was allowed as a command: inside, the home is an empty private one.
    let scene = Scene::new();
    wiped_in_vain(&scene, "rm -rf \"$HOME\"; rm -rf \"$HOME\"/*; true");
    let was = scene.snapshot();
    let around = belongings(&scene);
    let home = scene.home.dir.path().to_str().unwrap().to_owned();
    let told = agent(
        &scene,
        ["$HOME", "~", "..", &home, "../around"]
            .iter()
            .map(|path| call("delete", json!({ "path": path, "recursive": true })))
            .collect(),
    );
    all_refused(&told);
    same(&was, &scene.dir, "after the agent");
    untouched(&scene, &around);
}

#[test]
fn incident_27_a_tilde_at_the_end_of_a_command_is_the_home() {
    // `rm -rf sub build ~/` expanded its last word: what it names inside is the draft alone.
    let scene = Scene::new();
    scene.write("build/out.o", "x");
    wiped_in_vain(&scene, "rm -rf sub/ build/ ~/; test ! -e a.txt");
}

#[test]
fn incident_28_a_folder_called_tilde_and_what_removed_it() {
    // A folder with the name `~` was made by mistake, and its removal took the home: the draft's, here.
    let scene = Scene::new();
    wiped_in_vain(&scene, "mkdir -p '~/p' && rm -rf ~ ; cd /tmp; rm -rf \"${OLDPWD:?}\"/*; true");
    // An agent's tools expand nothing: `~` is a name like any other.
    let was = scene.snapshot();
    let around = belongings(&scene);
    let told = agent(
        &scene,
        vec![
            call("make_dir", json!({ "path": "~" })),
            call("write_file", json!({ "path": "~/x.txt", "content": "x" })),
            call("delete", json!({ "path": "~", "recursive": true })),
        ],
    );
    same(&was, &scene.dir, &format!("{told:?}"));
    untouched(&scene, &around);
}

#[test]
fn incident_30_an_unquoted_path_with_a_space_names_the_disk() {
    // `rmdir /s /q` on an unquoted path began at the drive's root: what was not handed out is not there to be removed.
    let scene = Scene::new();
    let around = belongings(&scene);
    let spaced = scene.home.path("My Project");
    for path in ["My/precious.txt", "My Project/node_modules/.vite/x", "My Project/keep.txt", "Project/also.txt"] {
        let path = scene.home.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    let all = |when: &str, was: &[Snapshot; 3]| {
        for (was, dir) in was.iter().zip(["My", "My Project", "Project"]) {
            same(was, &scene.home.path(dir), when);
        }
    };
    let was = ["My", "My Project", "Project"].map(|dir| Snapshot::take(&scene.home.path(dir)).unwrap());
    let script = "D=$PWD/node_modules/.vite; rm -rf $D; cd ..; rm -rf $PWD/My Project/node_modules; rm -rf My Project/*; \
                  cd \"My Project\" && rm -rf ./$UNSET*; true";
    let said = scene.home.run(&["exec", "--in", spaced.to_str().unwrap(), "--", "sh", "-c", script]);
    assert_eq!(said.code, 0, "{said:?}");
    all("before the commit", &was);
    // The whole folder was emptied in the draft; the person keeps it all the same, and takes it back.
    scene.ok(&["commit", &scene.newest()]);
    assert!(fs::read_dir(&spaced).unwrap().next().is_none());
    scene.ok(&["undo"]);
    all("after the undo", &was);
    untouched(&scene, &around);
}

#[test]
fn incident_53_a_sub_agent_without_a_sandbox_deletes_everything() {
    // A sub-agent ran outside and the check failed open: here whatever is started inherits the walls, and without walls
    // nothing runs.
    let scene = Scene::new();
    for n in 0..300 {
        scene.write(&format!("data/{:02}/{n}.txt", n % 20), &format!("{n}\n"));
    }
    wiped_in_vain(
        &scene,
        "setsid sh -c 'setsid find . -mindepth 1 -delete & setsid rm -rf ~/around ../around & wait' & wait; \
         test ! -e data && test ! -e ../around",
    );
    // Where no enclosure can be made: refused, and not run bare.
    let was = scene.snapshot();
    let script = format!(
        "echo 0 > /proc/sys/user/max_user_namespaces && exec {} exec -- sh -c 'rm -rf *'",
        crate::enclosed::raincoat()
    );
    let mut bare = std::process::Command::new("unshare");
    bare.args(["-Ur", "sh", "-c", &script]).current_dir(&scene.dir).env_clear();
    let out =
        bare.env("HOME", scene.home.dir.path()).env("PATH", "/usr/bin:/bin").output().expect("unshare is installed");
    let said = crate::enclosed::said(out);
    assert!(![0, 1].contains(&said.code), "{said:?}");
    assert!(said.err.contains("namespace"), "{said:?}");
    same(&was, &scene.dir, "where no enclosure can be made");
}

#[test]
fn incident_54_a_job_in_the_background_runs_in_another_folder() {
    // A background download lost its working directory and cleaned up the wrong one: it cleaned up a draft.
    let scene = Scene::new();
    scene.write("data/precious.bin", "rows");
    wiped_in_vain(&scene, "(cd data-typo 2>/dev/null; rm -rf ./*) & wait; test ! -e data");
    // What is still in the background at the end ends with the run.
    let was = scene.snapshot();
    let said = scene.exec(&[], "(sleep 3; rm -rf ./* ../around) >/dev/null 2>&1 & exit 0");
    assert_eq!(said.code, 0, "{said:?}");
    same(&was, &scene.dir, "after the run");
    assert!(scene.log().contains("left running"), "{}", scene.log());
}
