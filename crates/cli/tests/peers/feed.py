"""Tells a witness of a log's published checkpoint with the client of PyPI `aics-witness`:
python feed.py URL WITNESS-VKEY LOG-FOLDER STATE-FILE

Proofs are made of the log's tiles. Prints the cosignature, or the error's name, and ends with 1.
"""

import sys

from aics_tlog import parse_note
from aics_tlog.checkpoint import checkpoint_from_note
from aics_tlog.tiles import FileSystemTileReader, consistency_proof_from_tiles
from aics_tlog.verified import VerifiedTileReader
from aics_witness.feeder import WitnessClient


def main(url, vkey, folder, state):
    note = parse_note(open(f"{folder}/checkpoint", "rb").read())
    head, _ = checkpoint_from_note(note)
    tiles = VerifiedTileReader(FileSystemTileReader(folder), head.size, head.root)
    client = WitnessClient(url, vkey, state_path=state)
    print(client.submit(note.to_bytes(), lambda old, new: consistency_proof_from_tiles(tiles, old, new)))


try:
    main(*sys.argv[1:])
except Exception as error:
    print(f"{type(error).__name__}: {error}")
    sys.exit(1)
