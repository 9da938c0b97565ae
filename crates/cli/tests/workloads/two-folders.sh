#!/bin/sh
# Two folders are granted; files and trees move from one to the other.
set -eu
case $1 in
start)
    mkdir -p one/d/e two/f && seq 1 9 >one/a && echo x >one/d/e/x && ln -s ../a one/d/l && echo y >two/f/y && setfattr -n user.k -v v one/a && touch -d 2001-01-01 one/a one/d/e/x one/d/e
    ;;
run)
    mv "$TREE/one/d" "$TREE/two/d" && mv "$TREE/one/a" "$TREE/two/a" && mv "$TREE/two/f" "$TREE/one/"
    cp -a "$TREE/two/d" "$TREE/one/d2" && echo more >>"$TREE/two/a"
    ;;
esac
