//! The gate against a naive reference over random (policy, facts, proposal) triples, and over every combination of a small
//! world (invariants 1, 2, 9, 10).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use proptest::prelude::*;
use raincoat_gate::{Intent, *};
use raincoat_types::*;

const RUN: u64 = 5;

fn grant(n: u64) -> GrantId {
    GrantId(Ulid::from_parts(n, 0))
}

fn run(n: u64) -> RunId {
    RunId(Ulid::from_parts(n, 0))
}

fn policy_with(grants: Vec<Grant>, confirm: Confirm, edit: impl FnOnce(&mut Policy)) -> Policy {
    let mut policy = Policy::new(grants, confirm);
    edit(&mut policy);
    policy
}

fn time(secs: i64) -> Timestamp {
    Timestamp { secs, nanos: 0 }
}

fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

/// Something to propose, of each sort that the gate tells apart.
#[derive(Clone, Debug)]
enum Wish {
    Read,
    Write,
    Delete,
    Revert,
    Adopt { nothing: bool, named: bool },
    Model,
    Program { hosts: bool },
}

/// What the gate says, in short: a rule's name, `ask` or `permit`.
fn gate(policy: &Policy, facts: &Facts, actor: &Actor, wish: &Wish) -> &'static str {
    fn short<A: Act>(verdict: Verdict<A>) -> &'static str {
        match verdict {
            Verdict::Permit(_) => "permit",
            Verdict::Ask { .. } => "ask",
            Verdict::Deny { .. } => "deny",
        }
    }
    fn ask<A: Act>(policy: &Policy, facts: &Facts, actor: &Actor, action: A) -> &'static str {
        short(decide(policy, facts, Proposal { actor: actor.clone(), run: run(RUN), action }))
    }
    let at = || Place { root: 0, path: "x".into() };
    match wish {
        Wish::Read => ask(policy, facts, actor, FileRead::Read { at: at(), offset: 0, len: 1 }),
        Wish::Write => {
            ask(policy, facts, actor, FileChange::Write { at: at(), content: vec![], expect: Expect::Anything })
        }
        Wish::Delete => ask(policy, facts, actor, FileChange::Delete { at: at(), recursive: false }),
        Wish::Revert => {
            let op = OpId { run: run(1), seq: 1 };
            ask(policy, facts, actor, FileChange::Revert { op, drift: OnDrift::Leave, at: vec![] })
        }
        Wish::Adopt { nothing, named } => {
            let take = if *nothing { Take::Nothing } else { Take::FromDraft };
            let action =
                FileChange::Adopt { at: at(), take, expect: Expected::Absent, new: None, meta: None, named: *named };
            ask(policy, facts, actor, action)
        }
        Wish::Model => ask(policy, facts, actor, ModelRequest { provider: "a".into(), path: "p".into(), body: vec![] }),
        Wish::Program { hosts } => {
            let hosts = if *hosts { vec!["a.example".into()] } else { vec![] };
            ask(policy, facts, actor, ProgramRun { program: "cc".into(), hosts })
        }
    }
}

