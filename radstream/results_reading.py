"""Results and reviews as the log holds them, without a consumer group: nothing is committed, nobody is disturbed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from confluent_kafka import murmur2

from schemas import load_topics
from streams.events import InferenceResult, ReviewEvent
from streams.identity import partition_key
from streams.log import Log, OffsetOutOfRange, TopicPartition
from streams.wire import Record, Undecodable, UnknownSchema, decode

# The most urgent lane first, then what people said.
TOPICS = (*load_topics().physical("imaging.inference.result"), *load_topics().physical("imaging.review.event"))
SEEN_MAX = 200_000


@dataclass
class ResultReader:
    """Each round reads what is new. Of records with one `ce_id` the first counts.

    Only events of `tenant` are given. `since` is compared with the event's own time; of `study`, a StudyInstanceUID,
    only its partition is read. `skipped` is told of each record that is left out.
    """

    log: Log
    tenant: str
    since: datetime | None
    study: str | None
    skipped: Callable[[str], None]
    _next: dict[TopicPartition, int] = field(default_factory=dict)
    _seen: dict[str, None] = field(default_factory=dict)

    def round(self) -> list[InferenceResult | ReviewEvent]:
        """What was written since the last round, in the order of reading.

        Raises LogAway, LogRefused, OffsetOutOfRange and Stop; the next round then reads the same again.
        """
        counts = self.log.partitions_of(TOPICS)
        names = [name for topic in TOPICS for name in self._partitions(topic, counts[topic])]
        bounds = self.log.bounds(names)
        starts = self._next or self._begin(bounds)
        ends: dict[TopicPartition, int] = {}
        records: list[Record] = []
        for name, (_, end) in bounds.items():
            start = starts[name]
            if end < start:
                raise OffsetOutOfRange(f"{name.topic}/{name.partition} ends before {start}: the log was made anew")
            if end > start:
                records += self.log.read(name, start, end)
            ends[name] = end
        # All of them were read: only now is none of them read again.
        self._next = ends
        return [event for record in records if (event := self._event(record)) is not None and self._wanted(event)]

    def _partitions(self, topic: str, count: int) -> list[TopicPartition]:
        if self.study is None:
            return [TopicPartition(topic, number) for number in range(count)]
        return [TopicPartition(topic, murmur2(partition_key(self.tenant, self.study), count))]

    def _begin(self, bounds: Mapping[TopicPartition, tuple[int, int]]) -> Mapping[TopicPartition, int]:
        if self.since is None:
            return {name: first for name, (first, _) in bounds.items()}
        # An event happens before its record is written, so none of that time stands before these offsets.
        return self.log.since(list(bounds), int(self.since.timestamp() * 1000))

    def _event(self, record: Record) -> InferenceResult | ReviewEvent | None:
        place = f"{record.topic}/{record.partition} offset {record.offset}"
        identity = record.header("ce_id")
        if identity is None:
            self.skipped(f"{place}: no ce_id")
            return None
        if identity in self._seen:
            return None
        try:
            event = decode(record)
        except Undecodable as error:
            self.skipped(f"{place}: {error}")
            return None
        except UnknownSchema as error:
            self.skipped(f"{place}: {error} is not known to this version of radstream; install a newer one")
            return None
        if not isinstance(event, InferenceResult | ReviewEvent):
            self.skipped(f"{place}: neither a result nor a review")
            return None
        self._remember(identity)
        return event

    def _remember(self, identity: str) -> None:
        """Of many, the oldest is forgotten: a command that runs for months must not grow for months."""
        self._seen[identity] = None
        if len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]

    def _wanted(self, event: InferenceResult | ReviewEvent) -> bool:
        return (
            event.meta.tenant == self.tenant
            and self.study in (None, event.study_uid)
            and (self.since is None or event.meta.occurred_at >= self.since)
        )
