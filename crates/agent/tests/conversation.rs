//! The loop against a model that plays a script, well and badly. (H1, H2)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

mod common;

use common::{Fake, Reply, calls, error, fail, job, last, results, says, stream};
use raincoat_agent::agent_loop::run;
use raincoat_agent::recipes::Finished;
use raincoat_types::{FailureKind, FileChange, Outcome, wire::Job};
use serde_json::{Value, json};

fn play(fake: &mut Fake, job: &Job) -> Finished {
    run(fake, "do it", job).unwrap()
}

fn script(replies: Vec<Reply>) -> impl FnMut(usize, &Value) -> Reply {
    let mut replies = replies.into_iter();
    move |_, _| replies.next().expect("the script has ended, the loop has not")
}

fn finish(words: &str) -> Reply {
    calls(&[("finish", json!({"summary": words}))])
}

#[test]
fn a_long_task_with_parallel_calls_is_carried_out() {
    let model = script(vec![
        stream(
            &[
                json!({"content": "Let me "}),
                json!({"content": "look."}),
                json!({"tool_calls": [
            {"index": 0, "id": "c0", "function": {"name": "list_dir", "arguments": "{}"}}]}),
            ],
            "tool_calls",
        ),
        calls(&[
            ("read_file", json!({"path": "/home/me/docs/a.txt"})),
            ("search", json!({"pattern": "two"})),
            ("stat", json!({"path": "nope"})),
        ]),
        calls(&[
            ("edit_file", json!({"path": "a.txt", "old": "one", "new": "1"})),
            ("edit_file", json!({"path": "a.txt", "old": "two", "new": "2"})),
            ("write_file", json!({"path": "new/deep/n.txt", "content": "new"})),
            ("move", json!({"from": "b.txt", "to": "new/"})),
            ("copy", json!({"from": "new/b.txt", "to": "c.txt"})),
            ("delete", json!({"path": "old", "recursive": true})),
        ]),
        calls(&[
            ("write_file", json!({"path": "a.txt", "content": "all new"})),
            ("write_file", json!({"path": "new/deep/n.txt", "content": "newer"})),
        ]),
        finish("all done"),
    ]);
    let mut fake = Fake::new(&[("a.txt", "one two"), ("b.txt", "bee"), ("old/x", "x")], model);
    let finished = play(&mut fake, &job(true));
    assert_eq!(finished, Finished { summary: "all done".into(), ok: true });
    assert_eq!(fake.text("a.txt").unwrap(), "all new");
    assert_eq!(fake.text("new/deep/n.txt").unwrap(), "newer");
    assert_eq!((fake.text("new/b.txt"), fake.text("c.txt")), (Some("bee".into()), Some("bee".into())));
    assert!(fake.text("b.txt").is_none() && fake.text("old/x").is_none());
    assert_eq!(fake.plans.len(), 2, "all changes of one turn are one plan");
    assert_eq!(fake.said, "Let me look.\n");
    let told = results(&fake.requests[2]);
    assert!(told[0].contains("all 7 bytes:\none two"), "{told:?}");
    assert!(told[1].contains("a.txt:1: one two") && told[2].starts_with("failed (not found)"), "{told:?}");
    assert!(results(&fake.requests[3]).iter().all(|text| text.starts_with("done: ")), "{:?}", fake.requests[3]);
    let sent = &fake.requests[4]["messages"];
    assert_eq!(sent[2]["content"], "Let me look.");
    assert_eq!(sent[4]["tool_calls"][0]["sig"], "s", "unknown fields go back");
    assert!(fake.notes.iter().any(|note| note == "turn 1: 100 tokens in, 10 out"), "{:?}", fake.notes);
    assert!(
        fake.notes.iter().any(|note| note.starts_with("stat {") && note.contains("no: failed")),
        "{:?}",
        fake.notes
    );
}

