//! The shapes of `--json`, which scripts rely on: a key never changes its meaning or goes away. `docs/json.md` describes
//! them, and a test holds the two together.

use raincoat_runtime::{
    AuditLine, AuditReport, CanUndo, Check, CommitReport, DeadLetter, DraftLine, DraftState, EntryDetails, EntryProof,
    ErasureView, ExportReport, FieldValue, FileDiff, GrantRecord, History, HoldView, Kept, KeyLine, LayerState,
    NativeTools, OpLine, PlanView, ProofCheck, ProviderConfig, ProviderTest, PruningView, RestoreReport, RetentionView,
    RunDetails, RunLine, RunReport, Stopped, StorePruned, StoreRepaired, StoreReport, StoreStatus, TimelineStep,
    UndoReport, Verdict, VersionView, WitnessLine, WitnessServer, WitnessState,
};
use raincoat_types::wire::PlanStep;
use raincoat_types::{Digest, FileKind, RunId, RunStatus, Timestamp, display_bytes};
use serde_json::{Map, Value, json};

use crate::exit::Exit;
use crate::time::rfc3339;
use crate::view::diff;
use crate::view::tree::{Item, Tree};

/// Puts a path into an object: as text, and where it is not UTF-8 all its bytes in hex beside it.
pub(crate) fn put_path(object: &mut Map<String, Value>, path: &[u8]) {
    object.insert("path".to_owned(), String::from_utf8_lossy(path).into());
    if std::str::from_utf8(path).is_err() {
        let hex: String = path.iter().map(|byte| format!("{byte:02x}")).collect();
        object.insert("path_bytes".to_owned(), hex.into());
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// A grant.
pub(crate) fn grant(grant: &GrantRecord, now: Timestamp) -> Value {
    let mut out = object(json!({ "type": "grant", "id": grant.id.to_string() }));
    put_path(&mut out, &grant.path);
    out.extend(object(json!({
        "read_only": grant.is_read_only(),
        "until": grant.until.map(rfc3339),
        "ended": grant.until.is_some_and(|until| until <= now),
        "agent": grant.agent,
        "deny": grant.deny,
        "created": rfc3339(grant.created),
        "actions": grant.allowed().to_string().split(',').collect::<Vec<_>>(),
        "private": grant.private,
        "max_files": grant.max_files,
        "max_bytes": grant.max_bytes,
    })));
    Value::Object(out)
}

/// A layer of protection.
pub(crate) fn check(check: &Check) -> Value {
    json!({ "name": check.name, "state": state(check.state), "why": check.why, "fix": check.fix })
}

/// A run that was stopped.
pub(crate) fn stopped(stopped: &Stopped) -> Value {
    json!({ "type": "stopped", "run": stopped.run.to_string(), "in_good_order": stopped.in_good_order })
}

/// A draft that was thrown away.
pub(crate) fn discarded(run: RunId) -> Value {
    json!({ "type": "discarded", "run": run.to_string() })
}

/// An open draft.
pub(crate) fn draft(line: &DraftLine) -> Value {
    let (state, code, why) = match &line.state {
        DraftState::Live => ("running", None, None),
        DraftState::Ended(code) => ("ended", Some(*code), None),
        DraftState::Interrupted => ("interrupted", None, None),
        DraftState::Damaged(why) => ("damaged", None, Some(why.clone())),
    };
    let folder = |path: &Vec<u8>| {
        let mut out = Map::new();
        put_path(&mut out, path);
        Value::Object(out)
    };
    json!({
        "type": "draft",
        "run": line.run.to_string(),
        "command": line.command,
        "began": line.began.map(rfc3339),
        "state": state,
        "code": code,
        "why": why,
        "entries": line.entries,
        "bytes": line.bytes,
        "counted_all": line.counted_all,
        "folders": line.folders.iter().map(folder).collect::<Vec<_>>(),
    })
}

/// A commit of a draft.
pub(crate) fn committed(report: &CommitReport, exit: Exit) -> Value {
    let told = |all: &[(String, String)]| -> Vec<Value> {
        all.iter().map(|(path, why)| json!({ "path": path, "why": why })).collect()
    };
    json!({
        "type": "commit",
        "dry_run": false,
        "run": report.run.to_string(),
        "status": status(report.status),
        "changes": report.changes,
        "paths": [],
        "refused": told(&report.refused),
        "conflicts": told(&report.conflicts),
        "summary": report.summary,
        "exit": exit.code(),
    })
}

/// A commit that did nothing: a dry run, with the paths that it would change, or one for which nothing was chosen.
pub(crate) fn not_committed(dry_run: bool, paths: &[String], summary: &str) -> Value {
    json!({
        "type": "commit",
        "dry_run": dry_run,
        "run": null,
        "status": status(RunStatus::Done),
        "changes": paths.len(),
        "paths": paths,
        "refused": [],
        "conflicts": [],
        "summary": summary,
        "exit": Exit::Ok.code(),
    })
}

/// The word for a layer's state.
pub(crate) fn state(state: LayerState) -> &'static str {
    match state {
        LayerState::Enforced => "enforced",
        LayerState::Missing => "missing",
        LayerState::Unknown => "unknown",
    }
}

/// The word for a run's status.
pub(crate) fn status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Open => "open",
        RunStatus::Done => "done",
        RunStatus::Stopped => "stopped",
        RunStatus::Failed => "failed",
        RunStatus::Interrupted => "interrupted",
    }
}

