"""`radstream tail`: what a topic holds, decoded."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import click
import msgspec

from radstream.errors import Failure
from radstream.options import config_option, json_option, log_answers, open_config, open_log
from radstream.output import print_json_line
from schemas import load_topics
from streams.events import Event
from streams.log import Log, TopicPartition
from streams.wire import Record, Undecodable, UnknownSchema, decode

SHOWN = 10
_FOLLOW_S = 0.5


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record. `event` is absent where the value could not be decoded; `undecodable` then says why."""

    topic: str
    partition: int
    offset: int
    written_at: datetime
    key: str
    headers: dict[str, str]
    event: Event | None = None
    undecodable: str | None = None


@click.command()
@click.argument("topic")
@config_option
@json_option
@click.option("--from", "start", type=click.Choice(["beginning", "end"]), default="end", help="Which records first.")
@click.option("--max", "count", type=click.IntRange(min=1), help=f"How many; {SHOWN} unless --follow goes on.")
@click.option("--follow", is_flag=True, help="Go on with what is written, until Ctrl-C.")
def tail(
    topic: str,
    config_path: Path,
    as_json: bool,
    start: Literal["beginning", "end"],
    count: int | None,
    follow: bool,
) -> None:
    """Shows the last records of TOPIC, decoded: a line each, or with --json a JSON object a line."""
    with log_answers():
        log = open_log(open_config(config_path))
        names = partitions_of(log, topic)
        records = following(log, names, start, count or SHOWN) if follow else held(log, names, start, count or SHOWN)
        for record in itertools.islice(records, count):
            print_line(line_of(record), as_json)


def partitions_of(log: Log, topic: str) -> list[TopicPartition]:
    """The partitions of a physical topic. Raises Failure for one that topics.yaml does not have."""
    known = sorted(name for logical in load_topics().topics for name in load_topics().physical(logical))
    if topic not in known:
        raise Failure(f"no topic {topic}; there are:\n  " + "\n  ".join(known))
    return [TopicPartition(topic, number) for number in range(log.partitions(topic))]


def held(log: Log, names: Iterable[TopicPartition], start: Literal["beginning", "end"], count: int) -> list[Record]:
    """The first or last `count` records that the partitions hold now, oldest first by the time of writing."""
    records = [
        record
        for name, (first, end) in log.bounds(list(names)).items()
        for record in _part(log, name, first, end, start, count)
    ]
    records.sort(key=lambda record: (record.timestamp_ms, record.partition, record.offset))
    return records[:count] if start == "beginning" else records[-count:]


def _part(
    log: Log, name: TopicPartition, first: int, end: int, start: Literal["beginning", "end"], count: int
) -> Iterator[Record]:
    if start == "beginning":
        return log.read(name, first, min(end, first + count)) if end > first else iter(())
    return log.read(name, max(first, end - count), end) if end > first else iter(())


def following(
    log: Log, names: list[TopicPartition], start: Literal["beginning", "end"], count: int
) -> Iterator[Record]:
    """What is held, all of it or the last `count`, and then what is written, for ever."""
    bounds = log.bounds(names)
    ends = {name: bounds[name][0] if start == "beginning" else bounds[name][1] for name in names}
    if start == "end":
        yield from (record for record in held(log, names, start, count) if record.offset < ends[_place(record)])
    while True:
        for name, (_, end) in log.bounds(names).items():
            if end > ends[name]:
                yield from log.read(name, ends[name], end)
                ends[name] = end
        time.sleep(_FOLLOW_S)


def _place(record: Record) -> TopicPartition:
    return TopicPartition(record.topic, record.partition)


def line_of(record: Record) -> Line:
    event: Event | None = None
    undecodable = None
    try:
        event = decode(record)
    except (Undecodable, UnknownSchema) as error:
        undecodable = f"{type(error).__name__}: {error}"
    return Line(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        written_at=datetime.fromtimestamp(record.timestamp_ms / 1000, UTC),
        key=(record.key or b"").decode("utf-8", "replace"),
        headers={name: value.decode("utf-8", "replace") for name, value in record.headers},
        event=event,
        undecodable=undecodable,
    )


def print_line(line: Line, as_json: bool) -> None:
    if as_json:
        print_json_line(line)
        return
    written = line.written_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    what = f"undecodable: {line.undecodable}"
    if line.event is not None:
        what = f"{type(line.event).__name__} {line.event.meta.lane} {line.event.meta.subject}"
    click.echo(f"{written} {line.partition}/{line.offset} {what}")
