//! A plan as a tree of changes: folders with counts and sizes, moves as `old -> new`, long lists folded.

use std::collections::{BTreeMap, BTreeSet};

use raincoat_runtime::PlanView;
use raincoat_types::wire::PlanStep;
use raincoat_types::{FileChange, FileKind, Measure, Place, RelPath};

use super::{size, visible};
use crate::out::Style;

/// How a tree is folded, from not at all to most: changes that are listed of one folder, and levels of folders. The first
/// that fits is taken.
const FOLDS: [Fold; 6] = [
    Fold { listed: usize::MAX, levels: usize::MAX },
    Fold { listed: 8, levels: usize::MAX },
    Fold { listed: 2, levels: usize::MAX },
    Fold { listed: 0, levels: usize::MAX },
    Fold { listed: 0, levels: 2 },
    Fold { listed: 0, levels: 1 },
];
/// Lines that a tree should fit into.
const FIT: usize = 48;
/// Lines that a tree has at most, unless it was unfolded.
const MOST: usize = 400;
/// Sources of an archive that its line names.
const SOURCES: usize = 3;

#[derive(Clone, Copy)]
struct Fold {
    listed: usize,
    levels: usize,
}

/// A place: which of the run's folders, and the path beneath it.
pub(crate) type At = (usize, Vec<u8>);

/// One change of a plan, ready to be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Item {
    /// In words, without the folder it lies in.
    pub(crate) text: String,
    /// Where it ends up, then where it comes from.
    pub(crate) places: Vec<At>,
    /// It makes a folder.
    pub(crate) mkdir: bool,
    /// Bytes it is about.
    pub(crate) bytes: u64,
    /// Files it is about.
    pub(crate) files: u64,
    /// Why the gate would refuse it.
    pub(crate) refused: Option<String>,
    /// Why its proposer wants it.
    pub(crate) why: String,
    /// Its line does not say all of it: new content, a long list of sources.
    pub(crate) more: bool,
}

/// A plan as a tree. It keeps numbers only; the words of a change are made when its line is shown, for a plan may have a
/// hundred thousand.
pub(crate) struct Tree<'a> {
    steps: Vec<Counts>,
    roots: Vec<(String, Node)>,
    words: Box<dyn Fn(usize) -> Option<Item> + 'a>,
}

/// What is counted of a change.
#[derive(Clone, Copy)]
pub(crate) struct Counts {
    /// It makes a folder.
    pub(crate) mkdir: bool,
    /// Its line does not say all of it.
    pub(crate) more: bool,
    bytes: u64,
    files: u64,
}

#[derive(Default)]
struct Node {
    children: BTreeMap<Vec<u8>, Node>,
    items: Vec<usize>,
    /// The step that makes this folder.
    made: Option<usize>,
}

/// What of a tree is to be shown.
#[derive(Clone, Default)]
pub(crate) struct Show {
    /// Everything.
    pub(crate) all: bool,
    /// These folders and what is below them.
    pub(crate) open: BTreeSet<At>,
    /// Which steps are chosen; a step that is missing here is.
    pub(crate) chosen: Vec<bool>,
    /// Nobody can unfold it: no word on how to.
    pub(crate) fixed: bool,
}

/// A tree's lines.
pub(crate) struct Rendered {
    pub(crate) lines: Vec<String>,
    /// Something is folded or cut away.
    pub(crate) folded: bool,
}

/// Counts of what is chosen.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Total {
    pub(crate) changes: u64,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

