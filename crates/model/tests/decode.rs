//! Replies as servers really send them, in any split; and replies that nobody should send.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::string_slice, reason = "tests")]

use proptest::prelude::*;
use raincoat_model::{Decoder, Event, Finish, Reply, ReplyError, ReplyLimits, Usage};
use serde_json::{Value, json};

type Read = (Vec<Event>, Result<Reply, ReplyError>);

fn read_in(pieces: &[&[u8]], status: u16, limits: &ReplyLimits) -> Read {
    let mut events = Vec::new();
    let mut decoder = Decoder::new(limits.clone());
    for piece in pieces {
        if let Err(e) = decoder.feed(piece, &mut events) {
            return (events, Err(e));
        }
    }
    let reply = decoder.finish(status, &mut events);
    (events, reply)
}

fn read(body: &str) -> Read {
    read_in(&[body.as_bytes()], 200, &ReplyLimits::default())
}

fn stream(chunks: &[Value]) -> String {
    chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect()
}

fn delta(delta: Value) -> Value {
    json!({"choices": [{"index": 0, "delta": delta}]})
}

fn end(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

/// A reply with everything in it: thinking, text, two tool calls in turn, unknown fields, usage.
fn rich() -> String {
    let mut body = String::from("\u{feff}: hello\r\nevent: message\r\n");
    body.push_str(&stream(&[
        delta(json!({"role": "assistant", "content": "", "tool_calls": null})),
        delta(json!({"reasoning_content": "hm"})),
        delta(json!({"content": "Grüße "})),
        delta(json!({"content": "日本"})),
        delta(json!({"tool_calls": [{"index": 0, "id": "a", "type": "function", "extra_content": {"google": {"thought_signature": "sig"}},
            "function": {"name": "read_file", "arguments": "{\"pa"}}]})),
        delta(json!({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "list_dir", "arguments": ""}}]})),
        delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": "th\":1}"}}]})),
        delta(json!({"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}], "vendor": {"x": [1]}})),
        end("tool_calls"),
        json!({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}),
    ]));
    body.push_str("data: [DONE]\n\n");
    body
}

#[test]
fn fragments_of_parallel_calls_come_together_and_unknown_fields_go_back() {
    let (events, reply) = read(&rich());
    let reply = reply.unwrap();
    assert_eq!(reply.text, "Grüße 日本");
    assert_eq!(reply.finish, Finish::ToolCalls);
    assert_eq!(reply.usage, Some(Usage { input: 7, output: 3 }));
    let calls: Vec<_> = reply.calls.iter().map(|c| (c.id.as_str(), c.name.as_str(), c.arguments.as_str())).collect();
    assert_eq!(calls, [("a", "read_file", r#"{"path":1}"#), ("b", "list_dir", "{}")]);
    assert!(events.contains(&Event::Reasoning("hm".into())));
    assert_eq!(
        Value::Object(reply.message),
        json!({"role": "assistant", "content": "Grüße 日本", "reasoning_content": "hm", "vendor": {"x": [1]},
            "tool_calls": [
                {"id": "a", "type": "function", "extra_content": {"google": {"thought_signature": "sig"}},
                    "function": {"name": "read_file", "arguments": r#"{"path":1}"#}},
                {"id": "b", "type": "function", "function": {"name": "list_dir", "arguments": "{}"}}]})
    );
}

#[test]
fn a_server_that_ignores_stream_is_understood() {
    let body = json!({"choices": [{"index": 0, "finish_reason": "stop", "message":
        {"role": "assistant", "content": "hi", "refusal": null}}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}});
    let (events, reply) = read(&format!("\n {body:#}\n"));
    assert_eq!(events[0], Event::Text("hi".into()));
    assert_eq!(Value::Object(reply.unwrap().message), json!({"role": "assistant", "content": "hi"}));
}

#[test]
fn a_stream_without_done_counts_where_a_reason_to_end_was_given() {
    let text = delta(json!({"content": "hi"}));
    assert_eq!(read(&stream(&[text.clone(), end("stop")])).1.unwrap().text, "hi");
    assert_eq!(read(&stream(std::slice::from_ref(&text))).1, Err(ReplyError::Cut { began: true }));
    assert_eq!(read("").1, Err(ReplyError::Cut { began: false }));
    assert_eq!(read(": ping\n\ndata: {\"choices\":[{\"del").1, Err(ReplyError::Cut { began: false }));
    let whole = format!("{}data: [DONE]", stream(&[text]));
    assert_eq!(read(&whole).1.unwrap().finish, Finish::Stop);
}

#[test]
fn events_that_a_server_ends_with_one_newline_only_are_taken_apart() {
    let body = format!("data: {}\ndata: {}\ndata: [DONE]\n", delta(json!({"content": "a"})), end("stop"));
    assert_eq!(read(&body).1.unwrap().text, "a");
}

#[test]
fn calls_are_told_apart_where_indices_lie_or_are_missing() {
    let call = |more: Value| {
        let mut piece = json!({"function": {"name": "f", "arguments": "{}"}});
        piece.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        delta(json!({"tool_calls": [piece]}))
    };
    for (first, second) in [
        (json!({"index": 0, "id": "a"}), json!({"index": 0, "id": "b"})),
        (json!({"id": "a"}), json!({"id": "b"})),
        (json!({}), json!({})),
        (json!({"index": 0}), json!({"index": 0})),
        (json!({"index": 0, "id": "a"}), json!({"index": 1, "id": "a"})),
    ] {
        let reply = read(&stream(&[call(first.clone()), call(second), end("stop")])).1.unwrap();
        assert_eq!(reply.calls.len(), 2, "{first}");
        assert_ne!(reply.calls[0].id, reply.calls[1].id, "{first}");
    }
    let again = json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}});
    let reply =
        read(&stream(&[call(json!({"index": 0, "id": "a"})), delta(json!({"tool_calls": [again]})), end("stop")]));
    assert_eq!((reply.1.unwrap().calls)[0].name, "f");
}

#[test]
fn arguments_that_are_no_json_go_back_wrapped() {
    let piece = json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\": "}});
    let reply = read(&stream(&[delta(json!({"tool_calls": [piece]})), end("tool_calls")])).1.unwrap();
    assert_eq!(reply.calls[0].arguments, "{\"x\": ");
    let sent = reply.message["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    assert!(serde_json::from_str::<Value>(sent).unwrap().is_object());
}

