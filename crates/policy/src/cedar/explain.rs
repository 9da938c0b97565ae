//! Why the rules say what they say, and what would change it. Nothing is worked out here: the answer is the decision,
//! and each change is tried by deciding again.

use cedar_policy::EntityUid;
use raincoat_types::{Actor, display_bytes};

use super::decide::{Answer, Verdict};
use super::load::{RuleRef, Rules};
use super::request::{Context, Request, Resource};

/// Changes named at most.
const CHANGES: usize = 16;
/// Other actors tried at most.
const ACTORS: usize = 32;

/// An answer, explained.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// The decision itself, as [`Rules::decide`] gives it.
    pub verdict: Verdict,
    /// Why, in one sentence without a stop at its end.
    pub sentence: String,
    /// The first rule that it turns on, if there is one.
    pub rule: Option<RuleRef>,
    /// What would change the answer, and to what: each was tried. At most 16.
    pub would_change: Vec<String>,
}

/// What an approval, a mode or a fact about the action would change; tried one at a time.
type Turn = (&'static str, fn(&mut Context));

const TURNS: [Turn; 16] = [
    ("approve it", |context| context.approved = true),
    ("leave strict mode", |context| context.mode.strict = false),
    ("leave offline mode", |context| context.mode.offline = false),
    ("leave restricted mode", |context| context.mode.restricted = false),
    ("enter strict mode", |context| context.mode.strict = true),
    ("enter offline mode", |context| context.mode.offline = true),
    ("enter restricted mode", |context| context.mode.restricted = true),
    ("do it in a draft", |context| context.draft = true),
    ("keep it on this machine", |context| context.local = true),
    ("act on nothing that somebody else could have written", |context| context.tainted = false),
    ("do only what the request calls for, and what no text that was read asks for", |context| context.steered = false),
    ("leave out what is private", |context| context.private = false),
    ("make it something that can be taken back", |context| context.reversible = true),
    ("act on what somebody else could have written", |context| context.tainted = true),
    ("do what a text asks for that was read", |context| context.steered = true),
    ("carry what is private", |context| context.private = true),
];

impl Rules {
    /// Explains what [`Rules::decide`] says to a request.
    pub fn explain(&self, request: &Request) -> Explanation {
        let answer = self.answer(request, &[]);
        let would_change = self.changes(request, &answer);
        let verdict = self.verdict(answer);
        let (rule, sentence) = sentence(request, &verdict);
        Explanation { verdict, sentence, rule, would_change }
    }

    fn changes(&self, request: &Request, answer: &Answer) -> Vec<String> {
        let mut changes = Vec::new();
        let mut tried = |words: String, other: &Answer| {
            if outcome(other) != outcome(answer) && changes.len() < CHANGES {
                changes.push(format!("{words}: then {}", outcome(other)));
            }
        };
        for (words, turn) in TURNS {
            let mut other = request.clone();
            turn(&mut other.context);
            if other != *request {
                tried(words.to_owned(), &self.answer(&other, &[]));
            }
        }
        let by: Vec<usize> = match answer {
            Answer::Allow(by) | Answer::Ask { by, .. } | Answer::Deny(by) => by.clone(),
            Answer::Erred(errors) => errors.iter().map(|(number, _)| *number).collect(),
            Answer::Broken(_) | Answer::Unusable(_) | Answer::Silent => Vec::new(),
        };
        let name = |number: &usize| self.known.get(*number).map(|known| format!("`{}`", known.rule.id));
        for number in &by {
            let words = format!("take out the rule {}", name(number).unwrap_or_default());
            tried(words, &self.answer(request, &[*number]));
        }
        if by.len() > 1 {
            let names: Vec<String> = by.iter().filter_map(name).collect();
            tried(format!("take out the rules {}", names.join(" and ")), &self.answer(request, &by));
        }
        for actor in self.actors().into_iter().take(ACTORS).filter(|actor| *actor != request.actor) {
            let words = format!("let `{}` do it", shown(&actor.name()));
            tried(words, &self.answer(&Request { actor, ..request.clone() }, &[]));
        }
        changes
    }

    /// The person, and every actor that a rule names, by name.
    pub(super) fn actors(&self) -> Vec<Actor> {
        let mut actors: Vec<Actor> =
            self.known.iter().flat_map(|known| known.policy.entity_literals()).filter_map(|uid| actor(&uid)).collect();
        actors.push(Actor::Person);
        actors.sort_by_key(Actor::name);
        actors.dedup();
        actors
    }
}

fn actor(uid: &EntityUid) -> Option<Actor> {
    let name = uid.id().unescaped().to_owned();
    match uid.type_name().basename() {
        "Agent" => Some(Actor::Agent(name)),
        "Recipe" => Some(Actor::Recipe(name)),
        "Program" => Some(Actor::Program(name)),
        _ => None,
    }
}

fn outcome(answer: &Answer) -> &'static str {
    match answer {
        Answer::Allow(_) => "it is allowed",
        Answer::Ask { .. } => "it is asked about",
        Answer::Deny(_) | Answer::Erred(_) | Answer::Broken(_) | Answer::Unusable(_) => "it is denied",
        Answer::Silent => "the grants alone decide",
    }
}

fn sentence(request: &Request, verdict: &Verdict) -> (Option<RuleRef>, String) {
    let who = shown(&request.actor.name());
    let what = format!("{} {}", request.action.name(), thing(&request.resource));
    let first = |by: &[RuleRef]| by.first().cloned();
    let says = |rule: &Option<RuleRef>, why: &str| match rule {
        Some(rule) => format!("{rule} says so: {why}"),
        None => why.to_owned(),
    };
    match verdict {
        Verdict::Allow { by } => {
            let rule = first(by);
            let words = rule.as_ref().map_or_else(String::new, |rule| format!(": {rule} permits it"));
            (rule, format!("`{who}` may {what}{words}"))
        }
        Verdict::Ask { by, why, .. } => {
            let rule = first(by);
            let words = says(&rule, why);
            (rule, format!("`{who}` may {what} with your approval only: {words}"))
        }
        Verdict::Deny { by, why } => {
            let rule = first(by);
            let words = says(&rule, why);
            (rule, format!("`{who}` may not {what}: {words}"))
        }
        Verdict::Silent => (None, format!("no rule speaks of whether `{who}` may {what}: the grants decide")),
    }
}

fn thing(resource: &Resource) -> String {
    let name = match resource {
        Resource::File(place) => return format!("`{}`", shown(&place.id())),
        Resource::Folder(place) => return format!("the folder `{}`", shown(&place.id())),
        Resource::Host { name, .. } => format!("host:{name}"),
        Resource::Provider { name, .. } => format!("provider:{name}"),
        Resource::Tool { server, name, .. } => format!("tool:{server}/{name}"),
        Resource::Secret { name, .. } => format!("secret:{name}"),
    };
    format!("`{}`", shown(&name))
}

fn shown(text: &str) -> String {
    display_bytes(text.as_bytes())
}
