//! Where words go: data to standard output, everything else to standard error. A reader that has gone away ends the
//! words, never the work.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

/// When colours are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set or TERM is `dumb`.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Colours, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Style {
    on: bool,
}

impl Style {
    fn wrap(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.wrap("31", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.wrap("32", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }

    pub(crate) fn cyan(self, text: &str) -> String {
        self.wrap("36", text)
    }
}

/// The two streams and how to write to them.
pub(crate) struct Out {
    /// Data as JSON.
    pub(crate) json: bool,
    /// Only what was asked for, and errors.
    pub(crate) quiet: bool,
    /// Colours of standard output.
    pub(crate) style: Style,
    /// Colours of standard error.
    pub(crate) err_style: Style,
    to: io::BufWriter<Box<dyn Write + Send>>,
    gone: bool,
}

impl Out {
    pub(crate) fn new(json: bool, quiet: bool, colour: Colour, plain: bool) -> Out {
        let style = |terminal: bool| Style {
            on: match colour {
                Colour::Always => true,
                Colour::Never => false,
                Colour::Auto => terminal && !plain,
            },
        };
        let to: io::BufWriter<Box<dyn Write + Send>> = io::BufWriter::new(Box::new(io::stdout()));
        let (style, err_style) = (style(io::stdout().is_terminal()), style(io::stderr().is_terminal()));
        Out { json, quiet, style, err_style, to, gone: false }
    }

    /// From now on data goes to standard error: standard output belongs to a program.
    pub(crate) fn give_up_stdout(&mut self) {
        self.flush();
        self.to = io::BufWriter::new(Box::new(io::stderr()));
        self.style = self.err_style;
        self.gone = false;
    }

    /// A line of data.
    pub(crate) fn line(&mut self, text: &str) {
        self.raw(text);
        self.raw("\n");
    }

    /// Data without a line's end.
    pub(crate) fn raw(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Data as it is.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        if !self.gone {
            self.gone = self.to.write_all(bytes).is_err();
        }
    }

    /// One JSON value on a line of its own.
    pub(crate) fn value(&mut self, value: &Value) {
        self.line(&value.to_string());
    }

    /// Whether nobody reads any more: a long listing may end early.
    pub(crate) fn gone(&self) -> bool {
        self.gone
    }

    /// Everything written so far is on its way.
    pub(crate) fn flush(&mut self) {
        if !self.gone {
            self.gone = self.to.flush().is_err();
        }
    }

    /// A line for the person that is no data: said even when quiet.
    pub(crate) fn note(&mut self, text: &str) {
        self.flush();
        stderr_line(text);
    }

    /// A line for the person that may be left out.
    pub(crate) fn aside(&mut self, text: &str) {
        if !self.quiet {
            self.note(text);
        }
    }
}

/// A line on standard error; where that is closed, nobody is told.
pub(crate) fn stderr_line(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = writeln!(stderr, "{text}");
}

/// Words on standard output, at once, without ending their line; where that is closed, nobody is told.
pub(crate) fn stdout_part(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = write!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// A line on standard output, at once; where that is closed, nobody is told.
pub(crate) fn stdout_line(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}
