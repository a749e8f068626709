"""A data set in the DICOM JSON model (PS3.18 annex F), from the bytes of its head, without its pixels.

Large values are said by their path alone, `bulkdata/…` (`streams.elements` has the walk). What cannot be read as its VR
says is bytes of VR UN, on which no reader fails: a value is never left out, and never made up.
"""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import msgspec
from pydicom.charset import decode_bytes, python_encoding

from streams.elements import (
    ITEM,
    ITEM_DELIMITER,
    PIXEL_DATA_TAGS,
    SEQUENCE_DELIMITER,
    UNDEFINED_LENGTH,
    Element,
    Limits,
    Malformed,
    TooComplex,
    Walk,
)
from streams.part10 import Part10
from streams.recoding.explicit import Signs, signs_of, vr_of
from streams.rendering.voi import VOI_LUT

# Bytes in the model itself are at most so many; texts and numbers may be longer, since who reads wants them read.
INLINE_BYTES_MAX: Final = 1024
VALUE_BYTES_MAX: Final = 64 << 10
_DEPTH_MAX: Final = 32
_ALIKE_BYTES_MAX, _ALIKE_MAX = 64, 4096
_ALIKE_ELEMENT_BYTES_MAX = 1024
_ELEMENTS_MAX: Final = 500_000

_CHARACTER_SET, _PIXEL_REPRESENTATION = 0x00080005, 0x00280103
_BINARY = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
_ONE_TEXT = frozenset(("LT", "ST", "UT"))
_DECODED = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
_WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,15}")
_PN_DELIMITERS, _TEXT_DELIMITERS = {0x5C, 0x5E, 0x3D}, {0x5C, 0x0A, 0x0C, 0x0D, 0x09}
_ESCAPE, _LATIN_1 = 0x1B, "latin-1"
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")

Model = dict[str, Any]


class _NoNumber(Exception):
    """A text that is not what its VR says."""


@dataclass(frozen=True)
class _Scope:
    """What the elements around say of this one. `of_interest` is `signed` within VOI LUT sequences."""

    explicit: bool
    encodings: tuple[str, ...]
    signed: bool
    of_interest: bool
    path: str
    depth: int


# By what is around an element, and then by its bytes: its part of a model, as JSON.
Alike = dict[tuple[str, _Scope], dict[bytes, bytes]]


