"""What PS3.6 says of an element: its value representations and how many values it has. Distilled as it is asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from pydicom.datadict import get_entry

_MULTIPLICITY = re.compile(r"([0-9]+)(?:-([0-9]*)(n?))?")
_REMEMBERED_MAX = 16_384


@dataclass(frozen=True, slots=True)
class Expected:
    """How many values: 3-3n is `fewest` 3, `most` None for no end, and `step` 3, as they come in threes."""

    vrs: tuple[str, ...]
    fewest: int
    most: int | None
    step: int

    def allows(self, count: int) -> bool:
        if count < self.fewest or (self.most is not None and count > self.most):
            return False
        return self.most is not None or count % self.step == 0


@lru_cache(maxsize=_REMEMBERED_MAX)
def expected(tag: int) -> Expected | None:
    """None for private elements, lengths of groups, and what the dictionary does not know."""
    if tag >> 16 & 1 or tag & 0xFFFF == 0:
        return None
    try:
        vrs, multiplicity, *_ = get_entry(tag)
    except KeyError:
        return None
    matched = _MULTIPLICITY.fullmatch(multiplicity.split(" or ")[0])
    if matched is None or vrs == "NONE":
        return None
    fewest, most, is_open = int(matched[1]), matched[2], matched[3]
    if most is None:
        return Expected(tuple(vrs.split(" or ")), fewest, fewest, 1)
    if is_open:
        return Expected(tuple(vrs.split(" or ")), fewest, None, int(most or 1))
    return Expected(tuple(vrs.split(" or ")), fewest, int(most), 1)


def is_sequence(tag: int) -> bool:
    found = expected(tag)
    return found is not None and found.vrs == ("SQ",)
