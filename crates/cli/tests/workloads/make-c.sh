#!/bin/sh
# A C project is made, made again after a change, and cleaned.
set -eu
case $1 in
start)
    mkdir -p src include
    printf 'int add(int, int);\n' >include/add.h
    printf '#include "add.h"\nint add(int a, int b) { return a + b; }\n' >src/add.c
    printf '#include <stdio.h>\n#include "add.h"\nint main(void) { printf("%%d\\n", add(1, 2)); return 0; }\n' >src/main.c
    printf 'CFLAGS = -Iinclude -O1\nprog: src/add.o libadd.a src/main.o\n\tcc -o $@ src/main.o libadd.a\nlibadd.a: src/add.o\n\tar rcD $@ $^\n\tranlib -D $@\nclean:\n\trm -f src/*.o libadd.a\n' >Makefile
    touch -d 2026-01-01 src/* include/* Makefile
    ;;
run)
    make -s && ./prog >out1.txt
    printf 'int add(int a, int b) { return b + a; }\n' >src/add.c && make -s -j2 && ./prog >out2.txt
    make -s clean
    ;;
esac
