"""What a format's reader gives: an object without the person's words and UIDs, and its pixels when they are due."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydicom.dataset import Dataset


class Refused(Exception):
    """Why a file cannot be imported, and what to do next. Never a value out of the file."""


class Wanting(Exception):
    """What a person has to say before files can be imported: each thing, and the option that says it."""

    def __init__(self, things: list[str]) -> None:
        super().__init__("; ".join(things))
        self.things = things


@dataclass(frozen=True)
class Native:
    """Uncompressed frames, `size` bytes in all, little endian and as PS3.5 section 8.1.1 orders them."""

    size: int
    frames: Callable[[], Iterator[bytes]]


@dataclass(frozen=True)
class Encapsulated:
    """`count` codestreams, a frame each; or one stream that holds all frames (PS3.5 annex A.4)."""

    count: int
    frames: Callable[[], Iterator[bytes]]


@dataclass(frozen=True)
class Made:
    """One object. `part` tells it from the others of its file: the same for the same content, whenever it is asked."""

    part: str
    dataset: Dataset
    transfer_syntax: str
    pixels: Native | Encapsulated
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class How:
    """What a person says of the kind of object: `as_` is capture, photo or endoscopy. `label`: labels of slides too."""

    as_: str = "capture"
    modality: str | None = None
    label: bool = False


@dataclass(frozen=True)
class Source:
    """A file that can be imported, before anything is said of it.

    `modality` is None where a file of this kind does not tell. `captured` is what the file says itself. `wanted` are
    keywords that the kind of object cannot do without and the file does not tell. `own_series`: its objects belong
    together and to no other file's. `needs_time`: the day is not enough. `made` reads the file anew each time
    and raises Refused. `digest` is SHA-256 of the whole file. `code_version` is part of its objects' UIDs: raised for a
    file of which other pixels, or other objects of the same ones, are made than before, and for no other.
    """

    path: Path
    format: str
    digest: str
    modality: str | None
    captured: datetime | None
    made: Callable[[], Iterator[Made]]
    notes: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()
    own_series: bool = False
    needs_time: bool = False
    code_version: str = "1"
