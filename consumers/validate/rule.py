"""What a rule is. Each subject keeps its own beside its checks; `rules` unites them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from streams.events import Finding

# A rule's name, and a tag where the rule leaves it open.
Broken = tuple[str, int | None]


@dataclass(frozen=True)
class Rule:
    """`section` is where the standard says so; None where the rule is our own."""

    severity: Literal["info", "warning", "error"]
    section: str | None
    text: str
    tag: str | None = None

    def broken(self, name: str, tag: int | None) -> Finding:
        said = self.tag if tag is None else f"{tag >> 16:04X},{tag & 0xFFFF:04X}"
        return Finding(rule=name, severity=self.severity, text=self.text, tag=said, section=self.section)
