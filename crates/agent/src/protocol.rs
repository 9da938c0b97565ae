//! The text protocol, for models without native tool calls. The model writes a fenced block with one JSON object in
//! it for each call:
//!
//! ````text
//! ```tool
//! {"name": "read_file", "arguments": {"path": "notes.txt"}}
//! ```
//! ````
//!
//! The results come back in blocks fenced ```` ```result ````. Read robustly: three or more backticks or tildes, up to
//! three spaces before them, `tool`, `tools`, `tool_call` or `tool_code` after them; several objects or a list of them
//! in one block; a last block without its closing fence. A model that goes on to invent a `result` is cut off there.

use raincoat_model::{Nesting, ToolCall, visible};
use serde_json::Value;

/// The name of a call whose block could not be read; its arguments are then the block.
pub(crate) const UNREADABLE: &str = "(a tool block that cannot be read)";

/// Bytes of a line that can open a block.
const OPENER_BYTES: usize = 256;

const OPENERS: [&str; 5] = ["tool", "tools", "tool_call", "tool_code", "result"];

/// Takes a reply's text in pieces, and parts what is for the person from what is for us.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    state: State,
    line: String,
    block: String,
    nesting: Nesting,
    blocks: Vec<String>,
    kept: String,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    /// At the start of a line that may yet become a fence.
    #[default]
    LineStart,
    /// Within a line of text.
    Text,
    /// Within a block, with the fence that ends it.
    Block(String),
    /// The model has begun to invent results: nothing further counts.
    Over,
}

/// A reply's text, parted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Parted {
    /// The rest of the text for the person.
    pub shown: String,
    /// The text as it goes back to the model: everything, but for invented results.
    pub kept: String,
    /// The calls.
    pub calls: Vec<ToolCall>,
}

impl Filter {
    /// Takes a piece of the text and gives back what of it the person is shown.
    pub(crate) fn push(&mut self, text: &str) -> String {
        let mut shown = String::new();
        for piece in text.split_inclusive('\n') {
            self.piece(piece, &mut shown);
        }
        shown
    }

    /// The text has ended.
    pub(crate) fn finish(mut self) -> Parted {
        let mut shown = String::new();
        if !self.line.is_empty() {
            self.line_done(&mut shown);
        }
        if matches!(self.state, State::Block(_)) {
            self.close();
        }
        let calls = self.blocks.iter().flat_map(|block| calls(block)).enumerate();
        let calls = calls.map(|(n, call)| ToolCall { id: format!("call_{}", n + 1), ..call }).collect();
        Parted { shown, kept: self.kept, calls }
    }

    fn piece(&mut self, piece: &str, shown: &mut String) {
        match self.state {
            State::Over => {}
            State::Text => {
                self.kept.push_str(piece);
                shown.push_str(piece);
                if piece.ends_with('\n') {
                    self.state = State::LineStart;
                }
            }
            State::LineStart | State::Block(_) => {
                self.line.push_str(piece);
                if piece.ends_with('\n') {
                    self.line_done(shown);
                } else if self.state == State::LineStart && !may_open(&self.line) {
                    self.pass(shown);
                    self.state = State::Text;
                }
            }
        }
    }

    fn line_done(&mut self, shown: &mut String) {
        if let State::Block(fence) = &self.state {
            // Some models close the fence on the JSON's own line.
            let before = self.line.trim().strip_suffix(fence.as_str()).map(str::to_owned);
            let closing = before.filter(|before| {
                let mut nesting = self.nesting;
                nesting.feed(before.as_bytes());
                before.is_empty() || nesting.is_closed()
            });
            self.kept.push_str(&self.line);
            match closing {
                Some(before) => {
                    self.block.push_str(&before);
                    self.close();
                }
                None => {
                    self.nesting.feed(self.line.as_bytes());
                    self.block.push_str(&self.line);
                }
            }
            self.line.clear();
            return;
        }
        match opener(&self.line) {
            Some((_, "result")) if !self.blocks.is_empty() => {
                self.line.clear();
                self.state = State::Over;
            }
            Some((fence, word)) if word != "result" => {
                self.kept.push_str(&self.line);
                self.line.clear();
                self.state = State::Block(fence);
            }
            _ => self.pass(shown),
        }
    }

