"""Runs a decision step: one member of a group that reads inputs and the step's own output, co-partitioned.

For each partition number that is assigned, the output is folded first, from the newest checkpoint to its end; then the
inputs are read from where the group committed. A decision counts when it is read back. Inputs are committed up to the
oldest one that no counted decision covers, so whoever comes next reads the rest again. Whatever fails in between, the
partition's state is forgotten and folded anew: there is one way to begin, and it is the way to go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import structlog

from schemas import load_topics
from streams import metrics
from streams.deadletters import DeadLetterLimit, dead_letter, reason_of
from streams.decisions import DecisionStep, Entities, Noted, inputs_waiting
from streams.emitting import Emitting
from streams.events import Event
from streams.folding import Folding
from streams.log import Fenced, LogAway, TopicPartition
from streams.objects import StoreAway
from streams.service import Context
from streams.step import Input
from streams.stop import Stop
from streams.wire import Record, Undecodable, UnknownSchema, decode

RECORDS_MAX = 1000
# At about 500 bytes each, 100 MB.
INPUTS_WAITING_MAX = 200_000
CHECKPOINT_EVERY = 5000
DEAD_LETTERS_MAX, DEAD_LETTERS_S = 100, 3600.0
_POLL_S = 0.2
_COMMIT_EVERY_S = 1.0
_SEND_S_MAX = 30.0
_CLOSE_S_MAX = 10.0

D = TypeVar("D", bound=Event)
N = TypeVar("N")


class Deciding(Generic[D, N]):
    """Used from one thread."""

    def __init__(
        self, context: Context, step: DecisionStep[Any, D, N], *, checkpoint_every: int = CHECKPOINT_EVERY
    ) -> None:
        topics = load_topics()
        self._context, self._step = context, step
        self._folding = Folding(context, step, checkpoint_every)
        self._log = structlog.get_logger().bind(step=step.name)
        self._entities: dict[int, Entities[N]] = {}
        self._owned: set[TopicPartition] = set()
        self._committed: dict[TopicPartition, int] = {}
        self._committed_at_s = float("-inf")
        self._full = False
        self._limit = DeadLetterLimit(context, step.name, DEAD_LETTERS_MAX, DEAD_LETTERS_S)
        self._producer = context.log.producer()
        self._emitting = Emitting(context, step, self._folding, self._producer)
        self._consumer = context.log.consumer(
            step.name, topics.read_by(step.name), self._assigned, self._revoked, co_partitioned=True
        )

    def run(self) -> None:
        """Until the context is stopping. Raises Stop, UnknownSchema, OffsetOutOfRange, TopicChanged, LogRefused."""
        self._limit.recall()
        try:
            while not self._context.stopping.is_set():
                self._context.health.beat()
                self.turn(_POLL_S)
        finally:
            self.close()

    def close(self) -> None:
        self._consumer.close()
        self._producer.close(_CLOSE_S_MAX)

    def turn(self, timeout_s: float) -> None:
        """Once round: fold what is new here, read, decide, commit. Waits for what is away."""
        try:
            # Whatever else fails, the group is served: a member that only waits for its state never gets it back.
            records = self._consumer.poll(RECORDS_MAX, timeout_s)
            loaded = self._load_missing()
            self._handle([record for record in records if record.partition not in loaded])
            self._emitting.collect()
            self._commit()
        except (LogAway, TimeoutError) as error:
            # A poll that fails may have taken records with it.
            self._entities.clear()
            self._emitting.hold("log", error)
            self._context.stopping.wait(timeout_s)
            return
        self._context.health.ready("log", True)
        self._emitting.decide(self._entities)
        self._throttle()
        metrics.ENTITIES_WAITING.labels(self._step.name).set(sum(len(e.waiting) for e in self._entities.values()))

    # The group.

    def _assigned(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """What is new is loaded before the next poll: nothing may fail in here."""
        self._owned.update(partitions)
        return {}

    def _revoked(self, partitions: Sequence[TopicPartition], lost: bool) -> None:
        """The whole partition number is forgotten; what stays of it is read again from where it was committed."""
        numbers = {name.partition for name in partitions}
        if not lost:
            self._commit_now(numbers)
        for number in numbers:
            self._entities.pop(number, None)
        self._owned.difference_update(partitions)
        self._committed = {name: end for name, end in self._committed.items() if name.partition not in numbers}

    # State.

    def _load_missing(self) -> set[int]:
        """The partition numbers whose state was loaded now: their records are read from where they were committed."""
        loaded: set[int] = set()
        owned = {name.partition for name in self._owned if name.topic == self._folding.topic}
        for number in sorted(owned - self._entities.keys()):
            try:
                entities = self._folding.load(number)
            except StoreAway as error:
                self._emitting.hold("store", error)
                return loaded
            self._rewind(number, entities.position)
            self._entities[number] = entities
            loaded.add(number)
            self._log.info(
                "partition_loaded", partition=number, position=entities.position, known=len(entities.decided)
            )
        return loaded

    def _rewind(self, number: int, position: int) -> None:
        """Inputs go back to where the group committed them: what was read since is not in the state."""
        owned = [name for name in self._owned if name.partition == number]
        inputs = [name for name in owned if name.topic != self._folding.topic]
        committed = self._context.log.committed(self._step.name, inputs)
        bounds = self._context.log.bounds(inputs)
        self._consumer.resume(owned)
        for name in owned:
            if name.topic == self._folding.topic:
                self._consumer.seek(name, position)
            else:
                offset = committed[name]
                self._consumer.seek(name, bounds[name][0] if offset is None else offset)

    # Records.

    def _handle(self, records: Sequence[Record]) -> None:
        for record in records:
            entities = self._entities.get(record.partition)
            if entities is None:
                continue  # Read again once the state is there.
            if record.topic != self._folding.topic:
                self._read(entities, record)
            elif record.offset >= entities.position:
                counted = self._folding.fold(entities, record)
                metrics.DECISIONS.labels(self._step.name, "counted" if counted else "stale").inc()
        for number, entities in self._entities.items():
            self._folding.save(number, entities)

    def _read(self, entities: Entities[N], record: Record) -> None:
        name = TopicPartition(record.topic, record.partition)
        try:
            event: Any = decode(record)
            entity = self._step.entity(event)
            noted = Noted(name, record.topic_id, record.offset, self._step.note(event))
        except UnknownSchema:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a record does to the step ends as a dead letter
            self._dead(record, str(error) if isinstance(error, Undecodable) else reason_of(error))
            entities.skip(name, record.offset)
            return
        metrics.RECORDS.labels(self._step.name, record.topic, "done").inc()
        if entity is None:
            entities.skip(name, record.offset)
        else:
            ref = Input(event, record).ref
            entities.read(entity, noted, ref, record.headers, self._context.clock.monotonic())

    def _dead(self, record: Record, reason: str) -> None:
        if not self._limit.admits_one_more():
            place = f"{record.topic}/{record.partition} offset {record.offset}"
            raise Stop(self._limit.exceeded(place, reason))
        message = dead_letter(record, self._step.name, reason, self._context.clock.now())
        self._producer.send(message).result(timeout=_SEND_S_MAX)
        metrics.DEAD_LETTERS.labels(self._step.name).inc()
        metrics.RECORDS.labels(self._step.name, record.topic, "deadletter").inc()

    # Memory.

    def _throttle(self) -> None:
        """Stops reading inputs while too many wait; time makes them due, so it ends by itself."""
        count = inputs_waiting(self._entities.values())
        inputs = [name for name in self._owned if name.topic != self._folding.topic]
        if count >= INPUTS_WAITING_MAX:
            self._full = True
            self._consumer.pause(inputs)
        elif self._full and count < INPUTS_WAITING_MAX // 2:
            self._full = False
            self._consumer.resume(inputs)
        metrics.PAUSED_PARTITIONS.labels(self._step.name).set(len(inputs) if self._full else 0)

    # Commits.

    def _commit(self) -> None:
        now_s = self._context.clock.monotonic()
        if now_s - self._committed_at_s >= _COMMIT_EVERY_S:
            self._committed_at_s = now_s
            self._commit_now(set(self._entities))

    def _commit_now(self, numbers: set[int]) -> None:
        ends: dict[TopicPartition, int] = {}
        for number in numbers & self._entities.keys():
            ends.update(self._entities[number].committable())
            ends[self._folding.partition(number)] = self._entities[number].position
        changed = {n: end for n, end in ends.items() if n in self._owned and self._committed.get(n) != end}
        if not changed:
            return
        try:
            self._consumer.commit(changed)
        except (Fenced, LogAway) as error:
            # Whoever has the partitions, now or again, reads from the last commit: nothing is lost.
            self._log.warning("commit_failed", error=error)
        else:
            self._committed.update(changed)
