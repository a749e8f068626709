"""Dead letters as commands show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import click
import msgspec

from radstream.deadletter_filters import letters_of
from radstream.output import console, plain, print_json, print_table
from streams.events import Event
from streams.letters import Letter, Place, State
from streams.log import Log
from streams.redriving import NotPutBack, as_read
from streams.wire import Record, Undecodable, UnknownSchema, decode


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """`letter` is PARTITION/OFFSET in the group's dead-letter topic. `topic`, `partition` and `offset` are where the
    record was read. `times` counts how often it died, `redrives` how often it was put back."""

    group: str
    letter: str
    state: State
    at: datetime
    topic: str | None
    partition: int | None
    offset: int | None
    subject: str
    reason: str
    bytes: int
    left_out: bool
    times: int
    redrives: int


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """`event` is absent where the record cannot be decoded or read; `undecodable` then says why. `line` is absent where
    a later letter is of the same record."""

    line: Line | None
    headers: dict[str, str]
    event: Event | None
    undecodable: str | None


@dataclass(frozen=True)
class Redriven:
    """`put_back` were written and acknowledged; with `dry_run` they would be. `left` are meant too, beyond the limit.
    `stopped` is the letter that could not be put back, and why."""

    dry_run: bool
    put_back: list[Line]
    left: int
    stopped: str | None


def line_of(letter: Letter) -> Line:
    topic, partition, offset = letter.origin or (None, None, None)
    return Line(
        group=letter.group,
        letter=str(letter.place),
        state=letter.state,
        at=datetime.fromtimestamp(letter.at_ms / 1000, UTC),
        topic=topic,
        partition=partition,
        offset=offset,
        subject=letter.subject,
        reason=letter.reason,
        bytes=letter.bytes,
        left_out=letter.left_out,
        times=letter.times,
        redrives=letter.redrives,
    )


def whole_of(log: Log, group: str, record: Record) -> Whole:
    """Raises LogAway, LogRefused."""
    place, event, undecodable = Place(record.partition, record.offset), None, None
    try:
        event = decode(as_read(log, record))
    except (NotPutBack, Undecodable, UnknownSchema) as error:
        undecodable = f"{type(error).__name__}: {error}"
    line = next((line_of(one) for one in letters_of(log, group) if one.place == place), None)
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    return Whole(line=line, headers=headers, event=event, undecodable=undecodable)


def print_list(lines: Sequence[Line], left_out: int, redriven: int) -> None:
    if lines:
        rows = [
            (one.group, one.letter, f"{one.at:%Y-%m-%d %H:%M:%S}", one.state, _origin(one), plain(one.reason))
            for one in lines
        ]
        print_table("Dead letters", ("group", "letter", "since", "state", "read at", "reason"), rows)
        click.echo("mend the cause, then: radstream deadletters redrive GROUP")
    else:
        click.echo("no dead letters")
    if left_out:
        click.echo(f"{left_out} older ones are not shown: --limit")
    if redriven:
        click.echo(f"{redriven} were redriven and are not shown: --all")


def print_whole(whole: Whole) -> None:
    if whole.line is not None:
        _print_line(whole.line)
    print_table("Headers", ("name", "value"), [(plain(name), plain(value)) for name, value in whole.headers.items()])
    if whole.event is None:
        click.echo(f"undecodable: {whole.undecodable}")
    else:
        print_json(whole.event)


def _print_line(line: Line) -> None:
    out = console()
    at = f"{line.at:%Y-%m-%d %H:%M:%S}"
    out.print(f"{line.group} gave up {_origin(line)} at {at}: {plain(line.reason)}", soft_wrap=True)
    out.print(f"{line.state}; dead letters of it: {line.times}, put back: {line.redrives}; {line.bytes} bytes")


def print_redriven(group: str, found: Redriven) -> None:
    for one in found.put_back:
        console().print(f"{one.letter} {_origin(one)} {plain(one.reason)}", soft_wrap=True)
    done = "would be put back" if found.dry_run else f"put back; radstream lag {group} shows when they are taken"
    click.echo(f"{len(found.put_back)} dead letters of {group} {done}")
    if found.left:
        click.echo(f"{found.left} more are meant: once more, or --limit")


def _origin(line: Line) -> str:
    return f"{line.topic}/{line.partition} offset {line.offset}" if line.topic else "(it does not say)"
