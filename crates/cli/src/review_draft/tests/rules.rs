//! What follows from a choice.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::tree::Tree;
use super::*;

fn tree(entries: &[Entry]) -> Tree {
    Tree::new(&[b"/f".to_vec()], entries)
}

/// The paths of which something is taken.
fn taken(tree: &Tree, entries: &[Entry]) -> Vec<String> {
    let mut out: Vec<String> = entries
        .iter()
        .enumerate()
        .filter(|(n, _)| tree.choice(*n).takes())
        .map(|(_, entry)| entry.path.display())
        .collect();
    out.sort();
    out
}

fn number(entries: &[Entry], path: &str) -> usize {
    entries.iter().position(|entry| entry.path.as_bytes() == path.as_bytes()).unwrap()
}

#[test]
fn all_that_is_plain_is_taken_at_first_and_nothing_else() {
    let entries = project().entries;
    assert_eq!(taken(&tree(&entries), &entries), ["logo.png", "new", "new/a.txt", "old.txt", "src/main.rs"]);
}

#[test]
fn what_lies_in_a_new_folder_needs_it() {
    let entries = vec![folder("a", Mark::Created), folder("a/b", Mark::Created), entry(b"a/b/c", Mark::Created)];
    let mut tree = tree(&entries);
    tree.put(&entries, 0, Choice::Reject).unwrap();
    assert!(taken(&tree, &entries).is_empty());
    tree.put(&entries, 2, Choice::Accept).unwrap();
    assert_eq!(taken(&tree, &entries), ["a", "a/b", "a/b/c"]);
}

#[test]
fn a_folder_goes_only_with_all_in_it() {
    let entries = vec![
        folder("a", Mark::Deleted),
        folder("a/b", Mark::Deleted),
        entry(b"a/b/c", Mark::Deleted),
        entry(b"a/d", Mark::Deleted),
    ];
    let mut tree = tree(&entries);
    tree.put(&entries, 2, Choice::Reject).unwrap();
    assert_eq!(taken(&tree, &entries), ["a/d"]);
    tree.put(&entries, 0, Choice::Accept).unwrap();
    assert_eq!(taken(&tree, &entries).len(), 4);
}

#[test]
fn a_folder_with_something_undecided_in_it_cannot_go() {
    let stuck = Entry { conflict: Some("changed".to_owned()), ..entry(b"a/c", Mark::Deleted) };
    let entries = vec![folder("a", Mark::Deleted), stuck];
    let mut tree = tree(&entries);
    assert!(taken(&tree, &entries).is_empty());
    let words = tree.put(&entries, 0, Choice::Accept).unwrap_err();
    assert!(words.contains("`a/c`"), "{words}");
    tree.put(&entries, 1, Choice::Conflict(Resolution::KeepTheirs)).unwrap();
    tree.put(&entries, 0, Choice::Accept).unwrap();
    assert_eq!(taken(&tree, &entries), ["a", "a/c"]);
    tree.put(&entries, 1, Choice::Conflict(Resolution::KeepMine)).unwrap();
    assert!(taken(&tree, &entries).is_empty(), "what is kept keeps its folder");
}

#[test]
fn a_folder_and_all_together_never_take_what_is_dangerous() {
    let entries = project().entries;
    let mut tree = tree(&entries);
    tree.all(&entries, 0, true, None);
    let hook = number(&entries, ".git/hooks/pre-commit");
    assert!(!tree.choice(hook).takes());
    assert_eq!(tree.total().apart, 2);
    tree.put(&entries, hook, Choice::Accept).unwrap();
    assert!(tree.choice(hook).takes());
}

#[test]
fn what_cannot_be_is_said_and_nothing_altered() {
    let entries = project().entries;
    let mut tree = tree(&entries);
    let before = tree.choices().to_vec();
    let (socket, notes, main) =
        (number(&entries, "run.sock"), number(&entries, "notes.txt"), number(&entries, "src/main.rs"));
    assert!(tree.put(&entries, socket, Choice::Accept).unwrap_err().contains("socket"));
    assert!(tree.put(&entries, notes, Choice::Accept).is_err());
    assert!(tree.put(&entries, main, Choice::Conflict(Resolution::KeepBoth)).is_err());
    assert_eq!(tree.choices(), before);
}

