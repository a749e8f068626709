"""A-ASSOCIATE-RQ (PS3.8 section 9.3.2), and the answer to it: what pynetdicom reads too, both read the same."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Final

from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ

from producers.dicom_router.upper_layer.associate_rq import Requested, decode
from producers.dicom_router.upper_layer.negotiation import Accepted, negotiate
from producers.dicom_router.upper_layer.pdu import PDU_BYTES_MAX, Violation
from streams.identity import uid_is_usable
from tests.pynetdicom_pdus import body, proposed, request
from tests.raw_peer import associate_rq, context_item, item
from tests.routers import CT, EXPLICIT, IMPLICIT

INPUT_BYTES_MAX: Final = 8192
WORDS: Final = (
    *(b"\x10\0", b"\x20\0", b"\x30\0", b"\x40\0", b"\x50\0", b"\x51\0\0\x04", b"\x53\0\0\x04", b"\x54\0"),
    *(context_item(5), CT.encode(), EXPLICIT.encode(), IMPLICIT.encode(), b"1.2.840.10008.1.1"),
)
# Of each context the answer repeats a name of the request at most; the rest of it is some 200 bytes.
_ANSWER_BYTES_MORE: Final = 1024


def seeds() -> Iterator[bytes]:
    role = item(0x54, len(CT).to_bytes(2, "big") + CT.encode() + b"\1\1")
    yield associate_rq()[6:]
    yield associate_rq(user=item(0x51, b"\0\0\x40\0") + role + item(0x53, b"\0\5\0\5"))[6:]
    yield associate_rq(*(context_item(at, CT, (EXPLICIT, IMPLICIT)) for at in range(1, 60, 2)))[6:]
    yield body(request([proposed(1, CT, [EXPLICIT, IMPLICIT]), proposed(3, "1.2.840.10008.1.1", [IMPLICIT])]))


def check(data: bytes) -> None:
    try:
        read = decode(data)
    except Violation:
        return
    assert all(one.id % 2 for one in read.contexts)
    outcome = negotiate(read, 131_072)
    if isinstance(outcome, Accepted):
        _check_answer(read, outcome, len(data))
    _check_by_oracle(read, data)


def _check_answer(read: Requested, outcome: Accepted, asked_bytes: int) -> None:
    assert len(outcome.answer) <= asked_bytes + 8 * len(read.contexts) + _ANSWER_BYTES_MORE
    assert len(outcome.answer) <= PDU_BYTES_MAX
    assert set(outcome.contexts) <= {one.id for one in read.contexts}
    asked = {one.id: one for one in read.contexts}
    for number, context in outcome.contexts.items():
        assert context.transfer_syntax in asked[number].transfer_syntaxes
        assert context.abstract_syntax == asked[number].abstract_syntax
    if not all(uid_is_usable(uid) for one in read.contexts for uid in one.transfer_syntaxes):
        return  # pynetdicom does not read the names that we repeat
    answer = A_ASSOCIATE_AC()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer.decode(outcome.answer)
    said = {one.context_id: one.result == 0 for one in answer.presentation_context}
    assert said == {one.id: one.id in outcome.contexts for one in read.contexts}


def _check_by_oracle(read: Requested, data: bytes) -> None:
    pdu = b"\1\0" + len(data).to_bytes(4, "big") + data
    oracle = A_ASSOCIATE_RQ()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            oracle.decode(pdu)
            contexts = [
                (one.context_id, str(one.abstract_syntax or ""), [str(uid) for uid in one.transfer_syntax])
                for one in oracle.presentation_context
            ]
            version, maximum_length = oracle.protocol_version, oracle.user_information.maximum_length
    except Exception:  # noqa: BLE001 - whatever it does not read, it has no opinion on
        return
    assert version == read.protocol_version
    assert [(one.id, one.abstract_syntax, list(one.transfer_syntaxes)) for one in read.contexts] == contexts
    assert maximum_length == read.user.pdu_bytes_max
