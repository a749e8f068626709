"""The first records that wait, looked at once: how old they are, and of which modality."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from streams.log import Log, TopicPartition
from streams.wire import Record, Undecodable, UnknownSchema, decode

SAMPLE = 20
# The router lets only defined terms into events; whatever else writes, a label stays one of a few short words.
_TERM = re.compile(r"[A-Z0-9]{1,10}")
UNKNOWN, OTHER = "unknown", "other"

Position = tuple[TopicPartition, int]


class Seen(NamedTuple):
    """A waiting record. `modality` is None where events of its kind do not say one."""

    timestamp_ms: int
    modality: str | None


class Sampler:
    """Keeps what it saw: as long as a group does not move, nothing is read again."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._known: dict[Position, Sequence[Seen]] = {}

    def look(self, waiting: Mapping[Position, int]) -> Mapping[Position, Sequence[Seen]]:
        """The first of the records that wait at each position, the oldest first; nothing where they did not come.

        `waiting` says how many wait there: at least one. Raises LogAway, LogRefused.
        """
        self._known = {place: seen for place, seen in self._known.items() if place in waiting}
        missing = [place for place, lag in waiting.items() if len(self._known.get(place, ())) < min(lag, SAMPLE)]
        while missing:
            # Groups may stand at different places of one partition; a consumer reads one place at a time.
            turn = dict(missing)
            for name, records in self._log.heads(turn, SAMPLE).items():
                if records:
                    self._known[name, turn[name]] = [_seen(record) for record in records]
            missing = [(name, offset) for name, offset in missing if turn[name] != offset]
        return self._known


def _seen(record: Record) -> Seen:
    return Seen(record.timestamp_ms, modality_of(record))


def modality_of(record: Record) -> str | None:
    """The modality in an event's technical attributes, as a word fit for a label; None for events without them."""
    try:
        technical = getattr(decode(record), "technical", None)
    except (Undecodable, UnknownSchema):
        return None
    return None if technical is None else term(technical.modality)


def term(modality: str | None) -> str:
    if not modality:
        return UNKNOWN
    return modality if _TERM.fullmatch(modality) else OTHER
