"""A C-STORE request whose command says that there is no data set is answered and accounted for, as every other."""

from __future__ import annotations

from types import SimpleNamespace

from pynetdicom.dimse_messages import C_STORE_RQ

from producers.dicom_router.arrival import SUCCESS
from tests.routers import CT, EXPLICIT, running_router

# PS3.7 annex E.1.
_NO_DATA_SET = 0x0101


def test_a_request_without_a_data_set_is_kept_as_what_it_is() -> None:
    message = C_STORE_RQ()
    command = message.command_set
    command.AffectedSOPClassUID, command.AffectedSOPInstanceUID = CT, "1.2.3.4.5"
    command.MessageID, command.Priority, command.CommandDataSetType = 1, 0, _NO_DATA_SET
    request = message.message_to_primitive()
    assert request.is_valid_request, "pynetdicom hands it over"
    entity = SimpleNamespace(ae_title="SCANNER")
    event = SimpleNamespace(
        request=request,
        context=SimpleNamespace(abstract_syntax=CT, transfer_syntax=EXPLICIT),
        assoc=SimpleNamespace(requestor=entity, acceptor=entity, name="AcceptorThread@1"),
    )
    with running_router() as router:
        assert router.receiver.on_c_store(event) == SUCCESS  # type: ignore[arg-type]
        (kept,) = router.received()
        assert kept.instance.study_uid == "", "validation says what is missing"
        (key,) = router.originals()
        assert "/unkeyed/" in key
