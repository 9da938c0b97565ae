//! The gate against tables of cases (B2, B3, B6, H4, DESIGN 1, 2, 9, 10). `reference.rs` has random ones.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use raincoat_gate::{Intent, *};
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
    Target {
        spot,
        role,
        kind: Some(FileKind::File),
        protection: None,
        denied: None,
        linked_outside: false,
        private: false,
        ruled: Ruled::Silent,
    }
}

fn facts(targets: Vec<Target>) -> Facts {
    Facts { now: time(100), digest: Digest([1; 32]), targets, ..Facts::default() }
}

fn policy_with(grants: Vec<Grant>, confirm: Confirm, edit: impl FnOnce(&mut Policy)) -> Policy {
    let mut policy = Policy::new(grants, confirm);
    edit(&mut policy);
    policy
}

fn time(secs: i64) -> Timestamp {
    Timestamp { secs, nanos: 0 }
}

fn open_policy() -> Policy {
    let grants = vec![Grant { id: grant(1), who: Who::Anyone, actions: Actions::all(), until: None }];
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
    let base = Grant { id: grant(1), who: Who::Anyone, actions: Actions::all(), until: None };
    assert_eq!(one(Grant { actions: Actions::READING, ..base.clone() }), "not-granted");
    assert_eq!(one(Grant { actions: Actions::all() - Actions::DELETE, ..base.clone() }), "not-granted");
    assert_eq!(one(Grant { actions: Actions::DELETE, ..base.clone() }), "permit");
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
        policy.modes.set(Modes::OFFLINE, offline);
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

/// A change by an agent, with the policy and the facts as these make them.
fn changed(policy: impl Fn(&mut Policy), facts_of: impl Fn(&mut Facts)) -> String {
    let (mut its_policy, mut its_facts) = (open_policy(), facts(vec![target(1, "d/x", Role::Write)]));
    policy(&mut its_policy);
    facts_of(&mut its_facts);
    let action = FileChange::Write { at: at("d/x"), content: b"12345".to_vec(), expect: Expect::Absent };
    rule(decide(&its_policy, &its_facts, Proposal { actor: agent(), run: RunId(Ulid::nil()), action }))
}

fn exactly() -> Option<Approval> {
    Some(Approval { scope: Scope::Exactly(Digest([1; 32])), until: time(101) })
}

#[test]
fn each_mode_takes_away_what_it_says() {
    let in_mode = |modes: Modes, edit: fn(&mut Facts)| {
        let by_policy = changed(|policy| policy.modes = modes, edit);
        // It makes no difference whether it was in force from the start, came meanwhile, or both.
        let by_both = changed(
            |policy| policy.modes = modes,
            |facts| {
                edit(facts);
                facts.modes = modes;
            },
        );
        let by_facts = changed(
            |_| {},
            |facts| {
                edit(facts);
                facts.modes = modes;
            },
        );
        assert_eq!((&by_policy, &by_policy), (&by_facts, &by_both));
        by_policy
    };
    assert_eq!(in_mode(Modes::AUDIT | Modes::OFFLINE, |_| {}), "permit");
    assert_eq!(in_mode(Modes::RESTRICTED, |facts| facts.approval = exactly()), "restricted");
    assert_eq!(in_mode(Modes::STRICT, |_| {}), "ask");
    assert_eq!(in_mode(Modes::STRICT, |facts| facts.approval = exactly()), "permit");
    let wide = |facts: &mut Facts| facts.approval = Some(Approval { scope: Scope::RestOfRun, until: time(101) });
    assert_eq!(in_mode(Modes::STRICT, wide), "ask");
    let tainted = |facts: &mut Facts| (facts.approval, facts.tainted) = (exactly(), true);
    assert_eq!(in_mode(Modes::STRICT, tainted), "tainted");
    assert_eq!(in_mode(Modes::empty(), tainted), "permit");
    let missing = |facts: &mut Facts| (facts.approval, facts.missing_layer) = (exactly(), Some("landlock".into()));
    assert_eq!(in_mode(Modes::STRICT, missing), "layer-missing");
    assert_eq!(in_mode(Modes::empty(), missing), "permit");
}

#[test]
fn the_person_takes_back_in_every_mode() {
    let run = RunId(Ulid::from_parts(5, 5));
    let op = OpId { run, seq: 1 };
    let mut policy = open_policy();
    policy.modes = Modes::all();
    policy.commit = Some(run);
    let mut facts = facts(vec![target(1, "x", Role::Write)]);
    (facts.tainted, facts.missing_layer) = (true, Some("landlock".into()));
    let by_person = |policy: &Policy, facts: &Facts, action| {
        rule(decide(policy, facts, Proposal { actor: Actor::Person, run, action }))
    };
    let spot = Spot { grant: grant(1), path: RelPath::new(b"x").unwrap() };
    for action in [
        FileChange::Revert { op, drift: OnDrift::Leave, at: Vec::new() },
        FileChange::Restore { at: spot, bring: Bring::Nothing },
    ] {
        assert_eq!(by_person(&policy, &facts, action), "permit");
    }
    let adopt =
        |take| FileChange::Adopt { at: at("x"), take, expect: Expected::Absent, new: None, meta: None, named: false };
    assert_eq!(by_person(&policy, &facts, adopt(Take::FromDraft)), "restricted");
    policy.modes = Modes::STRICT;
    assert_eq!(by_person(&policy, &facts, adopt(Take::FromDraft)), "permit");
    // What a draft deletes needs a grant that lets be deleted.
    let grants = vec![Grant { id: grant(1), who: Who::Anyone, actions: Actions::all() - Actions::DELETE, until: None }];
    let narrow = policy_with(grants, Confirm::Never, |policy| policy.commit = Some(run));
    facts.targets = vec![target(1, "x", Role::Remove)];
    assert_eq!(by_person(&narrow, &facts, adopt(Take::Nothing)), "not-granted");
    assert_eq!(by_person(&narrow, &facts, adopt(Take::FromDraft)), "permit");
}

#[test]
fn a_program_runs_where_that_is_granted_and_what_is_private_stays() {
    let start = |hosts: &[&str], actions: Actions, modes: Modes, private: bool, role: Role| {
        let grants = vec![Grant { id: grant(1), who: Who::Anyone, actions, until: None }];
        let policy = policy_with(grants, Confirm::Plans, |policy| policy.modes = modes);
        let facts = facts(vec![Target { private, ..target(1, "", role) }]);
        let action = ProgramRun { program: "cc".into(), hosts: hosts.iter().map(|host| (*host).to_owned()).collect() };
        let actor = Actor::Program("cc".into());
        rule(decide(&policy, &facts, Proposal { actor, run: RunId(Ulid::nil()), action }))
    };
    let (all, none) = (Actions::all(), Modes::empty());
    assert_eq!(start(&[], all, none, false, Role::Run), "permit");
    assert_eq!(start(&[], all - Actions::EXEC, none, false, Role::Run), "not-granted");
    assert_eq!(start(&[], Actions::READ, none, false, Role::Read), "permit");
    assert_eq!(start(&["a.example"], all, none, false, Role::Run), "permit");
    assert_eq!(start(&["a.example"], all - Actions::SEND, none, false, Role::Run), "not-granted");
    assert_eq!(start(&["a.example"], all, none, true, Role::Run), "private");
    assert_eq!(start(&[], all - Actions::SEND, none, true, Role::Run), "permit");
    assert_eq!(start(&["a.example"], all, Modes::OFFLINE, false, Role::Run), "offline");
    assert_eq!(start(&["a.example"], all, Modes::RESTRICTED, false, Role::Run), "offline");
    assert_eq!(start(&[], all, Modes::OFFLINE, false, Role::Run), "permit");
    assert_eq!(start(&[], all, Modes::STRICT, false, Role::Run), "strict");
    assert_eq!(start(&[], all, Modes::RESTRICTED, false, Role::Run), "permit");
    // A program may have no folder at all.
    let action = ProgramRun { program: "cc".into(), hosts: Vec::new() };
    let proposal = Proposal { actor: agent(), run: RunId(Ulid::nil()), action };
    assert_eq!(rule(decide(&Policy::default(), &facts(vec![]), proposal)), "permit");
}

#[test]
fn what_is_private_is_read_by_a_model_on_this_machine_only() {
    let read = |elsewhere: bool, actor: Actor, private: bool, actions: Actions, role: Role| {
        let grants = vec![Grant { id: grant(1), who: Who::Anyone, actions, until: None }];
        let policy = policy_with(grants, Confirm::Plans, |policy| policy.model_elsewhere = elsewhere);
        let facts = facts(vec![Target { private, ..target(1, "x", role) }]);
        let action = FileRead::Read { at: at("x"), offset: 0, len: 1 };
        rule(decide(&policy, &facts, Proposal { actor, run: RunId(Ulid::nil()), action }))
    };
    let all = Actions::all();
    assert_eq!(read(true, agent(), true, all, Role::Read), "private");
    assert_eq!(read(true, agent(), true, all, Role::Look), "private");
    assert_eq!(read(true, agent(), false, all - Actions::SEND, Role::Read), "not-granted");
    assert_eq!(read(true, agent(), false, all, Role::Read), "permit");
    assert_eq!(read(false, agent(), true, all - Actions::SEND, Role::Read), "permit");
    assert_eq!(read(true, Actor::Recipe("tidy".into()), true, all - Actions::SEND, Role::Read), "permit");
    let ask = |carries_private, local| {
        let mut policy = open_policy();
        policy.providers = vec!["a".into()];
        let facts = Facts { carries_private, provider: Some(("a".into(), local)), ..facts(vec![]) };
        let action = ModelRequest { provider: "a".into(), path: "chat/completions".into(), body: vec![] };
        rule(decide(&policy, &facts, Proposal { actor: agent(), run: RunId(Ulid::nil()), action }))
    };
    assert_eq!(ask(true, false), "private");
    assert_eq!(ask(true, true), "permit");
    assert_eq!(ask(false, false), "permit");
}

#[test]
fn a_budget_refuses_and_a_breaker_asks() {
    let count = |firm, total| Count {
        whose: "this run".into(),
        total: Amounts::default().with(Measure::Deletions, total),
        most: Ceilings::default().with(Measure::Deletions, Some(100)),
        firm,
    };
    let with = |counts: Vec<Count>, approval: Option<Approval>| {
        changed(|_| {}, |facts| (facts.counts, facts.approval) = (counts.clone(), approval.clone()))
    };
    assert_eq!(with(vec![count(true, 100), count(false, 100)], None), "permit");
    assert_eq!(with(vec![count(false, 101)], None), "ask");
    assert_eq!(with(vec![count(false, 101)], Some(Approval { scope: Scope::RestOfRun, until: time(101) })), "ask");
    assert_eq!(with(vec![count(false, 101)], exactly()), "permit");
    assert_eq!(with(vec![count(false, 0), count(true, 101)], exactly()), "budget");
    // The person's own doing counts against none.
    let facts =
        Facts { counts: vec![count(true, 101), count(false, 101)], ..facts(vec![target(1, "x", Role::Remove)]) };
    assert_eq!(rule(decide(&open_policy(), &facts, delete(Actor::Person))), "permit");
    // What is said has the numbers.
    let counted = Facts { counts: vec![count(false, 3467)], ..facts };
    let Verdict::Ask { why, proposal } = decide(&open_policy(), &counted, delete(agent())) else {
        panic!("no question")
    };
    assert_eq!(why, "this run would come to 3467 deletions, and at most 100 are allowed");
    assert_eq!(proposal, delete(agent()));
}

#[test]
fn what_led_an_agent_to_a_change_asks_for_that_very_change() {
    let call = |effect, intent, argument: Option<(Part, Origin)>, alarmed| CallFacts {
        effect,
        intent,
        audience: Confidentiality::Private,
        arguments: argument
            .map(|(part, origin)| Argument { part, origin, confidentiality: Confidentiality::Public })
            .into_iter()
            .collect(),
        tainted: true,
        alarmed,
    };
    let with = |call: CallFacts, told: &[&str], approval: Option<Approval>| {
        let led = Some(Led { call, told: told.iter().map(|text| (*text).to_owned()).collect() });
        let facts = Facts { led, approval, ..facts(vec![target(1, "x", Role::Remove)]) };
        match decide(&open_policy(), &facts, delete(agent())) {
            Verdict::Ask { why, .. } => why,
            other => rule(other),
        }
    };
    let wide = Some(Approval { scope: Scope::RestOfRun, until: time(101) });
    let called = || call(Effect::Destroy, Intent::Called, None, false);
    assert_eq!(with(called(), &[], None), "permit");
    let injected = || call(Effect::Destroy, Intent::Called, Some((Part::Thing, Origin::Injected)), false);
    assert_eq!(with(injected(), &["`x` comes from a note"], wide), "`x` comes from a note");
    assert_eq!(with(injected(), &[], None), "an argument comes from what was read");
    assert_eq!(with(injected(), &["`x` comes from a note"], exactly()), "permit");
    let outside = |effect| call(effect, Intent::Outside, None, false);
    assert_eq!(
        with(outside(Effect::Destroy), &[], None),
        "the request does not clearly call for anything to be taken away"
    );
    assert_eq!(with(outside(Effect::Change), &[], None), "the request does not call for a change");
    assert_eq!(
        with(call(Effect::Change, Intent::Unclear, None, true), &[], None),
        "the request does not clearly call for it, and words were read that give orders to an agent"
    );
    // Looking is not led astray.
    let led = Some(Led { call: outside(Effect::Change), told: vec![] });
    let facts = Facts { led, ..facts(vec![target(1, "x", Role::Read)]) };
    let at = Place { root: 0, path: "x".into() };
    let look = Proposal { actor: agent(), run: RunId(Ulid::nil()), action: FileRead::Read { at, offset: 0, len: 1 } };
    assert_eq!(rule(decide(&open_policy(), &facts, look)), "permit");
}

#[test]
fn the_owners_rules_widen_a_grant_ask_or_forbid() {
    let ruled = |ruled: Ruled, actions: Actions, approval: Option<Approval>| {
        let grants = vec![Grant { id: grant(1), who: Who::Anyone, actions, until: None }];
        let facts = Facts { approval, ..facts(vec![Target { ruled, ..target(1, "x", Role::Remove) }]) };
        rule(decide(&Policy::new(grants, Confirm::Never), &facts, delete(agent())))
    };
    let ask_if = |forbidden, permits| Ruled::Ask { why: "two must agree".into(), forbidden, permits };
    let ask = || ask_if(true, true);
    assert_eq!(ruled(ask_if(true, false), Actions::READ, exactly()), "not-granted");
    assert_eq!(ruled(ask_if(true, false), Actions::all(), exactly()), "permit");
    assert_eq!(ruled(ask_if(false, true), Actions::all(), None), "permit");
    assert_eq!(ruled(ask_if(false, true), Actions::READ, None), "ask");
    assert_eq!(ruled(ask_if(false, true), Actions::READ, exactly()), "permit");
    assert_eq!(ruled(Ruled::Silent, Actions::READ, None), "not-granted");
    assert_eq!(ruled(Ruled::Permit, Actions::READ, None), "permit");
    assert_eq!(ruled(ask(), Actions::all(), None), "ask");
    assert_eq!(ruled(ask(), Actions::READ, exactly()), "permit");
    assert_eq!(ruled(ask(), Actions::all(), Some(Approval { scope: Scope::RestOfRun, until: time(101) })), "ask");
    assert_eq!(ruled(Ruled::Forbid("not on Sundays".into()), Actions::all(), exactly()), "policy");
    let of_the_model = |ruled: Ruled, approval: Option<Approval>| {
        let mut policy = open_policy();
        policy.providers = vec!["a".into()];
        let facts = Facts { ruled, approval, provider: Some(("a".into(), false)), ..facts(vec![]) };
        let action = ModelRequest { provider: "a".into(), path: "p".into(), body: vec![] };
        rule(decide(&policy, &facts, Proposal { actor: agent(), run: RunId(Ulid::nil()), action }))
    };
    assert_eq!(of_the_model(Ruled::Permit, None), "permit");
    assert_eq!(of_the_model(Ruled::Forbid("not at night".into()), exactly()), "policy");
    assert_eq!(of_the_model(ask(), None), "ask");
    assert_eq!(of_the_model(ask(), exactly()), "permit");
    // A permit of a rule's opens no folder, and does not let anything leave.
    let facts = |n| facts(vec![Target { ruled: Ruled::Permit, ..target(n, "x", Role::Remove) }]);
    assert_eq!(rule(decide(&open_policy(), &facts(2), delete(agent()))), "no-grant");
    let grants = vec![Grant { id: grant(1), who: Who::Anyone, actions: Actions::all() - Actions::SEND, until: None }];
    let policy = policy_with(grants, Confirm::Never, |policy| policy.model_elsewhere = true);
    assert_eq!(rule(decide(&policy, &facts(1), delete(agent()))), "not-granted");
}

#[test]
fn an_approval_for_a_folder_is_for_what_lies_in_it() {
    let scope = |n: u64, path: &str| Scope::Folder(grant(n), RelPath::new(path.as_bytes()).unwrap());
    let with = |scope: Scope, until: i64| {
        changed(
            |policy| policy.confirm = Confirm::Plans,
            |facts| {
                facts.approval = Some(Approval { scope: scope.clone(), until: time(until) });
            },
        )
    };
    assert_eq!(with(scope(1, ""), 101), "permit");
    assert_eq!(with(scope(1, "d"), 101), "permit");
    assert_eq!(with(scope(1, "d"), 100), "ask");
    assert_eq!(with(scope(1, "e"), 101), "ask");
    assert_eq!(with(scope(1, "d/x/y"), 101), "ask");
    assert_eq!(with(scope(2, ""), 101), "ask");
}

#[test]
fn a_refusal_says_what_would_change_the_answer() {
    let words = |policy: Policy, facts: &Facts| match decide(&policy, facts, delete(agent())) {
        Verdict::Deny { refusal } => refusal.message,
        _ => panic!("not refused"),
    };
    let grants = |actions| vec![Grant { id: grant(1), who: Who::Anyone, actions, until: None }];
    let remove = facts(vec![target(1, "x", Role::Remove)]);
    let narrow = words(Policy::new(grants(Actions::READ | Actions::WRITE), Confirm::Never), &remove);
    assert_eq!(narrow, "`x`: the grant lets read,write be done, not delete; grant it with `--actions` to allow that");
    let write = facts(vec![target(1, "x", Role::Write)]);
    let fixed = words(Policy::new(grants(Actions::READING), Confirm::Never), &write);
    assert!(fixed.contains("read-only; grant it without `--read-only`"), "{fixed}");
    assert!(words(open_policy(), &facts(vec![target(2, "x", Role::Remove)])).contains("see `raincoat grants`"));
    let mut policy = open_policy();
    policy.commit = Some(RunId(Ulid::nil()));
    let hook = Target { protection: Some((Protection::Control, ".git".into())), ..target(1, "x", Role::Write) };
    let adopt = |named| FileChange::Adopt {
        at: at("x"),
        take: Take::FromDraft,
        expect: Expected::Absent,
        new: None,
        meta: None,
        named,
    };
    let proposal = Proposal { actor: Actor::Person, run: RunId(Ulid::nil()), action: adopt(false) };
    let Verdict::Deny { refusal } = decide(&policy, &facts(vec![hook]), proposal) else { panic!("not refused") };
    assert!(refusal.message.contains("`--dangerous x` does"), "{}", refusal.message);
    // What it only reads on the way is no change of it.
    let read = Target { protection: Some((Protection::Control, ".git".into())), ..target(1, "x", Role::Read) };
    let proposal = Proposal { actor: Actor::Person, run: RunId(Ulid::nil()), action: adopt(false) };
    assert_eq!(rule(decide(&policy, &facts(vec![read]), proposal)), "permit");
    // Of two grants the one that speaks to the actor is what is told of.
    let both = vec![
        Grant { id: grant(1), who: Who::Anyone, actions: Actions::READING, until: None },
        Grant { id: grant(1), who: Who::Named("agent:other".into()), actions: Actions::all(), until: None },
    ];
    assert_eq!(rule(decide(&Policy::new(both, Confirm::Never), &write, delete(agent()))), "read-only-grant");
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

#[test]
fn each_action_is_told_for_what_it_is() {
    let place = || at("x");
    let write = FileChange::Write { at: place(), content: b"12345".to_vec(), expect: Expect::Absent };
    let edit = FileChange::Edit {
        at: place(),
        old: b"1".to_vec(),
        new: b"123".to_vec(),
        all: false,
        expect: Digest::default(),
    };
    let remove = FileChange::Delete { at: place(), recursive: false };
    assert_eq!((write.verb(), edit.verb(), Act::verb(&remove)), ("write", "edit", "delete"));
    assert_eq!((write.new_bytes(), edit.new_bytes(), remove.new_bytes()), (5, 3, 0));
    assert_eq!((write.deletes(), remove.deletes()), (false, true));
    let read = FileRead::Stat { at: place() };
    let program = ProgramRun { program: "cc".into(), hosts: vec!["a.example".into()] };
    let model = ModelRequest { provider: "a".into(), path: "p".into(), body: b"123".to_vec() };
    assert_eq!((Act::verb(&read), Act::verb(&program), Act::verb(&model)), ("stat", "exec", "ask the model"));
    assert_eq!((read.new_bytes(), program.new_bytes(), model.new_bytes()), (0, 0, 0));
    assert_eq!((read.program(), program.program(), model.program()), (None, Some(true), None));
    assert!(!read.asks_model() && !program.asks_model() && model.asks_model());
    fn plain<A: Act>(action: &A) -> bool {
        let only = action.person_only() || action.commit_only() || action.is_named();
        !only && !action.deletes() && !action.takes_back()
    }
    assert!(plain(&read) && plain(&program) && plain(&model) && plain(&write));
    let nothing_known = |verb: &str| format!("nothing is known of what `{verb}` would touch");
    let words = |verdict: Verdict<FileRead>| match verdict {
        Verdict::Deny { refusal } => refusal.message,
        _ => panic!("not refused"),
    };
    let proposal = Proposal { actor: agent(), run: RunId(Ulid::nil()), action: read };
    assert_eq!(words(decide(&open_policy(), &facts(vec![]), proposal)), nothing_known("stat"));
}

#[test]
fn a_grant_speaks_to_whom_it_names() {
    let actors = || {
        [
            Actor::Person,
            Actor::Agent("a".into()),
            Actor::Agent("b".into()),
            Actor::Recipe("a".into()),
            Actor::Recipe("b".into()),
            Actor::Program("a".into()),
            Actor::Program("b".into()),
        ]
    };
    // The person, then agents a and b, recipes a and b, programs a and b.
    for (who, included) in [
        ("agent", "111...."),
        ("agent:a", "11....."),
        ("recipe", "1..11.."),
        ("recipe:a", "1..1..."),
        ("program", "1....11"),
        ("program:b", "1.....1"),
        ("person", "1......"),
        ("a", "1......"),
    ] {
        let speaks: String =
            actors().map(|actor| if Who::Named(who.to_owned()).includes(&actor) { '1' } else { '.' }).iter().collect();
        assert_eq!(speaks, included, "{who}");
    }
    assert!(actors().iter().all(|actor| Who::Anyone.includes(actor)));
}

#[test]
fn each_place_is_held_against_its_own_grant_and_a_permit_is_for_what_was_decided() {
    let grants = (1..=5).rev().map(|n| {
        let actions = if n == 3 { Actions::all() } else { Actions::READING };
        Grant { id: grant(n), who: Who::Anyone, actions, until: None }
    });
    let policy = Policy::new(grants.collect(), Confirm::Never);
    for n in 1..=5 {
        let verdict = decide(&policy, &facts(vec![target(n, "x", Role::Write)]), delete(agent()));
        assert_eq!(rule(verdict) == "permit", n == 3, "grant {n}");
    }
    let Verdict::Permit(permit) = decide(&policy, &facts(vec![target(3, "x", Role::Write)]), delete(agent())) else {
        panic!("refused");
    };
    assert_eq!((permit.digest(), permit.run(), permit.actor()), (Digest([1; 32]), RunId(Ulid::nil()), &agent()));
    assert_eq!(permit.action(), &delete(agent()).action);
    assert_eq!(permit.into_action(), delete(agent()).action);
}

#[test]
fn a_rule_that_would_only_permit_does_not_ask_about_what_is_granted() {
    let ruled = Ruled::Ask { why: "a".into(), forbidden: false, permits: true };
    let asked = |role: Role, actions: Actions| {
        let grants = vec![Grant { id: grant(1), who: Who::Anyone, actions, until: None }];
        let policy = Policy::new(grants, Confirm::Never);
        rule(decide(&policy, &facts(vec![Target { ruled: ruled.clone(), ..target(1, "x", role) }]), delete(agent())))
    };
    // A place that is only looked at on the way needs no more than to be read.
    assert_eq!(asked(Role::Read, Actions::READ), "permit");
    assert_eq!(asked(Role::Look, Actions::READ), "permit");
    assert_eq!(asked(Role::Write, Actions::READ), "ask");
    assert_eq!(asked(Role::Write, Actions::WRITE), "permit");
    let grants = vec![Grant { id: grant(1), who: Who::Anyone, actions: Actions::READ, until: None }];
    let facts = facts(vec![Target { ruled: ruled.clone(), ..target(1, "x", Role::Write) }]);
    let action = FileRead::Stat { at: at("x") };
    let proposal = Proposal { actor: agent(), run: RunId(Ulid::nil()), action };
    assert_eq!(rule(decide(&Policy::new(grants, Confirm::Never), &facts, proposal)), "permit");
}
