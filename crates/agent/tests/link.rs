//! The worker's whole life over a socket, against a keeper that answers frame by frame.

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

use std::os::unix::net::UnixStream;
use std::thread;

use common::{Fake, calls, fail, job, says};
use raincoat_agent::keeper::{Keeper, Lost};
use raincoat_agent::link::Link;
use raincoat_agent::work;
use raincoat_types::wire::{FromWorker, Job, PlanStep, ToWorker, receive, send};
use raincoat_types::{Action, FailureKind, FileChange, FileRead, ModelRequest, Outcome, Place};
use serde_json::json;

const MAX: u32 = 80 << 20;

struct Seen {
    messages: Vec<FromWorker>,
    fake: Fake,
}

/// Plays the keeper's side until the worker is done.
fn keep(mut socket: UnixStream, job: Job, mut fake: Fake) -> Seen {
    let mut messages = Vec::new();
    let mut plan = Vec::new();
    let tell = |socket: &mut UnixStream, message: ToWorker| send(socket, &message, MAX).unwrap();
    tell(&mut socket, ToWorker::Start(Box::new(job)));
    while let Some(message) = receive::<FromWorker>(&mut socket, MAX).unwrap() {
        messages.push(message.clone());
        match message {
            FromWorker::Propose { id, action: Action::Read(read) } => {
                let outcome = fake.read(vec![read]).unwrap().remove(0);
                tell(&mut socket, ToWorker::Outcome { id, outcome });
            }
            FromWorker::Propose { id, action: Action::Model(request) } => {
                let mut pieces = Vec::new();
                let outcome = fake
                    .ask(request, &mut |bytes| {
                        pieces.push(bytes.to_vec());
                        std::ops::ControlFlow::Continue(String::new())
                    })
                    .unwrap();
                for bytes in pieces {
                    tell(&mut socket, ToWorker::ModelBytes { id, bytes });
                }
                tell(&mut socket, ToWorker::Outcome { id, outcome });
            }
            FromWorker::Plan { id, title, steps, last } => {
                plan.extend(steps);
                if last {
                    let result = fake.plan(&title, std::mem::take(&mut plan)).unwrap();
                    let mut done =
                        (0..).zip(result.outcomes).filter_map(|(n, o)| o.map(|o| (n, o))).collect::<Vec<_>>();
                    let rest = done.split_off(done.len() / 2);
                    tell(&mut socket, ToWorker::PlanOutcome { id, steps: done, refused: None, last: false });
                    tell(&mut socket, ToWorker::PlanOutcome { id, steps: rest, refused: result.refused, last: true });
                }
            }
            FromWorker::Finished { .. } => break,
            _ => {}
        }
    }
    Seen { messages, fake }
}

#[test]
fn a_task_is_carried_out_over_the_socket() {
    let mut replies = vec![
        calls(&[("list_dir", json!({})), ("read_file", json!({"path": "a"})), ("make_dir", json!({"path": "d"}))]),
        says("Done."),
    ]
    .into_iter();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let worker = thread::spawn(move || work(ours, || false));
    let seen = keep(theirs, job(true), Fake::new(&[("a", "x")], move |_, _| replies.next().unwrap()));
    worker.join().unwrap().unwrap();
    assert!(matches!(seen.messages.last(), Some(FromWorker::Finished { summary, ok: true }) if summary == "Done."));
    assert!(seen.messages.contains(&FromWorker::Say("Done.".into())));
    assert!(seen.messages.iter().any(|message| matches!(message, FromWorker::Transcript(bytes) if !bytes.is_empty())));
    assert!(seen.fake.files.contains_key("d"));
}

