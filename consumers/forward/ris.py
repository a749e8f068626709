"""The RIS, and the association with it: opened for what is to be told, kept for more, released when idle.

It is looked up in the site's file of nodes for each association, so a mended address is tried next.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Literal

from pydicom.uid import UID
from pynetdicom.dimse_primitives import N_CREATE, N_SET

from streams import nodes
from streams.attribute_lists import SYNTAXES, AttributeList
from streams.config import ConfigError
from streams.nodes import Node
from streams.ris import Settings
from streams.sop_classes import PERFORMED_PROCEDURE_STEP
from streams.store_scu import Lost, NoAssociation, Scu, TakesNone, Target
from streams.tls.clients import Clients
from streams.tls.reaching import Secured

# An association that nobody uses costs the RIS one of the few that it may have.
IDLE_S: Final = 10.0

_PROCESSING_FAILURE, _NO_LONGER_ID = 0x0110, 0xA710
_NO_LONGER: Final = "Performed Procedure Step Object may no longer be updated"

Action = Literal["created", "set"]


@dataclass(frozen=True)
class Answer:
    """The status of a response. `is_final`: the step may no longer be updated (PS3.4 section F.7.2.2.3)."""

    status: int
    is_final: bool = False


class PerformedStepScu(Scu):
    """An association for performed procedure steps (PS3.4 annex F): a data set goes out as the modality sent it."""

    def tell(self, action: Action, mpps_uid: str, said: AttributeList) -> Answer:
        """Sends one N-CREATE or N-SET and waits for the answer. Raises Lost, Unwritable."""
        own_first = (said.transfer_syntax, *SYNTAXES)
        accepted = next(one for one in own_first if self.accepts(PERFORMED_PROCEDURE_STEP, one))
        request = self._request(action, mpps_uid, said.within(accepted))
        self._association.dimse.send_msg(request, self._contexts[PERFORMED_PROCEDURE_STEP, accepted])
        _, response = self._association.dimse.get_msg(block=True)
        if not isinstance(response, type(request)) or response.Status is None:
            raise Lost
        return Answer(int(response.Status), is_final=_says_final(response))

    def _request(self, action: Action, mpps_uid: str, data: bytes) -> N_CREATE | N_SET:
        request: Any = N_CREATE() if action == "created" else N_SET()
        request.MessageID = self._next_message_id()
        if action == "created":
            request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = UID(PERFORMED_PROCEDURE_STEP), UID(mpps_uid)
            request.AttributeList = BytesIO(data)
        else:
            request.RequestedSOPClassUID, request.RequestedSOPInstanceUID = UID(PERFORMED_PROCEDURE_STEP), UID(mpps_uid)
            request.ModificationList = BytesIO(data)
        made: N_CREATE | N_SET = request
        return made


def _says_final(response: Any) -> bool:
    """By the Error ID, or by the Error Comment where that was left out. Nothing else of it is looked at."""
    said = (getattr(response, "ErrorID", None), str(getattr(response, "ErrorComment", None) or "").strip())
    return response.Status == _PROCESSING_FAILURE and (said[0] == _NO_LONGER_ID or said[1] == _NO_LONGER)


class Ris:
    """Asked from one thread at a time; `release_idle` from another."""

    def __init__(self, nodes_file: Path, settings: Settings, clients: Clients) -> None:
        self._nodes_file = nodes_file
        self._clients = clients
        self._settings = settings
        self._lock = threading.Lock()
        self._scu: PerformedStepScu | None = None
        self._used_s = 0.0

    @property
    def name(self) -> str:
        return self._settings.node

    def tell(self, action: Action, mpps_uid: str, said: AttributeList) -> Answer:
        """Raises NoAssociation, Unwritable, and Lost where the RIS may know of it or not."""
        with self._lock:
            fresh = self._scu is None
            while True:
                scu = self._scu = self._scu or self._open()
                try:
                    answer = scu.tell(action, mpps_uid, said)
                except Lost:
                    self._scu = None
                    scu.abort()
                    # One that was kept for a while may have been closed by the RIS since.
                    if fresh:
                        raise
                    fresh = True
                else:
                    self._used_s = time.monotonic()
                    return answer

    def _open(self) -> PerformedStepScu:
        """Raises NoAssociation."""
        try:
            known = nodes.read(self._nodes_file)
        except ConfigError:
            raise NoAssociation(f"{self._nodes_file.name} cannot be used; see: radstream doctor") from None
        if (node := known.get(self.name)) is None:
            raise NoAssociation(f"no node is called {self.name}; enter it: radstream modality add {self.name}")
        contexts = [(PERFORMED_PROCEDURE_STEP, syntax) for syntax in SYNTAXES]
        try:
            return PerformedStepScu(
                Target(node.ae_title, node.host, node.port, self._secured(node)),
                self._settings.calling_ae,
                contexts,
                answer_s_max=self._settings.answer_s,
            )
        except TakesNone:
            raise NoAssociation("it does not accept performed procedure steps (1.2.840.10008.3.1.2.3.3)") from None

    def _secured(self, node: Node) -> Secured | None:
        """Raises NoAssociation."""
        try:
            return self._clients.of(node)
        except ConfigError:
            raise NoAssociation("it wants TLS, and ours cannot be used; see: radstream doctor") from None

    def release_idle(self) -> None:
        """Releases what had nothing to do for a while; not while something is told."""
        if self._lock.acquire(blocking=False):
            try:
                if self._scu is not None and time.monotonic() - self._used_s >= IDLE_S:
                    self._scu.close()
                    self._scu = None
            finally:
                self._lock.release()

    def close(self) -> None:
        with self._lock:
            if self._scu is not None:
                self._scu.close()
                self._scu = None
