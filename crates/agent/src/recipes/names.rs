//! File names as bytes: parts, folding, numbering, and making a folder name out of foreign text.

/// The longest name that Linux takes (`NAME_MAX`).
const LONGEST: usize = 255;

/// Whether bytes can be the name of a file.
pub(super) fn is_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name.len() <= LONGEST
        && name != b"."
        && name != b".."
        && !name.iter().any(|b| matches!(b, 0 | b'/'))
}

/// The folder's path and the name. The folder is empty for what lies at the top.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..).unwrap_or_default()),
        None => (&[], path),
    }
}

/// A path within a folder.
pub(super) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(dir.len() + 1 + name.len());
    out.extend_from_slice(dir);
    if !dir.is_empty() {
        out.push(b'/');
    }
    out.extend_from_slice(name);
    out
}

/// The name without its extension, and the extension with its dot (empty where there is none). `.tar.gz` and the like
/// are one extension; a name that begins with its only dot has none.
pub(super) fn stem_and_dot_ext(name: &[u8]) -> (&[u8], &[u8]) {
    let Some(dot) = name.iter().rposition(|b| *b == b'.').filter(|dot| *dot > 0) else { return (name, &[]) };
    let ext = name.get(dot + 1..).unwrap_or_default();
    if ext.is_empty() || ext.len() > 12 || !ext.iter().all(u8::is_ascii_alphanumeric) {
        return (name, &[]);
    }
    let cut = match name.get(..dot) {
        Some(stem) if stem.len() > 4 && stem.to_ascii_lowercase().ends_with(b".tar") => dot - 4,
        _ => dot,
    };
    (name.get(..cut).unwrap_or(name), name.get(cut..).unwrap_or_default())
}

/// The extension after the last dot, in lower case; empty where there is none.
pub(super) fn ext(name: &[u8]) -> String {
    let (_, dot_ext) = stem_and_dot_ext(name);
    let last = dot_ext.rsplit(|b| *b == b'.').next().unwrap_or_default();
    String::from_utf8_lossy(last).to_ascii_lowercase()
}

/// A name as a file system that ignores case would compare it. Names that are not UTF-8 fold their ASCII letters.
pub(super) fn fold(name: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(name) {
        Ok(text) => text.to_lowercase().into_bytes(),
        Err(_) => name.to_ascii_lowercase(),
    }
}

/// The name with ` (n)` before its extension, its stem cut where it would grow too long.
pub(super) fn numbered(name: &[u8], n: u32) -> Vec<u8> {
    let (stem, ext) = stem_and_dot_ext(name);
    let tail = format!(" ({n})");
    let room = LONGEST.saturating_sub(tail.len() + ext.len());
    let mut out = cut(stem, room).to_vec();
    out.extend_from_slice(tail.as_bytes());
    out.extend_from_slice(ext);
    out
}

/// At most `room` bytes of a name, not cut within a UTF-8 character.
fn cut(name: &[u8], room: usize) -> &[u8] {
    let mut end = room.min(name.len());
    if end < name.len() {
        while end > 0 && name.get(end).is_some_and(|b| b & 0xc0 == 0x80) {
            end -= 1;
        }
    }
    name.get(..end).unwrap_or_default()
}

/// The name without a trailing ` (n)`.
pub(super) fn without_number(name: &[u8]) -> &[u8] {
    let numberless = || {
        let open = name.strip_suffix(b")")?;
        let digits = open.iter().rev().take_while(|b| b.is_ascii_digit()).count();
        open.get(..open.len() - digits).filter(|_| digits > 0)?.strip_suffix(b" (")
    };
    numberless().unwrap_or(name)
}

/// A folder name from text that somebody else wrote (a music tag): one line, no separators or characters that other
/// systems refuse, nothing invisible, not hidden, at most 80 characters. `None` where nothing is left.
pub(super) fn folder_from(text: &str) -> Option<String> {
    let mut out = String::new();
    for c in text.chars().take(400) {
        match c {
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => out.push('_'),
            c if c.is_whitespace() => out.push(' '),
            // What a person would not see in a listing does not belong in a name.
            c if raincoat_types::display_bytes(c.encode_utf8(&mut [0; 4]).as_bytes()).starts_with("\\u") => {}
            c => out.push(c),
        }
    }
    let words: Vec<&str> = out.split(' ').filter(|word| !word.is_empty()).collect();
    let short: String = words.join(" ").trim_start_matches('.').chars().take(80).collect();
    let name = short.trim_matches(|c| c == ' ').trim_end_matches(['.', ' ']);
    let name = cut(name.as_bytes(), 200);
    std::str::from_utf8(name).ok().map(str::trim).filter(|name| is_name(name.as_bytes())).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_before_the_extension() {
        let check = |name: &[u8], want: &[u8]| assert_eq!(numbered(name, 2), want);
        check(b"a.txt", b"a (2).txt");
        check(b"a.tar.gz", b"a (2).tar.gz");
        check(b".bashrc", b".bashrc (2)");
        check(b"Invoice no. 2", b"Invoice no. 2 (2)");
        check(b"\xff\xfe.pdf", b"\xff\xfe (2).pdf");
        let long = numbered(format!("{}.txt", "ä".repeat(125)).as_bytes(), 10);
        assert!(is_name(&long) && std::str::from_utf8(&long).unwrap().ends_with("ä (10).txt"));
        assert_eq!(without_number(b"Documents (12)"), b"Documents");
        assert_eq!(without_number(b"Documents ()"), b"Documents ()");
    }

    #[test]
    fn a_tag_cannot_leave_its_folder_or_hide() {
        let check = |text: &str, want: Option<&str>| assert_eq!(folder_from(text).as_deref(), want, "{text:?}");
        check("../../etc", Some("_.._etc"));
        check("..", None);
        check("AC/DC", Some("AC_DC"));
        check(" .hidden. ", Some("hidden"));
        check("a\u{202e}b\0c\n d", Some("abc d"));
        check("", None);
        assert!(folder_from(&"日本".repeat(100)).unwrap().len() <= 240);
    }

    #[test]
    fn extensions_are_read_like_a_person_would() {
        assert_eq!(ext(b"Photo.JPG"), "jpg");
        assert_eq!(ext(b"a.tar.gz"), "gz");
        assert_eq!(ext(b".profile"), "");
        assert_eq!(ext(b"no"), "");
        assert_eq!(ext(b"end."), "");
    }
}
