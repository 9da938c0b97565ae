//! Outcomes in words for a model: short and precise.

use raincoat_types::wire::JobRoot;
use raincoat_types::{DirEntry, Failure, FailureKind, FileKind, FileRead, ReadDone, Refusal, Timestamp, display_bytes};

use super::paths::show;

/// A refusal.
pub(crate) fn refused(refusal: &Refusal) -> String {
    format!("refused ({}): {}", refusal.rule, refusal.message)
}

/// A failure.
pub(crate) fn failed(failure: &Failure) -> String {
    let partly = if failure.done.is_empty() { "" } else { " (part of it was done)" };
    format!("failed ({}){partly}: {}", kind(failure.kind), failure.message)
}

fn kind(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::NotFound => "not found",
        FailureKind::Exists => "exists already",
        FailureKind::WrongKind => "wrong kind of file",
        FailureKind::Changed => "changed by someone else",
        FailureKind::Denied => "denied by the system",
        FailureKind::Full => "no space",
        FailureKind::Limit => "over a limit",
        FailureKind::Outside => "outside the folder",
        FailureKind::Invalid => "invalid",
        FailureKind::Network => "network",
        FailureKind::Broken => "disk or store failed",
        FailureKind::Stopped => "stopped",
    }
}

/// What a look found, in at most about `room` bytes; and in a few words for the record.
pub(crate) fn found(asked: &FileRead, done: &ReadDone, roots: &[JobRoot], room: usize) -> (String, String) {
    let root = asked.place().root;
    match done {
        ReadDone::List { entries, more } => {
            let skipped = if let FileRead::List { skip, .. } = asked { *skip } else { 0 };
            let lines = entries.iter().map(|entry| line(root, entry, roots));
            let (text, shown) = fit(lines, room);
            let total = entries.len();
            let rest = match (shown < total, *more) {
                (false, false) => String::new(),
                (cut, _) => {
                    let next = skipped + if cut { shown } else { total } as u64;
                    format!("(more follow: go on with skip={next})\n")
                }
            };
            let text = if total == 0 { "(empty)\n".to_owned() } else { text };
            (format!("{text}{rest}"), format!("{total} entries"))
        }
        ReadDone::Stat(entry) => {
            let meta = &entry.meta;
            let (mode, links) = (meta.mode, meta.nlink);
            let text = format!("{}  mode {mode:o}  {links} link(s)\n", line(root, entry, roots));
            (text, format!("{} bytes", meta.size))
        }
        ReadDone::Hash(digest) => (format!("{digest}\n"), digest.hex().chars().take(12).collect()),
        ReadDone::Search { matches, more } => {
            let lines = matches.iter().map(|found| {
                format!(
                    "{}:{}: {}",
                    show(roots, root, found.path.as_bytes()),
                    found.line,
                    String::from_utf8_lossy(&found.text)
                )
            });
            let (text, shown) = fit(lines, room);
            let cut = *more || shown < matches.len();
            let rest = if cut { "(more match: search for something narrower)\n" } else { "" };
            let text = if matches.is_empty() { "(no match)\n".to_owned() } else { text };
            (format!("{text}{rest}"), format!("{} match(es)", matches.len()))
        }
        ReadDone::Bytes { bytes, .. } => {
            (String::from_utf8_lossy(bytes).into_owned(), format!("{} bytes", bytes.len()))
        }
    }
}

fn line(root: u16, entry: &DirEntry, roots: &[JobRoot]) -> String {
    let name = show(roots, root, entry.path.as_bytes());
    let date = date(entry.meta.mtime);
    match (entry.kind(), &entry.target) {
        (FileKind::Dir, _) => format!("{name}/  {date}"),
        (FileKind::File, _) => format!("{name}  {} bytes  {date}", entry.meta.size),
        (FileKind::Symlink, Some(target)) => format!("{name} -> {}", display_bytes(target)),
        (FileKind::Symlink, None) => format!("{name}  (a symlink)"),
        (FileKind::Special, _) => format!("{name}  (a device, socket or FIFO: it cannot be opened)"),
    }
}

fn fit(lines: impl Iterator<Item = String>, room: usize) -> (String, usize) {
    let mut out = String::new();
    let mut shown = 0;
    for line in lines {
        if shown > 0 && out.len() + line.len() >= room {
            break;
        }
        out.push_str(&line);
        out.push('\n');
        shown += 1;
    }
    (out, shown)
}

/// The day, `YYYY-MM-DD` in UTC (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
pub(crate) fn date(at: Timestamp) -> String {
    let days = at.secs.div_euclid(86_400).saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_right_before_and_after_1970() {
        for (secs, day) in
            [(0, "1970-01-01"), (-1, "1969-12-31"), (951_782_400, "2000-02-29"), (1_795_219_200, "2026-11-21")]
        {
            assert_eq!(date(Timestamp { secs, nanos: 0 }), day);
        }
        let _ = date(Timestamp { secs: i64::MIN, nanos: 0 });
        let _ = date(Timestamp { secs: i64::MAX, nanos: 0 });
    }

    #[test]
    fn a_long_list_is_cut_at_a_line_and_says_how_to_go_on() {
        let (text, shown) = fit((0..100).map(|n| format!("file-{n:03}")), 100);
        assert_eq!((shown, text.lines().count()), (11, 11));
    }
}
