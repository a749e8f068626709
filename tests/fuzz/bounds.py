"""What reading may cost: each input is measured, and one that costs more than its size warrants is a failure."""

from __future__ import annotations

import time
import tracemalloc
from typing import Final

from tests.fuzz.target import Target

# What a reader may take whatever it is given (an inflated header has 8 MiB), and beyond that for each byte of input:
# a Python object for each element of eight bytes is some 30.
_MEMORY_BYTES: Final = 24 << 20
_MEMORY_BYTES_PER_BYTE: Final = 100
# Of the processor, with what instrumentation and measuring cost: a hundred times what a good input takes.
_CPU_S: Final = 2.0
_CPU_S_PER_BYTE: Final = 0.0001


class TooDear(Exception):
    """Reading an input cost more than it may."""


class Bounded:
    """A target's check with the bill."""

    def __init__(self, target: Target) -> None:
        self._check = target.check

    def __call__(self, data: bytes) -> None:
        if not tracemalloc.is_tracing():
            tracemalloc.start()
        tracemalloc.reset_peak()
        held, _ = tracemalloc.get_traced_memory()
        began_s = time.process_time()
        self._check(data)
        took_s = time.process_time() - began_s
        _, peak = tracemalloc.get_traced_memory()
        if peak - held > _MEMORY_BYTES + _MEMORY_BYTES_PER_BYTE * len(data):
            raise TooDear(f"{len(data)} bytes of input took {(peak - held) >> 20} MiB of memory")
        if took_s > _CPU_S + _CPU_S_PER_BYTE * len(data):
            raise TooDear(f"{len(data)} bytes of input took {took_s:.1f} s of the processor")