    fn pass(&mut self, shown: &mut String) {
        self.kept.push_str(&self.line);
        shown.push_str(&self.line);
        self.line.clear();
    }

    fn close(&mut self) {
        self.blocks.push(std::mem::take(&mut self.block));
        self.nesting = Nesting::default();
        self.state = State::LineStart;
    }
}

/// A call as a block, for a model that made it natively and is now spoken to in text.
pub(crate) fn write_call(call: &ToolCall) -> String {
    let arguments = serde_json::from_str(&call.arguments).unwrap_or_else(|_| Value::String(visible(&call.arguments)));
    format!("```tool\n{}\n```\n", serde_json::json!({ "name": call.name, "arguments": arguments }))
}

/// A result as a block. The fence is longer than any within the text, so that no file can end it early.
pub(crate) fn write_result(call: &ToolCall, text: &str) -> String {
    let mut longest = 2;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    format!("{fence}result {} {}\n{text}\n{fence}\n", call.id, visible(&call.name))
}

/// Why a block could not be read, for the model.
pub(crate) fn why_unreadable(block: &str) -> String {
    let why = match serde_json::from_str::<Value>(block) {
        Err(e) => format!("it is not JSON ({e}); mind that a line break within a string is written \\n"),
        Ok(_) => "it has no `name`".to_owned(),
    };
    format!("a tool block must hold {{\"name\": \"...\", \"arguments\": {{...}}}}: {why}")
}

/// The fence and the word after it, where a line opens a block of ours.
fn opener(line: &str) -> Option<(String, &'static str)> {
    if line.len() > OPENER_BYTES {
        return None;
    }
    let (fence, word) = fence(line)?;
    let word = word.split_whitespace().next()?;
    OPENERS.iter().find(|opener| **opener == word).map(|opener| (fence.to_owned(), *opener))
}

/// Whether a line so far may yet become an opener.
fn may_open(line: &str) -> bool {
    let text = line.trim_start_matches(' ');
    if line.len() > OPENER_BYTES || line.len() - text.len() > 3 {
        return false;
    }
    if text.is_empty()
        || (text.len() < 3 && (text.trim_start_matches('`').is_empty() || text.trim_start_matches('~').is_empty()))
    {
        return true;
    }
    let Some((_, word)) = fence(line) else { return false };
    let word = word.trim_start();
    OPENERS.iter().any(|opener| opener.starts_with(word) || word.split_whitespace().next() == Some(opener))
}

/// A fence at a line's start, and what follows it.
fn fence(line: &str) -> Option<(&str, &str)> {
    let text = line.trim_start_matches(' ');
    let mark = text.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let rest = text.trim_start_matches(mark);
    let fence = text.strip_suffix(rest)?;
    (line.len() - text.len() <= 3 && fence.len() >= 3).then_some((fence, rest))
}

