//! Files outside, names of files outside, and files inside that would be dangerous outside.

use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::{Outcome, Place, Technique, any, any_of, c, got, io, sys, technique};

pub(super) const ALL: &[Technique] = &[
    technique("read-outside", read_outside, true, &[], "a private root: what was not granted does not exist"),
    technique("names-outside", names_outside, true, &[], "a private root: what was not granted does not exist"),
    technique("write-outside", write_outside, true, &[], "a private root; Landlock"),
    technique("symlinks-out", symlinks_out, true, &[], "a link is followed in the private root"),
    technique(
        "hard-links-to-outside",
        hard_links,
        true,
        &[],
        "what was not granted does not exist; another mount cannot be linked to",
    ),
    technique(
        "magic-links-out",
        magic_links,
        true,
        &[],
        "every root, working directory and descriptor inside is inside",
    ),
    technique("the-home", home, true, &[], "an empty home"),
    technique("raincoats-own-data", own_data, true, &[], "an empty home; a private root"),
    technique("masked-secrets", masked, true, &[], "a layer of whiteouts over the folder"),
    technique(
        "secrets-of-the-system",
        system_secrets,
        false,
        &[],
        "masks over the system's folders; the user's own rights",
    ),
    technique("write-to-the-system", write_system, false, &[], "mounted read-only; Landlock; no capability"),
    technique("devices-there", devices, false, &[], "a minimal `/dev`"),
    technique(
        "device-nodes",
        nodes,
        false,
        &["denied: mknod"],
        "the system call filter; no capability; mounted without devices",
    ),
    technique("whiteouts", whiteouts, true, &["denied: mknod"], "the system call filter; overlayfs refuses them"),
    technique(
        "set-user-id",
        set_id,
        true,
        &["denied: chmod", "denied: openat"],
        "the system call filter and its supervisor",
    ),
    technique(
        "set-user-id-by-a-moved-directory",
        set_id_race,
        false,
        &[],
        "the supervisor changes a directory's mode by descriptor",
    ),
    technique("file-capabilities", capabilities, false, &[], "no capability"),
    technique("attributes-of-the-trusted", trusted, false, &[], "no capability"),
    technique("flags-of-files", flags, false, &[], "the system call filter; no capability"),
    technique("memory-of-a-read-only-file", read_only_memory, false, &[], "the kernel: a private copy, or nothing"),
    technique(
        "a-moved-directory-between-links",
        rename_race,
        false,
        &[],
        "the supervisor works beneath descriptors and follows no link",
    ),
];

pub(super) fn is_root() -> bool {
    // SAFETY: has no arguments.
    unsafe { libc::geteuid() == 0 }
}

fn read(path: impl AsRef<Path>) -> Outcome {
    io(fs::read(path)).map(|bytes| format!("{} bytes", bytes.len()))
}

fn write(path: impl AsRef<Path>) -> Outcome {
    io(OpenOptions::new().append(true).open(path)).map(got("can be written"))
}

fn read_outside(place: &Place) -> Outcome {
    let dots = PathBuf::from("../".repeat(40)).join(place.secret.strip_prefix("/").unwrap_or(&place.secret));
    let folder = io(fs::File::open(&place.folder))?;
    let by_descriptor = sys!(libc::SYS_openat, folder.as_raw_fd(), c(&dots).as_ptr(), libc::O_RDONLY);
    let name = place.secret.file_name().map(PathBuf::from).unwrap_or_default();
    any([
        ("absolute", read(&place.secret)),
        ("dots", read(dots)),
        ("beside", read(PathBuf::from("..").join(name))),
        ("descriptor", by_descriptor.map(got("opened"))),
        (
            "path only",
            sys!(libc::SYS_openat, libc::AT_FDCWD, c(&place.secret).as_ptr(), libc::O_PATH).map(got("opened")),
        ),
        ("memory", sys!(libc::SYS_execve, c(&place.secret).as_ptr(), 0, 0).map(got("executed"))),
    ])
}

