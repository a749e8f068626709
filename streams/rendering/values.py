"""Values of elements as numbers. What is not what its VR says is as if it were absent: never an error."""

from __future__ import annotations

import math

import numpy as np

from streams.part10 import Part10

_WORDS_MAX = 4096
_REALS_MAX = 64


def decimals(file: Part10, tag: int) -> tuple[float, ...]:
    """The values of a DS or IS element; none where one of them is no finite number."""
    text = file.text(tag)
    if not text:
        return ()
    try:
        values = tuple(float(part) for part in text.split("\\"))
    except ValueError:
        return ()
    return values if all(math.isfinite(value) and abs(value) < 1e30 for value in values) else ()


def decimal(file: Part10, tag: int) -> float | None:
    """The first value of a DS or IS element."""
    return next(iter(decimals(file, tag)), None)


def words(file: Part10, tag: int, *, signed: bool) -> tuple[int, ...]:
    """The values of a US, SS or US-or-SS element. `signed` says how to read one whose VR the data set does not say."""
    element = file.elements.get(tag)
    if element is None or element.length % 2 or element.length > 2 * _WORDS_MAX:
        return ()
    kind = "i" if element.vr == "SS" or (signed and element.vr != "US") else "u"
    sign = "<" if file.encoding.byte_order == "little" else ">"
    return tuple(int(value) for value in np.frombuffer(file.value(element), f"{sign}{kind}2"))


def reals(file: Part10, tag: int, size: int) -> tuple[float, ...]:
    """The values of an FL or FD element, `size` bytes each; none where one of them is no finite number."""
    element = file.elements.get(tag)
    if element is None or element.length % size or element.length > size * _REALS_MAX:
        return ()
    sign = "<" if file.encoding.byte_order == "little" else ">"
    values = np.frombuffer(file.value(element), f"{sign}f{size}")
    return tuple(map(float, values)) if np.isfinite(values).all() else ()
