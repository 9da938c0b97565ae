//! `mode`, `freeze`, `thaw`.

use raincoat_runtime::{ModeLine, SystemClock, freeze as freeze_all};
use raincoat_types::{Clock, RunId, Timestamp};
use serde_json::json;

use crate::app::App;
use crate::args::{self, ModeWord};
use crate::enclosed::seconds;
use crate::error::{Result, usage};
use crate::exit::Exit;
use crate::time;

/// `raincoat mode`.
pub(crate) fn mode(app: &mut App, args: &args::Mode) -> Result<Exit> {
    let keeper = app.keeper()?;
    if !args.modes.is_empty() {
        let modes = ModeWord::together(&args.modes).map_err(|why| usage(why, "name the modes, or `normal`"))?;
        let run = args.run.as_deref().map(|text| {
            RunId::parse(text).ok_or_else(|| usage(format!("`{text}` is no run"), "`raincoat runs` lists them"))
        });
        let until = args.lasting.as_deref().map(|text| {
            let secs = seconds(text).and_then(|secs| i64::try_from(secs).ok()).filter(|secs| *secs > 0);
            let secs = secs.ok_or_else(|| usage(format!("`{text}` is no span"), "write `--for 2h`"))?;
            let now = SystemClock.now();
            Ok(Timestamp { secs: now.secs.saturating_add(secs), nanos: now.nanos })
        });
        keeper.set_modes(ModeLine { run: run.transpose()?, modes, until: until.transpose()? })?;
    }
    let (all, lines) = (keeper.modes(None)?, keeper.mode_lines()?);
    if app.out.json {
        app.out.value(&json!({ "type": "mode", "in_force": words(&all.to_string()) }));
        for line in &lines {
            let (run, until) = (line.run.map(|run| run.to_string()), line.until.map(time::rfc3339));
            app.out.value(
                &json!({ "type": "mode.set", "run": run, "modes": words(&line.modes.to_string()), "until": until }),
            );
        }
        return Ok(Exit::Ok);
    }
    app.out.line(&format!("in force: {all}"));
    for line in &lines {
        let of = line.run.map_or_else(|| "everything".to_owned(), |run| format!("run {run}"));
        let until = line.until.map(|until| format!(", until {}", time::local(until))).unwrap_or_default();
        app.out.line(&format!("  {} for {of}{until}", line.modes));
    }
    Ok(Exit::Ok)
}

fn words(modes: &str) -> Vec<&str> {
    modes.split(' ').filter(|word| *word != "normal").collect()
}

/// `raincoat freeze`. It needs no key and waits for nobody; that it was done is logged where that needs none either.
pub(crate) fn freeze(app: &mut App) -> Result<Exit> {
    let ended = freeze_all(&app.home()?)?;
    if app.out.json {
        let runs: Vec<String> = ended.iter().map(|ended| ended.run.to_string()).collect();
        app.out.value(&json!({ "type": "frozen", "ended": runs }));
    } else {
        ended.iter().for_each(|ended| app.out.line(&format!("ended {}", ended.run)));
        app.out.line("frozen: nothing acts until `raincoat thaw`; what was done can be undone then, drafts stay open");
    }
    app.flags.no_input = true;
    let told = app.keeper().and_then(|keeper| keeper.tell_frozen(ended.len()));
    if let Err(why) = told {
        app.out.aside(&format!("this does not stand in the log: {}", why.message));
    }
    Ok(Exit::Ok)
}

/// `raincoat thaw`.
pub(crate) fn thaw(app: &mut App) -> Result<Exit> {
    let mut keeper = app.fresh_keeper()?;
    let thawed = keeper.thaw(&mut |what| app.passphrase(what));
    app.keep(keeper);
    let words = if thawed? { "thawed: runs may begin again" } else { "nothing was frozen" };
    if app.out.json {
        app.out.value(&json!({ "type": "thawed" }));
    } else {
        app.out.line(words);
    }
    Ok(Exit::Ok)
}
