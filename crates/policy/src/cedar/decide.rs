//! What the rules say to a request. Cedar evaluates; what is added here only ever makes the answer stricter: a policy
//! that errs denies, where Cedar would pass it over, and what an approval would change asks.

use super::entities::{Asked, Put, Unusable};
use super::load::{RuleRef, Rules};
use super::request::Request;

/// What the rules say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// A rule permits it and none forbids it.
    Allow {
        /// The rules that permit it.
        by: Vec<RuleRef>,
    },
    /// It turns on a person's approval.
    Ask {
        /// The rules that ask.
        by: Vec<RuleRef>,
        /// Why, in words: the first rule's `@ask`, else its `@reason`.
        why: String,
        /// Where true, a rule forbids it until it is approved, whatever a grant says. Where false, nothing forbids it,
        /// and a rule would permit it once approved: what a grant allows anyway needs no asking.
        forbidden: bool,
        /// Once approved, a rule permits it. Where false, a grant must allow it too.
        permitted: bool,
    },
    /// A rule forbids it, approved or not; or a rule is broken or errs.
    Deny {
        /// The rules that forbid it, err or are broken. Empty where the request cannot be put to rules at all.
        by: Vec<RuleRef>,
        /// Why, in words: the first rule's `@reason`, or what is wrong with it.
        why: String,
    },
    /// No rule speaks: the grants decide.
    Silent,
}

/// As [`Verdict`], with rules as numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    Allow(Vec<usize>),
    Ask {
        by: Vec<usize>,
        forbidden: bool,
        permitted: bool,
    },
    Deny(Vec<usize>),
    /// Rules that erred, each with Cedar's words.
    Erred(Vec<(usize, String)>),
    /// Broken rules, as (rule, what is wrong).
    Broken(Vec<(RuleRef, String)>),
    Unusable(String),
    Silent,
}

impl Rules {
    /// What the rules say to a request.
    ///
    /// Nothing that goes wrong permits: a rule that is broken, or errs on this request, denies it and is named.
    pub fn decide(&self, request: &Request) -> Verdict {
        self.verdict(self.answer(request, &[]))
    }

    /// As [`Rules::decide`], as if some rules were not there.
    pub(super) fn answer(&self, request: &Request, without: &[usize]) -> Answer {
        let asked = Asked::new(request, self.named());
        let answer = asked.and_then(|asked| self.answer_to(&asked, request, without));
        answer.unwrap_or_else(|error| Answer::Unusable(error.to_string()))
    }

    /// The decision. Cedar's own tests come in here, with their own requests.
    pub(super) fn answer_to(&self, asked: &Asked, put: &impl Put, without: &[usize]) -> Result<Answer, Unusable> {
        let broken: Vec<_> = self.blocked(asked).map(|block| (block.rule.clone(), block.why.clone())).collect();
        if !broken.is_empty() {
            return Ok(Answer::Broken(broken));
        }
        let concerned = self.concerned(asked);
        let ask = |approved| concerned.slice(put.facts(approved), without)?.ask(asked, put, approved);
        let now = ask(put.is_approved())?;
        if !now.errors.is_empty() {
            return Ok(Answer::Erred(now.errors));
        }
        if now.forbids.is_empty() && !now.permits.is_empty() {
            return Ok(Answer::Allow(now.permits));
        }
        if put.is_approved() || !concerned.look_at_approval() {
            return Ok(if now.forbids.is_empty() { Answer::Silent } else { Answer::Deny(now.forbids) });
        }
        let then = ask(true)?;
        Ok(if !then.errors.is_empty() {
            Answer::Erred(then.errors)
        } else if !then.forbids.is_empty() {
            Answer::Deny(then.forbids)
        } else if !now.forbids.is_empty() {
            Answer::Ask { by: now.forbids, forbidden: true, permitted: !then.permits.is_empty() }
        } else if !then.permits.is_empty() {
            Answer::Ask { by: then.permits, forbidden: false, permitted: true }
        } else {
            Answer::Silent
        })
    }

    pub(super) fn verdict(&self, answer: Answer) -> Verdict {
        match answer {
            Answer::Allow(by) => Verdict::Allow { by: self.refs(&by) },
            Answer::Ask { by, forbidden, permitted } => Verdict::Ask {
                why: self.words(&by, "ask", "it needs your approval"),
                by: self.refs(&by),
                forbidden,
                permitted,
            },
            Answer::Deny(by) => {
                Verdict::Deny { why: self.words(&by, "reason", "the rule forbids it"), by: self.refs(&by) }
            }
            Answer::Erred(errors) => {
                let by: Vec<usize> = errors.iter().map(|(number, _)| *number).collect();
                let why = errors.first().map(|(_, error)| error.as_str()).unwrap_or_default();
                Verdict::Deny { why: format!("the rule cannot be evaluated: {why}; mend it"), by: self.refs(&by) }
            }
            Answer::Broken(broken) => {
                let why = broken.first().map(|(_, why)| why.as_str()).unwrap_or_default();
                let why = format!("the rule is broken: {why}");
                Verdict::Deny { why, by: broken.into_iter().map(|(rule, _)| rule).collect() }
            }
            Answer::Unusable(why) => Verdict::Deny { by: Vec::new(), why },
            Answer::Silent => Verdict::Silent,
        }
    }

    fn refs(&self, numbers: &[usize]) -> Vec<RuleRef> {
        numbers.iter().filter_map(|number| self.known.get(*number)).map(|known| known.rule.clone()).collect()
    }

    /// The words of the first of these rules that has some: its annotation of this name, else its `@reason`.
    fn words(&self, numbers: &[usize], annotation: &str, otherwise: &str) -> String {
        let known = || numbers.iter().filter_map(|number| self.known.get(*number));
        let said =
            |name: &str| known().find_map(|known| known.policy.annotation(name).filter(|words| !words.is_empty()));
        said(annotation).or_else(|| said("reason")).unwrap_or(otherwise).to_owned()
    }
}
