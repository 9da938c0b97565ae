//! A messy folder of real files, such as twelve years leave behind: what the demo tidies and gives back. The same seed
//! makes the same folder, down to each time and attribute.

#![expect(clippy::disallowed_methods, reason = "the demo makes a scratch folder of its own, before any agent is there")]

mod archives;
mod chance;
mod documents;
mod media;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use raincoat_runtime::scratch;
use raincoat_types::Timestamp;

use archives::Member;
use chance::{Chance, Moment};

/// Length of the sparse file; all but two small pieces of it are holes.
const SPARSE_LEN: u64 = 64 << 20;
/// Length of the dense file: enough that a progress bar is seen to move.
const DENSE_LEN: usize = 24 << 20;

/// What [`build`] made.
#[derive(Debug, Default)]
pub(crate) struct TreeReport {
    /// Regular files, each name of a hard link counted.
    pub(crate) files: usize,
    /// Directories beneath the root.
    pub(crate) dirs: usize,
    /// Symbolic links.
    pub(crate) symlinks: usize,
    /// Names beyond the first of files with several.
    pub(crate) hard_links: usize,
    /// Files whose bytes are those of another, hard links not counted.
    pub(crate) duplicates: usize,
    /// Bytes in all files, holes counted, an inode with several names counted once.
    pub(crate) bytes: u64,
    /// What this file system does not keep, in words (`extended attributes`, `ACLs`), and what is therefore missing.
    pub(crate) left_out: Vec<&'static str>,
}

/// Makes the folder at `at`, which must be free or an empty directory.
///
/// # Errors
/// The system's error; `DirectoryNotEmpty` where something is there already.
pub(crate) fn build(at: &Path, seed: u64) -> io::Result<TreeReport> {
    fs::create_dir_all(at)?;
    if fs::read_dir(at)?.next().is_some() {
        return Err(io::ErrorKind::DirectoryNotEmpty.into());
    }
    let mut maker = Maker {
        root: at,
        chance: Chance(seed),
        dirs: BTreeSet::new(),
        read_only_dirs: BTreeSet::new(),
        copyable: Vec::new(),
        report: TreeReport::default(),
    };
    maker.photos()?;
    maker.music()?;
    maker.papers()?;
    maker.tables_and_notes()?;
    maker.office()?;
    maker.archives()?;
    maker.project()?;
    maker.duplicates()?;
    maker.odd_names()?;
    maker.odd_kinds()?;
    maker.attributes()?;
    maker.large()?;
    maker.finish()
}

struct Maker<'a> {
    root: &'a Path,
    chance: Chance,
    /// Beneath the root. Their modes and times are set at the end, when nothing changes in them any more.
    dirs: BTreeSet<PathBuf>,
    read_only_dirs: BTreeSet<PathBuf>,
    /// Files of which there may be copies under other names.
    copyable: Vec<PathBuf>,
    report: TreeReport,
}

