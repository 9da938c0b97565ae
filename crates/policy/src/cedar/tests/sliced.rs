//! What a slice says is what the whole says: Cedar, asked with every policy and every fact, names the same rules and the
//! same errors.

use cedar_policy::{Authorizer, Decision, PolicyId, PolicySet};
use proptest::prelude::*;

use super::rendered::requests;
use super::*;

const PRINCIPALS: [&str; 9] = [
    "principal",
    "principal is Agent",
    "principal == Agent::\"x\"",
    "principal in Kind::\"agent\"",
    "principal is Recipe in Kind::\"recipe\"",
    "principal is Agent in Kind::\"recipe\"",
    "principal in Agent::\"x\"",
    "principal == User::\"person\"",
    "principal is Program",
];
const ACTIONS: [&str; 8] = [
    "action",
    "action == Action::\"read\"",
    "action == Action::\"change\"",
    "action in Action::\"change\"",
    "action in [Action::\"look\", Action::\"move\"]",
    "action in Action::\"act\"",
    "action in Action::\"leave_machine\"",
    "action in [Action::\"exec\"]",
];
const RESOURCES: [&str; 10] = [
    "resource",
    "resource in Folder::\"/\"",
    "resource in Folder::\"/a\"",
    "resource == Folder::\"/a/b\"",
    "resource is File",
    "resource is File in Folder::\"/a/b\"",
    "resource is Folder in Folder::\"/a/b\"",
    "resource == File::\"/a/b/c d/x.KEY\"",
    "resource is Host",
    "resource == Tool::\"s/t\"",
];
/// Some err on some requests: a sum that is too large, a fact that such a thing does not have.
const CONDITIONS: [&str; 17] = [
    "",
    "when { context.tainted }",
    "unless { context.approved }",
    "when { context.approved && context.now > 0 }",
    "when { context.now + 9223372036854775805 > 0 }",
    "when { resource.size == 1 }",
    "when { resource has path && resource.path like \"*b*\" }",
    "when { context has mode && context.mode.strict }",
    "when { context == {} || context.hour == 12 }",
    "when { context == {hour: context.hour} }",
    "unless { context.local || context.approved || context.now + 9223372036854775804 > 0 }",
    "when { context.tainted && !context.reversible && context.now + 9223372036854775804 > 0 }",
    "when { context.now + 9223372036854775804 > 0 && context.tainted }",
    "when { resource.secret } unless { context.mode.offline }",
    "when { !(context.draft || resource.root) && context.mode.restricted }",
    "when { !context.mode.strict } when { resource in Folder::\"/a\" || principal in Kind::\"agent\" || action in Action::\"act\" }",
    "when { context.approved || context.now + 9223372036854775804 > 0 }",
];

fn policies() -> impl Strategy<Value = String> {
    let of = |all: &'static [&'static str]| proptest::sample::select(all);
    let one = (any::<bool>(), of(&PRINCIPALS), of(&ACTIONS), of(&RESOURCES), of(&CONDITIONS));
    let one = one.prop_map(|(permit, principal, action, resource, condition)| {
        let effect = if permit { "permit" } else { "forbid" };
        format!("{effect} ({principal}, {action}, {resource}) {condition};\n")
    });
    proptest::collection::vec(one, 0..30).prop_map(|policies| policies.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn a_slice_says_what_the_whole_says(text in policies(), requests in proptest::collection::vec(requests(), 40)) {
        // Without validation, so that policies may err as they like.
        let rules = Rules::load_with(&[("sliced", &text)], None).unwrap();
        let policies = rules.known.iter().enumerate();
        let policies = policies.map(|(n, known)| known.policy.new_id(PolicyId::new(n.to_string())));
        let whole = PolicySet::from_policies(policies).unwrap();
        for request in requests {
            let Ok(asked) = Asked::new(&request, rules.named()) else { continue };
            // Everything it lies in and every fact, for Cedar with every policy.
            let everywhere = Asked::new(&request, &everything()).unwrap();
            let all = request.entities(&everywhere, Needs::ALL).unwrap();
            let concerned = rules.concerned(&asked);
            let mut answers = Vec::new();
            for approved in [false, true] {
                let put = request.request(&everywhere, Needs::ALL, approved).unwrap();
                let response = Authorizer::new().is_authorized(&put, &whole, &all);
                let number = |id: &PolicyId| id.to_string().parse::<usize>().unwrap();
                let mut by: Vec<usize> = response.diagnostics().reason().map(number).collect();
                let mut errors: Vec<usize> = response.diagnostics().errors().map(|error| {
                    let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
                    number(error.policy_id())
                }).collect();
                by.sort_unstable();
                errors.sort_unstable();
                let full = (response.decision() == Decision::Allow, by, errors);

                let slice = concerned.slice(request.facts(approved), &[]).unwrap();
                let holds = slice.ask(&asked, &request, approved).unwrap();
                let errors = holds.errors.iter().map(|(number, _)| *number).collect::<Vec<_>>();
                let sliced = (!holds.permits.is_empty(), [holds.permits, holds.forbids].concat(), errors);
                prop_assert_eq!(&sliced, &full, "{:?} {}\n{}", request, approved, text);
                answers.push(full);
            }
            // Where nothing looks at the approval, the decision does not ask again.
            prop_assert!(concerned.look_at_approval() || answers[0] == answers[1], "{:?}\n{}", request, text);
        }
    }
}
