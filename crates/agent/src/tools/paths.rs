//! Paths as a model writes them, and as it is shown them.

use raincoat_types::wire::JobRoot;
use raincoat_types::{Place, RawPath, display_bytes};

/// Bytes of a path; the kernel takes no more.
const PATH_BYTES: usize = 4_095;

/// Understands a path: relative to the first folder, `label/...` where there are several, or absolute beneath a
/// folder's own path. This only says which folder is spoken of; what may be reached is decided elsewhere.
///
/// # Errors
/// In words for the model.
pub(crate) fn place(text: &str, roots: &[JobRoot]) -> Result<Place, String> {
    // No escape makes more than ten bytes out of one.
    let bytes = if text.len() > 10 * PATH_BYTES { None } else { Some(unescape(text.trim_end_matches('\n'))) };
    let Some(bytes) = bytes.filter(|bytes| bytes.len() <= PATH_BYTES) else {
        return Err(format!("the path is longer than {PATH_BYTES} bytes"));
    };
    if bytes.contains(&0) {
        return Err("a path cannot have a NUL byte in it".to_owned());
    }
    if bytes.starts_with(b"/") {
        return absolute(&bytes, roots).ok_or_else(|| {
            format!("`{}` is outside the folders you work in ({})", display_bytes(&bytes), folders(roots))
        });
    }
    if bytes == b"~" || bytes.starts_with(b"~/") {
        return Err(format!("`~` is not understood: give paths within the folders you work in ({})", folders(roots)));
    }
    let names: Vec<&[u8]> = names(&bytes).collect();
    if roots.len() > 1
        && let Some((first, rest)) = names.split_first()
        && let Some(root) = roots.iter().position(|root| root.label.as_bytes() == *first)
    {
        return Ok(of(root, rest));
    }
    Ok(of(0, &names))
}

/// A path as the model is shown it, in the form that [`place`] understands.
pub(crate) fn show(roots: &[JobRoot], root: u16, path: &[u8]) -> String {
    place_name(roots.get(usize::from(root)).filter(|_| roots.len() > 1).map(|root| root.label.as_str()), path)
}

/// A path as the model is shown it; with the label of its folder where there is more than one folder.
pub fn place_name(label: Option<&str>, path: &[u8]) -> String {
    let shown = display_bytes(path);
    match label {
        Some(label) if shown.is_empty() => label.to_owned(),
        Some(label) => format!("{label}/{shown}"),
        None if shown.is_empty() => ".".to_owned(),
        None => shown,
    }
}

/// The folders in words.
pub(crate) fn folders(roots: &[JobRoot]) -> String {
    let one = |root: &JobRoot| {
        let path = display_bytes(&root.path);
        let label = if roots.len() > 1 { format!("`{}/`: ", root.label) } else { String::new() };
        format!("{label}`{path}`{}", if root.read_only { ", read-only" } else { "" })
    };
    roots.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// The place's folder; `None` for a run's folder itself.
pub(crate) fn parent(place: &Place) -> Option<Place> {
    let at = place.path.0.iter().rposition(|b| *b == b'/').unwrap_or(0);
    let path = place.path.0.get(..at).unwrap_or_default().to_vec();
    (!place.path.0.is_empty()).then_some(Place { root: place.root, path: RawPath(path) })
}

/// Whether `place` is `folder` or beneath it, by name. It orders the loop's own memory; it decides nothing.
pub(crate) fn is_within(place: &Place, folder: &Place) -> bool {
    place.root == folder.root
        && (folder.path.0.is_empty()
            || place
                .path
                .0
                .strip_prefix(folder.path.0.as_slice())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/")))
}

fn absolute(path: &[u8], roots: &[JobRoot]) -> Option<Place> {
    let path: Vec<&[u8]> = names(path).collect();
    let mut best: Option<(usize, usize)> = None;
    for (number, root) in roots.iter().enumerate() {
        let prefix: Vec<&[u8]> = names(&root.path).collect();
        if path.starts_with(&prefix) && best.is_none_or(|(_, len)| prefix.len() > len) {
            best = Some((number, prefix.len()));
        }
    }
    best.map(|(number, len)| of(number, path.get(len..).unwrap_or_default()))
}

/// Names without the empty ones and without `.`. A `..` stays: the keeper resolves it, or refuses it.
fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|b| *b == b'/').filter(|name| !name.is_empty() && *name != b".")
}

