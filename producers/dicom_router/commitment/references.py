"""What an N-ACTION asks to be committed (PS3.4 table J.3-1): a transaction, and the instances that it is about.

Read strictly: of a data set that does not hold, nothing is believed. A sender that is told so keeps its images, where
one that is told of half of them might not.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from producers.dicom_router.tags import Broken, Reader
from streams.elements import ITEM, ITEM_DELIMITER, SEQUENCE_DELIMITER, UNDEFINED_LENGTH, Encoding
from streams.events import SopReferences
from streams.identity import uid_is_usable, uid_text
from streams.part10 import EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

REFERENCES_MAX: Final = 10_000
# Of all their UIDs: what a record of the log holds (streams/sizes.py), with a reason for each of them in the result.
UID_BYTES_MAX: Final = 700_000
# Of the N-ACTION. An item with the longest UIDs has 168.
DATA_SET_BYTES_MAX: Final = 4 << 20
# An item has a head, two elements, a medium and its description at most, and perhaps a delimiter.
_ELEMENTS_MAX: Final = 6 * REFERENCES_MAX + 1000

_TRANSACTION: Final = 0x00081195
_REFERENCES: Final = 0x00081199
_SOP_CLASS, _SOP_INSTANCE = 0x00081150, 0x00081155


class Asked(NamedTuple):
    """`references` are by SOP class, in the order of the request, each once."""

    transaction_uid: str
    references: tuple[SopReferences, ...]


class Unreadable(Exception):
    """The data set is no request. The text says why, and quotes nothing."""


class TooMany(Exception):
    """More than a request may ask for."""


def read_asked(data: bytes | memoryview, transfer_syntax_uid: str) -> Asked:
    """Raises Unreadable, TooMany. Bounded in time and memory by the ceilings above, whatever the bytes say."""
    encoding = Encoding(
        explicit=transfer_syntax_uid != IMPLICIT_VR_LITTLE_ENDIAN,
        byte_order="big" if transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN else "little",
    )
    try:
        return _Asking(data, encoding).read()
    except Broken:
        raise Unreadable("the data set cannot be read") from None


class _Asking:
    def __init__(self, data: bytes | memoryview, encoding: Encoding) -> None:
        self._reader = Reader(data, encoding, _ELEMENTS_MAX)
        self._explicit = encoding.explicit
        self._size = len(data)
        self._by_class: dict[str, dict[str, None]] = {}
        self._count = self._uid_bytes = 0

    def read(self) -> Asked:
        transaction = ""
        while self._reader.position < self._size:
            tag, length, implicit_inside = self._reader.head(self._explicit)
            if tag == _REFERENCES:
                self._sequence(length)
            elif tag == _TRANSACTION:
                transaction = self._uid(length)
            else:
                self._skip(length, implicit_inside)
        if not transaction:
            raise Unreadable("there is no Transaction UID")
        if not self._by_class:
            raise Unreadable("there are no references")
        references = tuple(
            SopReferences(sop_class_uid=sop_class, sop_instance_uids=tuple(uids))
            for sop_class, uids in self._by_class.items()
        )
        return Asked(transaction, references)

    def _sequence(self, length: int) -> None:
        """The items of the Referenced SOP Sequence, of defined length or not (PS3.5 section 7.5)."""
        end = self._end(length)
        while self._reader.position < end:
            tag, item_length, _ = self._reader.head(explicit=False)
            if tag == SEQUENCE_DELIMITER and length == UNDEFINED_LENGTH:
                return
            if tag != ITEM:
                raise Broken
            self._item(item_length)
        if length == UNDEFINED_LENGTH or self._reader.position > end:
            raise Broken

    def _item(self, length: int) -> None:
        end = self._end(length)
        found = {_SOP_CLASS: "", _SOP_INSTANCE: ""}
        while length == UNDEFINED_LENGTH or self._reader.position < end:
            tag, value_length, implicit_inside = self._reader.head(self._explicit)
            if tag == ITEM_DELIMITER and length == UNDEFINED_LENGTH:
                break
            if tag in found:
                found[tag] = self._uid(value_length)
            else:
                self._skip(value_length, implicit_inside)
        if length != UNDEFINED_LENGTH and self._reader.position > end:
            raise Broken
        if not all(found.values()):
            raise Unreadable("a reference lacks its SOP class or its instance")
        self._add(found[_SOP_CLASS], found[_SOP_INSTANCE])

    def _add(self, sop_class: str, sop_instance: str) -> None:
        of_class = self._by_class.setdefault(sop_class, {})
        if sop_instance in of_class:
            return
        of_class[sop_instance] = None
        self._count += 1
        self._uid_bytes += len(sop_instance) + (len(sop_class) if len(of_class) == 1 else 0)
        if self._count > REFERENCES_MAX or self._uid_bytes > UID_BYTES_MAX:
            raise TooMany

    def _end(self, length: int) -> int:
        return self._size if length == UNDEFINED_LENGTH else self._reader.position + length

    def _uid(self, length: int) -> str:
        if length == UNDEFINED_LENGTH:
            raise Broken
        uid = uid_text(bytes(self._reader.take(length)))
        if not uid_is_usable(uid):
            raise Unreadable("a UID in it is none (PS3.5 section 9.1)")
        return uid

    def _skip(self, length: int, implicit_inside: bool) -> None:
        if length == UNDEFINED_LENGTH:
            self._reader.skip_undefined(implicit_inside)
        else:
            self._reader.take(length)
