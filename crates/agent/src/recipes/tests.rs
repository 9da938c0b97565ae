//! What recipes promise, over a keeper that really makes the changes.

use std::collections::BTreeSet;

use proptest::prelude::*;
use raincoat_types::{FileChange, FileKind};

use super::fake::FakeKeeper;
use super::{Finished, names, run};

/// 2023-07-14T12:00:00Z.
const JULY: i64 = 1_689_336_000;

fn go(keeper: &mut FakeKeeper, recipe: &str, options: &[(&str, &str)]) -> Finished {
    let job = keeper.job();
    let options: Vec<_> = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    run(keeper, recipe, &options, &job).unwrap()
}

/// A JPEG with nothing in it but EXIF with `DateTimeOriginal`.
fn jpeg(taken: &str) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0".to_vec();
    // IFD0: one entry, the Exif IFD at 26; Exif IFD: DateTimeOriginal, ASCII, 20 bytes at 44.
    tiff.extend_from_slice(&[1, 0, 0x69, 0x87, 4, 0, 1, 0, 0, 0, 26, 0, 0, 0, 0, 0, 0, 0]);
    tiff.extend_from_slice(&[1, 0, 0x03, 0x90, 2, 0, 20, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0]);
    tiff.extend_from_slice(taken.as_bytes());
    tiff.push(0);
    let mut out = b"\xff\xd8\xff\xe1".to_vec();
    out.extend_from_slice(&(u16::try_from(tiff.len()).unwrap() + 8).to_be_bytes());
    out.extend_from_slice(b"Exif\0\0");
    out.extend_from_slice(&tiff);
    out.extend_from_slice(b"\xff\xd9");
    out
}

/// An MP3 with ID3v2.3 tags, behind `junk` bytes of a picture within the tag.
fn mp3(artist: &str, album: &str, junk: usize) -> Vec<u8> {
    let mut frames = Vec::new();
    let mut frame = |id: &[u8; 4], body: &[u8]| {
        frames.extend_from_slice(id);
        frames.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
        frames.extend_from_slice(&[0, 0]);
        frames.extend_from_slice(body);
    };
    frame(b"APIC", &[b"\0image/png\0\x03\0".as_slice(), &vec![b'x'; junk]].concat());
    frame(b"TPE1", &[b"\0", artist.as_bytes()].concat());
    frame(b"TALB", &[b"\0", album.as_bytes()].concat());
    let n = frames.len();
    let size = [(n >> 21) as u8 & 127, (n >> 14) as u8 & 127, (n >> 7) as u8 & 127, n as u8 & 127];
    // One silent MPEG-1 layer III frame header after the tag, four times.
    let mut audio = Vec::new();
    for _ in 0..4 {
        audio.extend_from_slice(&[0xff, 0xfb, 0x90, 0x64]);
        audio.extend_from_slice(&[0; 413]);
    }
    [b"ID3\x03\0\0".as_slice(), &size, &frames, &audio].concat()
}