/// That something exists is a secret too.
fn names_outside(place: &Place) -> Outcome {
    let around = place.secret.parent().unwrap_or(Path::new("/"));
    let listed = io(fs::read_dir(around)).and_then(|entries| {
        let known = [place.folder.file_name(), place.read.file_name()];
        let others: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        let other = others.into_iter().find(|name| !known.contains(&Some(name.as_os_str())));
        other.map_or(Err("only what was granted".to_owned()), |name| Ok(name.display().to_string()))
    });
    let exists = |path: &Path| io(fs::symlink_metadata(path)).map(got("exists"));
    let access = |path: &Path| sys!(libc::SYS_access, c(path).as_ptr(), libc::F_OK).map(got("exists"));
    let made = |path: &Path| match fs::create_dir(path).map_err(|error| error.raw_os_error()) {
        Err(Some(libc::EEXIST)) => Ok("exists".to_owned()),
        other => {
            // Made in the program's own `/tmp`, where the scene lies: nothing was there.
            drop(fs::remove_dir(path));
            Err(format!("{other:?}"))
        }
    };
    any([
        ("list", listed),
        ("stat", exists(&place.secret)),
        ("folder", exists(&place.outside)),
        ("access", access(&place.secret)),
        ("mkdir", made(&place.outside)),
        ("watch", {
            let watch = sys!(libc::SYS_inotify_init1, 0)?;
            sys!(libc::SYS_inotify_add_watch, watch, c(&place.secret).as_ptr(), libc::IN_ALL_EVENTS).map(got("watched"))
        }),
    ])
}

fn write_outside(place: &Place) -> Outcome {
    any([
        ("append", write(&place.secret)),
        ("new", io(fs::write(place.outside.join("hostile"), "x")).map(got("made"))),
        ("folder", io(fs::create_dir(place.outside.join("hostile.d"))).map(got("made"))),
        ("read only", write(place.read.join("kept.txt"))),
        ("read only, new", io(fs::write(place.read.join("new.txt"), "x")).map(got("made"))),
        ("read only, gone", io(fs::remove_file(place.read.join("kept.txt"))).map(got("removed"))),
    ])
}

fn symlinks_out(place: &Place) -> Outcome {
    let link = |name: &str, to: &Path, then: &str| {
        let at = place.folder.join(name);
        drop(fs::remove_file(&at));
        io(symlink(to, &at))?;
        if then.is_empty() { read(&at) } else { read(at.join(then)) }
    };
    let inside = place.secret.strip_prefix("/").unwrap_or(&place.secret);
    let up = PathBuf::from("../".repeat(40)).join(inside);
    let inside = inside.to_str().unwrap_or_default();
    any([
        ("file", link("link-file", &place.secret, "")),
        ("relative", link("link-up", &up, "")),
        ("folder", link("link-folder", &place.outside, "secret.txt")),
        ("root", link("link-root", "/".as_ref(), inside)),
        ("proc", link("link-proc", "/proc/1/root".as_ref(), inside)),
    ])
}

fn hard_links(place: &Place) -> Outcome {
    let to = c(place.folder.join("hard"));
    let link = |from: &Path| sys!(libc::SYS_linkat, libc::AT_FDCWD, c(from).as_ptr(), libc::AT_FDCWD, to.as_ptr(), 0);
    let follow = libc::AT_SYMLINK_FOLLOW;
    any([
        ("secret", link(&place.secret).map(got("linked"))),
        ("system", link("/usr/bin/true".as_ref()).map(got("linked"))),
        ("read only", link(&place.read.join("kept.txt")).map(got("linked"))),
        (
            "executable",
            sys!(libc::SYS_linkat, libc::AT_FDCWD, c"/proc/self/exe".as_ptr(), libc::AT_FDCWD, to.as_ptr(), follow)
                .map(got("linked")),
        ),
        ("moved", io(fs::rename(place.read.join("kept.txt"), place.folder.join("kept"))).map(got("moved"))),
    ])
}

fn magic_links(place: &Place) -> Outcome {
    let inside = place.secret.strip_prefix("/").unwrap_or(&place.secret).to_path_buf();
    let name = place.secret.file_name().unwrap_or_default();
    let mut ways = vec![
        ("root".to_owned(), read(Path::new("/proc/self/root").join(&inside))),
        ("working directory".to_owned(), read(Path::new("/proc/self/cwd/..").join(name))),
        ("thread".to_owned(), read(Path::new("/proc/thread-self/root").join(&inside))),
        ("first".to_owned(), read(Path::new("/proc/1/root").join(&inside))),
    ];
    // Whatever was inherited: a directory among it would lead out.
    for number in 0..256 {
        let at = format!("/proc/self/fd/{number}");
        if fs::metadata(&at).is_ok_and(|about| about.is_dir()) {
            ways.push((format!("descriptor {number}"), read(format!("{at}/../{}", name.display()))));
        }
    }
    any_of(ways)
}

