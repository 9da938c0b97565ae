//! What is sent: chat completions requests as JSON bytes (OpenAI API reference, "Create chat completion").

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Where chat requests go, below a provider's base URL.
pub const CHAT_PATH: &str = "chat/completions";
/// Where a provider lists its models, below its base URL; a GET.
pub const MODELS_PATH: &str = "models";

/// One message of a conversation.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Message {
    /// Standing orders.
    System(String),
    /// From the person, or from us in the person's place.
    User(String),
    /// The model's own, as [`crate::Reply::message`] gave it: goes back with every field it came with.
    Assistant(Map<String, Value>),
    /// What came of a tool call.
    Tool {
        /// The call's id.
        call: String,
        /// The result, in words.
        text: String,
    },
}

/// A tool as the model is told of it.
#[derive(Clone, PartialEq, Debug)]
pub struct ToolSpec {
    /// Its name: letters, digits and underscores.
    pub name: &'static str,
    /// What it does and when to use it.
    pub about: &'static str,
    /// JSON Schema of its arguments, an object.
    pub schema: Value,
}

/// A request for one reply, streamed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The model's name with its provider.
    pub model: &'a str,
    /// The conversation so far.
    pub messages: &'a [Message],
    /// The tools it may call; empty for none, or where the text protocol is spoken.
    pub tools: &'a [ToolSpec],
}

impl Request<'_> {
    /// The request's body. Nothing beyond the dialect's common core is in it: servers refuse what they do not know.
    pub fn body(&self) -> Vec<u8> {
        let mut body = json!({
            "model": self.model,
            "messages": self.messages.iter().map(Message::to_json).collect::<Vec<_>>(),
            "stream": true,
            "stream_options": { "include_usage": true },
        });
        if !self.tools.is_empty()
            && let Some(fields) = body.as_object_mut()
        {
            let tools = self.tools.iter().map(ToolSpec::to_json).collect();
            fields.insert("tools".to_owned(), Value::Array(tools));
        }
        body.to_string().into_bytes()
    }
}

impl Message {
    /// The message as the dialect writes it.
    pub fn to_json(&self) -> Value {
        match self {
            Message::System(text) => json!({ "role": "system", "content": text }),
            Message::User(text) => json!({ "role": "user", "content": text }),
            Message::Assistant(fields) => Value::Object(fields.clone()),
            Message::Tool { call, text } => json!({ "role": "tool", "tool_call_id": call, "content": text }),
        }
    }

    /// A message of the model's from its text alone.
    pub fn assistant(text: &str) -> Message {
        let mut fields = Map::new();
        fields.insert("role".to_owned(), json!("assistant"));
        fields.insert("content".to_owned(), json!(text));
        Message::Assistant(fields)
    }

    /// About how many tokens it takes in a request ([`crate::estimate`], with a little for what templates put round
    /// a message).
    pub fn tokens(&self) -> u64 {
        const AROUND: u64 = 6;
        AROUND
            + match self {
                Message::System(text) | Message::User(text) => crate::estimate(text.as_bytes()),
                Message::Tool { call, text } => crate::estimate(text.as_bytes()) + crate::estimate(call.as_bytes()),
                Message::Assistant(_) => crate::estimate(self.to_json().to_string().as_bytes()),
            }
    }
}

impl ToolSpec {
    /// The tool as the dialect writes it.
    pub fn to_json(&self) -> Value {
        json!({
            "type": "function",
            "function": { "name": self.name, "description": self.about, "parameters": self.schema },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_model_messages_tools_and_asks_for_usage() {
        let mut fields = Map::new();
        fields.insert("role".to_owned(), json!("assistant"));
        fields.insert("thought_signature".to_owned(), json!("s=="));
        let messages = [
            Message::System("s".into()),
            Message::User("u".into()),
            Message::Assistant(fields),
            Message::Tool { call: "c1".into(), text: "done".into() },
        ];
        let tools = [ToolSpec { name: "look", about: "looks", schema: json!({"type": "object"}) }];
        let body = Request { model: "m", messages: &messages, tools: &tools }.body();
        assert_eq!(
            serde_json::from_slice::<Value>(&body).unwrap(),
            json!({"model": "m", "stream": true, "stream_options": {"include_usage": true},
                "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"},
                    {"role": "assistant", "thought_signature": "s=="},
                    {"role": "tool", "tool_call_id": "c1", "content": "done"}],
                "tools": [{"type": "function", "function":
                    {"name": "look", "description": "looks", "parameters": {"type": "object"}}}]})
        );
        let body = Request { model: "m", messages: &[], tools: &[] }.body();
        assert!(serde_json::from_slice::<Value>(&body).unwrap().get("tools").is_none());
    }
}
