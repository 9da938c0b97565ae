//! JSON from outside: its depth is checked before it is parsed.

use serde_json::Value;

/// Whether arrays and objects in this JSON text are nested at most `limit` deep. Text that is not JSON may get either
/// answer, the parser will say so.
pub fn depth_within(text: &[u8], limit: u64) -> bool {
    let mut nesting = Nesting::default();
    nesting.feed(text);
    nesting.deepest <= limit
}

/// Follows the nesting of a JSON text that comes in pieces, each byte looked at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nesting {
    depth: u64,
    deepest: u64,
    in_string: bool,
    escaped: bool,
}

impl Nesting {
    /// Takes the next piece.
    pub fn feed(&mut self, text: &[u8]) {
        for byte in text {
            match (self.in_string, byte) {
                (true, _) if self.escaped => self.escaped = false,
                (true, b'\\') => self.escaped = true,
                (_, b'"') => self.in_string = !self.in_string,
                (false, b'[' | b'{') => {
                    self.depth += 1;
                    self.deepest = self.deepest.max(self.depth);
                }
                (false, b']' | b'}') => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// Whether an array or object was opened and all that were are closed again.
    pub fn is_closed(&self) -> bool {
        self.deepest > 0 && self.depth == 0 && !self.in_string
    }
}

/// A field's text, where it is a string.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// The message within the many shapes of an error that providers send: `{"error": {"message": ..}}`,
/// `{"error": ".."}`, `{"message": ..}`, `{"detail": ..}`, `[{"error": ..}]`.
pub(crate) fn error_message(value: &Value) -> Option<String> {
    let value = match value {
        Value::Array(list) => list.first()?,
        other => other,
    };
    let error = value.get("error").filter(|error| !error.is_null());
    match error {
        Some(Value::String(words)) => Some(words.clone()),
        Some(error) => Some(text(error, "message").map_or_else(|| error.to_string(), str::to_owned)),
        None if value.get("choices").is_some() => None,
        None => text(value, "message").or_else(|| text(value, "detail")).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_are_not_depth() {
        assert!(depth_within(br#"{"a":"[[[[[\"[[[["}"#, 1));
        assert!(depth_within(b"[[]]", 2));
        assert!(!depth_within(b"[[[]]]", 2));
        let mut nesting = Nesting::default();
        for (piece, closed) in [("", false), ("{\"a\\", false), ("\"}", false), ("\": []", false), ("}", true)] {
            nesting.feed(piece.as_bytes());
            assert_eq!(nesting.is_closed(), closed, "{piece}");
        }
    }

    #[test]
    fn every_shape_of_error_gives_its_message() {
        for body in [
            r#"{"error":{"message":"no","code":1}}"#,
            r#"{"error":"no"}"#,
            r#"{"message":"no"}"#,
            r#"{"detail":"no"}"#,
            r#"[{"error":{"message":"no"}}]"#,
        ] {
            assert_eq!(error_message(&serde_json::from_str(body).unwrap()).as_deref(), Some("no"), "{body}");
        }
        assert_eq!(error_message(&serde_json::json!({"choices": [], "error": null})), None);
    }
}
