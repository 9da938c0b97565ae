//! The decision service's protocol: JSON, one message a line. `docs/gate-protocol.md` has it in words.

use serde_json::{Value, json};

use crate::limits::FlowLimits;
use crate::manifest::Manifest;
use crate::run::{Answer, Decision, Run};
use crate::schema::ToolDefinition;

/// The protocol's version, which `begin` answers with.
pub const VERSION: u32 = 1;

/// A conversation with one agent framework.
pub struct Service {
    manifest: Manifest,
    limits: FlowLimits,
    run: Option<Run>,
}

impl Service {
    /// A service that knows these manifests.
    pub fn new(manifest: Manifest, limits: FlowLimits) -> Service {
        Service { manifest, limits, run: None }
    }

    /// The most bytes that a line may have; a longer one is answered by [`Service::too_long`].
    pub fn line_bytes(&self) -> usize {
        self.limits.line_bytes
    }

    /// Takes a line and gives the line to answer with, where the message has an answer. Whatever is not understood is
    /// answered by an error that denies.
    pub fn line(&mut self, line: &[u8]) -> Option<String> {
        if line.len() > self.limits.line_bytes {
            return Some(self.too_long());
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        match serde_json::from_slice(line) {
            Ok(message) => self.message(&message),
            Err(error) => Some(self.fault(&format!("the line is no JSON: {error}; write one message a line"))),
        }
    }

    /// The answer to a line that was too long to be read.
    pub fn too_long(&mut self) -> String {
        let most = self.limits.line_bytes;
        self.fault(&format!(
            "the line is longer than {most} bytes; cut the result short before it is given to the agent"
        ))
    }

    fn message(&mut self, message: &Value) -> Option<String> {
        let text = |key: &str| message.get(key).and_then(Value::as_str);
        match text("type") {
            Some("begin") => Some(self.begin(message)),
            Some("call") => Some(match (text("function"), message.get("args")) {
                (Some(function), Some(arguments)) if arguments.is_object() => self.call(function, arguments),
                _ => self.fault("a `call` has `function`, a string, and `args`, an object"),
            }),
            Some("result") => match (text("function"), text("output"), message.get("error")) {
                (Some(function), Some(output), error) => self.result(function, output, error),
                _ => Some(self.fault("a `result` has `function` and `output`, both strings")),
            },
            Some("end") => {
                self.run = None;
                None
            }
            Some(other) => Some(self.fault(&format!(
                "`{}` is no type of message; there are `begin`, `call`, `result` and `end`",
                crate::judge::shown(other)
            ))),
            None => Some(self.fault("a message has a `type`, a string")),
        }
    }

    fn begin(&mut self, message: &Value) -> String {
        self.run = None;
        let tools = message.get("tools").and_then(Value::as_array);
        let (Some(prompt), Some(tools)) = (message.get("prompt").and_then(Value::as_str), tools) else {
            return self.fault("a `begin` has `prompt`, a string, and `tools`, an array");
        };
        let mut known: Vec<ToolDefinition> = Vec::new();
        for tool in tools {
            let Some(name) = tool.get("name").and_then(Value::as_str) else {
                return self.fault("each of `tools` has a `name`, a string");
            };
            if known.iter().any(|tool| tool.name == name) {
                return self.fault(&format!(
                    "there are two tools `{}`; give each a name of its own",
                    crate::judge::shown(name)
                ));
            }
            known.push(ToolDefinition {
                name: name.to_owned(),
                description: tool.get("description").and_then(Value::as_str).unwrap_or_default().to_owned(),
                parameters: tool.get("parameters").or_else(|| tool.get("inputSchema")).cloned().unwrap_or_default(),
            });
        }
        self.run = Some(Run::new(prompt, &known, &self.manifest, self.limits.clone()));
        json!({"ok": true, "version": VERSION}).to_string()
    }

    fn call(&mut self, function: &str, arguments: &Value) -> String {
        match &mut self.run {
            Some(run) => answer(&run.call(function, arguments)),
            None => self.fault("no run has begun; say `begin` first"),
        }
    }

    /// Results have no answer, but where they cannot be taken in: then the run is over.
    fn result(&mut self, function: &str, output: &str, error: Option<&Value>) -> Option<String> {
        let failed = error.is_some_and(|error| !error.is_null());
        match &mut self.run {
            Some(run) => {
                run.result(function, output, failed);
                None
            }
            None => Some(self.fault("no run has begun; say `begin` first")),
        }
    }

    /// What cannot be understood may have been a result that taints: the run does not go on without it.
    fn fault(&mut self, error: &str) -> String {
        self.run = None;
        json!({"error": error, "decision": "deny", "reason": format!("the gate did not understand: {error}")})
            .to_string()
    }
}

fn answer(decision: &Decision) -> String {
    let word = match decision.answer {
        Answer::Allow => "allow",
        Answer::Ask => "ask",
        Answer::Deny => "deny",
    };
    json!({"decision": word, "reason": decision.reason}).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn begun() -> Service {
        let mut service = Service::new(Manifest::default(), FlowLimits::default());
        let tool = |name: &str| json!({"name": name, "parameters": {"properties": {"to": {"type": "string"}}}});
        let begin = json!({"type": "begin", "prompt": "write to bob@x.example", "tools": [tool("read"), tool("send")]});
        assert!(service.line(begin.to_string().as_bytes()).unwrap().contains("\"ok\":true"));
        service
    }

    fn words() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("begin".to_owned()),
            Just("call".to_owned()),
            Just("result".to_owned()),
            Just("read".to_owned()),
            Just("send".to_owned()),
            ".{0,40}"
        ]
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered_by_json_or_not_at_all(lines in proptest::collection::vec(any::<Vec<u8>>(), 0..8)) {
            let mut service = begun();
            for line in lines {
                let blank = line.iter().all(u8::is_ascii_whitespace);
                let answer = service.line(&line);
                prop_assert_eq!(answer.is_none(), blank);
                if let Some(answer) = answer {
                    let answer: Value = serde_json::from_str(&answer).unwrap();
                    prop_assert_eq!(&answer["decision"], "deny");
                }
            }
        }

        #[test]
        fn any_message_is_answered_as_its_type_says(kind in words(), function in words(), text in ".{0,80}") {
            let message = json!({"type": kind, "function": function, "args": {"to": text}, "output": text});
            let answer = begun().line(message.to_string().as_bytes());
            match kind.as_str() {
                "result" | "end" => prop_assert!(answer.is_none()),
                _ => {
                    let answer: Value = serde_json::from_str(&answer.unwrap()).unwrap();
                    let known = kind == "call" && matches!(function.as_str(), "read" | "send");
                    prop_assert!(known || answer["decision"] == "deny", "{}", answer);
                }
            }
        }
    }

    #[test]
    fn after_what_was_not_understood_nothing_goes_on_until_a_new_beginning() {
        let mut service = begun();
        let call = json!({"type": "call", "function": "read", "args": {}}).to_string();
        assert!(service.line(call.as_bytes()).unwrap().contains("\"allow\""));
        assert!(service.line(b"{\"type\": \"result\", \"function\": \"read\"}").unwrap().contains("\"error\""));
        assert!(service.line(call.as_bytes()).unwrap().contains("`begin`"));
    }
}
