"""What a sender is asked to do, and what it says of it."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import msgspec

from bench.ingest_association import Load
from radstream.errors import Failure

# Beyond what a job may take: a response that never comes, and the processes' own start and end.
_MORE_S: Final = 120.0


class Job(msgspec.Struct, frozen=True):
    """`instances` over `workers` processes; with `one_each`, every instance has an association of its own.

    After `seconds_max` no further instance is begun, so that a slow receiver does not hold up the rest. `run` is in
    every UID; a worker begins a new study after `study_instances`.
    """

    host: str
    port: int
    load: Load
    run: int
    instances: int
    workers: int
    one_each: bool
    study_instances: int
    seconds_max: float


class Worked(msgspec.Struct):
    """What one worker did. Times are those of CLOCK_MONOTONIC; `seconds` has a C-STORE's for each acknowledged one."""

    worker: int
    started: float
    ended: float
    numbers: list[int] = []
    seconds: list[float] = []
    failures: dict[str, int] = {}

    def failed(self, why: str) -> None:
        self.failures[why] = self.failures.get(why, 0) + 1


class Result(msgspec.Struct):
    workers: list[Worked]
    cpu_s: float


def send(job: Job) -> Result:
    """Does the job in a process of its own, so that its CPU is told apart. Raises Failure where that ends badly."""
    ran = subprocess.run(
        [sys.executable, "-m", "bench.ingest_sender"],
        input=msgspec.msgpack.encode(job),
        capture_output=True,
        check=False,
        timeout=job.seconds_max + _MORE_S,
    )
    if ran.returncode != 0:
        raise Failure(f"the sender ended with exit code {ran.returncode}: {ran.stderr.decode(errors='replace')[-500:]}")
    return msgspec.msgpack.decode(ran.stdout, type=Result)
