"""Where a record that was put aside came from, in headers after its own.

A dead letter and a parked record hold the original key, bytes and headers. What follows the last `origin_topic` is
ours, and with it the record can be had back exactly as it was read, so a later try has the same lineage.
"""

from __future__ import annotations

import re
from datetime import datetime

from schemas import load_topics
from streams.wire import Headers, Record, Undecodable

_FIRST = "origin_topic"
_GROUP = "origin_group"
_FIRST_PLACE, _FOR = "first_place", "put_back_for"
_NUMBER = re.compile(r"[0-9]{1,15}")


def origin_headers(record: Record, group: str, reason: str, at: datetime) -> Headers:
    """`reason` is without patient data: a step's own sentence, or an exception's type and place in the code."""
    named = {
        _FIRST: record.topic,
        "origin_topic_id": record.topic_id,
        "origin_partition": str(record.partition),
        "origin_offset": str(record.offset),
        "origin_timestamp_ms": str(record.timestamp_ms),
        _GROUP: group,
        "reason": reason,
        "put_aside_at": at.isoformat(timespec="milliseconds"),
    }
    return tuple((name, value.encode()) for name, value in named.items())


def original(record: Record) -> Record:
    """The record that was put aside, as it was read. Raises Undecodable where the headers do not say."""
    starts = [index for index, (name, _) in enumerate(record.headers) if name == _FIRST]
    if not starts:
        raise Undecodable("no headers that say where the record came from")
    return Record(
        topic=record.header(_FIRST) or "",
        topic_id=record.header("origin_topic_id") or "",
        partition=number(record, "origin_partition"),
        offset=number(record, "origin_offset"),
        timestamp_ms=number(record, "origin_timestamp_ms"),
        key=record.key,
        value=record.value,
        headers=record.headers[: starts[-1]],
    )


def put_back_headers(record: Record, group: str) -> Headers:
    """Of a record that is written into its own topic once more: its own, where it first was, and who gave it up."""
    first = f"{record.topic_id}/{record.partition}/{record.offset}"
    own = record.headers if record.header(_FIRST_PLACE) else (*record.headers, (_FIRST_PLACE, first.encode()))
    return (*(one for one in own if one[0] != _FOR), (_FOR, group.encode()))


def is_for_another(record: Record, group: str) -> bool:
    """Whether it was put back for another group, and this one had it before."""
    return record.header(_FOR) not in (None, group)


def first_place(record: Record) -> tuple[int, int]:
    """Partition and offset of the first writing of a record that was put back, perhaps several times; else its own."""
    topic_id, _, place = (record.header(_FIRST_PLACE) or "").partition("/")
    partition, _, offset = place.partition("/")
    if topic_id != record.topic_id or not _NUMBER.fullmatch(partition) or not _NUMBER.fullmatch(offset):
        return record.partition, record.offset
    return int(partition), int(offset)


def first_offset(record: Record) -> int:
    """Which place a record has among the others of its partition: that of its first writing.

    What people decided in an order stays in that order, also where one decision was put back after later ones.
    """
    partition, offset = first_place(record)
    return min(offset, record.offset) if partition == record.partition else record.offset


def is_of_another_member(record: Record, group: str) -> bool:
    """Whether another member of the group's entry in topics.yaml put it aside, into the topic that they share."""
    other, topics = record.header(_GROUP), load_topics()
    return other is not None and other != group and topics.entry_of(other) == topics.entry_of(group)


def number(record: Record, name: str) -> int:
    """A header that is a whole number of at most 15 digits: more is no time, no offset and no count.

    Raises Undecodable.
    """
    text = record.header(name) or ""
    if not _NUMBER.fullmatch(text):
        raise Undecodable(f"header {name} is not a number")
    return int(text)
