//! What each event says, in named fields. The names are those of `docs/formats/export.schema.json`, and the same thing has
//! the same name in every event.

use raincoat_types::{RunKind, RunStatus};

use super::fields::{Fields, Value};
use super::hex;
use crate::{Care, Class, Erasure, Event, Judgement};

/// Adds what an event says. Conversations with models stay: a transcript goes out by its digest.
pub(super) fn add(to: &mut Fields, event: &Event) {
    match event {
        Event::Newer { bytes } => to.number("bytes", *bytes),
        Event::Oversized { line, bytes, digest } => {
            to.text("text", line);
            to.number("bytes", *bytes);
            to.digest("digest", Some(*digest));
        }
        Event::Started { version, command } => {
            to.text("version", version);
            to.text("command", command);
        }
        Event::CommandStarted { version, command, user } => {
            to.text("version", version);
            to.text("command", command);
            to.text("user", user);
        }
        Event::CommandEnded { command, code, why } => {
            to.text("command", command);
            to.number("code", *code);
            to.text("reason", why);
        }
        Event::Stopped { why } | Event::Locked { why } => to.text("reason", why),

        Event::Unlocked { slot } | Event::KeySlotAdded { slot } | Event::KeySlotRemoved { slot } => {
            to.text("slot", slot);
        }
        Event::UnlockFailed { slot, failures } => {
            to.text("slot", slot);
            to.number("failures", *failures);
        }
        Event::UnlockRefused { slot, failures, last, why } => {
            to.text("slot", slot);
            to.number("failures", *failures);
            to.time("last", Some(*last));
            to.text("reason", why);
        }
        Event::PassphraseChanged => {}

        Event::GrantAdded { grant, path, read_only, until, agent, deny } => {
            to.id("grant", grant);
            to.path("path", path);
            to.flag("read_only", *read_only);
            to.time("until", *until);
            to.optional("agent", agent.as_ref());
            to.texts("deny", deny);
        }
        Event::GrantRevoked { grant } => to.id("grant", grant),
        Event::GrantTakenBack { grant, path, why } => {
            to.id("grant", grant);
            to.path("path", path);
            to.text("reason", why);
        }
        Event::ConfigChanged { setting, what } => {
            to.text("setting", setting);
            to.text("text", what);
        }
        Event::SettingChanged { setting, from, to: now } => {
            to.text("setting", setting);
            to.optional("from", from.as_ref());
            to.optional("now", now.as_ref());
        }
        Event::PolicyChanged { policy: setting, from, to: now }
        | Event::ModeChanged { mode: setting, from, to: now } => {
            to.text("setting", setting);
            to.text("from", from);
            to.text("now", now);
        }
        Event::KeyAdded { name } | Event::KeyRemoved { name } | Event::WitnessRemoved { name } => to.text("name", name),
        Event::CredentialAdded { name, version, hosts } => {
            to.text("name", name);
            to.number("key_version", *version);
            to.texts("hosts", hosts);
        }
        Event::ProviderAdded { name, url, model } => {
            to.text("provider", name);
            to.text("url", url);
            to.optional("model", model.as_ref());
        }

        Event::RunBegan { goal, kind, grants } => {
            to.text("goal", goal);
            run_kind(to, kind);
            to.put("grants", Value::Texts(grants.iter().map(ToString::to_string).collect()));
        }
        Event::RunEnded { status, summary } => {
            to.id("run_status", status_word(*status));
            to.text("text", summary);
        }
        Event::Recovered { run, what: text } | Event::StopAsked { run, how: text } => {
            to.id("of", run);
            to.text("text", text);
        }
        Event::RecoveryDone { run, finished, rolled_back } => {
            to.id("of", run);
            to.number("changes", *finished);
            to.number("rolled_back", *rolled_back);
        }

        Event::Proposed { action, targets, digest, verdict, rule, reason } => {
            to.text("verb", action);
            to.paths("targets", targets);
            to.digest("digest", *digest);
            to.id("verdict", verdict_word(*verdict));
            to.text("rule", rule);
            to.text("reason", reason);
        }
        Event::ApprovalAsked { digest, title, shown, steps } => {
            to.digest("digest", Some(*digest));
            to.text("title", title);
            to.text("shown", &shown.join("\n"));
            to.number("steps", *steps);
        }
        Event::ApprovalUsed { title, steps, scope } => {
            to.text("title", title);
            to.number("steps", *steps);
            to.text("scope", scope);
        }
        Event::Approved { digest, shown, scope, until } => {
            to.digest("digest", Some(*digest));
            to.text("shown", shown);
            to.text("scope", scope);
            to.time("until", *until);
        }
        Event::Declined { digest, shown, words } => {
            to.digest("digest", Some(*digest));
            to.text("shown", shown);
            to.text("reason", words);
        }

        Event::OpIntended { op, kind, places, before, undoes } => {
            to.id("op", op);
            to.places(*kind, places);
            to.digest("before", *before);
            if let Some(undoes) = undoes {
                to.id("undoes", undoes);
            }
        }
        Event::OpPlanned { op, kind, places, before, after, undoes } => {
            to.id("op", op);
            to.places(*kind, places);
            to.digest("before", *before);
            to.digest("after", *after);
            if let Some(undoes) = undoes {
                to.id("undoes", undoes);
            }
        }
        Event::OpMade { op, kind, places, before, after } => {
            to.id("op", op);
            to.places(*kind, places);
            to.digest("before", *before);
            to.digest("after", *after);
        }
        Event::OpDone { op, after } => {
            to.id("op", op);
            to.digest("after", *after);
        }
        Event::OpFailed { op, why } | Event::UndoRefused { op, why } => {
            to.id("op", op);
            to.text("reason", why);
        }
        Event::BackupSkipped { op, path, why } => {
            if let Some(op) = op {
                to.id("op", op);
            }
            to.path("path", path);
            to.text("reason", why);
        }
        Event::ReadDone { verb, target, bytes } => {
            to.text("verb", verb);
            to.path("path", target);
            to.number("bytes", *bytes);
        }
        Event::Looked { verb, target, places, bytes, items, digest } => {
            to.text("verb", verb);
            to.spots(places);
            to.path("path", target);
            to.paths("targets", std::slice::from_ref(target));
            to.number("bytes", *bytes);
            to.number("items", *items);
            to.digest("digest", Some(*digest));
        }
        Event::RestoreDone { path, at, to: place, files, failed } => {
            to.path("path", path);
            to.text("text", at);
            if let Some(place) = place {
                to.path("to", place);
            }
            to.number("changes", *files);
            to.number("failed", *failed);
        }
        Event::UndoDone { of, undone, left } => {
            to.id("of", of);
            to.number("changes", *undone);
            to.number("left", *left);
        }

        Event::ModelRequest { provider, model, bytes, digest } => {
            to.text("provider", provider);
            to.text("model", model);
            to.number("bytes", *bytes);
            to.digest("digest", Some(*digest));
        }
        Event::ModelAsked { provider, model, host, bytes, digest, redactions } => {
            to.text("provider", provider);
            to.text("model", model);
            to.text("host", host);
            to.number("bytes", *bytes);
            to.digest("digest", Some(*digest));
            to.number("redactions", *redactions);
        }
        Event::ModelReply { status, bytes, digest } => {
            to.number("status", *status);
            to.number("bytes", *bytes);
            to.digest("digest", Some(*digest));
        }
        Event::ModelAnswered { provider, status, bytes, digest, why } => {
            to.text("provider", provider);
            to.number("status", *status);
            to.number("bytes", *bytes);
            to.digest("digest", Some(*digest));
            to.text("reason", why);
        }
        Event::ModelUsed { provider, model, input, output, cost_micros, currency } => {
            to.text("provider", provider);
            to.text("model", model);
            to.number("input_tokens", *input);
            to.number("output_tokens", *output);
            if let Some(cost) = cost_micros {
                to.number("cost_micros", *cost);
            }
            to.optional("currency", currency.as_ref());
        }
        Event::TranscriptKept { from, request, part, parts, digest, text } => {
            to.text("from", from);
            to.number("request", *request);
            to.number("part", *part);
            to.number("parts", *parts);
            to.digest("digest", Some(*digest));
            to.number("bytes", text.len() as u64);
        }

        Event::ProgramStarted { program, arguments, digest, profile, hosts, limits } => {
            to.path("program", program);
            to.number("arguments", *arguments);
            to.digest("digest", Some(*digest));
            to.optional("profile", profile.as_ref());
            to.texts("hosts", hosts);
            to.text("limits", limits);
        }
        Event::ProgramEnded { code, ended_by, changes } => {
            to.id("exit_code", code);
            to.optional("reason", ended_by.as_ref());
            to.number("changes", *changes);
        }
        Event::ProgramRefused { call, detail, times, fix } => {
            to.text("verb", call);
            to.text("reason", detail);
            to.number("times", *times);
            to.text("fix", fix);
        }
        Event::NetworkOpened { host, port, address } => {
            to.text("host", host);
            to.number("port", *port);
            to.text("address", address);
        }
        Event::NetworkClosed { host, port, sent, received } => {
            to.text("host", host);
            to.number("port", *port);
            to.number("sent", *sent);
            to.number("received", *received);
        }
        Event::NetworkRefused { host, port, why, times } => {
            to.text("host", host);
            to.number("port", *port);
            to.text("reason", why);
            to.number("times", *times);
        }
        Event::DraftKept { of, changes, dangerous, conflicts } => {
            to.id("of", of);
            to.number("changes", *changes);
            to.number("dangerous", *dangerous);
            to.number("conflicts", *conflicts);
        }
        Event::DraftDiscarded { of, why } => {
            to.id("of", of);
            to.text("reason", why);
        }
        Event::CommitDone { of, changes, left_out, conflicts } => {
            to.id("of", of);
            to.number("changes", *changes);
            to.number("left", *left_out);
            to.number("conflicts", *conflicts);
        }

        Event::StorePruned { rule, runs, versions, bytes } => {
            to.text("rule", rule);
            to.number("runs", *runs);
            to.number("versions", *versions);
            to.number("bytes", *bytes);
        }
        Event::StoreRepaired { what, saved, lost } => {
            to.text("text", what);
            to.number("saved", *saved);
            to.number("lost", *lost);
        }
        Event::StoreVerified { deep, records, problems } => {
            to.flag("deep", *deep);
            to.number("records", *records);
            to.number("problems", *problems);
        }
        Event::BudgetReached { budget, used, what } => {
            to.number("budget", *budget);
            to.number("bytes", *used);
            to.text("text", what);
        }
        Event::StorageFailed { what, why } => {
            to.text("text", what);
            to.text("reason", why);
        }
        Event::WitnessAdded { name, key, address } => {
            to.text("name", name);
            // A public key looks like a secret.
            to.id("verifier_key", raincoat_types::display_text(key));
            to.text("address", address);
        }
        Event::WitnessCosigned { name, size, root } => {
            to.text("name", name);
            to.number("size", *size);
            to.id("root", hex(root));
        }
        Event::WitnessDisagreed { name, size, why } => {
            to.text("name", name);
            to.number("size", *size);
            to.text("reason", why);
        }
        Event::WitnessFailed { name, why } => {
            to.text("name", name);
            to.text("reason", why);
        }
        Event::LogVerified { entries, deep, problems, unchecked } => {
            to.number("entries", *entries);
            to.flag("deep", *deep);
            to.number("problems", *problems);
            to.texts("unchecked", unchecked);
        }
        Event::TamperingFound { place, what } => {
            to.text("place", place);
            to.text("text", what);
        }
        Event::ProofGiven { entry, size } => {
            to.number("entry", *entry);
            to.number("size", *size);
        }
        Event::ExportStarted { format, to: place, first } => {
            to.text("format", format);
            to.text("address", place);
            to.number("entry", *first);
        }
        Event::ExportStopped { format, to: place, entries, why } => {
            to.text("format", format);
            to.text("address", place);
            to.number("entries", *entries);
            to.text("reason", why);
        }
        Event::ExportDeadLettered { to: place, entry, why } => {
            to.text("address", place);
            to.number("entry", *entry);
            to.text("reason", why);
        }
        Event::AccessGranted { what, to: whom } => {
            to.text("text", what);
            to.text("whom", whom);
        }
        Event::AccessRefused { what, to: whom, rule, reason } => {
            to.text("text", what);
            to.text("whom", whom);
            to.text("rule", rule);
            to.text("reason", reason);
        }
        Event::ProtectionMissing { layer, why } => {
            to.text("layer", layer);
            to.text("reason", why);
        }
        Event::Notice { text } => to.text("text", text),
        Event::Care(care) => add_care(to, care),
        // A tombstone: that it was there is all that is left.
        Event::Erased { .. } => {}
    }
}