impl Maker<'_> {
    fn photos(&mut self) -> io::Result<()> {
        for index in 0..64 {
            let taken = self.chance.moment();
            let (columns, rows) = (self.chance.within(40, 96), self.chance.within(30, 72));
            let model = self.chance.pick(&["Pocket 7", "Reflex 40D", "Telephone 5", "Telephone 9 Pro"]);
            let cells = |count: u64| u16::try_from(count).unwrap_or(40);
            let bytes = media::jpeg(&mut self.chance, cells(columns), cells(rows), taken.civil(), model);
            let name = match index % 4 {
                0 => format!("IMG_{}.jpg", 1000 + index * 7),
                1 => format!("phone/PXL_{}.jpg", taken.civil().compact()),
                2 => format!("camera/DCIM/100RAIN/DSC0{}.JPG", 1200 + index),
                _ => format!("Photo {} ({index}).jpeg", taken.civil().year),
            };
            // Half of them were copied from somewhere later, and only their EXIF still knows the day.
            let days = if index % 2 == 0 { 0 } else { self.chance.within(30, 900) };
            self.copyable_file(&name, &bytes, taken.later(days))?;
        }
        for _ in 0..22 {
            let taken = self.chance.moment();
            let bytes = media::png(&mut self.chance, 320, 200)?;
            let at = taken.civil();
            let name = format!("Screenshot {} at {:02}.{:02}.{:02}.png", at.date(), at.hour, at.minute, at.second);
            self.file(&name, &bytes, taken)?;
        }
        Ok(())
    }

    fn music(&mut self) -> io::Result<()> {
        let albums =
            [("The Drizzle", "Puddles"), ("Ólafur Regn", "Skýjað"), ("雨の日", "傘"), ("Wet Socks", "Live: 2019/11")];
        for (artist, album) in albums {
            let made = self.chance.moment();
            for track in 1..=8 {
                let title = self.chance.sentence();
                let title = title.trim_end_matches('.');
                let tags = media::Tags { artist, album, title, track, year: made.civil().year };
                let frames = usize::try_from(self.chance.within(80, 400)).unwrap_or(80);
                let name = match track % 3 {
                    0 => format!("music/{artist} - {track:02} - {title}.mp3"),
                    1 => format!("music/Track {track:02} ({}).mp3", album.replace('/', "_")),
                    _ => format!("{artist} {title}.mp3"),
                };
                self.copyable_file(&name, &media::mp3(&tags, frames), made.later(track))?;
            }
        }
        Ok(())
    }

    fn papers(&mut self) -> io::Result<()> {
        for index in 0..46 {
            let made = self.chance.moment();
            let date = made.civil();
            let who = self.chance.person();
            let kind = self.chance.pick(&["Invoice", "Statement", "Ticket", "Contract", "Manual", "Scan"]);
            let title = format!("{kind} {} for {who}", 2000 + index);
            let pages: Vec<_> = (0..self.chance.within(1, 6)).map(|_| self.chance.lines(30)).collect();
            let bytes = documents::pdf(&title, made, &pages);
            let name = match index % 5 {
                0 => format!("{kind}_{}.pdf", date.date()),
                1 => format!("Desktop/{title}.pdf"),
                2 => format!("old stuff/backup {}/{}.pdf", date.year, kind.to_lowercase()),
                3 => format!("scan{index:04}.PDF"),
                _ => format!("New folder ({})/{kind} final FINAL v{index}.pdf", index % 3 + 1),
            };
            self.copyable_file(&name, &bytes, made)?;
        }
        Ok(())
    }

    fn tables_and_notes(&mut self) -> io::Result<()> {
        for index in 0..26 {
            let made = self.chance.moment();
            let mut text = "date,who,\"what, exactly\",amount\r\n".to_owned();
            for day in 0..self.chance.within(10, 120) {
                let (who, what, cents) =
                    (self.chance.person(), self.chance.sentence(), self.chance.within(100, 99_999));
                let date = made.later(day).civil().date();
                text.push_str(&format!("{date},{who},\"{what}\",{}.{:02}\r\n", cents / 100, cents % 100));
            }
            let dir = self.chance.pick(&["", "", "Desktop/", "New folder/"]);
            self.copyable_file(&format!("{dir}export-{}-{index}.csv", made.civil().date()), text.as_bytes(), made)?;
        }
        for index in 0..44 {
            let made = self.chance.moment();
            let count = self.chance.within(1, 40);
            let text = self.chance.lines(count).join("\n") + "\n";
            let dir = self.chance.pick(&["", "Desktop/", "notes/", "notes/2016/", "old stuff/"]);
            self.copyable_file(&format!("{dir}note {index}.txt"), text.as_bytes(), made)?;
        }
        for index in 0..20 {
            let made = self.chance.moment();
            let items: Vec<String> = self.chance.lines(8).iter().map(|line| format!("- [ ] {line}")).collect();
            let text = format!("# Plans of {}\n\n{}\n", made.civil().date(), items.join("\n"));
            self.file(format!("notes/plan-{index:02}.md"), text.as_bytes(), made)?;
        }
        for index in 0..18 {
            let made = self.chance.moment();
            let (who, on) = (self.chance.person(), self.chance.within(0, 2) == 1);
            let text = format!(
                "{{\n  \"id\": {index},\n  \"owner\": \"{who}\",\n  \"enabled\": {on},\n  \"tags\": [\"a\", \"b\"]\n}}\n"
            );
            self.file(format!("settings-{index}.json"), text.as_bytes(), made)?;
        }
        Ok(())
    }

    fn office(&mut self) -> io::Result<()> {
        for index in 0..14 {
            let made = self.chance.moment();
            let lines = self.chance.lines(20);
            let name = format!("Desktop/Letter to {} {index}.docx", self.chance.person());
            self.copyable_file(&name, &documents::docx(made, &lines)?, made)?;
        }
        for index in 0..10 {
            let made = self.chance.moment();
            let mut rows = vec![vec!["item".to_owned(), "price".to_owned()]];
            rows.extend((0..40).map(|_| vec![self.chance.sentence(), self.chance.within(1, 5_000).to_string()]));
            self.copyable_file(
                &format!("budget {} ({index}).xlsx", made.civil().year),
                &documents::xlsx(made, &rows)?,
                made,
            )?;
        }
        for index in 0..8 {
            let made = self.chance.moment();
            let lines = self.chance.lines(15);
            self.file(format!("old stuff/minutes-{index}.odt"), &documents::odt(made, &lines)?, made)?;
        }
        Ok(())
    }

    fn archives(&mut self) -> io::Result<()> {
        for index in 0..14 {
            let made = self.chance.moment();
            let members: Vec<Member> = (0..self.chance.within(3, 9))
                .map(|member| Member::new(format!("files/part {member}.txt"), self.chance.lines(25).join("\n")))
                .collect();
            if index % 2 == 0 {
                self.copyable_file(&format!("Archive {index}.zip"), &archives::zip(made, &members)?, made)?;
            } else {
                self.copyable_file(&format!("site-backup-{index}.tar.gz"), &archives::tar_gz(made, &members)?, made)?;
            }
        }
        Ok(())
    }

    /// A program somebody is at work on. What holds a `.git` belongs together and is better left alone.
    fn project(&mut self) -> io::Result<()> {
        let made = Moment(1_717_243_200);
        let files = [
            ("Cargo.toml", "[package]\nname = \"umbrella\"\nversion = \"0.1.0\"\nedition = \"2021\"\n"),
            ("src/main.rs", "mod weather;\n\nfn main() {\n    println!(\"{}\", weather::advice(0.8));\n}\n"),
            (
                "src/weather.rs",
                "pub fn advice(chance_of_rain: f64) -> &'static str {\n    if chance_of_rain > 0.5 {\n        \"take a coat\"\n    } else {\n        \"leave it\"\n    }\n}\n",
            ),
            ("README.md", "# Umbrella\n\nSays whether to take one.\n"),
            (".gitignore", "/target\n"),
            ("scripts/run.sh", "#!/bin/sh\nexec cargo run --release\n"),
            ("tools/plot.py", "import csv\nimport sys\n\nfor row in csv.reader(sys.stdin):\n    print(len(row))\n"),
            ("web/index.html", "<!doctype html>\n<title>Umbrella</title>\n<p>Take a coat.</p>\n"),
            ("web/style.css", "p { color: #246; }\n"),
            (".git/HEAD", "ref: refs/heads/main\n"),
            (".git/config", "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n"),
            (".git/description", "Unnamed repository; edit this file to name it.\n"),
            (".git/info/exclude", "*.swp\n"),
        ];
        for (index, (name, text)) in files.into_iter().enumerate() {
            self.file(format!("projects/umbrella/{name}"), text.as_bytes(), made.later(index as u64))?;
        }
        for dir in [".git/objects/info", ".git/objects/pack", ".git/refs/heads", ".git/refs/tags"] {
            self.dir(&Path::new("projects/umbrella").join(dir))?;
        }
        self.mode("projects/umbrella/scripts/run.sh", 0o755)
    }

    /// Copies under the names that file managers and browsers give.
    fn duplicates(&mut self) -> io::Result<()> {
        for index in 0..44_usize {
            let which = usize::try_from(self.chance.within(0, self.copyable.len() as u64)).unwrap_or(0);
            let Some(from) = self.copyable.get(which).cloned() else { continue };
            let stem = from.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let extension = from.extension().unwrap_or_default().to_string_lossy().into_owned();
            let name = match index % 4 {
                0 => format!("Copy of {stem}.{extension}"),
                1 => format!("{stem} (copy {index}).{extension}"),
                2 => format!("old stuff/{stem} - Copy {index}.{extension}"),
                _ => format!("Desktop/to sort/{index}-{stem}.{extension}"),
            };
            if self.root.join(&name).symlink_metadata().is_ok() {
                continue;
            }
            let bytes = fs::read(self.root.join(&from))?;
            let made = self.chance.moment();
            self.file(&name, &bytes, made)?;
            self.report.duplicates += 1;
        }
        Ok(())
    }

    fn odd_names(&mut self) -> io::Result<()> {
        let long = format!("{}.txt", "a very long name ".repeat(14));
        let names: [&[u8]; 26] = [
            b" leading space.txt",
            b"trailing space.txt ",
            b"trailing dot.",
            b"-rf",
            b"--help.txt",
            b"two\nlines.txt",
            b"tab\there.txt",
            b"caf\xe9 in latin-1.txt",
            b"\xff\xfe\xfd",
            "party 🎉🎂.txt".as_bytes(),
            "שלום עולם.txt".as_bytes(),
            "invoice\u{202e}fdp.txt".as_bytes(),
            "zero\u{200b}width.txt".as_bytes(),
            "caf\u{e9} composed.txt".as_bytes(),
            "cafe\u{301} composed.txt".as_bytes(),
            b"~",
            b"*.txt",
            b"what's \"this\"?.txt",
            b"semi;colon & $(echo no) `echo no`.txt",
            b"back\\slash.txt",
            b"100%20percent.txt",
            b"...",
            b"README",
            b"readme",
            b".hidden note",
            long.as_bytes(),
        ];
        for name in names {
            let (text, made) = (self.chance.sentence() + "\n", self.chance.moment());
            self.file(OsStr::from_bytes(name), text.as_bytes(), made)?;
        }
        let made = self.chance.moment();
        self.file(".config/app/state.json", b"{}\n", made)?;
        self.file(".DS_Store", &[0, 0, 0, 1, b'B', b'u', b'd', b'1'], made)?;
        self.file("odd dirs/-dash/new\nline/x.txt", b"deep\n", made)?;
        self.file(OsStr::from_bytes(b"odd dirs/\xe9t\xe9/plage.txt"), b"sable\n", made)
    }

    /// What is no plain file, and plain files that may not be touched or hold nothing.
    fn odd_kinds(&mut self) -> io::Result<()> {
        for name in ["empty.txt", "Desktop/untitled", "notes/new.md", "nothing.pdf"] {
            let made = self.chance.moment();
            self.file(name, b"", made)?;
        }
        for dir in ["empty dir", "New folder (9)", "old stuff/nothing/here/at all", "odd dirs/ "] {
            self.dir(Path::new(dir))?;
        }
        for (index, mode) in [0o444, 0o400, 0o444, 0o640, 0o600, 0o755, 0o711, 0o664].into_iter().enumerate() {
            let (text, made) = (self.chance.sentence(), self.chance.moment());
            let name = format!("mode {mode:o} {index}.txt");
            self.file(&name, text.as_bytes(), made)?;
            self.mode(&name, mode)?;
        }
        for index in 0..3 {
            let made = self.chance.moment();
            self.file(format!("do not touch/deed {index}.txt"), b"signed and sealed\n", made)?;
        }
        self.read_only_dirs.insert(PathBuf::from("do not touch"));

        self.symlink("latest note", "notes/note that is gone.txt")?;
        self.symlink("budget link", "empty.txt")?;
        self.symlink("Desktop/all notes", "../notes")?;
        self.symlink("projects/here", "umbrella")?;
        self.symlink("loop", "loop")?;
        self.symlink("notes/up.pdf", "../nothing.pdf")?;

        let made = self.chance.moment();
        let pages = [self.chance.lines(12)];
        self.file("report.pdf", &documents::pdf("Report", made, &pages), made)?;
        for name in ["report (same file).pdf", "Desktop/report.pdf", "old stuff/report 2.pdf"] {
            self.hard_link("report.pdf", name, made)?;
        }
        self.file("notes/linked.txt", b"two names, one file\n", made)?;
        self.hard_link("notes/linked.txt", "linked too.txt", made)
    }

    fn attributes(&mut self) -> io::Result<()> {
        let tagged = [
            ("report.pdf", "user.xdg.tags", &b"important,work"[..]),
            ("empty.txt", "user.xdg.origin.url", b"https://example.org/empty.txt"),
            ("notes", "user.comment", "Ordner für Notizen".as_bytes()),
            ("mode 640 3.txt", "user.binary", &[0, 1, 2, 0xff]),
        ];
        let mut kept = true;
        for (path, name, value) in tagged {
            kept &= supported(scratch::set_xattr(&self.root.join(path), name, value))?;
        }
        if !kept {
            self.report.left_out.push("extended attributes");
        }
        // The owner may write, user 65534 (nobody) may read; the mask takes the group's place in the mode.
        let acl = scratch::acl_with_user(6, 65_534, 4, 4, 0);
        if !supported(scratch::set_xattr(&self.root.join("mode 640 3.txt"), "system.posix_acl_access", &acl))? {
            self.report.left_out.push("ACLs");
        }
        Ok(())
    }

    fn large(&mut self) -> io::Result<()> {
        let made = self.chance.moment();
        let noise = self.chance.noise(DENSE_LEN);
        self.file("old stuff/disk 2014.img", &noise, made)?;

        let path = Path::new("old stuff/machine.raw");
        let file = File::create_new(self.root.join(path))?;
        file.set_len(SPARSE_LEN)?;
        file.write_all_at(&self.chance.noise(64 << 10), 1 << 20)?;
        file.write_all_at(&self.chance.noise(100 << 10), SPARSE_LEN / 2 + 4096)?;
        self.made(path, SPARSE_LEN, made)
    }

    fn copyable_file(&mut self, path: &str, bytes: &[u8], made: Moment) -> io::Result<()> {
        self.copyable.push(PathBuf::from(path));
        self.file(path, bytes, made)
    }

    fn file(&mut self, path: impl AsRef<Path>, bytes: &[u8], made: Moment) -> io::Result<()> {
        let path = path.as_ref();
        self.dir(path.parent().unwrap_or(Path::new("")))?;
        File::create_new(self.root.join(path))?.write_all(bytes)?;
        self.made(path, bytes.len() as u64, made)
    }

    fn made(&mut self, path: &Path, bytes: u64, made: Moment) -> io::Result<()> {
        self.report.files += 1;
        self.report.bytes += bytes;
        self.mode(path, 0o644)?;
        self.times(path, made)
    }

    fn dir(&mut self, path: &Path) -> io::Result<()> {
        for dir in path.ancestors().filter(|dir| !dir.as_os_str().is_empty()) {
            if self.dirs.insert(dir.to_owned()) {
                self.report.dirs += 1;
            }
        }
        fs::create_dir_all(self.root.join(path))
    }

    fn symlink(&mut self, path: &str, target: &str) -> io::Result<()> {
        symlink(target, self.root.join(path))?;
        self.report.symlinks += 1;
        let made = self.chance.moment();
        self.times(path, made)
    }

    fn hard_link(&mut self, from: &str, path: &str, made: Moment) -> io::Result<()> {
        fs::hard_link(self.root.join(from), self.root.join(path))?;
        self.report.files += 1;
        self.report.hard_links += 1;
        self.times(path, made)
    }

    fn mode(&self, path: impl AsRef<Path>, mode: u32) -> io::Result<()> {
        fs::set_permissions(self.root.join(path), Permissions::from_mode(mode))
    }

    fn times(&mut self, path: impl AsRef<Path>, made: Moment) -> io::Result<()> {
        let nanos = u32::try_from(self.chance.within(0, 1_000_000_000)).unwrap_or(0);
        let time = Timestamp { secs: i64::try_from(made.0).unwrap_or(0), nanos };
        scratch::set_times(&self.root.join(path), time, time)
    }

    /// Modes and times of the directories, the deepest first.
    fn finish(mut self) -> io::Result<TreeReport> {
        for dir in std::mem::take(&mut self.dirs).into_iter().rev() {
            self.mode(&dir, if self.read_only_dirs.contains(&dir) { 0o555 } else { 0o755 })?;
            let made = self.chance.moment();
            self.times(&dir, made)?;
        }
        self.mode("", 0o755)?;
        let made = self.chance.moment();
        self.times("", made)?;
        Ok(self.report)
    }
}

/// Whether a file system took an attribute; an error other than that it keeps none is one.
fn supported(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
