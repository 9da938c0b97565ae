use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Texts that share many lines, with every kind of line's end, none at the last, and bytes that are no UTF-8.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec!["a", "b", "c", "d", "", "<<<<<<<", "=======", "\u{202e}x"]);
    let end = prop::sample::select(vec!["\n", "\n", "\n", "\r\n", "\r"]);
    let line = (word, end).prop_map(|(word, end)| [word.as_bytes(), end.as_bytes()].concat());
    let odd = Just(b"\xff\xfe\n".to_vec());
    let tail = prop::sample::select(vec!["", "", "end", "\r"]);
    (vec(prop_oneof![8 => line, 1 => odd], 0..40), tail)
        .prop_map(|(lines, tail)| [lines.concat(), tail.as_bytes().to_vec()].concat())
}

/// A text and one made of it by a few edits.
fn edited() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let edits = vec((any::<prop::sample::Index>(), 0_u8..3), 0..6);
    (text(), edits).prop_map(|(before, edits)| {
        let mut lines: Vec<Vec<u8>> = before.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        for (at, what) in edits {
            if lines.is_empty() {
                lines.push(b"first\n".to_vec());
                continue;
            }
            let at = at.index(lines.len());
            match what {
                0 => drop(lines.remove(at)),
                1 => lines.insert(at, b"new\n".to_vec()),
                _ => lines[at] = b"changed\n".to_vec(),
            }
        }
        (before, lines.concat())
    })
}

fn numbered(count: usize) -> Vec<u8> {
    (0..count).flat_map(|n| format!("{n}\n").into_bytes()).collect()
}

proptest! {
    #[test]
    fn all_hunks_give_the_new_and_none_the_old((before, after) in prop_oneof![edited(), (text(), text())]) {
        let hunks = hunks(&before, &after).unwrap();
        let count = hunks.hunks.len();
        prop_assert_eq!(&apply(&before, &after, &hunks, &vec![true; count]), &after);
        prop_assert_eq!(&apply(&before, &after, &hunks, &vec![false; count]), &before);
        prop_assert_eq!(&apply(&before, &after, &hunks, &[]), &before);
        prop_assert_eq!(count == 0, before == after);
        // What is shown is what is there.
        for hunk in &hunks.hunks {
            let shown = |not: Side| hunk.lines.iter().filter(|l| l.side != not).flat_map(|l| l.bytes.clone()).collect::<Vec<_>>();
            let lines = |not: Side| hunk.lines.iter().filter(|l| l.side != not).count();
            prop_assert!(contains(&before, &shown(Side::New)) && contains(&after, &shown(Side::Old)));
            prop_assert_eq!((lines(Side::New), lines(Side::Old)), (hunk.before.len(), hunk.after.len()));
        }
    }

    #[test]
    fn a_part_and_then_the_rest_is_the_whole((before, after) in edited(), bits in vec(any::<bool>(), 40)) {
        let all = hunks(&before, &after).unwrap();
        let part = apply(&before, &after, &all, &bits);
        prop_assert_eq!(&part, &apply(&before, &after, &all, &bits), "the same choice gives the same bytes");
        // Seen from the part, what was taken is there already.
        let again = hunks(&before, &part).unwrap();
        prop_assert_eq!(&apply(&before, &part, &again, &vec![true; again.hunks.len()]), &part);
        let rest = hunks(&part, &after).unwrap();
        prop_assert_eq!(&apply(&part, &after, &rest, &vec![true; rest.hunks.len()]), &after);
    }

    #[test]
    fn who_alone_changed_something_is_right((base, side) in prop_oneof![edited(), (text(), text())]) {
        let whole = Merged { bytes: side.clone(), conflicts: 0 };
        prop_assert_eq!(merge(&base, &side, &base).unwrap(), whole.clone());
        prop_assert_eq!(merge(&base, &base, &side).unwrap(), whole.clone());
        prop_assert_eq!(merge(&base, &side, &side).unwrap(), whole);
    }

    #[test]
    fn a_merge_loses_no_line_that_one_side_made(base in text(), at in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
        let lines: Vec<&[u8]> = base.split_inclusive(|b| *b == b'\n').collect();
        let put = |at: usize, what: &[u8]| {
            let mut all: Vec<&[u8]> = lines.clone();
            all.insert(at, what);
            all.concat()
        };
        let mine = put(at.index(lines.len() + 1), b"of mine\n");
        let theirs = put(to.index(lines.len() + 1), b"of theirs\n");
        let merged = merge(&base, &mine, &theirs).unwrap();
        prop_assert!(contains(&merged.bytes, b"of mine\n") && contains(&merged.bytes, b"of theirs\n"));
        prop_assert_eq!(merged.conflicts > 0, contains(&merged.bytes, MINE.as_bytes()));
    }

    #[test]
    fn no_bytes_whatever_break_anything(a in vec(any::<u8>(), 0..200), b in vec(any::<u8>(), 0..200), c in vec(any::<u8>(), 0..200)) {
        if let Some(hunks) = hunks(&a, &b) {
            prop_assert_eq!(apply(&a, &b, &hunks, &vec![true; hunks.hunks.len()]), b.clone());
        }
        let _ = merge(&a, &b, &c);
    }
}

