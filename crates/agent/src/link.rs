//! The keeper at the other end of a socket.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::ops::ControlFlow;

use raincoat_types::wire::{self, FromWorker, Job, PlanStep, ToWorker};
use raincoat_types::{Action, FileChange, FileRead, ModelRequest, Outcome};

use crate::keeper::{Keeper, Lost, PlanResult, Sink};

/// Proposals under way at once. Both sides write before they read, so this many small frames must fit into the
/// socket's buffers, or each would wait for the other.
const UNDER_WAY: usize = 16;
/// Steps in one piece of a plan.
const PIECE_STEPS: usize = 1_000;

/// A worker's end of the socket.
///
/// While a model's reply comes in, words go out ([`FromWorker::Say`], [`FromWorker::GiveUp`]): the keeper must read
/// while it writes (another thread, or `poll`), or both would wait for each other once the socket's buffers are full.
#[derive(Debug)]
pub struct Link<S, R> {
    socket: S,
    readable: R,
    max: u32,
    next: u64,
    stop: bool,
}

impl<S: Read + Write, R: FnMut() -> bool> Link<S, R> {
    /// Takes the socket and receives the job, which comes first. `readable` says whether the socket has bytes to read
    /// just now (`poll`): so a stop is seen between turns, too, not only while an answer is waited for.
    ///
    /// # Errors
    /// [`Lost`] where anything but a job comes.
    pub fn open(socket: S, readable: R) -> Result<(Self, Job), Lost> {
        let max = raincoat_types::Limits::default().message_bytes;
        let mut link = Link { socket, readable, max, next: 0, stop: false };
        match link.receive()? {
            ToWorker::Start(job) => {
                link.max = job.limits.message_bytes;
                Ok((link, *job))
            }
            _ => Err(Lost("the first message was no job".to_owned())),
        }
    }

    /// The job is done. Nothing may be sent after this.
    ///
    /// # Errors
    /// [`Lost`] where the keeper is gone.
    pub fn finish(mut self, summary: String, ok: bool) -> Result<(), Lost> {
        self.send(&FromWorker::Finished { summary, ok })
    }

    fn send(&mut self, message: &FromWorker) -> Result<(), Lost> {
        wire::send(&mut self.socket, message, self.max).map_err(|e| Lost(e.to_string()))
    }

    fn receive(&mut self) -> Result<ToWorker, Lost> {
        match wire::receive(&mut self.socket, self.max) {
            Ok(Some(message)) => Ok(message),
            Ok(None) => Err(Lost("it has closed the socket".to_owned())),
            Err(e) => Err(Lost(e.to_string())),
        }
    }

    /// The next message that is not a stop.
    fn answer(&mut self) -> Result<ToWorker, Lost> {
        loop {
            match self.receive()? {
                ToWorker::Stop => self.stop = true,
                other => return Ok(other),
            }
        }
    }

    fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Sends a plan in pieces that fit into messages.
    fn send_plan(&mut self, id: u64, title: &str, steps: Vec<PlanStep>) -> Result<(), Lost> {
        let most = u64::from(self.max) / 2;
        let mut piece = Vec::new();
        let mut bytes = 0;
        for step in steps {
            let more = size_of(&step);
            if !piece.is_empty() && (piece.len() >= PIECE_STEPS || bytes + more > most) {
                let steps = std::mem::take(&mut piece);
                self.send(&FromWorker::Plan { id, title: title.to_owned(), steps, last: false })?;
                bytes = 0;
            }
            bytes += more;
            piece.push(step);
        }
        self.send(&FromWorker::Plan { id, title: title.to_owned(), steps: piece, last: true })
    }
}

fn out_of_turn() -> Lost {
    Lost("it sent a message out of turn".to_owned())
}

/// About how many bytes a step takes in a message, rather too many.
fn size_of(step: &PlanStep) -> u64 {
    const AROUND: usize = 64;
    let change = match &step.change {
        FileChange::Write { at, content, .. } => at.path.0.len() + content.len(),
        FileChange::Edit { at, old, new, .. } => at.path.0.len() + old.len() + new.len(),
        FileChange::Move { from, to, .. } | FileChange::Copy { from, to, .. } | FileChange::Extract { from, to } => {
            from.path.0.len() + to.path.0.len()
        }
        FileChange::Mkdir { at, .. } | FileChange::Delete { at, .. } => at.path.0.len(),
        FileChange::Archive { from, to, .. } => {
            to.path.0.len() + from.iter().map(|at| at.path.0.len() + AROUND).sum::<usize>()
        }
        FileChange::Revert { .. } | FileChange::Restore { .. } => 0,
        FileChange::Adopt { at, .. } => at.path.0.len() + AROUND,
        FileChange::RestoreTimes { now, then } => now.at.path.as_bytes().len() + then.at.path.as_bytes().len() + AROUND,
    };
    (change + step.why.len() + 2 * AROUND) as u64
}

