#!/bin/sh
# A configure-like script probes by making and removing hundreds of scratch files, then installs.
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
    for n in $(seq 1 60); do mkdir conftest.dir && echo "$n" >conftest.dir/c && cp conftest.dir/c conftest.out && rm -rf conftest.dir conftest.out; done
    install -d -m 755 prefix/bin prefix/share && install -m 755 a/numbers prefix/bin/prog && install -p -m 644 a/b/few prefix/share/few
    ln -sfn prog prefix/bin/prog-1.0 && strip --version >/dev/null 2>&1 || true
    find prefix -exec touch -h -d 2020-02-02 {} + && mktemp -d -p . tmp.XXXX | xargs rmdir
    ;;
esac
