"""Of large objects one is in the memory of a step at a time, and small ones wait for none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from consumers.derive.config import Output
from consumers.derive.step import Derive
from consumers.validate.config import Limits
from consumers.validate.step import Validate
from streams import one_large
from streams.clock import SystemClock
from streams.events import ObjectRef
from streams.memory_store import MemoryStore
from streams.step import Done
from tests import images
from tests.received import identity, received, validated

THREADS = 4
DEADLINE_S = 30.0


class Counting(MemoryStore):
    """Gives no object of `of` bytes or more before `gate` is open; `most` of them were read at the same time."""

    def __init__(self, of: int) -> None:
        super().__init__()
        self.of = of
        self.gate, self.entered = threading.Event(), threading.Event()
        self.now = self.most = 0
        self._counting = threading.Lock()

    def read(self, ref: ObjectRef) -> bytes:
        if ref.length < self.of:
            return super().read(ref)
        with self._counting:
            self.now += 1
            self.most = max(self.most, self.now)
        self.entered.set()
        self.gate.wait()
        with self._counting:
            self.now -= 1
        return super().read(ref)


def image(size: int, number: int) -> bytes:
    return images.native(np.full((1, size, size), number, np.uint16))


@pytest.mark.parametrize("name", ["validate", "derive"])
def test_small_ones_are_done_while_one_large_is_read_and_the_others_wait(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = image(8, 0), [image(64, number) for number in range(THREADS)]
    store = Counting(len(large[0]) - 100)
    monkeypatch.setattr(one_large, "LARGE_BYTES", store.of)
    clock = SystemClock()
    if name == "validate":
        validate = Validate(identity(name), store, Limits())
        calls: list[Callable[[], object]] = [
            lambda one=one: validate([received(store, one)], clock)[0] for one in (*large, small)
        ]
    else:
        derive = Derive(identity(name), store, Output())
        calls = [lambda one=one: derive([validated(store, one)], clock)[0] for one in (*large, small)]
    with ThreadPoolExecutor(THREADS + 1) as pool:
        waiting = [pool.submit(call) for call in calls[:-1]]
        try:
            assert store.entered.wait(DEADLINE_S)
            assert isinstance(pool.submit(calls[-1]).result(DEADLINE_S), Done)
        finally:
            store.gate.set()
        assert all(isinstance(one.result(DEADLINE_S), Done) for one in waiting)
    assert store.most == 1
