"""Makes a tree and works on it as it is told: a list of operations as JSON, each an operation's name and its
arguments. An operation that fails is passed over; how each went is printed, so that two runs can be compared."""

import errno
import json
import os
import sys

NAMES = ["a", "b", "c", "d", "d/e", "d/f", "d/g", "d/e/h", "d/e/i", "x", "x/y", "x/z", "x/y/w", "n", "m"]
DIRS = ["d", "d/e", "x", "x/y"]


def start():
    for name in DIRS:
        os.mkdir(name)
    for name in ["a", "b", "d/f", "d/e/h", "x/z", "x/y/w"]:
        with open(name, "w") as f:
            f.write(name * 100)
    os.symlink("a", "n")
    os.setxattr("a", "user.a", b"start")
    os.chmod("b", 0o600)
    for at, dirs, files in os.walk(".", topdown=False):
        for name in dirs + files:
            os.utime(os.path.join(at, name), ns=(10**18 + 5, 10**18 + 7), follow_symlinks=False)
    os.utime(".", ns=(10**18, 10**18))


def run():
    for number, (what, *arguments) in enumerate(json.load(open(sys.argv[2]))):
        try:
            said = one(what, *arguments)
        except OSError as error:
            said = errno.errorcode[error.errno]
        print(number, what, *arguments, "=", said)


def one(what, n, m=0, size=0):
    name, other = NAMES[n % len(NAMES)], NAMES[m % len(NAMES)]
    if what == "create":
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600 + m % 64))
    elif what == "write":
        put(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, size, 0)
    elif what == "within":
        put(name, os.O_WRONLY, m, size)
    elif what == "append":
        put(name, os.O_WRONLY | os.O_APPEND, size, 0)
    elif what == "truncate":
        os.truncate(name, size)
    elif what == "rename":
        os.rename(name, other)
    elif what == "link":
        os.link(name, other, follow_symlinks=False)
    elif what == "symlink":
        os.symlink(other, name)
    elif what == "mkdir":
        os.mkdir(name, 0o700 + m % 64)
    elif what == "rmdir":
        os.rmdir(name)
    elif what == "unlink":
        os.unlink(name)
    elif what == "chmod":
        os.chmod(name, 0o700 + m % 64)
    elif what == "setxattr":
        os.setxattr(name, "user." + "abc"[m % 3], b"v" * (size % 300), follow_symlinks=False)
    elif what == "removexattr":
        os.removexattr(name, "user." + "abc"[m % 3], follow_symlinks=False)
    elif what == "utime":
        os.utime(name, ns=(m * 10**9 + 3, m * 10**9 + size), follow_symlinks=False)
    elif what == "list":
        return sorted(os.listdir(name))
    elif what == "read":
        with open(name, "rb") as f:
            return hash_of(f.read())
    elif what == "stat":
        s = os.lstat(name)
        return oct(s.st_mode), s.st_size if not os.path.isdir(name) else 0, s.st_uid, s.st_gid
    else:
        raise ValueError(what)
    return "done"


def put(name, flags, size, at):
    fd = os.open(name, flags, 0o644)
    try:
        os.lseek(fd, at, os.SEEK_SET)
        os.write(fd, (name * (size + 1)).encode()[:size])
    finally:
        os.close(fd)


def hash_of(content):
    out = 0
    for byte in content:
        out = (out * 31 + byte) % 2**32
    return out


{"start": start, "run": run}[sys.argv[1]]()
