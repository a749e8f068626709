"""Foreign files with something changed at random: each ends as a verdict, within its time and memory.

RADSTREAM_MUTATED_MB says how much; `make fuzz` takes 20 MB.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from consumers.validate.config import Limits
from consumers.validate.step import Validate
from streams.clock import SystemClock
from streams.memory_store import MemoryStore
from streams.step import Done, Quarantine
from tests.fuzz.bounds import Bounded
from tests.fuzz.target import load
from tests.received import CORPUS, identity, manifest, received

pytestmark = [pytest.mark.corpus, pytest.mark.usefixtures("corpus")]

BYTES = int(float(os.environ.get("RADSTREAM_MUTATED_MB", "1")) * 1_000_000)
# Of one file: what is in front of its pixels is what is read.
_HEAD_BYTES = 16_384
_UIDS = ("1.2.3", "1.2.3.4", "1.2.3.4.5")
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


def test_no_mutation_of_a_foreign_file_ends_a_process_or_costs_more_than_it_may() -> None:
    bounded = Bounded(load("validated_file"))
    held = accepted = 0
    for data in _mutations(random.Random(6)):
        bounded(data)
        store = MemoryStore()
        (outcome,) = Validate(identity("validate"), store, Limits())([received(store, data, _UIDS)], SystemClock())
        assert isinstance(outcome, Done | Quarantine)
        held, accepted = held + isinstance(outcome, Quarantine), accepted + isinstance(outcome, Done)

    assert held
    assert held + accepted > 50


def _mutations(chance: random.Random) -> Iterator[bytes]:
    files = [CORPUS / row["file"] for row in manifest()]
    done = 0
    while done < BYTES:
        with chance.choice(files).open("rb") as file:
            data = bytearray(file.read(_HEAD_BYTES))
        for _ in range(chance.choice((1, 2, 4, 16))):
            _mutate(data, chance)
        done += len(data)
        yield bytes(data)


def _mutate(data: bytearray, chance: random.Random) -> None:
    """One change, behind the preamble: a reader that stops there sees none."""
    at = chance.randrange(132, max(133, len(data)))
    match chance.randrange(6):
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
