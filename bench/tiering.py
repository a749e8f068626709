"""Tiering: generated CT studies from tier to tier by a simulated clock, beside a bare loop over the same store.

The bare loop does what a move cannot do without: read, create elsewhere, read back, delete the exact version. It has
as many threads as tiering, and its objects are as large. What tiering costs above it is what it decides and writes.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

from msgspec import structs

from bench.machine import Machine, machine
from bench.pipeline import Sender, made, study_of
from bench.processes import Meter
from consumers.catalog.config import Settings as Catalog
from consumers.catalog.database import snapshot
from consumers.catalog.tiers import kept
from consumers.tiering.config import Settings
from consumers.tiering.policy import load_policy
from radstream.errors import Failure
from radstream.items import Item
from radstream.options import open_log
from radstream.tier_command import Following, Progress, command
from streams.config import Config, Site, Store
from streams.events import ObjectRef
from streams.s3 import S3Store
from streams.step import NewObject

STUDY_OBJECTS = 500
BARE_OBJECTS_MAX = 1000
ASSOCIATIONS = 4
STALLED_S_MAX = 120.0
POLL_S = 0.5
SELF = "this command"
# Body Part Examined (0018,0015), padded to an even length.
CHEST, SPINE = b"CHEST ", b"SPINE "

Told = Callable[[str, int], None]


@dataclass(frozen=True)
class Leg:
    """Everything from one store to the next. CPU is user and system time in milliseconds for each object."""

    name: str
    objects: int
    seconds: float
    objects_per_s: float
    mb_per_s: float
    cpu_ms_per_object: float
    cpu_ms_by_process: Mapping[str, float]


@dataclass(frozen=True)
class Report:
    """`ratio` is tiering's objects per second as a share of the bare loop's, by leg."""

    at: datetime
    machine: Machine
    objects: int
    studies: int
    bytes: int
    threads: int
    moves: list[Leg]
    bare: list[Leg]
    ratio: dict[str, float]
    study_uids: list[str]


def measure(config: Config, roots: Mapping[str, int], objects: int, told: Told) -> Report:
    """Runs the measurement against running parts; `roots` are their process ids by name. Raises Failure."""
    settings = config.section("tiering", Settings)
    tiers = load_policy(settings.policy).stores
    began = datetime.now(UTC)
    uids, sizes = _sent(config, objects, told)
    _backed_up(config, uids, objects, told)
    threads = settings.threads
    moves, bare = [], []
    with ThreadPoolExecutor(threads) as pool:
        loop = BareLoop(config, roots, pool, tiers[0].name, sizes[: min(objects, BARE_OBJECTS_MAX)])
        for source, target in pairwise(tiers):
            name = f"{source.name} to {target.name}"
            at = began + timedelta(days=(source.days or 0) + 1)
            moves.append(_moved(config, roots, uids, at, name, sum(sizes), told))
            # Right after, so that both meet the machine as it is at that time.
            told(f"{name}, bare loop", 0)
            bare.append(loop.leg(name, target.name))
        loop.clean_up()
    return Report(
        at=began,
        machine=machine(config.path.parent),
        objects=objects,
        studies=len(uids),
        bytes=sum(sizes),
        threads=threads,
        moves=moves,
        bare=bare,
        ratio={one.name: round(one.objects_per_s / by.objects_per_s, 3) for one, by in zip(moves, bare, strict=True)},
        study_uids=uids,
    )


def _sent(config: Config, objects: int, told: Told) -> tuple[list[str], list[int]]:
    """Studies of at most STUDY_OBJECTS images, through the router; their UIDs and each image's bytes."""
    uids: list[str] = []
    sizes: list[int] = []
    while len(sizes) < objects:
        before = len(sizes)
        study = study_of(min(STUDY_OBJECTS, objects - before))
        items = [_of_the_spine(item) for item in made(study)]
        Sender(config, ASSOCIATIONS, partial(_told_of, told, before)).send(items)
        uids.append(study.uid)
        sizes += [len(item.data_set()) for item in items]
    return uids, sizes


