//! `docs/policy.md` says what is so: its rules load, its recipes hold, its vocabulary is the schema's, and the modes and
//! defaults in it are those that are rendered.

use std::collections::BTreeSet;

use super::*;

const GUIDE: &str = include_str!("../../../../../docs/policy.md");

/// Each block of rules, with the heading that it stands under.
fn blocks() -> Vec<(&'static str, String)> {
    let mut blocks: Vec<(&str, String)> = Vec::new();
    let (mut heading, mut within) = ("", false);
    for line in GUIDE.lines() {
        match line {
            "```cedar" => {
                blocks.push((heading, String::new()));
                within = true;
            }
            "```" => within = false,
            line if within => blocks.last_mut().unwrap().1.push_str(&format!("{line}\n")),
            line if line.starts_with('#') => heading = line.trim_start_matches(['#', ' ']),
            _ => {}
        }
    }
    blocks
}

#[test]
fn every_block_of_rules_loads_with_its_examples() {
    for (heading, text) in blocks() {
        let rules = Rules::load(&[(heading, &text)]).unwrap_or_else(|broken| panic!("{broken}"));
        assert!(!rules.is_empty());
        assert_eq!(analyse(&rules), [], "{heading}");
    }
}

#[test]
fn each_rule_of_a_recipe_has_examples_on_both_sides() {
    let recipes = ["A bookkeeping folder", "A photo library", "A code checkout", "A shared team folder"];
    for recipe in recipes {
        let (_, text) = blocks().into_iter().find(|(heading, _)| *heading == recipe).unwrap();
        for known in &load(&text).known {
            for annotation in ["match", "not_match"] {
                let examples = known.policy.annotation(annotation).unwrap_or_default();
                assert!(!examples.is_empty(), "{recipe}: {} has no `@{annotation}`", known.rule);
            }
        }
    }
}

#[test]
fn the_modes_and_defaults_in_the_guide_are_those_that_are_rendered() {
    let blocks = blocks();
    let under: Vec<&str> =
        blocks.iter().filter(|(heading, _)| *heading == "Modes and defaults").map(|(_, text)| text.as_str()).collect();
    assert_eq!(under, [MODES, DEFAULTS]);
    let whole = render(&Granted::default());
    assert!(whole.contains(MODES) && whole.contains(DEFAULTS));
}

#[test]
fn the_guide_names_all_words_of_the_schema_and_the_limits() {
    let (schema, _) = cedar_policy::Schema::from_cedarschema_str(SCHEMA).unwrap();
    let mut words: BTreeSet<String> =
        schema.entity_types().map(ToString::to_string).filter(|word| word != "Kind" && word != "Run").collect();
    words.extend(schema.actions().chain(schema.action_groups()).map(|uid| uid.id().unescaped().to_owned()));
    // Facts: each is a line `name: Type,` of the schema.
    let facts = SCHEMA.lines().filter_map(|line| line.trim().split_once(": "));
    let facts = facts.filter(|(name, _)| name.chars().all(|c| c.is_ascii_lowercase()) && *name != "mode");
    words.extend(facts.map(|(name, _)| name.to_owned()));
    words.extend(["strict", "audit", "offline", "restricted"].map(|mode| format!("mode.{mode}")));
    assert!(words.len() > 40, "{words:?}");
    for word in words {
        assert!(GUIDE.contains(&format!("`{word}`")), "`{word}` is not in the guide");
    }
    let said = format!(
        "{} files of {} MiB, {},{:03} policies, each at most {} KiB, {} brackets deep, with {} characters of operators and {}\nexamples",
        limits::FILES,
        limits::FILE_BYTES >> 20,
        limits::POLICIES / 1000,
        limits::POLICIES % 1000,
        limits::POLICY_BYTES >> 10,
        limits::DEPTH,
        limits::OPERATORS,
        limits::EXAMPLES,
    );
    assert!(GUIDE.contains(&said), "{said}");
}
