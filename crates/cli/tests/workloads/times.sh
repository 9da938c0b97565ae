#!/bin/sh
# Files, folders and links are given old times, far ones and ones to the nanosecond.
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
    touch -d 1970-01-01T00:00:00Z a/numbers && touch -d 1960-05-05 hole && touch -d 2100-01-01T00:00:00.123456789Z nothing
    touch -m -d 2010-10-10 a/b/c && touch -h -d 2011-11-11 a/link && touch -r a/b/few "with space" && touch -a a/b/c/deep
    mkdir made && touch made/f && touch -d 2005-05-05 made/f made && touch -d 2006-06-06 .
    ;;
esac