class Modelled(Walk):
    """The model of a file, or of as much of it as was read. `places` are offset, length and VR of what is bulk data."""

    def __init__(self, file: Part10) -> None:
        super().__init__(file.data, file.encoding, Limits(elements=_ELEMENTS_MAX))
        self._file = file
        self._sign = "<" if file.encoding.byte_order == "little" else ">"
        self.places: dict[str, tuple[int, int, str]] = {}

    def model(self) -> Model:
        scope = self._scope()
        return {f"{one.tag:08X}": self._outer(one, scope) for one in self._shown()}

    def encoded(self, alike: Alike) -> bytes:
        """The model as JSON. The images of a series say nearly the same: what is in `alike`, byte for byte, is not read
        again, and the rest is put there. It may grow to some megabytes."""
        scope = self._scope()
        known = alike.setdefault((self._sign, scope), {})
        if len(known) > _ALIKE_MAX:
            known.clear()
        parts = []
        for one in self._shown():
            raw = self._data[one.at : one.end] if one.end - one.at <= _ALIKE_ELEMENT_BYTES_MAX else b""
            part = known.get(raw)
            if part is None:
                places = len(self.places)
                part = b'"%08X":' % one.tag + msgspec.json.encode(self._outer(one, scope))
                # What says where it stands is of this file alone.
                if raw and len(self.places) == places:
                    known[raw] = part
            parts.append(part)
        return b"{" + b",".join(parts) + b"}"

    def _scope(self) -> _Scope:
        file = self._file
        encodings = _encodings(file.value(file.elements[_CHARACTER_SET])) if _CHARACTER_SET in file.elements else ()
        signed = file.unsigned(_PIXEL_REPRESENTATION) == 1
        # A table whose VR is said need not be looked at.
        signs = Signs(signed, signed) if file.encoding.explicit else signs_of(file)
        return _Scope(file.encoding.explicit, encodings, signs.pixels, signs.of_interest, "", 0)

    def _shown(self) -> list[Element]:
        return [one for tag, one in sorted(self._file.elements.items()) if tag & 0xFFFF and tag >> 16 > 2]

    def _outer(self, one: Element, scope: _Scope) -> Model:
        vr = one.vr.encode("latin-1")
        return self._element(one.tag, vr, one.value_at, one.end, scope, undefined=one.undefined_length)

    def _element(self, tag: int, said: bytes, at: int, end: int, scope: _Scope, *, undefined: bool) -> Model:
        vr = self._vr(tag, said, scope, undefined=undefined)
        path = f"{scope.path}{tag:08X}"
        if tag in PIXEL_DATA_TAGS or (undefined and vr in ("OB", "OW")):
            # What is in items is bytes, whatever an implicit VR would have it be (PS3.5 annex A.4).
            return self._bulk(path, "OB" if undefined and not said else vr, at, end)
        if vr == "SQ":
            explicit, signed = scope.explicit and said != b"UN", scope.of_interest if tag == VOI_LUT else scope.signed
            inner = _Scope(explicit, scope.encodings, signed, scope.of_interest, f"{path}/", scope.depth + 1)
            try:
                items = self._models(at, end, inner, delimited=undefined)
            except (Malformed, TooComplex):
                return self._value(path, "UN", at, end, scope)
            return {"vr": vr, "Value": items} if items else {"vr": vr}
        if tag == _CHARACTER_SET:
            return {"vr": "CS", "Value": ["ISO_IR 192"]}
        return self._value(path, vr, at, end, scope)

    def _vr(self, tag: int, said: bytes, scope: _Scope, *, undefined: bool) -> str:
        if said and said != b"UN" and said.isalpha() and said.isupper():
            return said.decode("ascii")
        known = vr_of(tag, scope.signed).decode("ascii")
        # PS3.5 section 6.2.2: what has VR UN and undefined length is a sequence.
        return "SQ" if undefined and (known == "UN" or said == b"UN") else known

    def _models(self, position: int, end: int, scope: _Scope, *, delimited: bool) -> list[Model]:
        found, _ = self._items_of(position, end, scope, delimited=delimited)
        return found

    def _items_of(self, position: int, end: int, scope: _Scope, *, delimited: bool) -> tuple[list[Model], int]:
        if scope.depth > _DEPTH_MAX:
            raise TooComplex(f"Sequences are nested more than {_DEPTH_MAX} deep.", "depth")
        found: list[Model] = []
        while position < end:
            tag, _, at, length = self._head(position, end, False)
            if tag == SEQUENCE_DELIMITER and delimited:
                return found, at
            if tag != ITEM:
                raise Malformed("structure", "Something other than an item stands in a sequence.")
            known = length != UNDEFINED_LENGTH
            if known and at + length > end:
                raise Malformed("structure", "An item is longer than its sequence.")
            path = f"{scope.path}{len(found)}/"
            inner = _Scope(scope.explicit, scope.encodings, scope.signed, scope.of_interest, path, scope.depth)
            item, position = self._item_of(at, at + length if known else end, inner, delimited=not known)
            found.append(item)
        return found, position

    def _item_of(self, position: int, end: int, scope: _Scope, *, delimited: bool) -> tuple[Model, int]:
        item: Model = {}
        while position < end:
            tag, said, at, length = self._head(position, end, scope.explicit)
            if tag == ITEM_DELIMITER and delimited:
                return item, at
            if tag >> 16 == 0xFFFE:
                raise Malformed("structure", "A delimiter stands where an element should.")
            undefined = length == UNDEFINED_LENGTH
            position = self._after(said, tag, at, end, scope) if undefined else at + length
            if position > end:
                raise Malformed("structure", "An element is longer than what holds it.")
            scope = self._scoped(tag, at, position, scope)
            if tag & 0xFFFF:
                item[f"{tag:08X}"] = self._element(tag, said, at, position, scope, undefined=undefined)
        return item, position

    def _after(self, said: bytes, tag: int, at: int, end: int, scope: _Scope) -> int:
        if said in (b"OB", b"OW") or tag in PIXEL_DATA_TAGS:
            return self._fragments(at, end, cut_allowed=False)[0]
        return self._items(at, end, scope.explicit and said != b"UN", scope.depth + 1, delimited=True)

    def _scoped(self, tag: int, at: int, end: int, scope: _Scope) -> _Scope:
        """An item may have a character set and a pixel representation of its own."""
        if tag == _CHARACTER_SET:
            encodings = _encodings(self._data[at:end])
            return replace(scope, encodings=encodings)
        if tag == _PIXEL_REPRESENTATION and end - at == 2:
            signed = self._numbers("US", at, end) == [1]
            return replace(scope, signed=signed)
        return scope

    def _bulk(self, path: str, vr: str, at: int, end: int) -> Model:
        self.places[path] = (at, end - at, vr)
        return {"vr": vr, "BulkDataURI": f"bulkdata/{path}"}

    def _value(self, path: str, vr: str, at: int, end: int, scope: _Scope) -> Model:
        if at == end:
            return {"vr": vr}
        if end - at > (INLINE_BYTES_MAX if vr in _BINARY else VALUE_BYTES_MAX):
            return self._bulk(path, vr, at, end)
        if vr in _BINARY:
            return self._inline(vr, at, end)
        try:
            values = self._values(vr, at, end, scope)
        except (struct.error, _NoNumber):
            # Of another length than its VR's, or another text: no number, and yet what is there.
            return self._inline("UN", at, end)
        return {"vr": vr, "Value": values} if values else {"vr": vr}

    def _inline(self, vr: str, at: int, end: int) -> Model:
        data = little_endian(self._data[at:end], vr, self._sign)
        return {"vr": vr, "InlineBinary": base64.b64encode(data).decode("ascii")}

    def _values(self, vr: str, at: int, end: int, scope: _Scope) -> list[Any]:
        if vr in _NUMBERS:
            return self._numbers(vr, at, end)
        data = self._data[at:end]
        if vr == "AT":
            words = struct.unpack(f"{self._sign}{len(data) // 2}H", data)
            return [f"{group:04X}{number:04X}" for group, number in zip(words[::2], words[1::2], strict=True)]
        return _texts(vr, data, scope.encodings) if len(data) > _ALIKE_BYTES_MAX else _alike(vr, data, scope.encodings)

    def _numbers(self, vr: str, at: int, end: int) -> list[Any]:
        code = _NUMBERS[vr]
        values = struct.unpack_from(f"{self._sign}{(end - at) // struct.calcsize(code)}{code}", self._data, at)
        if (end - at) % struct.calcsize(code):
            raise struct.error
        return [_number(value) for value in values] if code in "fd" else list(values)


