"""Offsets follow one another. No topic is compacted and nobody writes in transactions: what is left out was lost."""

from __future__ import annotations

from streams.log import TopicPartition
from streams.stop import Stop


def no_gap(name: TopicPartition, expected: int | None, offset: int) -> None:
    """`expected` is the next offset, None where nobody knows it. Raises Stop where records are missing."""
    if expected is not None and offset > expected:
        raise Stop(
            f"{name.topic}/{name.partition}: offset {offset} came where {expected} is the next. What is between is "
            "missing, and was not skipped: find out what removed it (compaction, a damaged segment, transactions), "
            "then start the service again"
        )
