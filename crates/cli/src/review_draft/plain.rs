//! The changes without a screen: a list as `git status` has it, the differences after it, and JSON.

use serde_json::{Map, Value, json as value};

use super::look::{Kind, Look};
use super::model::{Content, Entry, Source};
use crate::json::put_path;
use crate::out::{Out, Style};
use crate::view::{size, visible};

/// Prints the changes as text, in the order of their paths; with their differences where `diff`.
pub(crate) fn print(source: &mut dyn Source, out: &mut Out, diff: bool) {
    let style = out.style;
    lines(source, style, diff, &mut |text| {
        out.line(text);
        !out.gone()
    });
}

/// Gives the changes as lines of text, in the order of their paths; with their differences where `diff`. `line` takes
/// each and says whether anybody still reads.
pub(super) fn lines(source: &mut dyn Source, style: Style, diff: bool, line: &mut dyn FnMut(&str) -> bool) {
    let mut folder = None;
    for n in order(source.entries()) {
        let Some(entry) = source.entries().get(n).cloned() else { continue };
        if folder != Some(entry.folder) {
            folder = Some(entry.folder);
            let path = source.folders().get(entry.folder).map(|path| raincoat_types::display_bytes(path));
            line(&style.bold(&format!("{}:", path.unwrap_or_default())));
        }
        if !line(&entry_line(&entry, style)) {
            return;
        }
        if diff {
            differences(&entry, &Look::new(&entry, &source.open(n)), style, line);
        }
    }
    line(&totals(source.entries()));
}

fn order(entries: &[Entry]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|n| entries.get(*n).map(|entry| (entry.folder, &entry.path)));
    order
}

fn entry_line(entry: &Entry, style: Style) -> String {
    let slash = if entry.is_folder || entry.was_folder { "/" } else { "" };
    let mut line = format!("  {}{} {}{slash}", entry.mark.letter(), entry.flag(), entry.path.display());
    let (before, after) = (entry.size_before.unwrap_or(0), entry.size_after.unwrap_or(0));
    match before.cmp(&after) {
        std::cmp::Ordering::Equal => {}
        std::cmp::Ordering::Less => line.push_str(&format!("  +{}", size::bytes(after - before))),
        std::cmp::Ordering::Greater => line.push_str(&format!("  -{}", size::bytes(before - after))),
    }
    let why =
        |words: &str, why: &Option<String>| why.as_ref().map(|why| format!("  {words}: {}", visible::single(why)));
    let reasons =
        [why("special", &entry.special), why("conflict", &entry.conflict), why("dangerous", &entry.dangerous)];
    for reason in reasons.into_iter().flatten() {
        line.push_str(&style.yellow(&reason));
    }
    line
}

fn differences(entry: &Entry, look: &Look, style: Style, out: &mut dyn FnMut(&str) -> bool) {
    let reasons = [&entry.special, &entry.conflict, &entry.dangerous].into_iter().flatten().count();
    // Why it is flagged stands in its line already.
    for line in look.lines.iter().skip(reasons) {
        let text = match line.kind {
            Kind::Old => style.red(&line.text),
            Kind::New => style.green(&line.text),
            Kind::Hunk(_) => style.cyan(&line.text),
            Kind::Aside => style.dim(&line.text),
            Kind::Warning => style.yellow(&line.text),
            Kind::Plain => line.text.clone(),
        };
        out(&text);
    }
}

fn totals(entries: &[Entry]) -> String {
    let mut words = vec![size::of(entries.len() as u64, "change", "changes")];
    for (flag, what) in [('!', "dangerous"), ('C', "in conflict"), ('S', "special")] {
        let count = entries.iter().filter(|entry| entry.flag() == flag).count();
        if count > 0 {
            words.push(format!("{} {what}", size::count(count as u64)));
        }
    }
    words.join(", ")
}

/// The nth change as JSON (`change` in docs/json.md). `None` where there is no such change.
pub(crate) fn json(source: &mut dyn Source, n: usize) -> Option<Value> {
    let entry = source.entries().get(n).cloned()?;
    let folder = source.folders().get(entry.folder).cloned().unwrap_or_default();
    let opened = source.open(n);
    let look = Look::new(&entry, &opened);
    let digest = |before: bool| match &opened.content {
        Content::Binary { before: Some(blob), .. } if before => Some(blob.digest.clone()),
        Content::Binary { after: Some(blob), .. } if !before => Some(blob.digest.clone()),
        _ => None,
    };
    let note = match &opened.content {
        Content::Unreadable(why) => why.as_str(),
        Content::Binary { .. } => "not text, or too large to be shown",
        _ => "",
    };
    let mut out = Map::new();
    out.insert("type".to_owned(), "change".into());
    out.insert("folder".to_owned(), String::from_utf8_lossy(&folder).into());
    put_path(&mut out, entry.path.as_bytes());
    let rest = value!({
        "change": entry.mark.word(),
        "is_folder": entry.is_folder,
        "was_folder": entry.was_folder,
        "size_before": entry.size_before,
        "size_after": entry.size_after,
        "digest_before": digest(true),
        "digest_after": digest(false),
        "dangerous": entry.dangerous,
        "conflict": entry.conflict,
        "special": entry.special,
        "words": opened.words,
        "diff": look.unified(),
        "note": note,
    });
    if let Value::Object(rest) = rest {
        out.extend(rest);
    }
    Some(Value::Object(out))
}
