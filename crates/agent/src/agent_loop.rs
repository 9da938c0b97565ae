//! The loop: ask the model, carry out what it calls for, tell it what came of that, until it is done.

use std::ops::ControlFlow;

use raincoat_model::{CHAT_PATH, Decoder, Event, Finish, Reply, ReplyError, ReplyLimits, Request, ToolSpec, visible};
use raincoat_types::wire::{Job, JobModel};
use raincoat_types::{FailureKind, ModelRequest, Outcome};

use crate::context::Turn;
use crate::intent;
use crate::keeper::{Keeper, Lost};
use crate::prompt;
use crate::protocol::Filter;
use crate::rambling::Rambling;
use crate::recipes::Finished;
use crate::session::Session;
use crate::tools::round::{Round, carry_out};
use crate::tools::{LOOKS, specs};

/// Tries of one request, where the failure is one that may pass.
const TRIES: u32 = 3;
/// Times that the same call may come to nothing.
const SAME_FAILURES: u32 = 3;
/// Replies in a row without text or calls, or cut at the length limit.
const NUDGES: u32 = 3;
/// Bytes that one result may have, at least and at most.
const ROOM: (u64, u64) = (1 << 10, 64 << 10);
/// Bytes after the end of a stream that are waited for.
const AFTER_END: usize = 64 << 10;

/// What a model is told whose calls were cut.
const CUT_CALL: &str = "Your last reply was cut at its length limit, so its last call may be incomplete. Make large \
    changes in several smaller steps: a short write_file first, then edit_file.";

/// Carries out a task in words.
///
/// # Errors
/// [`Lost`] where the keeper is gone. Everything else that goes wrong is a [`Finished`] that is not `ok`.
pub fn run(keeper: &mut dyn Keeper, task: &str, job: &Job) -> Result<Finished, Lost> {
    let Some(model) = &job.model else {
        return Ok(ended("no model is configured: add one with `raincoat provider add`"));
    };
    let session = match Session::begin(task, model, &job.transcript) {
        Ok(session) => session,
        Err(words) => return Ok(ended(&words)),
    };
    // Whoever labels what the model was told hears all of it again where the conversation goes on.
    for (call, told) in session.history.told().filter(|(call, _)| LOOKS.contains(&call.name.as_str())) {
        keeper.told(&call.name, &call.arguments, &told.text)?;
    }
    if job.unclear {
        match intent::ask(keeper, task, job, model)? {
            Some(intent) => keeper.intent(intent.changes, intent.deletes)?,
            None => keeper.note("the model did not say what the task calls for")?,
        }
    }
    let mut agent = Agent { keeper, job, model, tools: specs(), session };
    let finished = agent.work()?;
    agent.hand_over()?;
    Ok(finished)
}

struct Agent<'a> {
    keeper: &'a mut dyn Keeper,
    job: &'a Job,
    model: &'a JobModel,
    tools: Vec<ToolSpec>,
    session: Session,
}

/// Why a reply was given up that would never have ended.
const RAMBLES: &str = "the model says the same thing over and over; try a larger model, or a smaller task";

/// What came of asking once.
struct Asked {
    result: Result<Reply, Trouble>,
    /// Words of the reply had been said to the person.
    said: bool,
    /// The text for the model's own memory, and the calls of the text protocol.
    parted: Option<crate::protocol::Parted>,
}

/// Why there is no reply.
enum Trouble {
    /// In the reply.
    Reply(ReplyError),
    /// On the way: it may pass.
    Way(String),
    /// It will not pass.
    End(String),
}

