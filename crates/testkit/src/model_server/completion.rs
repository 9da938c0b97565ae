//! What a well-behaved server says: one completion, as a stream of events or in one piece.

use serde_json::{Value, json};

/// The end of every well-ended stream.
pub(super) const DONE: &[u8] = b"data: [DONE]\n\n";

/// Characters in one piece of text, and in one piece of a call's arguments.
const TEXT_PIECE: usize = 5;
const ARGUMENT_PIECE: usize = 9;

/// An answer.
pub(super) struct Completion {
    pub(super) text: String,
    pub(super) calls: Vec<(String, String)>,
    pub(super) finish: &'static str,
    pub(super) usage: Option<(u64, u64)>,
}

impl Completion {
    pub(super) fn text(text: impl Into<String>) -> Completion {
        Completion { text: text.into(), calls: Vec::new(), finish: "stop", usage: None }
    }

    pub(super) fn with_calls(mut self, calls: Vec<(String, Value)>) -> Completion {
        self.calls = calls.into_iter().map(|(name, arguments)| (name, arguments.to_string())).collect();
        self.finish = "tool_calls";
        self
    }

    pub(super) fn with_raw_call(mut self, name: String, arguments: String) -> Completion {
        self.calls = vec![(name, arguments)];
        self.finish = "tool_calls";
        self
    }

    /// The whole stream; with a count of tokens where it has one or is asked for one.
    pub(super) fn events(&self, count: bool) -> Vec<u8> {
        let mut out = self.unfinished_events();
        out.extend(event(&piece(json!({}), Some(self.finish))));
        let counted = self.usage.or(count.then_some((11, 7)));
        if let Some(counted) = counted {
            let mut last = piece(json!({}), None);
            last["choices"] = json!([]);
            last["usage"] = usage(counted);
            out.extend(event(&last));
        }
        out.extend_from_slice(DONE);
        out
    }

    /// The stream up to where it would say why it ends.
    pub(super) fn unfinished_events(&self) -> Vec<u8> {
        let mut out = event(&piece(json!({"role": "assistant", "content": ""}), None));
        for text in pieces(&self.text, TEXT_PIECE) {
            out.extend(event(&piece(json!({"content": text}), None)));
        }
        for (index, (name, _)) in self.calls.iter().enumerate() {
            let call = json!({
                "index": index, "id": format!("call_{index}"), "type": "function",
                "function": {"name": name, "arguments": ""},
            });
            out.extend(event(&piece(json!({"tool_calls": [call]}), None)));
        }
        // The first piece of each call, then the second of each, and so on.
        let mut arguments: Vec<_> =
            self.calls.iter().map(|(_, text)| pieces(text, ARGUMENT_PIECE).into_iter()).collect();
        loop {
            let mut any = false;
            for (index, rest) in arguments.iter_mut().enumerate() {
                if let Some(text) = rest.next() {
                    any = true;
                    let call = json!({"index": index, "function": {"arguments": text}});
                    out.extend(event(&piece(json!({"tool_calls": [call]}), None)));
                }
            }
            if !any {
                return out;
            }
        }
    }

    /// The whole stream with all that the formats allow and nobody needs.
    pub(super) fn events_with_noise(&self) -> Vec<u8> {
        let mut out = b"\xef\xbb\xbf: welcome\r\n\r\nretry: 1000\r\n\r\n".to_vec();
        for text in pieces(&self.text, TEXT_PIECE) {
            let mut event = piece(json!({"content": text, "mood": {"deep": [null, 1.5e3]}, "reasoning": null}), None);
            event["x_vendor"] = json!({"choices": [{"delta": {"content": "not this"}}]});
            out.extend(format!(": ping\r\nevent: message\r\nid: 7\r\nnonsense\r\ndata:{event}\r\n\r\n").into_bytes());
        }
        out.extend(format!("data: {}\r\n\r\ndata: [DONE]\r\n\r\n", piece(json!({}), Some(self.finish))).into_bytes());
        out
    }

    /// The answer in one piece, for a request that wants no stream.
    pub(super) fn whole(&self) -> Value {
        let calls: Vec<_> = self
            .calls
            .iter()
            .enumerate()
            .map(|(index, (name, arguments))| {
                let function = json!({"name": name, "arguments": arguments});
                json!({"id": format!("call_{index}"), "type": "function", "function": function})
            })
            .collect();
        let mut message = json!({"role": "assistant", "content": self.text});
        if !calls.is_empty() {
            message["tool_calls"] = calls.into();
        }
        json!({
            "id": "chatcmpl-scripted", "object": "chat.completion", "created": 1, "model": "scripted",
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish}],
            "usage": usage(self.usage.unwrap_or((11, 7))),
        })
    }
}

/// One event of a stream.
pub(super) fn event(value: &Value) -> Vec<u8> {
    format!("data: {value}\n\n").into_bytes()
}

/// An event with this text, cut within its last character of several bytes, or else within the text.
pub(super) fn cut_event(text: &str) -> Vec<u8> {
    let whole = event(&piece(json!({"content": text}), None));
    let within = whole.iter().rposition(|byte| *byte >= 0xc0).unwrap_or(whole.len() / 2);
    whole.into_iter().take(within + 1).collect()
}

fn piece(delta: Value, finish: Option<&str>) -> Value {
    json!({
        "id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 1, "model": "scripted",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    })
}

fn usage((prompt, made): (u64, u64)) -> Value {
    json!({"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made})
}

fn pieces(text: &str, size: usize) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(size).map(|piece| piece.iter().collect()).collect()
}
