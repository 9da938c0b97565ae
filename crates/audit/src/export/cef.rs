//! ArcSight's Common Event Format, version 0 (its implementation standard, version 26): a header of seven fields and
//! an extension of `key=value` pairs.

use raincoat_types::display_text;

use super::{Record, Severity, Source, cut, hex, millis};

/// Bytes of a value, at most: the dictionary's own limit for most of its texts.
const VALUE_MOST: usize = 1023;

pub(super) fn line(record: &Record, source: &Source<'_>) -> String {
    // 0 to 10, as the standard counts.
    let severity = match record.severity {
        Severity::Info => 1,
        Severity::Notice => 3,
        Severity::Warning => 6,
        Severity::Error => 8,
    };
    let mut out = format!(
        "CEF:0|Raincoat|Raincoat|{}|{}|{}|{severity}|",
        header(source.version),
        header(record.kind),
        header(&record.kind.replace(['.', '-'], " ")),
    );
    let mut first = true;
    for (key, value) in extension(record, source).into_iter().filter(|(_, value)| !value.is_empty()) {
        if !std::mem::take(&mut first) {
            out.push(' ');
        }
        out.push_str(key);
        out.push('=');
        out.push_str(&escaped(&cut(&display_text(&value), VALUE_MOST)));
    }
    out
}

/// Keys of CEF's dictionary; what has none there stands in its custom fields, each with its label.
fn extension(record: &Record, source: &Source<'_>) -> Vec<(&'static str, String)> {
    let text = |name: &str| record.field(name).map(super::Value::flat).unwrap_or_default();
    let either = |a: &str, b: &str| Some(text(a)).filter(|found| !found.is_empty()).unwrap_or_else(|| text(b));
    let path = either("path", "targets");
    let moved = text("to");
    let (old, new) = if moved.is_empty() { (String::new(), path) } else { (path, moved) };
    let mut out = vec![
        ("rt", millis(record.at).to_string()),
        ("externalId", record.index.to_string()),
        ("cat", record.class.to_owned()),
        ("outcome", record.outcome.name().to_owned()),
        ("act", text("verb")),
        ("suser", record.actor.clone().unwrap_or_default()),
        ("dvchost", source.host.to_owned()),
        ("deviceExternalId", source.head.origin.clone()),
        ("fname", new.rsplit('/').next().unwrap_or_default().to_owned()),
        ("filePath", new),
        ("fileHash", either("after", "digest")),
        ("oldFilePath", old),
        ("oldFileHash", text("before")),
        ("destinationServiceName", text("provider")),
        ("request", text("url")),
        (if matches!(record.kind, "model.request" | "model.asked") { "out" } else { "in" }, text("bytes")),
        ("reason", either("reason", "text")),
        ("msg", record.message.clone()),
    ];
    for (key, label, name, value) in [
        ("cs1", "cs1Label", "run", record.run.clone().unwrap_or_default()),
        ("cs2", "cs2Label", "leaf", record.leaf.clone()),
        ("cs3", "cs3Label", "root", hex(&source.head.root)),
        ("cs4", "cs4Label", "op", text("op")),
        ("cs5", "cs5Label", "rule", either("rule", "scope")),
        ("cs6", "cs6Label", "verdict", either("verdict", "model")),
        ("cn1", "cn1Label", "size", source.head.size.to_string()),
        ("cn2", "cn2Label", "seq", record.producer.as_ref().map(|(_, seq)| seq.to_string()).unwrap_or_default()),
    ] {
        if !value.is_empty() {
            let name = if key == "cs6" && text("verdict").is_empty() { "model" } else { name };
            let name = if key == "cs5" && text("rule").is_empty() { "scope" } else { name };
            out.push((key, value));
            out.push((label, name.to_owned()));
        }
    }
    if let Some(class) = &record.erased {
        out.push(("flexString1", class.clone()));
        out.push(("flexString1Label", "erased".to_owned()));
    }
    out
}

fn header(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|")
}

/// A value of the extension: backslash, equals sign and line breaks are written out.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('=', "\\=").replace('\n', "\\n").replace('\r', "\\r")
}
