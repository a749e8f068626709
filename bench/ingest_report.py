"""What `bench ingest` reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bench.ingest_cases import Image
from bench.machine import Machine
from radstream.quantiles import Latency


@dataclass(frozen=True)
class Described:
    name: str
    what: str
    version: str


@dataclass(frozen=True)
class Absent:
    """A receiver that was not measured, why, and how it is installed."""

    name: str
    why: str
    install: str


@dataclass(frozen=True)
class Measured:
    """One receiver in one case.

    `acknowledged` got status 0x0000; `held` of them and of those that failed are really there afterwards, `missing` are
    acknowledged and not there. CPU is user and system time for each 1,000 acknowledged instances, of the receiver with
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
    """`load_average` is that of the minute before; `durable` is what the stack's store says of its disk."""

    at: datetime
    machine: Machine
    load_average: float
    reference: str
    instances: int
    seconds_max: float
    image_bytes: Mapping[Image, int]
    durable: bool | None
    profiled: bool
    receivers: Sequence[Described]
    absent: Sequence[Absent]
    measured: Sequence[Measured]
    not_measured: Sequence[str]
