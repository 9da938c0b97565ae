//! What can be said of rules without a solver: which never apply, which others make idle, which contradict, and who
//! reaches what is marked private. Nothing here decides; a finding is for people and for continuous integration.

use std::collections::{BTreeSet, HashMap};

use cedar_policy::pst::{BinaryOp, Clause, Expr, Literal};
use cedar_policy::{ActionConstraint, Effect, EntityTypeName, EntityUid, PrincipalConstraint, ResourceConstraint};
use raincoat_types::{Actor, RelPath, display_bytes};

use super::decide::Verdict;
use super::lint::conjuncts;
use super::load::{Known, RuleRef, Rules};
use super::request::{Action, Context, Place, Request, Resource};
use super::slices::Head;

/// Actors and private folders looked at, at most, each.
const MOST: usize = 64;

/// What was found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Finding {
    /// The rules that it is about, the one to look at first.
    pub rules: Vec<RuleRef>,
    /// What kind of thing.
    pub kind: FindingKind,
    /// In words that end in what to do.
    pub message: String,
}

/// The kinds of findings.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FindingKind {
    /// No request can meet its conditions.
    NeverApplies,
    /// A permit, all of which a forbid takes away.
    Shadowed,
    /// Another rule says all that it says.
    Redundant,
    /// A permit and a forbid of exactly the same.
    Contradiction,
    /// An actor reaches a folder marked private by a rule that is not the mark's, or can send what it holds away.
    PrivateReach,
}

/// Looks at rules. Findings come in the order of files and lines. What a rule's annotation `@audit` marks is there for
/// the duty it carries, and is not said never to apply. A folder is private where the rule whose head names it carries
/// `@private`.
pub fn analyse(rules: &Rules) -> Vec<Finding> {
    let looked: Vec<Looked<'_>> = rules.known.iter().map(Looked::new).collect();
    let mut findings = never(rules, &looked);
    let idle: BTreeSet<RuleRef> = findings.iter().flat_map(|finding| finding.rules.clone()).collect();
    let counted: Vec<&Looked<'_>> =
        looked.iter().filter(|one| !one.carries_duty() && !idle.contains(&one.known.rule)).collect();
    findings.extend(pairs(&counted));
    findings.extend(private(rules));
    findings.sort();
    findings
}

/// A rule, taken apart.
struct Looked<'a> {
    known: &'a Known,
    head: Head,
    actions: BTreeSet<Action>,
    /// All of these must hold; each in Cedar's own words.
    conditions: BTreeSet<String>,
    impossible: bool,
}

