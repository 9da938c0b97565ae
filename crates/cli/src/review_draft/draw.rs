//! The screen as a frame. Only what fits is looked at, however many changes there are.

use raincoat_types::display_bytes;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Position;
use ratatui_core::style::{Color, Modifier, Style};

use super::door::area;
use super::fit::{cut, cut_front, from, padded, width, wrapped};
use super::look::{Kind, Line, Look, hunk_taken};
use super::model::{Choice, Entry, Mark, Resolution};
use super::screen::{Mode, Screen};
use super::sides::{Row, Sides};
use super::tree::Node;
use crate::view::size;

/// Lines of the foot.
const FOOT_MOST: usize = 4;
/// Columns from which a line of the tree has its size.
const SIZED: usize = 32;

/// The keys, explained.
const HELP: &[&str] = &[
    "A created, M modified, D deleted, T another kind, m metadata only",
    "! dangerous: a protected name, left until taken by itself",
    "C conflict: your folder changed meanwhile",
    "S special: a socket, device or FIFO; cannot be committed",
    "[x] accepted, [ ] left, [~] in part, [1] to [4] a conflict, settled, [-] cannot be",
    "",
    "up down j k: move; PgUp PgDn g G: further",
    "left right h l: fold, unfold; in a difference: sideways",
    "tab: into the difference, and back",
    "space: accept or leave a file, all in a folder, or a hunk",
    "a, n: accept all, none (of what the filter shows)",
    "!: to the next that must be decided by itself",
    "/: only paths with a text in them; escape shows all",
    "1, 2, 3: a conflict: keep mine, theirs, both",
    "4: a conflict: both sides, and their merge",
    "enter: commit what is accepted; asks first, can be undone",
    "q: leave the draft as it is",
];

/// The keys, explained, in lines that fit.
pub(super) fn help_lines(columns: u16) -> Vec<String> {
    HELP.iter().flat_map(|line| wrapped(line, usize::from(columns))).collect()
}

/// The styles, with or without colours.
#[derive(Clone, Copy)]
struct Theme {
    colour: bool,
}

impl Theme {
    fn fg(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    fn kind(self, kind: Kind) -> Style {
        match kind {
            Kind::Plain => Style::new(),
            Kind::Aside => Style::new().add_modifier(Modifier::DIM),
            Kind::Warning => self.fg(Color::Yellow).add_modifier(Modifier::BOLD),
            Kind::Hunk(_) => self.fg(Color::Cyan),
            Kind::Old => self.fg(Color::Red),
            Kind::New => self.fg(Color::Green),
        }
    }

    fn entry(self, entry: &Entry, taken: bool) -> Style {
        let style = match (entry.flag(), entry.mark) {
            ('S' | 'C' | '!', _) => self.fg(Color::Yellow),
            (_, Mark::Created) => self.fg(Color::Green),
            (_, Mark::Deleted) => self.fg(Color::Red),
            _ => Style::new(),
        };
        if taken { style } else { style.add_modifier(Modifier::DIM) }
    }
}

/// A part of the screen to write lines into.
struct Pane<'a> {
    buffer: &'a mut Buffer,
    x: u16,
    y: u16,
    width: u16,
    height: u16,
}

impl Pane<'_> {
    /// One line, cut where it does not fit.
    fn line(&mut self, row: usize, text: &str, style: Style) {
        let Ok(row) = u16::try_from(row) else { return };
        let at = Position::new(self.x, self.y.saturating_add(row));
        if row < self.height && self.buffer.area.contains(at) {
            let text = cut(text, usize::from(self.width));
            self.buffer.set_stringn(at.x, at.y, text, usize::from(self.width), style);
        }
    }

    /// One line whose style goes to the pane's edge.
    fn bar(&mut self, row: usize, text: &str, style: Style) {
        self.line(row, &padded(text, usize::from(self.width)), style);
    }
}