/// The rules once more, as plainly as can be: any reason to refuse refuses, then any reason to ask asks.
fn reference(policy: &Policy, facts: &Facts, actor: &Actor, wish: &Wish) -> &'static str {
    let person = *actor == Actor::Person;
    let modes = policy.modes | facts.modes;
    let changes = matches!(wish, Wish::Write | Wish::Delete | Wish::Revert | Wish::Adopt { .. });
    let program = matches!(wish, Wish::Program { .. });
    let hosts = matches!(wish, Wish::Program { hosts: true });
    let deletes = matches!(wish, Wish::Delete | Wish::Adopt { nothing: true, .. });
    let named = matches!(wish, Wish::Adopt { named: true, .. });
    let over = |firm: bool| {
        facts.counts.iter().any(|count| {
            count.firm == firm
                && Measure::ALL.iter().any(|m| count.most.of(*m).is_some_and(|most| count.total.of(*m) > most))
        })
    };
    let leaves = hosts || (policy.model_elsewhere && matches!(actor, Actor::Agent(_)));

    let mut refused = false;
    let mut ruled = matches!(facts.ruled, Ruled::Ask { .. });
    refused |= matches!(facts.ruled, Ruled::Forbid(_));
    refused |= matches!(wish, Wish::Revert | Wish::Adopt { .. }) && !person;
    refused |= matches!(wish, Wish::Adopt { .. }) && policy.commit != Some(run(RUN));
    refused |= modes.contains(Modes::RESTRICTED) && changes && !matches!(wish, Wish::Revert);
    refused |= modes.contains(Modes::STRICT) && program;
    refused |= modes.contains(Modes::STRICT) && changes && !person && (facts.tainted || facts.missing_layer.is_some());
    refused |= modes.intersects(Modes::OFFLINE | Modes::RESTRICTED) && hosts;
    refused |= !person && over(true);
    let alters = |t: &Target| changes && !matches!(t.role, Role::Look | Role::Read);
    let natively = |t: &Target| match t.role {
        Role::Run => Actions::EXEC,
        Role::Remove if deletes => Actions::DELETE,
        _ if alters(t) => Actions::WRITE,
        _ => Actions::READ,
    };
    let granted = |t: &Target, needs: Actions| {
        policy.grants().iter().any(|g| {
            g.id == t.spot.grant
                && g.who.includes(actor)
                && g.until.is_none_or(|until| facts.now < until)
                && g.actions.contains(needs)
        })
    };
    for t in &facts.targets {
        if let Ruled::Ask { forbidden, .. } = t.ruled {
            ruled |= forbidden || !granted(t, natively(t));
        }
    }
    if matches!(wish, Wish::Model) {
        refused |= match &facts.provider {
            None => true,
            Some((name, local)) => {
                !policy.providers.contains(name)
                    || (!local && (modes.contains(Modes::OFFLINE) || facts.carries_private))
            }
        };
    } else {
        refused |= facts.targets.is_empty() && !program;
        for t in &facts.targets {
            let alters = alters(t);
            let mut needs = natively(t);
            if matches!(t.ruled, Ruled::Permit | Ruled::Ask { permits: true, .. }) {
                needs = Actions::empty();
            }
            if leaves {
                needs |= Actions::SEND;
            }
            let granted = granted(t, needs);
            refused |= !granted || t.denied.is_some() || (leaves && t.private);
            refused |= matches!(t.ruled, Ruled::Forbid(_));
            refused |= alters && t.linked_outside;
            refused |= t.kind == Some(FileKind::Special) && t.role != Role::Look;
            refused |= alters && t.spot.path.is_root() && t.role != Role::Write;
            refused |= match t.protection {
                Some((Protection::Secret, _)) => t.role != Role::Look,
                Some((Protection::Control, _)) => alters && !named,
                None => false,
            };
        }
    }
    if refused {
        return "deny";
    }
    let approval = facts.approval.as_ref().filter(|approval| facts.now < approval.until);
    let exact = approval.is_some_and(|approval| approval.scope == Scope::Exactly(facts.digest));
    let wide = approval.is_some_and(|approval| match &approval.scope {
        Scope::Exactly(digest) => *digest == facts.digest,
        Scope::RestOfRun => true,
        Scope::Folder(id, beneath) => {
            facts.targets.iter().all(|t| t.spot.grant == *id && t.spot.path.starts_with(beneath))
        }
    });
    let strict = modes.contains(Modes::STRICT) && changes && !person;
    let led = changes && facts.led.as_ref().is_some_and(|led| led_astray(&led.call));
    let asks = (ruled || (!person && over(false)) || strict || led) && !exact;
    let plans = changes && policy.confirm == Confirm::Plans && !wide;
    if asks || plans { "ask" } else { "permit" }
}

