//! OCSF events (Open Cybersecurity Schema Framework, [`VERSION`]): which class an event is of, and the objects that
//! class asks for. What OCSF has no place for stands in `unmapped`, under the names of the JSON Lines export.
//!
//! The profile `ai_operation` is used where a model is spoken to, `security_control` where something is judged. The
//! profile `record_integrity` is in the schema's next version only: its `attestation` stands in `unmapped` in the shape
//! that it will have.

use serde_json::{Map, Value as Json, json};

use super::{Outcome, Record, Severity, Source, jsonl, millis};

/// The version of the schema that events follow.
pub const VERSION: &str = "1.8.0";

pub(super) fn event(record: &Record, source: &Source<'_>) -> Json {
    let Class { uid, category, activity, activity_name, objects, profiles } = class_of(record, source);
    let (severity, severity_name) = match record.severity {
        Severity::Info => (1, "Informational"),
        Severity::Notice => (2, "Low"),
        Severity::Warning => (3, "Medium"),
        Severity::Error => (4, "High"),
    };
    let mut out = map(json!({
        "class_uid": uid,
        "category_uid": category,
        "activity_id": activity,
        "activity_name": activity_name,
        "type_uid": uid * 100 + activity,
        "time": millis(record.at),
        "severity_id": severity,
        "severity": severity_name,
        "message": record.message,
        "metadata": metadata(record, source, &profiles),
    }));
    // A finding's status is that of its handling, and nobody handled it yet.
    let (status, status_name) = match record.outcome {
        _ if uid == FINDING => (1, "New"),
        Outcome::Success => (1, "Success"),
        Outcome::Failure => (2, "Failure"),
        Outcome::Unknown => (0, "Unknown"),
    };
    out.insert("status_id".to_owned(), json!(status));
    out.insert("status".to_owned(), json!(status_name));
    if let Some(reason) = record.text("reason") {
        out.insert("status_detail".to_owned(), json!(reason));
    }
    out.extend(objects);
    out.insert("unmapped".to_owned(), unmapped(record, source));
    Json::Object(out)
}

/// What a class brings with it.
struct Class {
    uid: u32,
    category: u32,
    activity: u32,
    activity_name: String,
    objects: Map<String, Json>,
    profiles: Vec<&'static str>,
}

const BASE: u32 = 0;
const FILE: u32 = 1001;
const EVENT_LOG: u32 = 1008;
const PROCESS: u32 = 1007;
const FINDING: u32 = 2004;
const AUTHENTICATION: u32 = 3002;
const ENTITY: u32 = 3004;
const LIFECYCLE: u32 = 6002;
const API: u32 = 6003;

fn class(uid: u32, activity: u32, activity_name: &str, objects: Json) -> Class {
    let (objects, profiles) = (map(objects), Vec::new());
    Class { uid, category: uid / 1000, activity, activity_name: activity_name.to_owned(), objects, profiles }
}