#[test]
fn nothing_is_overwritten_unread() {
    let model = script(vec![
        calls(&[("write_file", json!({"path": "a.txt", "content": "mine"}))]),
        calls(&[
            ("read_file", json!({"path": "a.txt", "length": 1100})),
            ("write_file", json!({"path": "empty", "content": "x"})),
        ]),
        calls(&[("write_file", json!({"path": "a.txt", "content": "mine"}))]),
        calls(&[("read_file", json!({"path": "a.txt", "offset": 1100}))]),
        calls(&[("write_file", json!({"path": "a.txt", "content": "mine"}))]),
        finish("ok"),
    ]);
    let mut fake = Fake::new(&[("a.txt", &"x".repeat(2000)), ("empty", "")], model);
    assert!(play(&mut fake, &job(true)).ok);
    assert!(results(&fake.requests[1])[0].contains("read it first"));
    assert!(results(&fake.requests[2])[0].contains("bytes 0 to 1100 of 2000; go on with offset=1100"));
    assert!(results(&fake.requests[3])[0].contains("only 1100 of its 2000 bytes"), "{:?}", results(&fake.requests[3]));
    assert_eq!(fake.text("a.txt").unwrap(), "mine");
    assert_eq!(fake.text("empty").unwrap(), "x");
}

#[test]
fn a_file_that_someone_changed_since_it_was_read_is_not_touched() {
    let model = script(vec![
        calls(&[("read_file", json!({"path": "a.txt"}))]),
        calls(&[("edit_file", json!({"path": "a.txt", "old": "one", "new": "1"}))]),
        calls(&[("write_file", json!({"path": "a.txt", "content": "mine"}))]),
        says("I give up."),
    ]);
    let fake = Fake::new(&[("a.txt", "one")], model);
    // The person writes into it as soon as it was read.
    struct Meddling(Fake);
    impl raincoat_agent::keeper::Keeper for Meddling {
        fn read(&mut self, a: Vec<raincoat_types::FileRead>) -> Result<Vec<Outcome>, raincoat_agent::keeper::Lost> {
            let out = self.0.read(a);
            self.0.files.insert("a.txt".into(), Some(b"one and more".to_vec()));
            out
        }
        fn plan(
            &mut self,
            t: &str,
            s: Vec<raincoat_types::wire::PlanStep>,
        ) -> Result<raincoat_agent::keeper::PlanResult, raincoat_agent::keeper::Lost> {
            self.0.plan(t, s)
        }
        fn ask(
            &mut self,
            r: raincoat_types::ModelRequest,
            s: &mut raincoat_agent::keeper::Sink<'_>,
        ) -> Result<Outcome, raincoat_agent::keeper::Lost> {
            self.0.ask(r, s)
        }
        fn say(&mut self, t: &str) -> Result<(), raincoat_agent::keeper::Lost> {
            self.0.say(t)
        }
        fn status(&mut self, t: &str, p: Option<(u64, u64)>) -> Result<(), raincoat_agent::keeper::Lost> {
            self.0.status(t, p)
        }
        fn note(&mut self, t: &str) -> Result<(), raincoat_agent::keeper::Lost> {
            self.0.note(t)
        }
        fn stop_asked(&mut self) -> bool {
            false
        }
    }
    let mut meddling = Meddling(fake);
    run(&mut meddling, "do it", &job(true)).unwrap();
    let fake = meddling.0;
    assert!(results(&fake.requests[2])[0].contains("not as you read it"), "{:?}", results(&fake.requests[2]));
    assert!(results(&fake.requests[3])[0].contains("changed by someone else"), "{:?}", results(&fake.requests[3]));
    assert_eq!(fake.text("a.txt").unwrap(), "one and more");
}

