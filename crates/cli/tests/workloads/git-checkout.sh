#!/bin/sh
# Branches are switched, files are restored and removed.
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
    git checkout -q side && git checkout -q main && git checkout -q HEAD~2 && git checkout -q main
    git mv dir3 moved && git rm -q dir4/numbers && echo new >dir5/new && git add -A && git commit -q -m moved
    git checkout -q HEAD~1 -- dir4 && git clean -qfdx && git status --porcelain >../status.txt
    git worktree add -q ../worktree side
    ;;
esac
