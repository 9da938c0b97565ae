//! What is rendered says what a small procedure of its own says: plain Rust, written from the words of
//! `docs/policy.md` and not from the rules.

use cedar_policy::{Authorizer, Decision, PolicySet};
use proptest::prelude::*;
use raincoat_types::{Actor, GrantId, RelPath, Ulid};

use super::*;

#[derive(PartialEq, Debug)]
enum Plain {
    Allow,
    Ask,
    Deny,
    Silent,
}

fn plainly(granted: &Granted, request: &Request) -> Plain {
    use Action::{AskModel, CallTool, Delete, Exec, List, Move, Send, UseSecret, Write};
    let context = &request.context;
    let mode = context.mode;
    let action = request.action;
    if !action.applies_to(&request.resource) {
        return Plain::Deny;
    }
    let changes = matches!(action, Write | Delete | Move);
    let leaves = matches!(action, Send | AskModel | CallTool);
    let reaches_out = matches!(action, Send | CallTool | UseSecret);
    let acts = changes || reaches_out || action == Exec;

    let person = request.actor == Actor::Person;
    let mut deny = mode.strict && (action == Exec || acts && context.tainted && !person)
        || mode.offline && leaves && !context.local
        || mode.restricted && (changes || action == Exec) && !context.draft
        || mode.restricted && reaches_out
        || context.private && leaves && !context.local;
    let ask = mode.strict && changes && !person
        || changes && !context.reversible && !context.draft
        || matches!(action, Send | CallTool) && !context.local
        || reaches_out && context.tainted
        || changes && context.steered;
    let mut permit = match &request.resource {
        Resource::Provider { name, .. } => granted.providers.contains(name),
        Resource::Host { name, .. } => granted.hosts.contains(name),
        Resource::Tool { server, name, .. } => granted.tools.contains(&format!("{server}/{name}")),
        Resource::Secret { name, .. } => granted.secrets.contains(name),
        Resource::File(_) | Resource::Folder(_) => false,
    };
    if let Resource::File(place) | Resource::Folder(place) = &request.resource {
        deny |= place.private && action == Send && !context.local
            || place.protection == Protection::Secret && action != List
            || place.protection != Protection::None && changes
            || place.path.is_root() && matches!(action, Move | Delete);
        let full: Vec<&[u8]> = names(&place.root).chain(place.path.names()).collect();
        for grant in &granted.folders {
            let folder: Vec<&[u8]> = names(&grant.folder).collect();
            let is_folder = matches!(request.resource, Resource::Folder(_));
            // Beneath it, or it itself.
            let reached = full.starts_with(&folder) && (full.len() > folder.len() || is_folder);
            if !reached {
                continue;
            }
            let below = full.get(folder.len()..).unwrap();
            deny |= grant.deny.iter().any(|pattern| {
                (1..=below.len()).any(|n| globbed(&folded(pattern), &folded(&path_text(&below[..n].join(&b'/')))))
            });
            permit |= speaks_to(&grant.who, &request.actor)
                && grant.until.is_none_or(|until| context.now < until)
                && grant.actions.iter().any(|granted| match granted {
                    GrantAction::Read => matches!(action, Action::Read | List),
                    GrantAction::Write => matches!(action, Write | Move),
                    GrantAction::Delete => action == Delete,
                    GrantAction::Exec => action == Exec,
                    GrantAction::Send => action == Send,
                });
        }
    }
    match (deny, ask && !context.approved, permit) {
        (true, ..) => Plain::Deny,
        (_, true, _) => Plain::Ask,
        (_, _, true) => Plain::Allow,
        _ => Plain::Silent,
    }
}

fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|b| *b == b'/').filter(|name| !name.is_empty())
}

fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

fn speaks_to(who: &Who, actor: &Actor) -> bool {
    *actor == Actor::Person
        || match who {
            Who::Anyone => true,
            Who::Agents => matches!(actor, Actor::Agent(_)),
            Who::Recipes => matches!(actor, Actor::Recipe(_)),
            Who::Programs => matches!(actor, Actor::Program(_)),
            Who::Actor(one) => one == actor,
        }
}

fn globbed(pattern: &str, text: &str) -> bool {
    // A `%` of a pattern stands for one of a path, which is written `%25`.
    globbed_escaped(&pattern.replace('%', "%25"), text)
}

fn globbed_escaped(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|after| {
            (0..=after.len()).any(|n| after.get(n..).is_some_and(|after| globbed_escaped(rest, after)))
        }),
    }
}

/// As Cedar alone says, with no slices and nothing of ours but what an approval would change.
fn cedar_alone(text: &str, request: &Request) -> Plain {
    let set: PolicySet = text.parse().unwrap();
    let mut named = Named::default();
    set.policies().for_each(|policy| named.add(policy));
    let Ok(asked) = Asked::new(request, &named) else { return Plain::Deny };
    let entities = request.entities(&asked, Needs::ALL).unwrap();
    let ask = |approved: bool| {
        let request = request.request(&asked, Needs::ALL, approved).unwrap();
        let response = Authorizer::new().is_authorized(&request, &set, &entities);
        assert_eq!(response.diagnostics().errors().count(), 0);
        (response.decision() == Decision::Allow, response.diagnostics().reason().next().is_some())
    };
    let approved = request.context.approved;
    match (ask(approved), (!approved).then(|| ask(true))) {
        ((true, _), _) => Plain::Allow,
        ((_, false), None | Some((false, false))) => Plain::Silent,
        (_, None | Some((false, true))) => Plain::Deny,
        (_, Some(_)) => Plain::Ask,
    }
}

