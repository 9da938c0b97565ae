//! The XML of word processors and presentations.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::package::{Parts, natural};
use super::{ExtractError, ExtractLimits, Out};

/// Office Open XML, word processing: the body, then foot- and endnotes.
pub(super) fn docx(parts: &mut Parts<'_>, limits: &ExtractLimits, out: &mut Out) -> Result<(), ExtractError> {
    for part in ["word/document.xml", "word/footnotes.xml", "word/endnotes.xml"] {
        if parts.has(part) {
            let xml = parts.text(part)?;
            office_xml(&xml, limits, out)?;
        }
    }
    Ok(())
}

/// Office Open XML, presentation: slides in order, each with its notes left out.
pub(super) fn pptx(parts: &mut Parts<'_>, limits: &ExtractLimits, out: &mut Out) -> Result<(), ExtractError> {
    let is_slide = |name: &String| name.starts_with("ppt/slides/slide") && name.ends_with(".xml");
    let mut slides: Vec<String> = parts.names().filter(is_slide).collect();
    slides.sort_by_key(|name| natural(name));
    for slide in slides {
        if out.is_full() {
            break;
        }
        let xml = parts.text(&slide)?;
        office_xml(&xml, limits, out)?;
        out.end_line();
        out.push("\n");
    }
    Ok(())
}

/// What WordprocessingML and DrawingML have in common: `t` is text, `p` a paragraph, `tr` and `tc` a table.
fn office_xml(xml: &str, limits: &ExtractLimits, out: &mut Out) -> Result<(), ExtractError> {
    let mut in_text = false;
    let mut cells = 0_u32;
    walk(xml, limits, &mut |piece| {
        match piece {
            Piece::Start(name, _) => match name {
                "t" => in_text = true,
                "tc" => cells += 1,
                "tab" => out.push("\t"),
                "br" | "cr" => out.push("\n"),
                "noBreakHyphen" => out.push("-"),
                _ => {}
            },
            Piece::End(name) => match name {
                "t" => in_text = false,
                "p" if cells > 0 => out.push(" "),
                "p" => out.push("\n"),
                "tc" => {
                    cells = cells.saturating_sub(1);
                    end_cell(out);
                }
                "tr" => out.end_line(),
                _ => {}
            },
            Piece::Text(text) if in_text => out.push(text),
            Piece::Text(_) => {}
        }
        !out.is_full()
    })
}

/// OpenDocument (ODF 1.3 part 3): `p` and `h` are paragraphs, `table-row` and `table-cell` a table.
pub(super) fn open_document(xml: &str, limits: &ExtractLimits, out: &mut Out) -> Result<(), ExtractError> {
    let mut cells = 0_u32;
    let mut paragraphs = 0_u32;
    // What was deleted under change tracking, and comments, are not the document's text.
    let mut hidden = 0_u32;
    walk(xml, limits, &mut |piece| {
        match piece {
            Piece::Start(name, tag) => match name {
                "tracked-changes" | "annotation" => hidden += 1,
                "p" | "h" => paragraphs += 1,
                "table-cell" | "covered-table-cell" => cells += 1,
                "tab" => out.push("\t"),
                "line-break" => out.push("\n"),
                "s" => {
                    let count = attribute(tag, "c").and_then(|n| n.parse().ok()).unwrap_or(1_usize);
                    out.push(&" ".repeat(count.min(100)));
                }
                _ => {}
            },
            Piece::End(name) => match name {
                "tracked-changes" | "annotation" => hidden = hidden.saturating_sub(1),
                "p" | "h" => {
                    paragraphs = paragraphs.saturating_sub(1);
                    if hidden == 0 {
                        out.push(if cells > 0 { " " } else { "\n" });
                    }
                }
                "table-cell" | "covered-table-cell" => {
                    cells = cells.saturating_sub(1);
                    end_cell(out);
                }
                "table-row" => out.end_line(),
                _ => {}
            },
            Piece::Text(text) if paragraphs > 0 && hidden == 0 => out.push(text),
            Piece::Text(_) => {}
        }
        !out.is_full()
    })
}

fn end_cell(out: &mut Out) {
    while out.text.ends_with(' ') {
        out.text.pop();
    }
    out.push("\t");
}

fn attribute(tag: &BytesStart<'_>, wanted: &str) -> Option<String> {
    let found = tag.attributes().with_checks(false).flatten().find(|a| a.key.local_name().as_ref() == wanted)?;
    Some(found.value.into_owned())
}

/// A piece of XML. Names are without their prefix.
enum Piece<'x> {
    Start(&'x str, &'x BytesStart<'x>),
    End(&'x str),
    Text(&'x str),
}

/// Goes through XML piece by piece until `each` says enough. Of references only characters and the five that XML
/// itself defines are resolved; a document's own entities are never expanded.
fn walk(xml: &str, limits: &ExtractLimits, each: &mut dyn FnMut(Piece<'_>) -> bool) -> Result<(), ExtractError> {
    let mut reader = Reader::from_str(xml);
    let mut depth = 0_usize;
    loop {
        let event = reader.read_event().map_err(|e| ExtractError::Malformed(e.to_string()))?;
        let go_on = match &event {
            Event::Start(tag) => {
                depth += 1;
                if depth > limits.depth {
                    return Err(ExtractError::TooMuch(format!("it nests deeper than {} elements", limits.depth)));
                }
                each(Piece::Start(tag.local_name().as_ref(), tag))
            }
            Event::Empty(tag) => {
                let name = tag.local_name();
                each(Piece::Start(name.as_ref(), tag)) && each(Piece::End(name.as_ref()))
            }
            Event::End(tag) => {
                depth = depth.saturating_sub(1);
                each(Piece::End(tag.local_name().as_ref()))
            }
            Event::Text(text) => each(Piece::Text(&text.xml10_content())),
            Event::CData(text) => each(Piece::Text(&text.xml10_content())),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(c)) => each(Piece::Text(c.encode_utf8(&mut [0; 4]))),
                _ => quick_xml::escape::resolve_predefined_entity(&reference.xml10_content())
                    .is_none_or(|text| each(Piece::Text(text))),
            },
            Event::Eof if depth > 0 => return Err(ExtractError::Malformed("it ends too early".to_owned())),
            Event::Eof => false,
            _ => true,
        };
        if !go_on {
            return Ok(());
        }
    }
}
