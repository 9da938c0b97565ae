//! Choosing among the steps of a plan: numbers, ranges, folders and globs.

use std::collections::HashSet;

use globset::{GlobBuilder, GlobMatcher};

use super::tree::{At, Tree};

/// Reads a selection, items parted by commas or spaces: `7`, `1-20`, `Pictures/` (a folder and all below), `*.tmp` (a
/// glob; without a slash it holds for a name at any depth). Gives for each step whether it is meant.
///
/// # Errors
/// A sentence for the person.
pub(crate) fn parse(text: &str, tree: &Tree<'_>) -> Result<Vec<bool>, String> {
    let mut meant = vec![false; tree.len()];
    let mut words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty()).peekable();
    if words.peek().is_none() {
        return Err("say which: numbers (`3`), ranges (`1-20`), folders (`Pictures/`) or globs (`*.tmp`)".to_owned());
    }
    for word in words {
        let hits = hits(word, tree)?;
        if !hits.contains(&true) {
            return Err(format!("`{word}` is none of the changes shown; nothing was altered"));
        }
        for (all, hit) in meant.iter_mut().zip(hits) {
            *all |= hit;
        }
    }
    Ok(meant)
}

fn hits(word: &str, tree: &Tree<'_>) -> Result<Vec<bool>, String> {
    let count = tree.len();
    if let Some((first, last)) = range(word) {
        if first == 0 || last > count || first > last {
            return Err(format!("`{word}` is no number or range from 1 to {count}"));
        }
        return Ok((1..=count).map(|n| (first..=last).contains(&n)).collect());
    }
    let pattern = Pattern::new(word)?;
    Ok(tree.items().map(|item| item.places.iter().any(|at| pattern.holds(at))).collect())
}

fn range(word: &str) -> Option<(usize, usize)> {
    match word.split_once('-') {
        Some((first, last)) => Some((first.parse().ok()?, last.parse().ok()?)),
        None => word.parse().ok().map(|n| (n, n)),
    }
}

struct Pattern {
    folder: Vec<u8>,
    glob: GlobMatcher,
}

impl Pattern {
    fn new(word: &str) -> Result<Pattern, String> {
        let trimmed = word.trim_matches('/');
        let full = if trimmed.contains('/') { trimmed.to_owned() } else { format!("**/{trimmed}") };
        let glob = GlobBuilder::new(&full).literal_separator(true).build();
        let glob = glob.map_err(|why| format!("`{word}` is no glob: {}", why.kind()))?.compile_matcher();
        Ok(Pattern { folder: trimmed.as_bytes().to_vec(), glob })
    }

    fn holds(&self, (_, path): &At) -> bool {
        let below = path
            .strip_prefix(self.folder.as_slice())
            .is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/'));
        below || self.glob.is_match(as_path(path))
    }
}

fn as_path(bytes: &[u8]) -> &std::path::Path {
    use std::os::unix::ffi::OsStrExt;
    std::path::Path::new(std::ffi::OsStr::from_bytes(bytes))
}

/// Takes in the folders that chosen steps need, and leaves out folders that nothing chosen needs any more.
pub(crate) fn with_folders(tree: &Tree<'_>, chosen: &mut [bool]) {
    let above = |only_chosen: bool, chosen: &[bool]| {
        let mut folders: HashSet<At> = HashSet::new();
        for (item, _) in tree.items().zip(chosen).filter(|(item, on)| !item.mkdir && (**on || !only_chosen)) {
            let Some((root, path)) = item.places.first() else { continue };
            let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
            folders.extend(slashes.filter_map(|(at, _)| Some((*root, path.get(..at)?.to_vec()))));
        }
        folders
    };
    let (used, needed) = (above(false, chosen), above(true, chosen));
    for (item, on) in tree.items().zip(chosen.iter_mut()).filter(|(item, _)| item.mkdir) {
        let Some(folder) = item.places.first() else { continue };
        // A folder that was to stay empty anyway is chosen by itself.
        if used.contains(folder) {
            *on = needed.contains(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::tree::tests::{made, moved, tree};

    fn plan() -> Tree<'static> {
        tree(&[
            made("Pictures"),
            moved("a.jpg", "Pictures/a.jpg"),
            moved("b.tmp", "Pictures/b.tmp"),
            made("Documents"),
            moved("sub/c.pdf", "Documents/c.pdf"),
            made("Empty"),
        ])
    }

    fn chosen(text: &str) -> Vec<usize> {
        let hits = parse(text, &plan()).unwrap();
        hits.iter().enumerate().filter(|(_, on)| **on).map(|(n, _)| n + 1).collect()
    }

    #[test]
    fn numbers_ranges_folders_and_globs_choose() {
        assert_eq!(chosen("2"), [2]);
        assert_eq!(chosen("1-3, 5"), [1, 2, 3, 5]);
        assert_eq!(chosen("Pictures/"), [1, 2, 3]);
        assert_eq!(chosen("*.tmp"), [3]);
        assert_eq!(chosen("sub"), [5], "where it comes from counts too");
        assert_eq!(chosen("*/*.pdf"), [5]);
    }

    #[test]
    fn what_means_nothing_is_an_error() {
        for (bad, words) in [
            ("", "say which"),
            ("0", "from 1 to 6"),
            ("7", "from 1 to 6"),
            ("3-2", "from 1 to 6"),
            ("x/", "none of the changes"),
            ("a[", "no glob"),
        ] {
            let error = parse(bad, &plan()).unwrap_err();
            assert!(error.contains(words), "{bad}: {error}");
        }
    }

    #[test]
    fn folders_follow_what_is_chosen() {
        let mut on = vec![false, true, false, true, false, true];
        with_folders(&plan(), &mut on);
        assert_eq!(on, [true, true, false, false, false, true]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_whatever_breaks_the_reading(text in "\\PC{0,40}") {
            if let Ok(hits) = parse(&text, &plan()) {
                assert_eq!(hits.len(), 6);
            }
        }
    }
}
