//! Putting a message together from its deltas, fields that we do not know included.

use serde_json::{Map, Value};

/// Fields whose text is said once, or said again whole; never in pieces.
const WHOLE: [&str; 6] = ["role", "type", "id", "format", "name", "object"];

/// How many of a list's last entries may still grow.
const RECENT: usize = 64;

/// Adds a delta to what has come so far. Text grows, lists grow (entries with the same `index` are one), objects
/// merge, anything else is replaced; a null changes nothing. These are the rules of OpenAI's own client libraries,
/// except that a number said twice is not added up.
pub(crate) fn merge(into: &mut Map<String, Value>, delta: Map<String, Value>) {
    for (key, new) in delta {
        match into.get_mut(&key) {
            None => {
                into.insert(key, new);
            }
            Some(_) if new.is_null() => {}
            Some(Value::String(old)) => match new {
                Value::String(new) if !WHOLE.contains(&key.as_str()) => old.push_str(&new),
                Value::String(new) if new.is_empty() => {}
                new => {
                    into.insert(key, new);
                }
            },
            Some(Value::Object(old)) => match new {
                Value::Object(new) => merge(old, new),
                new => {
                    into.insert(key, new);
                }
            },
            Some(Value::Array(old)) => match new {
                Value::Array(new) => new.into_iter().for_each(|entry| merge_entry(old, entry)),
                new => {
                    into.insert(key, new);
                }
            },
            Some(old) => *old = new,
        }
    }
}

fn merge_entry(list: &mut Vec<Value>, entry: Value) {
    let index = entry.get("index").cloned();
    // The entry being streamed is among the last ones; looking through all of a hostile list would take for ever.
    let same = index.and_then(|index| list.iter_mut().rev().take(RECENT).find(|old| old.get("index") == Some(&index)));
    match (same, entry) {
        (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
        (_, entry) => list.push(entry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_grows_lists_join_by_index_and_names_stay_whole() {
        let mut all = Map::new();
        for delta in [
            json!({"role": "assistant", "content": null, "reasoning_content": "a"}),
            json!({"role": "assistant", "reasoning_content": "b", "details": [{"index": 0, "text": "x", "type": "t"}]}),
            json!({"details": [{"index": 0, "text": "y", "type": "t"}, {"text": "z"}], "content": "hi", "n": 1}),
            json!({"content": null, "n": 2, "extra": {"google": {"sig": "s"}}}),
        ] {
            let Value::Object(delta) = delta else { panic!() };
            merge(&mut all, delta);
        }
        assert_eq!(
            Value::Object(all),
            json!({"role": "assistant", "content": "hi", "reasoning_content": "ab",
                "details": [{"index": 0, "text": "xy", "type": "t"}, {"text": "z"}], "n": 2,
                "extra": {"google": {"sig": "s"}}})
        );
    }
}
