#!/bin/sh
# Files are edited in place, with and without backups.
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
    perl -pi -e 's/1/one/' a/numbers a/b/few && perl -pi.orig -e '$_ = uc' a/b/c/deep
    perl -e 'utime 1, 2, "a/b/few"; rename "nothing", "something"; symlink "x", "y"; chmod 0640, "hole"; truncate "hole", 10'
    ;;
esac
