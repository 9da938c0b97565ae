//! Cedar's own samples and test files, with their own vocabularies, through our loading and deciding: no answer of ours
//! is more permissive than Cedar's, and where nothing errs and everything parses, it is the same.
#![allow(clippy::disallowed_methods, reason = "reads the samples, which are no file of anybody's")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cedar_policy::{
    Authorizer, Context as CedarContext, Decision, Entities, EntityUid, PolicySet, Request as CedarRequest, Schema,
    Validator,
};
use serde_json::Value;

use super::super::decide::Answer;
use super::*;

/// The samples: `cargo xtask test` puts them there, out of the crates `cedar-policy-cli` and `cedar-policy`.
fn samples() -> PathBuf {
    let at = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/cedar-samples");
    assert!(
        at.join("cedar-policy-cli").is_dir() && at.join("cedar-policy").is_dir(),
        "{at:?} has no samples: `cargo xtask samples` fetches them"
    );
    at
}

#[test]
fn no_answer_is_more_permissive_than_cedars() {
    let mut counted = Counted::default();
    let sandboxes = samples().join("cedar-policy-cli");
    let mut folders: Vec<PathBuf> = entries(&sandboxes);
    folders.extend(entries(&sandboxes.join("tiny_sandboxes")));
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        Sample::read(std::slice::from_ref(folder)).check(&mut counted);
    }
    let tests = samples().join("cedar-policy");
    Sample::read(&["policies", "entities", "requests"].map(|part| tests.join(part))).check(&mut counted);
    println!("{counted:?}");
    // What there was in version 4.14.1, so that a sample that is no longer found is seen.
    assert!(counted.files >= 55 && counted.requests >= 30_000 && counted.allowed >= 5_000, "{counted:?}");
    assert!(counted.expected >= 70 && counted.errors >= 10_000, "{counted:?}");
}

/// Requests for one file and one set of entities, about.
const MOST: usize = 100;

#[derive(Default, Debug)]
struct Counted {
    files: usize,
    requests: usize,
    allowed: usize,
    errors: usize,
    expected: usize,
}

/// What lies in a folder: every policy file is asked with every set of entities, of each one's actors and things.
#[derive(Default)]
struct Sample {
    policies: Vec<String>,
    entities: Vec<Entities>,
    contexts: Vec<CedarContext>,
    uids: BTreeSet<String>,
    schema: Option<String>,
    /// Requests whose decision is written beside them, for `policy.cedar`: (request, entities, allowed).
    expected: Vec<(CedarRequest, Entities, bool)>,
}

impl Sample {
    fn read(folders: &[PathBuf]) -> Sample {
        let mut sample = Sample { contexts: vec![CedarContext::empty()], ..Sample::default() };
        for path in folders.iter().flat_map(|folder| entries(folder)).filter(|path| path.is_file()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = || std::fs::read_to_string(&path).unwrap();
            if name.ends_with(".cedar") {
                sample.policies.push(text());
            } else if name.ends_with(".cedarschema") {
                sample.schema = Some(text());
            } else if name.ends_with(".json") && !name.contains("schema") {
                sample.json(&serde_json::from_str(&text()).unwrap_or_default());
            }
        }
        sample
    }

    fn json(&mut self, value: &Value) {
        if let Some(tests) =
            value.as_array().filter(|tests| tests.first().is_some_and(|one| one.get("request").is_some()))
        {
            for test in tests {
                let Some((request, entities)) =
                    test.get("request").and_then(request).zip(test.get("entities").and_then(entities))
                else {
                    continue;
                };
                let allowed = test.get("decision").and_then(Value::as_str) == Some("allow");
                self.expected.push((request, entities, allowed));
            }
        } else if value.is_array() {
            let Some(entities) = entities(value) else { return };
            self.uids.extend(entities.iter().map(|entity| entity.uid().to_string()));
            self.entities.push(entities);
        } else if let Some(request) = request(value) {
            let uids = [request.principal(), request.action(), request.resource()];
            self.uids.extend(uids.into_iter().flatten().map(ToString::to_string));
            self.contexts.extend(request.context().cloned());
        } else if let Ok(context) = CedarContext::from_json_value(value.clone(), None) {
            self.contexts.push(context);
        }
    }

