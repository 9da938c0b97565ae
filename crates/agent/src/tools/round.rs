//! One turn's calls, carried out: what looks goes first and together, then all changes as one plan.

use raincoat_model::{ToolCall, visible};
use raincoat_types::wire::{Job, PlanStep};
use raincoat_types::{FailureKind, FileRead, Outcome};

use crate::context::Told;
use crate::keeper::{Keeper, Lost};

use super::changes::{Ground, Learnt};
use super::memory::Memory;
use super::paths::show;
use super::reads::{self, Want};
use super::{Call, Wish, parse, words};

/// Characters of a path or a reason that go into the log.
const LOGGED: usize = 300;
/// Paths of one call that go into the log.
const LOGGED_PATHS: usize = 16;

/// What came of a turn's calls.
#[derive(Debug)]
pub(crate) struct Round {
    /// For each call what the model is told, in order.
    pub told: Vec<Told>,
    /// For each call whether it came to nothing.
    pub failed: Vec<bool>,
    /// Changes made.
    pub changes: u64,
    /// The model ended the task: summary and success.
    pub finish: Option<(String, bool)>,
    /// Nothing more can be done in this run, for this reason.
    pub over: Option<String>,
}

/// A call on its way through the round.
enum State {
    Open(Call),
    Planned { first: usize, count: usize, learnt: Learnt, what: String },
    Said { told: Told, failed: bool },
}

/// Carries out a turn's calls. `room` is about how many bytes one result may have; `title` is for the person who sees
/// the plan.
///
/// # Errors
/// [`Lost`] where the keeper is gone.
pub(crate) fn carry_out(
    keeper: &mut dyn Keeper,
    calls: &[ToolCall],
    job: &Job,
    memory: &mut Memory,
    room: usize,
    title: &str,
) -> Result<Round, Lost> {
    let most = usize::try_from(job.limits.tool_calls).unwrap_or(usize::MAX);
    let understood = calls.iter().enumerate().map(|(number, call)| {
        if number >= most {
            return said_no(format!("not tried: one turn takes at most {most} calls; make this one again in the next"));
        }
        parse(&call.name, &call.arguments, &job.roots).map_or_else(said_no, State::Open)
    });
    let mut states: Vec<State> = understood.collect();
    for (state, call) in states.iter().zip(calls) {
        if let State::Said { told, .. } = state {
            unproposed(keeper, call, &told.text)?;
        }
    }
    let looks: Vec<bool> =
        states.iter().map(|state| matches!(state, State::Open(Call::Look(_) | Call::Read { .. }))).collect();
    let many = looks.iter().filter(|looks| **looks).count();
    if many > 0 {
        keeper.status(&format!("reading ({many})"), None)?;
    }
    look(keeper, &mut states, job, memory, room)?;
    for ((state, call), _) in states.iter().zip(calls).zip(looks).filter(|(_, looks)| *looks) {
        if let State::Said { told, failed: false } = state {
            keeper.told(&call.name, &call.arguments, &told.text)?;
        }
    }
    let mut ground = prepare(keeper, &states, job)?;
    let asked: Vec<bool> = states.iter().map(|state| matches!(state, State::Open(_))).collect();
    let steps = plan(&mut states, &mut ground, job, memory);
    for ((state, call), asked) in states.iter().zip(calls).zip(asked) {
        if asked && let State::Said { told, failed: true } = state {
            unproposed(keeper, call, &told.text)?;
        }
    }
    let mut round = Round { told: Vec::new(), failed: Vec::new(), changes: 0, finish: None, over: None };
    if !steps.is_empty() {
        keeper.status(&format!("proposing {} change(s)", steps.len()), None)?;
        settle(keeper, &mut states, steps, memory, &mut round, title)?;
    }
    let ill = states.iter().any(|state| matches!(state, State::Said { failed: true, .. }));
    for (state, call) in states.into_iter().zip(calls) {
        let (told, failed) = match state {
            State::Said { told, failed } => (told, failed),
            State::Open(Call::Finish { .. }) if ill => {
                (Told::new("not finished: a call beside this one failed; see to it first, then finish"), true)
            }
            State::Open(Call::Finish { summary, success }) => {
                round.finish = Some((summary, success));
                (Told::new("finished"), false)
            }
            State::Open(_) | State::Planned { .. } => (Told::new("not done"), true),
        };
        keeper.note(&record(call, &told, failed))?;
        round.told.push(told);
        round.failed.push(failed);
    }
    Ok(round)
}