def _of_the_spine(item: Item) -> Item:
    """No model looks at it: its results would be images of the study, and their making would be measured as well."""
    data = item.data_set().replace(CHEST, SPINE)
    return replace(item, data_set=partial(bytes, data))


def _told_of(told: Told, before: int, count: int) -> None:
    told("sent", before + count)


def _backed_up(config: Config, uids: Sequence[str], objects: int, told: Told) -> None:
    """Until every study has a verified copy of each image in the backup store, as the catalog has it."""
    tenant, dsn = config.section("site", Site).tenant, config.section("catalog", Catalog).dsn
    before, moved_s = -1, time.monotonic()
    while True:
        with snapshot(dsn) as cursor:
            copies = [copy for uid in uids for copy in kept(cursor, tenant, uid)]
        done = sum(copy.verified for copy in copies if copy.store == "backup")
        told("backed up", done)
        if done == objects:
            return
        if done != before:
            before, moved_s = done, time.monotonic()
        if time.monotonic() - moved_s > STALLED_S_MAX:
            raise Failure(f"{done} of {objects} images are backed up, and nothing moved; see: radstream lag tiering")
        time.sleep(POLL_S)


def _moved(
    config: Config, roots: Mapping[str, int], uids: Sequence[str], at: datetime, name: str, size: int, told: Told
) -> Leg:
    commands = [command(config, at, uid, simulated=True) for uid in uids]
    following = Following(open_log(config))

    def heard(progress: Progress) -> None:
        told(name, progress.objects)

    meter = Meter({**roots, SELF: os.getpid()})
    with meter.running():
        seconds = following.run_all(config, commands, heard)
    found = following.progress
    if found.verified != found.objects or {move.study_uid for move in found.done} != set(uids):
        raise Failure(f"{name}: not every study was moved and verified; see: radstream tier explain {uids[0]}")
    return _leg(name, found.objects, size, seconds, meter)


def _leg(name: str, objects: int, size: int, seconds: float, meter: Meter) -> Leg:
    cpu = {process: round(1000 * used.cpu_s / objects, 2) for process, used in meter.usage().items()}
    return Leg(
        name=name,
        objects=objects,
        seconds=round(seconds, 2),
        objects_per_s=round(objects / seconds, 1),
        mb_per_s=round(size / seconds / 1e6, 1),
        cpu_ms_per_object=round(sum(cpu.values()), 2),
        cpu_ms_by_process=cpu,
    )


class BareLoop:
    """Objects of its own under a key of this run, in the stores that tiering uses."""

    def __init__(
        self, config: Config, roots: Mapping[str, int], pool: ThreadPoolExecutor, into: str, sizes: Sequence[int]
    ) -> None:
        self._store = S3Store(config.section("store", Store))
        self._roots, self._pool = roots, pool
        self._size = sum(sizes)
        tenant = config.section("site", Site).tenant
        prefix = f"{tenant}/bench/{uuid.uuid4().hex}"
        self._held = [
            self._store.create(NewObject(tenant, into, f"{prefix}/{number}", os.urandom(size))).ref
            for number, size in enumerate(sizes)
        ]

    def leg(self, name: str, target: str) -> Leg:
        meter, started_s = Meter({**self._roots, SELF: os.getpid()}), time.monotonic()
        with meter.running():
            self._held = list(self._pool.map(partial(self._carry, target), self._held))
            seconds = time.monotonic() - started_s
        return _leg(name, len(self._held), self._size, seconds, meter)

    def _carry(self, target: str, ref: ObjectRef) -> ObjectRef:
        """Read, create, read back, delete: both reads compare the SHA-256."""
        made = self._store.create(NewObject(ref.tenant, target, ref.key, self._store.read(ref), ref.sha256)).ref
        self._store.read(structs.replace(made, sha256=ref.sha256))
        self._store.delete(ref)
        return made

    def clean_up(self) -> None:
        list(self._pool.map(self._store.delete, self._held))