impl<'a> Tree<'a> {
    /// The tree of a plan that wants an answer.
    pub(crate) fn of(plan: &'a PlanView<'a>) -> Tree<'a> {
        let words = |n: usize| {
            let step = plan.steps.get(n)?;
            let fact = plan.facts.get(n).cloned().unwrap_or_default();
            let resolved: Vec<At> =
                fact.resolved.iter().map(|(root, path)| (*root, path.as_bytes().to_vec())).collect();
            Some(item(
                step,
                &resolved,
                fact.source,
                fact.amounts.of(Measure::Files),
                fact.refused.map(|r| r.message),
                plan.roots,
            ))
        };
        let folders = plan.roots.iter().map(|(_, path)| visible::name(path)).collect();
        Tree::new(folders, plan.steps.len(), Box::new(words))
    }

    fn new(folders: Vec<String>, len: usize, words: Box<dyn Fn(usize) -> Option<Item> + 'a>) -> Tree<'a> {
        let mut roots: Vec<(String, Node)> = folders.into_iter().map(|path| (path, Node::default())).collect();
        let mut steps = Vec::with_capacity(len);
        for (n, item) in (0..len).filter_map(|n| Some((n, words(n)?))) {
            steps.push(Counts { mkdir: item.mkdir, more: item.more, bytes: item.bytes, files: item.files });
            let Some((root, path)) = item.places.first() else { continue };
            let Some((_, mut node)) = roots.get_mut(*root).map(|(name, node)| (name, node)) else { continue };
            let mut names: Vec<&[u8]> = path.split(|b| *b == b'/').filter(|name| !name.is_empty()).collect();
            if !item.mkdir {
                names.pop();
            }
            for name in names {
                node = node.children.entry(name.to_vec()).or_default();
            }
            if item.mkdir && node.made.is_none() {
                node.made = Some(n);
            } else {
                node.items.push(n);
            }
        }
        Tree { steps, roots, words }
    }

    /// How many changes it has.
    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    /// A change in words.
    pub(crate) fn item(&self, n: usize) -> Option<Item> {
        (self.words)(n)
    }

    /// Every change, in the plan's order.
    pub(crate) fn items(&self) -> impl Iterator<Item = Item> {
        (0..self.len()).filter_map(|n| self.item(n))
    }

    /// What is counted of each change, in the plan's order.
    pub(crate) fn counts(&self) -> &[Counts] {
        &self.steps
    }

    /// What the chosen steps come to.
    pub(crate) fn total(&self, chosen: &[bool]) -> Total {
        let steps = self.steps.iter().enumerate().filter(|(n, _)| is_chosen(chosen, *n));
        steps.fold(Total::default(), |sum, (_, counts)| sum.plus(*counts))
    }

    /// The tree's lines.
    pub(crate) fn render(&self, show: &Show, style: Style) -> Rendered {
        let mut rendered = Rendered { lines: Vec::new(), folded: false };
        for fold in if show.all { FOLDS.get(..1).unwrap_or_default() } else { &FOLDS } {
            rendered = self.render_folded(show, style, *fold);
            if rendered.lines.len() <= FIT {
                break;
            }
        }
        if !show.all && show.open.is_empty() && rendered.lines.len() > MOST {
            let more = rendered.lines.len() - MOST;
            rendered.lines.truncate(MOST);
            rendered
                .lines
                .push(style.dim(&format!("… {} more (see all: x all)", size::of(more as u64, "line", "lines"))));
            rendered.folded = true;
        }
        rendered
    }

    fn render_folded(&self, show: &Show, style: Style, fold: Fold) -> Rendered {
        let mut out = Rendered { lines: Vec::new(), folded: false };
        for (root, (name, node)) in self.roots.iter().enumerate() {
            let total = self.total_of(node, &show.chosen);
            if total.changes == 0 && node.is_empty() {
                continue;
            }
            out.lines.push(format!("{}  {}", style.bold(name), style.dim(&total.words())));
            let mut painter = Painter { tree: self, show, style, fold, root, out: &mut out };
            painter.paint(node, &mut Vec::new(), "", 0, show.all);
        }
        out
    }

    fn total_of(&self, node: &Node, chosen: &[bool]) -> Total {
        let mut sum = Total::default();
        for n in node.items.iter().chain(&node.made).filter(|n| is_chosen(chosen, **n)) {
            sum = self.steps.get(*n).map_or(sum, |counts| sum.plus(*counts));
        }
        node.children.values().map(|child| self.total_of(child, chosen)).fold(sum, Total::and)
    }
}

