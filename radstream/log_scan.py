"""Reads the whole log into a census, in an order that keeps the accounts equal while the pipeline works.

First the groups' committed offsets, then the ends of what is written last (derived), then of what is written first
(received). So a record that a group has committed has its result in the census, and a result has its source.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from radstream.log_census import LogCensus
from schemas import load_topics
from streams.events import SUBJECTS
from streams.letters import letters
from streams.log import Log, TopicPartition
from streams.replays import TOPIC as REPLAYS
from streams.wire import Record, Undecodable, decode

_MOVED = "imaging.tier.moved"
LAST_WRITTEN_FIRST = (
    "imaging.import.decision",
    "imaging.commitment.report",
    "imaging.commitment.result",
    "imaging.commitment.request",
    "imaging.forward.result",
    _MOVED,
    "imaging.review.event",
    "imaging.inference.result",
    "imaging.hold.command",
    "imaging.access.read",
    "imaging.mpps.event",
    "imaging.order.command",
    "imaging.study.assessed",
    "imaging.study.revision",
    "imaging.instance.derived",
    "imaging.instance.quarantined",
    "imaging.instance.validated",
    "imaging.quarantine.command",
    "imaging.instance.received",
    "imaging.audit.event",
    "imaging.step.generation",
)

Offsets = Mapping[TopicPartition, int]


def scan(log: Log, ledger: Offsets) -> LogCensus:
    """Counts every record. `ledger` is how far the catalog was, read before.

    Raises LogAway, and UnknownSchema for a record of a newer build.
    """
    census = LogCensus()
    committed = {group: _committed(log, group) for group in _retrying()}
    for group, offsets in committed.items():
        _parked(log, census, group, offsets)
    made_again = _bounds(log, REPLAYS)
    ends = {topic: _bounds(log, topic) for topic in LAST_WRITTEN_FIRST}
    census.moves_read = {partition: end for partition, (_, end) in ends[_MOVED].items()}
    for topic, bounds in ends.items():
        for record in _records(log, bounds):
            _count(census, topic, record, committed, ledger)
    # After the topics of the events: what was published there is no candidate any more.
    for record in _records(log, made_again):
        _count_candidate(census, record, ledger)
    return census


def moved_since(log: Log, census: LogCensus) -> set[str]:
    """Studies whose copies have moved, or may have, since the census was read. Raises LogAway."""
    ends = _bounds(log, _MOVED)
    fresh = {partition: (census.moves_read[partition], end) for partition, (_, end) in ends.items()}
    return {_study_of(record) for record in _records(log, fresh)}


def _study_of(record: Record) -> str:
    """The subject of a move is study/seq."""
    return (record.header("ce_subject") or "").partition("/")[0]


def _retrying() -> tuple[str, ...]:
    return tuple(name for name, group in load_topics().groups.items() if group.retry)


def _partitions(log: Log, topics: tuple[str, ...]) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for topic in topics for number in range(log.partitions(topic))]


def _committed(log: Log, group: str) -> Offsets:
    offsets = log.committed(group, _partitions(log, load_topics().read_by(group)))
    return {partition: offset or 0 for partition, offset in offsets.items()}


def _bounds(log: Log, topic: str) -> Mapping[TopicPartition, tuple[int, int]]:
    return log.bounds(_partitions(log, load_topics().physical(topic)))


def _records(log: Log, bounds: Mapping[TopicPartition, tuple[int, int]]) -> Iterator[Record]:
    for partition, (first, end) in bounds.items():
        if end > first:
            yield from log.read(partition, first, end)


def _parked(log: Log, census: LogCensus, group: str, committed: Offsets) -> None:
    retry = load_topics().of_group("imaging.retry", group)
    # The dead letters first: what a redrive puts back meanwhile is then one of them, or parked.
    census.dead_letters[group] = {one.subject for one in letters(log, group) if one.state != "redriven"}
    for record in _records(log, log.bounds(_partitions(log, (retry,)))):
        if record.offset >= committed[TopicPartition(retry, record.partition)]:
            census.parked[group].add(record.header("ce_subject") or "")


def _count(census: LogCensus, topic: str, record: Record, committed: Mapping[str, Offsets], ledger: Offsets) -> None:
    try:
        event = decode(record)
    except Undecodable:
        census.undecodable[topic] += 1
        return
    census.add(event)
    where = TopicPartition(record.topic, record.partition)
    for group, offsets in committed.items():
        if where in offsets and record.offset >= offsets[where]:
            census.unread[group].add(event.meta.subject)
    if record.offset < ledger.get(where, 0):
        census.read_by_catalog[topic].add(event.meta.event_id)


def _count_candidate(census: LogCensus, record: Record, ledger: Offsets) -> None:
    try:
        event = decode(record)
    except Undecodable:
        census.undecodable[REPLAYS] += 1
        return
    census.add_candidate(event)
    if record.offset < ledger.get(TopicPartition(record.topic, record.partition), 0):
        census.read_by_catalog[SUBJECTS[type(event)]].add(event.meta.event_id)
