#!/bin/sh
# Modes are changed, of files that may not be read and of folders that may not be entered, too.
set -eu
case $1 in
start)
    mkdir -p d/e locked/in && for f in a b c d/f d/e/g locked/in/x; do echo "$f" >"$f"; done
    chmod 000 b && chmod 555 d/e && chmod 000 locked/in && chmod 1777 d
    ;;
run)
    chmod 600 a && chmod 000 c && chmod u+x,g-r,o= d/f && chmod 700 d && chmod 755 d/e && echo more >>d/e/g && chmod 500 d/e
    chmod 755 locked/in && echo more >>locked/in/x && chmod 000 locked/in && chmod 644 b && echo more >>b && chmod 000 b
    mkdir -m 700 private && mkdir -m 1777 shared && umask 077 && echo secret >made && mkdir hidden && umask 000 && echo open >open && chmod -R a+X d
    ;;
esac
