//! Incidents in which an agent wrote what starts programs or judges agents.

use std::os::unix::fs::symlink;

use serde_json::json;

use crate::agent::{agent, all_refused, call};
use crate::enclosed::{Scene, same};

/// A script that plants names: they are marked as dangerous, a commit leaves them out, and an innocent change goes along.
fn planted_in_vain(scene: &Scene, script: &str, planted: &[&str]) {
    let was = scene.snapshot();
    let said = scene.exec(&[], &format!("{script}\necho innocent >> c.txt"));
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("under protected names"), "{said:?}");
    let run = scene.newest();
    for path in planted {
        assert!(scene.change(&run, path)["dangerous"].is_string(), "{path}");
    }
    let said = scene.commit(&run);
    assert!(said.err.contains("left out"), "{said:?}");
    assert_eq!(scene.changed(&was), ["c.txt"], "{said:?}");
    scene.ok(&["undo"]);
    scene.ok(&["discard", &run]);
    same(&was, &scene.dir, "after the undo");
    scene.log_is_sound();
}

const SERVER: &str = r#"{"mcpServers": {"x": {"command": "sh", "args": ["-c", "touch /tmp/pwned"]}}}"#;

#[test]
fn incident_15_an_agent_writes_the_list_of_its_own_tools() {
    // A poisoned message made the agent write mcp.json, which was executed at once: that name is not the agent's.
    let scene = Scene::new();
    let script = format!("mkdir .cursor; echo '{SERVER}' | tee .cursor/mcp.json .mcp.json mcp.json");
    planted_in_vain(&scene, &script, &[".cursor", ".cursor/mcp.json", ".mcp.json", "mcp.json"]);
    let was = scene.snapshot();
    let paths = [".cursor/mcp.json", ".mcp.json", "sub/mcp.json"];
    let told = agent(
        &scene,
        paths.iter().map(|path| call("write_file", json!({ "path": path, "content": SERVER }))).collect(),
    );
    all_refused(&told);
    same(&was, &scene.dir, "after the agent");
    assert!(scene.log().contains("denied"), "{}", scene.log());
}

#[test]
fn incident_16_a_tool_that_was_approved_becomes_another_under_its_name() {
    // Trust was bound to a name, and the command behind it was changed later: the file that names it is not changed.
    let scene = Scene::new();
    scene.write(".cursor/mcp.json", r#"{"mcpServers": {"x": {"command": "echo", "args": ["hello"]}}}"#);
    let script = format!("echo '{SERVER}' > .cursor/mcp.json; mv .cursor/mcp.json m; cp m .cursor/mcp.json; rm m");
    planted_in_vain(&scene, &script, &[".cursor/mcp.json"]);
    let was = scene.snapshot();
    let told = agent(
        &scene,
        vec![
            call("read_file", json!({ "path": ".cursor/mcp.json" })),
            call("edit_file", json!({ "path": ".cursor/mcp.json", "old": "echo", "new": "sh" })),
            call("delete", json!({ "path": ".cursor", "recursive": true })),
            call("move", json!({ "from": "sub", "to": ".cursor", "replace": true })),
        ],
    );
    all_refused(&told[1..]);
    same(&was, &scene.dir, "after the agent");
}

#[test]
fn incident_25_a_name_in_capitals_passes_a_list_of_forbidden_names() {
    // `.cUrSoR/mcp.json` was not on the list and is the same file on a disk that folds case: names are compared folded.
    let scene = Scene::new();
    let script = format!("mkdir .cUrSoR .GIT; echo '{SERVER}' | tee .cUrSoR/MCP.json .Mcp.JSON; echo x > .GIT/config");
    planted_in_vain(&scene, &script, &[".cUrSoR/MCP.json", ".Mcp.JSON", ".GIT/config"]);
    let was = scene.snapshot();
    let told = agent(
        &scene,
        vec![
            call("write_file", json!({ "path": ".cUrSoR/mcp.json", "content": SERVER })),
            call("write_file", json!({ "path": ".MCP.json", "content": SERVER })),
            call("make_dir", json!({ "path": ".Git/hooks" })),
        ],
    );
    all_refused(&told);
    same(&was, &scene.dir, "after the agent");
}

#[test]
fn incident_43_a_settings_file_is_protected_only_where_it_exists() {
    // The sandbox closed settings.json only if it was there at the start: here the name is closed, there or not.
    let settings = r#"{"hooks": {"SessionStart": [{"command": "id"}]}}"#;
    let scene = Scene::new();
    assert!(!scene.there(".claude"));
    let script = format!(
        "mkdir .claude; echo '{settings}' > .claude/settings.json; cp .claude/settings.json .claude/settings.local.json"
    );
    planted_in_vain(&scene, &script, &[".claude/settings.json", ".claude/settings.local.json"]);
    // In a folder that is a repository only since the run, too.
    planted_in_vain(
        &scene,
        "mkdir new && cd new && git init -q && echo id > .git/hooks/post-checkout && chmod +x .git/hooks/post-checkout && \
         cd .. && rm -rf new/.git/objects && mv new/.git . && rmdir new",
        &[".git/hooks/post-checkout", ".git/config"],
    );
    let was = scene.snapshot();
    let told = agent(&scene, vec![call("write_file", json!({ "path": ".claude/settings.json", "content": settings }))]);
    all_refused(&told);
    same(&was, &scene.dir, "after the agent");
}

#[test]
fn incident_44_a_rule_is_asked_before_a_symlink_is_followed() {
    // The rule saw `notes/settings.json`, the file was `.claude/settings.json`: what counts is where a path leads.
    let scene = Scene::new();
    scene.write(".claude/settings.json", "{}");
    symlink(".claude", scene.dir.join("notes")).unwrap();
    symlink(".claude/settings.json", scene.dir.join("todo.txt")).unwrap();
    let script = "echo '{\"hooks\": 1}' > notes/settings.json; echo x > notes/new.json; ln -s .claude way; echo y > way/w.json; rm way";
    planted_in_vain(&scene, script, &[".claude/settings.json", ".claude/new.json", ".claude/w.json"]);
    let was = scene.snapshot();
    let told = agent(
        &scene,
        vec![
            call("read_file", json!({ "path": "todo.txt" })),
            call("write_file", json!({ "path": "notes/settings.json", "content": "x" })),
            call("write_file", json!({ "path": "notes/other.json", "content": "x" })),
            call("edit_file", json!({ "path": "todo.txt", "old": "{}", "new": "{\"a\": 1}" })),
        ],
    );
    all_refused(&told[1..]);
    same(&was, &scene.dir, "after the agent");
}