impl<'a> Looked<'a> {
    fn new(known: &'a Known) -> Looked<'a> {
        let head = Head::of(&known.policy);
        let actions = Action::ALL.into_iter().filter(|action| names(&head.action, *action)).collect();
        let Ok(pst) = known.policy.to_pst() else {
            // Nothing is known of it: a condition that no other rule has.
            return Looked { known, head, actions, conditions: [known.rule.to_string()].into(), impossible: false };
        };
        let mut all = Vec::new();
        for clause in pst.body().clauses() {
            match clause {
                Clause::When(expr) => conjuncts(expr, true, &mut all),
                Clause::Unless(expr) => conjuncts(expr, false, &mut all),
            }
        }
        let conditions = all.iter().map(|(expr, holds)| if *holds { expr.to_string() } else { format!("!({expr})") });
        Looked { known, head, actions, conditions: conditions.collect(), impossible: impossible(&all) }
    }

    fn carries_duty(&self) -> bool {
        self.known.policy.annotation("audit").is_some()
    }

    /// Whether whatever meets this rule meets the other.
    fn within(&self, other: &Looked<'_>) -> bool {
        self.actions.is_subset(&other.actions)
            && other.conditions.is_subset(&self.conditions)
            && principal_within(&self.head.principal, &other.head.principal)
            && resource_within(&self.head.resource, &other.head.resource)
    }
}

/// Whether an action is one that a head names.
fn names(head: &ActionConstraint, action: Action) -> bool {
    let is = |uid: &EntityUid| {
        let id = uid.id().unescaped();
        id == action.name() || action.groups().contains(&id)
    };
    match head {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => uid.id().unescaped() == action.name(),
        ActionConstraint::In(uids) => uids.iter().any(is),
    }
}

fn principal_within(one: &PrincipalConstraint, other: &PrincipalConstraint) -> bool {
    use PrincipalConstraint::{Any, Eq, In, Is, IsIn};
    let kind = match one {
        Eq(uid) => Some(uid.type_name()),
        Is(kind) | IsIn(kind, _) => Some(kind),
        Any | In(_) => None,
    };
    let place = match one {
        Eq(uid) | In(uid) | IsIn(_, uid) => Some(uid),
        Any | Is(_) => None,
    };
    let of_kind = |wanted: &EntityTypeName| kind == Some(wanted);
    let in_place = |wanted: &EntityUid| {
        // Every actor of a type is in that type's kind.
        place.is_some_and(|place| lies_in(place, wanted))
            || kind.is_some_and(|kind| {
                kind_of(kind) == Some(wanted.id().unescaped()) && wanted.type_name().basename() == "Kind"
            })
    };
    match other {
        Any => true,
        Eq(uid) => matches!(one, Eq(same) if same == uid),
        Is(wanted) => of_kind(wanted),
        In(uid) => in_place(uid),
        IsIn(wanted, uid) => of_kind(wanted) && in_place(uid),
    }
}

fn kind_of(kind: &EntityTypeName) -> Option<&'static str> {
    match kind.basename() {
        "User" => Some("person"),
        "Agent" => Some("agent"),
        "Recipe" => Some("recipe"),
        "Program" => Some("program"),
        _ => None,
    }
}

fn resource_within(one: &ResourceConstraint, other: &ResourceConstraint) -> bool {
    use ResourceConstraint::{Any, Eq, In, Is, IsIn};
    let kind = match one {
        Eq(uid) => Some(uid.type_name()),
        Is(kind) | IsIn(kind, _) => Some(kind),
        Any | In(_) => None,
    };
    let place = match one {
        Eq(uid) | In(uid) | IsIn(_, uid) => Some(uid),
        Any | Is(_) => None,
    };
    let of_kind = |wanted: &EntityTypeName| kind == Some(wanted);
    let in_place = |wanted: &EntityUid| place.is_some_and(|place| lies_in(place, wanted));
    match other {
        Any => true,
        Eq(uid) => matches!(one, Eq(same) if same == uid),
        Is(wanted) => of_kind(wanted),
        In(uid) => in_place(uid),
        IsIn(wanted, uid) => of_kind(wanted) && in_place(uid),
    }
}

