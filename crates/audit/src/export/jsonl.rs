//! One JSON object a line, as `docs/formats/export.schema.json` has it.

use serde_json::{Map, Value as Json, json};

use super::{Record, Source, Value, hex, rfc3339};

/// The shape's name and version. A key never changes its meaning or goes away while the number stays.
pub(super) const SCHEMA: &str = "raincoat.audit.export/1";

pub(super) fn line(record: &Record, source: &Source<'_>) -> String {
    json!({
        "schema": SCHEMA,
        "index": record.index,
        "at": rfc3339(record.at, 9),
        "kind": record.kind,
        "class": record.class,
        "severity": record.severity.name(),
        "outcome": record.outcome.name(),
        "run": record.run,
        "actor": record.actor,
        "message": record.message,
        "fields": fields(record),
        "subjects": record.subjects,
        "erased": record.erased,
        "producer": record.producer.as_ref().map(|(id, seq)| json!({ "id": id, "seq": seq })),
        "log": integrity(record, source),
        "host": source.host,
        "version": source.version,
    })
    .to_string()
}

/// What a copy is held against the log by.
pub(super) fn integrity(record: &Record, source: &Source<'_>) -> Json {
    json!({
        "origin": source.head.origin,
        "leaf": record.leaf,
        "size": source.head.size,
        "root": hex(&source.head.root),
    })
}

/// The fields, each in its own JSON type.
pub(super) fn fields(record: &Record) -> Json {
    let one = |value: &Value| match value {
        Value::Text(text) => json!(text),
        Value::Texts(texts) => json!(texts),
        Value::Number(number) => json!(number),
        Value::Flag(flag) => json!(flag),
    };
    Json::Object(record.fields.iter().map(|(name, value)| ((*name).to_owned(), one(value))).collect::<Map<_, _>>())
}
