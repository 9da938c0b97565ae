#!/bin/sh
# Files are edited by vim, which saves by renaming or by writing over, and keeps an undo file.
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
    vim -u NONE -es -c '%s/1/one/' -c 'wq' a/numbers
    vim -u NONE -es -c 'set backup backupcopy=no' -c '1d' -c 'wq' a/b/few
    vim -u NONE -es -c 'set backupcopy=yes nowritebackup' -c 'normal Onew' -c 'wq' a/b/c/deep
    vim -u NONE -es -c 'w written' -c 'q' a/b/c/deep && vim -u NONE -es -c 'normal ofrom vim' -c 'wq' "with space/new file"
    ;;
esac
