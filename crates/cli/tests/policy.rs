//! The owner's own rules through the real binary: versions, examples, analysis, explaining, and what they do to an agent,
//! a program and a commit. (B2, C4, D1, invariants 2 and 9)

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
use std::path::PathBuf;

use enclosed::{Home, Said};
use raincoat_testkit::model_server::{ModelServer, Turn};
use serde_json::{Value, json};

fn call(name: &str, arguments: Value) -> (String, Value) {
    (name.to_owned(), arguments)
}

fn scene() -> (Home, PathBuf) {
    let home = Home::new();
    let dir = home.path("in");
    fs::create_dir_all(dir.join("books")).unwrap();
    fs::write(dir.join("books/a.csv"), "1,2\n").unwrap();
    fs::write(dir.join("b.txt"), "beta\n").unwrap();
    home.ok(&["init", "--no-input"]);
    home.ok(&["grant", "in"]);
    (home, dir)
}

/// Puts rules in force; `IN` in them is the granted folder.
fn rules(home: &Home, text: &str) -> Said {
    let file = home.path("mine.cedar");
    fs::write(&file, text.replace("IN", home.path("in").canonicalize().unwrap().to_str().unwrap())).unwrap();
    home.run(&["policy", "edit", "--from", "mine.cedar"])
}

const ASK: &str = r#"
@id("books.ask")
@ask("the books are changed only with your word")
@match("agent:default write IN/books/a.csv")
@not_match("agent:default read IN/books/a.csv; agent:default write IN/b.txt")
forbid (principal is Agent, action in Action::"change", resource in Folder::"IN/books")
unless { context.approved };
"#;

const FORBID: &str = r#"
@id("no.csv")
@reason("tables are not deleted")
forbid (principal, action == Action::"delete", resource is File)
when { resource.path like "*.csv" };
"#;

fn task(home: &Home, turns: Vec<Turn>) -> (Value, ModelServer) {
    let server = ModelServer::start(turns);
    home.ok(&["provider", "add", "local", "--url", &server.base_url(), "--model", "scripted"]);
    let (_, report) = home.report(&["do", "put it in order", "--in", "in", "--yes"]);
    (report, server)
}

fn done() -> Turn {
    Turn::ToolCalls(vec![call("finish", json!({ "summary": "done" }))])
}

fn told(server: &ModelServer) -> String {
    String::from_utf8(server.requests().last().unwrap().body.clone()).unwrap()
}