fn of(root: usize, names: &[&[u8]]) -> Place {
    Place { root: u16::try_from(root).unwrap_or(u16::MAX), path: RawPath(names.join(&b'/')) }
}

/// Takes back what [`display_bytes`] did, so that a name shown can be named again. An escape that it does not make
/// stays as it is.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.extend_from_slice(before.as_bytes());
        let mut chars = after.chars();
        let hex = |digits: Option<&str>| digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        rest = match chars.next() {
            Some('\\') => {
                out.push(b'\\');
                chars.as_str()
            }
            Some('n') => {
                out.push(b'\n');
                chars.as_str()
            }
            Some('t') => {
                out.push(b'\t');
                chars.as_str()
            }
            Some('r') => {
                out.push(b'\r');
                chars.as_str()
            }
            Some('x') if hex(after.get(1..3)).is_some() => {
                out.push(hex(after.get(1..3)).and_then(|n| u8::try_from(n).ok()).unwrap_or_default());
                after.get(3..).unwrap_or_default()
            }
            Some('u') => {
                let digits = after.strip_prefix("u{").and_then(|rest| rest.split_once('}'));
                match digits.and_then(|(digits, rest)| Some((char::from_u32(hex(Some(digits))?)?, rest))) {
                    Some((c, rest)) => {
                        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                        rest
                    }
                    None => {
                        out.push(b'\\');
                        after
                    }
                }
            }
            _ => {
                out.push(b'\\');
                after
            }
        };
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn roots(labels: &[(&str, &str)]) -> Vec<JobRoot> {
        let root = |(label, path): &(&str, &str)| JobRoot {
            label: (*label).to_owned(),
            path: path.as_bytes().to_vec(),
            read_only: false,
        };
        labels.iter().map(root).collect()
    }

    fn at(text: &str, roots: &[JobRoot]) -> (u16, String) {
        let place = place(text, roots).unwrap();
        (place.root, String::from_utf8(place.path.0).unwrap())
    }

    #[test]
    fn relative_labelled_and_absolute_paths_are_understood() {
        let one = roots(&[("docs", "/home/me/docs")]);
        assert_eq!(at("./a//b/", &one), (0, "a/b".into()));
        assert_eq!(at("", &one), (0, String::new()));
        assert_eq!(at("docs/a", &one), (0, "docs/a".into()));
        assert_eq!(at("/home/me/docs/a", &one), (0, "a".into()));
        assert_eq!(at("a/../b", &one), (0, "a/../b".into()));
        for bad in ["/etc/passwd", "/home/me/docs-old/x", "~/x", "a\\u{0000}"] {
            assert!(place(bad, &one).is_err(), "{bad}");
        }
        let two = roots(&[("docs", "/home/me/docs"), ("work", "/home/me/docs/work")]);
        assert_eq!(at("work/x", &two), (1, "x".into()));
        assert_eq!(at("other/x", &two), (0, "other/x".into()));
        assert_eq!(at("/home/me/docs/work/x", &two), (1, "x".into()));
        assert_eq!(show(&two, 1, b"x"), "work/x");
    }

    #[test]
    fn within_is_by_whole_names() {
        let p = |text: &str| place(text, &roots(&[("a", "/a")])).unwrap();
        assert!(is_within(&p("a/b"), &p("a")));
        assert!(is_within(&p("a"), &p("")));
        assert!(!is_within(&p("ab"), &p("a")));
        assert_eq!(parent(&p("a/b")), Some(p("a")));
        assert_eq!(parent(&p("a")), Some(p("")));
        assert_eq!(parent(&p("")), None);
    }

    proptest! {
        #[test]
        fn any_name_that_is_shown_can_be_named_again(bytes in prop::collection::vec(1_u8.., 0..40)) {
            prop_assert_eq!(unescape(&display_bytes(&bytes)), bytes);
        }

        #[test]
        fn any_text_is_a_path_or_an_error(text in "(\\\\[ux{}0-9a-f]{0,6}|.){0,20}") {
            let _ = place(&text, &roots(&[("a", "/a")]));
        }
    }
}
