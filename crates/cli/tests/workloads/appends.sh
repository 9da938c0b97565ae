#!/bin/sh
# Several processes append to the same files at once, and a log is rotated under them.
set -eu
case $1 in
start)
    mkdir log && for n in 1 2 3; do seq 1 100 >log/$n; done
    ;;
run)
    for p in 1 2 3 4 5; do (for n in $(seq 1 40); do echo line >>log/1; echo line >>log/new; done) & done; wait
    mv log/3 log/3.1 && gzip -n log/3.1 && : >log/3 && (exec 3>>log/2; echo a >&3; mv log/2 log/2.old; echo b >&3) && echo c >log/2
    ;;
esac
