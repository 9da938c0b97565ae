//! The way to the person's terminal: frames out, keys in. It is put back as it was when this goes, in a panic too.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use raincoat_runtime::terminal::{RawInput, discard_input, size, wait_input};
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Modifier};

use super::keys::{Keys, Press};

/// How often a waiting screen looks for a signal and a new size, in milliseconds.
const LOOK_MILLIS: u32 = 100;
/// How long an escape waits for what would make it a sequence, in milliseconds.
const ESCAPE_MILLIS: u32 = 30;
/// Another screen than the one with the shell's history, no cursor, and pasted texts marked as such.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[2J";
const LEAVE: &[u8] = b"\x1b[0m\x1b[?2004l\x1b[?25h\x1b[?1049l";

/// Frames out, keys in.
pub(crate) trait Door {
    /// Columns and rows, now.
    fn size(&self) -> (u16, u16);

    /// Shows a frame; all of it anew where `whole`, for a terminal on which others wrote.
    fn show(&mut self, frame: &Buffer, whole: bool) -> io::Result<()>;

    /// The next key. `wait`: for a while, where there is none yet.
    fn press(&mut self, wait: bool) -> Press;

    /// Throws away what was typed and not taken yet.
    fn forget(&mut self);
}

/// The process's terminal.
pub(crate) struct Terminal<'a> {
    input: File,
    // Held for what it does when it goes.
    _raw: RawInput,
    keys: Keys,
    shown: Buffer,
    stop: &'a AtomicBool,
}

impl<'a> Terminal<'a> {
    /// Takes the terminal over. `stop`, set by a signal, is the end.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn start(stop: &'a AtomicBool) -> io::Result<Terminal<'a>> {
        let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let raw = RawInput::start(input.as_fd())?;
        let terminal = Terminal { input, _raw: raw, keys: Keys::default(), shown: Buffer::default(), stop };
        write(ENTER)?;
        Ok(terminal)
    }

    /// Reads what is there. `false` where the terminal has gone away.
    fn read(&mut self) -> bool {
        let mut bytes = [0_u8; 1024];
        match self.input.read(&mut bytes) {
            Ok(0) => false,
            Ok(count) => {
                self.keys.feed(bytes.get(..count).unwrap_or_default());
                true
            }
            Err(error) => error.kind() == io::ErrorKind::Interrupted,
        }
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        // Nothing to be done where the terminal is gone.
        let _ = write(LEAVE);
    }
}

impl Door for Terminal<'_> {
    fn size(&self) -> (u16, u16) {
        size(io::stderr().as_fd()).map_or((80, 24), |(rows, columns)| (columns, rows))
    }

    fn show(&mut self, frame: &Buffer, whole: bool) -> io::Result<()> {
        let mut out = Vec::new();
        if whole || self.shown.area != frame.area {
            out.extend_from_slice(b"\x1b[0m\x1b[2J");
            self.shown = Buffer::empty(frame.area);
        }
        encode(&self.shown, frame, &mut out);
        self.shown = frame.clone();
        write(&out)
    }

    fn press(&mut self, wait: bool) -> Press {
        loop {
            if self.stop.load(Ordering::SeqCst) {
                return Press::Gone;
            }
            if let Some(press) = self.keys.next(false) {
                return press;
            }
            let millis = match (self.keys.waits(), wait) {
                (true, _) => ESCAPE_MILLIS,
                (false, true) => LOOK_MILLIS,
                (false, false) => 0,
            };
            match wait_input(self.input.as_fd(), millis) {
                Ok(true) if self.read() => {}
                Ok(false) => return self.keys.next(true).unwrap_or(Press::Idle),
                Ok(true) | Err(_) => return Press::Gone,
            }
        }
    }

    fn forget(&mut self) {
        // A terminal that has gone away is found out at the next key.
        let _ = discard_input(self.input.as_fd());
        self.keys.forget();
    }
}

/// Where questions are asked: standard error. Standard output is for data.
fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    stderr.write_all(bytes)?;
    stderr.flush()
}

/// What turns the frame that is shown into the next one.
fn encode(shown: &Buffer, next: &Buffer, out: &mut Vec<u8>) {
    let mut style = None;
    let mut at = None;
    for (x, y, cell) in shown.diff(next) {
        if at != Some((x, y)) {
            out.extend_from_slice(format!("\x1b[{};{}H", u32::from(y) + 1, u32::from(x) + 1).as_bytes());
        }
        if style != Some((cell.fg, cell.modifier)) {
            out.extend_from_slice(sgr(cell.fg, cell.modifier).as_bytes());
            style = Some((cell.fg, cell.modifier));
        }
        out.extend_from_slice(cell.symbol().as_bytes());
        // A wide or a joined character leaves the cursor where only the terminal knows.
        at = (cell.symbol().is_ascii() && cell.symbol().len() == 1).then(|| (x.saturating_add(1), y));
    }
    out.extend_from_slice(b"\x1b[0m");
}

fn sgr(colour: Color, modifier: Modifier) -> String {
    let mut out = "\x1b[0".to_owned();
    for (flag, code) in [(Modifier::BOLD, ";1"), (Modifier::DIM, ";2"), (Modifier::REVERSED, ";7")] {
        if modifier.contains(flag) {
            out.push_str(code);
        }
    }
    out.push_str(match colour {
        Color::Red => ";31",
        Color::Green => ";32",
        Color::Yellow => ";33",
        Color::Cyan => ";36",
        _ => "",
    });
    out.push('m');
    out
}

/// The area of a frame.
pub(crate) fn area((columns, rows): (u16, u16)) -> Rect {
    Rect::new(0, 0, columns, rows)
}

#[cfg(test)]
mod tests {
    use ratatui_core::style::Style;

    use super::*;

    #[test]
    fn only_what_differs_is_sent() {
        let mut next = Buffer::empty(area((10, 2)));
        next.set_string(2, 1, "ab", Style::new().fg(Color::Red));
        let mut out = Vec::new();
        encode(&Buffer::empty(area((10, 2))), &next, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "\x1b[2;3H\x1b[0;31mab\x1b[0m");
        let mut out = Vec::new();
        encode(&next, &next.clone(), &mut out);
        assert_eq!(out, b"\x1b[0m");
    }
}
