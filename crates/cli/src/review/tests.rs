//! The dialogue, with a script in the person's place.

use super::*;
use crate::view::tree::tests::{made, moved, step};
use raincoat_runtime::StepFact;
use raincoat_types::wire::PlanStep;
use raincoat_types::{Actor, Amounts, Digest, Expect, Place, RunId, Ulid};

#[derive(Default)]
struct Script {
    answers: Vec<&'static str>,
    seen: String,
    late: bool,
    lost: u64,
    elsewhere: Option<Answer>,
}

impl Talk for Script {
    fn show(&mut self, lines: &[String]) {
        for line in lines {
            self.seen.push_str(line);
            self.seen.push('\n');
        }
    }

    fn ask(&mut self, _: &str, elsewhere: &dyn Fn() -> bool) -> Answered<String> {
        if elsewhere() {
            return Answered::Elsewhere;
        }
        if self.answers.is_empty() { Answered::Gone } else { Answered::Line(self.answers.remove(0).to_owned()) }
    }

    fn now(&self) -> Timestamp {
        Timestamp { secs: if self.late { 1001 } else { 999 }, nanos: 0 }
    }
}

fn answered(steps: &[PlanStep], before: &[u8], answers: &[&'static str]) -> (Answer, String) {
    let mut script = Script { answers: answers.to_vec(), ..Script::default() };
    let answer = with(steps, before, &mut script);
    (answer, script.seen)
}

fn amounts(files: u64, deletions: u64, bytes: u64) -> Amounts {
    let some = Amounts::default().with(Measure::Files, files);
    some.with(Measure::Deletions, deletions).with(Measure::Bytes, bytes)
}

fn with(steps: &[PlanStep], before: &[u8], script: &mut Script) -> Answer {
    let facts: Vec<StepFact> =
        steps.iter().map(|_| StepFact { amounts: amounts(1, 0, 0), ..StepFact::default() }).collect();
    let script_elsewhere = script.elsewhere.clone();
    let plan = PlanView {
        run: RunId(Ulid::from_parts(1, 1)),
        actor: &Actor::Agent("default".into()),
        title: "sort\u{202e} things",
        roots: &[("in".to_owned(), b"/home/u/in".to_vec())],
        steps,
        facts: &facts,
        digest: Digest([0xab; 32]),
        until: Timestamp { secs: 1000, nanos: 0 },
        why: &["a mass change".to_owned()],
        irreversible: script.lost,
        totals: amounts(3467, 3000, 7_100_000_000),
        elsewhere: &|| script_elsewhere.clone(),
        before: &|_| Some(before.to_vec()),
    };
    review(&plan, Style::default(), script)
}

fn write(content: &str) -> PlanStep {
    let at = Place { root: 0, path: "notes.txt".into() };
    step(FileChange::Write { at, content: content.as_bytes().to_vec(), expect: Expect::Anything })
}

fn moves() -> Vec<PlanStep> {
    vec![made("d"), moved("a.tmp", "d/a.tmp"), moved("b", "d/b"), made("e"), moved("c", "e/c")]
}

#[test]
fn the_person_sees_who_asks_for_what_and_where() {
    let (answer, seen) = answered(&moves(), b"", &["y"]);
    assert_eq!(answer, Answer::Accept);
    for part in
        ["agent:default asks: sort\\u{202e} things", "in /home/u/in", "digest abababababab", "5 changes (3 files)"]
    {
        assert!(seen.contains(part), "{part} is not in: {seen}");
    }
}

#[test]
fn the_numbers_stand_there_and_what_cannot_be_taken_back() {
    let (_, seen) = answered(&moves(), b"", &["n"]);
    for part in ["it asks: a mass change", "3,467 places in all, 3,000 deleted, 6.6 GiB; all of it can be taken back"] {
        assert!(seen.contains(part), "{part} is not in: {seen}");
    }
    let mut script = Script { answers: vec!["n"], lost: 2, ..Script::default() };
    with(&moves(), b"", &mut script);
    assert!(script.seen.contains("2 of it can NOT be taken back"), "{}", script.seen);
}

#[test]
fn a_folder_may_be_allowed_for_a_while_when_all_was_shown() {
    let until = |secs| Answer::AcceptFolder(Timestamp { secs, nanos: 0 });
    assert_eq!(answered(&moves(), b"", &["folder", "folder 99999d", "folder 2h"]).0, until(999 + 7200));
    let long = write(&"line\n".repeat(2000));
    let (answer, seen) = answered(&[long], b"", &["folder 2h", "n"]);
    assert_eq!(answer, Answer::Refuse(String::new()));
    assert!(seen.contains("that cannot be said here"), "{seen}");
}

#[test]
fn an_answer_from_elsewhere_ends_the_question() {
    let mut script =
        Script { answers: vec!["y"], elsewhere: Some(Answer::Refuse("not now".into())), ..Script::default() };
    assert_eq!(with(&moves(), b"", &mut script), Answer::Refuse("not now".into()));
}

#[test]
fn a_no_may_have_a_reason() {
    assert_eq!(answered(&moves(), b"", &["n not on a Sunday"]).0, Answer::Refuse("not on a Sunday".into()));
    assert_eq!(answered(&moves(), b"", &["no"]).0, Answer::Refuse(String::new()));
}

#[test]
fn some_of_it_may_be_chosen_and_folders_follow() {
    let (answer, seen) = answered(&moves(), b"", &["not *.tmp,c", "y"]);
    assert_eq!(answer, Answer::AcceptSome(vec![0, 2]));
    assert!(seen.contains("(left out) [2]"), "{seen}");
    assert_eq!(answered(&moves(), b"", &["only e/", "y"]).0, Answer::AcceptSome(vec![3, 4]));
    assert_eq!(answered(&moves(), b"", &["not 1-5", "y", "all", "y"]).0, Answer::Accept);
    let (answer, seen) = answered(&moves(), b"", &["not nosuch", "n"]);
    assert_eq!(answer, Answer::Refuse(String::new()));
    assert!(seen.contains("`nosuch` is none of the changes"), "{seen}");
}

#[test]
fn the_rest_of_the_run_may_be_allowed_where_all_was_shown() {
    assert_eq!(answered(&moves(), b"", &["rest"]).0, Answer::AcceptRun);
    // C3: what was not chosen, or not shown, cannot be remembered.
    assert_eq!(answered(&moves(), b"", &["not c", "rest", "n"]).0, Answer::Refuse(String::new()));
}

#[test]
fn what_is_folded_or_cut_cannot_be_remembered() {
    let many: Vec<PlanStep> = (0..100).map(|n| moved(&format!("{n}"), &format!("d/{n}"))).collect();
    let (answer, seen) = answered(&many, b"", &["rest", "x all", "rest"]);
    assert_eq!(answer, Answer::AcceptRun);
    assert!(seen.contains("that cannot be said here"), "{seen}");
    let long: String = (0..1000).map(|n| format!("line {n}\n")).collect();
    let (answer, seen) = answered(&[write(&long)], b"", &["rest", "d 1", "rest", "y"]);
    assert_eq!(answer, Answer::Accept);
    assert!(!seen.contains("  rest  "), "{seen}");
    assert_eq!(answered(&[write("a\0b")], b"", &["rest", "y"]).0, Answer::Accept);
}

#[test]
fn what_is_written_is_shown_as_a_diff() {
    let (answer, seen) = answered(&[write("a\nB\n")], b"a\nb\n", &["rest"]);
    assert_eq!(answer, Answer::AcceptRun);
    assert!(seen.contains("/home/u/in/notes.txt") && seen.contains("-b\n+B\n"), "{seen}");
    let writes: Vec<PlanStep> = (0..10).map(|n| write(&format!("{n}\n"))).collect();
    let (_, seen) = answered(&writes, b"x\n", &["d 4", "n"]);
    assert!(seen.contains("+3\n") && !seen.contains("+4\n"), "{seen}");
}

#[test]
fn nobody_there_or_too_late_is_a_no() {
    assert!(matches!(answered(&moves(), b"", &[]).0, Answer::Refuse(_)));
    let mut late = Script { answers: vec!["y"], late: true, ..Script::default() };
    assert!(matches!(with(&moves(), b"", &mut late), Answer::Refuse(words) if words.contains("time had run out")));
}

#[test]
fn an_edit_is_shown_as_it_comes_out() {
    assert_eq!(replaced(b"a b a", b"a", b"xy", true), b"xy b xy");
    assert_eq!(replaced(b"a b a", b"a", b"", false), b" b a");
    assert_eq!(replaced(b"a", b"", b"z", true), b"a");
}
