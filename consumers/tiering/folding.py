"""How tiering comes to know: its own decisions and three topics of facts, from the newest checkpoint on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
import structlog

from consumers.tiering.state import COMMANDS, FACTS, HOLDS, MOVED, READS, REVISIONS, Asked, Studies
from consumers.tiering.study import Study, decide, know
from streams import checkpoints
from streams.events import AccessRead, HoldCommand, StudyRevision, TierCommand, TierMoved
from streams.log import OffsetOutOfRange, TopicPartition
from streams.objects import StoreAway, StoreRefused
from streams.service import Context
from streams.step import Input
from streams.stop import Stop
from streams.wire import Record, Undecodable, decode

NAME = "tiering"
# Kafka forgets what a group has committed a week after its last member left: whoever comes then reads every command
# again, and those that were done long ago are not to be done once more for a date that somebody simulated then, or for
# a reader who has what he asked for.
COMMANDED_FOR = timedelta(days=7)
KINDS: dict[str, type[Any]] = {
    REVISIONS: StudyRevision,
    READS: AccessRead,
    HOLDS: HoldCommand,
    COMMANDS: TierCommand,
}


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """A checkpoint. `read` is by topic id: the next offset of each topic of facts."""

    position: int
    read: dict[str, int]
    studies: dict[str, Study]


class Folding:
    """Implements `streams.decisions.Reading`."""

    topic = MOVED

    def __init__(self, context: Context, checkpoint_every: int) -> None:
        self._context, self._checkpoint_every = context, checkpoint_every
        self._covered: dict[int, int] = {}

    def partition(self, number: int) -> TopicPartition:
        return TopicPartition(MOVED, number)

    def load(self, number: int) -> Studies:
        """Facts are folded as far as the group had read them; the rest comes as it comes, dead letters and all."""
        log, output = self._context.log, self.partition(number)
        facts = [TopicPartition(topic, number) for topic in FACTS]
        bounds = log.bounds([output, *facts])
        committed = log.committed(NAME, facts)
        topic_ids = {topic: log.topic_id(topic) for topic in (*FACTS, COMMANDS, MOVED)}
        state = self._kept(number, topic_ids, bounds[output][1])
        state.ends = {name.topic: bounds[name][1] for name in facts}
        for name in facts:
            self._fold_facts(state, name, bounds[name][0], committed[name])
        self._from(output, state.position, bounds[output][0])
        for record in log.read(output, state.position, bounds[output][1]):
            self.fold(state, record)
        self._covered[number] = _folded(state)
        for entity, study in state.studies.items():
            if study.moving or not study.is_listed:
                state.expect(entity)
            else:
                state.touch(entity)
        return state

    def _kept(self, number: int, topic_ids: Mapping[str, str], end: int) -> Studies:
        context = self._context
        under = checkpoints.prefix(context.site.tenant, NAME, number, topic_ids[MOVED])
        kept = checkpoints.newest(context.store, context.site.tenant, under, end, Kept)
        if kept is None:
            return Studies(number, topic_ids)
        read = {topic: kept.read[topic_ids[topic]] for topic in FACTS if topic_ids[topic] in kept.read}
        return Studies(number, topic_ids, kept.position, kept.studies, read)

    def _fold_facts(self, state: Studies, name: TopicPartition, first: int, committed: int | None) -> None:
        start = state.read.setdefault(name.topic, first)
        self._from(name, start, first)
        for record in self._context.log.read(name, start, committed or start):
            try:
                self.read(state, record)
            except Undecodable:
                state.skip(name, record.offset)  # A dead letter before it was committed.

    def _from(self, name: TopicPartition, start: int, first: int) -> None:
        if first > start:
            raise OffsetOutOfRange(f"{name.topic}/{name.partition}: begins at {first}, {start} is needed")

    def read(self, state: Studies, record: Record) -> None:
        event = decode(record)
        if not isinstance(event, KINDS[record.topic]):
            raise Undecodable(f"a {type(event).__name__} in {record.topic}")
        if isinstance(event, TierCommand):
            is_old = self._context.clock.now() - event.meta.occurred_at >= COMMANDED_FOR
            if is_old and (event.simulated or event.ask == "restore"):
                state.skip(TopicPartition(record.topic, record.partition), record.offset)
                structlog.get_logger().warning("old_command_left", command=event.meta.event_id, offset=record.offset)
                return
            if event.ask == "restore":
                if event.study_uid is None:
                    raise Undecodable("a restore of no study")
                state.ask_restore(f"{event.meta.tenant}|{event.study_uid}", Input(event, record))
                return
            only = f"{event.meta.tenant}|{event.study_uid}" if event.study_uid else None
            state.ask(Asked(record.offset, event.now, event.meta.tenant, only))
            return
        entity = f"{event.meta.tenant}|{event.study_uid}"
        know(state.study(entity), event, record.offset)
        state.read[record.topic] = record.offset + 1
        if isinstance(event, StudyRevision) and state.study(entity).revision_offset == record.offset:
            state.remember(entity, Input(event, record))
            state.expect(entity)
        state.touch(entity)

    def fold(self, state: Studies, record: Record) -> bool:
        event = self.decision(record).event
        entity = f"{event.meta.tenant}|{event.study_uid}"
        study = state.study(entity)
        if event.seq > study.seq + 1:
            raise Stop(
                f"{record.topic}/{record.partition}: offset {record.offset} holds number {event.seq} where "
                f"{study.seq + 1} is the next; find out who else writes to this topic"
            )
        state.position = record.offset + 1
        if event.seq <= study.seq:
            return False
        decide(study, event, record.offset, state.topic_ids[REVISIONS])
        state.in_flight.discard(entity)
        state.waiting.pop(entity, None)
        if event.why == "recall":
            state.settle_restores(entity)
        if study.moving:
            state.under_way[entity] = Input(event, record)
        else:
            state.under_way.pop(entity, None)
        if study.is_listed:
            state.revisions.pop(entity, None)
        state.touch(entity)
        return True

    def decision(self, record: Record) -> Input[TierMoved]:
        """Raises Stop, UnknownSchema."""
        try:
            event = decode(record)
        except Undecodable as error:
            where = f"{record.topic}/{record.partition} offset {record.offset}"
            raise Stop(f"{where} is no decision ({error}); find out who else writes to this topic") from None
        if not isinstance(event, TierMoved):
            raise Stop(
                f"{record.topic}/{record.partition} offset {record.offset} is no decision; find out who wrote it"
            )
        return Input(event, record)

    def revision(self, number: int, study: Study) -> Input[StudyRevision]:
        """The newest revision of a study, read again from the log. From any thread. Raises LogAway."""
        name = TopicPartition(REVISIONS, number)
        (record,) = self._context.log.read(name, study.revision_offset, study.revision_offset + 1)
        event: Any = decode(record)
        return Input(event, record)

    def command(self, number: int, offset: int) -> Input[TierCommand]:
        """A command, read again from the log. From any thread. Raises LogAway."""
        (record,) = self._context.log.read(TopicPartition(COMMANDS, number), offset, offset + 1)
        event: Any = decode(record)
        return Input(event, record)

    def last(self, number: int, study: Study) -> Input[TierMoved]:
        """The last decision of a study, read again from the log. From any thread. Raises LogAway, Stop."""
        (record,) = self._context.log.read(self.partition(number), study.offset, study.offset + 1)
        return self.decision(record)

    def save(self, number: int, state: Studies) -> None:
        """A checkpoint that cannot be saved is only slower."""
        if _folded(state) - self._covered[number] < self._checkpoint_every:
            return
        self._covered[number] = _folded(state)
        context = self._context
        read = {state.topic_ids[topic]: offset for topic, offset in state.read.items()}
        under = checkpoints.prefix(context.site.tenant, NAME, number, state.topic_ids[MOVED])
        try:
            checkpoints.save(context.store, context.site.tenant, under, Kept(state.position, read, state.studies))
        except (StoreAway, StoreRefused) as error:
            structlog.get_logger().warning("checkpoint_not_saved", partition=number, error=error)


def _folded(state: Studies) -> int:
    """Records folded into the state since the beginning."""
    return state.position + sum(state.read.values())
