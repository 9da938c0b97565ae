//! The language as a whole: what loads, what is denied, who is named.

mod analysed;
mod corpus;
mod documented;
mod rendered;
mod sliced;
mod theirs;
mod untrusted;

use super::entities::{Asked, Named, Put, Theirs};
use super::needs::Needs;
use super::*;

fn load(text: &str) -> Rules {
    Rules::load(&[("t.cedar", text)]).unwrap()
}

fn decide(rules: &Rules, line: &str) -> Verdict {
    rules.decide(&Example::parse(line).unwrap().request)
}

#[test]
fn the_vocabulary_is_cedar() {
    let schema = cedar_policy::Schema::from_cedarschema_str(SCHEMA).map(|_| ()).map_err(|e| format!("{e:?}"));
    schema.unwrap();
    assert!(load::validator().is_some());
}

#[test]
fn answers() {
    let rules = load(
        r#"
        @id("open") permit (principal, action in Action::"look", resource in Folder::"/a");
        @id("ask") @ask("why not") forbid (principal is Agent, action == Action::"read", resource in Folder::"/a/b")
        unless { context.approved };
        @id("no") @reason("never") forbid (principal, action, resource == File::"/a/b/c");
        @id("widen") permit (principal, action == Action::"write", resource in Folder::"/w") when { context.approved };
        @id("hold") @reason("wait") forbid (principal, action == Action::"delete", resource in Folder::"/w") unless { context.approved };
        "#,
    );
    let said = |line: &str| match decide(&rules, line) {
        Verdict::Allow { by } => format!("allow {}", by[0].id),
        Verdict::Ask { by, why, forbidden, permitted } => format!("ask {} {why} {forbidden} {permitted}", by[0].id),
        Verdict::Deny { by, why } => format!("deny {} {why}", by.first().map_or("-", |by| &by.id)),
        Verdict::Silent => "silent".to_owned(),
    };
    for (line, expected) in [
        ("agent:x read /a/y", "allow open"),
        ("agent:x read /ab", "silent"),
        ("agent:x read /a/b/y", "ask ask why not true true"),
        ("agent:x read /a/b/y approved=true", "allow open"),
        ("person read /a/b/y", "allow open"),
        ("agent:x read /a/b/c", "deny no never"),
        ("agent:x read /a/b/c approved=true", "deny no never"),
        ("agent:x write /w/y", "ask widen it needs your approval false true"),
        ("agent:x write /w/y approved=true", "allow widen"),
        ("agent:x delete /w/y", "ask hold wait true false"),
        ("agent:x delete /w/y approved=true", "silent"),
        (
            "agent:x exec /w/y",
            "deny - `exec` is not something that can be done to this kind of thing; see `raincoat policy show --schema`",
        ),
    ] {
        assert_eq!(said(line), expected, "{line}");
    }
}

