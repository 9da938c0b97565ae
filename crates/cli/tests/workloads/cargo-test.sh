#!/bin/sh
# The tests of a crate are built and run, in a tree that was built before.
set -eu
case $1 in
start)
    mkdir -p small/src small/tests && cd small
    printf '[package]\nname = "small"\nversion = "0.1.0"\nedition = "2021"\n' >Cargo.toml
    printf 'pub fn add(a: u32, b: u32) -> u32 {\n    a + b\n}\n' >src/lib.rs
    printf 'fn main() {\n    println!("{}", small::add(1, 2));\n}\n' >src/main.rs
    printf '#[test]\nfn adds() {\n    assert_eq!(small::add(1, 2), 3);\n}\n' >tests/adds.rs
    touch -d 2026-01-01 src/* tests/* Cargo.toml
    cargo build -q --offline -j 1
    ;;
run)
    cd small
    cargo test -q --offline -j 1 --no-fail-fast -- --test-threads 1 >/dev/null
    cargo build -q --offline -j 1 --release
    ;;
esac
