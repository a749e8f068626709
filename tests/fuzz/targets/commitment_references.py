"""What an N-ACTION asks to be committed (PS3.4 table J.3-1): what pydicom reads too, both read the same."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom.dsutils import decode, encode

from producers.dicom_router.commitment.references import REFERENCES_MAX, Asked, TooMany, Unreadable, read_asked
from streams.elements import VRS
from streams.part10 import EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from tests.routers import CT

INPUT_BYTES_MAX: Final = 1 << 16
WORDS: Final = (
    *(b"\x08\0\x95\x11", b"\x08\0\x99\x11", b"\x08\0\x50\x11", b"\x08\0\x55\x11", b"\xfe\xff\0\xe0"),
    *(b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0", b"\xff\xff\xff\xff", b"SQ\0\0", b"UI", b"UN\0\0"),
)
_SYNTAXES: Final = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)


def seeds() -> Iterator[bytes]:
    for number, syntax in enumerate(_SYNTAXES):
        for undefined in (False, True):
            asked: Any = Dataset()
            asked.TransactionUID = "2.25.7"
            items = [_item(at, undefined) for at in range(3)]
            asked.ReferencedSOPSequence = Sequence(items)
            asked["ReferencedSOPSequence"].is_undefined_length = undefined
            data = encode(asked, syntax == IMPLICIT_VR_LITTLE_ENDIAN, syntax != EXPLICIT_VR_BIG_ENDIAN)
            assert data is not None
            yield bytes((number,)) + data


def _item(number: int, undefined: bool) -> Dataset:
    item: Any = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, f"1.2.{number}"
    item.is_undefined_length_sequence_item = undefined
    return item


def check(data: bytes) -> None:
    """The first byte says the transfer syntax."""
    syntax, data = _SYNTAXES[data[0] % 3 if data else 0], data[1:]
    try:
        asked = read_asked(data, syntax)
    except (Unreadable, TooMany):
        return
    uids = [uid for one in asked.references for uid in one.sop_instance_uids]
    assert 0 < len(uids) <= REFERENCES_MAX
    oracle = _by_pydicom(data, syntax)
    if oracle is not None:
        assert _flat(asked) == oracle


def _flat(asked: Asked) -> tuple[str, set[tuple[str, str]]]:
    return asked.transaction_uid, {
        (one.sop_class_uid, uid) for one in asked.references for uid in one.sop_instance_uids
    }


def _by_pydicom(data: bytes, syntax: str) -> tuple[str, set[tuple[str, str]]] | None:
    """None where pydicom does not read it, or reads more than one meaning into it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read: Any = decode(BytesIO(data), syntax == IMPLICIT_VR_LITTLE_ENDIAN, syntax != EXPLICIT_VR_BIG_ENDIAN)
            for element in (read["TransactionUID"], read["ReferencedSOPSequence"]):
                if element.VR.encode() not in VRS:
                    return None
            again = encode(read, syntax == IMPLICIT_VR_LITTLE_ENDIAN, syntax != EXPLICIT_VR_BIG_ENDIAN)
            pairs = {
                (str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
                for item in read.ReferencedSOPSequence
            }
            # What pydicom does not write again as it was, it took for something else than it is.
            return (str(read.TransactionUID), pairs) if again == data else None
    except Exception:  # noqa: BLE001 - whatever it does not read, it has no opinion on
        return None
