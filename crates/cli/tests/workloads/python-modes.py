"""Files are written in every mode and by every call that python knows."""

import ctypes
import mmap
import os
import shutil
import stat
import sys
import tempfile

NAMES = "w a r+ x wb ab r+b truncate mmap direct fallocate range replace sendfile pwritev append fd dup splice".split()


def start():
    for name in NAMES:
        with open(name, "w") as f:
            f.write(name * 3000)
    os.unlink("x")
    os.makedirs("d/e")
    os.symlink("w", "link")
    os.setxattr("w", "user.w", b"1")
    # Only what a program is given back when it asks is a file's time: a clock's tick apart from now.
    for at, dirs, files in os.walk("."):
        for name in dirs + files:
            os.utime(os.path.join(at, name), (10**9, 10**9), follow_symlinks=False)


def run():
    with open("w", "w") as f:
        f.write("anew")
    with open("a", "a") as f:
        f.write("at the end")
    with open("r+", "r+") as f:
        f.seek(10)
        f.write("within")
    with open("x", "x") as f:
        f.write("new")
    with open("wb", "wb", buffering=0) as f:
        f.write(bytes(range(256)))
        f.seek(10_000)
        f.write(b"after a hole")
    with open("ab", "a+b") as f:
        f.seek(0)
        assert f.read(1) == b"a"
        f.write(b"more")
    with open("r+b", "r+b") as f:
        f.truncate(5)
        f.seek(20)
        f.write(b"later")
    os.truncate("truncate", 7)
    with open("mmap", "r+b") as f, mmap.mmap(f.fileno(), 0) as shared:
        shared[100:104] = b"MMAP"
        shared.flush()
        shared.resize(20_000)
        shared[19_000:19_003] = b"end"
    direct()
    fd = os.open("fallocate", os.O_RDWR)
    os.posix_fallocate(fd, 0, 50_000)
    os.close(fd)
    a, b = os.open("range", os.O_RDWR), os.open("ranged", os.O_WRONLY | os.O_CREAT, 0o600)
    assert os.copy_file_range(a, b, 2000, 0, 100) == 2000
    os.copy_file_range(a, a, 100, 0, 9000)
    os.close(a), os.close(b)
    for n in range(5):
        with open(f"replace.{n}", "w") as f:
            f.write(f"version {n}")
            f.flush()
            os.fsync(f.fileno())
        os.replace(f"replace.{n}", "replace")
    a, b = os.open("sendfile", os.O_RDONLY), os.open("sent", os.O_WRONLY | os.O_CREAT, 0o644)
    os.sendfile(b, a, 5, 1000)
    os.close(a), os.close(b)
    fd = os.open("pwritev", os.O_RDWR)
    os.pwritev(fd, [b"one", b"two"], 50)
    os.lseek(fd, 0, os.SEEK_END)
    os.writev(fd, [b"three"])
    os.fdatasync(fd)
    os.fchmod(fd, 0o640)
    os.utime(fd, (1, 2))
    os.close(fd)
    fds = [os.open("append", os.O_WRONLY | os.O_APPEND | os.O_SYNC) for _ in range(3)]
    for n, fd in enumerate(fds * 3):
        os.write(fd, b"%d" % n)
    [os.close(fd) for fd in fds]
    # What is open stays open when its name goes, and another takes its place.
    with open("fd", "r+") as f:
        os.unlink("fd")
        f.write("into what has no name")
        with open("fd", "w") as g:
            g.write("of the name")
    fd = os.open("dup", os.O_RDWR)
    other = os.dup(fd)
    os.write(other, b"by the copy")
    os.close(fd)
    os.write(other, b" after")
    os.close(other)
    piped()
    os.remove("link")
    os.symlink(os.readlink("/proc/self/cwd") + "/a", "link")
    assert os.path.realpath("link").endswith("/a")
    os.setxattr("w", "user.w", b"2", os.XATTR_REPLACE)
    os.setxattr("d", "user.d", b"\0\1", os.XATTR_CREATE)
    os.link("w", "w2")
    os.rename("d/e", "e")
    os.mkfifo("fifo")
    os.unlink("fifo")
    nameless()
    with tempfile.NamedTemporaryFile(dir=".", delete=False) as f:
        f.write(b"temporary")
    os.rename(f.name, "kept")
    with tempfile.TemporaryDirectory(dir="."):
        pass
    shutil.copytree("e", "e2")
    shutil.move("e2", "d/e2")
    exchange()
    os.mkdir("s")
    os.chmod("s", stat.S_IRWXU | stat.S_ISVTX)
    fd = os.open("d", os.O_RDONLY)
    os.close(os.open("below", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=fd))
    os.fsync(fd)
    os.close(fd)


def direct():
    fd = os.open("direct", os.O_RDWR | os.O_DIRECT)
    page = mmap.mmap(-1, 4096)
    page.write(b"D" * 4096)
    os.pwrite(fd, page, 4096)
    os.close(fd)


def piped():
    """Through a pipe by splice(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    into, out = os.pipe()
    os.write(out, b"spliced")
    fd = os.open("splice", os.O_WRONLY)
    at = ctypes.c_longlong(20)
    assert libc.splice(into, None, fd, ctypes.byref(at), 7, 0) == 7
    [os.close(fd) for fd in (into, out, fd)]


def nameless():
    """A file without a name is given one."""
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o644)
    os.write(fd, b"was nameless")
    assert ctypes.CDLL(None).linkat(-100, b"/proc/self/fd/%d" % fd, -100, b"named", 0x400) == 0
    os.close(fd)


def exchange():
    """Two names are exchanged, and one is taken only if it is free."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("left", "w") as f:
        f.write("left")
    assert libc.renameat2(-100, b"left", -100, b"w", 2) == 0
    assert libc.renameat2(-100, b"left", -100, b"a", 1) == -1 and ctypes.get_errno() == 17
    assert libc.renameat2(-100, b"d", -100, b"e", 2) == 0


{"start": start, "run": run}[sys.argv[1]]()
