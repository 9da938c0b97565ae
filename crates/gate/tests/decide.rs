//! The gate against a table of cases, and against a naive reference over random ones (B2, B3, DESIGN 1, 2, 9, 10).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use proptest::prelude::*;
use raincoat_gate::*;
use raincoat_types::*;

fn grant(n: u64) -> GrantId {
    GrantId(Ulid::from_parts(n, 0))
}

fn at(path: &str) -> Place {
    Place { root: 0, path: path.into() }
}

fn target(n: u64, path: &str, role: Role) -> Target {
    let path = RelPath::new(path.as_bytes()).unwrap();
    let spot = Spot { grant: grant(n), path };
    Target { spot, role, kind: Some(FileKind::File), protection: None, denied: None, linked_outside: false }
}

fn facts(targets: Vec<Target>) -> Facts {
    Facts { now: time(100), digest: Digest([1; 32]), targets, ..Facts::default() }
}

fn time(secs: i64) -> Timestamp {
    Timestamp { secs, nanos: 0 }
}

fn open_policy() -> Policy {
    let grants = vec![Grant { id: grant(1), who: Who::Anyone, read_only: false, until: None }];
    Policy::new(grants, Confirm::Never)
}

fn delete(actor: Actor) -> Proposal<FileChange> {
    Proposal { actor, run: RunId(Ulid::nil()), action: FileChange::Delete { at: at("x"), recursive: false } }
}

fn agent() -> Actor {
    Actor::Agent("default".into())
}

fn rule<A: Act>(verdict: Verdict<A>) -> String {
    match verdict {
        Verdict::Permit(_) => "permit".into(),
        Verdict::Ask { .. } => "ask".into(),
        Verdict::Deny { refusal } => refusal.rule,
    }
}

#[test]
fn each_rule_refuses_what_it_is_for() {
    let change = |policy: &Policy, facts: &Facts| rule(decide(policy, facts, delete(agent())));
    let good = facts(vec![target(1, "x", Role::Remove)]);
    assert_eq!(change(&open_policy(), &good), "permit");
    assert_eq!(change(&Policy::default(), &good), "no-grant");
    assert_eq!(change(&open_policy(), &facts(vec![])), "no-target");
    assert_eq!(change(&open_policy(), &facts(vec![target(2, "x", Role::Remove)])), "no-grant");
    assert_eq!(change(&open_policy(), &facts(vec![target(1, "", Role::Remove)])), "grant-root");

    let with = |edit: fn(&mut Target)| {
        let mut t = target(1, "x", Role::Write);
        edit(&mut t);
        change(&open_policy(), &facts(vec![target(1, "y", Role::Write), t]))
    };
    assert_eq!(with(|_| {}), "permit");
    assert_eq!(with(|t| t.protection = Some((Protection::Control, ".bashrc".into()))), "protected-name");
    assert_eq!(with(|t| t.protection = Some((Protection::Secret, ".ssh".into()))), "protected-name");
    assert_eq!(with(|t| t.denied = Some("*.key".into())), "denied-by-grant");
    assert_eq!(with(|t| t.kind = Some(FileKind::Special)), "special-file");
    assert_eq!(with(|t| t.linked_outside = true), "linked-outside");

    let one = |grant: Grant| change(&Policy::new(vec![grant], Confirm::Never), &good);
    let base = Grant { id: grant(1), who: Who::Anyone, read_only: false, until: None };
    assert_eq!(one(Grant { read_only: true, ..base.clone() }), "read-only-grant");
    assert_eq!(one(Grant { until: Some(time(100)), ..base.clone() }), "grant-ended");
    assert_eq!(one(Grant { until: Some(time(101)), ..base.clone() }), "permit");
    assert_eq!(one(Grant { who: Who::Named("agent:other".into()), ..base.clone() }), "not-for-actor");
    assert_eq!(one(Grant { who: Who::Named("agent".into()), ..base.clone() }), "permit");
}

#[test]
fn reading_is_stopped_by_secrets_but_not_by_control_files() {
    let read = |protection, role| {
        let mut t = target(1, ".x", role);
        t.protection = Some((protection, "x".into()));
        let action = FileRead::Read { at: at(".x"), offset: 0, len: 1 };
        rule(decide(&open_policy(), &facts(vec![t]), Proposal { actor: agent(), run: RunId(Ulid::nil()), action }))
    };
    assert_eq!(read(Protection::Secret, Role::Read), "protected-name");
    assert_eq!(read(Protection::Secret, Role::Look), "permit");
    assert_eq!(read(Protection::Control, Role::Read), "permit");
}

