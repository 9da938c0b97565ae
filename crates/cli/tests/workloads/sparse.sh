#!/bin/sh
# Files with holes are made, filled, punched and copied.
set -eu
case $1 in
start)
    truncate -s 1M hole && printf middle | dd of=hole bs=1 seek=500000 conv=notrunc status=none && seq 1 100000 >full
    ;;
run)
    truncate -s 3M new && printf x | dd of=new bs=4096 seek=300 conv=notrunc status=none
    printf y | dd of=hole bs=4096 seek=10 conv=notrunc status=none && fallocate -p -o 65536 -l 131072 full
    cp --sparse=always full copied && cp --sparse=never hole filled && fallocate -l 200000 reserved
    truncate -s 100 full && truncate -s 500000 full && fallocate -z -o 4096 -l 8192 filled && fallocate -d filled
    ;;
esac
