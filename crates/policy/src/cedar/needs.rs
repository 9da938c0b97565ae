//! Which facts a policy looks at.

use cedar_policy::Policy;
use cedar_policy::pst::{Clause, Expr, Var};

use super::lint::walk;

/// A set of names of facts, of `context` and of `resource` together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Needs(u32);

/// Every fact of the schema, each once.
const FACTS: [&str; 24] = [
    "approved",
    "mode",
    "private",
    "tainted",
    "steered",
    "reversible",
    "local",
    "draft",
    "bytes",
    "files",
    "now",
    "hour",
    "weekday",
    "run",
    "name",
    "extension",
    "path",
    "size",
    "protected",
    "secret",
    "root",
    "server",
    "environment",
    "",
];

impl Needs {
    /// All of them.
    pub(super) const ALL: Needs = Needs(u32::MAX);

    /// What a policy looks at. What cannot be told apart counts as all.
    pub(super) fn of(policy: &Policy) -> Needs {
        let Ok(pst) = policy.to_pst() else { return Needs::ALL };
        let mut needs = Needs::default();
        // `context` looked at as a whole, and not one of its facts.
        let (mut seen, mut within) = (0_usize, 0_usize);
        for clause in pst.body().clauses() {
            let (Clause::When(expr) | Clause::Unless(expr)) = clause;
            walk(expr, &mut |expr| match expr {
                Expr::Var(Var::Context) => seen += 1,
                Expr::GetAttr { expr, attr } if is_given(expr) => {
                    within += usize::from(is_context(expr));
                    needs = needs.with(attr);
                }
                Expr::HasAttr { expr, attrs } if is_given(expr) => {
                    within += usize::from(is_context(expr));
                    needs = needs.with(attrs.first());
                }
                _ => {}
            });
        }
        if seen == within { needs } else { Needs::ALL }
    }

    /// Both.
    pub(super) fn and(self, other: Needs) -> Needs {
        Needs(self.0 | other.0)
    }

    /// Whether a fact is among them.
    pub(super) fn includes(self, fact: &str) -> bool {
        self.0 & bit(fact) != 0
    }

    fn with(self, fact: &str) -> Needs {
        Needs(self.0 | bit(fact))
    }
}

/// A fact that is not of our schema has the last name's bit: somebody else's vocabulary.
fn bit(fact: &str) -> u32 {
    let at = FACTS.iter().position(|known| *known == fact).unwrap_or(FACTS.len() - 1);
    u32::try_from(at).map_or(u32::MAX, |at| 1 << at)
}

fn is_context(expr: &Expr) -> bool {
    matches!(expr, Expr::Var(Var::Context))
}

fn is_given(expr: &Expr) -> bool {
    matches!(expr, Expr::Var(Var::Context | Var::Resource))
}
