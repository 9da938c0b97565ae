#!/bin/sh
# Folders are moved: deep ones, onto empty ones, within themselves, and back.
set -eu
case $1 in
start)
    mkdir -p a/b/c empty "with space" && seq 1 500 >a/numbers && seq 1 50 >a/b/few && echo deep >a/b/c/deep
    ln -s ../a/numbers a/link && ln -s nowhere dangling && chmod 600 a/b/few && chmod 755 a/b/c/deep
    printf 'x' >"with space/name" && : >nothing && truncate -s 300000 hole && printf end >>hole
    setfattr -n user.note -v kept a/b/few && touch -d 2001-02-03T04:05:06.789 a/b/few a/numbers a/b
    chmod 750 a/b && touch -h -d 2002-01-01 dangling
    mkdir -p onto deep/1/2/3/4/5 && seq 1 9 >deep/1/2/3/4/5/f && mkdir -p tree/x/y && touch tree/x/y/z tree/x/w
    ;;
run)
    mv a moved && mv -T moved onto && mv deep/1/2 "deep/1/two" && mv deep/1/two/3 . && mv tree/x/y tree && rmdir tree/x 2>/dev/null || true
    mv onto back && mkdir onto && mv back/b onto/ && mv onto/b back/b && echo new >back/b/c/new && mv back a
    mv "with space" empty/ && mv empty "other name" && ln -s "other name" link && mv link "other name/" && mv 3 3b && mv 3b/4 3b/four
    mkdir n && mv n m && touch m/f && mv m/f m/g && mv -n m/g nothing && mv -b nothing hole
    ;;
esac
