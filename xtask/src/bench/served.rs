//! The program with the work to be measured (`crates/effects/benches/measure`), asked a line at a time.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::Result;

/// One that is running; it ends when this is dropped.
pub(super) struct Served {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Served {
    pub(super) fn start(measure: &Path, dir: &Path) -> Result<Served> {
        let fail = |error| format!("cannot run `{}`: {error}", measure.display());
        let mut command = Command::new(measure);
        command.arg("serve").arg(dir).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(fail)?;
        let (questions, answers) = (child.stdin.take(), child.stdout.take());
        let answers = BufReader::new(answers.ok_or("the measured program has no output")?);
        Ok(Served { child, questions, answers })
    }

    /// Has it do what the line names, once; the seconds that it took.
    pub(super) fn ask(&mut self, what: &str) -> Result<f64> {
        let fail = |error: std::io::Error| format!("the measured program was lost at `{what}`: {error}");
        let mut questions = self.questions.as_ref().ok_or("the measured program has ended")?;
        writeln!(questions, "{what}").map_err(fail)?;
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(fail)?;
        let nanos: u64 = line
            .trim()
            .parse()
            .map_err(|_| format!("the measured program could not do `{what}`; its words are above"))?;
        Ok(nanos as f64 / 1e9)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.questions.take();
        let _ = self.child.wait();
    }
}
