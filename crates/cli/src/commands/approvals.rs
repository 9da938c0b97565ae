//! `approvals`, `approve`, `deny`: questions answered from any terminal.

use raincoat_runtime::{Approval, ApprovalState, SystemClock};
use raincoat_types::{Clock, display_bytes};
use serde_json::{Value, json};

use crate::app::App;
use crate::args;
use crate::error::Result;
use crate::exit::Exit;
use crate::time;
use crate::view::table::Table;
use crate::view::visible;

/// `raincoat approvals`.
pub(crate) fn approvals(app: &mut App) -> Result<Exit> {
    let keeper = app.keeper()?;
    let (questions, standing) = (keeper.approvals()?, keeper.standing_approvals()?);
    if app.out.json {
        questions.iter().for_each(|one| app.out.value(&value(one)));
        for one in &standing {
            app.out.value(&json!({
                "type": "standing-approval",
                "id": one.id.to_string(),
                "actor": one.actor,
                "folder": display_bytes(&one.folder),
                "until": time::rfc3339(one.until),
            }));
        }
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["ID", "STATE", "UNTIL", "WHO", "WHAT"]);
    for one in &questions {
        let (id, until, who) = (one.id.to_string(), time::clock(one.until), visible::single(&one.actor));
        table.row(vec![id, word(&one.state).to_owned(), until, who, visible::single(&one.title)]);
    }
    for one in &standing {
        let (id, until, who) = (one.id.to_string(), time::local(one.until), visible::single(&one.actor));
        let what = format!("changes in {}", display_bytes(&one.folder));
        table.row(vec![id, "allowed".to_owned(), until, who, what]);
    }
    if table.is_empty() {
        app.out.aside("nothing has been asked");
    } else {
        table.lines().iter().for_each(|line| app.out.line(line));
    }
    Ok(Exit::Ok)
}

/// `raincoat approve`.
pub(crate) fn approve(app: &mut App, id: &str) -> Result<Exit> {
    let keeper = app.keeper()?;
    let one = keeper.approval(id)?;
    // All of it is shown before it is asked, as the run's own terminal shows it.
    if !app.out.json {
        one.shown.iter().for_each(|line| app.out.line(&visible::text(line)));
    }
    let open = one.state == ApprovalState::Pending && SystemClock.now() < one.until && one.whole;
    if open && !app.confirm("allow exactly this, once?")? {
        app.out.aside("it stays open; `raincoat deny` says no");
        return Ok(Exit::Refused);
    }
    keeper.answer(&one, None)?;
    told(app, &one, "approved: the run goes on, or finds the answer when it asks the same again")
}

/// `raincoat deny`.
pub(crate) fn deny(app: &mut App, args: &args::Deny) -> Result<Exit> {
    let keeper = app.keeper()?;
    if let Some(ended) = keeper.end_standing(&args.id)? {
        let words = format!("{} asks again about changes in {}", ended.actor, display_bytes(&ended.folder));
        if app.out.json {
            app.out.value(&json!({ "type": "standing-approval.ended", "id": ended.id.to_string() }));
        } else {
            app.out.line(&words);
        }
        return Ok(Exit::Ok);
    }
    let one = keeper.approval(&args.id)?;
    keeper.answer(&one, Some(args.because.clone()))?;
    told(app, &one, "denied")
}

fn told(app: &mut App, one: &Approval, words: &str) -> Result<Exit> {
    if app.out.json {
        app.out.value(&json!({ "type": "approval.answered", "id": one.id.to_string() }));
    } else {
        app.out.line(words);
    }
    Ok(Exit::Ok)
}

fn value(one: &Approval) -> Value {
    json!({
        "type": "approval",
        "id": one.id.to_string(),
        "state": word(&one.state),
        "actor": one.actor,
        "run": one.run.to_string(),
        "title": one.title,
        "why": one.why,
        "digest": one.digest.hex(),
        "asked": time::rfc3339(one.asked),
        "until": time::rfc3339(one.until),
        "shown": one.shown,
        "whole": one.whole,
    })
}

fn word(state: &ApprovalState) -> &'static str {
    match state {
        ApprovalState::Pending => "pending",
        ApprovalState::Approved => "approved",
        ApprovalState::Denied(_) => "denied",
        ApprovalState::Settled => "settled",
        ApprovalState::Expired => "expired",
    }
}
