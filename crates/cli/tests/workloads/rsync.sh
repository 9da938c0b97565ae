#!/bin/sh
# A tree is mirrored with everything, then mirrored again after changes, in place and with deletions.
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
    rsync -aHAXS a empty hole dangling nothing mirror
    echo more >>a/b/few && rm a/b/c/deep && seq 2 501 >a/numbers && mkdir a/new && mv a/link a/new/link
    rsync -aHAX --delete a empty hole mirror && rsync -a --inplace --no-whole-file a/numbers mirror/a/numbers
    rsync -a --delete --delay-updates --backup --backup-dir="$TREE/old" a/ mirror/a/ && rsync -a --remove-source-files "with space/" taken
    ;;
esac
