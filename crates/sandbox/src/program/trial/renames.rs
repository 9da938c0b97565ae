//! Directories renamed as programs do it.

use std::ffi::{CString, OsStr};
use std::fs;
use std::io::{Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use raincoat_types::Timestamp;
use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat, renameat_with};
use rustix::io::Errno;

use super::{snapshot, trial};

/// A directory with everything in it that a directory may hold.
fn rich(lower: &Path) {
    let d = lower.join("d");
    fs::create_dir_all(d.join("one/two/three")).unwrap();
    fs::create_dir(d.join("empty")).unwrap();
    fs::write(d.join("plain"), "plain").unwrap();
    fs::write(d.join("one/script"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(d.join("one/script"), PermissionsExt::from_mode(0o751)).unwrap();
    fs::write(d.join("one/two/linked"), "three names").unwrap();
    fs::hard_link(d.join("one/two/linked"), d.join("linked too")).unwrap();
    fs::hard_link(d.join("one/two/linked"), lower.join("outside")).unwrap();
    let sparse = fs::File::create(d.join("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    symlink("nowhere/at all", d.join("dangling")).unwrap();
    symlink("../one", d.join("one/link")).unwrap();
    mknodat(CWD, d.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
    fs::write(d.join(OsStr::from_bytes(b"odd \n\xff\xfe\x1b[31m\"'")), "odd").unwrap();
    fs::write(d.join("one/two/secret"), "not readable").unwrap();
    fs::set_permissions(d.join("one/two/secret"), PermissionsExt::from_mode(0o000)).unwrap();
    let set = |path: &Path, name: &str, value: &[u8]| raincoat_os::scratch::set_xattr(path, name, value).unwrap();
    set(&d.join("plain"), "user.note", b"of a file");
    set(&d.join("one"), "user.note", b"of a directory");
    // Of the only user that the namespace has.
    let acl = raincoat_os::scratch::acl_with_user(7, rustix::process::geteuid().as_raw(), 5, 5, 0);
    set(&d.join("empty"), "system.posix_acl_default", &acl);
    set(&d.join("empty"), "system.posix_acl_access", &acl);
    for (name, mode) in [("read only", 0o555), ("closed", 0o000), ("passable", 0o311), ("sticky", 0o1777)] {
        fs::create_dir(d.join(name)).unwrap();
        fs::write(d.join(name).join("file"), name).unwrap();
        fs::set_permissions(d.join(name), PermissionsExt::from_mode(mode)).unwrap();
    }
    fs::create_dir(d.join("shared")).unwrap();
    fs::set_permissions(d.join("shared"), PermissionsExt::from_mode(0o2775)).unwrap();
    let old = Timestamp { secs: 1_000_000_000, nanos: 123_456_789 };
    for name in ["plain", "one/two", "one", "empty", "dangling", "read only", ""] {
        raincoat_os::scratch::set_times(&d.join(name), old, old).unwrap();
    }
}

fn no_hidden_name_is_left() {
    let mut dirs = vec![Path::new(".").to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten() {
            let entry = entry.unwrap();
            assert!(!entry.file_name().to_string_lossy().starts_with(".raincoat"), "{:?}", entry.path());
            if entry.file_type().unwrap().is_dir() {
                dirs.push(entry.path());
            }
        }
    }
}

fn nothing_refused(refused: &[String], place: &Path) {
    assert_eq!(refused, [""; 0]);
    assert!(place.join("lower/d").exists(), "the folder itself was changed");
}

#[test]
fn a_directory_of_the_folders_own_moves_with_all_that_it_holds() {
    trial(
        rich,
        || {
            let before = snapshot::of(Path::new("d"));
            fs::rename("d", "e").unwrap();
            assert!(!Path::new("d").exists());
            assert_eq!(snapshot::of(Path::new("e")), before);
            assert_eq!(fs::read("outside").unwrap(), b"three names");
            // Once more, to another parent and back; now the overlay can do it.
            fs::create_dir("p").unwrap();
            fs::rename("e/", "p/q/").unwrap();
            fs::rename("p/q", "d").unwrap();
            assert_eq!(snapshot::of(Path::new("d")), before);
            // Of what was moved, a directory within.
            let before = snapshot::of(Path::new("d/one"));
            fs::rename("d/one", "one").unwrap();
            assert_eq!(snapshot::of(Path::new("one")), before);
            no_hidden_name_is_left();
        },
        nothing_refused,
    );
}

#[test]
fn a_directory_in_a_directory_moves_out_and_in() {
    trial(
        rich,
        || {
            let before = snapshot::of(Path::new("d/one/two"));
            fs::rename("d/one/two", "two").unwrap();
            assert_eq!(snapshot::of(Path::new("two")), before);
            assert!(!Path::new("d/one/two").exists());
            fs::rename("d/empty", "two/three/empty").unwrap();
            fs::rename("d", "two/d").unwrap();
            assert_eq!(fs::read("two/d/plain").unwrap(), b"plain");
            no_hidden_name_is_left();
        },
        nothing_refused,
    );
}

fn mess(lower: &Path) {
    rich(lower);
    fs::create_dir(lower.join("void")).unwrap();
    fs::create_dir(lower.join("full")).unwrap();
    fs::write(lower.join("full/x"), "x").unwrap();
    fs::write(lower.join("file"), "file").unwrap();
    symlink("d", lower.join("to d")).unwrap();
    fs::create_dir_all(lower.join("mounted/here")).unwrap();
    fs::write(lower.join("mounted/beside"), "").unwrap();
    fs::create_dir(lower.join("locked")).unwrap();
    fs::create_dir(lower.join("locked/in")).unwrap();
    fs::set_permissions(lower.join("locked"), PermissionsExt::from_mode(0o555)).unwrap();
}

#[test]
fn errors_are_those_of_a_plain_file_system_and_change_nothing() {
    trial(
        mess,
        || {
            let before = snapshot::of(Path::new("."));
            let with = |old: &str, new: &str, flags| renameat_with(CWD, old, CWD, new, flags).unwrap_err();
            let fails = |old: &str, new: &str| renameat(CWD, old, CWD, new).unwrap_err();
            let none = RenameFlags::NOREPLACE;
            assert_eq!(fails("d", "full"), Errno::NOTEMPTY);
            assert_eq!(fails("d", "file"), Errno::NOTDIR);
            assert_eq!(fails("file", "d"), Errno::ISDIR);
            assert_eq!(fails("d", "d/one/two/new"), Errno::INVAL);
            assert_eq!(fails("d/one/two", "d"), Errno::NOTEMPTY);
            assert_eq!(fails("missing", "d"), Errno::NOENT);
            assert_eq!(fails("d", "missing/new"), Errno::NOENT);
            assert_eq!(fails("d", "file/new"), Errno::NOTDIR);
            assert_eq!(fails("d/.", "new"), Errno::BUSY);
            assert_eq!(fails("d/..", "new"), Errno::BUSY);
            assert_eq!(fails("to d/", "new"), Errno::NOTDIR);
            assert_eq!(fails("", "new"), Errno::NOENT);
            assert_eq!(fails("d", &"n".repeat(300)), Errno::NAMETOOLONG);
            assert_eq!(fails("d", &"n/".repeat(3000)), Errno::NAMETOOLONG);
            assert_eq!(with("d", "void", none), Errno::EXIST);
            assert_eq!(with("d", "full", none), Errno::EXIST);
            assert_eq!(with("d", "missing", RenameFlags::EXCHANGE), Errno::NOENT);
            assert_eq!(with("d", "d/one", RenameFlags::EXCHANGE), Errno::INVAL);
            assert_eq!(with("d", "new", RenameFlags::from_bits_retain(64)), Errno::INVAL);
            assert_eq!(fails("locked/in", "new"), Errno::ACCESS);
            assert_eq!(fails("d", "locked/new"), Errno::ACCESS);
            // Its own `..` would change.
            assert_eq!(fails("d/read only", "new"), Errno::ACCESS);
            // A mount point, and what holds one.
            assert_eq!(fails("mounted/here", "new"), Errno::BUSY);
            assert_eq!(fails("mounted", "new"), Errno::XDEV);
            // Another file system stays another.
            assert_eq!(fails("d", "../other/d"), Errno::XDEV);
            renameat(CWD, "d", CWD, "d").unwrap();
            assert_eq!(unsafe { libc::renameat(libc::AT_FDCWD, 8 as _, libc::AT_FDCWD, c"x".as_ptr()) }, -1);
            assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EFAULT));
            assert_eq!(unsafe { libc::renameat(99, c"d".as_ptr(), libc::AT_FDCWD, c"x".as_ptr()) }, -1);
            assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EBADF));
            no_hidden_name_is_left();
            let mut after = snapshot::of(Path::new("."));
            // Where an attempt was built and taken back, the time is another.
            let mut before = before;
            before.remove(&b""[..]);
            after.remove(&b""[..]);
            assert_eq!(after, before);
        },
        nothing_refused,
    );
}

#[test]
fn an_empty_directory_is_replaced_and_noreplace_and_every_way_to_name_it_work() {
    trial(
        mess,
        || {
            let before = snapshot::of(Path::new("d"));
            let is = |path: &str| assert_eq!(snapshot::of(Path::new(path)), before, "{path}");
            fs::rename("d", "void").unwrap();
            is("void");
            let lower = |name: &str| {
                // A directory that the overlay cannot move, each time another.
                assert!(Path::new(name).is_dir());
                name.to_owned()
            };
            renameat_with(CWD, "full", CWD, "full2", RenameFlags::NOREPLACE).unwrap();
            let here = std::env::current_dir().unwrap();
            fs::rename(here.join(lower("void/one/two")), here.join("full2/two")).unwrap();
            let dir = fs::File::open("void").unwrap();
            renameat(&dir, "one", CWD, "one").unwrap();
            fs::rename("/proc/self/cwd/void/empty", "/proc/self/cwd/empty").unwrap();
            let by_number = format!("/proc/self/fd/{}/shared", std::os::fd::AsRawFd::as_raw_fd(&dir));
            fs::rename(by_number, "shared").unwrap();
            std::thread::spawn(|| fs::rename("/proc/thread-self/cwd/void/sticky", "sticky").unwrap()).join().unwrap();
            std::env::set_current_dir("void").unwrap();
            fs::rename("./passable", "..//passable").unwrap();
            std::env::set_current_dir("..").unwrap();
            let (old, new) = (CString::new("void/read only").unwrap(), CString::new("void/still read only").unwrap());
            assert_eq!(unsafe { libc::rename(old.as_ptr(), new.as_ptr()) }, 0);
            for name in ["one", "empty", "shared", "sticky", "passable"] {
                assert!(Path::new(name).is_dir(), "{name}");
                assert!(!Path::new("void").join(name).exists(), "{name}");
            }
            no_hidden_name_is_left();
        },
        nothing_refused,
    );
}

#[test]
fn directories_are_exchanged_with_each_other_and_with_a_file() {
    trial(
        mess,
        || {
            let swap = |a: &str, b: &str| {
                let (first, second) = (snapshot::of(Path::new(a)), snapshot::of(Path::new(b)));
                renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).unwrap();
                assert_eq!(snapshot::of(Path::new(b)), first, "{a} to {b}");
                assert_eq!(snapshot::of(Path::new(a)), second, "{b} to {a}");
            };
            swap("d", "full");
            swap("full", "d");
            swap("void", "file");
            fs::create_dir("new").unwrap();
            fs::write("new/a", "a").unwrap();
            swap("d/one", "new");
            swap("to d", "new/two");
            no_hidden_name_is_left();
        },
        nothing_refused,
    );
}