#[test]
fn a_messy_folder_is_sorted_by_type_and_date() {
    // H3, A2
    let mut k = FakeKeeper::new();
    k.file("invoice.pdf", b"%PDF-1.4", JULY)
        .file("photo.bin", jpeg("2021:03:05 10:00:00"), JULY)
        .file("IMG-20190102-WA0001.jpg", b"\xff\xd8\xff\xe0", JULY)
        .file("song.mp3", mp3("AC/DC", "../Black", 300_000), JULY)
        .file("empty", b"", JULY)
        .file("table.csv", b"a,b\n", JULY)
        .file("film.mkv", b"\x1aE\xdf\xa3\x93B\x82\x88matroska", JULY)
        .file("film.srt", b"1\n", 0)
        .file(".hidden", b"x", JULY)
        .file("big.iso.part", b"x", JULY)
        .file("page.html", b"<html>", JULY)
        .file("page_files/logo.png", b"x", JULY)
        .file("app/Cargo.toml", b"x", JULY)
        .file("app/notes.txt", b"x", JULY)
        .file("sub/deep.pdf", b"%PDF-1.4", JULY)
        .node(b"link", FileKind::Symlink, b"invoice.pdf", JULY)
        .node(b"pipe", FileKind::Special, b"", JULY);
    let before = k.contents();
    let done = go(&mut k, "tidy", &[]);
    assert!(done.ok, "{}", done.summary);
    assert_eq!(k.contents(), before);
    let want = [
        ".hidden",
        "Documents/2023/invoice.pdf",
        "Music/AC_DC/_Black/song.mp3",
        "Other/empty",
        "Pictures/2019-01/IMG-20190102-WA0001.jpg",
        "Pictures/2021-03/photo.bin",
        "Spreadsheets/2023/table.csv",
        "Videos/2023-07/film.mkv",
        "Videos/2023-07/film.srt",
        "app/Cargo.toml",
        "app/notes.txt",
        "big.iso.part",
        "link",
        "page.html",
        "page_files/logo.png",
        "pipe",
        "sub/deep.pdf",
    ];
    let files: Vec<_> = k.show().into_iter().filter(|path| !path.ends_with('/')).collect();
    assert_eq!(files, want);
    for words in ["moved 8 files", "1 symlinks", "1 special files", "2 hidden", "1 saved web pages"] {
        assert!(done.summary.contains(words), "{}", done.summary);
    }
    // Folders first, then moves.
    let steps = &k.plans[0].1;
    let first_move = steps.iter().position(|step| matches!(step.change, FileChange::Move { .. })).unwrap();
    assert!(steps[first_move..].iter().all(|step| matches!(step.change, FileChange::Move { .. })));

    let again = go(&mut k, "tidy", &[("recursive", "true"), ("by", "type")]);
    assert_eq!(k.plans.len(), 2);
    assert!(again.ok && k.tree.contains_key(b"Documents/deep.pdf".as_slice()), "{:?}", k.show());
    assert!(k.tree.contains_key(b"app/notes.txt".as_slice()));
}

#[test]
fn a_folder_that_is_a_project_is_refused() {
    let mut k = FakeKeeper::new();
    k.file("Cargo.toml", b"x", JULY).file("src/main.rs", b"x", JULY);
    for recipe in ["tidy", "dedupe", "flatten", "archive-old"] {
        let done = go(&mut k, recipe, &[]);
        assert!(!done.ok && done.summary.contains("in-project=true"), "{}", done.summary);
    }
    assert!(k.plans.is_empty());
    assert!(go(&mut k, "tidy", &[("in-project", "true")]).ok);
    // A stray manifest among downloads is no project.
    let mut k = FakeKeeper::new();
    k.file("package.json", b"{}", JULY).dir("holiday");
    assert!(go(&mut k, "tidy", &[]).ok && k.plans.len() == 1);
}

#[test]
fn taken_names_are_numbered_and_folders_reused_in_any_case() {
    let mut k = FakeKeeper::new();
    k.file("documents/2023/A.pdf", b"%PDF-1", JULY)
        .file("a.pdf", b"%PDF-2", JULY)
        .file("Music", b"not a folder", JULY)
        .file("x.mp3", b"ID3\x03\0\0\0\0\0\0", JULY);
    let before = k.contents();
    let done = go(&mut k, "tidy", &[]);
    assert!(done.ok, "{}", done.summary);
    assert_eq!(k.contents(), before);
    let files: Vec<_> = k.show().into_iter().filter(|path| !path.ends_with('/')).collect();
    assert_eq!(files, ["Music (2)/x.mp3", "documents/2023/A.pdf", "documents/2023/Music", "documents/2023/a (2).pdf"]);
}

#[test]
fn recursive_tidy_removes_only_what_it_emptied() {
    let mut k = FakeKeeper::new();
    k.file("a/b/x.pdf", b"%PDF", JULY).file("a/c/.keep", b"", JULY).file("d/y.pdf", b"%PDF", JULY).dir("was-empty");
    let done = go(&mut k, "tidy", &[("recursive", "true"), ("remove-empty", "true"), ("by", "type")]);
    assert!(done.ok, "{}", done.summary);
    assert_eq!(k.show(), ["Documents/", "Documents/x.pdf", "Documents/y.pdf", "a/", "a/c/", "a/c/.keep", "was-empty/"]);
    assert!(done.summary.contains("removed 2 empty folders"), "{}", done.summary);
}

