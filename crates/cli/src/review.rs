//! The dialogue about a plan: look closer, choose, accept, refuse.

use std::collections::BTreeSet;

use raincoat_runtime::{Answer, PlanView};
use raincoat_types::{FileChange, Measure, Timestamp};

use crate::enclosed::seconds;
use crate::out::Style;
use crate::prompt::Answered;
use crate::time;
use crate::view::tree::{Show, Total, Tree};
use crate::view::{diff, selection, size, visible};

/// Lines of a diff that are shown at most; a longer one is cut, and then what it changes cannot be remembered.
const DIFF_LINES: usize = 400;
/// So many steps with new content are shown with their diffs at once; more are shown when asked for.
const DIFFS_AT_ONCE: usize = 3;
/// Seconds that changes in a folder can be allowed for at once: 30 days.
const STANDS_MOST: u64 = 30 * 86_400;
/// Steps of a plan that are shown in full for an answer from elsewhere.
const RENDERED: usize = 5000;
/// What [`PlanView::before`] reads at most: a file that fills it may be longer.
const BEFORE_MOST: usize = 256 << 10;

/// What a dialogue needs of the terminal.
pub(crate) trait Talk {
    /// Shows lines.
    fn show(&mut self, lines: &[String]);
    /// Asks, throwing away what was typed before the question stood there. An answer from elsewhere ends the wait.
    fn ask(&mut self, question: &str, elsewhere: &dyn Fn() -> bool) -> Answered<String>;
    /// The time by the clock.
    fn now(&self) -> Timestamp;
}

/// Asks the person about a plan until they accept or refuse it.
pub(crate) fn review(plan: &PlanView<'_>, style: Style, talk: &mut dyn Talk) -> Answer {
    let tree = Tree::of(plan);
    let chosen = vec![true; tree.len()];
    let mut dialogue = Dialogue {
        plan,
        tree,
        style,
        show: Show { chosen, ..Show::default() },
        looked_at: BTreeSet::new(),
        folded: false,
    };
    dialogue.hold(talk)
}

/// The plan as it would be asked about, for a look without a question.
pub(crate) fn preview(plan: &PlanView<'_>, style: Style) -> Vec<String> {
    let tree = Tree::of(plan);
    let mut lines = vec![style.bold(&visible::single(plan.title)), String::new()];
    let rendered = tree.render(&Show { fixed: true, ..Show::default() }, style);
    lines.extend(rendered.lines);
    lines.push(String::new());
    let hint = if rendered.folded { " (some of it is folded: --json has every step)" } else { "" };
    lines.push(format!("{}{hint}", tree.total(&[]).words()));
    lines
}

/// All that the dialogue would show, without colours; and whether that is all of the plan.
pub(crate) fn render(plan: &PlanView<'_>) -> (Vec<String>, bool) {
    let tree = Tree::of(plan);
    let chosen = vec![true; tree.len()];
    let show = Show { chosen, all: tree.len() <= RENDERED, fixed: true, ..Show::default() };
    let style = Style::default();
    let mut dialogue = Dialogue { plan, tree, style, show, looked_at: BTreeSet::new(), folded: false };
    let mut page = Page(dialogue.head());
    dialogue.show_tree(&mut page);
    let with_content: Vec<usize> = dialogue.with_more().take(RENDERED).collect();
    for step in with_content {
        dialogue.look(step, &mut page);
    }
    let whole = dialogue.all_shown();
    (page.0, whole)
}

/// Nobody is asked: what is shown is kept.
struct Page(Vec<String>);

impl Talk for Page {
    fn show(&mut self, lines: &[String]) {
        self.0.extend_from_slice(lines);
    }

    fn ask(&mut self, _: &str, _: &dyn Fn() -> bool) -> Answered<String> {
        Answered::Gone
    }

    fn now(&self) -> Timestamp {
        Timestamp::default()
    }
}

struct Dialogue<'a> {
    plan: &'a PlanView<'a>,
    tree: Tree<'a>,
    style: Style,
    show: Show,
    /// Steps whose content was shown in full.
    looked_at: BTreeSet<usize>,
    folded: bool,
}

