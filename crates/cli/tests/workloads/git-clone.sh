#!/bin/sh
# A repository is cloned, from one in the same tree, whole, bare and shallow.
set -eu
case $1 in
start)
    git init -q -b main repo && cd repo
    git config user.name nobody && git config user.email nobody@example.org
    git config gc.auto 0 && git config pack.threads 1
    for n in 1 2 3 4 5 6; do
        mkdir -p "dir$n" && seq "$n" "$((n * 40))" >"dir$n/numbers" && echo "$n" >>log
        git add -A && git commit -q -m "commit $n"
    done
    ln -s dir1/numbers link && chmod 755 dir2/numbers && git add -A && git commit -q -m links
    git checkout -q -b side HEAD~3 && echo side >side && git rm -qr dir2 && git add -A && git commit -q -m side
    echo more >>side && git commit -qam more && git checkout -q main
    ;;
run)
    git clone -q --no-hardlinks repo cloned
    git clone -q --no-hardlinks --bare repo bare.git
    git clone -q --depth 1 "file://$TREE/repo" shallow
    git -C cloned log --oneline --all >log.txt
    ;;
esac
