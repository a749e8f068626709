"""A walk of one study through hot, warm and cold, by a simulated clock: the policy is asked about days to come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from radstream.errors import Failure
from radstream.tier_command import Following, Progress, command
from streams.clock import SystemClock
from streams.config import Config
from streams.log import Log

# The packaged policy: 30 days in hot, 7 years to cold, a backup from the first day.
DAYS = {"today": timedelta(0), "in 31 days": timedelta(days=31), "in 8 years": timedelta(days=8 * 366)}


@dataclass(frozen=True)
class Stage:
    """What tiering did when it was asked about one day. `ways` names each move, as "hot to warm" or "to backup"."""

    when: str
    ways: tuple[str, ...]
    objects: int
    verified: int
    seconds: float


def walk(log: Log, config: Config, study_uid: str, told: Callable[[str], None]) -> tuple[Stage, ...]:
    """Raises Failure where tiering does nothing, or abandons a move."""
    began = SystemClock().now()
    return tuple(_stage(log, config, study_uid, when, began + later, told) for when, later in DAYS.items())


def _stage(log: Log, config: Config, study_uid: str, when: str, now: datetime, told: Callable[[str], None]) -> Stage:
    told(f"asking tiering about the generated study {when}")
    asked = command(config, now, study_uid, simulated=when != "today")
    ran = Following(log).run(config, asked, _ignored)
    if ran.abandoned:
        raise Failure(f"a move of the generated study was abandoned; radstream tier explain {study_uid} says why")
    ways = tuple(f"{move.source} to {move.target}" if move.source else f"to {move.target}" for move in ran.moves)
    return Stage(when, ways, ran.objects, ran.verified, ran.seconds)


def _ignored(_: Progress) -> None:
    """A stage is short enough for one line."""
