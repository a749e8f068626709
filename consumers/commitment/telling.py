"""Tells a requester by N-EVENT-REPORT, on an association of our own to the node with its AE title (PS3.4 annex J.3.3).

The node is looked up in the site's file each time, so a mended address is tried next. A report goes nowhere else: not
to the address that the request came from, which anybody could have.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pynetdicom import _config
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import build_context, build_role

from streams import metrics, nodes
from streams.commitment_report import data_set, event_type, is_taken
from streams.config import ConfigError
from streams.events import CommitmentResult
from streams.nodes import Node
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from streams.scu import Entity
from streams.sop_classes import STORAGE_COMMITMENT
from streams.tls.clients import Clients

# The well-known SOP instance (PS3.4 annex J.3.5).
INSTANCE: Final = "1.2.840.10008.1.20.1.1"
_SET_UP_S_MAX: Final = 10.0
# A node that did not answer is left alone for so long, whatever else there is to tell it.
REST_S: Final = 30.0

_IN_VAIN: Final = ("no_association", "lost")
_NOT_REACHED: Final = ("resting", *_IN_VAIN)

# 'busy' is a requester that is being told another report.
Outcome = Literal["delivered", "no_node", "resting", "busy", "no_association", "refused", "lost"]


@dataclass(frozen=True)
class Told:
    """What came of one try. `why` is a sentence without patient data, empty where it was delivered."""

    outcome: Outcome
    node: str | None = None
    status: int | None = None
    why: str = ""


def busy(requester: str) -> Told:
    return Told("busy", why=f"{requester} is being told another report")


class Teller:
    """Used from several threads at once, of which one at a time tells a requester: who is silent has no more of them.

    `monotonic` is a clock in seconds.
    """

    def __init__(self, nodes_file: Path, clients: Clients, answer_s_max: float, monotonic: Callable[[], float]) -> None:
        self._nodes_file = nodes_file
        self._clients = clients
        self._answer_s_max = answer_s_max
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._rests_until: dict[str, float] = {}
        self._busy: set[str] = set()
        # pynetdicom's own event logging would format every PDU.
        _config.LOG_HANDLER_LEVEL = "none"

    def tell(self, result: CommitmentResult) -> Told:
        """Tries once each node that has the requester's AE title, until one answers: a device may be entered for each
        of its ports. Every try but one that is spared is in the metrics.
        """
        requester = result.source.calling_ae
        with self._lock:
            if requester in self._busy:
                return busy(requester)
            self._busy.add(requester)
        try:
            return self._tell(requester, result)
        finally:
            with self._lock:
                self._busy.discard(requester)

    def knows(self, requester: str) -> bool:
        """Whether the site has a node with its AE title now."""
        return not isinstance(self._known(requester), Told)

    def is_telling(self, requester: str) -> bool:
        """Whether a report to it is under way, so that another would not be tried now."""
        with self._lock:
            return requester in self._busy

    def _tell(self, requester: str, result: CommitmentResult) -> Told:
        told = self._known(requester)
        if isinstance(told, Told):
            return self._counted(told)
        tried = (self._counted(self._told(name, node, result)) for name, node in told.items())
        last = next(tried)
        while last.outcome in _NOT_REACHED and (another := next(tried, None)) is not None:
            last = another
        return last

    def _counted(self, told: Told) -> Told:
        if told.outcome != "resting":
            metrics.COMMITMENT_REPORTS.labels(told.node or "-", told.outcome).inc()
        if told.node is not None and told.outcome in _IN_VAIN:
            self._rests_until[told.node] = self._monotonic() + REST_S
        return told

    def _known(self, requester: str) -> Mapping[str, Node] | Told:
        """The nodes with an AE title, one at least; else what came of it."""
        try:
            known = nodes.read(self._nodes_file)
        except ConfigError:
            return Told("no_node", why=f"{self._nodes_file.name} cannot be used; see: radstream doctor")
        found = {name: node for name, node in known.items() if node.ae_title.strip() == requester}
        return found or Told("no_node", why=f"no node has the AE title {requester}; enter it: radstream modality add")

    def _told(self, name: str, node: Node, result: CommitmentResult) -> Told:
        if self._monotonic() < self._rests_until.get(name, float("-inf")):
            return Told("resting", name, why=f"{name} did not answer a moment ago")
        return self._ask(name, node, result)

    def _ask(self, name: str, node: Node, result: CommitmentResult) -> Told:
        association = self._associated(node, result.source.called_ae)
        if isinstance(association, str):
            return Told("no_association", name, why=f"{name}: {association}")
        try:
            return self._reported(name, association, result)
        finally:
            association.release()
            # Ends the threads of what could not be released.
            association.abort()

    def _associated(self, node: Node, calling_ae: str) -> Association | str:
        """The association, or why there is none. We are the SCP of it, and propose to be."""
        try:
            entity = Entity(calling_ae, self._clients.of(node))
        except ConfigError:
            return "it wants TLS, and ours cannot be used; see: radstream doctor"
        entity.connection_timeout = entity.acse_timeout = min(_SET_UP_S_MAX, self._answer_s_max)
        entity.dimse_timeout, entity.network_timeout = self._answer_s_max, None
        context = build_context(STORAGE_COMMITMENT, [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN])
        role: SCP_SCU_RoleSelectionNegotiation = build_role(STORAGE_COMMITMENT, scp_role=True)
        try:
            association = entity.associate(
                node.host, node.for_reports.port, contexts=[context], ae_title=node.ae_title, ext_neg=[role]
            )
        except OSError:
            return "its host name is not known"
        if association.is_established:
            if all(one.as_scp for one in association.accepted_contexts):
                return association
            association.abort()
            return "it does not accept that we are the SCP (role selection, PS3.7 annex D.3.3.4)"
        if entity.not_secured is not None:
            return entity.not_secured.why
        if association.is_rejected:
            answer: Any = association.acceptor.primitive
            return f"the association was rejected: {answer.reason_str}" if answer else "the association was rejected"
        if association.rejected_contexts:
            return "it does not accept storage commitment"
        return "nothing answers there"

    def _reported(self, name: str, association: Association, result: CommitmentResult) -> Told:
        response, _ = association.send_n_event_report(
            data_set(result), event_type(result), STORAGE_COMMITMENT, INSTANCE
        )
        status = response.get("Status")
        if status is None:
            return Told("lost", name, why=f"{name}: the association ended before its answer")
        if is_taken(status):
            return Told("delivered", name, status)
        return Told("refused", name, status, f"{name} answered 0x{status:04X}")
