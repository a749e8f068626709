"""The state of a decision step, folded out of its own output, from the newest checkpoint on."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import structlog

from schemas import load_topics
from streams import checkpoints
from streams.checkpoints import Checkpoint
from streams.decisions import DecisionStep, Entities, Gap, Noted
from streams.events import Event
from streams.log import LogAway, OffsetOutOfRange, TopicPartition
from streams.objects import StoreAway, StoreRefused
from streams.service import Context
from streams.step import Input
from streams.stop import Stop
from streams.wire import Record, Undecodable, decode

D = TypeVar("D", bound=Event)
N = TypeVar("N")


class Folding(Generic[D, N]):
    """`topic` is the physical topic of the output; `number` is a partition of it in all that follows."""

    def __init__(self, context: Context, step: DecisionStep[Any, D, N], checkpoint_every: int) -> None:
        (self.topic,) = load_topics().physical(step.writes)
        self._context, self._step, self._checkpoint_every = context, step, checkpoint_every
        self._covered: dict[int, int] = {}
        # What a load had folded when the log fell silent, under where its checkpoints are: tenant, number and topic id.
        self._begun: tuple[str, Entities[N]] | None = None

    def partition(self, number: int) -> TopicPartition:
        return TopicPartition(self.topic, number)

    def load(self, number: int) -> Entities[N]:
        """The state at the end of the output. Raises Stop, OffsetOutOfRange, UnknownSchema, LogAway, StoreAway."""
        context, output = self._context, self.partition(number)
        first, end = context.log.bounds([output])[output]
        under = self._prefix(number)
        entities = self._begun_at(under, first, end) or self._from_checkpoint(number, under, end)
        if first > entities.position:
            raise OffsetOutOfRange(f"{self.topic}/{number}: begins at {first}, {entities.position} is needed")
        self._begun = (under, entities)
        for record in context.log.read(output, entities.position, end):
            self.fold(entities, record)
            context.health.beat()
        self._begun = None
        return entities

    def _begun_at(self, under: str, first: int, end: int) -> Entities[N] | None:
        """What was folded of the same topic and lies within what it holds: it is true whoever had it meanwhile."""
        if self._begun is None or self._begun[0] != under or not first <= self._begun[1].position <= end:
            return None
        return self._begun[1]

    def _from_checkpoint(self, number: int, under: str, end: int) -> Entities[N]:
        found = checkpoints.newest(self._context.store, self._context.site.tenant, under, end, Checkpoint)
        entities: Entities[N] = Entities(found.decided, found.position) if found else Entities()
        self._covered[number] = entities.position
        return entities

    def fold(self, entities: Entities[N], record: Record) -> bool:
        """Takes one record of the output; whether it counts. Raises Stop, UnknownSchema."""
        try:
            return entities.fold(self._step.decided(self._decision(record).event), record.offset)
        except Gap as gap:
            raise Stop(f"{record.topic}/{record.partition}: {gap}; find out who else writes to this topic") from None

    def read(self, entities: Entities[N], record: Record) -> None:
        """Takes one input. Raises UnknownSchema; whatever else it raises makes the record a dead letter."""
        event: Any = decode(record)
        name = TopicPartition(record.topic, record.partition)
        entity = self._step.entity(event)
        if entity is None:
            entities.skip(name, record.offset)
            return
        noted = Noted(name, record.topic_id, record.offset, self._step.note(event))
        entities.read(entity, noted, Input(event, record).ref, record.headers, self._context.clock.monotonic())

    def last(self, number: int, entities: Entities[N], entity: str) -> Input[D] | None:
        """The decision that counts now, read again from the log: in memory is only where it is. Raises LogAway."""
        if entity not in entities.decided:
            return None
        _, offset = entities.decided[entity]
        (record,) = self._context.log.read(self.partition(number), offset, offset + 1)
        return self._decision(record)

    def save(self, number: int, entities: Entities[N]) -> None:
        """Saves a checkpoint when enough was folded since the last one. One that cannot be saved is only slower."""
        if entities.position - self._covered[number] < self._checkpoint_every:
            return
        self._covered[number] = entities.position
        covered = Checkpoint(entities.position, entities.decided)
        try:
            checkpoints.save(self._context.store, self._context.site.tenant, self._prefix(number), covered)
        except (StoreAway, StoreRefused, LogAway) as error:
            structlog.get_logger().warning("checkpoint_not_saved", partition=number, error=error)

    def _prefix(self, number: int) -> str:
        topic_id = self._context.log.topic_id(self.topic)
        return checkpoints.prefix(self._context.site.tenant, self._step.name, number, topic_id)

    def _decision(self, record: Record) -> Input[D]:
        event: Any
        try:
            event = decode(record)
        except Undecodable as error:
            where = f"{record.topic}/{record.partition} offset {record.offset}"
            raise Stop(f"{where} is no decision ({error}); find out who else writes to this topic") from None
        return Input(event, record)
