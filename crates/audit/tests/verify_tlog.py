"""An independent check of a tlog-tiles directory (c2sp.org/tlog-tiles), standard library only.

Reads `checkpoint`, recomputes every leaf hash from the entry bundles, every tile from the leaves and the root from all
of it (RFC 6962), and compares. Signatures are not checked here. Exit code 0 and the root, or 1 and what is wrong.
"""

import base64
import hashlib
import os
import sys


def leaf(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def mth(row):
    if not row:
        return hashlib.sha256(b"").digest()
    if len(row) == 1:
        return row[0]
    k = 1
    while k * 2 < len(row):
        k *= 2
    return hashlib.sha256(b"\1" + mth(row[:k]) + mth(row[k:])).digest()


def number(n):
    out = "%03d" % (n % 1000)
    while n >= 1000:
        n //= 1000
        out = "x%03d/%s" % (n % 1000, out)
    return out


def load(root, kind, n, width):
    """The tile or bundle n: the full one where width is 256; else the partial one, or the full one in its stead."""
    full = os.path.join(root, "tile", kind, number(n))
    partial = "%s.p/%d" % (full, width)
    path = partial if width < 256 and os.path.exists(partial) else full
    with open(path, "rb") as file:
        return path, file.read()


def fail(text):
    print(text)
    sys.exit(1)


def main(root):
    with open(os.path.join(root, "checkpoint"), encoding="utf-8") as file:
        note = file.read()
    text, signatures = note.rsplit("\n\n", 1)
    origin, size, wanted = text.split("\n")[:3]
    size, wanted = int(size), base64.b64decode(wanted, validate=True)
    if not any(line.startswith("\u2014 %s " % origin) for line in signatures.split("\n")):
        fail("the checkpoint has no signature line of its origin")

    row = []
    for n in range((size + 255) // 256):
        width = min(256, size - n * 256)
        path, data = load(root, "entries", n, width)
        at = 0
        for _ in range(width):
            length = int.from_bytes(data[at:at + 2], "big")
            if at + 2 + length > len(data):
                fail("%s: cut off" % path)
            row.append(leaf(data[at + 2:at + 2 + length]))
            at += 2 + length
        if at != len(data) and not (width < 256 and not path.endswith("/%d" % width)):
            fail("%s: bytes left over" % path)

    if mth(row) != wanted:
        fail("the entries do not hash to the checkpoint's root")

    level = 0
    while row:
        for n in range((len(row) + 255) // 256):
            hashes = row[n * 256:n * 256 + 256]
            path, data = load(root, str(level), n, len(hashes))
            if data[:32 * len(hashes)] != b"".join(hashes):
                fail("%s: not the hashes of what is below it" % path)
        row = [mth(row[n * 256:n * 256 + 256]) for n in range(len(row) // 256)]
        level += 1
    print("%d entries, root %s" % (size, wanted.hex()))


main(sys.argv[1])
