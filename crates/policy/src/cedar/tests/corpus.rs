//! Cedar's integration corpus (github.com/cedar-policy/cedar-integration-tests, Apache-2.0) through our loading and
//! deciding: no answer of ours is more permissive than the decision that stands beside the request.
#![allow(clippy::disallowed_methods, reason = "reads the corpus, which is no file of anybody's")]

use std::path::{Path, PathBuf};

use cedar_policy::{Context as CedarContext, Entities, EntityUid, Request as CedarRequest, Schema, Validator};
use serde_json::Value;

use super::theirs::{allows, entries};
use super::*;

/// Where the corpus lies: a checkout, with `corpus-tests.tar.gz` unpacked in it.
const CORPUS: &str = "RAINCOAT_CEDAR_CORPUS";

#[derive(Default, Debug)]
struct Counted {
    tests: usize,
    requests: usize,
    /// We allow, and so does Cedar.
    allowed: usize,
    /// Cedar allows, and we do not: a rule errs, or what is loaded is not sound.
    stricter: usize,
    /// Files that we do not load: they do not validate.
    broken: usize,
    /// Files or requests that Cedar itself does not read without more than is written there.
    unread: usize,
}

#[test]
#[ignore = "needs Cedar's corpus, which no package has: check out cedar-policy/cedar-integration-tests, unpack \
            corpus-tests.tar.gz in it, and name the folder in RAINCOAT_CEDAR_CORPUS"]
fn no_answer_is_more_permissive_than_the_corpus_says() {
    let at = std::env::var_os(CORPUS).map(PathBuf::from);
    let at = at.unwrap_or_else(|| panic!("{CORPUS} names no folder: see the reason why this test is left out"));
    let mut files = Vec::new();
    for part in ["corpus-tests", "tests"] {
        assert!(at.join(part).is_dir(), "{at:?} has no `{part}`");
        gather(&at.join(part), &mut files);
    }
    let mut counted = Counted::default();
    for file in &files {
        check(&at, file, &mut counted);
    }
    println!("{counted:?}");
    assert!(counted.tests >= 5_000 && counted.requests >= 40_000 && counted.allowed >= 5_000, "{counted:?}");
    assert!(counted.unread * 100 <= counted.requests, "{counted:?}");
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) {
    for path in entries(folder) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            gather(&path, files);
        } else if name.ends_with(".json") && !name.ends_with(".entities.json") {
            files.push(path);
        }
    }
}

fn check(corpus: &Path, file: &Path, counted: &mut Counted) {
    let read = |name: &Value| std::fs::read_to_string(corpus.join(name.as_str().unwrap())).unwrap();
    let test: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let Some(requests) = test["requests"].as_array() else { return };
    counted.tests += 1;
    let policies = read(&test["policies"]);
    let schema = Schema::from_cedarschema_str(&read(&test["schema"])).ok().map(|(schema, _)| schema);
    let value: Value = serde_json::from_str(&read(&test["entities"])).unwrap();
    let Ok(entities) = Entities::from_json_value(value, schema.as_ref()) else {
        counted.unread += requests.len();
        return;
    };
    let validator = schema.clone().map(Validator::new);
    for validator in [None, validator.as_ref()] {
        let loaded = Rules::load_with(&[("corpus.cedar", &policies)], validator);
        counted.broken += usize::from(loaded.is_err());
        let rules = loaded.unwrap_or_else(Broken::into_rules);
        for asked in requests {
            let Some(request) = request(asked, schema.as_ref()) else {
                counted.unread += 1;
                continue;
            };
            counted.requests += 1;
            let (ours, theirs) = (allows(&rules, &request, &entities), asked["decision"] == "allow");
            assert!(!ours || theirs, "{file:?}: {request}\n{policies}");
            let errs = asked["errors"].as_array().is_some_and(|errors| !errors.is_empty());
            assert!(!ours || !errs, "{file:?}: {request}: what errs denies");
            counted.allowed += usize::from(ours);
            counted.stricter += usize::from(theirs && !ours);
        }
    }
}

fn request(asked: &Value, schema: Option<&Schema>) -> Option<CedarRequest> {
    let uid = |name: &str| EntityUid::from_json(asked[name].clone()).ok();
    let action = uid("action")?;
    let context = CedarContext::from_json_value(asked["context"].clone(), schema.map(|schema| (schema, &action)));
    CedarRequest::new(uid("principal")?, action.clone(), uid("resource")?, context.ok()?, None).ok()
}
