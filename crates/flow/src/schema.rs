//! A tool as its maker describes it. None of it is believed where believing would loosen anything.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A tool's definition: what an agent is shown.
#[derive(Clone, PartialEq, Debug)]
pub struct ToolDefinition {
    /// Its name.
    pub name: String,
    /// What it says of itself.
    pub description: String,
    /// The JSON schema of its arguments.
    pub parameters: Value,
}

impl ToolDefinition {
    /// SHA-256 of the canonical definition, in hex: the JSON array of name, description and schema, with the keys of
    /// every object sorted and no white space. A tool that says something else of itself is another tool.
    pub fn pin(&self) -> String {
        let mut text = String::new();
        text.push('[');
        for part in [&self.name, &self.description] {
            text.push_str(&Value::from(part.as_str()).to_string());
            text.push(',');
        }
        canonical(&self.parameters, &mut text);
        text.push(']');
        Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The arguments by name, each with its schema.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.parameters.get("properties").and_then(Value::as_object).into_iter().flatten()
    }
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                canonical(item, out);
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pin_depends_on_everything_but_the_order_of_keys() {
        let tool = |name: &str, description: &str, parameters: Value| {
            ToolDefinition { name: name.into(), description: description.into(), parameters }.pin()
        };
        let pin = tool("a", "b", json!({"x": 1, "y": [{"p": 2, "q": 3}]}));
        assert_eq!(pin, tool("a", "b", json!({"y": [{"q": 3, "p": 2}], "x": 1})));
        assert_ne!(pin, tool("a", "B", json!({"x": 1, "y": [{"p": 2, "q": 3}]})));
        assert_ne!(pin, tool("A", "b", json!({"x": 1, "y": [{"p": 2, "q": 3}]})));
        assert_ne!(pin, tool("a", "b", json!({"x": 1, "y": [{"p": 2, "q": 4}]})));
        // Written out by another implementation: printf '["a","b",{"x":1}]' | sha256sum
        assert_eq!(tool("a", "b", json!({"x": 1})), "df274cda0b5ea5b5edb09683843c2acdc7dea513c33494cf48764412e2fd27b6");
    }
}
