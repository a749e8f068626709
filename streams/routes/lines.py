"""Where a key stands in a TOML text: the parser tells no lines, and an error without one is a riddle."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import takewhile

Path = tuple[str | int, ...]

_PART = r"""(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)"""
_KEY = rf"{_PART}(?:\s*\.\s*{_PART})*"
_TABLE = re.compile(rf"\s*\[\s*({_KEY})\s*\]\s*(?:#.*)?$")
_ELEMENT = re.compile(rf"\s*\[\[\s*({_KEY})\s*\]\]\s*(?:#.*)?$")
_PAIR = re.compile(rf"\s*({_KEY})\s*=")


def line_of(text: str, path: Sequence[str | int]) -> int:
    """The line of what is nearest to `path`: its key, else the first of what is around it or in it, else line 1."""
    line, depth = 1, 0
    for number, found in _places(text):
        common = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(path, found, strict=False))))
        if common > depth:
            line, depth = number, common
    return line


def _places(text: str) -> Iterator[tuple[int, Path]]:
    """Line and path of every header and key. Elements of an array of tables have their number in the path."""
    table: Path = ()
    elements: Counter[Path] = Counter()
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _ELEMENT.match(line):
            array = _within(_parts(match[1]), elements)
            elements[array] += 1
            table = (*array, elements[array] - 1)
            yield number, table
        elif match := _TABLE.match(line):
            table = _within(_parts(match[1]), elements)
            yield number, table
        elif match := _PAIR.match(line):
            yield number, (*table, *_parts(match[1]))


def _within(parts: Path, elements: Counter[Path]) -> Path:
    """The path of a header: `[rules.match]` is of the last element of `[[rules]]` so far (TOML 1.0)."""
    found: Path = ()
    for index, part in enumerate(parts):
        found = (*found, part)
        if index < len(parts) - 1 and elements[found]:
            found = (*found, elements[found] - 1)
    return found


def _parts(key: str) -> Path:
    return tuple(part.strip("\"'") for part in re.findall(_PART, key))
