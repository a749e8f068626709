"""`avro/topics.yaml`, typed."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec
import yaml

Lane = Literal["stat", "routine", "bulk"]
Kind = Literal["instance", "decision", "command", "entity", "replay", "single", "group", "private"]


class Topic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: Kind
    truth: bool
    owner: str
    config: dict[str, str]
    subject: str | None = None

    @property
    def co_partitioned(self) -> bool:
        """Whether it has `Topics.partitions` partitions, one for the same studies in every such topic."""
        return self.kind in ("instance", "decision", "command", "replay", "private")


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`members`: consumer groups named <group>.<name> are of this entry too, each with offsets of its own.

    `apart` has those members that read something else, by name: nothing of theirs is parked.
    """

    reads: tuple[str, ...]
    retry: bool
    members: bool = False
    apart: dict[str, tuple[str, ...]] = {}


class Topics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    lanes: tuple[Lane, ...]
    partitions: dict[str, int]
    topics: dict[str, Topic]
    groups: dict[str, Group]

    def in_lane(self, topic: str, lane: Lane) -> str:
        """The physical topic of an instance topic in a lane; 'routine' and other kinds have no suffix."""
        if self.topics[topic].kind != "instance" or lane == "routine":
            return topic
        return f"{topic}.{lane}"

    def entry_of(self, group: str) -> str:
        """The entry of a consumer group: `forward` for `forward.pacs`, else its own name."""
        stem = group.partition(".")[0]
        return stem if stem in self.groups and self.groups[stem].members else group

    @property
    def readers(self) -> tuple[str, ...]:
        """Every group whose topics are listed: each entry, and after it its members apart."""
        return tuple(
            one for name, group in self.groups.items() for one in (name, *(f"{name}.{part}" for part in group.apart))
        )

    def of_group(self, topic: str, group: str) -> str:
        """The physical topic of a group topic, for example `imaging.retry.validate`. Members of an entry share one."""
        return f"{topic}.{self.entry_of(group)}"

    def logical(self, physical: str) -> str:
        """The name in topics.yaml of a physical topic. Raises KeyError for a topic that is not ours."""
        if physical in self.topics:
            return physical
        stem = physical.rpartition(".")[0]
        if stem in self.topics:
            return stem
        raise KeyError(physical)

    def physical(self, topic: str) -> tuple[str, ...]:
        """Every physical topic of one entry, the most urgent lane first."""
        kind = self.topics[topic].kind
        if kind == "instance":
            return tuple(self.in_lane(topic, lane) for lane in self.lanes)
        if kind == "group":
            return tuple(self.of_group(topic, name) for name, group in self.groups.items() if self._has(topic, group))
        return (topic,)

    def _has(self, topic: str, group: Group) -> bool:
        return group.retry or topic != "imaging.retry"

    def read_by(self, group: str) -> tuple[str, ...]:
        """Every physical topic that a consumer group subscribes to, its own retry topic included."""
        stem, _, member = group.partition(".")
        entry = self.groups[self.entry_of(group)]
        if stem in self.groups and member in self.groups[stem].apart:
            return tuple(name for topic in entry.apart[member] for name in self.physical(topic))
        names = [name for topic in entry.reads for name in self.physical(topic)]
        return (*names, self.of_group("imaging.retry", group)) if entry.retry else tuple(names)


# Worked out here, by the one thread that imports: the first record may be encoded by many (streams/wire.py).
msgspec.json.Decoder(Topics)


@cache
def load_topics() -> Topics:
    """The packaged list. Raises msgspec.ValidationError where the file is not as `Topics` says."""
    text = files("schemas").joinpath("avro", "topics.yaml").read_text(encoding="utf-8")
    return msgspec.convert(yaml.safe_load(text), Topics)
