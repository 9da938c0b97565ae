//! What the model is told each turn, and how it is kept under the model's window.
//!
//! A turn (the model's message, its calls and their results) is one thing here, so that a call can never be parted
//! from its result: results are shortened, whole turns are dropped, nothing in between.

use raincoat_model::{Message, ToolCall, estimate};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::protocol;

/// Bytes of a result below which shortening it is not worth while.
const SHORT: usize = 240;
/// Lines about dropped turns that are kept.
const DROPPED_LINES: usize = 40;
/// What is left of the budget for new turns after trimming, as a share: trimming seldom and much keeps the beginning
/// of the conversation the same from turn to turn, which providers cache.
const TRIM_TO: (u64, u64) = (3, 4);

/// What the model was told of a call.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Told {
    /// The result.
    pub text: String,
    /// The result in a few words, which stand in its place when room is needed.
    pub note: String,
    /// The few words stand in its place.
    pub cut: bool,
}

/// One turn.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Turn {
    /// The model's message, as it goes back.
    pub message: Map<String, Value>,
    /// Its text.
    pub text: String,
    /// Its calls.
    pub calls: Vec<ToolCall>,
    /// Their results; fewer than calls only while they are being carried out.
    pub told: Vec<Told>,
    /// The calls were made natively, not in the text protocol.
    pub native: bool,
}

/// The conversation so far.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct History {
    /// The task, in the person's words.
    pub task: String,
    entries: Vec<Entry>,
    dropped: u64,
    /// What was done in dropped turns.
    did: Vec<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
enum Entry {
    Turn(Turn),
    /// A word of ours to the model.
    Word(String),
}

/// The window is too small for even the newest turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the conversation needs about {needed} tokens and the model's window leaves {room}; choose a model with a larger window, or give a smaller task"
)]
pub(crate) struct TooSmall {
    /// Tokens needed at least.
    pub needed: u64,
    /// Tokens there are.
    pub room: u64,
}

impl Told {
    /// A short result.
    pub(crate) fn new(text: &str) -> Told {
        let note: String = text.chars().take(200).collect();
        Told { text: text.to_owned(), note: note.replace('\n', " "), cut: false }
    }

    fn shown(&self, call: Option<&ToolCall>) -> String {
        if !self.cut {
            return self.text.clone();
        }
        let name = call.map_or("", |call| call.name.as_str());
        format!("({name}: {}; left out to save room: call it again if you need it)", self.note)
    }
}

impl History {
    /// A new conversation.
    pub(crate) fn new(task: &str) -> History {
        History { task: task.to_owned(), ..History::default() }
    }

    /// Adds a turn.
    pub(crate) fn turn(&mut self, turn: Turn) {
        self.entries.push(Entry::Turn(turn));
    }

    /// Adds a word of ours.
    pub(crate) fn word(&mut self, text: &str) {
        self.entries.push(Entry::Word(text.to_owned()));
    }

    /// The newest turn, where it is the newest entry.
    pub(crate) fn newest(&mut self) -> Option<&mut Turn> {
        match self.entries.last_mut() {
            Some(Entry::Turn(turn)) => Some(turn),
            _ => None,
        }
    }

    /// Every call with what the model was told of it, in order.
    pub(crate) fn told(&self) -> impl Iterator<Item = (&ToolCall, &Told)> {
        let turns = self.entries.iter().filter_map(|entry| match entry {
            Entry::Turn(turn) => Some(turn),
            Entry::Word(_) => None,
        });
        turns.flat_map(|turn| turn.calls.iter().zip(&turn.told))
    }

    /// Gives every call without a result one that says so: after a restart nobody knows what became of it.
    pub(crate) fn mend(&mut self) {
        for entry in &mut self.entries {
            if let Entry::Turn(turn) = entry {
                while turn.told.len() < turn.calls.len() {
                    turn.told.push(Told::new(
                        "the run was interrupted here: it is not known whether this was done; look before you do it again",
                    ));
                }
                turn.told.truncate(turn.calls.len());
            }
        }
    }

    /// The conversation as messages.
    pub(crate) fn messages(&self, system: &str, native: bool) -> Vec<Message> {
        let mut out = vec![Message::System(system.to_owned()), Message::User(self.opening())];
        for entry in &self.entries {
            for message in entry.messages(native) {
                // Many chat templates want the person and the model to take turns.
                match (out.last_mut(), message) {
                    (Some(Message::User(before)), Message::User(text)) => {
                        before.push_str("\n\n");
                        before.push_str(&text);
                    }
                    (_, message) => out.push(message),
                }
            }
        }
        out
    }

