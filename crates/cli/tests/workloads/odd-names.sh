#!/bin/sh
# Names of every sort: spaces, newlines, quotes, bytes that are no text, long ones, composed twice.
set -eu
case $1 in
start)
    python3 - <<'P'
import os
for name in [b"a b", b"new\nline", b"quote'\"", b"\xff\xfe", b"-rf", b"caf\xc3\xa9", b"cafe\xcc\x81", b"x" * 255, b"*?[a]", b"\\back", b"...", b"tab\t", b"\x1b[31m", b"CON", b"trailing "]:
    with open(name, "wb") as f: f.write(name)
    os.mkdir(b"d" + name[:254])
P
    ;;
run)
    python3 - <<'P'
import os
for name in sorted(os.listdir(b".")):
    if os.path.isdir(name):
        with open(name + b"/" + name, "wb") as f: f.write(b"in")
        os.rename(name, b"m" + name[:254])
    else:
        with open(name, "ab") as f: f.write(b"more")
        os.link(name, b"l" + name[:254])
        os.rename(name, b"r" + name[:254])
os.mkdir(b"\xf0\x9f\x98\x80"); os.makedirs(b"/".join([b"deep" * 20] * 20)); open(b"\xe2\x80\xae\x01", "w").close()
P
    ;;
esac
