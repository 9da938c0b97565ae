#!/bin/sh
# Trees are removed and made again under their names, otherwise or the same.
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
    rm -rf a && mkdir -p a/b && echo other >a/b/few && echo was-a-folder >a/b/c
    rm -rf empty "with space" && mkdir empty && rm hole && seq 1 10 >hole && rm -f dangling && ln -s elsewhere dangling
    rm -rf a/b && mkdir a/b && chmod 700 a/b && rm nothing && : >nothing
    mkdir again && touch again/f && rm -r again && mkdir again && touch again/g
    ;;
esac