/// What a tidy and a flatten leave of folders some of which keep something, after `trouble`.
fn emptying(recipe: &str, trouble: impl Fn(&mut FakeKeeper)) -> (FakeKeeper, Finished) {
    let mut k = FakeKeeper::new();
    k.file("a/AGENTS.md", b"do this", JULY).file("a/x.pdf", b"%PDF", JULY).file("b/c/y.pdf", b"%PDF", JULY);
    trouble(&mut k);
    let options: &[_] = if recipe == "tidy" { &[("recursive", "true"), ("remove-empty", "true")] } else { &[] };
    let done = go(&mut k, recipe, options);
    (k, done)
}

/// What a plan would remove.
fn removals(k: &FakeKeeper, plan: usize) -> Vec<String> {
    let steps = k.plans.get(plan).map_or(&[][..], |(_, steps)| steps);
    let removed = steps.iter().filter_map(|step| match &step.change {
        FileChange::Delete { at, .. } => Some(String::from_utf8_lossy(&at.path.0).into_owned()),
        _ => None,
    });
    removed.collect()
}

#[test]
fn a_folder_that_keeps_a_protected_file_is_not_proposed_for_removal() {
    for recipe in ["tidy", "flatten"] {
        let (k, done) = emptying(recipe, |k| k.protected = vec!["AGENTS.md"]);
        assert!(done.ok && k.tree.contains_key(b"a/AGENTS.md".as_slice()), "{}", done.summary);
        assert_eq!((removals(&k, 0).len(), removals(&k, 1)), (0, vec!["b/c".to_owned(), "b".to_owned()]), "{recipe}");
        for words in [
            "moved 2 files",
            "1 file with a protected or denied name",
            "removed 2 empty folders",
            "left alone: 1 folder with something left in it",
        ] {
            assert!(done.summary.contains(words), "{recipe}: {words}: {}", done.summary);
        }
        assert!(!done.summary.contains("failed"), "{}", done.summary);
    }
}

#[test]
fn a_folder_in_which_something_is_left_for_another_reason_stays_too() {
    for recipe in ["tidy", "flatten"] {
        // Somebody puts a file there meanwhile.
        let (k, done) = emptying(recipe, |k| k.meddle = Some((b"b/new.txt".to_vec(), b"new".to_vec())));
        assert!(done.ok && k.tree.contains_key(b"b/new.txt".as_slice()), "{}", done.summary);
        assert_eq!(removals(&k, 1), ["b/c", "a"]);
        // The person strikes a move out: the last of them.
        let (k, done) = emptying(recipe, |k| k.strike = vec![if recipe == "tidy" { 4 } else { 2 }]);
        assert!(done.ok && k.tree.contains_key(b"b/c/y.pdf".as_slice()), "{}: {:?}", done.summary, k.plans);
        assert_eq!(removals(&k, 1), ["a"]);
        // The person refuses the removal.
        let (k, done) = emptying(recipe, |k| k.refuse = Some((1, "keep them".into())));
        assert!(done.ok && k.tree.contains_key(b"b/c".as_slice()), "{}", done.summary);
        let words = "empty folders are still there: you refused the plan (`keep them`)";
        assert!(done.summary.starts_with("moved 3 files") && done.summary.contains(words), "{}", done.summary);
        // The person refuses the moves: nothing is asked about what they would have left.
        let (k, _) = emptying(recipe, |k| k.refuse = Some((0, String::new())));
        assert_eq!(k.plans.len(), 1);
    }
}

#[test]
fn a_stop_between_the_moves_and_the_removal_says_what_stays() {
    let stopped = (0..100).map(|calls| emptying("flatten", |k| k.stop_after = Some(calls)));
    let mut between = stopped.filter(|(k, done)| k.plans.len() == 1 && !done.ok).peekable();
    assert!(between.peek().is_some());
    for (k, done) in between {
        assert!(k.tree.contains_key(b"b/c".as_slice()));
        let words = "stopped as you asked; folders that are empty now are still there";
        assert!(done.summary.starts_with("moved 3 files") && done.summary.ends_with(words), "{}", done.summary);
    }
}

