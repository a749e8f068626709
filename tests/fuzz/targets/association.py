"""A whole conversation as its acceptor hears it: PDUs, fragments, commands and data sets (PS3.8, PS3.7).

However the bytes are cut into pieces, the same is answered and the same arrives; and what arrives is what pynetdicom's
own reader of P-DATA-TF finds in those bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, cast

from pynetdicom.pdu import P_DATA_TF

from producers.dicom_router.arrival import SUCCESS, Arrival
from producers.dicom_router.data_set import Room
from producers.dicom_router.object_buffer import Budget, BufferPool
from producers.dicom_router.operations import Echo, Store
from producers.dicom_router.upper_layer import command_set
from producers.dicom_router.upper_layer.associate_rq import Requested
from producers.dicom_router.upper_layer.association import Association
from producers.dicom_router.upper_layer.connection import Connection
from producers.dicom_router.upper_layer.limits import Limits
from producers.dicom_router.upper_layer.messages import Pace
from producers.dicom_router.upper_layer.pdu import Violation
from tests.fuzz.byte_stream import ByteStream, by_bytes, by_itself, whole
from tests.raw_peer import ABORT, RELEASE_RP, RELEASE_RQ, associate_rq, echo_rq, p_data, pdu, pdv, store_rq
from tests.routers import Ct

INPUT_BYTES_MAX: Final = 8192
WORDS: Final = (
    *(associate_rq(), RELEASE_RQ, RELEASE_RP, ABORT, p_data(pdv(echo_rq(), command=True, context=3))),
    *(p_data(pdv(store_rq(), command=True)), p_data(pdv(b"")), b"\x04\0\0\0", b"\x00\x00\x00\x02\x01\x03"),
)
_LIMITS: Final = Limits(set_up_s=3600, pace=Pace(3600, 1), association_s=3600, pdu_bytes_max=16_384)
_ENDS: Final = {"released", "rejected", "aborted_by_peer", "closed", "violation"}
_BYTE_BY_BYTE_MAX: Final = 2048
_OBJECT_BYTES_MAX: Final = 1 << 20


@dataclass
class Outcome:
    """How it ended, what was answered, and each data set with its instance."""

    ended: str = ""
    said: bytes = b""
    stored: list[tuple[bytes, bytes]] = field(default_factory=list)

    def answer(self, arrival: Arrival) -> int:
        self.stored.append((arrival.sop_instance_uid.encode("latin-1"), bytes(arrival.data_set)))
        return SUCCESS


class _Anybody:
    def take(self, requested: Requested) -> None:
        return None

    def give_back(self) -> None:
        """There is always another."""


def seeds() -> Iterator[bytes]:
    store = p_data(pdv(store_rq(), command=True))
    data_set = Ct().data_set()
    echo = p_data(pdv(echo_rq(), command=True, context=3))
    cut = [pdv(data_set[at : at + 100], last=at + 100 >= len(data_set)) for at in range(0, len(data_set), 100)]
    yield associate_rq() + echo + RELEASE_RQ
    yield associate_rq() + store + p_data(pdv(data_set)) + RELEASE_RQ
    yield associate_rq() + p_data(pdv(store_rq(), command=True), *cut[:2]) + p_data(*cut[2:]) + echo + ABORT
    yield associate_rq() + p_data(pdv(store_rq()[:30], command=True, last=False), pdv(store_rq()[30:], command=True))
    yield associate_rq() + p_data(pdv(store_rq(data_set_type=0x0101), command=True)) + RELEASE_RQ
    yield associate_rq() + echo * 20 + pdu(9, b"")


def check(data: bytes) -> None:
    first = _heard(ByteStream(data, whole()))
    assert first.ended in _ENDS
    assert _heard(ByteStream(data, by_itself(data))) == first
    if len(data) <= _BYTE_BY_BYTE_MAX:
        assert _heard(ByteStream(data, by_bytes())) == first
    if first.said[:1] != b"\x02":
        assert not first.stored
    elif first.ended != "violation":
        assert first.stored == list(_stored_by_oracle(data))


def _heard(stream: ByteStream) -> Outcome:
    heard = Outcome()
    room = Room(_OBJECT_BYTES_MAX, BufferPool(Budget(0)), Budget(0))
    operations: Any = {
        command_set.C_ECHO_RQ: Echo(),
        command_set.C_STORE_RQ: Store(cast(Any, heard), "RADSTREAM", room),
    }
    connection = Connection(cast(Any, stream))
    connection.prepare()
    try:
        heard.ended = Association(connection, _LIMITS, operations, _Anybody()).run()
    except Violation:
        heard.ended = "violation"
    heard.said = bytes(stream.said)
    return heard


def _stored_by_oracle(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Of a conversation without a fault: pynetdicom says what each P-DATA-TF holds."""
    command, data_set = b"", b""
    while len(data) >= 6:
        length = 6 + int.from_bytes(data[2:6], "big")
        one, data = data[:length], data[length:]
        if one[0] in (5, 7):
            return
        if one[0] != 4 or len(one) < length:
            continue
        read = P_DATA_TF()
        read.decode(one)
        for item in read.presentation_data_value_items:
            value = item.presentation_data_value
            assert value is not None
            control, fragment = value[0], value[1:]
            if control & 1:
                command += fragment
                if control & 2 and (asked := command_set.decode(command)).has_data_set is False:
                    if asked.field == command_set.C_STORE_RQ:
                        yield asked.sop_instance.rstrip(b"\0 "), b""
                    command = b""
            else:
                data_set += fragment
                if control & 2:
                    yield command_set.decode(command).sop_instance.rstrip(b"\0 "), data_set
                    command, data_set = b"", b""