/// Orders in what was read make whatever they had a hand in suspect. Without them, taking something away must be what the
/// request calls for, of something that no text chose; a change must not be ruled out by the request.
fn led_astray(call: &CallFacts) -> bool {
    let acts = !matches!(call.effect, Effect::Read | Effect::Fetch);
    let destroys = acts && call.effect != Effect::Change;
    let (mut injected, mut chosen, mut elsewhere) = (false, false, false);
    for argument in &call.arguments {
        injected |= argument.origin == Origin::Injected;
        if argument.part != Part::Content {
            chosen |= argument.origin == Origin::Injected;
            elsewhere |= matches!(argument.origin, Origin::Hearsay | Origin::Displaced | Origin::Elsewhere);
        }
    }
    let wanted = matches!(call.intent, Intent::Called | Intent::Delegated);
    acts && (call.intent == Intent::Outside
        || call.alarmed && (injected || call.intent != Intent::Called)
        || destroys && (chosen || elsewhere)
        || chosen && !wanted)
}

fn any_led() -> impl Strategy<Value = Led> {
    let effect = prop::sample::select(vec![Effect::Read, Effect::Fetch, Effect::Change, Effect::Destroy, Effect::Run]);
    let intent =
        prop::sample::select(vec![Intent::Called, Intent::Delegated, Intent::Unclear, Intent::Spent, Intent::Outside]);
    let part = prop::sample::select(vec![Part::Thing, Part::Content, Part::Reach]);
    let origin = prop::sample::select(vec![
        Origin::User,
        Origin::Listed,
        Origin::Unknown,
        Origin::Hearsay,
        Origin::Displaced,
        Origin::Elsewhere,
        Origin::Injected,
    ]);
    let argument =
        (part, origin).prop_map(|(part, origin)| Argument { part, origin, confidentiality: Confidentiality::Public });
    let arguments = prop::collection::vec(argument, 0..3);
    (effect, intent, arguments, any::<bool>()).prop_map(|(effect, intent, arguments, alarmed)| Led {
        call: CallFacts { effect, intent, audience: Confidentiality::Private, arguments, tainted: true, alarmed },
        told: vec!["t".into(); 2],
    })
}

fn any_target() -> impl Strategy<Value = Target> {
    let role = prop::sample::select(vec![Role::Look, Role::Read, Role::Write, Role::Remove, Role::Arrive, Role::Run]);
    let kind = prop::sample::select(vec![None, Some(FileKind::File), Some(FileKind::Dir), Some(FileKind::Special)]);
    let protection =
        prop_oneof![6 => Just(None), 1 => Just(Some(Protection::Secret)), 1 => Just(Some(Protection::Control))];
    let place = prop::sample::select(vec!["", "a", "a/b"]);
    let flag = || prop::bool::weighted(0.1);
    (0..3_u64, place, role, kind, protection, any_ruled(), (flag(), flag(), flag())).prop_map(
        |(id, at, role, kind, protection, ruled, (denied, linked_outside, private))| Target {
            spot: Spot { grant: grant(id), path: path(at) },
            role,
            kind,
            protection: protection.map(|protection| (protection, "p".to_owned())),
            denied: denied.then(|| "d".to_owned()),
            linked_outside,
            private,
            ruled,
        },
    )
}

fn any_ruled() -> impl Strategy<Value = Ruled> {
    prop_oneof![
        6 => Just(Ruled::Silent),
        2 => Just(Ruled::Permit),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(forbidden, permits)| ask(forbidden, permits)),
        1 => Just(Ruled::Forbid("f".into())),
    ]
}

fn ask(forbidden: bool, permits: bool) -> Ruled {
    Ruled::Ask { why: "a".into(), forbidden, permits }
}

fn any_grant() -> impl Strategy<Value = Grant> {
    let who = prop::sample::select(vec!["*", "agent", "agent:b", "recipe:tidy", "program"]);
    let actions = prop_oneof![3 => Just(Actions::all()), 2 => any::<u8>().prop_map(Actions::from_bits_truncate)];
    (0..3_u64, who, actions, prop::option::weighted(0.3, 99..102_i64)).prop_map(|(id, who, actions, until)| Grant {
        id: grant(id),
        who: if who == "*" { Who::Anyone } else { Who::Named(who.to_owned()) },
        actions,
        until: until.map(time),
    })
}

