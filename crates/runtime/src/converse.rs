//! The conversation with a worker: it proposes, the keeper answers. Nothing that comes out of the socket is trusted to
//! be more than a wish.

use std::collections::VecDeque;
use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use raincoat_audit::Event;
use raincoat_effects::Door;
use raincoat_effects::thread::EffectsThread;
use raincoat_gate::Role;
use raincoat_journal::NoteKind;
use raincoat_os::process::Worker;
use raincoat_types::wire::{self, FromWorker, Job, PlanStep, ToWorker};
use raincoat_types::{
    Action, Digest, Failure, FailureKind, FileRead, GrantId, ModelRequest, Modes, Outcome, RawPath, ReadDone,
    RunStatus, Spot, Timestamp, display_text,
};

use crate::console::Console;
use crate::course::Uses;
use crate::error::Fault;
use crate::judge::Judge;
use crate::labels::{self, Labels, Look, Transcript};
use crate::plan::{Hands, Plan, Reviewed, Standing, Tally, refused_by_person};
use crate::{Error, Keeper};

/// How often a stop is looked for while nothing comes.
const TICK: Duration = Duration::from_millis(100);
/// Ticks that a worker has to end after it was told to stop: 5 seconds.
const GRACE: u32 = 50;
/// Said where a grant of the run was revoked while it worked.
const REVOKED: &str = "stopped: a folder of this run was taken back";
/// Frames that wait unread. A worker that has more to say at once is not ours any more.
const WAITING: usize = 65_536;
/// Operations in one message about a plan.
const OUTCOMES: usize = 512;

/// Paths that the log keeps of a call that was not proposed.
const UNPROPOSED_PATHS: usize = 16;

/// One worker's conversation.
pub(crate) struct Conversation<'a> {
    keeper: &'a Keeper,
    thread: &'a EffectsThread,
    judge: &'a Judge,
    door: Option<&'a (String, Door)>,
    worker: Worker,
    socket: UnixStream,
    inbox: Inbox,
    /// What came while a model's reply was being passed on.
    later: VecDeque<FromWorker>,
    stop: Arc<AtomicBool>,
    console: &'a mut dyn Console,
    standing: Standing,
    pub(crate) tally: Tally,
    /// The last request to the model came to nothing.
    pub(crate) peer_failed: bool,
    /// What the model was told, where there is one.
    labels: Option<Labels>,
    plan: Vec<PlanStep>,
    roots: Vec<(String, Vec<u8>)>,
    grants: Vec<GrantId>,
    /// When the grants were looked at last.
    looked: Timestamp,
    revoked: bool,
    messages: u64,
    words: u64,
}

