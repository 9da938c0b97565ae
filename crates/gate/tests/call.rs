//! The decision about a call: every rule by itself, and that the strictest counts, over all facts that there are.

use raincoat_gate::{Argument, CallFacts, CallVerdict, Cause, Effect, Intent, Origin, Part, astray, decide_call};
use raincoat_types::Confidentiality::{self, Personal, Private, Public};

const EFFECTS: [Effect; 8] = [
    Effect::Read,
    Effect::Fetch,
    Effect::Change,
    Effect::Send,
    Effect::Destroy,
    Effect::Pay,
    Effect::Credential,
    Effect::Run,
];
const INTENTS: [Intent; 5] = [Intent::Called, Intent::Delegated, Intent::Unclear, Intent::Spent, Intent::Outside];
const PARTS: [Part; 5] = [Part::Reach, Part::Thing, Part::Content, Part::Command, Part::Secret];
const ORIGINS: [Origin; 10] = [
    Origin::User,
    Origin::Picked,
    Origin::Listed,
    Origin::Beside,
    Origin::Pointed,
    Origin::Unknown,
    Origin::Hearsay,
    Origin::Displaced,
    Origin::Elsewhere,
    Origin::Injected,
];

fn facts(effect: Effect, intent: Intent, part: Part, origin: Origin) -> CallFacts {
    let arguments = vec![Argument { part, origin, confidentiality: Public }];
    CallFacts { effect, intent, audience: Personal, arguments, tainted: true, alarmed: false }
}

/// How strict: 0 allow, 1 ask, 2 deny.
fn strict(facts: &CallFacts) -> u8 {
    match decide_call(facts) {
        CallVerdict::Allow => 0,
        CallVerdict::Ask(causes) => {
            assert!(!causes.is_empty());
            1
        }
        CallVerdict::Deny(causes) => {
            assert!(!causes.is_empty());
            2
        }
    }
}

/// The letters of a row: `.` allow, `?` ask, `!` deny.
fn row(of: impl Iterator<Item = CallFacts>) -> String {
    let letter = |strictness| match strictness {
        0 => '.',
        1 => '?',
        _ => '!',
    };
    of.map(|facts| letter(strict(&facts))).collect()
}

#[test]
fn intents() {
    // Called, delegated, unclear, spent, outside; after something was read, and before.
    for (effect, tainted, clean) in [
        (Effect::Read, ".....", "....."),
        (Effect::Fetch, ".....", "....."),
        (Effect::Change, "..??!", "..???"),
        (Effect::Send, "..??!", "..???"),
        (Effect::Destroy, ".???!", ".????"),
        (Effect::Pay, ".???!", ".????"),
        (Effect::Credential, ".???!", ".????"),
        (Effect::Run, ".???!", ".????"),
    ] {
        let by = |tainted| {
            row(INTENTS.iter().map(move |intent| CallFacts {
                arguments: vec![],
                tainted,
                ..facts(effect, *intent, Part::Content, Origin::User)
            }))
        };
        assert_eq!((by(true).as_str(), by(false).as_str()), (tainted, clean), "{effect:?}");
    }
}

#[test]
fn origins() {
    // User, picked, listed, beside, pointed, unknown, hearsay, displaced, elsewhere, injected.
    for (effect, part, tainted, clean) in [
        (Effect::Read, Part::Reach, "..........", ".........."),
        (Effect::Fetch, Part::Reach, ".....!?!!!", ".....??!!!"),
        (Effect::Change, Part::Reach, "....?!?!!!", "....???!!!"),
        (Effect::Send, Part::Reach, "....?!?!!!", "....???!!!"),
        (Effect::Pay, Part::Reach, "...??!?!!!", "...????!!!"),
        (Effect::Change, Part::Thing, "......??!!", "......??!!"),
        (Effect::Destroy, Part::Thing, ".....???!!", ".....???!!"),
        (Effect::Send, Part::Content, "......?..!", "......?..!"),
        (Effect::Run, Part::Command, ".!!!!!?!!!", ".!!!!??!!!"),
        (Effect::Credential, Part::Secret, ".!!!!!?!!!", ".!!!!??!!!"),
    ] {
        let by = |tainted| {
            row(ORIGINS.iter().map(move |origin| CallFacts { tainted, ..facts(effect, Intent::Called, part, *origin) }))
        };
        assert_eq!((by(true).as_str(), by(false).as_str()), (tainted, clean), "{effect:?} {part:?}");
    }
}

#[test]
fn what_would_ask_is_denied_once_the_agent_was_given_orders() {
    for (part, row_is) in [(Part::Reach, "..??!!!!!!"), (Part::Thing, "..????!!!!"), (Part::Content, "......!..!")] {
        let by = ORIGINS
            .iter()
            .map(|origin| CallFacts { alarmed: true, ..facts(Effect::Send, Intent::Called, part, *origin) });
        assert_eq!(row(by), row_is, "{part:?}");
    }
    let by = INTENTS.iter().map(|intent| CallFacts {
        alarmed: true,
        arguments: vec![],
        ..facts(Effect::Change, *intent, Part::Thing, Origin::User)
    });
    assert_eq!(row(by), "..!!!");
}

