"""Readers by C-GET and C-MOVE: what arrives is what was sent, and success means all of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from typing import Any

from pydicom.dataset import Dataset

from tests.images import CT
from tests.nodes import Node
from tests.readers.studies import Image, Study
from tests.readers.tally import Cut, Refused, Wrong
from tests.retrieves import Client, keys

AE_TITLE, DESTINATION = "READER", "READERSCP"
_COMMENT_MAX = 64
# Out of resources (of two kinds), unable to process, and some that failed: PS3.4 section C.4.2.1.5.
_EXPECTED = (0xA701, 0xA702, 0xC000, 0xB000)


def getting(port: int, study: Study) -> Callable[[random.Random], int]:
    """Of one series of `study` by C-GET, in the syntaxes in which it is stored."""
    client = Client(port, AE_TITLE)
    stored = [(CT, syntax) for syntax in sorted({image.syntax for image in study.images})]

    def ask(chance: random.Random) -> int:
        uid, images = chance.choice([*study.series().items()])
        last, got = _asked(lambda: client.get(_wanted(images, uid), stored))
        return _judged(last, images, [data for _, data in got])

    return ask


def moving(port: int, study: Study, node: Node) -> Callable[[random.Random], int]:
    """Of one series of `study` by C-MOVE to `node`, which nobody else sends to."""
    client = Client(port, AE_TITLE)

    def ask(chance: random.Random) -> int:
        uid, images = chance.choice([*study.series().items()])
        before = len(node.data_sets)
        answers = _asked(lambda: client.move(_wanted(images, uid), DESTINATION))
        return _judged(answers[-1][0], images, node.data_sets[before:])

    return ask


def _wanted(images: Collection[Image], uid: str) -> Dataset:
    study = next(image.study for image in images)
    return keys("SERIES", StudyInstanceUID=study, SeriesInstanceUID=uid)


def _asked(ask: Callable[[], Any]) -> Any:
    """What `ask` gives. Raises Cut where there is no association, or it ended before its last response."""
    try:
        return ask()
    except (AssertionError, RuntimeError, IndexError) as error:
        raise Cut(type(error).__name__) from None


def _judged(last: Dataset, images: Collection[Image], got: Collection[bytes]) -> int:
    """How many bytes came. Raises Wrong, Refused, Cut."""
    expected = {image.data_set for image in images}
    if strange := [data for data in got if data not in expected]:
        raise Wrong(f"{len(strange)} of {len(got)} data sets that nobody sent")
    status = last.get("Status")
    if status is None:
        raise Cut("no last response")
    comment = str(last.get("ErrorComment", ""))
    if status != 0x0000 and (status not in _EXPECTED or not 0 < len(comment) <= _COMMENT_MAX):
        raise Wrong(f"0x{status:04X} {comment}")
    if status != 0x0000:
        raise Refused(f"0x{status:04X} {comment}")
    if len(got) != len(images) or set(got) != expected:
        raise Wrong(f"{len(got)} of {len(images)} images, and success")
    return sum(map(len, got))
