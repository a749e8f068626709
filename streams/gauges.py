"""Gauges whose labels come and go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from prometheus_client import Gauge

Labels = tuple[str, ...]
L = TypeVar("L", bound=Labels)


class Board:
    """Shows what there is now, and takes away what was shown before and is no longer there."""

    def __init__(self) -> None:
        self._shown: dict[Gauge, set[Labels]] = {}

    def show(self, gauge: Gauge, values: Mapping[L, float]) -> None:
        for labels, value in values.items():
            gauge.labels(*labels).set(value)
        for gone in self._shown.get(gauge, set()) - values.keys():
            gauge.remove(*gone)
        self._shown[gauge] = set(values)
