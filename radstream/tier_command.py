"""Asks tiering to look at every study now, or as if it were another day, and follows what it does."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec
from confluent_kafka import murmur2

from consumers.tiering.study import is_over
from radstream.audit import account
from radstream.commanding import message_of, meta_of, write
from radstream.errors import Failure
from streams.config import Config, Site
from streams.events import SUBJECTS, Phase, TierCommand, TierMoved
from streams.generation import of_facts
from streams.identity import partition_key
from streams.log import Log, TopicPartition
from streams.wire import Message, Record, Undecodable, decode

STEP, GROUP = "tier-command", "tiering"
COMMANDS, MOVED = SUBJECTS[TierCommand], SUBJECTS[TierMoved]
STALLED_S_MAX = 120.0
_POLL_S = 0.2


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """A move that ended. `verified` counts the copies in its target that were read back; `bytes` are the originals'."""

    study_uid: str
    why: str
    source: str | None
    target: str
    phase: Phase
    objects: int
    bytes: int
    verified: int


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """What tiering did while it was followed; sums are of moves that were not abandoned."""

    event_id: str
    now: datetime
    simulated: bool
    study_uid: str | None
    studies: int
    objects: int
    bytes: int
    verified: int
    abandoned: int
    seconds: float
    moves: list[Move]


@dataclass
class Progress:
    """Moves that ended, in their order, and how many studies have one under way."""

    moves: list[Move] = field(default_factory=list)
    moving: set[str] = field(default_factory=set)

    @property
    def done(self) -> list[Move]:
        return [move for move in self.moves if move.phase != "abandoned"]

    @property
    def objects(self) -> int:
        return sum(move.objects for move in self.done)

    @property
    def bytes(self) -> int:
        return sum(move.bytes for move in self.done)

    @property
    def verified(self) -> int:
        return sum(move.verified for move in self.done)

    def add(self, event: TierMoved) -> None:
        """Takes a phase that counts."""
        if not is_over(event.why, event.source, event.phase):
            self.moving.add(event.study_uid)
            return
        self.moving.discard(event.study_uid)
        copies = [copy for item in event.items for copy in item.copies if copy.store == event.target]
        self.moves.append(
            Move(
                study_uid=event.study_uid,
                why=event.why,
                source=event.source,
                target=event.target,
                phase=event.phase,
                objects=len(event.items),
                bytes=sum(item.size for item in event.items),
                verified=sum(copy.verified for copy in copies),
            )
        )


def command(config: Config, now: datetime, study_uid: str | None, *, simulated: bool) -> TierCommand:
    return TierCommand(
        meta=meta_of(config.section("site", Site), STEP, str(uuid.uuid4())),
        provenance=of_facts(STEP).provenance(),
        now=now,
        simulated=simulated,
        actor=account(),
        study_uid=study_uid,
    )


def messages(config: Config, event: TierCommand, partitions: int) -> dict[int, Message]:
    """The command for each partition whose studies it concerns, by partition: one event, a record for each."""
    message = message_of(config, event, STEP)
    if event.study_uid is not None:
        return {murmur2(partition_key(event.meta.tenant, event.study_uid), partitions): message}
    found: dict[int, Message] = {}
    number = 0
    while len(found) < partitions:
        # Nobody writes to a partition but by a key.
        key = f"{event.meta.tenant}|{event.meta.event_id}|{number}".encode()
        found.setdefault(murmur2(key, partitions), replace(message, key=key))
        number += 1
    return found


class Following:
    """What tiering writes from now on, and how far it is with commands."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.progress = Progress()
        self._partitions = [TopicPartition(MOVED, number) for number in range(log.partitions(MOVED))]
        self._read = {name: end for name, (_, end) in log.bounds(self._partitions).items()}
        self._seqs: dict[str, int] = {}

    def run(
        self,
        config: Config,
        event: TierCommand,
        told: Callable[[Progress], None],
        stalled_s_max: float = STALLED_S_MAX,
    ) -> Ran:
        """Writes a command and waits until tiering has done it. Raises Failure where nothing moves, LogAway."""
        seconds = self.run_all(config, [event], told, stalled_s_max)
        return _ran(event, self.progress, seconds)

    def run_all(
        self,
        config: Config,
        events: Sequence[TierCommand],
        told: Callable[[Progress], None],
        stalled_s_max: float = STALLED_S_MAX,
    ) -> float:
        """Writes commands at once and waits until tiering has done them; seconds that took. Raises as `run`."""
        started_s = time.monotonic()
        wanted = self._write(config, events)
        before, moved_s = -1, started_s
        while True:
            open_ = self._behind(wanted)
            fresh = self._round()
            told(self.progress)
            if not open_:
                return time.monotonic() - started_s
            if fresh or open_ != before:
                before, moved_s = open_, time.monotonic()
            if time.monotonic() - moved_s > stalled_s_max:
                raise Failure(
                    f"tiering has done nothing for {stalled_s_max:.0f} s, and {open_} partitions have not come to the "
                    "command. It is in the log, and is done once tiering runs; see: radstream lag tiering"
                )
            time.sleep(_POLL_S)

    def _write(self, config: Config, events: Sequence[TierCommand]) -> Mapping[TopicPartition, int]:
        """The offset of the last command in each partition."""
        partitions = self._log.partitions(COMMANDS)
        aimed = [aim for event in events for aim in messages(config, event, partitions).items()]
        deliveries = write(self._log, [message for _, message in aimed], "the tier command")
        for (number, _), delivery in zip(aimed, deliveries, strict=True):
            if delivery.partition != number:
                raise Failure(f"{COMMANDS}: a record for partition {number} went to {delivery.partition}")
        return {TopicPartition(COMMANDS, one.partition): one.offset for one in deliveries}

    def _behind(self, wanted: Mapping[TopicPartition, int]) -> int:
        committed = self._log.committed(GROUP, list(wanted))
        return sum((committed[name] or 0) <= offset for name, offset in wanted.items())

    def _round(self) -> int:
        """Takes what is new; how many records that was."""
        count = 0
        for name, (_, end) in self._log.bounds(self._partitions).items():
            if end > self._read[name]:
                for record in self._log.read(name, self._read[name], end):
                    count += 1
                    self._take(record)
                self._read[name] = end
        return count

    def _take(self, record: Record) -> None:
        try:
            event = decode(record)
        except Undecodable:
            return  # A dead letter of those who read it.
        # The first record with (study, seq) counts.
        if isinstance(event, TierMoved) and event.seq > self._seqs.get(event.study_uid, 0):
            self._seqs[event.study_uid] = event.seq
            self.progress.add(event)


def _ran(event: TierCommand, found: Progress, seconds: float) -> Ran:
    return Ran(
        event_id=event.meta.event_id,
        now=event.now,
        simulated=event.simulated,
        study_uid=event.study_uid,
        studies=len({move.study_uid for move in found.done}),
        objects=found.objects,
        bytes=found.bytes,
        verified=found.verified,
        abandoned=len(found.moves) - len(found.done),
        seconds=round(seconds, 3),
        moves=found.moves,
    )
