"""Verifies what can be verified without tiles, with PyPI `metamorphic-log` (a Rust core of its own):
python metamorphic.py VKEY PROOF-FILE [OLD-CHECKPOINT REQUEST]

The proof file's extra data is the entry. The request is one to a witness (c2sp.org/tlog-witness): a consistency proof
from the old checkpoint and a new checkpoint.
"""

import base64
import hashlib
import sys

import metamorphic_log as log


def main(vkey, proof_file, old_checkpoint=None, request=None):
    head, note = open(proof_file, encoding="utf-8", newline="").read().split("\n\n", 1)
    first, extra, index, *path = head.split("\n")
    if first != "c2sp.org/tlog-proof@v1" or not extra.startswith("extra ") or not index.startswith("index "):
        raise ValueError("not a proof with an entry in it")
    leaf = hashlib.sha256(b"\0" + base64.b64decode(extra[6:])).digest()
    if log.verify_signed_note(note, [vkey]) < 1:
        raise ValueError("not signed")
    seen = log.checkpoint_verify(note, [vkey])
    log.checkpoint_verify_inclusion(note, [vkey], int(index[6:]), leaf, [base64.b64decode(line) for line in path])
    if request is not None:
        proof, newer = open(request, encoding="utf-8", newline="").read().split("\n\n", 1)
        hashes = [base64.b64decode(line) for line in proof.split("\n")[1:]]
        older = open(old_checkpoint, encoding="utf-8", newline="").read()
        log.checkpoint_verify_consistency(older, newer, [vkey], hashes)
    print(f"{seen.size} entries, root {bytes(seen.root).hex()}")


try:
    main(*sys.argv[1:])
except Exception as error:
    print(f"refused: {type(error).__name__}: {error}")
    sys.exit(1)
