"""What a projection applies at once: records of several partitions, and where each partition then stands."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from streams.events import Event
from streams.gaps import no_gap
from streams.log import TopicPartition
from streams.step import Input
from streams.stop import Stop
from streams.wire import Record


class Batch:
    """`inputs` are the records that could be decoded. A partition that goes takes its records with it.

    `starts` are the next offsets of what was applied, or is read from: the owner of the batch keeps them.
    """

    def __init__(self, starts: Mapping[TopicPartition, int]) -> None:
        self._starts = starts
        self.records: list[Record] = []
        self.inputs: list[Input[Event]] = []
        self.ends: dict[TopicPartition, int] = {}

    def add(self, records: Sequence[Record]) -> None:
        """Raises Stop where offsets do not follow one another."""
        for record in records:
            name = _of(record)
            no_gap(name, self.ends.get(name, self._starts.get(name)), record.offset)
            if record.offset < self.ends.get(name, 0):
                raise Stop(
                    f"{name.topic}/{name.partition}: offset {record.offset} came after {self.ends[name] - 1}. "
                    "Nothing of it was applied; start the service again and report this"
                )
            self.ends[name] = record.offset + 1
        self.records.extend(records)

    def take(self, inputs: Sequence[Input[Event]]) -> None:
        """The decoded records, without those whose partition has gone meanwhile."""
        self.inputs = [item for item in inputs if _of(item.record) in self.ends]

    def drop(self, partitions: Collection[TopicPartition]) -> None:
        gone = set(partitions)
        self.records = [record for record in self.records if _of(record) not in gone]
        self.inputs = [item for item in self.inputs if _of(item.record) not in gone]
        self.ends = {name: end for name, end in self.ends.items() if name not in gone}


def _of(record: Record) -> TopicPartition:
    return TopicPartition(record.topic, record.partition)