#[test]
fn rules_have_versions_and_each_change_is_logged() {
    let (home, _) = scene();
    assert!(rules(&home, ASK).out.contains("version 1 of your rules is in force"));
    assert!(rules(&home, FORBID).out.contains("version 2"));
    assert!(home.ok(&["policy", "show"]).contains("no.csv"));
    home.ok(&["policy", "revert", "1"]);
    let shown = home.ok(&["policy", "show"]);
    assert!(shown.contains("books.ask") && !shown.contains("no.csv"), "{shown}");
    // One readable whole: modes, defaults and grants stand in it too.
    for part in ["mode.strict", "default.protected", "@id(\"grant.", "In force: normal mode; version 3"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    let versions = home.json(&["policy", "log"]);
    let notes: Vec<&Value> = versions.iter().map(|version| &version["note"]).collect();
    assert_eq!(notes, ["edited", "edited", "as version 1"]);
    let logged = home.ok(&["audit", "search", "--kind", "policy.changed"]);
    assert!(logged.contains("version 2 -> version 3"), "{logged}");
    assert_eq!(home.run(&["policy", "revert", "9"]).code, 2);
    assert!(home.ok(&["policy", "show", "--schema"]).contains("entity Agent"));
    home.log_is_sound();
}

#[test]
fn rules_that_do_not_load_change_nothing_and_the_line_is_named() {
    let (home, _) = scene();
    rules(&home, ASK);
    for (text, words) in [
        ("\n\nforbid (principal, action resource);", "mine.cedar:3"),
        ("forbid (principal is Robot, action, resource);", "mine.cedar:1"),
        ("@id(\"x\")\nforbid (principal, action == Action::\"fly\", resource);", "mine.cedar:2"),
        (
            "\n@id(\"y\")\n@match(\"agent:default read /x\")\nforbid (principal, action == Action::\"write\", resource);",
            "`y`",
        ),
    ] {
        let said = rules(&home, text);
        assert!(said.code == 2 && said.err.contains(words) && said.err.contains("nothing was changed"), "{said:?}");
    }
    assert_eq!(home.json(&["policy", "log"]).len(), 1);
}

#[test]
fn rules_are_edited_in_an_editor_and_one_that_fails_changes_nothing() {
    let (home, _) = scene();
    let edit = |editor: &str| {
        let mut command = home.command(&["policy", "edit"]);
        enclosed::said(command.env("EDITOR", editor).output().unwrap())
    };
    let said = edit("sed -i $a\\forbid(principal,action,resource)when{false};");
    assert!(said.code == 0 && said.out.contains("version 1"), "{said:?}");
    let count = home.json(&["policy", "log"]).len();
    assert_eq!(edit("false").code, 1);
    assert_eq!(home.json(&["policy", "log"]).len(), count);
    assert!(edit("true").err.contains("nothing was changed"));
    // Nothing of it is left lying about.
    let left = fs::read_dir(home.path(".local/state/raincoat/edit")).unwrap().count();
    assert_eq!(left, 0);
}

#[test]
fn a_rule_asks_or_forbids_whatever_the_grant_says_and_the_agent_is_told_why() {
    let (home, dir) = scene();
    rules(&home, &format!("{ASK}{FORBID}"));
    let turns = vec![
        Turn::ToolCalls(vec![call("read_file", json!({ "path": "books/a.csv" }))]),
        Turn::ToolCalls(vec![call("write_file", json!({ "path": "books/new.txt", "content": "x" }))]),
        Turn::ToolCalls(vec![call("delete", json!({ "path": "books/a.csv" }))]),
        Turn::ToolCalls(vec![call("write_file", json!({ "path": "c.txt", "content": "x" }))]),
        done(),
    ];
    let (report, server) = task(&home, turns);
    assert_eq!(report["changes"], 1, "{report}");
    assert!(dir.join("c.txt").exists() && dir.join("books/a.csv").exists() && !dir.join("books/new.txt").exists());
    let told = told(&server);
    assert!(told.contains("nobody was there to be asked"), "{told}");
    assert!(told.contains("tables are not deleted"), "{told}");
    // The question says which rule asks.
    let question = home.json(&["approvals"]).remove(0);
    assert!(question["why"][0].as_str().unwrap().contains("books.ask"), "{question}");
    // A recipe's plan is judged by the rules too, and the person's undo by none.
    let (_, report) = home.report(&["do", "tidy", "in", "--yes", "--recursive"]);
    assert!(report["run"].is_string(), "{report}");
    home.ok(&["undo"]);
}

#[test]
fn a_rule_widens_what_a_grant_lets_be_done_and_opens_no_folder() {
    let (home, dir) = scene();
    home.ok(&["revoke", home.json(&["grants"])[0]["id"].as_str().unwrap()]);
    home.ok(&["grant", "in", "--actions", "read,send"]);
    fs::create_dir(home.path("other")).unwrap();
    rules(
        &home,
        "permit (principal == Agent::\"default\", action == Action::\"write\", resource in Folder::\"IN/books\");\n\
         permit (principal, action, resource in Folder::\"/\");",
    );
    let said = home.run(&["policy", "explain", "write", "other/x"]);
    assert!(said.out.contains("may not write") && said.out.contains("in no granted folder"), "{said:?}");
    let (report, _server) = task(
        &home,
        vec![Turn::ToolCalls(vec![call("write_file", json!({ "path": "books/new.txt", "content": "x" }))]), done()],
    );
    assert!(dir.join("books/new.txt").exists(), "{report}");
}

#[test]
fn rules_bind_programs_hosts_models_and_commits() {
    let (home, dir) = scene();
    rules(
        &home,
        "@reason(\"compilers only\") forbid (principal is Program, action == Action::\"exec\", resource) unless { principal == Program::\"sh\" };\n\
         @reason(\"not that host\") forbid (principal, action == Action::\"send\", resource == Host::\"bad.example\");\n\
         @reason(\"tables stay\") forbid (principal is Program, action in Action::\"change\", resource is File) when { resource.path like \"*.csv\" };\n\
         @reason(\"no model\") forbid (principal, action == Action::\"ask_model\", resource);",
    );
    let refused = home.run(&["exec", "--in", "in", "--", "true"]);
    assert!(refused.code == 3 && refused.err.contains("compilers only"), "{refused:?}");
    let refused = home.run(&["exec", "--in", "in", "--net", "bad.example", "--", "sh", "-c", "true"]);
    assert!(refused.code == 3 && refused.err.contains("not that host"), "{refused:?}");
    let said = home.run(&[
        "exec",
        "--in",
        "in",
        "--commit",
        "always",
        "--",
        "sh",
        "-c",
        "echo x > books/a.csv; echo x > n.txt",
    ]);
    assert!(said.err.contains("tables stay"), "{said:?}");
    assert_eq!(fs::read_to_string(dir.join("books/a.csv")).unwrap(), "1,2\n");
    assert!(dir.join("n.txt").exists());
    let (report, server) = task(&home, vec![done()]);
    assert_eq!(server.requests().len(), 0, "{report}");
    assert!(report["summary"].as_str().unwrap().contains("no model"), "{report}");
}

#[test]
fn explain_is_the_gates_own_answer_and_says_what_would_change_it() {
    let (home, _) = scene();
    let explain = |words: &[&str]| home.json(&[&["policy", "explain"], words].concat()).remove(0);
    let would = |value: &Value, words: &str| {
        value["would_change"].as_array().unwrap().iter().any(|change| change.as_str().unwrap().contains(words))
    };
    let told = explain(&["write", "in/new.txt"]);
    assert_eq!(told["answer"], "ask", "{told}");
    assert!(
        would(&told, "approve it: then it is allowed") && would(&told, "with restricted: then it is refused"),
        "{told}"
    );
    assert_eq!(explain(&["read", "in/b.txt"])["answer"], "allow");
    let told = explain(&["write", "in/.git/hooks/pre-commit"]);
    assert_eq!((&told["answer"], &told["rule"]), (&json!("deny"), &json!("protected-name")), "{told}");
    let told = explain(&["read", "elsewhere.txt"]);
    assert_eq!(told["rule"], "no-grant", "{told}");
    assert!(would(&told, "grant the folder"), "{told}");
    let told = explain(&["read", ".local/share/raincoat/store.db"]);
    assert_eq!(told["answer"], "deny", "{told}");
    rules(&home, FORBID);
    let told = explain(&["delete", "in/books/a.csv"]);
    assert_eq!(told["rule"], "policy", "{told}");
    assert!(told["sentence"].as_str().unwrap().contains("tables are not deleted"), "{told}");
    assert!(would(&told, "take your own rule out"), "{told}");
    assert_eq!(home.run(&["policy", "explain", "fly", "in"]).code, 2);
    assert_eq!(home.run(&["policy", "explain", "read", "in", "--agent", "nobody"]).code, 2);
}

#[test]
fn what_explain_says_is_what_happens() {
    let (home, dir) = scene();
    rules(&home, &format!("{ASK}{FORBID}"));
    home.ok(&["mode", "offline"]);
    for (tool, action, path) in [
        ("read_file", "read", "b.txt"),
        ("write_file", "write", "d.txt"),
        ("write_file", "write", "books/n.txt"),
        ("delete", "delete", "books/a.csv"),
        ("write_file", "write", ".envrc"),
    ] {
        let said = home.json(&["policy", "explain", action, &format!("in/{path}")]).remove(0);
        let turn = Turn::ToolCalls(vec![call(tool, json!({ "path": path, "content": "x" }))]);
        let arguments = if tool == "delete" || tool == "read_file" {
            Turn::ToolCalls(vec![call(tool, json!({ "path": path }))])
        } else {
            turn
        };
        let server = ModelServer::start(vec![arguments, done()]);
        home.run(&["provider", "remove", "local", "--yes"]);
        home.ok(&["provider", "add", "local", "--url", &server.base_url(), "--model", "scripted"]);
        // Without `--yes` and without a terminal: what asks is left open, what is allowed is done, what is denied is told.
        let before = fs::read_dir(&dir).unwrap().count();
        home.run(&["do", "put it in order", "--in", "in"]);
        let heard = told(&server);
        let got = if heard.contains("nobody was there to be asked") {
            "ask"
        } else if heard.contains("refused") && action != "read" {
            "deny"
        } else {
            "allow"
        };
        assert_eq!(said["answer"], got, "{action} {path}: {said} {heard}");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), before);
    }
}

