"""Bulk data of an instance: the value of one element, wherever it is in the data set (PS3.18 section 10.4.1.1.5)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from gateway.dicomweb.heads import Head, Place
from gateway.dicomweb.json_model import little_endian
from gateway.problem import Problem
from gateway.reading import LARGE_BYTES, Blob, Reading
from gateway.workers import Workers
from streams import part10
from streams.elements import Malformed, TooComplex

# Tags and numbers of items by turns: 00400100/0/00091001.
_PATH = re.compile(r"[0-9A-F]{8}(?:/[0-9]{1,6}/[0-9A-F]{8}){0,32}")
# What is taken in memory for a value that is read a piece at a time.
PIECES_BYTES = 4 << 20


def bytes_of(blob: Blob, head: Head, place: Place) -> int:
    """What `value` takes in memory at most. Raises Problem 422 for what is had as a whole alone, and is too large."""
    if head.inflated:
        return blob.length + 2 * place.length
    if head.big and place.length > LARGE_BYTES:
        raise Problem(422, "The value is too large to be turned into little endian.")
    return 3 * place.length if head.big else min(place.length, PIECES_BYTES)


def place_of(head: Head, path: str) -> Place:
    """Raises Problem 400 for what is no path, 404 for what is no bulk data of this instance."""
    if not _PATH.fullmatch(path):
        raise Problem(400, "A path to bulk data is tags and item numbers, as the metadata have it.")
    if path not in head.bulk:
        raise Problem(404, "The instance has no bulk data there.")
    return head.bulk[path]


async def value(reading: Reading, workers: Workers, blob: Blob, head: Head, place: Place) -> AsyncIterator[bytes]:
    """The value's bytes, little endian (section 8.7.3.3.1), a megabyte at a time. Raises as `Reading.part` does."""
    if head.inflated:
        whole = await reading.whole(blob)
        yield await workers.run(lambda: _inflated(whole, place))
        return
    if head.big:
        yield little_endian(await reading.part(blob, place.at, place.length), place.vr, ">")
        return
    async for piece in reading.long_part(blob, place.at, place.length):
        yield piece


def _inflated(whole: bytes, place: Place) -> bytes:
    try:
        return part10.read(whole).data[place.at : place.at + place.length]
    except (Malformed, TooComplex):
        raise Problem(422, "The data set of the instance cannot be inflated.") from None
