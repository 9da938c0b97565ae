"""Verifies a tlog-tiles folder with PyPI `aics-tlog`: python aics.py FOLDER VKEY [COSIGNER-VKEY...]

The checkpoint's signature and the cosignatures of all witnesses given, every tile and every entry bundle; and of some
entries the proofs that it makes out of the tiles, checked by its own verifiers.
"""

import sys

from aics_tlog import (
    audit_tiles, leaf_hash, parse_note, parse_vkey, verify_checkpoint, verify_consistency, verify_inclusion,
)
from aics_tlog.tiles import (
    FileSystemTileReader, consistency_proof_from_tiles, inclusion_proof_from_tiles, tree_root_from_tiles,
)
from aics_tlog.verified import VerifiedTileReader


def main(folder, vkey, *witnesses):
    note = parse_note(open(f"{folder}/checkpoint", "rb").read())
    keys = [parse_vkey(witness) for witness in witnesses]
    head = verify_checkpoint(note, parse_vkey(vkey), keys, len(keys), expected_origin=vkey.split("+")[0])
    if not head.ok:
        raise ValueError(head.error)
    size, root = head.size, head.root
    reader = FileSystemTileReader(folder)
    audit_tiles(reader, size, root)
    verified = VerifiedTileReader(reader, size, root)
    verified.check_root()
    for index in range(0, size, size // 20 + 1):
        proof = inclusion_proof_from_tiles(verified, index, size)
        if not verify_inclusion(leaf_hash(verified.entry(index)), index, size, proof, root):
            raise ValueError(f"entry {index} is not included")
    for old in range(1, size, size // 20 + 1):
        proof = consistency_proof_from_tiles(verified, old, size)
        if not verify_consistency(old, size, tree_root_from_tiles(verified, old, size), root, proof):
            raise ValueError(f"the tree of {old} entries is not the start")
    print(f"{size} entries, root {root.hex()}")


try:
    main(*sys.argv[1:])
except Exception as error:
    print(f"refused: {type(error).__name__}: {error}")
    sys.exit(1)
