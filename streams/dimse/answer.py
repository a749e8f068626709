"""What of an item is returned, and in which character set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom.charset import python_encoding
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

UTF_8: Final = "ISO_IR 192"
_CHARACTER_SET: Final = "SpecificCharacterSet"
_TEXT: Final = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))


def answer(keys: Dataset, item: Dataset) -> Dataset:
    """The supported attributes that were asked for, in the scanner's own character set where that can say them."""
    asked_in = keys.get(_CHARACTER_SET)
    returned = _asked(keys, item)
    if (chosen := _character_set(asked_in, returned)) is not None:
        returned.SpecificCharacterSet = chosen
    elif _CHARACTER_SET in keys:
        returned.SpecificCharacterSet = None
    return returned


def unsupported(keys: Dataset, item: Dataset) -> bool:
    """Whether a key was asked for that is not supported: status 0xFF01 says so (PS3.4 table K.4-1)."""
    for key in keys:
        if key.tag not in item and key.keyword != _CHARACTER_SET:
            return True
        held = item[key.tag].value if key.tag in item and key.VR == "SQ" and key.value else None
        if held and unsupported(key.value[0], held[0]):
            return True
    return False


def _asked(keys: Dataset, item: Dataset) -> Dataset:
    returned = Dataset()
    for key in keys:
        if key.tag not in item:
            continue
        held = item[key.tag]
        if held.VR == "SQ" and key.VR == "SQ" and key.value and len(key.value[0]):
            returned.add_new(key.tag, "SQ", Sequence([_asked(key.value[0], one) for one in held.value]))
        else:
            returned[key.tag] = held
    return returned


def _character_set(asked_in: object, returned: Dataset) -> str | None:
    """None for the default repertoire: plain ASCII, which everybody reads."""
    said = list(_texts(returned))
    if all(text.isascii() for text in said):
        return None
    name = str(asked_in) if isinstance(asked_in, str) and asked_in.startswith("ISO_IR") else UTF_8
    codec = python_encoding.get(name)
    if codec is None:
        return UTF_8
    try:
        for text in said:
            text.encode(codec)
    except (UnicodeError, LookupError):
        return UTF_8
    return name


def _texts(returned: Dataset) -> Iterator[str]:
    for element in returned:
        if element.VR == "SQ":
            for one in element.value:
                yield from _texts(one)
        elif element.VR in _TEXT and element.value:
            yield str(element.value)
