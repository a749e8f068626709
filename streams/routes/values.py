"""What a data set says under a tag, as texts to be matched. They are never logged: a rule may look at anything."""

from __future__ import annotations

import warnings
from typing import Any

from pydicom.charset import convert_encodings
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.multival import MultiValue
from pydicom.tag import Tag

from streams.part10 import Part10

# A rule looks at names and codes; pixel data and tables of measurements are no text.
VALUE_BYTES_MAX = 16_384
_CHARACTER_SET = 0x00080005


def values_of(file: Part10, tag: int) -> tuple[str, ...]:
    """The values of an element of the top level without padding; none where it is absent, empty, or no text or number.

    Decoded by pydicom, in the character sets that the data set names. Never raises.
    """
    element = file.elements.get(tag)
    if element is None or element.undefined_length or element.length > VALUE_BYTES_MAX:
        return ()
    raw = RawDataElement(
        Tag(tag),
        element.vr or None,
        element.length,
        file.value(element),
        element.value_at,
        not file.encoding.explicit,
        file.encoding.byte_order == "little",
    )
    try:
        with warnings.catch_warnings():
            # pydicom warns of what it mends, and quotes it.
            warnings.simplefilter("ignore")
            value = convert_raw_data_element(raw, encoding=_encodings(file)).value
    except Exception:  # noqa: BLE001 - pydicom raises whatever a value leads it to
        return ()
    return tuple(text for one in _several(value) if (text := _text(one)))


def _encodings(file: Part10) -> list[str]:
    named = (file.text(_CHARACTER_SET) or "").split("\\")
    return convert_encodings([name.strip() for name in named])


def _several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, MultiValue | list) else [value]


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1").strip("\0 ")
    return "" if value is None else str(value).strip("\0 ")
