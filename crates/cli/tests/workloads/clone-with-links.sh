#!/bin/sh
# A repository is cloned beside itself, which git does by hard links.
set -eu
case $1 in
start)
    git init -q -b main repo && cd repo && echo one >one && git add one
    git -c user.name=nobody -c user.email=nobody@example.org commit -q -m one
    ;;
run)
    git clone -q repo cloned
    ;;
esac
