"""One picture in a tier: bytes that prove that they are whole, and under the name that they were kept for."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import asdict

import msgspec

from streams.rendering.files import File
from streams.rendering.frame import Asked, Rendered
from streams.rendering.render import VERSION, Choice

_MAGIC = b"RADFRAM1"
_HEAD = struct.Struct("<8s32sI")


class _Says(msgspec.Struct, frozen=True, kw_only=True):
    media_type: str
    rows: int
    columns: int
    voi: Choice
    for_processing: bool
    notes: tuple[str, ...]


# Made here, by the one thread that imports: two threads at the first use of a Struct crash msgspec (streams/wire.py).
_DECODER = msgspec.json.Decoder(_Says)


def key_of(source_digest: str, asked: Asked) -> str:
    """The name (hex) of a picture: of which bytes, what was asked for, and which renderer made it."""
    what = (VERSION, source_digest, asdict(asked))
    return hashlib.sha256(msgspec.json.encode(what, order="deterministic")).hexdigest()


def packed(key: str, picture: Rendered) -> bytes:
    says = msgspec.json.encode(
        _Says(
            media_type=picture.file.media_type,
            rows=picture.file.rows,
            columns=picture.file.columns,
            voi=picture.voi,
            for_processing=picture.for_processing,
            notes=picture.notes,
        )
    )
    data = picture.file.data
    return b"".join((_HEAD.pack(_MAGIC, _proof(key, says, memoryview(data)), len(says)), says, data))


def unpacked(key: str, data: bytes) -> Rendered | None:
    """None where the bytes are damaged, cut short, or another picture's."""
    if len(data) < _HEAD.size:
        return None
    magic, proof, length = _HEAD.unpack_from(data)
    start = _HEAD.size + length
    head = data[_HEAD.size : start]
    if magic != _MAGIC or proof != _proof(key, head, memoryview(data)[start:]):
        return None
    try:
        says = _DECODER.decode(head)
    except msgspec.DecodeError:
        return None
    file = File(data[start:], says.media_type, says.rows, says.columns)
    return Rendered(file, says.voi, says.for_processing, says.notes)


def _proof(key: str, says: bytes, data: memoryview) -> bytes:
    proof = hashlib.sha256(b"%s %d " % (key.encode(), len(says)))
    proof.update(says)
    proof.update(data)
    return proof.digest()
