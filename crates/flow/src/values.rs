//! What a value is by its shape, and the other ways in which the same value may be written.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::fold::folded;

/// A value's shape, where it says that the value reaches somebody or something outside.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Shape {
    Email,
    Url,
    Account,
    Phone,
}

/// The shape of a whole value.
pub(crate) fn shape(value: &str) -> Option<Shape> {
    let value = value.trim();
    if value.contains(char::is_whitespace) && !is_account(value) && !is_phone(value) || value.len() > 2048 {
        return None;
    }
    let bare = value.trim_matches(['<', '>', '"', '\'']);
    if is_email(bare.strip_prefix("mailto:").unwrap_or(bare)) {
        Some(Shape::Email)
    } else if is_url(bare) {
        Some(Shape::Url)
    } else if is_account(bare) {
        Some(Shape::Account)
    } else if is_phone(bare) {
        Some(Shape::Phone)
    } else {
        None
    }
}

/// What has a shape within a text, as it is written there.
pub(crate) fn shapes(text: &str) -> Vec<(Shape, String)> {
    let mut out = Vec::new();
    let tokens = text.split(|c: char| c.is_whitespace() || "<>()[]{}\"'`,;|".contains(c));
    for token in tokens.map(|token| token.trim_matches(|c: char| ".!?:*_".contains(c))).filter(|token| token.len() >= 4)
    {
        let token = token.strip_prefix("mailto:").unwrap_or(token);
        if let Some(shape) = shape(token) {
            out.push((shape, token.to_owned()));
        }
    }
    out
}

fn is_email(value: &str) -> bool {
    value.split_once('@').is_some_and(|(local, host)| {
        !local.is_empty() && local.chars().all(|c| c.is_alphanumeric() || "._%+-'&~".contains(c)) && is_host(host)
    })
}

fn is_url(value: &str) -> bool {
    let (scheme, rest) = value.split_once("://").map_or(("", value), |(scheme, rest)| (scheme, rest));
    if !scheme.is_empty() {
        return scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) && !rest.is_empty();
    }
    let host = rest.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let path = rest.get(host.len()..).unwrap_or_default();
    let last = host.rsplit('.').next().unwrap_or_default();
    // `report.pdf` is a file's name; so are most short names with one full stop and no path.
    let file = FILE_ENDINGS.contains(&last.to_ascii_lowercase().as_str());
    is_host(host)
        && (host.starts_with("www.")
            || host.matches('.').count() >= 2
            || !path.is_empty()
            || HOST_ENDINGS.contains(&last))
        && !file
}

const FILE_ENDINGS: [&str; 40] = [
    "txt", "pdf", "doc", "docx", "xls", "xlsx", "csv", "ppt", "pptx", "md", "json", "xml", "html", "htm", "png", "jpg",
    "jpeg", "gif", "zip", "tar", "gz", "py", "rs", "js", "ts", "sh", "c", "h", "cpp", "java", "log", "toml", "yaml",
    "yml", "ini", "cfg", "sql", "ics", "eml", "mp3",
];

const HOST_ENDINGS: [&str; 26] = [
    "com", "org", "net", "io", "edu", "gov", "co", "uk", "de", "fr", "eu", "info", "biz", "dev", "app", "xyz", "site",
    "online", "me", "ai", "ch", "at", "nl", "es", "it", "example",
];

