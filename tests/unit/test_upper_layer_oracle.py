"""What pynetdicom encodes, we decode as it meant it, and the other way round."""

from __future__ import annotations

from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.dsutils import decode as decoded_data_set
from pynetdicom.dsutils import encode as encoded_data_set
from pynetdicom.pdu import (
    A_ABORT_RQ,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    P_DATA_TF,
)
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    ImplementationVersionNameNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from producers.dicom_router.upper_layer import associate_ac, command_set, pdu
from producers.dicom_router.upper_layer.associate_ac import AcceptedRole, ContextResult, Extended, Options, Result
from producers.dicom_router.upper_layer.associate_rq import ProposedContext, UserInformation, decode
from producers.dicom_router.upper_layer.command_set import Command
from producers.dicom_router.upper_layer.negotiation import Accepted, negotiate
from tests.pynetdicom_pdus import body, proposed, request
from tests.routers import CT, EXPLICIT

VERIFICATION = "1.2.840.10008.1.1"
UIDS = st.from_regex(r"\A[1-2]\.[1-9][0-9]{0,9}(\.[1-9][0-9]{0,5}){0,6}\Z")
CONTEXT_IDS = st.lists(st.integers(0, 127).map(lambda number: 2 * number + 1), min_size=1, max_size=12, unique=True)


@given(ids=CONTEXT_IDS, data=st.data(), maximum_length=st.integers(0, 2**32 - 1))
def test_a_request_is_read_as_it_was_meant(ids: list[int], data: st.DataObject, maximum_length: int) -> None:
    asked = [
        ProposedContext(number, data.draw(UIDS), tuple(data.draw(st.lists(UIDS, min_size=1, max_size=4, unique=True))))
        for number in ids
    ]
    contexts = [proposed(one.id, one.abstract_syntax, list(one.transfer_syntaxes)) for one in asked]
    read = decode(body(request(contexts, maximum_length=maximum_length)))
    assert read.contexts == tuple(asked)
    assert (read.calling_ae.strip(), read.called_ae.strip()) == ("SCANNER", "RADSTREAM")
    assert read.protocol_version == 1
    assert read.application_context == associate_ac.APPLICATION_CONTEXT
    assert read.user == UserInformation(pdu_bytes_max=maximum_length)


def extended() -> list[object]:
    """One of each item of user information that a request may have."""
    window, role, version = (
        AsynchronousOperationsWindowNegotiation(),
        SCP_SCU_RoleSelectionNegotiation(),
        ImplementationVersionNameNotification(),
    )
    window.maximum_number_operations_invoked, window.maximum_number_operations_performed = 5, 4
    role.sop_class_uid, role.scu_role, role.scp_role = UID(CT), True, True
    version.implementation_version_name = "ORACLE"
    identity, extended_, common = (
        UserIdentityNegotiation(),
        SOPClassExtendedNegotiation(),
        SOPClassCommonExtendedNegotiation(),
    )
    identity.user_identity_type, identity.positive_response_requested = 2, True
    identity.primary_field, identity.secondary_field = b"user", b"password"
    extended_.sop_class_uid, extended_.service_class_application_information = UID(CT), b"\x02\0\x03\0\x01\0"
    common.sop_class_uid, common.service_class_uid = UID(CT), UID("1.2.840.10008.4.2")
    return [window, role, version, identity, extended_, common]


def test_all_that_can_be_negotiated_is_read_and_answered_as_it_was_meant() -> None:
    read = decode(body(request([proposed(1, CT, [EXPLICIT])], *extended())))
    assert read.user == UserInformation(16_382, (5, 4), {CT: (True, True)}, frozenset([CT]), {CT: "1.2.840.10008.4.2"})
    outcome = negotiate(read, 131_072, 3)
    assert isinstance(outcome, Accepted)
    answer = A_ASSOCIATE_AC()
    answer.decode(outcome.answer)
    information = answer.user_information
    assert information is not None
    (window,) = [item for item in information.user_data if item.item_type == 0x53]
    assert (window.maximum_number_operations_invoked, window.maximum_number_operations_performed) == (3, 1)
    (role,) = [item for item in information.user_data if item.item_type == 0x54]
    assert (role.sop_class_uid, role.scu_role, role.scp_role) == (CT, 1, 0)
    (storage,) = [item for item in information.user_data if item.item_type == 0x56]
    assert (storage.sop_class_uid, storage.service_class_application_information) == (CT, b"\x02\0\x03\0\0\0")
    # No response to the identity, and none to the common extended negotiation, which has none.
    assert {item.item_type for item in information.user_data} == {0x51, 0x52, 0x53, 0x54, 0x55, 0x56}


