#!/bin/sh
# Names are given to files and taken from them; a file with several names is replaced under one of them.
set -eu
case $1 in
start)
    mkdir d e && echo one >d/a && ln d/a d/b && ln d/a e/c && echo two >single && echo three >other && echo four >d/x && ln d/x d/y
    ;;
run)
    ln single d/second && ln other e/other && echo more >>e/other
    echo fresh >fresh && ln fresh d/fresh && ln fresh e/fresh && echo changed >>fresh
    echo replaced >tmp && mv tmp d/y && rm d/b
    mkdir n && echo n >n/a && ln n/a n/b && mv n m && ln -f fresh m/b
    ;;
esac
