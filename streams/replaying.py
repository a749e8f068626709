"""A replay: a pure step over what its topics held when the replay began, into a generation of its own.

It reads in a consumer group of its own, writes to the topic of replays, and commits what is acknowledged; killed and
started again it goes on from there, and what it had made already has the same ids and objects. A batch is worked
through by several threads and written in the order in which it was read. Several processes may share one replay.

It differs from the runner (`streams.runner`) where a bounded read differs from an endless one: nothing is parked, as
nobody would read that again; a record that cannot be worked through is told to the caller and left behind, and what is
missing then shows in the comparison.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

import msgspec
import structlog

from streams.acknowledged import acknowledged, begun
from streams.backoff import Backoff
from streams.generation import StepIdentity
from streams.log import ClientOver, Consumer, Fenced, LogAway, Producer, TopicPartition
from streams.replays import TOPIC, KnownReplay, place_of, wanted_key
from streams.result import Dead, Emit, Halt, Result, Wait
from streams.runner_settings import RunnerSettings
from streams.service import Context
from streams.step import Input, Step
from streams.stop import Stop
from streams.wire import Message, Record
from streams.working import Worker

# On every record of a replay, after its own headers: whose it is. They go when it is published.
STEP_HEADER, GENERATION_HEADER = "replay_step", "replay_generation"

_POLL_S = 0.2
_KEEP_S = 30.0
_BATCHES = 4
_LINGER_MS = 25
_AGAIN = Backoff(0.25, 10.0)
_SUBJECT_TRIES = 2

Settled = Emit | Dead | Halt
Told = Callable[[int, int], None]
"""Told how many records of the replay are done, by whomever, and how many of them this process left behind."""
Bury = Callable[[Record, str], None]
"""Takes a record that cannot be worked through, and why; when it returns, that is kept."""


class _InBulk(Worker):
    """What a replay makes travels in the bulk lane once it is published: no replay delays a stroke."""

    def _decoded(self, record: Record) -> Input[Any] | Result:
        decoded = super()._decoded(record)
        if not isinstance(decoded, Input):
            return decoded
        event = decoded.event
        return Input(msgspec.structs.replace(event, meta=msgspec.structs.replace(event.meta, lane="bulk")), record)


class Replaying:
    """Used once, from one thread. `context.stopping` ends it after the batch in hand."""

    def __init__(
        self,
        context: Context,
        step: Step[Any],
        identity: StepIdentity,
        replay: KnownReplay,
        settings: RunnerSettings,
        bury: Bury,
        told: Told = lambda *_: None,
    ) -> None:
        self._context, self._replay, self._settings = context, replay, settings
        self._bury, self._told = bury, told
        self._worker = _InBulk(context, step, identity)
        self._starts = {place_of(name): offset for name, offset in replay.replay.starts.items()}
        self._ends = {place_of(name): offset for name, offset in replay.replay.ends.items()}
        self._key = wanted_key(replay.replay, context.site.tenant)
        self._marks = ((STEP_HEADER, replay.step.encode()), (GENERATION_HEADER, str(replay.generation).encode()))
        self._done: dict[TopicPartition, int] = dict(self._starts)
        self._behind: set[tuple[str, int, int]] = set()

    @property
    def left_behind(self) -> int:
        return len(self._behind)

    def run(self) -> bool:
        """Whether all is done; False where it was told to stop before. Waits for a log or a store that is away.

        Raises Stop, OffsetOutOfRange, TopicChanged, LogRefused.
        """
        tries = 0
        with ThreadPoolExecutor(self._settings.threads) as pool:
            while not self._context.stopping.is_set():
                try:
                    if self._as_member(pool):
                        return True
                except (LogAway, ClientOver, Fenced) as error:
                    tries += 1
                    wait_s = _AGAIN.delay_s(tries)
                    structlog.get_logger().warning("waiting", part="log", reason=str(error), again_s=wait_s)
                    self._context.stopping.wait(wait_s)
        return False

    def _as_member(self, pool: ThreadPoolExecutor) -> bool:
        """A producer of its own: what one leaves unsaid is never said after what the next has said."""
        self._ask_progress()
        if self._is_done():
            return True
        topics = sorted({place.topic for place in self._ends})
        consumer = self._context.log.consumer(
            self._replay.group, topics, self._on_assign, lambda *_: None, co_partitioned=False
        )
        producer = self._context.log.producer(linger_ms=_LINGER_MS, patient=True)
        try:
            while not self._context.stopping.is_set():
                records = consumer.poll(self._settings.batch_max * self._settings.threads * _BATCHES, _POLL_S)
                if records:
                    self._batch(consumer, records, pool, producer)
                else:
                    self._ask_progress()
                if self._is_done():
                    return True
        finally:
            producer.close(0.0)
            consumer.close()
        return False

    def _on_assign(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """What nobody has committed begins at the replay's start; what is no part of it, at the end of the log."""
        tries = 0
        while True:
            try:
                committed = self._context.log.committed(self._replay.group, partitions)
                bounds = self._context.log.bounds(partitions)
            except LogAway:
                tries += 1
                if self._context.stopping.wait(_AGAIN.delay_s(tries)):
                    raise
            else:
                return {
                    name: bounds[name][1] if name not in self._ends else committed[name] or self._starts[name]
                    for name in partitions
                }

    # How far it is.

    def _ask_progress(self) -> None:
        for name, offset in self._context.log.committed(self._replay.group, self._ends.keys()).items():
            self._done[name] = max(self._done[name], offset or 0)
        self._told(self._count(), self.left_behind)

    def _is_done(self) -> bool:
        return all(self._done[name] >= end for name, end in self._ends.items())

    def _count(self) -> int:
        return sum(min(self._done[name], end) - self._starts[name] for name, end in self._ends.items())

    # A batch.

    def _batch(
        self, consumer: Consumer, records: Sequence[Record], pool: ThreadPoolExecutor, producer: Producer
    ) -> None:
        reached: dict[TopicPartition, int] = {}
        inside = []
        for record in records:
            name = TopicPartition(record.topic, record.partition)
            if record.offset >= self._ends.get(name, 0):
                consumer.pause([name])
                continue
            reached[name] = record.offset + 1
            if self._key is None or record.key == self._key:
                inside.append(record)
        if (results := self._settled(consumer, inside, pool)) is None:
            return
        sent = [
            begun(producer.send(self._marked(message)))
            for record, result in zip(inside, results, strict=True)
            for message in self._written(record, result)
        ]
        acknowledged(sent, self._settings.acknowledged_s)
        if reached:
            consumer.commit(reached)
            self._done.update(reached)
            self._told(self._count(), self.left_behind)

    def _settled(self, consumer: Consumer, records: Sequence[Record], pool: ThreadPoolExecutor) -> list[Settled] | None:
        """What became of each record, once nothing waits any more; None where it was told to stop before."""
        results, tries = self._worked(consumer, records, pool), 0
        while waiting := [index for index, result in enumerate(results) if isinstance(result, Wait)]:
            tries += 1
            self._stay(consumer, _AGAIN.delay_s(tries))
            if self._context.stopping.is_set():
                return None
            again = self._worked(consumer, [records[index] for index in waiting], pool)
            for index, result in zip(waiting, again, strict=True):
                results[index] = _given_up(result, tries)
        return [result for result in results if not isinstance(result, Wait)]

    def _worked(self, consumer: Consumer, records: Sequence[Record], pool: ThreadPoolExecutor) -> list[Result]:
        size = self._settings.batch_max
        chunks = [records[start : start + size] for start in range(0, len(records), size)]
        working = [pool.submit(self._worker, chunk) for chunk in chunks]
        while wait(working, timeout=_KEEP_S).not_done:
            # A group takes who does not poll for minutes for dead, and large objects take their time.
            self._stay(consumer, _POLL_S)
        return [result for chunk in working for result in chunk.result()]

    def _marked(self, message: Message) -> Message:
        return replace(message, topic=TOPIC, headers=(*message.headers, *self._marks))

    def _written(self, record: Record, result: Settled) -> tuple[Message, ...]:
        """What is to be written of a record. Raises Stop."""
        match result:
            case Emit(messages):
                return messages
            case Dead(reason, beside):
                self._leave_behind(record, reason)
                return beside
            case Halt(reason):
                raise Stop(f"{_said(record)}: {reason}")

    def _leave_behind(self, record: Record, reason: str) -> None:
        place = (record.topic, record.partition, record.offset)
        if place in self._behind:
            return  # It was told, and the batch is made again.
        if self.left_behind >= self._settings.dead_letters_max:
            raise Stop(
                f"{_said(record)}: more than {self._settings.dead_letters_max} records cannot be worked through. "
                f"Mend the cause, then go on: radstream replay run {self._replay.step} --resume "
                f"{self._replay.generation}. The last reason: {reason}"
            )
        self._bury(record, reason)
        self._behind.add(place)

    def _stay(self, consumer: Consumer, wait_s: float) -> None:
        """Waits as a member of the group: what comes meanwhile is put back."""
        end_s = time.monotonic() + wait_s
        while not self._context.stopping.is_set() and (left_s := end_s - time.monotonic()) > 0:
            consumer.pause(list(self._ends))
            for record in consumer.poll(1, min(left_s, _POLL_S)):
                consumer.seek(TopicPartition(record.topic, record.partition), record.offset)
        consumer.resume([name for name, end in self._ends.items() if self._done[name] < end])


def _given_up(result: Result, tries: int) -> Result:
    """A subject is waited for a few times only: nobody parks it."""
    if isinstance(result, Wait) and result.scope == "subject" and tries >= _SUBJECT_TRIES:
        return Dead(f"no success in {tries + 1} tries: {result.reason}", result.given_up)
    return result


def _said(record: Record) -> str:
    return f"{record.topic}/{record.partition} offset {record.offset}"