fn home(place: &Place) -> Outcome {
    let listed = io(fs::read_dir(&place.home)).and_then(|mut entries| match entries.next() {
        Some(Ok(entry)) => Ok(entry.file_name().display().to_string()),
        _ => Err("empty".to_owned()),
    });
    let mut ways = vec![("list".to_owned(), listed)];
    for name in [".ssh/id_ed25519", ".bashrc", ".aws/credentials", ".config", "notes.txt"] {
        ways.push((name.to_owned(), io(fs::symlink_metadata(place.home.join(name))).map(got("exists"))));
    }
    any_of(ways)
}

fn own_data(place: &Place) -> Outcome {
    let data = place.home.join(".local/share/raincoat");
    let state = place.home.join(".local/state/raincoat");
    let mut ways = Vec::new();
    for at in [data.clone(), data.join("drafts"), data.join("store"), data.join("key"), state] {
        ways.push((at.display().to_string(), io(fs::symlink_metadata(&at)).map(got("exists"))));
    }
    // The draft from below: what is written here stands there.
    for upper in ["/proc/self/mountinfo", "/proc/self/mounts"] {
        let table = io(fs::read_to_string(upper))?;
        let leads =
            table.lines().filter(|line| line.contains(" overlay ")).find(|line| line.contains("raincoat/drafts"));
        ways.push((upper.to_owned(), leads.map(str::to_owned).ok_or("no place of ours in it".to_owned())));
    }
    any_of(ways)
}

fn masked(place: &Place) -> Outcome {
    let at = place.folder.join(".env");
    let moved = place.folder.join("env-moved");
    any([
        ("read", read(&at)),
        ("stat", io(fs::symlink_metadata(&at)).map(got("exists"))),
        ("link", io(fs::hard_link(&at, place.folder.join("env-link"))).map(got("linked"))),
        ("rename", io(fs::rename(&at, moved)).map(got("moved"))),
        ("list", {
            let found = io(fs::read_dir(&place.folder))?.flatten().any(|entry| entry.file_name() == ".env");
            if found { Ok("listed".to_owned()) } else { Err("not listed".to_owned()) }
        }),
        ("made again", {
            // One of its own in the same place, taken away again, must not show the one beneath.
            let made = io(fs::create_dir(&at)).and_then(|()| io(fs::remove_dir(&at)));
            made.and_then(|()| read(&at))
        }),
        ("folder", io(fs::read_dir(place.folder.join(".ssh"))).map(got("listed"))),
    ])
}

fn system_secrets(_: &Place) -> Outcome {
    let names = [
        "etc/shadow",
        "etc/gshadow",
        "etc/shadow-",
        "proc/kcore",
        "proc/kallsyms",
        "proc/kmsg",
        "proc/keys",
        "etc/sudoers",
        "proc/timer_list",
        "etc/ssh/ssh_host_ed25519_key",
        "etc/ssh/ssh_host_rsa_key",
        "proc/slabinfo",
        "proc/vmallocinfo",
        "sys/kernel/security",
        "sys/firmware",
        "var/log/auth.log",
    ];
    any_of(names.map(|name| {
        let bytes = fs::read(format!("/{name}"));
        (
            name.to_owned(),
            match bytes {
                Ok(bytes) if !bytes.is_empty() => Ok(format!("{} bytes", bytes.len())),
                Ok(_) => Err("empty".to_owned()),
                Err(error) => Err(error.to_string()),
            },
        )
    }))
}

fn write_system(_: &Place) -> Outcome {
    let mut ways = Vec::new();
    for name in ["etc/passwd", "etc/ld.so.cache", "usr/bin/env", "etc/profile", "etc/hosts", "lib/ld-linux.so.2"] {
        ways.push((name.to_owned(), write(format!("/{name}"))));
    }
    // Names that mean nothing, taken away again by whoever made them.
    for name in ["usr", "etc", "opt", "usr/bin", "", "var", "proc", "sys", "dev"] {
        let at = format!("/{name}/raincoat-hostile");
        let made = io(fs::write(&at, "x")).map(got("made"));
        drop(fs::remove_file(&at));
        ways.push((name.to_owned(), made));
    }
    any_of(ways)
}