/// Does all the looking, in as few batches as can be.
fn look(
    keeper: &mut dyn Keeper,
    states: &mut [State],
    job: &Job,
    memory: &mut Memory,
    room: usize,
) -> Result<(), Lost> {
    let asked: Vec<FileRead> = states
        .iter()
        .filter_map(|state| match state {
            State::Open(Call::Look(asked)) => Some(asked.clone()),
            _ => None,
        })
        .collect();
    let wants: Vec<_> = states
        .iter()
        .filter_map(|state| match state {
            State::Open(Call::Read { at, offset, .. }) => Some((at.clone(), Want::Shown(*offset))),
            _ => None,
        })
        .collect();
    let outcomes = if asked.is_empty() { Vec::new() } else { keeper.read(asked)? };
    let mut outcomes = outcomes.into_iter();
    let mut files = reads::fetch(keeper, &wants, &job.limits)?.into_iter();
    for state in states {
        let result = match state {
            State::Open(Call::Look(asked)) => match outcomes.next() {
                Some(Outcome::Read(done)) => Ok(words::found(asked, &done, &job.roots, room)),
                Some(Outcome::Refused(refusal)) => Err(words::refused(&refusal)),
                Some(Outcome::Failed(failure)) => Err(words::failed(&failure)),
                _ => Err("failed: no answer came".to_owned()),
            },
            State::Open(Call::Read { at, offset, length }) => match files.next() {
                Some(Ok(got)) => {
                    let room =
                        length.and_then(|length| usize::try_from(length).ok()).map_or(room, |length| length.min(room));
                    let name = show(&job.roots, at.root, &at.path.0);
                    reads::show(&name, at, &got, (*offset, room), memory)
                }
                Some(Err(words)) => Err(words),
                None => Err("failed: no answer came".to_owned()),
            },
            _ => continue,
        };
        *state = match result {
            Ok((text, note)) => State::Said { told: Told { text, note, cut: false }, failed: false },
            Err(words) => said_no(words),
        };
    }
    Ok(())
}

/// Finds out what the changes need to know of the files.
fn prepare(keeper: &mut dyn Keeper, states: &[State], job: &Job) -> Result<Ground, Lost> {
    let mut ground = Ground::default();
    let mut places = Vec::new();
    let mut files = Vec::new();
    for state in states {
        let State::Open(Call::Change(wish)) = state else { continue };
        places.extend(wish.stats());
        if let Wish::Edit { at, .. } = wish
            && !files.iter().any(|(file, _)| file == at)
        {
            files.push((at.clone(), Want::All(job.limits.write_bytes)));
        }
    }
    if !places.is_empty() {
        let asked = places.iter().map(|at| FileRead::Stat { at: at.clone() }).collect();
        ground.stats = places.into_iter().zip(keeper.read(asked)?).collect();
    }
    let contents = reads::fetch(keeper, &files, &job.limits)?;
    ground.contents = files.into_iter().map(|(at, _)| at).zip(contents).collect();
    Ok(ground)
}

/// Turns wishes into steps. After the first that cannot be, nothing further is proposed: a later one may have relied
/// on it (copy, then delete the original).
fn plan(states: &mut [State], ground: &mut Ground, job: &Job, memory: &Memory) -> Vec<PlanStep> {
    let mut steps = Vec::new();
    let mut broken = false;
    for state in states {
        if let State::Said { failed: true, .. } = state {
            broken = true;
        }
        let State::Open(Call::Change(wish)) = state else { continue };
        if broken {
            *state =
                said_no("not tried: a call before it in this turn came to nothing; make it again if it is still right");
            continue;
        }
        let what = name_of(wish, job);
        match ground.steps(wish.clone(), memory, &job.roots, &job.limits) {
            Ok((more, learnt)) => {
                *state = State::Planned { first: steps.len(), count: more.len(), learnt, what };
                steps.extend(more);
            }
            Err(words) => {
                broken = true;
                *state = said_no(words);
            }
        }
    }
    steps
}