#[test]
fn files_that_are_open_stay_what_they_are() {
    trial(
        rich,
        || {
            let mut open = fs::OpenOptions::new().read(true).write(true).open("d/plain").unwrap();
            fs::rename("d", "e").unwrap();
            open.write_all(b"PL").unwrap();
            assert_eq!(fs::read("e/plain").unwrap(), b"PLain");
            open.rewind().unwrap();
            let mut text = String::new();
            open.read_to_string(&mut text).unwrap();
            assert_eq!(text, "PLain");
        },
        nothing_refused,
    );
}

#[test]
fn a_thousand_files_move() {
    trial(
        |lower| {
            fs::create_dir_all(lower.join("d/many")).unwrap();
            (0..1000).for_each(|n| fs::write(lower.join(format!("d/many/{n}")), vec![7; n]).unwrap());
        },
        || {
            let before = snapshot::of(Path::new("d"));
            fs::rename("d", "c").unwrap();
            assert!(std::process::Command::new("mv").args(["c", "e"]).status().unwrap().success());
            assert_eq!(snapshot::of(Path::new("e")), before);
            no_hidden_name_is_left();
        },
        nothing_refused,
    );
}

#[test]
fn threads_that_rename_and_write_at_once_lose_nothing() {
    trial(
        |lower| {
            for dir in 0..4 {
                fs::create_dir_all(lower.join(format!("d/{dir}/sub"))).unwrap();
                (0..30).for_each(|n| fs::write(lower.join(format!("d/{dir}/sub/{n}")), "x").unwrap());
            }
        },
        || {
            let count = |path: &str| fs::read_dir(path).unwrap().count();
            std::thread::scope(|scope| {
                for dir in 0..4 {
                    scope.spawn(move || {
                        // Each its own; they share the parents.
                        fs::rename(format!("d/{dir}/sub"), format!("d/sub{dir}")).unwrap();
                        fs::rename(format!("d/sub{dir}"), format!("sub{dir}")).unwrap();
                        fs::rename(format!("sub{dir}"), format!("d/{dir}/again")).unwrap();
                    });
                }
                // Writes into what is moved, by a descriptor of it.
                scope.spawn(|| {
                    for n in 0..200 {
                        let _ = fs::write(format!("d/0/sub/late{n}"), "late");
                        let _ = fs::write(format!("sub0/late{n}"), "late");
                    }
                });
            });
            for dir in 1..4 {
                assert_eq!(count(&format!("d/{dir}/again")), 30);
            }
            let (early, late): (Vec<_>, Vec<_>) = fs::read_dir("d/0/again")
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .partition(|name| !name.starts_with("late"));
            assert_eq!(early.len(), 30, "{late:?}");
            // All four want the same name: one gets it, the others hear so.
            for _ in 0..3 {
                let done: Vec<_> = std::thread::scope(|scope| {
                    let threads: Vec<_> =
                        (0..4).map(|dir| scope.spawn(move || fs::rename(format!("d/{dir}"), "winner"))).collect();
                    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
                });
                assert!(done.iter().filter(|done| done.is_ok()).count() <= 1, "{done:?}");
            }
            assert!(Path::new("winner/again").is_dir());
            no_hidden_name_is_left();
        },
        |refused, _| assert_eq!(refused, [""; 0]),
    );
}

