"""Dead letters as they stand in a group's topic: which records they are of, and what became of each since.

That a record was put back (`streams.redriving`) is said by a mark beside its letter: a record without a value, whose
origin is the letter. It also has the end of its partition before the record was put back: a letter of the same record
from there on is one that came back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from streams.deadletters import REDRIVE, dead_letter_topic, is_mark
from streams.log import Log, TopicPartition
from streams.origin import first_place, number, origin_headers, original
from streams.wire import Message, Record, Undecodable

State = Literal["open", "redriven", "came back"]

_UNTIL: Final = "letters_until"


@dataclass(frozen=True, order=True)
class Place:
    """Of a letter in its group's dead-letter topic."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}/{self.offset}"


@dataclass(frozen=True)
class Letter:
    """The last dead letter of one record; `times` counts them, and `redrives` how often the record was put back.

    `group` is the consumer group that gave it up, a member's where several share the topic. `origin` is where it was
    read (topic, partition, offset), None where the letter does not say: then nobody of ours wrote it. `bytes` are of
    its value; `left_out` says that the letter was too large to have it. `until` is where the partition ended when the
    record was last put back.
    """

    place: Place
    group: str
    origin: tuple[str, int, int] | None
    subject: str
    reason: str
    at_ms: int
    bytes: int
    left_out: bool
    times: int = 1
    redrives: int = 0
    until: Place | None = None

    @property
    def state(self) -> State:
        if self.until is None:
            return "open"
        # One record has one key, so one partition; where it has no key, a letter elsewhere may be a later one.
        is_earlier = self.place.partition == self.until.partition and self.place.offset < self.until.offset
        return "redriven" if is_earlier else "came back"


def letters(log: Log, group: str) -> list[Letter]:
    """What the group's topic holds, the oldest first, each record once. Without values: memory is some 500 bytes each.

    Raises LogAway, LogRefused.
    """
    found: dict[object, Letter] = {}
    by_place: dict[Place, object] = {}
    marks: list[tuple[Place, Place]] = []
    for record in _records(log, dead_letter_topic(group)):
        if is_mark(record):
            marks += _marked(record)
            continue
        letter = _letter(record, group)
        name = _name(record, letter)
        by_place[letter.place] = name
        earlier = found.get(name)
        found[name] = replace(letter, times=earlier.times + 1) if earlier else letter
    for place, until in marks:
        if (marked := by_place.get(place)) is not None:
            one = found[marked]
            found[marked] = replace(one, redrives=one.redrives + 1, until=max(until, one.until or until))
    return sorted(found.values(), key=lambda one: (one.at_ms, one.place))


def letter_at(log: Log, group: str, place: Place) -> Record | None:
    """The dead letter itself; None where there is none at that place. Raises LogAway, LogRefused."""
    name = TopicPartition(dead_letter_topic(group), place.partition)
    if not 0 <= place.partition < log.partitions(name.topic):
        return None
    first, end = log.bounds([name])[name]
    if not first <= place.offset < end:
        return None
    (record,) = log.read(name, place.offset, place.offset + 1)
    return None if is_mark(record) else record


def mark(letter: Record, until: int, to: str, actor: str, at: datetime) -> Message:
    """Says beside a letter that `actor` put its record back, into the topic `to`; its partition ended at `until`."""
    ours = {
        _UNTIL: str(until),
        "redriven_to": to,
        "redriven_by": actor,
        "ce_subject": letter.header("ce_subject") or "",
    }
    named = ((name, value.encode()) for name, value in ours.items())
    return Message(letter.topic, letter.key, None, (*origin_headers(letter, REDRIVE, "redriven", at), *named))


def _records(log: Log, topic: str) -> Iterator[Record]:
    names = [TopicPartition(topic, number) for number in range(log.partitions(topic))]
    for name, (first, end) in log.bounds(names).items():
        if end > first:
            yield from log.read(name, first, end)


def _marked(record: Record) -> Iterable[tuple[Place, Place]]:
    """Which letter a mark is of, and where its partition ended."""
    try:
        letter, until = original(record), number(record, _UNTIL)
    except Undecodable:
        return ()
    return ((Place(letter.partition, letter.offset), Place(letter.partition, until)),)


def _name(record: Record, letter: Letter) -> object:
    """The same for all letters of a record, also where it was written into its own topic once more."""
    if letter.origin is None:
        return letter.place
    read = original(record)
    return letter.group, read.topic_id, read.topic, *first_place(read)


def _letter(record: Record, group: str) -> Letter:
    try:
        read = original(record)
        origin = read.topic, read.partition, read.offset
    except Undecodable:
        origin = None
    left_out = record.header("left_out_bytes")
    return Letter(
        place=Place(record.partition, record.offset),
        group=record.header("origin_group") or group,
        origin=origin,
        subject=record.header("ce_subject") or "",
        reason=record.header("reason") or "",
        at_ms=record.timestamp_ms,
        bytes=len(record.value or b""),
        left_out=left_out is not None,
    )