impl Dialogue<'_> {
    fn hold(&mut self, talk: &mut dyn Talk) -> Answer {
        talk.show(&self.head());
        self.show_tree(talk);
        let with_content: Vec<usize> = self.with_more().collect();
        if with_content.len() <= DIFFS_AT_ONCE {
            for step in with_content {
                self.look(step, talk);
            }
        }
        loop {
            talk.show(&self.choices());
            let elsewhere = std::cell::RefCell::new(None);
            let look = || {
                *elsewhere.borrow_mut() = (self.plan.elsewhere)();
                elsewhere.borrow().is_some()
            };
            let line = match talk.ask("your answer: ", &look) {
                Answered::Elsewhere => {
                    talk.show(&[String::new(), "answered from another terminal".to_owned()]);
                    return elsewhere.into_inner().unwrap_or(Answer::Unanswered);
                }
                Answered::Line(line) => line,
                Answered::Gone => return Answer::Refuse("nobody was there to answer".to_owned()),
                Answered::Stopped => return Answer::Refuse("stopped with Ctrl-C".to_owned()),
            };
            if talk.now() > self.plan.until {
                return Answer::Refuse("the answer came after the plan's time had run out".to_owned());
            }
            if let Some(answer) = self.take(&line, talk) {
                return answer;
            }
        }
    }

    /// Who asks, for what, where, and until when an answer holds.
    fn head(&self) -> Vec<String> {
        let folders = self.plan.roots.iter().map(|(_, path)| visible::name(path));
        let digest = self.plan.digest.hex();
        let mut lines = vec![
            String::new(),
            format!(
                "{} asks: {}",
                self.style.bold(&visible::single(&self.plan.actor.name())),
                self.style.bold(&visible::single(self.plan.title)),
            ),
            self.style.dim(&format!("run {}, in {}", self.plan.run, folders.collect::<Vec<_>>().join(", "))),
            self.style.dim(&format!(
                "an answer is for exactly this plan (digest {}) and holds until {}",
                digest.get(..12).unwrap_or(&digest),
                time::clock(self.plan.until),
            )),
            String::new(),
        ];
        lines.extend(self.plan.why.iter().map(|why| self.style.yellow(&format!("it asks: {}", visible::single(why)))));
        let [files, deletions, bytes] =
            [Measure::Files, Measure::Deletions, Measure::Bytes].map(|measure| self.plan.totals.of(measure));
        let deleted = if deletions > 0 { format!("{} deleted, ", size::count(deletions)) } else { String::new() };
        let lost = match self.plan.irreversible {
            0 => "all of it can be taken back".to_owned(),
            lost => self.style.yellow(&format!("{} of it can NOT be taken back: no copy is kept", size::count(lost))),
        };
        lines.push(format!("{} in all, {deleted}{}; {lost}", size::of(files, "place", "places"), size::bytes(bytes)));
        lines.push(String::new());
        lines
    }

    fn show_tree(&mut self, talk: &mut dyn Talk) {
        let rendered = self.tree.render(&self.show, self.style);
        self.folded = rendered.folded;
        talk.show(&rendered.lines);
    }

    fn with_more(&self) -> impl Iterator<Item = usize> {
        self.tree.counts().iter().enumerate().filter(|(_, counts)| counts.more).map(|(n, _)| n)
    }

    /// Everything that would be done has been shown in full.
    fn all_shown(&self) -> bool {
        !self.folded && self.with_more().all(|step| self.looked_at.contains(&step))
    }

    fn all_chosen(&self) -> bool {
        self.show.chosen.iter().all(|on| *on)
    }

    fn may_be_remembered(&self) -> bool {
        self.all_shown() && self.all_chosen()
    }

    fn choices(&self) -> Vec<String> {
        let total: Total = self.tree.total(&self.show.chosen);
        let what = format!("{} ({})", total.words(), size::of(total.files, "file", "files"));
        let mut lines = vec![
            String::new(),
            format!("  {}  make {what}", self.style.bold("y")),
            format!("  {}  make none of it; you may say why: n WHY", self.style.bold("n")),
            format!(
                "  {}  leave some out, or make only some: not 3,7-9 · not *.tmp · only Pictures/ · all",
                self.style.bold("not")
            ),
            format!("  {}  see all of a folder, or everything: x Pictures · x all", self.style.bold("x")),
        ];
        if self.with_more().next().is_some() {
            lines.push(format!("  {}  see what a step writes: d 3", self.style.bold("d")));
        }
        if self.may_be_remembered() {
            let place = if self.plan.roots.len() == 1 { "this folder" } else { "these folders" };
            lines.push(format!(
                "  {}  make it, and do not ask again for the rest of this run in {place}, until {}",
                self.style.bold("rest"),
                time::clock(self.plan.until),
            ));
            lines.push(format!(
                "  {}  make it, and do not ask about {}'s changes in {place} for so long, such as 2h",
                self.style.bold("folder 2h"),
                visible::single(&self.plan.actor.name()),
            ));
        } else if !self.all_shown() {
            lines.push(
                self.style.dim("  (not all of it is shown; when it is, the rest of the run can be allowed as well)"),
            );
        }
        lines
    }

    fn take(&mut self, line: &str, talk: &mut dyn Talk) -> Option<Answer> {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        match word {
            "y" | "yes" if rest.is_empty() => return self.accept(talk),
            "n" | "no" => return Some(Answer::Refuse(rest.to_owned())),
            "rest" if rest.is_empty() && self.may_be_remembered() => return Some(Answer::AcceptRun),
            "folder" if self.may_be_remembered() => match seconds(rest).filter(|secs| (1..=STANDS_MOST).contains(secs))
            {
                Some(secs) => {
                    let now = talk.now();
                    let secs = now.secs.saturating_add(i64::try_from(secs).unwrap_or(0));
                    return Some(Answer::AcceptFolder(Timestamp { secs, ..now }));
                }
                None => self.say(talk, "say for how long, at most 30 days: folder 2h"),
            },
            "rest" | "folder" => self.say(talk, "that cannot be said here: not all of the plan is shown, or chosen"),
            "all" => self.choose(Ok(vec![true; self.tree.len()]), |_, _| true, talk),
            "not" => self.choose(selection::parse(rest, &self.tree), |was, hit| was && !hit, talk),
            "only" => self.choose(selection::parse(rest, &self.tree), |_, hit| hit, talk),
            "x" => self.unfold(rest, talk),
            "d" => match rest.parse::<usize>().ok().and_then(|n| n.checked_sub(1)).filter(|n| *n < self.tree.len()) {
                Some(step) => self.look(step, talk),
                None => self.say(talk, "say which step, by its number: d 3"),
            },
            _ => self.say(talk, "please answer with one of these words"),
        }
        None
    }

    fn accept(&self, talk: &mut dyn Talk) -> Option<Answer> {
        if self.all_chosen() {
            return Some(Answer::Accept);
        }
        let steps = self.show.chosen.iter().enumerate().filter(|(_, on)| **on);
        let steps: Vec<u32> = steps.filter_map(|(n, _)| u32::try_from(n).ok()).collect();
        if steps.is_empty() {
            self.say(talk, "nothing is chosen: choose something, or answer n");
            return None;
        }
        Some(Answer::AcceptSome(steps))
    }

    fn choose(&mut self, hits: Result<Vec<bool>, String>, to: fn(bool, bool) -> bool, talk: &mut dyn Talk) {
        match hits {
            Ok(hits) => {
                for (on, hit) in self.show.chosen.iter_mut().zip(hits) {
                    *on = to(*on, hit);
                }
                selection::with_folders(&self.tree, &mut self.show.chosen);
                self.show_tree(talk);
            }
            Err(words) => self.say(talk, &words),
        }
    }

    fn unfold(&mut self, place: &str, talk: &mut dyn Talk) {
        if place == "all" {
            self.show.all = true;
        } else {
            let path = place.trim_matches('/').as_bytes().to_vec();
            let path = if path == b"." { Vec::new() } else { path };
            for root in 0..self.plan.roots.len() {
                self.show.open.insert((root, path.clone()));
            }
        }
        self.show_tree(talk);
    }

    /// Shows what a step's line does not say.
    fn look(&mut self, n: usize, talk: &mut dyn Talk) {
        let (Some(step), Some(item)) = (self.plan.steps.get(n), self.tree.item(n)) else { return };
        let mut lines = vec![String::new(), self.style.bold(&format!("[{}] {}", n + 1, item.text))];
        lines.extend(item.places.iter().map(|at| self.style.dim(&self.full_path(at))));
        let mut whole = true;
        match &step.change {
            FileChange::Write { content, .. } => {
                let before = (self.plan.before)(n);
                whole = push_diff(&mut lines, before.as_deref(), Some(content), self.style);
            }
            FileChange::Edit { old, new, all, .. } => match (self.plan.before)(n) {
                Some(before) => {
                    let after = replaced(&before, old, new, *all);
                    whole = push_diff(&mut lines, Some(&before), Some(&after), self.style);
                }
                None => whole = push_diff(&mut lines, Some(old), Some(new), self.style),
            },
            _ => {}
        }
        talk.show(&lines);
        if whole {
            self.looked_at.insert(n);
        }
    }

    fn full_path(&self, at: &crate::view::tree::At) -> String {
        let root = self.plan.roots.get(at.0).map(|(_, path)| path.as_slice()).unwrap_or_default();
        visible::name(&[root, b"/", &at.1].concat())
    }

    fn say(&self, talk: &mut dyn Talk, words: &str) {
        talk.show(&[self.style.yellow(&visible::single(words))]);
    }
}

/// Adds a diff to the lines; says whether all of it is there.
fn push_diff(lines: &mut Vec<String>, before: Option<&[u8]>, after: Option<&[u8]>, style: Style) -> bool {
    let difference = diff::between(before, after, DIFF_LINES);
    lines.extend(difference.shown(style));
    difference.is_whole() && before.is_none_or(|bytes| bytes.len() < BEFORE_MOST)
}

/// What an edit leaves, as far as the content is known here.
fn replaced(content: &[u8], old: &[u8], new: &[u8], all: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len());
    let mut rest = content;
    while !old.is_empty() {
        let Some(at) = rest.windows(old.len()).position(|window| window == old) else { break };
        let (front, back) = rest.split_at(at);
        out.extend_from_slice(front);
        out.extend_from_slice(new);
        rest = back.get(old.len()..).unwrap_or_default();
        if !all {
            break;
        }
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests;
