//! What is drawn, and what the keys do.

use proptest::collection::vec;
use proptest::prelude::*;
use ratatui_core::style::Color;

use super::super::plain::lines;
use super::*;
use crate::out::Style;

const WIDE: (u16, u16) = (100, 14);
const NARROW: (u16, u16) = (40, 10);

fn number(source: &Made, path: &str) -> usize {
    source.entries.iter().position(|entry| entry.path.as_bytes() == path.as_bytes()).unwrap()
}

/// What was chosen of a path, where the keys end in a commit.
fn chosen(keys: &str, path: &str) -> Choice {
    let mut source = project();
    let (ended, script) = play(&mut source, WIDE, &format!("{keys}<enter>y"));
    let choices = ended.unwrap_or_else(|| panic!("no commit:\n{}", script.last()));
    assert_eq!(choices.len(), source.entries.len());
    choices[number(&source, path)].clone()
}

#[test]
fn a_wide_screen_has_the_tree_and_the_difference() {
    let (ended, script) = play(&mut project(), WIDE, "<end>");
    assert_eq!(ended, None, "a terminal that goes away commits nothing");
    assert_eq!(script.last(), WIDE_SCREEN);
}

#[test]
fn a_narrow_screen_has_one_of_them() {
    let (_, script) = play(&mut project(), NARROW, "");
    assert_eq!(script.last(), NARROW_TREE);
    let (_, script) = play(&mut project(), NARROW, "<end><tab>");
    assert_eq!(script.last(), NARROW_LOOK);
}

#[test]
fn a_conflict_is_shown_from_both_sides_and_merged() {
    let (_, script) = play(&mut project(), (60, 8), "/notes<enter>4");
    assert_eq!(script.last(), BOTH_SIDES);
    let (_, script) = play(&mut project(), (60, 12), "/notes<enter>4<tab>");
    assert!(script.last().contains("<<<<<<< mine (your folder)\nmine\n"), "{}", script.last());
    assert!(script.last().contains("merged: 1 place left between markers"));
    assert_eq!(chosen("/notes<enter>4<enter>", "notes.txt"), Choice::Conflict(Resolution::Merge));
    for (key, how) in [("1", Resolution::KeepMine), ("2", Resolution::KeepTheirs), ("3", Resolution::KeepBoth)] {
        assert_eq!(chosen(&format!("/notes<enter>{key}"), "notes.txt"), Choice::Conflict(how));
        assert_eq!(chosen(&format!("/notes<enter>4{key}"), "notes.txt"), Choice::Conflict(how));
    }
    assert_eq!(chosen("/notes<enter>4<esc>", "notes.txt"), Choice::Reject);
    assert_eq!(chosen("/notes<enter> ", "notes.txt"), Choice::Reject, "space settles no conflict");
}

#[test]
fn hunks_are_taken_one_by_one() {
    assert_eq!(chosen("<end><tab>j ", "src/main.rs"), Choice::Hunks(vec![true, false]));
    assert_eq!(chosen("<end><tab> j ", "src/main.rs"), Choice::Reject);
    assert_eq!(chosen("<end><tab> j  ", "src/main.rs"), Choice::Hunks(vec![false, true]));
    let (_, script) = play(&mut project(), WIDE, "<end><tab>j ");
    assert!(script.last().contains("[~] M        main.rs") && script.last().contains("[ ] @@ -17,7 +17,7 @@"));
}

#[test]
fn files_folders_and_all_are_taken_or_left() {
    assert_eq!(chosen("<end> ", "src/main.rs"), Choice::Reject);
    assert_eq!(chosen("<end>  ", "src/main.rs"), Choice::Accept);
    assert_eq!(chosen("<end>h ", "src/main.rs"), Choice::Reject, "by its folder");
    assert_eq!(chosen("/a.txt<enter>h ", "new/a.txt"), Choice::Reject);
    assert_eq!(chosen("n<esc>/old<enter>a", "old.txt"), Choice::Accept);
    assert_eq!(chosen("n<esc>/old<enter>a", "logo.png"), Choice::Reject, "only what the filter shows");
    assert_eq!(chosen("/pre-commit<enter> ", ".git/hooks/pre-commit"), Choice::Accept, "by its own word");
    assert_eq!(chosen("a", ".git/hooks/pre-commit"), Choice::Reject);
    assert_eq!(chosen("a", "run.sock"), Choice::Reject);
}