/// The whole screen.
pub(super) fn frame(screen: &Screen<'_>) -> Buffer {
    let (width, height) = screen.size;
    let mut buffer = Buffer::empty(area(screen.size));
    let theme = Theme { colour: screen.colour };
    let mut whole = Pane { buffer: &mut buffer, x: 0, y: 0, width, height };
    whole.bar(0, &head(screen), Style::new().add_modifier(Modifier::REVERSED));
    let left = if screen.is_wide() { (width * 2 / 5).min(64) } else { width };
    match &screen.mode {
        Mode::Help(top) => help(&mut inner(&mut buffer, 0, width), *top),
        Mode::Sides(sides) => draw_sides(&mut inner(&mut buffer, 0, width), sides, theme),
        _ if screen.is_wide() => {
            tree(&mut inner(&mut buffer, 0, left), screen, theme);
            for row in 0..usize::from(height) {
                inner(&mut buffer, left, 1).line(row, "│", theme.kind(Kind::Aside));
            }
            look(&mut inner(&mut buffer, left + 1, width.saturating_sub(left + 1)), screen, theme);
        }
        _ if screen.inside => look(&mut inner(&mut buffer, 0, width), screen, theme),
        _ => tree(&mut inner(&mut buffer, 0, width), screen, theme),
    }
    foot(&mut Pane { buffer: &mut buffer, x: 0, y: 0, width, height }, screen, theme);
    buffer
}

/// The part between the head and the foot.
fn inner(buffer: &mut Buffer, x: u16, width: u16) -> Pane<'_> {
    let height = buffer.area.height.saturating_sub(2);
    Pane { buffer, x, y: 1, width, height }
}

fn head(screen: &Screen<'_>) -> String {
    let total = screen.tree.total();
    let (lines, at) = screen.list.place();
    let mut out = format!(
        " {} of {} accepted",
        size::count(total.taken as u64),
        size::of(total.entries as u64, "change", "changes")
    );
    if total.apart > 0 {
        out.push_str(&format!(" · {} to decide", size::count(total.apart as u64)));
    }
    if !screen.list.filter().is_empty() {
        out.push_str(&format!(" · with `{}`", display_bytes(screen.list.filter().as_bytes())));
    }
    if lines > screen.height() {
        out.push_str(&format!(" · line {}/{}", size::count(at as u64 + 1), size::count(lines as u64)));
    }
    out
}

/// What can be done now, what came of the last key, or the question: as many lines from the bottom as it needs.
fn foot(pane: &mut Pane<'_>, screen: &Screen<'_>, theme: Theme) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let (words, style) = match &screen.mode {
        Mode::Ask => (question(screen), bold),
        Mode::Filter => (format!("/{}_", display_bytes(screen.list.filter().as_bytes())), bold),
        // Names in it are made safe where it is put together.
        _ if !screen.message.is_empty() => (screen.message.clone(), theme.fg(Color::Yellow)),
        _ => {
            let hint = hint(screen);
            pane.bar(usize::from(pane.height).saturating_sub(1), hint, Style::new().add_modifier(Modifier::DIM));
            return;
        }
    };
    let lines = wrapped(&words, usize::from(pane.width));
    let room = usize::from(pane.height).saturating_sub(1).min(FOOT_MOST);
    let skip = lines.len().saturating_sub(room);
    let from = usize::from(pane.height).saturating_sub(lines.len() - skip);
    for (row, line) in lines.iter().skip(skip).enumerate() {
        pane.bar(from + row, line, style);
    }
}