fn devices(_: &Place) -> Outcome {
    let names = [
        "mem",
        "kmem",
        "port",
        "kmsg",
        "sda",
        "vda",
        "nvme0n1",
        "loop-control",
        "loop0",
        "fuse",
        "kvm",
        "tty1",
        "uinput",
        "input/event0",
        "snd/timer",
        "net/tun",
        "vhost-vsock",
        "vsock",
        "userfaultfd",
        "cuse",
        "hpet",
        "rtc0",
        "mapper/control",
        "console",
        "autofs",
        "btrfs-control",
        "vhost-net",
        "dri/card0",
        "udmabuf",
        "dma_heap/system",
    ];
    any_of(names.map(|name| (name.to_owned(), io(fs::symlink_metadata(format!("/dev/{name}"))).map(got("is there")))))
}

fn mknod(at: &Path, kind: u32, major: u32, minor: u32) -> Outcome {
    drop(fs::remove_file(at));
    let device = libc::makedev(major, minor);
    let path = c(at);
    let plain = sys!(libc::SYS_mknod, path.as_ptr(), kind | 0o666, device);
    plain.or_else(|_| sys!(libc::SYS_mknodat, libc::AT_FDCWD, path.as_ptr(), kind | 0o666, device)).map(got("made"))
}

fn nodes(place: &Place) -> Outcome {
    any([
        ("memory", mknod(&place.folder.join("node-mem"), libc::S_IFCHR, 1, 1)),
        ("disk", mknod(&place.folder.join("node-disk"), libc::S_IFBLK, 8, 0)),
        ("in /tmp", mknod("/tmp/node".as_ref(), libc::S_IFBLK, 8, 0)),
        ("in /dev/shm", mknod("/dev/shm/node".as_ref(), libc::S_IFCHR, 1, 1)),
    ])
}

fn whiteouts(place: &Place) -> Outcome {
    let from = place.folder.join("white-from");
    io(fs::write(&from, "x"))?;
    let rename = |from: &Path, to: &Path| {
        let white = 4; // RENAME_WHITEOUT
        let cwd = libc::AT_FDCWD;
        sys!(libc::SYS_renameat2, cwd, c(from).as_ptr(), cwd, c(to).as_ptr(), white)
            .and_then(|_| io(fs::symlink_metadata(from)).map(|_| 0))
            .map(got("left a whiteout"))
    };
    any([
        ("device 0 0", mknod(&place.folder.join("white"), libc::S_IFCHR, 0, 0)),
        ("over a file", mknod(&place.folder.join("a.txt.white"), libc::S_IFCHR, 0, 0)),
        ("rename", rename(&from, &place.folder.join("white-to"))),
    ])
}

/// A file of its own with one of these bits, by every way that there is.
fn set_id(place: &Place) -> Outcome {
    let at = place.folder.join("setid");
    io(fs::write(&at, "#!/bin/sh\n"))?;
    io(fs::set_permissions(&at, PermissionsExt::from_mode(0o755)))?;
    let path = c(&at);
    let open = io(fs::File::open(&at))?;
    let number = open.as_raw_fd();
    let cwd = libc::AT_FDCWD;
    let link = place.folder.join("setid-link");
    drop(symlink(&at, &link));
    let made = |name: &str| c(place.folder.join(name));
    let create = libc::O_CREAT | libc::O_WRONLY;
    let how = [create as u64, 0o4755, 0];
    let temporary = c(&place.folder);
    let ways = [
        ("chmod", sys!(libc::SYS_chmod, path.as_ptr(), 0o4755)),
        ("chmod, group", sys!(libc::SYS_chmod, path.as_ptr(), 0o2755)),
        ("chmod, high bits", sys!(libc::SYS_chmod, path.as_ptr(), 0o4755_u64 | (1 << 32))),
        ("chmod, link", sys!(libc::SYS_chmod, c(&link).as_ptr(), 0o4755)),
        ("fchmod", sys!(libc::SYS_fchmod, number, 0o4755)),
        ("fchmodat", sys!(libc::SYS_fchmodat, cwd, path.as_ptr(), 0o4755)),
        ("fchmodat2", sys!(452, cwd, path.as_ptr(), 0o4755, libc::AT_SYMLINK_NOFOLLOW)),
        ("fchmodat2, empty", sys!(452, number, c"".as_ptr(), 0o4755, libc::AT_EMPTY_PATH)),
        ("descriptor", sys!(libc::SYS_chmod, c(format!("/proc/self/fd/{number}")).as_ptr(), 0o4755)),
        ("open", sys!(libc::SYS_open, made("setid-open").as_ptr(), create, 0o4755)),
        ("openat", sys!(libc::SYS_openat, cwd, made("setid-openat").as_ptr(), create, 0o4755)),
        ("creat", sys!(libc::SYS_creat, made("setid-creat").as_ptr(), 0o4755)),
        ("openat2", sys!(libc::SYS_openat2, cwd, made("setid-openat2").as_ptr(), how.as_ptr(), 24)),
        ("temporary", sys!(libc::SYS_openat, cwd, temporary.as_ptr(), libc::O_TMPFILE | libc::O_RDWR, 0o4755)),
        ("mknod", sys!(libc::SYS_mknod, made("setid-mknod").as_ptr(), libc::S_IFREG | 0o4755, 0)),
        ("mknodat", sys!(libc::SYS_mknodat, cwd, made("setid-mknodat").as_ptr(), libc::S_IFREG | 0o4755, 0)),
        ("fifo", sys!(libc::SYS_mknodat, cwd, made("setid-fifo").as_ptr(), libc::S_IFIFO | 0o4755, 0)),
        ("message queue", sys!(libc::SYS_mq_open, c"setid".as_ptr(), create, 0o4755, 0)),
    ];
    // What counts is what came of it.
    let bits =
        |path: &Path| fs::symlink_metadata(path).is_ok_and(|about| !about.is_dir() && about.mode() & 0o6000 != 0);
    let found: Vec<_> =
        io(fs::read_dir(&place.folder))?.flatten().map(|entry| entry.path()).filter(|p| bits(p)).collect();
    let Some(found) = found.first() else {
        return any(ways.map(|(name, way)| (name, way.and_then(|_| Err("no such bit came of it".to_owned())))));
    };
    Ok(found.display().to_string())
}

