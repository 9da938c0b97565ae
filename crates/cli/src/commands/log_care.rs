//! `audit erase`, `audit retention`, `audit accept`.

use raincoat_runtime::{ErasureView, PruningView};

use crate::app::App;
use crate::args::Retention;
use crate::error::{Result, usage};
use crate::exit::Exit;
use crate::view::{size, visible};
use crate::{json, time};

const DAY: u64 = 86_400;

/// `raincoat audit erase`.
pub(crate) fn erase(app: &mut App, subject: &str) -> Result<Exit> {
    let plan = app.keeper()?.plan_erasure(subject)?;
    if !app.out.json {
        tell(app, &plan, subject);
    }
    if !app.confirm("erase it for good?")? {
        app.out.line("nothing was erased");
        return Ok(Exit::Refused);
    }
    let done = app.keeper()?.erase_subject(subject)?;
    if app.out.json {
        app.out.value(&json::erasure(&done));
    } else {
        let entries = size::of(done.entries, "entry", "entries");
        app.out.line(&format!("erased: {entries} can no longer be read; the log and every proof of it stay valid"));
    }
    Ok(Exit::Ok)
}

fn tell(app: &mut App, plan: &ErasureView, subject: &str) {
    let span = plan.span.map(|(first, last)| format!(", from {} to {}", time::local(first), time::local(last)));
    let entries = size::of(plan.entries, "entry", "entries");
    let shown = visible::single(subject);
    app.out.line(&format!("{entries} of the log about `{shown}`{} become unreadable", span.unwrap_or_default()));
    app.out.line("that they happened, when, and in which order stays; so do all proofs");
    app.out.line("what the journal keeps of files is another matter: `raincoat store prune` takes that away");
    for caveat in &plan.caveats {
        app.out.line(&format!("note: {}", visible::single(caveat)));
    }
}

/// `raincoat audit retention`.
pub(crate) fn retention(app: &mut App, what: Option<&Retention>) -> Result<Exit> {
    match what {
        None => show(app),
        Some(Retention::Set { class, age }) => {
            app.keeper()?.set_retention(class, age_secs(age)?)?;
            app.out.line(&format!("{} is kept: {age} (`audit retention prune` acts on it)", visible::single(class)));
            Ok(Exit::Ok)
        }
        Some(Retention::Hold { subject, because }) => {
            let number = app.keeper()?.place_hold(subject, because)?;
            app.out.line(&format!("hold {number}: nothing about it is erased or pruned until it is released"));
            Ok(Exit::Ok)
        }
        Some(Retention::Release { number }) => {
            app.keeper()?.release_hold(*number)?;
            app.out.line(&format!("hold {number} released"));
            Ok(Exit::Ok)
        }
        Some(Retention::Prune { dry_run }) => prune(app, *dry_run),
    }
}

fn show(app: &mut App) -> Result<Exit> {
    let retention = app.keeper()?.retention()?;
    if app.out.json {
        app.out.value(&json::retention(&retention));
        return Ok(Exit::Ok);
    }
    for (class, secs) in &retention.rules {
        let kept = secs.map_or("for ever".to_owned(), |secs| size::of(secs / DAY, "day", "days"));
        app.out.line(&format!("{class:<14}  {kept}"));
    }
    for hold in &retention.holds {
        app.out.line(&format!("hold {}  {}", hold.number, visible::single(&hold.because)));
    }
    if retention.minimum > 0 {
        app.out.line(&format!("entries before {} were pruned", retention.minimum));
    }
    Ok(Exit::Ok)
}

fn prune(app: &mut App, dry: bool) -> Result<Exit> {
    if !dry {
        let plan = app.keeper()?.prune_log(true)?;
        if plan.entries > 0 || !plan.unreadable.is_empty() {
            if !app.out.json {
                tell_pruning(app, &plan);
            }
            if !app.confirm("prune it for good?")? {
                app.out.line("nothing was pruned");
                return Ok(Exit::Refused);
            }
        }
    }
    let plan = app.keeper()?.prune_log(dry)?;
    if app.out.json {
        app.out.value(&json::pruning(&plan, dry));
    } else if dry {
        tell_pruning(app, &plan);
    } else {
        app.out.line("pruned: the log and every proof of it stay valid");
    }
    Ok(Exit::Ok)
}

fn tell_pruning(app: &mut App, plan: &PruningView) {
    let entries = size::of(plan.entries, "entry goes", "entries go");
    app.out.line(&format!("{entries}; the first that stays is {}", plan.minimum));
    for (class, until) in &plan.unreadable {
        app.out.line(&format!("{class}: what 30 days until {} say becomes unreadable", time::local(*until)));
    }
    if plan.held > 0 {
        app.out.line(&format!("{} kept by a hold", size::of(plan.held, "stretch of 30 days", "stretches of 30 days")));
    }
}

/// `raincoat audit accept`.
pub(crate) fn accept(app: &mut App) -> Result<Exit> {
    app.out
        .line("this takes the log as it lies here for the right one, whatever is remembered of a newer or other one:");
    app.out.line("right after a restore of your own from a backup, and at no other time");
    if !app.confirm("accept it?")? {
        app.out.line("nothing was accepted");
        return Ok(Exit::Refused);
    }
    let size = app.keeper()?.accept_log()?;
    app.out.line(&format!("accepted, which entry {} of the log says", size.saturating_sub(1)));
    Ok(Exit::Ok)
}

/// `90d`, `6m` (of 30 days), `2y` (of 365 days), or `forever`.
fn age_secs(age: &str) -> Result<Option<u64>> {
    let wrong = || {
        usage(format!("`{age}` is no age"), "say a number of days, months or years (`90d`, `6m`, `2y`), or `forever`")
    };
    if age == "forever" {
        return Ok(None);
    }
    let days = [('d', 1), ('m', 30), ('y', 365)].into_iter().find_map(|(unit, days)| {
        age.strip_suffix(unit).and_then(|number| number.parse::<u32>().ok()).map(|number| u64::from(number) * days)
    });
    days.map(|days| Some(days * DAY)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read() {
        assert_eq!(age_secs("90d").unwrap(), Some(90 * DAY));
        assert_eq!(age_secs("6m").unwrap(), Some(180 * DAY));
        assert_eq!(age_secs("2y").unwrap(), Some(730 * DAY));
        assert_eq!(age_secs("forever").unwrap(), None);
        for bad in ["", "d", "90", "-1d", "1w"] {
            assert!(age_secs(bad).is_err(), "{bad}");
        }
    }
}
