"""Which presentation contexts are accepted; an unrestricted storage service of pynetdicom is the oracle."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydicom.uid import UID
from pynetdicom import sop_class
from pynetdicom.pdu import A_ASSOCIATE_AC
from pynetdicom.presentation import (
    NonPatientObjectPresentationContexts,
    build_context,
    build_role,
    negotiate_unrestricted,
)

from producers.dicom_router.upper_layer.associate_rq import ProposedContext, decode
from producers.dicom_router.upper_layer.negotiation import Accepted, negotiate
from producers.dicom_router.upper_layer.pdu import Rejection
from tests.pynetdicom_pdus import body, proposed, request
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