#[test]
fn after_a_call_that_cannot_be_nothing_further_is_proposed() {
    let model = script(vec![
        calls(&[
            ("make_dir", json!({"path": "d"})),
            ("edit_file", json!({"path": "a.txt", "old": "nope", "new": "x"})),
            ("delete", json!({"path": "a.txt"})),
            ("finish", json!({"summary": "done"})),
        ]),
        finish("done now"),
    ]);
    let mut fake = Fake::new(&[("a.txt", "one")], model);
    assert_eq!(play(&mut fake, &job(true)).summary, "done now");
    assert_eq!(fake.plans[0].1.len(), 1);
    assert!(fake.text("a.txt").is_some());
    let told = results(&fake.requests[1]);
    assert!(
        told[1].contains("does not occur") && told[2].starts_with("not tried") && told[3].starts_with("not finished")
    );
}

#[test]
fn refusals_of_the_gate_and_of_the_person_are_told_in_words() {
    let model = script(vec![
        calls(&[("write_file", json!({"path": ".bashrc", "content": "x"})), ("make_dir", json!({"path": "d"}))]),
        says("It was refused."),
    ]);
    let mut fake = Fake::new(&[], model);
    fake.protected = ".bashrc".into();
    assert!(play(&mut fake, &job(true)).ok);
    let told = results(&fake.requests[1]);
    assert_eq!(told, ["refused (protected-name): it is protected", "done: made the folder `d`"]);

    let model = script(vec![calls(&[("delete", json!({"path": "a"}))]), says("As you wish.")]);
    let mut fake = Fake::new(&[("a", "x")], model);
    fake.refuse = Some("keep that".into());
    play(&mut fake, &job(true));
    assert!(last(&fake.requests[1]).contains("refused (keep that)"));
    assert!(fake.text("a").is_some());
}

#[test]
fn a_folder_that_is_read_only_is_not_proposed_to_change() {
    let mut job = job(true);
    job.roots[0].read_only = true;
    let model = script(vec![calls(&[("delete", json!({"path": "a"}))]), says("ok")]);
    let mut fake = Fake::new(&[("a", "x")], model);
    play(&mut fake, &job);
    assert!(fake.plans.is_empty() && last(&fake.requests[1]).contains("may only be read"));
}

#[test]
fn garbage_calls_are_answered_precisely_and_the_same_one_three_times_ends_it() {
    let mut fake = Fake::new(&[], |_, _| calls(&[("read_file", json!("{\"path\": ")), ("rm", json!({"path": "/"}))]));
    let finished = play(&mut fake, &job(true));
    assert!(!finished.ok && finished.summary.contains("3 times"), "{}", finished.summary);
    assert_eq!(fake.requests.len(), 3);
    let told = results(&fake.requests[1]);
    assert!(told[0].contains("arguments are wrong: EOF") && told[1].contains("no tool `rm`"), "{told:?}");
    assert!(results(&fake.requests[2])[0].contains("come to nothing 2 times"));
    let sent = fake.requests[1]["messages"][2]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    assert!(serde_json::from_str::<Value>(sent).is_ok(), "what goes back is JSON");
}

#[test]
fn passing_trouble_is_tried_again_and_lasting_trouble_is_not() {
    let model = script(vec![error(429, "slow down"), error(503, "busy"), says("done")]);
    let mut fake = Fake::new(&[], model);
    assert!(play(&mut fake, &job(true)).ok);

    let mut fake = Fake::new(&[], |_, _| error(500, "oops"));
    let finished = play(&mut fake, &job(true));
    assert!(
        !finished.ok && finished.summary.contains("oops") && finished.summary.contains("tried 3 times"),
        "{finished:?}"
    );
    assert_eq!(fake.requests.len(), 3);

    let mut fake = Fake::new(&[], |_, _| error(401, "bad key"));
    let finished = play(&mut fake, &job(true));
    assert!(finished.summary.contains("bad key") && finished.summary.contains("raincoat key add"), "{finished:?}");
    assert_eq!(fake.requests.len(), 1);

    let network = || Reply { pieces: vec![], outcome: fail(FailureKind::Network, "no route to the provider") };
    let mut fake = Fake::new(&[], script(vec![network(), network(), network()]));
    assert!(play(&mut fake, &job(true)).summary.contains("no route"));
}

