"""What a rule is. Each subject keeps its own beside its checks; `rules` unites them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from streams.events import Finding

# A rule's name and a place: a tag, a path such as `0040,A730[2]/0008,0100` (items counted from 1), or None where the
# rule has a tag of its own or needs none.
Broken = tuple[str, int | str | None]


@dataclass(frozen=True)
class Rule:
    """`section` is where the standard says so; None where the rule is our own."""

    severity: Literal["info", "warning", "error"]
    section: str | None
    text: str
    tag: str | None = None

    def broken(self, name: str, place: int | str | None) -> Finding:
        said = f"{place >> 16:04X},{place & 0xFFFF:04X}" if isinstance(place, int) else place or self.tag
        return Finding(rule=name, severity=self.severity, text=self.text, tag=said, section=self.section)
