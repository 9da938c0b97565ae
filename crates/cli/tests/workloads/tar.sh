#!/bin/sh
# A tree is packed, unpacked beside and over itself, with attributes, holes and links.
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
    tar -cf all.tar --sort=name a empty hole dangling "with space" nothing
    mkdir out && tar -xpf all.tar -C out
    tar -czf all.tar.gz --sort=name --mtime=@0 a && tar -xzf all.tar.gz
    tar -cSf sparse.tar --xattrs hole a && rm -r a hole && tar -xSpf sparse.tar --xattrs --same-owner && rm sparse.tar
    tar -rf all.tar nothing && tar --delete -f all.tar nothing
    ;;
esac
