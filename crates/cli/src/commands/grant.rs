//! `grant`, `grants`, `revoke`.

use raincoat_runtime::{GrantAsk, GrantRecord, SystemClock};
use raincoat_types::{Actions, Clock, display_bytes};

use crate::app::{App, absolute_path};
use crate::args;
use crate::enclosed::size;
use crate::error::{Result, usage};
use crate::exit::Exit;
use crate::view::size::bytes;
use crate::view::table::Table;
use crate::view::visible;
use crate::{json, time};

/// `raincoat grant`.
pub(crate) fn grant(app: &mut App, args: args::Grant) -> Result<Exit> {
    let until = args.until.map(|text| time::until(&text, &time::now())).transpose()?;
    let path = absolute_path(&args.dir)?;
    let actions = match args.actions.as_slice() {
        [] if args.read_only => Actions::READING,
        [] => Actions::all(),
        words => Actions::from_words(&words.join(",")).map_err(|word| {
            let word = visible::single(&word);
            usage(format!("`{word}` is no action"), format!("the actions are {}", Actions::all()))
        })?,
    };
    let max_bytes = args.max_bytes.as_deref().map(|text| {
        size(text).ok_or_else(|| usage(format!("`{}` is no size", visible::single(text)), "write `--max-bytes 200MB`"))
    });
    let ask = GrantAsk {
        path,
        actions,
        until,
        agent: args.agent,
        deny: args.deny,
        private: args.private,
        max_files: args.max_files,
        max_bytes: max_bytes.transpose()?,
    };
    let record = app.keeper()?.grant(ask)?;
    if app.out.json {
        app.out.value(&json::grant(&record, SystemClock.now()));
    } else {
        let (path, words) = (display_bytes(&record.path), terms(&record));
        app.out.line(&format!("granted {path} to {} ({words})", whom(&record)));
        app.out.line(&format!("take it back with: raincoat revoke {}", record.id));
    }
    Ok(Exit::Ok)
}

/// `raincoat grants`.
pub(crate) fn grants(app: &mut App) -> Result<Exit> {
    let records = app.keeper()?.grants()?;
    let now = SystemClock.now();
    if app.out.json {
        records.iter().for_each(|record| app.out.value(&json::grant(record, now)));
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["ID", "TO", "TERMS", "FOLDER"]);
    for record in &records {
        let ended = if record.until.is_some_and(|until| until <= now) { "ended, " } else { "" };
        let terms = format!("{ended}{}", terms(record));
        table.row(vec![record.id.to_string(), whom(record), terms, display_bytes(&record.path)]);
    }
    if table.is_empty() {
        app.out.aside("nothing is granted: no agent reaches anything. raincoat grant DIR hands a folder out");
    } else {
        table.lines().iter().for_each(|line| app.out.line(line));
    }
    Ok(Exit::Ok)
}

/// `raincoat revoke`.
pub(crate) fn revoke(app: &mut App, id: &str) -> Result<Exit> {
    let record = app.keeper()?.revoke(id)?;
    if app.out.json {
        app.out.value(&json::grant(&record, SystemClock.now()));
    } else {
        app.out.line(&format!("{} is not granted to {} any more", display_bytes(&record.path), whom(&record)));
    }
    Ok(Exit::Ok)
}

fn whom(record: &GrantRecord) -> String {
    record.agent.clone().unwrap_or_else(|| "everyone".to_owned())
}

fn terms(record: &GrantRecord) -> String {
    let mut words = vec![match record.actions {
        Actions::READING => "read only".to_owned(),
        all if all.is_all() => "read and write".to_owned(),
        some => some.to_string(),
    }];
    words.extend(record.private.then(|| "private".to_owned()));
    words.extend(record.max_files.map(|most| format!("at most {most} files a run")));
    words.extend(record.max_bytes.map(|most| format!("at most {} a run", bytes(most))));
    words.extend(record.until.map(|until| format!("until {}", time::local(until))));
    if !record.deny.is_empty() {
        let globs: Vec<String> = record.deny.iter().map(|glob| visible::single(glob)).collect();
        words.push(format!("but not {}", globs.join(" ")));
    }
    words.join(", ")
}
