"""A request costs by its items, and what is kept of it until it is whole has a ceiling of its own."""

from __future__ import annotations

from itertools import repeat
from typing import Any, cast

import pytest

from producers.dicom_router.upper_layer.associate_rq import decode
from producers.dicom_router.upper_layer.connection import Connection
from producers.dicom_router.upper_layer.inbound import Inbound
from producers.dicom_router.upper_layer.pdu import BODY_BYTES_MAX, PDU_BYTES_MAX, Violation
from tests.fuzz.byte_stream import ByteStream
from tests.raw_peer import associate_rq, context_item, item, pdu

SYNTAXES = [f"1.2.{number}" for number in range(64)]


def test_as_many_transfer_syntaxes_as_there_are_may_be_proposed_in_each_of_128_contexts() -> None:
    asked = associate_rq(*(context_item(number, "1.2.3", SYNTAXES) for number in range(1, 256, 2)))
    assert [len(one.transfer_syntaxes) for one in decode(asked[6:]).contexts] == [64] * 128


@pytest.mark.parametrize(
    "asked",
    [
        associate_rq(context_item(1, "1.2.3", [*SYNTAXES, "1.2"])),
        associate_rq(item(0x20, b"\1\0\0\0"), *[item(0x99, b"")] * 512),
        associate_rq(context_item(1), user=item(0x55, b"") * 513),
    ],
)
def test_more_items_than_a_request_has_are_not_read(asked: bytes) -> None:
    with pytest.raises(Violation, match="more items"):
        decode(asked[6:])


def read(data: bytes) -> bytes:
    inbound = Inbound(Connection(cast(Any, ByteStream(data, repeat(70_000)))))
    inbound.pdu()
    return inbound.body()


def test_a_request_is_kept_up_to_half_a_megabyte_and_data_come_in_larger_ones() -> None:
    assert len(read(pdu(1, bytes(BODY_BYTES_MAX)))) == BODY_BYTES_MAX
    with pytest.raises(Violation, match="ceiling"):
        read(pdu(1, bytes(BODY_BYTES_MAX + 1)))
    inbound = Inbound(Connection(cast(Any, ByteStream(pdu(4, bytes(PDU_BYTES_MAX)), repeat(70_000)))))
    assert inbound.pdu() == 4