#[test]
fn a_change_asks_until_exactly_it_was_approved() {
    let policy = Policy::new(open_policy().grants().to_vec(), Confirm::Plans);
    let decide_with = |approval| {
        let facts = Facts { approval, ..facts(vec![target(1, "x", Role::Remove)]) };
        rule(decide(&policy, &facts, delete(agent())))
    };
    let until = time(101);
    assert_eq!(decide_with(None), "ask");
    assert_eq!(decide_with(Some(Approval { scope: Scope::Exactly(Digest([1; 32])), until })), "permit");
    assert_eq!(decide_with(Some(Approval { scope: Scope::Exactly(Digest([2; 32])), until })), "ask");
    assert_eq!(decide_with(Some(Approval { scope: Scope::RestOfRun, until })), "permit");
    assert_eq!(decide_with(Some(Approval { scope: Scope::RestOfRun, until: time(100) })), "ask");
}

#[test]
fn an_approval_never_overrides_a_deny() {
    let approval = Some(Approval { scope: Scope::RestOfRun, until: time(1000) });
    let facts = Facts { approval, ..facts(vec![target(9, "x", Role::Remove)]) };
    assert_eq!(rule(decide(&open_policy(), &facts, delete(agent()))), "no-grant");
}

#[test]
fn undo_is_the_persons_alone() {
    let action =
        FileChange::Revert { op: OpId { run: RunId(Ulid::nil()), seq: 1 }, drift: OnDrift::Leave, at: Vec::new() };
    let by = |actor| {
        let proposal = Proposal { actor, run: RunId(Ulid::nil()), action: action.clone() };
        rule(decide(&open_policy(), &facts(vec![target(1, "x", Role::Write)]), proposal))
    };
    assert_eq!(by(agent()), "person-only");
    assert_eq!(by(Actor::Recipe("tidy".into())), "person-only");
    assert_eq!(by(Actor::Person), "permit");
}

#[test]
fn a_model_is_asked_only_where_it_was_chosen() {
    let ask = |providers: &[&str], offline, provider: Option<(&str, bool)>| {
        let mut policy = open_policy();
        policy.providers = providers.iter().map(|p| (*p).to_owned()).collect();
        policy.offline = offline;
        let facts = Facts { provider: provider.map(|(n, l)| (n.to_owned(), l)), ..facts(vec![]) };
        let action = ModelRequest { provider: "a".into(), path: "chat/completions".into(), body: vec![] };
        rule(decide(&policy, &facts, Proposal { actor: agent(), run: RunId(Ulid::nil()), action }))
    };
    assert_eq!(ask(&["a"], false, Some(("a", false))), "permit");
    assert_eq!(ask(&[], false, Some(("a", false))), "provider-not-chosen");
    assert_eq!(ask(&["a"], false, None), "no-provider");
    assert_eq!(ask(&["a"], true, Some(("a", false))), "offline");
    assert_eq!(ask(&["a"], true, Some(("a", true))), "permit");
}

/// The rules once more, as plainly as can be: any reason to refuse refuses.
fn reference(policy: &Policy, facts: &Facts, proposal: &Proposal<FileChange>) -> &'static str {
    let person = proposal.actor == Actor::Person;
    let mut denied = proposal.action.person_only() && !person;
    denied |= facts.targets.is_empty();
    for t in &facts.targets {
        let changes = !matches!(t.role, Role::Look | Role::Read);
        let some_grant = policy.grants().iter().any(|g| {
            g.id == t.spot.grant
                && g.who.includes(&proposal.actor)
                && g.until.is_none_or(|u| facts.now < u)
                && !(changes && g.read_only)
        });
        denied |= !some_grant || t.denied.is_some() || (changes && t.linked_outside);
        denied |= matches!(t.protection, Some((Protection::Secret, _))) && t.role != Role::Look;
        denied |= t.protection.is_some() && changes;
        denied |= changes && t.spot.path.is_root() && t.role != Role::Write;
        denied |= t.kind == Some(FileKind::Special) && t.role != Role::Look;
    }
    if denied {
        return "deny";
    }
    let approved = facts.approval.as_ref().is_some_and(|a| {
        facts.now < a.until && (a.scope == Scope::RestOfRun || a.scope == Scope::Exactly(facts.digest))
    });
    if policy.confirm == Confirm::Plans && !approved { "ask" } else { "permit" }
}