fn any_actor() -> impl Strategy<Value = Actor> {
    prop::sample::select(vec![
        Actor::Person,
        Actor::Agent("a".into()),
        Actor::Agent("b".into()),
        Actor::Recipe("tidy".into()),
        Actor::Program("cc".into()),
    ])
}

fn any_wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        2 => Just(Wish::Read),
        4 => Just(Wish::Write),
        4 => Just(Wish::Delete),
        1 => Just(Wish::Revert),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(nothing, named)| Wish::Adopt { nothing, named }),
        1 => Just(Wish::Model),
        1 => any::<bool>().prop_map(|hosts| Wish::Program { hosts }),
    ]
}

fn any_modes() -> impl Strategy<Value = Modes> {
    prop_oneof![3 => Just(Modes::empty()), 1 => any::<u8>().prop_map(Modes::from_bits_truncate)]
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let grants = prop::collection::vec(any_grant(), 0..6);
    (grants, any::<bool>(), any_modes(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.7)).prop_map(
        |(grants, plans, modes, model_elsewhere, chosen, commits)| {
            policy_with(grants, if plans { Confirm::Plans } else { Confirm::Never }, |policy| {
                policy.modes = modes;
                policy.model_elsewhere = model_elsewhere;
                policy.providers = if chosen { vec!["a".into()] } else { vec![] };
                policy.commit = commits.then(|| run(RUN));
            })
        },
    )
}

fn any_scope() -> impl Strategy<Value = Scope> {
    let folder = (0..3_u64, prop::sample::select(vec!["", "a", "a/b"]));
    prop_oneof![
        any::<bool>().prop_map(|same| Scope::Exactly(Digest([if same { 1 } else { 2 }; 32]))),
        Just(Scope::RestOfRun),
        folder.prop_map(|(id, beneath)| Scope::Folder(grant(id), path(beneath))),
    ]
}

fn any_count() -> impl Strategy<Value = Count> {
    let measure = || prop::sample::select(Measure::ALL.to_vec());
    (measure(), measure(), 0..4_u64, prop::option::of(0..4_u64), any::<bool>()).prop_map(|(m, n, total, most, firm)| {
        Count {
            whose: "w".into(),
            total: Amounts::default().with(m, total),
            most: Ceilings::default().with(n, most),
            firm,
        }
    })
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let targets = prop::collection::vec(any_target(), 0..4);
    let approval = prop::option::of((any_scope(), 99..103_i64));
    let provider = prop::option::weighted(0.8, (prop::sample::select(vec!["a", "b"]), any::<bool>()));
    let flag = || prop::bool::weighted(0.2);
    let counts = prop::collection::vec(any_count(), 0..2);
    let ruled = prop_oneof![4 => Just(Ruled::Silent), 1 => any_ruled()];
    let led = prop::option::weighted(0.4, any_led());
    (targets, approval, provider, any_modes(), (flag(), flag(), flag()), counts, ruled, led).prop_map(
        |(targets, approval, provider, modes, (tainted, carries_private, missing), counts, ruled, led)| Facts {
            now: time(100),
            digest: Digest([1; 32]),
            targets,
            approval: approval.map(|(scope, until)| Approval { scope, until: time(until) }),
            provider: provider.map(|(name, local)| (name.to_owned(), local)),
            modes,
            tainted,
            carries_private,
            missing_layer: missing.then(|| "landlock".to_owned()),
            ruled,
            counts,
            led,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000_000))]
    #[test]
    fn the_gate_agrees_with_the_plain_rules(
        policy in any_policy(), facts in any_facts(), actor in any_actor(), wish in any_wish(),
    ) {
        prop_assert_eq!(gate(&policy, &facts, &actor, &wish), reference(&policy, &facts, &actor, &wish));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50_000))]
    #[test]
    fn more_modes_never_permit_more(
        policy in any_policy(), facts in any_facts(), actor in any_actor(), wish in any_wish(), more in any::<u8>(),
    ) {
        let rank = |verdict: &str| match verdict { "deny" => 2, "ask" => 1, _ => 0 };
        let before = rank(gate(&policy, &facts, &actor, &wish));
        let tighter = Facts { modes: facts.modes | Modes::from_bits_truncate(more), ..facts };
        prop_assert!(rank(gate(&policy, &tighter, &actor, &wish)) >= before);
    }

    #[test]
    fn no_approval_turns_a_deny(
        policy in any_policy(), facts in any_facts(), actor in any_actor(), wish in any_wish(), scope in any_scope(),
    ) {
        let without = Facts { approval: None, ..facts.clone() };
        let with = Facts { approval: Some(Approval { scope, until: time(i64::MAX) }), ..facts };
        let denied = gate(&policy, &without, &actor, &wish) == "deny";
        prop_assert_eq!(denied, gate(&policy, &with, &actor, &wish) == "deny");
    }
}

