//! An event in words, for people.

use raincoat_types::{ChangeKind, Digest, RawPath, RunKind, RunStatus, Spot, display_text};

use super::{Event, Judgement};
use crate::Erasure;

/// Characters of a line.
pub(super) const LINE: usize = 400;

impl Event {
    /// The event in one line, with nothing in it that hides, moves or colours text on a terminal. At most 400
    /// characters.
    pub fn one_line(&self) -> String {
        // Paths in it are made visible already, each where it is put in.
        let line = display_text(&self.words()).replace(['\n', '\t'], " ");
        match line.char_indices().nth(LINE) {
            Some((cut, _)) => format!("{}...", line.get(..cut).unwrap_or_default()),
            None => line,
        }
    }

    /// The event in words, as long as they come.
    fn words(&self) -> String {
        match self {
            Event::Newer { bytes } => format!("an event of a newer version ({bytes} bytes)"),
            Event::Oversized { line, bytes, digest } => format!("{line} (too long: {bytes} bytes, digest {digest})"),
            Event::Started { version, command } => format!("started raincoat {version}: {command}"),
            Event::Stopped { why } => format!("stopped: {why}"),
            Event::Unlocked { slot } => format!("unlocked by {slot}"),
            Event::UnlockFailed { slot, failures } => format!("could not unlock by {slot} ({failures} in a row)"),
            Event::GrantAdded { grant, path, read_only, until, agent, deny } => {
                let mut out = format!("granted {} as {grant}", text(path));
                for (set, words) in [
                    (*read_only, "read only".to_owned()),
                    (until.is_some(), "for a time".to_owned()),
                    (agent.is_some(), format!("for {}", agent.as_deref().unwrap_or_default())),
                    (!deny.is_empty(), format!("but not {}", deny.join(", "))),
                ] {
                    if set {
                        out = format!("{out}, {words}");
                    }
                }
                out
            }
            Event::GrantRevoked { grant } => format!("revoked grant {grant}"),
            Event::ConfigChanged { setting, what } => format!("configuration {setting}: {what}"),
            Event::KeyAdded { name } => format!("key {name} added"),
            Event::KeyRemoved { name } => format!("key {name} removed"),
            Event::ProviderAdded { name, url, model } => {
                format!("provider {name} at {url}{}", model.as_ref().map(|m| format!(", {m}")).unwrap_or_default())
            }
            Event::RunBegan { goal, kind: RunKind::Task, .. } => format!("run began: {goal}"),
            Event::RunBegan { goal, kind: RunKind::Undo { of, .. }, .. } => format!("undo of {of} began: {goal}"),
            Event::RunBegan { goal, kind: RunKind::Program, .. } => format!("program began in a draft: {goal}"),
            Event::RunBegan { goal, kind: RunKind::Restore, .. } => format!("restore began: {goal}"),
            Event::RunBegan { goal, kind: RunKind::Commit { of }, .. } => format!("commit of {of} began: {goal}"),
            Event::RunEnded { status, summary } => format!("run ended ({}): {summary}", status_word(*status)),
            Event::Proposed { action, targets, verdict, rule, reason, .. } => {
                let word = match verdict {
                    Judgement::Allow => "allowed",
                    Judgement::Ask => "asked about",
                    Judgement::Deny => "denied",
                    Judgement::Fail => "came to nothing",
                };
                format!("{word}: {action} {} ({rule}: {reason})", list(targets.iter().map(text)))
            }
            Event::Approved { scope, shown, .. } => format!("approved for {scope}: {shown}"),
            Event::Declined { shown, words, .. } => format!("declined: {shown} ({words})"),
            Event::OpIntended { op, kind, places, undoes, .. } => {
                let back = undoes.map(|op| format!(", taking back {op}")).unwrap_or_default();
                format!("{op} to {} {}{back}", kind_word(*kind), list(places.iter().map(spot)))
            }
            Event::OpDone { op, after } => {
                format!("{op} done{}", after.map(|digest| format!(", blake3 {digest}")).unwrap_or_default())
            }
            Event::OpFailed { op, why } => format!("{op} not done: {why}"),
            Event::ReadDone { verb, target, bytes } => format!("{verb} {} ({bytes} bytes)", text(target)),
            Event::ModelRequest { provider, model, bytes, digest } => {
                format!("sent {bytes} bytes to {model} at {provider}, blake3 {digest}")
            }
            Event::ModelReply { status, bytes, digest } => {
                format!("model answered {status} with {bytes} bytes, blake3 {digest}")
            }
            Event::Recovered { run, what } => format!("run {run} recovered: {what}"),
            Event::UndoRefused { op, why } => format!("{op} not taken back: {why}"),
            Event::ProtectionMissing { layer, why } => format!("protection missing: {layer} ({why})"),
            Event::Notice { text } => text.clone(),
            Event::CommandStarted { version, command, user } => {
                format!("`{command}` started by {user}, raincoat {version}")
            }
            Event::CommandEnded { command, code, why } => format!("`{command}` ended with {code}{}", because(why)),
            Event::UnlockRefused { slot, failures, why, .. } => {
                format!("could not be unlocked by {slot}: {why} ({failures} in a row)")
            }
            Event::Locked { why } => format!("locked: {why}"),
            Event::KeySlotAdded { slot } => format!("{slot} opens the keys from now on"),
            Event::KeySlotRemoved { slot } => format!("{slot} opens the keys no more"),
            Event::PassphraseChanged => "passphrase changed".to_owned(),
            Event::CredentialAdded { name, version, hosts } => {
                format!("key {name} added, version {version}, for {}", or_nobody(hosts))
            }
            Event::SettingChanged { setting, from, to } => {
                format!("setting {setting}: {} -> {}", or_unset(from.as_ref()), or_unset(to.as_ref()))
            }
            Event::PolicyChanged { policy, from, to } => format!("policy {policy}: {from} -> {to}"),
            Event::ModeChanged { mode, from, to } => format!("mode {mode}: {from} -> {to}"),
            Event::GrantTakenBack { grant, path, why } => {
                format!("took {} back, granted as {grant}{}", text(path), because(why))
            }
            Event::ApprovalAsked { title, steps, .. } => format!("asked to approve: {title} ({steps} steps)"),
            Event::ApprovalUsed { title, steps, scope } => {
                format!("went ahead by an earlier word ({scope}): {title} ({steps} steps)")
            }
            Event::OpPlanned { op, kind, places, undoes, .. } => {
                let back = undoes.map(|op| format!(", taking back {op}")).unwrap_or_default();
                format!("{op} to {} {}{back}", kind_word(*kind), list(places.iter().map(spot)))
            }
            Event::OpMade { op, kind, places, before, after } => {
                let from = before.map(|digest| format!(", before blake3 {}", short(&digest))).unwrap_or_default();
                let to = after.map(|digest| format!(", now blake3 {}", short(&digest))).unwrap_or_default();
                format!("{op} done: {} {}{from}{to}", kind_word(*kind), list(places.iter().map(spot)))
            }
            Event::BackupSkipped { path, why, .. } => format!("changed without a backup: {} ({why})", text(path)),
            Event::Looked { verb, target, bytes, items, digest, .. } => {
                format!("{verb} {} ({bytes} bytes, {items} items, blake3 {})", text(target), short(digest))
            }
            Event::ModelAsked { provider, model, host, bytes, digest, redactions } => {
                let out = if *redactions == 0 { String::new() } else { format!(", {redactions} pieces taken out") };
                format!("sending {bytes} bytes to {model} at {provider} ({host}){out}, blake3 {digest}")
            }
            Event::ModelAnswered { provider, status, bytes, why, .. } => {
                format!("model answered {status} with {bytes} bytes, from {provider}{}", because(why))
            }
            Event::ModelUsed { provider, model, input, output, cost_micros, currency } => {
                let cost = match (cost_micros, currency) {
                    (Some(micros), Some(currency)) => {
                        format!(", {}.{:06} {currency}", micros / 1_000_000, micros % 1_000_000)
                    }
                    _ => String::new(),
                };
                format!("{model} at {provider} used {input} + {output} tokens{cost}")
            }
            Event::TranscriptKept { from, request, part, parts, text, .. } => {
                format!("{from} {request}, piece {part} of {parts} ({} bytes)", text.len())
            }
            Event::ProgramStarted { program, arguments, limits, hosts, .. } => {
                format!(
                    "program {} with {arguments} arguments; hosts: {}; limits: {limits}",
                    text(program),
                    or_nobody(hosts)
                )
            }
            Event::ProgramEnded { code, ended_by, changes } => {
                let why = ended_by.as_deref().map(because).unwrap_or_default();
                format!("program ended with {code}{why}; {changes} changes in its draft")
            }
            Event::ProgramRefused { call, detail, times, .. } => {
                format!("denied: {call} (sandbox: {detail}){}", often(*times))
            }
            Event::NetworkOpened { host, port, address } => format!("connected to {host}:{port} at {address}"),
            Event::NetworkClosed { host, port, sent, received } => {
                format!("connection to {host}:{port} closed, {sent} bytes sent, {received} received")
            }
            Event::NetworkRefused { host, port, why, times } => {
                format!("denied: connect {host}:{port} (sandbox: {why}){}", often(*times))
            }
            Event::DraftKept { of, changes, dangerous, conflicts } => format!(
                "draft of run {of} kept: {changes} changes, {dangerous} under protected names, {conflicts} conflicts"
            ),
            Event::DraftDiscarded { of, why } => format!("the draft of run {of} was thrown away{}", because(why)),
            Event::CommitDone { of, changes, left_out, conflicts } => {
                format!("commit of {of}: {changes} changes, {left_out} left out, {conflicts} conflicts")
            }
            Event::UndoDone { of, undone, left } => format!("undo of {of}: {undone} taken back, {left} left"),
            Event::RestoreDone { path, at, to, files, failed } => {
                let to = to.as_ref().map(|to| format!(" to {}", text(to))).unwrap_or_default();
                format!("restored {} as of {at}{to}: {files} files, {failed} failed", text(path))
            }
            Event::StorePruned { rule, runs, versions, bytes } => {
                format!("store pruned by {rule}: {versions} versions of {runs} runs, {bytes} bytes")
            }
            Event::StoreRepaired { what, saved, lost } => {
                format!("store repaired: {what}; {saved} records saved, {lost} lost")
            }
            Event::StoreVerified { deep, records, problems } => {
                format!("store verified{}: {records} records, {problems} problems", if *deep { " deeply" } else { "" })
            }
            Event::BudgetReached { budget, used, what } => {
                format!("store budget of {budget} bytes reached ({used} used): {what}")
            }
            Event::StorageFailed { what, why } => format!("storage failed: {what} ({why})"),
            Event::StopAsked { run, how } => format!("run {run} asked to stop: {how}"),
            Event::RecoveryDone { run, finished, rolled_back } => {
                format!("run {run} settled: {finished} operations stand, {rolled_back} taken back")
            }
            Event::WitnessAdded { name, address, .. } => format!("witness {name} added at {address}"),
            Event::WitnessRemoved { name } => format!("witness {name} removed"),
            Event::WitnessCosigned { name, size, .. } => format!("witness {name} cosigned the log at {size}"),
            Event::WitnessDisagreed { name, size, why } => {
                format!("witness {name} disagrees; it saw {size} entries: {why}")
            }
            Event::WitnessFailed { name, why } => format!("witness {name} could not be asked: {why}"),
            Event::LogVerified { entries, deep, problems, unchecked } => {
                let not = if unchecked.is_empty() { String::new() } else { format!("; not: {}", unchecked.join(", ")) };
                let deep = if *deep { " deeply" } else { "" };
                format!("log verified{deep}: {entries} entries, {problems} problems{not}")
            }
            Event::TamperingFound { place, what } => format!("tampering found in {place}: {what}"),
            Event::ProofGiven { entry, size } => format!("proof of entry {entry} in a tree of {size} given"),
            Event::ExportStarted { format, to, first } => format!("export as {format} to {to} from entry {first} on"),
            Event::ExportStopped { format, to, entries, why } => {
                format!("export as {format} to {to} ended after {entries} entries{}", because(why))
            }
            Event::ExportDeadLettered { to, entry, why } => format!("entry {entry} not taken by {to}: {why}"),
            Event::AccessGranted { what, to } => format!("handed out: {what}, to {to}"),
            Event::Care(care) => care.words(),
            Event::Erased { by: Erasure::Asked, .. } => "erased, as a person asked".to_owned(),
            Event::Erased { by: Erasure::Retention, .. } => "erased, when its time was over".to_owned(),
            Event::AccessRefused { what, to, rule, reason } => {
                format!("not handed out: {what}, to {to} ({rule}: {reason})")
            }
        }
    }
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(" ({why})") }
}