    /// Makes the conversation fit into `room` tokens: shortens the oldest results, then drops the oldest turns, then
    /// shortens what the newest turn brought. `fixed` is what the system prompt and the tools take; `scale` corrects
    /// the estimate, in thousandths.
    ///
    /// # Errors
    /// [`TooSmall`] where not even that is enough.
    pub(crate) fn trim(&mut self, fixed: u64, room: u64, native: bool, scale: u64) -> Result<(), TooSmall> {
        let scaled = |tokens: u64| tokens.saturating_mul(scale) / 1000;
        let mut costs: Vec<u64> = self.entries.iter().map(|entry| entry.cost(native)).collect();
        let opening = |history: &History| estimate(history.opening().as_bytes()) + 6;
        let total = |history: &History, costs: &[u64]| scaled(fixed + opening(history) + costs.iter().sum::<u64>());
        if total(self, &costs) <= room {
            return Ok(());
        }
        let goal = room / TRIM_TO.1 * TRIM_TO.0;
        let newest = self.entries.iter().rposition(|entry| matches!(entry, Entry::Turn(_))).unwrap_or(0);
        for (number, entry) in self.entries.iter_mut().enumerate().take(newest) {
            let Entry::Turn(turn) = entry else { continue };
            turn.told.iter_mut().filter(|told| told.text.len() > SHORT).for_each(Told::shorten);
            let cost = entry.cost(native);
            if let Some(old) = costs.get_mut(number) {
                *old = cost;
            }
        }
        let mut gone = 0;
        while gone < newest && total(self, costs.get(gone..).unwrap_or_default()) > goal {
            self.drop_entry(gone);
            gone += 1;
        }
        self.entries.drain(..gone);
        costs.drain(..gone);
        let newest = newest - gone;
        while total(self, &costs) > room {
            let entry = self.entries.get_mut(newest);
            let Some(longest) = entry.and_then(Entry::longest_result) else { break };
            longest.halve();
            if let (Some(entry), Some(cost)) = (self.entries.get(newest), costs.get_mut(newest)) {
                *cost = entry.cost(native);
            }
        }
        if total(self, &costs) > room {
            self.did.clear();
            if let Some(Entry::Turn(turn)) = self.entries.get_mut(newest) {
                turn.shorten_arguments();
            }
            if let (Some(entry), Some(cost)) = (self.entries.get(newest), costs.get_mut(newest)) {
                *cost = entry.cost(native);
            }
        }
        let needed = total(self, &costs);
        if needed > room { Err(TooSmall { needed, room }) } else { Ok(()) }
    }

    fn drop_entry(&mut self, at: usize) {
        let Some(Entry::Turn(turn)) = self.entries.get(at) else { return };
        let done = turn.told.iter().filter_map(|told| told.note.strip_prefix("done: ")).map(str::to_owned);
        self.did.extend(done);
        self.dropped += 1;
        let over = self.did.len().saturating_sub(DROPPED_LINES);
        self.did.drain(..over);
    }

    /// The task, and what is left of turns that are no longer here.
    fn opening(&self) -> String {
        if self.dropped == 0 {
            return self.task.clone();
        }
        let mut out = format!("{}\n\n({} earlier turn(s) were left out to save room.", self.task, self.dropped);
        if !self.did.is_empty() {
            out.push_str(" Done in them, the newest last:");
            for line in &self.did {
                out.push_str("\n- ");
                out.push_str(line);
            }
            out.push('\n');
        }
        out.push(')');
        out
    }
}

impl Entry {
    fn messages(&self, native: bool) -> Vec<Message> {
        let turn = match self {
            Entry::Word(text) => return vec![Message::User(text.clone())],
            Entry::Turn(turn) => turn,
        };
        let results = turn.told.iter().zip(&turn.calls);
        if native && turn.native {
            let mut out = vec![Message::Assistant(turn.message.clone())];
            out.extend(
                results.map(|(told, call)| Message::Tool { call: call.id.clone(), text: told.shown(Some(call)) }),
            );
            return out;
        }
        let mut said = turn.text.clone();
        if turn.native {
            turn.calls.iter().for_each(|call| said.push_str(&format!("\n{}", protocol::write_call(call))));
        }
        let blocks: String =
            results.map(|(told, call)| protocol::write_result(call, &told.shown(Some(call)))).collect();
        let mut out = vec![Message::assistant(&said)];
        if !blocks.is_empty() {
            out.push(Message::User(blocks));
        }
        out
    }

    fn cost(&self, native: bool) -> u64 {
        self.messages(native).iter().map(Message::tokens).sum()
    }

    fn longest_result(&mut self) -> Option<&mut Told> {
        let Entry::Turn(turn) = self else { return None };
        turn.told.iter_mut().filter(|told| !told.cut && told.text.len() > SHORT).max_by_key(|told| told.text.len())
    }
}

impl Turn {
    /// The last resort: long texts in the calls' arguments are cut, as in a file just written that fills the window.
    fn shorten_arguments(&mut self) {
        for (number, call) in self.calls.iter_mut().enumerate() {
            let Ok(mut arguments) = serde_json::from_str::<Map<String, Value>>(&call.arguments) else { continue };
            for value in arguments.values_mut() {
                if let Value::String(text) = value
                    && text.len() > SHORT
                {
                    let start: String = text.chars().take(SHORT / 4).collect();
                    *text = format!("{start} (and more: {} bytes in all, cut here to save room)", text.len());
                }
            }
            call.arguments = Value::Object(arguments).to_string();
            let sent = self.message.get_mut("tool_calls").and_then(|calls| calls.get_mut(number));
            if let Some(sent) = sent.and_then(|sent| sent.pointer_mut("/function/arguments")) {
                *sent = Value::String(call.arguments.clone());
            }
        }
        if !self.native {
            self.text = self.calls.iter().map(protocol::write_call).collect();
        }
    }
}

