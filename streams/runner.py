"""The runner of pure steps: polls, hands work to threads, writes what it became in order, and only then commits.

One thread owns all state: it polls, hands out chunks of records, takes results, writes them in the order of their
inputs, and commits the highest offset before which everything is acknowledged. The pool's threads only turn records
into results (`streams.working`). A result or an acknowledgement wakes the loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any

import structlog

from schemas import load_topics
from streams import metrics
from streams.deadletters import DeadLetterLimit
from streams.flow import Flow, Item
from streams.generation import StepIdentity
from streams.keeping import Keeping
from streams.lasting_consumer import LastingConsumer
from streams.log import Consumer, Fenced, LogAway, LogRefused, OffsetOutOfRange, Producer, TopicPartition
from streams.pool import Pool
from streams.repeated import Repeated
from streams.result import Result
from streams.runner_intake import Intake
from streams.runner_outcomes import Outcomes
from streams.runner_settings import RunnerSettings
from streams.service import Context
from streams.step import Step, TopicChanged
from streams.stop import Stop
from streams.working import Worker

_POLL_RECORDS_MAX = 256
_IDLE_S = 0.1
# While something is in hand, its end wakes the loop; new records are looked for at least this often.
_BUSY_S = 0.005
_COMMIT_EVERY_S = 0.25
_AWAY_S = 0.5
_FLUSH_S = 5.0

Chunk = tuple[Flow, list[Item]]

# Nobody waits at the other end of a record of a step: a few go together, which saves the broker a request and an fsync
# for each (bench/README.md).
LINGER_MS = 25


class Runner:
    """Runs one step until `context.stopping` is set, as a member of the step's consumer group.

    `in_order`: what the step does is seen elsewhere, so one thread at a time has records of a partition, and a study's
    are begun in their order. Else only what they become is written in that order. `apart` are topics whose records take
    long, while nobody waits for them: they have one thread of their own, so what somebody waits for has all the others.
    """

    def __init__(
        self,
        context: Context,
        step: Step[Any],
        identity: StepIdentity,
        settings: RunnerSettings | None = None,
        *,
        in_order: bool = False,
        apart: Collection[str] = (),
    ) -> None:
        self._context = context
        self._in_order = in_order
        self._apart = frozenset(apart)
        self._settings = settings or RunnerSettings()
        self._group = step.name
        self._topics = load_topics().read_by(self._group)
        self._intake = Intake(self._group, context.clock)
        self._flows: dict[TopicPartition, Flow] = {}
        self._log_is_away = False
        self._woken: SimpleQueue[tuple[Chunk, list[Result] | BaseException] | None] = SimpleQueue()
        self._chunks: Counter[bool] = Counter()
        self._committed_s = 0.0
        self._keeping = Keeping(context.health, context.clock)
        self._repeated = Repeated(context.clock)
        self._worker = Worker(context, step, identity)

    def run(self) -> None:
        """Raises Stop, OffsetOutOfRange, TopicChanged or LogRefused where going on would lose a record."""
        limit = DeadLetterLimit(
            self._context, self._group, self._settings.dead_letters_max, self._settings.dead_letters_window_s
        )
        limit.recall()
        self._outcomes = Outcomes(self._context, self._group, self._settings, self._new_producer(), limit)
        # By whether what they work on is apart.
        self._threads = {False: self._settings.threads, **({True: 1} if self._apart else {})}
        self._pools: dict[bool, Pool[Chunk, list[Result]]] = {
            apart: Pool(f"{self._group}-apart" if apart else self._group, count, self._work, self._report)
            for apart, count in self._threads.items()
        }
        self._consumer = self._join()
        try:
            while not self._context.stopping.is_set():
                self._turn()
            self._drain(list(self._flows.values()))
        except LogRefused:
            # What is queued behind a record that was refused would be in the log before it.
            self._leave(0.0)
            raise
        except (Stop, OffsetOutOfRange, TopicChanged):
            self._leave(_FLUSH_S)
            raise
        finally:
            for pool in self._pools.values():
                pool.close()
        self._leave(_FLUSH_S)

    def _new_producer(self) -> Producer:
        return self._context.log.producer(linger_ms=LINGER_MS, patient=True)

    def _join(self) -> Consumer:
        return LastingConsumer(
            self._context, self._group, self._topics, self._on_assign, self._on_revoke, co_partitioned=False
        )

    # In the pool's threads.

    def _work(self, chunk: Chunk) -> list[Result]:
        return self._worker([item.record for item in chunk[1]])

    def _report(self, chunk: Chunk, results: list[Result] | BaseException) -> None:
        self._woken.put((chunk, results))

    # In the runner's thread.

    def _turn(self) -> None:
        self._context.health.beat()
        self._read()
        self._hand_out()
        if self._busy():
            self._wait(_BUSY_S)
            self._hand_out()
        self._write()
        self._mend()
        self._throttle()
        if self._context.clock.monotonic() - self._committed_s >= _COMMIT_EVERY_S:
            self._commit_or_rejoin()

    def _busy(self) -> bool:
        return self._chunks.total() > 0 or any(flow.unacknowledged for flow in self._flows.values())

    def _read(self) -> None:
        try:
            records = self._consumer.poll(_POLL_RECORDS_MAX, 0.0 if self._busy() else _IDLE_S)
        except LogAway as error:
            structlog.get_logger().warning("log_away", reason=str(error))
            self._context.health.ready("log", False, "the log does not answer; waiting for it")
            self._log_is_away = True
            self._wait(_AWAY_S)
            return
        for record in records:
            if (flow := self._flows.get(TopicPartition(record.topic, record.partition))) is not None:
                flow.accept(self._intake.item(record))

    def _hand_out(self) -> None:
        for apart in self._threads:
            self._hand_out_to(apart)

    def _hand_out_to(self, apart: bool) -> None:
        """Gives idle threads work: the most urgent lane first, within a lane the partition with the least in hand."""
        if self._idle(apart) <= 0:
            return
        now_s = self._context.clock.monotonic()

        def mine(item: Item) -> bool:
            return self._is_apart(item) == apart

        flows = self._flows.values()
        for flow in sorted(flows, key=lambda flow: (flow.urgency(now_s, mine), len(flow.unacknowledged))):
            if (idle := self._idle(apart)) <= 0:
                return
            if self._in_order and flow.running():
                continue
            share = 1 if self._in_order else idle
            items = list(islice(flow.startable(now_s, mine), share * (1 if apart else self._settings.batch_max)))
            size = max(1, -(-len(items) // share))
            for start in range(0, len(items), size):
                self._start(flow, items[start : start + size], apart)

    def _idle(self, apart: bool) -> int:
        return self._threads[apart] - self._chunks[apart]

    def _is_apart(self, item: Item) -> bool:
        """Of what was parked, the topic is that which it came from."""
        return item.record.topic in self._apart

    def _start(self, flow: Flow, items: list[Item], apart: bool) -> None:
        for item in items:
            item.running = True
        self._chunks[apart] += 1
        self._pools[apart].submit((flow, items))

    def _wait(self, timeout_s: float) -> None:
        """Until something ends, at most `timeout_s`; takes the results that are there."""
        try:
            report = self._woken.get(timeout=timeout_s)
            while True:
                if report is not None:
                    self._take(*report)
                report = self._woken.get_nowait()
        except Empty:
            return

    def _take(self, chunk: Chunk, results: list[Result] | BaseException) -> None:
        flow, items = chunk
        self._chunks[self._is_apart(items[0])] -= 1
        if isinstance(results, BaseException):
            raise results
        if flow.alive:
            self._outcomes.arrived(flow, items, results)

    def _write(self) -> None:
        for flow in self._flows.values():
            if not flow.failed:
                self._write_flow(flow)

    def _write_flow(self, flow: Flow) -> None:
        """What failed is seen before anything more is written."""
        try:
            flow.settle(self._context.clock.monotonic())
            for item in flow.sendable():
                self._outcomes.write(flow, item)
                for future in item.sent:
                    future.add_done_callback(lambda _: self._woken.put(None))
            flow.settle(self._context.clock.monotonic())
        except LogAway:
            flow.failed = True

    def _mend(self) -> None:
        """Reads again what was not acknowledged: a record may be in the log twice then, with one event id.

        First of all the producer is closed. Until then it may still write what was sent after the record that was not
        acknowledged, which would be in the log before it: a study out of its order.
        """
        patience_ends_s = self._context.clock.monotonic() - self._settings.acknowledged_s
        if not any(flow.failed or flow.waits_since() < patience_ends_s for flow in self._flows.values()):
            return
        self._outcomes.producer.close(0.0)
        self._outcomes.producer = self._new_producer()
        for flow in list(self._flows.values()):
            with suppress(LogAway):
                flow.settle(self._context.clock.monotonic())
            if flow.unacknowledged:
                self._begin_again(flow)

    def _begin_again(self, flow: Flow) -> None:
        start = flow.finished()
        flow.alive = False
        fresh = Flow(flow.name, flow.rank, flow.ordered, flow.mixed, waits=flow.waits, paused=flow.paused)
        fresh.committed, fresh.next_offset = flow.committed, start
        self._flows[flow.name] = fresh
        self._outcomes.hold(fresh, "the log did not acknowledge in time")
        if start is not None:
            self._consumer.seek(flow.name, start)

    def _throttle(self) -> None:
        full = [flow for flow in self._flows.values() if not flow.paused and len(flow) >= self._settings.in_flight_max]
        room = [flow for flow in self._flows.values() if flow.paused and len(flow) <= self._settings.in_flight_max // 2]
        for flows, paused, change in ((full, True, self._consumer.pause), (room, False, self._consumer.resume)):
            if flows:
                change([flow.name for flow in flows])
                for flow in flows:
                    flow.paused = paused

    # Commits and the group.

    def _commit_or_rejoin(self) -> None:
        try:
            self._commit(self._flows.values())
        except Fenced as error:
            # Whether others have the partitions already or not: what is in hand is given up, and the group joined anew.
            structlog.get_logger().warning("fenced", reason=str(error))
            self._abandon(list(self._flows))
            self._consumer.close()
            self._consumer = self._join()
        except LogAway as error:
            if (more := self._repeated.due(str(error))) is not None:
                structlog.get_logger().warning("commit_waits", reason=str(error), **more)
            self._keeping.failed(error)
        self._committed_s = self._context.clock.monotonic()
        self._measure()
        if self._log_is_away:
            self._ask_the_log()

    def _commit(self, flows: Collection[Flow]) -> None:
        """Raises Fenced, LogAway."""
        ends = {flow.name: end for flow in flows if (end := flow.finished()) is not None and end != flow.committed}
        if ends:
            self._consumer.commit(ends)
            for flow in flows:
                flow.committed = ends.get(flow.name, flow.committed)
        self._keeping.kept()

    def _ask_the_log(self) -> None:
        """The client mends its connections by itself, and says nothing when it has."""
        with suppress(LogAway):
            self._context.log.partitions(self._topics[0])
            self._log_is_away = False
            self._context.health.ready("log", True)

    def _measure(self) -> None:
        flows = self._flows.values()
        metrics.IN_FLIGHT.labels(self._group).set(sum(len(flow) for flow in flows))
        metrics.PAUSED_PARTITIONS.labels(self._group).set(sum(flow.paused for flow in flows))
        metrics.PARKED_WAITING.labels(self._group).set(sum(len(flow.unsent) for flow in flows if not flow.ordered))
        waits = [flow for flow in flows if flow.waits]
        self._context.health.ready("step", not waits, f"{len(waits)} partitions wait; the log says for what")

    def _on_assign(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        structlog.get_logger().info("partitions_assigned", count=len(partitions))
        for name in partitions:
            self._flows[name] = self._intake.flow(name)
        return {}

    def _on_revoke(self, partitions: Sequence[TopicPartition], lost: bool) -> None:
        flows = [self._flows[name] for name in partitions if name in self._flows]
        structlog.get_logger().info("partitions_revoked", count=len(partitions), lost=lost)
        if not lost:
            self._drain(flows)
            with suppress(Fenced, LogAway):
                self._commit(flows)
        self._abandon(partitions)

    def _drain(self, flows: Sequence[Flow]) -> None:
        """Ends what is in hand, and begins nothing: within one deadline for all of it.

        What is apart is given up at once, as meanwhile nothing goes on: whoever has the partition next reads it again.
        """
        flows = [flow for flow in flows if flow.name.topic not in self._apart]
        deadline_s = self._context.clock.monotonic() + self._settings.deadline_s
        while self._context.clock.monotonic() < deadline_s:
            for flow in flows:
                flow.drop_unstarted()
            if not any(self._ends_soon(flow) for flow in flows if not flow.failed):
                return
            self._wait(_BUSY_S)
            self._write()

    def _ends_soon(self, flow: Flow) -> bool:
        """Whether something is in hand that is not apart; what was parked is in one flow with the rest."""
        return bool(flow.unacknowledged) or not all(self._is_apart(item) for item in flow.unsent)

    def _abandon(self, partitions: Sequence[TopicPartition]) -> None:
        for name in partitions:
            if (flow := self._flows.pop(name, None)) is not None:
                flow.alive = False

    def _leave(self, flush_s: float) -> None:
        """Commits what is finished, without beginning or sending anything more; what is queued has `flush_s`."""
        self._outcomes.producer.close(flush_s)
        flows = list(self._flows.values())
        for flow in flows:
            with suppress(LogAway, LogRefused):
                flow.settle(self._context.clock.monotonic())
        with suppress(Fenced, LogAway, LogRefused):
            self._commit(flows)
        self._abandon(list(self._flows))
        self._consumer.close()