fn often(times: u64) -> String {
    if times > 1 { format!(", {times} times") } else { String::new() }
}

fn or_nobody(hosts: &[String]) -> String {
    if hosts.is_empty() { "none".to_owned() } else { hosts.join(", ") }
}

fn or_unset(value: Option<&String>) -> &str {
    value.map_or("not set", String::as_str)
}

/// Enough of a digest to tell two apart by eye; the whole stands in the entry.
fn short(digest: &Digest) -> String {
    digest.to_string().chars().take(16).collect()
}

/// Unsafe characters are made visible once, for the whole line.
fn text(path: &RawPath) -> String {
    path.0.utf8_chunks().fold(String::new(), |mut out, part| {
        out.push_str(part.valid());
        for byte in part.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
        out
    })
}

fn spot(spot: &Spot) -> String {
    let path = spot.path.display();
    if path.is_empty() { ".".to_owned() } else { path }
}

fn list(items: impl Iterator<Item = String>) -> String {
    const SHOWN: usize = 4;
    let items: Vec<String> = items.collect();
    match items.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{} and {more} more", items.get(..SHOWN).unwrap_or_default().join(" ")),
        _ => items.join(" "),
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

fn kind_word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Create => "create",
        ChangeKind::Replace => "replace",
        ChangeKind::Remove => "remove",
        ChangeKind::Move => "move",
        ChangeKind::Link => "link",
        ChangeKind::SetMeta => "set the metadata of",
    }
}