fn is_chosen(chosen: &[bool], n: usize) -> bool {
    chosen.get(n).copied().unwrap_or(true)
}

struct Painter<'a> {
    tree: &'a Tree<'a>,
    show: &'a Show,
    style: Style,
    fold: Fold,
    root: usize,
    out: &'a mut Rendered,
}

impl Painter<'_> {
    fn paint(&mut self, node: &Node, path: &mut Vec<u8>, indent: &str, level: usize, open: bool) {
        let open = open || self.show.open.contains(&(self.root, path.clone()));
        let listed = if open || node.items.len() <= self.fold.listed { node.items.len() } else { self.fold.listed };
        // Where nothing at all is listed, the folder's own line says that there is more.
        let rest = if self.fold.listed == 0 && level > 0 { 0 } else { node.items.len() - listed };
        let mut left = node.children.len() + listed + usize::from(rest > 0);
        for (name, child) in &node.children {
            left -= 1;
            let (branch, below) = if left == 0 { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let length = path.len();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            let open = open || self.show.open.contains(&(self.root, path.clone()));
            let deeper = open || level + 1 < self.fold.levels || self.opens_below(path);
            let hides = !open
                && ((!child.items.is_empty() && self.fold.listed == 0) || (!child.children.is_empty() && !deeper));
            self.out.folded |= hides;
            let line = self.folder(name, child, hides);
            self.out.lines.push(format!("{indent}{branch}{line}"));
            if deeper {
                self.paint(child, path, &format!("{indent}{below}"), level + 1, open);
            }
            path.truncate(length);
        }
        for n in node.items.iter().take(listed) {
            left -= 1;
            let branch = if left == 0 { "└─ " } else { "├─ " };
            let line = self.step(*n);
            self.out.lines.push(format!("{indent}{branch}{line}"));
        }
        if rest > 0 {
            self.out.folded = true;
            let mut words = format!("… {} more", size::of(rest as u64, "change", "changes"));
            if !self.show.fixed {
                let place = if path.is_empty() { ".".to_owned() } else { visible::name(path) };
                words.push_str(&format!(" (see them: x {place})"));
            }
            self.out.lines.push(format!("{indent}└─ {}", self.style.dim(&words)));
        }
    }

    /// A folder's own line.
    fn folder(&self, name: &[u8], node: &Node, hides: bool) -> String {
        let total = self.tree.total_of(node, &self.show.chosen).words();
        let made = node.made.map(|step| format!("new [{}], ", step + 1)).unwrap_or_default();
        let more = if hides { " …" } else { "" };
        let words = self.style.dim(&format!("{made}{total}{more}"));
        format!("{}  {words}", self.style.cyan(&format!("{}/", visible::name(name))))
    }

    /// Something below was unfolded, so the way there is shown too.
    fn opens_below(&self, path: &[u8]) -> bool {
        let below = |open: &[u8]| open.strip_prefix(path).is_some_and(|rest| rest.first() == Some(&b'/'));
        self.show.open.iter().any(|(root, open)| *root == self.root && below(open))
    }

    fn step(&self, n: usize) -> String {
        let Some(item) = self.tree.item(n) else { return String::new() };
        let mut line = format!("[{}] {}", n + 1, item.text);
        if item.bytes > 0 {
            line.push_str(&format!("  {}", size::bytes(item.bytes)));
        }
        if !item.why.is_empty() {
            line.push_str(&format!("  ({})", item.why));
        }
        if let Some(why) = &item.refused {
            line.push_str(&format!("  {}", self.style.red(&format!("will be refused: {why}"))));
        }
        if is_chosen(&self.show.chosen, n) { line } else { self.style.dim(&format!("(left out) {line}")) }
    }
}

impl Node {
    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.items.is_empty() && self.made.is_none()
    }
}

impl Total {
    fn plus(self, counts: Counts) -> Total {
        let files = if counts.mkdir { 0 } else { counts.files.max(1) };
        self.and(Total { changes: 1, files, bytes: counts.bytes })
    }