/// Precedence, exhaustively: every combination of each reason to refuse and to ask, one target, every actor and wish.
#[test]
fn in_a_small_world_every_combination_agrees() {
    let actors = [Actor::Person, Actor::Agent("a".into()), Actor::Recipe("tidy".into()), Actor::Program("cc".into())];
    let wishes = [
        Wish::Read,
        Wish::Write,
        Wish::Delete,
        Wish::Revert,
        Wish::Adopt { nothing: true, named: false },
        Wish::Adopt { nothing: false, named: true },
        Wish::Model,
        Wish::Program { hosts: false },
        Wish::Program { hosts: true },
    ];
    let rules = [Ruled::Silent, Ruled::Permit, ask(true, false), ask(false, true), Ruled::Forbid("f".into())];
    let scopes = [
        None,
        Some(Scope::Exactly(Digest([1; 32]))),
        Some(Scope::RestOfRun),
        Some(Scope::Folder(grant(1), path("a"))),
        Some(Scope::Folder(grant(1), path("b"))),
    ];
    let count = |firm| Count {
        whose: "w".into(),
        total: Amounts::default().with(Measure::Files, 2),
        most: Ceilings::default().with(Measure::Files, Some(1)),
        firm,
    };
    let mut looked_at = 0;
    for modes in 0..16_u8 {
        for bits in 0..128_u8 {
            let bit = |n: u8| bits & (1 << n) != 0;
            for (role, actions) in [
                (Role::Read, Actions::READING),
                (Role::Write, Actions::READING),
                (Role::Write, Actions::all()),
                (Role::Remove, Actions::all() - Actions::DELETE),
                (Role::Run, Actions::all() - Actions::SEND),
            ] {
                let grants = vec![Grant { id: grant(1), who: Who::Anyone, actions, until: None }];
                let confirm = if bit(1) { Confirm::Plans } else { Confirm::Never };
                let policy = policy_with(grants, confirm, |policy| {
                    policy.model_elsewhere = bit(0);
                    policy.commit = Some(run(RUN));
                    policy.providers = vec!["a".into()];
                });
                let mut facts = Facts {
                    now: time(100),
                    digest: Digest([1; 32]),
                    provider: Some(("a".into(), bit(2))),
                    modes: Modes::from_bits_truncate(modes),
                    tainted: bit(3),
                    carries_private: bit(4),
                    counts: if bit(5) { vec![count(bit(6))] } else { vec![] },
                    ..Facts::default()
                };
                for ruled in &rules {
                    facts.targets = vec![Target {
                        spot: Spot { grant: grant(1), path: path("a/x") },
                        role,
                        kind: Some(FileKind::File),
                        protection: (bit(6) && !bit(5)).then(|| (Protection::Control, "p".to_owned())),
                        denied: None,
                        linked_outside: false,
                        private: bit(4),
                        ruled: ruled.clone(),
                    }];
                    for scope in &scopes {
                        facts.approval = scope.clone().map(|scope| Approval { scope, until: time(101) });
                        for actor in &actors {
                            for wish in &wishes {
                                looked_at += 1;
                                let (got, plain) =
                                    (gate(&policy, &facts, actor, wish), reference(&policy, &facts, actor, wish));
                                assert_eq!(got, plain, "{policy:?} {facts:?} {actor:?} {wish:?}");
                            }
                        }
                    }
                }
            }
        }
    }
    assert_eq!(looked_at, 16 * 128 * 5 * 5 * 5 * 4 * 9);
}
