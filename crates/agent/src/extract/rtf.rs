//! Rich Text Format (Microsoft, specification 1.9.1) to text: groups, control words, and characters in a code page or
//! in Unicode. What a group is for is told by its first words; groups that are not text are passed over.

use encoding_rs::{Encoding, WINDOWS_1252};

use super::{ExtractError, ExtractLimits, Out};

/// What holds within a group.
#[derive(Clone, Copy)]
struct Group {
    /// Not for reading: fonts, styles, pictures.
    hidden: bool,
    /// How many characters stand in for one of `\u`.
    stand_ins: u32,
}

pub(super) fn read(bytes: &[u8], limits: &ExtractLimits, out: &mut Out) -> Result<(), ExtractError> {
    let mut groups: Vec<Group> = Vec::new();
    let mut now = Group { hidden: false, stand_ins: 1 };
    let mut page: &'static Encoding = WINDOWS_1252;
    let mut raw = Vec::new();
    let mut skip = 0_u32;
    let mut high = None;
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        if out.is_full() {
            return Ok(());
        }
        rest = after;
        if *first != b'\\' {
            if !matches!(first, b'{' | b'}' | b'\r' | b'\n') {
                character(*first, &mut skip, now, &mut raw);
                continue;
            }
            flush(&mut raw, page, out);
            match first {
                b'{' if groups.len() >= limits.depth => {
                    return Err(ExtractError::TooMuch(format!("it nests deeper than {} groups", limits.depth)));
                }
                b'{' => groups.push(now),
                b'}' => {
                    skip = 0;
                    match groups.pop() {
                        Some(outer) => now = outer,
                        None => break,
                    }
                    if groups.is_empty() {
                        break;
                    }
                }
                _ => {}
            }
            continue;
        }
        let Some((word, number, after)) = control(rest) else { break };
        rest = after;
        if word == b"'" {
            character(u8::try_from(number.unwrap_or(0)).unwrap_or(b'?'), &mut skip, now, &mut raw);
            continue;
        }
        flush(&mut raw, page, out);
        match word {
            b"*" => now.hidden = true,
            b"bin" => rest = rest.get(usize::try_from(number.unwrap_or(0)).unwrap_or(0)..).unwrap_or_default(),
            b"uc" => now.stand_ins = u32::try_from(number.unwrap_or(1)).unwrap_or(1).min(16),
            b"ansicpg" => page = code_page(number.unwrap_or(1252)),
            b"mac" => page = encoding_rs::MACINTOSH,
            b"u" if !now.hidden => {
                // A signed 16-bit unit of UTF-16; beyond the first plane two of them follow each other.
                let unit = (number.unwrap_or(0) & 0xffff) as u16;
                let pair = [high.take().unwrap_or(0), unit];
                match unit {
                    0xd800..=0xdbff => high = Some(unit),
                    0xdc00..=0xdfff => out.push(&String::from_utf16_lossy(&pair)),
                    _ => out.push(&String::from_utf16_lossy(&[unit])),
                }
                skip = now.stand_ins;
            }
            word if is_hidden(word) => now.hidden = true,
            word if !now.hidden => out.push(shown(word)),
            _ => {}
        }
    }
    flush(&mut raw, page, out);
    out.end_line();
    Ok(())
}

fn character(byte: u8, skip: &mut u32, now: Group, raw: &mut Vec<u8>) {
    if *skip > 0 {
        *skip -= 1;
    } else if !now.hidden {
        raw.push(byte);
    }
}

fn flush(raw: &mut Vec<u8>, page: &'static Encoding, out: &mut Out) {
    if !raw.is_empty() {
        out.push(&page.decode_without_bom_handling(raw).0);
        raw.clear();
    }
}

/// A control word after its backslash: its letters (or its one sign), its number, and what follows.
fn control(rest: &[u8]) -> Option<(&[u8], Option<i32>, &[u8])> {
    let letters = rest.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    if letters == 0 {
        let (sign, after) = rest.split_at_checked(1)?;
        if sign != b"'" {
            return Some((sign, None, after));
        }
        let (hex, after) = after.split_at_checked(2)?;
        let value = std::str::from_utf8(hex).ok().and_then(|hex| i32::from_str_radix(hex, 16).ok());
        return Some((sign, value, after));
    }
    let (word, after) = rest.split_at_checked(letters)?;
    let minus = usize::from(after.first() == Some(&b'-'));
    let digits = after.iter().skip(minus).take_while(|b| b.is_ascii_digit()).count();
    let (number, after) = after.split_at_checked(if digits > 0 { minus + digits } else { 0 })?;
    let number = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
    Some((word, number, after.strip_prefix(b" ").unwrap_or(after)))
}

fn is_hidden(word: &[u8]) -> bool {
    matches!(
        word,
        b"fonttbl"
            | b"colortbl"
            | b"stylesheet"
            | b"info"
            | b"pict"
            | b"object"
            | b"themedata"
            | b"datastore"
            | b"listtable"
            | b"listoverridetable"
            | b"rsidtbl"
            | b"generator"
            | b"xmlnstbl"
            | b"header"
            | b"footer"
            | b"headerl"
            | b"headerr"
            | b"headerf"
            | b"footerl"
            | b"footerr"
            | b"footerf"
            | b"fldinst"
            | b"filetbl"
    )
}

fn shown(word: &[u8]) -> &'static str {
    match word {
        b"par" | b"line" | b"row" | b"sect" | b"page" | b"\n" | b"\r" => "\n",
        b"tab" | b"cell" => "\t",
        b"~" => "\u{a0}",
        b"_" => "-",
        b"\\" => "\\",
        b"{" => "{",
        b"}" => "}",
        b"emdash" => "\u{2014}",
        b"endash" => "\u{2013}",
        b"bullet" => "\u{2022}",
        b"lquote" => "\u{2018}",
        b"rquote" => "\u{2019}",
        b"ldblquote" => "\u{201c}",
        b"rdblquote" => "\u{201d}",
        b"emspace" | b"enspace" => " ",
        _ => "",
    }
}

fn code_page(number: i32) -> &'static Encoding {
    let label = match number {
        932 => "shift_jis".to_owned(),
        936 => "gbk".to_owned(),
        949 => "euc-kr".to_owned(),
        950 => "big5".to_owned(),
        65001 => "utf-8".to_owned(),
        874 | 1250..=1258 => format!("windows-{number}"),
        _ => return WINDOWS_1252,
    };
    Encoding::for_label(label.as_bytes()).unwrap_or(WINDOWS_1252)
}
