"""Which dead letters a command means: options that `list` and `redrive` share."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from radstream.errors import Failure
from radstream.options import Moment
from schemas import load_topics
from streams.letters import Letter, Place, letters
from streams.log import Log

_PLACE = re.compile(r"([0-9]{1,9})/([0-9]{1,15})")
_OPTIONS = (
    click.option("--topic", help="Only records of this topic, with or without its lane."),
    click.option("--reason", metavar="TEXT", help="Only those with this in their reason."),
    click.option("--since", type=Moment(), help="Only what was put aside then or later."),
    click.option("--until", type=Moment(), help="Only what was put aside before then."),
)


class LetterPlace(click.ParamType):
    """A letter as `list` names it."""

    name = "partition/offset"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        if not (found := _PLACE.fullmatch(str(value))):
            self.fail(f"{value} is no letter; write PARTITION/OFFSET, as radstream deadletters list does", param, ctx)
        return Place(int(found[1]), int(found[2]))


@dataclass(frozen=True)
class Wanted:
    """All that fits each of what is given."""

    topic: str | None
    reason: str | None
    since: datetime | None
    until: datetime | None

    def fits(self, letter: Letter) -> bool:
        at_s = letter.at_ms / 1000
        return (
            (self.topic is None or self.topic in _names_of(letter))
            and (self.reason is None or self.reason.casefold() in letter.reason.casefold())
            and (self.since is None or at_s >= self.since.timestamp())
            and (self.until is None or at_s < self.until.timestamp())
        )


def filters(command: Callable[..., None]) -> Callable[..., None]:
    """The options, given to the command as `wanted: Wanted`."""

    @functools.wraps(command)
    def filtered(
        topic: str | None, reason: str | None, since: datetime | None, until: datetime | None, **others: Any
    ) -> None:
        command(wanted=Wanted(topic, reason, since, until), **others)

    for option in reversed(_OPTIONS):
        filtered = option(filtered)
    return filtered


def known(group: str) -> str:
    """A consumer group of ours. Raises Failure."""
    topics = load_topics()
    if topics.entry_of(group) not in topics.groups:
        raise Failure(f"no group {group}; there are: {', '.join(topics.groups)}")
    return group


def letters_of(log: Log, group: str) -> list[Letter]:
    """The group's dead letters; of an entry with members, those of all of them. Raises LogAway, LogRefused."""
    entry = load_topics().entry_of(group)
    return [letter for letter in letters(log, entry) if group in (entry, letter.group)]


def _names_of(letter: Letter) -> tuple[str, ...]:
    if letter.origin is None:
        return ()
    physical = letter.origin[0]
    try:
        return physical, load_topics().logical(physical)
    except KeyError:
        return (physical,)