fn add_care(to: &mut Fields, care: &Care) {
    let numbers = |slots: &[u32]| Value::Texts(slots.iter().map(u32::to_string).collect());
    match care {
        Care::Erased { slots, by } => {
            to.put("slots", numbers(slots));
            to.id("reason", if *by == Erasure::Asked { "a person asked for it" } else { "retention" });
        }
        Care::Kept { class, secs } => {
            to.id("setting", Class::of_number(*class).map_or("unknown", Class::name));
            if let Some(secs) = secs {
                to.number("secs", *secs);
            }
        }
        Care::Held { hold, slots, because } => {
            to.number("hold", *hold);
            to.put("slots", numbers(slots));
            to.text("reason", because);
        }
        Care::Released { hold } => to.number("hold", *hold),
        Care::Pruned { minimum } => to.number("entry", *minimum),
        Care::Accepted { said } => to.texts("unchecked", said),
    }
}

fn run_kind(to: &mut Fields, kind: &RunKind) {
    let (word, of) = match kind {
        RunKind::Task => ("task", None),
        RunKind::Program => ("program", None),
        RunKind::Undo { of, .. } => ("undo", Some(of)),
        RunKind::Commit { of } => ("commit", Some(of)),
        RunKind::Restore => ("restore", None),
    };
    to.id("run_kind", word);
    if let Some(of) = of {
        to.id("of", of);
    }
}