    fn check(mut self, counted: &mut Counted) {
        if self.entities.is_empty() {
            self.entities.push(Entities::empty());
        }
        let schema = self.schema.as_deref().and_then(|text| Schema::from_cedarschema_str(text).ok());
        let validator = schema.map(|(schema, _)| Validator::new(schema));
        for text in &self.policies {
            counted.files += 1;
            let whole: Option<PolicySet> = text.parse().ok();
            for validator in [None, validator.as_ref()] {
                let (rules, sound) = match Rules::load_with(&[("theirs.cedar", text)], validator) {
                    Ok(rules) => (rules, true),
                    Err(broken) => (broken.into_rules(), false),
                };
                let mut uids = self.uids.clone();
                for policy in whole.iter().flat_map(PolicySet::policies) {
                    uids.extend(policy.entity_literals().iter().map(ToString::to_string));
                }
                let uids: Vec<EntityUid> = uids.iter().map(|uid| uid.parse().unwrap()).collect();
                for entities in &self.entities {
                    for request in self.requests(&uids) {
                        compare(&rules, sound, whole.as_ref(), &request, entities, counted);
                    }
                }
                // What the samples' authors wrote down is of the file beside it, and of nothing that is broken.
                for (request, entities, allowed) in self.expected.iter().filter(|_| self.policies.len() == 1) {
                    let ours = allows(&rules, request, entities);
                    assert!(!ours || *allowed, "{request}\n{text}");
                    counted.expected += 1;
                }
            }
        }
    }

    fn requests(&self, uids: &[EntityUid]) -> Vec<CedarRequest> {
        let actions = || uids.iter().filter(|uid| uid.type_name().basename() == "Action");
        let others = || uids.iter().filter(|uid| uid.type_name().basename() != "Action");
        let mut requests = Vec::new();
        for principal in others() {
            for action in actions() {
                for resource in others() {
                    let put = |context: &CedarContext| {
                        CedarRequest::new(principal.clone(), action.clone(), resource.clone(), context.clone(), None)
                            .unwrap()
                    };
                    requests.extend(self.contexts.iter().map(put));
                }
            }
        }
        // A spread of them where there are many: an odd step, so that it does not fall in with the loops.
        let step = (requests.len() / MOST) | 1;
        requests.into_iter().step_by(step).collect()
    }
}

fn compare(
    rules: &Rules,
    sound: bool,
    whole: Option<&PolicySet>,
    request: &CedarRequest,
    entities: &Entities,
    counted: &mut Counted,
) {
    let ours = allows(rules, request, entities);
    counted.requests += 1;
    counted.allowed += usize::from(ours);
    let Some(whole) = whole else {
        assert!(!ours, "{request}: Cedar does not even read the file");
        return;
    };
    let response = Authorizer::new().is_authorized(request, whole, entities);
    let theirs = response.decision() == Decision::Allow;
    let errs = response.diagnostics().errors().next().is_some();
    counted.errors += usize::from(errs);
    assert!(!ours || theirs, "{request}");
    assert!(!ours || !errs, "{request}: what errs denies");
    assert!(ours == theirs || errs || !sound, "{request}: ours is stricter for no reason");
}

pub(super) fn allows(rules: &Rules, request: &CedarRequest, entities: &Entities) -> bool {
    let theirs = Theirs(request, entities);
    let answer = rules.answer_to(&theirs.asked().unwrap(), &theirs, &[]).unwrap();
    matches!(answer, Answer::Allow(_))
}

fn entities(value: &Value) -> Option<Entities> {
    Entities::from_json_value(value.clone(), None).ok()
}

fn request(value: &Value) -> Option<CedarRequest> {
    let uid = |name: &str| match value.get(name)? {
        Value::String(text) => text.parse().ok(),
        other => EntityUid::from_json(other.clone()).ok(),
    };
    let context = value.get("context").cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let context = CedarContext::from_json_value(context, None).ok()?;
    CedarRequest::new(uid("principal")?, uid("action")?, uid("resource")?, context, None).ok()
}

pub(super) fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}
