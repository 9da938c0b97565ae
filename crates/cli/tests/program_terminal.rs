//! A program in a draft at a person's terminal: it is its own terminal inside, and keys, stops, sizes and colours pass
//! through as if it ran bare; and the screen on which its work is reviewed. (B1, H6)

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

use enclosed::{Scene, at_terminal, raincoat, same};
use serde_json::{Value, json};

/// `raincoat ARGUMENTS` at a terminal.
fn played(scene: &Scene, arguments: &[&str], steps: &Value) -> String {
    let binary = raincoat();
    let shown = at_terminal(scene, &scene.dir, &[&[binary.as_str()], arguments].concat(), steps);
    assert!(shown.contains("\nleft cooked"), "the terminal was left as a program's: {shown}");
    shown
}

fn exec(script: &str) -> Vec<&str> {
    vec!["exec", "--commit", "never", "--", "sh", "-c", script]
}

#[test]
fn size_colours_and_what_is_a_terminal_pass_through() {
    let scene = Scene::new();
    let script = "test -t 0 && test -t 1 && test -t 2 && echo all three; tty; stty size; echo $TERM; ls --color=auto -d sub; \
                  trap 'stty size; exit 0' WINCH; echo resize; while :; do sleep 0.05; done";
    let shown = played(&scene, &exec(script), &json!([["resize", { "size": [31, 101] }]]));
    for part in ["all three", "/dev/pts/0", "24 80", "xterm-256color", "\u{1b}[01;34msub", "31 101", "exit 0"] {
        assert!(shown.contains(part), "{part:?} is not in {shown}");
    }
    // Not a terminal of the person's: the program cannot type into it.
    let shown = played(&scene, &exec("tty; ls /dev/pts; exit 3"), &json!([]));
    assert!(shown.contains("exit 3") && shown.contains("/dev/pts/0"), "{shown}");
}

#[test]
fn keys_reach_the_program_as_it_wants_them() {
    let scene = Scene::new();
    // A line, a control character that its terminal makes an end of file of, and single keys without echo.
    let script = "read line; echo got:$line; cat; stty raw -echo; echo key; dd bs=1 count=3 2>/dev/null | od -c | head -1; stty sane";
    let steps = json!([["", "hello\r"], ["got:hello", "more\r"], ["more\r\nmore", "\u{4}"], ["key", "\u{3}\u{1a}x"]]);
    let shown = played(&scene, &exec(script), &steps);
    assert!(shown.contains("got:hello") && shown.contains("exit 0"), "{shown}");
    assert!(shown.contains("003 032   x"), "{shown}");
}

#[test]
fn ctrl_c_goes_to_the_program() {
    let scene = Scene::new();
    let shown = played(&scene, &exec("echo ready; exec sleep 60"), &json!([["ready", "\u{3}"]]));
    assert!(shown.contains("exit 130"), "{shown}");
    let script = "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done";
    let shown = played(&scene, &exec(script), &json!([["ready", "\u{3}"]]));
    assert!(shown.contains("caught") && shown.contains("exit 9"), "{shown}");
    let shown = played(&scene, &exec("ulimit -c 0; echo ready; exec sleep 60"), &json!([["ready", "\u{1c}"]]));
    assert!(shown.contains("exit 131"), "{shown}");
}

#[test]
fn a_program_that_is_ended_from_outside_leaves_the_terminal_as_it_was() {
    let scene = Scene::new();
    let script = "stty raw -echo; printf '\\033[?1049hready'; sleep 60";
    let shown = played(&scene, &exec(script), &json!([["ready", { "signal": 15 }]]));
    assert!(shown.contains("exit 143"), "{shown}");
    // One that will not hear is killed after a while.
    let script = "trap '' TERM; stty raw -echo; echo ready; while :; do sleep 0.1; done";
    let shown = played(&scene, &exec(script), &json!([["ready", { "signal": 15 }]]));
    assert!(shown.contains("exit 137"), "{shown}");
}

#[test]
fn ctrl_z_gives_the_terminal_back_and_fg_goes_on() {
    let scene = Scene::new();
    let run = format!("{} exec --commit never -- sh -c 'echo re\"\"ady; read x; echo got:$x; stty size'\r", raincoat());
    let steps = json!([
        ["", "PS1='P''S1> '\r"],
        ["PS1> ", run],
        ["ready", "\u{1a}"],
        ["PS1> ", "jobs; stty -a | grep -o '.icanon' ; echo here\r"],
        ["here", ""],
        ["PS1> ", { "size": [40, 90] }],
        ["", "fg\r"],
        ["raincoat", "hello\r"],
        ["40 90", ""],
        ["PS1> ", "echo code:$?; exit\r"],
    ]);
    let shown = at_terminal(&scene, &scene.dir, &["bash", "--norc", "--noprofile", "-i"], &steps);
    assert!(shown.contains("Stopped"), "{shown}");
    assert!(shown.contains("got:hello") && shown.contains("40 90") && shown.contains("code:0"), "{shown}");
    assert!(shown.contains("exit 0"), "{shown}");
}