impl<'a> Conversation<'a> {
    pub(crate) fn new(
        keeper: &'a Keeper,
        hands: Hands<'a>,
        door: Option<&'a (String, Door)>,
        worker: Worker,
        grants: Vec<GrantId>,
        stop: Arc<AtomicBool>,
        console: &'a mut dyn Console,
    ) -> Result<Conversation<'a>, Error> {
        let fail = Error::io("talk to the worker");
        let socket = worker.socket().try_clone().map_err(&fail)?;
        let mut from = worker.socket().try_clone().map_err(&fail)?;
        let max = keeper.config.limits.message_bytes;
        let (sender, inbox) = inbox();
        std::thread::spawn(move || {
            loop {
                let frame = wire::receive::<FromWorker>(&mut from, max).map_err(|e| e.to_string());
                let last = !matches!(frame, Ok(Some(_)));
                // Never waits: a reader that waited while the keeper writes would have both sides wait for ever.
                if sender.send(frame).is_err() || last {
                    break;
                }
            }
        });
        Ok(Conversation {
            keeper,
            thread: hands.thread,
            judge: hands.judge,
            door,
            worker,
            socket,
            inbox,
            later: VecDeque::new(),
            stop,
            console,
            standing: Standing::default(),
            tally: Tally::default(),
            peer_failed: false,
            labels: None,
            plan: Vec::new(),
            roots: Vec::new(),
            grants,
            looked: keeper.clock.now(),
            revoked: false,
            messages: 0,
            words: 0,
        })
    }

    /// The same, with a model whose words are labelled.
    pub(crate) fn labelled(mut self, labels: Option<Labels>) -> Self {
        self.labels = labels;
        self
    }

    /// Gives the worker its job and answers it until it has finished, or must be ended.
    pub(crate) fn hold(&mut self, job: Job) -> Result<(RunStatus, String), Error> {
        self.roots = job.roots.iter().map(|root| (root.label.clone(), root.path.clone())).collect();
        if self.send(&ToWorker::Start(Box::new(job))).is_err() {
            return Ok(self.lost("it ended before it was given its job"));
        }
        let mut told_to_stop = 0_u32;
        loop {
            self.watch_grants();
            if self.stop.load(Ordering::Relaxed) {
                if told_to_stop == 0 {
                    let how = if self.revoked { REVOKED } else { "by a signal: Ctrl-C, or `raincoat stop`" };
                    let asked = Event::StopAsked { run: self.judge.run, how: how.to_owned() };
                    self.judge.recorder.log_lazily(vec![asked]);
                    let _ = self.send(&ToWorker::Stop);
                }
                told_to_stop += 1;
                if told_to_stop > GRACE {
                    let _ = self.worker.kill();
                    return Ok((
                        RunStatus::Stopped,
                        "stopped; the worker did not end by itself and was ended".to_owned(),
                    ));
                }
            }
            let message = match self.later.pop_front() {
                Some(message) => message,
                None => match self.inbox.recv_timeout(TICK) {
                    Ok(Ok(Some(message))) => message,
                    Ok(Ok(None)) => return Ok(self.lost("it hung up")),
                    Ok(Err(words)) => return Ok(self.lost(&words)),
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => return Ok(self.lost("it hung up")),
                },
            };
            if let FromWorker::Finished { summary, ok } = message {
                let stopped = self.stop.load(Ordering::Relaxed);
                let summary = if self.revoked { format!("{REVOKED}\n{summary}") } else { summary };
                let status = if stopped {
                    RunStatus::Stopped
                } else if ok {
                    RunStatus::Done
                } else {
                    RunStatus::Failed
                };
                return Ok((status, display_text(&summary)));
            }
            if let Err(error) = self.answer(message) {
                let Some(words) = error.0 else { return Ok(self.lost("it hung up")) };
                return Err(words);
            }
        }
    }

    /// Stops the run where a folder of its was taken back, from this terminal or another.
    fn watch_grants(&mut self) {
        let now = self.keeper.clock.now();
        // A clock that was set back counts as time passed.
        if now.secs == self.looked.secs || self.revoked {
            return;
        }
        self.looked = now;
        // Where it cannot be known, the strictest holds.
        self.judge.course.tighten(self.keeper.modes(Some(self.judge.run)).unwrap_or(Modes::all()));
        if !self.keeper.still_granted(&self.grants) {
            self.revoked = true;
            self.stop.store(true, Ordering::Relaxed);
            self.console.notice(REVOKED);
        }
    }

    fn send(&mut self, message: &ToWorker) -> std::io::Result<()> {
        wire::send(&mut self.socket, message, self.keeper.config.limits.message_bytes)?;
        self.socket.flush()
    }

    /// The worker is gone, or speaks another language: the run fails, what was done stays undoable.
    fn lost(&mut self, words: &str) -> (RunStatus, String) {
        let _ = self.worker.kill();
        let how = match self.worker.wait(Duration::from_secs(2)) {
            Ok(Some(ended)) if ended.by_filter() => "; the kernel ended it for a forbidden system call",
            _ => "",
        };
        let last = self.worker.last_words();
        let last = if last.is_empty() { String::new() } else { format!("; its last words: {last}") };
        let text = format!("the worker was lost: {words}{how}{last}");
        self.judge.recorder.log_lazily(vec![Event::Notice { text: text.clone() }]);
        (RunStatus::Failed, text)
    }

    /// A worker that has been taken over could fill the disk or the screen: what it may say in all is bounded.
    fn count(&mut self, message: &FromWorker) -> Result<(), Gone> {
        let limits = &self.keeper.config.limits;
        self.messages += 1;
        self.words += match message {
            FromWorker::Say(text)
            | FromWorker::Note(text)
            | FromWorker::Status { text, .. }
            | FromWorker::Told { text, .. } => text.len() as u64,
            FromWorker::Transcript(bytes) => bytes.len() as u64,
            _ => 0,
        };
        let over = if self.messages > limits.run_messages {
            format!("the worker sent more than {} messages (`run_messages`)", limits.run_messages)
        } else if self.words > limits.run_words {
            format!("the worker said more than {} bytes (`run_words`)", limits.run_words)
        } else {
            return Ok(());
        };
        Err(Gone(Some(Error::new(crate::Class::Failed, over))))
    }

    fn answer(&mut self, message: FromWorker) -> Result<(), Gone> {
        self.count(&message)?;
        match message {
            FromWorker::Propose { id, action } => {
                let outcome = match action {
                    Action::Read(action) => self.look(action)?,
                    Action::Change(change) => return self.single(id, change),
                    Action::Model(request) => self.ask_model(id, request)?,
                };
                Ok(self.send(&ToWorker::Outcome { id, outcome })?)
            }
            FromWorker::Plan { id, title, steps, last } => {
                self.plan.extend(steps);
                let limit = self.keeper.config.limits.plan_steps as usize;
                if self.plan.len() > limit {
                    self.plan.clear();
                    return Err(Gone(Some(Error::new(
                        crate::Class::Failed,
                        format!("the plan has more than {limit} steps"),
                    ))));
                }
                if !last {
                    return Ok(());
                }
                let steps = Arc::new(std::mem::take(&mut self.plan));
                self.carry_out(id, &title, &steps)
            }
            FromWorker::Say(text) => {
                self.console.say(&display_text(&text));
                Ok(())
            }
            FromWorker::Status { text, progress } => {
                self.console.status(&text, progress);
                Ok(())
            }
            FromWorker::Note(text) => self.note(NoteKind::Text, text.into_bytes()),
            FromWorker::Unproposed { tool, targets, why } => {
                let said = targets.into_iter().take(UNPROPOSED_PATHS).map(|path| RawPath(path.into_bytes())).collect();
                let refusal = raincoat_types::Refusal { rule: "not-proposed".to_owned(), message: why };
                self.judge.log_verdict(&tool, said, None, raincoat_audit::Judgement::Fail, &refusal);
                Ok(())
            }
            FromWorker::Intent { changes, deletes } => {
                if let Some(labels) = &mut self.labels
                    && labels.take_opinion(changes, deletes)
                {
                    let said = [(changes, "change"), (deletes, "delete")];
                    let said: Vec<&str> = said.iter().filter(|(says, _)| *says).map(|(_, word)| *word).collect();
                    let said = if said.is_empty() { "nothing".to_owned() } else { said.join(" and ") };
                    let text = format!("asked what the task calls for, the model says: {said}");
                    self.judge.recorder.log_lazily(vec![Event::Notice { text }]);
                }
                Ok(())
            }
            FromWorker::Told { tool, arguments, text } => {
                if let Some(labels) = &mut self.labels {
                    labels.told(&tool, &arguments, &text);
                }
                Ok(())
            }
            FromWorker::Transcript(bytes) => {
                let label = self.labels.as_mut().map(Labels::label);
                self.note(NoteKind::Transcript, Transcript { label, bytes }.to_bytes())
            }
            FromWorker::Used { input, output } => {
                if let Some((provider, door)) = self.door {
                    let price = self.keeper.config.prices.get(door.model());
                    self.judge.course.asked_model(0, price.map_or(0, |price| price.of(input, output)));
                    self.judge.recorder.log_lazily(vec![Event::ModelUsed {
                        provider: provider.clone(),
                        model: door.model().to_owned(),
                        input,
                        output,
                        cost_micros: price.map(|price| price.of(input, output)),
                        currency: price.map(|price| price.currency.clone()),
                    }]);
                }
                Ok(())
            }
            // The reply it means has ended already.
            FromWorker::GiveUp { .. } | FromWorker::Finished { .. } => Ok(()),
        }
    }

    fn note(&mut self, kind: NoteKind, bytes: Vec<u8>) -> Result<(), Gone> {
        let run = self.judge.run;
        let kept = self.judge.recorder.journal(move |journal| journal.note(run, kind, &bytes));
        kept.map_err(store)?.map_err(store)
    }

    fn look(&mut self, action: FileRead) -> Result<Outcome, Gone> {
        let judge = self.judge.clone();
        let audit = (judge.compiled.policy.modes | judge.course.modes()).contains(Modes::AUDIT);
        let labelled = self.labels.is_some();
        let (outcome, read) = self
            .thread
            .call(move |effects| {
                let place = action.place().clone();
                let said = place.path.clone();
                let verb = action.verb();
                let mut resolved = match effects.resolve_read(&action) {
                    Ok(resolved) => resolved,
                    Err(failure) => {
                        judge.log_failure(verb, vec![said], &failure);
                        return (Outcome::Failed(failure), None);
                    }
                };
                let places = resolved.targets.iter().map(|target| target.spot.clone()).collect();
                let private = resolved.targets.iter().any(|target| target.private);
                let content = resolved.targets.iter().any(|target| target.role == Role::Read);
                let permit = match judge.decide(action, &mut resolved, vec![said.clone()], None) {
                    Ok(permit) => permit,
                    Err(refusal) => return (Outcome::Refused(refusal), None),
                };
                match effects.read(permit, resolved) {
                    Ok(done) => {
                        let label = labels::of_look(content, private);
                        judge.course.carry(&label);
                        judge.recorder.log_lazily(vec![looked(audit, verb, said, places, &done)]);
                        let listed = match &done {
                            ReadDone::List { entries, .. } if labelled => Some((
                                place,
                                entries.iter().map(|entry| RawPath(entry.path.as_bytes().to_vec())).collect(),
                            )),
                            _ => None,
                        };
                        (Outcome::Read(done), Some(Look { label, listed }))
                    }
                    Err(failure) => {
                        judge.log_failure(verb, vec![said], &failure);
                        (Outcome::Failed(failure), None)
                    }
                }
            })
            .map_err(store)?;
        if let (Some(labels), Some(look)) = (&mut self.labels, read) {
            labels.looked(&look, &self.roots);
        }
        Ok(outcome)
    }

    /// A change proposed by itself is a plan of one.
    fn single(&mut self, id: u64, change: raincoat_types::FileChange) -> Result<(), Gone> {
        let title = change.verb().to_owned();
        let steps = Arc::new(vec![PlanStep { change, why: String::new() }]);
        let mut outcomes = Vec::new();
        let refused = self.make(&title, &steps, &mut |_, made| {
            outcomes.extend(made);
            Ok(())
        })?;
        let outcome = match (refused, outcomes.pop()) {
            (Some(words), _) => Outcome::Refused(refused_by_person(&words)),
            (None, Some((_, outcome))) => outcome,
            (None, None) => Outcome::Failed(Failure::new(FailureKind::Stopped, "stopped before this change")),
        };
        Ok(self.send(&ToWorker::Outcome { id, outcome })?)
    }

    fn carry_out(&mut self, id: u64, title: &str, steps: &Arc<Vec<PlanStep>>) -> Result<(), Gone> {
        let max = self.keeper.config.limits.message_bytes;
        let refused = self.make(title, steps, &mut |socket, made| {
            let mut rest = made.into_iter().peekable();
            while rest.peek().is_some() {
                let steps = rest.by_ref().take(OUTCOMES).collect();
                wire::send(socket, &ToWorker::PlanOutcome { id, steps, refused: None, last: false }, max)?;
            }
            Ok(())
        })?;
        Ok(self.send(&ToWorker::PlanOutcome { id, steps: Vec::new(), refused, last: true })?)
    }

    /// Reviews and makes a plan. Gives the person's words where they refused.
    fn make(&mut self, title: &str, steps: &Arc<Vec<PlanStep>>, told: &mut Told<'_>) -> Result<Option<String>, Gone> {
        let hands = Hands { thread: self.thread, judge: self.judge };
        let leads = self.labels.as_mut().map(|labels| labels.leads(steps, &self.roots)).unwrap_or_default();
        let plan = Plan { title, steps, leads: &leads };
        let reviewed = self
            .keeper
            .review(hands, plan, &self.roots, &mut self.standing, self.console)
            .map_err(|e| Gone(Some(e)))?;
        let accepted = match reviewed {
            Reviewed::Refused(words) => return Ok(Some(words)),
            Reviewed::Accepted(accepted) => accepted,
        };
        let kept = postcard::to_stdvec(&(title, steps.len() as u64, accepted.chosen.len() as u64)).unwrap_or_default();
        self.note(NoteKind::Plan, kept)?;
        let total = accepted.chosen.len() as u64;
        let (socket, console) = (&mut self.socket, &mut *self.console);
        let (keeper, grants, stop) = (self.keeper, &self.grants, &self.stop);
        let mut hung_up = None;
        let mut looked = keeper.clock.now().secs;
        self.keeper
            .make(hands, plan, &accepted, &self.stop, &mut self.tally, &mut |outcomes, done| {
                console.status(title, Some((done, total)));
                let now = keeper.clock.now().secs;
                if now != looked && !keeper.still_granted(grants) {
                    stop.store(true, Ordering::Relaxed);
                }
                looked = now;
                if hung_up.is_none() {
                    hung_up = told(socket, outcomes).err();
                }
            })
            .map_err(|e| Gone(Some(e)))?;
        match hung_up {
            Some(_) => Err(Gone(None)),
            None => Ok(None),
        }
    }

    fn ask_model(&mut self, id: u64, request: ModelRequest) -> Result<Outcome, Gone> {
        let provider = self.door.filter(|(name, _)| *name == request.provider);
        let mut facts = self.judge.facts();
        facts.provider = provider.map(|(name, door)| (name.clone(), door.is_local()));
        if let (Some(asker), Some((name, door))) = (&self.judge.asker, provider) {
            facts.ruled = asker.of_provider(name, door.is_local(), self.judge.standing());
        }
        self.judge.course.asked_model(1, 0);
        facts.counts = self.judge.course.counts(&Uses::new(), facts.now);
        let said = vec![RawPath(format!("{}/{}", request.provider, request.path).into_bytes())];
        let permit = match self.judge.with_facts(request, &facts, said.clone()) {
            Ok(permit) => permit,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        let Some((_, door)) = provider else {
            return Ok(Outcome::Failed(Failure::new(FailureKind::Invalid, "no provider was chosen for this run")));
        };
        let watching = Watch::start(self.stop.clone(), door.cancel());
        let max = self.keeper.config.limits.message_bytes;
        let (inbox, later, socket, console) = (&self.inbox, &mut self.later, &mut self.socket, &mut *self.console);
        let (mut hung_up, mut heard) = (false, 0);
        let allowed = self.keeper.config.limits.run_words.saturating_sub(self.words);
        let asked = door.ask(permit, &mut |bytes| {
            while let Some(frame) = inbox.try_recv() {
                match frame {
                    Ok(Some(FromWorker::GiveUp { id: which })) if which == id => return ControlFlow::Break(()),
                    // The agent speaks while the reply is still coming.
                    Ok(Some(FromWorker::Say(text))) => {
                        heard += text.len() as u64;
                        if heard > allowed {
                            return ControlFlow::Break(());
                        }
                        console.say(&display_text(&text));
                    }
                    Ok(Some(FromWorker::Status { text, progress })) => console.status(&text, progress),
                    Ok(Some(message)) => later.push_back(message),
                    Ok(None) | Err(_) => {
                        hung_up = true;
                        return ControlFlow::Break(());
                    }
                }
            }
            if wire::send(socket, &ToWorker::ModelBytes { id, bytes: bytes.to_vec() }, max).is_err() {
                hung_up = true;
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        drop(watching);
        self.words += heard;
        if hung_up {
            return Err(Gone(None));
        }
        let waiting: Vec<FromWorker> = self.later.drain(..).collect();
        for message in waiting {
            self.answer(message)?;
        }
        self.peer_failed = match &asked {
            Ok(status) => *status >= 400,
            Err(failure) => failure.kind == FailureKind::Network,
        };
        Ok(match asked {
            Ok(status) => Outcome::Model { status },
            Err(failure) => {
                self.judge.log_failure("ask the model", said, &failure);
                Outcome::Failed(failure)
            }
        })
    }
}

/// A look that was allowed, for the log: in audit mode with where it led, and the digest of what came out.
fn looked(audit: bool, verb: &str, target: RawPath, places: Vec<Spot>, done: &ReadDone) -> Event {
    let (bytes, items) = match done {
        ReadDone::Bytes { bytes, .. } => (bytes.len() as u64, 1),
        ReadDone::List { entries, .. } => (0, entries.len() as u64),
        ReadDone::Search { matches, .. } => {
            (matches.iter().map(|found| found.text.len() as u64).sum(), matches.len() as u64)
        }
        ReadDone::Stat(_) | ReadDone::Hash(_) => (0, 1),
    };
    let verb = verb.to_owned();
    if !audit {
        let bytes = match done {
            ReadDone::Bytes { .. } => bytes,
            ReadDone::List { .. } | ReadDone::Search { .. } => items,
            ReadDone::Stat(_) | ReadDone::Hash(_) => 0,
        };
        return Event::ReadDone { verb, target, bytes };
    }
    let digest = match done {
        ReadDone::Bytes { bytes, .. } => *blake3::hash(bytes).as_bytes(),
        other => *blake3::hash(&postcard::to_stdvec(other).unwrap_or_default()).as_bytes(),
    };
    Event::Looked { verb, target, places, bytes, items, digest: Digest(digest) }
}

type Told<'a> = dyn FnMut(&mut UnixStream, Vec<(u32, Outcome)>) -> std::io::Result<()> + 'a;

/// What the worker said and nobody has read. It takes memory for what waits in it, and no more.
struct Inbox {
    frames: Receiver<Frame>,
    waiting: Arc<AtomicUsize>,
}

struct InboxSender {
    frames: Sender<Frame>,
    waiting: Arc<AtomicUsize>,
}

type Frame = Result<Option<FromWorker>, String>;

fn inbox() -> (InboxSender, Inbox) {
    let (sender, frames) = channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    (InboxSender { frames: sender, waiting: waiting.clone() }, Inbox { frames, waiting })
}

impl InboxSender {
    /// Puts a frame in, unless too many wait already or nobody reads.
    fn send(&self, frame: Frame) -> Result<(), ()> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING {
            return Err(());
        }
        self.frames.send(frame).map_err(drop)
    }
}

impl Inbox {
    fn recv_timeout(&self, wait: Duration) -> Result<Frame, RecvTimeoutError> {
        let frame = self.frames.recv_timeout(wait)?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Ok(frame)
    }

    fn try_recv(&self) -> Option<Frame> {
        let frame = self.frames.try_recv().ok()?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(frame)
    }
}

/// The worker hung up, or (with an error) our own side failed.
struct Gone(Option<Error>);

impl From<std::io::Error> for Gone {
    fn from(_: std::io::Error) -> Self {
        Gone(None)
    }
}

fn store(fault: impl Fault) -> Gone {
    Gone(Some(Error::store(fault)))
}

/// Ends a request under way when the person asks to stop.
pub(crate) struct Watch(Arc<AtomicBool>);

impl Watch {
    pub(crate) fn start(stop: Arc<AtomicBool>, cancel: raincoat_effects::Cancel) -> Watch {
        let over = Arc::new(AtomicBool::new(false));
        let seen = over.clone();
        std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                if stop.load(Ordering::Relaxed) {
                    cancel.cancel();
                    return;
                }
                std::thread::sleep(TICK);
            }
        });
        Watch(over)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