#[test]
fn long_plans_go_in_pieces_and_many_reads_do_not_block_each_other() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let worker = thread::spawn(move || {
        let (mut link, job) = Link::open(ours, || false).unwrap();
        assert_eq!(job.roots.len(), 1);
        let place = |n: usize| Place { root: 0, path: format!("d{n}").as_str().into() };
        let steps = (0..2_500)
            .map(|n| PlanStep { change: FileChange::Mkdir { at: place(n), parents: true }, why: String::new() });
        let result = link.plan("many", steps.collect()).unwrap();
        assert_eq!(result.outcomes.iter().flatten().count(), 2_500);
        let reads = (0..2_000).map(|n| FileRead::Stat { at: place(n * 2) });
        let outcomes = link.read(reads.collect()).unwrap();
        for (n, outcome) in outcomes.iter().enumerate() {
            let found = matches!(outcome, Outcome::Read(_));
            assert_eq!(found, n * 2 < 2_500, "{n}");
        }
        assert!(link.plan("nothing", Vec::new()).unwrap().outcomes.is_empty());
        link.finish("ok".into(), true).unwrap();
    });
    let seen = keep(theirs, job(true), Fake::new(&[], |_, _| panic!()));
    worker.join().unwrap();
    let pieces: Vec<_> = seen
        .messages
        .iter()
        .filter_map(|message| match message {
            FromWorker::Plan { steps, last, .. } => Some((steps.len(), *last)),
            _ => None,
        })
        .collect();
    assert_eq!(pieces, [(1000, false), (1000, false), (500, true), (0, true)]);
}

fn request() -> ModelRequest {
    ModelRequest { provider: "p".into(), path: "chat/completions".into(), body: Vec::new() }
}

#[test]
fn a_stop_gives_a_reply_up_and_is_remembered() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let worker = thread::spawn(move || {
        let (mut link, _) = Link::open(ours, || false).unwrap();
        let mut heard = 0;
        let outcome = link.ask(request(), &mut |_| {
            heard += 1;
            std::ops::ControlFlow::Continue("word".into())
        });
        (heard, outcome.unwrap(), link.stop_asked())
    });
    send(&mut theirs, &ToWorker::Start(Box::new(job(true))), MAX).unwrap();
    let Some(FromWorker::Propose { id, .. }) = receive(&mut theirs, MAX).unwrap() else { panic!() };
    let bytes = || ToWorker::ModelBytes { id, bytes: b"x".to_vec() };
    for message in [bytes(), ToWorker::Stop, bytes(), bytes()] {
        send(&mut theirs, &message, MAX).unwrap();
    }
    assert_eq!(receive::<FromWorker>(&mut theirs, MAX).unwrap(), Some(FromWorker::Say("word".into())));
    assert_eq!(receive::<FromWorker>(&mut theirs, MAX).unwrap(), Some(FromWorker::GiveUp { id }));
    let stopped = fail(FailureKind::Stopped, "stopped");
    send(&mut theirs, &ToWorker::Outcome { id, outcome: stopped.clone() }, MAX).unwrap();
    assert_eq!(worker.join().unwrap(), (1, stopped, true));
}

#[test]
fn a_stop_between_turns_is_seen_where_the_socket_can_be_asked() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    send(&mut theirs, &ToWorker::Start(Box::new(job(true))), MAX).unwrap();
    send(&mut theirs, &ToWorker::Stop, MAX).unwrap();
    let (mut link, _) = Link::open(ours, || true).unwrap();
    assert!(link.stop_asked());
}

#[test]
fn a_keeper_that_is_gone_or_out_of_turn_ends_the_worker() {
    let answer = |messages: Vec<ToWorker>| -> Result<(), Lost> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        for message in &messages {
            send(&mut theirs, message, MAX).unwrap();
        }
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        work(ours, || false)
    };
    let start = || ToWorker::Start(Box::new(job(true)));
    let outcome = |id| ToWorker::Outcome { id, outcome: fail(FailureKind::NotFound, "x") };
    for messages in [
        vec![],
        vec![ToWorker::Stop],
        vec![outcome(1)],
        vec![start()],
        vec![start(), start()],
        vec![start(), outcome(77)],
        vec![
            start(),
            ToWorker::PlanOutcome { id: 1, steps: vec![(9, fail(FailureKind::Full, "x"))], refused: None, last: true },
        ],
    ] {
        assert!(answer(messages.clone()).is_err(), "{messages:?}");
    }
}