/// A run in a list.
pub(crate) fn run(line: &RunLine) -> Value {
    json!({
        "type": "run",
        "run": line.run.to_string(),
        "at": rfc3339(line.at),
        "actor": line.actor,
        "goal": line.goal,
        "undo_of": line.undo_of.map(|run| run.to_string()),
        "status": status(line.status),
        "summary": line.summary,
        "changes": line.changes,
        "undone": line.undone,
    })
}

/// A run in full, after its operations.
pub(crate) fn details(details: &RunDetails) -> Value {
    let plan = |(title, proposed, chosen): &(String, u64, u64)| json!({ "title": title, "proposed": proposed, "chosen": chosen });
    let mut out = object(run(&details.line));
    out.insert("roots".to_owned(), json!(details.roots));
    out.insert("plans".to_owned(), details.plans.iter().map(plan).collect());
    out.insert("notes".to_owned(), json!(details.notes));
    Value::Object(out)
}

/// An operation.
pub(crate) fn op(op: &OpLine) -> Value {
    json!({
        "type": "op",
        "op": op.op.to_string(),
        "verb": op.verb,
        "path": op.path,
        "to": op.to,
        "before": op.before.map(|digest: Digest| digest.hex()),
        "after": op.after.map(|digest: Digest| digest.hex()),
        "result": op.result,
        "undone_by": op.undone_by.map(|op| op.to_string()),
    })
}

/// A changed file. `diff` is `null` where there is nothing to compare, or no text.
pub(crate) fn file(file: &FileDiff) -> Value {
    let text = diff::between(file.before.as_deref(), file.after.as_deref(), usize::MAX);
    json!({
        "type": "file",
        "path": file.path,
        "moved_to": file.moved_to,
        "verb": file.verb,
        "size_before": file.before.as_ref().map(Vec::len),
        "size_after": file.after.as_ref().map(Vec::len),
        "diff": text.unified(),
        "note": file.note,
    })
}

/// A plan, for a dry run: a line for each step.
pub(crate) fn plan(plan: &PlanView<'_>) -> Vec<String> {
    let tree = Tree::of(plan);
    let steps = tree.items().zip(plan.steps).enumerate();
    let step = |(n, (item, step)): (usize, (Item, &PlanStep))| {
        json!({
            "type": "step",
            "step": n + 1,
            "verb": step.change.verb(),
            "words": item.text,
            "places": item.places.iter().map(|(_, path)| display_bytes(path)).collect::<Vec<_>>(),
            "bytes": item.bytes,
            "refused": item.refused,
            "why": item.why,
        })
    };
    steps.map(|each| step(each).to_string()).collect()
}

/// How a run ended, and what the agent said.
pub(crate) fn report(report: &RunReport, said: &str, exit: Exit) -> Value {
    json!({
        "type": "report",
        "run": report.run.to_string(),
        "status": status(report.status),
        "summary": report.summary,
        "said": said,
        "changes": report.changes,
        "failed": report.failed,
        "refused": report.refused,
        "exit": exit.code(),
    })
}