#[test]
fn check_finds_what_is_odd_and_test_holds_expectations() {
    let (home, dir) = scene();
    home.ok(&["policy", "check"]);
    rules(
        &home,
        "@id(\"a\") permit (principal is Agent, action == Action::\"write\", resource in Folder::\"/srv\");\n\
         @id(\"b\") forbid (principal is Agent, action == Action::\"write\", resource in Folder::\"/srv\");\n\
         @id(\"c\") permit (principal, action == Action::\"read\", resource) when { false };",
    );
    let said = home.run(&["policy", "check", "--json"]);
    let kinds: Vec<String> =
        enclosed::lines(&said.out).iter().map(|finding| finding["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(said.code, 1);
    assert!(kinds.contains(&"NeverApplies".to_owned()), "{said:?}");
    assert!(kinds.iter().any(|kind| kind == "Contradiction" || kind == "Shadowed"), "{said:?}");
    let path = dir.canonicalize().unwrap();
    let path = path.to_str().unwrap();
    let expected = format!(
        "# what is expected\n\nagent:default read {path}/b.txt => allow\nagent:default write /srv/x => deny\n\
         agent:default read /etc/shadow => deny\n"
    );
    fs::write(home.path("expected"), &expected).unwrap();
    assert!(home.ok(&["policy", "test", "expected"]).contains("of expectations 3 hold, 0 do not"));
    fs::write(
        home.path("wrong"),
        format!("agent:default read {path}/b.txt => deny\nnonsense\nperson read /x => maybe\n"),
    )
    .unwrap();
    let said = home.run(&["policy", "test", "wrong"]);
    assert!(said.code == 1 && said.out.contains("wrong:1: expected deny, but allow"), "{said:?}");
    assert!(
        said.out.contains("wrong:2: it has no `=>`") && said.out.contains("wrong:3: `maybe` is no answer"),
        "{said:?}"
    );
}
