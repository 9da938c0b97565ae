#!/bin/sh
# Patches change, make and remove files; one is taken back, and one does not fit.
set -eu
case $1 in
start)
    mkdir -p a/b/c empty "with space" && seq 1 500 >a/numbers && seq 1 50 >a/b/few && echo deep >a/b/c/deep
    ln -s ../a/numbers a/link && ln -s nowhere dangling && chmod 600 a/b/few && chmod 755 a/b/c/deep
    printf 'x' >"with space/name" && : >nothing && truncate -s 300000 hole && printf end >>hole
    setfattr -n user.note -v kept a/b/few && touch -d 2001-02-03T04:05:06.789 a/b/few a/numbers a/b
    chmod 750 a/b && touch -h -d 2002-01-01 dangling
    cat >one.diff <<'P'
--- a/b/few
+++ a/b/few
@@ -1,3 +1,3 @@
 1
-2
+two
 3
--- /dev/null
+++ a/made/by/patch
@@ -0,0 +1 @@
+made
--- a/b/c/deep
+++ /dev/null
@@ -1 +0,0 @@
-deep
P
    ;;
run)
    patch -s -p0 <one.diff && patch -s -b -p0 -R <one.diff && patch -s -p0 <one.diff
    patch -s -p0 -N -r rejected <one.diff || echo "does not fit" >said.txt
    ;;
esac
