#!/bin/sh
# What find finds is deleted, and empty folders after it.
set -eu
case $1 in
start)
    mkdir -p a/b/c empty "with space" && seq 1 500 >a/numbers && seq 1 50 >a/b/few && echo deep >a/b/c/deep
    ln -s ../a/numbers a/link && ln -s nowhere dangling && chmod 600 a/b/few && chmod 755 a/b/c/deep
    printf 'x' >"with space/name" && : >nothing && truncate -s 300000 hole && printf end >>hole
    setfattr -n user.note -v kept a/b/few && touch -d 2001-02-03T04:05:06.789 a/b/few a/numbers a/b
    chmod 750 a/b && touch -h -d 2002-01-01 dangling
    mkdir -p x/y/z && touch x/1.tmp x/y/2.tmp x/y/z/3.tmp x/y/keep
    ;;
run)
    find . -name '*.tmp' -delete && find . -type d -empty -delete && find a -type l -delete && find a -type f -newermt 2020-01-01 -delete
    ;;
esac
