"""Which values PS3.3 enumerates: enumerated.json, made by `distilling`, and what the standard has added since.

Defined terms are not in it: a maker may use others (PS3.3 section 5).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

Values = frozenset[str] | frozenset[int]

_TABLE: Final = Path(__file__).with_name("enumerated.json")
# Of later editions than the table's: segmentations as label maps, and contours with holes in them.
_ADDED: Final[Mapping[int, frozenset[str]]] = {
    0x00620001: frozenset(("LABELMAP",)),
    0x30060042: frozenset(("CLOSEDPLANAR_XOR",)),
}
# Attributes whose first values alone are enumerated, each in its place (PS3.3 C.7.6.1.1.2, C.8.16.1).
_ORIGIN: Final = frozenset(("ORIGINAL", "DERIVED"))
_EXAMINATION: Final = frozenset(("PRIMARY", "SECONDARY"))
IN_PLACES: Final[Mapping[int, tuple[frozenset[str], ...]]] = {
    0x00080008: (_ORIGIN | {"MIXED"}, _EXAMINATION),
    0x00089007: (_ORIGIN, _EXAMINATION),
}


@cache
def _table() -> tuple[Mapping[int, Values], Mapping[str, Mapping[int, Values]]]:
    """For every image, and by SOP class for its top level alone."""
    raw = json.loads(_TABLE.read_text(encoding="utf-8"))
    everywhere = {
        int(tag, 16): frozenset(values) | _ADDED.get(int(tag, 16), frozenset())
        for tag, values in raw["everywhere"].items()
    }
    iods = {
        name: {int(tag, 16): frozenset(values) for tag, values in tags.items()} for name, tags in raw["iods"].items()
    }
    return everywhere, {uid: iods[name] for uid, name in raw["classes"].items()}


def everywhere() -> Mapping[int, Values]:
    return _table()[0]


def of_class(sop_class: str) -> Mapping[int, Values]:
    return _table()[1].get(sop_class, {})
