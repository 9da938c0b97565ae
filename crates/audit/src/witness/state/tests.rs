use proptest::prelude::*;
use raincoat_types::Secret;

use super::*;
use crate::hash::leaf_hash;
use crate::note::Signer;
use crate::proof::{self, naive};
use crate::witness::{Said, read_answer, submission};

const ORIGIN: &str = "log.example/one";

fn log(seed: u8) -> Signer {
    Signer::new(ORIGIN, &Secret::new([seed; 32])).unwrap()
}

fn cosigner() -> Cosigner {
    Cosigner::new("witness.example/w", Secret::new([3; 32])).unwrap()
}

fn serving(seed: u8) -> State {
    let mut state = State::default();
    assert_eq!(state.trust(log(seed).verifier()), Some(true));
    state
}

/// A history of entries; `kind` tells one history from another.
fn leaves(kind: u8, size: u64) -> Vec<Hash> {
    (0..size).map(|n| leaf_hash(&[kind, n as u8])).collect()
}

fn note(kind: u8, size: u64) -> String {
    let root = naive::root(&leaves(kind, size));
    log(1).sign(&Checkpoint { origin: ORIGIN.to_owned(), size, root }.text())
}

fn request(kind: u8, old: u64, size: u64) -> String {
    let proof = if old == 0 || old > size { Vec::new() } else { naive::proof(old as usize, &leaves(kind, size)) };
    submission(old, &proof, &note(kind, size))
}

#[track_caller]
fn status(state: &mut State, body: &str, expected: u16) -> Verdict {
    let before = state.clone();
    let verdict = state.judge(body.as_bytes(), &cosigner(), 100);
    assert_eq!(verdict.status(), expected, "{verdict:?}");
    if expected != 200 {
        assert_eq!(*state, before, "a refusal changes nothing");
    }
    verdict
}

/// c2sp.org/tlog-witness, sentence by sentence.
#[test]
fn each_answer_is_the_one_that_the_specification_gives() {
    let mut state = serving(1);
    status(&mut state, "old 0\n", 400);
    status(&mut state, &request(0, 0, 5).replace(ORIGIN, "log.example/two"), 404);
    let stranger = log(9).sign(&Checkpoint { origin: ORIGIN.to_owned(), size: 5, root: [0; 32] }.text());
    status(&mut state, &submission(0, &[], &stranger), 403);
    let mut false_one = note(0, 5);
    false_one.push_str(&Note::parse(note(0, 4).as_bytes()).unwrap().signatures[0].line());
    status(&mut state, &submission(0, &[], &false_one), 403);
    status(&mut state, &submission(6, &[], &note(0, 5)), 400);
    let conflict = status(&mut state, &request(0, 2, 5), 409);
    assert_eq!((conflict.body().as_str(), conflict.content_type()), ("0\n", "text/x.tlog.size"));
    status(&mut state, &submission(0, &[[1; 32]], &note(0, 5)), 422);
    let lying = log(1).sign(&Checkpoint { origin: ORIGIN.to_owned(), size: 0, root: [1; 32] }.text());
    status(&mut state, &submission(0, &[], &lying), 422);
    status(&mut state, &request(0, 0, 0), 200);
    status(&mut state, &request(0, 0, 5), 200);
    // It knows five entries now.
    let conflict = status(&mut state, &request(0, 0, 9), 409);
    assert_eq!(conflict.body(), "5\n");
    status(&mut state, &request(1, 5, 5), 422);
    status(&mut state, &request(1, 5, 9), 422);
    status(&mut state, &submission(5, &[], &note(0, 9)), 422);
    status(&mut state, &request(0, 5, 5), 200);
    status(&mut state, &request(0, 5, 9), 200);
    assert_eq!(status(&mut state, &request(0, 5, 9), 409).body(), "9\n");
    status(&mut state, &request(0, 9, 7), 400);
    assert_eq!(status(&mut state, &request(0, 7, 7), 409).body(), "9\n");
}

#[test]
fn what_is_cosigned_is_kept_with_the_logs_signature_and_read_by_the_log() {
    let mut state = serving(1);
    let verdict = state.judge(request(0, 0, 5).as_bytes(), &cosigner(), 1234);
    let latest = state.log(ORIGIN).unwrap().latest.clone().unwrap();
    assert_eq!((latest.at, latest.head.size), (1234, 5));
    assert_eq!(latest.note, format!("{}{}", note(0, 5), verdict.body()));
    let said = read_answer(200, verdict.body().as_bytes(), &note(0, 5), cosigner().key());
    assert_eq!(said, Said::Cosigned { note: latest.note, at: 1234 });
}

#[test]
fn an_answer_is_believed_only_where_the_witness_signed_this_very_checkpoint() {
    let key = cosigner().key().clone();
    let line = |text: &str| cosigner().cosign(text, 7);
    let (note_5, text_5) = (note(0, 5), note(0, 5).split("\n\n").next().unwrap().to_owned() + "\n");
    let read = |status, body: &str| read_answer(status, body.as_bytes(), &note_5, &key);
    assert!(matches!(read(200, &line(&text_5)), Said::Cosigned { at: 7, .. }));
    let others = Cosigner::new("other", Secret::new([8; 32])).unwrap().cosign(&text_5, 9);
    let Said::Cosigned { note, .. } = read(200, &(others.clone() + &line(&text_5))) else { panic!() };
    assert!(!note.contains("other"), "lines of others are left out");
    for bad in [line("something else\n"), others, String::new(), "ok\n".to_owned(), cosigner().cosign(&text_5, 0)] {
        assert!(matches!(read(200, &bad), Said::Failed(_)), "{bad}");
    }
    assert_eq!(read(409, "12\n"), Said::HasSeen(12));
    assert!(matches!(read(409, "no"), Said::Contradicts(_)));
    assert!(matches!(read(422, "no\u{1b}[2J"), Said::Contradicts(words) if !words.contains('\u{1b}')));
    assert!(matches!(read(404, ""), Said::NotServed(_)));
    assert!(matches!(read(500, "oh"), Said::Failed(_)));
}

