//! Looking at files, by permit.

use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use grep_matcher::LineTerminator;
use grep_regex::RegexMatcherBuilder;
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkMatch};
use raincoat_gate::Permit;
use raincoat_os::{Found, Stat, beneath, state};
use raincoat_types::{DirEntry, Failure, FailureKind, FileKind, FileRead, Limits, Match, ReadDone, RelPath, Spot};

use crate::capture::digest_of;
use crate::failure::at_path;
use crate::resolve::{Resolved, Resolver};
use crate::walk::Walker;

/// A listing that goes on: the next page starts where the last one ended, without a new walk.
pub(crate) struct Paging {
    spot: Spot,
    depth: u32,
    given: u64,
    walker: Walker,
}

/// Performs a look.
pub(crate) fn perform(
    resolver: &mut Resolver,
    paging: &mut Option<Paging>,
    permit: Permit<FileRead>,
    resolved: Resolved,
) -> Result<ReadDone, Failure> {
    let limits = resolver.limits.clone();
    let action = permit.into_action();
    let Some((n, found)) = resolved.found.into_iter().next() else {
        return Err(Failure::new(FailureKind::Invalid, "nothing was named to look at"));
    };
    if let FileRead::List { depth, skip, .. } = &action {
        let spot = Spot { grant: resolver.folder(n)?.grant, path: found.path.clone() };
        return list(&limits, paging, spot, &found, *depth, *skip);
    }
    let Some(stat) = found.stat.clone() else {
        return Err(Failure::new(FailureKind::NotFound, format!("no such file: `{}`", found.path.display())));
    };
    match action {
        FileRead::List { .. } => Err(Failure::new(FailureKind::Invalid, "a listing that is none")),
        FileRead::Stat { .. } => Ok(ReadDone::Stat(entry(&found, stat)?)),
        FileRead::Read { offset, len, .. } => read(&limits, &found, &stat, offset, len),
        FileRead::Hash { .. } => {
            let fd = open(&found, &stat)?;
            Ok(ReadDone::Hash(digest_of(fd.as_fd()).map_err(|e| at_path(e, &found.path))?))
        }
        FileRead::Search { pattern, glob, ignore_case, .. } => {
            search(resolver, n, &found, &stat, &Query { pattern, glob, ignore_case })
        }
    }
}

fn open(found: &Found, stat: &Stat) -> Result<std::os::fd::OwnedFd, Failure> {
    if stat.kind != FileKind::File {
        let words = format!("`{}` is not a regular file", found.path.display());
        return Err(Failure::new(FailureKind::WrongKind, words));
    }
    beneath::open_file_for_reading(found.folder(), &found.name, stat).map_err(|e| at_path(e, &found.path))
}

fn entry(found: &Found, stat: Stat) -> Result<DirEntry, Failure> {
    let fail = |e| at_path(e, &found.path);
    let target = match stat.kind {
        FileKind::Symlink => Some(beneath::read_link(found.folder(), &found.name).map_err(fail)?),
        _ => None,
    };
    let xattrs = state::xattrs_at(found.folder(), &found.name).map_err(fail)?;
    Ok(DirEntry { path: found.path.clone(), meta: stat.with_xattrs(xattrs), target })
}

fn list(
    limits: &Limits,
    paging: &mut Option<Paging>,
    spot: Spot,
    found: &Found,
    depth: u32,
    skip: u64,
) -> Result<ReadDone, Failure> {
    let depth = depth.clamp(1, limits.walk_depth);
    let mut page = match paging.take() {
        Some(page) if skip > 0 && page.spot == spot && page.depth == depth && page.given == skip => page,
        _ => {
            let mut walker = Walker::new(found, depth)?;
            let mut given = 0;
            while given < skip && walker.next()?.is_some() {
                given += 1;
            }
            Paging { spot, depth, given, walker }
        }
    };
    let mut entries = Vec::new();
    while entries.len() < limits.list_entries as usize {
        let Some((path, stat)) = page.walker.next()? else {
            return Ok(ReadDone::List { entries, more: false });
        };
        entries.push(DirEntry { path, meta: stat.with_xattrs(Vec::new()), target: None });
    }
    page.given += entries.len() as u64;
    *paging = Some(page);
    Ok(ReadDone::List { entries, more: true })
}

fn read(limits: &Limits, found: &Found, stat: &Stat, offset: u64, len: u32) -> Result<ReadDone, Failure> {
    let fd = open(found, stat)?;
    let fail = |e| at_path(e, &found.path);
    let len = u64::from(len.min(limits.read_window)).min(stat.size.saturating_sub(offset));
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    let got = state::read_at(fd.as_fd(), &mut bytes, offset).map_err(fail)?;
    bytes.truncate(got);
    let whole = offset == 0 && got as u64 == stat.size;
    let digest = whole.then(|| raincoat_types::Digest(*blake3::hash(&bytes).as_bytes()));
    Ok(ReadDone::Bytes { bytes, size: stat.size, digest })
}