    fn and(self, other: Total) -> Total {
        Total {
            changes: self.changes.saturating_add(other.changes),
            files: self.files.saturating_add(other.files),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    /// `46 changes, 12 MiB`.
    pub(crate) fn words(self) -> String {
        let changes = size::of(self.changes, "change", "changes");
        if self.bytes == 0 { changes } else { format!("{changes}, {}", size::bytes(self.bytes)) }
    }
}

/// One step in words. `resolved` has where its places really are; where that is not known yet, they are shown as named.
fn item(
    step: &PlanStep,
    resolved: &[At],
    source: Option<(FileKind, u64)>,
    files: u64,
    refused: Option<String>,
    roots: &[(String, Vec<u8>)],
) -> Item {
    let places = Places { resolved, roots };
    let was = source.map_or(0, |(_, size)| size);
    let (mut mkdir, mut more, mut bytes) = (false, false, was);
    let (text, places) = match &step.change {
        FileChange::Write { at, content, .. } => {
            let at = places.at(0, at);
            bytes = content.len() as u64;
            more = true;
            let note = if source.is_some() { format!(" (was {})", size::bytes(was)) } else { " (new)".to_owned() };
            (format!("write {}{note}", last(&at)), vec![at])
        }
        FileChange::Edit { at, old, new, all, .. } => {
            let at = places.at(0, at);
            more = true;
            let each = if *all { ", every occurrence" } else { "" };
            (format!("edit {} ({} B become {} B{each})", last(&at), old.len(), new.len()), vec![at])
        }
        FileChange::Mkdir { at, .. } => {
            mkdir = true;
            bytes = 0;
            let at = places.at(0, at);
            (format!("new folder {}", last(&at)), vec![at])
        }
        FileChange::Move { from, to, replace } => {
            let (from, to) = (places.at(0, from), places.at(1, to));
            (format!("{} -> {}{}", places.seen_from(&from, &to), last(&to), replacing(*replace)), vec![to, from])
        }
        FileChange::Copy { from, to, replace } => {
            let (from, to) = (places.at(0, from), places.at(1, to));
            (format!("copy {} -> {}{}", places.seen_from(&from, &to), last(&to), replacing(*replace)), vec![to, from])
        }
        FileChange::Delete { at, recursive } => {
            let at = places.at(0, at);
            let below = if *recursive && files > 1 { format!(" and {} in it", files - 1) } else { String::new() };
            (format!("delete {}{below}", last(&at)), vec![at])
        }
        FileChange::Archive { from, to, format } => {
            let sources: Vec<At> = from.iter().enumerate().map(|(n, place)| places.at(n, place)).collect();
            let to = places.at(from.len(), to);
            more = sources.len() > SOURCES;
            let named: Vec<String> = sources.iter().take(SOURCES).map(|at| places.seen_from(at, &to)).collect();
            let rest = if more { format!(" and {} more", sources.len() - SOURCES) } else { String::new() };
            let text = format!("archive {}{rest} -> {} ({format:?})", named.join(", "), last(&to));
            (text, std::iter::once(to).chain(sources).collect())
        }
        FileChange::Extract { from, to } => {
            let (from, to) = (places.at(0, from), places.at(1, to));
            (format!("extract {} -> {}/", places.seen_from(&from, &to), last(&to)), vec![to, from])
        }
        FileChange::Revert { op, .. } => (format!("take back {op}"), Vec::new()),
        FileChange::RestoreTimes { now, .. } => {
            (format!("give `{}` its times back", now.at.path.display()), Vec::new())
        }
        FileChange::Restore { at, .. } => (format!("restore {}", at.path.display()), Vec::new()),
        FileChange::Adopt { at, .. } => {
            let at = places.at(0, at);
            (format!("commit {}", last(&at)), vec![at])
        }
    };
    let why = visible::single(&step.why);
    Item { text, places, mkdir, bytes, files, refused, why, more }
}

fn replacing(replace: bool) -> &'static str {
    if replace { " (in the place of what is there)" } else { "" }
}

struct Places<'a> {
    resolved: &'a [At],
    roots: &'a [(String, Vec<u8>)],
}