#[test]
fn a_reply_cut_after_text_is_not_said_twice() {
    let cut = || {
        let mut reply = says("half a sen");
        reply.pieces.truncate(reply.pieces.len() / 2);
        reply
    };
    let mut fake = Fake::new(&[], script(vec![cut()]));
    let finished = play(&mut fake, &job(true));
    assert!(!finished.ok && finished.summary.contains("cut before its end"), "{finished:?}");
    assert_eq!(fake.said, "half a sen\n");
}

#[test]
fn an_endless_reply_is_given_up() {
    let mut job = job(true);
    job.limits.model_reply_bytes = 10_000;
    let endless = |_: usize, _: &Value| Reply {
        pieces: vec![b"data: {\"choices\":[{\"delta\":{\"content\":\"la \"}}]}\n\n".to_vec(); 100_000],
        outcome: Outcome::Model { status: 200 },
    };
    let mut fake = Fake::new(&[], endless);
    let finished = play(&mut fake, &job);
    assert!(!finished.ok && finished.summary.contains("more than 10000 bytes"), "{finished:?}");
    assert_eq!(fake.given_up, 1);
}

#[test]
fn what_is_no_reply_at_all_ends_clearly() {
    for body in ["<html>login</html>", "data: {\"nope", "\0\0\0", "[[[["] {
        let reply =
            move |_: usize, _: &Value| Reply { pieces: vec![body.into()], outcome: Outcome::Model { status: 200 } };
        let mut fake = Fake::new(&[], reply);
        let finished = play(&mut fake, &job(true));
        assert!(!finished.ok && !finished.summary.is_empty(), "{body}: {finished:?}");
        assert!(fake.requests.len() <= 3, "{body}");
    }
}

#[test]
fn empty_and_cut_replies_are_nudged_but_not_for_ever() {
    let model = script(vec![says(""), stream(&[json!({"content": "part one "})], "length"), says("part two")]);
    let mut fake = Fake::new(&[], model);
    assert_eq!(play(&mut fake, &job(true)), Finished { summary: "part two".into(), ok: true });
    assert!(last(&fake.requests[1]).contains("empty") && last(&fake.requests[2]).contains("cut"));

    let mut fake = Fake::new(&[], |_, _| says("  "));
    assert!(!play(&mut fake, &job(true)).ok);
    assert_eq!(fake.requests.len(), 3);
}

#[test]
fn a_call_that_was_cut_is_explained() {
    let piece = json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "write_file", "arguments": "{\"path\": \"a"}}]});
    let mut fake = Fake::new(&[], script(vec![stream(&[piece], "length"), says("ok")]));
    assert!(play(&mut fake, &job(true)).ok);
    assert!(last(&fake.requests[1]).contains("cut at its length limit"));
    assert!(fake.plans.is_empty());
}

#[test]
fn declined_and_filtered_are_not_ok() {
    let mut fake = Fake::new(&[], |_, _| stream(&[json!({"refusal": "I cannot."})], "stop"));
    let finished = play(&mut fake, &job(true));
    assert!(!finished.ok && finished.summary.contains("declined: I cannot."), "{finished:?}");
    let mut fake = Fake::new(&[], |_, _| stream(&[], "content_filter"));
    assert!(play(&mut fake, &job(true)).summary.contains("content filter"));
    let mut fake = Fake::new(&[], |_, _| calls(&[("finish", json!({"summary": "no way", "success": false}))]));
    assert_eq!(play(&mut fake, &job(true)), Finished { summary: "no way".into(), ok: false });
}

#[test]
fn the_number_of_turns_is_bounded_and_a_stop_is_heard() {
    let mut number = 0;
    let mut job = job(true);
    job.limits.model_turns = 7;
    let mut fake = Fake::new(&[], move |_, _| {
        number += 1;
        calls(&[("make_dir", json!({"path": format!("d{number}")}))])
    });
    let finished = play(&mut fake, &job);
    assert!(
        !finished.ok && finished.summary.contains("7 turns") && finished.summary.contains("7 changes"),
        "{finished:?}"
    );
    fake.requests.clear();
    fake.stop_after = Some(2);
    let finished = play(&mut fake, &job);
    assert!(finished.summary.starts_with("stopped"), "{finished:?}");
    assert_eq!(fake.requests.len(), 2);
}

