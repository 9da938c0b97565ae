#!/bin/sh
# A file of several names is changed in place, through one and then another of them.
set -eu
case $1 in
start)
    mkdir d e && echo one >d/a && ln d/a d/b && ln d/a e/c && echo two >d/x && ln d/x d/y && echo three >p && ln p q && setfattr -n user.n -v 1 p
    ;;
run)
    echo more >>d/a
    chmod 600 d/x && truncate -s 2 d/x
    setfattr -n user.n -v 2 p && touch -d 2001-01-01 p
    ;;
esac
