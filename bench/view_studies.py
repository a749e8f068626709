"""What is looked at: one series of many slices, and many studies of one small image; the same for every server."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from radstream.items import Item
from radstream.phantom import chest_ct, encoded

_SMALL: Final = 32
_SEED: Final = 7001


@dataclass(frozen=True)
class Slice:
    """`frame_sha256` is of its pixels, as they are stored."""

    sop_instance_uid: str
    frame_sha256: str


@dataclass(frozen=True)
class Series:
    study_uid: str
    series_uid: str
    slices: tuple[Slice, ...]


def series(slices: int, seed: int = _SEED) -> tuple[Series, list[Item]]:
    """CT slices of 512 by 512 and 16 bits in Explicit VR Little Endian, in one series."""
    sizes = (0, slices, 0)
    datasets = list(chest_ct(seed, sizes))
    first = datasets[0]
    told = tuple(Slice(str(one.SOPInstanceUID), hashlib.sha256(one.PixelData).hexdigest()) for one in datasets)
    return Series(str(first.StudyInstanceUID), str(first.SeriesInstanceUID), told), list(encoded(seed, sizes))


def small_studies(count: int, seed: int = _SEED) -> Iterator[Item]:
    """So many studies of one image of 32 by 32."""
    for number in range(1, count + 1):
        yield from encoded(seed + number, (0, 1, 0), matrix=_SMALL)