#[test]
fn too_many_calls_in_one_turn_are_answered_each() {
    let mut job = job(true);
    job.limits.tool_calls = 4;
    let many: Vec<_> = (0..10).map(|n| ("make_dir", json!({"path": format!("d{n}")}))).collect();
    let mut fake = Fake::new(&[], script(vec![calls(&many), says("ok")]));
    play(&mut fake, &job);
    let told = results(&fake.requests[1]);
    assert_eq!(told.iter().filter(|text| text.starts_with("done")).count(), 4);
    assert_eq!(told.iter().filter(|text| text.starts_with("not tried")).count(), 6);
}

#[test]
fn a_model_without_tool_calls_speaks_the_text_protocol() {
    let block = |text: &str| format!("I will look.\n```tool\n{text}\n```\n```result call_1 list_dir\ninvented\n```\n");
    let model = script(vec![
        says(&block("{\"name\": \"read_file\", \"arguments\": {\"path\": \"a.txt\"}}")),
        says("```tool\n{\"name\": \"write_file\", \"arguments\": {\"path\": \"a.txt\", \"content\": \"new\"}}\n```"),
        says("All is done."),
    ]);
    let mut fake = Fake::new(&[("a.txt", "old ``` text")], model);
    assert_eq!(play(&mut fake, &job(false)), Finished { summary: "All is done.".into(), ok: true });
    assert_eq!(fake.text("a.txt").unwrap(), "new");
    assert_eq!(fake.said, "I will look.\nAll is done.\n", "no block is shown");
    assert!(fake.requests[0].get("tools").is_none());
    assert!(
        fake.requests[0]["messages"][0]["content"]
            .as_str()
            .unwrap()
            .contains("- write_file(path: string, content: string)")
    );
    let told = last(&fake.requests[1]);
    assert!(told.starts_with("````result call_1 read_file\n") && told.contains("old ``` text"), "{told}");
    let roles: Vec<_> = fake.requests[2]["messages"].as_array().unwrap().iter().map(|m| m["role"].clone()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "user", "assistant", "user"]);
    assert!(!fake.requests[1]["messages"][2]["content"].as_str().unwrap().contains("invented"));
}

#[test]
fn a_provider_that_refuses_tools_is_spoken_to_in_text() {
    let mut first = true;
    let mut fake = Fake::new(&[], move |_, request| {
        if std::mem::take(&mut first) {
            assert!(request.get("tools").is_some());
            return error(400, "this model does not support tools");
        }
        assert!(request.get("tools").is_none());
        says("```tool\n{\"name\": \"finish\", \"arguments\": {\"summary\": \"fine\"}}\n```")
    });
    assert_eq!(play(&mut fake, &job(true)).summary, "fine");
}

#[test]
fn a_run_goes_on_from_its_transcript_and_knows_what_is_uncertain() {
    let first = script(vec![
        calls(&[("read_file", json!({"path": "a.txt"}))]),
        calls(&[("edit_file", json!({"path": "a.txt", "old": "one", "new": "1"}))]),
    ]);
    let mut fake = Fake::new(&[("a.txt", "one two")], first);
    fake.lose_at_plan = Some(0);
    assert!(run(&mut fake, "do it", &job(true)).is_err());
    let mut again = Fake::new(
        &[("a.txt", &fake.text("a.txt").unwrap())],
        script(vec![
            calls(&[("write_file", json!({"path": "a.txt", "content": "x"}))]),
            calls(&[("read_file", json!({"path": "a.txt"}))]),
            calls(&[("write_file", json!({"path": "a.txt", "content": "x"}))]),
            finish("done"),
        ]),
    );
    let mut job = job(true);
    job.transcript = fake.transcripts.last().unwrap().clone();
    assert!(play(&mut again, &job).ok);
    let told = last(&again.requests[0]);
    assert!(told.contains("interrupted here"), "{told}");
    assert_eq!(again.requests[0]["messages"].as_array().unwrap().len(), 6, "the conversation is all there");
    assert!(results(&again.requests[1])[0].contains("changed by someone else"), "the old digest is no licence");
    assert_eq!(again.text("a.txt").unwrap(), "x");

    job.transcript = b"{\"version\": 9}".to_vec();
    assert!(run(&mut again, "do it", &job).unwrap().summary.contains("cannot be read"));
}

