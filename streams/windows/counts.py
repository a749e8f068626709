"""What is counted in a window, as values that JSON can hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Count(NamedTuple):
    """`records` went by; of `timed` of them the seconds since receipt are known, in sum and at most."""

    records: int = 0
    timed: int = 0
    latency_sum_s: float = 0.0
    latency_max_s: float = 0.0

    def plus(self, latency_s: float | None) -> Count:
        """With one more record. A clock that went back is no time."""
        if latency_s is None:
            return self._replace(records=self.records + 1)
        latency_s = max(latency_s, 0.0)
        return Count(
            self.records + 1, self.timed + 1, self.latency_sum_s + latency_s, max(self.latency_max_s, latency_s)
        )

    @property
    def latency_mean_s(self) -> float | None:
        return self.latency_sum_s / self.timed if self.timed else None


def total(counts: Iterable[Count]) -> Count:
    """The counts of several partitions as one."""
    sum_of = Count()
    for one in counts:
        sum_of = Count(
            sum_of.records + one.records,
            sum_of.timed + one.timed,
            sum_of.latency_sum_s + one.latency_sum_s,
            max(sum_of.latency_max_s, one.latency_max_s),
        )
    return sum_of


Place = tuple[str, str, str]
"""Logical topic, lane and modality."""


class Key(NamedTuple):
    """A row of the table. The partition is part of it: Faust keeps each partition's rows apart, and moves them so."""

    partition: int
    topic: str
    lane: str
    modality: str

    @property
    def place(self) -> Place:
        return self.topic, self.lane, self.modality

    def text(self) -> str:
        return "|".join(map(str, self))

    @staticmethod
    def of(text: str) -> Key:
        partition, topic, lane, modality = text.split("|")
        return Key(int(partition), topic, lane, modality)
