"""Asks tiering to bring a study back out of an archive, and follows it if need be."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec
from confluent_kafka import murmur2

from consumers.catalog import ledger, restores
from consumers.catalog.study import study as read_study
from consumers.tiering.study import is_over
from radstream.audit import account
from radstream.commanding import message_of, write
from radstream.errors import Failure
from radstream.reading import audited, catalog_snapshot
from streams.clock import SystemClock
from streams.config import Config, Site, Store
from streams.events import SUBJECTS, Phase, TierCommand, TierMoved
from streams.identity import partition_key
from streams.log import Log, TopicPartition
from streams.restoring import STEP, restore_of
from streams.wire import Undecodable, decode

GROUP: Final = "tiering"
COMMANDS, MOVED = SUBJECTS[TierCommand], SUBJECTS[TierMoved]
TAKEN_UP_S_MAX: Final = 120.0
_POLL_S: Final = 0.2


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """`state` is `online` where nothing has to be restored, `asked` while it is restored, `restored` once it is there.

    `instances` had to be restored when it was asked for. `event_id` is the command's, None where none was written.
    """

    study_uid: str
    state: Literal["online", "asked", "restored"]
    instances: int
    event_id: str | None
    expected_at: datetime | None


def restore(config: Config, log: Log, study_uid: str, *, wait: bool) -> Asked:
    """Returns once the log has the command, or with `wait` once the study is there. Raises Failure, LogAway."""
    tenant, now = config.section("site", Site).tenant, SystemClock().now()
    store = config.section("store", Store)
    with catalog_snapshot(config) as cursor:
        if read_study(cursor, tenant, study_uid) is None:
            raise Failure(f"the catalog has no study {study_uid}; see: radstream studies")
        instances = restores.archived(cursor, tenant, study_uid, store.archived)
        last = restores.newest(cursor, tenant, study_uid)
        takes = timedelta(seconds=restores.expected_s(cursor, tenant, store.restore_s))
        read = ledger.read(cursor)
    found = Asked(study_uid=study_uid, state="online", instances=instances, event_id=None, expected_at=None)
    if not instances:
        return found
    begun_at = last.planned_at if last is not None and last.is_under_way else None
    following = _Following(log, tenant, study_uid, read if begun_at else {})
    event = None if begun_at else restore_of(config.section("site", Site), SystemClock(), study_uid, account())
    found = msgspec.structs.replace(
        found, state="asked", event_id=event and event.meta.event_id, expected_at=(begun_at or now) + takes
    )
    if event is not None:
        audited(config, log, "restore_asked", study_uid, {"how": "radstream tier restore"})
        (delivery,) = write(log, [message_of(config, event, STEP)], "the restore")
        if wait and not following.is_taken_up(delivery.offset):
            return msgspec.structs.replace(found, state="online")
    if wait:
        following.end()
        found = msgspec.structs.replace(found, state="restored")
    return found


class _Following:
    """What tiering decides on a study's restore from now on. Of one that is under way, from what the catalog has
    `read`: it may have ended since."""

    def __init__(self, log: Log, tenant: str, study_uid: str, read: Mapping[TopicPartition, ledger.Place]) -> None:
        self._log, self._key = log, partition_key(tenant, study_uid)
        number = murmur2(self._key, log.partitions(MOVED))
        self._moved, self._commands = TopicPartition(MOVED, number), TopicPartition(COMMANDS, number)
        known = read.get(self._moved)
        self._read = log.bounds([self._moved])[self._moved][1] if known is None else known.next_offset
        self._phase: Phase | None = None

    def is_taken_up(self, offset: int) -> bool:
        """Whether a restore came of the command at this offset; False where all is online. Raises Failure."""
        until_s = time.monotonic() + TAKEN_UP_S_MAX
        while (self._log.committed(GROUP, [self._commands])[self._commands] or 0) <= offset:
            if time.monotonic() > until_s:
                raise Failure(
                    f"tiering has not come to the command in {TAKEN_UP_S_MAX:.0f} s. It is in the log, and is done "
                    "once tiering runs; see: radstream lag tiering"
                )
            time.sleep(_POLL_S)
        self._look()
        return self._phase is not None

    def end(self) -> None:
        """Waits as long as the archive takes. Raises Failure for a restore that failed."""
        while self._phase is None or not is_over("recall", None, self._phase):
            time.sleep(_POLL_S)
            self._look()
        if self._phase == "abandoned":
            raise Failure(
                "not every image could be restored; what could be is there. The log of tiering says why, and so do its "
                "dead letters: radstream deadletters list tiering"
            )

    def _look(self) -> None:
        end = self._log.bounds([self._moved])[self._moved][1]
        for record in self._log.read(self._moved, self._read, end) if end > self._read else ():
            self._read = record.offset + 1
            if record.key != self._key:
                continue
            try:
                event = decode(record)
            except Undecodable:
                continue  # A dead letter of those who read it.
            if isinstance(event, TierMoved) and event.why == "recall":
                self._phase = event.phase