#[test]
fn a_commit_is_asked_for_once_and_only_yes_is_yes() {
    let (ended, script) = play(&mut project(), WIDE, "<enter>y");
    assert!(ended.is_some());
    assert!(script.last().contains("commit 5 changes, 2 undecided left out? it can be undone"), "{}", script.last());
    for keys in
        ["<enter><enter>", "<enter>n", "<enter> ", "<enter><esc>y", "<enter><ctrl-c>y", "q<enter>y", "y", "<enter>"]
    {
        let (ended, _) = play(&mut project(), WIDE, keys);
        assert_eq!(ended, None, "{keys}");
    }
    let (ended, script) = play(&mut project(), WIDE, "n<enter>y");
    assert!(ended.is_none() && script.frames.iter().any(|frame| shown(frame).contains("nothing is accepted")));
}

#[test]
fn what_was_typed_before_the_question_is_no_answer() {
    let (_, script) = play(&mut project(), WIDE, "j<enter>y");
    // Thrown away right after the frame with the question, and never else.
    let [at] = script.forgotten_at[..] else { panic!("{:?}", script.forgotten_at) };
    assert!(shown(&script.frames[at - 1]).contains("[y/N]"));
    assert!(!shown(&script.frames[at - 2]).contains("[y/N]"));
    // A paste is no yes.
    let mut script = Script {
        presses: presses("<enter>"),
        sizes: VecDeque::new(),
        size: WIDE,
        frames: vec![],
        forgotten_at: vec![],
    };
    script.presses.push_back(Press::Paste("y".to_owned()));
    assert_eq!(Screen::new(&mut project(), true).run(&mut script).unwrap(), None);
}

/// Names and contents that would take over a terminal.
fn hostile() -> Made {
    let evil = "\u{1b}[2J\u{1b}]0;x\u{7}\u{202e}\u{9b}31m";
    let name = format!("a{evil}\n\tb").into_bytes();
    let why = Some(evil.to_owned());
    let flagged = |path: &[u8]| Entry { conflict: why.clone(), dangerous: why.clone(), ..entry(path, Mark::Modified) };
    let content = Content::Text {
        before: format!("{evil}\r\nx\n").into_bytes(),
        after: [evil.as_bytes(), b"\xff\xfe\ny\n"].concat(),
        base: Some(b"x\n".to_vec()),
    };
    let special = Entry { special: why.clone(), ..entry(b"\xff\xfe", Mark::Kind) };
    let mut made = made(vec![
        (flagged(&name), content),
        (special, Content::Unreadable(evil.to_owned())),
        (flagged(b"z"), Content::Binary { before: None, after: Some(Blob { size: 1, digest: evil.to_owned() }) }),
    ]);
    made.folders = vec![format!("/home/{evil}").into_bytes()];
    made
}

fn deceives(c: char) -> bool {
    c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)
}

#[test]
fn nothing_of_a_hostile_draft_reaches_the_terminal_as_it_is() {
    for keys in ["<down> ", "j ", "<tab>", "4", "4<tab>", "! ", "/\u{202e}", "<end><tab> ", "<enter>"] {
        for size in [WIDE, NARROW] {
            let (_, script) = play(&mut hostile(), size, keys);
            for frame in &script.frames {
                let cells: String = frame.content().iter().map(|cell| cell.symbol()).collect();
                assert!(!cells.contains(deceives), "{keys}: {cells:?}");
            }
        }
    }
    let mut source = hostile();
    let mut told = Vec::new();
    lines(&mut source, Style::default(), true, &mut |line| {
        told.push(line.to_owned());
        true
    });
    let all = told.concat();
    assert!(!all.replace('\t', "").contains(deceives), "{all:?}");
    assert!(all.contains("\\u{202e}") && all.contains("\\xff"), "{all}");
}

