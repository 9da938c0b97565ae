#!/bin/sh
# Empty folders are made, kept, filled and removed.
set -eu
case $1 in
start)
    mkdir -p e1 e2/e3/e4 e5 full/deep && touch full/f && chmod 711 e5
    ;;
run)
    mkdir -p n1 n2/n3/n4 n5/n6 && rmdir e1 && rmdir -p e2/e3/e4 && mkdir e2 && touch e5/now && rm full/f && rmdir full/deep full
    mkdir e1 && rmdir n5/n6 && touch n2/n3/f && rm n2/n3/f && mkdir -p full/deep/er
    ;;
esac
