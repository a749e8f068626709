"""Records of the two topics, as the events that they must be: whoever else writes there is found out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from streams.events import Event, InputRef, StudyChain
from streams.log import Log, TopicPartition
from streams.step import Input
from streams.stop import Stop
from streams.wire import Record, Undecodable, decode

E = TypeVar("E", bound=Event)


def event_of(record: Record, kind: type[E]) -> E:
    """Raises Stop, UnknownSchema."""
    where = f"{record.topic}/{record.partition} offset {record.offset}"
    try:
        event = decode(record)
    except Undecodable as error:
        raise Stop(f"{where} cannot be read ({error}); find out who else writes to this topic") from None
    if not isinstance(event, kind):
        raise Stop(f"{where} is another event; find out who else writes to this topic")
    return event


def events(log: Log, partition: TopicPartition, start: int, end: int, kind: type[E]) -> Iterator[Input[E]]:
    """What stands between two offsets. Raises LogAway, Stop, UnknownSchema."""
    if end > start:
        for record in log.read(partition, start, end):
            yield Input(event_of(record, kind), record)


def read_one(log: Log, ref: InputRef) -> Input[StudyChain]:
    """The decision that a reference names. Raises LogAway, OffsetOutOfRange, Stop, UnknownSchema."""
    (one,) = events(log, TopicPartition(ref.topic, ref.partition), ref.offset, ref.offset + 1, StudyChain)
    return one