#[test]
fn by_date_sorts_into_months() {
    let mut k = FakeKeeper::new();
    k.file("x.pdf", b"%PDF", JULY).file("y", b"\0", i64::MAX);
    assert!(go(&mut k, "tidy", &[("by", "date")]).ok);
    assert_eq!(k.show(), ["2023-07/", "2023-07/x.pdf", "Undated/", "Undated/y"]);
    assert!(go(&mut k, "tidy", &[("by", "date"), ("recursive", "true")]).summary.contains("already tidy"));
}

#[test]
fn dedupe_keeps_one_and_never_counts_hard_links() {
    let mut k = FakeKeeper::new();
    k.file("a.txt", b"same", 30)
        .file("deep/copy.txt", b"same", 10)
        .file("deep/er/copy.txt", b"same", 20)
        .file("other.txt", b"diff", 10)
        .file("e1", b"", 0)
        .file("e2", b"", 0)
        .file("proj/package.json", b"same", 0)
        .file("one", b"linked", 0)
        .link(b"one", b"two");
    let mut oldest = go_on_copy(&k, &[("keep", "oldest")]);
    assert_eq!(oldest.tree.len(), k.tree.len() - 2);
    assert!(oldest.tree.contains_key(b"deep/copy.txt".as_slice()));
    assert!(go(&mut oldest, "dedupe", &[]).summary.contains("no duplicates"));
    let newest = go_on_copy(&k, &[("keep", "newest")]);
    assert!(newest.tree.contains_key(b"a.txt".as_slice()));

    let done = go(&mut k, "dedupe", &[]);
    assert!(done.ok && done.summary.contains("deleted 2 duplicates, which frees 8 bytes"), "{}", done.summary);
    for path in ["a.txt", "one", "two", "e1", "e2", "proj/package.json", "other.txt"] {
        assert!(k.tree.contains_key(path.as_bytes()), "{path}");
    }
    // Another name of the same content: its inode has two names, so deleting one would free nothing.
    k.file("three", b"linked", 0);
    let done = go(&mut k, "dedupe", &[("keep", "shortest")]);
    assert!(k.tree.contains_key(b"two".as_slice()) && !k.tree.contains_key(b"three".as_slice()), "{}", done.summary);
}

fn go_on_copy(k: &FakeKeeper, options: &[(&str, &str)]) -> FakeKeeper {
    let mut copy = FakeKeeper::new();
    copy.tree = k.tree.clone();
    assert!(go(&mut copy, "dedupe", options).ok);
    copy
}

#[test]
fn names_can_be_swapped_and_passed_round() {
    let mut k = FakeKeeper::new();
    k.file("1-2", b"a", 0).file("2-1", b"b", 0).file("1-2 (2)", b"x", 0).file("3-3", b"y", 0).file("4-5", b"z", 0);
    let done = go(&mut k, "rename", &[("from", r"^(\d)-(\d)$"), ("match", "regex"), ("to", "$2-$1")]);
    assert!(done.ok && done.summary.contains("renamed 3 files"), "{}", done.summary);
    assert_eq!(k.show(), ["1-2", "1-2 (2)", "2-1", "3-3", "5-4"]);
    assert_eq!(k.tree[b"1-2".as_slice()].bytes.as_slice(), b"b");
}

#[test]
fn rename_refuses_collisions_and_says_which() {
    let mut k = FakeKeeper::new();
    k.file("a.txt", b"1", 0).file("b.txt", b"2", 0).file("C.log", b"3", 0).file("c.md", b"4", 0);
    let done = go(&mut k, "rename", &[("from", "*.txt"), ("to", "same")]);
    assert!(
        !done.ok && done.summary.contains("`b.txt` would become `same.txt`, and so would `a.txt`"),
        "{}",
        done.summary
    );
    let done = go(&mut k, "rename", &[("from", "*.md"), ("to", "c.LOG")]);
    assert!(!done.ok && done.summary.contains("there already"), "{}", done.summary);
    let done = go(&mut k, "rename", &[("from", "*"), ("to", "../{name}")]);
    assert!(!done.ok && done.summary.contains("no file name"), "{}", done.summary);
    assert!(k.plans.is_empty());
    let done = go(&mut k, "rename", &[("from", "C.log"), ("to", "c.log")]);
    assert!(done.ok && k.tree.contains_key(b"c.log".as_slice()), "{}", done.summary);
}

