"""What `bench view` reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bench.contenders import Absent, Contender
from bench.machine import Machine
from radstream.quantiles import Latency


@dataclass(frozen=True)
class Measured:
    """One server with the requests of one case.

    `answers` is the time from a request to the last byte of its answer. CPU is user and system time for each request,
    of all processes that answer it: server, database and store. `failures` are requests that were not answered with
    what was asked for, by what they got; they have no time. `wrong` are answers whose bytes are not those stored.
    """

    case: str
    contender: str
    requests: int
    failures: Mapping[str, int]
    wrong: int
    seconds: float
    answers: Latency | None
    bytes: int
    cpu_ms_per_request: float
    cpu_ms_by_process: Mapping[str, float]
    p50_to_reference: float | None = None


@dataclass(frozen=True)
class Report:
    """`studies` and `more_studies` are how many the study lists are of; `slices` are images of the one series."""

    at: datetime
    machine: Machine
    load_average: float
    studies: int
    more_studies: int
    slices: int
    reference: str
    contenders: Sequence[Contender]
    absent: Sequence[Absent]
    measured: Sequence[Measured]
