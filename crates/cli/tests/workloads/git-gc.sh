#!/bin/sh
# Objects are packed, reflogs expire, loose ones are pruned.
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
    cd repo
    git reflog expire --expire=now --all && git gc -q --prune=now --aggressive && git fsck --strict
    git repack -q -a -d && git pack-refs --all && git count-objects -v | grep -v size >../counts.txt
    ;;
esac
