"""What POSIX says of files, on objects that stood there before: each behaviour in a folder of its own, with everything
that a program could notice printed, so that two runs can be compared."""

import errno
import fcntl
import mmap
import os
import socket
import stat
import sys
import time

CASES = {}


def case(f):
    CASES[f.__name__] = f
    return f


def start():
    for name in CASES:
        os.makedirs(f"{name}/d/sub")
        os.mkdir(f"{name}/empty")
        for file in ["f", "g", "d/x", "d/sub/y"]:
            with open(f"{name}/{file}", "w") as f:
                f.write(file * 10)
        os.link(f"{name}/g", f"{name}/g2")
        os.symlink("f", f"{name}/l")
        os.symlink("nowhere", f"{name}/dangling")
        os.chmod(f"{name}/f", 0o640)
        os.setxattr(f"{name}/f", "user.a", b"1")


def run():
    for name, f in CASES.items():
        os.chdir(f"{os.environ['TREE']}/{name}")
        try:
            f(lambda what, *answers: print(f"{name}: {what} =", *answers))
        except OSError as error:
            print(f"{name}: to its end =", errno.errorcode[error.errno], error.__traceback__.tb_next.tb_lineno)


def fails(f, *arguments, **named):
    try:
        f(*arguments, **named)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"


def seen(path):
    s = os.lstat(path)
    size = None if stat.S_ISDIR(s.st_mode) else s.st_size
    mine = s.st_uid == os.getuid(), s.st_gid == os.getgid()
    return oct(s.st_mode), s.st_nlink if not stat.S_ISDIR(s.st_mode) else "dir", size, *mine


def moved(path, f):
    """Which times a call moves."""
    before = os.lstat(path)
    time.sleep(0.012)
    f()
    after = os.lstat(path)
    return [w for w in ("mtime", "ctime") if getattr(before, f"st_{w}_ns") != getattr(after, f"st_{w}_ns")]


