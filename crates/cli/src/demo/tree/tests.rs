//! The folder is what it says, the same each time, and real to programs that are not ours.

use std::collections::HashMap;
use std::process::Command;

use raincoat_runtime::snapshot::{Entry, EntryKind, Snapshot};

use super::*;

const SEED: u64 = 2;

fn made() -> (tempfile::TempDir, PathBuf, TreeReport) {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("Messy Folder");
    let report = build(&root, SEED).unwrap();
    (home, root, report)
}

/// So that a temporary directory can be cleared by who is not root.
fn release(root: &Path) {
    fs::set_permissions(root.join("do not touch"), Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_same_seed_makes_the_same_folder_and_another_seed_another() {
    let (_one, first, _) = made();
    let (_two, second, _) = made();
    let before = Snapshot::take(&first).unwrap();
    let differences = before.differences(&Snapshot::take(&second).unwrap());
    assert!(differences.is_empty(), "{} differences, first {}", differences.len(), differences[0]);
    let home = tempfile::tempdir().unwrap();
    build(home.path(), SEED + 1).unwrap();
    assert!(!before.differences(&Snapshot::take(home.path()).unwrap()).is_empty());
    for root in [&first, &second, home.path()] {
        release(root);
    }
}

#[test]
fn there_is_something_of_every_kind() {
    let (_home, root, report) = made();
    let tree = Snapshot::take(&root).unwrap();
    let all = |wanted: &dyn Fn(&[u8], &Entry) -> bool| {
        tree.entries().iter().filter(|(path, entry)| wanted(path, entry)).count()
    };
    assert_eq!(all(&|_, entry| entry.kind == EntryKind::File), report.files);
    assert_eq!(all(&|path, entry| entry.kind == EntryKind::Dir && !path.is_empty()), report.dirs);
    assert_eq!(all(&|_, entry| entry.kind == EntryKind::Symlink), report.symlinks);
    assert_eq!(all(&|path, entry| entry.kind == EntryKind::File && entry.first_name != path), report.hard_links);
    assert_eq!(tree.bytes(), report.bytes);
    assert!((380..480).contains(&report.files), "{report:?}");
    assert!(report.duplicates >= 30, "{report:?}");

    let mut contents: HashMap<_, usize> = HashMap::new();
    for (path, entry) in tree.entries() {
        if entry.kind == EntryKind::File && entry.first_name == *path && entry.size > 0 {
            *contents.entry(entry.digest.unwrap().0).or_default() += 1;
        }
    }
    assert!(contents.values().map(|count| count - 1).sum::<usize>() >= report.duplicates);

    assert!(all(&|path, _| std::str::from_utf8(path).is_err()) >= 3);
    assert!(all(&|path, _| path.contains(&b'\n')) >= 2);
    assert!(all(&|_, entry| entry.kind == EntryKind::File && entry.size == 0) >= 4);
    assert!(all(&|_, entry| entry.kind == EntryKind::File && entry.mode & 0o222 == 0) >= 3);
    assert_eq!(tree.entries()[&b"do not touch"[..]].mode, 0o555);
    let sparse = &tree.entries()[&b"old stuff/machine.raw"[..]];
    assert_eq!((sparse.size, sparse.extents.len()), (SPARSE_LEN, 2));
    if report.left_out.is_empty() {
        let names = |path: &[u8]| tree.entries()[path].xattrs.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(b"mode 640 3.txt"), [&b"system.posix_acl_access"[..], b"user.binary"]);
    }
    let years: BTreeSet<i64> = tree.entries().values().map(|entry| entry.mtime.secs / 31_556_952 + 1970).collect();
    assert!(years.len() >= 12, "{years:?}");
    release(&root);
}

#[test]
fn a_folder_that_is_not_empty_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("mine"), b"x").unwrap();
    assert_eq!(build(home.path(), SEED).unwrap_err().kind(), io::ErrorKind::DirectoryNotEmpty);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

/// Python's own readers go through every file of the kinds they know, whatever its name.
const READ_ALL: &str = r##"
import csv, io, json, os, struct, sys, tarfile, zipfile, zlib
import xml.etree.ElementTree as xml
seen = {}

def jpeg(data):
    assert data[:2] == b"\xff\xd8" and data[-2:] == b"\xff\xd9"
    at, exif = 2, None
    while data[at + 1] != 0xda:
        assert data[at] == 0xff
        length = struct.unpack(">H", data[at + 2:at + 4])[0]
        if data[at + 1] == 0xe1:
            exif = data[at + 4:at + 2 + length]
        at += 2 + length
    assert exif[:10] == b"Exif\0\0II*\0"
    tiff = exif[6:]
    def entries(offset):
        count = struct.unpack_from("<H", tiff, offset)[0]
        for index in range(count):
            tag, kind, size, value = struct.unpack_from("<HHII", tiff, offset + 2 + index * 12)
            yield tag, (kind, size, value)
    first = dict(entries(struct.unpack_from("<I", tiff, 4)[0]))
    second = dict(entries(first[0x8769][2]))
    kind, size, value = second[0x9003]
    date = tiff[value:value + size]
    assert kind == 2 and size == 20 and date[4:5] == b":" and date[-1:] == b"\0", date
    kind, size, value = first[0x010f]
    assert tiff[value:value + size] == b"Raincoat Optical\0"