#[test]
fn flatten_moves_everything_up_and_leaves_projects() {
    let mut k = FakeKeeper::new();
    k.file("x.txt", b"0", 0)
        .file("a/x.txt", b"1", 0)
        .file("a/b/X.txt", b"2", 0)
        .file("p/.git/config", b"3", 0)
        .file("p/x.txt", b"4", 0)
        .dir("empty/er");
    let before = k.contents();
    let done = go(&mut k, "flatten", &[]);
    assert!(done.ok, "{}", done.summary);
    assert_eq!(k.contents(), before);
    assert_eq!(k.show(), ["X (2).txt", "p/", "p/.git/", "p/.git/config", "p/x.txt", "x (3).txt", "x.txt"]);
    assert!(go(&mut k, "flatten", &[]).summary.contains("already flat"));
}

#[test]
fn archive_old_deletes_only_what_was_archived() {
    // A2: no step that fails or is struck out costs a file.
    let make = || {
        let mut k = FakeKeeper::new();
        k.file("old.txt", b"old", JULY).file("older.txt", b"older", 1_500_000_000).file(
            "new.txt",
            b"new",
            1_794_900_000,
        );
        k
    };
    let mut k = make();
    let done = go(&mut k, "archive-old", &[("older-than", "2y")]);
    assert!(done.ok, "{}", done.summary);
    assert_eq!(k.show(), ["Archive/", "Archive/2017.zip", "Archive/2023.zip", "new.txt"]);
    k.file("old.txt", b"another", JULY);
    assert!(go(&mut k, "archive-old", &[]).ok);
    assert!(k.tree.contains_key(b"Archive/2023 (2).zip".as_slice()));

    // One archive struck out: its files stay.
    let mut k = make();
    k.strike = vec![1];
    let done = go(&mut k, "archive-old", &[]);
    assert_eq!(k.show(), ["Archive/", "Archive/2023.zip", "new.txt", "older.txt"], "{}", done.summary);
    assert!(done.ok, "leaving out is no failure: {}", done.summary);

    // A name that no zip can hold costs its year nothing.
    let mut k = make();
    k.file(b"\xff.txt", b"odd", JULY);
    let done = go(&mut k, "archive-old", &[]);
    assert!(
        done.ok && done.summary.contains("1 file left out: a zip keeps only names that are UTF-8"),
        "{}",
        done.summary
    );
    assert_eq!(k.tree.len(), 5, "{:?}", k.show());

    // All refused.
    let mut k = make();
    k.refuse = Some((0, "no".into()));
    let done = go(&mut k, "archive-old", &[]);
    assert_eq!(k.tree.len(), 3, "{}", done.summary);

    // Only the deletion refused.
    let mut k = make();
    k.refuse = Some((1, String::new()));
    let done = go(&mut k, "archive-old", &[]);
    assert!(k.tree.contains_key(b"old.txt".as_slice()) && k.tree.contains_key(b"Archive/2023.zip".as_slice()));
    assert!(done.summary.starts_with("the archives are made, the originals are still there too"), "{}", done.summary);

    // Changed while it was packed.
    let mut k = make();
    k.meddle = Some((b"old.txt".to_vec(), b"changed".to_vec()));
    let done = go(&mut k, "archive-old", &[]);
    assert!(k.tree.contains_key(b"old.txt".as_slice()) && done.summary.contains("changed while"), "{}", done.summary);
}

#[test]
fn find_large_changes_nothing() {
    let mut k = FakeKeeper::new();
    k.file("a.bin", [0; 5000], 0).file("b.jpg", [0; 3000], 0).link(b"a.bin", b"again.bin");
    let done = go(&mut k, "find-large", &[("top", "1")]);
    let want = "7.8 KiB in 2 files\n(1 more names are hard links to the same files)\nlargest:\n       4.8 KiB  a.bin\nby \
                type:\n       4.8 KiB  Programs (1 file)\n       2.9 KiB  Pictures (1 file)";
    assert_eq!(done.summary, want);
    assert!(done.ok && k.plans.is_empty());
}

