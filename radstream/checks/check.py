"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["well", "note", "broken"]


@dataclass(frozen=True)
class Check:
    """`found` is a sentence; `mend` says what to do about what is broken, and is empty for what is not.

    A 'note' is something to know that stops nothing.
    """

    part: str
    name: str
    state: State
    found: str
    mend: str = ""

    def __post_init__(self) -> None:
        if self.state == "broken" and not self.mend:
            raise ValueError(f"{self.part} {self.name}: what is broken says what to do")


def well(part: str, name: str, found: str) -> Check:
    return Check(part, name, "well", found)


def note(part: str, name: str, found: str, mend: str = "") -> Check:
    return Check(part, name, "note", found, mend)


def broken(part: str, name: str, found: str, mend: str) -> Check:
    return Check(part, name, "broken", found, mend)
