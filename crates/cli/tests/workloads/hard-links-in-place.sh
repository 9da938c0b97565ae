#!/bin/sh
# A file of several names is changed in place through one of them, and is given another name.
set -eu
case $1 in
start)
    echo one >a1 && ln a1 a2 && echo two >b1 && ln b1 b2 && echo three >c1 && ln c1 c2 && echo four >d1 && ln d1 d2
    ;;
run)
    echo more >>a1 && chmod 600 b1 && ln c1 c3 && touch -d 2001-01-01 d1
    ;;
esac