#[test]
fn all_hunks_are_the_file_and_none_is_no_file() {
    let entries = project().entries;
    let mut tree = tree(&entries);
    for (on, choice) in [
        (vec![true, true], Choice::Accept),
        (vec![false, false], Choice::Reject),
        (vec![true, false], Choice::Hunks(vec![true, false])),
    ] {
        tree.put(&entries, 0, Choice::Hunks(on)).unwrap();
        assert_eq!(*tree.choice(0), choice);
    }
}

/// Any changes, in few folders with few names, so that they meet.
fn changes() -> impl Strategy<Value = Vec<Entry>> {
    let name = prop::sample::select(vec!["a", "b", "c"]);
    let one = (vec(name, 1..5), 0_u8..7, 0_u8..12).prop_map(|(names, kind, flag)| {
        let path = names.join("/");
        let mut entry = match kind {
            0 => folder(&path, Mark::Created),
            1 => folder(&path, Mark::Deleted),
            2 => Entry { is_folder: true, ..entry(path.as_bytes(), Mark::Kind) },
            3 => Entry { was_folder: true, ..entry(path.as_bytes(), Mark::Kind) },
            4 => entry(path.as_bytes(), Mark::Created),
            5 => entry(path.as_bytes(), Mark::Deleted),
            _ => entry(path.as_bytes(), Mark::Modified),
        };
        match flag {
            0 => entry.dangerous = Some("d".to_owned()),
            1 => entry.conflict = Some("c".to_owned()),
            2 => entry.special = Some("s".to_owned()),
            _ => {}
        }
        entry
    });
    vec(one, 0..25)
}

/// What must always hold.
fn check(tree: &Tree, entries: &[Entry]) {
    let total = tree.total();
    assert_eq!((total.entries, total.taken), (entries.len(), tree.choices().iter().filter(|c| c.takes()).count()));
    for (at, node) in tree.nodes().iter().enumerate() {
        assert!(node.end > at && node.end <= tree.nodes().len());
        let Some(n) = node.entry else { continue };
        let choice = tree.choice(n);
        assert!(entries[n].special.is_none() || !choice.takes(), "special");
        assert!(entries[n].conflict.is_none() || matches!(choice, Choice::Reject | Choice::Conflict(_)), "conflict");
        for below in tree.nodes()[at + 1..node.end].iter().filter_map(|node| node.entry) {
            if entries[n].makes_folder() {
                assert!(choice.takes() || !tree.choice(below).takes(), "in a folder that is not made");
            }
            if entries[n].removes_folder() && choice.takes() {
                assert!(tree.choice(below).takes_all(), "kept in a folder that goes");
            }
        }
    }
}

proptest! {
    #[test]
    fn no_keys_whatever_break_the_rules(
        entries in changes(),
        keys in vec((any::<prop::sample::Index>(), 0_u8..9, any::<bool>()), 0..30),
    ) {
        let mut tree = tree(&entries);
        check(&tree, &entries);
        for (at, key, filtered) in keys {
            if entries.is_empty() { break }
            let (n, node) = (at.index(entries.len()), at.index(tree.nodes().len()));
            let shown: Vec<bool> = (0..entries.len()).map(|n| n % 2 == 0).collect();
            let shown = filtered.then_some(shown.as_slice());
            let before = tree.choices().to_vec();
            let ended = match key {
                0 => tree.put(&entries, n, Choice::Accept),
                1 => tree.put(&entries, n, Choice::Reject),
                2 => tree.put(&entries, n, Choice::Hunks(vec![true, false])),
                3 => tree.put(&entries, n, Choice::Conflict(Resolution::KeepMine)),
                4 => tree.put(&entries, n, Choice::Conflict(Resolution::KeepTheirs)),
                5 => tree.put(&entries, n, Choice::Conflict(Resolution::KeepBoth)),
                6 => tree.toggle(&entries, node, shown),
                _ => { tree.all(&entries, node, key == 7, shown); Ok(()) }
            };
            check(&tree, &entries);
            match ended {
                Err(_) => prop_assert_eq!(tree.choices(), &before[..], "what is refused alters nothing"),
                Ok(()) if key == 0 => prop_assert!(tree.choice(n).takes(), "what was said is done"),
                Ok(()) if key == 1 || key == 3 => prop_assert!(!tree.choice(n).takes()),
                Ok(()) => {}
            }
            if key >= 7 {
                for (n, entry) in entries.iter().enumerate().filter(|(_, entry)| !entry.plain()) {
                    prop_assert!(!tree.choice(n).takes() || before[n].takes(), "taken without a word: {:?}", entry);
                }
            }
        }
    }
}
