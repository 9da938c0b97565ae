#!/bin/sh
# Extended attributes and ACLs are set, changed, copied and removed, on files and folders.
set -eu
case $1 in
start)
    mkdir -p d/e && echo x >d/f && echo y >g && setfattr -n user.old -v was d/f && setfattr -n user.gone -v was d/f && setfattr -n user.dir -v was d
    setfacl -m u:1:r g && setfacl -d -m u:1:rx d/e && ln -s g l
    ;;
run)
    setfattr -n user.old -v is d/f && setfattr -x user.gone d/f && setfattr -n user.dir -v is d && setfattr -n user.empty d/e
    setfattr -n user.binary -v 0x00ff00 g && setfattr -n user.long -v "$(seq 1 700 | tr -d '\n')" d/f && cp -a d copied
    setfacl -m u:2:rw d/f && setfacl -x u:1 g && echo inherits >d/e/new && mkdir d/e/sub && setfacl -b d/e && setfacl -k d/e
    ;;
esac
