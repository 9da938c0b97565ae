//! `stop`: the kill switch.

use raincoat_runtime::stop as stop_runs;

use crate::app::App;
use crate::error::Result;
use crate::exit::Exit;
use crate::json;

/// `raincoat stop`. It opens no store and asks nothing, so nothing can hold it up.
pub(crate) fn stop(app: &mut App, run: Option<&str>) -> Result<Exit> {
    let stopped = stop_runs(&app.home()?, run)?;
    if app.out.json {
        stopped.iter().for_each(|stopped| app.out.value(&json::stopped(stopped)));
        return Ok(Exit::Ok);
    }
    for stopped in &stopped {
        let how = if stopped.in_good_order { "stopped" } else { "killed" };
        app.out.line(&format!("{how} {}", stopped.run));
    }
    if stopped.is_empty() {
        app.out.line("nothing is under way");
    } else {
        app.out.line("what was done is in the journal, and drafts stay open: `raincoat runs`, `raincoat drafts`");
    }
    Ok(Exit::Ok)
}