#[test]
fn a_providers_error_comes_out_in_its_words() {
    let body = br#"{"error":{"message":"quota \u001b[31m exceeded","type":"x"}}"#;
    let error = read_in(&[body], 429, &ReplyLimits::default()).1.unwrap_err();
    assert_eq!(error, ReplyError::Status { status: 429, message: "quota \\u{001b}[31m exceeded".into() });
    assert!(error.worth_another_try());
    let html = read_in(&[b"<html>Bad Gateway</html>"], 502, &ReplyLimits::default()).1.unwrap_err();
    assert!(html.to_string().contains("Bad Gateway"), "{html}");
    let within = stream(&[delta(json!({"content": "a"})), json!({"error": {"message": "overloaded"}})]);
    assert_eq!(read(&within).1, Err(ReplyError::Provider("overloaded".into())));
    let with_status = read_in(&[b"data: {\"error\":\"no such model\"}\n\n"], 200, &ReplyLimits::default()).1;
    assert_eq!(with_status, Err(ReplyError::Provider("no such model".into())));
}

#[test]
fn what_is_no_reply_is_said_to_be_none() {
    for body in
        ["<html>hello</html>", "data: 17\n\n", "data: {nope}\n\n", "[1, 2]", "{\"a\": 1}", "data: {}\n\n", "{} {}"]
    {
        assert!(matches!(read(body).1, Err(ReplyError::Malformed(_))), "{body}: {:?}", read(body).1);
    }
}

#[test]
fn hostile_shapes_do_not_take_for_ever() {
    let entries: Vec<String> = (0..300_000).map(|n| format!("{{\"index\":{n}}}")).collect();
    let list = format!("data: {{\"choices\":[{{\"delta\":{{\"details\":[{}]}}}}]}}\n\n", entries.join(","));
    let piece = json!({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{\"}"}}]});
    let calls = stream(&vec![delta(piece); 100_000]);
    for body in [format!("{list}{list}"), calls] {
        assert!(read(&body).1.is_err());
    }
}

#[test]
fn every_limit_ends_the_reply() {
    let small = ReplyLimits {
        total_bytes: 20_000,
        line_bytes: 5_000,
        events: 50,
        text_bytes: 300,
        tool_calls: 3,
        argument_bytes: 100,
        json_depth: 10,
    };
    let call = |i: usize, words: String| {
        delta(json!({"tool_calls": [{"index": i, "id": i.to_string(), "function": {"name": "f", "arguments": words}}]}))
    };
    let cases = [
        ("bytes", ": ping\n".repeat(10_000)),
        ("bytes in one event", format!("data: {}", "x".repeat(6_000))),
        ("events", stream(&vec![delta(json!({})); 60])),
        ("bytes of text", stream(&[delta(json!({"content": "x".repeat(301)}))])),
        ("tool calls", stream(&(0..4).map(|i| call(i, "{}".into())).collect::<Vec<_>>())),
        ("bytes in one tool call", stream(&[call(0, "x".repeat(101))])),
        ("levels of JSON", format!("data: {}\n\n", "[".repeat(11))),
    ];
    for (what, body) in cases {
        let error = read_in(&[body.as_bytes()], 200, &small).1.unwrap_err();
        assert!(matches!(error, ReplyError::Limit { what: found, .. } if found == what), "{what}: {error}");
    }
}

proptest! {
    #[test]
    fn any_split_of_the_bytes_gives_the_same_events(
        cuts in prop::collection::vec(0_usize..2000, 0..40), end in 0_usize..2000, crlf: bool,
    ) {
        let body = if crlf { rich().replace('\n', "\r\n").replace("\r\r", "\r") } else { rich() };
        let body = &body.as_bytes()[..end.max(1).min(body.len())];
        let mut cuts: Vec<_> = cuts.into_iter().map(|c| c % body.len()).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            pieces.push(&body[from..cut]);
            from = cut;
        }
        pieces.push(&body[from..]);
        let limits = ReplyLimits::default();
        prop_assert_eq!(read_in(&pieces, 200, &limits), read_in(&[body], 200, &limits));
    }

    #[test]
    fn garbage_never_panics(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8), status: u16) {
        let pieces: Vec<_> = pieces.iter().map(Vec::as_slice).collect();
        let _ = read_in(&pieces, status, &ReplyLimits::default());
    }

    #[test]
    fn garbage_in_the_shape_of_a_reply_never_panics(
        chunks in prop::collection::vec("(data: )?(\\{\"choices\":\\[)?[\\]\\[{}\":,a-z0-9 ]{0,40}(\"delta\"|\"tool_calls\"|\\[DONE\\]|\r|\n|\n\n)", 0..20)
    ) {
        let body = chunks.concat();
        let whole = read(&body);
        let bytes: Vec<_> = body.as_bytes().chunks(1).collect();
        prop_assert_eq!(read_in(&bytes, 200, &ReplyLimits::default()), whole);
    }
}
