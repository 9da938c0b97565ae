//! Incidents in which a path led elsewhere than the check thought.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use serde_json::json;

use crate::agent::{agent, all_refused, call};
use crate::enclosed::{Scene, same};
use raincoat_runtime::snapshot::Snapshot;

#[test]
fn incident_11_a_neighbour_begins_with_the_same_letters() {
    // `/home/x/project-secret` begins with `/home/x/project`, so the check let it pass: paths are no text here.
    let scene = Scene::new();
    let twin = scene.home.path("project-secret");
    fs::create_dir(&twin).unwrap();
    fs::write(twin.join("key.txt"), "PRIVATE").unwrap();
    let around = Snapshot::take(&twin).unwrap();
    let was = scene.snapshot();
    let full = twin.join("key.txt").to_str().unwrap().to_owned();
    let server = format!(
        "import os\nroot = os.getcwd()\n\
         for path in [root + '-secret/key.txt', root + '/../project-secret/key.txt', {full:?}]:\n\
         \tassert path.startswith(root) or True\n\
         \tfor way in 'r', 'w':\n\
         \t\ttry: open(path, way)\n\
         \t\texcept FileNotFoundError as why: print(why)\n\
         \t\telse: raise SystemExit(9)\n\
         assert os.listdir('..') == ['project'], os.listdir('..')"
    );
    let said = scene.python(&[], &server);
    assert_eq!(said.code, 0, "{said:?}");
    let told = agent(
        &scene,
        [&*full, "../project-secret/key.txt", "../project-secret"]
            .iter()
            .flat_map(|path| {
                [
                    call("read_file", json!({ "path": path })),
                    call("write_file", json!({ "path": path, "content": "x" })),
                ]
            })
            .collect(),
    );
    all_refused(&told);
    same(&around, &twin, "the neighbour");
    same(&was, &scene.dir, "the folder");
}

#[test]
fn incident_12_a_symlink_is_followed_after_the_check() {
    // A link inside the allowed folder led to /etc and the home: inside a draft it leads nowhere, and an agent's path is
    // walked by descriptors.
    let scene = Scene::new();
    let secret = scene.home.path("secret.txt");
    fs::write(&secret, "PRIVATE").unwrap();
    symlink(&secret, scene.dir.join("notes.txt")).unwrap();
    symlink("..", scene.dir.join("up")).unwrap();
    let was = scene.snapshot();
    let said = scene.exec(
        &[],
        "cat notes.txt up/secret.txt && exit 9; ln -s / root; cat root/etc/shadow && exit 9; echo x > up/new.txt; \
         ln -sf /etc/cron.d cron; echo evil > cron/evil && exit 9; rm -f root cron; true",
    );
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!said.out.contains("PRIVATE"), "{said:?}");
    let told = agent(
        &scene,
        vec![
            call("read_file", json!({ "path": "notes.txt" })),
            call("read_file", json!({ "path": "up/secret.txt" })),
            call("write_file", json!({ "path": "notes.txt", "content": "x" })),
            call("write_file", json!({ "path": "up/new.txt", "content": "x" })),
        ],
    );
    all_refused(&told);
    assert_eq!(fs::read_to_string(&secret).unwrap(), "PRIVATE");
    assert!(!scene.home.path("new.txt").exists());
    same(&was, &scene.dir, "the folder");
}

#[test]
fn incident_52_a_fixed_path_in_tmp_that_others_can_write() {
    // Snapshots went to a fixed, world-readable place in /tmp where another user had planted links: a program's /tmp is
    // its own, and our directories are 0700 with names that nobody knows before.
    let scene = Scene::new();
    let planted = std::path::PathBuf::from(format!("/tmp/agent-snapshot-{}", std::process::id()));
    let victim = scene.home.path("victim.txt");
    fs::write(&victim, "mine\n").unwrap();
    symlink(&victim, &planted).unwrap();
    let said = scene.exec(&[], &format!("echo evil > {0}; cat {0}; ls -A /tmp; echo x > new.txt", planted.display()));
    fs::remove_file(&planted).unwrap();
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.starts_with("evil\n"), "{said:?}");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "mine\n");
    let mine = fs::metadata(scene.home.dir.path()).unwrap().uid();
    let mut looked = 0;
    let mut pending = vec![scene.home.path(".local/share/raincoat"), scene.home.path(".local/state/raincoat")];
    while let Some(dir) = pending.pop() {
        let meta = fs::symlink_metadata(&dir).unwrap();
        // Within the overlay's own directories, which lie in a private one, things are as the program made them.
        let layer = dir.file_name().is_some_and(|name| name == "upper" || name == "work");
        if meta.is_dir() && !layer {
            assert_eq!((meta.uid(), meta.permissions().mode() & 0o77), (mine, 0), "{}", dir.display());
            looked += 1;
            pending.extend(fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert!(looked > 5, "{looked}");
}