/// How an undo ended, or with `--dry-run` what it would do.
pub(crate) fn undo(report: &UndoReport, dry_run: bool, exit: Exit) -> Value {
    let steps = report.steps.iter().map(|step| json!({ "op": step.op.to_string(), "words": step.words }));
    let conflicts = report.conflicts.iter().map(|one| {
        json!({
            "op": one.op.to_string(),
            "path": one.path,
            "why": one.why,
            "by": one.by.map(|by| by.to_string()),
        })
    });
    json!({
        "type": "undo",
        "dry_run": dry_run,
        "run": report.run.map(|run| run.to_string()),
        "of": report.of.to_string(),
        "runs": report.runs,
        "steps": steps.collect::<Vec<_>>(),
        "undone": report.undone,
        "already": report.already,
        "left": report.left,
        "conflicts": conflicts.collect::<Vec<_>>(),
        "times": report.times,
        "stopped": report.stopped,
        "exit": exit.code(),
    })
}

/// A version of a file.
pub(crate) fn version(version: &VersionView) -> Value {
    json!({
        "type": "version",
        "at": version.at.map(rfc3339),
        "op": version.op.map(|op| op.to_string()),
        "actor": version.actor,
        "what": version.what,
        "path": version.path,
        "kind": version.kind.map(kind),
        "size": version.size,
        "blake3": version.digest.map(|digest| digest.hex()),
        "mtime": version.mtime.map(rfc3339),
        "kept": kept(version.kept),
        "undone": version.undone,
    })
}

/// A file's past: the line after its versions.
pub(crate) fn history(history: &History) -> Value {
    let runs = history.runs.iter();
    let runs = runs.map(|(run, at, goal)| json!({ "run": run.to_string(), "at": rfc3339(*at), "goal": goal }));
    json!({
        "type": "history",
        "path": history.path,
        "now": history.now.as_ref().map(version),
        "untouched": history.untouched,
        "versions": history.versions.len(),
        "runs": runs.collect::<Vec<_>>(),
    })
}

fn kept(kept: Kept) -> &'static str {
    match kept {
        Kept::Store => "store",
        Kept::Disk => "disk",
        Kept::Nowhere => "nowhere",
        Kept::NoContent => "none",
    }
}

fn kind(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "file",
        FileKind::Dir => "folder",
        FileKind::Symlink => "symlink",
        FileKind::Special => "special",
    }
}

/// How a restore ended, or with `--dry-run` what it would do.
pub(crate) fn restore(report: &RestoreReport, dry_run: bool, exit: Exit) -> Value {
    let items = report.items.iter().map(|item| {
        json!({
            "path": display_bytes(&item.path),
            "words": item.to_string(),
            "drift": item.drift,
        })
    });
    let left = report.left.iter().map(|(path, why)| json!({ "path": path, "why": why }));
    json!({
        "type": "restore",
        "dry_run": dry_run,
        "run": report.run.map(|run| run.to_string()),
        "at": rfc3339(report.at),
        "items": items.collect::<Vec<_>>(),
        "done": report.done,
        "left": left.collect::<Vec<_>>(),
        "stopped": report.stopped,
        "exit": exit.code(),
    })
}

/// Whether something can be taken back.
pub(crate) fn can_undo(answer: &CanUndo, exit: Exit) -> Value {
    let not = answer.not.iter();
    let not = not.map(|(op, path, why)| json!({ "op": op.to_string(), "path": path, "why": why }));
    json!({
        "type": "can-undo",
        "what": answer.what,
        "verdict": match answer.verdict {
            Verdict::All => "all",
            Verdict::Part => "part",
            Verdict::None => "none",
            Verdict::Nothing => "nothing",
        },
        "back": answer.back,
        "already": answer.already,
        "not": not.collect::<Vec<_>>(),
        "notes": answer.notes,
        "exit": exit.code(),
    })
}

/// An entry of the log.
pub(crate) fn entry(line: &AuditLine) -> Value {
    json!({
        "type": "entry",
        "index": line.index,
        "at": rfc3339(line.at),
        "run": line.run.map(|run| run.to_string()),
        "actor": line.actor,
        "kind": line.kind,
        "line": line.line,
        "kind": line.kind,
        "class": line.class,
    })
}

