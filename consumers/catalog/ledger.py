"""How far each partition is in the tables. It moves in the transaction of the rows, by compare-and-set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consumers.catalog.database import Cursor
from consumers.catalog.text import document
from streams.log import TopicPartition
from streams.step import LedgerMoved, TopicChanged

GROUP = "catalog"

_READ = "SELECT topic, partition, topic_id, next_offset FROM ledger WHERE consumer_group = %s"

_ADVANCE = """
WITH wanted AS (
    SELECT * FROM json_to_recordset(%(moves)s::json)
    AS move(topic text, partition integer, topic_id text, expected bigint, next_offset bigint, last_event_id text)
), moved AS (
    UPDATE ledger SET next_offset = wanted.next_offset,
        last_event_id = coalesce(wanted.last_event_id, ledger.last_event_id)
    FROM wanted
    WHERE ledger.consumer_group = %(group)s AND ledger.topic = wanted.topic AND ledger.partition = wanted.partition
        AND ledger.topic_id = wanted.topic_id AND ledger.next_offset = wanted.expected
    RETURNING 1
), begun AS (
    INSERT INTO ledger (consumer_group, topic, partition, topic_id, next_offset, last_event_id)
    SELECT %(group)s, topic, partition, topic_id, next_offset, last_event_id FROM wanted WHERE expected IS NULL
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT (SELECT count(*) FROM moved) + (SELECT count(*) FROM begun)
"""


@dataclass(frozen=True)
class Place:
    """Where the ledger is in one partition of one topic."""

    topic_id: str
    next_offset: int


@dataclass(frozen=True)
class Move:
    """From where this member left a partition (None: it was never read) to `next_offset`."""

    topic: str
    partition: int
    topic_id: str
    expected: int | None
    next_offset: int
    last_event_id: str | None


def read(cursor: Cursor, group: str = GROUP) -> dict[TopicPartition, Place]:
    """Every partition that the group has read."""
    rows = cursor.execute(_READ, (group,)).fetchall()
    return {TopicPartition(topic, partition): Place(topic_id, at) for topic, partition, topic_id, at in rows}


def known(
    places: Mapping[TopicPartition, Place], topic_ids: Mapping[str, str], partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, int]:
    """Next offset of those of `partitions` that were read before. Raises TopicChanged."""
    offsets = {}
    for partition in partitions:
        if (place := places.get(partition)) is None:
            continue
        if place.topic_id != topic_ids[partition.topic]:
            raise TopicChanged(
                f"topic {partition.topic} is not the one the catalog has read: it was recreated "
                f"(was {place.topic_id}, is {topic_ids[partition.topic]}); find out why, then: "
                "radstream catalog rebuild --switch"
            )
        offsets[partition] = place.next_offset
    return offsets


def advance(cursor: Cursor, moves: Sequence[Move], group: str = GROUP) -> None:
    """Moves the ledger, or raises LedgerMoved: then the transaction must not be committed."""
    ordered = sorted(moves, key=lambda move: (move.topic, move.partition))
    found = cursor.execute(_ADVANCE, {"group": group, "moves": document(ordered)}).fetchone()
    if found is None or found[0] != len(ordered):
        raise LedgerMoved("the catalog's ledger is not where this member left it")