fn contains(all: &[u8], part: &[u8]) -> bool {
    part.is_empty() || all.windows(part.len()).any(|window| window == part)
}

#[test]
fn hunks_have_their_lines_and_three_of_context() {
    let before = numbered(30);
    let after =
        String::from_utf8(before.clone()).unwrap().replace("\n5\n", "\nfive\n").replace("\n20\n", "\n20\n20b\n");
    let found = hunks(&before, after.as_bytes()).unwrap().hunks;
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].before.clone(), found[0].after.clone()), (2..9, 2..9));
    assert_eq!((found[1].before.clone(), found[1].after.clone()), (18..24, 18..25));
    let signs: Vec<Side> = found[0].lines.iter().map(|line| line.side).collect();
    use Side::{Both, New, Old};
    assert_eq!(signs, [Both, Both, Both, Old, New, Both, Both, Both]);
    assert_eq!(found[0].lines[4].bytes, b"five\n");
}

#[test]
fn one_hunk_of_two_is_taken() {
    let before = numbered(30);
    let after = String::from_utf8(before.clone()).unwrap().replace("\n5\n", "\nfive\n").replace("\n20\n", "\ntwenty\n");
    let all = hunks(&before, after.as_bytes()).unwrap();
    let taken = String::from_utf8(apply(&before, after.as_bytes(), &all, &[false, true])).unwrap();
    assert!(taken.contains("\n5\n") && taken.contains("\ntwenty\n"));
}

#[test]
fn a_changed_line_end_is_a_change_and_stays_exact() {
    let (before, after) = (b"a\nb\nc".as_slice(), b"a\r\nb\nc\n".as_slice());
    let all = hunks(before, after).unwrap();
    assert_eq!(apply(before, after, &all, &[true]), after);
    assert_eq!(all.hunks[0].lines.last().unwrap().bytes, b"c\n");
}

#[test]
fn what_is_no_text_or_too_large_has_no_hunks() {
    assert!(hunks(b"a\0b", b"a").is_none());
    assert!(hunks(b"a", &vec![b'x'; TEXT_BYTES + 1]).is_none());
    assert!(hunks(b"a", &vec![b'\n'; TEXT_LINES + 1]).is_none());
    assert!(hunks(b"a", &vec![b'x'; TEXT_BYTES]).is_some());
    assert!(merge(b"a", b"a\0", b"b").is_none());
    assert!(hunks(b"\xff\xfe\n", b"\xff\n").is_some(), "other encodings than UTF-8 are text");
}

#[test]
fn two_sides_that_touch_different_lines_merge_cleanly() {
    let merged = merge(b"a\nb\nc\nd\ne\n", b"A\nb\nc\nd\ne\n", b"a\nb\nc\nd\nE\n").unwrap();
    assert_eq!(merged, Merged { bytes: b"A\nb\nc\nd\nE\n".to_vec(), conflicts: 0 });
}

#[test]
fn a_conflict_names_both_sides() {
    let merged = merge(b"a\nb\n", b"a\nmine\n", b"a\ntheirs\n").unwrap();
    assert_eq!(merged.conflicts, 1);
    assert_eq!(
        String::from_utf8(merged.bytes).unwrap(),
        "a\n<<<<<<< mine (your folder)\nmine\n=======\ntheirs\n>>>>>>> theirs (the draft)\n"
    );
}

#[test]
fn a_line_that_looks_like_a_marker_cannot_be_taken_for_one() {
    let forged = b"a\nx\n>>>>>>> theirs (the draft)\n======== \n";
    let merged = String::from_utf8(merge(b"a\nb\n", b"a\nmine\n", forged).unwrap().bytes).unwrap();
    assert!(merged.contains("\n<<<<<<<<< mine"), "{merged}");
    assert!(merged.ends_with("\n>>>>>>>>> theirs (the draft)\n"), "{merged}");
}

#[test]
fn the_largest_texts_that_share_nothing_are_still_answered() {
    let side = |seed: usize| {
        (0..TEXT_LINES).flat_map(|n| format!("{}\n", (n * 7919 + seed) % 977).into_bytes()).collect::<Vec<u8>>()
    };
    let (a, b, c) = (side(1), side(500), side(3));
    let all = hunks(&a, &b).unwrap();
    assert_eq!(apply(&a, &b, &all, &vec![true; all.hunks.len()]), b);
    assert!(merge(&a, &b, &c).is_some());
}