#[test]
fn a_log_may_change_its_key_and_nobody_elses_key_counts() {
    let mut state = serving(1);
    assert_eq!(state.trust(log(1).verifier()), Some(false));
    assert_eq!(state.trust(log(2).verifier()), Some(true));
    assert_eq!(state.logs.len(), 1);
    let head = Checkpoint { origin: ORIGIN.to_owned(), size: 3, root: naive::root(&leaves(0, 3)) };
    let by_the_new_one = submission(0, &[], &log(2).sign(&head.text()));
    status(&mut state, &by_the_new_one, 200);
    for seed in 3..10 {
        let _ = state.trust(log(seed).verifier());
    }
    assert_eq!(state.trust(log(99).verifier()), None, "keys have an end");
}

#[test]
fn a_clock_that_goes_back_signs_no_earlier_moment() {
    let mut state = serving(1);
    assert_eq!(state.judge(request(0, 0, 3).as_bytes(), &cosigner(), 1000).status(), 200);
    assert_eq!(state.judge(request(0, 3, 4).as_bytes(), &cosigner(), 900).status(), 200);
    assert_eq!(state.log(ORIGIN).unwrap().latest.as_ref().unwrap().at, 1000);
    assert_eq!(state.judge(request(0, 4, 5).as_bytes(), &cosigner(), 500).status(), 503);
    assert_eq!(serving(1).judge(request(0, 0, 3).as_bytes(), &cosigner(), 0).status(), 503);
}

#[test]
fn a_state_reads_back_and_a_changed_one_does_not() {
    let key = cosigner().key().clone();
    let mut state = serving(1);
    state.judge(request(0, 0, 5).as_bytes(), &cosigner(), 9);
    state.trust(log(2).verifier());
    state.trust(Signer::new("log.example/two", &Secret::new([4; 32])).unwrap().verifier());
    let bytes = state.encode(&key);
    assert_eq!(State::parse(&bytes, &key), Ok(state.clone()));
    assert_eq!(State::parse(&State::default().encode(&key), &key), Ok(State::default()));
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        assert!(State::parse(&bad, &key).is_err(), "byte {at}");
        assert!(State::parse(&bytes[..at], &key).is_err(), "cut at {at}");
    }
    // Someone who can count a checksum has the witness's key to forge still.
    let mut forged = state.clone();
    let latest = forged.logs[0].latest.as_mut().unwrap();
    latest.note = note(0, 2) + &cosigner().cosign("else\n", 9);
    assert!(State::parse(&forged.encode(&key), &key).is_err());
    let other = Cosigner::new("witness.example/w", Secret::new([4; 32])).unwrap();
    assert!(State::parse(&bytes, other.key()).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_sign(bytes: Vec<u8>, at: prop::sample::Index, bit in 0..8_u8) {
        let mut state = serving(1);
        prop_assert_ne!(state.judge(&bytes, &cosigner(), 50).status(), 200);
        let key = cosigner().key().clone();
        prop_assert!(State::parse(&bytes, &key).is_err());
        let _ = read_answer(200, &bytes, "a\n\n\u{2014} w AAAAAAA=\n", &key);
        let _ = read_answer(409, &bytes, "", &key);
        let mut damaged = state.encode(&key);
        let place = at.index(damaged.len());
        damaged[place] ^= 1 << bit;
        prop_assert!(State::parse(&damaged, &key).is_err());
    }

    /// Whatever is sent in whatever order, what was cosigned is one history, and never gets smaller.
    #[test]
    fn what_is_cosigned_is_one_history(requests in prop::collection::vec((0_u8..2, 0_u64..12, 0_u64..12), 1..40)) {
        let mut state = serving(1);
        let mut known: Option<(u8, u64)> = None;
        for (kind, old, size) in requests {
            if state.judge(request(kind, old, size).as_bytes(), &cosigner(), 50).status() == 200 {
                if let Some((was, largest)) = known {
                    prop_assert!(size >= largest);
                    prop_assert!(was == kind || largest == 0);
                }
                known = Some((kind, size));
                let head = &state.log(ORIGIN).unwrap().latest.as_ref().unwrap().head;
                prop_assert_eq!(head.root, naive::root(&leaves(kind, size)));
            }
        }
        let bytes = state.encode(cosigner().key());
        prop_assert_eq!(State::parse(&bytes, cosigner().key()), Ok(state));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, text in "(old [0-9]{0,3}\n){0,1}[a-zA-Z0-9=\n \u{2014}]{0,60}") {
        let mut state = serving(1);
        let _ = state.judge(&bytes, &cosigner(), 1);
        let _ = state.judge(text.as_bytes(), &cosigner(), 1);
        let _ = State::parse(&bytes, cosigner().key());
    }
}

#[test]
fn proofs_are_those_that_our_logs_make() {
    struct Tree(Vec<Hash>);
    impl proof::Nodes for Tree {
        type Error = std::convert::Infallible;
        fn node(&self, height: u32, index: u64) -> Result<Hash, Self::Error> {
            let width = 1_usize << height;
            let from = index as usize * width;
            Ok(naive::root(&self.0[from..from + width]))
        }
    }
    let mut state = serving(1);
    let mut old = 0;
    for size in [1, 2, 3, 7, 8, 9, 100] {
        let path = proof::consistency(&Tree(leaves(0, size)), old, size).unwrap();
        status(&mut state, &submission(old, &path, &note(0, size)), 200);
        old = size;
    }
}
