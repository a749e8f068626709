"""Foreign files with something changed at random: each ends as a verdict, within its time and memory."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator

import pytest

from consumers.validate.config import Limits
from consumers.validate.step import Validate
from streams.clock import SystemClock
from streams.memory_store import MemoryStore
from streams.step import Done, Quarantine
from tests.fuzz.bounds import Bounded
from tests.fuzz.target import load
from tests.mutated_files import mutations
from tests.received import CORPUS, identity, manifest, received

pytestmark = [pytest.mark.corpus, pytest.mark.usefixtures("corpus")]

# Of one file: what is in front of its pixels is what is read.
_HEAD_BYTES = 16_384
_UIDS = ("1.2.3", "1.2.3.4", "1.2.3.4.5")


@pytest.fixture
def untraced() -> Iterator[None]:
    """Whoever measures memory next measures his own."""
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("untraced")
def test_no_mutation_of_a_foreign_file_ends_a_process_or_costs_more_than_it_may() -> None:
    bounded = Bounded(load("validated_file"))
    held = accepted = 0
    for data in mutations(random.Random(6), [CORPUS / row["file"] for row in manifest()], _HEAD_BYTES):
        bounded(data)
        store = MemoryStore()
        (outcome,) = Validate(identity("validate"), store, Limits())([received(store, data, _UIDS)], SystemClock())
        assert isinstance(outcome, Done | Quarantine)
        held, accepted = held + isinstance(outcome, Quarantine), accepted + isinstance(outcome, Done)

    assert held
    assert held + accepted > 50
