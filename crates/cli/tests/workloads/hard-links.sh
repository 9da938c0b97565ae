#!/bin/sh
# Names are given to files and taken from them; a file with several is changed in place and replaced.
set -eu
case $1 in
start)
    mkdir d e && echo one >d/a && ln d/a d/b && ln d/a e/c && echo two >single && echo three >d/x && ln d/x d/y
    ;;
run)
    ln single d/second && ln d/a new-name && rm d/b && mv e/c e/moved
    echo fresh >fresh && ln fresh d/fresh && ln fresh e/fresh && echo changed >>fresh
    echo replaced >tmp && mv tmp d/y && ln -f single d/x && cp -al d copied && rm single
    ;;
esac
