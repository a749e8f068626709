"""A C-STORE request whose command says that there is no data set is answered and accounted for, as every other."""

from __future__ import annotations

from types import SimpleNamespace

from producers.dicom_router.arrival import SUCCESS
from tests.routers import CT, EXPLICIT, running_router


def test_a_request_without_a_data_set_is_kept_as_what_it_is() -> None:
    entity = SimpleNamespace(ae_title="SCANNER")
    event = SimpleNamespace(
        request=SimpleNamespace(AffectedSOPClassUID=CT, AffectedSOPInstanceUID="1.2.3.4.5", DataSet=None),
        context=SimpleNamespace(abstract_syntax=CT, transfer_syntax=EXPLICIT),
        assoc=SimpleNamespace(requestor=entity, acceptor=entity, name="AcceptorThread@1"),
    )
    with running_router() as router:
        assert router.receiver.on_c_store(event) == SUCCESS  # type: ignore[arg-type]
        (kept,) = router.received()
        assert kept.instance.sop_instance_uid == "1.2.3.4.5"
        (key,) = router.originals()
        assert "/unkeyed/" in key, "it has no study; validation says so"