@case
def open_flags(say):
    say("excl", fails(os.open, "f", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    say("excl on a link", fails(os.open, "dangling", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    say("through a dangling link", fails(os.open, "dangling", os.O_CREAT | os.O_WRONLY), os.path.exists("nowhere"))
    say("directory", fails(os.open, "f", os.O_DIRECTORY), fails(os.open, "d", os.O_WRONLY))
    say("nofollow", fails(os.open, "l", os.O_NOFOLLOW))
    say("too long", fails(os.open, "n" * 256, os.O_CREAT), fails(os.open, "n/" * 2100 + "n", os.O_CREAT))
    say("below a file", fails(os.open, "f/x", os.O_CREAT), fails(os.open, "f/", os.O_RDONLY))
    say("mode", os.umask(0o027), os.close(os.open("new", os.O_CREAT, 0o777)), seen("new"), os.umask(0o022))
    say("times of the folder", moved(".", lambda: os.close(os.open("newer", os.O_CREAT, 0o600))))
    say("truncate", moved("f", lambda: os.close(os.open("f", os.O_WRONLY | os.O_TRUNC))), seen("f"))
    say("read only", fails(os.write, os.open("g", os.O_RDONLY), b"x"))
    say("fifo", fails(os.mkfifo, "fifo"), fails(os.open, "fifo", os.O_WRONLY | os.O_NONBLOCK))


@case
def writes(say):
    say("write", moved("f", lambda: open("f", "r+").write("x")), seen("f"))
    say("nothing", moved("d/x", lambda: os.write(os.open("d/x", os.O_WRONLY), b"")))
    say("append", moved("f", lambda: open("f", "a").write("x")), seen("f"))
    say("hole", moved("f", lambda: os.pwrite(os.open("f", os.O_WRONLY), b"x", 70000)), seen("f"))
    say("folder of it", moved("d", lambda: open("d/x", "w").write("x")))
    say("truncate", moved("d/sub/y", lambda: os.truncate("d/sub/y", 3)), seen("d/sub/y"))
    say("same size", moved("d/sub/y", lambda: os.truncate("d/sub/y", 3)))
    say("negative", fails(os.truncate, "f", -1), fails(os.truncate, "d", 1), fails(os.truncate, "nothing", 1))


@case
def old_descriptors(say):
    """A descriptor that was opened for reading before the file was first written."""
    fd = os.open("f", os.O_RDONLY)
    with open("f", "r+") as f:
        f.write("changed")
    say("read", os.pread(fd, 7, 0), os.fstat(fd).st_ino == os.stat("f").st_ino)
    say("mtime", os.fstat(fd).st_mtime_ns == os.stat("f").st_mtime_ns)


@case
def old_private_mapping(say):
    fd = os.open("d/x", os.O_RDONLY)
    view = mmap.mmap(fd, 0, prot=mmap.PROT_READ, flags=mmap.MAP_SHARED)
    view[0]
    with open("d/x", "r+") as f:
        f.write("!")
    say("mapping", view[0:1])


@case
def locks(say):
    a, b = os.open("f", os.O_RDONLY), os.open("f", os.O_RDWR)
    say("flock", fails(fcntl.flock, a, fcntl.LOCK_EX), fails(fcntl.flock, b, fcntl.LOCK_EX | fcntl.LOCK_NB))
    c, d = os.open("g", os.O_RDWR), os.open("g", os.O_RDWR)
    say("record", fails(fcntl.lockf, c, fcntl.LOCK_EX | fcntl.LOCK_NB), fails(fcntl.lockf, d, fcntl.LOCK_SH | fcntl.LOCK_NB))


@case
def renames(say):
    say("file", fails(os.rename, "f", "f2"), seen("f2"), os.path.lexists("f"))
    say("onto a file", fails(os.rename, "f2", "g"), seen("g"), seen("g2"))
    say("same file", fails(os.link, "g", "g3"), fails(os.rename, "g", "g3"), os.path.lexists("g"))
    say("folder onto file", fails(os.rename, "d", "g2"), "file onto folder", fails(os.rename, "g", "d"))
    say("into itself", fails(os.rename, "d", "d/sub/in"), fails(os.rename, "d", "d"))
    say("onto a full folder", fails(os.rename, "empty", "d"), "onto an empty one", fails(os.rename, "d", "empty"))
    say("content", sorted(os.listdir("empty")), sorted(os.listdir("empty/sub")))
    say("to where nothing is", fails(os.rename, "empty", "nothing/x"), fails(os.rename, "nothing", "x"))
    say("dots", fails(os.rename, "empty/.", "x"), fails(os.rename, ".", "x"), fails(os.rename, "empty/sub", "."))
    say("slash", fails(os.rename, "l", "l2/"), fails(os.rename, "empty", "e2/"), fails(os.rename, "g/", "x"))


@case
def rename_keeps(say):
    ino = os.stat("f").st_ino
    say("file", moved("f", lambda: os.rename("f", "f")), fails(os.rename, "f", "f2"), os.stat("f2").st_ino == ino)
    inode, was = os.stat("d").st_ino, os.stat("d").st_mtime_ns
    say("folder", fails(os.rename, "d", "d2"), "its inode", os.stat("d2").st_ino == inode)
    say("its time", os.stat("d2").st_mtime_ns == was)
    say("what is in it", os.path.exists("d2/sub/y"))


@case
def rename_open_folder(say):
    fd = os.open("d", os.O_RDONLY)
    os.rename("d", "d2")
    say("by descriptor", fails(os.stat, "x", dir_fd=fd), fails(os.open, "made", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    say("is there", os.path.exists("d2/made"))


@case
def rename_current_folder(say):
    os.chdir("d")
    os.rename("../d", "../d3")
    say("where", os.path.basename(os.getcwd()), fails(os.stat, "x"))
    os.chdir("..")


@case
def rename_open_file(say):
    with open("d/x", "r+") as f:
        os.rename("d", "d2")
        f.write("late")
        f.flush()
        say("content", open("d2/x").read(4))


@case
def links(say):
    say("link", moved("f", lambda: os.link("f", "f2")), seen("f"), seen("f2"))
    say("same inode", os.stat("f").st_ino == os.stat("f2").st_ino)
    say("write through one", open("f2", "a").write("x"), seen("f"))
    say("folder", fails(os.link, "d", "d2"), "there", fails(os.link, "f", "d/x"), "of nothing", fails(os.link, "no", "x"))
    say("of a link", fails(os.link, "l", "l2", follow_symlinks=False), os.path.islink("l2"))
    say("unlink", moved("f", lambda: os.unlink("f2")), seen("f"))


@case
def links_that_were(say):
    say("before", seen("g"), os.stat("g").st_ino == os.stat("g2").st_ino)
    with open("g", "a") as f:
        f.write("more")
    say("names", seen("g")[1], seen("g2")[1])
    say("the other's content", seen("g2")[2])
    say("same inode", os.stat("g").st_ino == os.stat("g2").st_ino)


@case
def inode_numbers(say):
    before = os.stat("f").st_ino
    with open("f", "a") as f:
        f.write("x")
    say("after a write", os.stat("f").st_ino == before)
    say("in the listing", [e.inode() == os.lstat(e.path).st_ino for e in sorted(os.scandir("."), key=lambda e: e.name)])
    device = os.stat(".").st_dev
    say("one device", os.stat("f").st_dev == device, os.stat("d").st_dev == device, os.stat("g").st_dev == device)


@case
def inode_number_of_what_is_linked(say):
    before = os.stat("f").st_ino
    os.link("f", "f2")
    say("the old name", os.stat("f").st_ino == before, "the new one", os.stat("f2").st_ino == before)


@case
def unlinks(say):
    fd = os.open("f", os.O_RDWR)
    say("open", fails(os.unlink, "f"), os.fstat(fd).st_nlink, os.pwrite(fd, b"x", 0), os.pread(fd, 2, 0))
    say("folder", fails(os.unlink, "d"), fails(os.rmdir, "d"), fails(os.rmdir, "g"), fails(os.rmdir, "empty/."))
    say("empty", moved(".", lambda: os.rmdir("empty")), fails(os.rmdir, "empty"))
    say("again", fails(os.mkdir, "empty"), os.listdir("empty"))
    say("a name that was", fails(os.unlink, "g"), fails(os.mkdir, "g"), seen("g2"), os.listdir("g"))
    say("link", fails(os.unlink, "l"), fails(os.unlink, "l/"), os.path.exists("nowhere"))
    say("listing", sorted(os.listdir(".")))


@case
def removed_current_folder(say):
    os.chdir("empty")
    os.rmdir("../empty")
    say("within", fails(os.getcwd), fails(os.mkdir, "x"), os.listdir("."))


@case
def listings(say):
    say("dots", sorted(os.listdir(".")))
    with os.scandir("d") as entries:
        os.unlink("d/x")
        say("types", sorted((e.name, e.is_dir()) for e in os.scandir(".")))
    for n in range(300):
        os.close(os.open(f"d/{n}", os.O_CREAT))
    for n in range(0, 300, 2):
        os.unlink(f"d/{n}")
    say("many", len(os.listdir("d")), len(set(os.listdir("d"))))
    say("link count of a folder", "as many" if os.stat("d").st_nlink == 3 else os.stat("d").st_nlink)


@case
def modes(say):
    say("chmod", moved("f", lambda: os.chmod("f", 0o755)), seen("f"), moved("f", lambda: os.chmod("f", 0o755)))
    say("folder", fails(os.chmod, "d", 0o1770), seen("d"), "through a link", fails(os.chmod, "l", 0o600), seen("f"))
    say("setuid", fails(os.chmod, "f", 0o4755), seen("f"))
    say("setgid", fails(os.chmod, "f", 0o2755), seen("f"))
    say("setgid of a folder", fails(os.chmod, "d", 0o2755), seen("d"))
    say("in it", fails(os.mkdir, "d/new"), seen("d/new"))


@case
def owners(say):
    say("own", moved("f", lambda: os.chown("f", os.getuid(), os.getgid())), fails(os.chown, "f", -1, -1))
    say("another", fails(os.chown, "f", os.getuid() + 1, -1))
    say("another group", fails(os.chown, "f", -1, os.getgid() + 1))
    say("link", fails(os.lchown, "l", os.getuid(), -1), fails(os.lchown, "dangling", -1, os.getgid()))


@case
def times(say):
    os.utime("f", ns=(10**18 + 1, 10**18 + 2))
    say("set", os.stat("f").st_mtime_ns, os.stat("f").st_atime_ns)
    os.utime("d", ns=(5, -7 * 10**9))
    say("folder", os.stat("d").st_mtime_ns)
    os.utime("l", ns=(3, 4), follow_symlinks=False)
    say("link", os.lstat("l").st_mtime_ns, os.stat("f").st_mtime_ns)
    say("folder of a new file", moved("d", lambda: open("d/new", "w").close()))
    say("chmod", moved("g", lambda: os.chmod("g", 0o600)), "xattr", moved("g", lambda: os.setxattr("g", "user.x", b"")))
    say("rename", moved("empty", lambda: os.rename("f", "empty/f")), moved("d/sub", lambda: os.rename("d/sub", "d/sub")))


@case
def attributes(say):
    say("there", os.listxattr("f"), os.getxattr("f", "user.a"))
    say("flags", fails(os.setxattr, "f", "user.a", b"2", os.XATTR_CREATE), fails(os.setxattr, "f", "user.b", b"2", os.XATTR_REPLACE))
    say("remove", fails(os.removexattr, "f", "user.a"), fails(os.getxattr, "f", "user.a"), fails(os.removexattr, "f", "user.a"))
    say("long", fails(os.setxattr, "f", "user.long", b"x" * 3000), len(os.getxattr("f", "user.long")))
    say("link", fails(os.setxattr, "l", "user.a", b"", follow_symlinks=False))
    say("folder", fails(os.setxattr, "d", "user.d", b"1"), os.listxattr("d"))
    say("trusted", fails(os.setxattr, "f", "trusted.a", b"1"))
    say("security", fails(os.setxattr, "f", "security.a", b"1"))
    say("overlay", fails(os.setxattr, "f", "user.overlay.opaque", b"y"))
    say("overlay again", fails(os.getxattr, "f", "user.overlay.opaque"), sorted(os.listxattr("f")))


@case
def symlinks(say):
    say("read", os.readlink("l"), fails(os.readlink, "f"), seen("l"))
    say("make", fails(os.symlink, "x" * 4095, "long"), fails(os.symlink, "x" * 4096, "longer"), fails(os.symlink, "", "none"))
    say("there", fails(os.symlink, "f", "g"), fails(os.symlink, "f", "l"))
    say("loop", fails(os.symlink, "loop", "loop"), fails(os.open, "loop", os.O_RDONLY), fails(os.mkdir, "loop/x"))


@case
def special(say):
    say("fifo", fails(os.mkfifo, "fifo", 0o600), seen("fifo"), fails(os.mkfifo, "f"))
    say("device", fails(os.mknod, "null", stat.S_IFCHR | 0o600, os.makedev(1, 3)))
    say("block", fails(os.mknod, "disk", stat.S_IFBLK | 0o600, os.makedev(8, 0)))
    say("whiteout", fails(os.mknod, "out", stat.S_IFCHR, 0))
    s = socket.socket(socket.AF_UNIX)
    say("socket", fails(s.bind, "sock"), seen("sock") if os.path.lexists("sock") else "none")
    say("file", fails(os.mknod, "file", stat.S_IFREG | 0o600))


@case
def space(say):
    fd = os.open("f", os.O_RDWR)
    say("allocate", fails(os.posix_fallocate, fd, 0, 100_000), seen("f"))
    say("bad", fails(os.posix_fallocate, fd, 0, 0), fails(os.posix_fallocate, os.open("f", os.O_RDONLY), 0, 5))
    say("hole", os.lseek(fd, 0, os.SEEK_DATA), fails(os.lseek, fd, 200_000, os.SEEK_DATA))
    s = os.statvfs(".")
    say("limits", s.f_namemax, s.f_bsize, s.f_flag & os.ST_RDONLY)
    say("paths", os.pathconf(".", "PC_LINK_MAX") > 100, os.pathconf(".", "PC_NAME_MAX"))
    say("sync", fails(os.fsync, fd), fails(os.sync), fails(os.fsync, os.open("d", os.O_RDONLY)))


@case
def nameless(say):
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600)
    say("names", os.fstat(fd).st_nlink, os.write(fd, b"x"))


@case
def permissions(say):
    if os.getuid() == 0:
        os.chmod("d/x", 0)
        say("root reads what nobody may", fails(os.open, "d/x", os.O_RDONLY))
        say("and writes", fails(os.open, "d/x", os.O_WRONLY))
        os.chmod("empty", 0o500)
        say("and makes", fails(os.mkdir, "empty/x"))


{"start": start, "run": run}[sys.argv[1]]()
