//! What stands in the files that git tracks or is about to.

use std::path::{Component, Path, PathBuf};

use crate::{Result, command};

/// A text file: its path from the root of the checkout, and what is in it.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
}

/// Lines that the gate may have, tests included: what one person can read in an afternoon.
const GATE_LINES: usize = 2_500;

/// Lines that name a machine's path on purpose, by the end of their file's path, and why.
const ALLOWED_MACHINE_WORDS: [(&str, &str); 0] = [];

/// Reads every text file that git tracks or would track; what is not UTF-8 is no text.
pub(super) fn load(root: &Path) -> Result<Vec<Source>> {
    let list = command::output(root, "git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
    let mut sources = Vec::new();
    for path in String::from_utf8_lossy(&list).split('\0').filter(|path| !path.is_empty()) {
        // A file in the index may be gone from the disk; a symlink's text is its target's business.
        let full = root.join(path);
        if full.symlink_metadata().is_ok_and(|meta| meta.is_file())
            && let Ok(text) = std::fs::read_to_string(&full)
        {
            sources.push(Source { path: path.to_owned(), text });
        }
    }
    Ok(sources)
}

/// A sentence where the gate has grown over its limit.
pub(super) fn check_gate_size(sources: &[Source]) -> Vec<String> {
    let gate = sources.iter().filter(|source| source.path.starts_with("crates/gate/src/"));
    let lines: usize = gate.map(|source| source.text.lines().count()).sum();
    if lines > GATE_LINES {
        return vec![format!("`gate` has {lines} lines, over {GATE_LINES}; what moved in that is not deciding?")];
    }
    Vec::new()
}

/// A sentence for each promise of later work that no issue keeps.
pub(super) fn check_promises(sources: &[Source]) -> Vec<String> {
    let promises = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let mut breaches = Vec::new();
    for (source, number, line) in lines(sources) {
        let promised = promises.iter().find(|promise| words(line).any(|word| word == **promise));
        if let Some(promise) = promised
            && !names_an_issue(line)
        {
            breaches.push(format!(
                "{}:{number}: a {promise} without an issue number; do it, or open an issue",
                source.path
            ));
        }
    }
    breaches
}

/// A sentence for each line that names a place on somebody's machine or in somebody's company.
pub(super) fn check_machine_words(sources: &[Source]) -> Vec<String> {
    let paths = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];
    let hosts =
        [concat!("art", "ifactory"), concat!("jf", "rog"), concat!("rs", "proxy."), concat!("tuna.", "tsinghua")];
    let mut breaches = Vec::new();
    for (source, number, line) in lines(sources) {
        if ALLOWED_MACHINE_WORDS.iter().any(|(path, _)| source.path.ends_with(path)) {
            continue;
        }
        let path = paths.iter().find(|path| starts_a_path(line, path));
        let host = hosts.iter().find(|host| line.to_ascii_lowercase().contains(**host));
        if let Some(word) = path.or(host) {
            breaches.push(format!("{}:{number}: `{word}` is of one machine only; say it without", source.path));
        }
    }
    breaches
}

/// A sentence for each link in a Markdown file to a file that is not there.
pub(super) fn check_links(sources: &[Source], exists: &dyn Fn(&Path) -> bool) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut fenced = false;
    for (source, number, line) in lines(sources) {
        if !source.path.ends_with(".md") {
            continue;
        }
        if number == 1 {
            fenced = false;
        }
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for target in link_targets(line) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains(':') {
                continue;
            }
            let from = Path::new(&source.path).parent().unwrap_or(Path::new(""));
            if !normal(&from.join(file)).is_some_and(|path| exists(&path)) {
                breaches.push(format!("{}:{number}: the link to `{target}` leads nowhere", source.path));
            }
        }
    }
    breaches
}

fn lines(sources: &[Source]) -> impl Iterator<Item = (&Source, usize, &str)> {
    sources
        .iter()
        .flat_map(|source| source.text.lines().enumerate().map(move |(index, line)| (source, index + 1, line)))
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// `#12` or `issue 12`.
fn names_an_issue(line: &str) -> bool {
    let digit = |rest: &str| rest.trim_start().starts_with(|c: char| c.is_ascii_digit());
    line.split('#').skip(1).any(digit) || line.split("issue ").skip(1).any(digit)
}

/// Whether `path` stands in the line as the start of a path and not amid a longer one (`tree` before it would make it so).
fn starts_a_path(line: &str, path: &str) -> bool {
    let amid = |c: char| c.is_alphanumeric() || "._-~}*)".contains(c);
    line.match_indices(path).any(|(at, _)| !line.get(..at).is_some_and(|before| before.ends_with(amid)))
}

fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next())
}

/// A path without `.` and `..`; `None` where it leaves the checkout.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::CurDir => {}
            Component::ParentDir if out.pop() => {}
            _ => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(path: &str, text: &str) -> Vec<Source> {
        vec![Source { path: path.into(), text: text.into() }]
    }

    #[test]
    fn a_gate_that_outgrows_its_limit_is_a_breach() {
        assert_eq!(check_gate_size(&one("crates/gate/src/decide.rs", &"x\n".repeat(2_501))).len(), 1);
        assert_eq!(check_gate_size(&one("crates/gate/src/decide.rs", &"x\n".repeat(2_500))).len(), 0);
        assert_eq!(check_gate_size(&one("crates/os/src/lib.rs", &"x\n".repeat(9_000))).len(), 0);
    }

    #[test]
    fn a_promise_needs_an_issue() {
        let promise = concat!("// TO", "DO");
        let checked = |text: &str| check_promises(&one("a.rs", text));
        assert_eq!(checked(&format!("fine\n{promise}: later")).len(), 1);
        assert!(checked(&format!("fine\n{promise}: later"))[0].starts_with("a.rs:2: "));
        assert_eq!(checked(&format!("{promise}(#12): later")).len(), 0);
        assert_eq!(checked(&format!("{promise}: see issue 12")).len(), 0);
        assert_eq!(checked(concat!("let TO", "DOS = 1;")).len(), 0);
    }

    #[test]
    fn a_place_on_one_machine_is_a_breach() {
        let checked = |text: &str| check_machine_words(&one("a.rs", text)).len();
        assert_eq!(checked(concat!("see /wo", "rk/x")), 1);
        assert_eq!(checked(concat!("\"/ro", "ot/.ssh\"")), 1);
        assert_eq!(checked(concat!("https://Art", "ifactory.example")), 1);
        assert_eq!(checked(concat!("tree/ro", "ot/x and {home}/wo", "rk/x")), 0);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_a_breach() {
        let exists = |path: &Path| path == Path::new("docs/a.md") || path == Path::new("README.md");
        let checked = |text: &str| check_links(&one("docs/b.md", text), &exists);
        assert!(checked("[a](a.md) [up](../README.md#x) [web](https://x.example) [here](#y)").is_empty());
        assert_eq!(checked("x\n[a](c.md)"), ["docs/b.md:2: the link to `c.md` leads nowhere"]);
        assert_eq!(checked("[out](../../README.md)").len(), 1);
        assert!(checked("```\n[a](c.md)\n```").is_empty());
    }
}
