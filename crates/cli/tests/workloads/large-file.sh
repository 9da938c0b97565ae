#!/bin/sh
# One file of so many MiB is changed in its middle and appended to; another is written anew. A part of each is data and
# the rest holes, so that a file larger than what a disk has to spare can be played.
set -eu
large() {
    seq 1 "$3" >"$1"
    seq 1 "$3" | dd of="$1" bs=1M seek="$(($2 / 2))" conv=notrunc status=none
    truncate -s "$2M" "$1" && echo end >>"$1"
}
case $1 in
start)
    large large "$2" 5000000
    ;;
run)
    echo middle | dd of=large bs=1M seek="$(($2 / 2 + 3))" conv=notrunc status=none && echo more >>large
    large new "$2" 5000000 && truncate -s "$(($2 + 1))M" new
    ;;
esac
