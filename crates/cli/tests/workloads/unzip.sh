#!/bin/sh
# A zip is made, unpacked, freshened and unpacked over what is there.
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
    TZ=UTC zip -q -r -y -X all.zip a empty dangling "with space" && mkdir out && unzip -q all.zip -d out
    echo newer >a/b/few && touch -d 2021-01-01 a/b/few && zip -q -f -X all.zip && unzip -q -o all.zip -d out && zip -q -d all.zip a/numbers
    ;;
esac