/// An entry in full.
pub(crate) fn entry_details(details: &EntryDetails) -> Value {
    let record = &details.record;
    let field = |value: &FieldValue| match value {
        FieldValue::Text(text) => json!(text),
        FieldValue::Texts(texts) => json!(texts),
        FieldValue::Number(number) => json!(number),
        FieldValue::Flag(flag) => json!(flag),
    };
    let fields: Map<String, Value> =
        record.fields.iter().map(|(name, value)| ((*name).to_owned(), field(value))).collect();
    json!({
        "type": "entry",
        "index": record.index,
        "at": rfc3339(record.at),
        "run": record.run,
        "actor": record.actor,
        "kind": record.kind,
        "line": record.message,
        "class": record.class,
        "erased": record.erased,
        "subjects": record.subjects,
        "fields": fields,
        "producer": record.producer.as_ref().map(|(id, _)| id),
        "seq": record.producer.as_ref().map(|(_, seq)| seq),
        "leaf": record.leaf,
        "origin": details.head.origin,
        "size": details.head.size,
        "root": details.head.root.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        "signed": details.signed,
    })
}

/// A step of a run's timeline.
pub(crate) fn step_of_run(step: &TimelineStep) -> Value {
    let mut out = object(entry(&step.line));
    out.insert("after_ms".to_owned(), json!(step.after_ms));
    out.insert("stage".to_owned(), json!(step.stage));
    out.insert("op".to_owned(), json!(step.op.map(|op| op.to_string())));
    Value::Object(out)
}

/// What came of an export.
pub(crate) fn exported(report: &ExportReport, to: &str) -> Value {
    json!({
        "type": "exported",
        "to": to,
        "taken": report.taken,
        "put_aside": report.put_aside,
        "next": report.next,
        "stopped": report.stopped,
    })
}

/// An entry that a collector would not take.
pub(crate) fn dead_letter(letter: &DeadLetter) -> Value {
    json!({
        "type": "dead-letter",
        "entry": letter.entry,
        "at": rfc3339(letter.at),
        "to": letter.to,
        "format": letter.format,
        "why": letter.why,
    })
}

/// Entries put aside that were forgotten.
pub(crate) fn dropped(entries: u64) -> Value {
    json!({ "type": "dropped", "entries": entries })
}

/// What the store holds.
pub(crate) fn store_status(status: &StoreStatus) -> Value {
    let usage = &status.usage;
    let ratio = |of: u64, to: u64| if to == 0 { Value::Null } else { json!(of as f64 / to as f64) };
    json!({
        "type": "store",
        "bytes": usage.bytes,
        "live": usage.live,
        "dead": usage.dead,
        "reserve": usage.reserve,
        "budget": status.budget,
        "free": status.free,
        "keep_secs": status.keep_secs,
        "segments": usage.segments,
        "runs": usage.runs,
        "pruned": usage.pruned,
        "operations": usage.ops,
        "versions": usage.versions,
        "version_bytes": usage.version_bytes,
        "unique_bytes": usage.unique_bytes,
        "stored_bytes": usage.stored_bytes,
        "dedup_ratio": ratio(usage.version_bytes, usage.unique_bytes),
        "compression_ratio": ratio(usage.unique_bytes, usage.stored_bytes),
        "oldest": usage.oldest.map(rfc3339),
        "last_verify": status.last.as_ref().map(|last| json!({
            "at": rfc3339(last.at), "deep": last.deep, "records": last.records, "problems": last.problems,
        })),
    })
}

/// What a check of the store found.
pub(crate) fn store_report(report: &StoreReport, deep: bool) -> Value {
    json!({
        "type": "verified",
        "sound": report.sound,
        "deep": deep,
        "records": report.records,
        "bytes": report.bytes,
        "contents": report.contents,
        "problems": report.problems,
        "lost": report.lost,
        "notes": report.notes,
        "not_checked": report.not_checked,
    })
}

/// What was pruned, or would be.
pub(crate) fn store_pruned(pruned: &StorePruned, dry_run: bool) -> Value {
    let report = &pruned.report;
    let run = |run: &raincoat_runtime::PrunedRun| json!({ "run": run.run.to_string(), "began": rfc3339(run.began), "goal": run.goal, "operations": run.ops });
    json!({
        "type": "pruned",
        "dry_run": dry_run,
        "rule": pruned.rule,
        "runs": report.runs.iter().map(run).collect::<Vec<_>>(),
        "versions": report.versions,
        "segments": report.segments,
        "bytes_before": report.before,
        "bytes_after": report.after,
        "too_young": { "runs": report.too_young.0, "bytes": report.too_young.1 },
    })
}

/// What a repair did.
pub(crate) fn store_repaired(repaired: &StoreRepaired) -> Value {
    json!({
        "type": "repaired",
        "sound": repaired.sound,
        "done": repaired.done,
        "lost": repaired.lost,
        "saved": repaired.saved,
    })
}

