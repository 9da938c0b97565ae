#!/bin/sh
# So many small files are made, changed, moved and removed, in folders of a hundred.
set -eu
case $1 in
start)
    python3 - "$2" <<'P'
import os, sys
for n in range(int(sys.argv[1])):
    if n % 100 == 0:
        os.makedirs(f"old/{n // 100}")
    with open(f"old/{n // 100}/{n}", "w") as f:
        f.write(f"{n}\n" * (n % 50 + 1))
P
    ;;
run)
    python3 - "$2" <<'P'
import os, sys
many = int(sys.argv[1])
for n in range(many):
    if n % 100 == 0:
        os.makedirs(f"new/{n // 100}")
    with open(f"new/{n // 100}/{n}", "w") as f:
        f.write(f"{n}\n" * (n % 50 + 1))
for n in range(0, many, 7):
    os.unlink(f"old/{n // 100}/{n}")
for n in range(1, many, 7):
    with open(f"old/{n // 100}/{n}", "a") as f:
        f.write("more")
for n in range(2, many, 70):
    os.rename(f"old/{n // 100}/{n}", f"new/{n // 100}/moved-{n}")
P
    ;;
esac