/// Whether whatever is, or lies in, the one lies in the other.
fn lies_in(one: &EntityUid, other: &EntityUid) -> bool {
    let (at, folder) = (one.id().unescaped(), other.id().unescaped());
    one == other
        || matches!(one.type_name().basename(), "Folder" | "File")
            && other.type_name().basename() == "Folder"
            && (folder == "/" || at.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
}

fn never(rules: &Rules, looked: &[Looked<'_>]) -> Vec<Finding> {
    let found = |one: &Looked<'_>, why: &str| Finding {
        rules: vec![one.known.rule.clone()],
        kind: FindingKind::NeverApplies,
        message: format!("it never applies: {why}; mend it or take it out"),
    };
    let mut findings = Vec::new();
    for (number, one) in looked.iter().enumerate().filter(|(_, one)| !one.carries_duty()) {
        if let Some((_, warning)) = rules.warnings.iter().find(|(warned, _)| *warned == number) {
            findings.push(found(one, warning));
        } else if one.impossible {
            findings.push(found(one, "its conditions contradict each other"));
        }
    }
    findings
}

/// Whether conditions that must all hold cannot: a fact that is and is not, two values of one thing, an empty range.
fn impossible(all: &[(&Expr, bool)]) -> bool {
    let mut facts: HashMap<String, bool> = HashMap::new();
    let mut values: HashMap<String, Literal> = HashMap::new();
    let mut ranges: HashMap<String, (i64, i64)> = HashMap::new();
    let mut contradicts = false;
    for (expr, holds) in all {
        match comparison(expr, *holds) {
            Some((thing, BinaryOp::Eq, Literal::Bool(value))) => {
                contradicts |= *facts.entry(thing).or_insert(*value) != *value;
            }
            Some((thing, op, Literal::Long(number))) => {
                let (least, most) = ranges.entry(thing).or_insert((i64::MIN, i64::MAX));
                match op {
                    BinaryOp::Eq => (*least, *most) = ((*least).max(*number), (*most).min(*number)),
                    BinaryOp::Less => *most = (*most).min(number.saturating_sub(1)),
                    BinaryOp::LessEq => *most = (*most).min(*number),
                    BinaryOp::Greater => *least = (*least).max(number.saturating_add(1)),
                    BinaryOp::GreaterEq => *least = (*least).max(*number),
                    _ => {}
                }
                contradicts |= least > most;
            }
            Some((thing, BinaryOp::Eq, literal)) => {
                contradicts |= *values.entry(thing).or_insert_with(|| literal.clone()) != *literal;
            }
            Some(_) => {}
            None => {
                let never = matches!(expr, Expr::Literal(Literal::Bool(value)) if value != holds);
                contradicts |= never || *facts.entry(expr.to_string()).or_insert(*holds) != *holds;
            }
        }
    }
    contradicts
}

/// `thing op literal`, turned so that the thing is on the left and the comparison holds. Inequality tells nothing here.
fn comparison(expr: &Expr, holds: bool) -> Option<(String, BinaryOp, &Literal)> {
    use BinaryOp::{Eq, Greater, GreaterEq, Less, LessEq, NotEq};
    let Expr::BinaryOp { op, left, right } = expr else { return None };
    let (thing, literal, turned) = match (&**left, &**right) {
        (thing, Expr::Literal(literal)) => (thing, literal, false),
        (Expr::Literal(literal), thing) => (thing, literal, true),
        _ => return None,
    };
    let op = match (op, turned) {
        (Less, true) => Greater,
        (LessEq, true) => GreaterEq,
        (Greater, true) => Less,
        (GreaterEq, true) => LessEq,
        (op, _) => *op,
    };
    let op = match (op, holds) {
        (Eq, true) | (NotEq, false) => Eq,
        (Less, true) | (GreaterEq, false) => Less,
        (LessEq, true) | (Greater, false) => LessEq,
        (Greater, true) | (LessEq, false) => Greater,
        (GreaterEq, true) | (Less, false) => GreaterEq,
        _ => return None,
    };
    Some((thing.to_string(), op, literal))
}

/// Two rules at a time.
fn pairs(looked: &[&Looked<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (n, one) in looked.iter().enumerate() {
        let effect = one.known.policy.effect();
        let mut others = looked.iter().enumerate().filter(|(m, other)| *m != n && one.within(other));
        let found = others.find_map(|(m, other)| {
            let same = other.within(one);
            match (effect, other.known.policy.effect()) {
                (Effect::Permit, Effect::Forbid) if same => Some((
                    other,
                    FindingKind::Contradiction,
                    format!("it permits exactly what `{}` forbids; take one of them out", other.known.rule.id),
                )),
                (Effect::Permit, Effect::Forbid) => Some((
                    other,
                    FindingKind::Shadowed,
                    format!(
                        "`{}` forbids all that it permits; narrow that one or take this one out",
                        other.known.rule.id
                    ),
                )),
                // Of two that say the same, the later is one too many.
                (this, that) if this == that && (!same || m < n) => Some((
                    other,
                    FindingKind::Redundant,
                    format!("`{}` says all that it says; take it out", other.known.rule.id),
                )),
                _ => None,
            }
        });
        if let Some((other, kind, message)) = found {
            findings.push(Finding { rules: vec![one.known.rule.clone(), other.known.rule.clone()], kind, message });
        }
    }
    findings
}

/// Every actor, private folder and action, decided.
fn private(rules: &Rules) -> Vec<Finding> {
    let marks: Vec<(&RuleRef, String)> = rules
        .known
        .iter()
        .filter(|known| known.policy.annotation("private").is_some())
        .filter_map(|known| match known.policy.resource_constraint() {
            ResourceConstraint::In(uid) | ResourceConstraint::IsIn(_, uid) | ResourceConstraint::Eq(uid) => {
                (uid.type_name().basename() == "Folder").then(|| (&known.rule, uid.id().unescaped().to_owned()))
            }
            ResourceConstraint::Any | ResourceConstraint::Is(_) => None,
        })
        .take(MOST)
        .collect();
    let mut actors: Vec<Actor> =
        rules.actors().into_iter().filter(|actor| *actor != Actor::Person).take(MOST).collect();
    // One that no rule names stands for all that none does.
    actors.push(Actor::Agent("another".to_owned()));
    let providers: BTreeSet<String> = rules
        .known
        .iter()
        .flat_map(|known| known.policy.entity_literals())
        .filter(|uid| uid.type_name().basename() == "Provider")
        .map(|uid| uid.id().unescaped().to_owned())
        .take(MOST)
        .collect();
    let mut findings = Vec::new();
    let folders: BTreeSet<&String> = marks.iter().map(|(_, folder)| folder).collect();
    for folder in folders {
        let marking: Vec<&RuleRef> =
            marks.iter().filter(|(_, marked)| marked == folder).map(|(rule, _)| *rule).collect();
        for actor in &actors {
            let reached = reached(rules, actor, folder, &marking, &providers);
            let Some((_, first)) = reached.first() else { continue };
            let mut by: Vec<RuleRef> = vec![first.clone()];
            by.extend(reached.iter().skip(1).map(|(_, rule)| rule.clone()).filter(|rule| rule != first));
            by.dedup();
            let ways: BTreeSet<&str> = reached.iter().map(|(action, _)| action.name()).collect();
            let ways: Vec<&str> = ways.into_iter().collect();
            findings.push(Finding {
                message: format!(
                    "`{}` may {} what is in `{}`, which is marked private; narrow the rule, or the mark",
                    display_bytes(actor.name().as_bytes()),
                    ways.join(", "),
                    display_bytes(folder.as_bytes()),
                ),
                rules: by,
                kind: FindingKind::PrivateReach,
            });
        }
    }
    findings
}

/// What an actor may do to a private folder, or with what it holds, and by which rule that is not the mark's own.
fn reached(
    rules: &Rules,
    actor: &Actor,
    folder: &str,
    marking: &[&RuleRef],
    providers: &BTreeSet<String>,
) -> Vec<(Action, RuleRef)> {
    let Some(place) = place_of(folder) else { return Vec::new() };
    let inside = place.path.join(b"file").map(|path| Place { path, ..place.clone() });
    let mut things = vec![Resource::Folder(place)];
    things.extend(inside.map(Resource::File));
    things.extend(providers.iter().map(|name| Resource::Provider { name: name.clone(), local: false }));
    let context = Context { private: true, ..Context::default() };
    let mut reached = Vec::new();
    for resource in &things {
        for action in Action::ALL.into_iter().filter(|action| action.applies_to(resource)) {
            let request = Request { actor: actor.clone(), action, resource: resource.clone(), context };
            let Verdict::Allow { by } = rules.decide(&request) else { continue };
            let leaves = action.groups().contains(&"leave_machine");
            reached.extend(by.into_iter().filter(|rule| leaves || !marking.contains(&rule)).map(|rule| (action, rule)));
        }
    }
    reached
}

/// The place of an entity's id. `%` stands for what it stands for in [`super::path_text`].
fn place_of(id: &str) -> Option<Place> {
    let mut bytes = Vec::with_capacity(id.len());
    let mut parts = id.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    let path = RelPath::new(bytes.strip_prefix(b"/")?).ok()?;
    Some(Place { root: b"/".to_vec(), path, private: true, ..Place::default() })
}