#[test]
fn without_colours_none_is_used() {
    let mut script = Script {
        presses: presses("<end>!<tab>"),
        sizes: VecDeque::new(),
        size: WIDE,
        frames: vec![],
        forgotten_at: vec![],
    };
    let colours = |script: &Script| {
        script
            .frames
            .iter()
            .flat_map(|frame| frame.content())
            .any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    Screen::new(&mut project(), false).run(&mut script).unwrap();
    assert!(!colours(&script));
    assert!(colours(&play(&mut project(), WIDE, "").1));
}

#[test]
fn a_hundred_thousand_changes_are_opened_one_at_a_time() {
    let many = 100_000;
    let changes =
        (0..many).map(|n| (entry(format!("d{}/f{n}", n / 1000).as_bytes(), Mark::Modified), text("a\n", "b\n")));
    let mut source = made(changes.collect());
    let (ended, script) = play(&mut source, WIDE, "<end>l<end><pgdn>/f99999<enter> <esc><enter>y");
    let choices = ended.unwrap();
    assert_eq!(choices.iter().filter(|choice| choice.takes()).count(), many - 1);
    assert!(!choices[99_999].takes());
    assert!(script.last().contains("commit 99,999 changes"), "{}", script.last());
    assert!(source.opened.len() <= script.frames.len(), "{} opened", source.opened.len());
}

#[test]
fn the_screen_follows_a_new_size() {
    let mut script = Script {
        presses: presses("<end>jjj"),
        sizes: VecDeque::from([WIDE, NARROW, (0, 0), (1, 1), WIDE]),
        size: WIDE,
        frames: vec![],
        forgotten_at: vec![],
    };
    Screen::new(&mut project(), true).run(&mut script).unwrap();
    assert_eq!(shown(&script.frames[1]).lines().count(), 10);
    assert_eq!(script.last(), WIDE_SCREEN);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_keys_and_no_size_whatever_break_the_screen(
        keys in vec(prop_oneof![
            prop::sample::select("jkhlgG an!/1234?q y\u{202e}x".chars().collect::<Vec<_>>()).prop_map(Press::Char),
            prop::sample::select(vec![
                Press::Up, Press::Down, Press::Left, Press::Right, Press::PageUp, Press::PageDown, Press::Home,
                Press::End, Press::Tab, Press::Enter, Press::Escape, Press::Backspace, Press::Ctrl('u'),
                Press::Paste("src\n".to_owned()),
            ]),
        ], 0..60),
        sizes in vec((0_u16..130, 0_u16..40), 0..60),
        evil: bool,
    ) {
        let mut source = if evil { hostile() } else { project() };
        let mut script = Script { presses: keys.into(), sizes: sizes.into(), size: WIDE, frames: vec![], forgotten_at: vec![] };
        let ended = Screen::new(&mut source, true).run(&mut script).unwrap();
        if let Some(choices) = ended {
            prop_assert!(choices.iter().any(Choice::takes));
            prop_assert!(shown(script.frames.last().unwrap()).is_empty() || !script.forgotten_at.is_empty());
        }
    }
}

#[test]
fn without_a_terminal_the_list_reads_like_git_status() {
    let mut told = Vec::new();
    lines(&mut project(), Style::default(), false, &mut |line| {
        told.push(line.to_owned());
        true
    });
    assert_eq!(told, PLAIN);
    let mut told = Vec::new();
    lines(&mut project(), Style::default(), true, &mut |line| {
        told.push(line.to_owned());
        true
    });
    let all = told.join("\n");
    assert!(
        all.contains(
            "  M  logo.png  +20 B\nnot text, or too large to be shown\n-10 B, BLAKE3 aa11\n+30 B, BLAKE3 bb22\n"
        ),
        "{all}"
    );
    assert!(all.contains("  D  old.txt  -10 B\n@@ -1 +0,0 @@\n-gone\n"), "{all}");
}

#[test]
fn json_has_a_stable_shape_that_is_described() {
    let described = include_str!("../../../../../docs/json.md");
    let mut source = project();
    for n in 0..source.entries.len() {
        let value = json(&mut source, n).unwrap();
        assert_eq!(value["type"], "change");
        assert!(described.contains("## `change`"));
        for key in value.as_object().unwrap().keys() {
            assert!(described.contains(&format!("`{key}`")), "docs/json.md does not describe `{key}`");
        }
    }
    assert_eq!(json(&mut source, 4).unwrap().to_string(), JSON);
    assert!(json(&mut source, 99).is_none());
}

const WIDE_SCREEN: &str = "\
\x205 of 8 changes accepted · 2 to decide
[~]    ▾ /home/ada/project/          5/8│ modified src/main.rs
[ ]      ▾ .git/                     0/1│[x] @@ -1,6 +1,6 @@
[ ]        ▾ hooks/                  0/1│ line 1
[ ] A!         pre-commit          +30 B│ line 2
[x] M      logo.png                +20 B│-line 3
[x] A    ▾ new/                      2/2│+third
[x] A        a.txt                 +30 B│ line 4
[ ] MC     notes.txt               +20 B│ line 5
[x] D      old.txt                 -10 B│ line 6
[-] AS     run.sock                +30 B│[x] @@ -17,7 +17,7 @@
[x]      ▾ src/                      1/1│ line 17
[x] M        main.rs               +20 B│ line 18
space take  tab look  / filter  enter commit  q leave  ? help";
const NARROW_TREE: &str = "\
\x205 of 8 changes accepted · 2 to decide …
[~]    ▾ /home/ada/project/          5/8
[ ]      ▾ .git/                     0/1
[ ]        ▾ hooks/                  0/1
[ ] A!         pre-commit          +30 B
[x] M      logo.png                +20 B
[x] A    ▾ new/                      2/2
[x] A        a.txt                 +30 B
[ ] MC     notes.txt               +20 B
space tab /  enter commit  q leave  ?";
const NARROW_LOOK: &str = "\
\x205 of 8 changes accepted · 2 to decide …
\x20modified src/main.rs
[x] @@ -1,6 +1,6 @@
\x20line 1
\x20line 2
-line 3
+third
\x20line 4
\x20line 5
space take  j/k hunk  tab back  ?";
const BOTH_SIDES: &str = "\
\x205 of 8 changes accepted · 2 to decide · with `notes`
mine (your folder)            theirs (the draft)
\x20one                           one
-mine                         +two
-three                        +theirs


1 2 3  enter merge  tab turn  esc back";
const PLAIN: [&str; 10] = [
    "/home/ada/project:",
    "  A! .git/hooks/pre-commit  +30 B  dangerous: git runs it",
    "  M  logo.png  +20 B",
    "  A  new/",
    "  A  new/a.txt  +30 B",
    "  MC notes.txt  +20 B  conflict: you changed it since",
    "  D  old.txt  -10 B",
    "  AS run.sock  +30 B  special: a socket",
    "  M  src/main.rs  +20 B",
    "8 changes, 1 dangerous, 1 in conflict, 1 special",
];
const JSON: &str = "{\"type\":\"change\",\"folder\":\"/home/ada/project\",\"path\":\"old.txt\",\
                    \"change\":\"deleted\",\"is_folder\":false,\"was_folder\":false,\"size_before\":10,\
                    \"size_after\":null,\"digest_before\":null,\"digest_after\":null,\"dangerous\":null,\
                    \"conflict\":null,\"special\":null,\"words\":[],\"diff\":\"@@ -1 +0,0 @@\\n-gone\\n\",\
                    \"note\":\"\"}";
