"""Runs a decision step: one member of a group that reads inputs and the step's own output, co-partitioned.

For each partition number that is assigned, the output is folded first, from the newest checkpoint to its end; then the
inputs are read from where the state says, which is where the group committed them unless they are part of the state. A
decision counts when it is read back. What a decision is still owed for is not committed, so whoever comes next reads it
again. Where records may have been handled in part, the states are forgotten and folded anew: there is one way to begin,
and it is the way to go on. A log that is only slow costs nothing that is there: no other partition, and of a partition
that is being folded, nothing of what was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic

import structlog

from schemas import load_topics
from streams import metrics
from streams.deadletters import DeadLetterLimit, dead_letter, reason_of
from streams.decisions import Acting, Reading, S
from streams.keeping import Keeping
from streams.lasting_consumer import LastingConsumer
from streams.log import Fenced, LogAway, Producer, TopicPartition
from streams.objects import StoreAway
from streams.repeated import Repeated
from streams.service import Context
from streams.sizes import CLIENT_BYTES_MAX
from streams.stop import Stop
from streams.wire import Record, Undecodable, UnknownSchema

RECORDS_MAX = 1000
# At about 500 bytes each, 100 MB.
INPUTS_WAITING_MAX = 200_000
DEAD_LETTERS_MAX, DEAD_LETTERS_S = 100, 3600.0
_POLL_S, _POLL_BUSY_S = 0.2, 0.02
_COMMIT_EVERY_S = 1.0
_SEND_S_MAX = 30.0
_CLOSE_S_MAX = 10.0


class Deciding(Generic[S]):
    """`name` is the step's and its group's. Used from one thread."""

    def __init__(
        self,
        context: Context,
        name: str,
        reading: Reading[S],
        acting: Callable[[Producer], Acting[S]],
        *,
        record_bytes_max: int = CLIENT_BYTES_MAX,
    ) -> None:
        self._context, self._name, self._reading = context, name, reading
        self._log = structlog.get_logger().bind(step=name)
        self._states: dict[int, S] = {}
        # Folded, and the inputs are not yet where they are to be read from.
        self._unplaced: dict[int, S] = {}
        self._owned: set[TopicPartition] = set()
        self._committed: dict[TopicPartition, int] = {}
        self._committed_at_s = float("-inf")
        self._keeping = Keeping(context.health, context.clock)
        self._repeated = Repeated(context.clock)
        self._full = False
        self._limit = DeadLetterLimit(context, name, DEAD_LETTERS_MAX, DEAD_LETTERS_S)
        self._producer = context.log.producer(record_bytes_max=record_bytes_max)
        self._acting = acting(self._producer)
        self._consumer = LastingConsumer(
            context, name, load_topics().read_by(name), self._assigned, self._revoked, co_partitioned=True
        )

    def run(self) -> None:
        """Until the context is stopping. Raises Stop, UnknownSchema, OffsetOutOfRange, TopicChanged, LogRefused."""
        self._limit.recall()
        try:
            while not self._context.stopping.is_set():
                self._context.health.beat()
                self.turn(_POLL_BUSY_S if self._acting.busy else _POLL_S)
        finally:
            self.close()

    def close(self) -> None:
        self._acting.close()
        self._consumer.close()
        self._producer.close(_CLOSE_S_MAX)

    def turn(self, timeout_s: float) -> None:
        """Once round: fold what is new here, read, decide, commit. Waits for what is away."""
        try:
            # Whatever else fails, the group is served: a member that only waits for its state never gets it back.
            records = self._consumer.poll(RECORDS_MAX, timeout_s)
        except LogAway as error:
            # It took no record with it: what is known stays.
            self._wait_for_log(error, timeout_s)
            return
        try:
            loaded, is_away = self._load_missing()
            self._handle([record for record in records if record.partition not in loaded])
            self._acting.collect()
            self._commit()
        except (LogAway, TimeoutError) as error:
            # Some of the records may not have been handled.
            self._states.clear()
            self._wait_for_log(error, timeout_s)
            return
        if not is_away:
            self._context.health.ready("log", True)
        self._acting.decide(self._states)
        self._throttle()

    def _wait_for_log(self, error: Exception, timeout_s: float) -> None:
        self._acting.hold("log", error)
        self._context.stopping.wait(timeout_s)

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
            self._states.pop(number, None)
            self._unplaced.pop(number, None)
        self._owned.difference_update(partitions)
        self._committed = {name: end for name, end in self._committed.items() if name.partition not in numbers}

    # State.

    def _load_missing(self) -> tuple[set[int], bool]:
        """The partition numbers whose state was loaded now, whose records are read from where it says; and whether the
        log did not answer for another one. That one is tried again at the next turn, and goes on from where it was.
        """
        loaded: set[int] = set()
        owned = {name.partition for name in self._owned if name.topic == self._reading.topic}
        for number in sorted(owned - self._states.keys()):
            try:
                state = self._folded(number)
                self._rewind(number, state)
            except StoreAway as error:
                self._acting.hold("store", error)
                return loaded, False
            except LogAway as error:
                self._acting.hold("log", error)
                return loaded, True
            self._states[number] = self._unplaced.pop(number)
            loaded.add(number)
            self._log.info("partition_loaded", partition=number, position=state.position, known=state.known)
        return loaded, False

    def _folded(self, number: int) -> S:
        if number not in self._unplaced:
            self._unplaced[number] = self._reading.load(number)
        return self._unplaced[number]

    def _rewind(self, number: int, state: S) -> None:
        """What was read of inputs since they were committed is not in the state, unless the state says so."""
        owned = [name for name in self._owned if name.partition == number]
        inputs = [name for name in owned if name.topic != self._reading.topic]
        starts = state.starts(self._context.log.committed(self._name, inputs))
        bounds = self._context.log.bounds(inputs)
        self._consumer.resume(owned)
        for name in owned:
            if name.topic == self._reading.topic:
                self._consumer.seek(name, state.position)
            else:
                offset = starts[name]
                self._consumer.seek(name, bounds[name][0] if offset is None else offset)

    # Records.

    def _handle(self, records: Sequence[Record]) -> None:
        for record in records:
            state = self._states.get(record.partition)
            if state is None:
                continue  # Read again once the state is there.
            if record.topic != self._reading.topic:
                self._read(state, record)
            elif record.offset >= state.position:
                counted = self._reading.fold(state, record)
                metrics.DECISIONS.labels(self._name, "counted" if counted else "stale").inc()
        for number, state in self._states.items():
            self._reading.save(number, state)

    def _read(self, state: S, record: Record) -> None:
        try:
            self._reading.read(state, record)
        except UnknownSchema:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a record does to the step ends as a dead letter
            self._dead(record, str(error) if isinstance(error, Undecodable) else reason_of(error))
            state.skip(TopicPartition(record.topic, record.partition), record.offset)
            return
        metrics.RECORDS.labels(self._name, record.topic, "done").inc()

    def _dead(self, record: Record, reason: str) -> None:
        if not self._limit.admits(record):
            place = f"{record.topic}/{record.partition} offset {record.offset}"
            raise Stop(self._limit.exceeded(place, reason))
        message = dead_letter(record, self._name, reason, self._context.clock.now())
        self._producer.send(message).result(timeout=_SEND_S_MAX)
        metrics.DEAD_LETTERS.labels(self._name).inc()
        metrics.RECORDS.labels(self._name, record.topic, "deadletter").inc()

    # Memory.

    def _throttle(self) -> None:
        """Stops reading inputs while too many wait; time makes them due, so it ends by itself."""
        count = sum(state.waiting_inputs for state in self._states.values())
        inputs = [name for name in self._owned if name.topic != self._reading.topic]
        if count >= INPUTS_WAITING_MAX:
            self._full = True
            self._consumer.pause(inputs)
        elif self._full and count < INPUTS_WAITING_MAX // 2:
            self._full = False
            self._consumer.resume(inputs)
        metrics.PAUSED_PARTITIONS.labels(self._name).set(len(inputs) if self._full else 0)

    # Commits.

    def _commit(self) -> None:
        now_s = self._context.clock.monotonic()
        if now_s - self._committed_at_s >= _COMMIT_EVERY_S:
            self._committed_at_s = now_s
            self._commit_now(set(self._states))

    def _commit_now(self, numbers: set[int]) -> None:
        ends: dict[TopicPartition, int] = {}
        for number in numbers & self._states.keys():
            ends.update(self._states[number].committable())
            ends[self._reading.partition(number)] = self._states[number].position
        changed = {n: end for n, end in ends.items() if n in self._owned and self._committed.get(n) != end}
        if not changed:
            self._keeping.kept()
            return
        try:
            self._consumer.commit(changed)
        except (Fenced, LogAway) as error:
            # Whoever has the partitions, now or again, reads from the last commit: nothing is lost.
            if (more := self._repeated.due(str(error))) is not None:
                self._log.warning("commit_failed", error=error, **more)
            if isinstance(error, LogAway):
                self._keeping.failed(error)
        else:
            self._committed.update(changed)
            self._keeping.kept()
