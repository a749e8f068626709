"""Tiering, the broker and the store may be killed in the middle of moves: no object is lost, and in the end none has
fewer verified copies than were promised."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from consumers.tiering.policy import load_policy
from radstream.errors import Failure
from radstream.sending import send_items
from radstream.tier_command import Following, Ran, command
from streams.config import Kafka, Site, Store
from streams.events import SUBJECTS, ObjectRef, TierMoved
from streams.kafka_log import KafkaLog
from streams.log import LogAway, TopicPartition
from streams.objects import Absent
from streams.s3 import S3Store
from streams.wire import decode
from tests.pipeline_run import router_of, settled
from tests.routers import Ct
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = [pytest.mark.fault, pytest.mark.timeout(3600)]

# 1,000 where there is time: RADSTREAM_FAULT_MOVES=1000. Each study moves three times: backup, warm, cold.
MOVES = int(os.environ.get("RADSTREAM_FAULT_MOVES", "45"))
IMAGES = 3
ALL = ("tiering", "kafka", "store", "catalog")
# Who is killed while backups, moves to warm and moves to cold are made. A restart of the stack takes its time.
VICTIMS = (("store",), ("tiering", "kafka"), ("store", "tiering")) if MOVES < 1000 else (ALL, ALL, ALL)
PIXELS = 4_000


@dataclass(frozen=True)
class Archive:
    """What was sent: the SHA-256 of every file by its key, as the router stored it."""

    stack: RunningStack
    digests: Mapping[str, str]
    studies: int

    @property
    def log(self) -> KafkaLog:
        return KafkaLog(self.stack.config.section("kafka", Kafka))

    @property
    def store(self) -> S3Store:
        return S3Store(self.stack.config.section("store", Store))

    def has(self, store: S3Store, name: str, key: str, digest: str) -> bool:
        found = store.find("", name, key)
        return found is not None and hashlib.sha256(found.data).hexdigest() == digest

    def where(self) -> dict[str, set[str]]:
        """By key, the stores that have its bytes, read and hashed."""
        store = self.store
        return {
            key: {name for name in store.names if self.has(store, name, key, digest)}
            for key, digest in self.digests.items()
        }

    def moves(self) -> dict[str, list[TierMoved]]:
        """The decisions that count, by study."""
        topic, log = SUBJECTS[TierMoved], self.log
        by_study: dict[str, dict[int, TierMoved]] = {}
        names = [TopicPartition(topic, number) for number in range(log.partitions(topic))]
        for name, (first, end) in log.bounds(names).items():
            for record in log.read(name, first, end):
                event = decode(record)
                assert isinstance(event, TierMoved)
                by_study.setdefault(event.study_uid, {}).setdefault(event.seq, event)
        return {study: list(events.values()) for study, events in by_study.items()}

    def run(self, days: int) -> Ran | None:
        """A command with a simulated clock, and what it has led to; None where the log goes away meanwhile."""
        event = command(self.stack.config, datetime.now(UTC) + timedelta(days=days), None, simulated=True)
        with suppress(LogAway, Failure):
            return Following(self.log).run(self.stack.config, event, lambda _: None, 300.0)
        return None


@pytest.fixture
def archive(fresh: RunningStack) -> Archive:
    studies = max(1, MOVES // 3)
    uids = [f"2.25.{secrets.randbits(96)}" for _ in range(studies)]
    images = [
        Ct(study=uid, series=f"{uid}.1", instance=f"{uid}.1.{number}", pixels=secrets.token_bytes(PIXELS))
        for uid in uids
        for number in range(IMAGES)
    ]
    result = send_items([image.item() for image in images], router_of(fresh), associations=4, retries=60)
    assert result.statuses == {"0000": len(images)}
    store, tenant = S3Store(fresh.config.section("store", Store)), fresh.config.section("site", Site).tenant

    def stored() -> list[str]:
        return [key for key, _ in store.keys("hot", f"{tenant}/studies/")]

    # A store that stood still for a while leaves some of what was acknowledged on the spool.
    wait_until(lambda: len(stored()) == len(images), "all images in the store")
    digests = {key: key.rpartition("/")[2].removesuffix(".dcm") for key in stored()}
    return Archive(fresh, digests, studies)


def kill_them(archive: Archive, victims: Sequence[str], done: int, wanted: int) -> None:
    """Each victim once, spread over the phases that are still to come."""
    for place, victim in enumerate(victims, start=1):
        moment = done + place * wanted // (len(victims) + 1)
        wait_until(lambda moment=moment: decided(archive) >= moment, f"{moment} phases", 300)
        archive.stack.kill(victim)
        wait_until(archive.stack.comes_up, "the stack to run again")


def decided(archive: Archive) -> int:
    topic, log = SUBJECTS[TierMoved], archive.log
    try:
        names = [TopicPartition(topic, number) for number in range(log.partitions(topic))]
        return sum(end for _, end in log.bounds(names).values())
    except LogAway:
        return 0


def test_no_object_is_lost_when_parts_are_killed_in_the_middle_of_moves(archive: Archive) -> None:
    """Backups first, then hot to warm, then warm to cold."""
    promised = load_policy().copies
    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill_them, archive, VICTIMS[0], 0, archive.studies * 3)
        killing.result()
        settled(archive.stack)
        for days, tier, victims in ((31, "warm", VICTIMS[1]), (8 * 365, "cold", VICTIMS[2])):
            killing = pool.submit(kill_them, archive, victims, decided(archive), archive.studies * 5)
            while not killing.done():
                archive.run(days)
            killing.result()
            # A broker that has just come back may still leave a question without an answer.
            ran = wait_until(lambda days=days: archive.run(days), "a run that nothing disturbs", 300.0)
            assert ran is not None
            assert not [move for move in ran.moves if move.phase == "abandoned"]
            assert set(map(frozenset, archive.where().values())) == {frozenset({tier, "backup"})}
    for study, events in archive.moves().items():
        assert [event.seq for event in events] == list(range(1, len(events) + 1)), study
        assert (events[-1].phase, events[-1].serving) == ("released", "cold")
        for item in events[-1].items:
            assert sum(copy.verified for copy in item.copies) >= promised
            assert all(is_there(archive, events[-1], item.digest, copy.store, copy.version_id) for copy in item.copies)
    assert len(archive.moves()) == archive.studies
    settled(archive.stack)


def is_there(archive: Archive, event: TierMoved, digest: str, store: str, version_id: str | None) -> bool:
    """The exact version, whole."""
    (key,) = [key for key, known in archive.digests.items() if known == digest]
    (item,) = [item for item in event.items if item.digest == digest]
    ref = ObjectRef(
        tenant=event.meta.tenant,
        store=store,
        key=key,
        version_id=version_id,
        length=item.size,
        size=item.size,
        sha256=digest,
    )
    try:
        return bool(archive.store.read(ref))
    except Absent:
        return False
