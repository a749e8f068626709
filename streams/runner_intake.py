"""What the runner takes in: a record as read becomes an item on its way."""

from __future__ import annotations

from schemas import load_topics
from streams.clock import Clock
from streams.flow import Flow, Item
from streams.log import TopicPartition
from streams.origin import is_of_another_member
from streams.parking import retry_topic, unparked
from streams.result import Dead, Emit
from streams.step import TopicChanged
from streams.wire import Record, Undecodable, UnknownSchema, decode


class Intake:
    """Knows the ids of the topics that were read, and the group's retry topic."""

    def __init__(self, group: str, clock: Clock) -> None:
        self._group = group
        self._clock = clock
        self._retry = retry_topic(group)
        self._topic_ids: dict[str, str] = {}

    def flow(self, name: TopicPartition) -> Flow:
        return Flow(name, _rank(name.topic), ordered=name.topic != self._retry, mixed=not _has_lanes(name.topic))

    def item(self, record: Record) -> Item:
        """Raises TopicChanged. What was parked is its original again, and waits for its time."""
        self._check_id(record)
        if record.topic != self._retry:
            return Item(record, record.offset, rank_of(record))
        if is_of_another_member(record, self._group):
            return Item(record, record.offset, result=Emit((), "not_ours"))
        try:
            waiting = unparked(record)
        except Undecodable as error:
            return Item(record, record.offset, result=Dead(str(error)))
        wait_s = waiting.not_before_ms / 1000 - self._clock.now().timestamp()
        due_s = self._clock.monotonic() + wait_s
        return Item(waiting.record, record.offset, rank_of(waiting.record), attempt=waiting.attempt, due_s=due_s)

    def _check_id(self, record: Record) -> None:
        known = self._topic_ids.setdefault(record.topic, record.topic_id)
        if known != record.topic_id:
            raise TopicChanged(
                f"{record.topic} was deleted and created again (id {known}, now {record.topic_id}); "
                f"decide what group {self._group} is to read of it, then start the service again"
            )


def rank_of(record: Record) -> int:
    """The urgency of a record: its topic's lane; that of its event where the topic has no lanes."""
    if _has_lanes(record.topic):
        return _rank(record.topic)
    try:
        return load_topics().lanes.index(decode(record).meta.lane)
    except (Undecodable, UnknownSchema):
        # What becomes of it is decided when it is worked on.
        return _rank(record.topic)


def _has_lanes(topic: str) -> bool:
    topics = load_topics()
    return topics.topics[topics.logical(topic)].kind == "instance"


def _rank(topic: str) -> int:
    """The place of a topic's lane in the order of urgency; what has no suffix is routine."""
    lanes = load_topics().lanes
    suffix = topic.rpartition(".")[2]
    return lanes.index(suffix if suffix in lanes else "routine")
