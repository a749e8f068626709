"""Values: are they of the kind, the number, the length, the syntax and the characters that the standard wants?

Flows in: a file that was walked through.  Flows out: names of rules with places, never a value.  Touches: nothing.

A decision record (0048) says which edition holds, and where dciodvfy sees it otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator

from consumers.validate.rule import Broken
from consumers.validate.values.looking import Looking
from consumers.validate.values.rules import RULES
from streams.part10 import Part10

__all__ = ["RULES", "check"]


def check(file: Part10) -> Iterator[Broken]:
    """The rules that values break, each at the first place of its kind: further items with the same are left out."""
    yield from Looking(file).broken()
