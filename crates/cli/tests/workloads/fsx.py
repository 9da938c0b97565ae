"""A file is read, written, truncated, mapped and punched at random, and compared with what it ought to hold at each
step, as `fsx` does; the same seed makes the same file."""

import ctypes
import mmap
import os
import random
import sys

MOST = 256 * 1024


def start():
    dice = random.Random(1)
    with open("file", "wb") as f:
        f.write(dice.randbytes(100_000))


def run():
    dice, steps = random.Random(int(sys.argv[2])), int(sys.argv[3])
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong]
    with open("file", "rb") as f:
        want = bytearray(f.read())
    fd = os.open("file", os.O_RDWR)
    for step in range(steps):
        at, many = dice.randrange(MOST), dice.randrange(1, 40_000)
        many = min(many, MOST - at)
        what = dice.choice("read write truncate map mapread punch zero append reopen direct".split())
        if what in ("write", "append"):
            at = len(want) if what == "append" else at
            many = min(many, MOST - at)
            data = dice.randbytes(many)
            assert os.pwrite(fd, data, at) == many
            grow(want, at + many)
            want[at : at + many] = data
        elif what == "truncate":
            os.ftruncate(fd, at)
            grow(want, at)
            del want[at:]
        elif what in ("map", "mapread") and len(want) > at:
            many = min(many, len(want) - at)
            with mmap.mmap(fd, len(want)) as shared:
                assert shared[at : at + many] == want[at : at + many], (step, "map")
                if what == "map":
                    data = dice.randbytes(many)
                    shared[at : at + many] = data
                    want[at : at + many] = data
        elif what in ("punch", "zero") and at < len(want):
            mode = 3 if what == "punch" else 0x11
            assert libc.fallocate(fd, mode, at, many) == 0, ctypes.get_errno()
            end = min(at + many, len(want))
            want[at:end] = bytes(end - at)
        elif what == "reopen":
            os.close(fd)
            fd = os.open("file", os.O_RDWR)
        elif what == "direct" and len(want) > 8192:
            other = os.open("file", os.O_RDONLY | os.O_DIRECT)
            page = mmap.mmap(-1, 4096)
            os.preadv(other, [page], 4096)
            os.close(other)
            assert page[:] == want[4096:8192], (step, "direct")
        got = os.pread(fd, MOST + 1, 0) if step % 20 == 0 else os.pread(fd, many, at)
        assert got == (want if step % 20 == 0 else want[at : at + many]), (step, what, at, many)
    assert os.fstat(fd).st_size == len(want)


def grow(want, to):
    if len(want) < to:
        want.extend(bytes(to - len(want)))


{"start": start, "run": run}[sys.argv[1]]()
