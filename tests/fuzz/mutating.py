"""Inputs out of inputs: libFuzzer's own mutations, and a piece of the input many times over.

What is quadratic in elements, or nests, shows only in inputs that say the same thing again and again, and those are
what single bytes that change never come to.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

_ONE_IN: Final = 24


def mutated(data: bytes, max_size: int, seed: int, mutate: Callable[[bytes, int], bytes]) -> bytes:
    """`mutate` is libFuzzer's. The same for the same seed."""
    if not data or seed % _ONE_IN:
        return mutate(data, max_size)
    chance = random.Random(seed)
    start = chance.randrange(len(data))
    end = min(len(data), start + chance.choice((1, 2, 4, 8, 12, 16, 32, 64, 200)))
    times = chance.choice((2, 3, 10, 100, 1000, max_size))
    return (data[:start] + data[start:end] * min(times, max_size // (end - start) + 1) + data[end:])[:max_size]
