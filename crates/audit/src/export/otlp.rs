//! OpenTelemetry logs in the JSON encoding of OTLP (its specification, version 1.9, "JSON Protobuf Encoding"): 64-bit
//! integers as decimal text, trace ids in hex.

use raincoat_types::Timestamp;
use serde_json::{Value as Json, json};

use super::{Record, Severity, Source, Value, hex};

/// A request's body that carries these records.
pub(super) fn request(records: &[Record], source: &Source<'_>) -> String {
    let resource = [
        text("service.name", "raincoat"),
        text("service.version", source.version),
        text("host.name", source.host),
        text("raincoat.log.origin", &source.head.origin),
    ];
    json!({
        "resourceLogs": [{
            "resource": { "attributes": resource },
            "scopeLogs": [{
                "scope": { "name": "raincoat.audit", "version": source.version },
                "logRecords": records.iter().map(|record| log_record(record, source)).collect::<Vec<_>>(),
            }],
        }],
    })
    .to_string()
}

fn log_record(record: &Record, source: &Source<'_>) -> Json {
    let (number, word) = match record.severity {
        Severity::Info => (9, "INFO"),
        Severity::Notice => (10, "INFO2"),
        Severity::Warning => (13, "WARN"),
        Severity::Error => (17, "ERROR"),
    };
    let at = nanos(record.at);
    let mut out = json!({
        "timeUnixNano": at,
        "observedTimeUnixNano": at,
        "severityNumber": number,
        "severityText": word,
        "eventName": format!("raincoat.{}", record.kind),
        "body": { "stringValue": record.message },
        "attributes": attributes(record, source),
    });
    // A run's id has the 128 bits of a trace's, so that a collector shows a run as one.
    let run = record.run.as_ref().and_then(|run| run.parse::<raincoat_types::Ulid>().ok());
    if let (Some(run), Some(object)) = (run, out.as_object_mut()) {
        object.insert("traceId".to_owned(), json!(hex(&run.to_bytes())));
    }
    out
}

fn attributes(record: &Record, source: &Source<'_>) -> Vec<Json> {
    let mut out = vec![
        number("raincoat.index", record.index),
        text("raincoat.class", record.class),
        text("raincoat.outcome", record.outcome.name()),
        text("raincoat.log.leaf", &record.leaf),
        number("raincoat.log.size", source.head.size),
        text("raincoat.log.root", &hex(&source.head.root)),
    ];
    let optional = [
        ("raincoat.run", &record.run),
        ("raincoat.actor", &record.actor),
        ("raincoat.erased", &record.erased),
    ];
    out.extend(optional.into_iter().filter_map(|(key, value)| Some(text(key, value.as_ref()?))));
    if let Some((id, seq)) = &record.producer {
        out.push(text("raincoat.producer.id", id));
        out.push(number("raincoat.producer.seq", *seq));
    }
    if !record.subjects.is_empty() {
        out.push(attribute("raincoat.subjects", any(&Value::Texts(record.subjects.clone()))));
    }
    // What OpenTelemetry's own conventions have a name for stands under it too.
    for (key, name) in [
        ("file.path", "path"),
        ("gen_ai.provider.name", "provider"),
        ("gen_ai.request.model", "model"),
        ("http.response.status_code", "status"),
        ("url.full", "url"),
    ] {
        out.extend(record.field(name).map(|value| attribute(key, any(value))));
    }
    out.extend(record.fields.iter().map(|(name, value)| attribute(&format!("raincoat.{name}"), any(value))));
    out
}

fn any(value: &Value) -> Json {
    match value {
        Value::Text(text) => json!({ "stringValue": text }),
        Value::Texts(texts) => {
            let values: Vec<Json> = texts.iter().map(|text| json!({ "stringValue": text })).collect();
            json!({ "arrayValue": { "values": values } })
        }
        Value::Number(number) => int(*number),
        Value::Flag(flag) => json!({ "boolValue": flag }),
    }
}

fn attribute(key: &str, value: Json) -> Json {
    json!({ "key": key, "value": value })
}

fn text(key: &str, value: &str) -> Json {
    attribute(key, json!({ "stringValue": value }))
}

fn number(key: &str, value: u64) -> Json {
    attribute(key, int(value))
}

/// OTLP's integers are signed: what does not fit goes as text.
fn int(value: u64) -> Json {
    match i64::try_from(value) {
        Ok(value) => json!({ "intValue": value.to_string() }),
        Err(_) => json!({ "stringValue": value.to_string() }),
    }
}

/// Nanoseconds since 1970; what lies before it, or after what 64 bits count, is 0: unknown.
fn nanos(at: Timestamp) -> String {
    let secs = u64::try_from(at.secs).ok().and_then(|secs| secs.checked_mul(1_000_000_000));
    secs.and_then(|nanos| nanos.checked_add(u64::from(at.nanos))).unwrap_or(0).to_string()
}