@given(
    answers=st.lists(st.tuples(st.sampled_from(Result), UIDS), min_size=1, max_size=20),
    pdu_bytes_max=st.integers(0, 2**32 - 1),
    window=st.none() | st.tuples(st.integers(0, 65_535), st.integers(0, 65_535)),
    roles=st.lists(st.tuples(UIDS, st.booleans(), st.booleans()), max_size=4, unique_by=lambda role: role[0]),
    extended=st.lists(st.tuples(UIDS, st.binary(min_size=1, max_size=9)), max_size=4, unique_by=lambda one: one[0]),
)
def test_an_acceptance_is_read_as_it_was_meant(
    answers: list[tuple[Result, str]],
    pdu_bytes_max: int,
    window: tuple[int, int] | None,
    roles: list[tuple[str, bool, bool]],
    extended: list[tuple[str, bytes]],
) -> None:
    echoed = b"RADSTREAM".ljust(16) + b"SCANNER".ljust(16) + bytes(32)
    contexts = [ContextResult(2 * at + 1, result, syntax) for at, (result, syntax) in enumerate(answers)]
    options = Options(window, [AcceptedRole(*role) for role in roles], [Extended(*one) for one in extended])
    encoded = associate_ac.encode(echoed, contexts, pdu_bytes_max, options)
    read = A_ASSOCIATE_AC()
    read.decode(encoded)
    assert read.encode() == encoded
    assert [(one.context_id, one.result, str(one.transfer_syntax)) for one in read.presentation_context] == contexts
    assert read.user_information is not None
    assert read.user_information.maximum_length == pdu_bytes_max
    shown = [(one.sop_class_uid, one.service_class_application_information) for one in read.user_information.ext_neg]
    assert shown == extended


def test_the_other_pdus_are_read_as_they_were_meant() -> None:
    rejected, aborted, released = A_ASSOCIATE_RJ(), A_ABORT_RQ(), A_RELEASE_RP()
    rejected.decode(pdu.associate_rj(pdu.LOCAL_LIMIT_EXCEEDED))
    assert (rejected.result, rejected.source, rejected.reason_diagnostic) == (2, 3, 2)
    aborted.decode(pdu.a_abort(pdu.UNEXPECTED_PDU))
    assert (aborted.source, aborted.reason_diagnostic) == (2, 2)
    released.decode(pdu.RELEASE_RP)
    assert (released.encode(), A_RELEASE_RQ().encode()) == (pdu.RELEASE_RP, pdu.RELEASE_RQ)


@given(sop_class_uid=UIDS, instance=UIDS, message_id=st.integers(0, 65_535))
def test_a_store_request_is_read_as_it_was_meant(sop_class_uid: str, instance: str, message_id: int) -> None:
    asked = C_STORE()
    asked.MessageID, asked.Priority = message_id, 2
    asked.AffectedSOPClassUID, asked.AffectedSOPInstanceUID = UID(sop_class_uid), UID(instance)
    asked.DataSet = BytesIO(b"data set")
    message = C_STORE_RQ()
    message.primitive_to_message(asked)
    read = command_set.decode(encoded_data_set(message.command_set, True, True) or b"")
    assert (read.field, read.message_id, read.has_data_set) == (command_set.C_STORE_RQ, message_id, True)
    assert read.sop_class.rstrip(b"\0").decode() == sop_class_uid
    assert read.sop_instance.rstrip(b"\0").decode() == instance


def test_an_echo_request_is_read_as_it_was_meant() -> None:
    asked = C_ECHO()
    asked.MessageID, asked.AffectedSOPClassUID = 9, UID(VERIFICATION)
    message = C_ECHO_RQ()
    message.primitive_to_message(asked)
    read = command_set.decode(encoded_data_set(message.command_set, True, True) or b"")
    assert (read.field, read.message_id, read.has_data_set) == (command_set.C_ECHO_RQ, 9, False)


@given(
    sop_class_uid=UIDS,
    instance=UIDS | st.just(""),
    message_id=st.integers(0, 65_535),
    status=st.sampled_from([0x0000, 0xA700, 0xC000]),
    pdu_bytes_max=st.integers(0, 400),
)
def test_a_response_is_read_as_it_was_meant(
    sop_class_uid: str, instance: str, message_id: int, status: int, pdu_bytes_max: int
) -> None:
    asked = Command(command_set.C_STORE_RQ, message_id, True, sop_class_uid.encode(), instance.encode())
    answer = command_set.response(asked, command_set.C_STORE_RSP, status)
    sent = command_set.pdus(5, answer, pdu_bytes_max)
    fragments = b""
    while sent:
        length = int.from_bytes(sent[2:6], "big") + 6
        one = P_DATA_TF()
        one.decode(sent[:length])
        (item,) = one.presentation_data_value_items
        assert item.context_id == 5
        value = item.presentation_data_value
        assert value is not None
        fragments += value[1:]
        sent = sent[length:]
        assert value[0] == (0x01 if sent else 0x03)
    assert fragments == answer
    read = decoded_data_set(BytesIO(answer), True, True)
    assert read.CommandGroupLength == len(answer) - 12
    assert (read.CommandField, read.MessageIDBeingRespondedTo, read.Status) == (0x8001, message_id, status)
    assert (read.AffectedSOPClassUID, read.get("AffectedSOPInstanceUID", "")) == (sop_class_uid, instance)
    assert read.CommandDataSetType == 0x0101