const FOLDERS: [&str; 7] = ["/", "/s*", "/a", "/a/b", "/a/b/c d", "/A", "/q\"*%\\\n\u{e9}"];
const PATHS: [&str; 10] =
    ["", "b", "b/c d", "b/c d/x.KEY", "x.key", "b/secret/y", "*%.txt", "zz/b/y", "\u{c9}t\u{e9}/z", "\u{3a3}/\"\\x"];
const PATTERNS: [&str; 7] = ["*.key", "secret", "b/*", "*SECRET*", "*%.t*", "\u{3c3}/\"\\x", "*\\"];

fn actors() -> impl Strategy<Value = Actor> {
    prop_oneof![
        Just(Actor::Person),
        Just(Actor::Agent("x".into())),
        Just(Actor::Agent("y\"".into())),
        Just(Actor::Recipe("x".into())),
        Just(Actor::Program("x".into())),
    ]
}

fn folder_grants() -> impl Strategy<Value = FolderGrant> {
    let who = prop_oneof![
        Just(Who::Anyone),
        Just(Who::Agents),
        Just(Who::Recipes),
        Just(Who::Programs),
        actors().prop_map(Who::Actor)
    ];
    let actions =
        vec![GrantAction::Read, GrantAction::Write, GrantAction::Delete, GrantAction::Exec, GrantAction::Send];
    let actions = proptest::sample::subsequence(actions, 0..=5);
    let folder = proptest::sample::select(FOLDERS.to_vec());
    let deny = proptest::sample::subsequence(PATTERNS.to_vec(), 0..3);
    (folder, who, actions, proptest::option::of(-5_i64..5), any::<bool>(), deny).prop_map(
        |(folder, who, actions, until, private, deny)| FolderGrant {
            id: GrantId(Ulid::nil()),
            folder: folder.as_bytes().to_vec(),
            who,
            actions,
            until,
            private,
            deny: deny.into_iter().map(str::to_owned).collect(),
            max_files: private.then_some(3),
            max_bytes: None,
        },
    )
}

fn granteds() -> impl Strategy<Value = Granted> {
    let names = || {
        let name = proptest::sample::select(vec!["x", "s/t", "q\"\n\\"]);
        proptest::collection::hash_set(name, 0..2)
            .prop_map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    (proptest::collection::vec(folder_grants(), 0..5), names(), names(), names(), names()).prop_map(
        |(mut folders, providers, hosts, tools, secrets)| {
            for (n, grant) in folders.iter_mut().enumerate() {
                grant.id = GrantId(Ulid::from_parts(n as u64, 7));
            }
            Granted { folders, providers, hosts, tools, secrets }
        },
    )
}

pub(super) fn requests() -> impl Strategy<Value = Request> {
    let protections = vec![Protection::None, Protection::None, Protection::Control, Protection::Secret];
    let place = (
        proptest::sample::select(FOLDERS.to_vec()),
        proptest::sample::select(PATHS.to_vec()),
        proptest::sample::select(protections),
        any::<bool>(),
    );
    let place = place.prop_map(|(root, path, protection, private)| Place {
        root: root.as_bytes().to_vec(),
        path: RelPath::new(path.as_bytes()).unwrap(),
        grant: None,
        size: 1,
        private,
        protection,
    });
    let name = || proptest::sample::select(vec!["x", "t", "q\"\n\\"]).prop_map(str::to_owned);
    let resource = prop_oneof![
        4 => place.clone().prop_map(Resource::File),
        3 => place.prop_map(Resource::Folder),
        1 => (name(), any::<bool>()).prop_map(|(name, local)| Resource::Host { name, local }),
        1 => (name(), any::<bool>()).prop_map(|(name, local)| Resource::Provider { name, local }),
        1 => (name(), any::<bool>()).prop_map(|(name, local)| Resource::Tool { server: "s".into(), name, local }),
        1 => name().prop_map(|name| Resource::Secret { name, environment: "e".into() }),
    ];
    let flags = proptest::collection::vec(proptest::bool::weighted(0.25), 11);
    let context = (flags, -6_i64..6).prop_map(|(flags, now)| Context {
        mode: Mode { strict: flags[0], audit: flags[1], offline: flags[2], restricted: flags[3] },
        approved: flags[4],
        private: flags[5],
        tainted: flags[6],
        reversible: !flags[7],
        local: flags[8],
        draft: flags[9],
        steered: flags[10],
        now,
        ..Context::default()
    });
    let action = proptest::sample::select(Action::ALL.to_vec());
    (actors(), action, resource, context).prop_map(|(actor, action, resource, context)| Request {
        actor,
        action,
        resource,
        context,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
    #[test]
    fn what_is_rendered_is_what_is_granted(
        granted in granteds(),
        requests in proptest::collection::vec(requests(), 40),
    ) {
        let text = render(&granted);
        let rules = Rules::load(&[("rendered", &text)]).unwrap_or_else(|broken| panic!("{broken}\n{text}"));
        for request in requests {
            let ours = match rules.decide(&request) {
                Verdict::Allow { .. } => Plain::Allow,
                Verdict::Ask { .. } => Plain::Ask,
                Verdict::Deny { .. } => Plain::Deny,
                Verdict::Silent => Plain::Silent,
            };
            prop_assert_eq!(&ours, &plainly(&granted, &request), "{:?}\n{}", request, text);
            prop_assert_eq!(&ours, &cedar_alone(&text, &request), "{:?}\n{}", request, text);
        }
    }
}
