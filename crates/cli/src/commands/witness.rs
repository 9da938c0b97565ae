//! `audit witness add`, `list`, `sync`, `remove`: the witnesses of this log. `witness serve`, `key`: being one.

use raincoat_runtime::{WitnessAsk, WitnessLine, WitnessPlace, WitnessState, serve_witness, witness_key_in};

use crate::app::{App, absolute_path, clock};
use crate::args::{AuditWitness, Witness};
use crate::error::Result;
use crate::exit::Exit;
use crate::out::stderr_line;
use crate::view::table::Table;
use crate::view::visible;
use crate::{json, signals, time};

/// `raincoat audit witness`.
pub(crate) fn witness(app: &mut App, what: AuditWitness) -> Result<Exit> {
    match what {
        AuditWitness::Add { name, url, folder, key } => {
            let place = match (url, folder) {
                (Some(url), _) => WitnessPlace::Url(url),
                (None, folder) => WitnessPlace::Folder(absolute_path(&folder.unwrap_or_default())?),
            };
            let line = app.keeper()?.add_witness(WitnessAsk { name, place, key })?;
            listed(app, &[line])
        }
        AuditWitness::List => {
            let lines = app.keeper()?.witnesses()?;
            listed(app, &lines)
        }
        AuditWitness::Sync => {
            let lines = app.keeper()?.sync_witnesses()?;
            listed(app, &lines)
        }
        AuditWitness::Remove { name } => {
            app.keeper()?.remove_witness(&name)?;
            if app.out.json {
                app.out.value(&serde_json::json!({ "type": "removed", "what": "witness", "name": name }));
            } else {
                app.out.line(&format!("removed {}", visible::single(&name)));
            }
            Ok(Exit::Ok)
        }
    }
}

fn listed(app: &mut App, lines: &[WitnessLine]) -> Result<Exit> {
    let disagrees = lines.iter().any(|line| line.state == WitnessState::Disagrees);
    let exit = if disagrees { Exit::Damaged } else { Exit::Ok };
    if app.out.json {
        lines.iter().for_each(|line| app.out.value(&json::witness(line)));
        return Ok(exit);
    }
    let mut table = Table::new(&["NAME", "STATE", "COSIGNED", "WHEN", "WHERE", "SAYS"]);
    for line in lines {
        let (entries, when) = line
            .cosigned
            .map_or_else(|| ("-".to_owned(), "-".to_owned()), |(entries, at)| (entries.to_string(), time::local(at)));
        let state = json::witness_state(line.state).to_owned();
        table.row(vec![
            line.name.clone(),
            state,
            entries,
            when,
            visible::single(&line.place),
            visible::single(&line.words),
        ]);
    }
    if table.is_empty() {
        app.out.aside("this log has no witness yet: `raincoat audit witness add --help` says what one is for");
    } else {
        table.lines().iter().for_each(|line| app.out.line(line));
    }
    Ok(exit)
}

/// `raincoat witness`.
pub(crate) fn serving(app: &mut App, what: Witness) -> Result<Exit> {
    match what {
        Witness::Key { dir } => {
            let key = witness_key_in(&dir)?;
            if app.out.json {
                app.out.value(&serde_json::json!({ "type": "witness_key", "key": key }));
            } else {
                app.out.line(&key);
            }
            Ok(Exit::Ok)
        }
        Witness::Serve { dir, listen, log, name } => serve(app, &dir, listen, &log, name.as_deref()),
    }
}

fn serve(
    app: &mut App,
    dir: &std::path::Path,
    listen: std::net::SocketAddr,
    logs: &[String],
    name: Option<&str>,
) -> Result<Exit> {
    let quiet = app.flags.quiet;
    let told = move |words: String| {
        if !quiet {
            stderr_line(&visible::single(&words));
        }
    };
    let asking = signals::asking()?;
    let server = serve_witness(dir, name, listen, logs, clock(), told)?;
    if app.out.json {
        app.out.value(&json::serving(&server));
    } else {
        app.out.line(&format!("witness {}", server.key()));
        app.out.line(&format!("listening at http://{}", server.address()));
        for log in server.logs() {
            app.out.line(&format!("serving {}", visible::single(log)));
        }
        if server.logs().is_empty() {
            app.out.aside("it serves no log yet: `--log` takes what `raincoat audit key` prints where the log is");
        }
        if !server.address().ip().is_loopback() {
            app.out.aside("it speaks plain HTTP, and whoever can reach this address can ask it");
        }
    }
    app.out.flush();
    while !asking.stop().load(std::sync::atomic::Ordering::SeqCst) {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    Ok(Exit::Ok)
}