#[test]
fn a_process_that_is_killed_while_it_waits_leaves_the_others_served() {
    trial(
        |lower| {
            fs::create_dir_all(lower.join("d")).unwrap();
            fs::create_dir_all(lower.join("next/in")).unwrap();
            (0..800).for_each(|n| fs::write(lower.join(format!("d/{n}")), "x").unwrap());
        },
        || {
            let child = unsafe { libc::fork() };
            if child == 0 {
                let _ = fs::rename("d", "e");
                unsafe { libc::_exit(0) };
            }
            std::thread::sleep(std::time::Duration::from_millis(8));
            unsafe {
                libc::kill(child, libc::SIGKILL);
                libc::waitpid(child, std::ptr::null_mut(), 0);
            }
            // Waits for its turn behind what goes on without its caller.
            fs::rename("next", "then").unwrap();
            assert!(Path::new("then/in").is_dir());
            let whole = |path: &str| fs::read_dir(path).map_or(0, Iterator::count) == 800;
            assert!(whole("e") ^ whole("d"), "{} {}", whole("e"), whole("d"));
            no_hidden_name_is_left();
        },
        |refused, _| assert_eq!(refused, [""; 0]),
    );
}

#[test]
fn a_signal_does_not_make_a_rename_happen_twice() {
    trial(
        |lower| {
            fs::create_dir_all(lower.join("d")).unwrap();
            (0..500).for_each(|n| fs::write(lower.join(format!("d/{n}")), "x").unwrap());
        },
        || {
            extern "C" fn handler(_: i32) {}
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = handler as *const () as usize;
                action.sa_flags = libc::SA_RESTART;
                assert_eq!(libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()), 0);
                let every = libc::timeval { tv_sec: 0, tv_usec: 2000 };
                let timer = libc::itimerval { it_interval: every, it_value: every };
                libc::syscall(libc::SYS_setitimer, libc::ITIMER_REAL, &raw const timer, 0);
            }
            fs::rename("d", "e").unwrap();
            fs::rename("e", "f").unwrap();
            assert_eq!(fs::read_dir("f").unwrap().count(), 500);
        },
        |refused, _| assert_eq!(refused, [""; 0]),
    );
}