#[test]
fn a_small_window_is_kept_under_over_many_turns() {
    let mut job = job(true);
    job.model.as_mut().unwrap().window = 6_000;
    let mut turn = 0;
    let mut fake = Fake::new(&[("big.txt", &"some words on a line\n".repeat(40_000))], move |_, request| {
        let text = request.to_string();
        assert!(text.len() < 6_000 * 4, "{} bytes", text.len());
        assert!(request["messages"][1]["content"].as_str().unwrap().starts_with("do it"));
        turn += 1;
        match turn {
            40 => finish("read it all"),
            n => calls(&[
                ("read_file", json!({"path": "big.txt", "offset": n * 1000})),
                ("read_file", json!({"path": "big.txt", "offset": n * 2000})),
            ]),
        }
    });
    assert_eq!(play(&mut fake, &job).summary, "read it all");
    assert!(fake.requests[39].to_string().contains("left out to save room"));
    assert!(fake.transcripts.last().unwrap().len() < 200_000);
}

#[test]
fn a_file_larger_than_one_window_is_read_and_edited_whole() {
    let mut job = job(true);
    job.limits.read_window = 1000;
    let text = format!("{}needle{}", "a".repeat(5_500), "b".repeat(700));
    let model = script(vec![
        calls(&[("read_file", json!({"path": "f", "offset": 5490, "length": 20}))]),
        calls(&[("edit_file", json!({"path": "f", "old": "needle", "new": "thread"}))]),
        finish("ok"),
    ]);
    let mut fake = Fake::new(&[("f", &text)], model);
    assert!(play(&mut fake, &job).ok);
    assert!(last(&fake.requests[1]).contains("aaaaneedlebbbb"), "{}", last(&fake.requests[1]));
    assert_eq!(fake.text("f").unwrap(), text.replace("needle", "thread"));
    assert!(matches!(fake.plans[0].1[0].change, FileChange::Edit { .. }));
}

#[test]
fn a_document_is_read_as_its_text_and_not_overwritten_with_it() {
    let rtf = "{\\rtf1\\ansi Hello \\b world\\b0 .\\par}";
    let model = script(vec![
        calls(&[("read_file", json!({"path": "letter.rtf"})), ("read_file", json!({"path": "blob"}))]),
        calls(&[("write_file", json!({"path": "letter.rtf", "content": "Hello"}))]),
        finish("ok"),
    ]);
    let mut fake = Fake::new(&[("letter.rtf", rtf), ("blob", "\0\u{1}\0\u{2}")], model);
    assert!(play(&mut fake, &job(true)).ok);
    let told = results(&fake.requests[1]);
    assert!(told[0].contains("Hello world") && told[0].contains("of its text"), "{told:?}");
    assert!(told[1].contains("binary (4 bytes)"), "{told:?}");
    assert!(last(&fake.requests[2]).contains("not a text file"));
    assert_eq!(fake.text("letter.rtf").unwrap(), rtf);
}

#[test]
fn without_a_model_it_says_what_to_do() {
    let mut job = job(true);
    job.model = None;
    let mut fake = Fake::new(&[], |_, _| panic!());
    assert!(play(&mut fake, &job).summary.contains("raincoat provider add"));
}
