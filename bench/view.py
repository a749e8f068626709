"""`bench view`: what a viewer asks for, of this gateway and of Orthanc's DICOMweb plugin, on the same studies."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from bench.contenders import Absent
from bench.machine import machine
from bench.processes import Meter
from bench.view_cases import CASES, LISTS, Case
from bench.view_load import read
from bench.view_report import Measured, Report
from bench.view_rows import fill
from bench.view_servers import ORTHANC, Ours, Server, orthanc, ours
from bench.view_studies import Series, series, small_studies
from consumers.catalog.config import Settings as Catalog
from consumers.catalog.database import Writer
from infra.local.home import default_home
from radstream.errors import Failure
from radstream.quantiles import latency
from streams.config import Site

_WARM: Final = 3
Say = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """`studies` are sent to every server; so many `more_studies` are then made as rows, in our catalog alone."""

    studies: int
    more_studies: int
    slices: int
    peers: bool
    cases: Sequence[str]


def measure(asked: Asked, say: Say) -> Report:
    """Raises Failure."""
    load = os.getloadavg()[0]
    say("making images")
    one, items = series(asked.slices)
    small = list(small_studies(asked.studies))
    measured: list[Measured] = []
    absent: list[Absent] = []
    contenders = []
    with ours(say) as server:
        contenders.append(server.contender)
        say("filling radstream")
        server.fill([*items, *small])
        measured += _cases(server, one, asked.cases, say)
        if asked.more_studies:
            measured += _of_many(server, one, asked, say)
    if asked.peers:
        try:
            with orthanc() as peer:
                contenders.append(peer.contender)
                say("filling orthanc")
                peer.fill([*items, *small])
                measured += _cases(peer, one, asked.cases, say)
        except Failure as error:
            absent.append(Absent(ORTHANC, "it, or its plugin, is not there or did not start", str(error)))
    return Report(
        at=datetime.now(UTC),
        machine=machine(default_home().parent),
        load_average=load,
        studies=asked.studies,
        more_studies=asked.more_studies,
        slices=asked.slices,
        reference=ORTHANC,
        contenders=contenders,
        absent=absent,
        measured=_compared(measured),
    )


def _of_many(server: Ours, one: Series, asked: Asked, say: Say) -> list[Measured]:
    """The study lists again, of a catalog with so many rows more."""
    say(f"making {asked.more_studies:,} studies in the catalog")
    with Writer(server.config.section("catalog", Catalog).dsn).transaction() as cursor:
        fill(cursor, asked.more_studies, server.config.section("site", Site).tenant)
    return [
        replace(_case(server, one, case, say), case=f"{name}-of-many")
        for name, case in LISTS.items()
        if name in asked.cases
    ]


def _cases(server: Server, one: Series, names: Sequence[str], say: Say) -> list[Measured]:
    return [_case(server, one, CASES[name], say) for name in names]


def _case(server: Server, one: Series, case: Case, say: Say) -> Measured:
    say(f"{server.contender.name}: {case.what}")
    requests = case.requests(one)
    if case.restarts:
        server.restart()
    # The first answers of a process open its connections.
    warming = LISTS["list"].requests(one) if case.restarts else requests if case.name in LISTS else []
    read(server.root, warming[:_WARM])
    meter = Meter(server.pids())
    began = datetime.now(UTC)
    with meter.running():
        answered = read(server.root, requests, case.readers)
    seconds = (datetime.now(UTC) - began).total_seconds()
    cpu_ms = {name: usage.cpu_s * 1000 / len(requests) for name, usage in meter.usage().items()}
    return Measured(
        case=case.name,
        contender=server.contender.name,
        requests=len(requests),
        failures=dict(answered.failures),
        wrong=answered.wrong,
        seconds=round(seconds, 3),
        answers=latency(answered.seconds, 2),
        bytes=answered.bytes,
        cpu_ms_per_request=round(sum(cpu_ms.values()), 3),
        cpu_ms_by_process={name: round(ms, 3) for name, ms in cpu_ms.items()},
    )


def _compared(measured: Sequence[Measured]) -> list[Measured]:
    """With each p50 as a part of the reference's."""
    by_case = {one.case: one.answers for one in measured if one.contender == ORTHANC}
    return [
        replace(one, p50_to_reference=round(one.answers.p50 / reference.p50, 3))
        if one.answers and (reference := by_case.get(one.case)) and reference.p50
        else one
        for one in measured
    ]
