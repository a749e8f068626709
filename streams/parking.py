"""One subject that must wait goes to the group's retry topic, and the rest go on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from schemas import load_topics
from streams.origin import number, origin_headers, original
from streams.wire import Message, Record

RETRY = "imaging.retry"


@dataclass(frozen=True)
class Parked:
    """`record` is as it was first read; `attempt` counts the times that it was parked; `not_before_ms` is Unix time."""

    record: Record
    attempt: int
    not_before_ms: int


def retry_topic(group: str) -> str:
    return load_topics().of_group(RETRY, group)


def parked(record: Record, group: str, reason: str, at: datetime, *, attempt: int, wait_s: float) -> Message:
    """The record to write; `record` is as it was first read."""
    not_before_ms = int((at.timestamp() + wait_s) * 1000)
    ours = (("retry_attempt", str(attempt).encode()), ("retry_not_before_ms", str(not_before_ms).encode()))
    headers = (*record.headers, *origin_headers(record, group, reason, at), *ours)
    return Message(retry_topic(group), record.key, record.value, headers)


def unparked(record: Record) -> Parked:
    """Raises Undecodable for a record that `parked` did not make."""
    return Parked(original(record), number(record, "retry_attempt"), number(record, "retry_not_before_ms"))
