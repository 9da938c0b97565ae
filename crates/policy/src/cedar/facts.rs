//! Yes-or-no facts that a policy asks for first. Cedar evaluates the conditions of a policy from left to right and stops
//! at the first that does not hold, so a policy whose first conditions are plain facts, one of them not as asked, does
//! not apply and cannot err: it need not be evaluated.

use cedar_policy::Policy;
use cedar_policy::pst::{Clause, Expr, Var};

use super::lint::conjuncts;
use super::request::{Protection, Request, Resource};

/// The facts of a request: which are known, and which of those hold.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Facts {
    known: u32,
    hold: u32,
}

/// The facts that a policy asks for first, in its order, and how they must be.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Gates(Vec<(u32, bool)>);

const CONTEXT: [&str; 7] = ["approved", "private", "tainted", "steered", "reversible", "local", "draft"];
const MODES: [&str; 4] = ["strict", "audit", "offline", "restricted"];
const THING: [&str; 4] = ["private", "protected", "secret", "root"];

impl Facts {
    /// The facts of a request, as if it had been approved or not.
    pub(super) fn of(request: &Request, approved: bool) -> Facts {
        let context = &request.context;
        let mode = context.mode;
        let (thing, known) = match &request.resource {
            Resource::File(place) | Resource::Folder(place) => {
                let protected = place.protection != Protection::None;
                let secret = place.protection == Protection::Secret;
                ([place.private, protected, secret, place.path.is_root()], u32::MAX)
            }
            _ => ([false; 4], (1 << (CONTEXT.len() + MODES.len())) - 1),
        };
        let of_context = [
            approved,
            context.private,
            context.tainted,
            context.steered,
            context.reversible,
            context.local,
            context.draft,
        ];
        let modes = [mode.strict, mode.audit, mode.offline, mode.restricted];
        let all = of_context.into_iter().chain(modes).chain(thing);
        Facts { known, hold: all.enumerate().fold(0, |hold, (at, fact)| hold | (u32::from(fact) << at)) }
    }
}

impl Gates {
    /// What a policy asks for first.
    pub(super) fn of(policy: &Policy) -> Gates {
        let Ok(pst) = policy.to_pst() else { return Gates::default() };
        let mut all = Vec::new();
        for clause in pst.body().clauses() {
            match clause {
                Clause::When(expr) => conjuncts(expr, true, &mut all),
                Clause::Unless(expr) => conjuncts(expr, false, &mut all),
            }
        }
        Gates(all.into_iter().map_while(|(expr, holds)| Some((bit(expr)?, holds))).collect())
    }

    /// Whether nothing that is known keeps the policy from applying. What comes behind an unknown fact does not count:
    /// asking for that fact may err.
    pub(super) fn let_in(&self, facts: Facts) -> bool {
        let mut known = self.0.iter().take_while(|(fact, _)| facts.known & fact != 0);
        known.all(|(fact, must)| (facts.hold & fact != 0) == *must)
    }
}

/// The bit of a plain fact: `context.tainted`, `context.mode.strict`, `resource.secret`.
fn bit(expr: &Expr) -> Option<u32> {
    let Expr::GetAttr { expr: of, attr } = expr else { return None };
    let at = |names: &[&str], start: usize| {
        let at = names.iter().position(|name| *name == attr.as_str())?;
        Some(1 << (start + at))
    };
    match &**of {
        Expr::Var(Var::Context) => at(&CONTEXT, 0),
        Expr::Var(Var::Resource) => at(&THING, CONTEXT.len() + MODES.len()),
        Expr::GetAttr { expr, attr: mode } if mode == "mode" && matches!(**expr, Expr::Var(Var::Context)) => {
            at(&MODES, CONTEXT.len())
        }
        _ => None,
    }
}
