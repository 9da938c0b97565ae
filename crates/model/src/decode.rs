//! What comes back: a reply in OpenAI's chat completions dialect, streamed or whole, fed as raw bytes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{ReplyError, ReplyLimits, visible};
use crate::json::{Nesting, depth_within, error_message, text};
use crate::merge::merge;
use crate::sse::Sse;

/// Bytes of a reply's beginning that are kept, to quote where it cannot be read.
const HEAD: usize = 1024;

/// Something that a reply said.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// A piece of the answer.
    Text(String),
    /// A piece of the model's thinking, where the provider shows it.
    Reasoning(String),
    /// A piece of a refusal, where the provider tells it apart.
    Refusal(String),
    /// A tool call, put together from its fragments. Comes once the reply has ended.
    ToolCall(ToolCall),
    /// What it cost. Comes once the reply has ended.
    Usage(Usage),
    /// Why it ended. Comes last.
    Finish(Finish),
}

/// A tool call. Name and arguments are the model's: nothing has been checked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ToolCall {
    /// Unique within the reply; made here where the provider gives none.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments as they came: meant to be a JSON object, not yet parsed.
    pub arguments: String,
}

/// What a reply cost, in tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the request.
    pub input: u64,
    /// Tokens of the reply, thinking included.
    pub output: u64,
}

/// Why a reply ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finish {
    /// The model had said all.
    Stop,
    /// The model waits for the results of its tool calls.
    ToolCalls,
    /// The limit of tokens was reached: the end is missing.
    Length,
    /// The provider's filter held the rest back.
    Filtered,
    /// Something else, in the provider's word.
    Other(String),
}

/// A whole reply.
#[derive(Clone, PartialEq, Debug)]
pub struct Reply {
    /// The answer.
    pub text: String,
    /// The refusal, where the provider tells it apart; else empty.
    pub refusal: String,
    /// The tool calls, in the order begun.
    pub calls: Vec<ToolCall>,
    /// What it cost, where the provider says.
    pub usage: Option<Usage>,
    /// Why it ended.
    pub finish: Finish,
    /// The message as it must go back in the next request: every field it came with, known or not. Nulls are left
    /// out. One exception: a tool call's arguments that are no JSON object go back wrapped in one, because servers
    /// parse them again and fail on them.
    pub message: Map<String, Value>,
}

/// Reads one reply. Feed it the body's bytes in pieces of any size, then call [`Decoder::finish`]; any split of the
/// same bytes gives the same events.
#[derive(Debug)]
pub struct Decoder {
    limits: ReplyLimits,
    shape: Shape,
    head: Vec<u8>,
    total: u64,
    failed: Option<ReplyError>,
    content: Content,
}

/// What kind of body it is; its first byte that is no blank tells.
#[derive(Debug)]
enum Shape {
    Unknown(Vec<u8>),
    Stream(Sse),
    Whole(Vec<u8>),
}

impl Decoder {
    /// A decoder for one reply.
    pub fn new(limits: ReplyLimits) -> Decoder {
        Decoder {
            limits,
            shape: Shape::Unknown(Vec::new()),
            head: Vec::new(),
            total: 0,
            failed: None,
            content: Content::default(),
        }
    }

