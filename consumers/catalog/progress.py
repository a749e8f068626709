"""How far the tables are behind the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from consumers.catalog import ledger
from consumers.catalog.database import Cursor
from schemas import load_topics
from streams.log import Log, TopicPartition

Offsets = Mapping[TopicPartition, int]


def partitions(log: Log) -> Sequence[TopicPartition]:
    """Every partition that the catalog reads. Raises LogAway, LogRefused."""
    topics = load_topics().read_by(ledger.GROUP)
    return [TopicPartition(topic, number) for topic in topics for number in range(log.partitions(topic))]


def log_ends(log: Log) -> Offsets:
    """The next offset to be written of each partition. Raises LogAway, LogRefused."""
    return {name: end for name, (_, end) in log.bounds(partitions(log)).items()}


def behind(cursor: Cursor, ends: Offsets) -> dict[str, int]:
    """Records between the ledger and `ends`, by topic; topics without any are left out."""
    places = ledger.read(cursor)
    lag: dict[str, int] = {}
    for name, end in ends.items():
        place = places.get(name)
        if (missing := end - (place.next_offset if place else 0)) > 0:
            lag[name.topic] = lag.get(name.topic, 0) + missing
    return lag
