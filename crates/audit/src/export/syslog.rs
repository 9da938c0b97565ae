//! Syslog messages (RFC 5424) and how TCP carries them (RFC 6587, RFC 5425).

use super::{Record, Severity, Source, Value, cut, hex, rfc3339};

/// `log audit`, of RFC 5424's table 1.
const FACILITY: u8 = 13;

/// The element that our parameters stand in. 32473 is the number that RFC 5612 keeps for those who have none.
const ELEMENT: &str = "raincoat@32473";

/// Bytes of a parameter's value, at most, so that a message stays within what collectors take.
const VALUE_MOST: usize = 1024;

/// Bytes of all parameters of the event, at most. What is left out is said by `cut`.
const PARAMETERS_MOST: usize = 5000;

/// The message of a record: what happened as its text, everything else as structured data.
pub(super) fn message(record: &Record, source: &Source<'_>) -> String {
    let mut parameters = String::new();
    for (name, value) in always(record, source) {
        parameters.push_str(&parameter(name, &value));
    }
    let mut left_out = false;
    for (name, value) in &record.fields {
        let value = match value {
            Value::Texts(texts) => texts.join(" "),
            one => one.flat(),
        };
        let next = parameter(name, &cut(&value, VALUE_MOST));
        if parameters.len() + next.len() > PARAMETERS_MOST {
            left_out = true;
            continue;
        }
        parameters.push_str(&next);
    }
    if left_out {
        parameters.push_str(&parameter("cut", "true"));
    }
    // The byte order mark says that the text is UTF-8 (RFC 5424 section 6.4).
    format!("{} [{ELEMENT}{parameters}] \u{feff}{}", head(record, source), record.message)
}

/// A message whose text is `text`, such as an event in CEF. Without structured data, and without the mark, which those
/// who read CEF do not expect.
pub(super) fn around(record: &Record, source: &Source<'_>, text: &str) -> String {
    format!("{} - {text}", head(record, source))
}

/// A message as a stream carries it: its length in bytes, a space, the message (RFC 6587 section 3.4.1).
pub fn octet_counted(message: &str) -> Vec<u8> {
    format!("{} {message}", message.len()).into_bytes()
}

fn head(record: &Record, source: &Source<'_>) -> String {
    let severity = match record.severity {
        Severity::Error => 3,
        Severity::Warning => 4,
        Severity::Notice => 5,
        Severity::Info => 6,
    };
    let producer = record.producer.as_ref().map_or("-", |(id, _)| id.as_str());
    format!(
        "<{}>1 {} {} raincoat {} {}",
        FACILITY * 8 + severity,
        rfc3339(record.at, 6),
        name(source.host, 255),
        name(producer, 128),
        name(record.kind, 32),
    )
}

fn always(record: &Record, source: &Source<'_>) -> Vec<(&'static str, String)> {
    let mut out = vec![
        ("index", record.index.to_string()),
        ("class", record.class.to_owned()),
        ("outcome", record.outcome.name().to_owned()),
        ("origin", source.head.origin.clone()),
        ("leaf", record.leaf.clone()),
        ("size", source.head.size.to_string()),
        ("root", hex(&source.head.root)),
    ];
    let optional = [
        ("run", record.run.clone()),
        ("actor", record.actor.as_ref().map(|actor| cut(actor, VALUE_MOST))),
        ("seq", record.producer.as_ref().map(|(_, seq)| seq.to_string())),
        ("erased", record.erased.clone()),
    ];
    out.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
    if !record.subjects.is_empty() {
        out.push(("subjects", cut(&record.subjects.join(" "), VALUE_MOST)));
    }
    out
}

/// A parameter with its value's quotes, backslashes and closing brackets escaped (RFC 5424 section 6.3.3).
fn parameter(name: &str, value: &str) -> String {
    let mut out = format!(" {name}=\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// A field of the header: printable ASCII without spaces, `-` where there is none.
fn name(text: &str, most: usize) -> String {
    let name: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}
