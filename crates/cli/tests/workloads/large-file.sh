#!/bin/sh
# One file of so many MiB is changed in its middle and appended to; another is written anew.
set -eu
case $1 in
start)
    dd if=/dev/zero of=large bs=1M count="$2" status=none && printf begin | dd of=large conv=notrunc status=none
    ;;
run)
    printf middle | dd of=large bs=1M seek="$(($2 / 2))" conv=notrunc status=none && printf end >>large
    dd if=/dev/zero of=new bs=1M count="$2" status=none && printf begin | dd of=new conv=notrunc status=none
    ;;
esac
