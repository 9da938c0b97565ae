#!/bin/sh
# Trees are copied with everything, over others, and with links made instead.
set -eu
case $1 in
start)
    mkdir -p a/b/c empty "with space" && seq 1 500 >a/numbers && seq 1 50 >a/b/few && echo deep >a/b/c/deep
    ln -s ../a/numbers a/link && ln -s nowhere dangling && chmod 600 a/b/few && chmod 755 a/b/c/deep
    printf 'x' >"with space/name" && : >nothing && truncate -s 300000 hole && printf end >>hole
    setfattr -n user.note -v kept a/b/few && touch -d 2001-02-03T04:05:06.789 a/b/few a/numbers a/b
    chmod 750 a/b && touch -h -d 2002-01-01 dangling
    ;;
run)
    cp -a a copied && cp -a --reflink=auto hole hole2 && cp -r a/. "with space/" && cp -u a/numbers nothing && cp -al a linked
    cp --preserve=all a/b/few few && cp -a --no-target-directory a copied && cp -rs "$TREE/a" symlinked && install -m 640 -D a/numbers in/stalled
    cp --remove-destination nothing a/link && cp -b nothing a/b/few
    ;;
esac