/// By the kind's name, so that an event of a newer version, or one that no class fits, is a base event.
fn class_of(record: &Record, source: &Source<'_>) -> Class {
    match record.kind {
        "process.started" | "command.started" => lifecycle(3, "Start", source),
        "process.stopped" | "command.ended" => lifecycle(4, "Stop", source),
        "run.recovered" | "run.settled" => lifecycle(99, "Recover", source),
        "keys.unlocked" | "keys.unlock-failed" | "keys.unlock-refused" => authentication(record, 1, "Logon"),
        "keys.locked" => authentication(record, 2, "Logoff"),
        "keys.passphrase-changed" => entity(record, 3, "Update", "key slot", "slot"),
        "keys.slot-added" => entity(record, 1, "Create", "key slot", "slot"),
        "keys.slot-removed" => entity(record, 4, "Delete", "key slot", "slot"),
        "grant.added" => entity(record, 1, "Create", "grant", "grant"),
        "grant.revoked" | "grant.taken-back" => entity(record, 4, "Delete", "grant", "grant"),
        "config.changed" | "setting.changed" => entity(record, 3, "Update", "setting", "setting"),
        "policy.changed" => entity(record, 3, "Update", "policy", "setting"),
        "mode.changed" => entity(record, 3, "Update", "mode", "setting"),
        "log.retention-changed" => entity(record, 3, "Update", "retention", "setting"),
        "credential.put" | "credential.added" => entity(record, 1, "Create", "credential", "name"),
        "credential.removed" => entity(record, 4, "Delete", "credential", "name"),
        "provider.added" => entity(record, 1, "Create", "provider", "provider"),
        "witness.added" => entity(record, 1, "Create", "witness", "name"),
        "witness.removed" => entity(record, 4, "Delete", "witness", "name"),
        "run.began" | "program.started" => process(record, source, 1, "Launch"),
        "run.ended" | "program.ended" => process(record, source, 2, "Terminate"),
        "run.stop-asked" => process(record, source, 99, "Stop"),
        "proposal.judged" | "approval.asked" | "approval.given" | "approval.used" | "approval.declined"
        | "program.refused" | "network.refused" | "access.granted" | "access.refused" => decision(record, source),
        "op.intended" | "op.planned" | "op.done" | "op.made" | "op.failed" | "undo.refused" | "backup.skipped"
        | "restore.done" => file_change(record, source),
        "read.done" | "read.looked" => file_read(record, source),
        "model.request" | "model.asked" | "model.reply" | "model.answered" | "model.used" | "model.transcript" => {
            model(record, source)
        }
        "export.started" | "export.stopped" | "log.erased" | "log.pruned" | "log.proof-given" => {
            event_log(record)
        }
        "protection.missing" | "tampering.found" | "witness.disagreed" | "store.failed" | "log.head-accepted" => {
            finding(record)
        }
        _ => class(BASE, 99, record.kind, json!({})),
    }
}