/// Each is a policy file, what the problem says, and whether what it could not have applied to is still open.
#[test]
fn what_is_broken_is_named_and_denies_what_it_could_have_applied_to() {
    let open = "@id(\"open\")\npermit (principal, action, resource);\n";
    for (text, line, kind, words, elsewhere_open) in [
        (
            "permit (principal, action, resource) when { context.approved ",
            3,
            ProblemKind::Parse,
            "unexpected end of input",
            false,
        ),
        (
            "permit (principal,\n action, resource) when {\n context.approved ++ };",
            5,
            ProblemKind::Parse,
            "unexpected token `+`",
            false,
        ),
        ("permit (principal == ?principal, action, resource);", 3, ProblemKind::Parse, "template", false),
        (
            "forbid (principal, action == Action::\"read\", resource) when {\n context.nothing };",
            4,
            ProblemKind::Validate,
            "nothing",
            true,
        ),
        (
            "forbid (principal in Kind::\"agent\", action in Action::\"look\", resource in Folder::\"/\") when { context.nothing };",
            3,
            ProblemKind::Validate,
            "nothing",
            false,
        ),
        (
            "forbid (principal, action, resource in Folder::\"/b\") when { context.nothing };\nforbid (principal, action == Action::\"read\", resource);",
            3,
            ProblemKind::Validate,
            "nothing",
            true,
        ),
        ("forbid (principal, action == Action::\"raed\", resource);", 3, ProblemKind::Validate, "raed", false),
        (
            "forbid (principal, action == Action::\"read\", resource in Folder::\"/a/\");",
            3,
            ProblemKind::Validate,
            "/a/",
            false,
        ),
        (
            "forbid (principal, action == Action::\"read\", resource) when { resource.extension == \"CSV\" };",
            3,
            ProblemKind::Validate,
            "lower case",
            true,
        ),
        (
            "forbid (principal, action == Action::\"read\", resource) when { resource.path like \"/A*\" };",
            3,
            ProblemKind::Validate,
            "lower case",
            true,
        ),
        (
            "forbid (principal, action == Action::\"read\", resource) when { Folder::\"/a\".private };",
            3,
            ProblemKind::Validate,
            "nothing is known",
            true,
        ),
        (
            "forbid (principal, action == Action::\"read\", resource) when { Folder::\"/a\" in Folder::\"/\" };",
            3,
            ProblemKind::Validate,
            "nothing is known",
            true,
        ),
        (
            "forbid (principal == User::\"me\", action == Action::\"read\", resource);",
            3,
            ProblemKind::Validate,
            "person",
            false,
        ),
        (
            "@id(\"open\") forbid (principal, action == Action::\"read\", resource);",
            3,
            ProblemKind::Duplicate,
            "already",
            true,
        ),
        (
            "@match(\"person read /a\") forbid (principal is Agent, action == Action::\"read\", resource);",
            3,
            ProblemKind::Example,
            "does not match its example `person read /a`",
            true,
        ),
        (
            "@not_match(\"agent:x read /a;person read /a\") forbid (principal, action == Action::\"read\", resource);",
            3,
            ProblemKind::Example,
            "matches its example `agent:x read /a`",
            true,
        ),
        (
            "@match(\"person eat /a\") forbid (principal, action == Action::\"read\", resource);",
            3,
            ProblemKind::Example,
            "`eat`",
            true,
        ),
        (
            "forbid (principal, action == Action::\"read\", resource is File) when { resource.size + 9223372036854775807 > 0 };",
            0,
            ProblemKind::Parse,
            "",
            true,
        ),
    ] {
        let text = format!("{open}{text}");
        let rules = match Rules::load(&[("t.cedar", &text)]) {
            Ok(rules) => {
                assert_eq!(line, 0, "{text}");
                rules
            }
            Err(broken) => {
                let first = &broken.problems[0];
                assert_eq!((first.rule.line, first.kind), (line, kind), "{text}\n{broken}");
                assert!(first.message.contains(words), "{text}\n{broken}");
                assert!(broken.to_string().contains(&format!("t.cedar:{line}")), "{broken}");
                broken.into_rules()
            }
        };
        let read = decide(&rules, "agent:x read /a size=1");
        let named = |by: &[RuleRef]| by.iter().any(|rule| rule.line >= line.max(3));
        assert!(matches!(&read, Verdict::Deny { by, .. } if named(by)), "{text}\n{read:?}");
        assert_eq!(matches!(decide(&rules, "agent:x list /a"), Verdict::Allow { .. }), elsewhere_open, "{text}");
    }
}