/// Proposes the plan and tells each call what came of its steps.
fn settle(
    keeper: &mut dyn Keeper,
    states: &mut [State],
    steps: Vec<PlanStep>,
    memory: &mut Memory,
    round: &mut Round,
    title: &str,
) -> Result<(), Lost> {
    let result = keeper.plan(title, steps)?;
    for state in states {
        let State::Planned { first, count, learnt, what } = state else { continue };
        let outcomes = result.outcomes.get(*first..*first + *count).unwrap_or_default();
        let mut bad = None;
        for outcome in outcomes {
            match outcome {
                Some(Outcome::Change(done)) => round.changes += done.ops.len() as u64,
                Some(Outcome::Refused(refusal)) => bad = bad.or(Some(words::refused(refusal))),
                Some(Outcome::Failed(failure)) => {
                    round.changes += failure.done.len() as u64;
                    if matches!(failure.kind, FailureKind::Broken | FailureKind::Stopped) {
                        round.over = Some(failure.message.clone());
                    }
                    bad = bad.or(Some(words::failed(failure)));
                }
                Some(_) => bad = bad.or(Some("failed: the answer does not fit the proposal".to_owned())),
                None => {}
            }
        }
        let missing = outcomes.len() < *count || outcomes.iter().any(Option::is_none);
        *state = match (bad, &result.refused) {
            (Some(words), _) => said_no(words),
            (None, Some(words)) if missing => {
                let words = if words.trim().is_empty() { "no reason given" } else { words };
                said_no(format!("refused ({words}): do not propose the same again"))
            }
            (None, None) if missing => said_no("not done: the person left it out, or something before it failed"),
            _ => {
                learnt.clone().remember(memory);
                State::Said { told: Told::new(&format!("done: {what}")), failed: false }
            }
        };
    }
    Ok(())
}

fn said_no(words: impl AsRef<str>) -> State {
    State::Said { told: Told::new(words.as_ref()), failed: true }
}

/// A change in a few words: the verb and the names.
fn name_of(wish: &Wish, job: &Job) -> String {
    let name = |at: &raincoat_types::Place| format!("`{}`", show(&job.roots, at.root, &at.path.0));
    match wish {
        Wish::Write { at, content } => format!("wrote {} ({} bytes)", name(at), content.len()),
        Wish::Edit { at, .. } => format!("edited {}", name(at)),
        Wish::Mkdir { at } => format!("made the folder {}", name(at)),
        Wish::Move { from, to, .. } => format!("moved {} to {}", name(from), name(to)),
        Wish::Copy { from, to, .. } => format!("copied {} to {}", name(from), name(to)),
        Wish::Delete { at, .. } => format!("deleted {}", name(at)),
        Wish::Archive { from, to, .. } => format!("packed {} item(s) into {}", from.len(), name(to)),
        Wish::Extract { from, to } => format!("unpacked {} into {}", name(from), name(to)),
    }
}

/// A call that came to nothing here, for the log: with the paths that it named, and no content.
fn unproposed(keeper: &mut dyn Keeper, call: &ToolCall, why: &str) -> Result<(), Lost> {
    let cut = |text: &str| text.chars().take(LOGGED).collect::<String>();
    let arguments: serde_json::Value = serde_json::from_str(&call.arguments).unwrap_or_default();
    let named = ["path", "from", "to"].iter().filter_map(|name| arguments.get(name));
    let named = named.flat_map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice));
    let targets = named.filter_map(|value| value.as_str()).take(LOGGED_PATHS).map(cut).collect();
    keeper.unproposed(&cut(&visible(&call.name)), targets, &cut(why))
}

/// One line for the run's record.
fn record(call: &ToolCall, told: &Told, failed: bool) -> String {
    let arguments: String = call.arguments.chars().take(160).collect();
    let cut = if arguments.len() < call.arguments.len() { "…" } else { "" };
    let end = if failed { "no: " } else { "" };
    format!("{} {}{cut} → {end}{}", visible(&call.name), visible(&arguments), told.note)
}