impl<S: Read + Write, R: FnMut() -> bool> Keeper for Link<S, R> {
    fn read(&mut self, actions: Vec<FileRead>) -> Result<Vec<Outcome>, Lost> {
        let mut waiting: HashMap<u64, usize> = HashMap::new();
        let mut outcomes: Vec<Option<Outcome>> = vec![None; actions.len()];
        let mut actions = actions.into_iter().enumerate();
        loop {
            while waiting.len() < UNDER_WAY
                && let Some((number, action)) = actions.next()
            {
                let id = self.id();
                self.send(&FromWorker::Propose { id, action: Action::Read(action) })?;
                waiting.insert(id, number);
            }
            if waiting.is_empty() {
                return outcomes.into_iter().collect::<Option<_>>().ok_or_else(out_of_turn);
            }
            let ToWorker::Outcome { id, outcome } = self.answer()? else { return Err(out_of_turn()) };
            let place = waiting.remove(&id).and_then(|number| outcomes.get_mut(number)).ok_or_else(out_of_turn)?;
            *place = Some(outcome);
        }
    }

    fn plan(&mut self, title: &str, steps: Vec<PlanStep>) -> Result<PlanResult, Lost> {
        let id = self.id();
        let mut result = PlanResult { outcomes: vec![None; steps.len()], refused: None };
        self.send_plan(id, title, steps)?;
        loop {
            let ToWorker::PlanOutcome { id: of, steps, refused, last } = self.answer()? else {
                return Err(out_of_turn());
            };
            if of != id {
                return Err(out_of_turn());
            }
            for (number, outcome) in steps {
                let number = usize::try_from(number).map_err(|_| out_of_turn())?;
                *result.outcomes.get_mut(number).ok_or_else(out_of_turn)? = Some(outcome);
            }
            result.refused = refused.or(result.refused);
            if last {
                return Ok(result);
            }
        }
    }

    fn ask(&mut self, request: ModelRequest, sink: &mut Sink<'_>) -> Result<Outcome, Lost> {
        let id = self.id();
        self.send(&FromWorker::Propose { id, action: Action::Model(request) })?;
        let mut given_up = false;
        loop {
            match self.answer()? {
                ToWorker::ModelBytes { id: of, bytes } if of == id => {
                    if given_up {
                        continue;
                    }
                    let heard = if self.stop { ControlFlow::Break(()) } else { sink(&bytes) };
                    match heard {
                        ControlFlow::Continue(words) if words.is_empty() => {}
                        ControlFlow::Continue(words) => self.send(&FromWorker::Say(words))?,
                        ControlFlow::Break(()) => {
                            given_up = true;
                            self.send(&FromWorker::GiveUp { id })?;
                        }
                    }
                }
                ToWorker::Outcome { id: of, outcome } if of == id => return Ok(outcome),
                _ => return Err(out_of_turn()),
            }
        }
    }

    fn say(&mut self, text: &str) -> Result<(), Lost> {
        self.send(&FromWorker::Say(text.to_owned()))
    }

    fn status(&mut self, text: &str, progress: Option<(u64, u64)>) -> Result<(), Lost> {
        self.send(&FromWorker::Status { text: text.to_owned(), progress })
    }

    fn note(&mut self, text: &str) -> Result<(), Lost> {
        self.send(&FromWorker::Note(text.to_owned()))
    }

    fn unproposed(&mut self, tool: &str, targets: Vec<String>, why: &str) -> Result<(), Lost> {
        self.send(&FromWorker::Unproposed { tool: tool.to_owned(), targets, why: why.to_owned() })
    }

    fn intent(&mut self, changes: bool, deletes: bool) -> Result<(), Lost> {
        self.send(&FromWorker::Intent { changes, deletes })
    }

    fn told(&mut self, tool: &str, arguments: &str, text: &str) -> Result<(), Lost> {
        let (tool, arguments, text) = (tool.to_owned(), arguments.to_owned(), text.to_owned());
        self.send(&FromWorker::Told { tool, arguments, text })
    }

    fn used(&mut self, input: u64, output: u64) -> Result<(), Lost> {
        self.send(&FromWorker::Used { input, output })
    }

    fn transcript(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        self.send(&FromWorker::Transcript(bytes.to_vec()))
    }

    fn stop_asked(&mut self) -> bool {
        // Between proposals nothing but a stop can come, or the end of the socket: a reason to stop as well.
        while !self.stop && (self.readable)() {
            let _ = self.receive();
            self.stop = true;
        }
        self.stop
    }
}
