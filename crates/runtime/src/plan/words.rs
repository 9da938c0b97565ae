//! Plans in words, for the log and for who was not there.

use raincoat_types::wire::PlanStep;
use raincoat_types::{Place, Ulid, display_bytes};

use super::places;

/// What a person was told to have left open.
pub(super) fn unanswered(asked: Option<Ulid>) -> String {
    let way = asked.map(|id| format!("; `raincoat approve {id}` allows it, then run it again"));
    format!("nobody was there to be asked{}", way.unwrap_or_default())
}

/// Bytes of the steps of one plan in the log; an entry holds 65,535 with all else.
const LINES_BYTES: usize = 48 << 10;

/// The steps of a plan as they are shown, one a line, as many as go into an entry.
pub(super) fn lines(roots: &[(String, Vec<u8>)], steps: &[PlanStep]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut bytes = 0;
    for step in steps {
        let at = |place: &Place| {
            let root = roots.get(usize::from(place.root)).map(|(label, _)| label.as_str()).unwrap_or_default();
            format!("{root}/{}", display_bytes(&place.path.0))
        };
        let places: Vec<String> = places(&step.change).into_iter().map(at).collect();
        let why = if step.why.is_empty() { String::new() } else { format!(" ({})", step.why) };
        let line = format!("{} {}{why}", step.change.verb(), places.join(" -> "));
        bytes += line.len() + 3;
        if bytes > LINES_BYTES {
            break;
        }
        lines.push(line);
    }
    lines
}

/// Positions of steps, as people count them, in short: `1-3, 7`.
pub(super) fn ranges(chosen: &[u32]) -> String {
    /// Runs of steps that are told one by one.
    const MOST: usize = 100;
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for n in chosen.iter().map(|n| n.saturating_add(1)) {
        match runs.last_mut() {
            Some((_, last)) if last.saturating_add(1) == n => *last = n,
            _ => runs.push((n, n)),
        }
    }
    let more = runs.len().saturating_sub(MOST);
    let mut words: Vec<String> = runs
        .into_iter()
        .take(MOST)
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") })
        .collect();
    if more > 0 {
        words.push(format!("and {more} more such"));
    }
    words.join(", ")
}

pub(super) fn shown(title: &str, steps: usize) -> String {
    format!("{title} ({steps} {})", if steps == 1 { "change" } else { "changes" })
}

#[cfg(test)]
mod tests {
    use raincoat_types::FileChange;

    use super::*;

    #[test]
    fn what_was_shown_is_told_step_by_step_as_far_as_an_entry_holds_it() {
        let roots = [("music".to_owned(), b"/home/a/music".to_vec())];
        let step = |n: usize| PlanStep {
            change: FileChange::Move {
                from: Place { root: 0, path: format!("{n}.mp3").as_str().into() },
                to: Place { root: 0, path: format!("a/{n}.mp3").as_str().into() },
                replace: false,
            },
            why: "by artist".to_owned(),
        };
        let few: Vec<PlanStep> = (0..2).map(step).collect();
        assert_eq!(
            lines(&roots, &few),
            ["move music/0.mp3 -> music/a/0.mp3 (by artist)", "move music/1.mp3 -> music/a/1.mp3 (by artist)"]
        );
        let many: Vec<PlanStep> = (0..20_000).map(step).collect();
        assert!(lines(&roots, &many).iter().map(String::len).sum::<usize>() < LINES_BYTES);
    }

    #[test]
    fn chosen_steps_are_told_in_short() {
        assert_eq!(ranges(&[0, 1, 2, 6]), "1-3, 7");
        assert_eq!(ranges(&[]), "");
        let every_other: Vec<u32> = (0..1000).map(|n| n * 2).collect();
        assert!(ranges(&every_other).ends_with("199, and 900 more such"));
    }
}