impl Class {
    fn with(mut self, profiles: &[&'static str]) -> Class {
        self.profiles.extend(profiles);
        self
    }
}

fn lifecycle(activity: u32, name: &str, source: &Source<'_>) -> Class {
    class(LIFECYCLE, activity, name, json!({ "app": product(source) }))
}

/// The keys' owner opens them, or somebody tries to.
fn authentication(record: &Record, activity: u32, name: &str) -> Class {
    let objects = json!({
        "user": { "name": "owner", "type_id": 1 },
        "service": { "name": "Raincoat" },
        "logon_type_id": 7,
        "logon_type": "Unlock",
        "is_remote": false,
        "auth_protocol_id": 99,
        "auth_protocol": record.text("slot").unwrap_or("unknown"),
    });
    class(AUTHENTICATION, activity, name, objects)
}

fn event_log(record: &Record) -> Class {
    let (activity, name) = match record.kind {
        "log.erased" | "log.pruned" => (2, "Delete"),
        _ => (3, "Export"),
    };
    class(EVENT_LOG, activity, name, json!({ "actor": actor(record), "log_name": "raincoat audit", "log_type_id": 2 }))
}

fn finding(record: &Record) -> Class {
    let title = ["layer", "place", "name", "text"].iter().find_map(|name| record.text(name)).unwrap_or(record.kind);
    let info = json!({ "uid": format!("{}:{title}", record.kind), "title": title, "desc": record.message });
    class(FINDING, 1, "Create", json!({ "finding_info": info, "is_alert": true })).with(&["security_control"])
}

fn entity(record: &Record, activity: u32, name: &str, sort: &str, uid: &str) -> Class {
    let uid = record.text(uid).unwrap_or_default();
    let shown = record.text("path").unwrap_or(uid);
    let managed = json!({ "type": sort, "type_id": 99, "uid": uid, "name": shown });
    class(ENTITY, activity, name, json!({ "entity": managed, "actor": actor(record) }))
}

fn process(record: &Record, source: &Source<'_>, activity: u32, name: &str) -> Class {
    let started = json!({
        "uid": record.run.as_deref().unwrap_or("unknown"),
        "name": record.actor.as_deref().unwrap_or("unknown"),
        "cmd_line": record.text("goal").or(record.text("program")).unwrap_or_default(),
    });
    let mut objects = map(json!({ "actor": actor(record), "device": device(source), "process": started }));
    if let Some(code) = record.text("exit_code").and_then(|code| code.parse::<i32>().ok()) {
        objects.insert("exit_code".to_owned(), json!(code));
    }
    class(PROCESS, activity, name, Json::Object(objects))
}

/// A proposal with its verdict, or a person's word: a call of the gate.
fn decision(record: &Record, source: &Source<'_>) -> Class {
    let (action, disposition, words) = match (record.kind, record.text("verdict")) {
        ("approval.given" | "approval.used", _) => (1, 8, "Approved"),
        ("access.granted", _) | (_, Some("allow")) => (1, 1, "Allowed"),
        ("approval.declined", _) => (2, 25, "Rejected"),
        ("program.refused" | "network.refused" | "access.refused", _) | (_, Some("deny")) => (2, 2, "Blocked"),
        ("approval.asked", _) | (_, Some("ask")) => (3, 14, "Delayed"),
        _ => (99, 27, "Error"),
    };
    let resources = record.texts("targets").iter().map(|target| json!({ "name": target, "type": "path" }));
    let mut objects = map(json!({
        "actor": actor(record),
        "api": {
            "operation": record.text("verb").unwrap_or(record.kind),
            "service": { "name": "raincoat gate" },
            "request": { "uid": record.text("digest").unwrap_or("unknown") },
        },
        "src_endpoint": endpoint(source),
        "resources": resources.collect::<Vec<_>>(),
        "action_id": action,
        "disposition_id": disposition,
        "disposition": words,
    }));
    if let Some(rule) = record.text("rule") {
        let desc = record.text("reason").unwrap_or_default();
        objects.insert("policy".to_owned(), json!({ "name": rule, "desc": desc, "is_applied": true }));
        objects.insert("authorizations".to_owned(), json!([{ "decision": words, "policy": { "name": rule } }]));
    }
    class(API, 99, record.kind, Json::Object(objects)).with(&["security_control"])
}

fn file_change(record: &Record, source: &Source<'_>) -> Class {
    let (activity, name) = match record.text("verb") {
        _ if record.kind == "undo.refused" => (99, "Undo"),
        _ if record.kind == "restore.done" => (99, "Restore"),
        Some("create" | "link") => (1, "Create"),
        Some("replace") => (3, "Update"),
        Some("remove") => (4, "Delete"),
        Some("move") => (5, "Rename"),
        Some("set-meta") => (6, "Set Attributes"),
        _ => (0, "Unknown"),
    };
    let mut objects = map(json!({
        "actor": actor(record),
        "device": device(source),
        "file": file(record, record.text("path"), record.text("before")),
    }));
    let result = record.text("to").or(record.text("path"));
    if record.outcome == Outcome::Success && (record.text("after").is_some() || record.text("to").is_some()) {
        objects.insert("file_result".to_owned(), file(record, result, record.text("after")));
    }
    class(FILE, activity, name, Json::Object(objects))
}

fn file_read(record: &Record, source: &Source<'_>) -> Class {
    let (activity, name) = match record.text("verb") {
        Some("stat") => (8, "Get Attributes"),
        Some("read" | "hash") => (2, "Read"),
        verb => (99, verb.unwrap_or("look")),
    };
    let objects = json!({
        "actor": actor(record), "device": device(source), "file": file(record, record.text("path"), None),
    });
    class(FILE, activity, name, objects)
}

fn model(record: &Record, source: &Source<'_>) -> Class {
    let request = matches!(record.kind, "model.request" | "model.asked") || record.text("from") == Some("request");
    let (provider, name) =
        (record.text("provider").unwrap_or("unknown"), record.text("model").unwrap_or("unknown"));
    let mut objects = map(json!({
        "actor": actor(record),
        "api": {
            "operation": "chat completion",
            "service": { "name": provider },
            "request": { "uid": record.text("digest").unwrap_or("unknown") },
        },
        "src_endpoint": endpoint(source),
        "dst_endpoint": { "svc_name": provider },
        "ai_model": { "ai_provider": provider, "name": name },
        "message_context": {
            "application": { "name": "Raincoat" },
            "ai_role_id": if request { 1 } else { 2 },
            "ai_role": if request { "User" } else { "Assistant" },
            "uid": record.run.as_deref().unwrap_or("unknown"),
        },
    }));
    if let (Some(Json::Object(context)), Some(input), Some(output)) =
        (objects.get_mut("message_context"), record.number("input_tokens"), record.number("output_tokens"))
    {
        context.insert("prompt_tokens".to_owned(), json!(input));
        context.insert("completion_tokens".to_owned(), json!(output));
        context.insert("total_tokens".to_owned(), json!(input.saturating_add(output)));
    }
    if let Some(status) = record.number("status") {
        let length = record.number("bytes").unwrap_or(0);
        objects.insert("http_response".to_owned(), json!({ "code": status, "body_length": length }));
        objects.insert("status_code".to_owned(), json!(status.to_string()));
    }
    let (activity, word) = if request { (1, "Create") } else { (2, "Read") };
    class(API, activity, word, Json::Object(objects)).with(&["ai_operation"])
}

fn metadata(record: &Record, source: &Source<'_>, profiles: &[&str]) -> Json {
    let mut out = map(json!({
        "version": VERSION,
        "product": product(source),
        "uid": format!("{}/{}", source.head.origin, record.index),
        "sequence": record.index,
        "event_code": record.kind,
        "log_name": source.head.origin,
        "log_provider": "Raincoat",
        "original_time": super::rfc3339(record.at, 9),
        "profiles": profiles,
    }));
    if let Some(run) = &record.run {
        out.insert("correlation_uid".to_owned(), json!(run));
    }
    Json::Object(out)
}

fn unmapped(record: &Record, source: &Source<'_>) -> Json {
    json!({
        "attestation": {
            "uid": record.index.to_string(),
            "authority_uid": source.head.origin,
            "chain_uid": source.head.origin,
            "fingerprint": { "algorithm_id": 3, "algorithm": "SHA-256", "value": record.leaf },
        },
        "log": jsonl::integrity(record, source),
        "producer": record.producer.as_ref().map(|(id, seq)| json!({ "id": id, "seq": seq })),
        "subjects": record.subjects,
        "erased": record.erased,
        "fields": jsonl::fields(record),
    })
}

fn product(source: &Source<'_>) -> Json {
    json!({ "name": "Raincoat", "vendor_name": "Raincoat", "version": source.version })
}

fn actor(record: &Record) -> Json {
    match &record.actor {
        Some(name) if record.by_person => json!({ "user": { "name": name, "type_id": 1 } }),
        Some(name) => json!({ "app_name": name }),
        None => json!({ "app_name": "raincoat" }),
    }
}

fn device(source: &Source<'_>) -> Json {
    json!({ "type_id": 0, "type": "Unknown", "uid": source.head.origin, "hostname": source.host })
}

fn endpoint(source: &Source<'_>) -> Json {
    json!({ "uid": source.head.origin, "hostname": source.host, "svc_name": "raincoat" })
}

/// A file by its path beneath its folder; where that is not known, by the operation.
fn file(record: &Record, path: Option<&str>, digest: Option<&str>) -> Json {
    let shown = path.or(record.text("op")).unwrap_or("unknown");
    let name = shown.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(shown);
    let mut out = map(json!({ "name": name, "type_id": 0 }));
    if let Some(path) = path {
        out.insert("path".to_owned(), json!(path));
    }
    if let Some(grant) = record.text("grant") {
        out.insert("volume".to_owned(), json!(grant));
    }
    if let Some(digest) = digest {
        let hashes = json!([{ "algorithm_id": 99, "algorithm": "BLAKE3", "value": digest }]);
        out.insert("hashes".to_owned(), hashes);
    }
    Json::Object(out)
}

fn map(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}
