//! The review with made-up changes and scripted keys.

mod rules;
mod screens;

use std::collections::VecDeque;
use std::io;

use raincoat_types::RelPath;
use ratatui_core::buffer::Buffer;

use super::door::Door;
use super::keys::Press;
use super::screen::Screen;
use super::*;

/// Changes in memory, and which of them were opened.
pub(super) struct Made {
    folders: Vec<Vec<u8>>,
    entries: Vec<Entry>,
    contents: Vec<Content>,
    pub(super) opened: Vec<usize>,
}

impl Source for Made {
    fn folders(&self) -> &[Vec<u8>] {
        &self.folders
    }

    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn open(&mut self, n: usize) -> Opened {
        self.opened.push(n);
        Opened { words: Vec::new(), content: self.contents[n].clone() }
    }
}

pub(super) fn entry(path: &[u8], mark: Mark) -> Entry {
    Entry {
        folder: 0,
        path: RelPath::new(path).unwrap(),
        mark,
        was_folder: false,
        is_folder: false,
        size_before: (mark != Mark::Created).then_some(10),
        size_after: (mark != Mark::Deleted).then_some(30),
        dangerous: None,
        conflict: None,
        special: None,
    }
}

/// A new or a deleted folder.
pub(super) fn folder(path: &str, mark: Mark) -> Entry {
    Entry {
        is_folder: mark == Mark::Created,
        was_folder: mark == Mark::Deleted,
        size_before: None,
        size_after: None,
        ..entry(path.as_bytes(), mark)
    }
}

pub(super) fn made(changes: Vec<(Entry, Content)>) -> Made {
    let (entries, contents) = changes.into_iter().unzip();
    Made { folders: vec![b"/home/ada/project".to_vec()], entries, contents, opened: Vec::new() }
}

pub(super) fn text(before: &str, after: &str) -> Content {
    Content::Text { before: before.into(), after: after.into(), base: None }
}

/// One of everything.
pub(super) fn project() -> Made {
    let numbered = |change: &[(usize, &str)]| -> String {
        let line =
            |n: usize| change.iter().find(|(at, _)| *at == n).map_or(format!("line {n}"), |(_, new)| (*new).to_owned());
        (1..=30).map(|n| line(n) + "\n").collect()
    };
    let conflict = Content::Text {
        before: b"one\nmine\nthree\n".to_vec(),
        after: b"one\ntwo\ntheirs\n".to_vec(),
        base: Some(b"one\ntwo\nthree\n".to_vec()),
    };
    let blob = |size, digest: &str| Some(Blob { size, digest: digest.to_owned() });
    made(vec![
        (entry(b"src/main.rs", Mark::Modified), text(&numbered(&[]), &numbered(&[(3, "third"), (20, "twentieth")]))),
        (folder("new", Mark::Created), Content::Meta),
        (entry(b"new/a.txt", Mark::Created), text("", "hello\n")),
        (entry(b"logo.png", Mark::Modified), Content::Binary { before: blob(10, "aa11"), after: blob(30, "bb22") }),
        (entry(b"old.txt", Mark::Deleted), text("gone\n", "")),
        (
            Entry { dangerous: Some("git runs it".to_owned()), ..entry(b".git/hooks/pre-commit", Mark::Created) },
            text("", "#!/bin/sh\n"),
        ),
        (Entry { conflict: Some("you changed it since".to_owned()), ..entry(b"notes.txt", Mark::Modified) }, conflict),
        (Entry { special: Some("a socket".to_owned()), ..entry(b"run.sock", Mark::Created) }, Content::Meta),
    ])
}

/// Where the keys come from a list and the frames are kept.
pub(super) struct Script {
    pub(super) presses: VecDeque<Press>,
    pub(super) sizes: VecDeque<(u16, u16)>,
    pub(super) size: (u16, u16),
    pub(super) frames: Vec<Buffer>,
    /// Frames that had been shown when what was typed before was thrown away.
    pub(super) forgotten_at: Vec<usize>,
}

impl Door for Script {
    fn size(&self) -> (u16, u16) {
        self.sizes.get(self.frames.len()).copied().unwrap_or(self.size)
    }

    fn show(&mut self, frame: &Buffer, _whole: bool) -> io::Result<()> {
        self.frames.push(frame.clone());
        Ok(())
    }

    fn press(&mut self, wait: bool) -> Press {
        // One key a frame, as a person types; then the terminal goes away.
        if wait { self.presses.pop_front().unwrap_or(Press::Gone) } else { Press::Idle }
    }

    fn forget(&mut self) {
        self.forgotten_at.push(self.frames.len());
    }
}

impl Script {
    pub(super) fn last(&self) -> String {
        shown(self.frames.last().unwrap())
    }
}

/// A frame as text.
pub(super) fn shown(frame: &Buffer) -> String {
    let width = usize::from(frame.area.width).max(1);
    let lines = frame.content().chunks(width).map(|row| {
        let line: String = row.iter().map(|cell| cell.symbol()).collect();
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Keys of one letter, and of several in angle brackets.
pub(super) fn presses(keys: &str) -> VecDeque<Press> {
    let mut out = VecDeque::new();
    let mut rest = keys;
    while let Some(c) = rest.chars().next() {
        let (press, used) = match (c, rest.split_once('>')) {
            ('<', Some((name, _))) => {
                let press = match name.trim_start_matches('<') {
                    "tab" => Press::Tab,
                    "enter" => Press::Enter,
                    "esc" => Press::Escape,
                    "down" => Press::Down,
                    "right" => Press::Right,
                    "left" => Press::Left,
                    "end" => Press::End,
                    "pgdn" => Press::PageDown,
                    "back" => Press::Backspace,
                    "ctrl-c" => Press::Ctrl('c'),
                    other => panic!("there is no key `{other}`"),
                };
                (press, name.len() + 1)
            }
            _ => (Press::Char(c), c.len_utf8()),
        };
        out.push_back(press);
        rest = rest.get(used..).unwrap();
    }
    out
}

/// Plays the keys, and gives how it ended.
pub(super) fn play(source: &mut Made, size: (u16, u16), keys: &str) -> (Option<Vec<Choice>>, Script) {
    let mut script =
        Script { presses: presses(keys), sizes: VecDeque::new(), size, frames: Vec::new(), forgotten_at: Vec::new() };
    let ended = Screen::new(source, true).run(&mut script).unwrap();
    (ended, script)
}
