//! The decision about a call of a tool that we know only by its description: a pure function of facts.
//!
//! `flow` finds the facts (what kind of effect the tool has, whether the request calls for it, where each argument came
//! from); here they become a verdict. Each rule by itself says allow, ask or deny; the strictest of all counts. Nothing
//! that a rule denies is permitted by another.

use raincoat_types::Confidentiality;

/// What a tool does when it is called.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Effect {
    /// It looks at the user's own things.
    Read,
    /// It reads from an address that its arguments name, so the address can carry data out.
    Fetch,
    /// It changes the user's own things.
    Change,
    /// It hands something to others: a message, a share, an invitation, a publication.
    Send,
    /// It takes something away.
    Destroy,
    /// It moves money or binds the user to.
    Pay,
    /// It changes who may act for the user: passwords, keys, second factors.
    Credential,
    /// It runs code or commands.
    Run,
}

/// Whether the user's request calls for such an effect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Intent {
    /// It does.
    Called,
    /// It hands the choice of what to do to something that is read ("do what the letter says").
    Delegated,
    /// Perhaps: the thing is named, but not what is to be done with it.
    Unclear,
    /// It did, and as many of these calls have been made as it called for.
    Spent,
    /// It does not.
    Outside,
}

/// What an argument decides.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Part {
    /// Who or what outside is reached: a recipient, an account, a host, an address.
    Reach,
    /// Which of the user's own things is meant: an id, a name, a channel, a path.
    Thing,
    /// What is said or stored: mere content.
    Content,
    /// What is run.
    Command,
    /// What lets somebody in.
    Secret,
}

/// Where an argument's value came from, from the best to the worst.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Origin {
    /// The user said it, policy allows it, or it was made from nothing but such parts.
    User,
    /// It stands in a field of its own in a record that the user's words pick out, or is the product of this run.
    Picked,
    /// It stands in a field of its own in a listing; the user's words leave open which one.
    Listed,
    /// It stands amid text where the user's words point, beside what the user named.
    Beside,
    /// It stands amid text where the user's words point.
    Pointed,
    /// Nothing that was said or read has it.
    Unknown,
    /// It stands where the user's words lead, but only by way of something else, or in words that ask for this call.
    Hearsay,
    /// The user named another value for the same.
    Displaced,
    /// It stands, or is put together from what stands, in text that the user's words do not point to.
    Elsewhere,
    /// Text that is no request of the user's asks for this call, or for what led to it.
    Injected,
}

/// One argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Argument {
    /// What it decides.
    pub part: Part,
    /// Where it came from.
    pub origin: Origin,
    /// Who may see what it was made from.
    pub confidentiality: Confidentiality,
}

/// Everything that is known about a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallFacts {
    /// What the tool does.
    pub effect: Effect,
    /// Whether the request calls for that.
    pub intent: Intent,
    /// Who gets to see what is handed to the tool: what is narrower does not go there.
    pub audience: Confidentiality,
    /// The arguments, in the order in which they are told about.
    pub arguments: Vec<Argument>,
    /// Something that anybody could have written was read in this run.
    pub tainted: bool,
    /// Words that give orders to an agent were read, or a call that such words asked for was denied in this run.
    pub alarmed: bool,
}

/// What the gate says about a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CallVerdict {
    /// Do it.
    Allow,
    /// A person must see it first, for these causes.
    Ask(Vec<Cause>),
    /// No, for these causes.
    Deny(Vec<Cause>),
}

/// What a verdict rests on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The request does not call for the effect, or not clearly.
    Intent(Intent),
    /// The argument of this index comes from where it must not, or not unseen.
    Argument(usize),
    /// The argument of this index may not be seen by those who would.
    Confidential(usize),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    Allow,
    Ask,
    Deny,
}

/// Decides about a call. The strictest rule counts.
///
/// ```
/// use raincoat_gate::{CallFacts, CallVerdict, Cause, Effect, Intent, decide_call};
/// use raincoat_types::Confidentiality::Public;
///
/// let facts = CallFacts {
///     effect: Effect::Send, intent: Intent::Outside, audience: Public, arguments: vec![], tainted: true, alarmed: false,
/// };
/// assert_eq!(decide_call(&facts), CallVerdict::Deny(vec![Cause::Intent(Intent::Outside)]));
/// ```
pub fn decide_call(facts: &CallFacts) -> CallVerdict {
    let intent = (judge_intent(facts), Cause::Intent(facts.intent));
    let arguments = facts.arguments.iter().enumerate().flat_map(|(index, argument)| {
        [
            (judge_origin(facts, *argument), Cause::Argument(index)),
            (judge_audience(facts, *argument), Cause::Confidential(index)),
        ]
    });
    let rules: Vec<(Answer, Cause)> = [intent].into_iter().chain(arguments).collect();
    let strictest = rules.iter().map(|(answer, _)| *answer).max().unwrap_or(Answer::Deny);
    let causes = rules.into_iter().filter(|(answer, _)| *answer == strictest).map(|(_, cause)| cause).collect();
    match strictest {
        Answer::Allow => CallVerdict::Allow,
        Answer::Ask => CallVerdict::Ask(causes),
        Answer::Deny => CallVerdict::Deny(causes),
    }
}

