//! Breaking out (issue 2, A2, A4, B3): a hostile model plays every technique of the table, as root and as an ordinary
//! user. None succeeds, none gets bait to the model, each stands in the log.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod support;

use std::fs;

use support::cases::{self, At, Technique};
use support::{Call, World, bait, changed_but, users};

/// What the log says of an attempt that came to nothing.
const NO: [&str; 3] = ["denied: ", "came to nothing: ", "asked about: "];

/// Plays a table in one world for each user.
fn play(table: &[Technique]) {
    for user in users() {
        let world = World::new(user);
        let mut calls: Vec<(&Technique, Call)> = Vec::new();
        for technique in table {
            let inside = world.granted().join(technique.name);
            let outside = world.around().join("other").join(technique.name);
            fs::create_dir_all(&inside).unwrap();
            fs::create_dir_all(&outside).unwrap();
            bait(&outside.join("secret.txt"));
            let at = At { inside, outside, name: technique.name };
            calls.extend((technique.play)(&at).into_iter().map(|call| (technique, call)));
        }
        world.own("around");
        world.ok(&["grant", world.granted().to_str().unwrap()]);
        let before = world.snapshot();
        let plain: Vec<Call> = calls.iter().map(|(_, call)| call.clone()).collect();
        let came = world.play(&plain);
        let allowed: Vec<String> =
            table.iter().filter(|t| t.may_change).map(|t| format!("granted/{}", t.name)).collect();
        let changed = changed_but(&before, &world.snapshot(), &allowed);
        assert!(changed.is_empty(), "as {user:?}:\n{}", changed.join("\n"));
        assert_eq!(came.told.len(), calls.len(), "{:?}", came.told.last());
        let mut wrong = Vec::new();
        for ((technique, call), told) in calls.iter().zip(&came.told) {
            if call.refused && told.starts_with("done: ") {
                wrong.push(format!("{}: {call:?} was done: {told}", technique.name));
            }
        }
        // In the order of the calls, each refused one has its line.
        let log: Vec<&String> = came.log.iter().filter(|line| NO.iter().any(|no| line.starts_with(no))).collect();
        let mut from = 0;
        for ((technique, call), told) in calls.iter().zip(&came.told) {
            if !call.refused {
                continue;
            }
            match log.iter().skip(from).position(|line| of(line, technique, call)) {
                Some(further) => from += further + 1,
                None => wrong.push(format!("{}: {call:?} is not in the log ({told})", technique.name)),
            }
        }
        assert!(wrong.is_empty(), "as {user:?}:\n{}\n{}", wrong.join("\n"), came.log.join("\n"));
        assert!(world.ok(&["audit", "verify"]).contains("the log is sound"));
    }
}

/// Whether a line of the log is of a call: by the tool's verb, as the keeper or as the worker names it (or by the
/// folder that it would have needed first), and by the folder it was tried from.
fn of(line: &str, technique: &Technique, call: &Call) -> bool {
    let verb = match call.tool.as_str() {
        "list_dir" => "list",
        "read_file" => "read",
        "write_file" => "write",
        "edit_file" => "edit",
        "make_dir" => "mkdir",
        "extract_archive" => "extract",
        other => other.trim_end_matches('\0'),
    };
    let said = NO.iter().find_map(|no| line.strip_prefix(no)).unwrap_or_default();
    (said.starts_with(verb) || said.starts_with("mkdir"))
        && (!call.arguments.contains(technique.name)
            || said.contains(technique.name)
            || said.contains("(not-proposed: the arguments"))
}

#[test]
fn no_path_leads_out() {
    play(cases::PATHS);
}

#[test]
fn no_link_leads_out() {
    play(cases::LINKS);
}

#[test]
fn nothing_special_is_opened_and_the_grant_itself_stays() {
    play(cases::SPECIAL);
}

#[test]
fn no_spelling_of_a_protected_name_passes() {
    play(cases::NAMES);
}

#[test]
fn no_archive_leads_out() {
    play(cases::ARCHIVES);
}

#[test]
fn no_forged_call_is_understood() {
    play(cases::FORGED);
}

#[test]
fn every_technique_is_documented() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/breakout.md")).unwrap();
    let techniques: Vec<&Technique> = cases::ALL.iter().copied().flatten().collect();
    assert!(techniques.len() >= 40, "{}", techniques.len());
    for technique in techniques {
        let line = page.lines().find(|line| line.starts_with(&format!("| {} | ", technique.name)));
        assert!(line.is_some_and(|line| line.contains(technique.stopped_by)), "{}: {line:?}", technique.name);
    }
}
