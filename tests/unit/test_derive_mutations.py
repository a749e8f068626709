"""Foreign files with something changed at random, their pixels too: of each, derive makes what can be made, and says so
of the rest. No process dies of one."""

from __future__ import annotations

import random

import pytest

from consumers.derive.config import Enhancement, Lossless, Output
from consumers.derive.step import Derive
from streams.clock import SystemClock
from streams.events import InstanceDerived
from streams.memory_store import MemoryStore
from streams.step import Done
from tests.mutated_files import mutations
from tests.received import CORPUS, events_of, identity, manifest, validated

pytestmark = [pytest.mark.corpus, pytest.mark.usefixtures("corpus")]

# A whole small file has its pixels in it, which are decoded, copied, and made into pictures.
_FILE_BYTES_MAX = 64 << 10
_UIDS = ("1.2.3", "1.2.3.4", "1.2.3.4.5")
_OUTPUTS = (
    Output(),
    Output(lossless=Lossless(syntax="jpeg-ls", recompress=True), enhancement=Enhancement(method="clahe")),
    Output(lossless=Lossless(syntax="htj2k-rpcl", recompress=True), enhancement=Enhancement(method="median")),
)


@pytest.mark.parametrize("resized", [False, True])
def test_no_mutation_of_a_foreign_file_ends_the_step_or_a_process(resized: bool) -> None:
    files = [path for row in manifest() if (path := CORPUS / row["file"]).stat().st_size <= _FILE_BYTES_MAX]
    chance = random.Random(7)
    made = copies = 0
    for data in mutations(chance, files, _FILE_BYTES_MAX, resized=resized):
        store = MemoryStore()
        step = Derive(identity("derive"), store, chance.choice(_OUTPUTS))
        (outcome,) = step([validated(store, data, _UIDS)], SystemClock())
        assert isinstance(outcome, Done)
        (event,) = events_of(outcome, store)
        assert isinstance(event, InstanceDerived)
        made, copies = made + 1, copies + bool(event.representations)

    assert made > 20
    assert copies
