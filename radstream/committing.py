"""Storage commitment as its user (PS3.4 annex J): asked for by N-ACTION, told by N-EVENT-REPORT wherever that comes."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext, build_context, build_role

from radstream.errors import Failure
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from streams.scu import Entity
from streams.sop_classes import STORAGE_COMMITMENT, VERIFICATION

# The well-known SOP instance, and the one action on it (PS3.4 annex J.3.5, table J.3-1).
_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
_REQUEST: Final = 1
_SUCCESS, _NO_SUCH_ARGUMENT = 0x0000, 0x0114
CONTEXT: Final[PresentationContext] = build_context(
    STORAGE_COMMITMENT, [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN]
)
SCU_ROLE: Final[SCP_SCU_RoleSelectionNegotiation] = build_role(STORAGE_COMMITMENT, scu_role=True)
SCP_ROLE: Final[SCP_SCU_RoleSelectionNegotiation] = build_role(STORAGE_COMMITMENT, scp_role=True)


@dataclass(frozen=True)
class Report:
    """`failed` has the Failure Reason (PS3.3 section C.14.1.1) of each instance that is not committed."""

    committed: frozenset[str]
    failed: Mapping[str, int]
    on_new_association: bool


@dataclass
class Reports:
    """Takes the report of one transaction; used from the threads of associations."""

    transaction_uid: str
    _came: threading.Event = field(default_factory=threading.Event)
    _report: Report | None = None

    def wait(self, seconds: float) -> Report | None:
        """None where none came."""
        self._came.wait(seconds)
        return self._report

    @property
    def handlers(self) -> list[evt.EventHandlerType]:
        """Who waits goes on, and ends the association, once the report is answered, or cannot be any more."""
        return [
            (evt.EVT_N_EVENT_REPORT, self._take),
            (evt.EVT_PDU_SENT, self._sent),
            (evt.EVT_CONN_CLOSE, self._answered),
        ]

    def _sent(self, event: evt.Event) -> None:
        if isinstance(event.pdu, P_DATA_TF):
            self._answered(event)

    def _answered(self, _: evt.Event) -> None:
        if self._report is not None:
            self._came.set()

    def _take(self, event: evt.Event) -> tuple[int, None]:
        said: Any = event.event_information
        if said.get("TransactionUID") != self.transaction_uid:
            return _NO_SUCH_ARGUMENT, None
        committed = frozenset(str(one.ReferencedSOPInstanceUID) for one in said.get("ReferencedSOPSequence") or ())
        failed = {
            str(one.ReferencedSOPInstanceUID): int(one.get("FailureReason") or 0)
            for one in said.get("FailedSOPSequence") or ()
        }
        self._report = Report(committed, failed, event.assoc.is_acceptor)
        return _SUCCESS, None


def ask(association: Association, transaction_uid: str, sop_class: str, sop_instance: str) -> int | None:
    """Asks for one instance to be committed; the status of the response, or None where none came."""
    item, asked = Dataset(), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
    asked.TransactionUID = transaction_uid
    asked.ReferencedSOPSequence = Sequence([item])
    response, _ = association.send_n_action(asked, _REQUEST, STORAGE_COMMITMENT, _INSTANCE)
    return None if "Status" not in response else int(response.Status)


@contextmanager
def listening(
    ae_title: str, address: tuple[str, int], reports: Reports, context: ssl.SSLContext | None
) -> Iterator[None]:
    """Takes reports on new associations until the block ends. Raises Failure where it cannot listen."""
    entity = Entity(ae_title)
    entity.add_supported_context(VERIFICATION)
    # We are the SCU there, though the other side opens the association (PS3.4 annex J.3.3).
    entity.add_supported_context(STORAGE_COMMITMENT, scu_role=False, scp_role=True)
    try:
        server = entity.start_server(address, block=False, evt_handlers=reports.handlers, ssl_context=context)
    except OSError as error:
        host, port = address
        raise Failure(f"--listen {host}:{port}: cannot be listened on ({error.strerror}); take another") from None
    try:
        yield
    finally:
        if server is not None:
            server.shutdown()
