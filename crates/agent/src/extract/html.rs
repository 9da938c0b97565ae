//! HTML to text: a tokenizer and no tree, so that nesting costs nothing.

use std::borrow::Cow;

use encoding_rs::Encoding;
use html5gum::emitters::default::DefaultEmitter;
use html5gum::{Token, Tokenizer};

use super::{ExtractError, Out, plain};

/// Whether a file is HTML, by its first bytes or else its name.
pub(super) fn is_html(name: &[u8], start: &[u8]) -> bool {
    let text = start.trim_ascii_start().to_ascii_lowercase();
    let named = [b".html".as_slice(), b".htm", b".xhtml"].iter().any(|ext| name.to_ascii_lowercase().ends_with(ext));
    named || text.starts_with(b"<!doctype html") || text.starts_with(b"<html")
}

/// The document as text: by its byte order mark, by the `charset` that it declares (WHATWG HTML 13.2.3.2, in short),
/// else guessed.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if Encoding::for_bom(bytes).is_none()
        && let Some(encoding) = declared(bytes.get(..bytes.len().min(1024)).unwrap_or_default())
    {
        return encoding.decode_without_bom_handling(bytes).0;
    }
    plain::decode(bytes).unwrap_or_else(|| String::from_utf8_lossy(bytes))
}

fn declared(start: &[u8]) -> Option<&'static Encoding> {
    let at = start.windows(8).position(|w| w.eq_ignore_ascii_case(b"charset="))?;
    let value = start.get(at + 8..)?;
    let value = value.strip_prefix(b"\"").or_else(|| value.strip_prefix(b"'")).unwrap_or(value);
    let end = value.iter().position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':')))?;
    // A page that could be read as ASCII so far is not in UTF-16, whatever it says.
    Encoding::for_label(value.get(..end)?).map(|encoding| encoding.output_encoding())
}

pub(super) fn read(html: &str, out: &mut Out) -> Result<(), ExtractError> {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    // Elements within which text is not for reading, and how deep we are in them.
    let mut hidden = 0_u32;
    let mut kept = 0_u32;
    for token in Tokenizer::new_with_emitter(html, emitter) {
        if out.is_full() {
            break;
        }
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => {
                let name = tag.name.as_slice();
                hidden += u32::from(is_hidden(name) && !tag.self_closing);
                kept += u32::from(name == b"pre");
                match name {
                    b"td" | b"th" => cell(out),
                    b"li" => {
                        out.end_line();
                        out.push("- ");
                    }
                    name if is_block(name) => out.end_line(),
                    _ => {}
                }
            }
            Token::EndTag(tag) => {
                let name = tag.name.as_slice();
                hidden = hidden.saturating_sub(u32::from(is_hidden(name)));
                kept = kept.saturating_sub(u32::from(name == b"pre"));
                if is_block(name) || name == b"li" {
                    out.end_line();
                }
            }
            Token::String(text) if hidden == 0 => {
                let text = String::from_utf8_lossy(&text.value);
                if kept > 0 { out.push(&text) } else { words(&text, out) }
            }
            _ => {}
        }
    }
    out.end_line();
    Ok(())
}

/// Text with its white space run together, as browsers show it.
fn words(text: &str, out: &mut Out) {
    let fresh = |out: &Out| out.text.is_empty() || out.text.ends_with([' ', '\t', '\n']);
    if text.starts_with(char::is_whitespace) && !fresh(out) {
        out.push(" ");
    }
    for (at, word) in text.split_ascii_whitespace().enumerate() {
        if at > 0 {
            out.push(" ");
        }
        out.push(word);
    }
    if text.ends_with(char::is_whitespace) && !fresh(out) {
        out.push(" ");
    }
}

/// A new cell begins: a tab, unless it is the first of its row.
fn cell(out: &mut Out) {
    while out.text.ends_with(' ') {
        out.text.pop();
    }
    if !out.text.is_empty() && !out.text.ends_with('\n') {
        out.push("\t");
    }
}

fn is_hidden(name: &[u8]) -> bool {
    matches!(name, b"script" | b"style" | b"template" | b"noscript" | b"svg" | b"math" | b"iframe" | b"object")
}

fn is_block(name: &[u8]) -> bool {
    matches!(
        name,
        b"p" | b"div"
            | b"br"
            | b"hr"
            | b"tr"
            | b"table"
            | b"h1"
            | b"h2"
            | b"h3"
            | b"h4"
            | b"h5"
            | b"h6"
            | b"ul"
            | b"ol"
            | b"dl"
            | b"dt"
            | b"dd"
            | b"section"
            | b"article"
            | b"header"
            | b"footer"
            | b"main"
            | b"nav"
            | b"aside"
            | b"blockquote"
            | b"pre"
            | b"form"
            | b"figure"
            | b"figcaption"
            | b"title"
            | b"body"
            | b"option"
            | b"address"
    )
}
