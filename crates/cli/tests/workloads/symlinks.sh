#!/bin/sh
# Links by the hundred are made, replaced and followed; some lead nowhere, around or out.
set -eu
case $1 in
start)
    mkdir farm store && for n in $(seq 1 40); do echo "$n" >"store/$n"; ln -s "../store/$n" "farm/$n"; done
    ln -s loop loop && ln -s /etc/passwd out && ln -s store dirlink && touch -h -d 2003-03-03 farm/7
    ;;
run)
    for n in $(seq 1 300); do ln -s "../store/$((n % 40 + 1))" "farm/new$n"; done
    for n in $(seq 1 20); do ln -sfn "../store/0$n" "farm/$n"; done
    echo through >farm/21 && echo through >dirlink/new && rm farm/22 && mv farm/23 farm/24 && ln -sfn farm dirlink && cp -P farm/25 copied
    cp -L farm/26 followed && ln -s "$(printf 'x%.0s' $(seq 1 3000))" long && touch -h -d 2004-04-04 out && ln -s a/../b//c/. odd
    ;;
esac
