"""A modality that asks for storage commitment, as pynetdicom speaks it: who asks, and who listens for the report."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.presentation import build_role
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    Verification,
)

from streams.store_scu import Target

References = Sequence[tuple[str, str]]


def asked(transaction_uid: str, references: References) -> Dataset:
    """The data set of the N-ACTION; UIDs as they are given, legal or not."""
    request = Dataset()
    request.add(_uid(0x00081195, transaction_uid))
    items = []
    for sop_class, sop_instance in references:
        item = Dataset()
        item.add(_uid(0x00081150, sop_class))
        item.add(_uid(0x00081155, sop_instance))
        items.append(item)
    request.ReferencedSOPSequence = Items(items)
    return request


def ask(
    target: Target,
    transaction_uid: str,
    references: References,
    *,
    calling_ae: str = "CT1",
    action_type: int = 1,
    sop_instance: str = StorageCommitmentPushModelInstance,
    role: bool = True,
) -> int:
    """Asks on an association of its own; the status."""
    modality = AE(ae_title=calling_ae)
    modality.add_requested_context(StorageCommitmentPushModel)
    roles = [build_role(StorageCommitmentPushModel, scu_role=True)] if role else []
    association = modality.associate(target.host, target.port, ae_title=target.ae_title, ext_neg=roles)
    assert association.is_established
    status, _ = association.send_n_action(
        asked(transaction_uid, references), action_type, StorageCommitmentPushModel, sop_instance
    )
    association.release()
    return int(status.Status)


@contextmanager
def asking(
    target: Target, modality: Modality, transaction_uid: str, references: References, *, calling_ae: str = "CT1"
) -> Iterator[Association]:
    """Asks, and listens on the same association until the block ends."""
    entity = AE(ae_title=calling_ae)
    entity.add_requested_context(StorageCommitmentPushModel)
    association = entity.associate(
        target.host,
        target.port,
        ae_title=target.ae_title,
        ext_neg=[build_role(StorageCommitmentPushModel, scu_role=True)],
        evt_handlers=[(evt.EVT_N_EVENT_REPORT, modality.take)],
    )
    assert association.is_established
    status, _ = association.send_n_action(
        asked(transaction_uid, references), 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    assert status.Status == 0x0000
    try:
        yield association
    finally:
        association.release()


@dataclass(frozen=True)
class Report:
    """One N-EVENT-REPORT. `committed` are instances, `failed` has the reason of each."""

    event_type: int
    transaction_uid: str
    committed: frozenset[str]
    failed: Mapping[str, int]
    calling_ae: str


@dataclass
class Modality:
    """Listens; answers with the next of `statuses`, and with success when there is none. `at_once` reports wait for
    their answers.
    """

    port: int = 0
    reports: list[Report] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    at_once: int = 0
    at_once_max: int = 0
    _silent: threading.Event | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Takes reports and answers none, until the block ends."""
        self._silent = threading.Event()
        try:
            yield
        finally:
            self._silent.set()
            self._silent = None

    def take(self, event: Any) -> tuple[int, None]:
        with self._lock:
            self.at_once += 1
            self.at_once_max = max(self.at_once, self.at_once_max)
        if (silent := self._silent) is not None:
            silent.wait()
        with self._lock:
            self.at_once -= 1
        return self._taken(event)

    def _taken(self, event: Any) -> tuple[int, None]:
        information = event.event_information
        self.reports.append(
            Report(
                event.event_type,
                str(information.TransactionUID),
                frozenset(str(item.ReferencedSOPInstanceUID) for item in information.get("ReferencedSOPSequence", ())),
                {
                    str(item.ReferencedSOPInstanceUID): item.FailureReason
                    for item in information.get("FailedSOPSequence", ())
                },
                event.assoc.requestor.ae_title,
            )
        )
        return (self.statuses.pop(0) if self.statuses else 0x0000), None


@contextmanager
def listening(
    modality: Modality, *, takes_role: bool = True, ae_title: str = "CT1", tls: ssl.SSLContext | None = None
) -> Iterator[Modality]:
    """On the modality's port, or on one that the kernel gives, as it gives it to anybody when this is over."""
    entity = AE(ae_title=ae_title)
    entity.add_supported_context(Verification)
    if takes_role:
        entity.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    else:
        entity.add_supported_context(StorageCommitmentPushModel)
    handlers = [(evt.EVT_N_EVENT_REPORT, modality.take)]
    server = entity.start_server(("127.0.0.1", modality.port), block=False, evt_handlers=handlers, ssl_context=tls)
    modality.port = server.socket.getsockname()[1]
    try:
        yield modality
    finally:
        server.shutdown()


def _uid(tag: int, uid: str) -> DataElement:
    return DataElement(tag, "UI", uid, validation_mode=config.IGNORE)