impl Places<'_> {
    fn at(&self, n: usize, named: &Place) -> At {
        self.resolved.get(n).cloned().unwrap_or_else(|| (usize::from(named.root), plain(&named.path.0)))
    }

    /// A place as one says it in the folder of another: by its name alone where both are in one folder, by its path
    /// beneath the run's folder, or with the folder in front where that is another one.
    fn seen_from(&self, at: &At, from: &At) -> String {
        if at.0 != from.0 {
            let root = self.roots.get(at.0).map(|(_, path)| visible::name(path)).unwrap_or_default();
            return format!("{root}/{}", visible::name(&at.1));
        }
        if folder(&at.1) == folder(&from.1) { last(at) } else { visible::name(&at.1) }
    }
}

/// A path as it was named, cleaned where it already is canonical but for its slashes.
fn plain(named: &[u8]) -> Vec<u8> {
    let names: Vec<&[u8]> = named.split(|b| *b == b'/').filter(|n| !n.is_empty() && *n != b".").collect();
    let joined = names.join(&b'/');
    if RelPath::new(&joined).is_ok() { joined } else { named.to_vec() }
}

fn folder(path: &[u8]) -> &[u8] {
    path.iter().rposition(|b| *b == b'/').and_then(|at| path.get(..at)).unwrap_or_default()
}