def _texts(vr: str, data: bytes, encodings: tuple[str, ...]) -> list[Any]:
    if vr == "PN":
        return _names(data, encodings)
    if vr in _DECODED:
        text = decoded(data, encodings, _TEXT_DELIMITERS)
    else:
        text = data.decode("ascii" if data.isascii() else "latin-1")
    if vr in _ONE_TEXT or vr == "UR":
        text = text.rstrip(" \0")
        return [text] if text else []
    return _split(text, _CONVERTERS.get(vr))


# The images of a series say nearly the same: what was read once is not read again. Nobody changes what it gives.
_alike = lru_cache(_ALIKE_MAX)(_texts)


def little_endian(data: bytes, vr: str, sign: str) -> bytes:
    """Bulk data is little endian whatever the file is (PS3.18 section 8.7.3.3.1)."""
    size = _WORDS.get(vr, struct.calcsize(_NUMBERS[vr]) if vr in _NUMBERS else 1)
    if sign == "<" or size == 1 or len(data) % size:
        return data
    return b"".join(data[at : at + size][::-1] for at in range(0, len(data), size))


def decoded(data: bytes, encodings: Sequence[str], delimiters: set[int]) -> str:
    """Text as Unicode; a byte that its character set does not have is U+FFFD."""
    if _ESCAPE not in data:
        return data.decode("ascii" if data.isascii() else encodings[0] if encodings else _LATIN_1, "replace")
    try:
        return decode_bytes(data, encodings or (_LATIN_1,), delimiters)
    except (LookupError, UnicodeError, ValueError, UserWarning):
        return data.decode(encodings[0] if encodings else _LATIN_1, "replace")


def _encodings(value: bytes) -> tuple[str, ...]:
    """Python's names of the character sets of (0008,0005). What is none is read as Latin-1, as is what says nothing."""
    return tuple(_encoding(term.strip(" \0")) for term in value.decode("ascii", "replace").split("\\"))


@lru_cache(maxsize=256)
def _encoding(term: str) -> str:
    spelt = re.sub(r"^ISO.?2022.?IR.?", "ISO 2022 IR ", re.sub(r"^ISO.?IR.?", "ISO_IR ", term))
    return python_encoding.get(term) or python_encoding.get(spelt) or _LATIN_1


def _names(data: bytes, encodings: Sequence[str]) -> list[Any]:
    text = decoded(data, encodings, _PN_DELIMITERS)
    found: list[Any] = []
    for one in text.split("\\"):
        groups = {
            name: part for name, text in zip(_GROUPS, one.split("="), strict=False) if (part := text.strip(" \0"))
        }
        found.append(groups or None)
    return found if any(found) else []


def _split(text: str, convert: Callable[[str], Any] | None) -> list[Any]:
    parts = [part.strip(" \0") for part in text.split("\\")]
    if parts == [""]:
        return []
    return [(convert(part) if convert else part) if part else None for part in parts]


def _decimal(text: str) -> int | float:
    if _INTEGER.fullmatch(text):
        return int(text)
    value = float(text) if _DECIMAL.fullmatch(text) else math.inf
    if not math.isfinite(value):
        raise _NoNumber
    return value


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise _NoNumber
    return int(text)


def _number(value: float) -> Any:
    """PS3.18 table F.2.3-1: JSON has no such numbers."""
    return value if math.isfinite(value) else "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"


_CONVERTERS: dict[str, Callable[[str], Any]] = {"DS": _decimal, "IS": _integer}
