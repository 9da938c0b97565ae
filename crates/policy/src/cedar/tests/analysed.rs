//! Findings and explanations.

use super::*;

#[test]
fn findings_name_their_lines() {
    let check = |text: &str, expected: &[(FindingKind, &[usize])]| {
        let rules = load(text);
        let found = analyse(&rules);
        let lines: Vec<(FindingKind, Vec<usize>)> =
            found.iter().map(|one| (one.kind, one.rules.iter().map(|rule| rule.line).collect())).collect();
        let expected: Vec<_> = expected.iter().map(|(kind, lines)| (*kind, lines.to_vec())).collect();
        assert_eq!(lines, expected, "{text}\n{found:#?}");
    };
    use FindingKind::{Contradiction, NeverApplies, PrivateReach, Redundant, Shadowed};
    for never in [
        "permit (principal, action == Action::\"exec\", resource is File);",
        "permit (principal, action == Action::\"ask_model\", resource in Folder::\"/a\");",
        "permit (principal, action == Action::\"read\", resource) when { resource is Host };",
        "permit (principal, action, resource) when { context.tainted && !context.tainted };",
        "permit (principal, action, resource) when { context.tainted } unless { context.local || context.tainted };",
        "permit (principal, action, resource) when { context.hour > 20 } when { context.hour < 8 };",
        "permit (principal, action, resource) when { context.hour == 3 && 4 == context.hour };",
        "permit (principal, action == Action::\"read\", resource) when { resource.extension == \"a\" && resource.extension == \"b\" };",
        "permit (principal, action, resource) when { context.draft == true && !context.draft };",
        "permit (principal, action, resource) when { context.files >= 5 && !(context.files > 4) };",
    ] {
        check(never, &[(NeverApplies, &[1])]);
    }
    for fine in [
        "permit (principal, action, resource) when { context.hour > 20 || context.hour < 8 };",
        "permit (principal, action, resource) when { context.hour >= 8 && context.hour <= 8 };",
        "permit (principal, action, resource) when { context.hour != 3 && context.hour == 4 };",
        "permit (principal is Agent, action, resource);\nforbid (principal is Agent, action, resource) unless { context.approved };",
        "permit (principal, action == Action::\"read\", resource);\nforbid (principal, action in Action::\"change\", resource);",
        "permit (principal, action, resource in Folder::\"/a\");\nforbid (principal, action, resource in Folder::\"/ab\");",
    ] {
        check(fine, &[]);
    }
    check(
        "permit (principal == Agent::\"x\", action == Action::\"read\", resource in Folder::\"/a/b\") when { context.local };\n\
         forbid (principal in Kind::\"agent\", action in Action::\"look\", resource in Folder::\"/a\");",
        &[(Shadowed, &[1, 2])],
    );
    check(
        "forbid (principal, action, resource) when { context.tainted && context.draft };\n\
         permit (principal, action, resource) when { context.draft } when { context.tainted };",
        &[(Contradiction, &[2, 1])],
    );
    check(
        "permit (principal, action in Action::\"look\", resource);\npermit (principal, action == Action::\"list\", resource is File);\n\
         forbid (principal, action == Action::\"exec\", resource);\nforbid (principal, action in [Action::\"exec\"], resource);",
        &[(Redundant, &[2, 1]), (Redundant, &[4, 3])],
    );
    check(
        "@private(\"true\") permit (principal == Agent::\"books\", action in Action::\"look\", resource in Folder::\"/a/p\");\n\
         permit (principal == Agent::\"x\", action == Action::\"read\", resource in Folder::\"/a\");\n\
         permit (principal, action == Action::\"ask_model\", resource == Provider::\"cloud\") unless { context.private };",
        &[(PrivateReach, &[2])],
    );
    // Nothing keeps the private from leaving.
    check(
        "@private(\"true\") permit (principal is Agent, action in Action::\"look\", resource in Folder::\"/a\");\n\
         permit (principal == Agent::\"x\", action == Action::\"ask_model\", resource == Provider::\"cloud\");",
        &[(PrivateReach, &[2])],
    );
}

#[test]
fn what_is_rendered_has_nothing_to_find() {
    let folder = |folder: &str, private| FolderGrant {
        id: raincoat_types::GrantId(raincoat_types::Ulid::from_parts(folder.len() as u64, 1)),
        folder: folder.into(),
        who: Who::Agents,
        actions: vec![GrantAction::Read, GrantAction::Write, GrantAction::Send],
        until: None,
        private,
        deny: vec!["*.key".into()],
        max_files: None,
        max_bytes: None,
    };
    let mut granted = Granted {
        folders: vec![folder("/home/u/books", false), folder("/home/u/letters", true)],
        providers: vec!["cloud".into()],
        ..Granted::default()
    };
    assert_eq!(analyse(&load(&render(&granted))), []);
    // A grant of the folder above reaches the private one.
    granted.folders.push(folder("/home/u", false));
    let found = analyse(&load(&render(&granted)));
    assert!(found.iter().any(|one| one.kind == FindingKind::PrivateReach), "{found:#?}");
}

#[test]
fn an_explanation_is_the_decision_and_what_it_turns_on() {
    let rules = load(
        r#"@id("open") permit (principal is Agent, action in Action::"look", resource in Folder::"/a");
           @id("ask") @ask("it is the tax folder") forbid (principal is Agent, action == Action::"read", resource in Folder::"/a/tax") unless { context.approved };
           @id("off") @reason("offline") forbid (principal, action, resource) when { context.mode.offline };
           @id("late") @reason("it is late") forbid (principal, action, resource == File::"/a/late") when { context.hour > 20 };"#,
    );
    let explain = |line: &str| {
        let request = Example::parse(line).unwrap().request;
        let explained = rules.explain(&request);
        assert_eq!(explained.verdict, rules.decide(&request));
        (explained.sentence, explained.would_change)
    };
    let (sentence, changes) = explain("agent:x read /a/tax/b");
    assert_eq!(
        sentence,
        "`agent:x` may read `/a/tax/b` with your approval only: t.cedar:2 `ask` says so: it is the tax folder"
    );
    assert_eq!(
        changes,
        [
            "approve it: then it is allowed",
            "enter offline mode: then it is denied",
            "take out the rule `ask`: then it is allowed",
            "let `person` do it: then the grants alone decide"
        ]
    );
    let (sentence, changes) = explain("agent:x read /a/late hour=22 offline=true");
    assert_eq!(sentence, "`agent:x` may not read `/a/late`: t.cedar:3 `off` says so: offline");
    assert_eq!(changes, ["take out the rules `off` and `late`: then it is allowed"]);
    let (sentence, changes) = explain("agent:x list /b");
    assert_eq!(sentence, "no rule speaks of whether `agent:x` may list `/b`: the grants decide");
    assert_eq!(changes, ["enter offline mode: then it is denied"]);
    let (sentence, _) = explain("agent:x list /a/b");
    assert_eq!(sentence, "`agent:x` may list `/a/b`: t.cedar:1 `open` permits it");
}