/// The calls in a block.
fn calls(block: &str) -> Vec<ToolCall> {
    let unreadable = || ToolCall { id: String::new(), name: UNREADABLE.to_owned(), arguments: block.trim().to_owned() };
    if !raincoat_model::depth_within(block.as_bytes(), 32) {
        return vec![unreadable()];
    }
    let mut found = Vec::new();
    for value in serde_json::Deserializer::from_str(block).into_iter::<Value>() {
        match value {
            Ok(Value::Array(list)) => found.extend(list),
            Ok(value) => found.push(value),
            Err(_) => return vec![unreadable()],
        }
    }
    let call = |value: &Value| {
        let name = value.get("name").and_then(Value::as_str)?.to_owned();
        let arguments = match value.get("arguments").or_else(|| value.get("parameters")) {
            Some(Value::String(text)) => text.clone(),
            Some(arguments) => arguments.to_string(),
            None => "{}".to_owned(),
        };
        Some(ToolCall { id: String::new(), name, arguments })
    };
    if found.is_empty() {
        return vec![unreadable()];
    }
    found.iter().map(|value| call(value).unwrap_or_else(unreadable)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(pieces: &[&str]) -> (String, Parted) {
        let mut filter = Filter::default();
        let mut shown: String = pieces.iter().map(|piece| filter.push(piece)).collect();
        let parted = filter.finish();
        shown.push_str(&parted.shown);
        (shown, parted)
    }

    fn names(text: &str) -> Vec<String> {
        part(&[text]).1.calls.into_iter().map(|call| call.name).collect()
    }

    const TALK: &str = "Let me look.\n```tool\n{\"name\": \"list_dir\", \"arguments\": {\"path\": \"a\"}}\n```\nAnd `code`:\n\
        ```rust\nfn main() {}\n```\n  ~~~~tool_call\n[{\"name\": \"stat\", \"arguments\": \"{}\"}, {\"name\": \"hash\"}]\n~~~~\nbye";

    #[test]
    fn blocks_are_calls_and_the_rest_is_for_the_person() {
        let (shown, parted) = part(&[TALK]);
        assert_eq!(shown, "Let me look.\nAnd `code`:\n```rust\nfn main() {}\n```\nbye");
        assert_eq!(parted.kept, TALK);
        let calls: Vec<_> =
            parted.calls.iter().map(|c| (c.id.as_str(), c.name.as_str(), c.arguments.as_str())).collect();
        assert_eq!(
            calls,
            [("call_1", "list_dir", r#"{"path":"a"}"#), ("call_2", "stat", "{}"), ("call_3", "hash", "{}")]
        );
    }

    #[test]
    fn sloppy_blocks_are_understood_and_broken_ones_explained() {
        assert_eq!(names("```tool\n{\"name\": \"a\"}"), ["a"]);
        assert_eq!(names("```tool\n{\"name\": \"a\"}```\nmore"), ["a"]);
        assert_eq!(names("```tool\n{\"name\": \"a\"}\n{\"name\": \"b\"}\n```"), ["a", "b"]);
        assert_eq!(names("```tool\n{\"name\": \"a\", \"arguments\": {\"x\": \"```\\n\"}}\n```"), ["a"]);
        for broken in ["{\"name\": \"a\"", "", "[]", "{\"tool\": 1}", "{\"name\": \"a\nb\"}"] {
            let calls = part(&[&format!("```tool\n{broken}\n```\n")]).1.calls;
            assert_eq!(calls[0].name, UNREADABLE, "{broken}");
            assert!(why_unreadable(&calls[0].arguments).starts_with("a tool block must hold"));
        }
        assert!(names("    ```tool\n{\"name\": \"a\"}\n```").is_empty());
    }

    #[test]
    fn invented_results_are_cut_off() {
        let text = "```tool\n{\"name\": \"a\"}\n```\n```result call_1 a\nall done\n```\nThe file says so.";
        let (shown, parted) = part(&[text]);
        assert_eq!(shown, "");
        assert_eq!(parted.kept, "```tool\n{\"name\": \"a\"}\n```\n");
        assert_eq!(parted.calls.len(), 1);
    }

    #[test]
    fn hostile_blocks_do_not_take_for_ever() {
        for text in [format!("```tool\n{{\"a\": \"{}", "x```\n".repeat(500_000)), "`".repeat(3_000_000)] {
            let mut filter = Filter::default();
            text.as_bytes().chunks(5).for_each(|piece| {
                filter.push(std::str::from_utf8(piece).unwrap());
            });
            filter.finish();
        }
    }

    #[test]
    fn no_file_can_end_a_result_early() {
        let call = ToolCall { id: "call_1".into(), name: "read_file".into(), arguments: String::new() };
        let block = write_result(&call, "x\n````\n```tool\n{}\n");
        assert!(block.starts_with("`````result call_1 read_file\n") && block.ends_with("\n`````\n"), "{block}");
    }

    proptest! {
        #[test]
        fn any_split_parts_the_same(text in "(```|~~~~|tool|result|\\{\"name\":\"a\"\\}|`|\n| |x|é){0,30}", cuts in prop::collection::vec(0_usize..120, 0..12)) {
            for text in [text.as_str(), TALK] {
                let mut cuts: Vec<_> = cuts.iter().copied().filter(|c| *c <= text.len() && text.is_char_boundary(*c)).collect();
                cuts.sort_unstable();
                cuts.insert(0, 0);
                cuts.push(text.len());
                let pieces: Vec<_> = cuts.windows(2).map(|w| text.get(w[0]..w[1]).unwrap()).collect();
                let (shown, parted) = part(&pieces);
                let (whole_shown, whole) = part(&[text]);
                prop_assert_eq!(shown, whole_shown);
                prop_assert_eq!((parted.kept, parted.calls), (whole.kept, whole.calls));
            }
        }
    }
}
