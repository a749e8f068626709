"""Foreign files with something changed at random.

RADSTREAM_MUTATED_MB says how much of them; `make fuzz` takes 20 MB.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

_OVERWRITING, _RESIZING = 2, 6
BYTES = int(float(os.environ.get("RADSTREAM_MUTATED_MB", "1")) * 1_000_000)
_INTERESTING = (
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\xfe\xff\0\xe0",
    b"SQ\0\0",
    b"\\",
    b"\x1b$B",
    b"\x7f\xff\xff\xff",
    b"UN\0\0",
)


def mutations(chance: random.Random, files: Sequence[Path], length: int, *, resized: bool = True) -> Iterator[bytes]:
    """Of the first `length` bytes of files drawn at random, until they are BYTES. Unless `resized`, no byte is put in
    or taken out, so most lengths still hold and what is in the values is read.
    """
    done = 0
    while done < BYTES:
        with chance.choice(files).open("rb") as file:
            data = bytearray(file.read(length))
        for _ in range(chance.choice((1, 2, 4, 16))):
            _mutate(data, chance, _RESIZING if resized else _OVERWRITING)
        done += len(data)
        yield bytes(data)


def _mutate(data: bytearray, chance: random.Random, kinds: int) -> None:
    """One change, behind the preamble: a reader that stops there sees none."""
    at = chance.randrange(132, max(133, len(data)))
    match chance.randrange(kinds):
        case 0:
            data[at : at + 1] = bytes((chance.randrange(256),))
        case 1:
            new = chance.choice(_INTERESTING)
            data[at : at + len(new)] = new
        case 2:
            del data[at : at + chance.choice((1, 2, 8, 100))]
        case 3:
            piece = bytes(data[at : at + chance.choice((8, 40, 400))])
            data[at:at] = piece * chance.choice((1, 2, 50))
        case 4:
            del data[at:]
        case _:
            data[at:at] = chance.randbytes(chance.choice((1, 2, 7)))
