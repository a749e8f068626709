"""What the router's spool holds, where its folder is on this machine."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import UTC, datetime

from producers.dicom_router.config import Settings
from producers.dicom_router.spool.census import SpoolCensus, census
from streams.config import Config

ROUTER = "router"


@dataclass(frozen=True)
class SpoolState:
    """`instances` are acknowledged and not noted as committed. `aside` of them, and `damaged` parts, need a person;
    so do `unreadable` segments, whose instances are not counted."""

    folder: str
    acknowledge: str
    instances: int
    bytes: int
    oldest_age_s: float | None
    aside: int
    damaged: int
    unreadable: int
    disk_bytes: int
    budget_bytes: int

    def __str__(self) -> str:
        age = "" if self.oldest_age_s is None else f", the oldest for {self.oldest_age_s:.0f} s"
        more = f"; {self.unreadable} segments of it cannot be read: radstream doctor" if self.unreadable else ""
        return f"{self.instances} instances wait on the router's spool{age}{more}"

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits, as far as can be seen."""
        return not self.instances and not self.unreadable


@dataclass(frozen=True)
class SpoolLook:
    """`digests` (hex) are of the instances."""

    state: SpoolState
    digests: Set[str]


def look(config: Config) -> SpoolLook | None:
    """None where there is no spool, or none that can be read from here: its router's /metrics has it too.

    Raises ConfigError.
    """
    if ROUTER not in config.names:
        return None
    settings = config.section(ROUTER, Settings).spool
    if settings.folder is None:
        return None
    try:
        found = census(settings.folder)
    except (FileNotFoundError, PermissionError):
        return None
    except OSError:
        # The folder itself: there is a spool, and what is on it is not known.
        found = SpoolCensus(unreadable=1)
    state = SpoolState(
        folder=str(settings.folder),
        acknowledge=settings.acknowledge,
        instances=len(found.waiting),
        bytes=found.bytes,
        oldest_age_s=_age_s(found),
        aside=found.aside,
        damaged=found.damaged,
        unreadable=found.unreadable,
        disk_bytes=found.disk_bytes,
        budget_bytes=settings.budget_bytes,
    )
    return SpoolLook(state, found.waiting)


def waiting_too(config: Config) -> str:
    """For the message of a command that cannot do its work while parts are away: what waits for them."""
    found = look(config)
    return f" ({found.state})" if found and not found.state.is_empty else ""


def _age_s(found: SpoolCensus) -> float | None:
    return None if found.oldest is None else max((datetime.now(UTC) - found.oldest).total_seconds(), 0.0)
