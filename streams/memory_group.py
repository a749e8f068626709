"""Consumer groups of the fake log. As in KIP-848, a partition moves when its old member has let it go."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streams.log import Fenced, OnAssign, OnRevoke, TopicPartition
from streams.step import TopicChanged
from streams.wire import Record

if TYPE_CHECKING:
    from streams.memory_log import MemoryLog


@dataclass
class Group:
    """`committed` holds (next offset, topic id); `targets` what each member is to have."""

    members: list[MemoryConsumer] = field(default_factory=list)
    committed: dict[TopicPartition, tuple[int, str]] = field(default_factory=dict)
    targets: dict[MemoryConsumer, set[TopicPartition]] = field(default_factory=dict)

    def assign(self, counts: Mapping[str, int]) -> None:
        """One partition number of all topics goes to one member, which suits every kind of group."""
        self.targets = {member: set() for member in self.members}
        for topic, count in counts.items():
            readers = [member for member in self.members if topic in member.topics]
            for number in range(count if readers else 0):
                self.targets[readers[number % len(readers)]].add(TopicPartition(topic, number))

    def leave(self, member: MemoryConsumer) -> None:
        if member in self.members:
            self.members.remove(member)

    def owned_by_others(self, member: MemoryConsumer) -> set[TopicPartition]:
        return {name for other in self.members if other is not member for name in other.positions}

    def forget(self, topic: str) -> None:
        for name in [name for name in self.committed if name.topic == topic]:
            del self.committed[name]


class MemoryConsumer:
    """`positions` are the next offsets of what this member has."""

    def __init__(
        self, log: MemoryLog, group: str, topics: tuple[str, ...], on_assign: OnAssign, on_revoke: OnRevoke
    ) -> None:
        self.topics = topics
        self.positions: dict[TopicPartition, int] = {}
        self._ids: dict[TopicPartition, str] = {}
        self._paused: set[TopicPartition] = set()
        self._log = log
        self._name = group
        self._on_assign = on_assign
        self._on_revoke = on_revoke
        self._group = log.join(group, self)

    def poll(self, records_max: int, timeout_s: float) -> Sequence[Record]:
        deadline = time.monotonic() + timeout_s
        while True:
            self._reconcile()
            with self._log.changed:
                self._log.reach()
                records = self._fetch(records_max)
                left_s = deadline - time.monotonic()
                if records or left_s <= 0:
                    return records
                self._log.changed.wait(left_s)

    def _fetch(self, records_max: int) -> list[Record]:
        records: list[Record] = []
        for name in sorted(self.positions.keys() - self._paused):
            found = self._log.slice(name, self.positions[name], records_max - len(records))
            self.positions[name] += len(found)
            records.extend(found)
        return records

    def _reconcile(self) -> None:
        """Gives back what is to go, then takes what is to come and free. Callbacks run without the lock."""
        with self._log.changed:
            if self._log.away:
                return
            fenced = self not in self._group.members
            going = sorted(self.positions) if fenced else sorted(name for name in self.positions if self._goes(name))
            lost = fenced or any(self._recreated(name) for name in going)
        if going:
            self._on_revoke(going, lost)
        with self._log.changed:
            for name in going:
                del self.positions[name]
                self._paused.discard(name)
            if fenced:
                self._group = self._log.join(self._name, self)
            coming = sorted(self._target() - set(self.positions) - self._group.owned_by_others(self))
            starts = {name: self._start(name) for name in coming}
            self._log.changed.notify_all()
        if coming:
            starts.update(self._on_assign(coming))
            with self._log.changed:
                self.positions.update(starts)
                self._ids.update({name: self._log.topic(name.topic).topic_id for name in coming})

    def _target(self) -> set[TopicPartition]:
        return self._group.targets.get(self, set())

    def _goes(self, name: TopicPartition) -> bool:
        return name not in self._target() or self._recreated(name)

    def _recreated(self, name: TopicPartition) -> bool:
        return name in self._target() and self._log.topic(name.topic).topic_id != self._ids[name]

    def _start(self, name: TopicPartition) -> int:
        topic_id = self._log.topic(name.topic).topic_id
        offset, known_id = self._group.committed.get(name, (self._log.partition(name).first, topic_id))
        if known_id != topic_id:
            raise TopicChanged(f"{name.topic}: committed for topic id {known_id}, now {topic_id}")
        return offset

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        self._paused.update(partitions)

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        self._paused.difference_update(partitions)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.positions[partition] = offset

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        with self._log.changed:
            self._log.reach()
            if self not in self._group.members or not offsets.keys() <= self.positions.keys():
                raise Fenced(f"group {self._name}: not a member with these partitions")
            for name, offset in offsets.items():
                self._group.committed[name] = (offset, self._ids[name])

    def close(self) -> None:
        with self._log.changed:
            away, fenced = self._log.away, self not in self._group.members
            going = sorted(self.positions)
        if going:
            self._on_revoke(going, away or fenced)
        self.positions.clear()
        self._log.leave(self._group, self)
