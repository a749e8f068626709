"""What `bench ingest` reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from bench.contenders import Absent, Contender
from bench.ingest_cases import Image
from bench.machine import Machine
from radstream.quantiles import Latency


@dataclass(frozen=True)
class Measured:
    """One receiver in one case.

    `acknowledged` got status 0x0000; `held` of them and of those that failed are really there afterwards, `missing` are
    acknowledged and not there. Of several rounds it is the one with the median rate, but for `missing` and `failures`,
    which are those of all. CPU is user and system time for each 1,000 acknowledged instances, of the receiver with
    all that it started, of the sender, and of the processes that the receiver stands on. Memory is PSS.
    """

    case: str
    receiver: str
    acknowledged: int
    held: int
    missing: int
    failures: Mapping[str, int]
    seconds: float
    instances_per_s: float
    mb_per_s: float
    c_store: Latency | None
    cpu_s_per_1000: float
    sender_cpu_s_per_1000: float
    memory_bytes_max: int
    beside_cpu_s_per_1000: Mapping[str, float] = field(default_factory=dict)
    rate_to_reference: float | None = None
    cpu_to_reference: float | None = None


@dataclass(frozen=True)
class Report:
    """`instances` are those of a CT case. `load_average` is that of the minute before; `durable` is what the stack's
    store says of its disk.
    """

    at: datetime
    machine: Machine
    load_average: float
    reference: str
    instances: int
    rounds: int
    seconds_max: float
    image_bytes: Mapping[Image, int]
    durable: bool | None
    profiled: bool
    receivers: Sequence[Contender]
    absent: Sequence[Absent]
    measured: Sequence[Measured]
    not_measured: Sequence[str]


def middle(rounds: Sequence[Measured]) -> Measured:
    """The round of the median rate, the lower one of two, with what was missing and what failed in all of them."""
    failures: Counter[str] = Counter()
    for one in rounds:
        failures.update(one.failures)
    ordered = sorted(rounds, key=lambda one: one.instances_per_s)
    return replace(
        ordered[(len(ordered) - 1) // 2], missing=sum(one.missing for one in rounds), failures=dict(failures)
    )


def compared(measured: Sequence[Measured], reference: str) -> list[Measured]:
    """Each with its share of what the reference did in the same case, where that was measured."""
    references = {one.case: one for one in measured if one.receiver == reference}
    return [_compare(one, references.get(one.case)) for one in measured]


def _compare(one: Measured, reference: Measured | None) -> Measured:
    if reference is None:
        return one
    return replace(
        one,
        rate_to_reference=_share(one.instances_per_s, reference.instances_per_s),
        cpu_to_reference=_share(one.cpu_s_per_1000, reference.cpu_s_per_1000),
    )


def _share(value: float, of: float) -> float | None:
    """None of nothing: a few images may cost less than what the kernel counts CPU by."""
    return round(value / of, 2) if of else None