    /// Takes some bytes of the body and adds what they said to `out`.
    ///
    /// # Errors
    /// [`ReplyError`] where the bytes are no reply or too much of one. The reply is lost then: every later call gives
    /// the same error.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), ReplyError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let left = usize::try_from(self.limits.total_bytes - self.total).unwrap_or(usize::MAX);
        let taken = bytes.get(..left).unwrap_or(bytes);
        self.total += taken.len() as u64;
        let quoted = taken.get(..HEAD.saturating_sub(self.head.len())).unwrap_or(taken);
        self.head.extend_from_slice(quoted);
        let mut result = self.take(taken, out);
        if result.is_ok() && taken.len() < bytes.len() {
            result = Err(ReplyError::Limit { what: "bytes", limit: self.limits.total_bytes });
        }
        self.failed = result.clone().err();
        result
    }

    /// Whether the stream has said that it is complete. What follows is ignored.
    pub fn is_done(&self) -> bool {
        self.content.done
    }

    /// The body has ended, with this HTTP status. Adds the last events to `out` and gives the whole.
    ///
    /// # Errors
    /// [`ReplyError`]: a status that is no success, with the provider's words; an earlier failure of
    /// [`Decoder::feed`]; a reply without its end.
    pub fn finish(mut self, status: u16, out: &mut Vec<Event>) -> Result<Reply, ReplyError> {
        if !(200..300).contains(&status) {
            return Err(ReplyError::Status { status, message: self.words_of_error() });
        }
        if let Some(error) = self.failed {
            return Err(error);
        }
        let whole = match &mut self.shape {
            Shape::Unknown(_) => return Err(ReplyError::Cut { began: false }),
            Shape::Whole(body) => {
                self.content.event(body, &self.limits, true, out)?;
                true
            }
            Shape::Stream(sse) => {
                let (content, limits) = (&mut self.content, &self.limits);
                sse.finish(&mut |data| content.event(data, limits, true, out))?;
                false
            }
        };
        if !self.content.is_reply {
            let head = visible(&String::from_utf8_lossy(&self.head));
            return Err(ReplyError::Malformed(format!("it begins with `{head}`")));
        }
        if !whole && !self.content.done && self.content.finish.is_none() {
            return Err(ReplyError::Cut { began: self.content.began() });
        }
        self.content.reply(out)
    }

    fn take(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), ReplyError> {
        match &mut self.shape {
            Shape::Unknown(lead) => {
                lead.extend_from_slice(bytes);
                let text = lead.strip_prefix(b"\xef\xbb\xbf").unwrap_or(lead);
                // A byte order mark may come in pieces.
                let first = match text.trim_ascii_start().first() {
                    Some(0xef) if lead.len() < 3 => None,
                    first => first.copied(),
                };
                let Some(first) = first else { return Ok(()) };
                if matches!(first, b'{' | b'[') {
                    self.shape = Shape::Whole(text.to_vec());
                    return Ok(());
                }
                let lead = std::mem::take(lead);
                self.shape = Shape::Stream(Sse::default());
                self.take(&lead, out)
            }
            Shape::Stream(sse) => {
                let (content, limits) = (&mut self.content, &self.limits);
                sse.feed(bytes, limits.line_bytes, &mut |data| content.event(data, limits, false, out))
            }
            Shape::Whole(body) => {
                body.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// The provider's words about an error, from the body of one.
    fn words_of_error(&self) -> String {
        if let Some(ReplyError::Provider(words)) = &self.failed {
            return words.clone();
        }
        let body = match &self.shape {
            Shape::Whole(body) => body.as_slice(),
            Shape::Unknown(_) | Shape::Stream(_) => &self.head,
        };
        let parsed = depth_within(body, self.limits.json_depth).then(|| serde_json::from_slice::<Value>(body).ok());
        match parsed.flatten().as_ref().and_then(error_message) {
            Some(words) => visible(&words),
            None => visible(&String::from_utf8_lossy(&self.head)),
        }
    }
}

/// What a reply has said so far.
#[derive(Debug, Default)]
struct Content {
    is_reply: bool,
    done: bool,
    events: u64,
    said: u64,
    text: String,
    refusal: String,
    message: Map<String, Value>,
    slots: Vec<Slot>,
    usage: Option<Usage>,
    finish: Option<Finish>,
}

/// A tool call being put together.
#[derive(Debug, Default)]
struct Slot {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
    nesting: Nesting,
    /// Fields we do not know, beside `function` and within it.
    beside: Map<String, Value>,
    within: Map<String, Value>,
}

impl Content {
    fn began(&self) -> bool {
        self.said > 0 || !self.slots.is_empty()
    }

    /// One event's data, or a whole body. `last`: nothing follows, so JSON that stops short was cut.
    fn event(&mut self, data: &[u8], limits: &ReplyLimits, last: bool, out: &mut Vec<Event>) -> Result<(), ReplyError> {
        if self.done {
            return Ok(());
        }
        self.events += 1;
        if self.events > limits.events {
            return Err(ReplyError::Limit { what: "events", limit: limits.events });
        }
        if !depth_within(data, limits.json_depth) {
            return Err(ReplyError::Limit { what: "levels of JSON", limit: limits.json_depth });
        }
        // Some servers end each `data:` line with one newline only: then an event holds several values.
        let mut values = serde_json::Deserializer::from_slice(data).into_iter::<Value>();
        loop {
            let rest = data.get(values.byte_offset()..).unwrap_or_default().trim_ascii();
            if rest.starts_with(b"[DONE]") {
                self.done = true;
                return Ok(());
            }
            match values.next() {
                None => return Ok(()),
                Some(Ok(value)) => self.chunk(value, limits, out)?,
                Some(Err(e)) if e.is_eof() && last => return Err(ReplyError::Cut { began: self.began() }),
                Some(Err(_)) => {
                    let rest = visible(&String::from_utf8_lossy(rest));
                    return Err(ReplyError::Malformed(format!("`{rest}` is not JSON")));
                }
            }
        }
    }

    fn chunk(&mut self, chunk: Value, limits: &ReplyLimits, out: &mut Vec<Event>) -> Result<(), ReplyError> {
        if let Some(words) = error_message(&chunk) {
            return Err(ReplyError::Provider(visible(&words)));
        }
        let Value::Object(mut chunk) = chunk else {
            return Err(ReplyError::Malformed(format!("`{}` is not a chat reply", visible(&chunk.to_string()))));
        };
        if let Some(usage) = chunk.get("usage").filter(|usage| usage.is_object()) {
            let count = |key| usage.get(key).and_then(Value::as_u64).unwrap_or(0);
            self.usage = Some(Usage { input: count("prompt_tokens"), output: count("completion_tokens") });
        }
        let Some(Value::Array(choices)) = chunk.remove("choices") else { return Ok(()) };
        self.is_reply = true;
        for choice in choices {
            let Value::Object(mut choice) = choice else { continue };
            // One reply was asked for; further ones are none of ours.
            if choice.get("index").and_then(Value::as_u64).unwrap_or(0) != 0 {
                continue;
            }
            if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
                self.finish = Some(finish(reason));
            }
            let delta = match (choice.remove("delta"), choice.remove("message")) {
                (Some(Value::Object(delta)), _) | (_, Some(Value::Object(delta))) => delta,
                _ => continue,
            };
            self.delta(delta, limits, out)?;
        }
        Ok(())
    }

    fn delta(
        &mut self,
        mut delta: Map<String, Value>,
        limits: &ReplyLimits,
        out: &mut Vec<Event>,
    ) -> Result<(), ReplyError> {
        if let Some(Value::Array(pieces)) = delta.remove("tool_calls") {
            for piece in pieces {
                if let Value::Object(piece) = piece {
                    self.piece(piece, limits)?;
                }
            }
        }
        let thinking =
            ["reasoning_content", "reasoning"].iter().find_map(|key| delta.get(*key).and_then(Value::as_str));
        if let Some(thinking) = thinking.filter(|words| !words.is_empty()) {
            self.count(thinking, limits)?;
            out.push(Event::Reasoning(thinking.to_owned()));
        }
        match delta.get("content") {
            Some(Value::String(words)) => self.say(words, limits, out)?,
            // A list of parts, as Mistral and others write it.
            Some(Value::Array(parts)) => {
                for words in parts.iter().filter_map(|part| text(part, "text")) {
                    self.say(words, limits, out)?;
                }
            }
            _ => {}
        }
        if let Some(words) = delta.get("refusal").and_then(Value::as_str).filter(|words| !words.is_empty()) {
            self.count(words, limits)?;
            self.refusal.push_str(words);
            out.push(Event::Refusal(words.to_owned()));
        }
        merge(&mut self.message, delta);
        Ok(())
    }

    fn say(&mut self, words: &str, limits: &ReplyLimits, out: &mut Vec<Event>) -> Result<(), ReplyError> {
        if !words.is_empty() {
            self.count(words, limits)?;
            self.text.push_str(words);
            out.push(Event::Text(words.to_owned()));
        }
        Ok(())
    }

    fn count(&mut self, words: &str, limits: &ReplyLimits) -> Result<(), ReplyError> {
        self.said += words.len() as u64;
        if self.said > limits.text_bytes {
            return Err(ReplyError::Limit { what: "bytes of text", limit: limits.text_bytes });
        }
        Ok(())
    }

    /// A fragment of a tool call.
    fn piece(&mut self, mut piece: Map<String, Value>, limits: &ReplyLimits) -> Result<(), ReplyError> {
        let string = |value: Option<Value>| match value {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        let index = piece.remove("index").as_ref().and_then(Value::as_u64);
        let id = string(piece.remove("id"));
        let mut function = match piece.remove("function") {
            Some(Value::Object(function)) => function,
            _ => Map::new(),
        };
        let name = string(function.remove("name"));
        let arguments = match function.remove("arguments") {
            Some(Value::String(text)) => text,
            None | Some(Value::Null) => String::new(),
            // Not a string of JSON but the JSON itself: some local servers.
            Some(other) => other.to_string(),
        };
        let at = match self.slot_of(index, &id, &name) {
            Some(at) => at,
            None if self.slots.len() as u64 >= limits.tool_calls => {
                return Err(ReplyError::Limit { what: "tool calls", limit: limits.tool_calls });
            }
            None => {
                self.slots.push(Slot { index, ..Slot::default() });
                self.slots.len() - 1
            }
        };
        let Some(slot) = self.slots.get_mut(at) else { return Ok(()) };
        if slot.id.is_empty() {
            slot.id = id;
        }
        // Whole, in pieces, or whole again with each fragment: all three are seen.
        if name.starts_with(&slot.name) {
            slot.name = name;
        } else {
            slot.name.push_str(&name);
        }
        slot.arguments.push_str(&arguments);
        slot.nesting.feed(arguments.as_bytes());
        if (slot.arguments.len() + slot.name.len()) as u64 > limits.argument_bytes {
            return Err(ReplyError::Limit { what: "bytes in one tool call", limit: limits.argument_bytes });
        }
        merge(&mut slot.beside, piece);
        merge(&mut slot.within, function);
        Ok(())
    }

    /// Which call a fragment continues. The index should tell, but some servers leave it out, or give every one of
    /// several calls the same.
    fn slot_of(&self, index: Option<u64>, id: &str, name: &str) -> Option<usize> {
        let at = match index {
            Some(_) => self.slots.iter().rposition(|slot| slot.index == index)?,
            None if !id.is_empty() => self.slots.iter().rposition(|slot| slot.id == id)?,
            None => self.slots.len().checked_sub(1)?,
        };
        let slot = self.slots.get(at)?;
        let another_id = !id.is_empty() && !slot.id.is_empty() && slot.id != id;
        let another_name = id.is_empty() && !name.is_empty() && !slot.name.is_empty() && slot.nesting.is_closed();
        (!another_id && !another_name).then_some(at)
    }

    fn reply(mut self, out: &mut Vec<Event>) -> Result<Reply, ReplyError> {
        let mut calls: Vec<ToolCall> = Vec::new();
        let mut raw = Vec::new();
        for (number, slot) in std::mem::take(&mut self.slots).into_iter().enumerate() {
            let taken = slot.id.is_empty() || calls.iter().any(|call| call.id == slot.id);
            let id = if taken { format!("call_{}", number + 1) } else { slot.id };
            let call = ToolCall { id, name: slot.name, arguments: slot.arguments };
            raw.push(sent_back(&call, slot.beside, slot.within));
            out.push(Event::ToolCall(call.clone()));
            calls.push(call);
        }
        let mut message = self.message;
        message.retain(|_, value| !value.is_null());
        message.insert("role".to_owned(), json!("assistant"));
        message.entry("content").or_insert_with(|| json!(""));
        if !raw.is_empty() {
            message.insert("tool_calls".to_owned(), Value::Array(raw));
        }
        if let Some(usage) = self.usage {
            out.push(Event::Usage(usage));
        }
        let finish = self.finish.unwrap_or(if calls.is_empty() { Finish::Stop } else { Finish::ToolCalls });
        out.push(Event::Finish(finish.clone()));
        Ok(Reply { text: self.text, refusal: self.refusal, calls, usage: self.usage, finish, message })
    }
}

/// A tool call as it goes back to the provider.
fn sent_back(call: &ToolCall, beside: Map<String, Value>, within: Map<String, Value>) -> Value {
    let arguments = if is_object(&call.arguments) {
        call.arguments.clone()
    } else if call.arguments.trim().is_empty() {
        "{}".to_owned()
    } else {
        json!({ "unreadable": visible(&call.arguments) }).to_string()
    };
    let mut function = within;
    function.insert("name".to_owned(), json!(call.name));
    function.insert("arguments".to_owned(), json!(arguments));
    let mut out = beside;
    out.insert("id".to_owned(), json!(call.id));
    out.entry("type").or_insert_with(|| json!("function"));
    out.insert("function".to_owned(), Value::Object(function));
    Value::Object(out)
}

fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn finish(reason: &str) -> Finish {
    match reason {
        "stop" | "eos" | "end_turn" => Finish::Stop,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        "length" | "max_tokens" => Finish::Length,
        "content_filter" => Finish::Filtered,
        other => Finish::Other(visible(other)),
    }
}
