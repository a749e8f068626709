"""Quantiles as people read them: a value that was really seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Latency:
    """Milliseconds."""

    p50: float
    p99: float
    count: int


def latency(seconds: Sequence[float], digits: int = 1) -> Latency | None:
    """None where nothing was measured. Milliseconds are rounded to `digits` after the point."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    return Latency(_milliseconds(ordered, 0.50, digits), _milliseconds(ordered, 0.99, digits), len(ordered))


def _milliseconds(ordered: Sequence[float], part: float, digits: int) -> float:
    """Nearest rank: the smallest value that at least `part` of all values do not exceed."""
    return round(ordered[math.ceil(part * len(ordered)) - 1] * 1000, digits)