fn any_target() -> impl Strategy<Value = Target> {
    let role =
        prop_oneof![Just(Role::Look), Just(Role::Read), Just(Role::Write), Just(Role::Remove), Just(Role::Arrive)];
    let kind =
        prop_oneof![Just(None), Just(Some(FileKind::File)), Just(Some(FileKind::Dir)), Just(Some(FileKind::Special))];
    let protection =
        prop_oneof![5 => Just(None), 1 => Just(Some(Protection::Secret)), 1 => Just(Some(Protection::Control))];
    let path = prop_oneof![Just(""), Just("a"), Just("a/b")];
    (0..4_u64, path, role, kind, protection, prop::bool::weighted(0.1), prop::bool::weighted(0.1)).prop_map(
        |(g, path, role, kind, protection, denied, linked_outside)| {
            let protection = protection.map(|p| (p, "p".to_owned()));
            Target { kind, protection, denied: denied.then(|| "d".to_owned()), linked_outside, ..target(g, path, role) }
        },
    )
}

fn any_actor() -> impl Strategy<Value = Actor> {
    prop_oneof![Just(Actor::Person), Just(agent()), Just(Actor::Agent("b".into())), Just(Actor::Recipe("tidy".into()))]
}

fn any_grant() -> impl Strategy<Value = Grant> {
    let who = prop_oneof![Just("*"), Just("agent"), Just("agent:b"), Just("recipe:tidy")]
        .prop_map(|w| if w == "*" { Who::Anyone } else { Who::Named(w.to_owned()) });
    (0..4_u64, who, any::<bool>(), prop::option::of(99..102_i64)).prop_map(|(id, who, read_only, until)| Grant {
        id: grant(id),
        who,
        read_only,
        until: until.map(time),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100_000))]
    #[test]
    fn the_gate_agrees_with_the_plain_rules(
        grants in prop::collection::vec(any_grant(), 0..6),
        targets in prop::collection::vec(any_target(), 0..4),
        actor in any_actor(),
        plans in any::<bool>(),
        approval in prop::option::of((any::<bool>(), any::<bool>(), 99..103_i64)),
        revert in prop::bool::weighted(0.1),
    ) {
        let policy = Policy::new(grants, if plans { Confirm::Plans } else { Confirm::Never });
        let approval = approval.map(|(exact, same, until)| Approval {
            scope: if exact { Scope::Exactly(Digest([if same { 1 } else { 2 }; 32])) } else { Scope::RestOfRun },
            until: time(until),
        });
        let facts = Facts { approval, ..facts(targets) };
        let mut proposal = delete(actor);
        if revert {
            proposal.action = FileChange::Revert { op: OpId { run: RunId(Ulid::nil()), seq: 1 }, drift: OnDrift::Leave, at: Vec::new() };
        }
        let expected = reference(&policy, &facts, &proposal);
        let got = match decide(&policy, &facts, proposal) {
            Verdict::Permit(_) => "permit",
            Verdict::Ask { .. } => "ask",
            Verdict::Deny { .. } => "deny",
        };
        prop_assert_eq!(got, expected);
    }
}

#[test]
fn only_the_persons_commit_adopts_and_protected_names_only_where_they_were_named() {
    let run = RunId(Ulid::from_parts(5, 5));
    let adopt = |actor: Actor, run: RunId, named: bool| {
        let action = FileChange::Adopt {
            at: at("x"),
            take: Take::FromDraft,
            expect: Expected::Absent,
            new: None,
            meta: None,
            named,
        };
        Proposal { actor, run, action }
    };
    let mut policy = open_policy();
    let plain = facts(vec![target(1, "x", Role::Write)]);
    let ask = |policy: &Policy, facts: &Facts, proposal| rule(decide(policy, facts, proposal));
    assert_eq!(ask(&policy, &plain, adopt(Actor::Person, run, true)), "commit-only");
    policy.commit = Some(run);
    assert_eq!(ask(&policy, &plain, adopt(Actor::Person, run, false)), "permit");
    assert_eq!(ask(&policy, &plain, adopt(Actor::Person, RunId(Ulid::nil()), false)), "commit-only");
    assert_eq!(ask(&policy, &plain, adopt(agent(), run, true)), "person-only");
    let of = |protection| {
        let protection = Some((protection, "pattern".to_owned()));
        facts(vec![Target { protection, ..target(1, "x", Role::Write) }])
    };
    assert_eq!(ask(&policy, &of(Protection::Control), adopt(Actor::Person, run, false)), "protected-name");
    assert_eq!(ask(&policy, &of(Protection::Control), adopt(Actor::Person, run, true)), "permit");
    assert_eq!(ask(&policy, &of(Protection::Secret), adopt(Actor::Person, run, true)), "protected-name");
    // A name that was named for a commit opens nothing to other actions.
    assert_eq!(ask(&policy, &of(Protection::Control), delete(Actor::Person)), "protected-name");
}