#[test]
fn what_is_private_does_not_go_where_others_see_it() {
    let with = |confidentiality: Confidentiality, audience| {
        let argument = Argument { part: Part::Content, origin: Origin::User, confidentiality };
        let facts = facts(Effect::Send, Intent::Called, Part::Content, Origin::User);
        decide_call(&CallFacts { arguments: vec![argument], audience, ..facts })
    };
    assert_eq!(with(Private, Personal), CallVerdict::Deny(vec![Cause::Confidential(0)]));
    assert_eq!(with(Personal, Public), CallVerdict::Deny(vec![Cause::Confidential(0)]));
    assert_eq!(with(Private, Private), CallVerdict::Allow);
    assert_eq!(with(Public, Public), CallVerdict::Allow);
}

#[test]
fn causes_are_those_of_the_strictest_rule() {
    let argument = |part, origin| Argument { part, origin, confidentiality: Public };
    let mut facts = facts(Effect::Send, Intent::Unclear, Part::Content, Origin::User);
    facts.arguments = vec![argument(Part::Content, Origin::User), argument(Part::Reach, Origin::Pointed)];
    assert_eq!(decide_call(&facts), CallVerdict::Ask(vec![Cause::Intent(Intent::Unclear), Cause::Argument(1)]));
    facts.arguments.push(argument(Part::Reach, Origin::Elsewhere));
    assert_eq!(decide_call(&facts), CallVerdict::Deny(vec![Cause::Argument(2)]));
}

/// All facts of two arguments: a call is as strict as its strictest part, never milder with more arguments, with taint
/// or with an alarm, and worse origins of one argument that carries authority are never milder than the user's own word.
#[test]
fn nothing_makes_a_verdict_milder() {
    let mut seen = 0_u64;
    for effect in EFFECTS {
        for intent in INTENTS {
            for (part, origin) in PARTS.iter().flat_map(|part| ORIGINS.map(|origin| (*part, origin))) {
                let one = facts(effect, intent, part, origin);
                let alone = strict(&one);
                assert!(alone >= strict(&facts(effect, intent, part, Origin::User)));
                assert!(alone >= strict(&CallFacts { tainted: false, ..one.clone() }));
                assert!(alone <= strict(&CallFacts { alarmed: true, ..one.clone() }));
                for (part, origin) in PARTS.iter().flat_map(|part| ORIGINS.map(|origin| (*part, origin))) {
                    let other = facts(effect, intent, part, origin);
                    let mut both = one.clone();
                    both.arguments.extend(other.arguments.clone());
                    assert_eq!(strict(&both), alone.max(strict(&other)));
                    seen += 1;
                }
            }
        }
    }
    assert_eq!(seen, 8 * 5 * 50 * 50);
}

/// A change within a grant: `.` nobody is asked, `?` a person is.
fn astray_row(of: impl Iterator<Item = CallFacts>) -> String {
    of.map(|facts| if astray(&facts).is_some() { '?' } else { '.' }).collect()
}

#[test]
fn what_leads_a_change_within_a_grant_astray() {
    // Called, delegated, unclear, spent, outside; and with words read that give orders to an agent.
    for (effect, calm, alarmed) in [
        (Effect::Read, ".....", "....."),
        (Effect::Fetch, ".....", "....."),
        (Effect::Change, "....?", ".????"),
        (Effect::Destroy, "....?", ".????"),
    ] {
        let by = |alarmed| {
            astray_row(INTENTS.iter().map(move |intent| CallFacts {
                arguments: vec![],
                alarmed,
                ..facts(effect, *intent, Part::Content, Origin::User)
            }))
        };
        assert_eq!((by(false).as_str(), by(true).as_str()), (calm, alarmed), "{effect:?}");
    }
    // User, picked, listed, beside, pointed, unknown, hearsay, displaced, elsewhere, injected.
    for (effect, intent, part, calm, alarmed) in [
        (Effect::Read, Intent::Outside, Part::Thing, "..........", ".........."),
        (Effect::Change, Intent::Called, Part::Thing, "..........", ".........?"),
        (Effect::Change, Intent::Delegated, Part::Thing, "..........", "??????????"),
        (Effect::Change, Intent::Unclear, Part::Thing, ".........?", "??????????"),
        (Effect::Change, Intent::Unclear, Part::Content, "..........", "??????????"),
        (Effect::Change, Intent::Called, Part::Content, "..........", ".........?"),
        (Effect::Destroy, Intent::Called, Part::Thing, "......????", "......????"),
        (Effect::Destroy, Intent::Called, Part::Content, "..........", ".........?"),
    ] {
        let by = |alarmed| {
            astray_row(ORIGINS.iter().map(move |origin| CallFacts { alarmed, ..facts(effect, intent, part, *origin) }))
        };
        assert_eq!((by(false).as_str(), by(true).as_str()), (calm, alarmed), "{effect:?} {intent:?} {part:?}");
    }
    // The argument is told, not the intent, where both would do.
    assert_eq!(
        astray(&facts(Effect::Destroy, Intent::Outside, Part::Thing, Origin::Injected)),
        Some(Cause::Argument(0))
    );
}
