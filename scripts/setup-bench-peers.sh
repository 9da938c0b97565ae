#!/bin/sh
# Fetches the sandboxes of others that `cargo xtask bench` measures beside Raincoat. They are only run, never shipped:
# `@anthropic-ai/sandbox-runtime` and `@openai/codex` from npm, by the lockfile in scripts/bench-peers, and nono-cli from
# crates.io where it is asked for: it takes over six minutes of two cores. About 200 MB to fetch and 430 MB on the disk,
# once. bubblewrap and socat come from the system.
#
#   scripts/setup-bench-peers.sh [--nono]
#
# A second call does nothing. What cannot be had is said and left out; its rows then say so.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
dir="$here/target/bench-peers"
pins="$here/scripts/bench-peers"
# 0.81.0's lockfile names a version of a crate that is not to be had.
nono=0.80.0

mkdir -p "$dir"
for program in bwrap:bubblewrap socat:socat; do
    command -v "${program%:*}" >/dev/null || echo "\`${program%:*}\` is missing: install ${program#*:}" >&2
done

# The stamps are written last: what they stand beside is whole, and of these pins.
if ! cmp -s "$pins/package-lock.json" "$dir/npm/installed.json"; then
    if command -v npm >/dev/null; then
        rm -rf -- "$dir/npm"
        mkdir "$dir/npm"
        cp -- "$pins/package.json" "$pins/package-lock.json" "$dir/npm/"
        (cd "$dir/npm" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
        cp -- "$pins/package-lock.json" "$dir/npm/installed.json"
    else
        echo "npm is missing: install nodejs and npm" >&2
    fi
fi

if [ "${1:-}" = --nono ] && [ "$(cat "$dir/nono/installed.txt" 2>/dev/null)" != "$nono" ]; then
    rm -rf -- "$dir/nono"
    if CARGO_TARGET_DIR="$dir/nono-build" cargo install --quiet --locked --root "$dir/nono" --version "$nono" nono-cli; then
        echo "$nono" >"$dir/nono/installed.txt"
    else
        echo "nono-cli $nono could not be built" >&2
    fi
    rm -rf -- "$dir/nono-build"
fi