/// A directory of the folder's own is moved by the supervisor, which has to open it up to do so. Meanwhile it is
/// exchanged for a link to a file, again and again.
fn set_id_race(place: &Place) -> Outcome {
    let bait = place.folder.join("race-file");
    io(fs::write(&bait, "x"))?;
    let stop = std::time::Instant::now() + std::time::Duration::from_millis(1500);
    let (top, there) = (place.folder.join("race"), place.folder.join("race-moved"));
    // SAFETY: the child only exchanges and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        while std::time::Instant::now() < stop {
            for top in [&top, &there] {
                let (dir, link) = (c(top.join("dir")), c(top.join("link")));
                let _ = sys!(libc::SYS_renameat2, libc::AT_FDCWD, dir.as_ptr(), libc::AT_FDCWD, link.as_ptr(), 2);
            }
        }
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(0) };
    }
    drop(symlink(&bait, top.join("link")));
    drop(fs::create_dir(top.join("dir")));
    let mut turns = 0;
    let mut found = None;
    while std::time::Instant::now() < stop && found.is_none() {
        for name in ["dir", "link"] {
            let path = c(top.join(name));
            let path = path.as_ptr();
            // Only where it is the directory.
            let _ = sys!(452, libc::AT_FDCWD, path, 0o6077, libc::AT_SYMLINK_NOFOLLOW);
        }
        if fs::rename(&top, &there).is_ok() || fs::rename(&there, &top).is_ok() {
            turns += 1;
        }
        found = fs::metadata(&bait).ok().map(|about| about.mode()).filter(|mode| mode & 0o6000 != 0);
    }
    // SAFETY: its own child.
    unsafe { libc::kill(child, libc::SIGKILL) };
    found.map_or(Err(format!("{turns} moves")), |mode| Ok(format!("mode {mode:o} after {turns} moves")))
}

fn set_attribute(at: &Path, name: &str, value: &[u8]) -> Outcome {
    let name = CString::new(name).unwrap_or_default();
    sys!(libc::SYS_setxattr, c(at).as_ptr(), name.as_ptr(), value.as_ptr(), value.len(), 0).map(got("set"))
}

fn capabilities(place: &Place) -> Outcome {
    let at = place.folder.join("capable");
    io(fs::write(&at, "x"))?;
    // `linux/capability.h`: all of them, version 2; and version 3, for a namespace's root.
    let two: Vec<u8> = [0x0200_0001_u32, u32::MAX, 0, u32::MAX, 0].iter().flat_map(|n| n.to_le_bytes()).collect();
    let three: Vec<u8> = [0x0300_0001_u32, u32::MAX, 0, u32::MAX, 0, 0].iter().flat_map(|n| n.to_le_bytes()).collect();
    any([
        ("two", set_attribute(&at, "security.capability", &two)),
        ("three", set_attribute(&at, "security.capability", &three)),
    ])
}

