//! The keeper's way to the person: progress, words, notices, and the question about a plan.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use raincoat_runtime::{Answer, Console, PlanView, SystemClock};
use raincoat_types::{Clock, Timestamp};

use crate::error::Result;
use crate::out::{Out, Style, stderr_line, stdout_line, stdout_part};
use crate::prompt::{Answered, Terminal};
use crate::review::{Talk, preview, render, review};
use crate::view::visible;
use crate::{json, signals};

/// Bytes of an agent's words that are kept for JSON.
const SAID_MOST: usize = 1 << 20;
/// How often an answer from elsewhere is looked for.
const LOOK_ELSEWHERE: Duration = Duration::from_millis(100);

/// The console of one command. Plans, questions and progress go to standard error; an agent's words, which may be all
/// that was asked for, to standard output.
pub(crate) struct TerminalConsole {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
    style: Style,
    out_style: Style,
    json: bool,
    /// Plans are shown on standard output, and refused.
    dry_run: bool,
    terminal: Option<Terminal>,
    /// A plan could not be shown to anybody.
    pub(crate) unasked: bool,
    /// How long an answer from elsewhere is waited for, where nobody can be asked here.
    wait: Duration,
    /// The person said no to a plan.
    pub(crate) declined: bool,
    /// An agent's words stand at the end of the output, and their line is not ended yet.
    speaking: bool,
    /// Where the progress line is drawn while nobody speaks.
    drawn: bool,
    /// For JSON: what was said, up to [`SAID_MOST`] bytes.
    pub(crate) said: String,
}

impl TerminalConsole {
    /// A console with the progress bar that long work shows, and Ctrl-C taken over. Without a terminal, or where
    /// nobody may be asked, every question is answered with no.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn start(out: &Out, may_ask: bool, dry_run: bool) -> Result<(TerminalConsole, Arc<AtomicBool>)> {
        let target =
            if out.quiet || out.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(10) };
        let bar = ProgressBar::with_draw_target(None, target);
        let stop = signals::working(bar.clone())?;
        let terminal = if may_ask { Terminal::standard() } else { None };
        let console = TerminalConsole {
            bar,
            stop: stop.clone(),
            style: out.err_style,
            out_style: out.style,
            dry_run,
            json: out.json,
            terminal,
            unasked: false,
            wait: Duration::ZERO,
            declined: false,
            speaking: false,
            drawn: !(out.quiet || out.json),
            said: String::new(),
        };
        Ok((console, stop))
    }

    /// Waits so long for an answer from elsewhere, where nobody can be asked here.
    pub(crate) fn waiting(mut self, wait: Duration) -> TerminalConsole {
        self.wait = wait;
        self
    }

    /// Waits for an answer from elsewhere.
    fn answer_elsewhere(&self, plan: &PlanView<'_>) -> Answer {
        let mut left = self.wait;
        loop {
            if let Some(answer) = (plan.elsewhere)() {
                return answer;
            }
            if left.is_zero() || self.stop.load(Ordering::SeqCst) {
                return Answer::Unanswered;
            }
            let step = left.min(LOOK_ELSEWHERE);
            std::thread::sleep(step);
            left -= step;
        }
    }

    /// Takes the bar away and ends the agent's line.
    pub(crate) fn finish(&mut self) {
        self.end_line();
        self.bar.finish_and_clear();
    }

    /// Ends a line that the agent left open, and lets the progress line be drawn again.
    fn end_line(&mut self) {
        if self.speaking {
            stdout_part("\n");
            self.speaking = false;
        }
        if self.drawn && self.bar.is_hidden() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        }
    }
}

impl Console for TerminalConsole {
    fn review(&mut self, plan: &PlanView<'_>) -> Answer {
        self.end_line();
        if self.dry_run {
            self.declined = true;
            let style = self.out_style;
            let lines = if self.json { json::plan(plan) } else { preview(plan, style) };
            self.bar.suspend(|| lines.iter().for_each(|line| stdout_line(line)));
            return Answer::Refuse("only the plan was asked for (a dry run): do not change anything".to_owned());
        }
        let Some(terminal) = &mut self.terminal else {
            let answer = self.answer_elsewhere(plan);
            self.unasked |= answer == Answer::Unanswered;
            self.declined |= matches!(answer, Answer::Refuse(_));
            return answer;
        };
        let mut talk = AtTerminal { terminal, stop: &self.stop };
        let style = self.style;
        let answer = self.bar.suspend(|| review(plan, style, &mut talk));
        self.declined |= matches!(answer, Answer::Refuse(_));
        answer
    }

    fn keeps_questions(&self) -> bool {
        !self.dry_run
    }

    fn render(&self, plan: &PlanView<'_>) -> (Vec<String>, bool) {
        render(plan)
    }

    fn say(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.json {
            if self.said.len() + text.len() <= SAID_MOST {
                self.said.push_str(text);
            }
            return;
        }
        // The words come as they come, so nothing else may be drawn on their line.
        if !self.bar.is_hidden() {
            self.bar.suspend(|| {});
            self.bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        stdout_part(&visible::text(text));
        self.speaking = !text.ends_with('\n');
    }

    fn status(&mut self, text: &str, progress: Option<(u64, u64)>) {
        self.end_line();
        match progress {
            Some((done, total)) => {
                if self.bar.length() != Some(total) {
                    self.bar.set_length(total);
                    self.bar.set_style(style("{bar:30} {human_pos}/{human_len} {wide_msg}"));
                }
                self.bar.set_position(done);
            }
            None => {
                if self.bar.length().is_some() {
                    self.bar.unset_length();
                }
                self.bar.set_style(style("{spinner} {wide_msg}"));
                self.bar.enable_steady_tick(Duration::from_millis(100));
            }
        }
        self.bar.set_message(visible::single(text));
    }

    fn notice(&mut self, text: &str) {
        self.end_line();
        let style = self.style;
        self.bar.suspend(|| stderr_line(&format!("{} {}", style.yellow("note:"), visible::text(text))));
    }
}

/// The templates are constants of ours; one that did not parse would fall back to the default look.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

struct AtTerminal<'a> {
    terminal: &'a mut Terminal,
    stop: &'a AtomicBool,
}

impl Talk for AtTerminal<'_> {
    fn show(&mut self, lines: &[String]) {
        lines.iter().for_each(|line| stderr_line(line));
    }

    fn ask(&mut self, question: &str, elsewhere: &dyn Fn() -> bool) -> Answered<String> {
        self.terminal.ask_unless(question, self.stop, elsewhere)
    }

    fn now(&self) -> Timestamp {
        SystemClock.now()
    }
}