struct Query {
    pattern: String,
    glob: Option<String>,
    ignore_case: bool,
}

/// Searches as ripgrep does, with its crates: lines, a file with a NUL byte is binary and passed over. Protected and
/// denied files are passed over, as if they had no match.
fn search(resolver: &mut Resolver, n: usize, found: &Found, stat: &Stat, query: &Query) -> Result<ReadDone, Failure> {
    let invalid = |what: &str, why: String| Failure::new(FailureKind::Invalid, format!("`{what}`: {why}"));
    let matcher = RegexMatcherBuilder::new()
        .case_insensitive(query.ignore_case)
        .line_terminator(Some(b'\n'))
        .size_limit(16 << 20)
        .build(&query.pattern)
        .map_err(|e| invalid(&query.pattern, e.to_string()))?;
    let glob = match &query.glob {
        Some(glob) => {
            let full = if glob.contains('/') { glob.clone() } else { format!("**/{glob}") };
            let built = globset::GlobBuilder::new(&full).literal_separator(true).build();
            Some(built.map_err(|e| invalid(glob, e.to_string()))?.compile_matcher())
        }
        None => None,
    };
    let mut searcher = SearcherBuilder::new()
        .binary_detection(BinaryDetection::quit(0))
        .line_terminator(LineTerminator::byte(b'\n'))
        .line_number(true)
        .build();
    let limits = resolver.limits.clone();
    let mut hits = Hits { matches: Vec::new(), more: false, path: found.path.clone(), limits: &limits };
    if stat.kind == FileKind::File {
        let fd = open(found, stat)?;
        search_file(&mut searcher, &matcher, fd, &mut hits)?;
        return Ok(ReadDone::Search { matches: hits.matches, more: hits.more });
    }
    let mut walker = Walker::new(found, limits.walk_depth)?;
    let mut ours: Option<RelPath> = None;
    while let Some((path, stat)) = walker.next()? {
        if hits.more {
            break;
        }
        // Our own data has no match either, whatever name it lies under.
        if ours.as_ref().is_some_and(|ours| path.starts_with(ours)) {
            continue;
        }
        if stat.kind == FileKind::Dir && resolver.names.is_ours(&stat.identity) {
            ours = Some(path);
            continue;
        }
        let beneath: Vec<&[u8]> = path.names().skip(found.path.names().count()).collect();
        let beneath = beneath.join(&b'/');
        let wanted = glob.as_ref().is_none_or(|g| g.is_match(std::ffi::OsStr::from_bytes(&beneath)));
        if stat.kind != FileKind::File || stat.size == 0 || !wanted || hidden_from_search(resolver, n, &path)? {
            continue;
        }
        let Ok(fd) = walker.open_last(&path, &stat) else { continue };
        hits.path = path;
        search_file(&mut searcher, &matcher, fd, &mut hits)?;
    }
    Ok(ReadDone::Search { matches: hits.matches, more: hits.more })
}

fn hidden_from_search(resolver: &Resolver, n: usize, path: &RelPath) -> Result<bool, Failure> {
    let folder = resolver.folder(n)?;
    let base = OsStrExt::as_bytes(folder.root.path().as_os_str());
    let secret = matches!(resolver.names.protection(base, path, false), Some((raincoat_gate::Protection::Secret, _)));
    Ok(secret || resolver.names.denied(folder.grant, path).is_some() || resolver.names.is_hidden(base, path))
}

fn search_file(
    searcher: &mut Searcher,
    matcher: &grep_regex::RegexMatcher,
    fd: std::os::fd::OwnedFd,
    hits: &mut Hits<'_>,
) -> Result<(), Failure> {
    use std::io::Read;
    let file = std::fs::File::from(fd).take(hits.limits.search_file_bytes);
    let path = hits.path.clone();
    searcher.search_reader(matcher, file, hits).map_err(|e| at_path(e, &path))
}

struct Hits<'a> {
    matches: Vec<Match>,
    more: bool,
    path: RelPath,
    limits: &'a Limits,
}

impl Sink for Hits<'_> {
    type Error = std::io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, Self::Error> {
        if self.matches.len() >= self.limits.search_matches as usize {
            self.more = true;
            return Ok(false);
        }
        let mut text = found.bytes().to_vec();
        while matches!(text.last(), Some(b'\n' | b'\r')) {
            text.pop();
        }
        text.truncate(self.limits.search_line as usize);
        self.matches.push(Match { path: self.path.clone(), line: found.line_number().unwrap_or(0), text });
        Ok(true)
    }
}