fn hint(screen: &Screen<'_>) -> &'static str {
    let conflict = || screen.entry().and_then(|n| screen.entries.get(n)).is_some_and(|entry| entry.conflict.is_some());
    match (&screen.mode, screen.is_wide()) {
        (Mode::Help(_), _) => "any key: back",
        (Mode::Sides(sides), true) if sides.can_merge() => "1 mine  2 theirs  3 both  enter merge  tab turn  esc back",
        (Mode::Sides(sides), false) if sides.can_merge() => "1 2 3  enter merge  tab turn  esc back",
        (Mode::Sides(_), _) => "1 mine  2 theirs  3 both  esc back",
        (_, true) if conflict() => "1 mine  2 theirs  3 both  4 merge  enter commit  q leave  ? help",
        (_, false) if conflict() => "1 mine  2 theirs  3 both  4 merge  ?",
        (_, true) if screen.inside => "space take  j/k hunk  tab back  enter commit  q leave  ? help",
        (_, false) if screen.inside => "space take  j/k hunk  tab back  ?",
        (_, true) => "space take  tab look  / filter  enter commit  q leave  ? help",
        (_, false) => "space tab /  enter commit  q leave  ?",
    }
}

/// Counts, what is left out, and that it can be taken back.
fn question(screen: &Screen<'_>) -> String {
    let total = screen.tree.total();
    let mut words = format!("commit {}", size::of(total.taken as u64, "change", "changes"));
    if total.merges > 0 {
        words.push_str(&format!(", {} of them merged", size::count(total.merges as u64)));
    }
    if total.apart > 0 {
        words.push_str(&format!(", {} undecided left out", size::count(total.apart as u64)));
    }
    words + "? it can be undone with `raincoat undo` [y/N]"
}

fn help(pane: &mut Pane<'_>, top: usize) {
    for (row, line) in help_lines(pane.width).iter().skip(top).take(usize::from(pane.height)).enumerate() {
        pane.line(row, line, Style::new());
    }
}

fn tree(pane: &mut Pane<'_>, screen: &Screen<'_>, theme: Theme) {
    for (row, (n, selected)) in screen.list.window().take(usize::from(pane.height)).enumerate() {
        let Some(node) = screen.tree.node(n) else { continue };
        let entry = node.entry.and_then(|n| Some((n, screen.entries.get(n)?)));
        let text = tree_line(screen, n, node, entry, usize::from(pane.width));
        let style = entry.map_or(Style::new(), |(_, entry)| theme.entry(entry, node.count.taken > 0));
        let style = match (selected, screen.inside) {
            (true, false) => style.add_modifier(Modifier::REVERSED),
            (true, true) => style.add_modifier(Modifier::BOLD),
            _ => style,
        };
        if selected { pane.bar(row, &text, style) } else { pane.line(row, &text, style) }
    }
    if screen.list.place().0 == 0 {
        pane.line(0, "nothing matches; escape shows all", theme.kind(Kind::Aside));
    }
}

fn tree_line(screen: &Screen<'_>, n: usize, node: &Node, entry: Option<(usize, &Entry)>, columns: usize) -> String {
    let folder = node.end > n + 1 || node.depth == 0 || entry.is_some_and(|(_, e)| e.is_folder || e.was_folder);
    let fold = match (node.end > n + 1, screen.list.is_open(n)) {
        (true, true) => "▾ ",
        (true, false) => "▸ ",
        _ => "  ",
    };
    let marks = entry.map_or("  ".to_owned(), |(_, entry)| format!("{}{}", entry.mark.letter(), entry.flag()));
    // Deep trees keep room for their names.
    let indent = (node.depth * 2).min(columns / 4);
    let slash = if folder && !node.name.ends_with(b"/") { "/" } else { "" };
    let front = format!("{} {marks} {}{fold}", taken_box(screen, node, entry), " ".repeat(indent));
    let name = format!("{}{slash}", display_bytes(&node.name));
    let back = match entry {
        _ if columns < SIZED => String::new(),
        _ if node.end > n + 1 => {
            format!(" {}/{}", size::count(node.count.taken as u64), size::count(node.count.entries as u64))
        }
        Some((_, entry)) => format!(" {}", delta(entry)),
        None => String::new(),
    };
    let room = columns.saturating_sub(width(&front) + width(&back));
    format!("{front}{}{back}", padded(&cut(&name, room), room))
}

fn taken_box(screen: &Screen<'_>, node: &Node, entry: Option<(usize, &Entry)>) -> &'static str {
    let count = node.count;
    if count.entries == 1
        && let Some((n, entry)) = entry
    {
        return match (entry.special.is_some(), screen.tree.choice(n)) {
            (true, _) => "[-]",
            (_, Choice::Reject) => "[ ]",
            (_, Choice::Accept) => "[x]",
            (_, Choice::Hunks(_)) => "[~]",
            (_, Choice::Conflict(Resolution::KeepMine)) => "[1]",
            (_, Choice::Conflict(Resolution::KeepTheirs)) => "[2]",
            (_, Choice::Conflict(Resolution::KeepBoth)) => "[3]",
            (_, Choice::Conflict(Resolution::Merge)) => "[4]",
        };
    }
    match (count.taken, count.whole) {
        (0, _) => "[ ]",
        (_, whole) if whole == count.entries => "[x]",
        _ => "[~]",
    }
}

/// How much larger or smaller a file got; nothing for folders and what has no size.
fn delta(entry: &Entry) -> String {
    let (before, after) = (entry.size_before.unwrap_or(0), entry.size_after.unwrap_or(0));
    match before.cmp(&after) {
        std::cmp::Ordering::Equal => String::new(),
        std::cmp::Ordering::Less => format!("+{}", size::bytes(after - before)),
        std::cmp::Ordering::Greater => format!("-{}", size::bytes(before - after)),
    }
}

fn look(pane: &mut Pane<'_>, screen: &Screen<'_>, theme: Theme) {
    let bold = Style::new().add_modifier(if screen.inside { Modifier::REVERSED } else { Modifier::BOLD });
    let Some((n, look)) = &screen.look else {
        pane.bar(0, "", bold);
        return;
    };
    let Some(entry) = screen.entries.get(*n) else { return };
    let mark = format!(" {} ", entry.mark.word());
    let path = cut_front(&entry.path.display(), usize::from(pane.width).saturating_sub(width(&mark)));
    pane.bar(0, &format!("{mark}{path}"), bold);
    let choice = screen.tree.choice(*n);
    let rows = usize::from(pane.height).saturating_sub(1);
    for (row, line) in look.lines.iter().skip(screen.look_top).take(rows).enumerate() {
        look_line(pane, row + 1, screen, theme, (look, choice, line));
    }
}

fn look_line(
    pane: &mut Pane<'_>,
    row: usize,
    screen: &Screen<'_>,
    theme: Theme,
    (look, choice, line): (&Look, &Choice, &Line),
) {
    let style = theme.kind(line.kind);
    match line.kind {
        Kind::Hunk(n) => {
            let taken = match (look.in_parts, hunk_taken(choice, n)) {
                (false, _) => "",
                (true, true) => "[x] ",
                (true, false) => "[ ] ",
            };
            let here = screen.inside && n == screen.hunk;
            let style = if here { style.add_modifier(Modifier::REVERSED) } else { style };
            pane.line(row, &format!("{taken}{}", line.text), style);
        }
        _ => pane.line(row, &from(&line.text, screen.look_left), style),
    }
}

fn draw_sides(pane: &mut Pane<'_>, sides: &Sides, theme: Theme) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let rows = usize::from(pane.height).saturating_sub(1);
    if let (true, Some(merged)) = (sides.turned, &sides.merged) {
        let words = match sides.conflicts {
            0 => "merged: clean".to_owned(),
            n => format!("merged: {} left between markers", size::of(n as u64, "place", "places")),
        };
        pane.bar(0, &words, bold);
        for (row, line) in merged.iter().skip(sides.top).take(rows).enumerate() {
            pane.line(row + 1, &from(&line.text, sides.left), theme.kind(line.kind));
        }
        return;
    }
    let half = pane.width.saturating_sub(1) / 2;
    let (x, y, width, height) = (pane.x, pane.y, pane.width, pane.height);
    let columns = [(x, half, true), (x + half + 1, width.saturating_sub(half + 1), false)];
    for (x, width, mine) in columns {
        let mut column = Pane { buffer: &mut *pane.buffer, x, y, width, height };
        column.bar(0, if mine { "mine (your folder)" } else { "theirs (the draft)" }, bold);
        for (row, line) in sides.rows.iter().skip(sides.top).take(rows).enumerate() {
            let (text, style) = side_line(line, mine, theme);
            column.line(row + 1, &from(&text, sides.left), style);
        }
    }
}

fn side_line(row: &Row, mine: bool, theme: Theme) -> (String, Style) {
    let text = if mine { &row.mine } else { &row.theirs };
    let kind = match (row.gap, row.same, mine) {
        (true, _, _) => return ("…".to_owned(), theme.kind(Kind::Aside)),
        (_, true, _) => Kind::Plain,
        (_, _, true) => Kind::Old,
        (_, _, false) => Kind::New,
    };
    let sign = match (row.same, mine) {
        (true, _) => ' ',
        (false, true) => '-',
        (false, false) => '+',
    };
    (text.as_ref().map_or(String::new(), |text| format!("{sign}{text}")), theme.kind(kind))
}
