"""`radstream lag`: how far each consumer group is behind the end of the log, and for how long."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click

from radstream.errors import Failure
from radstream.options import config_option, json_option, log_answers, open_config, open_log
from radstream.output import print_table, show
from schemas import load_topics
from streams.log import Log, TopicPartition

_READERS = 8


@dataclass(frozen=True)
class Behind:
    """One partition as a group has read it. `committed` is None where the group never committed."""

    topic: str
    lane: str
    partition: int
    committed: int | None
    end: int
    lag: int
    oldest_age_s: float | None


@dataclass(frozen=True)
class GroupLag:
    group: str
    lag: int
    oldest_age_s: float | None
    partitions: Sequence[Behind]


@dataclass(frozen=True)
class Lag:
    lag: int
    oldest_age_s: float | None
    groups: Sequence[GroupLag]


@click.command()
@click.argument("groups", nargs=-1, metavar="[GROUP]...")
@config_option
@json_option
def lag(groups: tuple[str, ...], config_path: Path, as_json: bool) -> None:
    """How far consumer groups are behind: records that wait, and the age of the oldest.

    Without GROUP, all of them. Study revisions count an image as waiting until its study was quiet.
    """
    known = load_topics().groups
    if unknown := [name for name in groups if name not in known]:
        raise Failure(f"no group {', '.join(unknown)}; there are: {', '.join(known)}")
    with log_answers():
        found = measure(open_log(open_config(config_path)), groups or tuple(known))
    show(as_json, found, lambda: print_lag(found))


def measure(log: Log, groups: Collection[str]) -> Lag:
    """What each group has yet to read. Raises LogAway, LogRefused."""
    measured = [_group(log, name) for name in groups]
    return Lag(sum(group.lag for group in measured), _oldest(measured), measured)


def _group(log: Log, group: str) -> GroupLag:
    topics = load_topics()
    names = [
        TopicPartition(topic, number) for topic in topics.read_by(group) for number in range(log.partitions(topic))
    ]
    committed = log.committed(group, names)
    bounds = log.bounds(names)
    # A group that never committed begins at the first record held.
    positions = {name: bounds[name][0] if committed[name] is None else committed[name] or 0 for name in names}
    waiting = [name for name in names if positions[name] < bounds[name][1]]
    with ThreadPoolExecutor(_READERS) as pool:
        ages = dict(zip(waiting, pool.map(lambda name: _age_s(log, name, positions[name]), waiting), strict=True))
    partitions = [
        Behind(
            topic=name.topic,
            lane=_lane(name.topic),
            partition=name.partition,
            committed=committed[name],
            end=bounds[name][1],
            lag=max(bounds[name][1] - positions[name], 0),
            oldest_age_s=ages.get(name),
        )
        for name in names
    ]
    return GroupLag(group, sum(one.lag for one in partitions), _oldest(partitions), partitions)


def _age_s(log: Log, name: TopicPartition, offset: int) -> float | None:
    """Seconds since the record was written, or None where it is gone by now."""
    for record in log.read(name, offset, offset + 1):
        return round(max(time.time() - record.timestamp_ms / 1000, 0.0), 3)
    return None


def _lane(physical: str) -> str:
    """The lane of an instance topic; other topics have none."""
    topics = load_topics()
    logical = topics.logical(physical)
    if topics.topics[logical].kind != "instance":
        return "-"
    return next(lane for lane in topics.lanes if topics.in_lane(logical, lane) == physical)


def _oldest(parts: Sequence[Behind] | Sequence[GroupLag]) -> float | None:
    return max((one.oldest_age_s for one in parts if one.oldest_age_s is not None), default=None)


def print_lag(found: Lag) -> None:
    """A row for each partition that waits, and one for each group."""
    columns = ("group", "topic", "lane", "partition", "committed", "end", "lag", "oldest")
    rows = [row for group in found.groups for row in _rows(group)]
    print_table(f"{found.lag} records wait", columns, rows, numbers=("partition", "committed", "end", "lag", "oldest"))


def _rows(group: GroupLag) -> Iterator[tuple[object, ...]]:
    for one in group.partitions:
        if one.lag:
            place = (group.group, one.topic, one.lane, one.partition)
            yield (*place, one.committed, one.end, one.lag, _seconds(one.oldest_age_s))
    yield (group.group, "all", None, None, None, None, group.lag, _seconds(group.oldest_age_s))


def _seconds(age_s: float | None) -> str | None:
    return None if age_s is None else f"{age_s:.1f} s"
