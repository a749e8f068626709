"""Which presentation contexts are accepted; an unrestricted storage service of pynetdicom is the oracle."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydicom.uid import UID
from pynetdicom import sop_class
from pynetdicom.pdu import A_ASSOCIATE_AC
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation, UserIdentityNegotiation
from pynetdicom.presentation import (
    NonPatientObjectPresentationContexts,
    build_context,
    build_role,
    negotiate_unrestricted,
)

from producers.dicom_router.upper_layer.associate_rq import ProposedContext, decode
from producers.dicom_router.upper_layer.negotiation import Accepted, negotiate
from producers.dicom_router.upper_layer.pdu import Rejection, Violation
from tests.pynetdicom_pdus import body, proposed, request
from tests.raw_peer import associate_rq, context_item, item
from tests.routers import CT, EXPLICIT, IMPLICIT

VERIFICATION, COMMITMENT = "1.2.840.10008.1.1", "1.2.840.10008.1.20.1"
SERVICES = sorted({str(uid) for uid in vars(sop_class).values() if isinstance(uid, UID)})
# By their keywords pynetdicom does not know these as services, and takes them for storage.
MISTAKEN = {f"1.2.840.10008.5.1.4.39.{number}" for number in (2, 3, 4)} | {"1.2.840.10008.5.1.4.31"}
# And these it is told to take, by name.
TOLD = {VERIFICATION, COMMITMENT, "1.2.840.10008.1.3.10"}
SYNTAXES = [[EXPLICIT, IMPLICIT], [IMPLICIT], ["1.2.840.10008.1.2.4.90", EXPLICIT], ["2.25.1"]]


@pytest.mark.parametrize("syntaxes", SYNTAXES)
def test_contexts_are_accepted_as_an_unrestricted_storage_service_accepts_them(syntaxes: list[str]) -> None:
    private = ["1.2.826.0.1.3680043.9", "2.25.4711", "1.2.840.10008.5.1.4.1.1.2.99"]
    uids = [uid for uid in (*SERVICES, *private) if uid not in MISTAKEN | TOLD]
    # Objects without a patient are stored here, and a service of its own there.
    told = [build_context(str(one.abstract_syntax), syntaxes) for one in NonPatientObjectPresentationContexts]
    for start in range(0, len(uids), 128):
        contexts = [proposed(2 * at + 1, uid, syntaxes) for at, uid in enumerate(uids[start : start + 128])]
        theirs, _ = negotiate_unrestricted(contexts, told)
        ours = negotiate(decode(body(request(contexts))), 131_072)
        assert isinstance(ours, Accepted)
        assert {number: tuple(one) for number, one in ours.contexts.items()} == {
            one.context_id: (str(one.abstract_syntax), str(one.transfer_syntax[0])) for one in theirs if not one.result
        }


@pytest.mark.parametrize("uid", sorted(MISTAKEN))
def test_a_query_is_no_storage(uid: str) -> None:
    ours = negotiate(decode(body(request([proposed(1, uid, [EXPLICIT])]))), 131_072)
    assert isinstance(ours, Accepted)
    assert ours.contexts == {}


def results(*contexts: tuple[str, list[str]]) -> list[tuple[int, str]]:
    """How each proposed context is answered, and with which transfer syntax."""
    asked = [ProposedContext(2 * at + 1, uid, tuple(syntaxes)) for at, (uid, syntaxes) in enumerate(contexts)]
    ours = negotiate(replace(decode(body(request([proposed(1, CT, [EXPLICIT])]))), contexts=tuple(asked)), 16_384)
    assert isinstance(ours, Accepted)
    answer = A_ASSOCIATE_AC()
    answer.decode(ours.answer)
    return [(one.result, str(one.transfer_syntax)) for one in answer.presentation_context]


def test_each_context_has_its_own_result() -> None:
    jpeg = "1.2.840.10008.1.2.4.50"
    assert results(
        (CT, [jpeg, EXPLICIT]),
        ("1.2.840.10008.5.1.4.1.2.2.1", [EXPLICIT]),
        (VERIFICATION, [jpeg]),
        (VERIFICATION, [jpeg, IMPLICIT]),
        (COMMITMENT, [jpeg, EXPLICIT]),
        (COMMITMENT, [jpeg]),
        (CT, ["not.a.UID", EXPLICIT]),
        (CT, []),
    ) == [(0, jpeg), (3, EXPLICIT), (4, jpeg), (0, IMPLICIT), (0, EXPLICIT), (4, jpeg), (0, EXPLICIT), (4, IMPLICIT)]


def test_a_transfer_syntax_that_is_no_uid_is_accepted_where_there_is_no_other_so_that_it_can_be_refused_aloud() -> None:
    asked = (ProposedContext(1, CT, ("not a UID",)),)
    ours = negotiate(replace(decode(body(request([proposed(1, CT, [EXPLICIT])]))), contexts=asked), 16_384)
    assert isinstance(ours, Accepted)
    assert ours.contexts[1].transfer_syntax == "not a UID"


def test_another_application_or_protocol_is_rejected_for_good() -> None:
    asked = decode(body(request([proposed(1, CT, [EXPLICIT])])))
    assert negotiate(replace(asked, application_context="1.2.3"), 0) == Rejection(1, 1, 2)
    assert negotiate(replace(asked, protocol_version=2), 0) == Rejection(1, 2, 2)


@pytest.mark.parametrize(
    ("scu", "scp", "answered"),
    [
        pytest.param(True, False, [(True, False)], id="as the standard has it"),
        pytest.param(True, True, [(True, False)], id="both"),
        pytest.param(False, True, [], id="the other way round"),
    ],
)
def test_who_asks_for_commitment_is_its_scu(scu: bool, scp: bool, answered: list[tuple[bool, bool]]) -> None:
    asked = request([proposed(1, COMMITMENT, [EXPLICIT])], build_role(COMMITMENT, scu_role=scu, scp_role=scp))
    ours = negotiate(decode(body(asked)), 131_072)
    assert isinstance(ours, Accepted)
    answer = A_ASSOCIATE_AC()
    answer.decode(ours.answer)
    roles = answer.user_information.role_selection
    assert [(bool(one.scu), bool(one.scp)) for one in roles.values()] == answered


def answer_items(*user: bytes, contexts: tuple[str, ...] = (CT,), operations_max: int = 16) -> list[bytes]:
    """The items of user information in our answer, but those that every answer has; `user` are those of the request."""
    asked = [context_item(2 * at + 1, uid) for at, uid in enumerate(contexts)]
    ours = negotiate(decode(associate_rq(*asked, user=b"".join(user))[6:]), 16_384, operations_max)
    assert isinstance(ours, Accepted)
    answer = A_ASSOCIATE_AC()
    answer.decode(ours.answer)
    assert answer.user_information is not None
    return [one.encode() for one in answer.user_information.user_data if one.item_type not in (0x51, 0x52, 0x55)]


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        pytest.param("00000000", "00100001", id="any number"),
        pytest.param("00050003", "00050001", id="fewer than we take"),
        pytest.param("00110000", "00100001", id="more than we take"),
        pytest.param("00010001", "00010001", id="one"),
        pytest.param("ffffffff", "00100001", id="all that the field holds"),
    ],
)
def test_a_window_is_no_wider_than_asked_for_and_than_we_take(asked: str, answered: str) -> None:
    assert answer_items(item(0x53, bytes.fromhex(asked))) == [bytes.fromhex("53000004" + answered)]
    assert answer_items(item(0x53, bytes.fromhex(asked)), operations_max=1) == [bytes.fromhex("5300000400010001")]


def test_what_was_not_asked_for_is_not_answered() -> None:
    assert answer_items() == []


@pytest.mark.parametrize("length", [0, 3, 5])
def test_a_window_of_another_length_is_a_violation(length: int) -> None:
    with pytest.raises(Violation, match="window"):
        answer_items(item(0x53, bytes(length)))


def prefixed(uid: str) -> bytes:
    return len(uid).to_bytes(2, "big") + uid.encode()


def test_storage_is_said_to_be_full_bit_preserving_and_without_coercion() -> None:
    asked = item(0x56, prefixed(CT) + bytes.fromhex("030000000200"))
    expected = bytes.fromhex("5600" + "0021" + "0019") + CT.encode() + bytes.fromhex("020003000000")
    assert answer_items(asked) == [expected]
    read = SOPClassExtendedNegotiation()
    read.sop_class_uid, read.service_class_application_information = UID(CT), expected[-6:]
    assert read.from_primitive().encode() == expected


FIND = "1.2.840.10008.5.1.4.1.2.2.1"


@pytest.mark.parametrize(
    "uid", [COMMITMENT, VERIFICATION, "1.2.840.10008.1.3.10", FIND, "1.2.840.10008.5.1.4.1.1.4"], ids=lambda uid: uid
)
def test_of_what_is_no_storage_or_was_not_accepted_nothing_is_said(uid: str) -> None:
    proposed_too = () if uid.endswith(".1.1.4") else (uid,)
    assert answer_items(item(0x56, prefixed(uid) + bytes(6)), contexts=(CT, *proposed_too)) == []


@pytest.mark.parametrize("cut", [b"", b"\0", b"\0\x40" + CT.encode()], ids=["nothing", "a byte", "a UID that is cut"])
@pytest.mark.parametrize("kind", [0x56, 0x57], ids=["extended", "common extended"])
def test_an_extended_negotiation_that_cannot_be_read_is_let_go(kind: int, cut: bytes) -> None:
    assert answer_items(item(kind, cut)) == []


STORAGE, QUERY = "1.2.840.10008.4.2", "1.2.840.10008.4.4"


@pytest.mark.parametrize(
    ("uid", "service_class", "result"),
    [
        pytest.param("2.25.4711", STORAGE, 0, id="unknown and storage"),
        pytest.param("2.25.4711", QUERY, 3, id="unknown and said to be another service"),
        pytest.param("2.25.4711", "", 0, id="unknown and said to be of no service"),
        pytest.param(CT, QUERY, 0, id="known to be storage"),
        pytest.param(VERIFICATION, STORAGE, 0, id="known to be verification"),
        pytest.param(FIND, STORAGE, 3, id="known to be a query"),
    ],
)
def test_a_requestor_may_say_of_which_service_an_unknown_class_is(uid: str, service_class: str, result: int) -> None:
    said = item(0x57, prefixed(uid) + prefixed(service_class) + b"\0\0")
    ours = negotiate(decode(associate_rq(context_item(1, uid), user=said)[6:]), 16_384)
    assert isinstance(ours, Accepted)
    answer = A_ASSOCIATE_AC()
    answer.decode(ours.answer)
    assert answer.presentation_context[0].result == result
    # There is no response to it (PS3.7 annex D.3.3.6).
    assert answer.user_information is not None
    assert {one.item_type for one in answer.user_information.user_data} == {0x51, 0x52, 0x55}


@pytest.mark.parametrize("wants_response", [False, True])
@pytest.mark.parametrize("kind", range(1, 6), ids=["name", "name and passcode", "Kerberos", "SAML", "JWT"])
def test_a_users_identity_is_neither_confirmed_nor_a_reason_to_reject(kind: int, wants_response: bool) -> None:
    """No response says that we do not know users (PS3.7 annex D.3.3.7): who depends on one ends the association."""
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.positive_response_requested = kind, wants_response
    identity.primary_field = b"a user"
    if kind == 2:
        identity.secondary_field = b"a passcode"
    assert answer_items(identity.from_primitive().encode()) == []


def test_a_users_identity_that_cannot_be_read_is_let_go() -> None:
    assert answer_items(item(0x58, b"\x02")) == []