impl Told {
    fn shorten(&mut self) {
        self.cut = true;
        self.text = String::new();
    }

    fn halve(&mut self) {
        let half = self.text.len() / 2;
        let end = (0..=half).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0);
        self.text.truncate(end);
        // The mark of an earlier halving went with the half that went.
        self.text.push_str("\n(cut here to save room)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn turn(number: usize, sizes: &[usize], native: bool) -> Turn {
        let call =
            |n: usize| ToolCall { id: format!("t{number}c{n}"), name: "read_file".into(), arguments: "{}".into() };
        let calls: Vec<_> = (0..sizes.len()).map(call).collect();
        let raw: Vec<_> = calls
            .iter()
            .map(|call| json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": "{}"}}))
            .collect();
        let Value::Object(message) = json!({"role": "assistant", "content": "x", "tool_calls": raw}) else { panic!() };
        let told =
            sizes.iter().map(|size| Told { text: "é".repeat(*size), note: "done: n".into(), cut: false }).collect();
        Turn { message, text: "x".into(), calls, told, native }
    }

    /// Every tool message follows the assistant's message that called it, and every call has one result.
    fn pairs_hold(messages: &[Message]) -> bool {
        let mut open: Vec<String> = Vec::new();
        for message in messages {
            match message {
                Message::Assistant(fields) => {
                    if !open.is_empty() {
                        return false;
                    }
                    let calls = fields.get("tool_calls").and_then(Value::as_array).cloned().unwrap_or_default();
                    open = calls.iter().map(|call| call["id"].as_str().unwrap().to_owned()).collect();
                }
                Message::Tool { call, .. } => {
                    let Some(at) = open.iter().position(|id| id == call) else { return false };
                    open.remove(at);
                }
                Message::User(_) | Message::System(_) if !open.is_empty() => return false,
                Message::User(_) | Message::System(_) => {}
            }
        }
        open.is_empty()
    }

    proptest! {
        #[test]
        fn trimming_never_parts_a_pair_and_stays_under_the_window(
            turns in prop::collection::vec(prop::collection::vec(0_usize..4000, 0..5), 0..12),
            room in 500_u64..20_000, native: bool, scale in 1000_u64..2000, words in 0_usize..3,
        ) {
            let mut history = History::new("the task");
            for (number, sizes) in turns.iter().enumerate() {
                history.turn(turn(number, sizes, native));
                for _ in 0..words {
                    history.word("go on");
                }
            }
            let result = history.trim(100, room, native, scale);
            let messages = history.messages("system", native);
            prop_assert!(pairs_hold(&messages));
            prop_assert!(matches!(&messages[1], Message::User(text) if text.starts_with("the task")));
            let cost: u64 = messages.iter().skip(1).map(Message::tokens).sum();
            if result.is_ok() {
                prop_assert!((cost + 100) * scale / 1000 <= room, "{cost} over {room}");
            }
            if let Some(last) = turns.last() && result.is_ok() && !last.is_empty() {
                let last = format!("t{}c0", turns.len() - 1);
                let text = messages.iter().any(|message| match message {
                    Message::Tool { call, .. } => *call == last,
                    Message::User(text) => text.contains(&last),
                    _ => false,
                });
                prop_assert!(text, "the newest turn must stay");
            }
        }
    }

    #[test]
    fn what_was_done_in_dropped_turns_is_still_said() {
        let mut history = History::new("task");
        for number in 0..40 {
            history.turn(turn(number, &[10], true));
        }
        history.trim(0, 900, true, 1000).unwrap();
        let Message::User(opening) = &history.messages("s", true)[1] else { panic!() };
        assert!(opening.contains("earlier turn(s) were left out") && opening.contains("- n"), "{opening}");
    }

    #[test]
    fn after_a_restart_every_call_has_a_result() {
        let mut history = History::new("task");
        history.turn(Turn { told: Vec::new(), ..turn(0, &[1, 2], true) });
        history.mend();
        assert!(pairs_hold(&history.messages("s", true)));
    }

    #[test]
    fn a_file_just_written_that_fills_the_window_is_cut_in_the_call() {
        for native in [true, false] {
            let arguments = json!({"path": "a", "content": "x".repeat(50_000)}).to_string();
            let mut big = turn(0, &[1], native);
            big.calls[0].arguments.clone_from(&arguments);
            big.message["tool_calls"][0]["function"]["arguments"] = json!(arguments);
            big.text = protocol::write_call(&big.calls[0]);
            let mut history = History::new("task");
            history.turn(big);
            history.trim(0, 1000, native, 1000).unwrap();
            let messages = history.messages("s", native);
            assert!(pairs_hold(&messages));
            assert!(messages[2].to_json().to_string().contains("50000 bytes in all"));
        }
    }

    #[test]
    fn a_window_that_cannot_hold_the_task_is_an_error() {
        assert!(History::new(&"x".repeat(10_000)).trim(0, 1000, true, 1000).is_err());
    }
}