#[test]
fn an_interactive_shell_works_in_a_draft_and_its_work_is_kept_or_thrown_away() {
    let scene = Scene::new();
    let was = scene.snapshot();
    let ask = "keep the changes?";
    let shell = |last: &str| {
        json!([
            ["", "PS1='P''S1> '\r"],
            ["PS1> ", "echo made > new.txt; rm b.txt; pwd\r"],
            ["PS1> ", "sh -c 'echo sl\"\"eeps; exec sleep 30'\r"],
            ["sleeps", { "slowly": "\u{3}" }],
            ["PS1> ", "exit 4\r"],
            [ask, last],
        ])
    };
    for (answer, committed, drafts) in [("later\r", false, 1), ("d\r", false, 0), ("y\r", true, 0)] {
        let shown = played(&scene, &["shell"], &shell(answer));
        assert!(shown.contains("exit 4") && shown.contains(scene.dir.to_str().unwrap()), "{shown}");
        assert_eq!(scene.drafts().len(), drafts, "{answer:?}: {shown}");
        if committed {
            assert_eq!(scene.changed(&was), ["b.txt", "new.txt"], "{shown}");
            scene.undone(&was, "after the undo");
        } else {
            same(&was, &scene.dir, answer);
            scene.run(&["discard", "--all"]);
        }
    }
    // From the question into the review, and out of it.
    let steps = json!([["keep the changes?", "r\r"], ["?1049h", ""], ["a.txt", "q"]]);
    let shown = played(&scene, &["exec", "--", "sh", "-c", "echo x >> a.txt"], &steps);
    assert!(shown.contains("the draft stays as it is"), "{shown}");
    assert_eq!(scene.drafts().len(), 1);
}

/// A draft with a text of two hunks, a deleted file and a new one.
fn to_review(scene: &Scene) -> String {
    let text: String = (1..=40).map(|n| format!("line {n}\n")).collect();
    scene.write("a.txt", &text);
    scene.drafted(
        "sed -i -e 's/^line 3$/LINE THREE/' -e 's/^line 33$/LINE THIRTY-THREE/' a.txt; rm b.txt; echo new > new.txt",
    )
}

#[test]
fn a_hunk_is_accepted_a_file_rejected_and_the_rest_committed() {
    let scene = Scene::new();
    let run = to_review(&scene);
    let was = scene.snapshot();
    // To the changed text, into it, to the second hunk, which is left; then to the deleted file, which is left too.
    let steps = json!([
        ["new.txt", "/a.txt\r"],
        ["THREE", "\t"],
        ["", "j "],
        ["[ ] @@", "\t\u{1b}"],
        ["", "\u{1b}"],
        ["new.txt", "/b.txt\r"],
        ["b.txt", " "],
        ["[ ]", "\u{1b}"],
        ["new.txt", "\r"],
        ["[y/N]", { "slowly": "y" }],
        ["undo it with", ""],
    ]);
    let shown = played(&scene, &["review", &run], &steps);
    assert!(shown.contains("exit 0"), "{shown}");
    assert!(shown.contains("\u{1b}[?1049h") && shown.contains("\u{1b}[?1049l"), "the screen is given back: {shown}");
    let text = scene.read("a.txt");
    assert!(text.contains("LINE THREE\n") && text.contains("\nline 33\n"), "{text}");
    assert_eq!(scene.changed(&was), ["a.txt", "new.txt"]);
    // What was left is still in the draft.
    let left: Vec<String> = scene.review(&run).iter().map(|c| c["path"].as_str().unwrap().to_owned()).collect();
    assert_eq!(left, ["b.txt", "a.txt"]);
    scene.undone(&was, "after the undo");
}

#[test]
fn leaving_the_screen_or_losing_it_commits_nothing_and_restores_the_terminal() {
    let scene = Scene::new();
    let run = to_review(&scene);
    let was = scene.snapshot();
    for (steps, code) in [
        (json!([["new.txt", "q"]]), 0),
        (json!([["new.txt", "\u{3}"]]), 0),
        (json!([["new.txt", "\r"], ["[y/N]", { "slowly": "n" }], ["", "q"]]), 0),
        // What was typed before the question is no answer to it.
        (json!([["new.txt", "\ryyy"], ["[y/N]", { "slowly": "n" }], ["", "q"]]), 0),
    ] {
        let shown = played(&scene, &["review", &run], &steps);
        assert!(shown.contains(&format!("exit {code}")), "{shown}");
        assert!(shown.contains("\u{1b}[?1049l") && shown.contains("the draft stays as it is"), "{shown}");
        same(&was, &scene.dir, &steps.to_string());
    }
    let shown = played(&scene, &["review", &run], &json!([["new.txt", { "signal": 15 }]]));
    assert!(shown.contains("\u{1b}[?1049l") && shown.contains("\u{1b}[?25h"), "the screen is given back: {shown}");
    same(&was, &scene.dir, "after SIGTERM");
    assert_eq!(scene.newest(), run);
}
