"""PNG pictures (ISO/IEC 15948), 8 or 16 bits, grey, colour or palette, as they are but for transparency."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from radstream.importing import picture_notes
from radstream.importing.libraries import library
from radstream.importing.made import How, Made, Native, Refused, Source
from radstream.importing.objects import (
    EXPLICIT_LITTLE,
    OBJECT_BYTES_MAX,
    SIDE_MAX,
    described,
    modality_of,
    still,
)
from radstream.importing.picture_notes import HELD_TURNED, NOT_SQUARE, PictureNotes
from radstream.importing.pixels import Pixels, flattened, raw, upright

_HEADER_BYTES: Final = 33
_DEFLATE_MAX: Final = 1032  # RFC 1951 makes no more of a byte


class _Header(NamedTuple):
    columns: int
    rows: int
    bits: int
    colour: int


def source(path: Path, digest: str, how: How) -> Source:
    """Raises Refused."""
    as_ = how.as_
    header = _header(path)
    if as_ != "capture" and header.bits > 8:
        raise Refused("it has 16 bits a sample, and visible light has 8: import it with --as capture")
    said = picture_notes.read(path)
    return Source(
        path=path,
        format="PNG",
        digest=digest,
        modality=modality_of(as_, how.modality),
        captured=said.taken,
        made=lambda: _made(path, as_),
        notes=_notes(header, said),
    )


def _notes(header: _Header, said: PictureNotes) -> tuple[str, ...]:
    notes = []
    if header.colour in (4, 6):
        notes.append("what is transparent in it is laid over white")
    if said.orientation != 1:
        notes.append(HELD_TURNED)
    if said.aspect is not None:
        notes.append(NOT_SQUARE)
    if header.bits == 16 and header.colour in (2, 6):
        notes.append("colour of 16 bits a sample is kept; few viewers show it")
    return tuple(notes)


def _header(path: Path) -> _Header:
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    if len(head) < _HEADER_BYTES or head[12:16] != b"IHDR":
        raise Refused("it has no header; it is damaged")
    found = _Header(int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big"), head[24], head[25])
    if not (0 < found.rows <= SIDE_MAX and 0 < found.columns <= SIDE_MAX):
        raise Refused("it has more than 65,535 rows or columns, or none")
    samples = {0: 1, 2: 3, 3: 4, 4: 2, 6: 4}.get(found.colour, 4)
    size = found.rows * found.columns * samples * (2 if found.bits == 16 else 1)
    if size > min(OBJECT_BYTES_MAX, 8 * _DEFLATE_MAX * path.stat().st_size):
        raise Refused("it claims more pixels than it can hold, or than one object has room for")
    return found


def _made(path: Path, as_: str) -> Iterator[Made]:
    said = picture_notes.read(path)
    pixels = upright(flattened(_decoded(path)), said.orientation)
    samples = 1 if pixels.ndim == 2 else 3
    made = still(as_)
    if said.profile and samples == 3:
        made.ICCProfile = said.profile + b"\0" * (len(said.profile) % 2)
    described(
        made,
        rows=pixels.shape[0],
        columns=pixels.shape[1],
        samples=samples,
        bits=8 * pixels.dtype.itemsize,
        photometric="MONOCHROME2" if samples == 1 else "RGB",
        aspect=said.aspect,
    )
    data = raw(pixels)
    yield Made("1", made, EXPLICIT_LITTLE, Native(len(data), lambda: iter([data])))


def _decoded(path: Path) -> Pixels:
    codec = library("imagecodecs", "a PNG picture")
    try:
        pixels: Pixels = codec.png_decode(path.read_bytes())
    except Exception:  # noqa: BLE001 - a library's reader of foreign bytes raises whatever it likes
        raise Refused("it cannot be decoded; it is damaged") from None
    return pixels