fn last(at: &At) -> String {
    let name = at.1.rsplit(|b| *b == b'/').next().unwrap_or_default();
    if name.is_empty() { ".".to_owned() } else { visible::name(name) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use raincoat_types::Expect;

    fn place(path: &str) -> Place {
        Place { root: 0, path: path.into() }
    }

    pub(crate) fn moved(from: &str, to: &str) -> PlanStep {
        step(FileChange::Move { from: place(from), to: place(to), replace: false })
    }

    pub(crate) fn made(at: &str) -> PlanStep {
        step(FileChange::Mkdir { at: place(at), parents: false })
    }

    pub(crate) fn step(change: FileChange) -> PlanStep {
        PlanStep { change, why: String::new() }
    }

    fn of_items(folder: &str, items: Vec<Item>) -> Tree<'static> {
        Tree::new(vec![folder.to_owned()], items.len(), Box::new(move |n| items.get(n).cloned()))
    }

    pub(crate) fn tree(steps: &[PlanStep]) -> Tree<'static> {
        let roots = [("in".to_owned(), b"/home/u/in".to_vec())];
        let items = steps.iter().map(|step| {
            let source = (!matches!(step.change, FileChange::Mkdir { .. })).then_some((FileKind::File, 2048));
            item(step, &[], source, 1, None, &roots)
        });
        of_items("/home/u/in", items.collect())
    }

    fn check(steps: &[PlanStep], show: &Show, expected: &str) {
        let rendered = tree(steps).render(show, Style::default());
        assert_eq!(rendered.lines.join("\n"), expected.trim());
    }

    #[test]
    fn moves_stand_in_the_folder_they_go_to() {
        let steps = [
            made("Documents"),
            made("Documents/2021"),
            moved("Desktop/x.pdf", "Documents/2021/x.pdf"),
            moved("b.pdf", "Documents/2021/b.pdf"),
            moved("old.txt", "new.txt"),
            step(FileChange::Delete { at: place("a\u{202e}.tmp"), recursive: false }),
        ];
        check(
            &steps,
            &Show::default(),
            "
/home/u/in  6 changes, 8.0 KiB
├─ Documents/  new [1], 4 changes, 4.0 KiB
│  └─ 2021/  new [2], 3 changes, 4.0 KiB
│     ├─ [3] Desktop/x.pdf -> x.pdf  2.0 KiB
│     └─ [4] b.pdf -> b.pdf  2.0 KiB
├─ [5] old.txt -> new.txt  2.0 KiB
└─ [6] delete a\\u{202e}.tmp  2.0 KiB",
        );
    }

    #[test]
    fn what_is_left_out_is_marked_and_not_counted() {
        let steps = [moved("a", "d/a"), moved("b", "d/b")];
        let show = Show { chosen: vec![true, false], ..Show::default() };
        check(
            &steps,
            &show,
            "
/home/u/in  1 change, 2.0 KiB
└─ d/  1 change, 2.0 KiB
   ├─ [1] a -> a  2.0 KiB
   └─ (left out) [2] b -> b  2.0 KiB",
        );
    }

    #[test]
    fn a_long_folder_is_folded_and_unfolds() {
        let steps: Vec<PlanStep> = (0..100).map(|n| moved(&format!("{n}.jpg"), &format!("Pictures/{n}.jpg"))).collect();
        let folded = tree(&steps).render(&Show::default(), Style::default());
        assert!(folded.folded);
        assert_eq!(folded.lines.len(), 2 + 8 + 1);
        assert_eq!(folded.lines.last().unwrap(), "   └─ … 92 changes more (see them: x Pictures)");
        let open = Show { open: [(0, b"Pictures".to_vec())].into(), ..Show::default() };
        let open = tree(&steps).render(&open, Style::default());
        assert!(!open.folded);
        assert_eq!(open.lines.len(), 102);
        assert!(!tree(&steps).render(&Show { all: true, ..Show::default() }, Style::default()).folded);
    }

    #[test]
    fn a_huge_tree_is_cut_and_says_so() {
        let steps: Vec<PlanStep> = (0..1000).map(|n| moved(&format!("{n}"), &format!("{n}/x/y"))).collect();
        let rendered = tree(&steps).render(&Show::default(), Style::default());
        assert!(rendered.folded);
        assert_eq!(rendered.lines.len(), MOST + 1);
        assert!(rendered.lines.last().unwrap().contains("x all"));
    }

    #[test]
    fn a_broad_tree_is_folded_to_its_top_and_unfolds_to_the_one_that_is_wanted() {
        let steps: Vec<PlanStep> = (0..60)
            .flat_map(|n| (0..3).map(move |k| moved(&format!("{n}-{k}"), &format!("{}/{n}/{k}", n % 2))))
            .collect();
        let tree = tree(&steps);
        let rendered = tree.render(&Show { fixed: true, ..Show::default() }, Style::default());
        assert!(rendered.folded);
        assert_eq!(
            rendered.lines,
            ["/home/u/in  180 changes, 360 KiB", "├─ 0/  90 changes, 180 KiB …", "└─ 1/  90 changes, 180 KiB …"]
        );
        let open = Show { open: [(0, b"1/7".to_vec())].into(), ..Show::default() };
        let rendered = tree.render(&open, Style::default());
        assert!(rendered.folded);
        assert!(rendered.lines.iter().any(|line| line.ends_with("[22] 7-0 -> 0  2.0 KiB")), "{:?}", rendered.lines);
    }

    #[test]
    fn resolved_places_are_shown_not_the_ones_named() {
        let change = FileChange::Delete { at: place("link/../x"), recursive: false };
        let roots = [("in".to_owned(), b"/in".to_vec())];
        let shown = item(&step(change), &[(0, b"real/y".to_vec())], None, 1, Some("protected".into()), &roots);
        assert_eq!(shown.text, "delete y");
        assert_eq!(shown.places, [(0, b"real/y".to_vec())]);
        let tree = of_items("/in", vec![shown]);
        let lines = tree.render(&Show::default(), Style::default()).lines;
        assert_eq!(lines.last().unwrap(), "   └─ [1] delete y  will be refused: protected");
    }

    #[test]
    fn new_content_is_more_than_a_line_says() {
        let write = step(FileChange::Write { at: place("n.txt"), content: vec![b'x'; 10], expect: Expect::Absent });
        let tree = tree(&[write, moved("a", "b")]);
        assert!(tree.counts()[0].more && !tree.counts()[1].more);
        assert_eq!(tree.item(0).unwrap().text, "write n.txt (was 2.0 KiB)");
    }
}