/// What a check of the log found.
pub(crate) fn audit(report: &AuditReport) -> Value {
    json!({
        "type": "audit",
        "sound": report.sound,
        "log_key": report.log_key,
        "entries": report.entries,
        "journal_records": report.journal_records,
        "erased": report.erased,
        "pruned": report.pruned,
        "problems": report.problems,
        "notes": report.notes,
        "checked": report.checked,
        "not_checked": report.not_checked,
    })
}

/// An erasure that was done.
pub(crate) fn erasure(done: &ErasureView) -> Value {
    json!({ "type": "erasure", "entries": done.entries, "slots": done.slots, "caveats": done.caveats })
}

/// Rules, holds, and what is pruned.
pub(crate) fn retention(retention: &RetentionView) -> Value {
    let rule = |(class, secs): &(&str, Option<u64>)| json!({ "class": class, "secs": secs });
    let hold = |hold: &HoldView| json!({ "hold": hold.number, "because": hold.because });
    json!({
        "type": "retention",
        "rules": retention.rules.iter().map(rule).collect::<Vec<_>>(),
        "holds": retention.holds.iter().map(hold).collect::<Vec<_>>(),
        "minimum": retention.minimum,
    })
}

/// What pruning did, or would do.
pub(crate) fn pruning(plan: &PruningView, dry: bool) -> Value {
    let stretch = |(class, until): &(&str, Timestamp)| json!({ "class": class, "until": rfc3339(*until) });
    json!({
        "type": "pruning",
        "dry_run": dry,
        "entries": plan.entries,
        "minimum": plan.minimum,
        "unreadable": plan.unreadable.iter().map(stretch).collect::<Vec<_>>(),
        "held": plan.held,
    })
}

/// A proof that was made.
pub(crate) fn proof(proof: &EntryProof) -> Value {
    json!({
        "type": "proof",
        "entry": proof.index,
        "line": proof.line,
        "size": proof.size,
        "cosigned": proof.cosigned,
        "log_key": proof.log_key,
        "file": proof.file,
    })
}

/// A proof that was checked; `need` witnesses must have cosigned.
pub(crate) fn proof_check(proof: &ProofCheck, need: usize) -> Value {
    let leaf: String = proof.leaf.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "type": "proof_check",
        "sound": proof.cosigned.len() >= need,
        "entry": proof.index,
        "origin": proof.origin,
        "size": proof.size,
        "leaf": leaf,
        "cosigned": proof.cosigned.iter().map(|(name, at)| json!({ "name": name, "at": rfc3339(*at) })).collect::<Vec<_>>(),
        "not_checked": proof.not_checked,
    })
}

/// A witness of this log.
pub(crate) fn witness(line: &WitnessLine) -> Value {
    json!({
        "type": "witness",
        "name": line.name,
        "place": line.place,
        "key": line.key,
        "state": witness_state(line.state),
        "cosigned": line.cosigned.map(|(entries, _)| entries),
        "at": line.cosigned.map(|(_, at)| rfc3339(at)),
        "words": line.words,
    })
}

/// A witness's state, by the word that stays the same.
pub(crate) fn witness_state(state: WitnessState) -> &'static str {
    match state {
        WitnessState::Never => "never",
        WitnessState::Agrees => "agrees",
        WitnessState::Late => "late",
        WitnessState::Disagrees => "disagrees",
    }
}

/// A witness that has begun to serve.
pub(crate) fn serving(server: &WitnessServer) -> Value {
    json!({
        "type": "serving",
        "url": format!("http://{}", server.address()),
        "key": server.key(),
        "logs": server.logs(),
    })
}

/// A provider.
pub(crate) fn provider(provider: &ProviderConfig) -> Value {
    json!({
        "type": "provider",
        "name": provider.name,
        "url": provider.base_url,
        "model": provider.model,
        "window": provider.window,
        "native_tools": match provider.native_tools {
            NativeTools::Auto => "auto",
            NativeTools::Yes => "yes",
            NativeTools::No => "no",
        },
        "key": provider.key,
    })
}

/// A provider's answer.
pub(crate) fn tested(name: &str, test: &ProviderTest) -> Value {
    json!({
        "type": "test",
        "name": name,
        "status": test.status,
        "models": test.models,
        "local": test.local,
        "message": test.message,
    })
}

