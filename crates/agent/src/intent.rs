//! What a task calls for, where our own rules cannot read it: asked of the model before anything else is read, in a
//! conversation of its own that holds the task and nothing else. What it says can spare the person a question; it can
//! permit nothing that a rule denies.

use std::ops::ControlFlow;

use raincoat_model::{CHAT_PATH, Decoder, Event, Message, ReplyLimits, Request};
use raincoat_types::wire::{Job, JobModel};
use raincoat_types::{ModelRequest, Outcome};

use crate::keeper::{Keeper, Lost};

/// What the model is to say.
const QUESTION: &str = "A person gives an assistant a task about the files on their computer. You read the task and \
    nothing else, and you do not carry it out. Say which of these it calls for:\n\
    change - to make, write, edit, rename or move files\n\
    delete - to delete files or folders\n\
    Answer with one line: `change`, `delete`, `change delete`, or `nothing`.";
/// Bytes of a reply that are listened to: the answer is a few words.
const REPLY_BYTES: usize = 4 << 10;

/// What a task calls for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Intent {
    pub changes: bool,
    pub deletes: bool,
}

/// Asks the model; `None` where it gives no plain answer.
///
/// # Errors
/// [`Lost`] where the keeper is gone.
pub(crate) fn ask(keeper: &mut dyn Keeper, task: &str, job: &Job, model: &JobModel) -> Result<Option<Intent>, Lost> {
    let messages = [Message::System(QUESTION.to_owned()), Message::User(task.to_owned())];
    let body = Request { model: &model.model, messages: &messages, tools: &[] }.body();
    let request = ModelRequest { provider: model.provider.clone(), path: CHAT_PATH.to_owned(), body };
    let mut decoder = Decoder::new(ReplyLimits::from(&job.limits));
    let (mut events, mut heard) = (Vec::new(), 0);
    keeper.status("finding out what the task calls for", None)?;
    let outcome = keeper.ask(request, &mut |bytes| {
        heard += bytes.len();
        let enough =
            decoder.feed(bytes, &mut events).is_err() || decoder.is_done() || said(&events).len() > REPLY_BYTES;
        if enough || heard > 16 * REPLY_BYTES { ControlFlow::Break(()) } else { ControlFlow::Continue(String::new()) }
    })?;
    let status = match outcome {
        Outcome::Model { status } => status,
        _ if decoder.is_done() => 200,
        _ => return Ok(None),
    };
    let Ok(reply) = decoder.finish(status, &mut events) else { return Ok(None) };
    if let Some(usage) = reply.usage {
        keeper.used(usage.input, usage.output)?;
    }
    Ok(read(&reply.text))
}

fn said(events: &[Event]) -> String {
    let texts = events.iter().filter_map(|event| match event {
        Event::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// Reads the answer: the words that were offered, and no others.
fn read(answer: &str) -> Option<Intent> {
    let answer = answer.to_ascii_lowercase();
    let words = answer.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    let mut intent = Intent::default();
    let mut any = false;
    for word in words {
        match word {
            "change" => intent.changes = true,
            "delete" => intent.deletes = true,
            "nothing" => {}
            "and" => continue,
            _ => return None,
        }
        any = true;
    }
    any.then_some(intent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_the_offered_words_and_no_others() {
        let intent = |changes, deletes| Some(Intent { changes, deletes });
        for (answer, means) in [
            ("change", intent(true, false)),
            ("`delete`\n", intent(false, true)),
            ("Change, delete.", intent(true, true)),
            ("change and delete", intent(true, true)),
            ("nothing", intent(false, false)),
            ("", None),
            ("and", None),
            ("The task calls for: delete", None),
            ("do not delete", None),
        ] {
            assert_eq!(read(answer), means, "{answer}");
        }
    }
}
