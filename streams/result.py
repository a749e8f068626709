"""What became of one record, before it is written: what the runner's threads hand back to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from streams.wire import Message


@dataclass(frozen=True)
class Emit:
    """The outcome is settled: write these records."""

    messages: tuple[Message, ...]
    outcome: Literal["done", "quarantine", "parked", "not_ours"]


@dataclass(frozen=True)
class Dead:
    """A dead letter. `reason` is without patient data; `beside` are records that are written with it."""

    reason: str
    beside: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Wait:
    """The world is at fault, for everybody or for this subject, or it is not its turn. As `streams.step.RetryLater`."""

    reason: str
    scope: Literal["subject", "turn", "world"]
    attempts_max: int | None = None
    meanwhile: tuple[Message, ...] = ()
    given_up: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Halt:
    """The consumer stops before this record."""

    reason: str


Result = Emit | Dead | Wait | Halt
