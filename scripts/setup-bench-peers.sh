#!/bin/sh
# Fetches the tools of others that `cargo xtask bench` measures beside Raincoat. They are only run, never shipped:
# `@anthropic-ai/sandbox-runtime` and `@openai/codex` from npm, by the lockfile in scripts/bench-peers; nono-cli and
# rustic from crates.io where they are asked for: each takes many minutes of two cores; AgentDojo from PyPI, by the lock in
# scripts/bench-peers/agentdojo.txt, where it is asked for (350 MB on the disk). About 200 MB to fetch and 430 MB
# on the disk, once. What the system has packages for comes from there, and is named where it is missing.
#
#   scripts/setup-bench-peers.sh [--nono] [--rustic] [--agentdojo]
#
# A second call does nothing. What cannot be had is said and left out; its rows then say so.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
dir="$here/target/bench-peers"
pins="$here/scripts/bench-peers"
# 0.81.0's lockfile names a version of a crate that is not to be had.
nono=0.80.0
rustic=0.11.4

mkdir -p "$dir"
for program in bwrap:bubblewrap socat:socat git:git restic:restic borg:borgbackup b3sum:b3sum; do
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

# build NAME CRATE VERSION ARGUMENTS..: a program of crates.io, into a folder of its own.
build() {
    name=$1 crate=$2 version=$3
    shift 3
    [ "$(cat "$dir/$name/installed.txt" 2>/dev/null)" != "$version" ] || return 0
    rm -rf -- "$dir/$name"
    if CARGO_TARGET_DIR="$dir/$name-build" \
        cargo install --quiet --locked --root "$dir/$name" --version "$version" "$@" "$crate"; then
        echo "$version" >"$dir/$name/installed.txt"
    else
        echo "$crate $version could not be built" >&2
    fi
    rm -rf -- "$dir/$name-build"
}

# AgentDojo, in a Python of its own.
agentdojo() {
    ! cmp -s "$pins/agentdojo.txt" "$dir/agentdojo/installed.txt" || return 0
    command -v python3 >/dev/null || { echo "python3 is missing: install python3 and python3-venv" >&2; exit 1; }
    rm -rf -- "$dir/agentdojo"
    python3 -m venv "$dir/agentdojo" || { echo "python3 cannot make a venv: install python3-venv" >&2; exit 1; }
    "$dir/agentdojo/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-deps \
        --require-hashes -r "$pins/agentdojo.txt"
    cp -- "$pins/agentdojo.txt" "$dir/agentdojo/installed.txt"
}

for asked; do
    case $asked in
    --agentdojo) agentdojo ;;
    --nono) build nono nono-cli "$nono" ;;
    --rustic) build rustic rustic-rs "$rustic" --no-default-features ;;
    *) echo "\`$asked\` is none of this script's options" >&2; exit 2 ;;
    esac
done
