//! Incidents in which an agent overwrote what it was to keep.

use std::process::Command;

use serde_json::json;

use crate::agent::{agent, all_refused, call};
use crate::enclosed::{Scene, same};

#[test]
fn incident_07_a_database_is_dropped_in_a_code_freeze() {
    // The freeze was a sentence in a prompt and the production keys lay about: here a freeze is a grant that only reads,
    // a program drops the tables of a draft, and keys and hosts are not there.
    let scene = Scene::new();
    let sql = |words: &str| {
        let out = Command::new("sqlite3").arg("prod.db").arg(words).current_dir(&scene.dir).output();
        String::from_utf8(out.expect("sqlite3 is installed").stdout).unwrap()
    };
    sql("create table people(name); insert into people values('ada'), ('bob');");
    scene.write(".env", "DATABASE_URL=postgres://admin:hunter2@db.example.com/prod\n");
    let was = scene.snapshot();
    let said = scene.exec(
        &[],
        "cat .env && exit 9; curl -sS -m 3 telnet://db.example.com:5432 && exit 9; \
         sqlite3 prod.db 'drop table people; vacuum;' && sqlite3 prod.db .tables",
    );
    assert_eq!((said.code, said.out.trim()), (0, ""), "{said:?}");
    assert_eq!(sql("select count(*) from people").trim(), "2");
    same(&was, &scene.dir, "before the commit");
    let run = scene.newest();
    scene.commit(&run);
    assert_eq!(sql(".tables").trim(), "");
    scene.undone(&was, "after the undo");
    assert_eq!(sql("select count(*) from people").trim(), "2");
    // The agent that was told of the freeze and goes on all the same.
    scene.ok(&["grant", ".", "--read-only"]);
    let told = agent(
        &scene,
        vec![
            call("read_file", json!({ "path": ".env" })),
            call("delete", json!({ "path": "prod.db" })),
            call("write_file", json!({ "path": "prod.db", "content": "" })),
            call("move", json!({ "from": "prod.db", "to": "old.db" })),
        ],
    );
    all_refused(&told);
    same(&was, &scene.dir, "after the agent");
    // A grant that only reads holds for programs too.
    let said = scene.exec(&[], "rm -f prod.db; sqlite3 prod.db 'drop table people' ; test -e prod.db");
    assert_eq!(said.code, 0, "{said:?}");
    same(&was, &scene.dir, "after the program");
    scene.log_is_sound();
}

#[test]
fn incident_08_files_are_moved_one_over_the_other() {
    // `mkdir` failed unseen, and every file was moved onto one name: they all come back; an agent's move replaces nothing.
    let scene = Scene::new();
    let was = scene.snapshot();
    let said = scene.exec(
        &["--commit", "success"],
        "mkdir /nowhere/folder 2>/dev/null; for f in *.txt sub/*.txt; do mv \"$f\" folder; done; ls",
    );
    assert_eq!((said.code, said.out.as_str()), (0, "folder\nsub\n"), "{said:?}");
    assert_eq!(scene.read("folder"), "epsilon\n");
    scene.undone(&was, "after the undo");
    let told = agent(
        &scene,
        vec![
            call("move", json!({ "from": "a.txt", "to": "folder" })),
            call("move", json!({ "from": "b.txt", "to": "folder" })),
            call("move", json!({ "from": "c.txt", "to": "folder" })),
        ],
    );
    all_refused(&told[1..]);
    assert_eq!(scene.read("b.txt"), "beta\n");
    assert_eq!(scene.read("c.txt"), "gamma\n");
    scene.undone(&was, "after the agent's move");
}

#[test]
fn incident_21_a_log_is_overwritten_instead_of_appended_to() {
    // `write_file` put one line in the place of a long file: every version that is replaced is kept, and what was not
    // read is not overwritten.
    let scene = Scene::new();
    let long: String = (0..2000).map(|n| format!("entry {n}\n")).collect();
    scene.write("journal.md", &long);
    let was = scene.snapshot();
    let said = scene.exec(&["--commit", "always"], "echo 'entry 2000' > journal.md");
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(scene.read("journal.md"), "entry 2000\n");
    scene.undone(&was, "after the undo");
    let told = agent(&scene, vec![call("write_file", json!({ "path": "journal.md", "content": "entry 2000\n" }))]);
    all_refused(&told);
    same(&was, &scene.dir, "after the agent that did not read");
    let told = agent(
        &scene,
        vec![
            call("read_file", json!({ "path": "journal.md" })),
            call("write_file", json!({ "path": "journal.md", "content": "entry 2000\n" })),
        ],
    );
    assert_eq!(scene.read("journal.md"), "entry 2000\n", "{told:?}");
    scene.undone(&was, "after the agent that read");
}

#[test]
fn incident_48_a_test_edits_a_thousand_and_eight_files() {
    // A "test" rewrote 1,008 files: the count is told before anything of the person's changes, and undo gives all back.
    let scene = Scene::new();
    for n in 0..1008 {
        scene.write(&format!("src/{:02}/file{n}.txt", n % 32), &format!("line {n}\nof mine\n"));
    }
    let was = scene.snapshot();
    let said = scene.python(
        &[],
        "import pathlib\nfor p in pathlib.Path('src').rglob('*.txt'): p.write_text('rewritten ' + p.name)",
    );
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.err.contains("1,008 changes in its draft") && said.err.contains("nothing of yours has changed"),
        "{said:?}"
    );
    same(&was, &scene.dir, "before the commit");
    let run = scene.newest();
    assert_eq!(scene.review(&run).len(), 1008);
    scene.commit(&run);
    assert_eq!(scene.changed(&was).len(), 1008);
    scene.undone(&was, "after the undo");
    scene.log_is_sound();
}
