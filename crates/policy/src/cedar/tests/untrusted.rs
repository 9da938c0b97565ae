//! Bytes of anybody's: no panic, no overflow of the stack, and nothing that is broken allows.

use proptest::prelude::*;

use super::*;

/// What nests, repeats and quotes, so that random text gets past the first word.
const WORDS: [&str; 34] = [
    "permit (principal, action, resource)",
    "forbid (principal is Agent, action == Action::\"read\", resource in Folder::\"/a\")",
    "when {",
    "unless {",
    "}",
    ";",
    "(",
    ")",
    "[",
    "]",
    "{",
    "!",
    "&&",
    "||",
    "if true then",
    "else",
    "context",
    ".approved",
    ".mode.strict",
    "resource.path like \"*a*\"",
    "resource",
    " has path",
    " == ",
    " in Folder::\"/a\"",
    "Folder::\"/a\"",
    "\"",
    "\\",
    "//",
    "\n",
    "@id(\"x\")",
    "@match(\"agent:x read /a/b; '\")",
    "true",
    "9223372036854775807",
    "\u{202e}",
];

fn check(text: &str) {
    let line = Example::parse("agent:x read /a/b").unwrap().request;
    match Rules::load(&[("any.cedar", text)]) {
        Ok(rules) => {
            analyse(&rules);
            assert_eq!(rules.explain(&line).verdict, rules.decide(&line));
        }
        Err(broken) => {
            assert!(!broken.problems.is_empty(), "{text}");
            // What did not parse denies everything.
            let unknown = broken.problems.iter().any(|one| matches!(one.kind, ProblemKind::Parse | ProblemKind::Limit));
            let rules = broken.into_rules();
            assert!(!unknown || matches!(rules.decide(&line), Verdict::Deny { .. }), "{text}");
        }
    }
    let _ = Example::parse(text);
}

proptest! {
    #[test]
    fn any_text_is_loaded_or_refused(text in "\\PC{0,200}") {
        check(&text);
    }

    #[test]
    fn words_in_any_order_are_loaded_or_refused(words in proptest::collection::vec(proptest::sample::select(&WORDS[..]), 0..40)) {
        check(&words.concat());
        check(&words.join(" "));
    }
}

/// As deep and as long as the limits let it, each on a stack of 1 MiB as a thread's may be.
#[test]
fn what_is_within_the_limits_fits_on_a_small_stack() {
    let at = |open: &str, middle: &str, close: &str, times: usize| {
        format!(
            "permit (principal, action, resource) when {{ {}{middle}{} }};",
            open.repeat(times),
            close.repeat(times)
        )
    };
    let deep = limits::DEPTH - 2;
    let wide = limits::OPERATORS / 2 - 20;
    let texts = vec![
        at("(", "true", ")", deep),
        at("[", "true", "]", deep),
        at("if true then ", "true", " else false", deep),
        at("{a: ", "true", "}", deep),
        at("", "context.approved", " && context.approved", wide / 2),
        at("", "context.approved", " || context.approved", wide / 2),
        at("", "1", " + 1", wide * 2),
        at("", "context", ".mode", wide * 2 - 10),
        at("", "true", ", true", wide * 20),
        at("!", "true", "", 4),
        at("", "context has a", ".a", wide),
    ];
    for text in texts {
        let small = std::thread::Builder::new().stack_size(1 << 20);
        small.spawn(move || check(&text)).unwrap().join().unwrap();
    }
}

#[test]
fn each_limit_says_its_number() {
    let rule = "permit (principal, action, resource);\n";
    let many: Vec<(&str, &str)> = vec![("f", ""); limits::FILES + 1];
    let long = format!("//{}\n{rule}", "x".repeat(limits::FILE_BYTES));
    let examples: String = (0..=limits::EXAMPLES).map(|n| format!("agent:x read /{n};")).collect();
    let examples = format!("@match(\"{examples}\") {rule}");
    let numerous = "permit(principal,action,resource);".repeat(limits::POLICIES / 20 * 20 + 20);
    for (files, number) in [
        (many, limits::FILES),
        (vec![("f", long.as_str())], limits::FILE_BYTES),
        (vec![("f", numerous.as_str())], limits::POLICIES),
        (vec![("f", examples.as_str())], limits::EXAMPLES),
    ] {
        let broken = Rules::load(&files).unwrap_err();
        assert!(broken.to_string().contains(&number.to_string()), "{number}");
        let request = Example::parse("agent:x read /a").unwrap().request;
        assert!(matches!(broken.into_rules().decide(&request), Verdict::Deny { .. }), "{number}");
    }
}
