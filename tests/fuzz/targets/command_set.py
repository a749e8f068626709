"""The command set (PS3.7 annex E): what pydicom reads too, both read the same, and our answer is read by pydicom."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final

from pynetdicom.dsutils import decode as decoded

from producers.dicom_router.upper_layer import command_set
from producers.dicom_router.upper_layer.pdu import Violation
from streams.identity import uid_is_usable, uid_text
from tests.raw_peer import command, echo_rq, element, short, store_rq

INPUT_BYTES_MAX: Final = 2048
WORDS: Final = (
    *(short(0x0100, 1), short(0x0100, 0x30), short(0x0110, 7), short(0x0800, 0x0101), short(0x0800, 0)),
    *(element(0x0002, b"1.2.3\0"), element(0x1000, b"1.2.3\0"), element(0x0003, b"1.2\0"), short(0x1008, 1)),
)


def seeds() -> Iterator[bytes]:
    yield store_rq()
    yield echo_rq()
    yield command(
        element(0x0003, b"1.2.840.10008.1.20.1"),
        short(0x0100, 0x0130),
        short(0x0110, 3),
        short(0x0800, 1),
        element(0x1001, b"1.2.840.10008.1.20.1.1"),
        short(0x1008, 1),
    )


def check(data: bytes) -> None:
    try:
        asked = command_set.decode(data)
    except Violation:
        return
    assert command_set.decode(bytearray(data)) == asked
    answer = command_set.response(asked, command_set.C_STORE_RSP, 0xA700)
    for pdu_bytes_max in (0, 1, 7, 100):
        assert len(command_set.pdus(1, answer, pdu_bytes_max)) >= len(answer)
    if (read := _by_pydicom(data)) is not None:
        assert read == (asked.field, asked.message_id, asked.has_data_set)
    if all(uid_is_usable(uid_text(uid)) for uid in (asked.sop_class, asked.sop_instance) if uid):
        told: Any = decoded(BytesIO(answer), True, True)
        assert (told.CommandField, told.MessageIDBeingRespondedTo, told.Status) == (0x8001, asked.message_id, 0xA700)
        assert str(told.get("AffectedSOPInstanceUID", "")) == uid_text(asked.sop_instance)


def _by_pydicom(data: bytes) -> tuple[int, int, bool] | None:
    """Field, message id and whether a data set follows; None where pydicom does not read it either."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read: Any = decoded(BytesIO(data), True, True)
            return int(read.CommandField), int(read.MessageID), read.CommandDataSetType != 0x0101
    except Exception:  # noqa: BLE001 - whatever it does not read, it has no opinion on
        return None