/// Why a person must see a change that an agent's model called for, although it lies within a grant and can be taken
/// back; `None` where nobody must. Here a name within the grant is no authority by itself, and content is mere content:
/// what somebody's text has to do with them counts where something is taken away, where the request does not call for
/// a change, or where words were read that give orders to an agent.
///
/// ```
/// use raincoat_gate::{CallFacts, Cause, Effect, Intent, astray};
/// use raincoat_types::Confidentiality::Private;
///
/// let call = |intent| CallFacts {
///     effect: Effect::Destroy, intent, audience: Private, arguments: vec![], tainted: true, alarmed: false,
/// };
/// assert_eq!(astray(&call(Intent::Called)), None);
/// assert_eq!(astray(&call(Intent::Outside)), Some(Cause::Intent(Intent::Outside)));
/// ```
pub fn astray(call: &CallFacts) -> Option<Cause> {
    if matches!(call.effect, Effect::Read | Effect::Fetch) {
        return None;
    }
    let destroys = call.effect != Effect::Change;
    let called = matches!(call.intent, Intent::Called | Intent::Delegated);
    let asks = |argument: &Argument| match (argument.part, argument.origin) {
        (Part::Content, Origin::Injected) => call.alarmed,
        (_, Origin::Injected) => call.alarmed || destroys || !called,
        (Part::Content, _) => false,
        (_, Origin::Hearsay | Origin::Displaced | Origin::Elsewhere) => destroys,
        _ => false,
    };
    let intent = match call.intent {
        Intent::Called => None,
        Intent::Outside => Some(Cause::Intent(call.intent)),
        Intent::Unclear | Intent::Delegated | Intent::Spent => call.alarmed.then_some(Cause::Intent(call.intent)),
    };
    call.arguments.iter().position(asks).map(Cause::Argument).or(intent)
}

/// Looking needs no request: an agent must find out what a request means.
fn judge_intent(facts: &CallFacts) -> Answer {
    let weighty = matches!(facts.effect, Effect::Destroy | Effect::Pay | Effect::Credential | Effect::Run);
    let answer = match (facts.effect, facts.intent) {
        (Effect::Read | Effect::Fetch, _) | (_, Intent::Called) => Answer::Allow,
        (_, Intent::Delegated) if !weighty => Answer::Allow,
        (_, Intent::Delegated | Intent::Unclear | Intent::Spent) => Answer::Ask,
        (_, Intent::Outside) if facts.tainted => Answer::Deny,
        (_, Intent::Outside) => Answer::Ask,
    };
    wary(facts, answer)
}

/// An agent that was given orders by what it read is not left to a person's attention: what would ask is denied.
fn wary(facts: &CallFacts, answer: Answer) -> Answer {
    if facts.alarmed && answer == Answer::Ask { Answer::Deny } else { answer }
}

fn judge_origin(facts: &CallFacts, argument: Argument) -> Answer {
    use Origin::{Beside, Displaced, Elsewhere, Hearsay, Injected, Listed, Picked, Pointed, Unknown, User};
    if facts.effect == Effect::Read {
        return Answer::Allow;
    }
    let answer = match (argument.part, argument.origin) {
        (_, Injected) => Answer::Deny,
        (_, User) => Answer::Allow,
        (_, Hearsay) => Answer::Ask,
        (Part::Content, _) => Answer::Allow,
        (Part::Secret | Part::Command, Unknown) if !facts.tainted => Answer::Ask,
        (Part::Secret | Part::Command, _) | (_, Elsewhere) => Answer::Deny,
        (Part::Thing, Displaced) => Answer::Ask,
        (Part::Thing, Unknown) if facts.effect == Effect::Destroy => Answer::Ask,
        (Part::Thing, _) => Answer::Allow,
        (Part::Reach, Displaced) => Answer::Deny,
        (Part::Reach, Unknown) if facts.tainted => Answer::Deny,
        (Part::Reach, Unknown) => Answer::Ask,
        (Part::Reach, Pointed) if facts.effect != Effect::Fetch => Answer::Ask,
        (Part::Reach, Beside) if facts.effect == Effect::Pay => Answer::Ask,
        (Part::Reach, Picked | Listed | Beside | Pointed) => Answer::Allow,
    };
    // What only the user's own words and records lead to may go on. For the rest somebody has a look.
    let sure = matches!(argument.origin, User | Picked) || argument.part == Part::Content;
    if facts.alarmed && !sure { wary(facts, answer).max(Answer::Ask) } else { wary(facts, answer) }
}

/// What may not be seen by those who would see it does not go there, whoever asks.
fn judge_audience(facts: &CallFacts, argument: Argument) -> Answer {
    if argument.confidentiality > facts.audience { Answer::Deny } else { Answer::Allow }
}