fn verdict_word(verdict: Judgement) -> &'static str {
    match verdict {
        Judgement::Allow => "allow",
        Judgement::Ask => "ask",
        Judgement::Deny => "deny",
        Judgement::Fail => "fail",
    }
}

fn status_word(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Open => "open",
        RunStatus::Done => "done",
        RunStatus::Stopped => "stopped",
        RunStatus::Failed => "failed",
        RunStatus::Interrupted => "interrupted",
    }
}

/// The paths that an event names, as bytes: those of changes beneath their folder.
pub fn paths_of(event: &Event) -> Vec<&[u8]> {
    match event {
        Event::GrantAdded { path, .. }
        | Event::GrantTakenBack { path, .. }
        | Event::BackupSkipped { path, .. }
        | Event::ReadDone { target: path, .. }
        | Event::ProgramStarted { program: path, .. } => vec![&path.0],
        Event::RestoreDone { path, to, .. } => std::iter::once(path).chain(to).map(|path| path.0.as_slice()).collect(),
        Event::Proposed { targets, .. } => targets.iter().map(|path| path.0.as_slice()).collect(),
        Event::OpIntended { places, .. } | Event::OpPlanned { places, .. } | Event::OpMade { places, .. } => {
            places.iter().map(|spot| spot.path.as_bytes()).collect()
        }
        Event::Looked { target, places, .. } => {
            let found = places.iter().map(|spot| spot.path.as_bytes());
            std::iter::once(target.0.as_slice()).chain(found).collect()
        }
        _ => Vec::new(),
    }
}

/// What was decided by an event, as `--verdict` takes it: `allow`, `ask`, `deny` or `fail`.
pub fn verdict_of(event: &Event) -> Option<&'static str> {
    match event {
        Event::Proposed { verdict, .. } => Some(verdict_word(*verdict)),
        Event::Approved { .. } | Event::ApprovalUsed { .. } | Event::AccessGranted { .. } => Some("allow"),
        Event::ApprovalAsked { .. } => Some("ask"),
        Event::Declined { .. }
        | Event::ProgramRefused { .. }
        | Event::NetworkRefused { .. }
        | Event::AccessRefused { .. } => Some("deny"),
        _ => None,
    }
}
