//! `audit tail`, `search`, `show`, `timeline`.

use clap::Args;
use raincoat_runtime::{AuditLine, EntryDetails, EntryFilter, FieldValue, Keeper, TimelineStep};
use raincoat_types::display_text;

use crate::app::App;
use crate::error::Result;
use crate::exit::Exit;
use crate::view::{size, visible};
use crate::{json, signals, time};

/// What to look for. All that is given must hold.
#[derive(Args, Clone, Debug)]
pub(crate) struct Search {
    /// Words that an entry's line has in it, in whichever case
    pub(crate) text: Option<String>,
    #[command(flatten)]
    pub(crate) which: Which,
    /// By whom: person, agent, agent:NAME, recipe:NAME, program:NAME
    #[arg(long, value_name = "ACTOR")]
    pub(crate) actor: Option<String>,
    /// With this in a path
    #[arg(long, value_name = "TEXT")]
    pub(crate) path: Option<String>,
    /// With this verdict
    #[arg(long, value_name = "WORD", value_parser = ["allow", "ask", "deny", "fail"])]
    pub(crate) verdict: Option<String>,
    /// At most so many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
}

/// Which entries, for searching and handing out.
#[derive(Args, Clone, Debug)]
pub(crate) struct Which {
    /// Of this run (its id or its beginning)
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// Of this kind: op.made, or op for all of its sort (`audit search` shows them)
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// Not before this: a span back from now (2h, 7d), a day or a time
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Not after this
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
}

impl Which {
    /// The filter that this comes to.
    pub(crate) fn filter(&self, app: &mut App, keeper: &Keeper) -> Result<EntryFilter> {
        let run = match &self.run {
            Some(run) => Some(keeper.run_in_log(run, &mut |line| app.out.aside(line))?),
            None => None,
        };
        let now = time::now();
        let since = self.since.as_deref().map(|text| time::past("--since", text, &now, false)).transpose()?;
        let until = self.until.as_deref().map(|text| time::past("--until", text, &now, true)).transpose()?;
        Ok(EntryFilter { run, kind: self.kind.clone(), since, until, ..EntryFilter::default() })
    }
}

/// `raincoat audit tail`.
pub(crate) fn tail(app: &mut App, limit: u64, follow: bool) -> Result<Exit> {
    let keeper = app.keeper()?;
    let newest = keeper.audit_tail(limit)?;
    app.hand_out(&keeper, &format!("the log's last {limit} entries"));
    let next = newest.last().map_or(0, |line| line.index + 1);
    newest.iter().for_each(|line| print(app, line));
    if !follow {
        return Ok(Exit::Ok);
    }
    let stop = signals::listening()?;
    app.out.flush();
    keeper.audit_follow(next, &stop, &mut |line| {
        print(app, &line);
        app.out.flush();
        !app.out.gone()
    })?;
    Ok(Exit::Ok)
}

/// `raincoat audit search`.
pub(crate) fn search(app: &mut App, args: &Search) -> Result<Exit> {
    let keeper = app.keeper()?;
    let filter = EntryFilter {
        text: args.text.clone(),
        actor: args.actor.clone(),
        path: args.path.clone(),
        verdict: args.verdict.clone(),
        ..args.which.filter(app, &keeper)?
    };
    let mut found = 0;
    let read = keeper.audit_search(&filter, args.limit, &mut |line| {
        found += 1;
        print(app, &line);
    })?;
    if found == 0 {
        app.out.aside(&format!("nothing of that is in {}", size::of(read, "entry", "entries")));
    } else if found == args.limit {
        app.out.aside(&format!("these are the newest {found}; `-n` shows more"));
    }
    Ok(Exit::Ok)
}

/// `raincoat audit show`.
pub(crate) fn show(app: &mut App, entry: u64) -> Result<Exit> {
    let details = app.keeper()?.audit_entry(entry)?;
    if app.out.json {
        app.out.value(&json::entry_details(&details));
        return Ok(Exit::Ok);
    }
    for (name, value) in lines_of(&details) {
        app.out.line(&format!("{}{value}", app.out.style.dim(&format!("{name:<14}"))));
    }
    Ok(Exit::Ok)
}