def png(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, body, size = 8, b"", None
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        part = data[at + 8:at + 8 + length]
        assert zlib.crc32(kind + part) == struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0]
        if kind == b"IHDR": size = struct.unpack(">II", part[:8])
        if kind == b"IDAT": body += part
        at += 12 + length
    assert kind == b"IEND" and len(zlib.decompress(body)) == size[1] * (1 + 3 * size[0])

def mp3(data):
    assert data[:5] == b"ID3\x03\0"
    size = (data[6] << 21) | (data[7] << 14) | (data[8] << 7) | data[9]
    tags, at = {}, 10
    while at < 10 + size:
        name, length = struct.unpack(">4sI", data[at:at + 8])
        assert data[at + 10] == 1
        tags[name] = data[at + 11:at + 10 + length].decode("utf-16")
        at += 10 + length
    assert at == 10 + size and {b"TIT2", b"TPE1", b"TALB", b"TRCK", b"TYER"} == set(tags)
    frames = data[at:]
    assert len(frames) % 104 == 0 and all(frames[i:i + 4] == b"\xff\xfb\x10\xc4" for i in range(0, len(frames), 104))

def pdf(data):
    start = int(data.rsplit(b"startxref\n", 1)[1].split()[0])
    table = data[start:].split(b"\n")
    assert table[0] == b"xref"
    count = int(table[1].split()[1])
    for number in range(1, count):
        line = table[2 + number]
        assert len(line) == 19
        assert data[int(line[:10]):].startswith(b"%d 0 obj\n" % number)
    for part in data.split(b"/Length ")[1:]:
        length, rest = part.split(b" >>\nstream\n", 1)
        assert rest[int(length):].startswith(b"\nendstream")

def zipped(data):
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None and archive.namelist()
    return archive

def office(main):
    def read(data):
        archive = zipped(data)
        assert main in archive.namelist()
        for name in archive.namelist():
            if name.endswith((".xml", ".rels")):
                xml.fromstring(archive.read(name))
        if main == "content.xml":
            assert archive.infolist()[0].filename == "mimetype" and archive.infolist()[0].compress_type == 0
    return read

def tgz(data):
    archive = tarfile.open(fileobj=io.BytesIO(data), mode="r:gz")
    assert all(len(archive.extractfile(one).read()) == one.size for one in archive.getmembers())

def table(data):
    rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
    assert len(rows) > 5 and all(len(row) == 4 for row in rows)

readers = {
    ".jpg": jpeg, ".jpeg": jpeg, ".png": png, ".mp3": mp3, ".pdf": pdf, ".zip": zipped, ".gz": tgz,
    ".docx": office("word/document.xml"), ".xlsx": office("xl/workbook.xml"), ".odt": office("content.xml"),
    ".csv": table, ".json": json.loads,
}
for place, _, names in os.walk(os.fsencode(sys.argv[1])):
    for name in names:
        path = os.path.join(place, name)
        kind = os.path.splitext(os.fsdecode(name))[1].lower()
        if kind in readers and not os.path.islink(path) and os.path.getsize(path):
            try:
                readers[kind](open(path, "rb").read())
            except BaseException:
                print("not a good file:", path, file=sys.stderr)
                raise
            seen[kind] = seen.get(kind, 0) + 1
missing = set(readers) - set(seen)
assert not missing, missing
print(seen)
"##;

#[test]
fn programs_that_are_not_ours_read_every_file() {
    let (_home, root, _) = made();
    let python = Command::new("python3").arg("-c").arg(READ_ALL).arg(&root).output();
    let python = python.expect("this test needs python3; install the package `python3`");
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
    // Where these are installed, they have to agree.
    for (program, args, path) in [
        ("pdftotext", &["-q"][..], "report.pdf"),
        ("git", &["-C"][..], "projects/umbrella"),
        ("djpeg", &["-outfile", "/dev/null"][..], "IMG_1000.jpg"),
    ] {
        let mut command = Command::new(program);
        command.args(args).arg(root.join(path));
        match program {
            "git" => command.args(["-c", "safe.directory=*", "status", "--short"]),
            "pdftotext" => command.arg("-"),
            _ => &mut command,
        };
        match command.output() {
            Ok(out) => assert!(out.status.success() && out.stderr.is_empty(), "{program}: {out:?}"),
            Err(error) => eprintln!("{program} is not here and was not asked: {error}"),
        }
    }
    release(&root);
}
