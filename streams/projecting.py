"""The runner of projections: batches of decoded records, each with the ledger's next offsets.

What was read is decided by the ledger alone: on assignment its positions are where reading starts, whatever the group
has committed, and where somebody else moved it, reading starts again from there. Offsets are committed to Kafka too,
for `radstream lag` and nothing else. One thread does it all: a projection is as fast as its database, and transactions
of one member are one after another anyway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import structlog

from schemas import load_topics
from streams import metrics
from streams.backoff import Backoff
from streams.config import Section
from streams.deadletters import DeadLetterLimit, dead_letter
from streams.events import Event
from streams.keeping import Keeping
from streams.lasting_consumer import LastingConsumer
from streams.log import Fenced, LogAway, LogRefused, TopicPartition
from streams.projecting_batch import Batch
from streams.projecting_moves import Moves
from streams.service import Context
from streams.step import Away, Input, LedgerMoved, Projection, TopicChanged
from streams.stop import Stop
from streams.wire import Record, Undecodable, UnknownSchema, decode

_IDLE_S = 0.1
_COMMIT_EVERY_S = 0.5
# Of a log that was away, and where nothing comes: an answer may take ten seconds, in which nothing is applied.
_ASK_EVERY_S = 5.0
_LEAVE_S = 5.0


class ProjectingSettings(Section, frozen=True, kw_only=True):
    """Times in seconds. A batch ends at `batch_max` records, or `gather_s` after its first."""

    batch_max: int = 500
    gather_s: float = 0.01
    dead_letters_max: int = 100
    dead_letters_window_s: float = 600.0
    wait_s: float = 0.5
    wait_s_max: float = 30.0


class ProjectionRunner:
    """Runs one projection until `context.stopping` is set, as a member of its group."""

    def __init__(self, context: Context, projection: Projection, settings: ProjectingSettings | None = None) -> None:
        self._context = context
        self._projection = projection
        self._settings = settings or ProjectingSettings()
        self._group = projection.name
        self._topics = load_topics().read_by(self._group)
        self._away: set[str] = set()
        self._asked_s = float("-inf")
        self._backoff = Backoff(self._settings.wait_s, self._settings.wait_s_max)
        self._topic_ids: dict[str, str] = {}
        self._assigned: set[TopicPartition] = set()
        self._next: dict[TopicPartition, int] = {}
        self._batch = Batch(self._next)
        self._uncommitted: dict[TopicPartition, int] = {}
        self._committed_s = 0.0
        self._keeping = Keeping(context.health, context.clock)
        self._moves = Moves(self._group, context.clock)
        self._limit = DeadLetterLimit(
            context, self._group, self._settings.dead_letters_max, self._settings.dead_letters_window_s
        )

    def run(self) -> None:
        """Raises Stop, OffsetOutOfRange, TopicChanged or LogRefused where going on would lose a record."""
        self._limit.recall()
        self._producer = self._context.log.producer()
        self._consumer = LastingConsumer(
            self._context,
            self._group,
            self._topics,
            self._on_assign,
            self._on_revoke,
            co_partitioned=False,
        )
        try:
            while not self._context.stopping.is_set():
                self._turn()
        finally:
            self._commit()
            self._producer.close(_LEAVE_S)
            self._consumer.close()

    def _turn(self) -> None:
        self._context.health.beat()
        self._gather()
        self._apply()
        if self._context.clock.monotonic() - self._committed_s >= _COMMIT_EVERY_S:
            self._commit()
        if "log" in self._away and self._context.clock.monotonic() - self._asked_s >= _ASK_EVERY_S:
            self._ask_the_log()

    # Reading.

    def _gather(self) -> None:
        self._batch = Batch(self._next)
        self._batch.add(self._poll(self._settings.batch_max, _IDLE_S))
        deadline_s = self._context.clock.monotonic() + self._settings.gather_s
        while 0 < (held := len(self._batch.records)) < self._settings.batch_max:
            if (left_s := deadline_s - self._context.clock.monotonic()) <= 0:
                break
            self._batch.add(self._poll(self._settings.batch_max - held, left_s))

    def _poll(self, records_max: int, timeout_s: float) -> Sequence[Record]:
        try:
            records = self._consumer.poll(records_max, timeout_s)
        except LogAway as error:
            self._context.stopping.wait(self._says_away("log", str(error), 1))
            return ()
        for record in records:
            self._check_id(record)
        if records:
            self._answered("log")
        return records

    def _ask_the_log(self) -> None:
        """The client mends its connections by itself, and says nothing when it has."""
        with suppress(LogAway):
            self._context.log.partitions(self._topics[0])
            self._answered("log")
        self._asked_s = self._context.clock.monotonic()

    def _check_id(self, record: Record) -> None:
        known = self._topic_ids.setdefault(record.topic, record.topic_id)
        if known != record.topic_id:
            raise TopicChanged(
                f"{record.topic} was deleted and created again (id {known}, now {record.topic_id}); "
                f"group {self._group} holds what the first one said: rebuild it"
            )

    # Applying.

    def _apply(self) -> None:
        batch = self._batch
        batch.take([item for record in list(batch.records) if (item := self._decoded(record)) is not None])
        tries = 0
        while batch.records and not self._context.stopping.is_set():
            try:
                self._projection.apply(batch.inputs, batch.ends)
            except Away:
                tries += 1
                self._stay(self._says_away("database", "the database does not answer", tries))
            except LedgerMoved as error:
                self._start_again(str(error))
                return
            else:
                self._applied(batch)
                return

    def _decoded(self, record: Record) -> Input[Event] | None:
        """None for a dead letter, which is written and acknowledged before the ledger moves past it."""
        try:
            return Input(decode(record), record)
        except UnknownSchema as error:
            reason = f"{error} is not known to this version of radstream; install a newer one"
            raise Stop(f"{_place(record)}: {reason}") from None
        except Undecodable as error:
            self._bury(record, str(error))
            return None

    def _bury(self, record: Record, reason: str) -> None:
        if not self._limit.admits(record):
            raise Stop(self._limit.exceeded(_place(record), reason))
        structlog.get_logger().error("record_dead_lettered", place=_place(record), reason=reason)
        metrics.DEAD_LETTERS.labels(self._group).inc()
        message = dead_letter(record, self._group, reason, self._context.clock.now())
        tries = 0
        while not self._context.stopping.is_set():
            try:
                self._producer.send(message).result()
            except LogAway as error:
                tries += 1
                self._stay(self._says_away("log", str(error), tries))
            else:
                return

    def _applied(self, batch: Batch) -> None:
        self._answered("database")
        self._next.update(batch.ends)
        self._uncommitted.update(batch.ends)
        for record in batch.records:
            metrics.RECORDS.labels(self._group, record.topic, "done").inc()

    def _start_again(self, reason: str) -> None:
        """From where the ledger is now: what was in hand is read again, or was applied by whoever moved it."""
        structlog.get_logger().warning("ledger_moved", reason=reason)
        self._moves.count(reason)
        self._batch, self._uncommitted = Batch(self._next), {}
        tries = 0
        while not self._context.stopping.is_set():
            try:
                for name, offset in self._starts(sorted(self._assigned)).items():
                    self._consumer.seek(name, offset)
            except (Away, LogAway) as error:
                tries += 1
                self._stay(self._no_positions(error, tries))
            else:
                return

    # Waiting.

    def _says_away(self, part: str, reason: str, tries: int) -> float:
        """Returns how long to wait, seconds."""
        wait_s = self._backoff.delay_s(tries)
        structlog.get_logger().warning("waiting", part=part, reason=reason, again_s=round(wait_s, 3), times=tries)
        self._context.health.ready(part, False, f"the {part} does not answer; waiting for it")
        self._away.add(part)
        return wait_s

    def _answered(self, part: str) -> None:
        if part in self._away:
            self._away.discard(part)
            self._context.health.ready(part, True)

    def _no_positions(self, error: Away | LogAway, tries: int) -> float:
        part = "database" if isinstance(error, Away) else "log"
        return self._says_away(part, f"no {part} to learn the positions from", tries)

    def _stay(self, wait_s: float) -> None:
        """Waits as a member of the group. What a partition that comes meanwhile brings is put back."""
        deadline_s = self._context.clock.monotonic() + wait_s
        while not self._context.stopping.is_set() and (left_s := deadline_s - self._context.clock.monotonic()) > 0:
            self._context.health.beat()
            self._consumer.pause(self._assigned)
            for record in self._poll(1, min(left_s, _IDLE_S)):
                self._consumer.seek(TopicPartition(record.topic, record.partition), record.offset)
        self._consumer.resume(self._assigned)

    # The group.

    def _on_assign(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        structlog.get_logger().info("partitions_assigned", count=len(partitions))
        tries = 0
        while not self._context.stopping.is_set():
            try:
                starts = self._starts(partitions)
            except (Away, LogAway) as error:
                tries += 1
                self._context.health.beat()
                self._context.stopping.wait(self._no_positions(error, tries))
            else:
                self._assigned.update(partitions)
                # Kafka may have forgotten what was committed (a power cut, a week of silence), and lag is told by it.
                self._uncommitted.update({name: offset for name, offset in starts.items() if offset > 0})
                return starts
        # Nothing is applied any more.
        return {}

    def _starts(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Where the ledger is, or the beginning. Raises Away, LogAway, TopicChanged."""
        starts = {name: first for name, (first, _) in self._context.log.bounds(partitions).items()}
        self._answered("log")
        starts.update(self._projection.positions(partitions))
        self._answered("database")
        self._next.update(starts)
        return starts

    def _on_revoke(self, partitions: Sequence[TopicPartition], lost: bool) -> None:
        structlog.get_logger().info("partitions_revoked", count=len(partitions), lost=lost)
        if not lost:
            self._commit()
        self._batch.drop(partitions)
        self._assigned.difference_update(partitions)
        for name in partitions:
            self._uncommitted.pop(name, None)
            self._next.pop(name, None)

    def _commit(self) -> None:
        """For display only: what Kafka does not take now, it takes with the next, and what is fenced is nobody's."""
        self._committed_s = self._context.clock.monotonic()
        if not self._uncommitted:
            self._keeping.kept()
            return
        try:
            with suppress(Fenced, LogRefused):
                self._consumer.commit(self._uncommitted)
                self._uncommitted = {}
                self._keeping.kept()
        except LogAway as error:
            self._keeping.failed(error)


def _place(record: Record) -> str:
    return f"{record.topic}/{record.partition} offset {record.offset}"