#[test]
fn a_recipe_stops_when_asked_and_ends_when_the_keeper_is_gone() {
    // A2: at every point before the plan, and without a change.
    for recipe in ["tidy", "dedupe", "flatten", "archive-old", "find-large"] {
        for calls in 0..200 {
            let mut k = many(40);
            k.lost_after = Some(calls);
            let job = k.job();
            let lost = run(&mut k, recipe, &[], &job).is_err();
            let mut k = many(40);
            k.stop_after = Some(calls);
            let done = run(&mut k, recipe, &[], &job).unwrap();
            assert!(done.ok || done.summary.contains("stopped"), "{}", done.summary);
            assert!(done.ok || ["archive-old", "flatten"].contains(&recipe) || k.plans.is_empty());
            if !lost && done.ok {
                break;
            }
            assert!(calls < 199, "{recipe} does not end");
        }
    }
}

fn many(n: usize) -> FakeKeeper {
    let mut k = FakeKeeper::new();
    for i in 0..n {
        k.file(format!("f{i}.txt"), format!("content {}", i % 9), JULY);
        k.file(format!("d{}/f{i}.jpg", i % 3), jpeg("2020:01:01 00:00:00"), JULY);
    }
    k
}

#[test]
fn a_hundred_thousand_files_are_planned_in_seconds() {
    // A3 in spirit: the plan costs little beside the moves. Debug build, so the bound is loose.
    let mut k = FakeKeeper::new();
    k.limits.list_entries = 50_000;
    for i in 0..100_000 {
        k.file(format!("{i}.txt"), b"text", JULY + i);
    }
    let done = go(&mut k, "tidy", &[]);
    assert!(done.ok && done.summary.contains("moved 100000 files"), "{}", done.summary);
}

/// Names that trouble programs: any bytes, dots, cases, brackets, numbers, long.
fn odd_name() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop::collection::vec(any::<u8>(), 1..12);
    let plain = prop::sample::select(vec![
        "a.txt",
        "A.txt",
        "a (2).txt",
        "a (3).TXT",
        "Documents",
        "documents",
        "Other",
        "x.tar.gz",
        "..x",
        ".git",
        "x.html",
        "x_files",
        "Makefile",
        "photo.jpg",
        "PHOTO.jpg",
        "README",
        "film.srt",
        "film.mkv",
        "\u{202e}gpj.exe",
        "ä.pdf",
        "Ä.pdf",
        "2023",
        "2023-07",
        "Music",
        " ",
        "-rf",
        "a\nb",
        "*",
        "Archive",
        "tool.app",
        "end.",
    ]);
    prop_oneof![
        3 => plain.prop_map(|name| name.as_bytes().to_vec()),
        2 => bytes,
        1 => (200_usize..256).prop_map(|n| [vec![b'l'; n - 4], b".txt".to_vec()].concat()),
    ]
    .prop_filter("a name", |name| names::is_name(name))
}

fn odd_tree() -> impl Strategy<Value = FakeKeeper> {
    let contents = prop::sample::select(vec![
        b"".to_vec(),
        b"text".to_vec(),
        b"%PDF-1.4".to_vec(),
        jpeg("2021:03:05 10:00:00"),
        b"PK\x03\x04".to_vec(),
        mp3("Someone", "Something", 10),
        b"\0\x01".to_vec(),
    ]);
    let kinds = prop_oneof![8 => Just(FileKind::File), 1 => Just(FileKind::Symlink), 1 => Just(FileKind::Dir)];
    let path = prop::collection::vec(odd_name(), 1..4);
    prop::collection::vec((path, kinds, contents, 0_i64..1_795_000_000), 0..40).prop_map(|nodes| {
        let mut k = FakeKeeper::new();
        for (path, kind, bytes, mtime) in nodes {
            let ancestors_fit = (1..path.len())
                .all(|n| k.tree.get(&path[..n].join(&b'/')).is_none_or(|node| node.kind == FileKind::Dir));
            let path = path.join(&b'/');
            if ancestors_fit && !k.tree.contains_key(&path) {
                let bytes = if kind == FileKind::Dir { Vec::new() } else { bytes };
                k.node(&path, kind, &bytes, mtime);
            }
        }
        k
    })
}

