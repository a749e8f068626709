"""The command set of a DIMSE message, in Implicit VR Little Endian (PS3.7 section 6.3, annex E).

Decoded strictly: elements ascend and their lengths hold; what is not so was not written by anybody who talks DICOM. The
group length alone is not looked at: fragments say where a command ends, and there are scanners that get it wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from producers.dicom_router.upper_layer.pdu import BY_USER, HEADER, PduType, Violation

C_STORE_RQ, C_STORE_RSP, C_ECHO_RQ, C_ECHO_RSP = 0x0001, 0x8001, 0x0030, 0x8030
N_ACTION_RQ, N_ACTION_RSP = 0x0130, 0x8130
# Of some 20 elements the longest are UIDs and names of 64 characters.
COMMAND_BYTES_MAX: Final = 16_384

_GROUP_LENGTH, _SOP_CLASS, _COMMAND_FIELD, _MESSAGE_ID = 0x0000, 0x0002, 0x0100, 0x0110
_RESPONDED_TO, _DATA_SET_TYPE, _STATUS, _SOP_INSTANCE = 0x0120, 0x0800, 0x0900, 0x1000
# Of what is there already, a request names the "requested" class and instance, and not the "affected" ones.
_REQUESTED_SOP_CLASS, _REQUESTED_SOP_INSTANCE, _ACTION_TYPE = 0x0003, 0x1001, 0x1008
_NO_DATA_SET: Final = 0x0101
_ELEMENT: Final = struct.Struct("<HHI")
_SHORT: Final = struct.Struct("<HHIH")
_LONG: Final = struct.Struct("<HHII")
_PDV: Final = struct.Struct(">IBB")
_COMMAND, _LAST = 0x01, 0x02


@dataclass(frozen=True, slots=True)
class Command:
    """A request. UIDs are as they were sent, with their padding; absent ones are empty.

    `action_type` is that of an N-ACTION, else None.
    """

    field: int
    message_id: int
    has_data_set: bool
    sop_class: bytes
    sop_instance: bytes
    action_type: int | None = None


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
    return Command(
        field=_short(elements, _COMMAND_FIELD),
        message_id=_short(elements, _MESSAGE_ID),
        has_data_set=_short(elements, _DATA_SET_TYPE) != _NO_DATA_SET,
        sop_class=elements.get(_SOP_CLASS, elements.get(_REQUESTED_SOP_CLASS, b"")),
        sop_instance=elements.get(_SOP_INSTANCE, elements.get(_REQUESTED_SOP_INSTANCE, b"")),
        action_type=_short(elements, _ACTION_TYPE) if _ACTION_TYPE in elements else None,
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
    body = b"".join(elements)
    return _LONG.pack(0, _GROUP_LENGTH, 4, len(body)) + body


def pdus(context: int, command_set: bytes, pdu_bytes_max: int) -> bytes:
    """A command set in as many P-DATA-TF as the peer wants; 0 takes any length (PS3.8 annex D.1)."""
    fragment_max = max(pdu_bytes_max - _PDV.size, 1) if pdu_bytes_max else len(command_set)
    return b"".join(_pdus(context, command_set, fragment_max))


def _pdus(context: int, command_set: bytes, fragment_max: int) -> Iterable[bytes]:
    for start in range(0, len(command_set), fragment_max):
        fragment = command_set[start : start + fragment_max]
        control = _COMMAND | (_LAST if start + fragment_max >= len(command_set) else 0)
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
