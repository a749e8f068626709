"""The command set of a DIMSE message, in Implicit VR Little Endian (PS3.7 section 6.3, annex E).

Decoded strictly: elements ascend and their lengths hold; what is not so was not written by anybody who talks DICOM. The
group length alone is not looked at: fragments say where a command ends, and there are scanners that get it wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from producers.dicom_router.upper_layer.pdu import BY_USER, HEADER, PduType, Violation

C_STORE_RQ, C_STORE_RSP, C_ECHO_RQ, C_ECHO_RSP = 0x0001, 0x8001, 0x0030, 0x8030
N_ACTION_RQ, N_ACTION_RSP = 0x0130, 0x8130
N_EVENT_REPORT_RQ, N_EVENT_REPORT_RSP = 0x0100, 0x8100
# Of some 20 elements the longest are UIDs and names of 64 characters.
COMMAND_BYTES_MAX: Final = 16_384

_GROUP_LENGTH, _SOP_CLASS, _COMMAND_FIELD, _MESSAGE_ID = 0x0000, 0x0002, 0x0100, 0x0110
_RESPONDED_TO, _DATA_SET_TYPE, _STATUS, _SOP_INSTANCE = 0x0120, 0x0800, 0x0900, 0x1000
# Of what is there already, a request names the "requested" class and instance, and not the "affected" ones.
_REQUESTED_SOP_CLASS, _REQUESTED_SOP_INSTANCE, _ACTION_TYPE = 0x0003, 0x1001, 0x1008
_EVENT_TYPE: Final = 0x1002
_NO_DATA_SET, _DATA_SET = 0x0101, 0x0001
_RESPONSE: Final = 0x8000
_ELEMENT: Final = struct.Struct("<HHI")
_SHORT: Final = struct.Struct("<HHIH")
_LONG: Final = struct.Struct("<HHII")
_PDV: Final = struct.Struct(">IBB")
_COMMAND, _LAST = 0x01, 0x02
_PIECE_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Command:
    """A request, or a response. UIDs are as they were sent, with their padding; absent ones are empty.

    `action_type` is that of an N-ACTION, else None; `status` that of a response. `message_id` is in a response the one
    of the request that it is for.
    """

    field: int
    message_id: int
    has_data_set: bool
    sop_class: bytes
    sop_instance: bytes
    action_type: int | None = None
    status: int | None = None


def decode(data: bytes | bytearray) -> Command:
    """Raises Violation, with which the DIMSE service provider aborts the association (PS3.7 section 9.3)."""
    elements: dict[int, bytes] = {}
    at, end, last = 0, len(data), -1
    while at < end:
        if end - at < _ELEMENT.size:
            raise Violation("a command set that is cut", BY_USER)
        group, number, length = _ELEMENT.unpack_from(data, at)
        at += _ELEMENT.size
        if group != 0 or number <= last or length > end - at:
            raise Violation("a command set whose elements do not hold", BY_USER)
        elements[number] = bytes(data[at : at + length])
        at += length
        last = number
    field = _short(elements, _COMMAND_FIELD)
    is_response = field & _RESPONSE
    return Command(
        field=field,
        message_id=_short(elements, _RESPONDED_TO if is_response else _MESSAGE_ID),
        has_data_set=_short(elements, _DATA_SET_TYPE) != _NO_DATA_SET,
        sop_class=elements.get(_SOP_CLASS, elements.get(_REQUESTED_SOP_CLASS, b"")),
        sop_instance=elements.get(_SOP_INSTANCE, elements.get(_REQUESTED_SOP_INSTANCE, b"")),
        action_type=_short(elements, _ACTION_TYPE) if _ACTION_TYPE in elements else None,
        status=_short(elements, _STATUS) if is_response else None,
    )


def response(request: Command, field: int, status: int) -> bytes:
    """The command set that answers a request, without a data set (PS3.7 tables 9.3-2, 9.3-13 and 10.3-8)."""
    elements = [
        _uid(_SOP_CLASS, request.sop_class),
        _SHORT.pack(0, _COMMAND_FIELD, 2, field),
        _SHORT.pack(0, _RESPONDED_TO, 2, request.message_id),
        _SHORT.pack(0, _DATA_SET_TYPE, 2, _NO_DATA_SET),
        _SHORT.pack(0, _STATUS, 2, status),
    ]
    if request.sop_instance:
        elements.append(_uid(_SOP_INSTANCE, request.sop_instance))
    return _whole(elements)


def event_report(message_id: int, sop_class: str, sop_instance: str, event_type: int) -> bytes:
    """The command set of an N-EVENT-REPORT request with a data set (PS3.7 table 10.3-1)."""
    return _whole(
        [
            _uid(_SOP_CLASS, sop_class.encode("ascii")),
            _SHORT.pack(0, _COMMAND_FIELD, 2, N_EVENT_REPORT_RQ),
            _SHORT.pack(0, _MESSAGE_ID, 2, message_id),
            _SHORT.pack(0, _DATA_SET_TYPE, 2, _DATA_SET),
            _uid(_SOP_INSTANCE, sop_instance.encode("ascii")),
            _SHORT.pack(0, _EVENT_TYPE, 2, event_type),
        ]
    )


def pdus(context: int, command_set: bytes, pdu_bytes_max: int) -> bytes:
    """A message without a data set in as many P-DATA-TF as the peer wants; 0 takes any length (PS3.8 annex D.1)."""
    return b"".join(_pdus(context, command_set, _COMMAND, pdu_bytes_max))


def pieces(context: int, command_set: bytes, data_set: bytes, pdu_bytes_max: int) -> Iterator[bytes]:
    """The same of a message with a data set, to be sent one after the other: of a peer that takes a byte at a time, the
    whole would be many times the data set."""
    piece = bytearray()
    parts = _pdus(context, command_set, _COMMAND, pdu_bytes_max), _pdus(context, data_set, 0, pdu_bytes_max)
    for part in chain(*parts):
        piece += part
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def _whole(elements: Iterable[bytes]) -> bytes:
    body = b"".join(elements)
    return _LONG.pack(0, _GROUP_LENGTH, 4, len(body)) + body


def _pdus(context: int, data: bytes, kind: int, pdu_bytes_max: int) -> Iterable[bytes]:
    fragment_max = max(pdu_bytes_max - _PDV.size, 1) if pdu_bytes_max else max(len(data), 1)
    for start in range(0, len(data), fragment_max):
        fragment = data[start : start + fragment_max]
        control = kind | (_LAST if start + fragment_max >= len(data) else 0)
        yield HEADER.pack(PduType.P_DATA_TF, len(fragment) + _PDV.size)
        yield _PDV.pack(len(fragment) + 2, context, control)
        yield fragment


def _uid(number: int, value: bytes) -> bytes:
    value += b"\x00" * (len(value) % 2)
    return _ELEMENT.pack(0, number, len(value)) + value


def _short(elements: dict[int, bytes], number: int) -> int:
    value = elements.get(number, b"")
    if len(value) != 2:
        raise Violation("a command set that lacks what every one has", BY_USER)
    return int.from_bytes(value, "little")
