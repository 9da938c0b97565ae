//! Breaking out of a draft (issue 3, "Breaking out"): a hostile program plays every technique of the table by raw system
//! calls, as root and as an ordinary user. None gets through, what can be told stands in the log, nothing outside has
//! changed, and neither has anything when its draft is committed. Those that work where nothing stops them are shown to.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod exec_support;
mod support;

use std::collections::BTreeSet;
use std::fs;

use exec_support::{Scene, hostile_here};
use raincoat_testkit::hostile::{Technique, techniques};
use support::{changed_but, text, users};

/// Not a test: the hostile program itself, in a draft or, as a control, outside.
#[test]
#[ignore = "the program that the others run"]
fn the_hostile_program() {
    hostile_here();
}

/// Techniques that got through, and those that said nothing.
fn outcome(said: &str, expected: &[&Technique]) -> (BTreeSet<String>, Vec<String>) {
    let lines: Vec<Vec<&str>> =
        said.lines().filter_map(|line| line.strip_prefix("TRY ")).map(|line| line.splitn(3, ' ').collect()).collect();
    let through =
        lines.iter().filter(|line| line[1] == "got").map(|line| format!("{}: {}", line[0], line[2])).collect();
    let silent = expected.iter().filter(|t| !lines.iter().any(|line| line[0] == t.name));
    (through, silent.map(|t| t.name.to_owned()).collect())
}

#[test]
fn no_technique_gets_out_and_those_that_work_without_a_sandbox_are_shown_to() {
    let all: Vec<&Technique> = techniques().collect();
    let mut strange = Vec::new();
    for user in users() {
        let outside = Scene::new(user);
        let said = text(&outside.bare());
        let control: Vec<&Technique> = all.iter().copied().filter(|t| t.works_outside).collect();
        let (through, silent) = outcome(&said, &control);
        let names: Vec<&str> = control.iter().map(|t| t.name).collect();
        let without: Vec<&&str> =
            names.iter().filter(|name| !through.iter().any(|t| t.starts_with(&format!("{name}: ")))).collect();
        assert!(silent.is_empty() && without.is_empty(), "as {user:?}, outside: {silent:?} {without:?}\n{said}");

        let scene = Scene::new(user);
        let before = scene.world.snapshot();
        let from = scene.world.log_length();
        let said = text(&scene.exec(&[]));
        let (through, silent) = outcome(&said, &all);
        assert!(through.is_empty() && silent.is_empty(), "as {user:?}: {through:#?} {silent:?}\n{said}");
        let changed = changed_but(&before, &scene.world.snapshot(), &[]);
        assert!(changed.is_empty(), "as {user:?}:\n{}", changed.join("\n"));

        let log = scene.world.log_from(from);
        let untold: Vec<_> = all
            .iter()
            .flat_map(|t| t.logged.iter().map(move |words| (t.name, words)))
            .filter(|(_, words)| !log.iter().any(|line| line.contains(*words)))
            .collect();
        assert!(untold.is_empty(), "as {user:?}: {untold:?}\n{}", log.join("\n"));

        // All that it left behind: looked at, committed, and still nothing outside has changed.
        let run = scene.run();
        scene.world.ok(&["review", &run, "--json"]);
        let said = text(&scene.world.run(&["commit", &run]));
        let changed = changed_but(&before, &scene.world.snapshot(), &["granted".to_owned()]);
        assert!(changed.is_empty(), "as {user:?}: {said}\n{}", changed.join("\n"));
        assert!(scene.world.granted().join("link-file").is_symlink(), "as {user:?}: {said}");
        strange.extend(exec_support::strange(&scene.world.granted()).into_iter().map(|what| (user, what)));
        assert!(scene.world.ok(&["audit", "verify"]).contains("the log is sound"));
    }
    assert!(strange.is_empty(), "{strange:#?}");
}

#[test]
fn every_technique_of_a_program_is_documented() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/breakout.md")).unwrap();
    let all: Vec<&Technique> = techniques().collect();
    assert!(all.len() >= 55, "{}", all.len());
    assert_eq!(all.iter().map(|t| t.name).collect::<BTreeSet<_>>().len(), all.len());
    for technique in all {
        let line = page.lines().find(|line| line.starts_with(&format!("| {} | ", technique.name)));
        assert!(line.is_some_and(|line| line.contains(technique.stopped_by)), "{}: {line:?}", technique.name);
    }
}