#[test]
fn requests_fit_the_schema() {
    let (schema, _) = cedar_policy::Schema::from_cedarschema_str(SCHEMA).unwrap();
    for line in [
        "person read /a/b grant=01ARZ3NDEKTSV4RRFFQ69G5FAV size=7",
        "agent:x list / protected=secret",
        "recipe:x exec /a/",
        "program:x send host:a.example",
        "agent:x send /a/b",
        "agent:x ask_model provider:p local=true",
        "agent:x call_tool tool:s/n",
        "agent:x use_secret secret:k environment=production",
    ] {
        let request = Example::parse(line).unwrap().request;
        let asked = Asked::new(&request, &everything()).unwrap();
        let all = request.entities(&asked, Needs::ALL).unwrap();
        let entities = all.iter().filter(|one| one.uid().type_name().to_string() != "Action").cloned();
        cedar_policy::Entities::from_entities(entities, Some(&schema)).unwrap();
        let as_is = request.request(&asked, Needs::ALL, false).unwrap();
        let (context, uid) =
            (as_is.context().unwrap().clone(), |uid: Option<&cedar_policy::EntityUid>| uid.unwrap().clone());
        cedar_policy::Request::new(
            uid(as_is.principal()),
            uid(as_is.action()),
            uid(as_is.resource()),
            context,
            Some(&schema),
        )
        .unwrap();
        let ours: std::collections::BTreeSet<String> =
            all.ancestors(&asked.action).unwrap().map(ToString::to_string).collect();
        let theirs = schema.action_entities().unwrap();
        let theirs = theirs.ancestors(&asked.action).unwrap().map(|uid| uid.to_string()).collect();
        assert_eq!(ours, theirs, "{line}");
    }
}

/// What would err once it is approved is not asked about.
#[test]
fn an_approval_that_leads_to_an_error_is_no_question() {
    let rules = load(
        r#"@id("ask") forbid (principal, action == Action::"write", resource) unless { context.approved };
           @id("err") forbid (principal, action, resource)
           when { context.approved && context.bytes + 9223372036854775807 > 0 };"#,
    );
    assert!(matches!(decide(&rules, "agent:x write /a"), Verdict::Deny { by, .. } if &*by[0].id == "err"));
    let fits = decide(&rules, "agent:x write /a bytes=0");
    assert!(matches!(fits, Verdict::Deny { .. }), "it forbids");
    assert!(
        matches!(decide(&rules, "agent:x write /a bytes=1"), Verdict::Deny { why, .. } if why.contains("overflow"))
    );
}

/// Somebody else's vocabulary goes through the same code. What Cedar passes over, an erring rule, denies here.
#[test]
fn an_erring_rule_denies() {
    let text = "permit (principal, action, resource);\n\nforbid (principal, action, resource)\nwhen { resource.owner.missing };";
    let entities = r#"[{"uid": {"type": "Doc", "id": "d"}, "attrs": {"owner": {}}, "parents": []}]"#;
    let entities = cedar_policy::Entities::from_json_str(entities, None).unwrap();
    let uid = |text: &str| text.parse().unwrap();
    let (who, act, doc) = (uid("Who::\"w\""), uid("Action::\"a\""), uid("Doc::\"d\""));
    let request = cedar_policy::Request::new(who, act, doc, cedar_policy::Context::empty(), None).unwrap();
    let rules = Rules::load_with(&[("theirs.cedar", text)], None).unwrap();
    let theirs = Theirs(&request, &entities);
    let answer = rules.answer_to(&theirs.asked().unwrap(), &theirs, &[]).unwrap();
    let Verdict::Deny { by, why } = rules.verdict(answer) else { panic!("not denied") };
    assert_eq!((by[0].line, by.len()), (3, 1));
    assert!(why.contains("missing"), "{why}");
    let alone: cedar_policy::PolicySet = text.parse().unwrap();
    let theirs = cedar_policy::Authorizer::new().is_authorized(&request, &alone, &entities);
    assert_eq!(theirs.decision(), cedar_policy::Decision::Allow, "Cedar alone passes it over");
}

/// As if a rule named everything that tests put things into.
fn everything() -> Named {
    let mut named = Named::default();
    let mut name = |uid: String| {
        let uid = uid.replace('\\', "\\\\").replace('\n', "\\n");
        named.add(&format!("permit(principal, action, resource) when {{ resource in {uid} }};").parse().unwrap());
    };
    for folder in
        ["/", "/a", "/a/b", "/a/b/c d", "/a/b/secret", "/a/b/b", "/A", "/A/b", "/A/b/c d", "/b", "/b/c d", "/b/secret"]
    {
        name(format!("Folder::\"{folder}\""));
    }
    for kind in ["person", "agent", "recipe", "program"] {
        name(format!("Kind::\"{kind}\""));
    }
    for group in ["look", "change", "leave_machine", "act"] {
        name(format!("Action::\"{group}\""));
    }
    named
}
