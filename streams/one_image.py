"""Whether two contents of one SOP Instance UID are one image, written twice (docs/decisions/0093).

What an image says is the same however it is written: in which transfer syntax without a loss, with sequences of defined
or of undefined length; and whenever, and by whom, the file was made.
"""

from __future__ import annotations

import hashlib
import struct
import threading
from collections import OrderedDict
from collections.abc import Callable

from streams.elements import (
    ITEM,
    ITEM_DELIMITER,
    LONG_VRS,
    SEQUENCE_DELIMITER,
    SHORT_VRS,
    UNDEFINED_LENGTH,
    Malformed,
    TooComplex,
)
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN, Part10
from streams.recoding.native import Unrecodable, parts_of

# Written into memory to be compared; what is larger is not known to be the same.
_PIXEL_BYTES_MAX = 256 << 20
# Of the file and not of the image: Instance Creation Date, Time and Creator UID, and what pads a data set. Private
# elements count: scale factors and b-values are in them.
_OF_THE_FILE = frozenset({0x00080012, 0x00080013, 0x00080014, 0xFFFCFFFC})
_HEAD = struct.Struct("<HH2sH")
_MARK = struct.Struct("<HHI")
_LENGTH = struct.Struct("<I")

# Of several large studies: some megabytes.
_REMEMBERED_MAX = 20_000

Say = Callable[[bytes], None]
Read = Callable[[], Part10 | None]


class Said:
    """What files say, by their digests: who waits until one of two is held asks again and again, and pixels take long
    to be decoded. Safe for several threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, bytes | None] = OrderedDict()
        self._lock = threading.Lock()

    def are_one(self, one: str, read_one: Read, other: str, read_other: Read) -> bool:
        """Whether both are known to say the same. What cannot be read (None) is asked for again the next time."""
        content = self._of(one, read_one)
        return content is not None and content == self._of(other, read_other)

    def _of(self, digest: str, read: Read) -> bytes | None:
        with self._lock:
            if digest in self._known:
                self._known.move_to_end(digest)
                return self._known[digest]
        if (file := read()) is None:
            return None
        content = content_of(file)
        with self._lock:
            self._known[digest] = content
            if len(self._known) > _REMEMBERED_MAX:
                self._known.popitem(last=False)
        return content


def content_of(file: Part10) -> bytes | None:
    """A digest of what an image says, its pixels decoded. None where that cannot be known: they arrived lossy, are too
    large, or the data set is not as the standard wants it."""
    said = hashlib.sha256()
    try:
        before, *pixels, behind = parts_of(
            file, EXPLICIT_VR_LITTLE_ENDIAN, frame_bytes_max=_PIXEL_BYTES_MAX, pixel_bytes_max=_PIXEL_BYTES_MAX
        )
        _say_elements(bytes(before), said.update)
        # Without the head: eight bits are OB in one transfer syntax, and OW in another (PS3.5 annex A).
        for part in pixels[1:]:
            said.update(part)
        _say_elements(bytes(behind), said.update)
    except (Unrecodable, Malformed, TooComplex, struct.error):
        return None
    return said.digest()


def _say_elements(data: bytes, say: Say) -> None:
    """Of a data set in explicit VR little endian. Raises Malformed, struct.error."""
    at = 0
    while at < len(data):
        at = _element(data, at, say, is_top=True)


def _element(data: bytes, at: int, say: Say, *, is_top: bool = False) -> int:
    """The byte after it. Its VR is not said, which an implicit one may have lost; nor are lengths of groups."""
    length: int
    group, number, vr, length = _HEAD.unpack_from(data, at)
    value_at = at + 8
    if vr not in SHORT_VRS:
        if vr not in LONG_VRS:
            raise Malformed("structure", "An element has no VR.")
        length, value_at = _LENGTH.unpack_from(data, at + 8)[0], at + 12
    tag = struct.pack("<HH", group, number)
    if vr == b"SQ":
        say(tag + b"(")
        after = _items(data, value_at, length, say)
        say(b")")
        return after
    if length == UNDEFINED_LENGTH:
        raise Malformed("structure", "What is in it is in another transfer syntax.")
    after = value_at + length
    if number and not (is_top and group << 16 | number in _OF_THE_FILE):
        say(tag + _LENGTH.pack(length))
        say(data[value_at:after])
    return after


def _items(data: bytes, at: int, length: int, say: Say) -> int:
    """The byte after a sequence whose first item is at `at`."""
    end = len(data) if length == UNDEFINED_LENGTH else at + length
    while at < end:
        group, number, size = _MARK.unpack_from(data, at)
        at += _MARK.size
        if group << 16 | number == SEQUENCE_DELIMITER:
            return at
        if group << 16 | number != ITEM:
            raise Malformed("structure", "Something other than an item stands in a sequence.")
        say(b"<")
        at = _item(data, at, size, say)
        say(b">")
    return at


def _item(data: bytes, at: int, length: int, say: Say) -> int:
    end = len(data) if length == UNDEFINED_LENGTH else at + length
    while at < end:
        group, number, _ = _MARK.unpack_from(data, at)
        if group << 16 | number == ITEM_DELIMITER:
            return at + _MARK.size
        at = _element(data, at, say)
    return at