impl Agent<'_> {
    fn work(&mut self) -> Result<Finished, Lost> {
        let mut nudges = 0;
        loop {
            if self.keeper.stop_asked() {
                return Ok(self.stopped());
            }
            if self.session.turns >= self.job.limits.model_turns {
                let words = format!("the task was not finished within {} turns", self.job.limits.model_turns);
                return Ok(self.unfinished(&words));
            }
            self.session.turns += 1;
            let turn = match self.turn()? {
                Ok(turn) => turn,
                Err(finished) => return Ok(finished),
            };
            let finished = match turn {
                Next::Calls { cut } => {
                    nudges = 0;
                    let finished = self.carry_out()?;
                    if cut {
                        self.session.history.word(CUT_CALL);
                    }
                    finished
                }
                Next::Done(finished) => Some(finished),
                Next::Nudge(words) => {
                    nudges += 1;
                    self.session.history.word(words);
                    (nudges >= NUDGES)
                        .then(|| self.unfinished("the model gave no usable answer several times in a row"))
                }
            };
            if let Some(finished) = finished {
                return Ok(finished);
            }
        }
    }

    /// Asks the model until there is a reply, and takes it in.
    fn turn(&mut self) -> Result<Result<Next, Finished>, Lost> {
        let mut tries = 0;
        loop {
            let body = match self.request() {
                Ok(body) => body,
                Err(words) => return Ok(Err(self.unfinished(&words))),
            };
            self.keeper.status(&format!("asking {} (turn {})", self.model.model, self.session.turns), None)?;
            tries += 1;
            let asked = self.ask(body)?;
            if self.keeper.stop_asked() {
                return Ok(Err(self.stopped()));
            }
            let trouble = match asked.result {
                Ok(reply) => return Ok(Ok(self.take_in(reply, asked.parted)?)),
                Err(trouble) => trouble,
            };
            let (words, again) = match trouble {
                Trouble::Reply(error) if self.speaks_no_tools(&error) => {
                    self.keeper.note("the model takes no tool calls: speaking the text protocol instead")?;
                    self.session.native = false;
                    tries = 0;
                    continue;
                }
                Trouble::Reply(error) => (error.to_string(), error.worth_another_try()),
                Trouble::Way(words) => (words, true),
                Trouble::End(words) => (words, false),
            };
            if !again || asked.said || tries >= TRIES {
                let times = if tries > 1 { format!(" (tried {tries} times)") } else { String::new() };
                return Ok(Err(self.unfinished(&format!("{words}{times}"))));
            }
            self.keeper.note(&format!("trying again: {words}"))?;
        }
    }

    /// Whether this is the provider's way of saying that the model takes no tools (Ollama: "does not support tools";
    /// llama.cpp: "tools param requires --jinja flag"; vLLM: "tool choice requires ...").
    fn speaks_no_tools(&self, error: &ReplyError) -> bool {
        let early = self.session.native && self.session.replies == 0;
        early
            && match error {
                ReplyError::Status { status: 400 | 404 | 422 | 500 | 501, message } => {
                    message.to_ascii_lowercase().contains("tool")
                }
                ReplyError::Provider(message) => message.to_ascii_lowercase().contains("tool"),
                _ => false,
            }
    }

    /// The next request's body, under the model's window.
    fn request(&mut self) -> Result<Vec<u8>, String> {
        let native = self.session.native;
        let system = prompt::system(self.job, &self.tools, native);
        let tools = if native { self.tools.as_slice() } else { &[] };
        let schemas: u64 =
            tools.iter().map(|tool| raincoat_model::estimate(tool.to_json().to_string().as_bytes())).sum();
        let fixed = raincoat_model::estimate(system.as_bytes()) + schemas;
        let room = u64::from(self.model.window).saturating_sub(self.reserve());
        let session = &mut self.session;
        session.history.trim(fixed, room, native, session.scale).map_err(|e| e.to_string())?;
        let messages = session.history.messages(&system, native);
        let tokens: u64 = messages.iter().map(raincoat_model::Message::tokens).sum();
        session.estimated = tokens + schemas;
        let body = Request { model: &self.model.model, messages: &messages, tools }.body();
        if body.len() as u64 > self.job.limits.model_request_bytes {
            return Err(format!(
                "the request would be over the limit of {} bytes",
                self.job.limits.model_request_bytes
            ));
        }
        Ok(body)
    }

    /// Tokens kept free for the reply.
    fn reserve(&self) -> u64 {
        (u64::from(self.model.window) / 4).min(8_192)
    }

    /// Asks once. Text is said to the person as it comes.
    fn ask(&mut self, body: Vec<u8>) -> Result<Asked, Lost> {
        let request = ModelRequest { provider: self.model.provider.clone(), path: CHAT_PATH.to_owned(), body };
        let mut decoder = Decoder::new(ReplyLimits::from(&self.job.limits));
        let mut filter = (!self.session.native).then(Filter::default);
        let (mut said, mut newline, mut after_end) = (false, true, 0);
        let mut hear = |events: &mut Vec<Event>, filter: &mut Option<Filter>| {
            let mut words = String::new();
            for event in events.drain(..) {
                match (event, filter.as_mut()) {
                    (Event::Text(text), Some(filter)) => words.push_str(&filter.push(&text)),
                    (Event::Text(text) | Event::Refusal(text), _) => words.push_str(&text),
                    _ => {}
                }
            }
            if let Some(last) = words.chars().last() {
                said |= !words.trim().is_empty();
                newline = last == '\n';
            }
            words
        };
        let mut events = Vec::new();
        let (mut rambling, mut rambles) = (Rambling::default(), false);
        let outcome = self.keeper.ask(request, &mut |bytes| {
            if decoder.is_done() {
                after_end += bytes.len();
                return if after_end > AFTER_END {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(String::new())
                };
            }
            let fed = decoder.feed(bytes, &mut events);
            let words = hear(&mut events, &mut filter);
            rambles = rambles || rambling.hears(&words);
            if rambles || (fed.is_err() && words.is_empty()) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(words)
            }
        })?;
        let done = decoder.is_done();
        let finish = |decoder: Decoder, events: &mut Vec<Event>, status| decoder.finish(status, events);
        let result = match outcome {
            _ if rambles => Err(Trouble::End(RAMBLES.to_owned())),
            Outcome::Model { status } => finish(decoder, &mut events, status).map_err(Trouble::Reply),
            _ if done => finish(decoder, &mut events, 200).map_err(Trouble::Reply),
            outcome => {
                // An error within the reply explains more than that it was given up because of it.
                let broken = decoder.feed(b"", &mut events).err();
                Err(broken.map_or_else(|| trouble(outcome), Trouble::Reply))
            }
        };
        let mut rest = hear(&mut events, &mut filter);
        let parted = filter.map(Filter::finish);
        if let Some(parted) = &parted {
            rest.push_str(&parted.shown);
        }
        said |= !rest.trim().is_empty();
        let open = rest.chars().last().map_or(!newline, |last| last != '\n');
        if said && open {
            rest.push('\n');
        }
        if !rest.is_empty() {
            self.keeper.say(&rest)?;
        }
        Ok(Asked { result, said, parted })
    }

    /// Takes a reply into the conversation and says what follows from it.
    fn take_in(&mut self, reply: Reply, parted: Option<crate::protocol::Parted>) -> Result<Next, Lost> {
        self.session.replies += 1;
        let cost = reply.usage.map_or_else(String::new, |usage| {
            self.session.correct(usage.input);
            format!(": {} tokens in, {} out", usage.input, usage.output)
        });
        if let Some(usage) = reply.usage {
            self.keeper.used(usage.input, usage.output)?;
        }
        self.keeper.note(&format!("turn {}{cost}", self.session.turns))?;
        let native = parted.is_none();
        let (text, calls) = match parted {
            Some(parted) => (parted.kept, parted.calls),
            None => (reply.text.clone(), reply.calls),
        };
        let cut = reply.finish == Finish::Length;
        if calls.is_empty() {
            if reply.finish == Finish::Filtered {
                return Ok(Next::Done(self.unfinished("the provider's content filter held the reply back")));
            }
            if !reply.refusal.is_empty() {
                return Ok(Next::Done(self.unfinished(&format!("the model declined: {}", visible(&reply.refusal)))));
            }
            if text.trim().is_empty() {
                return Ok(Next::Nudge("Your reply was empty. Go on with the task, or call `finish`."));
            }
            if !cut {
                let summary = text.trim().to_owned();
                self.remember(reply.message, text, Vec::new(), native);
                return Ok(Next::Done(Finished { summary, ok: true }));
            }
        }
        let none = calls.is_empty();
        self.remember(reply.message, text, calls, native);
        if none {
            return Ok(Next::Nudge("Your reply was cut at its length limit. Go on from there, in shorter replies."));
        }
        Ok(Next::Calls { cut })
    }

    fn remember(
        &mut self,
        message: serde_json::Map<String, serde_json::Value>,
        text: String,
        calls: Vec<raincoat_model::ToolCall>,
        native: bool,
    ) {
        self.session.history.turn(Turn { message, text, calls, told: Vec::new(), native });
    }

    /// Carries out the newest turn's calls; `Some` where that ends the task.
    fn carry_out(&mut self) -> Result<Option<Finished>, Lost> {
        // Should the run break off in what follows, the calls are known and marked as uncertain when it goes on.
        self.hand_over()?;
        let (calls, title) = match self.session.history.newest() {
            Some(turn) => (turn.calls.clone(), title(&turn.text, self.session.turns)),
            None => return Ok(None),
        };
        let room = self.room(calls.len());
        let round = carry_out(self.keeper, &calls, self.job, &mut self.session.memory, room, &title)?;
        self.session.changes += round.changes;
        let Round { told, failed, finish, over, .. } = round;
        let mut stuck = None;
        let mut told = told;
        for ((call, failed), told) in calls.iter().zip(failed).zip(&mut told) {
            match self.session.count(&call.name, &call.arguments, failed) {
                0 | 1 => {}
                times if times >= SAME_FAILURES => stuck = Some((call.name.clone(), told.note.clone(), times)),
                times => told.text.push_str(&format!(
                    "\n(this same call has now come to nothing {times} times; make a different one, or finish)"
                )),
            }
        }
        if let Some(turn) = self.session.history.newest() {
            turn.told = told;
        }
        self.hand_over()?;
        if let Some(words) = over {
            return Ok(Some(self.unfinished(&words)));
        }
        if let Some((summary, success)) = finish {
            let summary = summary.trim().to_owned();
            return Ok(Some(if success { Finished { summary, ok: true } } else { self.unfinished(&summary) }));
        }
        Ok(stuck.map(|(name, note, times)| {
            let (name, note) = (visible(&name), visible(&note));
            self.unfinished(&format!("the model repeated a call that came to nothing {times} times (`{name}`: {note})"))
        }))
    }

    /// Bytes that one of this many results may have: half of the window for all of them.
    fn room(&self, results: usize) -> usize {
        let window = u64::from(self.model.window).saturating_sub(self.reserve());
        let each = window * 3 / 2 / (results as u64).max(1);
        usize::try_from(each.clamp(ROOM.0, ROOM.1)).unwrap_or(usize::MAX)
    }

    fn hand_over(&mut self) -> Result<(), Lost> {
        match self.session.to_bytes() {
            // A transcript over the limit of a message cannot be handed over: the one before it stays.
            Some(bytes) if (bytes.len() as u64) < u64::from(self.job.limits.message_bytes / 2) => {
                self.keeper.transcript(&bytes)
            }
            _ => self.keeper.note("this run's transcript is too large to be kept: it cannot go on after a restart"),
        }
    }

    fn stopped(&self) -> Finished {
        self.unfinished("stopped, as you asked")
    }

    fn unfinished(&self, words: &str) -> Finished {
        let changes = match self.session.changes {
            0 => String::new(),
            1 => " (1 change was made before; it can be undone)".to_owned(),
            n => format!(" ({n} changes were made before; they can be undone)"),
        };
        ended(&format!("{words}{changes}"))
    }
}

/// What follows from a reply.
enum Next {
    /// Calls to carry out; `cut`: the reply ended at its length limit, so that the last may be incomplete.
    Calls { cut: bool },
    /// Nothing: this is the end.
    Done(Finished),
    /// A word to the model, and ask again.
    Nudge(&'static str),
}

fn ended(words: &str) -> Finished {
    Finished { summary: words.to_owned(), ok: false }
}

/// What an outcome that is no reply means.
fn trouble(outcome: Outcome) -> Trouble {
    match outcome {
        Outcome::Refused(refusal) => Trouble::End(format!("asking the model was refused: {}", refusal.message)),
        Outcome::Failed(failure) if failure.kind == FailureKind::Network => Trouble::Way(failure.message),
        Outcome::Failed(failure) => Trouble::End(failure.message),
        _ => Trouble::End("the keeper's answer does not fit the request to the model".to_owned()),
    }
}

/// One line over a turn's plan: what the model says of it.
fn title(text: &str, turn: u32) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(['`', '~', '{']));
    match line {
        Some(line) => visible(&line.chars().take(120).collect::<String>()),
        None => format!("turn {turn}"),
    }
}