/// Runs a recipe and checks what holds for all that only move: nothing lost, nothing doubled, every step good.
fn moves_lose_nothing(k: &mut FakeKeeper, recipe: &str, options: &[(&str, &str)]) -> Result<(), TestCaseError> {
    let before = k.contents();
    let whole: BTreeSet<Vec<u8>> =
        k.tree.keys().filter(|path| path.windows(6).any(|w| w == b"/.git/")).cloned().collect();
    let done = go(k, recipe, options);
    prop_assert!(done.ok || k.plans.is_empty(), "{}\n{:#?}", done.summary, k.show());
    prop_assert_eq!(k.contents(), before);
    for path in whole {
        prop_assert!(k.tree.contains_key(&path), "moved out of a project: {:?}", path);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn tidying_loses_nothing_and_twice_is_once(
        mut k in odd_tree(),
        by in prop::sample::select(vec!["type", "date", "type+date"]),
        recursive in prop::sample::select(vec!["true", "false"]),
        remove in prop::sample::select(vec!["true", "false"]),
    ) {
        let options = [("by", by), ("recursive", recursive), ("remove-empty", remove), ("in-project", "true")];
        moves_lose_nothing(&mut k, "tidy", &options)?;
        let plans = k.plans.len();
        let again = go(&mut k, "tidy", &options);
        prop_assert!(again.ok && k.plans.len() == plans, "a second plan: {:#?}", k.plans.last());
    }

    #[test]
    fn flattening_loses_nothing_and_twice_is_once(mut k in odd_tree()) {
        moves_lose_nothing(&mut k, "flatten", &[("in-project", "true")])?;
        let plans = k.plans.len();
        let again = go(&mut k, "flatten", &[("in-project", "true")]);
        prop_assert!(again.ok && k.plans.len() == plans, "a second plan: {:#?}", k.plans.last());
    }

    #[test]
    fn renaming_loses_nothing(
        mut k in odd_tree(),
        (from, to) in prop::sample::select(vec![
            ("*.txt", "{date}-{n:03}"), ("*", "{name}"), ("a*", "$1"), ("*", "x{n}.{ext}"), ("*.*", "$2.$1"),
        ]),
    ) {
        let options = [("from", from), ("to", to), ("recursive", "true"), ("in-project", "true")];
        moves_lose_nothing(&mut k, "rename", &options)?;
    }

    #[test]
    fn deduping_keeps_every_content(mut k in odd_tree()) {
        let contents = |k: &FakeKeeper| k.contents().into_iter().map(|(_, bytes, _)| bytes).collect::<BTreeSet<_>>();
        let before = contents(&k);
        let done = go(&mut k, "dedupe", &[("in-project", "true")]);
        prop_assert!(done.ok, "{}", done.summary);
        prop_assert_eq!(contents(&k), before);
    }

    #[test]
    fn any_renaming_round_of_names_works(order in Just((0..8_usize).collect::<Vec<_>>()).prop_shuffle()) {
        // A permutation of names through the ordering itself: rings and chains of every shape.
        let mut k = FakeKeeper::new();
        for i in 0..8 {
            k.file(format!("{i}"), format!("{i}"), 0);
        }
        let names: Vec<String> = (0..8).map(|i| i.to_string()).collect();
        let wishes = order.iter().enumerate().filter(|(i, to)| i != *to);
        let wishes = wishes.map(|(i, to)| (names[i].as_bytes(), names[*to].clone().into_bytes())).collect();
        super::rename::check_order(&mut k, &wishes);
        for (i, to) in order.iter().enumerate() {
            let there = k.tree[to.to_string().as_bytes()].bytes.as_slice().to_vec();
            prop_assert_eq!(there, i.to_string().into_bytes());
        }
    }
}
