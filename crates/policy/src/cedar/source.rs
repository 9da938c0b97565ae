//! The text of policy files, cut into policies, each with the line it begins on. Cedar's parser then judges each piece
//! by itself, so that what is wrong has a place, and what is right beside it still counts.

use super::limits;

/// One policy's text: from behind the policy before it to its `;`.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    /// Where the piece begins in the file, in bytes.
    pub(super) start: usize,
    /// The line of its first word, from 1.
    pub(super) line: usize,
}

/// What is wrong with a text before it is parsed.
#[derive(Debug)]
pub(super) struct Bad {
    /// The line, from 1.
    pub(super) line: usize,
    pub(super) why: String,
}

/// The line, from 1, of a place in a text.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// Cuts a file into policies. Text behind the last `;` that is more than comments is a piece as well: Cedar says what
/// is wrong with it.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Bad> {
    let mut pieces = Vec::new();
    let mut state = State::default();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (state.within, c) {
            (Within::Text, '/') if chars.peek().is_some_and(|(_, next)| *next == '/') => state.within = Within::Comment,
            (Within::Comment, '\n' | '\r') => state.within = Within::Text,
            (Within::Comment, _) => {}
            (Within::String, '\\') => {
                chars.next();
            }
            (Within::String, '"') => state.within = Within::Text,
            (Within::String, _) => {}
            (Within::Text, c) => {
                if state.first.is_none() && !c.is_whitespace() {
                    state.first = Some(at);
                }
                state.take(c);
                let Some(first) = state.first else { continue };
                if let Some(why) = state.over(at - state.start) {
                    return Err(Bad { line: line_of(text, first), why });
                }
                if c == ';' {
                    let end = at + 1;
                    pieces.extend(piece(text, state.start, end, first));
                    state = State { start: end, ..State::default() };
                }
            }
        }
        if pieces.len() > limits::POLICIES {
            return Err(Bad {
                line: line_of(text, at),
                why: format!("more than {} policies; use fewer", limits::POLICIES),
            });
        }
    }
    if let Some(first) = state.first {
        if text.len() - state.start > limits::POLICY_BYTES {
            return Err(Bad { line: line_of(text, first), why: too_long() });
        }
        pieces.extend(piece(text, state.start, text.len(), first));
    }
    Ok(pieces)
}

fn piece(text: &str, start: usize, end: usize, first: usize) -> Option<Piece<'_>> {
    text.get(start..end).map(|piece| Piece { text: piece, start, line: line_of(text, first) })
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Within {
    #[default]
    Text,
    String,
    Comment,
}

/// What is known of the piece that is being read.
#[derive(Default)]
struct State {
    within: Within,
    start: usize,
    first: Option<usize>,
    depth: usize,
    operators: usize,
    word: Word,
}

/// Follows the letters of `if`, which nests without a bracket.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Word {
    #[default]
    Between,
    I,
    If,
    Other,
}

impl State {
    fn take(&mut self, c: char) {
        let letter = c.is_alphanumeric() || c == '_';
        if !letter && self.word == Word::If {
            self.depth += 1;
        }
        self.word = match (self.word, c) {
            (Word::Between, 'i') => Word::I,
            (Word::I, 'f') => Word::If,
            _ if letter => Word::Other,
            _ => Word::Between,
        };
        match c {
            '"' => self.within = Within::String,
            '(' | '{' | '[' => self.depth += 1,
            ')' | '}' | ']' => self.depth = self.depth.saturating_sub(1),
            '&' | '|' | '=' | '!' | '<' | '>' | '+' | '-' | '*' | '.' => self.operators += 1,
            _ => {}
        }
    }

    fn over(&self, bytes: usize) -> Option<String> {
        if bytes > limits::POLICY_BYTES {
            Some(too_long())
        } else if self.depth > limits::DEPTH {
            Some(format!("nested deeper than {} levels; write it as several policies", limits::DEPTH))
        } else if self.operators > limits::OPERATORS {
            Some(format!("more than {} operators in one policy; write it as several policies", limits::OPERATORS))
        } else {
            None
        }
    }
}

fn too_long() -> String {
    format!("one policy is longer than {} bytes; a `;` may be missing, or write it as several", limits::POLICY_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_cut_where_they_end_and_know_their_line() {
        let text = "// one; two\n@reason(\"a ; b \\\" ; \")\npermit (principal, action, resource);\n\n// x\nforbid(principal,action,resource); // end;\n";
        let lines: Vec<_> = pieces(text).unwrap().iter().map(|piece| (piece.line, piece.text.trim().len())).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0].0, lines[1].0), (2, 6));
        assert_eq!(pieces("permit (principal").unwrap().len(), 1, "what is unfinished is not passed over");
        assert!(pieces("// only a comment").unwrap().is_empty());
    }

    #[test]
    fn what_is_too_deep_or_too_long_is_refused() {
        let deep = format!("permit(principal,action,resource) when {{ {} true", "(".repeat(limits::DEPTH));
        assert!(pieces(&deep).unwrap_err().why.contains("nested"));
        let ifs = "if true then true else ".repeat(limits::DEPTH + 1);
        assert!(
            pieces(&format!("permit(principal,action,resource) when {{ {ifs}")).unwrap_err().why.contains("nested")
        );
        let wide = "&& true ".repeat(limits::OPERATORS);
        assert!(pieces(&wide).unwrap_err().why.contains("operators"));
        assert!(pieces(&"x".repeat(limits::POLICY_BYTES + 2)).unwrap_err().why.contains("longer"));
    }
}
