//! The part of YAML that tools print: mappings, lists, plain, quoted and block scalars, by indentation.

use super::Records;

/// What a line lies in.
struct Level {
    indent: usize,
    record: usize,
    column: String,
    /// A list's item, whose keys start after the dash.
    item: bool,
}

/// A scalar that goes on over lines.
struct Open {
    record: usize,
    column: String,
    indent: usize,
    text: String,
    style: Style,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Block,
}

struct Reader {
    out: Records,
    levels: Vec<Level>,
    open: Option<Open>,
    depth: usize,
}

/// None where the text is not of this kind as a whole.
pub(super) fn parse(text: &str, depth: usize) -> Option<Records> {
    let first = text.lines().find(|line| !line.trim().is_empty())?;
    if !first.starts_with("- ") && key_of(first.trim()).is_none() {
        return None;
    }
    let mut out = Records::default();
    let top = out.record(None);
    let levels = vec![Level { indent: 0, record: top, column: String::new(), item: false }];
    let mut reader = Reader { out, levels, open: None, depth };
    for line in text.lines() {
        reader.line(line)?;
    }
    match reader.open.take() {
        Some(open) if matches!(open.style, Style::Single | Style::Double) => return None,
        Some(open) => reader.close(open),
        None => {}
    }
    Some(reader.out)
}

impl Reader {
    fn line(&mut self, line: &str) -> Option<()> {
        let body = line.trim_start_matches(' ');
        let indent = line.len() - body.len();
        if let Some(mut open) = self.open.take() {
            let quoted = matches!(open.style, Style::Single | Style::Double);
            if quoted || body.is_empty() || indent > open.indent {
                let done = quoted && is_closed(&format!("\u{0}{body}"), open.style);
                let fold =
                    if body.is_empty() || open.text.ends_with('\n') && open.style == Style::Block { "\n" } else { " " };
                if open.style == Style::Double && open.text.ends_with('\\') {
                    open.text.pop();
                } else {
                    open.text.push_str(if open.style == Style::Block { "\n" } else { fold });
                }
                open.text.push_str(body);
                if done {
                    self.close(open);
                } else {
                    self.open = Some(open);
                }
                return Some(());
            }
            self.close(open);
        }
        if body.is_empty() || body == "---" {
            return Some(());
        }
        self.entry(body, indent)
    }

    fn entry(&mut self, body: &str, indent: usize) -> Option<()> {
        if let Some(rest) = body.strip_prefix('-').filter(|rest| rest.is_empty() || rest.starts_with(' ')) {
            // A list may stand as far left as the key that it belongs to.
            while self.levels.len() > 1
                && self
                    .levels
                    .last()
                    .is_some_and(|level| level.indent > indent || (level.item && level.indent >= indent))
            {
                self.levels.pop();
            }
            let (record, column) = self.levels.last().map(|level| (level.record, level.column.clone()))?;
            let inner = rest.trim_start();
            let nested = key_of(inner).is_some() || inner.starts_with("- ");
            let own = if nested || self.levels.len() == 1 { self.out.record(Some(record)) } else { record };
            let shift = body.len() - inner.len();
            self.push(Level { indent, record: own, column: column.clone(), item: true })?;
            return if nested { self.entry(inner, indent + shift) } else { self.scalar(own, &column, inner, indent) };
        }
        let (key, rest) = key_of(body)?;
        while self.levels.len() > 1 && self.levels.last().is_some_and(|level| level.indent >= indent) {
            self.levels.pop();
        }
        let (record, above) = self.levels.last().map(|level| (level.record, level.column.clone()))?;
        let column = format!("{above}.{key}");
        let before = self.out.leaves.len();
        self.out.key(record, &above, &key);
        let own = if self.out.leaves.len() > before { self.out.record(Some(record)) } else { record };
        if let Some(leaf) = self.out.leaves.get_mut(before) {
            leaf.record = own;
        }
        if rest.is_empty() {
            return self.push(Level { indent, record: own, column, item: false });
        }
        self.scalar(own, &column, rest, indent)
    }

    fn push(&mut self, level: Level) -> Option<()> {
        (self.levels.len() <= self.depth).then(|| self.levels.push(level))
    }

    fn scalar(&mut self, record: usize, column: &str, text: &str, indent: usize) -> Option<()> {
        let style = match text.chars().next() {
            Some('\'') => Style::Single,
            Some('"') => Style::Double,
            Some('|' | '>') if text.len() <= 2 => Style::Block,
            Some('[' | '{') => {
                // Such as `[]` or `[a, b]`, on one line.
                if matches!(text, "[]" | "{}") {
                    return Some(());
                }
                if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                    for item in inner.split(',') {
                        self.out.leaf(record, column, item.trim().trim_matches(['\'', '"']).to_owned(), true);
                    }
                    return Some(());
                }
                Style::Plain
            }
            _ => Style::Plain,
        };
        let open = Open { record, column: column.to_owned(), indent, text: text.to_owned(), style };
        if matches!(style, Style::Single | Style::Double) && is_closed(text, style) {
            self.close(open);
        } else {
            self.open = Some(open);
        }
        Some(())
    }

    fn close(&mut self, open: Open) {
        let text = match open.style {
            Style::Plain if matches!(open.text.trim(), "null" | "~") => String::new(),
            Style::Plain => open.text.trim_end().to_owned(),
            Style::Block => open.text.trim_start_matches(['|', '>', '-', '+']).trim_start_matches('\n').to_owned(),
            Style::Single => inside(&open.text, '\'').replace("''", "'"),
            Style::Double => unescaped(inside(&open.text, '"')),
        };
        self.out.leaf(open.record, &open.column, text, true);
    }
}

/// Splits `key: value`, `key:` and `"key": value`.
fn key_of(body: &str) -> Option<(String, &str)> {
    if let Some(quote) = body.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        let end = body.get(1..)?.find(quote)? + 1;
        let rest = body.get(end + 1..)?.strip_prefix(':')?;
        return Some((body.get(1..end)?.to_owned(), rest.trim()));
    }
    let (key, rest) = body.split_once(": ").or_else(|| body.strip_suffix(':').map(|key| (key, "")))?;
    // A sentence with a colon in it is no key.
    let plain =
        key.len() <= 80 && !key.is_empty() && key.split(' ').count() <= 6 && !key.contains(['.', '!', '?', '<', '{']);
    let named = key.len() <= 80 && key.split(' ').count() == 1 && !key.contains(['<', '{']);
    (plain || named).then(|| (key.to_owned(), rest.trim()))
}

/// Whether a quoted scalar that starts with its mark ends on this line.
fn is_closed(text: &str, style: Style) -> bool {
    let body: Vec<char> = text.trim_end().chars().skip(1).collect();
    match style {
        Style::Single => body.iter().rev().take_while(|c| **c == '\'').count() % 2 == 1,
        Style::Double => {
            body.last() == Some(&'"') && body.iter().rev().skip(1).take_while(|c| **c == '\\').count() % 2 == 0
        }
        _ => true,
    }
}

fn inside(text: &str, quote: char) -> &str {
    let text = text.trim();
    text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)).unwrap_or(text)
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some(kind @ ('x' | 'u' | 'U')) => {
                let digits = match kind {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let code: String = chars.by_ref().take(digits).collect();
                out.push(u32::from_str_radix(&code, 16).ok().and_then(char::from_u32).unwrap_or('\u{fffd}'));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}