/// A key, never what it is.
pub(crate) fn key(key: &KeyLine) -> Value {
    json!({
        "type": "key",
        "name": key.name,
        "version": key.version,
        "created": rfc3339(key.created),
        "hosts": key.hosts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use raincoat_types::{Actions, GrantId, Identity, OpId, RunId, Ulid};

    const TIME: Timestamp = Timestamp { secs: 1_795_258_800, nanos: 0 };

    fn run_id() -> RunId {
        RunId(Ulid::from_parts(1, 2))
    }

    fn a_grant(path: &[u8]) -> GrantRecord {
        GrantRecord {
            id: GrantId(Ulid::from_parts(1, 1)),
            path: path.to_vec(),
            identity: Identity { dev: 1, ino: 1, born: Timestamp::default() },
            actions: Actions::READING,
            until: Some(TIME),
            agent: Some("agent:a".into()),
            deny: vec!["*.key".into()],
            created: TIME,
            private: false,
            max_files: Some(5),
            max_bytes: None,
        }
    }

    fn an_op() -> OpLine {
        OpLine {
            op: OpId { run: run_id(), seq: 3 },
            verb: "move",
            path: "a".into(),
            to: Some("b".into()),
            before: Some(Digest([1; 32])),
            after: None,
            result: "done".into(),
            undone_by: None,
        }
    }

    #[test]
    fn a_grant_has_its_shape() {
        assert_eq!(
            grant(&a_grant(b"/home/u"), Timestamp::default()).to_string(),
            "{\"type\":\"grant\",\"id\":\"00000000010000000000000001\",\"path\":\"/home/u\",\"read_only\":true,\
             \"until\":\"2026-11-21T11:00:00Z\",\"ended\":false,\"agent\":\"agent:a\",\"deny\":[\"*.key\"],\
             \"created\":\"2026-11-21T11:00:00Z\",\"actions\":[\"read\",\"exec\",\"send\"],\"private\":false,\
             \"max_files\":5,\"max_bytes\":null}"
        );
    }

    #[test]
    fn a_path_that_is_no_text_has_its_bytes_too() {
        let value = grant(&a_grant(b"/h/\xff"), TIME);
        assert_eq!(value["path"], "/h/\u{fffd}");
        assert_eq!(value["path_bytes"], "2f682fff");
        assert_eq!(value["ended"], true);
    }

    #[test]
    fn an_operation_has_its_shape() {
        let value = op(&an_op());
        assert_eq!(value["op"], "00000000010000000000000002/3");
        assert_eq!(value["before"], "01".repeat(32));
        assert_eq!(value["to"], "b");
        assert!(value["after"].is_null() && value["undone_by"].is_null());
    }

    #[test]
    fn every_key_is_described() {
        let described = include_str!("../../../docs/json.md");
        let line = RunLine {
            run: run_id(),
            at: TIME,
            actor: "recipe:tidy".into(),
            goal: "tidy".into(),
            undo_of: None,
            status: RunStatus::Done,
            summary: String::new(),
            changes: 1,
            undone: 0,
        };
        let full = RunDetails { line, roots: vec![], plans: vec![("t".into(), 2, 1)], notes: vec![] };
        let diff = FileDiff {
            path: "a".into(),
            moved_to: None,
            verb: "replace",
            before: Some(b"a\n".to_vec()),
            after: Some(b"b\n".to_vec()),
            note: String::new(),
        };
        let ended = RunReport {
            run: run_id(),
            status: RunStatus::Done,
            summary: String::new(),
            changes: 1,
            failed: 0,
            refused: 0,
            peer_failed: false,
        };
        let taken_back = UndoReport {
            run: None,
            of: run_id(),
            steps: vec![],
            undone: 1,
            already: 0,
            runs: 1,
            conflicts: vec![raincoat_runtime::Conflict {
                op: OpId { run: run_id(), seq: 1 },
                path: "/in/a".into(),
                why: "changed".into(),
                by: None,
            }],
            left: 1,
            lost: 0,
            times: 1,
            stopped: false,
        };
        let values = [
            grant(&a_grant(b"\xff"), TIME),
            details(&full),
            op(&an_op()),
            file(&diff),
            report(&ended, "", Exit::Ok),
            undo(&taken_back, true, Exit::Conflict),
        ];
        for value in values {
            for key in value.as_object().unwrap().keys() {
                assert!(described.contains(&format!("`{key}`")), "docs/json.md does not describe `{key}`");
            }
        }
    }
}
