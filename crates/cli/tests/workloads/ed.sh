#!/bin/sh
# Files are edited by ed, and as editors do that save by a rename.
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
    printf '1,2d\n$a\nlast\n.\nw\nq\n' | ed -s a/b/few
    cp -p a/b/c/deep a/b/c/.deep.swp && echo changed >>a/b/c/.deep.swp && mv a/b/c/.deep.swp a/b/c/deep
    echo v2 >nothing.tmp && sync nothing.tmp && ln -f nothing nothing~ && mv -f nothing.tmp nothing
    ;;
esac