fn trusted(place: &Place) -> Outcome {
    let at = place.folder.join("trusted");
    io(fs::create_dir_all(&at))?;
    any([
        "trusted.overlay.opaque",
        "trusted.overlay.redirect",
        "security.ima",
        "security.evm",
        "security.apparmor",
        "system.nfs4_acl",
    ]
    .map(|name| (name, set_attribute(&at, name, b"y"))))
}

/// Flags that would make a file that nobody can take away.
fn flags(place: &Place) -> Outcome {
    let at = place.folder.join("flags");
    io(fs::write(&at, "x"))?;
    let file = io(fs::File::open(&at))?;
    let flags: i64 = 0x10 | 0x20; // immutable, append only
    any([
        ("flags", sys!(libc::SYS_ioctl, file.as_raw_fd(), 0x4008_6602_u64, &raw const flags).map(got("set"))),
        (
            "high bits",
            sys!(libc::SYS_ioctl, file.as_raw_fd(), 0x4008_6602_u64 | (1 << 32), &raw const flags).map(got("set")),
        ),
        ("32 bit", sys!(libc::SYS_ioctl, file.as_raw_fd(), 0x4004_6602_u64, &raw const flags).map(got("set"))),
        // `file_setattr`, Linux 6.17.
        ("by path", sys!(469, libc::AT_FDCWD, c(&at).as_ptr(), &raw const flags, 8, 0).map(got("set"))),
    ])
}

/// What is only mapped to be read, written through `/proc/self/mem`, and by `vmsplice` (as "dirty pipe" did).
fn read_only_memory(place: &Place) -> Outcome {
    let at = place.read.join("kept.txt");
    let before = io(fs::read(&at))?;
    let file = io(fs::File::open(&at))?;
    for how in [libc::MAP_SHARED, libc::MAP_PRIVATE] {
        // SAFETY: a new mapping of a file that is open; nothing refers to it but what follows.
        let memory = unsafe { libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ, how, file.as_raw_fd(), 0) };
        if memory == libc::MAP_FAILED {
            continue;
        }
        let Ok(own) = OpenOptions::new().write(true).open("/proc/self/mem") else { continue };
        drop(std::os::unix::fs::FileExt::write_at(&own, b"hostile", memory.addr() as u64));
        let _ = sys!(libc::SYS_mprotect, memory, 4096, libc::PROT_READ | libc::PROT_WRITE);
        let _ = sys!(libc::SYS_madvise, memory, 4096, libc::MADV_REMOVE);
    }
    let mut pipe = [0; 2];
    let _ = sys!(libc::SYS_pipe2, pipe.as_mut_ptr(), 0);
    let _ = sys!(libc::SYS_splice, file.as_raw_fd(), 0, pipe[1], 0, 1, 0);
    let _ = sys!(libc::SYS_write, pipe[1], c"hostile".as_ptr(), 7);
    if io(fs::read(&at))? == before {
        Err("the file is as it was".to_owned())
    } else {
        Ok("the file changed".to_owned())
    }
}

/// A directory is moved piece by piece while the directories around it are exchanged for links that lead elsewhere.
fn rename_race(place: &Place) -> Outcome {
    let stop = std::time::Instant::now() + std::time::Duration::from_millis(1200);
    let (way, aside) = (place.folder.join("way"), place.folder.join("aside"));
    drop(fs::create_dir(&way));
    drop(symlink("/proc/1/cwd", &aside));
    // SAFETY: the child only exchanges and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let (way, aside) = (c(&way), c(&aside));
        while std::time::Instant::now() < stop {
            let _ = sys!(libc::SYS_renameat2, libc::AT_FDCWD, way.as_ptr(), libc::AT_FDCWD, aside.as_ptr(), 2);
        }
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(0) };
    }
    let top = place.folder.join("moving");
    let mut turns = 0;
    while std::time::Instant::now() < stop {
        for to in [way.join("moving"), Path::new("/proc/self/cwd/way/moving").to_path_buf()] {
            if fs::rename(&top, &to).is_ok() || fs::rename(&to, &top).is_ok() {
                turns += 1;
            }
        }
    }
    // SAFETY: its own child.
    unsafe { libc::kill(child, libc::SIGKILL) };
    // Where it is in the end, it is whole; whoever set the scene sees that nothing outside has changed.
    let whole = [top, way.join("moving"), aside.join("moving")].iter().any(|at| at.join("deep/file").exists());
    if whole { Err(format!("{turns} moves")) } else { Ok(format!("it is nowhere after {turns} moves")) }
}
