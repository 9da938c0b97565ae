//! JSON from outside: its depth is checked before it is parsed.

use serde_json::Value;

/// Whether arrays and objects in this JSON text are nested at most `limit` deep. Text that is not JSON may get either
/// answer, the parser will say so.
pub fn depth_within(text: &[u8], limit: u64) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_u64, false, false);
    for byte in text {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'[' | b'{') => {
                depth += 1;
                if depth > limit {
                    return false;
                }
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
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
