"""Where the file header of a DICOM file ends and its data set begins (PS3.10 section 7.1)."""

from __future__ import annotations

from typing import Final

from streams.elements import Encoding, Limits, Malformed, TooComplex, Walk
from streams.identity import uid_is_usable, uid_text

MEDIA_SOP_CLASS, MEDIA_SOP_INSTANCE = 0x00020002, 0x00020003
# Group 0002 can carry private information of some length (0002,0102).
HEAD_BYTES: Final = 256 << 10
_PREAMBLE_BYTES, _PREFIX_END = 128, 132
_ELEMENTS_MAX: Final = 100


def split(head: bytes) -> tuple[dict[int, str], int]:
    """The usable UIDs of group 0002 by tag, and where the data set begins; none and 0 without a file header.

    `head` is the first HEAD_BYTES of the file, or all of a shorter one. The group's own length is not to be relied on:
    its elements are walked through, as far as they can be read.
    """
    if head[_PREAMBLE_BYTES:_PREFIX_END] != b"DICM":
        return {}, 0
    walk = Walk(head, Encoding(explicit=True), Limits(elements=_ELEMENTS_MAX))
    try:
        start = walk.group(_PREFIX_END, 0x0002)
    except (Malformed, TooComplex):
        start = max((element.end for element in walk.elements.values()), default=_PREFIX_END)
    texts = {tag: uid_text(head[element.value_at : element.end]) for tag, element in walk.elements.items()}
    return {tag: text for tag, text in texts.items() if uid_is_usable(text)}, start
