"""What `bench derive` reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bench.contenders import Absent, Contender
from bench.machine import Machine


@dataclass(frozen=True)
class Measured:
    """One contender with the images of one case, one after the other.

    CPU is user and system time of all that it takes, a peer's start included. `ratio` is the files' size over that of
    what was made of them without loss; None where nothing was. `proven`: what was made was decoded again and compared.
    """

    case: str
    contender: str
    objects: int
    cpu_ms_per_object: float
    wall_ms_per_object: float
    objects_per_minute_and_core: float
    objects_per_minute_by_the_clock: float
    mb_per_s_of_cpu: float
    ratio: float | None
    proven: bool


@dataclass(frozen=True)
class Report:
    """`file_bytes` is the size of an object of each case, `aims` what is aimed at, in objects per minute and core."""

    at: datetime
    machine: Machine
    seconds: int
    load_average: float
    file_bytes: Mapping[str, int]
    aims: Mapping[str, int]
    contenders: Sequence[Contender]
    absent: Sequence[Absent]
    measured: Sequence[Measured]