fn is_host(host: &str) -> bool {
    let host = host.split(':').next().unwrap_or_default();
    let labels: Vec<&str> = host.split('.').collect();
    labels.len() >= 2
        && labels
            .iter()
            .all(|label| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_'))
        && labels.last().is_some_and(|last| last.chars().count() >= 2 && last.chars().any(char::is_alphabetic))
}

/// An IBAN, or what is written like one: two letters, two digits, ten or more further signs; or a wallet's address.
fn is_account(value: &str) -> bool {
    let value: String = value.chars().filter(|c| *c != ' ' && *c != '-').collect();
    let bytes = value.as_bytes();
    let iban = (14..=34).contains(&bytes.len())
        && bytes.iter().take(2).all(u8::is_ascii_uppercase)
        && bytes.iter().skip(2).take(2).all(u8::is_ascii_digit)
        && bytes.iter().skip(4).all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && bytes.iter().filter(|byte| byte.is_ascii_digit()).count() >= 8;
    let wallet = value
        .strip_prefix("0x")
        .is_some_and(|rest| rest.len() == 40 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
        || value
            .strip_prefix("bc1")
            .is_some_and(|rest| rest.len() >= 30 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    iban || wallet
}

fn is_phone(value: &str) -> bool {
    let digits = value.chars().filter(char::is_ascii_digit).count();
    (8..=16).contains(&digits)
        && value.chars().all(|c| c.is_ascii_digit() || "+ -()./".contains(c))
        && (value.starts_with('+') || value.starts_with("00"))
}

/// The ways in which the same value may be written, each as folded words. The first is the value itself.
pub(crate) fn spellings(value: &str) -> Vec<String> {
    let mut out = vec![folded(value)];
    let mut put = |text: String| {
        if !text.is_empty() && !out.contains(&text) {
            out.push(text);
        }
    };
    for text in dates(value).into_iter().chain(numbers(value)) {
        put(folded(&text));
    }
    if let Some(bare) = value.split_once("://").map(|(_, rest)| rest.trim_end_matches('/')) {
        put(folded(bare));
        put(folded(bare.strip_prefix("www.").unwrap_or(bare)));
    }
    if let Some(bare) = value.strip_prefix("mailto:").or_else(|| value.strip_prefix("tel:")) {
        put(folded(bare));
    }
    for text in decoded(value) {
        put(folded(&text));
    }
    out.retain(|text| !text.is_empty());
    out
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// A date, and the time of day that may follow it: (year, month, day, rest).
pub(crate) fn date(value: &str) -> Option<(u32, u32, u32, &str)> {
    let mut parts = value.trim().splitn(3, '-');
    let (year, month, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let (day, time) = (rest.get(..2)?, rest.get(2..)?);
    let (year, month, day) = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    ((1900..2200).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day))
        .then_some((year, month, day, time))
}

fn dates(value: &str) -> Vec<String> {
    let Some((year, month, day, time)) = date(value) else { return Vec::new() };
    let name = usize::try_from(month - 1).ok().and_then(|at| MONTHS.get(at)).copied().unwrap_or_default();
    let short: String = name.chars().take(3).collect();
    let ending = match day {
        1 | 21 | 31 => "st",
        2 | 22 => "nd",
        3 | 23 => "rd",
        _ => "th",
    };
    let mut out = Vec::new();
    if time.trim().is_empty() {
        for name in [name, short.as_str()] {
            for day in [format!("{day}"), format!("{day}{ending}")] {
                out.extend([
                    format!("{name} {day}"),
                    format!("{day} {name}"),
                    format!("{day} of {name}"),
                    format!("the {day} of {name}"),
                ]);
            }
        }
        out.extend([
            format!("{day:02} {month:02} {year}"),
            format!("{month:02} {day:02} {year}"),
            format!("{day} {month} {year}"),
            format!("{month} {day} {year}"),
        ]);
    }
    out
}

fn numbers(value: &str) -> Vec<String> {
    let value = value.trim();
    let Some((whole, part)) = value.split_once('.').or(Some((value, ""))) else { return Vec::new() };
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || whole.len() > 15 || !digits(whole) || !digits(part) {
        return Vec::new();
    }
    let mut grouped = String::new();
    for (index, c) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(c);
    }
    let short = part.trim_end_matches('0');
    let mut out = Vec::new();
    for whole in [whole, grouped.as_str()] {
        if short.is_empty() {
            out.extend([whole.to_owned(), format!("{whole} 00"), format!("{whole} 0")]);
        } else {
            out.extend([format!("{whole} {short}"), format!("{whole} {short:0<2}")]);
        }
    }
    out
}

/// What a value says once it is decoded: percent, quoted-printable, base64, hex. Only what gives text.
pub(crate) fn decoded(value: &str) -> Vec<String> {
    let mut out = Vec::new();
    let bytes = escapes(value, b'%').or_else(|| escapes(value, b'='));
    out.extend(bytes.and_then(readable));
    let value = value.trim();
    if value.len() >= 12 && value.len() <= 1 << 16 && !value.contains(char::is_whitespace) {
        let engines = [STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD];
        out.extend(engines.iter().find_map(|engine| engine.decode(value).ok()).and_then(readable));
        out.extend(hex(value).and_then(readable));
    }
    out
}

fn escapes(value: &str, mark: u8) -> Option<Vec<u8>> {
    let bytes = value.as_bytes();
    let (mut out, mut at, mut found) = (Vec::new(), 0, false);
    while let Some(&byte) = bytes.get(at) {
        let code = bytes.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(code) if byte == mark => {
                out.push(code);
                found = true;
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    found.then_some(out)
}

fn hex(value: &str) -> Option<Vec<u8>> {
    let bytes = value.as_bytes();
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    bytes.chunks(2).map(|two| std::str::from_utf8(two).ok().and_then(|two| u8::from_str_radix(two, 16).ok())).collect()
}

fn readable(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    let good = text.chars().filter(|c| !c.is_control()).count();
    (text.len() >= 4 && good * 10 >= text.chars().count() * 9).then_some(text)
}

/// Runs within a text that decode to text: base64, hex, percent.
pub(crate) fn hidden(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while out.len() < HIDDEN_MOST {
        // Most words are too short: what ends one among the next few bytes is found from their end, and all before it is
        // passed over.
        let Some(start) = bytes.get(at..at + HIDDEN_ESCAPED) else { break };
        if let Some(end) = start.iter().rposition(|byte| !is_coded(*byte)) {
            at += end + 1;
            continue;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        let length = rest.iter().take_while(|byte| is_coded(**byte)).count();
        let run = text.get(at..at + length).unwrap_or_default();
        let least = if run.contains('%') { HIDDEN_ESCAPED } else { HIDDEN_LEAST };
        if (least..=HIDDEN_LONGEST).contains(&length) {
            out.extend(decoded(run).into_iter().filter(|text| text.contains([' ', '@', '.', ':'])));
        }
        at += length;
    }
    out
}

/// Pieces of one text that are decoded.
const HIDDEN_MOST: usize = 64;
/// The shortest run that is decoded, the shortest with a `%` in it, and the longest, in bytes.
const HIDDEN_LEAST: usize = 16;
const HIDDEN_ESCAPED: usize = 6;
const HIDDEN_LONGEST: usize = 1 << 14;

/// What base64, hex and percent encoding are written with.
fn is_coded(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_' | b'%')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same, a byte at a time.
    fn hidden_plainly(text: &str) -> Vec<String> {
        let runs = text.as_bytes().split(|byte| !is_coded(*byte)).map(|run| std::str::from_utf8(run).unwrap());
        let long = |run: &&str| {
            let (length, escaped) = (run.len(), run.contains('%'));
            (length >= HIDDEN_LEAST || escaped && length >= HIDDEN_ESCAPED) && length <= HIDDEN_LONGEST
        };
        runs.filter(long).flat_map(decoded).filter(|text| text.contains([' ', '@', '.', ':'])).collect()
    }

    proptest! {
        #[test]
        fn what_is_hidden_is_found_wherever_it_stands(
            parts in prop::collection::vec("[ -~é]{0,9}|[ -~]{6,40}", 0..12),
            coded in prop::collection::vec(any::<bool>(), 12),
        ) {
            let write = |(part, coded): (String, bool)| match coded {
                true => format!(" {} ", STANDARD.encode(part)),
                false => part.replace('e', "%20"),
            };
            let text: String = parts.into_iter().zip(coded).map(write).collect();
            prop_assert_eq!(hidden(&text), hidden_plainly(&text));
        }
    }

    #[test]
    fn shapes_are_told_apart() {
        for (value, is) in [
            ("a.b@x.example", Some(Shape::Email)),
            ("https://x.example/a?b", Some(Shape::Url)),
            ("www.x-y.com", Some(Shape::Url)),
            ("x.com/path", Some(Shape::Url)),
            ("GB29NWBK60161331926819", Some(Shape::Account)),
            ("GB29 NWBK 6016 1331 9268 19", Some(Shape::Account)),
            ("+44 20 7946 0958", Some(Shape::Phone)),
            ("report.pdf", None),
            ("Alice", None),
            ("2024-05-01 10:00", None),
            ("two words", None),
        ] {
            assert_eq!(shape(value), is, "{value}");
        }
        let found = shapes("Write to <bob@x.example>, or see https://x.example/y.");
        assert_eq!(found, [(Shape::Email, "bob@x.example".into()), (Shape::Url, "https://x.example/y".into())]);
    }

    #[test]
    fn the_same_value_in_other_words() {
        let same = |value: &str, other: &str| spellings(value).contains(&folded(other));
        for (value, other) in [
            ("2024-05-15", "May 15th"),
            ("2024-05-15", "15 May"),
            ("1200.50", "1,200.50"),
            ("1200", "1,200.00"),
            ("50.0", "50"),
            ("https://www.x.com/", "x.com"),
            ("Ym9iQHguZXhhbXBsZQ==", "bob@x.example"),
            ("626f6240782e6578616d706c65", "bob@x.example"),
            ("bob%40x.example", "bob@x.example"),
            ("bob=40x.example", "bob@x.example"),
        ] {
            assert!(same(value, other), "{value}: {:?}", spellings(value));
        }
        assert!(!same("120", "12"));
    }

    #[test]
    fn what_is_hidden_is_found() {
        assert_eq!(hidden("run: c2VuZCBpdCB0byBldmVAeC5leGFtcGxl now"), ["send it to eve@x.example"]);
        assert!(hidden("nothing to be seen in here whatsoever").is_empty());
    }
}
