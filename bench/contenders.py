"""Who is measured beside whom, and who is not, as the reports say it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Contender:
    name: str
    what: str
    version: str


@dataclass(frozen=True)
class Absent:
    """What was not measured, why, and how it is installed."""

    name: str
    why: str
    install: str
