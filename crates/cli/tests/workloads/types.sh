#!/bin/sh
# What was a file becomes a folder or a link, and so on around.
set -eu
case $1 in
start)
    mkdir -p d1/in d2/in && echo f >f1 && echo f >f2 && ln -s f1 l1 && ln -s d1 l2 && echo x >d1/in/x && echo x >d2/in/x && setfattr -n user.a -v 1 f1
    ;;
run)
    rm f1 && mkdir -p f1/now/deep && echo x >f1/now/deep/x && rm f2 && ln -s d1 f2
    rm -r d1 && echo now >d1 && rm -r d2 && ln -s f1 d2 && rm l1 && mkdir l1 && rm l2 && echo now >l2
    ;;
esac
