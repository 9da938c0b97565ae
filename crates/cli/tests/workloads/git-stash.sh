#!/bin/sh
# Changes are stashed and had back.
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
    echo changed >>log && rm dir3/numbers && echo new >new && git stash -q -u && git stash list >../stashes.txt
    git stash apply -q && git stash drop -q && git diff --stat >../diff.txt && git add -p </dev/null >/dev/null 2>&1 || true
    git restore . && git clean -qfd
    ;;
esac