fn lines_of(details: &EntryDetails) -> Vec<(&str, String)> {
    let record = &details.record;
    let mut out = vec![
        ("entry", record.index.to_string()),
        ("at", format!("{} ({})", time::local(record.at), time::rfc3339(record.at))),
        ("kind", format!("{} ({})", record.kind, record.class)),
        ("line", record.message.clone()),
    ];
    out.extend(record.run.clone().map(|run| ("run", run)));
    out.extend(record.actor.clone().map(|actor| ("actor", visible::single(&actor))));
    out.extend(record.erased.clone().map(|class| ("erased", class)));
    for (name, value) in &record.fields {
        match value {
            FieldValue::Texts(texts) => out.extend(texts.iter().map(|text| (*name, visible::single(text)))),
            one => out.push((name, visible::single(&one.flat()))),
        }
    }
    if !record.subjects.is_empty() {
        out.push(("subjects", display_text(&record.subjects.join(" "))));
    }
    if let Some((id, seq)) = &record.producer {
        out.push(("producer", format!("{id}, its entry {seq}")));
    }
    out.push(("leaf hash", record.leaf.clone()));
    let covered = if details.signed { "signed in" } else { "not yet signed; newest is" };
    let root: String = details.head.root.iter().map(|byte| format!("{byte:02x}")).collect();
    out.push(("log", details.head.origin.clone()));
    out.push((
        "tree head",
        format!("{covered} the head of {}, root {root}", size::of(details.head.size, "entry", "entries")),
    ));
    out
}

/// `raincoat audit timeline`.
pub(crate) fn timeline(app: &mut App, run: &str) -> Result<Exit> {
    let keeper = app.keeper()?;
    let mut asides = Vec::new();
    let of = keeper.audit_timeline(run, &mut |step| step_line(app, &step), &mut |line| asides.push(line.to_owned()))?;
    asides.iter().for_each(|line| app.out.aside(line));
    app.out.aside(&format!("undo it with: raincoat undo {of}"));
    Ok(Exit::Ok)
}

fn step_line(app: &mut App, step: &TimelineStep) {
    if app.out.json {
        app.out.value(&json::step_of_run(step));
        return;
    }
    let who = step.line.actor.as_deref().map(|actor| format!("{}  ", visible::single(actor))).unwrap_or_default();
    let line = visible::single(&step.line.line);
    app.out.line(&format!("{:>12}  {:<9} {who}{line}", after(step.after_ms), step.stage));
}

/// Time since the beginning: `+0.003 s`, `+2:05.120`, `+1 d 3:00:00`.
fn after(ms: i64) -> String {
    let sign = if ms < 0 { '-' } else { '+' };
    let ms = ms.unsigned_abs();
    let (secs, rest) = (ms / 1000, ms % 1000);
    let (mins, hours, days) = (secs / 60 % 60, secs / 3600 % 24, secs / 86_400);
    match secs {
        0..60 => format!("{sign}{secs}.{rest:03} s"),
        60..3600 => format!("{sign}{mins}:{:02}.{rest:03}", secs % 60),
        3600..86_400 => format!("{sign}{hours}:{mins:02}:{:02}", secs % 60),
        _ => format!("{sign}{days} d {hours}:{mins:02}:{:02}", secs % 60),
    }
}

fn print(app: &mut App, line: &AuditLine) {
    if app.out.json {
        app.out.value(&json::entry(line));
        return;
    }
    let who = line.actor.as_deref().map(|actor| format!("{}  ", visible::single(actor))).unwrap_or_default();
    app.out.line(&format!("{:>8}  {}  {who}{}", line.index, time::local(line.at), visible::single(&line.line)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_since_the_beginning_are_short() {
        for (ms, words) in [
            (0, "+0.000 s"),
            (3, "+0.003 s"),
            (-1500, "-1.500 s"),
            (125_120, "+2:05.120"),
            (3 * 3_600_000 + 61_000, "+3:01:01"),
            (97_200_000, "+1 d 3:00:00"),
        ] {
            assert_eq!(after(ms), words);
        }
    }
}
