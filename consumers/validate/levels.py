"""How much a rule matters at this site: raised, lowered or switched off, for all images or for some.

The most specific word holds: that for a sending AE before that for a SOP class, before a modality, before a site,
before the whole file; a name before a pattern with '*' or '?'; of two alike, the one that stands later. No level holds
an image up, and no reason for holding one can be switched off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import msgspec

from streams.config import Section
from streams.routes.conditions import Condition
from streams.routes.rules import Patterns

Level = Literal["error", "warning", "info", "off"]
LEVELS: tuple[Level, ...] = ("error", "warning", "info", "off")
# What a condition looks at, the most specific first.
SPECIFIC = ("calling_ae", "sop_class", "modality", "site")
_REMEMBERED_MAX = 4096


class When(Section, frozen=True, kw_only=True):
    """Images for which rules matter otherwise: all conditions hold, of several patterns one."""

    calling_ae: Patterns = ()
    sop_class: Patterns = ()
    modality: Patterns = ()
    site: Patterns = ()
    rules: Mapping[str, str] = msgspec.field(default_factory=dict)


class File(Section, frozen=True, kw_only=True):
    """The file as it stands. `rules` is for the whole site."""

    rules: Mapping[str, str] = msgspec.field(default_factory=dict)
    when: tuple[When, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What is known of an image; no pattern fits what is None."""

    calling_ae: str | None = None
    sop_class: str | None = None
    modality: str | None = None
    site: str | None = None


@dataclass(frozen=True)
class Ready:
    """A part of the file, ready to be asked. `rank` says how specific it is: greater wins."""

    where: str
    conditions: tuple[Condition, ...]
    rules: Mapping[str, Level]
    rank: tuple[int, ...]

    def fits(self, facts: Facts) -> bool:
        values = ((one, getattr(facts, one.name)) for one in self.conditions)
        return all(value is not None and one.holds((value,)) for one, value in values)


@dataclass(frozen=True)
class Said:
    """A rule's level, and where in the file that stands."""

    level: Level
    where: str


class Levels:
    """The site's word on every rule. Safe for many threads."""

    def __init__(self, file: File | None = None, parts: tuple[Ready, ...] = ()) -> None:
        self.file = file or File()
        self.parts = parts
        # The least specific first, those alike in the order of the file: what is said later stands.
        self._ordered = sorted(parts, key=lambda part: part.rank)
        self._of = lru_cache(maxsize=_REMEMBERED_MAX)(self._worked_out)

    def __reduce__(self) -> tuple[type[Levels], tuple[File, tuple[Ready, ...]]]:
        """For another process, which works its answers out itself."""
        return Levels, (self.file, self.parts)

    @property
    def count(self) -> int:
        """How many words there are."""
        return sum(len(part.rules) for part in self.parts)

    def of(self, facts: Facts) -> Mapping[str, Said]:
        """By rule, what is said of it for such an image; rules that nobody speaks of are absent."""
        return self._of(facts)

    def _worked_out(self, facts: Facts) -> Mapping[str, Said]:
        said: dict[str, Said] = {}
        for part in self._ordered:
            if part.fits(facts):
                said.update({name: Said(level, part.where) for name, level in part.rules.items()})
        return said


# Worked out by the one thread that imports (streams/wire.py).
msgspec.json.Decoder(File)
